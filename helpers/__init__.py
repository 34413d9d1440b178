"""Helpers for the notebook series: a flat module for each lesson.

The class reads the modules that lie here, the lecturer also `checks/`, whoever draws
`plots/` and `explorer/`, and whoever keeps a run alive and fast `engine/`. Imports go
downwards only; pyproject.toml holds that as a contract, and `make lint` checks it.
"""

import sys

if hasattr(sys.stdout, "reconfigure"):  # a terminal, a file; not a notebook
    sys.stdout.reconfigure(errors="replace")  # some terminals have no · and no é
