"""Run the series: python -m helpers executes notebooks 01 to 08 in order and leaves submission/ complete.

Executed copies go to runs/<profile>/notebooks/. With --refresh the committed notebooks are executed in
place, for maintainers, and cleaned of what only a live reader needs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from helpers import config, submission

BUSY = "Another run is at work in this folder: wait until it ends, or stop it."
WIDGET = "application/vnd.jupyter.widget-view+json"


def peak_memory(pid: int) -> float | None:
    """The most memory a process has used so far, in GB (Linux; None elsewhere)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


def tidy(notebook) -> None:
    """Take out what a finished notebook does not need: progress bars, emptied displays, kernel metadata."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            data = output.get("data", {})
            if data.get("image/png"):
                data.pop(WIDGET, None)  # a widget that brings a picture of itself
            if (
                kept
                and output.output_type == kept[-1].output_type == "stream"
                and output.name == kept[-1].name
            ):
                kept[-1].text += output.text  # one print, sent in two pieces
            elif output.output_type == "stream" or (
                WIDGET not in data and any(data.values())
            ):
                output.get("metadata", {}).clear()
                kept.append(output)
        cell.outputs = kept
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }


def expected_seconds(path: Path, cells: list[int]) -> list[float]:
    """How long each code cell took last time (this profile's last run, else the committed manifest)."""
    for source in (
        config.runs() / "timings.json",
        config.ROOT / "submission" / "manifest.json",
    ):
        if source.exists():
            facts = json.loads(source.read_text(encoding="utf-8"))
            known = facts.get("notebooks", {}).get(path.stem, {}).get("cells", [])
            if facts.get("profile") == config.profile().name and len(known) == len(
                cells
            ):
                return [max(0.1, s) for s in known]
    return [1.0] * len(cells)


class Progress:
    """One bar over the whole series, in expected seconds; in a terminal it also moves within a long cell."""

    def __init__(self, total: float):
        live = sys.stdout.isatty()
        self.bar = tqdm(
            total=total,
            bar_format="{desc} |{bar:30}| {percentage:3.0f}%  {elapsed} elapsed, {remaining} to go",
            file=sys.stdout,
            mininterval=0.5 if live else 30,
        )
        self.done = self.weight = 0.0
        self.started = time.time()
        self.stopped = threading.Event()
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        if live:
            self.ticker.start()

    def begin(self, label: str, weight: float) -> None:
        self.bar.set_description_str(label, refresh=False)
        self.weight, self.started = weight, time.time()

    def end(self) -> None:
        self.done = min(
            self.bar.total, self.done + self.weight
        )  # sums of parts can overshoot by a hair
        self.weight = 0.0
        self.bar.update(self.done - self.bar.n)

    def _tick(self) -> None:
        while not self.stopped.wait(1):
            self.bar.n = min(
                self.bar.total, self.done + min(self.weight, time.time() - self.started)
            )
            self.bar.refresh()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.bar.close()


def run(paths: list[Path], refresh: bool) -> dict:
    """Execute the notebooks in order, with one progress bar over all their cells; return timings and memory."""
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    code = [
        [i for i, c in enumerate(nb.cells) if c.cell_type == "code"] for nb in notebooks
    ]
    weights = [expected_seconds(p, c) for p, c in zip(paths, code)]
    report = {}
    with Progress(sum(map(sum, weights))) as progress:
        for path, notebook, cells, weight in zip(paths, notebooks, code, weights):
            seconds, memory, started = [], [0.0], [time.time()]
            client = NotebookClient(
                notebook,
                timeout=None,
                kernel_name="python3",
                record_timing=False,
                extra_arguments=["--log-level=40"],
                resources={"metadata": {"path": str(config.ROOT / "notebooks")}},
            )

            def begin(
                cell, cell_index, path=path, cells=cells, weight=weight, started=started
            ):
                if cell_index in cells:
                    started[0] = time.time()
                    at = cells.index(cell_index)
                    progress.begin(
                        f"{path.stem:<24} cell {at + 1:>2}/{len(cells)}", weight[at]
                    )

            def end(
                cell,
                cell_index,
                execute_reply,
                seconds=seconds,
                memory=memory,
                started=started,
                client=client,
            ):
                seconds.append(round(time.time() - started[0], 1))
                memory[0] = max(memory[0], peak_memory(client.km.provisioner.pid) or 0)
                progress.end()

            client.on_cell_start, client.on_cell_executed = begin, end
            target = path if refresh else config.runs() / "notebooks" / path.name
            try:
                client.execute()
            except CellExecutionError as error:
                progress.bar.close()
                broken = config.runs() / "notebooks" / path.name
                submission.write_text(broken, nbformat.writes(notebook))
                sys.exit(
                    f"\n{path.name} stopped:\n\n{error}\n\n"
                    f"As far as it came it is in {broken.relative_to(config.ROOT)}. "
                    "Once mended, the same command goes on; models already fine-tuned are kept."
                )
            tidy(notebook)
            submission.write_text(target, nbformat.writes(notebook) + "\n")
            report[path.stem] = {
                "seconds": round(sum(seconds), 1),
                "peak_memory_gb": round(memory[0], 2),
                "cells": seconds,
            }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Run notebooks 01 to 08 and fill submission/.",
    )
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="execute the committed notebooks in place (for maintainers)",
    )
    refresh = parser.parse_args().refresh
    try:
        with submission.lock("run", BUSY, wait=False):
            series(refresh)
    except (
        OSError,
        ValueError,
    ) as error:  # a full disk, no hub, no such file or profile: the line says it
        sys.exit(str(error))


def series(refresh: bool) -> None:
    """Run all notebooks and complete the manifest."""
    paths = sorted((config.ROOT / "notebooks").glob("0*.ipynb"))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(config.ROOT), os.environ.get("PYTHONPATH")))
    )
    started = time.time()
    config.describe()
    report = run(paths, refresh)
    facts = {"profile": config.profile().name, "notebooks": report}
    submission.write_text(
        config.runs() / "timings.json", json.dumps(facts, indent=1) + "\n"
    )
    submission.update_json(
        "manifest.json",
        **facts,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        minutes=round((time.time() - started) / 60, 1),
    )
    for name, row in report.items():
        print(f"{name:<28} {row['seconds']:>7.0f} s  {row['peak_memory_gb']:>5.1f} GB")
    print(
        f"Done in {(time.time() - started) / 60:.1f} minutes. Results: {submission_name()}"
    )


def submission_name() -> str:
    """The results' folder as a reader would type it."""
    return f"{config.submission().relative_to(config.ROOT)}/"


if __name__ == "__main__":
    main()
