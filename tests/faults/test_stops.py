"""What stops a run, and what the terminal then says: three lines, and no more."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers import config
from helpers.engine import terminal

REPORT = "The whole traceback: runs/error.txt"
ESCAPE = "\x1b"
only_posix = pytest.mark.skipif(os.name == "nt", reason="works otherwise on Windows")


class Project:
    """A copy of the helpers, with notebooks of one's own."""

    def __init__(self, folder: Path):
        self.folder, self.notebooks = folder, folder / "notebooks"
        no_caches = shutil.ignore_patterns("__pycache__")
        home = Path(config.__file__).parent
        shutil.copytree(home, folder / "helpers", ignore=no_caches)
        self.notebooks.mkdir()

    def write(self, *cells: str, kernel: str = "python3") -> None:
        """The notebook 01_first, of these cells."""
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook.metadata.kernelspec = {"name": kernel, "display_name": kernel}
        nbformat.write(notebook, self.notebooks / "01_first.ipynb")

    def start(self, *module: str, **settings: str) -> subprocess.Popen:
        """A run as a reader starts it; stdout and stderr go to files."""
        with open(self.folder / "out", "w") as out, open(self.folder / "err", "w") as e:
            return subprocess.Popen(
                [sys.executable, "-m", *(module or ["helpers"])],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": ""} | settings,
                stdout=out,
                stderr=e,
            )

    def run(self, *module: str, **settings: str) -> tuple[int, list[str]]:
        """The exit status of a run, and the lines it wrote to stderr."""
        status = self.start(*module, **settings).wait(120)
        return status, self.said()

    def said(self) -> list[str]:
        return (self.folder / "err").read_text(encoding="utf-8").splitlines()

    def report(self) -> str:
        return (self.folder / "runs" / "error.txt").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


# ---- errors in a notebook

CELLS = {
    "raises an error": ("raise ValueError('one\\ntwo')", "ValueError: one"),
    "raises an error without words": ("raise RuntimeError", "RuntimeError: "),
    "raises an error of a thousand letters": (
        "raise KeyError('a' * 1_000)",
        "KeyError: 'a",
    ),
    "cannot be parsed": ("a b", "SyntaxError: invalid syntax"),
}


@pytest.mark.parametrize("what", CELLS)
def test_an_error_in_a_cell_is_said_in_three_lines(what, project, fault):
    code, words = CELLS[what]
    project.write("print(1)", code, "print(3)")
    status, said = project.run()
    assert status == 1 and len(said) == 3, said
    start = f"Stopped: 01_first, cell 2: {words}"
    assert said[0].startswith(start) and len(said[0]) <= 300
    assert said[1:] == [terminal.AGAIN, REPORT]
    assert "CellExecutionError" in project.report()
    executed = project.folder / "runs" / "smoke" / "notebooks" / "01_first.ipynb"
    cells = nbformat.read(executed, as_version=4).cells
    assert cells[0].outputs[0].text == "1\n" and not cells[2].outputs
    assert "\\u001b" not in executed.read_text(encoding="utf-8")
    assert ESCAPE not in project.report() + "".join(said)
    fault(f"a notebook's cell that {what}", said[0][:120])


@only_posix
def test_a_kernel_killed_for_memory_is_named_so(project, fault):
    project.write("print(1)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    status, said = project.run()
    assert status == 1 and len(said) == 3, said
    died = "Stopped: 01_first, cell 2: the notebook's kernel died, most often for want"
    assert said[0].startswith(died) and said[0].endswith("close other programs.")
    assert said[1:] == [terminal.AGAIN, REPORT]
    fault("a notebook's kernel killed for memory", said[0])


LAUNCHERS = {
    "is broken": ("import no_such_module", "No module named 'no_such_module'"),
    "ends at once": ("raise SystemExit(3)", "Kernel died before replying"),
}


@pytest.mark.parametrize("what", LAUNCHERS)
def test_a_kernel_that_does_not_start(what, project, tmp_path, fault):
    code, words = LAUNCHERS[what]
    (tmp_path / "ipykernel_launcher.py").write_text(code)
    project.write("print(1)")
    status, said = project.run(PYTHONPATH=str(tmp_path))
    assert status == 1 and said[1:] == [terminal.AGAIN, REPORT], said
    start = "Stopped: 01_first: no kernel starts ("
    assert said[0].startswith(start) and words in said[0]
    assert said[0].endswith("`pip install ipykernel`.")
    fault(f"an ipykernel that {what}", said[0])


def test_a_kernel_that_is_not_installed(project, fault):
    project.write("print(1)", kernel="nonesuch")
    status, said = project.run()
    assert status == 1 and said[1:] == [terminal.AGAIN, REPORT], said
    assert "no kernel starts (No such kernel named nonesuch)" in said[0]
    fault("a notebook whose kernel is not installed", said[0])


NOTEBOOKS = {
    "with merge marks": b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> main\n",
    "that is empty": b"",
    "that is another JSON": b"{}",
    "that is a list": b"[]",
    "that is not UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("what", NOTEBOOKS)
def test_a_damaged_notebook_is_named(what, project, fault):
    (project.notebooks / "01_first.ipynb").write_bytes(NOTEBOOKS[what])
    status, said = project.run()
    assert status == 1 and len(said) == 3 and len(said[0]) <= 300, said
    assert said[0].startswith("ValueError: 01_first.ipynb is damaged (")
    assert said[0].endswith("restore it, as by `git checkout notebooks`.")
    fault(f"a notebook {what}", said[0])


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\n{}\n"], ids=["empty", "marks"])
def test_a_damaged_manifest_stops_no_run(text, project, fault):
    manifest = project.folder / "runs" / "smoke" / "submission" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text)
    project.write("print(1)")
    assert project.run() == (0, [])
    fault(f"a manifest.json of {text!r} when a run begins", "the run goes on")


# ---- signals

WAIT = "open('started', 'w').close(); import time; time.sleep(100)"
SIGNALS = {
    "Ctrl-C": (["SIGINT"], 130),
    "two Ctrl-Cs": (["SIGINT", "SIGINT"], 130),
    "SIGTERM": (["SIGTERM"], 130),
    "SIGTERM, then Ctrl-C": (["SIGTERM", "SIGINT"], 130),
    "SIGKILL": (["SIGKILL"], -9),
}
STOPPED = ["Stopped by a signal.", terminal.AGAIN, REPORT]


def wait_until(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@only_posix
@pytest.mark.parametrize("what", SIGNALS)
def test_a_signal_ends_the_run_and_its_kernel(what, project, fault):
    signals, status = SIGNALS[what]
    project.write("print(1)", WAIT)
    running = project.start()
    wait_until((project.notebooks / "started").exists)
    kernels = psutil.Process(running.pid).children(recursive=True)
    assert kernels
    for name in signals:
        running.send_signal(getattr(signal, name))
        time.sleep(0.1)
    running.wait(60)
    # A kernel looks every second whether its parent is still there.
    psutil.wait_procs(kernels, timeout=20)
    assert not [k for k in kernels if k.is_running() and k.status() != "zombie"]
    said = project.said()
    assert running.returncode == status
    if status == 130:
        assert said == STOPPED and "KeyboardInterrupt" in project.report()
    else:
        assert said == []
        said = ["nothing is said, and the kernel ends by itself"]
    fault(f"{what} while a notebook is at work", said[0])


@only_posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_fine_tuning_imports_torch(name, project, fault):
    (project.folder / "torch.py").write_text(WAIT)
    running = project.start("helpers.finetune", "neurips")
    wait_until((project.folder / "started").exists)
    running.send_signal(getattr(signal, name))
    assert running.wait(60) == 130
    said = project.said()
    assert said == STOPPED
    fault(f"{name} while torch is imported", said[0])


@only_posix
def test_a_signal_while_it_learns(project, fault):
    """What is said stands on lines of its own, and the next run goes on."""
    module = project.folder / "helpers" / "engine" / "training.py"
    code, step = (
        module.read_text(encoding="utf-8"),
        'loss = self.history[-1]["loss"]',
    )
    assert step in code
    slowly = code.replace(step, f"{step}; __import__('time').sleep(0.2)")
    module.write_text(slowly, encoding="utf-8")
    running = project.start("helpers.finetune", "neurips")
    checkpoints = project.folder / "runs" / "smoke" / "checkpoints" / "neurips"
    wait_until((checkpoints / "checkpoint-5" / "trainer_state.json").exists)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    said = project.said()  # of the bar, each state is a line
    assert said[-3:] == STOPPED
    assert project.run("helpers.finetune", "neurips")[0] == 0
    assert "Resuming from step" in (project.folder / "out").read_text(encoding="utf-8")
    fault("Ctrl-C while fine-tuning", "; ".join(said[-3:]))


# ---- before anything begins

MODULES = {"the series": ["helpers"], "fine-tuning": ["helpers.finetune", "neurips"]}


@pytest.mark.parametrize("what", MODULES)
def test_a_profile_that_does_not_exist_is_named(what, project, fault):
    status, said = project.run(*MODULES[what], AR_PROFILE="nonesuch")
    assert status == 1 and len(said) == 3 and "is no profile; choose" in said[0]
    fault(f"{what} with AR_PROFILE=nonesuch", said[0])


def test_of_several_processes_one_speaks(project):
    settings = {"AR_PROFILE": "nonesuch", "RANK": "1"}
    assert project.run(*MODULES["the series"], **settings) == (1, [])


ASCII = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("settings", ASCII, ids=["PYTHONIOENCODING", "LC_ALL=C"])
def test_a_terminal_that_has_only_ascii(settings, project, fault):
    project.write("print('é · 你好')")
    status, said = project.run(**settings)
    assert (status, said) == (0, [])
    out = (project.folder / "out").read_bytes().decode("ascii")
    assert "profile smoke ? base model tiny untrained GPT-2" in out
    fault(f"a terminal that has only ASCII ({[*settings][0]})", "? for what it has not")


GUARDED = """
from helpers.engine import terminal
from helpers import config
terminal.guard(config.ROOT / "runs" / "error.txt")
{code}
"""
STOPS = {
    "an error of a library": ("import json; json.loads('')", "JSONDecodeError: "),
    "no memory": ("raise MemoryError", "MemoryError"),
}


@pytest.mark.parametrize("what", STOPS)
def test_what_a_library_raises_is_said_in_three_lines(what, project, fault):
    code, words = STOPS[what]
    (project.folder / "stop.py").write_text(GUARDED.format(code=code))
    status, said = project.run("stop")
    assert status == 1 and said[0].startswith(words), said
    assert said[1:] == [terminal.AGAIN, REPORT]
    assert "Traceback (most recent call last)" in project.report()
    fault(what, said[0])


@only_posix
def test_a_full_disk_has_no_room_for_the_traceback(project, small_disk, fault):
    runs = project.folder / "runs"
    runs.mkdir()
    small_disk(runs, 8)
    (runs / "error.txt").write_bytes(b"x" * 4_096)
    project.write("raise ValueError('one')")
    status, said = project.run()
    assert status == 1 and len(said) <= 3, said
    assert any("cannot be written (No space left on device)" in line for line in said)
    fault("a full disk when a run stops", said[-1])


@only_posix
def test_runs_that_may_only_be_read(project, small_disk, fault):
    runs = project.folder / "runs"
    runs.mkdir()
    small_disk(runs, 64)
    subprocess.run(["mount", "-o", "remount,ro", str(runs)], check=True)
    project.write("print(1)")
    status, said = project.run()
    assert status == 1 and len(said) <= 3, said
    assert "Read-only file system" in said[0]
    fault("runs/ that may only be read", said[0])
