"""How long a reader of notebook 08 waits: import, first picture, each redraw."""

import io
import queue
import statistics
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel

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


def main() -> None:
    rows = [
        ("import helpers.plots and explorer", seconds(import_rooms, 5), 1.5),
        ("kernel started to first picture", seconds(first_picture, 3), 5.0),
    ]

    import matplotlib.pyplot as plt
    import seaborn as sns

    from helpers import explorer, submission

    scores = submission.read_scores()
    shown = explorer.explore(scores)
    threshold = shown.ranges["log_likelihood"]["threshold"]
    for models in (("base",), ("base", "neurips", "shakespeare")):
        shown.controls["models"].value = models
        for layout in ("overlay", "ridge", "cumulative"):
            shown.controls["layout"].value = layout
            places = iter(range(-400, -100, 10))

            def move(places=places) -> None:
                threshold.value = next(places)

            rows.append(
                (
                    f"redraw, {layout}, {3 * len(models)} histograms",
                    seconds(move, 20),
                    0.2,
                )
            )

    def peer() -> None:
        """The same histograms by seaborn, and nothing beside them."""
        figure, ax = plt.subplots(figsize=(11, 4.2))
        sns.histplot(
            scores, x="log_likelihood", hue="domain", bins=40, binrange=(-600, 0), ax=ax
        )
        figure.savefig(io.BytesIO(), format="png", dpi=90)
        plt.close(figure)

    compared = seconds(peer, 20)
    print(f"{'what a reader waits for':<40} {'seconds':>8} {'asked':>8}")
    for name, taken, asked in rows:
        print(f"{name:<40} {taken:>8.3f} {asked:>8.1f}")
    print(
        f"{'seaborn.histplot, no ROC, no table':<40} {compared:>8.3f} "
        f"{compared / rows[2][1]:>7.2f}x our redraw with ROC curve and table"
    )


if __name__ == "__main__":
    main()
