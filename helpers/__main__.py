"""Run the series: python -m helpers executes the notebooks and fills submission/.

Executed copies go to runs/<profile>/notebooks/. With --refresh the committed notebooks
are executed in place, for maintainers, and cleaned of what only a live reader needs.
"""

from __future__ import annotations

from helpers import config
from helpers.engine import files, terminal

if __name__ == "__main__":  # before what takes a second to import
    terminal.guard(config.ROOT / "runs" / "error.txt")

import argparse
import logging
import os
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm import tqdm

from helpers import submission

NOTEBOOKS = config.ROOT / "notebooks"
RESTORE = "restore it, as by `git checkout notebooks`."
BUSY = "Another run is at work in this folder: wait until it ends, or stop it."
BAR = "{desc} |{bar:30}| {percentage:3.0f}%  {elapsed} elapsed, {remaining} to go"
WIDGET = "application/vnd.jupyter.widget-view+json"


class Progress:
    """Times one notebook's cells, and moves the bar of the whole series on."""

    def __init__(self, name: str, expected: list[float], bar: tqdm):
        self.name, self.expected, self.bar = name, expected, bar
        self.seconds: list[float] = []  # of each code cell that has ended
        self.cell = 0  # the code cell at work, counted from 1
        self.memory = 0.0  # GB, at most

    def on_cell_execute(self, cell, cell_index):
        self.started, due = time.time(), self.expected[self.cell]
        self.cell += 1
        about = f", {due:.0f} s" if due > 10 else ""
        label = f"{self.name} cell {self.cell}/{len(self.expected)}{about}"
        self.bar.set_description_str(f"{label:<44}")

    def on_cell_executed(self, cell, cell_index, execute_reply):
        # Sums of expected seconds can pass the total by a rounding error.
        due = self.expected[len(self.seconds)]
        self.bar.update(min(due, self.bar.total - self.bar.n))
        self.seconds.append(round(time.time() - self.started, 1))
        self.memory = peak_memory(self.client.km.provisioner.pid)


def run(paths: list[Path], refresh: bool) -> dict:
    """Execute notebooks in order under one bar; their seconds, memory and cell times.

    RuntimeError from the first cell that fails; what was executed is kept.
    """
    notebooks = {path: read(path) for path in paths}
    last = files.read_json(config.submission() / "manifest.json")
    expected = {p: expected_seconds(p.stem, nb, last) for p, nb in notebooks.items()}
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


def read(path: Path):
    """The notebook in a file; ValueError, naming the file, if it is damaged."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # of many kinds, none of which names the file
        why = files.first_line(error)
        raise ValueError(f"{path.name} is damaged ({why}): {RESTORE}") from None


def execute(notebook, progress: Progress) -> None:
    """Execute one notebook in place, and leave what a reader of the page needs.

    RuntimeError if a cell fails, or the kernel ends or does not start.
    """
    client = NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        store_widget_state=False,  # GitHub may refuse to show a notebook that has it
        coalesce_streams=True,  # one print, sent in two pieces, is one output
        extra_arguments=["--log-level=40", "--InteractiveShell.colors=nocolor"],
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        on_cell_execute=progress.on_cell_execute,
        on_cell_executed=progress.on_cell_executed,
    )
    progress.client = client
    with tempfile.TemporaryFile("w+", errors="replace") as aside:
        try:
            with client.setup_kernel(stdout=aside, stderr=aside):
                # Not client.execute, which takes Ctrl-C and SIGTERM for itself.
                for index, cell in enumerate(notebook.cells):
                    count = client.code_cells_executed + 1
                    client.execute_cell(cell, index, execution_count=count)
        except Exception as error:
            aside.seek(0)
            said = aside.read()  # by the kernel, and belonging to no cell
            error.add_note(said)
            raise RuntimeError(why(error, progress, said)) from error
        finally:
            notebook.metadata.language_info = {"name": "python"}
            for cell in code_cells(notebook):
                cell.outputs = [output for output in cell.outputs if shows(output)]


def why(error: Exception, progress: Progress, said: str) -> str:
    """What stopped a notebook, in one line, and what to do, in the same or another."""
    where = f"{progress.name}, cell {progress.cell}"
    if isinstance(error, CellExecutionError):
        told = f"{error.ename}: {error.evalue}".splitlines()[0]
        return f"{where}: {told}\n{terminal.REMEDY}"
    if isinstance(error, DeadKernelError) and progress.cell:
        used = ""
        if sys.platform == "linux":
            import resource  # not on Windows; on macOS, in another unit

            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            used = f" (at most {peak / 1e6:.1f} GB were used)"
        return (
            f"{where}: the notebook's kernel died, most often for want of memory{used}."
            f"\nClose other programs. {terminal.RESUME}"
        )
    told = [files.first_line(error), *said.strip().splitlines()][-1]
    return f"{progress.name}: no kernel starts ({told}): `pip install ipykernel`."


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def expected_seconds(name: str, notebook, last) -> list[float]:
    """How long each code cell took in the run that the manifest `last` is of."""
    cells = len(code_cells(notebook))
    try:
        known = [max(0.1, s) for s in last["notebooks"][name]["cells"]]
        if last["profile"] == config.profile().name and len(known) == cells:
            return known
    except (KeyError, TypeError):  # no manifest, or a strange one
        pass
    return [1.0] * cells


def peak_memory(pid: int) -> float:
    """The most memory a process has used so far, in GB (on Linux; 0 elsewhere)."""
    status = Path(f"/proc/{pid}/status")
    found = status.exists() and re.search(r"VmHWM:\s*(\d+)", status.read_text())
    return round(int(found[1]) / 1e6, 2) if found else 0.0


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
    config.hand_over()
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
    # What asyncio and nbclient log of an error stands in its traceback.
    logging.disable()
    with files.lock(config.ROOT / "runs" / ".run.lock", BUSY, wait=False):
        series(refresh)


if __name__ == "__main__":
    main()
