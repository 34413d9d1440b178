"""The likely cause of what failed, by name. What to do about it stands in hints.md."""

import functools
import inspect
import math
import operator
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.checks.answers import agree, indexed_alike, numbers
from helpers.checks.trial import FAILED, Answer, Case, Endless, parameter, tried

# What may have been done to the right answer, in any task.
TURNED = {
    "the sign is turned": lambda right: -right,
    "bits instead of nats": lambda right: right / math.log(2),
    "multiplied by ln 2": lambda right: right * math.log(2),
    "the logarithm to base 10": lambda right: right / math.log(10),
    "in per cent": lambda right: 100 * right,
    "the exponential is taken": lambda right: (np.exp(right), np.exp2(right)),
    "the logarithm is taken": lambda right: (np.log(right), np.log2(right)),
    "one over the answer": lambda right: 1 / right,
    "rounded": lambda right: (np.trunc(right), *map(right.round, range(4))),
    "another order": lambda right: (np.sort(right), np.sort(right)[::-1], right[::-1]),
    "a running sum": lambda right: right.cumsum(axis=0),
    "one number for all": lambda right: (right.sum(), right.mean(), right[0]),
}
STOPPED = (
    (NameError, "", "a name that is not defined"),
    ((AttributeError, TypeError), "", "a value of another type"),
    ((IndexError, KeyError), "", "a place or a name that is not there"),
    (RuntimeError, "leaf", "no_grad is missing"),
    (RuntimeError, "not require grad", "no gradient to go back through"),
    (ArithmeticError, "", "NaN or ∞"),
    (ValueError, "math domain", "NaN or ∞"),
    (Exception, "size|shape|broadcast|dimension|axis", "shapes that do not fit"),
)
NEARLY = 0.01


@functools.cache
def hints() -> dict[tuple[str, str], str]:
    """(task, name) → hint."""
    text = Path(__file__).with_name("hints.md").read_text(encoding="utf-8")
    found = {}
    for section in text.split("\n## ")[1:]:
        task, _, lines = section.partition("\n")
        for name, hint in re.findall("^- (.*?\\S): (.*)", lines, re.M):
            found[task, name] = hint
    return found


def hint(task: str, name: str) -> str:
    """What is said about a mistake in a task, or else where it is told first."""
    name = re.sub("^“.*?”", "…", name)
    first = next((hint for (_, other), hint in hints().items() if other == name), "")
    return hints().get((task, name), first)


def likely(task, answers: list[Answer], shown: Answer, function) -> tuple[str, str]:
    """The name of a likely mistake, and what to do about it.

    It gives *all* answers, the right ones too; or all that failed have it in common.
    If there is none: the hint for the first kind of example that fails.
    """
    failed = shown.status == FAILED
    name = common(task, answers, function) if failed else "not written yet"
    return name, hint(task.name, name or shown.case.what)


def common(task, answers: list[Answer], function: Callable) -> str:
    for answer in answers:
        if answer.changed:
            return f"“{answer.changed}” is changed in place"
    for name, wrong in task.mistakes.items():
        if explains(answers, lambda case, wrong=wrong: tried(case, wrong).got):
            return name
    failed = [answer for answer in answers if answer.status == FAILED]
    plain = [answer for answer in answers if answer.case.measure is operator.call]
    if any(compared(answer) for answer in plain if answer.status == FAILED):
        for name, turn in TURNED.items():
            if explains(plain, functools.partial(turned, turn=turn)):
                return name
    first, *others = {form(answer, function) for answer in failed}
    of_one_kind = len({answer.case.what for answer in failed}) == 1
    # If one kind alone fails, its own hint says more than that it is nearly right.
    if first and not others and not (first == "nearly right" and of_one_kind):
        return first
    return idle([a for a in plain if compared(a)], task.right, function)


def compared(answer: Answer) -> bool:
    """Whether a number stands beside the one expected."""
    array = numbers(answer.got)
    return array is not None and np.isfinite(array).any()


def explains(answers: list[Answer], wrong: Callable) -> bool:
    """Whether `wrong(case)` is what the reader's function gave, in all cases."""
    return all(alike(answer, wrong(answer.case)) for answer in answers)


def alike(answer: Answer, wrong) -> bool:
    """A tuple holds what several ways of making the mistake give: one must fit."""
    ways = wrong if isinstance(wrong, tuple) else (wrong,)
    if isinstance(answer.got, BaseException):
        return type(answer.got) in map(type, ways)
    return any(agree(answer.got, way, answer.case.rtol) for way in ways)


def turned(case: Case, turn: Callable):
    """What `turn` makes of the right answer, an exception where it makes no sense."""
    right = case.expected
    right = right if isinstance(right, pd.Series) else numbers(right)
    return tried(case, lambda *args: turn(right)).got


def idle(answers: list[Answer], right: Callable, function: Callable) -> str:
    """An argument that changes no answer, though it changes the right ones."""
    for i in range(len(answers[0].case.args) if answers else 0):
        unmoved = []
        for answer, other in zip(answers, answers[1:]):
            args = list(answer.case.args)
            args[i] = other.case.args[i]
            case = replace(answer.case, args=args)
            moved, again = tried(case, right), tried(case, function)
            if moved.status == FAILED and compared(moved) and compared(again):
                unmoved.append(alike(answer, again.got))
        if len(unmoved) > 5 and all(unmoved):
            return f"“{parameter(function, i)}” has no effect"
    return ""


def form(answer: Answer, function: Callable) -> str:
    """The cause that shows in one answer."""
    got, expected = answer.got, answer.case.expected
    if isinstance(got, Endless):
        return "it does not come to an end"
    if isinstance(got, Exception):
        return stopped(got, answer, function)
    if got is None:
        return "nothing is returned"
    if isinstance(got, tuple) and any(agree(one, expected, NEARLY) for one in got):
        return "several values are returned"
    if isinstance(expected, pd.Series):
        if not isinstance(got, pd.Series):
            return "not a Series"
        in_order = indexed_alike(got, expected) and not got.hasnans
        return "" if in_order else "not indexed by text_id"
    a, b = numbers(got), numbers(expected)
    if a is None:
        return "not a number"
    of_any_length = isinstance(expected, list) and a.ndim == b.ndim
    if a.shape != b.shape and not of_any_length:
        return "another shape"
    if not np.isfinite(a).all():
        return "NaN or ∞"
    return "nearly right" if agree(got, expected, NEARLY) else ""


def stopped(error: Exception, answer: Answer, function: Callable) -> str:
    try:
        inspect.signature(function).bind(*answer.case.args)
    except TypeError:
        return "other arguments than asked for"
    for kinds, words, name in STOPPED:
        if isinstance(error, kinds) and re.search(words, str(error)):
            return name
    return "the function stopped"


def where(got) -> str:
    """The reader's own line at which an exception rose; empty if `got` is none."""
    frames = traceback.extract_tb(getattr(got, "__traceback__", None))
    theirs = [f for f in frames if Path(f.filename).parent != Path(__file__).parent]
    lines = [frame.line for frame in theirs if frame.filename == theirs[0].filename]
    return f", at “{lines[-1]}”" if lines and lines[-1] else ""
