"""What is loaded and shown: no pickles, HTML that stays text, JupyterLab."""

import ast
import html
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from nbclient import NotebookClient
from test_dependencies import code_of

from helpers import config, explorer, submission

ROOT = Path(__file__).resolve().parents[2]
LONG = [
    f"Document {i}. " + " ".join(f"word{i}x{j}" for j in range(150)) for i in range(20)
]


# ---- nothing that could run

IMPORTS = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NAMES = {"allow_pickle", "trust_remote_code", "read_pickle", "to_pickle"}


def untrusting(code: str) -> list[str]:
    """What in this code would run what it loads."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            modules = []
        found += [module for module in modules if module.split(".")[0] in IMPORTS]

        named = {ast.Attribute: "attr", ast.keyword: "arg", ast.Name: "id"}
        name = getattr(node, named.get(type(node), ""), None)
        if name in NAMES and ast.unparse(node) != "trust_remote_code=False":
            found.append(name)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            if "weights_only=True" not in map(ast.unparse, node.keywords):
                found.append("torch.load without weights_only")
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "A.from_pretrained(f, trust_remote_code=True)",
    ],
)
def test_what_could_run_is_seen(code):
    assert untrusting(code)


def test_nothing_loads_what_could_run(fault):
    assert not untrusting("torch.load(f, weights_only=True)")
    assert not untrusting("A.from_pretrained(f, trust_remote_code=False)")
    read, found = 0, {}
    for folder in ("helpers", "notebooks", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            checkpoint = ".ipynb_checkpoints" in path.parts
            if checkpoint or path.suffix not in (".py", ".ipynb"):
                continue
            read += 1
            if bad := untrusting(code_of(path)):
                found[path.name] = bad
    assert read > 40 and not found
    what = "a pickle, or code from a model's repository, loaded anywhere in the project"
    fault(what, "none is")


# ---- HTML that stays text

SCRIPT = "<script>window.planted = 1</script>"
IMAGE = '<img src="x" onerror="window.planted = 2">'
NAME = "<img src=x onerror=window.planted=3>.csv"
SHOW = """
import pandas as pd
from IPython.display import HTML, display
from helpers import config, data, likelihood, models, plots, strings
docs = data.documents("neurips").to_pandas()
display(docs.head(30))
source = data.provenance("neurips")["source"]
display(pd.DataFrame([{"source": source, "model": config.base().label}]))
display(strings.evaluation_strings(n=5))
start = docs.text[0][:120]
table = likelihood.token_log_probs(models.load("tiny"), start)
whole = pd.DataFrame({"token": [start], "log_prob": [-1.0], "rank": [1]})
plots.token_strip({"tiny": table, "<b onclick=planted()>": whole})
"""
CONTROL = """
from IPython.display import HTML, display
display(HTML("<img src=y onerror='window.control = 1'>"))
"""
OUTPUT = ".jp-OutputArea-output"


def executed(code, folder):
    """The page of a notebook that runs this code."""
    from nbconvert import HTMLExporter

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=where
    )
    client.execute()
    path = folder / "executed.html"
    shown, _ = HTMLExporter().from_notebook_node(notebook)
    path.write_text(shown, encoding="utf-8")
    return path.as_uri()


@pytest.mark.browser
def test_text_shown_as_html_stays_text(corpus, page, tmp_path, monkeypatch, fault):  # noqa: F811
    """Scripts in titles, abstracts, a model's tokens and the corpus's own name."""
    abstracts = [f"{SCRIPT} {IMAGE} {document}" for document in LONG * 2]
    papers = pd.DataFrame({"title": f"{SCRIPT}{IMAGE}", "abstract": abstracts})
    corpus(NAME, lambda path: papers.to_csv(path, index=False))
    page.context.route(re.compile("^https?:"), lambda route: route.abort())

    page.goto(executed(SHOW, tmp_path), wait_until="domcontentloaded")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.planted") is None
    said = " ".join(page.locator(OUTPUT).all_inner_texts())
    said = said.replace("·", " ")  # which the strip of tokens shows for a space
    for planted in (SCRIPT, IMAGE, NAME, "<b onclick=planted()>"):
        assert planted in said
    live = f"{OUTPUT} script, {OUTPUT} [onerror], [onclick]"
    assert page.locator(live).count() == 0

    page.goto(executed(CONTROL, tmp_path), wait_until="domcontentloaded")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.control") == 1  # or nothing could have been seen

    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    scores = submission.read_scores(ROOT / "submission" / "likelihoods.csv")
    written = explorer.write_html(scores, f"abstracts: {NAME} {SCRIPT}")
    page.goto(written.as_uri())
    page.locator("figure svg").wait_for()
    assert page.evaluate("window.planted") is None and NAME in page.inner_text("body")
    assert html.escape(NAME) in written.read_text(encoding="utf-8")
    what = "scripts in a corpus, its file's name and a model's tokens, in Chromium"
    fault(what, "shown as text; none ran")


# ---- JupyterLab


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def jupyterlab(tmp_path):
    """JupyterLab as `make lab` starts it, but on a free port and without a window.

    A pair: the process, and what it says of itself.
    """
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = re.search(r"\$\(PY\) (-m jupyter lab.*)$", makefile, re.M)[1].split()
    port = ["--ServerApp.port_retries=0", f"--port={free_port()}"]
    (tmp_path / "notebooks").mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER_")}
    process = subprocess.Popen(
        [sys.executable, *command, "--no-browser", "--allow-root", *port],
        cwd=tmp_path,
        env=env | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end, found = time.time() + 60, []
    try:
        while not found and time.time() < end:
            time.sleep(0.2)
            found = list(tmp_path.glob("jpserver-*.json"))
        yield process, json.loads(found[0].read_text())
    finally:
        process.terminate()
        process.wait(20)


def test_jupyterlab_as_make_starts_it_is_closed_to_others(jupyterlab, fault):
    """Loopback only, and nothing without the token."""
    process, facts = jupyterlab
    assert facts["hostname"] in ("localhost", "127.0.0.1")
    assert len(facts["token"]) >= 32
    address = f"http://127.0.0.1:{facts['port']}/api/contents"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, timeout=10)
    assert refused.value.code == 403
    fault("JupyterLab from `make lab`, without its token", refused.value)

    welcome = urllib.request.urlopen(f"{address}?token={facts['token']}", timeout=10)
    assert welcome.status == 200
    connections = psutil.Process(process.pid).net_connections()
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening and listening <= {"127.0.0.1", "::1"}
    said = "no connection: it listens on loopback only"
    fault("JupyterLab from `make lab`, from another machine", said)
