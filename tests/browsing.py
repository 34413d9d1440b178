"""What tests in a real Chromium share: its settings, and scripts to ask a page with.

The fixtures `chromium`, `page` and `server` are in conftest.py.
"""

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTHS = (400, 500, 800, 1200, 1920)
SET = """(control, value) => {
  const checkbox = ["checkbox", "radio"].includes(control.type);
  if (checkbox && control.checked !== value) control.click();
  if (!checkbox) {
    control.value = value;
    control.dispatchEvent(new Event("input", {bubbles: true}));
  }
}"""
NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(done))"
# Of whatever is on the page: the names of what reaches beyond it, or shows too little.
CLIPPED = """() => {
  const wide = document.documentElement.clientWidth;
  const visible = [...document.querySelectorAll("body *")].filter(
    one => one.checkVisibility() && !one.closest("defs"));
  const beyond = visible.filter(one => {
    const {left, right} = one.getBoundingClientRect();
    return right > wide + 0.5 || left < -0.5;
  });
  const within = [...document.querySelectorAll("input[type=number], td, th, button")]
    .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1);
  const pen = document.createElement("canvas").getContext("2d");
  const cut = [...document.querySelectorAll("select")].filter(one => {
    pen.font = getComputedStyle(one).font;
    const shown = pen.measureText(one.selectedOptions[0].textContent).width;
    return shown > one.clientWidth - 18;  // beside its arrow
  });
  const frame = document.querySelector("figure svg")?.getBoundingClientRect();
  const letters = [...document.querySelectorAll("figure text")].filter(one => {
    const {left, right, bottom} = one.getBoundingClientRect();
    return left < frame.left || right > frame.right + 1 || bottom > frame.bottom + 6;
  });
  const all = [...beyond, ...within, ...cut, ...letters];
  return all.map(one => one.outerHTML.slice(0, 150));
}"""
