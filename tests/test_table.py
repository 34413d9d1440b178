"""README.md beside this file says what happened on every bad day, and says it for all."""

import re
from pathlib import Path

from conftest import HEAD, README, cell, told

ROWS = re.findall(
    r"^\| (.+?) \| (.+) \| (test_\w+\.py)::(test_\w+) \|$",
    README.read_text(encoding="utf-8"),
    re.M,
)


def test_every_row_says_what_was_tried_and_what_happened():
    assert len(ROWS) >= 40 and len({what for what, *_ in ROWS}) == len(ROWS)
    for what, outcome, file, name in ROWS:
        assert outcome.strip(" .").lower() not in ("", "unknown")
        assert not re.search(r"\{\w+\}|<function", what)
        assert not re.search(r"/tmp|0x[0-9a-f]{6}|127\.0\.0\.1:\d", what + outcome)
        assert f"def {name}(" in Path(README.with_name(file)).read_text(
            encoding="utf-8"
        )
    assert README.read_text(encoding="utf-8").startswith(HEAD)


def test_an_outcome_is_the_errors_own_first_line_and_one_row():
    assert (
        told(ValueError("/tmp/x/y.csv is empty\nmore"))
        == "ValueError: …/y.csv is empty"
    )
    assert told(OSError()) == "OSError: (no message)"
    assert cell("a | b\n<img>") == r"a \| b \<img\>"
