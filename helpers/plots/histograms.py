"""Histograms of a table of scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from helpers import config, submission
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, canvas
from helpers.plots.tables import extent, likelier, number, select

MOST_BINS = 300  # of a hundred strings, more would show nothing


# How a histogram is drawn, and in a cumulative picture a curve: the base outlined (or
# thin), a fine-tuned model filled (thick), the second one hatched (thick, dashed).
FILLS = [
    {"fill": False, "linewidth": 1.8, "zorder": 2},
    {"fill": True, "linewidth": 0, "alpha": 0.7},
    {"fill": False, "linewidth": 0.5, "hatch": "/////"},
]
CURVES = [{"linewidth": 1.2}, {"linewidth": 3}, {"linewidth": 3, "linestyle": "--"}]


@dataclass(frozen=True)
class Group:
    """The strings of one kind of text under one model, and how they are drawn."""

    kind: str  # these three as they are printed
    model: str
    name: str
    values: np.ndarray  # shape (strings,), in the measure's unit
    mean: float
    color: str
    style: dict  # how it is drawn but for the colour: of FILLS, or of CURVES

    @property
    def look(self) -> dict:
        return {"color": self.color} | self.style


def groups_of(values: dict, measure: str, styles: list[dict]) -> list[Group]:
    """The groups to draw, from `select`.

    A group's name leaves out what all have in common. Its colour is its kind's; but
    where all are of one kind, only what is filled has it, and the rest is dark.
    """
    kinds, models = (list(dict.fromkeys(names)) for names in zip(*values))
    one_kind, one_model = len(kinds) == 1, len(models) == 1
    tuned = [model for model in models if model != "base"]
    styles = dict(zip(["base", *tuned], styles))
    filled = tuned[:1] or ["base"]
    groups = []
    for (kind, model), part in values.items():
        names = [NAMES.get(kind, kind), MODEL_NAMES[model]]
        shown = names[:1] if one_model else names[1:] if one_kind else names
        name = f"{', '.join(shown)}: mean {number(part.mean(), measure)}"
        dark = one_kind and model not in filled
        color = COLORS["base"] if dark else COLORS.get(kind, COLORS["other"])
        groups.append(Group(*names, name, part, part.mean(), color, styles[model]))
    return groups


def bin_edges(span: Sequence[float], bins: int, bin_width: float | None) -> np.ndarray:
    low, high = span
    if not 0 < high - low < np.inf:
        raise ValueError(f"The x-range, {low:g} to {high:g}, is empty or has no end.")
    given = f"bins={bins!r:.20}"
    if bin_width is not None:
        given = f"bin_width={bin_width!r:.20} of {high - low:g}"
        if (high - low) / MOST_BINS <= bin_width < np.inf:
            return np.arange(low, high + bin_width, bin_width)
    elif bins in range(1, MOST_BINS + 1):  # nor is 2.5
        return np.linspace(low, high, int(bins) + 1)
    raise ValueError(f"{given}: a histogram has at least one bin, at most {MOST_BINS}.")


def heights_of(group: Group, edges: np.ndarray, density: bool) -> np.ndarray:
    """Strings in each bin, or their share of all its strings by unit of x."""
    counts, _ = np.histogram(group.values, edges)
    return counts / (len(group.values) * np.diff(edges)) if density else counts


def overlay(ax: Axes, groups: list[Group], edges: np.ndarray, density: bool) -> str:
    """All histograms on one baseline; returns what the y-axis counts."""
    for g in groups:
        ax.stairs(heights_of(g, edges, density), edges, **g.look)
    return "density" if density else "strings"


def ridge(ax: Axes, groups: list[Group], edges: np.ndarray, density: bool) -> str:
    """A row for each histogram, on one scale; its name where its strings are not."""
    heights = [heights_of(g, edges, density) for g in groups]
    step = 1.15 * np.max(heights) or 1  # so that the rows do not touch
    floors = step * np.arange(len(groups))[::-1]
    for g, height, floor in zip(groups, heights, floors):
        ax.stairs(floor + height, edges, baseline=floor, **g.look)
        ax.plot([g.mean] * 2, [floor, floor + step / 1.15], "--", color=g.color, lw=1.4)
        x, side = (0.005, "left") if g.mean > edges.mean() else (0.995, "right")
        # x in shares of the width, y in strings
        look = {"color": g.color, "ha": side, "transform": ax.get_yaxis_transform()}
        ax.text(x, floor + 0.55 * step, g.name, fontweight="bold", **look)
    ax.set_yticks(floors, [""] * len(groups))
    return "density" if density else "strings"


def cumulative(ax: Axes, groups: list[Group], *_) -> str:
    """For each x, what share of a group's strings lies at or below it."""
    for g in groups:
        ax.ecdf(g.values, **g.look)
    return "share at or below"


LAYOUTS = {"overlay": overlay, "ridge": ridge, "cumulative": cumulative}


def legend(ax: Axes, groups: list[Group]) -> int:
    """Name groups and lines above the axis, where no string is; returns the rows.

    With several kinds and several models, each kind and each model is named once.
    """
    kinds = [g for g in groups if g.model == groups[0].model]
    models = [g for g in groups if g.kind == groups[0].kind]
    named = []
    if len(kinds) > 1 and len(models) > 1:
        dot = {"marker": "o", "linestyle": ""}
        named = [Line2D([], [], color=g.color, label=g.kind, **dot) for g in kinds]
        groups = [replace(g, name=g.model, color=COLORS["base"]) for g in models]
    for g in groups:
        look = {"label": g.name} | g.look
        named.append(Patch(**look) if "fill" in look else Line2D([], [], **look))
    named.append(Line2D([], [], label="mean", color="#555555", linestyle="--"))
    named += [line for line in ax.lines if line.get_label().startswith("threshold")]
    look = {"ncols": 3, "handlelength": 1.6, "columnspacing": 1.2, "borderpad": 0}
    ax.legend(handles=named, loc="lower left", bbox_to_anchor=(0, 1.01), **look)
    return -(-len(named) // 3)


def finding(groups: list[Group], measure: str) -> str:
    """What the picture shows, as its title: the likeliest group, and its mean."""
    unit = submission.MEASURES[measure][1].split(";")[0]
    best = max(groups, key=lambda g: likelier(g.mean, measure))
    what = "Likeliest: " if len(groups) > 1 else ""
    return f"{what}{best.kind}, {best.model} ({number(best.mean, measure)} {unit})"


def x_label(scores: pd.DataFrame, groups: list[Group], measure: str, low, high) -> str:
    """The measure, its unit, and how many strings lie outside the picture."""
    name, unit = submission.MEASURES[measure]
    if measure == "log_likelihood" and scores.n_chars.nunique() == 1:
        name += f" of {scores.n_chars.iloc[0]} characters"
    outside = sum(np.sum((g.values < low) | (g.values > high)) for g in groups)
    return f"{name} ({unit})" + (f"; {outside} outside the frame" if outside else "")


def histogram(
    scores: pd.DataFrame,
    *,
    kinds: Sequence[str] = config.KINDS,
    models: Sequence[str] = ("base",),
    measure: str = "log_likelihood",
    bins: int = 40,
    bin_width: float | None = None,
    span: tuple[float, float] | None = None,
    density: bool = False,
    layout: str = "overlay",
    log: bool = False,
    threshold: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """One measure of the scores over shared bins, by kind of text and model.

    Dashed lines are means. What lies outside the x-range is counted below the axis.

    scores: as `submission.read_scores` gives them; two or more strings for each kind
        and model that are to be drawn.
    measure: "log_likelihood" (nats per string), "nats_per_token" or "bits_per_byte".
    bins, bin_width: how many bins in the x-range (at most 300), or how wide each, in
        its unit.
    span: the x-range; default: −600 to 0 for nats, else all of the table's.
    density: shares instead of counts; what is cumulative counts shares in any case.
    layout: "overlay" (a fine-tuned model filled, a second one hatched, the base
        outlined), "ridge" (so, too, but a row for each, on one scale) or "cumulative".
    log: a logarithmic y-axis. threshold: where to draw a line, in the measure's unit.
    title: default, the finding in words. ax: an axis to draw on; default, a new figure.

    ValueError if there is nothing to draw: a choice that is not offered, an empty
    selection or x-range, or a table that lacks something or holds an impossible value.
    """
    scores = submission.add_rates(scores)
    values = select(scores, kinds, models, measure)
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}.")
    if log and layout == "ridge":
        raise ValueError("log=True needs one baseline: layout overlay or cumulative.")
    low, high = extent(scores, measure) if span is None else span
    edges = bin_edges((low, high), bins, bin_width)
    groups = groups_of(values, measure, CURVES if layout == "cumulative" else FILLS)
    size = (8, 1.7 + 0.8 * len(groups)) if layout == "ridge" else (8, 3.8)
    with canvas(ax, size) as ax:
        ax.set(xlim=(low, high), yscale="log" if log else "linear")
        counted = LAYOUTS[layout](ax, groups, edges, density)
        n = " to ".join(str(n) for n in sorted({len(g.values) for g in groups}))
        ax.set_xlabel(x_label(scores, groups, measure, low, high))
        ax.set_ylabel(f"{counted} (n = {n})")
        unnamed = [] if layout == "ridge" else groups  # a ridge's rows have names
        for g in unnamed:
            ax.axvline(g.mean, linestyle="--", linewidth=1.4, color=g.color)
        if threshold is not None:
            name = f"threshold {number(threshold, measure)}"
            ax.axvline(threshold, color="black", linewidth=1.6, label=name)
        rows = legend(ax, unnamed)
        said = finding(groups, measure) if title is None else title
        ax.set_title(said, pad=8 + 15 * rows)
    return ax.figure
