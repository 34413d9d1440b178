// Starts reveal.js, and makes a page to play with when its slide is shown.

const pages = JSON.parse(document.querySelector("#pages").textContent);
// On a telephone the slides stand one below the other; in the speaker's view never.
const narrow = matchMedia("(max-width: 599px)");
const size = () =>
  narrow.matches && !location.search.includes("receiver")
    ? { width: 480, height: 860 }
    : { width: 1280, height: 720 };

// Of a page only the part that the slide names, in letters for the last row; what the
// page was made with stands below.
const ZOOM = { openings: 1.15, comparing: 1.7, "": 1.2 };
const only = (part) => `<style>
  h1, h2, nav, footer, section:not([id="${part}"]), #png, #svg, p:has(> code),
  fieldset:not(#kinds, #models, :has(#threshold)) { display: none }
  body { display: flex; flex-direction: column }
  header { order: 1 }
  section { border: 0; padding: 0 }
  @media (min-width: 600px) { body { zoom: ${ZOOM[part] ?? 1.45} } }
</style>`;

function play() {
  for (const frame of Reveal.getCurrentSlide().querySelectorAll("iframe:not([srcdoc])")) {
    frame.srcdoc = pages[frame.dataset.page] + only(frame.dataset.part);
    frame.onload = () => frame.contentDocument.addEventListener("keydown", turn);
  }
}

// Keys pressed in a page are the page's, but for these three.
function turn({ key }) {
  if (key === "PageDown") Reveal.next();
  if (key === "PageUp") Reveal.prev();
  if (["PageDown", "PageUp", "Escape"].includes(key)) document.activeElement.blur();
}

Reveal.on("ready", play);
Reveal.on("slidechanged", play);
if (narrow.matches) document.body.tabIndex = 0; // it scrolls, by keys as well
narrow.onchange = () => Reveal.configure(size());
Reveal.initialize({
  ...size(),
  plugins: [RevealNotes],
  hash: true,
  slideNumber: "c/t",
  transition: "none",
  controlsLayout: "edges",
  display: "flex",
  center: false,
  margin: 0.05,
  scrollActivationWidth: 599,
});
