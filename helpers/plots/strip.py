"""One text under several models, token by token: what surprised each model."""

import html

import pandas as pd

# After GLTR (Gehrmann, Strobelt and Rush 2019): bands of rank, darker where a token is
# less expected, and underlined for who cannot tell the colours.
BANDS = (
    (10, "#FFF7EC", "none", "rank 1 to 10"),
    (100, "#FDD49E", "2px dotted #333", "to 100"),
    (1000, "#FC8D59", "2px dashed #333", "to 1,000"),
    (float("inf"), "#D7301F", "4px double #111", "beyond"),
)


def _box(text: str, below: str, rank: float) -> str:
    _, color, line, _ = next(band for band in BANDS if rank <= band[0])
    ink = "#FFFFFF" if rank > 1000 else "#111111"
    outer = "display:inline-block;text-align:center;vertical-align:top;margin:2px 3px"
    inner = f"background:{color};color:{ink};border-bottom:{line};padding:1px 4px"
    token = f'<span style="{inner};white-space:pre">{html.escape(text)}</span>'
    return f'<span style="{outer}">{token}<br><small>{below}</small></span>'


def token_strip(tables: dict[str, pd.DataFrame]):
    """A strip of tokens for each model; below each its rank and its surprise in nats.

    A character of several tokens is one box: how many they are, the rank of the least
    expected, and their surprise together.

    tables: for each model's name, what `likelihood.token_log_probs` gives (the columns
    `token, log_prob, rank`). Returns an IPython HTML object, static and escaped.
    """
    from IPython.display import HTML  # here: a script that draws needs no IPython

    strips = []
    for name, table in tables.items():
        boxes = ""
        # An empty token belongs to the character that the one before it began.
        for _, part in table.groupby(table.token.ne("").cumsum()):
            token = "".join(part.token).replace(" ", "·").replace("\n", "↵")
            rank, several = part["rank"].max(), f"{len(part)} tokens · "
            said = f"{rank:,} · {-part.log_prob.sum():.1f}"
            boxes += _box(token, (several if len(part) > 1 else "") + said, rank)
        total = f"{-table.log_prob.sum():.1f} nats in all"
        strips.append(f"<p><b>{html.escape(name)}</b>: {total}<br>{boxes}</p>")
    key = "".join(_box(name, "", limit) for limit, _, _, name in BANDS)
    key = f"<p>{key} below: rank · surprise in nats</p>"
    look = 'class="tex2jax_ignore mathjax_ignore" style="line-height:1.5"'
    return HTML(f"<div {look}>{''.join(strips)}{key}</div>")
