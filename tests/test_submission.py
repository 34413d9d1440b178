"""What is written is what is read back, whole or not at all."""

import json

import pandas as pd
import pytest

from helpers import config, submission


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


@pytest.mark.fault("reading scores before a run has written any")
def test_no_scores_yet(folder):
    with pytest.raises(FileNotFoundError, match="notebook 06"):
        submission.read_scores()


@pytest.mark.fault("a spoilt table of scores ({message})")
@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda t: t.drop(columns="n_bytes"), "n_bytes"),
        (lambda t: t.iloc[:0], "no rows"),
        (
            lambda t: t.assign(log_likelihood=[1.0, float("nan")]),
            "log_likelihood, row 1",
        ),
        (lambda t: t.assign(n_tokens=["x", 3]), "n_tokens, row 0"),
    ],
)
def test_a_bad_table_is_named(scores, spoil, message):
    with pytest.raises(ValueError, match=message):
        submission.add_rates(spoil(scores))


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = submission.write_text(tmp_path / "a b é.txt", "old")
    with pytest.raises(RuntimeError), submission.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_json_is_merged(folder):
    submission.update_json("metrics.json", a=1, b={"x": 1})
    submission.update_json("metrics.json", b=2, c="é")
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8")) == {
        "a": 1,
        "b": 2,
        "c": "é",
    }


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
    assert json.loads((folder / "samples.jsonl").read_text(encoding="utf-8")) == sample
    assert "temperature=0.9 · seed 1" in (folder / "samples.txt").read_text(
        encoding="utf-8"
    )


def test_text_to_be_read_is_broken_between_words_and_verse_stays_verse():
    verse, prose = "HAMLET:\nAy,  “me”.\n\n", "one two-three " * 20
    assert submission.wrapped(verse) == verse
    broken = submission.wrapped(prose + "x" * 100)
    assert (
        max(map(len, broken.split("\n")[:-1])) <= 88
        and broken.split() == (prose + "x" * 100).split()
    )
