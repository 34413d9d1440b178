"""Scores against transformers' own loss, and against themselves in another order and batch."""

import math

import numpy as np
import pytest
import torch

from helpers import likelihood, models

TEXTS = [
    "To be, or not to be",
    "x",
    "that is the question. " * 5,
    "Ünïcödé 你好 \U0001f3ad",
    "a\x00b",
    "שלום עולם",
]


@pytest.fixture(scope="module")
def lm():
    return models.load("tiny", dtype=torch.float32)


def reference(lm, text):
    """transformers' mean loss over the tokens after the first, times their number."""
    ids = torch.tensor([[lm.separator, *lm.encode([text])[0]]])
    with torch.inference_mode():
        return -lm.model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)


def test_agrees_with_transformers(lm):
    scored = likelihood.score(lm, TEXTS)
    assert np.allclose(
        scored.log_likelihood, [reference(lm, t) for t in TEXTS], atol=1e-3
    )
    assert scored.n_chars.tolist() == [len(t) for t in TEXTS]
    assert (
        scored.n_bytes.tolist()
        == [len(t.encode()) for t in TEXTS]
        == scored.n_tokens.tolist()
    )


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_neither_batch_nor_order_matters(lm, batch_tokens):
    forward = likelihood.score(lm, TEXTS).log_likelihood
    backward = likelihood.score(
        lm, TEXTS[::-1], batch_tokens=batch_tokens
    ).log_likelihood[::-1]
    assert np.allclose(forward, backward, atol=1e-3)


def test_first_token_left_out_is_transformers_loss_without_a_separator(lm):
    scored = likelihood.score(lm, TEXTS, condition_on="first_token")
    for text, got, n in zip(TEXTS, scored.log_likelihood, scored.n_tokens):
        ids = torch.tensor(lm.encode([text]))
        assert n == ids.shape[1] - 1
        assert got == pytest.approx(
            -lm.model(ids, labels=ids).loss.item() * n if n else 0.0, abs=1e-3
        )


def test_token_log_probs_add_up_and_ranks_agree(lm):
    table = likelihood.token_log_probs(lm, TEXTS[0])
    assert table.log_prob.sum() == pytest.approx(
        likelihood.score(lm, [TEXTS[0]]).log_likelihood[0], abs=1e-3
    )
    assert "".join(table.token) == TEXTS[0]
    with torch.inference_mode():
        logits = lm.model(
            torch.tensor([[lm.separator, *lm.encode([TEXTS[0]])[0]]])
        ).logits[0]
    assert table["rank"].tolist() == [
        1 + int((logits[t] > logits[t, i]).sum()) for t, i in enumerate(table.token_id)
    ]


def test_windows_score_every_token_once_with_half_a_window_of_context():
    for n in (1, 2, 9, 10, 11, 14, 15, 16, 100, 101):
        seen = [
            start + p
            for start, stop, first in likelihood._windows(n, 10)
            for p in range(first, stop - start)
        ]
        assert seen == list(range(1, n))
        assert all(
            stop - start <= 10 and (start == 0 or first >= 5)
            for start, stop, first in likelihood._windows(n, 10)
        )


def test_a_text_longer_than_the_context_is_scored_in_full(lm):
    text = "The quality of mercy is not strained. " * 20
    assert len(text) > 2 * lm.context
    table = likelihood.token_log_probs(lm, text)
    assert len(table) == len(text) and table.log_prob.lt(0).all()
    start = likelihood.token_log_probs(lm, text[:200])
    assert np.allclose(start.log_prob, table.log_prob[:200], atol=1e-3)


def test_no_text_and_empty_text(lm):
    assert len(likelihood.score(lm, [])) == 0
    assert likelihood.score(lm, ["", "a"]).log_likelihood[0] == 0.0
    assert (
        likelihood.score(lm, ["a"], condition_on="first_token").log_likelihood[0] == 0.0
    )


def test_the_precision_can_be_chosen_for_one_call_but_not_won_back(lm):
    exact, fast = (
        likelihood.score(lm, TEXTS, dtype=dtype).log_likelihood
        for dtype in (None, torch.bfloat16)
    )
    loaded = likelihood.score(
        models.load("tiny", dtype=torch.bfloat16), TEXTS
    ).log_likelihood
    assert 0 < abs(fast - exact).max() and np.allclose(fast, exact, rtol=5e-3)
    assert np.allclose(fast, loaded, rtol=1e-3)
    assert likelihood.score(lm, TEXTS).log_likelihood.equals(
        exact
    )  # nothing of it stays behind
    with pytest.raises(ValueError, match="rounding took away"):
        likelihood.score(
            models.load("tiny", dtype=torch.bfloat16), TEXTS, dtype=torch.float32
        )


@pytest.mark.slow
def test_a_million_characters_are_one_text_like_any_other(lm):
    line = "Tomorrow, and tomorrow, and tomorrow, creeps in this petty pace from day to day. "
    text = (line * 13_000)[:1_000_000]
    scored = likelihood.score(lm, [text, line]).set_index("n_chars")
    assert scored.n_tokens[1_000_000] == 1_000_000
    # The same line over and over costs the same over and over, as far as windows of bytes allow.
    rate = scored.log_likelihood / scored.n_tokens
    assert rate[1_000_000] == pytest.approx(rate[len(line)], rel=0.02)


def test_only_separators_and_a_single_token_are_texts_too(lm):
    separator = lm.decode([lm.separator])
    scored = likelihood.score(lm, [separator * 3, "a", "\x00"])
    assert scored.n_tokens.tolist() == [3, 1, 1] and scored.log_likelihood.lt(0).all()


def test_cost_grows_with_length_and_not_with_its_square(lm):
    """A text ten times as long takes about ten times the windows, each of the same size."""

    def work(n):
        return sum(
            stop - start for start, stop, _ in likelihood._windows(n, lm.context)
        )

    assert work(10_000) < 2.1 * 10_000 and work(1_000_000) < 101 * work(10_000)


@pytest.mark.fault("scoring {texts!r}")
@pytest.mark.parametrize(
    "texts, message",
    [
        ("To be", r"a list is asked for: \['To be'\]"),
        (["fine", None], r"texts\[1\] is NoneType"),
        (["fine", "a\ud800"], r"texts\[1\] has a lone surrogate at character 1"),
    ],
)
def test_what_is_not_text_is_named(lm, texts, message):
    with pytest.raises(ValueError, match=message):
        likelihood.score(lm, texts)


@pytest.mark.fault("an unknown condition_on")
def test_unknown_condition(lm):
    with pytest.raises(ValueError, match="first_token"):
        likelihood.score(lm, ["a"], condition_on="nothing")


def test_bits_per_byte_of_an_untrained_byte_model_is_near_eight(lm):
    scored = likelihood.held_out(lm, TEXTS * 20, 3_000)
    assert scored.n_bytes.sum() >= 3_000
    assert likelihood.bits_per_byte(scored) == pytest.approx(math.log2(257), abs=0.3)


def test_blocks_are_scored_after_their_first_token_and_separators_are_no_bytes(lm):
    ids = lm.encode([TEXTS[2]])[0]
    blocks = [ids, [ids[0], lm.separator, *ids[1:]]]
    scored = likelihood.score_blocks(lm, blocks)
    plain = likelihood.score(lm, [TEXTS[2]], condition_on="first_token")
    assert scored.log_likelihood[0] == pytest.approx(plain.log_likelihood[0], abs=1e-3)
    assert scored.n_bytes.tolist() == [len(TEXTS[2]) - 1] * 2
    assert scored.n_tokens.tolist() == [len(ids) - 1, len(ids)]
