"""Histograms of a table of scores: any, and the headlines."""

from collections import namedtuple
from collections.abc import Sequence
from itertools import chain, cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from helpers import config, submission
from helpers.plots import tables
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, canvas, colors_of
from helpers.plots.tables import BIN_WIDTH, FRAME, HEADLINE_MODELS, likelier, number

MOST_BINS = 300  # of a hundred strings, more would show nothing

# How a histogram is drawn, and in a cumulative picture a curve: the base outlined (or
# thin), a fine-tuned model filled (thick), a second one hatched (thick, dashed), a
# third hatched the other way (dotted), a fourth filled again.
FILLS = [
    {"fill": False, "linewidth": 1.8, "zorder": 2},
    {"fill": True, "linewidth": 0, "alpha": 0.7},
    {"fill": False, "linewidth": 0.5, "hatch": "/////"},
    {"fill": False, "linewidth": 0.5, "hatch": "\\\\\\\\\\"},
]
CURVES = [
    {"linewidth": 1.2},
    {"linewidth": 3},
    {"linewidth": 3, "linestyle": "--"},
    {"linewidth": 3, "linestyle": ":"},
]
LAYOUTS = {"overlay": FILLS, "ridge": FILLS, "cumulative": CURVES}

# The strings of one kind of text under one model, and how they are drawn: its kind,
# model and name as they are printed; values, shape (strings,), and mean in the
# measure's unit; its colour; its look, with the colour and one of FILLS or CURVES.
Group = namedtuple("Group", "kind model name values mean color look")


def groups_of(values: dict, measure: str, looks: list[dict], colors: dict) -> list:
    """The groups to draw, from what `tables.select` gives.

    A group's name leaves out what all have in common. Its colour is its kind's; but
    where all are of one kind, only what is filled has it, and the rest is dark.
    """
    one_kind, one_model = (len({*names}) == 1 for names in zip(*values))
    tuned = list(dict.fromkeys(model for _, model in values if model != "base"))
    styles = {"base": looks[0]} | dict(zip(tuned, cycle(looks[1:])))
    groups = []
    for (kind, model), part in values.items():
        names = [NAMES.get(kind, str(kind)), MODEL_NAMES.get(model, str(model))]
        shown = names[:1] if one_model else names[1:] if one_kind else names
        name = f"{', '.join(shown)}: mean {number(part.mean(), measure)}"
        dark = one_kind and model != [*tuned, "base"][0]  # the first is filled
        color = colors["base" if dark else kind]
        look = {"color": color} | styles[model]
        groups.append(Group(*names, name, part, part.mean(), color, look))
    return groups


def bin_edges(span: Sequence[float], bins: int, bin_width: float | None) -> np.ndarray:
    low, high = span
    if not 0 < high - low < np.inf:
        raise ValueError(f"The x-range, {low:g} to {high:g}, is empty or has no end.")
    if bin_width is None and bins in range(1, MOST_BINS + 1):  # 2.5 is not
        return np.linspace(low, high, int(bins) + 1)
    if bin_width and (high - low) / MOST_BINS <= bin_width < np.inf:
        return np.arange(low, high + bin_width, bin_width)
    given = f"bins={bins!r:.20}, bin_width={bin_width!r:.20} over {high - low:g}"
    raise ValueError(f"{given}: a histogram has at least one bin, at most {MOST_BINS}.")


def stairs(ax: plt.Axes, groups, edges, density: bool, ridge: bool) -> None:
    """Strings in each bin, or their share of all the group's strings by unit of x.

    All stand on one baseline; or, on one scale, in a row each, named where none are.
    """
    heights = [np.histogram(g.values, edges)[0] for g in groups]
    if density:
        heights = [h / len(g.values) / np.diff(edges) for g, h in zip(groups, heights)]
    step = 1.15 * np.max(heights) or 1  # so that the rows do not touch
    floors = ridge * step * np.arange(len(groups))[::-1]
    for g, height, floor in zip(groups, heights, floors):
        ax.stairs(floor + height, edges, baseline=floor, **g.look)
    if not ridge:
        return
    for g, floor in zip(groups, floors):
        ax.plot([g.mean] * 2, [floor, floor + step / 1.15], "--", color=g.color, lw=1.4)
        x, side = (0.005, "left") if g.mean > edges.mean() else (0.995, "right")
        # x in shares of the width, y in strings
        look = {"color": g.color, "ha": side, "transform": ax.get_yaxis_transform()}
        ax.text(x, floor + 0.55 * step, g.name, fontweight="bold", **look)
    ax.set_yticks(floors, [""] * len(groups))


def legend(ax: plt.Axes, groups: list[Group]) -> int:
    """Name groups and lines above the axis, where no string is; returns the rows.

    With several kinds and several models, each kind and each model is named once.
    """
    kinds = {g.kind: {"color": g.color, "marker": "o", "linestyle": ""} for g in groups}
    models = {g.model: g.look | {"color": COLORS["base"]} for g in groups}
    looks = {g.name: g.look for g in groups}
    if len(kinds) > 1 and len(models) > 1:
        looks = kinds | models
    looks["mean"] = {"color": "#555555", "linestyle": "--"}
    named = []
    for name, look in looks.items():
        look = {"label": name} | look
        named.append(Patch(**look) if "fill" in look else plt.Line2D([], [], **look))
    named += ax.get_legend_handles_labels()[0]  # a threshold
    look = {"ncols": 3, "handlelength": 1.6, "columnspacing": 1.2, "borderpad": 0}
    ax.legend(handles=named, loc="lower left", bbox_to_anchor=(0, 1.01), **look)
    return -(-len(named) // 3)


def finding(groups: list[Group], measure: str) -> str:
    """What the picture shows, as its title: the likeliest group, and its mean."""
    name, unit = submission.MEASURES[measure]
    unit = name if measure == "bits_per_byte" else unit
    best = max(groups, key=lambda g: likelier(g.mean, measure))
    said = f"{best.kind}, {best.model} ({number(best.mean, measure)} {unit})"
    return f"Likeliest: {said}" if len(groups) > 1 else said


def x_label(scores: pd.DataFrame, groups: list[Group], measure: str, low, high) -> str:
    """The measure, its unit, and how many strings lie outside the picture."""
    outside = sum(np.sum((g.values < low) | (g.values > high)) for g in groups)
    more = f"; {outside} outside the frame" if outside else ""
    return tables.measure_name(scores, measure) + more


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
    ax: plt.Axes | None = None,
) -> plt.Figure:
    """One measure of the scores over shared bins, by kind of text and model.

    Dashed lines are means. What lies outside the x-range is counted below the axis.

    scores: as `submission.read_scores` gives them; kinds of text and models may be a
        reader's own.
    kinds, models: which are drawn; a kind that a model did not score is left out there.
    measure: "log_likelihood" (nats per string), "nats_per_token" or "bits_per_byte".
    bins, bin_width: how many bins in the x-range (at most 300), or how wide each, in
        its unit.
    span: the x-range; default: −600 to 0 for nats (and farther to the left where the
        table's strings are), else all of the table's.
    density: shares instead of counts; what is cumulative counts shares in any case.
    layout: "overlay" (a fine-tuned model filled, a second one hatched, the base
        outlined), "ridge" (so, too, but a row for each, on one scale) or "cumulative".
    log: a logarithmic y-axis. threshold: where to draw a line, in the measure's unit.
    title: default, the finding in words. ax: an axis to draw on; default, a new figure.

    ValueError if there is nothing to draw: a choice that is not offered, an empty
    selection or x-range, or a table that lacks something or holds an impossible value.
    """
    scores = submission.add_rates(scores)
    values = tables.select(scores, kinds, models, measure)
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}.")
    if log and layout == "ridge":
        raise ValueError("log=True needs one baseline: layout overlay or cumulative.")
    low, high = tables.extent(scores, measure) if span is None else span
    edges = bin_edges((low, high), bins, bin_width)
    colors = colors_of(chain(*tables.present(scores)))
    groups = groups_of(values, measure, LAYOUTS[layout], colors)
    ridge = layout == "ridge"
    size = 8, 1.7 + 0.8 * len(groups) if ridge else 3.8
    with canvas(ax, size) as ax:
        ax.set(xlim=(low, high), yscale="log" if log else "linear")
        if layout == "cumulative":
            counted = "share at or below"
            for g in groups:
                ax.ecdf(g.values, **g.look)
        else:
            counted = "density" if density else "strings"
            stairs(ax, groups, edges, density, ridge)
        n = " to ".join(str(n) for n in sorted({len(g.values) for g in groups}))
        ax.set_xlabel(x_label(scores, groups, measure, low, high))
        ax.set_ylabel(f"{counted} (n = {n})")
        unnamed = [] if ridge else groups  # a ridge's rows have names and means
        for g in unnamed:
            ax.axvline(g.mean, linestyle="--", linewidth=1.4, color=g.color)
        if threshold is not None:
            name = f"threshold {number(threshold, measure)}"
            ax.axvline(threshold, color="black", linewidth=1.6, label=name)
        pad = 8 + 15 * legend(ax, unnamed)
        said = finding(groups, measure) if title is None else title
        ax.set_title(said, pad=pad, parse_math=False)  # not on another's axis, either
    return ax.figure


def headline(scores: pd.DataFrame, kind: str, *, ax=None) -> plt.Figure:
    """One kind of text in the original's frame: strings counted over −600 to 0 nats.

    A domain's strings under the model fine-tuned on it (filled) and under the base
    (outlined); random letters under both fine-tuned models (filled, hatched), with a
    line at their true log-likelihood. The table must hold every kind under every model,
    for the title compares them; ValueError if it does not. ax: as for `histogram`.
    """
    title, _ = tables.told(scores, kind)
    view = {"bin_width": BIN_WIDTH, "span": FRAME, "title": title}
    with canvas(ax, (8, 3.8)) as ax:
        histogram(scores, kinds=[kind], models=HEADLINE_MODELS[kind], ax=ax, **view)
        nats, name = tables.truth(scores)
        if kind == "random" and FRAME[0] < nats < FRAME[1]:
            ax.axvline(nats, color="black", linewidth=1.6)
            ax.text(nats + 6, 0.6, name, transform=ax.get_xaxis_transform())
    return ax.figure


def headlines(scores: pd.DataFrame) -> plt.Figure:
    """The three headline pictures above one another, on one x-axis and one y-axis."""
    with canvas(size=(8, 9), rows=3) as axes:
        for ax, kind in zip(axes, config.KINDS):
            headline(scores, kind, ax=ax)
            ax.label_outer()
    return axes[0].figure
