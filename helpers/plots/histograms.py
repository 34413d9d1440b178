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
from helpers.plots.tables import BIN_WIDTH, FRAME, extent, likelier, number, select

MOST_BINS = 300  # of a hundred strings, more would show nothing


@dataclass(frozen=True)
class Group:
    """The strings of one kind of text under one model, and how they are drawn."""

    kind: str  # these three as they are printed
    model: str
    name: str
    values: np.ndarray  # shape (strings,), in the measure's unit
    mean: float
    color: str
    line: str | None  # how an outline is drawn; None: filled

    @property
    def look(self) -> dict:
        if self.line is None:
            return {"color": self.color, "alpha": 0.75}
        return {"color": self.color, "linestyle": self.line, "linewidth": 1.8}


def groups_of(values: dict, measure: str, filled: bool) -> list[Group]:
    """The groups to draw, from `select`; `filled` says whether the first model's are.

    A group's name leaves out what all have in common. Its colour is its kind's; but
    where all are of one kind, an outline is dark, to be seen on what is filled.
    """
    kinds, models = (list(dict.fromkeys(names)) for names in zip(*values))
    one_kind, one_model = len(kinds) == 1, len(models) == 1
    lines = dict(zip(models, [None, "-", ":"] if filled else ["-", ":", "-."]))
    groups = []
    for (kind, model), part in values.items():
        names = [NAMES.get(kind, kind), MODEL_NAMES[model]]
        shown = names[:1] if one_model else names[1:] if one_kind else names
        name = f"{', '.join(shown)}: mean {number(part.mean(), measure)}"
        dark = one_kind and model != models[0]
        color = COLORS["base"] if dark else COLORS.get(kind, COLORS["other"])
        groups.append(Group(*names, name, part, part.mean(), color, lines[model]))
    return groups


def bin_edges(span: Sequence[float], bins: int, bin_width: float | None) -> np.ndarray:
    low, high = span
    if not 0 < high - low < np.inf:
        raise ValueError(f"The x-range, {low:g} to {high:g}, is empty or has no end.")
    most = f"a histogram has at least one bin and at most {MOST_BINS}"
    if bin_width is None:
        if bins not in range(1, MOST_BINS + 1):  # nor is 2.5
            raise ValueError(f"bins={bins!r:.20}: {most}.")
        return np.linspace(low, high, int(bins) + 1)
    if not (high - low) / MOST_BINS <= bin_width < np.inf:
        raise ValueError(f"bin_width={bin_width!r:.20} of {high - low:g}: {most}.")
    return np.arange(low, high + bin_width, bin_width)


def heights_of(group: Group, edges: np.ndarray, density: bool) -> np.ndarray:
    """Strings in each bin, or their share of all its strings by unit of x."""
    counts, _ = np.histogram(group.values, edges)
    return counts / (len(group.values) * np.diff(edges)) if density else counts


def overlay(ax: Axes, groups: list[Group], edges: np.ndarray, density: bool) -> str:
    """All histograms on one baseline; returns what the y-axis counts."""
    for g in groups:
        ax.stairs(heights_of(g, edges, density), edges, fill=not g.line, **g.look)
    return "density" if density else "strings"


def ridge(ax: Axes, groups: list[Group], edges: np.ndarray, density: bool) -> str:
    """A row for each histogram, on one scale; its name where its strings are not."""
    heights = [heights_of(g, edges, density) for g in groups]
    step = 1.15 * np.max(heights) or 1  # so that the rows do not touch
    floors = step * np.arange(len(groups))[::-1]
    for g, height, floor in zip(groups, heights, floors):
        ax.stairs(floor + height, edges, baseline=floor, fill=not g.line, **g.look)
        ax.plot([g.mean] * 2, [floor, floor + step / 1.15], "--", color=g.color, lw=1.4)
        x, side = (0.005, "left") if g.mean > edges.mean() else (0.995, "right")
        # x in shares of the width, y in strings
        look = {"color": g.color, "ha": side, "transform": ax.get_yaxis_transform()}
        ax.text(x, floor + 0.55 * step, g.name, fontweight="bold", **look)
    ax.set_yticks(floors, [""] * len(groups))
    return "density" if density else "strings"


def cumulative(ax: Axes, groups: list[Group], _, density: bool) -> str:
    """For each x how many strings, or with `density` what share, lie at or below it."""
    for g in groups:
        strings = np.arange(1, len(g.values) + 1)
        heights = strings / len(strings) if density else strings
        ax.step(np.sort(g.values), heights, where="post", **g.look)
    return "share at or below" if density else "strings at or below"


LAYOUTS = {"overlay": overlay, "ridge": ridge, "cumulative": cumulative}


def widest_gap(groups: list[Group], edges: np.ndarray) -> tuple[float, float]:
    """The ends of the widest stretch of bins without a string."""
    strings, _ = np.histogram(np.concatenate([g.values for g in groups]), edges)
    held = np.flatnonzero(strings)
    starts = np.append(edges[0], edges[held + 1])
    ends = np.append(edges[held], edges[-1])
    widest = np.argmax(ends - starts)
    return starts[widest], ends[widest]


def legend(ax: Axes, groups: list[Group], gap: tuple[float, float]) -> float:
    """Name the groups in the gap if the names fit there, else above all strings.

    With several kinds and several models, a colour is named once and a line once.
    Returns how far up the strings may reach, as a share of the height.
    """
    kinds = [g for g in groups if g.model == groups[0].model]
    models = [g for g in groups if g.kind == groups[0].kind]
    if len(kinds) > 1 and len(models) > 1:
        groups = [replace(g, name=g.kind) for g in kinds]
        groups += [replace(g, name=g.model, color=COLORS["base"]) for g in models]
    names = [g.name for g in groups]
    handles = [Line2D([], [], **g.look) if g.line else Patch(**g.look) for g in groups]
    look = {"labelcolor": [g.color for g in groups], "handlelength": 1.2}
    low, high = ax.get_xlim()
    left, right = (np.array(gap) - low) / (high - low)
    # Beside the strings, not at the far edge.
    side, x = ("upper left", left) if right >= 1 else ("upper right", right)
    shown = ax.legend(handles, names, loc=side, bbox_to_anchor=(x, 1.04), **look)
    room = (right - left) * ax.get_window_extent().width
    if shown.get_window_extent().width < room:
        return 1.0
    higher = 1 + 0.1 * ((len(groups) + 1) // 2)
    bottom, top = ax.get_ylim()
    ax.set_yticks([tick for tick in ax.get_yticks() if bottom <= tick <= top])
    ax.set_ylim(top=(ax.transAxes - ax.transData).transform((0, higher))[1])
    ax.legend(handles, names, loc="upper left", ncols=2, **look)
    return 1 / higher


def finding(groups: list[Group], measure: str) -> str:
    """What the picture shows, as its title: which group is likelier, by how much."""
    unit = submission.MEASURES[measure][1].split(";")[0]
    best, *others = sorted(groups, key=lambda g: -likelier(g.mean, measure))
    mean = f"{number(best.mean, measure)} {unit}"
    if not others:
        return f"{best.kind}, {best.model}: {mean}"
    if any(group.model != best.model for group in others):
        return f"Likeliest: {best.kind}, {best.model} ({mean})"
    gap = f"{number(abs(best.mean - others[0].mean), measure)} {unit}"
    return f"{best.kind} likeliest, {others[0].kind} {gap} behind"


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
    density: shares instead of counts (cumulative: of the strings at or below x).
    layout: "overlay" (the first model filled, the others outlined), "ridge" (a row for
        each, on one scale) or "cumulative".
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
    groups = groups_of(values, measure, filled=layout != "cumulative")
    size = (8, 1.4 + 0.8 * len(groups)) if layout == "ridge" else (8, 3.6)
    with canvas(ax, size) as ax:
        ax.set(xlim=(low, high), yscale="log" if log else "linear")
        counted = LAYOUTS[layout](ax, groups, edges, density)
        n = " to ".join(str(n) for n in sorted({len(g.values) for g in groups}))
        ax.set_xlabel(x_label(scores, groups, measure, low, high))
        ax.set_ylabel(f"{counted} (n = {n})")
        ax.set_title(finding(groups, measure) if title is None else title)
        top = 1.0
        if layout != "ridge":
            top = legend(ax, groups, widest_gap(groups, edges))
            for g in groups:
                ax.axvline(g.mean, ymax=top, ls="--", lw=1.4, color=g.color)
        if threshold is not None:
            ax.axvline(threshold, ymax=top, color="black", linewidth=1.6)
    return ax.figure


def headline(scores: pd.DataFrame, kind: str, *, ax: Axes | None = None) -> Figure:
    """One kind of text in the original's frame: strings counted over −600 to 0 nats.

    A domain's strings under the model fine-tuned on it (filled) and under the base
    (outlined); random letters under both fine-tuned models. The table must hold every
    kind under every model, for the title compares them; ValueError if it does not.
    """
    scores = submission.add_rates(scores)
    every = select(scores, config.KINDS, config.MODELS, "log_likelihood")
    means = {group: values.mean() for group, values in every.items()}
    models = (kind, "base") if kind in config.DOMAINS else config.DOMAINS
    first, second = (number(means[kind, model]) for model in models)
    if kind in config.DOMAINS:
        title = f"{first} nats after fine-tuning, {second} before"
    else:
        gap = min(means[d, m] - means[kind, m] for d in config.DOMAINS for m in models)
        side = "below" if gap > 0 else "above"
        title = f"{first} and {second} nats, {number(abs(gap))} {side} the nearest text"
    title = f"{NAMES[kind]}: {title}"
    frame = {"bin_width": BIN_WIDTH, "span": FRAME}
    return histogram(scores, kinds=[kind], models=models, title=title, ax=ax, **frame)


def headlines(scores: pd.DataFrame) -> Figure:
    """The three headline pictures above one another, on one x-axis and one y-axis."""
    with canvas(size=(8, 8.4), rows=3) as axes:
        for ax, kind in zip(axes, config.KINDS):
            headline(scores, kind, ax=ax)
            ax.label_outer()
    return ax.figure
