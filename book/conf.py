"""Settings of the site that `make book` builds with Sphinx; see toc.yml for its order.

The notebooks are shown as they were committed. Nothing is run, and nothing fetched.
"""

from importlib.metadata import distribution

project = "What does a language model find likely?"
html_title = project
root_doc = "README"
extensions = ["myst_nb", "sphinx_external_toc"]
external_toc_path = "book/toc.yml"
include_patterns = [
    "*.md",
    "benchmarks/README.md",
    "helpers/checks/hints.md",
    "notebooks/**",
]
exclude_patterns = [".*", "build", "runs", "tests"]  # are not even looked through
templates_path = ["_templates"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # else a page whose notebook names widgets asks two other hosts
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3  # README links to headings

# MathJax as one file that asks for no other: its formulas are drawn, without fonts.
mathjax = "sphinx-mathjax-offline/static/mathjax/tex-svg.js"
html_static_path = [
    "_static",
    str(distribution("sphinx-mathjax-offline").locate_file(mathjax)),
]
mathjax_path = "tex-svg.js"
html_css_files = ["book.css"]

html_theme = "pydata_sphinx_theme"  # the one of three with which axe found no fault
html_theme_options = {
    "logo": {"text": "What is likely?"},
    "search_bar_text": "Search",
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "article_header_start": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}
html_sidebars = {"**": ["series.html"]}
html_context = {"default_mode": "auto"}
html_show_search_summary = False  # it would ask for pages, which no file may
html_copy_source = False
html_use_index = False
