"""What a test says of a fault ends in one line of the table in runs/tests/faults.md."""

from conftest import cell, told


def test_an_outcome_is_the_errors_own_first_line_without_its_folders():
    error = ValueError("/tmp/x/y.csv is empty\nmore")
    assert told(error) == "ValueError: …/y.csv is empty"
    assert told(OSError()) == "OSError: (no message)"
    assert cell("a | b\n<img>") == r"a \| b \<img\>"
