"""Spot the bug: a total from a loss, two perplexities, scores of a batch."""

import math
from functools import partial

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from helpers.checks.exercise_02 import by_cross_entropy, log_likelihoods
from helpers.checks.task import Task
from helpers.checks.tiny_model import another_model, rows_of

# ---- total_from_loss

total_from_loss = Task("total_from_loss", lambda loss, ids: -loss * (len(ids) - 1))
total_from_loss.example("one token at 0.7 nats", 0.7, torch.tensor([0, 5]))
total_from_loss.example("ten such tokens", 0.7, torch.arange(11))
total_from_loss.example("a long text and a high loss", 19.25, torch.arange(150))


def _twice(rng):
    ids = torch.tensor(rng.integers(0, 4, rng.integers(3, 31)))
    ids[[0, -1]] = 0
    return round(rng.uniform(0.1, 6), 2), ids


total_from_loss.drawn("a token, or the separator, that comes twice", _twice)


total_from_loss.mistakes = {
    "multiplied by the length": lambda loss, ids: (-loss * len(ids), loss * len(ids)),
    "one token too few or too many": lambda loss, ids: tuple(
        -loss * (len(ids) + n) for n in (-2, 1)
    ),
    "still a mean": lambda loss, ids: (-loss, loss, -loss / (len(ids) - 1)),
    "the exponential is taken": lambda loss, ids: (math.exp(-loss), math.exp(loss)),
}

# ---- perplexity


def _by_sums(scores, n_tokens):
    return math.exp(-math.fsum(scores) / sum(n_tokens.tolist()))


perplexity = Task("perplexity", _by_sums)
perplexity.example("one text, 2 nats a token", np.array([-8.0]), np.array([4]))
perplexity.example("one text, 9 nats a token", np.array([-36.0]), np.array([4]))
perplexity.example("two texts of one length", np.array([-8.0, -12]), np.array([4, 4]))
perplexity.example("a long text and a title", np.array([-30.0, -10]), np.array([20, 2]))


def _any_texts(rng):
    n = rng.integers(1, 60, rng.integers(1, 7))
    return (-n * rng.uniform(0.5, 8, len(n))).round(1), n


perplexity.drawn("texts of any number and length", _any_texts)
perplexity.example("a text twice", np.array([-8.0, -15, -15]), np.array([4, 5, 5]))
perplexity.example("books", np.array([-90_000.0, -2e5]), np.array([30_000, 80_000]))


def _to_powers(rate):
    return 2**rate, 10**rate, np.exp(rate / math.log(2))


perplexity.mistakes = {
    "a mean of perplexities": lambda s, n: np.exp(-s / n).mean(),
    "every text weighs the same": lambda s, n: np.exp(-(s / n).mean()),
    "perplexities are weighted": lambda s, n: np.average(np.exp(-s / n), weights=n),
    "no exponential": lambda s, n: (-s.sum() / n.sum(), s.sum() / n.sum()),
    "bits taken for nats": lambda s, n: _to_powers(-s.sum() / n.sum()),
    "one number for each text": lambda s, n: (np.exp(-s / n), np.exp(-s.sum() / n)),
    "divided by the number of texts": lambda s, n: np.exp(-s.mean()),
}

# ---- per_word

per_word = Task("per_word", lambda p, n, words: math.exp(math.log(p) * n / words))
per_word.example("two tokens a word", 3.0, 200, 100)
per_word.example("as many tokens as words", 40.0, 100, 100)
per_word.example("tokens of two words each", 25.0, 50, 100)


def _counts(rng):
    """Half a token to five for each word."""
    words = int(rng.integers(2, 300_000))
    tokens = round(words * rng.uniform(0.5, 5))
    return round(rng.uniform(1.5, 40), 1), tokens, words


per_word.drawn("any number of tokens per word", _counts)


def _miscounted(p, n, words):
    powers = (n - 1) / words, (n + 1) / words, n / (words - 1), (n + 1) / (words + 1)
    return tuple(p**power for power in powers)


per_word.mistakes = {
    "multiplied, not to the power": lambda p, n, words: (p * n / words, p * words / n),
    "the power is upside down": lambda p, n, words: p ** (words / n),
    "nothing is changed": lambda p, n, words: p,
    "two bases of logarithms": lambda p, n, words: _to_powers(math.log(p) * n / words),
    "tokens per word are rounded": lambda p, n, words: tuple(
        p ** rounded(n / words) for rounded in (math.floor, round, math.ceil)
    ),
    "a token or a word too many or too few": _miscounted,
}

# ---- batch_scores


def _one_by_one(model, rows):
    """Each row alone, by torch's own cross-entropy."""
    scores = [by_cross_entropy(model.eval()(row[None]).logits[0], row) for row in rows]
    return torch.stack(scores)


batch_scores = Task("batch_scores", _one_by_one)
TEXTS = ["That is the question", "To be", "or not", "a"]


def _these(*texts):
    return lambda rng: (another_model(rng), rows_of(texts))


batch_scores.drawn("one text", _these(TEXTS[0]), 2)
batch_scores.drawn("two texts of one length", _these("That is", "not you"), 2)
batch_scores.drawn("a long text and a short one", _these(*TEXTS[:2]), 2)
batch_scores.drawn("several texts, one of them twice", _these(*TEXTS, TEXTS[1]), 2)


def _with_separator(rng):
    return another_model(rng), [torch.cat([row, row]) for row in rows_of(TEXTS[1:])]


def _just_trained(rng):
    model = another_model(rng).train()
    model.transformer.drop.p = 0.1
    return model, rows_of(TEXTS[:2])


batch_scores.drawn("a text that holds the separator itself", _with_separator, 2)
batch_scores.drawn("a model just trained, with its dropout on", _just_trained, 2)


def _padded_left(model, rows, masked):
    """Each row's own part of a batch padded on the left, with a mask or without."""
    ids = pad_sequence(rows, batch_first=True, padding_value=-1, padding_side="left")
    mask = (ids > -1).long() if masked else None
    logits = model.eval()(ids.clamp(min=0), attention_mask=mask).logits
    scores = [by_cross_entropy(x[-len(row) :], row) for x, row in zip(logits, rows)]
    return torch.stack(scores)


def _padded_right(model, rows, wrong):
    """What a wrong function of logits, ids and lengths gives for a batch."""
    ids = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) - 1 for row in rows])
    return wrong(model.eval()(ids).logits, ids, lengths)


batch_scores.mistakes = {
    "padded on the left without a mask": partial(_padded_left, masked=False),
    "positions are counted from the padding": partial(_padded_left, masked=True),
}
for name, wrong in log_likelihoods.mistakes.items():
    batch_scores.mistakes[name] = partial(_padded_right, wrong=wrong)
