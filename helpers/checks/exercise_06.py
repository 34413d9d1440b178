"""Exercise 6: bits per byte; the AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from helpers import likelihood, ood
from helpers.checks.checking import Case, Mistakes, check

# ---- bits_per_byte


def _n_bytes(text):
    return len(text.encode())


def _n_words(text):
    return len(text.split())


def _bits(scores, texts, size=_n_bytes):
    """Bits of all texts by their size in all."""
    return -scores.sum() / math.log(2) / sum(map(size, texts))


def _bits_of_each(scores, texts):
    pairs = zip(scores, texts)
    return np.array([_bits(np.array([nats]), [text]) for nats, text in pairs])


BITS_PER_BYTE = Mistakes()


@BITS_PER_BYTE.mistake("characters instead of bytes")
def _(s, t):
    """“ü” is one character and two bytes: count len(text.encode('utf-8'))."""
    return _bits(s, t, len)


@BITS_PER_BYTE.mistake("nats instead of bits")
def _(s, t):
    """One bit is ln 2 nats: divide by it."""
    return _bits(s, t) * math.log(2)


@BITS_PER_BYTE.mistake("multiplied by ln 2")
def _(s, t):
    """A bit is *less* than a nat, so there are more of them: divide by ln 2."""
    return _bits(s, t) * math.log(2) ** 2


@BITS_PER_BYTE.mistake("the sign is turned")
def _(s, t):
    """The model *pays* these bits: minus the log-likelihood."""
    return -_bits(s, t)


@BITS_PER_BYTE.mistake("totals are compared across lengths")
def _(s, t):
    """Nothing is divided by the length: a longer text then always looks worse."""
    return -s.sum() / math.log(2), -s.mean() / math.log(2), -s.sum()


@BITS_PER_BYTE.mistake("a mean of ratios")
def _(s, t):
    """Divide the sum of all bits by the sum of all bytes; else a short text weighs as
    much as a long one.
    """
    return _bits_of_each(s, t).mean()


@BITS_PER_BYTE.mistake("one number for each text")
def _(*args):
    """One number for all texts together: sum both first."""
    return _bits_of_each(*args)


@BITS_PER_BYTE.mistake("words instead of bytes")
def _(s, t):
    """What a word is depends on who counts; bytes do not."""
    return _bits(s, t, _n_words)


def bits_per_byte(function: Callable) -> None:
    """`function(log_likelihoods, texts)` → bits per UTF-8 byte of all texts together.

    Log-likelihoods (texts,) in nats, and the list of texts.
    """
    scores, texts = np.array([-20.0, -4.0]), ["To be or not to be", "that"]

    def case(what, scores, texts):
        n_bytes = [_n_bytes(text) for text in texts]
        table = pd.DataFrame({"log_likelihood": scores, "n_bytes": n_bytes})
        return Case(what, (scores, texts), likelihood.bits_per_byte(table))

    cases = [
        Case(
            "eight bytes at one bit each",
            (np.array([-8 * math.log(2)]), ["question"]),
            1.0,
            "log_likelihoods = [−8 ln 2], texts = ['question']",
        ),
        case("two texts of unlike length", scores, texts),
        case("letters of more than one byte", scores, ["Grüße, Wörter", "你好"]),
    ]
    check("bits_per_byte", function, cases, BITS_PER_BYTE)


# ---- auroc


def _won(a, b, tie=0.5):
    """The share of pairs in which `a` is the higher."""
    difference = a[:, None] - b
    return ((difference > 0) + tie * (difference == 0)).mean()


AUROC = Mistakes()


@AUROC.mistake("ties count as lost")
def _(a, b):
    """Where two scores are equal, neither is higher: count one half."""
    return _won(a, b, 0)


@AUROC.mistake("ties count as won")
def _(a, b):
    """“>=” gives a tie to the inside; it is worth one half."""
    return _won(a, b, 1)


@AUROC.mistake("the two sets are swapped")
def _(a, b):
    """1 must mean that *inside* is always higher."""
    return _won(b, a), _won(b, a, 0)


@AUROC.mistake("folded to above one half")
def _(a, b):
    """Below one half is the finding: the detector prefers the stranger. Do not turn it
    round.
    """
    return max(_won(a, b), 1 - _won(a, b))


@AUROC.mistake("a count, not a share")
def _(a, b):
    """Divide by the number of pairs."""
    return _won(a, b) * a.size * b.size


@AUROC.mistake("divided by too few")
def _(a, b):
    """There are len(inside) × len(outside) pairs."""
    return _won(a, b) * b.size, _won(a, b) * a.size


@AUROC.mistake("neighbours instead of all pairs")
def _(a, b):
    """zip compares the first with the first and so on; compare each with each."""
    return (
        np.mean([(x > y) + 0.5 * (x == y) for x, y in zip(a, b)]),
        np.mean([float(x > y) for x, y in zip(a, b)]),
    )


@AUROC.mistake("means are compared")
def _(a, b):
    """The mean says nothing about overlap: compare string with string."""
    return float(a.mean() > b.mean()), a.mean() - b.mean(), (a > b.mean()).mean()


def auroc(function: Callable) -> None:
    """`function(inside, outside)` → the share of pairs in which inside is higher.

    Scores (n,) and (m,); ties count one half.
    """

    def case(what, inside, outside):
        a, b = np.array(inside, dtype=float), np.array(outside, dtype=float)
        return Case(what, (a, b), ood.auroc(a, b))

    cases = [
        case("one right order of two pairs", [2], [1, 3]),
        case("every pair the wrong way round", [1, 2], [3, 4]),
        case("a tie", [1, 2], [2, 0]),
        case("three against two, in no order", [5, -1, 3], [4, 0]),
        case("all scores equal", [1, 1, 1], [1, 1]),
    ]
    check("auroc", function, cases, AUROC)
