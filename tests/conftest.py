"""Every fault and bad input the tests try, and what happened: README.md beside this file, written by the run itself.

A test tells it in one of two ways. `@pytest.mark.fault("an empty file")` records the error that the test's last
`pytest.raises` caught; `{…}` in the text is filled in from the test's parameters. The fixture `fault(what, outcome)`
records any other outcome. A row is kept only if its test passed; rows of tests that did not run stay as they are.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import config, data

README = Path(__file__).with_name("README.md")
HEAD = """# What was tried, and what happened

Every fault and bad input that the tests try. The tests write this table (see conftest.py): what stands in the middle
column is the error's own first line, or what the test found. Paths are cut to their last part.

| what was tried | what happened | test |
|---|---|---|
"""


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "fault(what): record in tests/README.md the error that this test catches",
    )
    config.stash[rows_key], config.stash[partly_key] = {}, set()


rows_key, partly_key, passed_key = (
    pytest.StashKey[dict](),
    pytest.StashKey[set](),
    pytest.StashKey[bool](),
)


def where_of(item) -> str:
    return f"{item.path.name}::{item.nodeid.split('::')[-1].split('[')[0]}"


def pytest_deselected(items):
    for item in items:
        item.config.stash[partly_key].add(where_of(item))


def told(outcome: str | BaseException) -> str:
    """An outcome in one line that is the same on every machine."""
    if isinstance(outcome, BaseException):
        lines = str(outcome).strip().splitlines() or ["(no message)"]
        outcome = f"{type(outcome).__name__}: {lines[0]}"
    return re.sub(r"(?<![\w.:/])/(?:[^\s/'\":]+/)+", "…/", outcome)


@pytest.fixture
def fault(record_property):
    """fault(what, outcome): `outcome` is an error, or a line that says what the test saw."""
    return lambda what, outcome: record_property("fault", (what, told(outcome)))


@pytest.fixture
def corpus(monkeypatch, tmp_path):
    """A function (name, write) that makes a file by `write(path)` the corpus of abstracts; forgotten afterwards."""

    def clear():
        for cached in (config.neurips, data.documents, data.splits):
            cached.cache_clear()

    def use(name, write):
        write(tmp_path / name)
        monkeypatch.setenv("AR_NEURIPS", str(tmp_path / name))
        clear()

    yield use
    monkeypatch.undo()
    clear()


@pytest.fixture
def small_disk():
    """A function (folder, kilobytes) that mounts a small disk there; the test is skipped where that is not allowed."""

    def mount(folder, kilobytes):
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={kilobytes}k,mode=755",
            "tmpfs",
            folder,
        ]
        if (
            not shutil.which("mount")
            or subprocess.run(command, capture_output=True).returncode
        ):
            pytest.skip("a small disk cannot be mounted here")
        mounted.append(folder)

    mounted = []
    yield mount
    for folder in mounted:
        # Lazily: the error that a full disk raised may still hold a file of the disk open.
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(autouse=True)
def _observe(request, fault, monkeypatch):
    mark = request.node.get_closest_marker("fault")
    if mark is None:
        yield
        return
    leave, caught = pytest.RaisesExc.__exit__, []

    def watching(self, kind, error, trace):
        expected = leave(self, kind, error, trace)
        if expected:
            caught.append(error)
        return expected

    monkeypatch.setattr(pytest.RaisesExc, "__exit__", watching)
    yield
    if caught:
        parameters = (
            request.node.callspec.params if hasattr(request.node, "callspec") else {}
        )
        fault(mark.args[0].format(**parameters), caught[-1])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    rows = item.config.stash[rows_key]
    if (
        report.when == "teardown"
        and report.passed
        and item.stash.get(passed_key, False)
    ):
        rows.setdefault(where_of(item), []).extend(
            value for name, value in item.user_properties if name == "fault"
        )
    if report.when == "call":
        item.stash[passed_key] = report.passed
    return report


def cell(text: str) -> str:
    return re.sub(r"([|<>])", r"\\\1", " ".join(text.split()))


def pytest_sessionfinish(session):
    new = {
        where: rows for where, rows in session.config.stash[rows_key].items() if rows
    }
    if not new:
        return
    lines, tried = (
        set(),
        {(cell(what), where) for where, rows in new.items() for what, _ in rows},
    )
    for line in (
        README.read_text(encoding="utf-8").splitlines() if README.exists() else ()
    ):
        if found := re.fullmatch(r"\| (.+?) \| .+ \| ((test_\w+\.py)::(\w+)) \|", line):
            what, where, name, test = found.groups()
            path = README.with_name(name)
            known = path.exists() and f"def {test}(" in path.read_text(encoding="utf-8")
            whole = where in new and where not in session.config.stash[partly_key]
            if known and not whole and (what, where) not in tried:
                lines.add(line)
    lines |= {
        f"| {cell(what)} | {cell(outcome)} | {where} |"
        for where, rows in new.items()
        for what, outcome in rows
    }
    text = (
        HEAD
        + "\n".join(sorted(lines, key=lambda line: line.rsplit("|", 2)[-2:] + [line]))
        + "\n"
    )
    if not README.exists() or README.read_text(encoding="utf-8") != text:
        README.write_text(text, encoding="utf-8")
