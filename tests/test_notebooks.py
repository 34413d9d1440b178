"""The committed notebooks: run from top to bottom, clean, in short commented cells."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import refresh

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
ALL = [*NOTEBOOKS, *sorted(FOLDER.glob("exercises/**/*.ipynb"))]
MOST_LINES = 15  # of code in a cell; blank lines and comments do not count
UNCOMMENTED = 6  # lines that a cell may have without a comment or a docstring

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
every_one = pytest.mark.parametrize(
    "path", ALL, ids=lambda p: f"{p.parent.name}/{p.stem}"
)


def code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def is_checked(cell):
    return cell.outputs and "nbval-ignore-output" not in cell.metadata.get("tags", [])


def test_the_series_is_complete():
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, 11))
    # The runner's own way to find them passes over none.
    assert sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")) == NOTEBOOKS


@each_notebook
def test_it_was_run_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "make refresh"
    # Saved widgets can keep a site from showing the notebook at all.
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


def test_refreshing_leaves_what_a_reader_of_the_page_needs():
    bar, picture = {refresh.WIDGET: {}, "text/plain": "0%"}, {"image/png": "iVBO"}
    shown = [bar, picture | bar, {"text/plain": ""}, {"text/plain": "1"}]
    outputs = [nbformat.v4.new_output("display_data", data) for data in shown]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.language_info = {"name": "python", "version": "3.11.7"}
    refresh.clean(notebook)
    left = [output.data for output in cell.outputs]
    assert left == [picture | {"text/plain": "0%"}, {"text/plain": "1"}]
    assert "mystnb" not in cell.metadata  # nothing was said of the picture
    assert notebook.metadata.language_info == {"name": "python"}


@each_notebook
def test_committed_outputs_are_clean(path):
    """No error, no warning, no progress bar, no path of the machine that ran it."""
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            shown = output.get("text", "")
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    shown += content
            paths = r"(?<![\w.])/(work|root|home|tmp|usr|Users)/|\b[A-Z]:\\"
            found = re.search(rf"{paths}|\d+%\||it/s|Warning", shown)
            assert not found, shown[found.start() :][:200]


def test_a_picture_is_told_in_words_to_the_site_too():
    about = {"image/png": {"alt": "what it shows", "width": 800}}
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "iVBO"}, metadata=about
    )
    cell = nbformat.v4.new_code_cell("1", outputs=[picture])
    refresh.clean(nbformat.v4.new_notebook(cells=[cell]))
    assert cell.outputs[0].metadata == about
    assert cell.metadata.mystnb == {"image": {"alt": "what it shows"}}


@each_notebook
def test_every_figure_has_a_text_alternative(path):
    """What screen readers are given: in the output and, for the site, in the cell."""
    for cell in code_cells(path):
        shown = [o for o in cell.outputs if "image/png" in o.get("data", {})]
        for output in shown:
            said = output.metadata["image/png"]["alt"]
            assert len(said) > 40 and "Figure size" not in said, said
            assert cell.metadata.mystnb.image.alt == said and len(shown) == 1


@every_one
@pytest.mark.parametrize("other", ["", "helpers.py", "helpers/__init__.py"])
def test_opened_without_the_project_it_says_where_to_get_it(path, other, tmp_path):
    """Nothing of that name, or another's file or package: it is named."""
    first = code_cells(path)[0].source
    if other:
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    # -I: neither PYTHONPATH nor this folder; -S: no installed package
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{first}"
    command = [sys.executable, "-I", "-S", "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1
    assert "get the whole project" in ran.stderr
    assert (
        str(tmp_path / other) if other else "No module named 'helpers'"
    ) in ran.stderr


@each_notebook
def test_some_outputs_are_checked(path):
    assert any(is_checked(cell) for cell in code_cells(path))


@each_notebook
def test_cells_are_short_and_the_longer_ones_commented(path):
    for cell in code_cells(path):
        lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
        code = [line for line in lines if not line.startswith("#")]
        assert len(code) <= MOST_LINES, cell.source
        is_commented = "# " in cell.source or '"""' in cell.source
        assert len(code) <= UNCOMMENTED or is_commented, cell.source


@every_one
def test_it_leaves_the_engine_to_the_helpers(path):
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute):
                assert "engine" not in ast.unparse(node), cell.source


def test_a_changed_output_fails(tmp_path):
    """With one output of notebook 08, the quickest to run, edited, nbval notices."""
    path = FOLDER / "08_explore_histograms.ipynb"
    shutil.copy(path, tmp_path / "unchanged.ipynb")
    notebook = nbformat.read(path, as_version=4)
    checked = [c for c in notebook.cells if c.cell_type == "code" and is_checked(c)]
    checked[0].outputs[0]["text"] = "something else\n"
    nbformat.write(notebook, tmp_path / "changed.ipynb")
    for name, code in (("unchanged", 0), ("changed", 1)):
        options = f"-p no:cacheprovider --nbval -q -c /dev/null {name}.ipynb"
        command = [sys.executable, "-m", "pytest", *options.split()]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == code, ran.stdout[-2000:]
