"""Files: killed at any point, two at once, read-only, full, missing, oddly named."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from helpers import config, submission

ROOT = Path(__file__).resolve().parents[1]


def python(code, *arguments, cwd=config.ROOT, **settings):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        **settings,
    )


# Does `work` again and again in a forked process that ends, as if killed, before its n-th change to the disk, for
# n = 1, 2, … until it comes through; prints what was read back each time.
KILLED = """
import os, shutil, sys
from pathlib import Path
from helpers import models, submission

CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "shutil.rmtree", "tempfile.mkstemp"}
home, what = Path(sys.argv[1]), sys.argv[2]

class Fake:
    def __init__(self, text):
        self.text = text
    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{type(self).__name__}.txt").write_text(self.text)

class Tokenizer(Fake):
    pass

def work(text):
    if what == "file":
        submission.write_text(home / "metrics.json", text)
    else:
        models.save(Fake(text), Tokenizer(text), home / "model", version=text)

def read():
    if what == "file":
        return (home / "metrics.json").read_text()
    facts = models.saved(home / "model")
    return "/".join({facts["version"], *(p.read_text() for p in (home / "model").glob("*.txt"))})

left = [0]
def watch(event, _):
    if event in CHANGES and left[0]:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
sys.addaudithook(watch)

code, n = 9, 0
while code:
    n += 1
    work("old")
    child = os.fork()
    if not child:
        left[0] = n
        work("new")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(read())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("what, least", [("file", 4), ("model", 10)])
def test_killed_at_any_point_what_is_read_back_is_old_or_new(
    what, least, tmp_path, fault
):
    ran = python(KILLED, tmp_path, what)
    assert ran.returncode == 0, ran.stderr
    seen = ran.stdout.split()
    assert (
        set(seen) == {"old", "new"}
        and seen[0] == "old"
        and seen[-1] == "new"
        and len(seen) > least
    )
    assert sorted(
        p.name for p in tmp_path.iterdir() if not p.name.startswith(".unfinished-")
    ) == ["metrics.json" if what == "file" else "model"]
    fault(
        f"killed before any change to the disk while writing a {what}",
        "read back: the old or the new, whole",
    )


HOLD = """
import sys, time
from helpers import submission
with submission.lock(sys.argv[1], "busy"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder():
    def hold(name):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, name],
            cwd=config.ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    processes = []
    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_run_in_one_folder_is_turned_away(holder, fault):
    first = holder("run")
    started = time.monotonic()
    second = subprocess.run(
        [sys.executable, "-m", "helpers"],
        cwd=config.ROOT,
        capture_output=True,
        text=True,
    )
    assert (
        second.returncode == 1
        and second.stdout == ""
        and len(second.stderr.splitlines()) == 1
    ), second.stderr
    assert time.monotonic() - started < 30
    fault("two runs at once in one folder", second.stderr.strip())
    first.kill()
    first.wait()
    with submission.lock(
        "run", "busy", wait=False
    ):  # a killed run leaves nothing that would stand in the way
        pass
    fault("a run after one that was killed", "goes on: the lock ended with its process")


def test_whoever_waits_is_told(holder, capsys, fault):
    first = holder("tested")
    waiting = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD.replace("busy", "Another process is at it; waiting."),
            "tested",
        ],
        cwd=config.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = waiting.stdout.readline().strip()
    assert said == "Another process is at it; waiting." and waiting.poll() is None
    first.kill()
    assert waiting.stdout.readline() == "held\n"
    waiting.kill()
    waiting.communicate()
    fault("two processes making the same model", said)


def test_two_writers_of_one_file_lose_nothing(fault):
    code = """
import sys
from helpers import submission
for i in range(25):
    submission.update_json("both.json", **{f"{sys.argv[1]}{i}": i})
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name], cwd=config.ROOT)
        for name in "ab"
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    path = config.submission() / "both.json"
    assert len(json.loads(path.read_text())) == 50
    path.unlink()
    fault(
        "two processes writing metrics.json at the same time",
        "every value of both is there",
    )


WRITE = """
import os, resource, signal, sys
from pathlib import Path
from helpers import config, submission
config.submission = lambda: Path(sys.argv[1])
if sys.argv[2] == "nobody" and os.geteuid() == 0:
    os.setuid(65534)
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    submission.write_text(config.submission() / "metrics.json", "x" * 1_000_000)
except OSError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def folder():
    """A submission folder that other users can reach, with an old file in it."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    (home / "submission").mkdir()
    (home / "submission" / "metrics.json").write_text("old")
    yield home / "submission"
    home.chmod(0o755)
    (home / "submission").chmod(0o755)
    shutil.rmtree(home)


def written(folder, how):
    ran = python(WRITE, folder, how)
    assert ran.returncode == 0 and "metrics.json cannot be written" in ran.stdout, (
        ran.stdout + ran.stderr
    )
    assert [p.name for p in folder.iterdir()] == ["metrics.json"] and (
        folder / "metrics.json"
    ).read_text() == "old"
    return ran.stdout.strip()


@pytest.mark.skipif(os.name == "nt", reason="permissions work otherwise on Windows")
def test_a_folder_that_may_only_be_read(folder, fault):
    folder.chmod(0o555)
    fault("a read-only submission/", written(folder, "nobody"))


@pytest.mark.skipif(os.name == "nt", reason="needs setrlimit")
def test_a_file_that_outgrows_its_limit(folder, fault):
    fault(
        "a file larger than the system lets the process write", written(folder, "limit")
    )


def test_a_full_disk(folder, small_disk, fault):
    small_disk(folder, 64)
    (folder / "metrics.json").write_text("old")
    fault("a full disk", written(folder, "full"))


def test_a_folder_that_is_missing(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(
        config, "submission", lambda: tmp_path / "not" / "there é" / "yet"
    )
    assert submission.update_json("metrics.json", a=1).read_text() == '{\n "a": 1\n}\n'
    fault("no submission/ yet", "made, with everything above it")


@pytest.mark.parametrize(
    "name", ["with spaces", "ünïcödé 你好", 'quo\'te & "double" $HOME;']
)
def test_a_project_in_an_odd_place(tmp_path, name, fault):
    """Chosen, written and read back from a copy of the project under that name."""
    project = tmp_path / name
    shutil.copytree(
        ROOT / "helpers",
        project / "helpers",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    code = (
        "from helpers import config, data, plots, submission; config.describe(); data.splits('neurips');"
        "print(submission.update_json('metrics.json', a=1).relative_to(config.ROOT).as_posix())"
    )
    ran = python(
        code,
        cwd=project,
        env=os.environ
        | {"PYTHONPATH": str(project), "HF_HOME": str(project / "cache")},
    )
    assert (project / "runs" / "smoke" / "submission" / "metrics.json").exists()
    assert (
        ran.returncode == 0
        and ran.stdout.splitlines()[-1] == "runs/smoke/submission/metrics.json"
    ), ran.stderr
    fault(
        f"the project in a folder called {name}",
        "works; writes " + ran.stdout.splitlines()[-1],
    )
