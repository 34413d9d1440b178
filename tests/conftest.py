"""Fixtures that several files share, and the table of faults that a run leaves.

A test that tries a fault or a bad input says so by the fixture `fault(what, outcome)`.
When a run ends, runs/tests/faults.md lists what the passed tests of that run said.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browsing import FLAGS

from helpers import config

ROOT = Path(__file__).resolve().parents[1]

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


@pytest.fixture(scope="session")
def gpt2():
    """GPT-2 itself, from the cache of whoever runs the tests, who use an empty one."""
    from huggingface_hub import constants, try_to_load_from_cache

    from helpers import models

    own = os.environ.get("OWN_HF_HOME") or Path(constants.default_home, "huggingface")
    where = {"cache_dir": Path(own, "hub"), "revision": config.REVISIONS[config.GPT2]}
    weights = try_to_load_from_cache(config.GPT2, "model.safetensors", **where)
    if not isinstance(weights, str):
        fetch = "from helpers import models; models.load('base')"
        pytest.skip(f'GPT-2 is not in the cache: AR_BASE=gpt2 python -c "{fetch}"')
    return models.load(str(Path(weights).parent))


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


LAUNCH = (
    "-m accelerate.commands.launch --cpu --num_processes=2 --num_machines=1 "
    "--mixed_precision=no --dynamo_backend=no --main_process_port=0 -m"
)


@pytest.fixture
def on_two_processes(tmp_path):
    """A function of a module's name and arguments: runs it twice at once (gloo).

    In `tmp_path`, with a copy of the helpers; gives what was printed.
    """

    def run(module: str) -> str:
        shutil.copytree(Path(config.__file__).parent, tmp_path / "helpers")
        ran = subprocess.run(
            [sys.executable, *LAUNCH.split(), *module.split()],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        return ran.stdout

    return run


# ---- a real Chromium, for tests marked `browser`


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: make test-browser"
    )
    program = next(
        filter(
            None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
        ),
        None,
    )
    if program is None:
        pytest.skip("no Chromium here: install Debian's package chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, request):
    context = chromium.new_context(viewport={"width": 1400, "height": 1200})
    page = context.new_page()
    yield page
    if folder := os.environ.get("SCREENSHOTS"):  # what it looked like in the end
        page.screenshot(
            path=f"{folder}/{request.node.name.replace('/', '-')}.png", full_page=True
        )
    context.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab on loopback, with a token, over a copy of notebooks and helpers."""
    shutil.copytree(ROOT / "notebooks", config.ROOT / "notebooks", dirs_exist_ok=True)
    settings = tmp_path_factory.mktemp("settings")
    for plugin, values in (
        ("notebook-extension/tracker", {"windowingMode": "none"}),
        (
            "apputils-extension/notification",
            {"fetchNews": "false", "checkForUpdates": False},
        ),
    ):
        path = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyter",
            "lab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={config.ROOT}",
        ],
        env=os.environ
        | {"JUPYTERLAB_SETTINGS_DIR": str(settings), "PYTHONPATH": str(config.ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api?token={token}", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield lambda path: f"{address}/{path}?token={token}"
    process.terminate()
    process.wait(20)
