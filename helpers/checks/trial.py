"""One function, one example: what comes out, and within how long."""

import copy
import inspect
import operator
import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from helpers.checks.answers import agree, same

FAILED, UNCHECKED, PASSED = STATUSES = "failed", "not checked", "passed"
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
    measure: Callable = operator.call  # what the function returns
    rtol: float = 1e-5  # of the largest number expected


@dataclass(frozen=True, eq=False)
class Answer:
    """What a function made of a case: a value or an exception, and its status."""

    case: Case
    got: object
    status: str
    changed: str = ""  # the name of an argument that is no longer what it was


def set_alarm(seconds: int) -> None:
    """Raises `Endless` in so many seconds; 0 calls it off. (Windows has no alarm.)"""

    def stop(*_):
        raise Endless

    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, stop)
        signal.alarm(seconds)


def tried(case: Case, function: Callable) -> Answer:
    """What `function` makes of a case, on a copy of its arguments."""
    args = copy.deepcopy(case.args)
    with warnings.catch_warnings(action="ignore"):
        set_alarm(SECONDS)
        try:
            got = case.measure(function, *args)
        except (Exception, Endless) as error:  # a reader's mistake is a result
            got = error
        finally:
            set_alarm(0)
    if isinstance(got, NotImplementedError):
        return Answer(case, got, UNCHECKED)
    changed = [i for i, pair in enumerate(zip(case.args, args)) if not same(*pair)]
    if changed:
        return Answer(case, got, FAILED, parameter(function, changed[0]))
    right = agree(got, case.expected, case.rtol)
    return Answer(case, got, PASSED if right else FAILED)


def parameter(function: Callable, i: int) -> str:
    """The name that `function` gives to its i-th argument."""
    names = list(inspect.signature(function).parameters)
    return names[i] if i < len(names) else f"argument {i + 1}"
