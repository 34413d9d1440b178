"""Detectors on cases whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from helpers import ood


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 40), rng.normal(0, 1, 60)
    pairs = (inside[:, None] > outside).mean()
    assert ood.auroc(inside, outside) == pytest.approx(pairs)
    assert ood.auroc(outside, inside) == pytest.approx(1 - pairs)
    assert ood.auroc(np.ones(3), np.ones(3)) == 0.5


@pytest.mark.parametrize("axis", [-1, 0])
def test_many_aurocs_at_once_are_those_of_scikit_learn(axis):
    rng = np.random.default_rng(2)
    inside = rng.normal(1, 1, (5, 40)).round(1)  # rounded, so that some are tied
    outside = rng.normal(0, 1, (5, 60)).round(1)
    labels = np.r_[np.ones(40), np.zeros(60)]
    expected = [
        roc_auc_score(labels, np.r_[one, other]) for one, other in zip(inside, outside)
    ]
    if axis == 0:
        inside, outside = inside.T, outside.T
    assert ood.auroc(inside, outside, axis=axis) == pytest.approx(expected)


def test_false_alarms_at_95_percent():
    inside = np.arange(1, 101)
    assert ood.false_alarms(inside, np.array([0.0, 3.0, 50.0, 200.0])) == 0.5
    assert ood.false_alarms(inside, np.zeros(10)) == 0


def scores(values):
    """A table of scores from {(domain, model): log-likelihoods}."""
    rows = []
    for (domain, model), log_likelihoods in values.items():
        for i, value in enumerate(log_likelihoods):
            rows.append((f"{domain}:{i}", domain, model, value))
    columns = ["text_id", "domain", "model", "log_likelihood"]
    return pd.DataFrame(rows, columns=columns)


STRINGS = pd.DataFrame(
    {
        "text_id": ["neurips:0", "neurips:1"],
        "domain": "neurips",
        "text": ["aaaa" * 25, "Grüße"],
    }
)


def test_statistics_by_hand():
    table = scores(
        {
            ("neurips", "base"): [-10, -20],
            ("neurips", "neurips"): [-8, -25],
            ("neurips", "shakespeare"): [-9, -24],
        }
    )
    stats = ood.statistics(table, STRINGS, "neurips")
    assert stats["ratio"].tolist() == [2, -5]
    assert stats["base alone"].tolist() == [-10, -20]
    # Two of the five letters of Grüße take two bytes.
    assert stats["per byte"].tolist() == [-8 / 100, -25 / 7]
    extra = stats["complexity-corrected"] - stats["raw log-likelihood"]
    by_hand = [ood.compressed_nats(text) for text in STRINGS.text]
    assert extra.tolist() == pytest.approx(by_hand)


def test_repetition_compresses_and_letters_at_random_do_not():
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 100))
    assert ood.compressed_nats("word " * 20) < 0.3 * ood.compressed_nats(letters)


def test_the_density_of_states_finds_both_tails_strange():
    rng = np.random.default_rng(0)
    a, b = rng.normal(-100, 10, 300), rng.normal(0.2, 0.1, 300)
    known = pd.DataFrame({"a": a, "b": b})
    new = pd.DataFrame(
        {"a": [-100, -100, -160, -40, -100], "b": [0.2, 0.25, 0.2, 0.2, 1.0]}
    )
    density = ood.density_of_states(known, new)
    assert min(density[:2]) > max(density[2:]) + 5
    rescaled = ood.density_of_states(known * [1e3, 1e-3], new * [1e3, 1e-3])
    assert np.allclose(density, rescaled)  # units do not matter


def test_compare_gives_every_set_and_detector():
    rng = np.random.default_rng(0)
    names = ["domain", "text_id"]
    index = pd.MultiIndex.from_product([["neurips", "near", "far"], range(50)])
    shift = np.repeat([0, 0, 5], 50)
    good, blind = rng.normal(size=150) - shift, rng.normal(size=150)
    table = pd.DataFrame({"good": good, "blind": blind}, index.set_names(names))
    results = ood.compare(table, "neurips")
    assert len(results) == 4
    far = results.loc["far"]
    assert far.auroc["good"] > 0.99 and far["false alarms"]["good"] < 0.1
    assert 0.3 < far.auroc["blind"] < 0.7
    assert (results.low <= results.auroc).all()
    assert (results.auroc <= results.high).all()


def test_the_classifier_is_bayes_rule():
    table = scores(
        {
            ("neurips", "base"): [-1, -1],
            ("neurips", "neurips"): [np.log(0.3), -1e6],
            ("neurips", "shakespeare"): [np.log(0.1), -10],
        }
    )
    assert ood.domain_posterior(table).tolist() == pytest.approx([0.75, 0])
