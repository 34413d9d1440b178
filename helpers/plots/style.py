"""What all pictures share: colours, names, fonts, how a figure is made and saved."""

import textwrap
from collections.abc import Iterable
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.engine import files

# After Okabe and Ito's palette; each pair stays apart (CIEDE2000 of 20 or more) for
# every kind of colour vision. The grey is dark enough to write with.
COLORS = {
    "neurips": "#0072B2",
    "shakespeare": "#D55E00",
    "random": "#6E6E6E",
    "base": "#222222",
}
# For kinds and models that are not of the series, in turn; seen on white and on black.
OWN_COLORS = ("#809973", "#A68CA6", "#0D99F2", "#995940", "#805980", "#59A64D")
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


def inside(kind: str) -> str:
    """A kind's name as it stands inside a sentence."""
    return NAMES.get(kind, str(kind)).replace("Random letters", "random letters")


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, and for each of the series; what has none gets its own.

    names: kinds and models, in any order that stays: the first that is not of the
    series has the first of OWN_COLORS. After the last they begin again.
    """
    own = [name for name in dict.fromkeys(names) if name not in COLORS]
    return COLORS | dict(zip(own, cycle(OWN_COLORS)))


PLAIN = {"text.parse_math": False}  # a $ in a title or a token is a dollar sign
STYLE = PLAIN | {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlesize": 13,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.fontsize": 10,
    "legend.frameon": False,
}


class Picture(Figure):
    """A figure that is shown with a text alternative, for who cannot see it."""

    def alternative(self) -> str:
        """In words: the titles, which say what it shows, and what the axes measure."""
        each = [(ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) for ax in self.axes]
        titles, across, up = zip(*each)
        said = dict.fromkeys([*titles, *across, *up])  # rows share their axes
        return " · ".join(" ".join(one.split()) for one in said if one)

    def _repr_mimebundle_(self, **_):
        # IPython asks for it, and makes the picture to these words itself.
        return {}, {"image/png": {"alt": self.alternative()}}


@contextmanager
def canvas(ax: plt.Axes | None = None, size=(8, 3.6), rows: int = 1):
    """Give `ax`, or what is to be drawn on in a new figure of that size (inches).

    A new figure has the series' style and `rows` axes that share both scales (one row:
    the axis itself, else an array); a title wider than its axis is broken into lines.
    It is closed: a notebook would show an open one a second time.
    """
    shared = {"sharex": True, "sharey": True, "layout": "constrained"}
    shared |= {"figsize": size, "FigureClass": Picture}
    new = ax is None
    with plt.rc_context(STYLE if new else PLAIN):
        if new:
            figure, ax = plt.subplots(rows, **shared)
            plt.close(figure)
        yield ax
        for one in np.ravel(ax):  # the powers on a logarithmic axis are mathematics
            labels = one.get_yticklabels(which="both")
            plt.setp(labels, parse_math=one.get_yscale() == "log")
        if new:
            break_titles(figure)  # roughly: a long one pushes its axis aside
            figure.draw_without_rendering()  # the layout decides how wide an axis is
            break_titles(figure)


def break_titles(figure: plt.Figure) -> None:
    """Break titles wider than their axis, from its left; the figure grows by lines."""
    for ax in figure.axes:
        said = ax.get_title()
        ax.title.set(x=0, horizontalalignment="left")
        longest = max(map(len, said.split("\n")))
        width = longest * ax.bbox.width / max(1, ax.title.get_window_extent().width)
        broken = textwrap.fill(said, max(20, int(width)), break_on_hyphens=False)
        ax.title.set_text(broken)
        more = broken.count("\n") - said.count("\n")
        figure.set_figheight(figure.get_figheight() + 0.25 * more)


def save(figure: plt.Figure, name: str | Path, text: str = "", made: str = "") -> Path:
    """Write a figure into submission/ as `name`, or to a whole path, if it is one.

    Below it stands in small print what `made` its numbers; by default, this run's base
    and abstracts. text: what the picture shows, for who cannot see it; written into a
    PNG or SVG as its Description. The name's ending chooses the format. OSError if it
    cannot be written; what was there before is then unchanged.
    """
    path = config.submission() / name
    made = made or f"base: {config.base().label} · abstracts: {config.neurips().label}"
    # Below the figure's edge, where nothing else is drawn: the picture grows by it.
    look = {"ha": "right", "va": "top", "fontsize": 7, "color": "#555555"}
    below = figure.text(1, -0.01, made, parse_math=False, **look)
    about = {"metadata": {"Description": text}} if text else {}
    try:
        with files.atomic(path) as temporary:
            figure.savefig(temporary, dpi=160, bbox_inches="tight", **about)
    finally:
        below.remove()
    return submission.record(path)
