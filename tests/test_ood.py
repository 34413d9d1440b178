"""Detectors on cases whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from helpers import config, models, ood


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


def test_strangers_let_in_at_95_percent():
    inside = np.arange(1, 101)
    assert ood.strangers_let_in(inside, np.array([0.0, 3.0, 50.0, 200.0])) == 0.5
    assert ood.strangers_let_in(inside, np.zeros(10)) == 0


def scores(values):
    """A table of scores from {(domain, model): log-likelihoods}; 20 tokens each."""
    rows = []
    for (domain, model), log_likelihoods in values.items():
        for i, value in enumerate(log_likelihoods):
            rows.append((f"{domain}:{i}", domain, model, value, 20 + i))
    columns = ["text_id", "domain", "model", "log_likelihood", "n_tokens"]
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
    assert stats["per token"].tolist() == [-8 / 20, -25 / 21]
    assert stats["token count"].tolist() == [-20, -21]  # fewer are more like text
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


def test_distances_count_every_direction_by_its_spread():
    rng = np.random.default_rng(0)
    # Five directions of very different spread, three more in which nothing spreads.
    spread = np.r_[100, 10, 1, 1, 0.1, 0, 0, 0]
    known = rng.normal(size=(300, 8)) * spread
    unlike = np.diag(np.r_[spread[:5] * 8, 30, 30, 30])  # each far in one direction
    own, new = ood.distances(known, np.r_[known[:50] * 0.9, unlike])
    assert own.shape == (300,) and new.shape == (58,)
    far = new[50:]
    assert far[[0, 5, 6, 7]].min() > own.max() > np.median(own) > 0


def test_distances_of_more_directions_than_strings():
    rng = np.random.default_rng(1)
    known, like = rng.normal(size=(40, 200)), rng.normal(size=(40, 200))
    own, new = ood.distances(known, like)
    # Known rows are measured from the others, so they lie as far as new ones do.
    assert abs(own.mean() / new.mean() - 1) < 0.1


@pytest.fixture(scope="module")
def tiny():
    return models.load("tiny")


def test_hidden_states_are_means_over_the_tokens_of_each_half(tiny):
    texts = ["Grüße an alle", "To be", "a", "one two three four"]
    found = ood.hidden_states(tiny, texts)
    assert found.shape == (4, 2, tiny.model.config.n_embd)
    for text, halves in zip(texts, found):
        ids = torch.tensor([[tiny.bos_id, *tiny.encode([text])[0]]])
        with torch.no_grad():
            layers = tiny.model(ids, output_hidden_states=True).hidden_states
        states = layers[len(layers) // 2][0, 1:]
        half = (len(states) + 1) // 2
        by_hand = torch.stack([states[:half].mean(0), states[-half:].mean(0)])
        assert np.allclose(halves, by_hand, atol=1e-5)


def test_hidden_states_read_no_further_than_the_context(tiny):
    long = "ab" * tiny.context_length
    assert np.isfinite(ood.hidden_states(tiny, [long])).all()
    with pytest.raises(ValueError, match=r"texts\[1\] is NoneType"):
        ood.hidden_states(tiny, ["a", None])


def sets_of(values):
    """Scores of one detector from {set: values}, indexed by set and string."""
    parts = {name: pd.Series(list(map(float, some))) for name, some in values.items()}
    return pd.concat(parts, names=["domain", "text_id"])


def test_the_worst_case_is_the_lowest_cell_and_its_interval_that_of_the_minimum():
    rng = np.random.default_rng(0)
    draw = {name: rng.normal(0, 1, 60) for name in "abcdef"} | {
        "x": rng.normal(5, 1, 60)
    }
    scores = sets_of(draw)
    cells = [("x", name) for name in "abcdef"]
    one = ood.worst_case({"x": scores}, cells[:1])
    assert one["auroc"] == ood.auroc(draw["x"], draw["a"]) and one["set"] == "a"
    # Six cells alike, near 0.5: the lowest of six lies lower than any one of them.
    draw["x"] = rng.normal(0, 1, 60)
    scores = sets_of(draw)
    six = ood.worst_case({"x": scores}, cells)
    alone = [ood.worst_case({"x": scores}, [cell]) for cell in cells]
    assert six["auroc"] == min(row["auroc"] for row in alone)
    assert six["low"] <= min(row["low"] for row in alone) + 0.03
    assert six["high"] < np.mean([row["high"] for row in alone])


def test_the_worst_case_over_two_homes():
    first = sets_of({"a": [3, 4], "b": [1, 2], "c": [0, 1]})
    second = sets_of({"a": [1, 2], "b": [3, 4], "c": [9, 9]})
    cells = [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c")]
    row = ood.worst_case({"a": first, "b": second}, cells)
    assert (row["home"], row["set"], row["auroc"]) == ("b", "c", 0)


def test_the_classifier_is_bayes_rule():
    table = scores(
        {
            ("neurips", "base"): [-1, -1],
            ("neurips", "neurips"): [np.log(0.3), -1e6],
            ("neurips", "shakespeare"): [np.log(0.1), -10],
        }
    )
    assert ood.domain_posterior(table).tolist() == pytest.approx([0.75, 0])


# ---- what is no sample of numbers

THREE = [1.0, 2.0, 3.0]
SPOILT_BY = {"a NaN": np.nan, "an infinity": np.inf}


@pytest.mark.parametrize("what", SPOILT_BY)
def test_what_is_no_number_is_refused(what, fault):
    spoilt = [1.0, SPOILT_BY[what]]
    for samples in ((spoilt, THREE), (THREE, spoilt)):
        with pytest.raises(ValueError, match="NaN|infinity") as caught:
            ood.strangers_let_in(*samples)
    fault(f"strangers_let_in of {what}", caught.value)


def test_the_auroc_of_nan_is_refused_and_an_infinity_has_its_rank(fault):
    for samples in (([1.0, np.nan], THREE), (THREE, [1.0, np.nan])):
        with pytest.raises(ValueError, match="contains nan") as caught:
            ood.auroc(*samples)
    fault("auroc of a NaN", caught.value)
    assert ood.auroc([np.inf], THREE) == 1 and ood.auroc([-np.inf], THREE) == 0


def test_strangers_let_in_where_scores_tie():
    """The highest threshold that keeps the share; ties make it keep more."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        inside, outside = rng.integers(0, 9, 20), rng.integers(0, 9, 20)
        lines = sorted({*inside, *outside}, reverse=True)
        line = next(x for x in lines if (inside >= x).mean() >= 0.95)
        right = (outside >= line).mean()
        assert ood.strangers_let_in(inside, outside) == pytest.approx(right)


TABLE = scores({("neurips", model): [-1, -2] for model in config.MODELS})
SPOILT = {
    "no score of one string": (TABLE.iloc[:-1], "neurips:1.* has no log_likelihood"),
    "one string twice": (pd.concat([TABLE, TABLE.iloc[3:4]]), "duplicate entries"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_scores_that_do_not_fit_are_named(what, fault):
    table, message = SPOILT[what]
    with pytest.raises(ValueError, match=message) as caught:
        ood.domain_posterior(table)
    fault(f"domain_posterior of a table with {what}", caught.value)


def test_a_string_without_one_text_is_named(fault):
    with pytest.raises(KeyError, match="neurips:1"):
        ood.statistics(TABLE, STRINGS.iloc[:1], "neurips")
    with pytest.raises(ValueError, match="neurips:0.*two texts") as caught:
        ood.statistics(TABLE, pd.concat([STRINGS, STRINGS]), "neurips")
    fault("statistics, a text is there twice", caught.value)


NO_DENSITY = {
    "nothing is known": ([], THREE, "minimum of 1 is required"),
    "nothing is new": (THREE, [], "minimum of 1 is required"),
    "a new one is NaN": (THREE, [np.nan], "contains NaN"),
    "a known one is NaN": ([1.0, np.nan], THREE, "contains NaN"),
}


@pytest.mark.parametrize("what", NO_DENSITY)
def test_no_density_without_numbers(what, fault):
    known, new, message = NO_DENSITY[what]
    with pytest.raises(ValueError, match=message) as caught:
        ood.density_of_states(pd.DataFrame({"a": known}), pd.DataFrame({"a": new}))
    fault(f"density_of_states, {what}", caught.value)


def test_a_statistic_that_new_lacks_is_said():
    with pytest.raises(KeyError, match="'b'"):
        ood.density_of_states(pd.DataFrame({"b": THREE}), pd.DataFrame({"a": THREE}))


def test_a_worst_case_of_what_cannot_be_compared(fault):
    constant = sets_of({"a": [1] * 5, "b": [1] * 5})
    row = ood.worst_case({"a": constant}, [("a", "b")])
    assert row["auroc"] == row["low"] == row["high"] == 0.5  # all tied
    spoilt = sets_of({"a": [1] * 5, "b": [1, 1, 1, 1, np.nan]})
    with pytest.raises(ValueError, match="contains nan") as caught:
        ood.worst_case({"a": spoilt}, [("a", "b")])
    fault("worst_case of a score that is NaN", caught.value)
