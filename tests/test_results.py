"""The committed run in submission/: complete, of one piece, and what it found.

The notebooks state each finding as a verdict, which may go either way; for the run that
is committed, the findings are asserted here.
"""

import re

import nbformat
import pytest
import regression

from helpers import config, strangers, submission

FOLDER = regression.ROOT / "submission"
NOTEBOOKS = regression.ROOT / "notebooks"
FILES = (
    "neurips.png",
    "shakespeare.png",
    "random.png",
    "histograms.png",
    "histograms.html",
    "next_token.html",
    "likelihoods.csv",
    "samples.txt",
    "samples.jsonl",
    "metrics.json",
    "manifest.json",
)


@pytest.fixture(scope="module")
def scores():
    return submission.read_scores(FOLDER / "likelihoods.csv")


@pytest.fixture(scope="module")
def metrics():
    return regression.read_json(FOLDER / "metrics.json")


@pytest.fixture(scope="module")
def manifest():
    return regression.read_json(FOLDER / "manifest.json")


# ---- complete, and of one piece


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_there(name):
    assert (FOLDER / name).stat().st_size > 500


def test_scores_cover_every_model_and_string_once_and_hold_no_text(scores):
    assert tuple(scores.columns[:7]) == submission.SCORE_COLUMNS
    assert len(scores) == 900 and not scores.duplicated(["model", "text_id"]).any()
    assert set(scores.model) == set(config.MODELS)
    assert set(scores.domain) == set(config.KINDS)
    assert (scores.n_chars == 100).all()


def test_the_metrics_follow_from_the_scores(scores, metrics):
    means = scores.groupby(["domain", "model"]).log_likelihood.mean()
    recorded = metrics["mean_log_likelihood"]
    for (domain, model), mean in means.items():
        assert recorded[f"{domain} under {model}"] == pytest.approx(mean, abs=1e-3)
    assert len(metrics["claims"]) == 9
    for name, claim in metrics["claims"].items():
        model, kinds = name.split(": ")
        higher, lower = kinds.split(" > ")
        gap = means[higher, model] - means[lower, model]
        assert claim["gap_nats"] == pytest.approx(gap, abs=1e-3)
        low, high = claim["interval"]
        assert low < gap < high and claim["holds"] == (low > 0)


def test_the_manifest_says_what_was_used(manifest, metrics):
    assert manifest["profile"] in ("classroom", "full")
    assert manifest["base"]["label"] == metrics["base"]
    assert manifest["seed"] == config.SEED
    for domain in config.DOMAINS:
        assert len(manifest["data"][domain]["sha256"]) == 64


def test_the_run_was_of_the_whole_series(manifest):
    series = {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    assert set(manifest["notebooks"]) == series


def test_samples_can_be_drawn_again(metrics):
    samples = regression.read_lines(FOLDER / "samples.jsonl")
    for model in config.MODELS:
        own = [sample for sample in samples if sample["model"] == model]
        assert len(own) >= 3
        assert {sample["base"] for sample in own} == {metrics["base"]}
        for sample in own:
            assert {"prompt", "settings", "seed", "text"} <= sample.keys()
            assert sample["seed"] == config.SEED


# ---- what was found


def test_under_the_base_abstracts_come_before_plays_before_random_letters(metrics):
    for claim in ("neurips > shakespeare", "shakespeare > random"):
        assert metrics["claims"][f"base: {claim}"]["holds"]
    assert metrics["mean_log_likelihood"]["random under base"] < -350


@pytest.mark.parametrize("domain, least", [("shakespeare", 0.15), ("neurips", 0.08)])
def test_each_model_is_better_at_home_than_the_base(metrics, domain, least):
    """By at least so many bits per byte, in pieces and in blocks."""
    pieces = metrics["gain_bits_per_byte"][f"{domain} on {domain}"]
    for found in (pieces, metrics["bits_per_byte_in_blocks"][domain]):
        assert 0 < found["low"] < found["gain"] < found["high"]
        assert found["gain"] >= least
    bits = metrics["bits_per_byte"]
    assert bits["base"][domain] - bits[domain][domain] >= least


@pytest.mark.parametrize("domain", config.DOMAINS)
def test_random_letters_are_told_apart(metrics, domain):
    assert metrics["auroc"][domain]["raw log-likelihood"]["random"] >= 0.999


def test_the_ratio_repairs_what_raw_likelihood_gets_wrong(metrics):
    """Abstracts are likelier than Shakespeare even under Shakespeare's own model."""
    detectors = metrics["auroc"]["shakespeare"]
    assert detectors["raw log-likelihood"]["neurips"] < 0.5
    assert detectors["ratio"]["neurips"] >= 0.95


def test_the_density_of_states_holds_where_raw_likelihood_fails(metrics):
    worst = metrics["worst_case"]["density of states"]["auroc"]
    raw = metrics["worst_case"]["raw log-likelihood"]["auroc"]
    assert worst >= 0.95 and worst > raw + 0.5
    found = []
    for domain in config.DOMAINS:
        by_set = metrics["auroc"][domain]["density of states"]
        found += [v for name, v in by_set.items() if strangers.NEAR.get(name) != domain]
    assert min(found) == pytest.approx(worst)


def test_two_models_make_a_classifier_of_domains(metrics):
    assert metrics["classifier"]["100"] >= 0.98


def verdicts(name):
    """Claim → verdict, from the tables that a committed notebook shows."""
    found = {}
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
        for output in cell.get("outputs", []):
            table = output.get("data", {}).get("text/html", "")
            for row in re.findall(r"<tr>(.*?)</tr>", table, flags=re.S):
                claim, *_, verdict = (
                    re.findall(r"<t[hd]>(.*?)</t[hd]>", row) or [""] * 2
                )
                if verdict in ("holds", "does not hold"):
                    found[claim] = verdict == "holds"
    return found


def test_few_heads_carry_the_copying_of_random_tokens():
    found = verdicts("09_inside_one_step")
    assert found["log-likelihood a character above −2 nats on text kept out"]
    assert found["the second copy costs less than the first"]
    assert found["share that comes back without induction heads"]
    assert not found["share that comes back without others"]
    # Of one word repeated they carry a part.
    assert found["by more than without others"]
    assert not found["an abstract is now likelier"]


def test_what_is_said_often_is_remembered_and_what_was_read_can_be_told():
    found = verdicts("10_what_a_model_remembers")
    assert found["16 or 64 times: more than by chance"]
    assert not found["never read: more than by chance"]
    for model in ("fine-tuned on NeurIPS", "fine-tuned on Shakespeare"):
        assert found[f"{model}: ratio"] and not found[f"{model}: base alone"]
