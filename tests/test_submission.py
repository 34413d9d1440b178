"""What is written is what is read back, whole or not at all."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from helpers import config, submission
from helpers.engine import files


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path / "submission")
    return tmp_path / "submission"


@pytest.fixture
def scores():
    return pd.DataFrame(
        {
            "text_id": ["random:0:0", "hamlet:é:3"],
            "domain": ["random", "shakespeare"],
            "model": ["base", "base"],
            "n_chars": [100, 100],
            "n_bytes": [100, 102],
            "n_tokens": [62, 30],
            "log_likelihood": [-431.25, -151.5],
        }
    )


def test_scores_come_back(folder, scores):
    submission.write_scores(scores.assign(text="not to be kept"))
    again = submission.read_scores()
    assert again[list(submission.SCORE_COLUMNS)].equals(scores)
    assert again.nats_per_token.tolist() == pytest.approx([-431.25 / 62, -151.5 / 30])
    assert again.bits_per_byte[0] == pytest.approx(431.25 / 100 * 1.4427, abs=1e-3)
    assert "not to be kept" not in (folder / "likelihoods.csv").read_text()


def test_no_scores_yet(folder, fault):
    with pytest.raises(FileNotFoundError, match="notebook 06") as caught:
        submission.read_scores()
    fault("reading scores before a run has written any", caught.value)


SPOILT = {
    "a column is missing": (lambda t: t.drop(columns="n_bytes"), "no n_bytes"),
    "there are no rows": (lambda t: t.iloc[:0], "no rows"),
    "a score is not a number": (
        lambda t: t.assign(log_likelihood=[1.0, float("nan")]),
        "Row 1 is no score: .*'log_likelihood': nan",
    ),
    "a number is a word": (
        lambda t: t.assign(log_likelihood=["likely", -1]),
        "Row 0 is no score: .*'likely'",
    ),
    "a text has no tokens": (
        lambda t: t.assign(n_tokens=[3, 0]),
        "Row 1 is no score: .*'n_tokens': 0",
    ),
    "the model has no name": (
        lambda t: t.assign(model=["base", None]),
        "Row 1 is no score: .*'model': (None|nan)",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_bad_table_is_named(scores, what, fault):
    spoil, message = SPOILT[what]
    with pytest.raises(ValueError, match=message) as caught:
        submission.add_rates(spoil(scores))
    fault(f"a table of scores in which {what}", caught.value)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = files.write_text(tmp_path / "a b é.txt", "old")
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_json_is_merged(folder):
    submission.update_json("metrics.json", a=1, b={"x": 1})
    path = submission.update_json("metrics.json", b=2, c="é")
    merged = json.loads(path.read_text(encoding="utf-8"))
    assert path.parent == folder and merged == {"a": 1, "b": 2, "c": "é"}


def test_what_json_does_not_have_becomes_null(folder):
    nan, inf = float("nan"), np.float64("inf")
    path = submission.update_json("metrics.json", a=[nan, {"b": inf}], c=np.float32(1))

    def refuse(name):
        raise AssertionError(name)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": [None, {"b": None}],
        "c": 1,
    }


DAMAGED = {"empty": "", "cut off": '{"a": [1, 2', "merge marks": "<<<<<<< HEAD\n{}\n"}
DAMAGED |= {"not UTF-8": b"\xff\xfe{}"}


@pytest.mark.parametrize("what", DAMAGED)
@pytest.mark.parametrize("name", ["metrics.json", "manifest.json"])
def test_a_damaged_json_file_is_begun_anew(folder, name, what, capsys, fault):
    submission.update_json(name, old=1)
    content = DAMAGED[what]
    content = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(content)
    path = submission.update_json(name, new=2)
    facts = json.loads(path.read_text())
    assert facts["new"] == 2 and "old" not in facts
    assert submission.mixed() == ""
    said = capsys.readouterr().out.splitlines()
    assert f"submission/{name} is damaged and is passed over." in said
    fault(f"{name}, {what}", said[0])


SPOILT_FILES = {
    "empty": lambda text: "",
    "without rows": lambda text: text.splitlines()[0] + "\n",
    "cut off in a number": lambda text: text[:-3],
    "cut off in a row": lambda text: text[:-25] + "\n",
    "with merge marks": lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> b\n",
    "with merge marks inside": lambda text: text.replace("\nham", "\n=======\nham"),
    "binary": lambda text: "\0\udcff\udcfe" * 99,
    "an open quote": lambda text: text.replace("hamlet", '"hamlet'),
    "a web page": lambda text: "<!doctype html>\n<html>\n",
    "one field too many": lambda text: text.replace("random:0:0", "random,0:0"),
}


@pytest.mark.parametrize("what", SPOILT_FILES)
def test_damaged_scores_are_named_with_the_remedy(folder, scores, what, fault):
    path = submission.write_scores(scores)
    text = SPOILT_FILES[what](path.read_text(encoding="utf-8"))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="notebook 06 again, or git check") as caught:
        submission.read_scores()
    assert str(caught.value).startswith("submission/likelihoods.csv is damaged (")
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)
    fault(f"likelihoods.csv, {what}", caught.value)


def test_reading_the_scores_says_what_does_not_belong_to_them(
    folder, scores, monkeypatch, capsys
):
    path = submission.write_scores(scores)
    submission.read_scores()
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("AR_BASE", "packaged")
    submission.update_json("metrics.json", a=1)
    submission.read_scores()
    assert "metrics.json: profile smoke, base SmolLM2" in capsys.readouterr().out
    submission.read_scores(path)  # a file that was named stands for itself
    assert capsys.readouterr().out == ""


CONTROLS = "\x1b[31m\x1b]0;x\x07 \x9b2J \x08\x7f\r\0\x85\tend\n\ud800"


def test_no_control_character_reaches_a_terminal(folder, fault):
    shown = submission.wrapped(f"a {CONTROLS}")
    assert shown.encode("utf-8")  # so that it can be printed
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f]", shown)
    assert "�[31m�]0;x� �2J �����" in shown
    fault("a sample with ESC, CSI and other control characters", shown.split("\n")[0])

    sample = {"model": "base", "base": "my\x1bmodel", "prompt": CONTROLS, "seed": 1}
    sample |= {"settings": {}, "text": CONTROLS, "token_log_probs": []}
    submission.write_samples([sample])
    readable = (folder / "samples.txt").read_bytes()
    assert b"\x1b" not in readable and "my�model" in readable.decode()
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [sample]  # the text as it is
    assert not re.search("[\0-\x1f\x80-\x9f]", lines[0])


def test_samples_are_kept_for_people_and_for_programs(folder):
    sample = {
        "model": "shakespeare",
        "base": "tiny",
        "prompt": "HAMLET:\n",
        "settings": {"temperature": 0.9},
        "seed": 1,
        "text": "Ay, “me”.\n",
        "token_log_probs": [-1.5],
    }
    submission.write_samples([sample])
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8")
    assert json.loads(lines) == sample
    readable = (folder / "samples.txt").read_text(encoding="utf-8")
    assert "temperature=0.9 · seed 1" in readable
    assert "[HAMLET:\n]Ay, “me”." in readable


def test_text_to_be_read_is_broken_between_words_and_verse_stays_verse():
    verse, prose = "HAMLET:\nAy,  “me”.\n\n", "one two-three " * 20 + "x" * 100
    assert submission.wrapped(verse) == verse
    lines = submission.wrapped(prose).split("\n")
    assert max(map(len, lines[:-1])) <= 88
    assert " ".join(lines).split() == prose.split()
