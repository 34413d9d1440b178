"""The results in submission/ are complete, agree with one another, and hold no text they should not.

They hold for whatever base and corpus the last run used; the marks apply where notebook 04 applies them.
"""

import json
from pathlib import Path

import pytest

from helpers import config, data, submission

FOLDER = Path(__file__).resolve().parents[1] / "submission"
FILES = (
    "neurips.png",
    "shakespeare.png",
    "random.png",
    "histograms.png",
    "histograms.html",
    "likelihoods.csv",
    "samples.txt",
    "samples.jsonl",
    "metrics.json",
    "manifest.json",
)


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scores():
    return submission.read_scores(FOLDER / "likelihoods.csv")


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there(name):
    assert (FOLDER / name).stat().st_size > 500


def test_scores_cover_every_model_and_string_once(scores):
    assert (
        tuple(scores.columns[:7]) == submission.SCORE_COLUMNS
    )  # ids and numbers, no text
    assert len(scores) == 900 and not scores.duplicated(["model", "text_id"]).any()
    assert set(scores.model) == set(config.MODELS) and set(scores.domain) == set(
        config.KINDS
    )
    assert (scores.n_chars == 100).all()


def test_the_claims_follow_from_the_scores(scores):
    means = scores.groupby(["domain", "model"]).log_likelihood.mean()
    metrics = read("metrics.json")
    for (domain, model), mean in means.items():
        assert metrics["mean_log_likelihood"][
            f"{domain} under {model}"
        ] == pytest.approx(mean, abs=1e-3)
    for name, claim in metrics["claims"].items():
        model, (higher, lower) = name.split(": ")[0], name.split(": ")[1].split(" > ")
        assert claim["gap_nats"] == pytest.approx(
            means[higher, model] - means[lower, model], abs=1e-3
        )
        assert claim["holds"] == (claim["interval"][0] > 0)


def skip_if_untrained(scores):
    bits = scores[scores.model == "base"].groupby("domain").bits_per_byte.mean()
    if bits[list(config.DOMAINS)].max() >= 2.5:
        pytest.skip("the base of the last run is not a pretrained one")


def test_the_picture_of_the_mission(scores):
    skip_if_untrained(scores)
    base = (
        scores[scores.model == "base"]
        .groupby("domain")[["log_likelihood", "bits_per_byte"]]
        .mean()
    )
    assert (
        base.log_likelihood["neurips"]
        > base.log_likelihood["shakespeare"]
        > base.log_likelihood["random"]
    )
    assert base.log_likelihood["random"] < -350
    real = read("manifest.json")["data"]["neurips"]["choice"]["used"] != "packaged"
    for domain, mark in (("shakespeare", 0.15), ("neurips", 0.08 if real else 0)):
        assert (
            read("metrics.json")["gain_bits_per_byte"][f"{domain} on {domain}"]["gain"]
            >= mark
        )


def test_one_detector_holds_where_raw_likelihood_fails(scores):
    metrics = read("metrics.json")
    skip_if_untrained(scores)
    assert all(
        metrics["auroc"][d]["raw log-likelihood"]["random"] >= 0.999
        for d in config.DOMAINS
    )
    assert metrics["classifier"]["100"] >= 0.98
    worst = metrics["worst_case"]["density of states"]["auroc"]
    assert worst > metrics["worst_case"]["raw log-likelihood"]["auroc"] + 0.5
    for domain in config.DOMAINS:
        own = {
            name: v
            for name, v in metrics["auroc"][domain]["density of states"].items()
            if name != data.NEAR
        }
        assert min(own.values()) >= worst
    if read("manifest.json")["data"]["neurips"]["choice"]["used"] != "packaged":
        assert worst >= 0.95


def test_the_manifest_says_what_was_used():
    manifest = read("manifest.json")
    assert manifest["profile"] in ("classroom", "full") and manifest["base"]["label"]
    assert all(len(manifest["data"][d]["sha256"]) == 64 for d in config.DOMAINS)
    assert len(manifest["notebooks"]) == 8 and manifest["seed"] == config.SEED


def test_samples_can_be_drawn_again():
    samples = [
        json.loads(line)
        for line in (FOLDER / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for model in config.MODELS:
        own = [s for s in samples if s["model"] == model]
        assert len(own) >= 5 and all(
            {"prompt", "settings", "seed", "text"} <= set(s) for s in own
        )
        assert {s["base"] for s in own} == {read("manifest.json")["base"]["label"]}
