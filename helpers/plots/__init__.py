"""Every still picture of the series, each a function of a table: no model is needed.

A function returns a Figure and shows nothing itself; matplotlib's own settings are left
alone. style: colours, names, saving · charts: curves, bars, heat maps · tables: what
the scores say in numbers and words · histograms: the scores drawn, the headlines that
the series is about among them · strip: one text, token by token. What moves is in
`helpers.explorer`.
"""

# ruff: noqa: F401  (what notebooks take from here)
from helpers.plots.charts import bars, heat, lines, loss_curve
from helpers.plots.histograms import headline, headlines, histogram
from helpers.plots.strip import token_strip
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, save
from helpers.plots.tables import FRAME, accepted, in_words, summary
