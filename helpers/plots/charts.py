"""Curves, bars and heat maps, each from a table."""

import textwrap

import pandas as pd
from matplotlib.figure import Figure

from helpers.plots.style import COLORS, MODEL_NAMES, canvas


def loss_curve(history: pd.DataFrame, title: str = "") -> Figure:
    """The loss while a model learns, each curve named at its end, with its last value.

    history: columns `tokens` (seen until then), `loss` (nats per token) and `split`
    ("training" or "validation"), a row for each time the loss was measured.
    """
    last = history.groupby("split").loss.last()
    with canvas(size=(8.6, 3.4)) as ax:
        for split, part in history.groupby("split"):
            color = COLORS["random"] if split == "training" else COLORS["base"]
            ax.plot(part.tokens, part.loss, color=color, marker="o", markersize=4)
            x, y = part.tokens.iloc[-1], part.loss.iloc[-1]
            # The higher end's name above it, the lower's below: they may lie close.
            side = "bottom" if y == last.max() else "top"
            ax.text(x, y, f"  {split} {y:.2f}", color=color, va=side)
        ax.set(xlabel="tokens seen", ylabel="loss (nats per token)", title=title)
    return ax.figure


def bars(
    table: pd.DataFrame, *, label: str, value: str, hue=None, limit=12, **labels: str
) -> Figure:
    """Horizontal bars from zero to either side, the table's first row on top.

    label, value, hue: columns: the bars' names, their lengths, and (if given) what
    tells bars of one name apart, by colour. limit: without `hue`, how many are drawn.
    labels: `title`, `xlabel` (default: `value`), `ylabel`.
    """
    import seaborn as sns  # here: a histogram need not wait a second for it

    table = table if hue else table.head(limit)
    look = {"palette": "colorblind"} if hue else {"color": COLORS["neurips"]}
    height = (0.55 if hue else 0.3) * table[label].nunique()
    with canvas(size=(8, 0.9 + height)) as ax:
        sns.barplot(table, y=label, x=value, hue=hue, ax=ax, **look)
        ax.grid(True, axis="x")
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(**{"ylabel": ""} | labels)
        if hue:
            # By name: matplotlib passes over a label that begins with "_".
            look = {"loc": "upper left", "bbox_to_anchor": (1, 1)}  # beside the bars
            ax.legend(ax.containers, table[hue].unique(), **look)
    return ax.figure


def lines(
    table: pd.DataFrame, *, x: str, y: str, hue: str, log: bool = False, **labels: str
) -> Figure:
    """A line with dots for each value of the column `hue`, over the columns x and y.

    A model or kind of text has its own colour. Where the table has columns `low` and
    `high`, they bound a band about each line: an interval. log: a logarithmic y-axis.
    labels: `title`, `xlabel`, `ylabel`.
    """
    with canvas() as ax:
        for name, part in table.groupby(hue, sort=False):
            (line,) = ax.plot(part[x], part[y], marker="o", color=COLORS.get(name))
            if {"low", "high"} <= {*table}:
                look = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
                ax.fill_between(part[x], part.low, part.high, **look)
        ax.set(yscale="log" if log else "linear", **labels)
        names = [MODEL_NAMES.get(name, name) for name in table[hue].unique()]
        if len(names) > 1:
            ax.legend(ax.lines, names)
    return ax.figure


def heat(
    table: pd.DataFrame,
    *,
    span: tuple = (None, None),
    low_is_good: bool = False,
    numbers: bool = True,
    by_column: bool = False,
    **labels: str,
) -> Figure:
    """A table of numbers as a heat map: its own rows in their order, its own names.

    span: the numbers at the two ends of the colours (default: the table's own ends).
    by_column: each column has colours of its own, from its lowest to its highest.
    numbers: written in, on blue for good and red for bad; which end is good says
    low_is_good. Without them: square cells, the darker the greater. labels: `title`,
    `xlabel`, `ylabel`.
    """
    import seaborn as sns  # here: a histogram need not wait a second for it

    shade = table
    if by_column:
        middle, reach = (table.max() + table.min()) / 2, (table.max() - table.min()) / 2
        shade, span = (table - middle) / reach.replace(0, 1), (-1, 1)
        labels = {"xlabel": "colours compare within a column"} | labels
    look = {"vmin": span[0], "vmax": span[1], "linewidths": 0.5}
    if numbers:
        names = [textwrap.fill(str(name), 15) for name in table]
        size = 4 + 1.4 * table.shape[1], 1.3 + 0.42 * len(table)
        look |= {"cmap": "RdBu_r" if low_is_good else "RdBu", "annot": table}
        look |= {"fmt": ".2f", "xticklabels": names}
    else:
        size = 3 + 0.3 * len(table), 2 + 0.3 * len(table)
        look |= {"cmap": "Blues", "square": True}
    with canvas(size=size) as ax:
        sns.heatmap(shade, cbar=False, ax=ax, **look)
        ax.set(**{"xlabel": "", "ylabel": ""} | labels)
        ax.tick_params(length=0)
        ax.tick_params(axis="y", rotation=0)
    return ax.figure
