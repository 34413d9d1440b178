"""Run the series: python -m helpers executes the notebooks and fills submission/.

Executed copies go to runs/<profile>/notebooks/. With --refresh the committed notebooks
are executed in place, for maintainers, and cleaned of what only a live reader needs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

from helpers import config, submission
from helpers.engine import files

NOTEBOOKS = config.ROOT / "notebooks"
BUSY = "Another run is at work in this folder: wait until it ends, or stop it."
BAR = "{desc} |{bar:30}| {percentage:3.0f}%  {elapsed} elapsed, {remaining} to go"
WIDGET = "application/vnd.jupyter.widget-view+json"


class Progress:
    """Times one notebook's cells, and moves the bar of the whole series on."""

    def __init__(self, name: str, expected: list[float], bar: tqdm):
        self.name, self.expected, self.bar = name, expected, bar
        self.seconds: list[float] = []  # of each code cell that has ended
        self.memory = 0.0  # GB, at most

    def on_cell_execute(self, cell, cell_index):
        self.started, at = time.time(), len(self.seconds)
        about = f", {self.expected[at]:.0f} s" if self.expected[at] > 10 else ""
        label = f"{self.name} cell {at + 1}/{len(self.expected)}{about}"
        self.bar.set_description_str(f"{label:<44}")

    def on_cell_executed(self, cell, cell_index, execute_reply):
        # Sums of expected seconds can pass the total by a rounding error.
        due = self.expected[len(self.seconds)]
        self.bar.update(min(due, self.bar.total - self.bar.n))
        self.seconds.append(round(time.time() - self.started, 1))
        self.memory = peak_memory(self.client.km.provisioner.pid)


def run(paths: list[Path], refresh: bool) -> dict:
    """Execute notebooks in order under one bar; their seconds, memory and cell times.

    CellExecutionError from the first cell that fails; what was executed is kept.
    """
    notebooks = {path: nbformat.read(path, as_version=4) for path in paths}
    expected = {path: expected_seconds(path.stem, nb) for path, nb in notebooks.items()}
    total, report = sum(map(sum, expected.values())), {}
    with tqdm(total=total, bar_format=BAR, file=sys.stdout, mininterval=1) as bar:
        for path, notebook in notebooks.items():
            progress = Progress(path.stem, expected[path], bar)
            copy = config.runs() / "notebooks" / path.name
            target = copy  # a committed notebook stays as it was if a cell fails
            try:
                execute(notebook, progress)
                target = path if refresh else copy
            finally:
                files.write_text(target, nbformat.writes(notebook) + "\n")
            report[path.stem] = {
                "seconds": round(sum(progress.seconds), 1),
                "peak_memory_gb": progress.memory,
                "cells": progress.seconds,
            }
    return report


def execute(notebook, progress: Progress) -> None:
    """Execute one notebook in place, and leave what a reader of the page needs."""
    client = NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        store_widget_state=False,  # GitHub may refuse to show a notebook that has it
        coalesce_streams=True,  # one print, sent in two pieces, is one output
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        on_cell_execute=progress.on_cell_execute,
        on_cell_executed=progress.on_cell_executed,
    )
    progress.client = client
    try:
        client.execute()
    finally:
        notebook.metadata.language_info = {"name": "python"}
        for cell in code_cells(notebook):
            cell.outputs = [output for output in cell.outputs if shows(output)]


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def expected_seconds(name: str, notebook) -> list[float]:
    """How long each code cell took in the last run whose results are kept."""
    code = code_cells(notebook)
    manifest = config.submission() / "manifest.json"
    facts = json.loads(manifest.read_text("utf-8")) if manifest.exists() else {}
    known = facts.get("notebooks", {}).get(name, {}).get("cells", [])
    if facts.get("profile") == config.profile().name and len(known) == len(code):
        return [max(0.1, seconds) for seconds in known]
    return [1.0] * len(code)


def peak_memory(pid: int) -> float:
    """The most memory a process has used so far, in GB (on Linux; 0 elsewhere)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    kilobytes = status.read_text().split("VmHWM:")[1].split()[0]
    return round(int(kilobytes) / 1e6, 2)


def shows(output) -> bool:
    """Whether an output is there for a reader of the finished page."""
    output.get("metadata", {}).clear()
    data = output.get("data", {})
    if data.get("image/png"):
        data.pop(WIDGET, None)  # a widget that brings a picture of itself
    return "data" not in output or (WIDGET not in data and any(data.values()))


def series(refresh: bool) -> None:
    """Run all notebooks and complete the manifest."""
    found = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(config.ROOT), found])
    started = time.time()
    config.describe()
    report = run(sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")), refresh)
    minutes = round((time.time() - started) / 60, 1)
    submission.update_json(
        "manifest.json",
        profile=config.profile().name,
        notebooks=report,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        minutes=minutes,
    )
    for name, row in report.items():
        print(f"{name:<28} {row['seconds']:>7.0f} s  {row['peak_memory_gb']:>5.1f} GB")
    results = config.submission().relative_to(config.ROOT).as_posix()
    print(f"Done in {minutes} minutes. Results: {results}/")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    parser.add_argument("--refresh", action="store_true")
    refresh = parser.parse_args().refresh
    try:
        with files.lock(config.ROOT / "runs" / ".run.lock", BUSY, wait=False):
            series(refresh)
    except CellExecutionError as error:
        executed = (config.runs() / "notebooks").relative_to(config.ROOT)
        sys.exit(
            f"\nA cell stopped with {error.ename}: {error.evalue}\n"
            f"The notebook as far as it came, with the whole error: {executed}/.\n"
            "Once mended, the same command goes on; fine-tuned models are kept."
        )
    except (OSError, ValueError) as error:  # no disk, no hub, no such file or profile
        sys.exit(str(error))


if __name__ == "__main__":
    main()
