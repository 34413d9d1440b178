"""Exercise 10: the exposure of a canary."""

from functools import partial

import numpy as np
from scipy.special import log_softmax
from scipy.stats import rankdata

from helpers.checks.task import Task


def _rank(scores, canary, ties="min"):
    """1 for the likeliest; `ties` as scipy names what it does with them."""
    return rankdata(-scores, ties)[canary]


def _exposure(scores, canary, ties="min"):
    return -np.log2(_rank(scores, canary, ties) / len(scores))


exposure = Task("exposure", _exposure)
four = np.array([-9.0, -7.0, -8.0, -12.0])
exposure.example("the likeliest of four", four, 1)
exposure.example("the third of four", four, 0)


def _any(rng, nats, different):
    """Candidates of so many nats at most, and of so many different numbers of them."""
    n = rng.integers(2, 60)
    return -nats / different * rng.integers(different, size=n), int(rng.integers(n))


for what, nats, different in (
    ("any number of candidates, in no order", 90, 10**6),
    ("candidates of a page each", 9000, 10**6),
    ("candidates equal to the canary, and to each other", 90, 4),
):
    exposure.drawn(what, partial(_any, nats=nats, different=different))
exposure.example("all candidates alike", np.full(8, -3.0), 5)


def _of(way):
    """What `way` makes of the canary's rank and the number of candidates."""
    return lambda scores, canary: way(_rank(scores, canary), len(scores))


def _by_probability(scores, canary):
    """Its surprise in bits; the same among the candidates; what that saves a guess."""
    among = -log_softmax(scores)[canary] / np.log(2)
    return -scores[canary] / np.log(2), among, np.log2(len(scores)) - among


exposure.mistakes = {
    "another logarithm": _of(lambda rank, n: (np.log(n / rank), np.log10(n / rank))),
    "the rank begins at 0": _of(lambda rank, n: np.log2(n / (rank - 1))),
    "ranked the wrong way round": lambda s, c: _exposure(-s, c),
    "the rank itself": _of(lambda rank, n: rank),
    "the logarithm of the rank": _of(lambda rank, n: (np.log2(rank), -np.log2(rank))),
    "a share, not its logarithm": _of(lambda rank, n: (rank / n, n / rank)),
    "the canary is not counted": _of(lambda rank, n: np.log2((n - 1) / rank)),
    "a probability, not a rank": _by_probability,
    "equal candidates are ahead": lambda s, c: tuple(
        _exposure(s, c, ties) for ties in ("max", "average", "ordinal")
    ),
    "equal candidates count as one": partial(_exposure, ties="dense"),
    "argsort is not the rank": lambda s, c: np.log2(len(s) / (1 + np.argsort(-s)[c])),
    "one number for each candidate": lambda s, c: _exposure(s, slice(None)),
}
