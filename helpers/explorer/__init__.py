"""What moves, over a table of scores: no model is needed, and none is imported.

page: one HTML page, for a notebook's output and for a file · page.html, page.css: its
frame and its looks · explorer.js: its controls, and what they draw.
"""

from helpers.explorer.page import explore, write_html

__all__ = ["explore", "write_html"]
