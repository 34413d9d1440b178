"""Histograms of a table of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from helpers import config, submission
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, STYLE, canvas, plt
from helpers.submission import MEASURES

FRAME = (-600.0, 0.0)  # nats; the frame of the original assignment's histograms
BIN_WIDTH = 12  # nats; fifty bins in that frame
THRESHOLD = (
    -250
)  # nats; where the threshold sliders start, between random letters and text
LAYOUTS = ("overlay", "ridge", "cumulative")
LOW_IS_LIKELY = ("bits_per_byte",)
INK = {COLORS["random"]: "#666666"}  # for names: a grey dark enough to read
OUTLINES = ("-", ":", "-.")  # lines of the models that are not filled


def number(value: float, measure: str = "log_likelihood") -> str:
    """A measure as the pictures print it: nats whole, rates with two digits, a true minus sign."""
    return f"{value:{'.0f' if measure == 'log_likelihood' else '.2f'}}".replace(
        "-", "−"
    )


def likelier(values, measure: str):
    """The values with the sign that makes higher likelier."""
    return -values if measure in LOW_IS_LIKELY else values


def present(scores: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The series' kinds of text and models that a table holds, in the series' order."""
    return (
        [k for k in config.KINDS if k in set(scores.domain)],
        [m for m in config.MODELS if m in set(scores.model)],
    )


def extent(scores: pd.DataFrame, measure: str) -> tuple[float, float]:
    """The x-range that every histogram of a measure shares: the original's frame, or all that the table holds."""
    if measure == "log_likelihood":
        return FRAME
    return math.floor(scores[measure].min() * 10) / 10 - 0.1, math.ceil(
        scores[measure].max() * 10
    ) / 10 + 0.1


def select(
    scores: pd.DataFrame, kinds: Sequence[str], models: Sequence[str], measure: str
) -> dict:
    """(kind, model) → values, or ValueError naming what is unknown, missing or too little to draw."""
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}: choose one of {', '.join(MEASURES)}.")
    if not len(kinds) or not len(models):
        raise ValueError(
            "Choose at least one kind of text and one model: an empty selection has no picture."
        )
    groups = {}
    for kind in kinds:
        for model in models:
            part = scores.loc[
                (scores.domain == kind) & (scores.model == model), measure
            ]
            if len(part) < 2:
                row = f" (row {part.index[0]})" if len(part) else ""
                raise ValueError(
                    f"The table has {len(part)} scores{row} with domain {kind} under model {model}; "
                    "a histogram needs two or more."
                )
            groups[kind, model] = part.to_numpy()
    return groups


def finding(groups: dict, measure: str) -> str:
    """What the picture shows, as its title: which group is likelier, and by how much."""
    means = {key: values.mean() for key, values in groups.items()}
    ranked = sorted(means, key=lambda key: -likelier(means[key], measure))
    (kind, model), unit = ranked[0], MEASURES[measure][1].split(";")[0]
    if len(ranked) == 1:
        return f"{NAMES.get(kind, kind)}, {MODEL_NAMES[model]}: {number(means[kind, model], measure)} {unit}"
    gap = number(abs(means[ranked[0]] - means[ranked[1]]), measure)
    if len({m for _, m in ranked}) == 1:
        second = NAMES.get(ranked[1][0], ranked[1][0])
        return f"{NAMES.get(kind, kind)} likeliest, {second} {gap} {unit} behind"
    if len({k for k, _ in ranked}) == 1:
        return (
            f"{NAMES.get(kind, kind)} likeliest {MODEL_NAMES[model]}, by {gap} {unit}"
        )
    return f"Likeliest: {NAMES.get(kind, kind)}, {MODEL_NAMES[model]} ({number(means[kind, model], measure)} {unit})"


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
    """One measure of the scores over shared bins, for each kind of text and model; dashed lines mark means.

    scores: a table as `submission.read_scores` gives it; one or more rows for each kind and model asked for.
    measure: "log_likelihood" (nats per string), "nats_per_token" or "bits_per_byte".
    bins, bin_width: how many bins in the x-range, or (if given) how wide each, in the measure's unit.
    span: x-range (default: −600 to 0 for nats, else all of the table's). What lies outside is counted below the axis.
    density: shares instead of counts (in a cumulative picture: the share of strings at or below x).
    layout: "overlay" (the first model filled, others outlined), "ridge" (rows, one scale) or "cumulative".
    log: a logarithmic y-axis. threshold: draws a line there. title: default, the finding in words.
    ValueError if a choice is none, or the table lacks or spoils what it needs.
    """
    scores = submission.add_rates(scores)
    groups = select(scores, kinds, models, measure)
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: choose one of {', '.join(LAYOUTS)}.")
    if log and layout == "ridge":
        raise ValueError(
            "log=True needs one baseline: choose layout overlay or cumulative."
        )
    low, high = span or extent(scores, measure)
    if not low < high:
        raise ValueError(
            f"The x-range, {low:g} to {high:g}, is empty: it must run from a lower to a higher number."
        )
    if bins < 1 or (bin_width is not None and bin_width <= 0):
        raise ValueError(
            "A histogram needs at least one bin (bins), of more than no width (bin_width)."
        )
    edges = (
        np.linspace(low, high, bins + 1)
        if bin_width is None
        else np.arange(low, high + bin_width, bin_width)
    )
    counts = {
        key: np.histogram(v, edges)[0] / (len(v) * np.diff(edges) if density else 1)
        for key, v in groups.items()
    }
    step = (
        1.15 * max(c.max() for c in counts.values()) or 1.0
    )  # a ridge's rows must not touch

    def draw(ax: Axes) -> None:
        marks = []
        for row, ((kind, model), values) in enumerate(groups.items()):
            filled, base = model == models[0], 0
            color = _color(kind, model, kinds, models)
            line = {
                "color": color,
                "linewidth": 1.8,
                "linestyle": _linestyle(model, models, layout == "overlay"),
            }
            mean = {"color": color, "linewidth": 1.4, "linestyle": "--"}
            if layout == "ridge":
                base = (len(groups) - 1 - row) * step
                ax.plot([values.mean()] * 2, [base, base + step / 1.15], **mean)
                left = (
                    values.mean() > (low + high) / 2
                )  # write where the strings are not
                ax.text(
                    0.005 if left else 0.995,
                    base + 0.55 * step,
                    _name(kind, model, kinds, models, values, measure),
                    color=INK.get(color, color),
                    fontsize=10.5,
                    fontweight="bold",
                    ha="left" if left else "right",
                    transform=ax.get_yaxis_transform(),
                )
            else:
                marks.append(ax.axvline(values.mean(), **mean))
            if layout == "cumulative":
                ax.step(
                    np.sort(values),
                    np.arange(1, len(values) + 1) / (len(values) if density else 1),
                    where="post",
                    **line,
                )
            elif filled:
                ax.stairs(
                    base + counts[kind, model],
                    edges,
                    baseline=base,
                    fill=True,
                    color=color,
                    alpha=0.75,
                )
            else:
                ax.stairs(base + counts[kind, model], edges, baseline=base, **line)
        if threshold is not None:
            marks.append(ax.axvline(threshold, color="black", linewidth=1.6))
        outside = sum(int(((v < low) | (v > high)).sum()) for v in groups.values())
        ax.set(
            xlim=(low, high),
            xlabel=_xlabel(scores, measure, outside),
            ylabel=_ylabel(groups, layout, density),
            title=finding(groups, measure) if title is None else title,
            yscale="log" if log else "linear",
        )
        if layout == "ridge":
            ax.set_yticks([step * i for i in range(len(groups))], [""] * len(groups))
        else:
            _legend(
                ax,
                groups,
                kinds,
                models,
                measure,
                (low, high),
                marks,
                filled=layout == "overlay",
            )

    return canvas(
        draw, ax, (8, 1.4 + 0.8 * len(groups)) if layout == "ridge" else (8, 3.6)
    )


def _color(kind: str, model: str, kinds: Sequence[str], models: Sequence[str]) -> str:
    """A kind's own colour; but where all are of one kind, what is not filled is dark, to be seen on it."""
    return (
        COLORS.get(kind, COLORS["other"])
        if len(kinds) > 1 or model == models[0]
        else COLORS["base"]
    )


def _linestyle(model: str, models: Sequence[str], filled: bool) -> str:
    """Where the first model is filled, the second may have the solid line."""
    return OUTLINES[max(0, list(models).index(model) - filled) % len(OUTLINES)]


def _name(
    kind: str,
    model: str,
    kinds: Sequence[str],
    models: Sequence[str],
    values: np.ndarray,
    measure: str,
) -> str:
    """A group's name, without what all groups of the picture have in common, and its mean."""
    parts = [NAMES.get(kind, kind)] if len(kinds) > 1 or len(models) == 1 else []
    parts += [MODEL_NAMES[model]] if len(models) > 1 else []
    return f"{', '.join(parts)}: mean {number(values.mean(), measure)}"


def _xlabel(scores: pd.DataFrame, measure: str, outside: int) -> str:
    label, unit = MEASURES[measure]
    if measure == "log_likelihood" and scores.n_chars.nunique() == 1:
        label += f" of {scores.n_chars.iloc[0]} characters"
    return f"{label} ({unit})" + (f"; {outside} outside the frame" if outside else "")


def _ylabel(groups: dict, layout: str, density: bool) -> str:
    sizes = sorted({len(v) for v in groups.values()})
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    if layout == "cumulative":
        return (
            f"share at or below (n = {n})"
            if density
            else f"strings at or below (of {n})"
        )
    return f"density (n = {n})" if density else f"strings (of {n})"


def _legend(
    ax: Axes,
    groups: dict,
    kinds: Sequence[str],
    models: Sequence[str],
    measure: str,
    span: tuple[float, float],
    marks: list[Line2D],
    filled: bool,
) -> None:
    """Names in their own colours, in the widest stretch without strings if they fit there, else above them all.

    With several kinds and several models, colours are named once and lines once, instead of every pair.
    """
    crossed = len(kinds) > 1 and len(models) > 1
    if crossed:
        entries = [
            (_color(k, models[0], kinds, models), models[0], NAMES.get(k, k))
            for k in kinds
        ]
        entries += [(COLORS["base"], m, MODEL_NAMES[m]) for m in models]
    else:
        entries = [
            (
                _color(*key, kinds, models),
                key[1],
                _name(*key, kinds, models, v, measure),
            )
            for key, v in groups.items()
        ]
    handles = [
        Patch(color=c, alpha=0.75, label=name)
        if filled and model == models[0]
        else Line2D(
            [],
            [],
            color=c,
            linewidth=1.8,
            linestyle=_linestyle(model, models, filled),
            label=name,
        )
        for c, model, name in entries
    ]
    look = {
        "handles": handles,
        "labelcolor": [INK.get(c, c) for c, _, _ in entries],
        "handlelength": 1.2,
        "frameon": False,
        "borderaxespad": 0.1,
    }
    gaps, reach = [], span[0]
    for start, end in (
        *sorted((v.min(), v.max()) for v in groups.values()),
        (span[1], span[1]),
    ):
        gaps.append((start - reach, reach))
        reach = max(reach, end)
    width, start = max(gaps)
    left, right = ((x - span[0]) / (span[1] - span[0]) for x in (start, start + width))
    side = (
        ("upper left", left) if right >= 1 else ("upper right", right)
    )  # beside the strings, not at the far edge
    for size in (10.5, 9.5):
        legend = ax.legend(
            loc=side[0], bbox_to_anchor=(side[1], 1.02), fontsize=size, **look
        )
        if (
            legend.get_window_extent().width / ax.get_window_extent().width
            < right - left
        ):
            return
    room = 1 + 0.1 * (
        max(len(kinds), len(models)) if crossed else (len(handles) + 1) // 2
    )
    bottom, top = ax.get_ylim()
    if ax.get_yscale() == "log":
        ax.set_ylim(bottom, bottom * (top / bottom) ** room)
    else:
        ax.set_yticks([tick for tick in ax.get_yticks() if bottom <= tick <= top])
        ax.set_ylim(bottom, bottom + (top - bottom) * room)
    for line in marks:
        line.set_ydata([0, 1 / room])
    ax.legend(loc="upper left", ncols=2, fontsize=9.5, **look)


def headline(scores: pd.DataFrame, kind: str, *, ax: Axes | None = None) -> Figure:
    """One of the three pictures of the mission, in the original's frame: strings counted over −600 to 0 nats.

    A domain's strings under the model fine-tuned on it (filled) and under the base (outlined); random
    letters under both fine-tuned models.
    """
    scores = submission.add_rates(scores)
    models = (kind, "base") if kind in config.DOMAINS else config.DOMAINS
    means = {
        (d, m): v.mean()
        for (d, m), v in select(
            scores, config.KINDS, config.MODELS, "log_likelihood"
        ).items()
    }
    first, second = (means[kind, model] for model in models)
    if kind in config.DOMAINS:
        title = f"{NAMES[kind]}: {number(first)} nats after fine-tuning, {number(second)} before"
    else:
        gap = min(
            means[domain, model] - means[kind, model]
            for model in models
            for domain in config.DOMAINS
        )
        title = (
            f"{NAMES[kind]}: {number(first)} and {number(second)} nats, "
            f"{number(abs(gap))} {'below' if gap > 0 else 'above'} the nearest text"
        )
    return histogram(
        scores,
        kinds=[kind],
        models=models,
        bin_width=BIN_WIDTH,
        span=FRAME,
        title=title,
        ax=ax,
    )


def headlines(scores: pd.DataFrame) -> Figure:
    """The three headline pictures above one another, on one x-axis and one y-axis."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 1, figsize=(8, 8.4), sharex=True, sharey=True, layout="constrained"
        )
        for ax, kind in zip(axes, config.KINDS):
            headline(scores, kind, ax=ax)
            if ax is not axes[-1]:
                ax.set_xlabel("")
        plt.close(figure)
    return figure


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each measure by kind of text and model, in the series' order."""
    table = scores.groupby(["domain", "model"])[list(MEASURES)].mean()
    order = pd.MultiIndex.from_product(
        [config.KINDS, config.MODELS], names=["domain", "model"]
    )
    return table.reindex(order).dropna()
