"""A file of texts, scored: its table, stopped and gone on with, on two processes."""

import io
import json
import math
import multiprocessing
import os
import runpy
import signal
import sys

import pandas as pd
import pytest
import torch

from helpers import config, likelihood, models, ood, score
from helpers.engine import folders, terminal

LONG = "Of every sentence that she wrote, the last was the best. " * 12  # three windows
LINES = ["A plain text.", "", "NA", "007", "  spaces ", "Ça va 😀", 'a "b", c', LONG]
TEXTS = [*LINES, "two\nlines, and a comma", "one\r\nfrom Windows", "2020-01-01"]


@pytest.fixture(autouse=True)
def runs(monkeypatch, tmp_path):
    """A folder for this test's models; there are none in it yet."""
    monkeypatch.setattr(config, "runs", lambda: tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """The program with these arguments, and the bytes of its table."""
    out = tmp_path / "table.csv"

    def call(*arguments):
        argv = ["score", *map(str, arguments), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", argv)
        score.main()
        return out.read_bytes()

    return call


@pytest.fixture
def tuned(runs):
    """Two models as if fine-tuned: the tiny one, each with other weights."""
    for i, domain in enumerate(config.DOMAINS):
        lm = models.load("tiny")
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(i)
            for weights in lm.model.parameters():
                weights += 0.05 * torch.randn_like(weights)
        base = {"label": "tiny"}
        folders.save(lm.model, lm.tokenizer, runs / "models" / domain, base=base)


def in_a_process(target, *arguments):
    """Run a function in a process of its own; the status with which it ends."""
    if os.name == "nt":
        pytest.skip("Windows has no fork server")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["helpers.score"])  # imports once
    process = server.Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def table(text: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(text))


def write(path, texts, column="text"):
    """A file of texts, of the kind that its name says."""
    frame = pd.DataFrame({"id": range(len(texts)), column: texts})
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        rows = frame.to_dict("records")
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_bytes("".join(lines).encode())
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_bytes("".join(text + "\n" for text in texts).encode())
    return path


def expected(texts, which="base", tuned=False):
    """The table, by the functions that the notebooks call."""
    lms = {name: models.load(name) for name in config.MODELS if tuned or name == "base"}
    strings = pd.DataFrame({"text_id": range(len(texts)), "domain": "", "text": texts})
    scores = likelihood.score_table(lms, strings)
    made = likelihood.score(lms[which], texts)
    made.insert(0, "row", range(1, len(texts) + 1))
    bits = [
        likelihood.bits_per_byte(made[i : i + 1]) if text else math.nan
        for i, text in enumerate(texts)
    ]
    wide = ood.wide(scores)
    made["bits_per_byte"] = bits
    made["ratio"] = (wide[which] - wide["base"]).to_numpy()
    made["posterior"] = ood.domain_posterior(scores).to_numpy() if tuned else math.nan
    return made


def same(text, wanted):
    pd.testing.assert_frame_equal(table(text), wanted, rtol=0, atol=5.1e-5)


# ---- what is in the table


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet", ".txt"])
def test_every_kind_of_file_gives_what_the_notebooks_compute(
    ending, run, tmp_path, capsys
):
    texts = LINES if ending == ".txt" else TEXTS
    made = run(write(tmp_path / f"my [texts]{ending}", texts))
    same(made, expected(texts))
    first, empty, *_ = made.decode().splitlines()[1:]
    assert first.split(",")[:4] == ["1", "13", "13", "13"]
    assert first.split(",")[6:] == ["0.0000", ""], "of the base to itself; none is made"
    assert empty == "2,0,0,0,0.0000,,0.0000,"
    said = capsys.readouterr().out
    assert said.count("profile smoke") == 1
    assert said.count("The column posterior stays empty. No model fine-tuned on") == 1


@pytest.mark.parametrize("which", config.MODELS)
def test_ratio_and_posterior(which, run, tuned, tmp_path, monkeypatch, capsys):
    wanted, loaded, load = expected(LINES, which, True), [], models.load
    monkeypatch.setattr(models, "load", lambda name: loaded.append(name) or load(name))
    same(run(write(tmp_path / "texts.txt", LINES), "--model", which), wanted)
    assert sorted(loaded) == sorted(config.MODELS), "each is loaded once"
    assert wanted.posterior.std() > 0.01
    assert (wanted.ratio.abs().max() > 1) == (which != "base")
    assert "posterior" not in capsys.readouterr().out


def test_the_base_by_another_name_is_scored_once(run, tmp_path, monkeypatch):
    path, scored, real = write(tmp_path / "texts.txt", LINES), [], likelihood.score
    made = run(path)

    def counted(lm, *rest, **options):
        scored.append(lm.name)
        return real(lm, *rest, **options)

    monkeypatch.setattr(likelihood, "score", counted)
    assert run(path, "--model", "tiny") == made
    assert scored == ["base"]


def test_a_model_in_a_folder(run, tuned, runs, tmp_path):
    path = write(tmp_path / "texts.txt", LINES)
    made = run(path, "--model", "neurips")
    assert run(path, "--model", runs / "models" / "neurips") == made


def test_without_a_name_the_table_lies_beside_the_file(tmp_path, monkeypatch):
    path = write(tmp_path / "texts.txt", LINES)
    monkeypatch.setattr(sys, "argv", ["score", str(path)])
    score.main()
    same((tmp_path / "texts.scores.csv").read_bytes(), expected(LINES))


# ---- what a file may hold

COLUMNS = {
    "both": ({"text": ["t", "tt"], "abstract": ["a", ""]}, ["a", ""]),
    "an abstract without text": ({"text": ["t", "tt"], "abstract": ["", ""]}, 0),
    "an abstract, all missing": ({"text": ["t", "tt"], "abstract": [None] * 2}, 0),
    "a text beside numbers": ({"id": [1, "x"], "text": ["t", "tt"]}, ["t", "tt"]),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_the_abstract_if_it_has_text_and_else_the_text(what, run, tmp_path):
    columns, texts = COLUMNS[what]
    path = tmp_path / "texts.jsonl"
    pd.DataFrame(columns).to_json(path, orient="records", lines=True)
    assert table(run(path)).n_chars.tolist() == [*map(len, texts or ["t", "tt"])]


BOM = b"\xef\xbb\xbf"
READ = {
    "text with a mark and Windows' newlines": ("t.txt", BOM + b"a\r\n\r\nb", [1, 0, 1]),
    "text without a last newline": ("t.txt", b"a\nbc", [1, 2]),
    "CSV with a mark and Windows' newlines": (
        "t.csv",
        BOM + b'text,id\r\n"a\r\nb, ""c""",1\r\nNA,2\r\n,3\r\n',
        [9, 2, 0],
    ),
    "CSV of numbers": ("t.csv", b"text\n1.50\n1e5\n", [4, 3]),
    "CSV of one column and empty texts": ("t.csv", b'text\na\n""\n', [1, 0]),
    "JSON Lines with a mark": ("t.jsonl", BOM + b'{"text": "a"}\r\n', [1]),
    "JSON Lines with escapes": ("t.jsonl", b'{"text": "\\ud83d\\ude00\\n"}\n', [2]),
    "an ending in capitals": ("T.TXT", b"a\n", [1]),
}


@pytest.mark.parametrize("what", READ)
def test_a_text_is_read_as_it_stands(what, run, tmp_path, fault):
    name, content, lengths = READ[what]
    (tmp_path / name).write_bytes(content)
    assert table(run(tmp_path / name)).n_chars.tolist() == lengths
    fault(f"a file to score: {what}", "is read as it stands")


def test_a_long_file_is_read_to_its_end_as_it_began(tmp_path):
    """The JSON reader of datasets would make 5 a text, and quote its neighbours."""
    rows = [{"text": "word " * 200, "n": i} for i in range(12_000)]  # 12 MB
    later = [{"text": "2020-01-01", "n": "x"}] * 3
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows + later))
    assert [row["text"] for row in score.rows(path)][-4:] == [
        rows[0]["text"],
        *["2020-01-01"] * 3,
    ]


REFUSED = {  # what it is: its name, what it holds, what the error says
    "a number": (
        "t.jsonl",
        b'{"text": "a"}\n{"text": 5}\n',
        "no text in row 2 of text",
    ),
    "null": ("t.jsonl", b'{"text": "a"}\n{"text": null}\n', "no text in row 2 of text"),
    "a row without it": ("t.jsonl", b'{"text": "a"}\n{}\n', "no text in row 2 of text"),
    "a list": ("t.jsonl", b'{"text": ["a"]}\n', "no text in row 1 of text"),
    "a broken row": ("t.jsonl", b'{"text": "a"}\n{"tex', "row 2 is no JSON object"),
    "a row that is no object": ("t.jsonl", b'"a"\n', "row 1 is no JSON object"),
    "another column": ("t.csv", b"title\na\n", "no text under 'abstract' or 'text'"),
    "no rows": ("t.csv", b"text\n", "no text under 'abstract' or 'text'"),
    "nothing": ("t.txt", b"", "no text under 'abstract' or 'text'"),
    "no header": ("t.csv", b"", "No columns to parse"),
    "a comma unquoted in row 1": (
        "t.csv",
        b"id,text\n1,a, b\n",
        "row 1 has more fields",
    ),
    "a comma unquoted later": ("t.csv", b"id,text\n1,a\n2,b, c\n", "fields in line 3"),
    "a quotation mark left open": ("t.csv", b'text\na\n"b\n', "EOF inside string"),
    "Latin-1": ("t.csv", "text\né\n".encode("latin-1"), "'utf-8' codec can't decode"),
    "no Parquet": ("t.parquet", b"PAR1", "Parquet file size is 4 bytes"),
    "another ending": ("t.pdf", b"a\n", "t.pdf ends in none of .csv, .jsonl"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_scored_is_refused_before_a_model_is_loaded(
    what, run, tmp_path, monkeypatch, capsys, fault
):
    name, content, words = REFUSED[what]
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(models, "load", None)
    with pytest.raises(Exception, match=words) as caught:
        run(tmp_path / name)
    assert capsys.readouterr().err == "", "the error alone speaks"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    fault(f"a file to score with {what}", caught.value)


@pytest.mark.parametrize("value", [5, None])
def test_what_is_no_text_in_parquet_is_refused(value, run, tmp_path, fault):
    texts = [value] * 2 if value else ["a", value]
    path = write(tmp_path / "t.parquet", texts)
    with pytest.raises(ValueError, match=r"no text in row [12] of text") as caught:
        run(path)
    fault(f"a Parquet file to score with {value}", caught.value)


def test_a_file_that_is_not_there(run, tmp_path, fault):
    for ending in (".csv", ".jsonl", ".parquet", ".txt"):
        with pytest.raises(FileNotFoundError, match="nonesuch") as caught:
            run(tmp_path / f"nonesuch{ending}")
    fault("a file to score that is not there", caught.value)


def test_a_model_that_is_not_there(run, tmp_path, fault):
    path = write(tmp_path / "texts.txt", LINES)
    with pytest.raises(ConnectionError, match="no file or folder 'no/such' is here"):
        run(path, "--model", "no/such")
    with pytest.raises(FileNotFoundError, match="helpers.finetune neurips") as caught:
        run(path, "--model", "neurips")
    fault("a file scored under a model not yet made", caught.value)


@pytest.mark.parametrize("out", ["texts.txt", "folder", "no/such.csv"])
def test_a_table_that_cannot_be_written(out, tmp_path, fault):
    path = write(tmp_path / "texts.txt", LINES)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="give another name as --out") as caught:
        score.score_file(path, "base", tmp_path / out)
    assert path.read_text(encoding="utf-8").splitlines() == LINES
    fault(f"a table of scores named {out}", caught.value)


def program(arguments, said):
    """The program as a terminal starts it; what it says goes to the file `said`."""
    sys.argv = ["score", *arguments]
    with open(said, "w") as sys.stderr:
        try:
            runpy.run_path(score.__file__, run_name="__main__")
        except Exception:
            sys.excepthook(*sys.exc_info())


def test_an_error_is_said_in_three_lines(tmp_path):
    said = tmp_path / "said"
    assert in_a_process(program, ["nonesuch.csv"], said) == 1
    first, *rest = said.read_text(encoding="utf-8").splitlines()
    assert first.startswith("FileNotFoundError: ") and "nonesuch.csv" in first
    assert rest == [terminal.AGAIN, "The whole traceback: runs/error.txt"]


# ---- stopped, and gone on with; several processes

MANY = [f"{i} " + "ab " * (i % 7) for i in range(600)]  # two units, and a part of one


def doomed(path, folder, rows, size):
    """The program, killed once the table has `rows`, at `size` bytes more than them."""
    config.runs = lambda: folder
    real = pd.DataFrame.to_csv

    def deadly(frame, file, **options):
        if frame["row"].iloc[0] == rows + 1:
            with open(file, "ab") as unfinished:
                unfinished.write(real(frame, **options | {"mode": "w"}).encode()[:size])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(frame, file, **options)

    pd.DataFrame.to_csv = deadly
    score.score_file(path, "base", path.with_name("table.csv"))


KILLS = {  # what: rows that are whole, bytes after them, where it goes on
    "in the middle of the header": (0, 7, 0),
    "in the middle of the first unit": (0, 1_000, 0),
    "between two units": (256, 0, 256),
    "in the middle of a line": (256, 1_010, 256),
    "before the last line of a unit ends": (256, -1, 256),
    "after its last row": (512, None, 512),
}


@pytest.mark.parametrize("what", KILLS)
def test_a_killed_run_goes_on_and_ends_the_same(
    what, run, tmp_path, monkeypatch, fault
):
    rows, size, goes_on = KILLS[what]
    path = write(tmp_path / "texts.txt", MANY)
    whole = run(path)
    (tmp_path / "table.csv").unlink()
    ended = in_a_process(doomed, path, tmp_path / "runs", rows, size)
    assert ended == -signal.SIGKILL
    (unfinished,) = tmp_path.glob(".unfinished-*-table.csv")
    begun = unfinished.read_bytes()
    assert begun and whole.startswith(begun)

    scored, real = [], likelihood.score

    def counted(lm, texts, **options):
        scored.extend(texts)
        return real(lm, texts, **options)

    monkeypatch.setattr(likelihood, "score", counted)
    assert run(path) == whole
    assert scored == MANY[goes_on:]
    assert {path.name for path in tmp_path.iterdir()} == {"texts.txt", "table.csv"}
    fault(f"scoring killed {what}", f"goes on after row {goes_on}; the same table")


def test_a_table_of_other_texts_or_of_another_model_is_begun_anew(
    run, tuned, tmp_path, monkeypatch, fault
):
    real, units = score.table, []

    def stopped(*arguments):
        units.append(arguments)
        if len(units) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    path = write(tmp_path / "texts.txt", MANY[:300])
    with monkeypatch.context() as patch:
        patch.setattr(score, "table", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(path)
    assert len([*tmp_path.glob(".unfinished-*")]) == 1
    made = run(path, "--model", "neurips")
    same(made, expected(MANY[:300], "neurips", True))
    changed = ["another text", *MANY[1:300]]
    same(run(write(path, changed)), expected(changed, tuned=True))
    fault("scoring gone on with after the texts or the model changed", "begins anew")


def test_two_processes_give_what_one_gives(run, tmp_path, on_two_processes):
    one = run(write(tmp_path / "texts.txt", MANY))
    said = on_two_processes("helpers.score texts.txt --out two.csv")
    assert (tmp_path / "two.csv").read_bytes() == one
    assert said.count("profile smoke") == 1
    assert said.count("The column posterior stays empty.") == 1
