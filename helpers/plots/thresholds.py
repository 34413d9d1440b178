"""A threshold on a table of scores as a detector of one kind of text."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.plots.histograms import histogram
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, STYLE, plt
from helpers.plots.tables import accepted, likelier

CHOSEN = {"kinds": config.KINDS, "models": ("base",), "measure": "log_likelihood"}


def detector(
    scores: pd.DataFrame,
    *,
    threshold: float,
    home: str = "neurips",
    figure: Figure | None = None,
    **view,
) -> Figure:
    """A histogram with a threshold, and beside it the ROC curve with its point.

    threshold: in the measure's unit. home: the kind of text to detect, against the
    others that are drawn. figure: one to draw into, emptied first. view: the other
    arguments of `histogram`, and its errors.
    """
    view = CHOSEN | view
    with plt.rc_context(STYLE | {"axes.titlesize": 11.5}):
        figure = figure or plt.figure(figsize=(11, 4.2))
        plt.close(figure)
        figure.clear()
        left = figure.add_axes((0.065, 0.14, 0.575, 0.76))
        right = figure.add_axes((0.715, 0.14, 0.28, 0.76))
        histogram(scores, threshold=threshold, ax=left, **view)
        roc(right, scores, threshold, home, *(view[name] for name in CHOSEN))
    return figure


def roc(ax: Axes, scores, threshold, home, kinds, models, measure) -> None:
    """Each model's ROC curve as a detector of `home`: arguments as for `detector`.

    False positives are counted among all other kinds together. The dot is what the
    threshold decides.
    """
    from sklearn.metrics import auc, roc_curve  # here: a histogram needs none of it

    scores = submission.add_rates(scores)
    others = [kind for kind in kinds if kind != home]
    kinds = [home, *others]
    decided = accepted(scores, threshold, kinds=kinds, models=models, measure=measure)
    ax.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=1, linestyle="--")
    for model in models if others else ():
        part = scores[(scores.model == model) & scores.domain.isin(kinds)]
        values = likelier(part[measure], measure)
        false, true, _ = roc_curve(part.domain == home, values)
        name = f"{MODEL_NAMES[model]}: {auc(false, true):.3f}"
        color = COLORS[model]
        ax.plot(false, true, color=color, linewidth=2, label=name)
        wrong = decided.loc[model].loc[others].sum()
        x = wrong["likelier"] / (wrong["likelier"] + wrong["not likelier"])
        ax.plot(x, decided.share[model, home], "o", color=color, ms=9, mec="white")
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    ax.set_title(f"Is it {NAMES.get(home, home)}?")
    if others:
        look = {"fontsize": 9, "labelcolor": "linecolor", "handlelength": 1}
        ax.legend(title="AUROC", loc="lower right", **look)
    else:
        ax.text(0.5, 0.5, "choose another kind\nto compare with", ha="center")
