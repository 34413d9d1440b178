"""The explorer: a page that needs no network, shown in a notebook or kept as a file."""

import html
import json
import math
from pathlib import Path
from string import Template

import pandas as pd

from helpers import config, submission
from helpers.engine import files
from helpers.plots import histogram, style, tables
from helpers.plots.histograms import MOST_BINS
from helpers.submission import MEASURES

HERE = Path(__file__).parent
THRESHOLD = -250  # nats; where the slider starts, between random letters and text
FRAME = '<iframe title="Explorer" srcdoc="{}" width="100%" style="border:0"></iframe>'


def write_html(scores: pd.DataFrame, note: str) -> Path:
    """Write `submission/histograms.html`: the explorer as one file, without texts.

    note: what the scores are and what made them; shown at the top and below a saved
    picture. ValueError for a bad table of scores.
    """
    path = config.submission() / "histograms.html"
    odd = submission.mixed(rewritten=path.name)
    page = explorer_page(scores, f"{note} {odd}".strip())
    return submission.record(files.write_text(path, page))


def explore(scores: pd.DataFrame, note: str = "") -> None:
    """Show the explorer below a notebook's cell, as a picture and as the live page.

    The page needs no kernel and takes the still picture's place; where no scripts run,
    as on GitHub, the picture remains. note and errors: as for `write_html`.
    """
    from IPython.display import display  # here: to write a page, none is needed

    page = explorer_page(scores, note)
    model = tables.present(scores)[1][0]
    kinds = scores.domain[scores.model == model].unique()
    figure = histogram(scores, kinds=kinds, models=[model], threshold=THRESHOLD)
    display(figure)
    live = {"text/html": FRAME.format(html.escape(page)), "text/plain": "The explorer"}
    display(live, raw=True)


def explorer_page(scores: pd.DataFrame, note: str) -> str:
    """The whole page; what it draws from is in it, as JSON."""
    scores = submission.add_rates(scores)
    kinds, models = tables.present(scores)
    colors = style.colors_of([*kinds, *models]) | {"base": "currentColor"}
    groups = sorted(
        (kinds.index(kind), models.index(model), [sorted(part[m]) for m in MEASURES])
        for (kind, model), part in scores.groupby(["domain", "model"])
    )
    data = {
        "note": note,
        "kinds": [facts(kind, style.NAMES, colors) for kind in kinds],
        "models": [facts(model, style.MODEL_NAMES, colors) for model in models],
        "measures": [measure_of(scores, name) for name in MEASURES],
        "groups": groups,
    }
    return fill("explorer", note, data)


def facts(name, names: dict, colors: dict) -> dict:
    """A kind or a model: how people and how Python write it, its part, its colour."""
    said = {"name": names.get(name, str(name)), "code": repr(name)}
    return said | {"base": name == "base", "color": colors[name]}


def measure_of(scores: pd.DataFrame, measure: str) -> dict:
    """A measure, and its sliders: their limits, and where they start."""
    low, high = tables.extent(scores, measure)
    name, unit = MEASURES[measure]
    nats, reach = measure == "log_likelihood", high - low
    step = 1 if nats else 0.01
    finest = math.ceil(reach / MOST_BINS / step) * step
    width = tables.BIN_WIDTH if nats else round(reach / 40, 2)
    middle = THRESHOLD if nats else round((low + high) / 2, 2)
    limits = {"min": low, "max": high, "step": step}
    return {
        "name": name,
        "axis": tables.measure_name(scores, measure),
        "code": repr(measure),
        "unit": name if measure == "bits_per_byte" else unit,
        "digits": 0 if nats else 2,
        "sign": tables.likelier(1, measure),
        "sliders": {
            "low": limits | {"value": low},
            "high": limits | {"value": high},
            "threshold": limits | {"value": middle},
            "width": {"min": finest, "max": reach, "step": step, "value": width},
        },
    }


def fill(name: str, note: str, data: dict) -> str:
    """A page's HTML with its style, its script, and what it shows: one file."""
    parts = ("page.css", "page.js", f"{name}.js", f"{name}.html")
    look, *script, page = ((HERE / part).read_text(encoding="utf-8") for part in parts)
    shown = json.dumps(data, separators=(",", ":"))
    shown = shown.replace("<", "\\u003c")  # or "</script" would end it
    fields = {
        "style": look,
        "script": "\n".join(script),
        "note": html.escape(note),
        "data": shown,
    }
    return Template(page).substitute(fields)
