"""Exercise 7: the likelihood ratio; the domain classifier."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from helpers.checks.checking import Case, Mistake, check

# ---- likelihood_ratio


def _by_text(scores, model):
    return scores[scores.model == model].set_index("text_id").log_likelihood


def _of(combine: Callable) -> Callable:
    """`combine(tuned, base)`, Series by text_id, as a function of the table."""
    return lambda s, d: combine(_by_text(s, d), _by_text(s, "base"))


def _ratio(scores, domain):
    return _by_text(scores, domain) - _by_text(scores, "base")


def _by_position(scores, domain):
    tuned, base = _by_text(scores, domain), _by_text(scores, "base")
    return pd.Series(tuned.to_numpy() - base.to_numpy(), base.index)


LIKELIHOOD_RATIO = [
    Mistake(
        "rows matched by position",
        "The models' rows are in different orders: match them by text_id.",
        _by_position,
        lambda s, d: _by_position(s, d).set_axis(_by_text(s, d).index),
    ),
    Mistake(
        "logs are divided",
        "A ratio of probabilities is a *difference* of their logs.",
        _of(lambda tuned, base: tuned / base),
    ),
    Mistake(
        "base over fine-tuned",
        "The fine-tuned model comes first: positive must mean that it gained.",
        _of(lambda tuned, base: base - tuned),
    ),
    Mistake(
        "the exponential is taken",
        "Stay with logs: probabilities of whole texts underflow, and their ratio "
        "overflows.",
        _of(lambda tuned, base: np.exp(tuned - base)),
    ),
    Mistake(
        "nothing is subtracted",
        "This is the raw log-likelihood: easy texts still look familiar.",
        _by_text,
    ),
    Mistake(
        "the domain is ignored",
        "Use the model named by “domain”, not always the same one.",
        lambda s, d: _ratio(s, "shakespeare"),
        lambda s, d: _ratio(s, "neurips"),
    ),
    Mistake(
        "compared with the base's mean",
        "Subtract the base's score of the *same* string.",
        _of(lambda tuned, base: tuned - base.mean()),
    ),
    Mistake(
        "divided by the length",
        "A ratio per byte is another detector; here the whole string's is asked for.",
        lambda s, d: _ratio(s, d) / s.groupby("text_id").n_bytes.first(),
    ),
]


def likelihood_ratio(function: Callable) -> None:
    """`function(scores, domain)` → log p of that model over base, a Series by text_id.

    Rows of likelihoods.csv; in nats.
    """
    scores = pd.DataFrame(
        [
            ("a", "base", -100.0),
            ("b", "base", -150.0),
            ("c", "base", -450.0),
            ("c", "shakespeare", -449.0),
            ("a", "shakespeare", -110.0),
            ("b", "shakespeare", -130.0),
            ("b", "neurips", -155.0),
            ("c", "neurips", -452.0),
            ("a", "neurips", -90.0),
        ],
        columns=["text_id", "model", "log_likelihood"],
    )
    scores["n_bytes"] = scores.text_id.map({"a": 100, "b": 90, "c": 50})
    far = scores.assign(log_likelihood=10 * scores.log_likelihood)

    def case(what, scores, domain):
        table = scores.pivot(index="text_id", columns="model", values="log_likelihood")
        return Case(what, (scores, domain), table[domain] - table["base"])

    cases = [
        case("the model fine-tuned on Shakespeare", scores, "shakespeare"),
        case("the model fine-tuned on NeurIPS", scores, "neurips"),
        case("texts ten times as long", far, "shakespeare"),
    ]
    check("likelihood_ratio", function, cases, LIKELIHOOD_RATIO)


# ---- posterior


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _odds(p):
    return math.log(p / (1 - p))


@np.errstate(all="ignore")
def _underflowing(a, b, p):
    return p * np.exp(a) / (p * np.exp(a) + (1 - p) * np.exp(b))


POSTERIOR = [
    Mistake(
        "the prior is ignored",
        "With unequal priors, Bayes' rule adds log(prior / (1 − prior)) to the "
        "difference.",
        lambda a, b, p: _logistic(a - b),
    ),
    Mistake(
        "the prior of the other domain",
        "prior is that of NeurIPS: its odds are prior / (1 − prior).",
        lambda a, b, p: _logistic(a - b - _odds(p)),
    ),
    Mistake(
        "the prior multiplies the answer",
        "Multiply the two *likelihoods* by their priors, then divide by their sum.",
        lambda a, b, p: _logistic(a - b) * p,
        lambda a, b, p: _logistic(a - b) * 2 * p,
    ),
    Mistake(
        "the prior is not turned into a log",
        "Log-likelihoods take log-priors: add log(prior), not prior.",
        lambda a, b, p: _logistic(a + p - b - (1 - p)),
        lambda a, b, p: _logistic(a - b + p),
    ),
    Mistake(
        "the domains are swapped",
        "This is P(Shakespeare | x).",
        lambda a, b, p: _logistic(b - a - _odds(p)),
        lambda a, b, p: _logistic(b - a),
        lambda a, b, p: _logistic(b - a + _odds(p)),
    ),
    Mistake(
        "exp of a whole text",
        "exp(−5000) is 0, and 0/0 no number: subtract the logs first, then one exp.",
        _underflowing,
    ),
    Mistake(
        "a verdict, not a probability",
        "Return how sure the two models are, not only which is ahead.",
        lambda a, b, p: (a > b).astype(float),
        lambda a, b, p: (_logistic(a - b + _odds(p)) > 0.5).astype(float),
        lambda a, b, p: (a >= b).astype(float),
    ),
    Mistake(
        "logs are shared out",
        "a / (a + b) is for probabilities; these are their logs.",
        lambda a, b, p: a / (a + b),
        lambda a, b, p: b / (a + b),
    ),
    Mistake(
        "softmax over the strings",
        "Each string's two models compete, not the strings with each other.",
        lambda a, b, p: torch.tensor(a).softmax(-1),
    ),
]


def posterior(function: Callable) -> None:
    """`function(log_p_neurips, log_p_shakespeare, prior)` → P(NeurIPS | x), shape (n,).

    Log-likelihoods (n,) in nats.
    """
    none = np.array([-100.0])
    a, b = np.array([-100.0, -101.0, -99.0]), np.array([-100.0, -100.0, -102.0])
    page = 50 * a

    def case(what, a, b, prior):
        """By odds: the prior's times e to the difference."""
        odds = (1 - prior) / prior
        expected = [1 / (1 + odds * math.exp(y - x)) for x, y in zip(a, b)]
        return Case(what, (a, b, prior), expected)

    cases = [
        case("nothing known, equal priors", none, none, 0.5),
        case("a nat or three apart, equal priors", a, b, 0.5),
        case("one text in ten is an abstract", a, b, 0.1),
        case("a whole page, 5,000 nats", page, page - 1, 0.5),
    ]
    check("posterior", function, cases, POSTERIOR)
