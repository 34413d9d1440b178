"""Curves, bars and heat maps, each from a table."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.plots.style import COLORS, MODEL_NAMES, canvas


def loss_curve(
    history: pd.DataFrame, title: str = "", ax: Axes | None = None
) -> Figure:
    """Training loss as it was logged and validation loss at each evaluation (nats per token, against tokens seen)."""

    def draw(ax: Axes) -> None:
        for split, look in (
            ("training", {"color": "#9A9A9A", "linewidth": 1.6}),
            ("validation", {"color": COLORS["base"], "marker": "o", "linewidth": 2.2}),
        ):
            part = history[history.split == split]
            if len(part):
                ax.plot(part.tokens / 1000, part.loss, **look)
                end = part.iloc[-1]
                ax.annotate(
                    f"{split} {end.loss:.2f}",
                    (end.tokens / 1000, end.loss),
                    xytext=(8, 0),
                    textcoords="offset points",
                    color=look["color"],
                    fontweight="bold",
                    va="center",
                    annotation_clip=False,
                )
        ax.set(
            xlabel="thousand tokens seen", ylabel="loss (nats per token)", title=title
        )
        ax.margins(x=0.02)

    return canvas(draw, ax, (8.6, 3.4))


def bars(
    table: pd.DataFrame,
    *,
    label: str,
    value: str,
    hue: str | None = None,
    xlabel: str = "",
    title: str = "",
    limit: int = 12,
    ax: Axes | None = None,
) -> Figure:
    """Horizontal bars of `value`, one row a `label`, in the order of the table (first on top)."""
    import seaborn as sns  # here, because it takes a second that a histogram need not wait for

    def draw(ax: Axes) -> None:
        top = table if hue else table.head(limit)
        sns.barplot(
            top,
            y=label,
            x=value,
            hue=hue,
            ax=ax,
            palette="colorblind" if hue else None,
            color=None if hue else COLORS["neurips"],
        )
        ax.grid(True, axis="x")
        ax.grid(False, axis="y")
        ax.set(xlabel=xlabel or value, ylabel="", title=title)
        if hue:
            ax.legend(frameon=False, title=None)

    rows = table[label].nunique() if hue else min(limit, len(table))
    return canvas(draw, ax, (8, 0.9 + (0.55 if hue else 0.3) * rows))


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    hue: str,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """One line with dots for each value of `hue`, in that model's or kind's own colour where it has one."""

    def draw(ax: Axes) -> None:
        for name, part in table.groupby(hue, sort=False):
            ax.plot(
                part[x],
                part[y],
                marker="o",
                color=COLORS.get(name, None),
                label=MODEL_NAMES.get(name, name),
            )
        ax.set(
            xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear"
        )
        if table[hue].nunique() > 1:
            ax.legend(frameon=False)

    return canvas(draw, ax)


def heat(
    table: pd.DataFrame,
    *,
    title: str = "",
    span: tuple[float, float] | None = None,
    low_is_good: bool = False,
) -> Figure:
    """A table of numbers as a heat map with the numbers written in; blue is good, red is bad, `span` the range."""
    import seaborn as sns

    low, high = span or (None, None)
    table = table.rename(columns=lambda name: textwrap.fill(str(name), 15))

    def draw(ax: Axes) -> None:
        sns.heatmap(
            table,
            annot=True,
            fmt=".3f",
            cmap="RdBu_r" if low_is_good else "RdBu",
            vmin=low,
            vmax=high,
            ax=ax,
            cbar=False,
            linewidths=1,
        )
        ax.set(xlabel="", ylabel="", title=title)
        ax.grid(False)
        ax.tick_params(length=0)
        ax.set_yticks(ax.get_yticks(), ax.get_yticklabels(), rotation=0)

    return canvas(draw, None, (2.6 + 1.4 * table.shape[1], 1.3 + 0.42 * table.shape[0]))


def grid(
    table: pd.DataFrame, *, title: str = "", xlabel: str = "", ylabel: str = ""
) -> Figure:
    """A table of shares (0 to 1) as shaded squares, the darker the greater, its names along both sides."""
    import seaborn as sns

    def draw(ax: Axes) -> None:
        sns.heatmap(
            table,
            cmap="Blues",
            vmin=0,
            vmax=1,
            square=True,
            cbar=False,
            linewidths=0.5,
            ax=ax,
            xticklabels=True,
            yticklabels=True,
        )
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
        ax.grid(False)
        ax.tick_params(length=0)

    side = 2 + 0.3 * len(table)
    return canvas(draw, None, (side + 1, side))
