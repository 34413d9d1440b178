"""Run the series: python -m helpers executes the notebooks and fills submission/.

Executed copies go to runs/<profile>/notebooks/.
"""

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
BAR = "{desc} |{bar:30}| cell {n} of {total}  {elapsed}"


class Stopped(RuntimeError):
    """A notebook that did not come to its end; in one line, why."""


def run(paths: list[Path]) -> dict:
    """Execute notebooks in order under one bar of their code cells; what each took.

    Stopped by the first cell that fails; what was executed is kept.
    """
    notebooks = {path: read(path) for path in paths}
    cells = [cell for notebook in notebooks.values() for cell in notebook.cells]
    total, report = sum(cell.cell_type == "code" for cell in cells), {}
    with tqdm(total=total, bar_format=BAR, file=sys.stdout, mininterval=1) as bar:
        for path, notebook in notebooks.items():
            bar.set_description_str(f"{path.stem:<26}")
            try:
                report[path.stem] = execute(path.stem, notebook, bar)
            finally:
                copy = config.runs() / "notebooks" / path.name
                files.write_text(copy, nbformat.writes(notebook) + "\n")
    return report


def read(path: Path):
    """The notebook in a file; ValueError, naming the file, if it is damaged."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # of many kinds, none of which names the file
        why = files.first_line(error)
        raise ValueError(f"{path.name} is damaged ({why}): {RESTORE}") from None


def execute(name: str, notebook, bar: tqdm) -> dict:
    """Execute one notebook in place; its seconds and its peak memory.

    Stopped if a cell fails, or the kernel ends or does not start.
    """
    client = NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        store_widget_state=False,  # GitHub may refuse to show a notebook that has it
        coalesce_streams=True,  # one print, sent in two pieces, is one output
        extra_arguments=["--log-level=40", "--InteractiveShell.colors=nocolor"],
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    started, number = time.time(), 0
    with tempfile.TemporaryFile("w+", errors="replace") as aside:
        try:
            with client.setup_kernel(stdout=aside, stderr=aside):
                # Not client.execute, which takes Ctrl-C and SIGTERM for itself.
                for index, cell in enumerate(notebook.cells):
                    is_code = cell.cell_type == "code"
                    number += is_code
                    client.execute_cell(cell, index, execution_count=number)
                    bar.update(is_code)
                memory = peak_memory(client.km.provisioner.pid)
        except Exception as error:
            aside.seek(0)
            said = aside.read()  # by the kernel, and belonging to no cell
            error.add_note(said)
            raise Stopped(f"{name}{why(error, number, said)}") from error
    return {"seconds": round(time.time() - started, 1), "peak_memory_gb": memory}


def why(error: Exception, number: int, said: str) -> str:
    """What stopped a notebook at its code cell `number`, and what to do."""
    if isinstance(error, CellExecutionError):
        return f", cell {number}: {error.ename}: {error.evalue}"
    if isinstance(error, DeadKernelError) and number:
        died = "the notebook's kernel died, most often for want of memory"
        return f", cell {number}: {died}: close other programs."
    told = [files.first_line(error), *said.strip().splitlines()][-1]
    return f": no kernel starts ({told}): `pip install ipykernel`."


def peak_memory(pid: int) -> float:
    """The most memory a process has used so far, in GB (on Linux; 0 elsewhere)."""
    status = Path(f"/proc/{pid}/status")
    found = status.exists() and re.search(r"VmHWM:\s*(\d+)", status.read_text())
    return round(int(found[1]) / 1e6, 2) if found else 0.0


def series() -> None:
    """Run all notebooks and complete the manifest."""
    found = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(config.ROOT), found])
    started = time.time()
    config.keep_auto()
    config.describe()
    report = run(sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")))
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
    argparse.ArgumentParser(prog="python -m helpers", description=__doc__).parse_args()
    # What asyncio and nbclient log of an error stands in its traceback.
    logging.disable()
    with files.lock(config.ROOT / "runs" / ".run.lock", BUSY, wait=False):
        series()


if __name__ == "__main__":
    main()
