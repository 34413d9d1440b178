"""What moves, over a table of scores: no model is needed, and none is imported.

widget: selectors and sliders in a notebook · page: the same in one file for a browser.
"""

from helpers.explorer.page import write_html
from helpers.explorer.widget import explore

__all__ = ["explore", "write_html"]
