"""How long a reader waits: for notebook 8's picture, and for each redraw of a page."""

import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel
from playwright.sync_api import sync_playwright

from helpers import submission
from helpers.explorer.page import explorer_page

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "08_explore_histograms.ipynb"


def seconds(call, times: int) -> float:
    """The median time of a call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def import_rooms() -> None:
    code = "import helpers.explorer, helpers.plots"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def first_picture() -> None:
    """Start a kernel and run notebook 08 from the top until a picture arrives."""
    cells = [
        c.source
        for c in nbformat.read(NOTEBOOK, as_version=4).cells
        if c.cell_type == "code"
    ]
    manager, client = start_new_kernel(
        cwd=str(NOTEBOOK.parent), extra_arguments=["--log-level=40"]
    )
    try:
        for source in cells:
            client.execute(source)
        while True:
            try:
                message = client.get_iopub_msg(timeout=60)
            except queue.Empty:
                raise SystemExit(
                    "notebook 08 gave no picture within a minute"
                ) from None
            if message["msg_type"] == "error":
                raise SystemExit("\n".join(message["content"]["traceback"]))
            if "image/png" in message["content"].get("data", {}):
                return
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# A drag of a slider: from each event to the end of the frame that draws what it asks.
DRAG = """async ([slider, values]) => {
  const input = document.querySelector(`#${slider} input`);
  const taken = [];
  for (const value of values) {
    await new Promise(requestAnimationFrame);
    input.value = value;
    const start = performance.now();
    input.dispatchEvent(new Event("input", {bubbles: true}));
    await new Promise(requestAnimationFrame);  // called after the page's own
    document.body.offsetHeight;  // what was drawn is laid out
    taken.push(performance.now() - start);
  }
  return taken;
}"""
# When the mouse was released, and when the picture last changed.
WATCH = """() => {
  window.last = window.released = 0;
  const changed = () => { window.last = performance.now(); };
  new MutationObserver(changed).observe(
    document.querySelector("figure"), {childList: true});
  addEventListener("pointerup", () => { window.released = performance.now(); });
}"""


def redraws(browser, address: str):
    """Rows of (what, milliseconds, aim) for drags in the explorer's page."""
    page = browser.new_page(viewport={"width": 1200, "height": 768})
    page.goto(address)
    page.locator("figure svg").wait_for()
    drags = {"threshold": [*range(-400, -100, 5)], "bins": [*range(10, 70)]}
    for groups in (3, 9):
        if groups == 9:
            for box in page.locator("[name=models]").all():
                box.check()
        for layout in ("overlay", "ridge", "cumulative"):
            page.locator("[name=layout]").select_option(layout)
            for slider, values in drags.items():
                taken = statistics.median(page.evaluate(DRAG, [slider, values]))
                yield f"{groups} histograms, {layout}, dragging {slider}", taken, 60
    page.get_by_role("button", name="Reset").click()
    page.evaluate(WATCH)
    box = page.locator("#threshold input").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"], y, steps=60)
    page.mouse.up()
    page.wait_for_timeout(500)
    late = page.evaluate("Math.max(0, last - released)")
    yield "3 histograms, last picture after the mouse's release", late, 100


def next_token(browser):
    """Rows of (what, milliseconds, aim) for next_token.html of the last run."""
    path = ROOT / "submission" / "next_token.html"
    opened = []
    for _ in range(5):
        page = browser.new_page(viewport={"width": 1200, "height": 768})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.locator(".bar b").first.wait_for()
        opened.append(1000 * (time.perf_counter() - start))
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    yield f"next_token.html ({size}), to the first bar", statistics.median(opened), 2000
    heats = [0.1 + 0.05 * i for i in range(58)]
    for part in ("toy", "openings", "writing"):
        taken = page.evaluate(DRAG, [f"{part}-temperature", heats])
        yield (
            f"next_token.html, {part}, dragging a slider",
            statistics.median(taken),
            100,
        )


def in_chromium() -> list:
    """What is measured in a browser; nothing, and a line that says so, without one."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("Redraws are not measured: there is no Chromium here.")
        return []
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "histograms.html"
        page = explorer_page(submission.read_scores(), "")
        path.write_text(page, encoding="utf-8")
        print(f"the page has {path.stat().st_size / 1000:.0f} kB")
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        rows = [*redraws(browser, path.as_uri()), *next_token(browser)]
        browser.close()
    return rows


def main() -> None:
    rows = [
        ("import helpers.plots and explorer", 1000 * seconds(import_rooms, 5), 1500),
        ("kernel started to first picture", 1000 * seconds(first_picture, 3), 5000),
        *in_chromium(),
    ]
    print(f"{'what a reader waits for':<54} {'ms':>6} {'aim':>6}")
    for name, taken, aim in rows:
        print(f"{name:<54} {taken:>6.0f} {aim:>6.0f}")


if __name__ == "__main__":
    main()
