"""Fixtures that several files share, and the table of faults that a run leaves.

A test that tries a fault or a bad input says so by the fixture `fault(what, outcome)`.
When a run ends, runs/tests/faults.md lists what the passed tests of that run said.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HEAD = """# What was tried, and what happened

Every fault and bad input that the last run of the tests tried. What stands in the
middle column is the error's own first line, or what the test found.

| what was tried | what happened | test |
|---|---|---|
"""


def told(outcome: str | BaseException) -> str:
    """An outcome in one line; of a path, only its last part."""
    if isinstance(outcome, BaseException):
        lines = str(outcome).strip().splitlines() or ["(no message)"]
        outcome = f"{type(outcome).__name__}: {lines[0]}"
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\":]+/)+", "…/", outcome)


def cell(text: str) -> str:
    """Text that Markdown shows as it is, in one cell of a table."""
    return re.sub(r"([|<>])", r"\\\1", " ".join(text.split()))


@pytest.fixture
def fault(record_property):
    """fault(what, outcome): the outcome is an error, or a line on what the test saw."""

    def record(what: str, outcome: str | BaseException) -> None:
        record_property("fault", (what, told(outcome)))

    return record


def pytest_terminal_summary(terminalreporter):
    """Write the table. Reports carry their properties, from workers as well."""
    lines = set()
    for report in terminalreporter.getreports("passed"):
        where = report.nodeid.removeprefix("tests/").split("[")[0]
        for name, value in report.user_properties:
            if name == "fault":
                what, outcome = map(cell, value)
                lines.add(f"| {what} | {outcome} | {where} |\n")
    if lines:
        table = terminalreporter.config.rootpath / "runs" / "tests" / "faults.md"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(HEAD + "".join(sorted(lines)), encoding="utf-8")
        said = f"{len(lines)} faults and bad inputs tried: {table}"
        terminalreporter.write_line(said)


@pytest.fixture
def corpus(monkeypatch, tmp_path):
    """A function (name, write): `write(path)` makes the file that AR_NEURIPS names."""

    def use(name, write):
        write(tmp_path / name)
        monkeypatch.setenv("AR_NEURIPS", str(tmp_path / name))

    return use


@pytest.fixture
def small_disk():
    """A function (folder, kilobytes) that mounts a small disk there.

    The test is skipped where that is not allowed.
    """
    mounted = []

    def mount(folder: Path, kilobytes: int) -> None:
        options = ["-o", f"size={kilobytes}k,mode=755"]
        command = ["mount", "-t", "tmpfs", *options, "tmpfs", folder]
        allowed = shutil.which("mount") is not None
        if not allowed or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a small disk cannot be mounted here")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        # Lazily: the error that a full disk raised may still hold a file of it open.
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def spaces_marked():
    """A function of letters: their tokenizer, with ▁ for a space (SentencePiece)."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    def make(letters):
        vocabulary = {c: i for i, c in enumerate(["</s>", "▁", *letters])}
        tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")

    return make
