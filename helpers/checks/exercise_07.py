"""Exercise 7: the likelihood ratio; the domain classifier."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from helpers.checks.checking import Case, Mistakes, check

# ---- likelihood_ratio


def _by_text(scores, model):
    return scores[scores.model == model].set_index("text_id").log_likelihood


def _pair(scores, domain):
    """What the fine-tuned model and the base give, each by text_id."""
    return _by_text(scores, domain), _by_text(scores, "base")


def _ratio(scores, domain):
    return _by_text(scores, domain) - _by_text(scores, "base")


LIKELIHOOD_RATIO = Mistakes()


@LIKELIHOOD_RATIO.mistake("rows matched by position")
def _(s, d):
    """The models' rows are in different orders: match them by text_id."""
    tuned, base = _pair(s, d)
    difference = tuned.to_numpy() - base.to_numpy()
    return pd.Series(difference, base.index), pd.Series(difference, tuned.index)


@LIKELIHOOD_RATIO.mistake("logs are divided")
def _(s, d):
    """A ratio of probabilities is a *difference* of their logs."""
    tuned, base = _pair(s, d)
    return tuned / base


@LIKELIHOOD_RATIO.mistake("base over fine-tuned")
def _(s, d):
    """The fine-tuned model comes first: positive must mean that it gained."""
    return -_ratio(s, d)


@LIKELIHOOD_RATIO.mistake("the exponential is taken")
def _(s, d):
    """Stay with logs: probabilities of whole texts underflow, and their ratio
    overflows.
    """
    return np.exp(_ratio(s, d))


@LIKELIHOOD_RATIO.mistake("nothing is subtracted")
def _(s, d):
    """This is the raw log-likelihood: easy texts still look familiar."""
    return _by_text(s, d)


@LIKELIHOOD_RATIO.mistake("the domain is ignored")
def _(s, d):
    """Use the model named by “domain”, not always the same one."""
    return _ratio(s, "shakespeare"), _ratio(s, "neurips")


@LIKELIHOOD_RATIO.mistake("compared with the base's mean")
def _(s, d):
    """Subtract the base's score of the *same* string."""
    tuned, base = _pair(s, d)
    return tuned - base.mean()


@LIKELIHOOD_RATIO.mistake("divided by the length")
def _(s, d):
    """A ratio per byte is another detector; return the whole string's."""
    return _ratio(s, d) / s.groupby("text_id").n_bytes.first()


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


POSTERIOR = Mistakes()


@POSTERIOR.mistake("the prior is ignored")
def _(a, b, p):
    """With unequal priors, Bayes' rule adds log(prior / (1 − prior)) to the
    difference.
    """
    return _logistic(a - b)


@POSTERIOR.mistake("the prior of the other domain")
def _(a, b, p):
    """prior is that of NeurIPS: its odds are prior / (1 − prior)."""
    return _logistic(a - b - _odds(p))


@POSTERIOR.mistake("the prior multiplies the answer")
def _(a, b, p):
    """Multiply the two *likelihoods* by their priors, then divide by their sum."""
    return _logistic(a - b) * p, _logistic(a - b) * 2 * p


@POSTERIOR.mistake("the prior is not turned into a log")
def _(a, b, p):
    """Log-likelihoods take log-priors: add log(prior), not prior."""
    return _logistic(a + p - b - (1 - p)), _logistic(a - b + p)


@POSTERIOR.mistake("the domains are swapped")
def _(a, b, p):
    """This is P(Shakespeare | x)."""
    return _logistic(b - a - _odds(p)), _logistic(b - a), _logistic(b - a + _odds(p))


@POSTERIOR.mistake("exp of a whole text")
@np.errstate(all="ignore")
def _(a, b, p):
    """exp(−5000) is 0, and 0/0 no number: subtract the logs first, then one exp."""
    return p * np.exp(a) / (p * np.exp(a) + (1 - p) * np.exp(b))


@POSTERIOR.mistake("a verdict, not a probability")
def _(a, b, p):
    """Return how sure the two models are, not only which is ahead."""
    return (
        (a > b).astype(float),
        (_logistic(a - b + _odds(p)) > 0.5).astype(float),
        (a >= b).astype(float),
    )


@POSTERIOR.mistake("logs are shared out")
def _(a, b, p):
    """a / (a + b) is for probabilities; these are their logs."""
    return a / (a + b), b / (a + b)


@POSTERIOR.mistake("softmax over the strings")
def _(a, b, p):
    """Each string's two models compete, not the strings with each other."""
    return torch.tensor(a).softmax(-1)


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
