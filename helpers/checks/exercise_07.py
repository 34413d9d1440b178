"""Exercise 7: the likelihood ratio; the domain classifier."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit, softmax

from helpers.checks.task import Task

# ---- likelihood_ratio


def _of(scores, model):
    """What a model gives, by text_id."""
    return scores[scores.model == model].set_index("text_id").log_likelihood


def _ratio(scores, domain, base="base"):
    return _of(scores, domain) - _of(scores, base)


likelihood_ratio = Task("likelihood_ratio", _ratio)


def _table(rng, scale=1.0, number=3):
    """Rows of likelihoods.csv, model by model; some scores are equal."""
    texts = [f"{kind}:{i}" for i in range(number) for kind in ("neurips", "random")]
    models = ("base", "neurips", "shakespeare")
    rows = [(text, model, 80 + i) for model in models for i, text in enumerate(texts)]
    table = pd.DataFrame(rows, columns=["text_id", "model", "n_bytes"])
    table["n_tokens"] = table.n_bytes // 4
    table["log_likelihood"] = 2.5 * scale * rng.integers(-80, -32, len(rows))
    return table


def _in_no_order(rng):
    return _table(rng).sample(frac=1, random_state=int(rng.integers(99)))


for what, draw in {
    "the same texts in the same order": lambda rng: (_table(rng), "shakespeare"),
    "rows in no order": lambda rng: (_in_no_order(rng), "shakespeare"),
    "the other domain": lambda rng: (_in_no_order(rng), "neurips"),
    "many texts, and long ones": lambda rng: (_table(rng, 50, 90), "shakespeare"),
}.items():
    likelihood_ratio.drawn(what, draw, 3)


def _of_the_other(s, d):
    other = "neurips" if d == "shakespeare" else "shakespeare"
    return _ratio(s, d, other), _ratio(s, other)


likelihood_ratio.mistakes = {
    "rows matched by position": lambda s, d: _of(s, d) - _of(s, "base").to_numpy(),
    "logs are divided": lambda s, d: _of(s, d) / _of(s, "base"),
    "logs are added": lambda s, d: _of(s, d) + _of(s, "base"),
    "base over fine-tuned": lambda s, d: -_ratio(s, d),
    "nothing is subtracted": lambda s, d: _of(s, d),
    "another model is taken for the base, or the domain": _of_the_other,
    "compared with a mean": lambda s, d: _of(s, d) - _of(s, "base").mean(),
    "divided by the length": lambda s, d: (
        _ratio(s, d) / s.groupby("text_id").n_bytes.first()
    ),
}

# ---- posterior


def _posterior(a, b, prior):
    """By scipy's own logistic function, of the log of the odds."""
    return expit(a - b + logit(prior))


posterior = Task("posterior", _posterior)
near = np.array([-100.0, -101.0, -99.0])
posterior.example("nothing known, equal priors", near[:1], near[:1], 0.5)
posterior.example("a nat or three apart", near, np.array([-100.0, -100.0, -102.0]), 0.5)
posterior.example("one in ten is an abstract", near, near[::-1].copy(), 0.1)


def _near(rng):
    a = -rng.uniform(20, 200, rng.integers(1, 6)).round(1)
    return a, a + rng.normal(0, 4, len(a)).round(1), round(rng.uniform(0.01, 0.99), 2)


def _far(rng):
    a = -rng.choice([50.0, 400.0, 5000.0], 5)
    apart = rng.choice([-3000.0, -50.0, -1.0, 1.0, 50.0, 3000.0], 5)
    return a, a + apart, float(rng.choice([0.5, 0.2, 1e-12]))


posterior.drawn("any lengths, a few nats apart, any prior", _near)
posterior.drawn("long texts beside short ones, up to 3,000 nats apart", _far)


def _half_the_prior(a, b, p):
    return expit(a - b + np.log(p)), expit(a - b - np.log(1 - p))


def _swapped(a, b, p):
    return tuple(expit(b - a + sign * logit(p)) for sign in (-1, 0, 1))


posterior.mistakes = {
    "the prior is ignored": lambda a, b, p: expit(a - b),
    "the prior of the other domain": lambda a, b, p: expit(a - b - logit(p)),
    "half of the prior": _half_the_prior,
    "the prior multiplies the answer": lambda a, b, p: expit(a - b) * p,
    "the prior multiplies the logs": lambda a, b, p: expit(p * a - (1 - p) * b),
    "the prior is not turned into a log": lambda a, b, p: expit(a - b + 2 * p - 1),
    "the domains are swapped": _swapped,
    "a verdict, not a probability": lambda a, b, p: a > b,
    "the log of the odds": lambda a, b, p: (a - b + logit(p), a - b),
    "logs are shared out": lambda a, b, p: (a / (a + b), b / (a + b)),
    "softmax over the strings": lambda a, b, p: softmax(a),
    "held off 0 and 1": lambda a, b, p: tuple(
        _posterior(a, b, p).clip(edge, 1 - edge) for edge in (1e-2, 1e-3, 1e-6)
    ),
}
