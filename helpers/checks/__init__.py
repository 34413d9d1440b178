"""Checks for the exercises: each tries the reader's function and answers in words.

A module an exercise, and in it, for each task, the usual mistakes and the cases to try.
A check goes through all its cases, never stopping at the first failure. Beside what
came out it sets what should have, computed by another route than the exercise's (by
hand, by the series' helpers, by torch's or scikit-learn's own functions). And it knows
the usual mistakes as small wrong functions: the one that gives the reader's numbers
gives its name to the hint. `tests/test_exercises.py` holds wrong answers that each
check must recognise.
"""

from helpers.checks.checking import FAILED, UNCHECKED, NotYet
from helpers.checks.exercise_02 import log_likelihood, log_likelihoods, training_step
from helpers.checks.exercise_05 import horizon, reshape, write
from helpers.checks.exercise_06 import auroc, bits_per_byte
from helpers.checks.exercise_07 import likelihood_ratio, posterior
from helpers.checks.spot_the_bug import (
    batch_scores,
    per_word,
    perplexity,
    total_from_loss,
)

__all__ = [
    "FAILED",
    "UNCHECKED",
    "NotYet",
    "auroc",
    "bits_per_byte",
    "horizon",
    "likelihood_ratio",
    "log_likelihood",
    "log_likelihoods",
    "posterior",
    "batch_scores",
    "reshape",
    "per_word",
    "perplexity",
    "total_from_loss",
    "training_step",
    "write",
]
