"""What all pictures share: colours, names, fonts, how a figure is made and saved."""

from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from helpers import config, submission
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
PLAIN = {"text.parse_math": False}  # a $ in a title or a token is a dollar sign
STYLE = PLAIN | {
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
    shared = {"sharex": True, "sharey": True, "layout": "constrained"}
    with plt.rc_context(STYLE if ax is None else PLAIN):
        if ax is None:
            figure, ax = plt.subplots(rows, figsize=size, **shared)
            plt.close(figure)
        yield ax
        for one in np.ravel(ax):
            _plain(one)


def _plain(ax: Axes) -> None:
    """No text of a picture is mathematics, but for the powers on a logarithmic axis."""
    powers = []
    for axis in (ax.xaxis, ax.yaxis):
        labels = axis.get_ticklabels(which="both")  # made now, not when it is drawn
        powers += labels if axis.get_scale() == "log" else []
    for text in ax.findobj(Text):
        text.set_parse_math(text in powers)


def save(figure: Figure, name: str | Path) -> Path:
    """Write a figure into submission/ as `name`, or to a whole path, if it is one.

    The name's ending chooses the format. OSError if it cannot be written; what was
    there before is then unchanged.
    """
    path = config.submission() / name
    with files.atomic(path) as temporary:
        figure.savefig(temporary, dpi=160)
    return submission.record(path)
