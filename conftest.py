"""What every test runs under: the smoke profile, offline, in a copy of the helpers.

Everything a run writes lies beside the helpers it imports, so a copy in a temporary
folder keeps the checkout untouched, and notebooks, whose kernels start in notebooks/,
find that copy by PYTHONPATH. AR_BASE and AR_NEURIPS are respected if set, so that the
same tests can be run on another model or corpus.

`pytest -n 2` starts two more processes, the workers. They inherit this environment and
share its folder, so that a model fine-tuned by one notebook is there for the next.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Blank exercises are meant to fail; their solved copies are run.
EXERCISES = HERE / "notebooks" / "exercises"
collect_ignore = [str(path) for path in EXERCISES.glob("*.ipynb")]
# Files whose tests take longest, longest first: with two workers, what is begun last
# should be short. Everything else follows in the usual order.
LONGEST = ("test_finetune.py", "test_hub.py", "test_files.py", "test_models.py")


def make_home() -> Path:
    """A temporary folder with a copy of the helpers; it goes when the tests end."""
    home = Path(tempfile.mkdtemp(prefix="autoregressive-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "helpers", home / "helpers", ignore=no_caches)
    # For notebook 08, should it run first, and for exercises 6 and 7.
    for there in (home / "runs" / "smoke" / "submission", home / "submission"):
        there.mkdir(parents=True)
        for name in ("likelihoods.csv", "manifest.json"):
            shutil.copy(HERE / "submission" / name, there)
    return home


def set_environment(home: Path) -> None:
    """What this process, its workers and its kernels run under."""
    for name in ("AR_BASE", "AR_NEURIPS"):
        if os.environ.get(name) and (HERE / os.environ[name]).exists():
            os.environ[name] = str((HERE / os.environ[name]).resolve())
    found_by_kernels = [str(home), os.environ.get("PYTHONPATH")]
    os.environ |= {
        "TESTS_HOME": str(home),
        "AR_PROFILE": "smoke",
        "HF_HUB_OFFLINE": "1",
        "OWN_HF_HOME": os.environ.get("HF_HOME", ""),  # where GPT-2 may be kept
        "HF_HOME": str(home / "huggingface"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "OMP_NUM_THREADS": "1",  # two workers have two cores between them
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, found_by_kernels)),
    }


# A shell that starts a job in the background has it ignore Ctrl-C; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" not in os.environ:
    set_environment(make_home())
sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["TESTS_HOME"])


def pytest_collection_modifyitems(items):
    """The longest files first; the tests of one file stay together and in order."""

    def place(item):
        name = item.path.name
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)
