"""What moves: pages to play with. To import or to open them, no model is needed.

page: the explorer of histograms, for a notebook's output and for a file · next_token:
another file, of what three models say comes next; whoever writes it has the models ·
explorer.html, explorer.js, next_token.html, next_token.js: what stands in each page,
and what its controls draw · page.css, page.js: what they share.
"""

from helpers.explorer.page import explore, write_html

__all__ = ["explore", "write_html"]
