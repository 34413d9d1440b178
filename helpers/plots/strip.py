"""One text under several models, token by token: what each model expected and what surprised it."""

from __future__ import annotations

import html
import re

import pandas as pd

# After GLTR (Gehrmann, Strobelt and Rush 2019): bands of rank, here darker and more underlined where less expected.
BANDS = (
    (10, "#FFF7EC", "none"),
    (100, "#FDD49E", "2px dotted #333"),
    (1000, "#FC8D59", "2px dashed #333"),
    (float("inf"), "#D7301F", "4px double #111"),
)


def _box(text: str, below: str, rank: float) -> str:
    color, line = next((color, line) for limit, color, line in BANDS if rank <= limit)
    ink = "#FFFFFF" if color == BANDS[-1][1] else "#111111"
    return (
        f'<span style="display:inline-block;text-align:center;vertical-align:top;margin:2px 1px">'
        f'<span style="background:{color};color:{ink};border-bottom:{line};padding:1px 4px;white-space:pre">'
        f'{html.escape(text)}</span><br><small style="color:#555">{html.escape(below)}</small></span>'
    )


def token_strip(tables: dict[str, pd.DataFrame]):
    """A strip of tokens for each model: below each token its rank and its surprise in nats; static, escaped HTML.

    tables: by the model's name, what `likelihood.token_log_probs` gives (`token, log_prob, rank`). The bands of
    rank (up to 10, 100, 1,000, beyond) differ in colour and underline; the number is written out as well.
    Returns an IPython HTML object.
    """
    from IPython.display import HTML

    rows = []
    for name, table in tables.items():
        boxes = "".join(
            _box(
                re.sub("^ ", "·", token).replace("\n", "↵"),
                f"{rank:,} · {-log_prob:.1f}",
                rank,
            )
            for token, log_prob, rank in zip(
                table["token"], table["log_prob"], table["rank"]
            )
        )
        rows.append(
            f"<p><b>{html.escape(name)}</b>: {-table.log_prob.sum():.1f} nats in all<br>{boxes}</p>"
        )
    names = ("rank 1 to 10", "to 100", "to 1,000", "beyond")
    key = "".join(_box(name, "", limit) for name, (limit, _, _) in zip(names, BANDS))
    return HTML(
        f'<div style="line-height:1.5">{"".join(rows)}<p>{key} below: rank · surprise in nats</p></div>'
    )
