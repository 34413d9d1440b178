"""One run, one choice; and what in submission/ was made by another one is named."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import regression

from helpers import config, explorer, plots, submission
from helpers.engine import hub

CHOOSE = "from helpers import config; print([config.base(), config.neurips()])"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path / "submission")
    return tmp_path / "submission"


def write(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return submission.record(folder / name)


# ---- one run, one choice


def chosen(code):
    command = [sys.executable, "-c", code]
    piped = {"capture_output": True, "text": True, "check": True}
    return subprocess.run(command, cwd=config.ROOT, **piped).stdout


@pytest.fixture
def auto(monkeypatch):
    """AR_BASE and AR_NEURIPS are auto; what a test kept of them is gone after it."""
    for variable in ("AR_BASE", "AR_NEURIPS"):
        monkeypatch.setenv(variable, "auto")
    config.choose.cache_clear()
    yield
    for path in config.runs().glob("auto-*.json"):
        path.unlink()
    config.choose.cache_clear()


def test_a_run_keeps_its_choice_when_the_hub_comes_up(auto, fault):
    """Two kernels, the hub up only for the second."""
    hub_is_up = f"from helpers.engine import hub; hub.newest = lambda *_: 'c'; {CHOOSE}"
    assert chosen(CHOOSE) != chosen(hub_is_up)  # what went wrong where none was kept
    config.keep_auto()
    first, second = chosen(CHOOSE), chosen(hub_is_up)
    assert first == second and "'packaged'" in first
    fault("the hub is down for one notebook, up for the next", "the same choice")


def test_a_variable_changed_in_a_kernel_of_a_run_counts(auto, monkeypatch):
    config.keep_auto()
    monkeypatch.setenv("AR_BASE", "tiny")
    assert config.base().used == "tiny"


def test_what_was_named_is_not_kept_for_auto(auto, monkeypatch):
    monkeypatch.setenv("AR_BASE", "tiny")
    monkeypatch.setattr(hub, "newest", lambda *_: "c")  # the hub is up
    config.keep_auto()
    monkeypatch.setenv("AR_BASE", "auto")
    assert config.base().used == config.GPT2


def test_a_choice_kept_in_a_damaged_file_is_made_anew(auto, capsys, fault):
    config.keep_auto()
    kept = config.runs() / "auto-model.json"
    kept.write_text(kept.read_text()[:20])
    config.choose.cache_clear()
    assert config.base().used == "packaged"
    said = capsys.readouterr().out
    assert "auto-model.json is damaged and is passed over" in said
    fault("runs/<profile>/auto-model.json, cut off", said)


# ---- what does not belong together


def test_nothing_is_said_of_one_run_or_of_a_folder_from_before(folder):
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    (folder / "manifest.json").write_text('{"seed": 236}')
    assert submission.mixed() == ""
    (folder / "README.md").unlink()
    write(folder, "a.csv", "1")
    write(folder, "b.png", "2")
    assert submission.mixed() == ""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seed"] == 236 and set(manifest["files"]) == {"a.csv", "b.png"}


def test_two_runs_are_named_with_what_each_was_made_with(folder, monkeypatch, fault):
    write(folder, "old.csv", "1")
    write(folder, "old.png", "1")
    monkeypatch.setenv("AR_BASE", "packaged")
    write(folder, "new.csv", "2")
    said = submission.mixed()
    fault("submission/ after a second run was killed half-way", said)
    assert "old.csv, old.png: profile smoke, base tiny untrained GPT-2" in said
    assert (
        "new.csv: profile smoke, base SmolLM2-135M-Instruct (4-bit)" in said
        and "make run" in said
    )
    assert max(map(len, said.splitlines())) <= 300


def test_another_text_under_the_same_name_is_another_run(folder, corpus):
    corpus("a.txt", lambda path: path.write_text("one"))
    write(folder, "a.csv", "1")
    path = os.environ["AR_NEURIPS"]
    os.utime(path)
    write(folder, "b.csv", "1")
    assert submission.mixed() == ""  # only its time has changed
    corpus("a.txt", lambda path: path.write_text("two"))
    write(folder, "c.csv", "1")
    assert "a.csv, b.csv: " in submission.mixed()


def test_what_was_changed_since_is_named(folder, fault):
    write(folder, "a.csv", "1")
    write(folder, "b.csv", "1")
    write(folder, "c.csv", "1")
    (folder / "b.csv").write_text("by hand")
    (folder / "c.csv").rename(folder / "d.csv")
    said = submission.mixed()
    fault("submission/ changed by hand", said)
    assert "b.csv, c.csv, d.csv: missing, changed since, or of no run" in said


def test_metrics_of_another_run_are_begun_anew(folder, monkeypatch, capsys):
    submission.update_json("metrics.json", old=1)
    submission.update_json("metrics.json", claims=1)
    monkeypatch.setenv("AR_BASE", "packaged")
    path = submission.update_json("metrics.json", new=2)
    assert json.loads(path.read_text()) == {"new": 2}
    assert "metrics.json was of another run" in capsys.readouterr().out
    assert submission.mixed() == ""


def table(models=config.MODELS):
    rows = [
        {
            "text_id": f"{kind}:{i}",
            "domain": kind,
            "model": model,
            "n_chars": 100,
            "n_bytes": 100,
            "n_tokens": 25,
            "log_likelihood": -100.0 - i,
        }
        for model in models
        for kind in config.KINDS
        for i in range(3)
    ]
    return pd.DataFrame(rows)


SAMPLE = {"model": "base", "base": "tiny", "prompt": "a", "settings": {}, "seed": 1}
SAMPLE |= {"text": "b", "token_log_probs": []}


def test_whatever_writes_into_submission_lists_what_it_wrote(folder, tmp_path):
    scores = table()
    figure = plots.headlines(scores)
    submission.write_scores(scores)
    submission.write_samples([SAMPLE])
    submission.update_json("metrics.json", a=1)
    submission.update_json("manifest.json", seed=1)
    plots.save(figure, "histograms.png")
    explorer.write_html(scores, "")
    plots.save(figure, tmp_path / "elsewhere.png")
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {path.name for path in folder.iterdir()}
    assert set(manifest["files"]) == there - {"manifest.json"} and len(there) == 7
    assert submission.mixed() == ""


def test_the_page_names_files_of_another_run_but_not_itself(folder, monkeypatch):
    submission.write_samples([SAMPLE])
    assert "not what one run" not in explorer.write_html(table(), "").read_text("utf-8")
    monkeypatch.setenv("AR_BASE", "packaged")
    submission.write_scores(table())
    page = explorer.write_html(table(), "note").read_text("utf-8")
    assert "note submission/ is not what one run left." in page
    assert "samples.jsonl, samples.txt: profile smoke, base tiny" in page


def test_verify_says_it_before_half_an_hour_of_work(folder, monkeypatch, capsys):
    write(folder, "a.csv", "1")
    (folder / "a.csv").unlink()
    monkeypatch.setattr(regression, "ROOT", folder.parent)
    monkeypatch.setattr(regression, "reference", lambda wanted: folder)
    for part in ("helpers", "notebooks"):
        (folder.parent / part).mkdir()

    def run(*_, **__):
        raise FileNotFoundError("the half hour")

    monkeypatch.setattr(regression.subprocess, "run", run)
    with pytest.raises(FileNotFoundError, match="half hour"):
        regression.verify()
    assert "a.csv: missing, changed since" in capsys.readouterr().out


def test_metrics_of_a_run_that_was_stopped_are_no_baseline():
    found = regression.differences({}, {"bits_per_byte": {"a": 1.0}})
    assert found == [
        "mean_log_likelihood: nothing to compare with",
        "bits_per_byte, a: None, was 1.0",
    ]
