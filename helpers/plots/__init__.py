"""Every picture of the series, from tables alone: no model is needed, and none is imported.

Each function returns a Figure and shows nothing itself; matplotlib's own settings are left alone.
style: colours, names, saving · charts: curves, bars, heat maps · histograms: the scores ·
thresholds: what a line through them decides · explorer: both with sliders, in a notebook ·
page: the same in one file for a browser · strip: one text, token by token
"""

from helpers.plots.charts import bars, grid, heat, lines, loss_curve
from helpers.plots.explorer import explore
from helpers.plots.histograms import FRAME, headline, headlines, histogram, summary
from helpers.plots.page import write_html
from helpers.plots.strip import token_strip
from helpers.plots.style import COLORS, MODEL_NAMES, NAMES, save
from helpers.plots.thresholds import accepted, detector

__all__ = [
    "COLORS",
    "FRAME",
    "MODEL_NAMES",
    "NAMES",
    "accepted",
    "bars",
    "detector",
    "explore",
    "grid",
    "headline",
    "headlines",
    "heat",
    "histogram",
    "lines",
    "loss_curve",
    "save",
    "summary",
    "token_strip",
    "write_html",
]
