"""The lecture of 90 minutes as slides, in one file that needs no network.

lecture.md says what stands on which slide. `---` parts two slides; what follows `. . .`
comes with the next press, and what follows `Note:` is for the speaker. Besides:

@code NAME       the code of the notebooks' cell with the tag lecture-NAME
@output NAME     what that cell gave
@picture FILE    a picture of submission/, with its own words for who cannot see it
@play PAGE PART  a page of submission/ to play with; of next_token, one part
"""

import base64
import importlib.metadata
import re
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
SUBMISSION = ROOT / "submission"
TAG = "lecture-"
FRAME = '<iframe title="{}" data-page="{}" data-part="{}"></iframe>'
TITLES = {
    "guessing": "The guessing game",
    "comparing": "Two models, one text",
    "toy": "Five words",
    "openings": "Real distributions",
    "": "Histograms",
}


def tagged(folder: Path = ROOT / "notebooks") -> dict:
    """The notebooks' cells by name. ValueError where two have the same."""
    found = {}
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for tag in cell.metadata.get("tags", []):
                if tag.startswith(TAG):
                    if tag in found:
                        raise ValueError(f"two cells have the tag {tag}")
                    found[tag] = cell
    return found


def shown(what: str, name: str, part: str, cells: dict):
    """The cell of a line that begins with @."""
    if what == "play":
        return new_markdown_cell(FRAME.format(TITLES[part], name, part))
    if what == "picture":
        return picture(SUBMISSION / name)
    if TAG + name not in cells:
        raise ValueError(f"no cell of the notebooks has the tag {TAG}{name}")
    cell = cells[TAG + name]
    if what == "code":
        return new_code_cell(cell.source)
    if not cell.outputs:
        raise ValueError(f"the cell with the tag {TAG}{name} has no output")
    return output_only(cell.outputs)


def output_only(outputs):
    """A cell of which only the outputs are seen."""
    return new_code_cell(outputs=outputs, metadata={"tags": ["output-only"]})


def picture(path: Path):
    """A PNG as it would stand below a cell; its description becomes its alt text."""
    data = {"image/png": base64.b64encode(path.read_bytes()).decode()}
    about = {"image/png": {"alt": Image.open(path).info["Description"]}}
    return output_only([new_output("display_data", data, metadata=about)])


def step(text: str, kind: str, cells: dict) -> list:
    """What one press brings, as cells; the first of them says of which kind it is."""
    made = []
    for piece in re.split(r"^(@.+)$", text, flags=re.MULTILINE):
        if piece.startswith("@"):
            what, name, part = [*piece[1:].split(), ""][:3]
            made.append(shown(what, name, part, cells))
        elif piece.strip():
            made.append(new_markdown_cell(piece.strip()))
    made[0].metadata.slideshow = {"slide_type": kind}
    return made


def notebook(text: str, cells: dict):
    """The lecture as a notebook whose cells say where on which slide they stand."""
    deck = []
    for slide in text.split("\n---\n"):
        seen, _, notes = slide.partition("\nNote:\n")
        first, *later = seen.split("\n. . .\n")
        deck += step(first, "slide", cells) + step(notes, "notes", cells)
        for press in later:
            deck += step(press, "fragment", cells)
    title = re.search("^## (.+)$", text, re.MULTILINE)[1]
    named = {name for name in re.findall(r"^@play (\S+)", text, re.MULTILINE)}
    pages = {
        name: (SUBMISSION / f"{name}.html").read_text(encoding="utf-8")
        for name in named
    }
    return new_notebook(cells=deck, metadata={"title": title, "pages": pages})


def html(deck) -> str:
    """The notebook as one page, with reveal.js in it."""
    package = importlib.metadata.distribution("sphinx-revealjs")
    reveal = package.locate_file("sphinx_revealjs/_static/revealjs")
    settings = Config()
    settings.TemplateExporter.extra_template_basedirs = [str(ROOT / "book")]
    settings.TemplateExporter.extra_template_paths = [str(reveal)]
    settings.SlidesExporter.template_name = "slides"
    settings.SlidesExporter.exclude_input_prompt = True
    settings.SlidesExporter.exclude_output_prompt = True
    settings.SlidesExporter.exclude_anchor_links = True
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_input_tags = {"output-only"}
    page = SlidesExporter(config=settings).from_notebook_node(deck)[0]
    return page.replace("<th></th>", "<td></td>")  # a corner of pandas heads nothing


def main() -> None:
    path = ROOT / "runs" / "slides" / "lecture.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "book" / "lecture.md").read_text(encoding="utf-8")
    path.write_text(html(notebook(text, tagged())), encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
