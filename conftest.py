"""What every test runs under: the smoke profile, offline, in a temporary copy of the helpers.

Everything a run writes lies beside the helpers it imports, so a copy keeps the checkout untouched, and
notebooks, whose kernels start in notebooks/, find that copy by PYTHONPATH. AR_BASE and AR_NEURIPS are
respected if set, so that the same tests can be run on another model or corpus.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Blank exercises are meant to fail; their solved copies are run.
collect_ignore = [
    str(path) for path in (HERE / "notebooks" / "exercises").glob("*.ipynb")
]
HOME = Path(tempfile.mkdtemp(prefix="autoregressive-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
shutil.copytree(
    HERE / "helpers", HOME / "helpers", ignore=shutil.ignore_patterns("__pycache__")
)
# For notebook 08, should it run first.
shutil.copytree(
    HERE / "submission", HOME / "runs" / "smoke" / "submission", dirs_exist_ok=True
)

for name in ("AR_BASE", "AR_NEURIPS"):
    if os.environ.get(name) and (HERE / os.environ[name]).exists():
        os.environ[name] = str((HERE / os.environ[name]).resolve())
os.environ |= {
    "AR_PROFILE": "smoke",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": str(HOME / "huggingface"),
    "MPLCONFIGDIR": str(HOME / "matplotlib"),
    "IPYTHONDIR": str(HOME / "ipython"),
    "JUPYTER_CONFIG_DIR": str(HOME / "jupyter"),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": os.pathsep.join(
        filter(None, (str(HOME), os.environ.get("PYTHONPATH")))
    ),
}
sys.dont_write_bytecode = True
sys.path.insert(0, str(HOME))
