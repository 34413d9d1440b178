"""Every picture of the series, from tables alone: no model is needed, and none is imported.

Each function returns a Figure and shows nothing itself; matplotlib's own settings are left alone.
"""
from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import config, submission
from helpers.submission import MEASURES

# Okabe and Ito's palette for colour-blind readers; grey for what is no language at all.
COLORS = {"neurips": "#0072B2", "shakespeare": "#D55E00", "random": "#7A7A7A", "base": "#333333", "other": "#009E73"}
NAMES = {"neurips": "NeurIPS abstracts", "shakespeare": "Shakespeare", "random": "Random letters"}
MODEL_NAMES = {"base": "base model", "shakespeare": "fine-tuned on Shakespeare", "neurips": "fine-tuned on NeurIPS"}
DIGITS = {"log_likelihood": ".0f", "nats_per_token": ".2f", "bits_per_byte": ".2f"}
FRAME = (-600.0, 0.0)           # nats; the frame of the original assignment's histograms
STYLE = sns.axes_style("ticks") | sns.plotting_context("notebook") | {
    "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold", "axes.titlesize": 13,
    "axes.titlelocation": "left", "axes.labelsize": 11.5, "figure.dpi": 110, "savefig.dpi": 160,
    "font.family": ["DejaVu Sans"],
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#E6E6E6", "axes.axisbelow": True,
}


def _canvas(draw: Callable[[Axes], None], ax: Axes | None = None, size: tuple[float, float] = (8, 3.6)) -> Figure:
    """Call `draw` on `ax`, or on a new figure of that size in the series' style; return the figure."""
    if ax is not None:
        draw(ax)
        return ax.figure
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        draw(ax)
        plt.close(figure)       # else a notebook shows it twice: once as a value, once as an open figure
    return figure


def save(figure: Figure, name: str) -> Path:
    """Write a figure into submission/ as `name`, whole or not at all."""
    path = config.submission() / name
    with submission.atomic(path) as temporary:
        figure.savefig(temporary, dpi=STYLE["savefig.dpi"])
    return path


def _values(scores: pd.DataFrame, measure: str, kind: str, model: str) -> np.ndarray:
    return scores.loc[(scores.domain == kind) & (scores.model == model), measure].to_numpy()


def histogram(scores: pd.DataFrame, *, kinds: Sequence[str] = config.KINDS, models: Sequence[str] = ("base",),
              measure: str = "log_likelihood", bins: int = 40, span: tuple[float, float] | None = None,
              density: bool = False, threshold: float | None = None, title: str = "", ax: Axes | None = None) -> Figure:
    """Histograms of one measure over shared bins, one for each kind of text and model.

    The first model is filled, the others outlined; a dashed line marks each mean. `span` is the x-range
    (default: −600 to 0 for nats, else the data's). ValueError if nothing is left to draw.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure={measure!r}: choose one of {', '.join(MEASURES)}.")
    groups = {(k, m): _values(scores, measure, k, m) for m in models for k in kinds}
    empty = [f"{k} under {m}" for (k, m), v in groups.items() if len(v) == 0]
    if empty or not groups:
        raise ValueError(f"The table has no scores for {', '.join(empty) or 'an empty selection'}.")
    every = np.concatenate(list(groups.values()))
    span = span or (FRAME if measure == "log_likelihood" else (every.min(), every.max()))
    edges = np.linspace(*span, bins + 1)
    label, unit = MEASURES[measure]

    def draw(ax: Axes) -> None:
        for (kind, model), values in groups.items():
            color, filled = COLORS.get(kind, COLORS["other"]), model == models[0]
            look = {"histtype": "stepfilled", "alpha": 0.75} if filled else {"histtype": "step", "linewidth": 1.8}
            name = NAMES.get(kind, kind) + ("" if len(models) == 1 else f", {MODEL_NAMES.get(model, model)}")
            mean = f"{values.mean():{DIGITS[measure]}}".replace("-", "−")
            ax.hist(values, edges, color=color, density=density, label=f"{name}: mean {mean}", **look)
            ax.axvline(values.mean(), color=color, linestyle="--", linewidth=1.4)
        if threshold is not None:
            ax.axvline(threshold, color="black", linewidth=1.6)
        outside = int(((every < span[0]) | (every > span[1])).sum())
        ax.set(xlim=span, xlabel=f"{label} ({unit})" + (f"; {outside} outside the frame" if outside else ""),
               ylabel="density" if density else f"strings (of {len(next(iter(groups.values())))} each)", title=title)
        ax.legend(fontsize=9.5, facecolor="white", edgecolor="none", framealpha=0.9)

    return _canvas(draw, ax)


def _minus(value: float) -> str:
    """A rounded number with a true minus sign, as the axes have."""
    return f"{value:.0f}".replace("-", "−")


def headline(scores: pd.DataFrame, kind: str, *, ax: Axes | None = None, xlabel: bool = True) -> Figure:
    """One of the three pictures of the mission, in the original's frame: strings counted over −600 to 0 nats.

    A domain's strings under the model fine-tuned on it (filled) and under the base (outlined); random
    letters under both fine-tuned models.
    """
    models = (kind, "base") if kind in config.DOMAINS else config.DOMAINS
    values = [_values(scores, "log_likelihood", kind, model) for model in models]
    means = [v.mean() for v in values]
    edges = np.arange(FRAME[0], FRAME[1] + 1, 12)
    if kind in config.DOMAINS:
        title = f"{NAMES[kind]}: {_minus(means[0])} nats after fine-tuning, {_minus(means[1])} before"
    else:
        text = min(_values(scores, "log_likelihood", d, m).mean() - mean
                   for m, mean in zip(models, means) for d in config.DOMAINS)
        title = (f"{NAMES[kind]}: {_minus(means[0])} and {_minus(means[1])} nats, "
                 f"{abs(text):.0f} {'below' if text > 0 else 'above'} the nearest text")

    def draw(ax: Axes) -> None:
        right = np.mean(means) < sum(FRAME) / 2             # write where the strings are not
        x = max(v.max() for v in values) + 18 if right else min(v.min() for v in values) - 18
        looks = ({"color": COLORS[kind], "alpha": 0.8}, {"histtype": "step", "color": COLORS["base"], "linewidth": 1.8})
        for row, (model, v, mean, look) in enumerate(zip(models, values, means, looks)):
            ax.hist(v, edges, **look)
            ax.axvline(mean, color=look["color"], linestyle="--", linewidth=1.4)
            ax.text(x, 0.92 - 0.15 * row, f"{'■□'[row]} {MODEL_NAMES[model]}: mean {_minus(mean)}",
                    transform=ax.get_xaxis_transform(), color=look["color"], fontsize=11.5, fontweight="bold",
                    ha="left" if right else "right", va="top",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        outside = sum(int(((v < FRAME[0]) | (v > FRAME[1])).sum()) for v in values)
        ax.set(xlim=FRAME, ylabel=f"strings (of {len(values[0])})", title=title)
        if xlabel:
            length = int(scores.n_chars.median())
            ax.set_xlabel(f"log-likelihood of a string of {length} characters (nats)"
                          + (f"; {outside} outside the frame" if outside else ""))

    return _canvas(draw, ax)


def headlines(scores: pd.DataFrame) -> Figure:
    """The three headline pictures above one another, on one x-axis and one y-axis."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(3, 1, figsize=(8, 8.4), sharex=True, sharey=True, layout="constrained")
        for ax, kind in zip(axes, config.KINDS):
            headline(scores, kind, ax=ax, xlabel=kind == config.KINDS[-1])
        plt.close(figure)
    return figure


def loss_curve(history: pd.DataFrame, title: str = "", ax: Axes | None = None) -> Figure:
    """Training loss as it was logged and validation loss at each evaluation (nats per token, against tokens seen)."""
    def draw(ax: Axes) -> None:
        for split, look in (("training", {"color": "#9A9A9A", "linewidth": 1.6}),
                            ("validation", {"color": COLORS["other"], "marker": "o", "linewidth": 2.2})):
            part = history[history.split == split]
            if len(part):
                ax.plot(part.tokens / 1000, part.loss, **look)
                end = part.iloc[-1]
                ax.annotate(f"{split} {end.loss:.2f}", (end.tokens / 1000, end.loss), xytext=(8, 0),
                            textcoords="offset points", color=look["color"], fontweight="bold", va="center",
                            annotation_clip=False)
        ax.set(xlabel="thousand tokens seen", ylabel="loss (nats per token)", title=title)
        ax.margins(x=0.02)

    return _canvas(draw, ax, (8.6, 3.4))


def bars(table: pd.DataFrame, *, label: str, value: str, hue: str | None = None, xlabel: str = "", title: str = "",
         limit: int = 12, ax: Axes | None = None) -> Figure:
    """Horizontal bars of `value`, one row a `label`, in the order of the table (first on top)."""
    def draw(ax: Axes) -> None:
        top = table if hue else table.head(limit)
        sns.barplot(top, y=label, x=value, hue=hue, ax=ax, palette="colorblind" if hue else None,
                    color=None if hue else COLORS["neurips"])
        ax.grid(True, axis="x")
        ax.grid(False, axis="y")
        ax.set(xlabel=xlabel or value, ylabel="", title=title)
        if hue:
            ax.legend(frameon=False, title=None)

    rows = table[label].nunique() if hue else min(limit, len(table))
    return _canvas(draw, ax, (8, 0.9 + (0.55 if hue else 0.3) * rows))


def lines(table: pd.DataFrame, *, x: str, y: str, hue: str, xlabel: str, ylabel: str, title: str = "",
          log: bool = False, ax: Axes | None = None) -> Figure:
    """One line with dots for each value of `hue`, in that model's or kind's own colour where it has one."""
    def draw(ax: Axes) -> None:
        for name, part in table.groupby(hue, sort=False):
            ax.plot(part[x], part[y], marker="o", color=COLORS.get(name, None), label=MODEL_NAMES.get(name, name))
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title, yscale="log" if log else "linear")
        if table[hue].nunique() > 1:
            ax.legend(frameon=False)

    return _canvas(draw, ax)


def heat(table: pd.DataFrame, *, title: str = "", span: tuple[float, float] | None = None,
         low_is_good: bool = False) -> Figure:
    """A table of numbers as a heat map with the numbers written in; blue is good, red is bad, `span` the range."""
    low, high = span or (None, None)
    table = table.rename(columns=lambda name: str(name).replace(" on ", " on\n"))

    def draw(ax: Axes) -> None:
        sns.heatmap(table, annot=True, fmt=".3f", cmap="RdBu_r" if low_is_good else "RdBu", vmin=low, vmax=high,
                    ax=ax, cbar=False, linewidths=1)
        ax.set(xlabel="", ylabel="", title=title)
        ax.grid(False)
        ax.tick_params(length=0)
        ax.set_yticks(ax.get_yticks(), ax.get_yticklabels(), rotation=0)

    return _canvas(draw, None, (3.2 + 1.7 * table.shape[1], 1.2 + 0.45 * table.shape[0]))


def shares_above(scores: pd.DataFrame, threshold: float, *, model: str, measure: str = "log_likelihood") -> pd.Series:
    """Share of each kind's strings whose measure is above the threshold, under one model."""
    part = scores[scores.model == model]
    return (part[measure] > threshold).groupby(part.domain).mean().rename("share above")


def explore(scores: pd.DataFrame):
    """Selectors and sliders over the saved scores (JupyterLab or Notebook, with ipywidgets).

    Where there are no widgets it says so and returns None; the figures above it hold what it shows.
    """
    try:
        import ipywidgets as w
        from IPython.display import display
    except ImportError:
        print("For the sliders, install ipywidgets and open this notebook in JupyterLab.")
        return None
    kinds = [k for k in config.KINDS if k in set(scores.domain)]
    controls = {
        "kinds": w.SelectMultiple(options=[(NAMES[k], k) for k in kinds], value=kinds, description="Text", rows=3),
        "models": w.SelectMultiple(options=[(MODEL_NAMES[m], m) for m in config.MODELS], value=["base"],
                                   description="Model", rows=3),
        "measure": w.Dropdown(options=[(v[0], k) for k, v in MEASURES.items()], description="Measure"),
        "bins": w.IntSlider(40, 5, 120, description="Bins", continuous_update=False),
        "density": w.Checkbox(False, description="Density, not counts"),
        "threshold": w.FloatSlider(-250, min=-600, max=0, step=1, description="Threshold"),
    }

    def follow(change) -> None:                             # the slider's range is the measure's
        values, slider = scores[change["new"]], controls["threshold"]
        low, high = (FRAME if change["new"] == "log_likelihood" else (values.min(), values.max()))
        slider.min, slider.max = min(low, slider.min), max(high, slider.max)
        slider.min, slider.max, slider.step, slider.value = low, high, (high - low) / 600, (low + high) / 2

    def draw(kinds, models, measure, bins, density, threshold) -> None:
        if not kinds or not models:
            print("Choose at least one kind of text and one model.")
            return
        display(histogram(scores, kinds=kinds, models=models, measure=measure, bins=bins, density=density,
                          threshold=threshold))
        share = pd.DataFrame({MODEL_NAMES[m]: shares_above(scores, threshold, model=m, measure=measure)
                              for m in models})
        display(share.loc[list(kinds)].rename(index=NAMES).style.format("{:.0%}")
                .set_caption("Share above the threshold"))

    controls["measure"].observe(follow, "value")
    left = w.HBox([controls["kinds"], controls["models"], w.VBox([controls["measure"], controls["density"]])])
    return w.VBox([left, w.HBox([controls["bins"], controls["threshold"]]), w.interactive_output(draw, controls)])


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each measure by kind of text and model, in the series' order."""
    table = scores.groupby(["domain", "model"])[list(MEASURES)].mean()
    order = pd.MultiIndex.from_product([config.KINDS, config.MODELS], names=["domain", "model"])
    return table.reindex(order).dropna()


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log-likelihood histograms</title>
<style>
body {{ font-family: "DejaVu Sans", sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ padding: .25rem .8rem; text-align: right }}
.vega-bind {{ margin: .4rem 0 }} .vega-bind input[type=range] {{ width: 20rem }}
</style>
<h1>Which text does the model find likely?</h1>
<p>{note}</p>
<p>Two sliders stand below the figures: one sets the width of the bins, the other a threshold. The lower figure
shows how much of each kind of text lies above the threshold.</p>
{figures}
<h2>Means</h2>
{means}
</html>
"""


def write_html(scores: pd.DataFrame, note: str) -> Path:
    """Write `submission/histograms.html`: the histograms with sliders, in one file that needs no network."""
    import altair as alt

    table = scores.assign(kind=scores.domain.map(NAMES), model=scores.model.map(MODEL_NAMES))
    table = table[["kind", "model", "log_likelihood"]].round(2)
    width = alt.param("binwidth", value=12, bind=alt.binding_range(min=4, max=60, step=2, name="Bin width (nats) "))
    slider = alt.binding_range(min=-600, max=0, step=2, name="Threshold (nats) ")
    threshold = alt.param("threshold", value=-250, bind=slider)
    radio = alt.binding_radio(options=list(MODEL_NAMES.values()), name="Model ")
    shown = alt.param("shown", value=MODEL_NAMES["base"], bind=radio)
    kinds = alt.selection_point(fields=["kind"], bind="legend", name="kinds")
    palette = alt.Scale(domain=list(NAMES.values()), range=[COLORS[k] for k in NAMES])
    legend = alt.Legend(orient="top", labelLimit=300, title="Text (click to show one)")
    chosen = alt.Chart(table).transform_filter("datum.model == shown")
    histograms = (
        chosen.transform_calculate(left="floor(datum.log_likelihood / binwidth) * binwidth")
        .transform_aggregate(strings="count()", groupby=["kind", "left"])
        .transform_calculate(right="datum.left + binwidth", zero="0")
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("left:Q", title="log-likelihood of a string (nats)", scale=alt.Scale(domain=FRAME, clamp=True)),
            x2="right:Q", y=alt.Y("strings:Q", title="strings"), y2="zero:Q",
            color=alt.Color("kind:N", scale=palette, legend=legend),
            opacity=alt.condition(kinds, alt.value(0.75), alt.value(0.0)),
            tooltip=["kind:N", "left:Q", "right:Q", "strings:Q"],
        )
    )
    rule = alt.Chart(pd.DataFrame({"x": [0]})).transform_calculate(at="threshold").mark_rule(strokeWidth=2)
    shares = (
        chosen.transform_calculate(above="datum.log_likelihood > threshold ? 1 : 0")
        .transform_aggregate(share="mean(above)", groupby=["kind"])
        .encode(
            y=alt.Y("kind:N", title=None, sort=list(NAMES.values()), axis=alt.Axis(labelLimit=200)),
            x=alt.X("share:Q", title="share of strings above the threshold", axis=alt.Axis(format="%"),
                    scale=alt.Scale(domain=[0, 1])),
            text=alt.Text("share:Q", format=".0%"),
            color=alt.Color("kind:N", legend=None, scale=palette),
        )
    )
    figures = (histograms + rule.encode(x="at:Q")).properties(width=700, height=300)
    lower = (shares.mark_bar() + shares.mark_text(align="left", dx=4)).properties(width=700, height=90)
    both = figures.add_params(width, threshold, shown, kinds) & lower
    both = both.configure_axis(labelFontSize=12, titleFontSize=13)
    means = summary(scores).reset_index().replace({"domain": NAMES, "model": MODEL_NAMES})
    means = means.rename(columns={"domain": "text"} | {k: f"{label} ({unit})" for k, (label, unit) in MEASURES.items()})
    page = PAGE.format(note=html.escape(note), figures=both.to_html(inline=True, fullhtml=False),
                       means=means.to_html(index=False, float_format="%.2f", border=0))
    return submission.write_text(config.submission() / "histograms.html", page)
