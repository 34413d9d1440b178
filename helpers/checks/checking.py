"""The machinery of the checks: try every case, name the likely mistake, report."""

from __future__ import annotations

import copy
import linecache
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.checks.answers import agree, numbers, same, show

PASSED, FAILED, UNCHECKED = "passed", "failed", "not checked"

HOW_TO_START = (
    "\nNot checked: the function gave nothing that could be looked at. "
    "If it is not written yet,\n"
    "put your own lines in the place of “# YOUR CODE HERE” "
    "and “raise NotImplementedError()”,\n"
    "run its cell, and then this one."
)
MEND_THE_OTHERS = "Mend what is named for the other examples, and run the check again."


@dataclass(frozen=True)
class Case:
    """One thing to try a function on: its arguments, and what should come out."""

    what: str
    args: tuple
    expected: object
    example: str = ""  # how to print the arguments, where they are too long to print
    rtol: float = 1e-5  # of the largest number expected
    call: Callable = lambda function, *args: function(*args)


@dataclass(frozen=True)
class Mistake:
    """A usual mistake: its name, what to do about it, a wrong function that makes it.

    A tuple from that function holds several numbers that the mistake may give.
    """

    name: str
    hint: str
    function: Callable
    rtol: float = 0.0

    def gives(self, value, case: Case) -> bool:
        """Whether the wrong function gives `value` in this case."""
        if isinstance(value, Exception):
            return False
        wrong, _ = _run(case, self.function)
        every = wrong if isinstance(wrong, tuple) else (wrong,)
        return any(agree(value, one, max(case.rtol, self.rtol)) for one in every)


class Mistakes(list):
    """The usual mistakes of a task."""

    def mistake(self, name: str, rtol: float = 0.0) -> Callable:
        """Adds the wrong function below it, whose docstring is the hint."""

        def add(function: Callable) -> None:
            hint = " ".join(function.__doc__.split())
            self.append(Mistake(name, hint, function, rtol))

        return add


@dataclass(frozen=True)
class Result:
    """What became of one case; `mistake` names the likely cause, where one is known."""

    what: str
    status: str
    lines: tuple[str, ...] = ()
    mistake: str = ""


class NotYet(AssertionError):
    """At least one case failed or was left unchecked.

    `results` holds all of them; the message is the report.
    """

    def __init__(self, task: str, results: list[Result]):
        super().__init__(report(task, results))
        self.results = results

    def _render_traceback_(self) -> list[str]:
        """In a notebook, the report alone: the stack is of no use to the reader."""
        return str(self).splitlines()


def report(task: str, results: list[Result]) -> str:
    """Every result, under a line that counts them."""
    found = [result.status for result in results]
    counts = {s: found.count(s) for s in (PASSED, FAILED, UNCHECKED) if s in found}
    if counts == {PASSED: len(results)}:
        lines = [f"{task}: all {len(results)} checks passed."]
    else:
        told = ", ".join(f"{n} {status}" for status, n in counts.items())
        lines = [f"{task}: {told}."]
    for result in results:
        lines.append(f"  {result.status:<12}{result.what}")
        lines += [f"              {line}" for line in result.lines]
    if UNCHECKED in counts:
        lines.append(HOW_TO_START)
    return "\n".join(lines)


def check(
    task: str, function: Callable, cases: list[Case], mistakes: list[Mistake]
) -> None:
    """Run every case; print the report, or raise `NotYet` with it unless all passed."""
    outcomes = [_run(case, function) for case in cases]
    got = [value for value, _ in outcomes]
    status = [_status(value, case) for value, case in zip(got, cases)]
    # To try all the mistakes takes a while: only where something failed.
    likely = _likely(got, cases, mistakes) if FAILED in status else {}
    results, said = [], set()
    for i, case in enumerate(cases):
        if status[i] == FAILED:
            cause, hint = _cause(got[i], case.expected, function)
            if i in likely:
                cause, hint = likely[i].name, likely[i].hint
            elif likely and not cause:
                hint = MEND_THE_OTHERS
            new = hint if hint not in said else ""
            said.add(hint)
            lines = _compared(function, case, got[i], cause, new)
            results.append(Result(case.what, FAILED, lines, cause))
        elif status[i] == UNCHECKED and not results:
            results.append(Result(case.what, UNCHECKED, _example(function, case)))
        else:
            results.append(Result(case.what, status[i]))
    results.append(_left_alone(outcomes))
    if any(result.status != PASSED for result in results):
        raise NotYet(task, results)
    print(report(task, results))


def _run(case: Case, function: Callable) -> tuple[object, str]:
    """What `function` gives, or the exception it raised.

    And the name of the first argument that it changed, or an empty string.
    """
    args = copy.deepcopy(case.args)
    try:
        got = case.call(function, *args)
    except Exception as error:  # a reader's mistake of any kind is a result
        got = error
    code = getattr(function, "__code__", None)
    names = code.co_varnames if code else ()
    for i, (before, after) in enumerate(zip(case.args, args)):
        if not same(before, after):
            return got, names[i] if i < len(names) else f"number {i + 1}"
    return got, ""


def _status(value, case: Case) -> str:
    if agree(value, case.expected, case.rtol):
        return PASSED
    return UNCHECKED if isinstance(value, NotImplementedError) else FAILED


def _likely(
    got: list, cases: list[Case], mistakes: list[Mistake]
) -> dict[int, Mistake]:
    """For each case, the mistake that gives what the reader's function gave there.

    Of several, the one that explains the most cases. None where the answer is right.
    """
    fits = {m: [m.gives(v, case) for v, case in zip(got, cases)] for m in mistakes}
    likely = {}
    for i in range(len(cases)):
        fitting = [m for m in mistakes if fits[m][i]]
        if fitting and _status(got[i], cases[i]) == FAILED:
            likely[i] = max(fitting, key=lambda m: sum(fits[m]))
    return likely


def _cause(got, expected, function: Callable) -> tuple[str, str]:
    """A cause that shows in the answer itself, whatever the task, and its hint."""
    if isinstance(got, Exception):
        return "the function stopped", (
            f"It stopped{_where(got, function)}. Run that line on the example, and "
            "print the shapes of what goes into it."
        )
    if got is None:
        return "nothing is returned", "Its end is reached: is there a “return”?"
    if isinstance(expected, pd.Series) and not isinstance(got, pd.Series):
        return "not a Series", "Return a Series: each number keeps its string's name."
    a, b = numbers(got), None if isinstance(expected, str) else numbers(expected)
    if a is not None and b is not None and a.shape != b.shape:
        return "another shape", (
            f"The answer has shape {a.shape}, where {b.shape} is wanted: "
            f"{_in_words(b)}."
        )
    if a is not None and np.isnan(a).any():
        return "not a number", "Something is divided by zero, or ∞ − ∞ is taken."
    return "", "None of the usual mistakes gives this. Work the example out on paper."


def _where(error: Exception, function: Callable) -> str:
    """The line of the reader's own function at which an exception rose."""
    home = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.filename == home]
    line = linecache.getline(home, lines[-1]).strip() if lines else ""
    return f" at “{line}”" if line else ""


def _in_words(b: np.ndarray) -> str:
    return ("a single number", "numbers in a row", "a table of numbers")[b.ndim]


def _compared(function: Callable, case: Case, got, cause: str, hint: str) -> tuple:
    """The lines under a case that failed."""
    example, expected = _example(function, case)
    lines = [example, f"got       {show(got)}", expected]
    if cause:
        lines.append(f"likely    {cause}")
    if hint:
        lines.append(f"hint      {hint}")
    return tuple("\n".join(lines).splitlines())  # a table takes several


def _example(function: Callable, case: Case) -> tuple[str, str]:
    """A case's arguments, by name where the reader's function has names for them."""
    args = [show(value) for value in case.args]
    code = getattr(function, "__code__", None)
    if code and code.co_argcount == len(args):
        args = [f"{name} = {value}" for name, value in zip(code.co_varnames, args)]
    return (
        f"example   {case.example or ', '.join(args)}",
        f"expected  {show(case.expected)}",
    )


def _left_alone(outcomes: list[tuple[object, str]]) -> Result:
    """Whether every argument is what it was before the call."""
    what = "the arguments are left as they were"
    changed = [name for _, name in outcomes if name]
    if not changed:
        ran = any(not isinstance(value, Exception) for value, _ in outcomes)
        return Result(what, PASSED if ran else UNCHECKED)
    lines = (
        f"likely    “{changed[0]}” is changed in place",
        "hint      It is the caller's own, and a second call starts from it. Make a "
        "new one: “x = x / t” for “x /= t”, “[*ids, i]” for “ids.append(i)”.",
    )
    return Result(what, FAILED, lines, "changed in place")
