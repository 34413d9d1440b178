"""Used as a person would, in a real Chromium: notebook 08 and histograms.html."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from helpers import config, explorer, plots, submission

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: make test-browser"
    )
    program = next(
        filter(
            None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        ),
        None,
    )
    if program is None:
        pytest.skip("no Chromium here: install Debian's package chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request):
    context = chromium.new_context(viewport={"width": 1400, "height": 1200})
    page = context.new_page()
    yield page
    if folder := os.environ.get("SCREENSHOTS"):  # what it looked like in the end
        page.screenshot(
            path=f"{folder}/{request.node.name.replace('/', '-')}.png", full_page=True
        )
    context.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab on loopback, with a token, over a copy of notebooks and helpers."""
    shutil.copytree(ROOT / "notebooks", config.ROOT / "notebooks", dirs_exist_ok=True)
    settings = tmp_path_factory.mktemp("settings")
    for plugin, values in (
        ("notebook-extension/tracker", {"windowingMode": "none"}),
        (
            "apputils-extension/notification",
            {"fetchNews": "false", "checkForUpdates": False},
        ),
    ):
        path = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyter",
            "lab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={config.ROOT}",
        ],
        env=os.environ
        | {"JUPYTERLAB_SETTINGS_DIR": str(settings), "PYTHONPATH": str(config.ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api?token={token}", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield lambda path: f"{address}/{path}?token={token}"
    process.terminate()
    process.wait(20)


def changed(read, before, seconds=20):
    """Wait until `read()` gives something other than `before`; give that."""
    end = time.time() + seconds
    while time.time() < end:
        if (now := read()) != before:
            return now
        time.sleep(0.1)
    raise AssertionError(f"still {str(before)[:200]!r} after {seconds} s")


@pytest.mark.parametrize("front_end", ["lab/tree", "notebooks"])
def test_the_explorer(page, server, front_end):
    """Open notebook 08, run it, move a slider, switch the measure, save, reset."""
    # A copy of its own, and so a kernel of its own.
    name = f"{front_end.split('/')[0]}.ipynb"
    shutil.copy(
        ROOT / "notebooks" / "08_explore_histograms.ipynb",
        config.ROOT / "notebooks" / name,
    )
    page.goto(server(f"{front_end}/notebooks/{name}"))
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(
        timeout=90_000
    )
    page.locator(".jp-Notebook h1").click()  # the menu acts on the notebook in focus
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    picture = page.locator("img.jupyter-widgets").first
    picture.wait_for(timeout=90_000)
    page.locator(
        ".jp-Notebook-ExecutionIndicator[data-status=idle]"
    ).first.wait_for()  # running cells take the focus
    picture.scroll_into_view_if_needed()
    output = page.locator(".jp-OutputArea-output", has=picture)
    table, line = output.locator("table").first, output.locator("code").first

    def state():
        return picture.get_attribute("src"), table.inner_text(), line.inner_text()

    first = state()
    slider = output.locator(".widget-slider", has_text="Threshold").locator(
        ".noUi-handle"
    )
    box = slider.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 45, y, steps=9)  # far enough to the right to part the two texts
    page.mouse.up()
    moved = changed(lambda: state() if state()[1] != first[1] else first, first)
    assert (
        moved[0] != first[0]
        and "threshold=-250.0" in first[2]
        and "threshold=-250.0" not in moved[2]
    )

    if folder := os.environ.get("SCREENSHOTS"):  # the README's picture
        page.wait_for_timeout(1000)
        output.screenshot(path=f"{folder}/explorer-{front_end.split('/')[0]}.png")
    output.locator(".widget-dropdown", has_text="Measure").locator(
        "select"
    ).select_option(label="bits per byte (bits; lower is likelier)")
    measured = changed(
        lambda: state() if "bits_per_byte" in state()[2] else moved, moved
    )
    assert measured[0] != moved[0] and measured[1] != moved[1]

    views = config.runs() / "views"
    before = len(list(views.glob("histogram-*.py")))
    output.get_by_role("button", name="Save picture").click()
    changed(lambda: len(list(views.glob("histogram-*.py"))), before)
    newest = max(views.glob("histogram-*.png"), key=lambda p: int(p.stem.split("-")[1]))
    assert (
        newest.read_bytes().startswith(b"\x89PNG")
        and measured[2] in newest.with_suffix(".py").read_text()
    )

    output.get_by_role("button", name="Reset").click()
    again = changed(
        lambda: state() if "log_likelihood" in state()[2] else measured, measured
    )
    assert again[1:] == first[1:]
    assert (
        page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    )
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0


def test_the_page_without_a_network(page, monkeypatch, tmp_path):
    """Open histograms.html without a network; move both sliders; switch a text off."""
    scores = submission.read_scores(ROOT / "submission" / "likelihoods.csv")
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    path = explorer.write_html(scores, "three models, three kinds of text")
    requests, errors = [], []
    page.context.set_offline(True)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(path.as_uri())
    figure, numbers = page.locator("#figure svg"), page.locator("#numbers")
    figure.wait_for()

    def bars():
        return figure.locator(".mark-rect path").count()

    drawn, counted = bars(), numbers.inner_text()
    width = page.locator("input[name=binwidth]")
    width.focus()
    for _ in range(20):
        width.press("ArrowRight")
    assert changed(bars, drawn) < drawn  # wider bins are fewer
    threshold = page.locator("input[name=threshold]")
    threshold.focus()
    for _ in range(120):
        threshold.press("ArrowRight")
    changed(numbers.inner_text, counted)
    value = float(threshold.input_value())
    assert value == -130
    expected = plots.accepted(scores, value, models=config.MODELS)
    for row in numbers.locator("tr").all():
        model, kind, _, _, above, share = (
            cell.inner_text() for cell in row.locator("td").all()
        )
        name = (
            {v: k for k, v in plots.MODEL_NAMES.items()}[model],
            {v: k for k, v in plots.NAMES.items()}[kind],
        )
        assert int(above) == expected.likelier[name]
        assert (
            f"{share}" in figure.text_content()
        )  # the figure and the table say the same
    left = bars()
    page.get_by_label("Shakespeare", exact=True).uncheck()
    assert changed(bars, left) < left
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/page.png", full_page=True)
    assert (
        [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]
        == errors
        == []
    )
