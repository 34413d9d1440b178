"""What all pictures share: colours, names, fonts, how a figure is made and saved."""

from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config
from helpers.engine import files

# After Okabe and Ito's palette; each pair stays apart (CIEDE2000 of 20 or more) for
# every kind of colour vision. The grey is dark enough to write with.
COLORS = {
    "neurips": "#0072B2",
    "shakespeare": "#D55E00",
    "random": "#6E6E6E",
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
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.fontsize": 10,
    "legend.frameon": False,
}


@contextmanager
def canvas(ax: Axes | None = None, size=(8, 3.6), rows: int = 1):
    """Give `ax`, or what is to be drawn on in a new figure of that size (inches).

    A new figure has the series' style and `rows` axes that share both scales (one row:
    the axis itself, else an array). It is closed: a notebook would show an open one a
    second time.
    """
    if ax is not None:
        yield ax
        return
    shared = {"sharex": True, "sharey": True, "layout": "constrained"}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, figsize=size, **shared)
        plt.close(figure)
        yield axes


def save(figure: Figure, name: str | Path) -> Path:
    """Write a figure into submission/ as `name`, or to a whole path, if it is one.

    The name's ending chooses the format. OSError if it cannot be written; what was
    there before is then unchanged.
    """
    path = config.submission() / name
    with files.atomic(path) as temporary:
        figure.savefig(temporary, dpi=160)
    return path
