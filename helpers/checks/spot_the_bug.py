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
from helpers.checks.checking import Case, Mistakes, check
from helpers.checks.tiny_model import on_the_tiny_model, picked, tiny

# ---- total_from_loss

TOTAL_FROM_LOSS = Mistakes()


@TOTAL_FROM_LOSS.mistake("multiplied by the length")
def _(loss, ids):
    """The loss is a mean over the tokens it *scored*. How many of ids did it score?"""
    return -loss * len(ids)


@TOTAL_FROM_LOSS.mistake("two tokens too few")
def _(loss, ids):
    """Only one of ids is not scored: the first, which nothing comes before."""
    return -loss * (len(ids) - 2)


@TOTAL_FROM_LOSS.mistake("one token too many")
def _(loss, ids):
    """The separator is already among ids: nothing is added."""
    return -loss * (len(ids) + 1)


@TOTAL_FROM_LOSS.mistake("the sign is turned")
def _(loss, ids):
    """A loss is minus a log-likelihood."""
    return loss * (len(ids) - 1), loss * len(ids)


@TOTAL_FROM_LOSS.mistake("still a mean")
def _(loss, ids):
    """A mean per token is no total: multiply by the number of tokens scored."""
    return -loss, loss


@TOTAL_FROM_LOSS.mistake("a probability, not its log")
def _(loss, ids):
    """Leave out the exp: in a long text it underflows."""
    return math.exp(-loss * (len(ids) - 1)), math.exp(-loss)


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


PERPLEXITY = Mistakes()


@PERPLEXITY.mistake("a mean of perplexities")
def _(s, n):
    """Average the nats, not their exponentials: one hard text of two words would
    outweigh a book.
    """
    return np.exp(-s / n).mean()


@PERPLEXITY.mistake("every text weighs the same")
def _(s, n):
    """A mean of means gives a title the weight of a book: all nats by all tokens."""
    return np.exp(-(s / n).mean())


@PERPLEXITY.mistake("perplexities weighted by length")
def _(s, n):
    """Weights do not mend it: an exponential of a mean is no mean of exponentials."""
    return np.average(np.exp(-s / n), weights=n)


@PERPLEXITY.mistake("the sign is turned")
def _(s, n):
    """A loss is minus a log-likelihood."""
    return np.exp(s.sum() / n.sum())


@PERPLEXITY.mistake("no exponential")
def _(s, n):
    """These are nats per token; a perplexity is their exponential."""
    return -s.sum() / n.sum()


@PERPLEXITY.mistake("bits taken for nats")
def _(s, n):
    """The log-likelihoods are in nats: raise e to them, not 2."""
    return 2 ** (-s.sum() / n.sum())


@PERPLEXITY.mistake("one number for each text")
def _(s, n):
    """One number for all texts together: sum both first."""
    return np.exp(-s / n)


@PERPLEXITY.mistake("the exponential comes first")
@np.errstate(over="ignore")
def _(s, n):
    """e to a whole text overflows: divide the nats by the tokens, then one exp."""
    return np.exp(-s.sum()) ** (1 / n.sum())


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

PER_WORD = Mistakes()


@PER_WORD.mistake("multiplied by tokens per word")
def _(p, n, words):
    """A word's probability is the *product* of its tokens': take a power."""
    return p * n / words


@PER_WORD.mistake("divided by tokens per word")
def _(p, n, words):
    """Nothing is shared out: a word of three tokens is three guesses in a row."""
    return p * words / n


@PER_WORD.mistake("the power is upside down")
def _(p, n, words):
    """A word of many tokens is the harder guess: tokens *per* word."""
    return p ** (words / n)


@PER_WORD.mistake("nothing is changed")
def _(p, n, words):
    """Per token, it depends on who cut the tokens: bring in both counts."""
    return p


@PER_WORD.mistake("nats, not a perplexity")
def _(p, n, words):
    """These are nats per word; a perplexity is their exponential."""
    return math.log(p) * n / words


@PER_WORD.mistake("two bases of logarithms")
def _(p, n, words):
    """What log took, exp gives back; 2 to the power of nats is neither."""
    return 2 ** (math.log(p) * n / words), math.exp(math.log2(p) * n / words)


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


BATCH_SCORES = Mistakes()


@BATCH_SCORES.mistake("padded on the left without a mask")
def _(model, rows):
    """The model reads the padding as the text's beginning. Pad on the right, or give
    it a mask and positions.
    """
    return _batch(model, rows, "left").sum(1)


@BATCH_SCORES.mistake("positions are counted from the padding")
def _(model, rows):
    """The mask hides the padding, but the text now begins at a later position: give
    position_ids as well, or pad on the right.
    """
    return _batch(model, rows, "left", masked=True).sum(1)


@BATCH_SCORES.mistake("dropout is left on")
def _(model, rows):
    """Training left the model in train mode, where it drops units by chance:
    model.eval() first.
    """
    return _batch(model.train(), rows).sum(1)


@BATCH_SCORES.mistake("padding is counted")
def _(model, rows):
    """A row's own tokens end where the row does: leave out what stands behind."""
    ids = pad_sequence(rows, batch_first=True)
    return picked(model(ids).logits[:, :-1], ids[:, 1:]).sum(1)


@BATCH_SCORES.mistake("mean instead of sum")
def _(model, rows):
    """log p of a text is the sum over its tokens."""
    return (
        torch.stack([_batch(model, [r]).mean() for r in rows]),
        _batch(model, rows).mean(1),
    )


@BATCH_SCORES.mistake("the sign is turned")
def _(model, rows):
    """A loss is minus a log-likelihood."""
    return -_batch(model, rows).sum(1)


@BATCH_SCORES.mistake("no shift by one")
def _(model, rows):
    """The output at position t speaks about the token at t + 1."""
    return _batch(model, rows, shift=0).sum(1)


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
