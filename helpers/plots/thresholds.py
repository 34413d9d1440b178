"""What a threshold on a table of scores would decide, in numbers and as a ROC curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.plots.histograms import histogram, likelier, select
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, STYLE, canvas, plt


def accepted(
    scores: pd.DataFrame,
    threshold: float,
    *,
    kinds: Sequence[str] = config.KINDS,
    models: Sequence[str] = ("base",),
    measure: str = "log_likelihood",
) -> pd.DataFrame:
    """What a threshold decides: per model and kind, how many strings are likelier, how many are not, the share.

    "Likelier" is above the threshold, or for bits per byte below it. One row per model and kind, with the
    columns `likelier`, `not likelier` (strings) and `share` (of that kind's strings that are likelier).
    """
    groups = select(submission.add_rates(scores), kinds, models, measure)
    above = {
        (m, k): likelier(groups[k, m], measure) > likelier(threshold, measure)
        for m in models
        for k in kinds
    }
    table = pd.DataFrame({"likelier": {key: int(a.sum()) for key, a in above.items()}})
    table["not likelier"] = [int((~above[key]).sum()) for key in table.index]
    table["share"] = table["likelier"] / table.sum(axis=1)
    return table.rename_axis(["model", "domain"])


def roc(
    scores: pd.DataFrame,
    threshold: float,
    *,
    home: str,
    kinds: Sequence[str] = config.KINDS,
    models: Sequence[str] = ("base",),
    measure: str = "log_likelihood",
    ax: Axes | None = None,
) -> Figure:
    """ROC curve of each model as a detector of `home` against the other kinds, with the threshold's point on it."""
    from sklearn.metrics import (
        auc,
        roc_curve,
    )  # here, because a histogram need not wait for it

    scores = submission.add_rates(scores)
    groups = select(scores, list(dict.fromkeys([home, *kinds])), models, measure)
    others = [k for k in kinds if k != home]

    def draw(ax: Axes) -> None:
        ax.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=1, linestyle="--")
        for model in models if others else ():
            inside = likelier(groups[home, model], measure)
            outside = likelier(
                np.concatenate([groups[k, model] for k in others]), measure
            )
            truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
            false, true, _ = roc_curve(truth, np.r_[inside, outside])
            color = COLORS.get(model, COLORS["other"])
            ax.plot(
                false,
                true,
                color=color,
                linewidth=2,
                label=f"{MODEL_NAMES[model]}: {auc(false, true):.3f}",
            )
            at = likelier(threshold, measure)
            ax.plot(
                (outside > at).mean(),
                (inside > at).mean(),
                "o",
                color=color,
                markersize=9,
                markeredgecolor="white",
            )
        ax.set(
            xlim=(-0.03, 1.03),
            ylim=(-0.03, 1.03),
            aspect="equal",
            xlabel="false positive rate",
            ylabel="true positive rate",
            title=f"Is it {NAMES.get(home, home)}?",
        )
        if others:
            ax.legend(
                title="AUROC",
                fontsize=9,
                labelcolor="linecolor",
                loc="lower right",
                frameon=False,
                handlelength=1,
            )
        else:
            ax.text(
                0.5,
                0.5,
                "choose another kind\nto compare with",
                ha="center",
                va="center",
            )

    return canvas(draw, ax, (4, 4))


def detector(
    scores: pd.DataFrame,
    *,
    threshold: float,
    home: str = "neurips",
    figure: Figure | None = None,
    **view,
) -> Figure:
    """A histogram with a threshold, and beside it the ROC curve with the point that threshold stands for.

    view: `histogram`'s other arguments. figure: one to draw into, emptied first.
    """
    with plt.rc_context(STYLE | {"axes.titlesize": 11.5}):
        if figure is None:
            figure = plt.figure(figsize=(11, 4.2))
            plt.close(figure)
        figure.clear()
        left, right = (
            figure.add_axes((0.065, 0.14, 0.575, 0.76)),
            figure.add_axes((0.715, 0.14, 0.28, 0.76)),
        )
        histogram(scores, threshold=threshold, ax=left, **view)
        chosen = {k: view[k] for k in ("kinds", "models", "measure") if k in view}
        roc(scores, threshold, home=home, ax=right, **chosen)
    return figure
