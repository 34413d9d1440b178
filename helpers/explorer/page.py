"""The explorer: one page that needs no network, shown in a notebook or kept as a file."""

import html
import io
import json
import math
from itertools import product
from pathlib import Path
from string import Template

import pandas as pd

from helpers import config, submission
from helpers.engine import files
from helpers.plots import histogram, style, tables
from helpers.plots.histograms import MOST_BINS
from helpers.plots.tables import BIN_WIDTH
from helpers.submission import MEASURES

TITLE = "Which text does the model find likely?"
HERE = Path(__file__).parent
THRESHOLD = -250  # nats; where the slider starts, between random letters and text
LAYOUTS = {"overlay": "overlay", "rows": "ridge", "cumulative": "cumulative"}
FRAME = '<iframe title="Explorer of histograms" srcdoc="{}" width="100%" height="900" \
style="border: 0"></iframe>'


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
    from IPython.display import display  # here: a script that writes the page needs none

    page = explorer_page(scores, note)
    kinds, (model, *_) = tables.present(scores)
    kinds = [kind for kind in kinds if model in set(scores.model[scores.domain == kind])]
    view = {"kinds": kinds, "models": [model], "threshold": THRESHOLD}
    picture = io.BytesIO()
    histogram(scores, **view).savefig(picture, format="png", dpi=90)
    shares = tables.accepted(scores, **view).share[model]
    said = [f"{style.inside(kind)} {share:.0%}" for kind, share in shares.items()]
    words = f"Share of strings above {THRESHOLD} nats: {', '.join(said)}."
    still = {"image/png": picture.getvalue(), "text/plain": words}
    display(still, raw=True, metadata={"image/png": {"alt": f"Histograms. {words}"}})
    live = {"text/html": FRAME.format(html.escape(page)), "text/plain": "Its live page."}
    display(live, raw=True)


def explorer_page(scores: pd.DataFrame, note: str) -> str:
    """The whole page; what it draws from is in it, as JSON."""
    scores = submission.add_rates(scores)
    kinds, models = tables.present(scores)
    colors = style.colors_of([*kinds, *models])
    parts = scores.groupby(["domain", "model"])
    data = {
        "note": note,
        "ink": named("base", style.MODEL_NAMES, colors)["colors"],
        "layouts": [{"name": name, "code": code} for name, code in LAYOUTS.items()],
        "kinds": [named(kind, style.NAMES, colors) for kind in kinds],
        "models": [named(model, style.MODEL_NAMES, colors) for model in models],
        "measures": [measure_of(scores, name) for name in submission.MEASURES],
        "bins": {"min": 1, "max": 150, "step": 1, "value": 40},
        "groups": [
            {
                "kind": kinds.index(kind),
                "model": models.index(model),
                "scores": [sorted(parts.get_group((kind, model))[m]) for m in MEASURES],
            }
            for kind, model in product(kinds, models)
            if (kind, model) in parts.groups
        ],
    }
    return fill("explorer.js", TITLE, note, data)


def named(name, names: dict, colors: dict) -> dict:
    """A kind or a model: how people and how Python write it, its colours, its part."""
    color = colors[name]
    return {
        "name": names.get(name, str(name)),
        "inside": style.inside(name),
        "code": repr(name),
        "base": name == "base",
        "colors": [color, style.ON_DARK[color]],  # on a light page, on a dark one
    }


def measure_of(scores: pd.DataFrame, measure: str) -> dict:
    """A measure, with the sliders that are its own: their limits and where they start."""
    low, high = tables.extent(scores, measure)
    nats = measure == "log_likelihood"
    unit = MEASURES[measure][0 if measure == "bits_per_byte" else 1]
    step = 1 if nats else 0.01
    limits = {"min": low, "max": high, "step": step}
    finest = math.ceil((high - low) / MOST_BINS / step) * step
    width = BIN_WIDTH if nats else round((high - low) / 40, 2)
    middle = THRESHOLD if nats else round((low + high) / 2, 2)
    return {
        "name": tables.measure_name(scores, measure),
        "code": repr(measure),
        "unit": unit,
        "digits": 0 if nats else 2,
        "sign": tables.likelier(1, measure),
        "sliders": {
            "width": {"min": finest, "max": high - low, "step": step, "value": width},
            "low": limits | {"value": low},
            "high": limits | {"value": high},
            "threshold": limits | {"value": middle},
        },
    }


def fill(script: str, title: str, note: str, data: dict) -> str:
    """One file: the frame of a page with its style, its script, and what it shows."""
    template = Template((HERE / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=title,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / script).read_text(encoding="utf-8"),
        note=html.escape(note),
        data=json.dumps(data).replace("<", "\\u003c"),
    )
