"""One function, one example: what comes out, and within how long."""

from __future__ import annotations

import copy
import signal
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

from helpers.checks.answers import agree, same

PASSED, FAILED, UNCHECKED = STATUSES = "passed", "failed", "not checked"
SECONDS = 10  # that a function may take on one example


class Endless(BaseException):
    """Raised inside a function that takes too long; no “except Exception” stops it."""


@dataclass(frozen=True, eq=False)
class Case:
    """One example. What is compared with `expected` is `measure(function, *args)`."""

    what: str
    draw: Callable  # a random generator → args
    args: tuple = ()
    expected: object = None
    measure: Callable | None = None  # if None, what the function returns
    rtol: float = 1e-5  # of the largest number expected


@dataclass(frozen=True, eq=False)
class Answer:
    """What a function made of a case: a value or an exception, and its status."""

    case: Case
    got: object
    status: str
    changed: str = ""  # the name of an argument that is no longer what it was


@contextmanager
def at_most(seconds: float):
    """Raises `Endless` after so long. (Windows has no such alarm: there it waits.)"""

    def stop(*_):
        raise Endless

    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(function: Callable, *args):
    return function(*args)


def tried(case: Case, function: Callable, seconds: float = 0) -> Answer:
    """What `function` makes of a case, within so many seconds (0: however long)."""
    args = copy.deepcopy(case.args)
    with warnings.catch_warnings(action="ignore"):
        try:
            with at_most(seconds):
                got = (case.measure or run)(function, *args)
        except (Exception, Endless) as error:  # a reader's mistake is a result
            got = error
    if isinstance(got, NotImplementedError):
        return Answer(case, got, UNCHECKED)
    changed = [i for i, pair in enumerate(zip(case.args, args)) if not same(*pair)]
    if changed:
        return Answer(case, got, FAILED, parameter(function, changed[0]))
    right = agree(got, case.expected, case.rtol)
    return Answer(case, got, PASSED if right else FAILED)


def parameter(function: Callable, i: int) -> str:
    """The name that `function` gives to its i-th argument."""
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else ()
    return names[i] if i < len(names) else f"argument {i + 1}"
