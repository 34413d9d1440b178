"""The headline pictures, and each in a sentence, from the same numbers."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.plots.histograms import histogram
from helpers.plots.style import MODEL_NAMES, NAMES, canvas, inside
from helpers.plots.tables import BIN_WIDTH, FRAME, number, select

LETTERS = 52  # a to z and A to Z, each as likely as another


def headline(scores: pd.DataFrame, kind: str, *, ax: Axes | None = None) -> Figure:
    """One kind of text in the original's frame: strings counted over −600 to 0 nats.

    A domain's strings under the model fine-tuned on it (filled) and under the base
    (outlined); random letters under both fine-tuned models (filled, hatched), with a
    line at their true log-likelihood. The table must hold every kind under every model,
    for the title compares them; ValueError if it does not.
    """
    title, _ = _told(scores, kind)
    view = {"bin_width": BIN_WIDTH, "span": FRAME, "title": title}
    with canvas(ax, (8, 3.8)) as ax:
        histogram(scores, kinds=[kind], models=_models(kind), ax=ax, **view)
        nats, name = truth(scores)
        if kind == "random" and FRAME[0] < nats < FRAME[1]:
            ax.axvline(nats, color="black", linewidth=1.6)
            ax.text(nats + 6, 0.6, name, transform=ax.get_xaxis_transform())
    return ax.figure


def headlines(scores: pd.DataFrame) -> Figure:
    """The three headline pictures above one another, on one x-axis and one y-axis."""
    with canvas(size=(8, 9), rows=3) as axes:
        for ax, kind in zip(axes, config.KINDS):
            headline(scores, kind, ax=ax)
            ax.label_outer()
    return axes[0].figure


def in_words(scores: pd.DataFrame, kind: str) -> str:
    """A headline picture in one sentence, for who cannot see it.

    Means are of log-likelihoods, in nats per string. An AUROC is the chance that a
    string of the first kind is the likelier one. ValueError as `headline`.
    """
    return _told(scores, kind)[1]


def truth(scores: pd.DataFrame) -> tuple[float, str]:
    """The log-likelihood (nats) of random letters under what drew them; its name.

    A letter's probability is 1/52; a string has as many as those of the table have on
    average.
    """
    length = scores.n_chars[scores.domain == "random"].mean()
    nats = -length * math.log(LETTERS)
    return nats, f"the truth, −{length:g} ln {LETTERS} = {number(nats)} nats"


def _models(kind: str) -> tuple[str, str]:
    """The models that a headline is drawn for."""
    return (kind, "base") if kind in config.DOMAINS else config.DOMAINS


def _auroc(values: np.ndarray, others: np.ndarray) -> float:
    """How often one of `values` is above one of `others`; ties count half."""
    return np.sign(values[:, None] - others).mean() / 2 + 0.5


def _told(scores: pd.DataFrame, kind: str) -> tuple[str, str]:
    """What a headline says, as a title and as a sentence."""
    scores = submission.add_rates(scores)
    every = select(scores, config.KINDS, config.MODELS, "log_likelihood")
    models = _models(kind)
    first, second = (number(every[kind, model].mean()) for model in models)
    others = [other for other in config.KINDS if other != kind]
    title, more = f"{first} nats after fine-tuning, {second} before", ""
    if kind == "random":
        pairs = [(text, model) for text in others for model in models]
        gap = min(every[pair].mean() - every[kind, pair[1]].mean() for pair in pairs)
        more = f"{number(abs(gap))} {'below' if gap > 0 else 'above'} the nearest text"
        title = f"{first} and {second} nats, {more}"
        more = f"{more}; {truth(scores)[1]}; "
    one, other = (MODEL_NAMES[model] for model in models)
    said = (
        f"{len(every[kind, models[0]])} strings of {inside(kind)}: mean {first} nats "
    )
    said += f"({one}) and {second} ({other}); {more}AUROC under the first "
    ranks = [_auroc(every[kind, models[0]], every[k, models[0]]) for k in others]
    said += " and ".join(f"{a:.3f} over {inside(k)}" for a, k in zip(ranks, others))
    return f"{NAMES[kind]}: {title}", f"{said}."
