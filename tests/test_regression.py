"""The smoke profile's scores against tests/baselines/smoke.json and themselves.

Measured on one machine: two processes agree in every digit; one thread or two,
0.00001 %. Renew with `python tests/regression.py --renew REASON`.
"""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import regression

from helpers import config, data
from helpers.engine import files

BASELINE = regression.read_json(regression.BASELINE)


def run(threads=1):
    ran = subprocess.run(
        [sys.executable, regression.__file__],
        capture_output=True,
        text=True,
        cwd=config.ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def first():
    return run()


def test_the_smoke_run_scores_as_before(first):
    assert len(BASELINE["mean_log_likelihood"]) == 9
    assert len(BASELINE["bits_per_byte"]) == 6
    assert all(row["why"] for row in BASELINE["history"])
    assert regression.differences(first, BASELINE) == []


def test_a_score_that_moved_or_is_missing_is_named(fault):
    changed = copy.deepcopy(BASELINE)
    changed["mean_log_likelihood"]["neurips under base"] *= 1.006
    del changed["bits_per_byte"]["neurips under base"]
    found = regression.differences(changed, BASELINE)
    assert len(found) == 2
    assert found[0].startswith("mean_log_likelihood, neurips under base: -")
    assert found[1].startswith("bits_per_byte, neurips under base: None")
    fault("a mean score 0.6 % away from tests/baselines/smoke.json", found[0])


def test_classroom_metrics_can_be_compared():
    """The committed metrics.json has what `make verify` compares."""
    metrics = regression.read_json(regression.ROOT / "submission" / "metrics.json")
    assert len(regression.flat(metrics["bits_per_byte"])) == 6
    assert len(metrics["mean_log_likelihood"]) == 9
    off = copy.deepcopy(metrics)
    off["bits_per_byte"]["base"]["neurips"] *= 0.99
    assert len(regression.differences(off, metrics)) == 1


# ---- which reference a classroom run is compared with

PROFILE, BASE = "classroom", "SmolLM2-135M-Instruct (4-bit)"


def made(folder, abstracts, used="packaged", profile=PROFILE):
    """What a run under AR_BASE=packaged leaves, as far as it counts here."""
    folder.mkdir()
    contents = {"likelihoods.csv": "text_id\n", "metrics.json": "{}\n"}
    for name, text in contents.items():
        (folder / name).write_text(text)
    listed = {name: {"sha256": files.digest(folder / name)} for name in contents}
    texts = {"shakespeare": {"sha256": "plays"}}
    texts["neurips"] = {"sha256": abstracts, "choice": {"used": used}}
    base = {"label": BASE, "used": "packaged"}
    facts = {"profile": profile, "base": base, "data": texts, "files": listed}
    (folder / "manifest.json").write_text(json.dumps(facts | {"minutes": 14}))
    return folder


@pytest.fixture
def references(monkeypatch, tmp_path):
    """Two folders: submission, and packaged, which is not there yet."""
    both = made(tmp_path / "submission", "real"), tmp_path / "packaged"
    monkeypatch.setattr(regression, "REFERENCES", both)
    monkeypatch.setattr(regression, "PACKAGED", both[1])
    monkeypatch.setattr(regression, "ROOT", tmp_path)
    return both


def test_a_run_is_compared_with_the_reference_of_its_kind(references, tmp_path, fault):
    submission, packaged = references
    real, written = [PROFILE, BASE, "real", "plays"], [PROFILE, BASE, "own", "plays"]
    assert regression.reference(real) == submission
    with pytest.raises(ValueError, match="AR_NEURIPS=paperlists, or AR_NEU") as caught:
        regression.reference(written)
    fault("make verify with abstracts of which there is no reference", caught.value)

    regression.keep(made(tmp_path / "finished", "own"))
    assert regression.reference(written) == packaged
    assert regression.reference(real) == submission
    names = {"likelihoods.csv", "metrics.json", "manifest.json"}
    assert {path.name for path in packaged.iterdir()} == names
    assert "minutes" not in regression.read_json(packaged / "manifest.json")


def test_only_a_whole_run_of_the_packages_is_kept(references, tmp_path, fault):
    others = {"used": "paperlists"}, {"profile": "smoke"}
    for i, other in enumerate(others):
        with pytest.raises(ValueError, match="AR_BASE=packaged AR_NEURIPS=packaged"):
            regression.keep(made(tmp_path / f"other {i}", "own", **other))
    with pytest.raises(ValueError, match="is not of a finished run"):
        regression.keep(tmp_path / "nowhere")
    changed = made(tmp_path / "changed", "own")
    (changed / "likelihoods.csv").write_text("text_id\nx\n")
    with pytest.raises(ValueError, match="was changed since the run") as caught:
        regression.keep(changed)
    fault("a second reference from a file that was changed", caught.value)
    assert not references[1].exists()


def test_a_copy_is_run_and_compared_with_its_reference(
    references, monkeypatch, tmp_path, capsys
):
    for name in ("AR_BASE", "AR_NEURIPS"):
        monkeypatch.setenv(name, "packaged")
    texts = {domain: data.provenance(domain) for domain in config.DOMAINS}
    facts = {"profile": PROFILE, "base": {"label": BASE}, "data": texts}
    references[1].mkdir()
    (references[1] / "manifest.json").write_text(json.dumps(facts))
    (references[1] / "metrics.json").write_text(json.dumps(BASELINE))
    for folder in ("helpers", "notebooks", "runs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "runs" / "paperlists.parquet").touch()

    def run(command, cwd, check, env):
        there = {path.name for path in cwd.glob("*")}
        assert there == {"helpers", "notebooks", "runs"} and check
        assert (cwd / "runs" / "paperlists.parquet").exists()
        chosen = [env[name] for name in ("AR_PROFILE", "AR_BASE", "AR_NEURIPS")]
        assert chosen == [PROFILE, "packaged", "packaged"]
        changed = copy.deepcopy(BASELINE)
        changed["bits_per_byte"]["neurips under base"] *= 1.01
        (cwd / "submission").mkdir()
        (cwd / "submission" / "metrics.json").write_text(json.dumps(changed))

    monkeypatch.setattr(subprocess, "run", run)
    assert len(regression.verify()) == 1
    assert "with packaged/metrics.json" in capsys.readouterr().out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers_and_texts(first, fault):
    assert run() == first
    fault("the smoke run twice, same seed", "the same in every digit")


@pytest.mark.slow
def test_threads_move_no_score_by_half_a_per_cent(first, fault):
    other = run(threads=2)
    apart = np.abs(np.array(other["scores"]) / np.array(first["scores"]) - 1)
    assert apart.max() < regression.TOLERANCE
    assert regression.differences(other, first) == []
    fault("the smoke run with two threads, not one", "every score within 0.5 %")
