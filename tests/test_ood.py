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
    inside = [
        low <= 0 <= high
        for low, high in (
            ood.interval(np.mean, rng.normal(size=60), n=300) for _ in range(200)
        )
    ]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_the_fast_interval_of_an_auroc_is_the_plain_one():
    rng = np.random.default_rng(2)
    inside, outside = (
        rng.normal(1, 1, 60).round(1),
        rng.normal(0, 1, 80).round(1),
    )  # rounded, so that some are tied
    plain, fast = (
        ood.interval(ood.auroc, inside, outside, n=2000),
        ood.auroc_interval(inside, outside, n=2000),
    )
    assert fast == pytest.approx(plain, abs=0.01)


def test_effect_size():
    assert ood.effect_size(np.array([2.0, 3, 4]), np.array([1.0, 2, 3])) == 1


def scores(values):
    return pd.DataFrame(
        [
            {"text_id": f"{d}:{i}", "domain": d, "model": m, "log_likelihood": v}
            for (d, m), vs in values.items()
            for i, v in enumerate(vs)
        ]
    )


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
    assert stats["ratio"].tolist() == [2, -5] and stats["base alone"].tolist() == [
        -10,
        -20,
    ]
    assert stats["per byte"].tolist() == [
        -8 / 100,
        -25 / 7,
    ]  # two of five letters take two bytes
    extra = stats["complexity-corrected"] - stats["raw log-likelihood"]
    assert extra.tolist() == pytest.approx(
        [ood.compressed_nats(t) for t in STRINGS.text]
    )


def test_repetition_compresses_and_letters_at_random_do_not():
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 100))
    assert ood.compressed_nats("word " * 20) < 0.3 * ood.compressed_nats(letters)


def test_the_density_of_states_finds_both_tails_strange():
    rng = np.random.default_rng(0)
    known = pd.DataFrame(
        {"a": rng.normal(-100, 10, 300), "b": rng.normal(0.2, 0.1, 300)}
    )
    new = pd.DataFrame(
        {"a": [-100, -100, -160, -40, -100], "b": [0.2, 0.25, 0.2, 0.2, 1.0]}
    )
    density = ood.density_of_states(known, new)
    assert min(density[:2]) > max(density[2:]) + 5
    rescaled = ood.density_of_states(known * [1e3, 1e-3], new * [1e3, 1e-3])
    assert np.allclose(density, rescaled)  # units do not matter


def test_compare_gives_every_set_and_detector():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [["neurips", "near", "far"], range(50)], names=["domain", "text_id"]
    )
    shift = np.repeat([0, 0, 5], 50)
    table = pd.DataFrame(
        {"good": rng.normal(size=150) - shift, "blind": rng.normal(size=150)},
        index=index,
    )
    results = ood.compare(table, "neurips", n=50)
    assert (
        results.loc[("far", "good"), "auroc"] > 0.99
        and results.loc[("far", "good"), "false alarms"] < 0.1
    )
    assert 0.3 < results.loc[("far", "blind"), "auroc"] < 0.7
    assert (
        len(results) == 4
        and (results.low <= results.auroc).all()
        and (results.auroc <= results.high).all()
    )


def test_the_classifier_is_bayes_rule():
    table = scores(
        {
            ("neurips", "base"): [-1, -1],
            ("neurips", "neurips"): [np.log(0.3), -1e6],
            ("neurips", "shakespeare"): [np.log(0.1), -10],
        }
    )
    assert ood.domain_posterior(table).tolist() == pytest.approx([0.75, 0])
