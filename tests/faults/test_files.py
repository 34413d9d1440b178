"""Files: killed, two at once, read-only, full, missing, damaged, oddly named."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers import config, submission
from helpers.engine import files

ROOT = Path(__file__).resolve().parents[2]
only_posix = pytest.mark.skipif(os.name == "nt", reason="works otherwise on Windows")


def python(code, *arguments, cwd=config.ROOT, **settings):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        **settings,
    )


# ---- killed

# Does `work` again and again in a forked process that ends, as if killed, before its
# n-th change to the disk, for n = 1, 2, … until it comes through; prints what was read
# back each time.
KILLED = """
import os, sys
from pathlib import Path
from helpers.engine import files, folders

CHANGES = {
    "open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod",
    "shutil.rmtree",
}
MODEL = "config.json", "generation_config.json", "model.safetensors"
TOKENIZER = "tokenizer.json", "tokenizer_config.json"
home, what = Path(sys.argv[1]), sys.argv[2]

class Part:
    def __init__(self, text, *names):
        self.text, self.names = text, names

    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in self.names:
            (Path(folder) / name).write_text(self.text)

    def read(self, folder):
        paths = [folder / name for name in self.names]
        return {path.read_text() if path.exists() else "nothing" for path in paths}

def work(text):
    if what == "file":
        files.write_text(home / "metrics.json", text)
    else:
        model, tokenizer = Part(text, *MODEL), Part(text, *TOKENIZER)
        folders.save(model, tokenizer, home / "model", version=text)

def read():
    if what == "file":
        return (home / "metrics.json").read_text()
    facts = folders.saved(home / "model")
    if facts is None:
        return "none"
    found = Part("", *MODEL, *TOKENIZER).read(home / "model")
    return "+".join(sorted(found | {facts["version"]}))

left = 0

def watch(event, _):
    global left
    if event in CHANGES and left:
        left -= 1
        if left == 0:
            os._exit(9)

sys.addaudithook(watch)
code, n = 9, 0
while code:
    n += 1
    work("old")
    child = os.fork()
    if not child:
        left = n
        work("new")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(read())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "what, least, allowed, left",
    [
        ("file", 4, {"old", "new"}, "metrics.json"),
        ("model", 8, {"old", "none", "new"}, "model"),
    ],
)
def test_killed_at_any_point_what_is_read_back_is_whole(
    what, least, allowed, left, tmp_path, fault
):
    ran = python(KILLED, tmp_path, what)
    assert ran.returncode == 0, ran.stderr
    seen = ran.stdout.split()
    assert set(seen) <= allowed and len(seen) > least
    assert seen[0] == "old" and seen[-1] == "new"
    visible = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert visible == [left]
    fault(
        f"killed before any change to the disk while writing a {what}",
        f"read back, whole: {', '.join(sorted(set(seen)))}",
    )


# ---- two at once

HOLD = """
import sys, time
from pathlib import Path
from helpers.engine import files
with files.lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold():
    """A function (path, message): a process that takes a lock and keeps it."""
    processes = []

    def start(path, message="busy"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), message],
            cwd=config.ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_run_in_one_folder_is_turned_away(hold, fault):
    path = config.ROOT / "runs" / ".run.lock"
    first = hold(path)
    assert first.stdout.readline() == "held\n"
    command = [sys.executable, "-m", "helpers"]
    second = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True)
    assert second.returncode == 1 and second.stdout == ""
    said = second.stderr.splitlines()
    assert len(said) == 3 and "Another run is at work" in said[0], said
    fault("two runs at once in one folder", said[0])

    first.kill()
    first.wait()
    with files.lock(path, "busy", wait=False):  # or BlockingIOError
        pass
    fault("a run after one that was killed", "goes on: the lock ended with its process")


def test_whoever_waits_is_told(hold, tmp_path, fault):
    first = hold(tmp_path / "lock")
    assert first.stdout.readline() == "held\n"
    waiting = hold(tmp_path / "lock", "Another process is at it; waiting.")
    said = waiting.stdout.readline().strip()
    assert said == "Another process is at it; waiting." and waiting.poll() is None
    first.kill()
    assert waiting.stdout.readline() == "held\n"
    fault("two processes making the same model", said)


UPDATE = """
import sys
from helpers import submission
for i in range(25):
    submission.update_json("both.json", **{f"{sys.argv[1]}{i}": i})
"""


def test_two_writers_of_one_file_lose_nothing(fault):
    commands = [[sys.executable, "-c", UPDATE, name] for name in "ab"]
    writers = [subprocess.Popen(command, cwd=config.ROOT) for command in commands]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    path = config.submission() / "both.json"
    assert len(json.loads(path.read_text())) == 50
    path.unlink()
    listed = submission.manifest()["files"]
    del listed["both.json"]
    submission.update_json("manifest.json", files=listed)
    said = "every value of both is there"
    fault("two processes writing metrics.json at the same time", said)


# ---- read-only, full, missing, oddly named

WRITE = """
import os, resource, signal, sys
from pathlib import Path
from helpers.engine import files
if sys.argv[2] == "nobody" and os.geteuid() == 0:
    os.setuid(65534)
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    files.write_text(Path(sys.argv[1]) / "metrics.json", "x" * 1_000_000)
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
    (home / "submission").chmod(0o755)
    shutil.rmtree(home)


def refused(folder, how):
    """What a process said that could not write; the old file is as it was."""
    ran = python(WRITE, folder, how)
    assert "metrics.json cannot be written" in ran.stdout, ran.stdout + ran.stderr
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    assert (folder / "metrics.json").read_text() == "old"
    return ran.stdout.strip()


@only_posix
def test_a_folder_that_may_only_be_read(folder, fault):
    folder.chmod(0o555)
    fault("a read-only submission/", refused(folder, "nobody"))


@only_posix
def test_a_file_that_outgrows_its_limit(folder, fault):
    said = refused(folder, "limit")
    fault("a file larger than the system lets the process write", said)


def test_a_full_disk(folder, small_disk, fault):
    small_disk(folder, 64)
    (folder / "metrics.json").write_text("old")
    fault("a full disk", refused(folder, "full"))


def test_a_folder_that_is_missing(tmp_path, monkeypatch, fault):
    missing = tmp_path / "not" / "there é" / "yet"
    monkeypatch.setattr(config, "submission", lambda: missing)
    assert submission.update_json("metrics.json", a=1).read_text() == '{\n "a": 1\n}\n'
    fault("no submission/ yet", "made, with everything above it")


# ---- damaged

DAMAGED = {
    "empty": b"",
    "cut off in the middle": b'{"a": [1, 2',
    "with merge marks": b'<<<<<<< HEAD\n{"a": 1}\n=======\n{"a": 2}\n>>>>>>> main\n',
    "of zeros": bytes(100),
    "not in UTF-8": b'{"a": "\xff\xfe"}',
    "of a hundred thousand brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_file_is_named_and_healed_or_passed_over(
    how, tmp_path, capsys, fault
):
    path = tmp_path / "results" / "small.json"
    files.write_text(path, "")
    path.write_bytes(DAMAGED[how])
    with pytest.raises(ValueError) as caught:
        files.read_json(path, "delete it, and run the notebook again.")
    said = str(caught.value)
    assert said.startswith("results/small.json is damaged (")
    assert said.endswith("): delete it, and run the notebook again.")
    assert len(said.splitlines()) == 1 and len(said) <= 300
    fault(f"a JSON file {how}", caught.value)
    assert capsys.readouterr().out == ""
    assert files.read_json(path) is None
    said = "results/small.json is damaged and is passed over.\n"
    assert capsys.readouterr().out == said


def test_json_that_is_whole_or_not_there(tmp_path, capsys):
    assert files.read_json(tmp_path / "small.json") is None
    assert files.read_json(tmp_path / "small.json", "make it.") is None
    path = files.write_text(tmp_path / "small.json", '{"é": [1, null]}')
    assert files.read_json(path) == files.read_json(path, "x") == {"é": [1, None]}
    assert capsys.readouterr().out == ""


def test_a_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "large").write_bytes(content := bytes(range(256)) * 10_000)
    assert files.digest(tmp_path / "large") == hashlib.sha256(content).hexdigest()


CHOOSE_AND_WRITE = """
from helpers import config, data, plots, submission
config.describe()
data.splits("neurips")
path = submission.update_json("metrics.json", a=1)
print(path.relative_to(config.ROOT).as_posix())
"""


@pytest.mark.parametrize(
    "name", ["with spaces", "ünïcödé 你好", 'quo\'te & "double" $HOME;']
)
def test_a_project_in_an_odd_place(tmp_path, name, fault):
    """Chosen, written and read back from a copy of the project under that name."""
    project = tmp_path / name
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", project / "helpers", ignore=no_caches)
    there = {"PYTHONPATH": str(project), "HF_HOME": str(project / "cache")}
    ran = python(CHOOSE_AND_WRITE, cwd=project, env=os.environ | there)
    assert ran.returncode == 0, ran.stderr
    written = ran.stdout.splitlines()[-1]
    assert written == "runs/smoke/submission/metrics.json"
    assert (project / written).exists()
    fault(f"the project in a folder called {name}", f"works; writes {written}")
