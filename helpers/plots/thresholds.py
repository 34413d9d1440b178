"""A threshold on a table of scores as a detector of one kind of text."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.plots.histograms import histogram
from helpers.plots.style import COLORS, MODEL_NAMES, STYLE, break_titles, inside, plt
from helpers.plots.tables import likelier


def detector(
    scores: pd.DataFrame,
    *,
    threshold: float,
    home: str = "neurips",
    kinds: Sequence[str] = config.KINDS,
    models: Sequence[str] = ("base",),
    measure: str = "log_likelihood",
    figure: Figure | None = None,
    **view,
) -> Figure:
    """A histogram with a threshold, and beside it the ROC curve with its point.

    threshold: in the measure's unit. home: the kind of text to detect, against the
    others that are drawn. figure: one to draw into, emptied first. view: the other
    arguments of `histogram`, and its errors.
    """
    shown = {"kinds": kinds, "models": models, "measure": measure}
    shown |= {"threshold": threshold}
    with plt.rc_context(STYLE | {"axes.titlesize": 11.5}):
        figure = figure or plt.figure(figsize=(11, 4.8))
        plt.close(figure)
        figure.clear()
        left = figure.add_axes((0.065, 0.17, 0.575, 0.6))
        right = figure.add_axes((0.715, 0.17, 0.28, 0.6))
        histogram(scores, ax=left, **shown, **view)
        roc(right, scores, home, **shown)
        break_titles(figure)
    return figure


def roc(ax: Axes, scores, home, kinds, models, measure, threshold) -> None:
    """Each model's ROC curve as a detector of `home`: arguments as for `detector`.

    False positives are strangers let in, strings of all other kinds together. The dot
    is what the threshold decides.
    """
    from sklearn.metrics import auc, roc_curve  # here: a histogram needs none of it

    scores = submission.add_rates(scores)
    others = [kind for kind in kinds if kind != home]
    ax.set_title(f"Is it {inside(home)}?")
    ax.set(ylabel="true positive rate", aspect="equal")
    if not others:
        ax.text(0.5, 0.5, "choose another kind\nto compare with", ha="center")
        return
    strangers = " and ".join(map(inside, others)) + " together" * (len(others) > 1)
    label = f"share of strangers let in ({strangers})"
    ax.set_xlabel(textwrap.fill(label, 38))
    ax.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=1, linestyle="--")
    for model in models:
        part = scores[(scores.model == model) & scores.domain.isin([home, *others])]
        at_home, values = part.domain == home, likelier(part[measure], measure)
        false, true, _ = roc_curve(at_home, values)
        look = {"color": COLORS[model], "linewidth": 2}
        name = f"{MODEL_NAMES[model]}: {auc(false, true):.3f}"
        ax.plot(false, true, label=name, **look)
        above = values > likelier(threshold, measure)
        x, y = above[~at_home].mean(), above[at_home].mean()
        ax.plot(x, y, "o", markersize=9, markeredgecolor="white", **look)
    look = {"fontsize": 9, "labelcolor": "linecolor", "handlelength": 1}
    ax.legend(title="AUROC", loc="lower right", **look)
