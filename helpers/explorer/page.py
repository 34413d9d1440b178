"""The histograms in one file that opens with a double-click, without a network."""

import html
import json
import re
from pathlib import Path

import pandas as pd

from helpers import config, submission
from helpers.engine import files
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES
from helpers.plots.tables import BIN_WIDTH, FRAME, accepted, number

THRESHOLD = -250  # nats; where sliders start, between random letters and text
PAGE = """<!doctype html>
<html lang="en" class="tex2jax_ignore mathjax_ignore">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log-likelihood histograms</title>
<style>
body { font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; color: #222;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
caption { text-align: left; padding-bottom: .4rem }
td, th { padding: .25rem 1vw; text-align: right; border-bottom: 1px solid #e6e6e6 }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left }
.vega-embed { width: 100% } svg { max-width: 100%; height: auto }
.vega-bindings { display: grid; gap: .2rem 1.5rem;
                 grid-template-columns: repeat(3, auto) }
.vega-bind input[type=range] { width: 16rem; max-width: 90% }
.vega-bind:nth-child(-n+2) { grid-column: 1 / -1 }
</style>
<h1>Which text does the model find likely?</h1>
<p>@note@</p>
<p>Each histogram counts strings by the log-likelihood one model gives them: further
right is likelier. Filled is a fine-tuned model, outlined the base. The controls below
the figures set the bins and the threshold, and switch texts and models on and off. The
bars on the right, and the table, say what share of each kind of text lies above the
threshold. As a detector of language the model knows, a good threshold keeps the bars of
real text long and lets no strangers in: the bar of random letters is empty.</p>
<div id="figure"></div>
<h2>The same in numbers</h2>
<table>
<caption>Strings above <span id="threshold">@threshold@</span> nats</caption>
<thead><tr><th scope="col">model</th><th scope="col">text</th>
<th scope="col">strings</th><th scope="col">mean (nats)</th>
<th scope="col">above</th><th scope="col">share above</th></tr></thead>
<tbody id="numbers">@rows@</tbody>
</table>
<script>@library@</script>
<script>
const spec = @spec@;
vegaEmbed("#figure", spec, {actions: false, renderer: "svg"}).then(({view}) => {
  const show = (name, value) => {
    document.getElementById("threshold").textContent = String(value).replace("-", "−");
    for (const row of document.querySelectorAll("#numbers tr")) {
      const [model, text] = [row.cells[0].textContent, row.cells[1].textContent];
      const scores = spec.datasets.scores.filter(
        s => s.model === model && s.text === text);
      const above = scores.filter(s => s.nats > value).length;
      row.cells[4].textContent = above;
      row.cells[5].textContent = Math.round(100 * above / scores.length) + "%";
    }
  };
  view.addSignalListener("threshold", show);
  show("threshold", view.signal("threshold"));
});
</script>
</html>
"""


def present(scores: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The series' kinds of text and models that a table holds, in the series' order."""
    kinds = [kind for kind in config.KINDS if kind in set(scores.domain)]
    return kinds, [model for model in config.MODELS if model in set(scores.model)]


def _spec(table: pd.DataFrame, models: list[str]) -> dict:
    """The Vega-Lite figure: per model a row of histograms, and the shares beside it."""
    import altair as alt

    def slider(name: str, value: float, low: float, high: float, label: str):
        bind = alt.binding_range(min=low, max=high, step=1, name=f"{label} (nats) ")
        return alt.param(name, value=value, bind=bind)

    width = slider("binwidth", BIN_WIDTH, 2, 60, "Bin width")
    threshold = slider("threshold", THRESHOLD, *FRAME, "Threshold")
    switches, shown = [], {"text": [], "model": []}
    for column, names in (("text", list(NAMES.values())), ("model", models)):
        for i, name in enumerate(names):
            switch = alt.param(
                f"{column}{i}", value=True, bind=alt.binding_checkbox(name=f"{name} ")
            )
            switches.append(switch)
            shown[column].append(
                f"(datum.{column} === {json.dumps(name)} && {switch.name})"
            )
    scale = alt.Scale(domain=list(NAMES.values()), range=[COLORS[k] for k in NAMES])
    colour = alt.Fill("text:N", legend=None, scale=scale)
    base = f"datum.model === {json.dumps(MODEL_NAMES['base'])}"
    look = {
        "fill": colour,
        "stroke": alt.Stroke("text:N", legend=None, scale=scale),
        "fillOpacity": alt.condition(base, alt.value(0), alt.value(0.7)),
    }
    chosen = (
        alt.Chart()
        .transform_filter(" || ".join(shown["text"]))
        .transform_filter(" || ".join(shown["model"]))
    )
    histograms = (
        chosen.transform_calculate(left="floor(datum.nats / binwidth) * binwidth")
        .transform_aggregate(strings="count()", groupby=["text", "model", "left"])
        .transform_calculate(right="datum.left + binwidth", zero="0")
        .mark_rect(clip=True)
        .encode(
            x=alt.X(
                "left:Q",
                title="log-likelihood of a string (nats)",
                scale=alt.Scale(domain=FRAME),
                axis=alt.Axis(values=list(range(-600, 1, 100)), grid=False),
            ),
            x2="right:Q",
            y=alt.Y("strings:Q", title="strings"),
            y2="zero:Q",
            **look,
            tooltip=["text:N", "model:N", "left:Q", "right:Q", "strings:Q"],
        )
    )
    rule = (
        chosen.transform_aggregate(groupby=["model"])
        .transform_calculate(at="threshold")
        .mark_rule(strokeWidth=2)
        .encode(x="at:Q")
    )
    shares = (
        chosen.transform_calculate(above="datum.nats > threshold ? 1 : 0")
        .transform_aggregate(share="mean(above)", groupby=["text", "model"])
        .encode(
            y=alt.Y(
                "text:N",
                title=None,
                sort=list(NAMES.values()),
                axis=alt.Axis(labelLimit=200),
            ),
            x=alt.X(
                "share:Q",
                title="share above the threshold",
                scale=alt.Scale(domain=[0, 1.15]),
                axis=alt.Axis(format="%", values=[0, 0.5, 1], grid=False),
            ),
            text=alt.Text("share:Q", format=".0%"),
        )
    )
    data = alt.NamedData(name="scores")
    top = {"title": None, "labelOrient": "top", "labelFontSize": 14}
    header = alt.Header(labelAnchor="start", labelFontWeight="bold", **top)
    row = alt.Row("model:N", sort=models, header=header)
    left = (
        alt.layer(histograms, rule)
        .properties(width=520, height=130)
        .facet(data=data, row=row)
    )
    blank = alt.Header(labelExpr="' '", **top)
    right = (
        alt.layer(
            shares.mark_bar().encode(**look),
            shares.mark_text(align="left", dx=4).encode(fill=colour),
        )
        .properties(width=190, height=130)
        .facet(data=data, row=alt.Row("model:N", sort=models, header=blank))
    )
    figure = (
        alt.hconcat(left, right)
        .configure_axis(labelFontSize=12, titleFontSize=13)
        .properties(
            description="Histograms of log-likelihood by model and kind of text."
        )
    ).to_dict()
    params = [p.param.to_dict() for p in (width, threshold, *switches)]
    return figure | {"params": params, "datasets": {"scores": table.to_dict("records")}}


def write_html(scores: pd.DataFrame, note: str) -> Path:
    """Write `submission/histograms.html`: histograms, switches, sliders, a table.

    One file, with the scores and no text. note: what the scores are and what made them;
    shown at the top. ValueError for a bad table of scores.
    """
    import vl_convert

    scores = submission.add_rates(scores)
    path = config.submission() / "histograms.html"
    odd = submission.mixed(rewritten=path.name)
    kinds, models = present(scores)
    table = pd.DataFrame(
        {
            "text": scores.domain.map(NAMES),
            "model": scores.model.map(MODEL_NAMES),
            "nats": scores.log_likelihood.round(2),
        }
    )
    means = scores.groupby(["model", "domain"]).log_likelihood.mean()
    rows = ""
    decided = accepted(scores, THRESHOLD, kinds=kinds, models=models)
    for (model, kind), row in decided.iterrows():
        strings = row["likelier"] + row["not likelier"]
        counts = f"{strings:.0f}", number(means[model, kind]), f"{row.likelier:.0f}"
        cells = MODEL_NAMES[model], NAMES[kind], *counts, f"{row.share:.0%}"
        rows += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
    spec = json.dumps(_spec(table, [MODEL_NAMES[m] for m in models]))
    values = {
        "note": html.escape(f"{note} {odd}".strip()),
        "threshold": number(THRESHOLD),
        "rows": rows,
        "spec": spec.replace("</", "<\\/"),
        "library": vl_convert.javascript_bundle().replace("</script", "<\\/script"),
    }
    page = re.sub(f"@({'|'.join(values)})@", lambda found: values[found[1]], PAGE)
    return submission.record(files.write_text(path, page))
