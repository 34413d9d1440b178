"""Put the notebooks as the last run executed them in the place of the committed ones.

make refresh    runs the series, and then this, under the profile of AR_PROFILE
"""

from pathlib import Path

import nbformat

from helpers import config
from helpers.engine import files

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def clean(notebook) -> None:
    """Leave what a reader of the finished page needs."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if shows(output)]
            describe_picture(cell)


def describe_picture(cell) -> None:
    """Say in the cell, too, what its picture shows: the site reads it there."""
    cell.metadata.pop("mystnb", None)
    for output in cell.outputs:
        if said := output.get("metadata", {}).get("image/png", {}).get("alt"):
            cell.metadata["mystnb"] = {"image": {"alt": said}}


def shows(output) -> bool:
    """Whether an output is there for a reader of the page, not for a live one."""
    for kind in {*output.get("metadata", {})} - {"image/png"}:  # in words, for some
        del output.metadata[kind]
    data = output.get("data", {})
    if data.get("image/png"):
        data.pop(WIDGET, None)  # a widget that brings a picture of itself
    return "data" not in output or (WIDGET not in data and any(data.values()))


def main() -> None:
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(config.runs() / "notebooks" / path.name, as_version=4)
        clean(notebook)
        files.write_text(path, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    main()
