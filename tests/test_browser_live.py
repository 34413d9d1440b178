"""The tool that asks live models, used as a person would, in a real JupyterLab."""

import re
import secrets

import nbformat
import pytest
from browsing import run_all_cells

from helpers import config

pytestmark = pytest.mark.browser
CELL = """
from helpers import models, submission
from helpers.explorer.live import explore_text

scores = submission.read_scores()
other = models.load("tiny")
other.model.transformer.wte.weight.data.mul_(4)
explore_text({"base": models.load("tiny"), "other": other}, scores)
"""
PIECES = "[style*='white-space:pre']"


@pytest.fixture
def tool(page, server):
    """The tool in a notebook that was opened and run; errors fail the test."""
    cells = [nbformat.v4.new_markdown_cell("# Live"), nbformat.v4.new_code_cell(CELL)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    name = secrets.token_hex(4)
    nbformat.write(notebook, config.ROOT / "notebooks" / f"{name}.ipynb")
    page.goto(server(f"lab/workspaces/{name}/tree/notebooks/{name}.ipynb"))
    tool = page.locator(".live")
    run_all_cells(page, tool)
    wait_until_said(tool, "Characters scored: 75.")
    yield tool
    for kind in ("error", "stderr"):
        shown = page.locator(f"[data-mime-type='application/vnd.jupyter.{kind}']")
        assert shown.count() == 0
    assert page.locator(".jp-CodeCell").count() == 1


def wait_until_said(tool, words):
    tool.locator("[role=status]", has_text=words).wait_for(timeout=60_000)


def score(tool, page, text):
    """Type a text in place of what is there, and press Score, by the keyboard alone."""
    tool.get_by_label("Text").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_until_said(tool, f"Characters scored: {len(text):,}.")


def test_a_text_is_typed_scored_and_written_on(tool, page):
    score(tool, page, "or not")
    for name in ("base model", "other"):
        strip = tool.locator("p", has_text=f"{name}, ").first
        assert re.search(r"bits per byte: [\d.]+ nats in all", strip.inner_text())
        assert "".join(strip.locator(PIECES).all_inner_texts()) == "or·not"
    tool.get_by_role("button", name="Write on").focus()
    page.keyboard.press("Space")
    wait_until_said(tool, re.compile("scored: [^6]"))
    after = tool.get_by_label("Text").input_value()
    assert after.startswith("or not") and len(after) > 6
    assert tool.get_by_label("Seed").input_value() == str(config.SEED + 1)
    total = re.compile(r"^base model, [\d.]+ bits per byte: [\d.]+ nats in all")
    assert total.search(tool.locator("p").first.inner_text())


def test_arrow_keys_move_a_slider_and_redraw_the_bars(tool, page):
    caption = tool.locator("caption")
    before = caption.inner_text()
    entropy, now = re.search(r"entropy ([\d.]+) nats, now ([\d.]+)", before).groups()
    assert entropy == now and "257 of 257 tokens" in before
    sliders = tool.get_by_role("slider")
    for _ in range(4):
        sliders.nth(0).focus()
        page.keyboard.press("ArrowDown")
    tool.locator("caption", has_not_text=f"now {now}").wait_for()
    assert f"entropy {entropy} nats" in caption.inner_text()
    sliders.nth(1).focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    tool.locator("caption", has_text="3 of 257 tokens kept").wait_for()
    assert tool.locator("td", has_text="cut").count() == 10


def test_a_script_that_is_typed_is_shown_and_does_not_run(tool, page):
    page.evaluate("window.ran = 0")
    for text in ("<script>ran = 1</script>", "<img src=x onerror=ran=1>"):
        score(tool, page, text)
        shown = tool.locator("p", has_text="nats in all").first
        pieces = shown.locator(PIECES).all_inner_texts()
        assert "".join(pieces).replace("·", " ") == text
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") == 0
    assert tool.locator("script").count() == 0


NAME = "one => one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent"
CONTROLS = """Text, Score, Compare, with, Temperature,
Top-k (0 keeps all), Top-p (1 keeps all), Seed, Write on"""


def test_every_control_is_reached_by_tab_and_has_a_name(tool, page):
    """And an "r", which once turned a cell into a raw one, stays in the tool."""
    tool.get_by_label("Text").focus()
    names = []
    while tool.locator(":focus").count():
        names.append(tool.locator(":focus").evaluate(NAME))
        page.keyboard.press("r")
        page.keyboard.press("Tab")
    # A slider's number, which can be typed, bears its name a second time.
    assert [*dict.fromkeys(names)] == re.split(r",\s+", CONTROLS)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, context=".live").response["violations"]
    assert [one["help"] for one in found] == []


BEYOND = """cell => {
  const wide = cell.getBoundingClientRect().right + 0.5;
  const parts = [...cell.querySelectorAll(".live *")];
  const beyond = parts.filter(one => one.getBoundingClientRect().right > wide);
  return beyond.map(one => one.outerHTML.slice(0, 100));
}"""


def test_nothing_reaches_beyond_its_cell(tool, page):
    score(tool, page, "a text, and quite a long one, that ends in longwordswithoutany")
    for width in (1400, 700):  # beside the list of files
        page.set_viewport_size({"width": width, "height": 1200})
        page.wait_for_timeout(500)
        cell = page.locator(".jp-OutputArea-output", has=tool).last
        assert cell.bounding_box()["width"] < width
        assert cell.evaluate(BEYOND) == []
