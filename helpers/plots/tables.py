"""What a table of scores says, in numbers and in words.

A measure is "log_likelihood" (nats per string), "nats_per_token" or "bits_per_byte".
"""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from helpers import config, submission
from helpers.plots.style import MODEL_NAMES, NAMES, inside

# In a notebook's tables, too, a $ is a dollar sign.
pd.set_option("display.html.use_mathjax", False)

FRAME = (-600.0, 0.0)  # nats; the frame of the original assignment's histograms
BIN_WIDTH = 12  # nats; fifty bins in that frame
# The two models that a headline picture is drawn for, by kind of text.
HEADLINE_MODELS = {d: (d, "base") for d in config.DOMAINS} | {"random": config.DOMAINS}


def present(scores: pd.DataFrame) -> tuple[list, list]:
    """The kinds and the models in a table: the series' in its order, then others."""

    def ordered(column: str, series: Sequence[str]) -> list:
        found = scores[column].unique().tolist()
        known = [name for name in series if name in found]
        return known + [name for name in found if name not in series]

    return ordered("domain", config.KINDS), ordered("model", config.MODELS)


def select(scores: pd.DataFrame, kinds, models, measure: str) -> dict:
    """(kind, model) → the measure of its strings, an array of shape (strings,).

    A pair that the table does not hold is left out. ValueError naming what is unknown,
    not chosen, or found under none of the models (or for none of the kinds) chosen.
    """
    if measure not in submission.MEASURES:
        raise ValueError(f"measure={measure!r}: choose from {[*submission.MEASURES]}.")
    if not len(kinds) or not len(models):
        raise ValueError("Nothing to draw: choose at least one kind and one model.")
    held = dict([*scores.groupby(["domain", "model"])[measure]])
    pairs = list(product(kinds, models))
    groups = {pair: held[pair].to_numpy() for pair in pairs if pair in held}
    found = [{kind for kind, _ in groups}, {model for _, model in groups}]
    for kind, model in pairs:
        if kind not in found[0] or model not in found[1]:
            raise ValueError(f"The table has 0 scores of {kind} under {model}.")
    return groups


def likelier(values, measure: str):
    """The values with the sign that makes higher likelier."""
    return -values if measure == "bits_per_byte" else values


def number(value: float, measure: str = "log_likelihood") -> str:
    """A measure in print: nats whole, rates with two digits, a true minus sign."""
    digits = 0 if measure == "log_likelihood" else 2
    return f"{value:.{digits}f}".replace("-", "−")


def measure_name(scores: pd.DataFrame, measure: str) -> str:
    """What an axis says: the measure, of strings of which length, and its unit."""
    name, unit = submission.MEASURES[measure]
    if measure == "log_likelihood" and scores.n_chars.nunique() == 1:
        name += f" of {scores.n_chars.iloc[0]} characters"
    return f"{name} ({unit})"


def extent(scores: pd.DataFrame, measure: str) -> tuple[float, float]:
    """The x-range all pictures of a measure share.

    For nats the original's frame, farther to the left where the table's strings are.
    """
    low, high = scores[measure].min(), scores[measure].max()
    if measure == "log_likelihood":
        return min(FRAME[0], 100.0 * math.floor(low / 100)), FRAME[1]
    return round(low - 0.15, 1), round(high + 0.15, 1)


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """The mean of each measure (a column, in its unit) by kind of text and model.

    Whatever kinds and models the table holds: the series' first, then a reader's own.
    """
    table = scores.groupby(["domain", "model"])[list(submission.MEASURES)].mean()
    return table.loc[
        [pair for pair in product(*present(scores)) if pair in table.index]
    ]


def accepted(
    scores: pd.DataFrame,
    threshold: float,
    *,
    kinds: Sequence[str] = config.KINDS,
    models: Sequence[str] = ("base",),
    measure: str = "log_likelihood",
) -> pd.DataFrame:
    """How many strings of each kind are likelier than a threshold, under each model.

    threshold: in the measure's unit; "likelier" is above it, or for bits per byte below
    it. Returns a row for each model and kind in the table, with the columns `likelier`
    and `not likelier` (strings) and `share` (of the kind's strings that are likelier, 0
    to 1). ValueError as `histogram`, and for NaN, which nothing is above or below.
    """
    if threshold != threshold:
        raise ValueError("threshold is NaN: choose a number.")
    groups = select(submission.add_rates(scores), kinds, models, measure)
    rows = {}
    for model, kind in product(models, kinds):
        if (kind, model) not in groups:
            continue
        above = likelier(groups[kind, model], measure) > likelier(threshold, measure)
        rows[model, kind] = above.sum(), (~above).sum(), above.mean()
    index = pd.MultiIndex.from_tuples(rows, names=["model", "domain"])
    return pd.DataFrame(rows.values(), index, ["likelier", "not likelier", "share"])


def truth(scores: pd.DataFrame) -> tuple[float, str]:
    """The log-likelihood (nats) of random letters under what drew them; its name.

    Each of 26 small and 26 capital letters has probability 1/52; a string has as many
    letters as those of the table have on average.
    """
    length = scores.n_chars[scores.domain == "random"].mean()
    nats = -length * math.log(52)
    return nats, f"the truth, −{length:g} ln 52 = {number(nats)} nats"


def auroc(values: np.ndarray, others: np.ndarray) -> float:
    """How often one of `values` is above one of `others`; ties count half.

    As `ood.auroc`, which comes with torch: a picture should not wait for it.
    """
    return np.sign(values[:, None] - others).mean() / 2 + 0.5


def told(scores: pd.DataFrame, kind: str) -> tuple[str, str]:
    """What a headline picture says, as its title and as a sentence."""
    scores = submission.add_rates(scores)
    values = {}
    for pair in product(config.KINDS, config.MODELS):  # none may be missing
        values |= select(scores, pair[:1], pair[1:], "log_likelihood")
    others = [other for other in config.KINDS if other != kind]
    models = HEADLINE_MODELS[kind]
    first, second = (number(values[kind, model].mean()) for model in models)
    title, more = f"{first} nats after fine-tuning, {second} before", ""
    if kind == "random":
        pairs = product(others, models)
        gap = min(values[k, m].mean() - values[kind, m].mean() for k, m in pairs)
        more = f"{number(abs(gap))} {'below' if gap > 0 else 'above'} the nearest text"
        title = f"{first} and {second} nats, {more}"
        more += f"; {truth(scores)[1]}; "
    own = values[kind, models[0]]
    areas = [
        f"against {inside(k)} {auroc(own, values[k, models[0]]):.3f}" for k in others
    ]
    one, other = (MODEL_NAMES[model] for model in models)
    said = f"{len(own)} strings of {inside(kind)}: mean {first} nats ({one}) and "
    said += f"{second} ({other}); {more}AUROC under the first, 1 for always the "
    said += f"likelier: {', '.join(areas)}."
    return f"{NAMES[kind]}: {title}", said


def in_words(scores: pd.DataFrame, kind: str) -> str:
    """A headline picture in one sentence, for who cannot see it.

    Means are of log-likelihoods, in nats per string. An AUROC is the chance that a
    string of the first kind is the likelier one. ValueError as `headline`.
    """
    return told(scores, kind)[1]
