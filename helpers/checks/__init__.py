"""Checks for the exercises: each tries the reader's function and answers in words.

A module an exercise, and in it a task for each function to be written: what it is tried
on, examples by hand and others drawn at random, and the usual mistakes as small wrong
functions. What should come out is computed by another route than the exercise's own. A
mistake is named only if its wrong function gives all that the reader's gave.
`tests/test_exercises.py` holds wrong answers that each check must recognise; task.py
says how to add a task.
"""

import sys
from types import ModuleType

from helpers.checks.exercise_02 import log_likelihood, log_likelihoods, training_step
from helpers.checks.exercise_05 import horizon, reshape, write
from helpers.checks.exercise_06 import auroc, bits_per_byte
from helpers.checks.exercise_07 import likelihood_ratio, posterior
from helpers.checks.exercise_09 import masked_attention
from helpers.checks.exercise_10 import exposure
from helpers.checks.spot_the_bug import (
    batch_scores,
    per_word,
    perplexity,
    total_from_loss,
)


class Locked(ModuleType):
    """A module in which a cell cannot put something else in the place of a check."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"checks.{name} cannot be replaced.")


sys.modules[__name__].__class__ = Locked
