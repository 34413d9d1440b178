"""Scores against transformers' own loss, and against themselves in another order."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

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
    return models.load("tiny")


def total_of(lm, ids):
    """transformers' mean loss over the tokens after the first, times their number."""
    ids = torch.tensor([ids])
    with torch.inference_mode():
        return -lm.model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)


# ---- scores


def test_agrees_with_transformers(lm):
    scored = likelihood.score(lm, TEXTS)
    expected = [total_of(lm, [lm.bos_id, *ids]) for ids in lm.encode(TEXTS)]
    assert np.allclose(scored.log_likelihood, expected, atol=1e-3)
    assert scored.n_chars.tolist() == [len(t) for t in TEXTS]
    n_bytes = [len(t.encode()) for t in TEXTS]  # the tiny model's tokens are bytes
    assert scored.n_bytes.tolist() == scored.n_tokens.tolist() == n_bytes


def test_given_with_the_first_token_left_out_takes_no_token_of_the_text(lm):
    (whole,) = likelihood.score_ids(lm, lm.encode(["abcd"]), 100, progress=False)
    for cut in (1, 2, 3):
        after = likelihood.score(
            lm, ["abcd"[cut:]], given=["abcd"[:cut]], condition_on="first_token"
        )
        assert after.n_tokens[0] == 4 - cut
        expected = whole[cut - 1 :, 0].sum()
        assert after.log_likelihood[0] == pytest.approx(expected, abs=1e-4)


def test_first_token_given_is_transformers_loss_without_the_bos_token(lm):
    scored = likelihood.score(lm, TEXTS, condition_on="first_token")
    encoded = lm.encode(TEXTS)
    assert scored.n_tokens.tolist() == [len(ids) - 1 for ids in encoded]
    expected = [total_of(lm, ids) if len(ids) > 1 else 0.0 for ids in encoded]
    assert np.allclose(scored.log_likelihood, expected, atol=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_neither_batch_nor_order_matters(lm, batch_tokens):
    forward = likelihood.score(lm, TEXTS).log_likelihood
    ids = [[lm.bos_id, *ids] for ids in lm.encode(TEXTS[::-1])]
    backward = likelihood.score_ids(lm, ids, batch_tokens, progress=False)
    sums = [values[:, 0].sum() for values in backward]
    assert np.allclose(forward, sums[::-1], atol=1e-3)


def test_token_log_probs_add_up_and_ranks_agree(lm):
    text = TEXTS[0]
    table = likelihood.token_log_probs(lm, text)
    assert "".join(table.token) == text
    total = likelihood.score(lm, [text]).log_likelihood[0]
    assert table.log_prob.sum() == pytest.approx(total, abs=1e-3)
    ids = torch.tensor([[lm.bos_id, *lm.encode([text])[0]]])
    with torch.inference_mode():
        logits = lm.model(ids).logits[0]  # (tokens, vocabulary)
    chosen = logits[:-1].gather(1, ids[0, 1:, None])
    likelier = (logits[:-1] > chosen).sum(1)
    assert table["rank"].tolist() == (1 + likelier).tolist()


def test_no_text_and_texts_of_nothing_or_little(lm):
    assert len(likelihood.score(lm, [])) == 0
    assert likelihood.score(lm, ["", "a"]).log_likelihood[0] == 0.0
    given = likelihood.score(lm, ["a"], condition_on="first_token")
    assert given.log_likelihood[0] == 0.0
    scored = likelihood.score(lm, ["a", "\x00"])
    assert scored.n_tokens.tolist() == [1, 1]
    assert scored.log_likelihood.lt(0).all()


def test_a_marker_in_a_text_is_the_characters_it_is_written_with(lm, fault):
    marker = lm.decode([lm.bos_id])
    scored = likelihood.score(lm, ["ab", f"a{marker}b"])
    assert scored.n_tokens.tolist() == [2, 2 + len(marker)]
    assert lm.bos_id not in lm.encode([f"a{marker}b"])[0]
    fault(f"a text that quotes {marker}", f"{len(marker)} tokens, one a character")


def test_texts_that_can_be_read_only_once(lm):
    texts = ["to be", "or not"]
    for values in ((t for t in texts), pd.Series(texts, index=[7, 9]), np.array(texts)):
        assert likelihood.score(lm, values).equals(likelihood.score(lm, texts))


# ---- a text that goes on from a beginning


def test_given_a_beginning_the_two_add_up(lm):
    """Where a token is a byte no seam moves: log p(a) + log p(b | a) = log p(a b)."""
    begun, gone_on = ["HAMLET:", ""], ["\nTo be", "or not"]
    whole = likelihood.score(lm, [a + b for a, b in zip(begun, gone_on)])
    after = likelihood.score(lm, gone_on, given=begun)
    parts = likelihood.score(lm, begun).log_likelihood + after.log_likelihood
    assert np.allclose(parts, whole.log_likelihood, atol=1e-3)
    assert after.n_bytes.tolist() == after.n_tokens.tolist() == [6, 6]


@pytest.mark.parametrize(
    "begun, gone_on",
    [("The king is", " dead"), ("The king is ", "dead"), ("The k", "ing")],
)
def test_given_a_beginning_no_text_is_likelier_than_certain(begun, gone_on, capsys):
    """The packaged model's tokens begin with a space, so the seam may lie in one."""
    lm = models.load("packaged")
    after = likelihood.score(lm, [gone_on], given=[begun])
    assert after.log_likelihood[0] < 0 and after.n_tokens[0] == 1
    ids = torch.tensor([[lm.bos_id, *lm.encode([begun + gone_on])[0]]])
    with torch.inference_mode():
        logits = lm.model(ids[:, :-1]).logits[0, -1].log_softmax(-1)
    expected = logits[ids[0, -1]].item()
    assert after.log_likelihood[0] == pytest.approx(expected, abs=1e-3)
    said = "ends inside a token" in capsys.readouterr().out
    assert said == (not gone_on.startswith(" "))


def test_a_beginning_for_each_text(lm):
    with pytest.raises(ValueError, match="given has 1 texts, and texts 2"):
        likelihood.score(lm, ["a", "b"], given=["c"])
    with pytest.raises(ValueError, match=r"given\[0\] is NoneType"):
        likelihood.score(lm, ["a"], given=[None])


# ---- tokens and characters


def test_a_character_of_several_tokens_is_shown_whole():
    text = "I love it \U0001f600 and 你好 and café \n\n x  "
    for name in ("tiny", "packaged"):
        lm = models.load(name)
        table = likelihood.token_log_probs(lm, text)
        assert "".join(table.token) == text
        assert table.token_id.tolist() == lm.encode([text])[0]


def words_alone():
    """A model whose tokenizer knows four words, and lumps all others together."""
    known = {"<unk>": 0, "</s>": 1, "to": 2, "be": 3, "or": 4, "not": 5}
    tokenizer = Tokenizer(WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"eos_token": "</s>", "unk_token": "<unk>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    model = models.load("tiny").model
    return models.LanguageModel(model, wrapped, "four words")


def test_a_text_that_its_tokens_do_not_give_back_is_refused(fault):
    lm = words_alone()
    assert len(likelihood.score(lm, ["to be or not to be"])) == 1
    with pytest.raises(ValueError, match="'zounds' becomes '<unk>'") as caught:
        likelihood.score(lm, ["to be", "to be zounds"])
    fault("a text with a word that the tokenizer does not know", caught.value)


def test_a_tokenizer_that_marks_spaces_gives_them_back(spaces_marked):
    """As SentencePiece does: ▁ for a space, and one more before the first word."""
    tokenizer = spaces_marked("tobernw \n")
    lm = models.LanguageModel(models.load("tiny").model, tokenizer, "spaces marked")
    text = "to be or not\nto be"
    table = likelihood.token_log_probs(lm, text)
    assert "".join(table.token) == text


@pytest.mark.parametrize(
    "texts, message",
    [
        ("To be", "texts is str; give a list"),
        (None, "texts is NoneType; give a list"),
        (7, "texts is int; give a list"),
        ({"a": "To be"}, "texts is dict; give a list"),
        ({"To be"}, "texts is set; give a list"),
        (pd.DataFrame({"text": ["To be"]}), "texts is DataFrame; give a list"),
        (b"To be", "texts is bytes; give a list"),
        (np.zeros(2), r"texts\[0\] is float64"),
        ([["To be"]], r"texts\[0\] is list"),
        ([float("nan")], r"texts\[0\] is float"),
        (["fine", None], r"texts\[1\] is NoneType"),
        (["fine", "a\ud800"], r"texts\[1\] has a lone surrogate"),
    ],
)
def test_what_is_not_text_is_named(lm, texts, message, fault):
    with pytest.raises(ValueError, match=message) as caught:
        likelihood.score(lm, texts)
    fault(f"scoring {texts!r}", caught.value)


def test_unknown_condition(lm, fault):
    with pytest.raises(ValueError, match="first_token") as caught:
        likelihood.score(lm, ["a"], condition_on="nothing")
    fault("an unknown condition_on", caught.value)


# ---- texts longer than the context


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 14, 15, 16, 100, 101])
def test_windows_score_every_token_once_with_half_a_window_of_context(n):
    cut = list(likelihood.windows(0, list(range(n)), 10))
    scored = [token for w in cut for token in w.ids[len(w.ids) - w.n_scored :]]
    assert scored == list(range(1, n))
    assert all(len(w.ids) <= 10 for w in cut)
    assert all(len(w.ids) - w.n_scored >= 5 for w in cut[1:])


def test_a_text_longer_than_the_context_is_scored_in_full(lm):
    text = "The quality of mercy is not strained. " * 20
    assert len(text) > 2 * lm.context_length
    table = likelihood.token_log_probs(lm, text)
    assert len(table) == len(text) and table.log_prob.lt(0).all()
    start = likelihood.token_log_probs(lm, text[:200])
    assert np.allclose(start.log_prob, table.log_prob[:200], atol=1e-3)


def test_cost_grows_with_length_and_not_with_its_square(lm):
    def work(n):
        return sum(
            len(w.ids) for w in likelihood.windows(0, [0] * n, lm.context_length)
        )

    assert work(10_000) < 2.1 * 10_000
    assert work(1_000_000) < 101 * work(10_000)


@pytest.mark.slow
def test_a_million_characters_are_one_text_like_any_other(lm):
    line = "Tomorrow, and tomorrow, and tomorrow, creeps in this pace from day to day. "
    text = (line * 14_000)[:1_000_000]
    scored = likelihood.score(lm, [text, line]).set_index("n_chars")
    assert scored.n_tokens[1_000_000] == 1_000_000
    # The same line again costs the same again, as far as windows of bytes allow.
    rate = scored.log_likelihood / scored.n_tokens
    assert rate[1_000_000] == pytest.approx(rate[len(line)], rel=0.02)


# ---- pieces, blocks, and what a table says


def test_held_out_text_is_scored_in_pieces_of_each_text_in_turn(lm):
    texts = ["a" * 2500, "b" * 1200]
    scored = likelihood.score_held_out(lm, texts, 4000)
    assert scored.n_bytes.tolist() == [1000, 1000, 1000, 200, 500]
    enough = likelihood.score_held_out(lm, texts, 1500)
    assert enough.n_bytes.tolist() == [1000, 1000]


def test_bits_per_byte_of_an_untrained_byte_model_is_near_eight(lm):
    bits = likelihood.bits_per_byte(likelihood.score(lm, TEXTS * 20))
    assert bits == pytest.approx(math.log2(257), abs=0.3)
    by_hand = pd.DataFrame({"log_likelihood": [-math.log(2), 0], "n_bytes": [1, 3]})
    assert likelihood.bits_per_byte(by_hand) == pytest.approx(1 / 4)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(200):
        low, high = likelihood.interval(np.mean, rng.normal(size=60))
        covered.append(low <= 0 <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_the_interval_is_seeded_and_takes_two_samples():
    def gap(a, b, axis):
        return a.mean(axis) - b.mean(axis)

    rng = np.random.default_rng(2)
    a, b = rng.normal(3, 1, 50), rng.normal(0, 1, 80)
    low, high = likelihood.interval(gap, a, b)
    assert (low, high) == likelihood.interval(gap, a, b)
    half_width = 1.96 * math.sqrt(a.var() / 50 + b.var() / 80)
    assert high - low == pytest.approx(2 * half_width, rel=0.1)
    assert low < a.mean() - b.mean() < high


def test_gain_is_the_bits_per_byte_that_the_second_model_saves():
    nats = np.array([-10.0, -20.0, -30.0])
    before = pd.DataFrame({"log_likelihood": nats, "n_bytes": [10, 20, 30]})
    after = before.assign(log_likelihood=nats + math.log(2) * before.n_bytes)
    same = likelihood.gain(before, after)
    assert same == pytest.approx({"gain": 1, "low": 1, "high": 1})
    assert likelihood.gain(after, before)["gain"] == pytest.approx(-1)
    uneven = after.assign(log_likelihood=after.log_likelihood + [0, 1, 2])
    found = likelihood.gain(before, uneven)
    assert found["low"] < found["gain"] < found["high"]
    assert found["gain"] == pytest.approx(1 + (1 / 20 + 2 / 30) / 3 / math.log(2))


def test_a_verdict_holds_if_its_whole_interval_lies_above():
    row = likelihood.verdict("plays gain", 0.18, 0.16, 0.19, above=0.15)
    assert row == {
        "claim": "plays gain",
        "value": 0.18,
        "low": 0.16,
        "high": 0.19,
        "verdict": "holds",
    }
    assert likelihood.verdict("", 0.1, -0.1, 0.3)["verdict"] == "does not hold"
    assert likelihood.verdict("", 0.1, 0.0, 0.3)["verdict"] == "does not hold"


def test_an_untrained_model_is_not_taken_for_a_pretrained_one(lm):
    assert not likelihood.is_pretrained(lm)  # test_models.py has one that is
