"""What tests in a real Chromium share: its settings, and scripts to ask a page with.

The fixtures `chromium`, `page` and `server` are in conftest.py.
"""

import time

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


def run_all_cells(page, shown):
    """Run all cells of the notebook that is open in JupyterLab, until `shown` is there.

    shown: a locator of what the last cell shows.
    """
    idle = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
    page.locator(idle).first.wait_for(timeout=90_000)
    for _ in range(3):  # JupyterLab may lose what it is asked while a kernel starts
        page.locator(".jp-Notebook h1").click()  # the menu acts on what is in focus
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        end = time.time() + 60
        while not shown.count() and time.time() < end:
            page.wait_for_timeout(200)
        if shown.count():
            break
    shown.wait_for(timeout=1000)
    page.locator(idle).first.wait_for()


# Of the slide that is shown: what reaches beyond it, a page's own contents aside.
BEYOND = """() => {
  const slide = Reveal.getCurrentSlide();
  const frame = slide.getBoundingClientRect();
  const seen = [...slide.querySelectorAll("*")].filter(
    one => one.checkVisibility() && !one.closest("aside, .minutes"));
  return seen.filter(one => {
    const {left, right, top, bottom} = one.getBoundingClientRect();
    return left < frame.left - 1 || right > frame.right + 1
      || top < frame.top - 1 || bottom > frame.bottom + 1;
  }).map(one => one.outerHTML.slice(0, 150));
}"""


def overflowing(page):
    """What of the slide that is shown is cut off, or lies below its lower edge."""
    return page.evaluate(BEYOND)
