"""Every still picture of the series, each a function of a table: no model is needed.

A function returns a Figure and shows nothing itself; matplotlib's own settings are left
alone. style: colours, names, saving · charts: curves, bars, heat maps · tables: what
the scores say in numbers · histograms: the scores drawn · headlines: the three that the
series is about · thresholds: what a line through them decides · strip: one text, token
by token. What moves is in `helpers.explorer`.
"""

# ruff: noqa: F401  (what notebooks take from here)
from helpers.plots.charts import bars, heat, lines, loss_curve
from helpers.plots.headlines import headline, headlines, in_words
from helpers.plots.histograms import histogram
from helpers.plots.strip import token_strip
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, save
from helpers.plots.tables import FRAME, accepted, summary
from helpers.plots.thresholds import detector
