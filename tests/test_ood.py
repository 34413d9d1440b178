"""Detectors on cases whose answer is known."""
import numpy as np
import pandas as pd
import pytest

from helpers import ood


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 40), rng.normal(0, 1, 60)
    pairs = (inside[:, None] > outside).mean()
    assert ood.auroc(inside, outside) == pytest.approx(pairs)
    assert ood.auroc(outside, inside) == pytest.approx(1 - pairs)
    assert ood.auroc(np.ones(3), np.ones(3)) == 0.5


def test_false_alarms_at_95_percent():
    inside = np.arange(1, 101)
    assert ood.false_alarms(inside, np.array([0.0, 3.0, 50.0, 200.0])) == 0.5
    assert ood.false_alarms(inside, np.zeros(10)) == 0


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    inside = [low <= 0 <= high for low, high in (ood.interval(np.mean, rng.normal(size=60), n=300) for _ in range(200))]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_effect_size():
    assert ood.effect_size(np.array([2.0, 3, 4]), np.array([1.0, 2, 3])) == 1


def scores(values):
    return pd.DataFrame([{"text_id": f"{d}:{i}", "domain": d, "model": m, "log_likelihood": v}
                         for (d, m), vs in values.items() for i, v in enumerate(vs)])


def test_the_ratio_subtracts_the_base():
    table = scores({("neurips", "base"): [-10, -20], ("neurips", "neurips"): [-8, -25],
                    ("neurips", "shakespeare"): [-9, -24]})
    assert ood.likelihood_ratio(table, "neurips").tolist() == [2, -5]


def test_the_classifier_is_bayes_rule():
    table = scores({("neurips", "base"): [-1, -1], ("neurips", "neurips"): [np.log(0.3), -1e6],
                    ("neurips", "shakespeare"): [np.log(0.1), -10]})
    assert ood.domain_posterior(table).tolist() == pytest.approx([0.75, 0])
