"""Spot the bug: a total from a loss, two perplexities, scores of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from helpers import likelihood
from helpers.checks.answers import numbers
from helpers.checks.checking import Case, Mistake, check
from helpers.checks.tiny_model import on_the_tiny_model, picked, tiny

SIGN = "A loss is minus a log-likelihood."

# ---- total_from_loss

TOTAL_FROM_LOSS = [
    Mistake(
        "multiplied by the length",
        "The loss is a mean over the tokens it *scored*. How many of ids did it score?",
        lambda loss, ids: -loss * len(ids),
    ),
    Mistake(
        "two tokens too few",
        "Only one of ids is not scored: the first, which nothing comes before.",
        lambda loss, ids: -loss * (len(ids) - 2),
    ),
    Mistake(
        "one token too many",
        "The separator is already among ids: nothing is added.",
        lambda loss, ids: -loss * (len(ids) + 1),
    ),
    Mistake(
        "the sign is turned",
        SIGN,
        lambda loss, ids: loss * (len(ids) - 1),
        lambda loss, ids: loss * len(ids),
    ),
    Mistake(
        "still a mean",
        "A mean per token is no total: multiply by the number of tokens scored.",
        lambda loss, ids: -loss,
        lambda loss, ids: loss,
    ),
    Mistake(
        "a probability, not its log",
        "Leave out the exp: in a long text it underflows.",
        lambda loss, ids: math.exp(-loss * (len(ids) - 1)),
        lambda loss, ids: math.exp(-loss),
    ),
]


@on_the_tiny_model
def total_from_loss(function: Callable) -> None:
    """`function(loss, ids)` → log p of the text behind the separator, in nats.

    The library's mean loss in nats, and ids (n + 1,).
    """
    sentence = "To be, or not to be"
    ids = torch.tensor(tiny().encode([sentence])[0])
    with torch.inference_mode():
        loss = F.cross_entropy(tiny().model(ids[None]).logits[0, :-1], ids[1:]).item()
    scores = likelihood.score(
        tiny(), [sentence], condition_on="first_token", progress=False
    )

    def case(what, loss, n):
        example = f"loss = {loss:.4g}, ids = the separator and {n} more"
        return Case(what, (loss, torch.arange(n + 1)), -loss * n, example)

    coin = math.log(2)
    cases = [
        case("one token, which the model finds as likely as a coin's side", coin, 1),
        case("ten such tokens", coin, 10),
        Case(
            "a loss of the library's own",
            (loss, ids),
            scores.log_likelihood[0],
            f"the tiny model's loss on “{sentence}”, its first byte the separator",
        ),
    ]
    check("total_from_loss", function, cases, TOTAL_FROM_LOSS)


# ---- perplexity


@np.errstate(over="ignore")
def _exp_first(scores, n):
    return np.exp(-scores.sum()) ** (1 / n.sum())


PERPLEXITY = [
    Mistake(
        "a mean of perplexities",
        "Average the nats, not their exponentials: one hard text of two words would "
        "outweigh a book.",
        lambda s, n: np.exp(-s / n).mean(),
    ),
    Mistake(
        "every text weighs the same",
        "A mean of means gives a title the weight of a book: all nats by all tokens.",
        lambda s, n: np.exp(-(s / n).mean()),
    ),
    Mistake(
        "perplexities weighted by length",
        "Weights do not mend it: an exponential of a mean is no mean of exponentials.",
        lambda s, n: np.average(np.exp(-s / n), weights=n),
    ),
    Mistake("the sign is turned", SIGN, lambda s, n: np.exp(s.sum() / n.sum())),
    Mistake(
        "no exponential",
        "These are nats per token; a perplexity is their exponential.",
        lambda s, n: -s.sum() / n.sum(),
    ),
    Mistake(
        "bits taken for nats",
        "The log-likelihoods are in nats: raise e to them, not 2.",
        lambda s, n: 2 ** (-s.sum() / n.sum()),
    ),
    Mistake(
        "one number for each text",
        "One number for all texts together: sum both first.",
        lambda s, n: np.exp(-s / n),
    ),
    Mistake(
        "the exponential comes first",
        "e to a whole text overflows: divide the nats by the tokens, then one exp.",
        _exp_first,
    ),
]


def perplexity(function: Callable) -> None:
    """`function(log_likelihoods, n_tokens)` → the perplexity of all texts together.

    Log-likelihoods (texts,) in nats, and tokens (texts,): how many each has.
    """

    def case(what, scores, n_tokens):
        """By the geometric mean of what one token's probability is."""
        logs = [nats / n for nats, n in zip(scores, n_tokens) for _ in range(n)]
        expected = math.exp(-math.fsum(logs) / len(logs))
        return Case(what, (np.array(scores), np.array(n_tokens)), expected)

    cases = [
        case("one text, each token one in eight", [-4 * math.log(8)], [4]),
        case("two texts of one length", [-8.0, -12.0], [4, 4]),
        case("a long text and a title", [-30.0, -10.0], [20, 2]),
        case("two books", [-60_000.0, -70_000.0], [20_000, 25_000]),
    ]
    check("perplexity", function, cases, PERPLEXITY)


# ---- per_word

PER_WORD = [
    Mistake(
        "multiplied by tokens per word",
        "A word's probability is the *product* of its tokens': take a power.",
        lambda p, n, words: p * n / words,
    ),
    Mistake(
        "divided by tokens per word",
        "Nothing is shared out: a word of three tokens is three guesses in a row.",
        lambda p, n, words: p * words / n,
    ),
    Mistake(
        "the power is upside down",
        "A word of many tokens is the harder guess: tokens *per* word.",
        lambda p, n, words: p ** (words / n),
    ),
    Mistake(
        "nothing is changed",
        "Per token, it depends on who cut the tokens: bring in both counts.",
        lambda p, n, words: p,
    ),
    Mistake(
        "nats, not a perplexity",
        "These are nats per word; a perplexity is their exponential.",
        lambda p, n, words: math.log(p) * n / words,
    ),
    Mistake(
        "two bases of logarithms",
        "What log took, exp gives back; 2 to the power of nats is neither.",
        lambda p, n, words: 2 ** (math.log(p) * n / words),
        lambda p, n, words: math.exp(math.log2(p) * n / words),
    ),
]


def per_word(function: Callable) -> None:
    """`function(perplexity, n_tokens, n_words)` → the same text's perplexity per word.

    A perplexity per token, and how many tokens and words the text has.
    """

    def case(what, perplexity, n_tokens, n_words):
        """By way of the text's total."""
        nats = n_tokens * math.log(perplexity)
        return Case(what, (perplexity, n_tokens, n_words), math.exp(nats / n_words))

    cases = [
        case("two tokens a word", 3.0, 200, 100),
        case("as many tokens as words", 40.0, 100, 100),
        case("tokens of two words each", 25.0, 50, 100),
        case("a text of 250,000 words", 3.1, 1_300_000, 250_000),
    ]
    check("per_word", function, cases, PER_WORD)


# ---- batch_scores


def _batch(model, rows, side="right", masked=False, shift=1):
    """log p of each token, 0 where there is none, in a batch padded on one side."""
    ids = pad_sequence(rows, batch_first=True, padding_side=side)  # (texts, longest)
    real = pad_sequence([row > -1 for row in rows], True, False, side)
    logits = model(ids, attention_mask=real.long() if masked else None).logits
    scored = real[:, :-1] & real[:, 1:]  # both a token and the one before it
    return picked(logits[:, :-1], ids[:, shift : ids.shape[1] - 1 + shift]) * scored


def _in_training(model, rows):
    return _batch(model.train(), rows).sum(1)


def _all_positions(model, rows):
    ids = pad_sequence(rows, batch_first=True)
    return picked(model(ids).logits[:, :-1], ids[:, 1:]).sum(1)


BATCH_SCORES = [
    Mistake(
        "padded on the left without a mask",
        "The model reads the padding as the text's beginning. Pad on the right, or "
        "give it a mask and positions.",
        lambda model, rows: _batch(model, rows, "left").sum(1),
    ),
    Mistake(
        "positions are counted from the padding",
        "The mask hides the padding, but the text now begins at a later position: "
        "give position_ids as well, or pad on the right.",
        lambda model, rows: _batch(model, rows, "left", masked=True).sum(1),
    ),
    Mistake(
        "dropout is left on",
        "Training left the model in train mode, where it drops units by chance: "
        "model.eval() first.",
        _in_training,
    ),
    Mistake(
        "padding is counted",
        "A row's own tokens end where the row does: leave out what stands behind.",
        _all_positions,
    ),
    Mistake(
        "mean instead of sum",
        "log p of a text is the sum over its tokens.",
        lambda model, rows: torch.stack([_batch(model, [r]).mean() for r in rows]),
        lambda model, rows: _batch(model, rows).mean(1),
    ),
    Mistake(
        "the sign is turned", SIGN, lambda model, rows: -_batch(model, rows).sum(1)
    ),
    Mistake(
        "no shift by one",
        "The output at position t speaks about the token at t + 1.",
        lambda model, rows: _batch(model, rows, shift=0).sum(1),
    ),
]


def _twice(function, model, rows):
    """Whether two calls agree, on a model that training has left with dropout on."""
    for part in model.train().modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.1
    first, second = numbers(function(model, rows)), numbers(function(model, rows))
    same = np.allclose(first, second, equal_nan=True)
    return "the same twice" if same else "another number the second time"


@on_the_tiny_model
def batch_scores(function: Callable) -> None:
    """`function(model, rows)` → log p of each text, shape (texts,), in nats.

    Rows of ids, each a tensor (n + 1,) with the separator first.
    """
    model, texts = tiny().model, ["That is the question", "To be", "or not"]
    rows = [torch.tensor([tiny().bos_id, *ids]) for ids in tiny().encode(texts)]
    scores = likelihood.score(tiny(), texts, progress=False).log_likelihood.tolist()

    def case(what, first, last, expected, call=Case.call):
        example = "the tiny model, " + ", ".join(map(repr, texts[first:last]))
        args = (model, rows[first:last])
        return Case(what, args, expected, example, call=call)

    cases = [
        case("one text", 1, 2, scores[1:2]),
        case("a long text and a short one", 0, 2, scores[:2]),
        case("three texts", 0, 3, scores),
        case("asked twice, of a model just trained", 0, 2, "the same twice", _twice),
    ]
    check("batch_scores", function, cases, BATCH_SCORES)
