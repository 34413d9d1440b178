"""Used as a person would, in a real Chromium: notebook 8 and histograms.html."""

import os
import re
import secrets
import shutil
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from browsing import CLIPPED, NEXT_FRAME, SET, WIDTHS, run_all_cells
from matplotlib.patches import StepPatch
from nbconvert import HTMLExporter
from sklearn.metrics import roc_auc_score

from helpers import config, explorer, plots, submission

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[1]


# ---- the page

KINDS, MODELS = list(config.KINDS), list(config.MODELS)


@pytest.fixture(scope="module")
def scores():
    return submission.read_scores(ROOT / "submission" / "likelihoods.csv")


@pytest.fixture
def opened(page, monkeypatch, tmp_path):
    """Write a table's page, and open it without a network; errors fail the test."""
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    wrong = []
    page.context.set_offline(True)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))

    def open_page(table, note="three models, three kinds of text"):
        page.goto(explorer.write_html(table, note).as_uri())
        page.locator("figure svg").wait_for()
        return page

    yield open_page
    assert wrong == []


def choose(page, **values):
    """Set controls by name, as a reader's input does; kinds and models by place."""
    for name, value in values.items():
        controls = page.locator(f"[name={name}]")
        if name in ("kinds", "models"):
            for i in range(controls.count()):
                controls.nth(i).evaluate(SET, i in value)
        elif name == "by":
            page.locator(f"[name=by][value={value}]").evaluate(SET, True)
        else:
            controls.evaluate(SET, value)
    page.evaluate(NEXT_FRAME)


def heights(page):
    """What the picture's paths say, in strings: for each group, the bins' heights."""
    panels = page.evaluate("""() => {
      const labels = [...document.querySelectorAll("figure text[text-anchor=end]")];
      const ticks = labels.map(
        one => [Number(one.textContent), Number(one.getAttribute("y"))]);
      const paths = [...document.querySelectorAll("figure path")].map(
        one => one.getAttribute("d").slice(1).split("L").map(
          corner => corner.split(",").map(Number))).filter(one => one.length > 4);
      return {ticks, paths};
    }""")
    (low, at), (high, above) = panels["ticks"][:2]
    unit = (at - above) / (high - low)
    found = []
    for corners in panels["paths"]:
        ys = [y for _, y in corners[1:-1]]
        found.append([(at - 4 - y) / unit + low for y in ys[::2]])
    return found


@pytest.mark.parametrize(
    "view",
    [
        {},
        {"bins": 7},
        {"by": "width", "width": 12},
        {"by": "width", "width": 7, "low": -250, "high": -31},
        {"measure": "2", "bins": 33},
        {"measure": "1", "by": "width", "width": 0.13},
        {"bins": 150, "low": -467, "high": -77, "density": True},
    ],
)
def test_the_page_counts_as_the_line_of_python_does(opened, scores, view):
    """Its line, run as it stands, draws bins of the heights seen in the page."""
    page = opened(scores)
    choose(page, **view)
    line = page.locator("code").inner_text()
    figure = eval(line, {"plots": plots, "scores": scores})
    drawn = [p for p in figure.axes[0].patches if isinstance(p, StepPatch)]
    expected = [patch.get_data().values for patch in drawn]
    seen = heights(page)[: len(expected)]
    assert len(expected) == 3 and np.sum(expected[0]) > 0
    for one, other in zip(expected, seen):
        assert other == pytest.approx(one, abs=1e-6 + 1e-4 * np.max(one))


@pytest.mark.parametrize("layout", ["ridge", "cumulative"])
def test_other_layouts_show_every_group(opened, scores, layout):
    page = opened(scores)
    choose(page, models=[0, 1, 2], layout=layout)
    line = page.locator("code").inner_text()
    assert eval(line, {"plots": plots, "scores": scores}) and layout in line
    # nine groups and three ROC curves, and nothing else, have so many corners
    assert len(heights(page)) >= 12
    labels = page.locator("figure text", has_text="mean")
    assert labels.count() >= 9


@pytest.mark.parametrize(
    "number, measure, threshold",
    [
        ("0", "log_likelihood", -133),
        ("1", "nats_per_token", -5.4),
        ("2", "bits_per_byte", 2),
    ],
)
def test_shares_and_roc_curves_are_those_of_the_table(
    opened, scores, number, measure, threshold
):
    """For bits per byte, lower is likelier: the threshold turns round."""
    page = opened(scores)
    choose(page, models=[0, 1, 2], measure=number)
    choose(page, threshold=threshold, home="1")
    expected = plots.accepted(scores, threshold, models=MODELS, measure=measure)
    rows = page.locator("table tr").all()[1:]
    assert len(rows) == 9
    kinds = {name: kind for kind, name in plots.NAMES.items()}
    models = {name: model for model, name in plots.MODEL_NAMES.items()}
    for row in rows:
        kind, model, n, mean, share = row.locator("td").all_inner_texts()
        pair = models[model], kinds[kind]
        assert share == f"{expected.share[pair]:.0%}" and n == "100"
    said = page.locator("#said").inner_text()
    for model, name in plots.MODEL_NAMES.items():
        part = scores[scores.model == model]
        area = roc_auc_score(
            part.domain == "shakespeare", plots.tables.likelier(part[measure], measure)
        )
        assert f"{name}: AUROC {area:.3f}" in said
        own = expected.share[model, "shakespeare"]
        others = expected.share[model][["neurips", "random"]].mean()
        assert f"lets in {own:.0%}, and {others:.0%} of strangers" in said


@pytest.mark.parametrize(
    "view, message",
    [
        ({"kinds": []}, "Nothing is shown"),
        ({"models": []}, "Nothing is shown"),
        ({"low": 0, "high": -100}, "x-range is empty"),
        ({"bins": ""}, "Number of bins"),
        ({"bins": 2.5}, "Number of bins"),
        ({"threshold": 5}, "Threshold"),
        ({"by": "width", "width": 2, "high": 0, "low": -600}, ""),
    ],
)
def test_what_cannot_be_drawn_leaves_no_old_picture(opened, scores, view, message):
    page = opened(scores)
    choose(page, **view)
    said = page.locator("#said").inner_text()
    assert message in said
    left = page.locator("figure svg, table tr").count()
    assert bool(left) == (not message)
    assert bool(page.locator("code").inner_text()) == (not message)
    assert page.locator("#png").is_disabled() == bool(message)
    page.get_by_role("button", name="Reset").click()
    page.locator("figure svg").wait_for()


def test_reset_brings_back_the_first_view(opened, scores):
    page = opened(scores)
    state = "[said, document.querySelector('code'), document.querySelector('figure')]"
    read = f"{state}.map(one => one.innerHTML)"
    first = page.evaluate(read)
    choose(page, kinds=[1], models=[1, 2], layout="ridge", by="width", density=True)
    choose(page, measure="2", threshold=3, low=2, home="1")
    assert page.evaluate(read)[1] != first[1]
    page.get_by_role("button", name="Reset").click()
    page.evaluate(NEXT_FRAME)
    assert page.evaluate(read) == first


def own_table(scores):
    """The scores with a set and a model of a reader's own, with names to trip over."""
    base = scores[scores.model == "base"]
    haiku = base.head(30).assign(domain="haiku <b>")
    long = base.tail(30).assign(domain="a_rather_long_name_of_a_set_without_a_space")
    tuned = base.assign(model="my model", log_likelihood=base.log_likelihood * 1.1)
    return submission.add_rates(pd.concat([scores, haiku, long, tuned]))


def test_sets_and_models_of_ones_own_are_shown(opened, scores):
    table = own_table(scores)
    page = opened(table)
    choose(page, kinds=range(5), models=range(4))
    rows = page.locator("table tr").all()[1:]
    shown = {tuple(row.locator("td").all_inner_texts()[:2]) for row in rows}
    # each kind under each model of the series, and the reader's two sets under the base
    assert len(rows) == 3 * 4 + 2 and ("haiku <b>", "base model") in shown
    assert ("Shakespeare", "my model") in shown
    styles = page.locator("form [type=checkbox]").evaluate_all(
        "all => all.map(one => one.style.accentColor).filter(Boolean)"
    )
    # five kinds and four models; a fine-tuned model has its domain's colour
    assert len(styles) == 9 and len(set(styles)) == 7
    line = page.locator("code").inner_text()
    assert eval(line, {"plots": plots, "scores": table})
    assert page.evaluate(CLIPPED) == []
    choose(page, models=[3])
    assert page.locator("table tr").count() == 1 + 3
    assert "base model" not in page.locator("table").inner_text()


# ---- the page, for any reader


@pytest.mark.parametrize("layout", ["overlay", "ridge"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_clipped_at_any_width(opened, scores, width, layout):
    page = opened(own_table(scores))
    page.set_viewport_size({"width": width, "height": 768})
    choose(page, kinds=range(5), models=range(4), layout=layout)
    page.wait_for_timeout(100)
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    form, figure = (page.locator(one).bounding_box() for one in ("form", "figure"))
    beside = form["x"] + form["width"] <= figure["x"]
    assert beside == (width >= 1200) and (beside or form["y"] < figure["y"])
    for measure in "012":
        choose(page, by="width", measure=measure)
        assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, scores, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(scores)
    page.emulate_media(color_scheme=scheme)
    choose(page, models=[0, 1, 2], layout="ridge")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for kinds in ([0, 1, 2], []):
        choose(page, kinds=kinds)
        found = axe.run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_it_prints_on_one_page(opened, scores, tmp_path):
    page = opened(scores)
    choose(page, models=[0, 1, 2])
    for layout in ("overlay", "ridge"):
        choose(page, layout=layout)
        for width in (400, 1200):
            page.set_viewport_size({"width": width, "height": 768})
            page.wait_for_timeout(100)
            printed = page.pdf(format="A4")
            assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1, (layout, width)


def test_pictures_are_saved_with_what_made_them(opened, scores, tmp_path):
    page = opened(scores, note="made by <a test>")
    page.emulate_media(color_scheme="dark")  # a saved picture is light
    for type in ("svg", "png"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save {type.upper()}").click()
        assert download.value.suggested_filename == f"histogram.{type}"
        download.value.save_as(tmp_path / f"saved.{type}")
    svg = (tmp_path / "saved.svg").read_text(encoding="utf-8")
    words = [one.text for one in ElementTree.fromstring(svg).iter() if one.text]
    assert "made by <a test>" in words
    assert "var(" not in svg and "light-dark" not in svg and "href" not in svg
    image = plt.imread(tmp_path / "saved.png")
    assert image.shape[1] == 2200 and tuple(image[0, 0]) == (1, 1, 1, 1)
    assert image.min() < 0.3  # and something is drawn on the white


# ---- in a notebook


FRONT_ENDS = ("lab", "notebooks")


def open_notebook(page, server, front_end):
    """Open a copy of notebook 8, which has a kernel of its own, and is not trusted."""
    name = secrets.token_hex(4)
    notebook = ROOT / "notebooks" / "08_explore_histograms.ipynb"
    shutil.copy(notebook, config.ROOT / "notebooks" / f"{name}.ipynb")
    # In JupyterLab a workspace of its own, too: no other notebook is open in it.
    where = f"lab/workspaces/{name}/tree" if front_end == "lab" else "notebooks"
    page.goto(server(f"{where}/notebooks/{name}.ipynb"))


def run_all(page, server, front_end):
    """Open notebook 8, run all its cells, and give the explorer's frame."""
    open_notebook(page, server, front_end)
    frame = page.frame_locator("iframe[title=Explorer]")
    run_all_cells(page, frame.locator("figure svg"))
    return frame


CELLS = """() => [...document.querySelectorAll(".jp-Cell")].map(
  one => [one.className.match(/jp-(Code|Raw|Markdown)Cell/)[1],
          one.querySelector(".cm-content")?.innerText ?? ""])"""


# What is pressed on a control; then an "r", which once turned a cell into a raw one.
PRESSED = {"checkbox": "Space", "select-one": "End", "radio": "ArrowDown"}
AT_THE_END = ("To, slider", "high")  # stand at their greatest value


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_keys_reach_the_explorer_and_nothing_else(page, server, front_end):
    """Tab to every control and change it by keys; no cell of the notebook changes."""
    frame = run_all(page, server, front_end)
    cells = page.evaluate(CELLS)
    name_of = "one => one.name || one.id || one.ariaLabel"
    reached = set()
    for _ in range(2):  # bins by number, and by width
        frame.locator("[name=kinds]").first.focus()
        while frame.locator("form :focus").count():
            focused = frame.locator("form :focus")
            name, kind = focused.evaluate(name_of), focused.evaluate("one => one.type")
            before = frame.locator("code").inner_text()
            arrow = "ArrowDown" if name in AT_THE_END else "ArrowUp"
            if kind != "button":
                page.keyboard.press(PRESSED.get(kind, arrow))
            frame.locator("body").evaluate(NEXT_FRAME)
            if kind != "button" and name != "home":  # which histogram does not draw
                assert frame.locator("code").inner_text() != before, name
            page.keyboard.press("r")
            if kind in ("checkbox", "select-one"):  # and back
                page.keyboard.press("Space" if kind == "checkbox" else "Home")
            frame.locator("body").evaluate(NEXT_FRAME)
            reached.add(name)
            page.keyboard.press("Tab")
    controls = frame.locator("form input, form select, form button")
    assert reached == {*controls.evaluate_all(f"all => all.map({name_of})")}
    assert page.evaluate(CELLS) == cells
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert (
        page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    )


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_in_a_notebook_it_has_its_height_and_its_theme(page, server, front_end):
    frame = run_all(page, server, front_end)
    outer = page.locator("iframe[title=Explorer]")
    tall = frame.locator("html").evaluate("one => one.scrollHeight")
    assert abs(outer.bounding_box()["height"] - tall) <= 1
    output = page.locator(".jp-OutputArea", has=outer).first
    assert output.locator("img").first.is_hidden()  # the live page is in its place
    color = "one => getComputedStyle(one).backgroundColor"
    assert frame.locator("body").evaluate(color) == "rgb(255, 255, 255)"
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_timeout(100)
    assert frame.locator("body").evaluate(color) == "rgb(27, 27, 27)"
    if folder := os.environ.get("SCREENSHOTS"):
        page.evaluate("document.body.dataset.jpThemeLight = 'true'")
        outer.scroll_into_view_if_needed()
        outer.screenshot(path=f"{folder}/explorer-{front_end}.png")
    if front_end == "lab":
        page.keyboard.press("Control+b")  # the files beside it would take all the room
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 768})
        page.wait_for_timeout(300)
        inner = frame.locator("html").evaluate("one => one.clientWidth")
        assert frame.locator("html").evaluate("one => one.scrollWidth") <= inner
        assert frame.locator("html").evaluate(CLIPPED) == []


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_an_untrusted_notebook_shows_the_still_picture(page, server, front_end):
    open_notebook(page, server, front_end)
    cell = page.locator(".jp-CodeCell", has_text="explorer.explore(scores")
    cell.scroll_into_view_if_needed(timeout=90_000)
    cell.locator("img").wait_for()
    assert cell.locator("img").bounding_box()["width"] > 300
    assert page.locator("iframe[title=Explorer]").count() == 0


def converted(tmp_path):
    """Notebook 8 as nbconvert makes a page of it."""
    notebook = nbformat.read(ROOT / "notebooks" / "08_explore_histograms.ipynb", 4)
    path = tmp_path / "notebook.html"
    path.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return path.as_uri()


def test_a_converted_notebook_is_live(page, tmp_path):
    page.context.set_offline(True)
    page.goto(converted(tmp_path), wait_until="domcontentloaded")
    frame = page.frame_locator("iframe[title=Explorer]")
    frame.locator("figure svg").wait_for()
    before = frame.locator("code").inner_text()
    frame.get_by_role("checkbox", name="fine-tuned on NeurIPS").click()
    assert "'neurips']" not in before
    frame.locator("code", has_text="models=['base', 'neurips']").wait_for()
    still = page.locator(".jp-OutputArea", has=page.locator("iframe")).locator("img")
    assert still.first.is_hidden()


def test_without_scripts_the_still_picture_stays(chromium, tmp_path):
    context = chromium.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(converted(tmp_path), wait_until="domcontentloaded")
    still = page.locator(".jp-OutputArea", has=page.locator("iframe")).locator("img")
    assert still.first.is_visible() and still.first.bounding_box()["width"] > 300
    context.close()
