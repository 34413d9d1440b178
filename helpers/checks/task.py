"""A task of an exercise: what a reader's function is tried on, and the usual mistakes.

    area = Task("area", lambda width, height: width * height)
    area.example("a square", 2.0, 2.0)
    area.drawn("any rectangle", lambda rng: (rng.uniform(1, 9), rng.uniform(1, 9)))
    area.mistakes = {
        "the sides are added": lambda width, height: width + height,
    }

`area(function)` tries a reader's function on all of it, prints what came out, and gives
the points earned. A mistake is a wrong function; a tuple from it holds what several
ways of making it give. The hint for each stands in hints.md, under the task's name.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from helpers.checks import causes, trial
from helpers.checks.answers import code, show
from helpers.checks.trial import Answer, Case, tried

LINES = 12  # of a report, at most


@dataclass
class Task:
    """`right(*args)` computes the answer, by another route than the exercise's own."""

    name: str
    right: Callable
    points: float = 2.0
    mistakes: dict[str, Callable] = field(default_factory=dict)
    planned: list[Case] = field(default_factory=list)

    def example(self, what: str, *args, **more) -> None:
        """Adds an example with these arguments; more: other fields of `Case`."""
        self.drawn(what, lambda rng: args, times=1, **more)

    def drawn(self, what: str, draw: Callable, times: int = 10, **more) -> None:
        """Adds examples with the arguments that draw(random generator) gives."""
        self.planned += times * [Case(what, draw, **more)]

    @functools.cached_property
    def cases(self) -> list[Case]:
        """All examples, drawn: the same ones each time."""
        cases = []
        for i, case in enumerate(self.planned):
            case = replace(case, args=tuple(case.draw(np.random.default_rng(i))))
            if case.expected is None:
                case = replace(case, expected=tried(case, self.right).got)
            cases.append(case)
        return cases

    def __call__(self, function: Callable) -> float:
        outcome = self.look(function)
        print(outcome)
        return outcome.points

    @threadpool_limits.wrap(limits=1)
    def look(self, function: Callable) -> Outcome:
        """What came of all examples.

        On one thread: with two, small products only wait for each other.
        """
        answers = []
        for case in self.cases:
            answers.append(tried(case, function))
            if isinstance(answers[-1].got, trial.Endless):
                break  # once is enough to wait for
        shown = min(answers, key=lambda answer: trial.STATUSES.index(answer.status))
        if shown.status == trial.PASSED:
            return Outcome(self, answers)
        cause = causes.likely(self, answers, shown, function)
        return Outcome(self, answers, shown, *cause)


@dataclass
class Outcome:
    """What came of a task's examples; printed, a report of a few lines."""

    task: Task
    answers: list[Answer]
    shown: Answer | None = None  # the first that failed, or else is not written
    mistake: str = ""  # the name of the likely one, empty where none is known
    hint: str = ""

    @property
    def found(self) -> dict[str, str]:
        """What became of each kind of example: failed if one of them did."""
        found = {case.what: trial.UNCHECKED for case in self.task.cases}
        for status in reversed(trial.STATUSES):  # the worst last, which stays
            found |= {a.case.what: status for a in self.answers if a.status == status}
        return found

    @property
    def points(self) -> float:
        """The task's points, by the share of what passed."""
        passed = list(self.found.values()).count(trial.PASSED)
        return round(self.task.points * passed / len(self.found), 2)

    def __str__(self) -> str:
        found = list(self.found.values())
        told = [f"{found.count(s)} {s}" for s in reversed(trial.STATUSES) if s in found]
        worth = f"{self.points:g} of {self.task.points:g} points"
        if self.shown is None:
            return f"{self.task.name}: all {len(found)} checks passed; {worth}."
        first = self.shown.case.what
        lines = [f"{self.task.name}: {', '.join(told)}; {worth}."]
        lines += [f"{self.shown.status}: {first}", *self._example()]
        others = [w for w, s in self.found.items() if s == trial.FAILED and w != first]
        lines += [f"failed: {what}" for what in others]
        if len(lines) > LINES:
            lines[LINES - 1 :] = [f"and {len(lines) - LINES + 1} more"]
        return "\n".join(lines)

    def _example(self) -> list[str]:
        """An example as code to paste and run, what came out, and what should have."""
        case, got = self.shown.case, self.shown.got
        args = [code(value) for value in case.args]
        call = ", ".join(args)
        if not all(args) or len(call) > 60:
            i = self.answers.index(self.shown)
            call = f"*checks.{self.task.name}.cases[{i}].args"
        told = {"example": f"{self.task.name}({call})"}
        told["got"] = textwrap.shorten(show(got), 76) + causes.where(got)
        told["expected"] = textwrap.shorten(show(case.expected), 76)
        told |= {"likely": self.mistake, "hint": self.hint}
        lines = []
        for label, text in told.items():
            if text:
                line = f"  {label:<10}{text}"
                lines += textwrap.wrap(line, 88, subsequent_indent=12 * " ")
        return lines
