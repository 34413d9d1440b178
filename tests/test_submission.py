"""What is written is what is read back, whole or not at all."""

import json

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
    "a column is missing": (lambda t: t.drop(columns="n_bytes"), "column.*n_bytes"),
    "there are no rows": (lambda t: t.iloc[:0], "no rows"),
    "a score is not a number": (
        lambda t: t.assign(log_likelihood=[1.0, float("nan")]),
        "log_likelihood, row 1",
    ),
    "a number is a word": (
        lambda t: t.assign(log_likelihood=["likely", -1]),
        "log_likelihood, row 0: 'likely'",
    ),
    "a text has no tokens": (
        lambda t: t.assign(n_tokens=[3, 0]),
        "n_tokens, row 1",
    ),
    "the model is unknown": (
        lambda t: t.assign(model=["base", "gpt5"]),
        "model, row 1: 'gpt5' is not one of base",
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
