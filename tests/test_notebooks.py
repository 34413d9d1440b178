"""The committed notebooks: run in order, clean, short cells, and a changed output does not pass."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("0*.ipynb"))


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def is_checked(cell):
    return cell.outputs and "nbval-ignore-output" not in cell.metadata.get("tags", [])


def test_the_series_is_complete():
    assert [p.name[:2] for p in NOTEBOOKS] == [f"0{i}" for i in range(1, 9)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_outputs_are_clean(path):
    cells = code_cells(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1)), (
        "not run from top to bottom: make refresh"
    )
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            shown = output.get("text", "") + "".join(
                v for k, v in output.get("data", {}).items() if k.startswith("text/")
            )
            assert not re.search(
                r"(?<![\w.])/(work|root|home|tmp|usr|Users)/|[A-Z]:\\", shown
            ), shown[:200]
            assert not re.search(r"\d+%\||it/s|Warning", shown), shown[:200]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_are_short_and_some_outputs_are_checked(path):
    cells = code_cells(path)
    assert all(
        len([line for line in c.source.splitlines() if line.strip()]) <= 15
        for c in cells
    )
    assert any(is_checked(c) for c in cells)


def test_a_changed_output_fails(tmp_path):
    """Edit one checked output of notebook 08 (the quickest to run) and see that nbval notices."""
    notebook = nbformat.read(NOTEBOOKS[-1], as_version=4)
    next(c for c in notebook.cells if c.cell_type == "code" and is_checked(c)).outputs[
        0
    ]["text"] = "torch loaded: True\n"
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    shutil.copy(NOTEBOOKS[-1], tmp_path / "unchanged.ipynb")
    for name, code in (("unchanged", 0), ("changed", 1)):
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:cacheprovider",
                "--nbval",
                "-q",
                "-c",
                "/dev/null",
                f"{name}.ipynb",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == code, ran.stdout[-2000:]
