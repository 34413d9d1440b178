"""Exercise 6: bits per byte; the AUROC."""

import math

import numpy as np

from helpers import ood
from helpers.checks.task import Task

# ---- bits_per_byte


def _n_bytes(text):
    return len(text.encode())


def _bits(scores, texts, size=_n_bytes):
    """Bits of all texts by their size in all."""
    return -math.log2(math.e) * scores.sum() / sum(map(size, texts))


bits_per_byte = Task("bits_per_byte", _bits)
two = np.array([-20.0, -4.0])
bits_per_byte.example("nearly a bit a byte", np.array([-5.5]), ["question"])
bits_per_byte.example("two texts of unlike length", two, ["To be or not to be", "that"])
bits_per_byte.example("letters of several bytes", two, ["Grüße, Wörter", "你好"])


def _any_texts(rng):
    words = ["be", " to be", "Götter", "你好\n", "  a\t", "naïve…", "e\u0301", "İ"]
    texts = rng.choice([*words, "\u00a0x"], rng.integers(1, 6)).tolist()
    return -rng.integers(1, 9, len(texts)) / 2, texts


bits_per_byte.drawn("any texts, in any script, with white space", _any_texts)
bits_per_byte.example("a page", np.array([-3000.0]), [500 * "question "])


def _of_each(scores, texts):
    return -scores / math.log(2) / np.array([_n_bytes(text) for text in texts])


bits_per_byte.mistakes = {
    "characters instead of bytes": lambda s, t: _bits(s, t, len),
    "nats instead of bits": lambda s, t: _bits(s, t) * math.log(2),
    "multiplied by ln 2": lambda s, t: _bits(s, t) * math.log(2) ** 2,
    "not divided by the bytes": lambda s, t: (-s.sum() / math.log(2), -s.sum()),
    "a mean of ratios": lambda s, t: (_of_each(s, t).mean(), _of_each(s, t).sum()),
    "one number for each text": lambda s, t: _of_each(s, t),
    "words instead of bytes": lambda s, t: _bits(s, t, lambda u: len(u.split())),
    "a mean over a sum": lambda s, t: (_bits(s, t) / len(t), _bits(s, t) * len(t)),
    "white space is left out": lambda s, t: _bits(s, ["".join(u.split()) for u in t]),
    "texts are joined by a space": lambda s, t: _bits(s, [" ".join(t)]),
    "another encoding": lambda s, t: _bits(s, t, lambda u: len(u.encode("utf-16-le"))),
}

# ---- auroc


def _won(a, b, tie=0.5):
    """The share of pairs in which `a` is the higher."""
    difference = a[:, None] - b
    return ((difference > 0) + tie * (difference == 0)).mean()


auroc = Task("auroc", ood.auroc)
auroc.example("one right order of two pairs", np.array([2.0]), np.array([1.0, 3.0]))
auroc.example("all the wrong way round", np.array([1.0, 2.0]), np.array([3.0, 4.0]))


def _without_ties(rng):
    n, m = rng.integers(2, 30, 2)
    return rng.normal(-90, 20, n).round(3), rng.normal(-100, 20, m).round(3)


def _with_ties(rng):
    n, m = rng.integers(1, 7, 2)
    return rng.integers(-3, 4, n).astype(float), rng.integers(-3, 3, m).astype(float)


auroc.drawn("two sets of unlike size, without ties", _without_ties)
auroc.example("apart by a hair", np.array([-5000.00001]), np.array([-5000.00002]))
auroc.example("a tie", np.array([1.0, 2.0]), np.array([2.0, 0.0]))
auroc.example("all scores equal", np.ones(3), np.ones(2))
auroc.drawn("scores with duplicates and ties, in no order", _with_ties, 20)


auroc.mistakes = {
    "ties count as lost": lambda a, b: _won(a, b, 0),
    "ties count as won": lambda a, b: _won(a, b, 1),
    "the two sets are swapped": lambda a, b: (_won(b, a), _won(b, a, 0), _won(b, a, 1)),
    "folded to above one half": lambda a, b: max(_won(a, b), 1 - _won(a, b)),
    "not divided by the number of pairs": lambda a, b: tuple(
        _won(a, b) * n for n in (a.size, b.size, a.size * b.size)
    ),
    "neighbours instead of all pairs": lambda a, b: np.mean([*map(np.greater, a, b)]),
    "means are compared": lambda a, b: a.mean() > b.mean(),
}
