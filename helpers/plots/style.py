"""What all pictures share: colours, names, fonts, and how a figure is made and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission

# After Okabe and Ito's palette; each pair stays apart (CIEDE2000 >= 20) for every kind of colour vision.
COLORS = {
    "neurips": "#0072B2",
    "shakespeare": "#D55E00",
    "random": "#8A8A8A",
    "base": "#222222",
    "other": "#6BC0F0",
}
NAMES = {
    "neurips": "NeurIPS abstracts",
    "shakespeare": "Shakespeare",
    "random": "Random letters",
}
MODEL_NAMES = {
    "base": "base model",
    "shakespeare": "fine-tuned on Shakespeare",
    "neurips": "fine-tuned on NeurIPS",
}
STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#333333",
    "axes.linewidth": 1.1,
    "axes.titleweight": "bold",
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.labelsize": 11.5,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
}


def canvas(
    draw: Callable[[Axes], None],
    ax: Axes | None = None,
    size: tuple[float, float] = (8, 3.6),
) -> Figure:
    """Call `draw` on `ax`, or on a new figure of that size (inches) in the series' style; return the figure."""
    if ax is not None:
        draw(ax)
        return ax.figure
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        draw(ax)
        plt.close(
            figure
        )  # else a notebook shows it twice: once as a value, once as an open figure
    return figure


def save(figure: Figure, name: str | Path) -> Path:
    """Write a figure into submission/ as `name` (or to a whole path, if it is one), whole or not at all."""
    path = config.submission() / name
    with submission.atomic(path) as temporary:
        figure.savefig(temporary, dpi=STYLE["savefig.dpi"])
    return path
