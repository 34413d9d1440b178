"""Corpora that someone brings: what is refused, what is read, what is said of it."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import regression
from huggingface_hub import constants

from helpers import config, data
from helpers.engine import corpora, files, hub, paperlists

# Twenty documents, each long enough that every split holds what the series needs.
LONG = [
    f"Document {i}. " + " ".join(f"word{i}x{j}" for j in range(250)) for i in range(20)
]
POEMS = [  # of two stanzas, the second the longer
    "\n\n".join(
        "\n".join(f"poem{i}x{v} walks by the river, verse on verse," for v in stanza)
        for stanza in (range(15), range(15, 60))
    )
    for i in range(20)
]


# ---- how the files are written


def table(**columns):
    return lambda path: pd.DataFrame(columns).to_csv(path, index=False)


def lines(**columns):
    how = {"orient": "records", "lines": True}
    return lambda path: pd.DataFrame(columns).to_json(path, **how)


def parquet(**columns):
    return lambda path: pyarrow.parquet.write_table(pyarrow.table(columns), path)


def text(content, encoding="utf-8"):
    return lambda path: path.write_bytes(content.encode(encoding))


def raw(content):
    return lambda path: path.write_bytes(content)


def rows(*more, header="title,abstract", end=""):
    """A CSV file of LONG with these rows before the last document."""
    good = [f"Paper {i},{document}{end}" for i, document in enumerate(LONG)]
    return text("\n".join([header, *good[:-1], *more, good[-1]]))


FRENCH = "abstract\n" + "\n".join("élève " * 40 + str(i) for i in range(20))
ALIKE = " ".join(f"same{j}" for j in range(20)) + " "
SHORT = [document[:330] for document in LONG]
NOT_UTF8 = "it is not UTF-8 text"
NO_TEXT = "has no text under 'abstract' or 'text'"
TOO_FEW = "at least 10"
TOO_LITTLE = "strings of 100 characters, and the series needs 21"
REFUSED = {  # what it is: its name, how it is written, what the error says
    "a CSV in Latin-1": ("c.csv", text(FRENCH, "latin-1"), NOT_UTF8),
    "a text file in Latin-1": ("c.txt", text(FRENCH, "latin-1"), NOT_UTF8),
    "a CSV in UTF-16": ("c.csv", text(FRENCH, "utf-16"), NOT_UTF8),
    "an empty CSV": ("c.csv", text(""), "c.csv has no text under 'abstract'"),
    "an empty JSON Lines file": ("c.jsonl", text(""), "Empty JSON file"),
    "an empty Parquet file": ("c.parquet", text(""), "c.parquet cannot be read"),
    "an empty text file": ("c.txt", text(""), NO_TEXT),
    "a text file of blank lines": ("c.txt", text("\n\n\n"), NO_TEXT),
    "a CSV with a header and no rows": ("c.csv", text("title,abstract\n"), NO_TEXT),
    "a CSV whose abstracts are all missing": (
        "c.csv",
        table(title="t", abstract=[None] * 20),
        NO_TEXT,
    ),
    "a CSV of numbers": ("c.csv", table(abstract=range(20)), TOO_FEW),
    "one document": ("c.csv", table(abstract=LONG[:1]), TOO_FEW),
    "one document, twenty times": (
        "c.csv",
        table(abstract=LONG[:1] * 20),
        "1 documents; left out: 19 repeated",
    ),
    "a CSV without the column": (
        "c.csv",
        table(title="t", summary=LONG),
        "its columns: title, summary",
    ),
    "a CSV of fifty other columns": (
        "c.csv",
        table(**{f"a column {i} ": ["x"] for i in range(50)}),
        "its columns: a column 0 , a column 1 , ",
    ),
    "a CSV without a header": (
        "c.csv",
        text("\n".join(LONG)),
        "its columns: Document 0. word0x0",
    ),
    "a CSV with an unquoted comma in one row": (
        "c.csv",
        rows("Paper,half a text, and the other half"),
        "line 21: 3 fields, the header 2; commas part fields",
    ),
    "a CSV with an unquoted comma in every row": (
        "c.csv",
        rows(end=", and more"),
        "line 2: 3 fields, the header 2",
    ),
    "a CSV with a comma at the end of every row": (
        "c.csv",
        rows(end=","),
        "line 2: 3 fields, the header 2",
    ),
    "a CSV with a comma too many in one row": (
        "c.csv",
        rows("Paper,text,"),
        "line 21: 3 fields",
    ),
    "a CSV with a field too few": ("c.csv", rows("text"), "line 21: 1 fields"),
    "a CSV with two columns of one name": (
        "c.csv",
        rows(header="abstract,abstract"),
        "two columns have one name",
    ),
    "a CSV with an open quotation mark": (
        "c.csv",
        rows('Paper,"a text'),
        "unexpected end of data; commas part fields",
    ),
    "a CSV with backslashes before quotation marks": (
        "c.csv",
        rows('Paper,"the \\"word\\" itself"'),
        "line 21: ',' expected after '\"'; commas part fields",
    ),
    "semicolons between fields": (
        "c.csv",
        rows(header="title;abstract"),
        "line 2: 2 fields, the header 1; commas part fields",
    ),
    "tabs between fields": (
        "c.csv",
        rows(header="title\tabstract"),
        "line 2: 2 fields, the header 1; commas part fields",
    ),
    "JSON Lines that are not JSON": (
        "c.jsonl",
        text(json.dumps({"text": LONG[0]}) + "\n{'abstract': 'x'}\n"),
        "c.jsonl cannot be read as .jsonl: JSON parse error: Missing a name",
    ),
    "JSON Lines of bare strings": (
        "c.jsonl",
        text('"a"\n"b"\n'),
        "changed from object to string in row 0",
    ),
    "a JSON array called .jsonl": (
        "c.jsonl",
        text(json.dumps([{"text": document} for document in LONG])),
        "changed from object to array in row 0",
    ),
    "the same, over many lines": (
        "c.jsonl",
        text(json.dumps([{"text": document} for document in LONG], indent=1)),
        "changed from object to array in row 0",
    ),
    "half a surrogate pair": ("c.jsonl", text('{"text": "\\ud800"}'), "surrogate pair"),
    "lists of words": (
        "c.jsonl",
        lines(abstract=[document.split() for document in LONG]),
        "Column(/abstract) changed from string to array",
    ),
    "objects": (
        "c.jsonl",
        lines(text=[{"en": "x"}] * 20),
        "(/text) changed from string to object",
    ),
    "numbers": (
        "c.jsonl",
        lines(text=range(20)),
        "(/text) changed from string to number",
    ),
    "bytes": (
        "c.parquet",
        parquet(abstract=[document.encode() for document in LONG]),
        "its column 'abstract' holds bytes, not text",
    ),
    "a folder": ("papers", Path.mkdir, "papers: a corpus is a file"),
    "a folder called CSV": ("c.csv", Path.mkdir, "c.csv: a corpus is a file"),
    "a zip that is not one": ("c.zip", text("PK not a zip"), "a corpus is a file"),
    "a zip called CSV": (
        "c.csv",
        raw(b"PK\x03\x04\x14\0\0\0\x08\0\xff\xfe" + bytes(99)),
        "c.csv",
    ),
    "text called Parquet": (
        "c.parquet",
        text("abstract\n"),
        "c.parquet cannot be read",
    ),
    "a pickle": ("c.pkl", text("cos\nsystem\n"), "a corpus is a file"),
    "documents that all begin with the same sentence": (
        "c.csv",
        table(abstract=[ALIKE + document for document in LONG]),
        "share 15 words with a held-out one are left out",
    ),
    "ten documents of forty words": ("c.csv", table(text=SHORT[:10]), TOO_LITTLE),
    "twenty documents of forty words": ("c.csv", table(text=SHORT), TOO_LITTLE),
    "documents of words without an end": (
        "c.csv",
        table(text=[("x" * 9000 + " ") * 31 + str(i) for i in range(20)]),
        TOO_LITTLE,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_corpus_that_cannot_be_used_is_refused_in_one_line(corpus, what, fault):
    name, write, message = REFUSED[what]
    corpus(name, write)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        data.splits("neurips")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    fault(f"AR_NEURIPS: {what}", caught.value)


def test_a_corpus_that_may_not_be_read(corpus, monkeypatch, fault):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied", "/home/someone/c.csv")

    corpus("c.csv", table(text=LONG))
    monkeypatch.setitem(corpora.READERS, ".csv", forbidden)
    said = "^c.csv cannot be read as .csv: Permission denied.$"
    with pytest.raises(ValueError, match=said) as caught:
        data.documents("neurips")
    fault("AR_NEURIPS: a file that may not be read", caught.value)


START, END = "<|startoftext|>", "<|endoftext|>"
TAKEN = {  # what it is: its name, how it is written, its documents, what is said of it
    "UTF-8 with a byte-order mark": (
        "c.csv",
        text("\ufeffabstract\n" + "\n".join(LONG)),
        LONG,
        "",
    ),
    "a text file with Windows line ends": (
        "c.txt",
        text("\r\n\r\n".join(LONG)),
        LONG,
        "",
    ),
    "a CSV with the line ends of old Macs": (
        "c.csv",
        text("title,text\r" + "\r".join(f"t,{document}" for document in LONG)),
        LONG,
        "",
    ),
    "blank lines between rows, some with spaces": (
        "c.csv",
        rows("", "   ", ""),
        LONG,
        "",
    ),
    "every document twice": (
        "c.csv",
        table(abstract=LONG * 2),
        LONG,
        ": 20 documents; left out: 20 repeated",
    ),
    "titles that are numbers, or missing": (
        "c.csv",
        table(title=[*range(19), None], abstract=LONG),
        LONG,
        "",
    ),
    "a few empty and short abstracts": (
        "c.csv",
        table(title="t", abstract=[*LONG, None, "", "too short"]),
        LONG,
        ": 20 documents; left out: 2 without text, 1 of 30 words or fewer",
    ),
    "text under `text` where `abstract` is empty": (
        "c.csv",
        table(abstract=[None] * 20, text=POEMS),
        POEMS,
        "",
    ),
    "an ending in capitals": ("C.CSV", table(abstract=LONG), LONG, ""),
    "null characters and emoji": (
        "c.jsonl",
        lines(abstract=[document + " \x00 \U0001f3ad" for document in LONG]),
        [document + " \x00 \U0001f3ad" for document in LONG],
        "",
    ),
    "a quarter of a million characters in one document": (
        "c.csv",
        table(text=[*LONG, ("word " * 50_000).strip()]),
        [*LONG, ("word " * 50_000).strip()],
        "",
    ),
    "three million characters in one document": (
        "c.jsonl",
        lines(text=[("word " * 600_000).strip(), *LONG]),
        [("word " * 600_000).strip(), *LONG],
        "",
    ),
    "quotation marks and commas in quotation marks": (
        "c.csv",
        table(text=[f'"{document}", she said' for document in LONG]),
        [f'"{document}", she said' for document in LONG],
        "",
    ),
    "categories": (
        "c.parquet",
        parquet(text=pyarrow.array(POEMS).dictionary_encode()),
        POEMS,
        "",
    ),
    "a Parquet file whose text was an index": (
        "c.parquet",
        lambda path: pd.DataFrame(
            {"n": 1}, index=pd.Index(LONG, name="text")
        ).to_parquet(path),
        LONG,
        "",
    ),
    "poems in a CSV": ("c.csv", table(text=POEMS), POEMS, ""),
    "poems in a CSV with Windows line ends": (
        "c.csv",
        table(text=[poem.replace("\n", "\r\n") for poem in POEMS]),
        POEMS,
        "",
    ),
    "poems with two blank lines between them": (
        "c.txt",
        text("\n\n\n".join(POEMS)),
        POEMS,
        "",
    ),
    "two blank lines by chance": (
        "c.txt",
        text("\n\n".join(LONG[:10]) + "\n\n\n" + "\n\n".join(LONG[10:])),
        LONG,
        "",
    ),
    "a text file with markers and blank lines": (
        "c.txt",
        text("\n\n".join(f"{START}{poem}{END}" for poem in POEMS)),
        POEMS,
        "",
    ),
    "a text file with markers alone": (
        "c.txt",
        text(END.join(POEMS)),
        POEMS,
        "",
    ),
    "Llama's markers on lines of their own": (
        "c.txt",
        text("\n</s>\n<s>\n".join(POEMS)),
        POEMS,
        "",
    ),
    "HTML that strikes words through": (
        "c.txt",
        text("\n\n".join(f"<s>old</s> {document}" for document in LONG)),
        [f"<s>old</s> {document}" for document in LONG],
        "",
    ),
    "markers at the ends of a table's texts": (
        "c.jsonl",
        lines(text=[f"{START}{poem}\n{END}" for poem in POEMS]),
        POEMS,
        "",
    ),
    "a text that speaks of a marker": (
        "c.csv",
        table(text=[*LONG[1:], f"{LONG[0]} The token {END} ends it."]),
        [*LONG[1:], f"{LONG[0]} The token {END} ends it."],
        "",
    ),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_corpus_that_only_looks_bad_is_read(corpus, what, fault):
    name, write, documents, said = TAKEN[what]
    corpus(name, write)
    assert data.documents("neurips")["text"][:] == documents
    assert data.provenance("neurips")["source"] == name + said
    assert sum(map(len, data.splits("neurips").values())) <= len(documents)
    fault(f"AR_NEURIPS: {what}", f"read: {len(documents)} documents{said}")


def test_abstracts_are_prose_on_one_line(corpus):
    prose = [document.replace(" word", "\r\n word") for document in LONG]
    corpus("c.jsonl", lines(abstract=prose))
    assert data.documents("neurips")["text"][:] == LONG


def test_what_is_just_long_enough_fills_a_block_of_the_classroom(corpus):
    """At 8 characters a token, and under the smoke profile too."""
    words = [f"a{i:03d}b{j:04d}" for i in range(10) for j in range(500)]
    texts = [" ".join(words[500 * i : 500 * i + 245]) for i in range(10)]
    corpus("c.csv", table(text=texts))
    parts = data.splits("neurips")
    assert min(sum(map(len, part["text"])) for part in parts.values()) >= 8 * 256


PINNED = "6f10216da3769bec6935c25d23cb428ceef329eca879b61a24c31e5fe84aaf9c"


def test_the_packaged_collection_is_what_it_was(monkeypatch):
    monkeypatch.setenv("AR_NEURIPS", "packaged")
    facts = data.provenance("neurips")
    assert facts["sha256"] == PINNED and facts["documents"] == 216
    assert facts["source"] == data.PACKAGED


# ---- papercopilot/paperlists, from a server of our own

CONTENTS = {
    f"nips{2010 + i}.json": [
        {"title": f"Paper {i} of {n}", "abstract": f"{document}\n", **more}
        for n, document in enumerate(LONG[10 * i : 10 * i + 10])
    ]
    for i, more in enumerate(({"site": "x"}, {"oa": None, "id": 7}))
}
COMMIT = config.REVISIONS["paperlists"]


@pytest.fixture
def paperlists_at(monkeypatch, tmp_path):
    """A folder that is served in place of the repository at its commit.

    It holds CONTENTS; that is what is listed, too.
    """
    folder = tmp_path / "served" / COMMIT / "nips"
    folder.mkdir(parents=True)
    for name, papers in CONTENTS.items():
        (folder / name).write_text(json.dumps(papers))
    listed = [f"{files.digest(folder / name)}  nips/{name}\n" for name in CONTENTS]
    (tmp_path / "listed.txt").write_text("".join(listed))

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "served")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(paperlists, "ADDRESS", address)
    monkeypatch.setattr(paperlists, "LISTED", tmp_path / "listed.txt")
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setenv("AR_NEURIPS", "paperlists")
    data._documents.cache_clear()
    yield folder
    data._documents.cache_clear()
    server.shutdown()


def test_paperlists_is_fetched_once_and_kept_in_one_file(paperlists_at, capfd, fault):
    documents = data.documents("neurips")
    assert "Fetching NeurIPS abstracts, once" in capfd.readouterr().err
    assert documents["text"][:] == LONG
    assert data.provenance("neurips")["source"] == data.PAPERLISTS + COMMIT[:7]
    (kept,) = (config.ROOT / "runs").iterdir()
    assert kept.name == "paperlists.parquet"
    assert pd.read_parquet(kept).year.tolist() == [2010] * 10 + [2011] * 10

    data._documents.cache_clear()
    shutil.rmtree(paperlists_at)
    assert data.documents("neurips")["text"][:] == LONG
    fault("AR_NEURIPS=paperlists, the network gone after the first run", "read as kept")


def other_bytes(folder):
    (folder / "nips2011.json").write_text("<html>Please log in.</html>")


def one_file_gone(folder):
    (folder / "nips2011.json").unlink()


UNFETCHED = {
    "with a file that is another": (other_bytes, "nips2011.json .*arrived damaged"),
    "with a file that is gone": (one_file_gone, "404"),
}


@pytest.mark.parametrize("what", UNFETCHED)
def test_paperlists_that_is_not_what_is_listed(paperlists_at, tmp_path, what, fault):
    spoil, message = UNFETCHED[what]
    spoil(paperlists_at)
    with pytest.raises(hub.HubError, match=message) as caught:
        data.documents("neurips")
    refused_in_one_line(caught, tmp_path)
    fault(f"AR_NEURIPS=paperlists {what}", caught.value)


@pytest.mark.parametrize("offline", [True, False])
def test_paperlists_without_a_network(
    paperlists_at, tmp_path, monkeypatch, offline, fault
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr(paperlists, "ADDRESS", address)
        with pytest.raises(hub.HubError, match="could not be downloaded") as caught:
            data.documents("neurips")
    refused_in_one_line(caught, tmp_path)
    why = "HF_HUB_OFFLINE" if offline else "nobody at the address"
    fault(f"AR_NEURIPS=paperlists, {why}", caught.value)


def refused_in_one_line(caught, tmp_path):
    said = str(caught.value)
    assert "AR_NEURIPS=packaged" in said and "\n" not in said and len(said) < 300
    assert not (tmp_path / "runs" / "paperlists.parquet").exists()


def test_what_was_kept_of_paperlists_is_the_text_of_the_committed_run(monkeypatch):
    """Here too, where `AR_NEURIPS=paperlists` was used in this checkout."""
    if not (regression.ROOT / "runs" / "paperlists.parquet").exists():
        pytest.skip("runs/paperlists.parquet is not there: it was not fetched yet")
    monkeypatch.setattr(config, "ROOT", regression.ROOT)
    monkeypatch.setenv("AR_NEURIPS", "paperlists")
    facts = data.provenance("neurips")
    assert facts["documents"] == 3775
    assert facts["sha256"].startswith("c3dff2c6d65fdc13789854a6defe29bc")


# ---- large

BIG = """
import resource
from helpers import data, strings
documents = sum(map(len, data.splits("neurips").values()))
count = len(strings.evaluation_strings())
print(documents, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs getrusage")
def test_a_corpus_of_200_megabytes(tmp_path, fault):
    rng, path, written, rows = random.Random(0), tmp_path / "big.csv", 0, 0
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(40_000)]
    with path.open("w") as file:
        file.write("abstract\n")
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
    documents, count, megabytes = map(int, ran.stdout.split())
    assert documents == rows and count == 3 * config.profile().strings
    assert megabytes < 2_000
    said = "read, split and cut, in less than 2 GB of memory"
    fault("AR_NEURIPS: a CSV of 200 MB", said)
