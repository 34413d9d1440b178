"""How `.venv` is made: which Python is refused, and what is never used again.

In a folder whose name has spaces, with a script in Python's place that says which
version it is, makes a `.venv` with itself in it, and writes down what it was asked.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("Makefile", "pyproject.toml", "constraints.txt")
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo "Python {version}" ;;
    *ensurepip*) exit {lacks_ensurepip} ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"$(cat stop-at.txt 2>/dev/null || echo nothing)") exit 1 ;;
    *) echo "$*" >> asked.txt ;;
esac
"""
no_make = os.name == "nt" or not shutil.which("make")
pytestmark = pytest.mark.skipif(no_make, reason="no make here")


@pytest.fixture
def project(tmp_path):
    """A project's folder with the files that an installation reads."""
    folder = tmp_path / "a name with spaces"
    folder.mkdir()
    for name in COPIED:
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder, version="3.12", lacks_ensurepip=0, python="python3.x"):
    """What `make .venv/ready` says in the end; None if all went well."""
    fake = folder.parent / "python3.x"
    script = PYTHON.format(version=version, lacks_ensurepip=lacks_ensurepip)
    fake.write_text(script, encoding="utf-8")
    fake.chmod(0o755)
    # Not what a make around these tests was told.
    own = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", ".venv/ready", f"PYTHON={fake.with_name(python)}"]
    ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)
    return ran.stdout.splitlines()[-1] if ran.returncode else None


def installed(folder):
    """How many times pip was called; they are counted anew after that."""
    asked = folder / "asked.txt"
    calls = asked.read_text(encoding="utf-8").splitlines() if asked.exists() else []
    asked.unlink(missing_ok=True)
    return len(calls)


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.14"])
def test_another_python_is_refused(project, fault, version):
    said = make(project, version)
    assert f"is Python {version}; 3.11, 3.12 or 3.13 is needed" in said
    assert said.endswith("make .venv/ready PYTHON=python3.12")
    assert not (project / ".venv").exists()
    fault(f"make with Python {version}", said)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_these_are_taken(project, version):
    assert make(project, version) is None
    assert installed(project) == 4
    assert make(project) is None
    assert installed(project) == 0


def test_no_python(project, fault):
    said = make(project, python="python4")
    assert "python4 is not found; 3.11, 3.12 or 3.13 is needed" in said
    fault("make where there is no Python", said)


def test_a_python_without_ensurepip(project, fault):
    said = make(project, lacks_ensurepip=1)
    assert said.endswith("lacks ensurepip: sudo apt install python3.x-venv")
    assert not (project / ".venv").exists()
    fault("make with a Python that lacks ensurepip", said)


def is_new(folder):
    """Has `.venv` been made anew since the last question?"""
    mark = folder / ".venv" / "mark"
    had = mark.exists()
    mark.touch()
    return not had


@pytest.mark.parametrize("step", ["pip", "torch", "-e .", "--group packaged"])
def test_a_venv_that_was_not_finished_is_made_anew(project, fault, step):
    stop = project / "stop-at.txt"
    for earlier in ("there was no .venv", "there was a whole one"):
        stop.write_text(step, encoding="utf-8")
        later = (project / "Makefile").stat().st_mtime + 9
        os.utime(project / "constraints.txt", (later, later))
        assert make(project) is not None, earlier
        stop.unlink()
        is_new(project)
        assert make(project) is None and is_new(project), earlier
    fault("an installation that was stopped on the way", "the next one begins anew")


def test_a_whole_venv_is_brought_up_to_date(project):
    assert make(project) is None and is_new(project)
    installed(project)
    later = (project / ".venv" / "ready").stat().st_mtime + 9
    os.utime(project / "constraints.txt", (later, later))
    assert make(project) is None and not is_new(project)
    assert installed(project) == 4


def test_a_moved_folder(project, fault):
    assert make(project) is None and is_new(project)
    moved = project.rename(project.with_name("its other name"))
    assert make(moved) is None and is_new(moved)
    fault("a project's folder that was moved", "its .venv is made anew")


def test_a_venv_whose_python_is_gone(project, fault):
    assert make(project) is None and is_new(project)
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("nothing")
    assert make(project) is None and is_new(project)
    fault("a .venv whose Python was uninstalled", "it is made anew")
