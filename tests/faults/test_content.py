"""What is loaded and shown: corpora brought by a reader, no pickles, HTML that stays text, JupyterLab's door."""

import ast
import html
import json
import os
import random
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
from test_browser import chromium, page  # noqa: F401

from helpers import config, data, plots, submission

ROOT = Path(__file__).resolve().parents[1]
LONG = [
    f"Document {i}. " + " ".join(f"word{i}x{j}" for j in range(40)) for i in range(20)
]


def table(**columns):
    return lambda path: pd.DataFrame(columns).to_csv(path, index=False)


def text(content, encoding="utf-8"):
    return lambda path: path.write_bytes(content.encode(encoding))


FRENCH = "abstract\n" + "\n".join("élève " * 40 + str(i) for i in range(20))
REFUSED = {
    "a CSV in Latin-1": ("c.csv", text(FRENCH, "latin-1"), "c.csv is not UTF-8 text"),
    "a text file in Latin-1": (
        "c.txt",
        text(FRENCH, "latin-1"),
        "c.txt is not UTF-8 text",
    ),
    "a CSV in UTF-16": ("c.csv", text(FRENCH, "utf-16"), "c.csv is not UTF-8 text"),
    "an empty CSV": ("c.csv", text(""), "c.csv is empty"),
    "an empty JSON Lines file": ("c.jsonl", text(""), "c.jsonl is empty"),
    "an empty Parquet file": ("c.parquet", text(""), "c.parquet is empty"),
    "an empty text file": ("c.txt", text(""), "c.txt is empty"),
    "a text file of blank lines": ("c.txt", text("\n\n\n"), "at least 10"),
    "a CSV with a header and no rows": (
        "c.csv",
        text("title,abstract\n"),
        "at least 10",
    ),
    "a CSV whose abstracts are all missing": (
        "c.csv",
        table(title="t", abstract=[None] * 20),
        "at least 10",
    ),
    "a CSV of numbers": ("c.csv", table(abstract=range(20)), "at least 10"),
    "one document": ("c.csv", table(abstract=LONG[:1]), "at least 10"),
    "one document, twenty times": (
        "c.csv",
        table(abstract=LONG[:1] * 20),
        "1 documents",
    ),
    "a CSV without the column": (
        "c.csv",
        table(title="t", summary=LONG),
        "no column 'abstract'",
    ),
    "a CSV with an open quotation mark": (
        "c.csv",
        text('abstract\n"' + "word " * 40),
        "c.csv cannot be read",
    ),
    "JSON Lines that are not JSON": (
        "c.jsonl",
        text("{'abstract': 'x'}\n"),
        "c.jsonl cannot be read",
    ),
    "JSON Lines of bare strings": ("c.jsonl", text('"a"\n"b"\n'), "c.jsonl"),
    "a folder": ("papers", Path.mkdir, "papers is a folder"),
    "a zip that is not one": ("c.zip", text("PK not a zip"), "a corpus is one of"),
    "a zip called CSV": (
        "c.csv",
        lambda p: p.write_bytes(b"PK\x03\x04\x14\0\0\0\x08\0\xff\xfe" + bytes(99)),
        "c.csv",
    ),
    "text called Parquet": (
        "c.parquet",
        text("abstract\n"),
        "c.parquet cannot be read",
    ),
    "a pickle": ("c.pkl", text("cos\nsystem\n"), "a corpus is one of"),
    "documents that all begin with the same sentence": (
        "c.csv",
        table(
            abstract=[" ".join(f"same{j}" for j in range(20)) + " " + t for t in LONG]
        ),
        "out",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.fault("AR_NEURIPS: {what}")
def test_a_corpus_that_cannot_be_used_is_refused_in_one_line(corpus, what):
    name, write, message = REFUSED[what]
    corpus(name, write)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        data.splits("neurips")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


TAKEN = {
    "UTF-8 with a byte-order mark": (
        "c.csv",
        text("\ufeffabstract\n" + "\n".join(LONG)),
        20,
    ),
    "a text file with Windows line ends": ("c.txt", text("\r\n\r\n".join(LONG)), 20),
    "every document twice": ("c.csv", table(abstract=LONG * 2), 20),
    "titles that are numbers, or missing": (
        "c.csv",
        table(title=[*range(19), None], abstract=LONG),
        20,
    ),
    "a few empty and short abstracts": (
        "c.csv",
        table(abstract=[*LONG, None, "", "too short"]),
        20,
    ),
    "an ending in capitals": ("C.CSV", table(abstract=LONG), 20),
    "null characters and emoji": (
        "c.jsonl",
        lambda p: pd.DataFrame(
            {"abstract": [t + " \x00 \U0001f3ad" for t in LONG]}
        ).to_json(p, orient="records", lines=True),
        20,
    ),
    "a quarter of a million characters in one document": (
        "c.csv",
        table(abstract=[*LONG, "word " * 50_000]),
        21,
    ),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_corpus_that_only_looks_bad_is_read(corpus, what, fault):
    name, write, count = TAKEN[what]
    corpus(name, write)
    assert (
        data.documents("neurips").num_rows == count
        and sum(map(len, data.splits("neurips").values())) <= count
    )
    fault(f"AR_NEURIPS: {what}", f"read: {count} documents")


BIG = """
import resource
from helpers import data
parts, strings = data.splits("neurips"), data.evaluation_strings()
print(sum(map(len, parts.values())), len(strings), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs getrusage")
def test_a_corpus_of_200_megabytes(tmp_path, fault):
    rng, path, written = random.Random(0), tmp_path / "big.csv", 0
    words = [
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 11)))
        for _ in range(40_000)
    ]
    with path.open("w") as file:
        rows = file.write("abstract\n") * 0
        while written < 200_000_000:
            written += file.write(" ".join(rng.choices(words, k=180)) + "\n")
            rows += 1
    ran = subprocess.run(
        [sys.executable, "-c", BIG],
        capture_output=True,
        text=True,
        cwd=config.ROOT,
        env=os.environ | {"AR_NEURIPS": str(path), "HF_HOME": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    documents, strings, megabytes = map(int, ran.stdout.split())
    assert (
        documents == rows
        and strings == 3 * config.profile().strings
        and megabytes < 2_000
    )
    fault(
        "AR_NEURIPS: a CSV of 200 MB",
        "read, split and cut, in less than 2 GB of memory",
    )


IMPORTS = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NAMES = {"allow_pickle", "trust_remote_code", "read_pickle", "to_pickle"}


def untrusting(code: str) -> list[str]:
    """What in this code would run what it loads."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [
                getattr(node, "module", None) or "",
                *(alias.name for alias in node.names),
            ]
            found += [m for m in modules if m.split(".")[0] in IMPORTS]
        name = {ast.Attribute: "attr", ast.keyword: "arg", ast.Name: "id"}.get(
            type(node)
        )
        if (
            name
            and getattr(node, name) in NAMES
            and ast.unparse(node) != "trust_remote_code=False"
        ):
            found.append(getattr(node, name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            if not any(
                k.arg == "weights_only" and getattr(k.value, "value", None) is True
                for k in node.keywords
            ):
                found.append("torch.load without weights_only")
    return found


def test_nothing_loads_what_could_run(fault):
    for bad in (
        "import pickle",
        "from joblib import load",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "A.from_pretrained(f, trust_remote_code=True)",
    ):
        assert untrusting(bad), bad
    assert not untrusting(
        "torch.load(f, weights_only=True)\nA.from_pretrained(f, trust_remote_code=False)"
    )
    read, found = 0, {}
    for folder in ("helpers", "notebooks", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if ".ipynb_checkpoints" in path.parts or path.suffix not in (
                ".py",
                ".ipynb",
            ):
                continue
            code = path.read_text(encoding="utf-8")
            if path.suffix == ".ipynb":
                cells = [
                    c["source"]
                    for c in json.loads(code)["cells"]
                    if c["cell_type"] == "code"
                ]
                code = "\n".join(
                    line
                    for cell in cells
                    for line in "".join(cell).splitlines()
                    if not line.lstrip().startswith(("%", "!"))
                )
            read += 1
            if bad := untrusting(code):
                found[path.name] = bad
    assert read > 40 and not found
    fault(
        "a pickle, or code from a model's repository, loaded anywhere in this project",
        "none is",
    )


SCRIPT, IMAGE = (
    "<script>window.planted = 1</script>",
    '<img src="x" onerror="window.planted = 2">',
)
SHOW = """
import pandas as pd
from IPython.display import HTML, display
from helpers import config, data, likelihood, models, plots
docs = data.documents("neurips").to_pandas()
display(docs.head(30))
display(pd.DataFrame([{"source": data.provenance("neurips")["source"], "model": config.base().label}]))
display(data.evaluation_strings(n=5))
table = likelihood.token_log_probs(models.load("tiny"), docs.text[0][:120])
whole = pd.DataFrame({"token": [docs.text[0][:120]], "log_prob": [-1.0], "rank": [1]})
plots.token_strip({"tiny": table, "<b onclick=planted()>": whole})
"""


@pytest.mark.browser
def test_text_shown_as_html_stays_text(corpus, page, tmp_path, monkeypatch, fault):  # noqa: F811
    """Scripts in titles, abstracts, a model's tokens and the corpus's own name, in an executed notebook's page."""
    from nbconvert import HTMLExporter

    name = "<img src=x onerror=window.planted=3>.csv"
    corpus(
        name,
        table(
            title=f"{SCRIPT}{IMAGE}",
            abstract=[f"{SCRIPT} {IMAGE} {t}" for t in LONG * 2],
        ),
    )
    control = "display(HTML(\"<b id=control onclick=1>shown</b><img src=y onerror='window.control = 1'>\"))"

    def opened(code):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        ).execute()
        path = tmp_path / "executed.html"
        path.write_text(
            HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8"
        )
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        page.wait_for_timeout(1000)
        return page.locator(".jp-OutputArea-output")

    page.context.route(re.compile("^https?:"), lambda route: route.abort())
    shown = opened(SHOW)
    assert page.evaluate("window.planted") is None
    said = " ".join(shown.all_inner_texts())
    assert (
        SCRIPT in said
        and IMAGE in said
        and name in said
        and "<b onclick=planted()>" in said
    )
    assert (
        page.locator(
            ".jp-OutputArea-output script, .jp-OutputArea-output [onerror], [onclick]"
        ).count()
        == 0
    )
    opened("from IPython.display import HTML, display\n" + control)
    assert page.evaluate("window.control") == 1  # or this test could not have seen it

    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    scores = submission.read_scores(ROOT / "submission" / "likelihoods.csv")
    page.goto(plots.write_html(scores, f"abstracts: {name} {SCRIPT}").as_uri())
    page.locator("#figure svg").wait_for()
    assert page.evaluate("window.planted") is None and name in page.inner_text("body")
    assert html.escape(name) in (tmp_path / "histograms.html").read_text(
        encoding="utf-8"
    )
    fault(
        "scripts and image handlers in a corpus, its file's name and a model's tokens, shown as HTML in Chromium",
        "shown as text; none ran",
    )


def test_jupyterlab_as_make_starts_it_is_closed_to_others(tmp_path, fault):
    """The command of `make lab`, with a free port and no window: loopback only, and nothing without the token."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = re.search(r"\$\(PY\) (-m jupyter lab.*)$", makefile, re.M)[1].split()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "notebooks").mkdir()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JUPYTER_")
    }
    process = subprocess.Popen(
        [
            sys.executable,
            *command,
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.port_retries=0",
        ],
        cwd=tmp_path,
        env=env | {"JUPYTER_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.time() + 60
        while (
            not (found := list(tmp_path.glob("jpserver-*.json"))) and time.time() < end
        ):
            time.sleep(0.2)
        facts = json.loads(found[0].read_text())
        assert (
            facts["hostname"] in ("localhost", "127.0.0.1")
            and len(facts["token"]) >= 32
        )
        address = f"http://127.0.0.1:{port}/api/contents"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, timeout=10)
        assert refused.value.code == 403
        assert (
            urllib.request.urlopen(
                f"{address}?token={facts['token']}", timeout=10
            ).status
            == 200
        )
        fault("JupyterLab from `make lab`, asked without its token", refused.value)
        listening = {
            c.laddr.ip
            for c in psutil.Process(process.pid).net_connections()
            if c.status == psutil.CONN_LISTEN
        }
        assert listening and listening <= {"127.0.0.1", "::1"}
        fault(
            "JupyterLab from `make lab`, from another machine",
            "no connection: it listens on loopback only",
        )
    finally:
        process.terminate()
        process.wait(20)
