"""The site that `make book` wrote, page by page from files, without a network."""

import posixpath
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
SITE = Path(__file__).resolve().parents[1] / "runs" / "book"
OTHERS = ("search.html", "index.html")  # without a place in the order of pages
PLAY = ("submission/histograms.html", "submission/next_token.html")
WRITTEN = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if not path.relative_to(SITE).as_posix().startswith(("_", "submission/"))
)
# Contrast takes axe longest: it is measured on every kind of thing that is read.
KINDS = {
    "notebooks/exercises/solutions/exercise_02.html": "html",
    "search.html": "html",
    "notebooks/06_log_likelihood.html": ".text_html",  # tables and a strip of tokens
    "notebooks/08_explore_histograms.html": ".text_html",  # and a table by Styler
    "README.html": "article table",
}
# What reaches beyond the page, or beyond a box that does not scroll.
BEYOND = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = one => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  const held = one => {
    for (let box = one.parentElement; box; box = box.parentElement)
      if (scrolls(box)) return true;
    return false;
  };
  const beyond = [...document.querySelectorAll("main article *, header *")].filter(
    one => one.checkVisibility() && !one.closest("svg, mjx-assistive-mml")
      && one.getBoundingClientRect().right > wide + 0.5 && !held(one));
  const page = document.documentElement.scrollWidth > wide ? ["the page"] : [];
  return page.concat(beyond.map(one => one.outerHTML.slice(0, 150)));
}"""
UNSAID = """() => [...document.querySelectorAll("img")].filter(
  one => !one.alt.trim()).map(one => one.outerHTML.slice(-150))"""
UNDRAWN = """() => [...document.querySelectorAll(".math")].filter(
  one => !one.querySelector("mjx-container svg")
    || one.querySelector("[data-mjx-error]")).map(one => one.textContent)"""


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


@pytest.fixture(scope="module")
def tab(chromium):
    """One tab for all pages, offline; errors and other hosts are noted as `wrong`."""
    if not WRITTEN:
        pytest.skip("there is no site here: make book")
    context = chromium.new_context(
        viewport={"width": 1400, "height": 900}, offline=True
    )
    tab = context.new_page()
    tab.set_default_timeout(120_000)  # what else runs here may be slow
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("console", lambda one: one.type == "error" and tab.wrong.append(one.text))
    near = ("file:", "data:", "blob:", "about:")
    tab.on("request", lambda one: one.url.startswith(near) or tab.wrong.append(one.url))
    yield tab
    context.close()


@pytest.fixture
def opened(tab):
    """Open a page of the site from its file, at 1400 pixels, in light or dark."""
    tab.wrong.clear()

    def open_page(name, scheme="light"):
        tab.set_viewport_size({"width": 1400, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        name, _, query = name.partition("?")
        tab.goto((SITE / name).as_uri() + "?" + query)
        if tab.locator(".math").count():
            tab.evaluate("MathJax.startup.promise")
        return tab

    yield open_page
    assert tab.wrong == []


def found(axe, page, where="html", **options):
    """What axe finds there: each rule that is broken, with the first place."""
    options = {"preload": False, "resultTypes": ["violations"], **options}
    broken = axe.run(page, where, options).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in broken]


@pytest.mark.parametrize("name", WRITTEN or ["none"])
def test_each_page_is_read_by_anybody(opened, axe, name):
    page = opened(name)
    assert page.evaluate(UNSAID) == []
    assert page.evaluate(UNDRAWN) == []
    # The corner of a table is empty as pandas writes it; contrast: see below.
    not_here = {"color-contrast": {"enabled": False}}
    not_here["empty-table-header"] = {"enabled": False}
    assert found(axe, page, rules=not_here) == []
    assert page.evaluate(BEYOND) == []
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_timeout(50)
    assert page.evaluate(BEYOND) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_stands_out(opened, axe, name, scheme):
    page = opened(name, scheme)
    theme = page.locator("html").get_attribute("data-theme")
    assert theme == scheme
    assert found(axe, page, KINDS[name], runOnly=["color-contrast"]) == []


def test_next_and_previous_lead_through_all_pages():
    """As written; that such links are links needs no browser."""
    pages = {name: (SITE / name).read_text(encoding="utf-8") for name in WRITTEN}
    where, seen = "README.html", ["README.html"]
    while found := re.search(r'class="right-next"\s+href="([^"]+)"', pages[where]):
        before, where = (
            where,
            posixpath.normpath(posixpath.join(posixpath.dirname(where), found[1])),
        )
        back = re.search(r'class="left-prev"\s+href="([^"]+)"', pages[where])
        back = posixpath.join(posixpath.dirname(where), back[1])
        assert posixpath.normpath(back) == before
        seen.append(where)
    assert sorted([*seen, *OTHERS]) == WRITTEN


def test_a_word_is_found(opened):
    page = opened("search.html?q=exposure")
    first = page.locator("#search-results li a").first
    first.wait_for()
    names = page.locator("#search-results li a").all_inner_texts()
    assert "10 · What a model remembers" in names


@pytest.mark.parametrize("start", ["README.html", "notebooks/05_sampling.html"])
@pytest.mark.parametrize("name", PLAY)
def test_pages_to_play_with_open(opened, name, start):
    page = opened(start)
    links = page.locator(f"a[href$='{name}']")
    assert links.count() and not page.locator("a[download][href$='.html']").count()
    links.first.click()
    page.wait_for_url(f"**/{name}")
    page.locator("figure svg, #toy table").first.wait_for()
