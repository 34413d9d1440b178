"""Checks for the exercises: each runs the reader's function on small cases and answers in words.

A check goes through all its cases, never stopping at the first failure. Beside what came out it sets what should
have, computed by another route than the exercise's (by hand, by the series' helpers, by torch's or scikit-learn's
own functions). And it knows the usual mistakes as small wrong functions: the one that gives the reader's numbers
gives its name to the hint. `tests/test_exercises.py` holds the wrong answers that each check must recognise.
"""

from __future__ import annotations

import copy
import functools
import linecache
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from helpers import likelihood, models, ood, sampling

PASSED, FAILED, UNCHECKED = "passed", "failed", "not checked"


@dataclass(frozen=True)
class Case:
    """One thing asked of a function: what, on which arguments, and what should come out."""

    what: str
    args: tuple
    expected: object
    example: str = ""  # how to print the arguments, where they are too long to print
    rtol: float = 1e-5  # of the largest number expected
    call: Callable = lambda function, *args: function(*args)


class Mistake:
    """A usual mistake: its name, what to do about it, and wrong functions that make it."""

    def __init__(self, name: str, hint: str, *functions: Callable, rtol: float = 0.0):
        self.name, self.hint, self.functions, self.rtol = name, hint, functions, rtol


@dataclass(frozen=True)
class Result:
    """What became of one case; `mistake` names the likely cause, where one is known."""

    what: str
    status: str
    lines: tuple[str, ...] = ()
    mistake: str = ""


class NotYet(AssertionError):
    """At least one case failed or was left unchecked. `results` holds all of them; the message is the report."""

    def __init__(self, task: str, results: list[Result]):
        super().__init__(report(task, results))
        self.results = results

    def _render_traceback_(self) -> list[str]:
        """In a notebook, the report alone: the stack below it is ours and of no use to the reader."""
        return str(self).splitlines()


def report(task: str, results: list[Result]) -> str:
    """Every result, under a line that counts them."""
    count = {
        status: sum(r.status == status for r in results)
        for status in (PASSED, FAILED, UNCHECKED)
    }
    if count[PASSED] == len(results):
        head = f"{task}: all {len(results)} checks passed."
    else:
        head = (
            f"{task}: "
            + ", ".join(f"{n} {status}" for status, n in count.items() if n)
            + "."
        )
    lines = [head]
    for result in results:
        lines += [
            f"  {result.status:<12}{result.what}",
            *(f"              {line}" for line in result.lines),
        ]
    if count[UNCHECKED]:
        lines += [
            "",
            "Not checked: the function gave nothing that could be looked at. If it is not written yet,",
            "put your own lines in the place of “# YOUR CODE HERE” and “raise NotImplementedError()”,",
            "run its cell, and then this one.",
        ]
    return "\n".join(lines)


def _run(case: Case, function: Callable) -> tuple[object, str]:
    """What `function` gives (or the exception it raised), and the name of an argument it changed, if any."""
    args = copy.deepcopy(case.args)
    try:
        got = case.call(function, *args)
    except (
        Exception
    ) as error:  # a reader's mistake of any kind is a result, not our crash
        got = error
    changed = [
        i
        for i, (before, after) in enumerate(zip(case.args, args))
        if not _same(before, after)
    ]
    names = getattr(getattr(function, "__code__", None), "co_varnames", ())
    return got, (
        names[changed[0]] if changed[0] < len(names) else f"number {changed[0] + 1}"
    ) if changed else ""


def _same(before, after) -> bool:
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    if isinstance(before, np.ndarray):
        return np.array_equal(before, after)
    if isinstance(before, pd.DataFrame):
        return before.equals(after)
    return isinstance(before, torch.nn.Module) or before == after


def _array(value) -> np.ndarray | None:
    """Numbers as float64, whatever holds them; None if `value` holds no numbers."""
    if isinstance(value, torch.Tensor):
        value = value.detach().double().cpu().numpy()
    elif isinstance(value, list | tuple):
        value = [
            v.item() if isinstance(v, torch.Tensor) and v.numel() == 1 else v
            for v in value
        ]
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _agree(got, expected, rtol: float) -> bool:
    """Whether two answers are equal: of one shape, and within `rtol` of the largest number expected."""
    if isinstance(got, Exception) or got is None or isinstance(expected, str):
        return isinstance(got, str) and got == expected
    if isinstance(expected, pd.Series):
        if not isinstance(got, pd.Series) or not expected.index.sort_values().equals(
            got.index.sort_values()
        ):
            return False
        got = got.reindex(expected.index)
    a, b = _array(got), _array(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    finite = b[np.isfinite(b)]
    return bool(
        np.allclose(
            a,
            b,
            rtol=0,
            atol=1e-9 + rtol * np.abs(finite).max(initial=0),
            equal_nan=True,
        )
    )


def _show(value) -> str:
    """A value in few words: numbers to six figures, and a shape where there are too many."""
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, pd.DataFrame):
        return "\n" + value.to_string(index=False)
    if isinstance(value, pd.Series):
        return "{" + ", ".join(f"{k!r}: {v:.4g}" for k, v in value.items()) + "}"
    array = None if value is None or isinstance(value, str | bool) else _array(value)
    if array is None or (
        array.ndim == 0 and not isinstance(value, torch.Tensor | float | np.generic)
    ):
        return repr(value)
    if array.size > 30:
        return f"{array.size} numbers of shape {array.shape}, the first {array.flat[0]:.6g}"
    return np.array2string(
        array, separator=", ", max_line_width=200, formatter={"float": "{:.6g}".format}
    ).replace("\n", " ")


def _where(error: Exception, function: Callable) -> str:
    """The line of the reader's own function at which an exception rose."""
    home = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename == home
    ]
    line = (
        linecache.getline(frames[-1].filename, frames[-1].lineno).strip()
        if frames
        else ""
    )
    return f" at “{line}”" if line else ""


def _plain_cause(got, expected, function: Callable) -> tuple[str, str]:
    """A cause that shows in the answer itself, whatever the task: (name, hint), or two empty strings."""
    if isinstance(got, Exception):
        return "the function stopped", (
            f"It stopped{_where(got, function)}. Run that line on the example, and print "
            "the shapes of what goes into it."
        )
    if got is None:
        return (
            "nothing is returned",
            "The function ends without a value: is there a “return”?",
        )
    if isinstance(expected, pd.Series) and not isinstance(got, pd.Series):
        return (
            "not a Series",
            "Return a pandas Series, so that each number keeps the name of its string.",
        )
    a, b = _array(got), None if isinstance(expected, str) else _array(expected)
    if a is not None and b is not None and a.shape != b.shape:
        return (
            "another shape",
            f"The answer has shape {a.shape}, where {b.shape} is asked for: {_wanted(b)}.",
        )
    if a is not None and np.isnan(a).any():
        return (
            "not a number",
            "Something was divided by zero, or infinity taken from infinity, on the way.",
        )
    return (
        "",
        "None of the usual mistakes gives this. Work the example out on paper, one step at a time.",
    )


def _wanted(b: np.ndarray) -> str:
    return (
        "a single number"
        if b.ndim == 0
        else f"{len(b)} numbers in a row"
        if b.ndim == 1
        else "a table of numbers"
    )


def check(
    task: str, function: Callable, cases: list[Case], mistakes: list[Mistake]
) -> None:
    """Run every case, print the report, or raise `NotYet` with it unless each case passed."""
    outcomes = [_run(case, function) for case in cases]
    got = [value for value, _ in outcomes]
    right = [_agree(value, case.expected, case.rtol) for value, case in zip(got, cases)]
    wrong = [
        i
        for i, value in enumerate(got)
        if not right[i] and not isinstance(value, NotImplementedError)
    ]
    # Which mistakes give the reader's number, case by case; and of those, the one that explains most other cases too.
    fits = (
        [
            [
                not isinstance(value, Exception)
                and any(
                    _agree(value, _run(case, f)[0], max(case.rtol, m.rtol))
                    for f in m.functions
                )
                for value, case in zip(got, cases)
            ]
            for m in mistakes
        ]
        if wrong
        else []
    )
    fitting = {i: [k for k, row in enumerate(fits) if row[i]] for i in wrong}
    likely = {i: max(ks, key=lambda k: sum(fits[k])) for i, ks in fitting.items() if ks}
    results, said = [], set()
    for i, case in enumerate(cases):
        shown = (
            f"example   {case.example or _arguments(function, case.args)}",
            f"expected  {_show(case.expected)}",
        )
        if right[i]:
            results.append(Result(case.what, PASSED))
        elif i not in wrong:
            results.append(Result(case.what, UNCHECKED, () if results else shown))
        else:
            cause, hint = _plain_cause(got[i], case.expected, function)
            if i in likely:
                cause, hint = mistakes[likely[i]].name, mistakes[likely[i]].hint
            elif not cause and likely:
                hint = "Mend what is named for the other examples, and run the check again."
            lines = [
                shown[0],
                f"got       {_show(got[i])}",
                shown[1],
                *([f"likely    {cause}"] if cause else []),
                *([f"hint      {hint}"] if hint not in said else []),
            ]
            said.add(hint)
            results.append(
                Result(case.what, FAILED, tuple("\n".join(lines).splitlines()), cause)
            )
    changed = next((name for _, name in outcomes if name), "")
    what = "the arguments are left as they were"
    if changed:
        results.append(
            Result(
                what,
                FAILED,
                (
                    f"likely    “{changed}” is changed in place",
                    "hint      “x /= t” writes into the caller's own x, so that a second "
                    "call starts from it; write “x = x / t”.",
                ),
                "changed in place",
            )
        )
    else:
        ran = any(not isinstance(value, Exception) for value in got)
        results.append(Result(what, PASSED if ran else UNCHECKED))
    if any(r.status != PASSED for r in results):
        raise NotYet(task, results)
    print(report(task, results))


def _arguments(function: Callable, args: tuple) -> str:
    code = getattr(function, "__code__", None)
    names = (
        code.co_varnames[: code.co_argcount]
        if code and code.co_argcount == len(args)
        else [""] * len(args)
    )
    return ", ".join(
        f"{name} = {_show(value)}" if name else _show(value)
        for name, value in zip(names, args)
    )


def _on_the_tiny_model(check: Callable) -> Callable:
    """Without warnings about padding that is not there, and on one thread: two would only wait for each other."""

    @functools.wraps(check)
    def alone(function: Callable) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            models.quietly(check, function)
        finally:
            torch.set_num_threads(threads)

    return alone


@functools.cache
def _tiny() -> models.LanguageModel:
    lm = models.load("tiny", dtype=torch.float32)
    lm.model.cpu()  # where the checks' tensors are, with or without a GPU
    return lm


@torch.inference_mode()
def _tiny_logits(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """logits (texts, tokens, 257), ids (texts, tokens) behind a separator and padded with it, lengths (texts,)."""
    lm = _tiny()
    encoded = lm.encode(texts)
    longest = max(map(len, encoded))
    ids = torch.tensor(
        [[lm.separator, *e, *[lm.separator] * (longest - len(e))] for e in encoded]
    )
    return (
        lm.logits(lm.hidden(input_ids=ids)).clone(),
        ids,
        torch.tensor([len(e) for e in encoded]),
    )


def _picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """log p of each id under the row of logits beside it: (…, tokens, vocabulary) and (…, tokens) → (…, tokens)."""
    return logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]


# ---- 02 · autoregressive basics


@_on_the_tiny_model
def log_likelihood(function: Callable) -> None:
    """`function(logits, ids)`: (n+1, vocabulary) and (n+1,) → log p of the text behind the separator, in nats."""
    by_hand = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]]).log()
    ids = torch.tensor([0, 2, 1])
    long = (
        3 * torch.randn(400, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    )
    chosen = torch.arange(400) * 7 % 50
    exact = -F.cross_entropy(long[:-1].double(), chosen[1:], reduction="sum")
    sentence = "To be, or not to be"
    logits, sentence_ids, _ = _tiny_logits([sentence])
    check(
        "log_likelihood",
        function,
        [
            Case(
                "two tokens, p = 0.2 and 0.6",
                (by_hand, ids),
                math.log(0.2 * 0.6),
                "ids = [0, 2, 1]; the rows' softmax is [0.5, 0.3, 0.2], [0.1, 0.6, 0.3] and [0.2, 0.3, 0.5]",
            ),
            Case(
                "one token, p = 0.2",
                (by_hand[:2], ids[:2]),
                math.log(0.2),
                "ids = [0, 2]; the rows' softmax is [0.5, 0.3, 0.2] and [0.1, 0.6, 0.3]",
            ),
            Case(
                "a constant added to a row of logits changes nothing",
                (by_hand + torch.tensor([[3.0], [-1.0], [2.0]]), ids),
                math.log(0.2 * 0.6),
            ),
            Case(
                "a token the model finds all but impossible",
                (torch.tensor([[0.0, 0.0, -200.0], [0.0, 0.0, 0.0]]), ids[:2]),
                -200 - math.log(2),
            ),
            Case(
                "400 tokens, logits in bfloat16",
                (long, chosen),
                exact,
                "399 tokens out of 50, in bfloat16",
            ),
            Case(
                f"“{sentence}” under the tiny model",
                (logits[0], sentence_ids[0]),
                likelihood.score(_tiny(), [sentence], progress=False).log_likelihood[0],
                "its logits and ids",
            ),
        ],
        [
            Mistake(
                "no shift by one",
                "Row t of the logits speaks about the token after ids[t], not about ids[t] itself.",
                lambda x, i: _picked(x, i).sum(),
                lambda x, i: _picked(x[1:], i[1:]).sum(),
                lambda x, i: _picked(x[:-1], i[:-1]).sum(),
            ),
            Mistake(
                "shifted the wrong way",
                "You ask each row about the token before its own; it knows the one after.",
                lambda x, i: _picked(x[1:], i[:-1]).sum(),
            ),
            Mistake(
                "the first token is left out",
                "Row 0 has read the separator alone and speaks about ids[1], the "
                "text's first token: it counts.",
                lambda x, i: _picked(x[1:-1], i[2:]).sum(),
            ),
            Mistake(
                "the last token is left out",
                "The last but one row speaks about the last token: one row too few.",
                lambda x, i: _picked(x[:-2], i[1:-1]).sum(),
            ),
            Mistake(
                "mean instead of sum",
                "The chain rule adds the terms up; their mean is no log p of the text.",
                lambda x, i: _picked(x[:-1], i[1:]).mean(),
            ),
            Mistake(
                "the sign is turned",
                "A loss is minus a log-likelihood. Log-probabilities are never above zero.",
                lambda x, i: -_picked(x[:-1], i[1:]).sum(),
            ),
            Mistake(
                "no softmax",
                "Logits are not yet log-probabilities: a softmax over the vocabulary makes them so.",
                lambda x, i: x[:-1].float().gather(-1, i[1:, None]).sum(),
            ),
            Mistake(
                "softmax over the wrong axis",
                "Each row must sum to one: the softmax runs over the vocabulary, the "
                "last axis.",
                lambda x, i: (
                    x.float().log_softmax(0)[:-1].gather(-1, i[1:, None]).sum()
                ),
                lambda x, i: (
                    x[:-1].float().log_softmax(0).gather(-1, i[1:, None]).sum()
                ),
            ),
            Mistake(
                "a probability, not its log",
                "Sum logs; the product of a long text's probabilities underflows.",
                lambda x, i: _picked(x[:-1], i[1:]).exp().prod(),
                lambda x, i: _picked(x[:-1], i[1:]).exp().sum(),
            ),
            Mistake(
                "bits instead of nats",
                "Use the natural logarithm.",
                lambda x, i: _picked(x[:-1], i[1:]).sum() / math.log(2),
            ),
            Mistake(
                "log of a softmax",
                "The softmax underflows to 0 and its log is −∞; log_softmax does both without it.",
                lambda x, i: (
                    x[:-1].float().softmax(-1).log().gather(-1, i[1:, None]).sum()
                ),
            ),
            Mistake(
                "rounded to bfloat16",
                "bfloat16 keeps two to three digits: turn the logits into float32 *before* "
                "the softmax.",
                lambda x, i: (
                    x[:-1]
                    .bfloat16()
                    .log_softmax(-1)
                    .gather(-1, i[1:, None])
                    .float()
                    .sum()
                ),
                rtol=0.01,
            ),
        ],
    )


@_on_the_tiny_model
def log_likelihoods(function: Callable) -> None:
    """`function(logits, ids, lengths)`: a padded batch → log p of each text, shape (texts,), in nats."""
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(1)).round(
        decimals=1
    )
    ids = torch.tensor([[0, 2, 1, 4], [0, 3, 0, 0]])
    lengths = torch.tensor([3, 1])
    inner = torch.tensor([[0, 2, 0, 4], [0, 3, 1, 0]])
    texts = ["To be, or not to be", "that", "is the question"]

    def expected(logits, ids, lengths):
        wanted = ids[:, 1:].masked_fill(
            torch.arange(ids.shape[1] - 1) >= lengths[:, None], -100
        )
        return -F.cross_entropy(
            logits[:, :-1].transpose(1, 2), wanted, reduction="none"
        ).sum(1)

    def masked(x, i, n):
        return _picked(x[:, :-1], i[:, 1:]) * (
            torch.arange(i.shape[1] - 1) < n[:, None]
        )

    two = (logits, ids, lengths)
    separated = (logits, inner, torch.tensor([3, 3]))
    check(
        "log_likelihoods",
        function,
        [
            Case(
                "one text, without padding",
                (logits[:1], ids[:1], lengths[:1]),
                expected(*(t[:1] for t in two)),
            ),
            Case(
                "texts of three tokens and of one, padded with 0", two, expected(*two)
            ),
            Case(
                "texts that hold the separator themselves",
                separated,
                expected(*separated),
            ),
            Case(
                "three texts under the tiny model",
                _tiny_logits(texts),
                likelihood.score(
                    _tiny(), texts, progress=False
                ).log_likelihood.tolist(),
                "its logits and ids",
            ),
        ],
        [
            Mistake(
                "padding is counted",
                "Only the first lengths[i] tokens after the separator belong to text i.",
                lambda x, i, n: _picked(x[:, :-1], i[:, 1:]).sum(1),
            ),
            Mistake(
                "the separator is taken for padding",
                "A text may hold the padding's id itself. Mask by position, not by id.",
                lambda x, i, n: (_picked(x[:, :-1], i[:, 1:]) * (i[:, 1:] != 0)).sum(1),
            ),
            Mistake(
                "the last token of each text is masked",
                "lengths counts the tokens after the separator: once shifted, "
                "positions 0 to lengths − 1 are all real.",
                lambda x, i, n: masked(x, i, n - 1).sum(1),
            ),
            Mistake(
                "one token of padding is counted",
                "One position too many: after the shift, positions *below* lengths "
                "are real.",
                lambda x, i, n: masked(x, i, n + 1).sum(1),
            ),
            Mistake(
                "mean instead of sum",
                "A mean per token is no log-likelihood, and long texts lose their length in it.",
                lambda x, i, n: masked(x, i, n).sum(1) / n,
                lambda x, i, n: masked(x, i, n).mean(1),
            ),
            Mistake(
                "the batch is summed up",
                "Sum over a text's tokens, axis 1, and keep one number for each text.",
                lambda x, i, n: masked(x, i, n).sum(),
                lambda x, i, n: masked(x, i, n).sum(0),
            ),
            Mistake(
                "no shift by one",
                "Row t of the logits speaks about the token after ids[:, t].",
                lambda x, i, n: (
                    _picked(x, i) * (torch.arange(i.shape[1]) < n[:, None])
                ).sum(1),
                lambda x, i, n: (
                    _picked(x, i) * (torch.arange(i.shape[1]) <= n[:, None])
                ).sum(1),
                lambda x, i, n: (
                    _picked(x, i)[:, 1:] * (torch.arange(i.shape[1] - 1) < n[:, None])
                ).sum(1),
            ),
            Mistake(
                "the sign is turned",
                "A loss is minus a log-likelihood. Log-probabilities are never above zero.",
                lambda x, i, n: -masked(x, i, n).sum(1),
            ),
        ],
    )


@_on_the_tiny_model
def training_step(function: Callable) -> None:
    """`function(model, ids, lr)`: changes the weights in place by one gradient step; → the loss before it."""
    model = _tiny().model
    ids = torch.tensor(_tiny().encode(["To be or not", "That is what"]))

    def surprise(model, ids):
        return -_picked(model(ids).logits[:, :-1], ids[:, 1:])

    def moved(function, model, ids, lr, steps=1):
        """How far `steps` calls bring the loss down, and how far they move the weights."""

        def state():
            with torch.no_grad():
                return surprise(model, ids).mean(), torch.cat(
                    [w.detach().flatten() for w in model.parameters()]
                )

        loss, weights = state()
        for _ in range(steps):
            function(model, ids, lr)
        return torch.stack([state()[0] - loss, (state()[1] - weights).norm()])

    def twice(function, model, ids, lr):
        return moved(function, model, ids, lr, steps=2)

    def expected(model, ids, lr):
        weights = list(model.parameters())
        loss = F.cross_entropy(
            model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        )
        with torch.no_grad():
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights)):
                weight.sub_(lr * slope)
        return loss

    def wrong(
        loss=lambda surprise: surprise.mean(),
        scale=lambda lr: -lr,
        zero=True,
        shown=None,
    ):
        def step(model, ids, lr):
            if zero:
                model.zero_grad()
            value = loss(surprise(model, ids))
            value.backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight += scale(lr) * weight.grad
                return shown(model, ids) if shown else value

        return step

    def unshifted(model, ids, lr):
        model.zero_grad()
        value = -_picked(model(ids).logits, ids).mean()
        value.backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= lr * weight.grad
        return value

    def case(what, call, lr):
        args = (model, ids, lr)
        return Case(
            what,
            args,
            call(expected, *copy.deepcopy(args)),
            f"the tiny model, two texts of 12 bytes, lr = {lr}",
            1e-3,
            call,
        )

    check(
        "training_step",
        function,
        [
            case("the loss it returns", lambda f, *args: f(*args), 0.1),
            case(
                "one step: change of the loss, and distance the weights move",
                moved,
                0.5,
            ),
            case("two steps, one after the other", twice, 0.1),
        ],
        [
            Mistake(
                "the weights do not move",
                "“weight = weight − …” only renames; change the model's own weights with "
                "“weight −= …” under torch.no_grad(), and clear gradients before backward, not after it.",
                wrong(scale=lambda lr: 0.0),
            ),
            Mistake(
                "uphill instead of downhill",
                "The gradient points to where the loss grows: subtract it.",
                wrong(scale=lambda lr: lr),
            ),
            Mistake(
                "no shift by one",
                "The output at position t must be scored on the token at t + 1.",
                unshifted,
            ),
            Mistake(
                "sum instead of mean",
                "The loss is the *mean* surprise per token; a sum takes longer steps.",
                wrong(loss=torch.sum),
            ),
            Mistake(
                "a mean over one text",
                "The batch has several texts: the mean runs over the tokens of all of them.",
                wrong(loss=lambda s: s.sum() / s.shape[1]),
                wrong(loss=lambda s: s[0].mean()),
            ),
            Mistake(
                "the learning rate is left out",
                "Multiply the gradient by lr, which says how far to go.",
                wrong(scale=lambda lr: -1.0),
            ),
            Mistake(
                "gradients pile up",
                "backward() *adds* to weight.grad: set it to None (or zero) before each step.",
                wrong(zero=False),
            ),
            Mistake(
                "the loss after the step",
                "Return the loss you took the gradient of, from before the weights moved.",
                wrong(shown=lambda model, ids: surprise(model, ids).mean()),
            ),
        ],
    )


# ---- 05 · sampling


def reshape(function: Callable) -> None:
    """`function(logits, temperature, top_k, top_p)`: (vocabulary,) → probabilities after all three, in that order."""
    logits = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15]).log()
    tied = torch.tensor([0.2, 0.4, 0.1, 0.2, 0.1]).log()
    ours = sampling.reshape

    def case(what, temperature=1.0, top_k=0, top_p=1.0, logits=logits):
        numbers = ", ".join(f"{p:.2f}" for p in logits.exp().tolist())
        return Case(
            what,
            (logits, temperature, top_k, top_p),
            ours(logits, temperature, top_k, top_p).exp(),
            f"logits = log [{numbers}], temperature = {temperature}, top_k = {top_k}, top_p = {top_p}",
        )

    def wrong(cut_k=lambda x, k: ours(x, top_k=k), cut_p=lambda x, p: ours(x, top_p=p)):
        return lambda x, t, k, p: cut_p(cut_k(x / t, k), p).softmax(-1)

    def nucleus(enough):
        """Top-p with another rule for what is dropped: `enough(ordered probabilities, their running sum, p)`."""

        def cut(x, p):
            ordered, order = x.softmax(-1).sort(descending=True)
            dropped = enough(ordered, ordered.cumsum(-1), p)
            return (
                x.masked_fill(
                    torch.zeros_like(dropped).scatter(-1, order, dropped), -torch.inf
                )
                if p < 1
                else x
            )

        return cut

    def unsorted(x, p):
        ordered = x.softmax(-1).sort(descending=True).values
        return (
            x.masked_fill(ordered.cumsum(-1) - ordered >= p, -torch.inf) if p < 1 else x
        )

    def no_ties(x, k, from_end=False):
        order = (
            len(x) - 1 - x.flip(-1).argsort(descending=True, stable=True)
            if from_end
            else x.argsort(descending=True, stable=True)
        )
        return x.index_fill(0, order[k:], -torch.inf) if k else x

    def edge_lost(x, k):
        return (
            x.masked_fill(x <= x.topk(k).values[-1], -torch.inf)
            if 0 < k < len(x)
            else x
        )

    check(
        "reshape",
        function,
        [
            case("nothing to do"),
            case("temperature 0.5", temperature=0.5),
            case("temperature 2", temperature=2.0),
            case("the two likeliest", top_k=2),
            case("the two likeliest, where the second is tied", top_k=2, logits=tied),
            case("the fewest that reach 0.8", top_p=0.8),
            case("the fewest that reach 0.3", top_p=0.3),
            case(
                "temperature 2, then the fewest that reach 0.6",
                temperature=2.0,
                top_p=0.6,
            ),
            case(
                "the three likeliest, of them the fewest that reach 0.8",
                top_k=3,
                top_p=0.8,
            ),
            case("all three together", temperature=1.5, top_k=4, top_p=0.7),
        ],
        [
            Mistake(
                "multiplied by the temperature",
                "A low temperature sharpens: *divide* the logits by it.",
                lambda x, t, k, p: ours(x, 1 / t, k, p).exp(),
            ),
            Mistake(
                "the temperature has no effect",
                "Divide the logits: dividing probabilities by T, then "
                "renormalising, undoes itself.",
                lambda x, t, k, p: ours(x, 1.0, k, p).exp(),
            ),
            Mistake(
                "the logits are scaled twice",
                "The logits are divided by T in two places; once is right.",
                lambda x, t, k, p: ours(x, t * t, k, p).exp(),
            ),
            Mistake(
                "temperature after the cuts",
                "Temperature comes first: top-p adds up *reshaped* probabilities.",
                lambda x, t, k, p: ours(ours(x, 1.0, k, p), t).exp(),
                lambda x, t, k, p: ours(ours(ours(x, top_k=k), top_p=p), t).exp(),
            ),
            Mistake(
                "top-p does not wait for top-k",
                "Top-k first; top-p then adds up the probabilities of those it kept, "
                "shared out anew.",
                lambda x, t, k, p: ours(ours(x, t, 0, p), top_k=k).exp(),
            ),
            Mistake(
                "top-k drops ties",
                "Keep every token as likely as the k-th, not exactly k of them: else chance "
                "decides which of two equals goes.",
                wrong(cut_k=no_ties),
                wrong(cut_k=functools.partial(no_ties, from_end=True)),
            ),
            Mistake(
                "top-k drops its edge",
                "The k-th likeliest token stays: drop those *below* it.",
                wrong(cut_k=edge_lost),
            ),
            Mistake(
                "top-p keeps too little",
                "The token that crosses p stays as well, or the kept ones do not reach p.",
                wrong(cut_p=nucleus(lambda ordered, total, p: total > p)),
            ),
            Mistake(
                "top-p keeps one too many",
                "Stop with the token that reaches p; the next is not needed.",
                wrong(
                    cut_p=nucleus(
                        lambda ordered, total, p: (
                            F.pad(total - ordered, (1, 0))[:-1] >= p
                        )
                    )
                ),
            ),
            Mistake(
                "top-p taken for a threshold",
                "The *sum* over the likeliest tokens reaches p, not each alone.",
                wrong(
                    cut_p=lambda x, p: (
                        x.masked_fill(x.softmax(-1) < p, -torch.inf) if p < 1 else x
                    )
                ),
                wrong(
                    cut_p=lambda x, p: (
                        x.masked_fill(x.softmax(-1) < 1 - p, -torch.inf) if p < 1 else x
                    )
                ),
            ),
            Mistake(
                "sorted and not sorted back",
                "The mask is in the order of the sorted tokens; the logits are not. "
                "Scatter it back.",
                wrong(cut_p=unsorted),
            ),
            Mistake(
                "not renormalised",
                "What is kept must sum to one again.",
                lambda x, t, k, p: torch.where(
                    torch.isfinite(ours(x, t, k, p)), (x / t).softmax(-1), 0.0
                ),
            ),
            Mistake(
                "logs instead of probabilities",
                "Return probabilities: one exp is missing.",
                lambda x, t, k, p: ours(x, t, k, p),
            ),
        ],
    )


def horizon(function: Callable) -> None:
    """`function(p_first, p_second, temperature)`: (a,), (a, b) → (a,), the first of two tokens scaled together."""
    first, second = (
        torch.tensor([0.6, 0.4]),
        torch.tensor([[0.4, 0.3, 0.3], [0.98, 0.01, 0.01]]),
    )
    square = torch.tensor([[0.5, 0.4, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])

    def expected(p, q, t):
        """The definition, pair by pair."""
        weights = [
            sum((a * b) ** (1 / t) for b in row)
            for a, row in zip(p.tolist(), q.tolist())
        ]
        return [w / sum(weights) for w in weights]

    def case(what, p, q, t):
        return Case(what, (p, q, t), expected(p, q, t))

    def shared(weights):
        return weights / weights.sum()

    check(
        "horizon",
        function,
        [
            case("notebook 5's two words, T = 0.5", first, second, 0.5),
            case("the same, T = 2", first, second, 2.0),
            case("T = 1 gives p_first back", first, second, 1.0),
            case("three words by three", torch.tensor([0.5, 0.3, 0.2]), square, 0.25),
        ],
        [
            Mistake(
                "the second token has no say",
                "This is a horizon of one. Scale the joint p(x₁, x₂), *then* sum over "
                "x₂; summing or normalising each row first leaves p(x₁).",
                lambda p, q, t: shared(p ** (1 / t)),
            ),
            Mistake(
                "only the second token is scaled",
                "The power goes on the whole pair's probability, p(x₁) included.",
                lambda p, q, t: shared(p * (q ** (1 / t)).sum(1)),
            ),
            Mistake(
                "T instead of 1/T",
                "Temperature T raises to the power 1/T.",
                lambda p, q, t: shared(((p[:, None] * q) ** t).sum(1)),
            ),
            Mistake(
                "scaled twice",
                "The power 1/T is applied both to the factors and to their product: once is right.",
                lambda p, q, t: shared(((p[:, None] * q) ** (1 / t) ** 2).sum(1)),
                lambda p, q, t: shared(((p[:, None] * q) ** (1 / t)).sum(1) ** (1 / t)),
            ),
            Mistake(
                "the best pair instead of all",
                "Sum over every second token; the maximum forgets all but one.",
                lambda p, q, t: shared(((p[:, None] * q) ** (1 / t)).amax(1)),
            ),
            Mistake(
                "not renormalised",
                "Divide by the sum, so that the first token's probabilities add up to one.",
                lambda p, q, t: ((p[:, None] * q) ** (1 / t)).sum(1),
            ),
            Mistake(
                "p_first is spread along the wrong axis",
                "Row i of p_second belongs to p_first[i]: “p_first[:, None]” "
                "makes a column of it.",
                lambda p, q, t: shared(((p * q) ** (1 / t)).sum(1)),
            ),
            Mistake(
                "summed over the wrong axis",
                "Sum over the second token, axis 1, and keep the first.",
                lambda p, q, t: shared(((p[:, None] * q) ** (1 / t)).sum(0)),
            ),
        ],
    )


# ---- 06 · log-likelihood


def bits_per_byte(function: Callable) -> None:
    """`function(log_likelihoods, texts)`: nats of each text, and the texts → bits per UTF-8 byte of all together."""
    scores, texts = np.array([-20.0, -4.0]), ["To be or not to be", "that"]

    def case(what, scores, texts):
        table = pd.DataFrame(
            {"log_likelihood": scores, "n_bytes": [len(t.encode()) for t in texts]}
        )
        return Case(what, (scores, texts), likelihood.bits_per_byte(table))

    def total(scores, texts, size=lambda t: len(t.encode())):
        return -scores.sum() / math.log(2) / sum(map(size, texts))

    check(
        "bits_per_byte",
        function,
        [
            Case(
                "eight bytes at one bit each",
                (np.array([-8 * math.log(2)]), ["question"]),
                1.0,
                "log_likelihoods = [−8 ln 2], texts = ['question']",
            ),
            case("two texts of unlike length", scores, texts),
            case("letters of more than one byte", scores, ["Grüße, Wörter", "你好"]),
        ],
        [
            Mistake(
                "characters instead of bytes",
                "“ü” is one character and two bytes: count len(text.encode('utf-8')).",
                lambda s, t: total(s, t, len),
            ),
            Mistake(
                "nats instead of bits",
                "One bit is ln 2 nats: divide by it.",
                lambda s, t: total(s, t) * math.log(2),
            ),
            Mistake(
                "multiplied by ln 2",
                "A bit is *less* than a nat, so there are more of them: divide by ln 2.",
                lambda s, t: total(s, t) * math.log(2) ** 2,
            ),
            Mistake(
                "the sign is turned",
                "The model *pays* these bits: minus the log-likelihood.",
                lambda s, t: -total(s, t),
            ),
            Mistake(
                "totals are compared across lengths",
                "Nothing is divided by the texts' length: a longer text then "
                "always looks worse.",
                lambda s, t: -s.sum() / math.log(2),
                lambda s, t: -s.mean() / math.log(2),
                lambda s, t: -s.sum(),
            ),
            Mistake(
                "a mean of ratios",
                "Divide the sum of all bits by the sum of all bytes; else a short text weighs as "
                "much as a long one.",
                lambda s, t: np.mean([total(np.array([a]), [b]) for a, b in zip(s, t)]),
            ),
            Mistake(
                "one number for each text",
                "One number for all texts together is asked for: sum both first.",
                lambda s, t: np.array(
                    [total(np.array([a]), [b]) for a, b in zip(s, t)]
                ),
            ),
            Mistake(
                "words instead of bytes",
                "What a word is depends on who counts; bytes do not.",
                lambda s, t: total(s, t, lambda text: len(text.split())),
            ),
        ],
    )


def auroc(function: Callable) -> None:
    """`function(inside, outside)`: scores (n,), (m,) → share of pairs in which the string from inside is higher."""

    def case(what, inside, outside):
        a, b = np.array(inside, dtype=float), np.array(outside, dtype=float)
        return Case(what, (a, b), ood.auroc(a, b))

    def pairs(a, b, tie=0.5):
        difference = a[:, None] - b
        return ((difference > 0) + tie * (difference == 0)).mean()

    check(
        "auroc",
        function,
        [
            case("one right order of two pairs", [2], [1, 3]),
            case("every pair the wrong way round", [1, 2], [3, 4]),
            case("a tie", [1, 2], [2, 0]),
            case("three against two, in no order", [5, -1, 3], [4, 0]),
            case("all scores equal", [1, 1, 1], [1, 1]),
        ],
        [
            Mistake(
                "ties count as lost",
                "Where two scores are equal, neither is higher: count one half.",
                lambda a, b: pairs(a, b, 0),
            ),
            Mistake(
                "ties count as won",
                "“>=” gives a tie to the inside; it is worth one half.",
                lambda a, b: pairs(a, b, 1),
            ),
            Mistake(
                "the two sets are swapped",
                "1 must mean that *inside* is always higher.",
                lambda a, b: pairs(b, a),
                lambda a, b: pairs(b, a, 0),
            ),
            Mistake(
                "folded to above one half",
                "Below one half is the finding: the detector prefers the stranger. Do not "
                "turn it round.",
                lambda a, b: max(pairs(a, b), 1 - pairs(a, b)),
            ),
            Mistake(
                "a count, not a share",
                "Divide by the number of pairs.",
                lambda a, b: pairs(a, b) * a.size * b.size,
            ),
            Mistake(
                "divided by too few",
                "There are len(inside) × len(outside) pairs.",
                lambda a, b: pairs(a, b) * b.size,
                lambda a, b: pairs(a, b) * a.size,
            ),
            Mistake(
                "neighbours instead of all pairs",
                "zip compares the first with the first and so on; compare each with "
                "each.",
                lambda a, b: np.mean([(x > y) + 0.5 * (x == y) for x, y in zip(a, b)]),
                lambda a, b: np.mean([float(x > y) for x, y in zip(a, b)]),
            ),
            Mistake(
                "means are compared",
                "The mean says nothing about overlap: compare string with string.",
                lambda a, b: float(a.mean() > b.mean()),
                lambda a, b: a.mean() - b.mean(),
                lambda a, b: (a > b.mean()).mean(),
            ),
        ],
    )


# ---- 07 · out of distribution


def likelihood_ratio(function: Callable) -> None:
    """`function(scores, domain)`: rows of likelihoods.csv → Series by text_id, log p of that model over base."""
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

    def columns(s, d):
        return {
            m: s[s.model == m].set_index("text_id").log_likelihood for m in ("base", d)
        }

    def of(combine):
        return lambda s, d: combine(columns(s, d)[d], columns(s, d)["base"])

    def case(what, scores, domain):
        return Case(
            what,
            (scores, domain),
            scores.pivot(
                index="text_id", columns="model", values="log_likelihood"
            ).pipe(lambda t: t[domain] - t["base"]),
        )

    def by_position(s, d):
        tuned, base = (s[s.model == m] for m in (d, "base"))
        return pd.Series(
            tuned.log_likelihood.to_numpy() - base.log_likelihood.to_numpy(),
            base.text_id,
        )

    check(
        "likelihood_ratio",
        function,
        [
            case("the model fine-tuned on Shakespeare", scores, "shakespeare"),
            case("the model fine-tuned on NeurIPS", scores, "neurips"),
            case("texts ten times as long", far, "shakespeare"),
        ],
        [
            Mistake(
                "rows matched by position",
                "The models' rows are in different orders: match them by text_id.",
                by_position,
                lambda s, d: by_position(s, d).set_axis(s[s.model == d].text_id),
            ),
            Mistake(
                "logs are divided",
                "A ratio of probabilities is a *difference* of their logs.",
                of(lambda tuned, base: tuned / base),
            ),
            Mistake(
                "base over fine-tuned",
                "The fine-tuned model comes first: positive must mean that it gained.",
                of(lambda tuned, base: base - tuned),
            ),
            Mistake(
                "the exponential is taken",
                "Stay with logs: probabilities of whole texts underflow, and their ratio "
                "overflows.",
                of(lambda tuned, base: np.exp(tuned - base)),
            ),
            Mistake(
                "nothing is subtracted",
                "This is the raw log-likelihood: easy texts still look familiar.",
                of(lambda tuned, base: tuned),
            ),
            Mistake(
                "the domain is ignored",
                "Use the model named by “domain”, not always the same one.",
                lambda s, d: of(lambda tuned, base: tuned - base)(s, "shakespeare"),
                lambda s, d: of(lambda tuned, base: tuned - base)(s, "neurips"),
            ),
            Mistake(
                "compared with the base's mean",
                "Subtract the base's score of the *same* string.",
                of(lambda tuned, base: tuned - base.mean()),
            ),
            Mistake(
                "divided by the length",
                "A ratio per byte is another detector; here the whole string's is asked for.",
                lambda s, d: (
                    of(lambda tuned, base: tuned - base)(s, d)
                    / s.groupby("text_id").n_bytes.first()
                ),
            ),
        ],
    )


def posterior(function: Callable) -> None:
    """`function(log_p_neurips, log_p_shakespeare, prior)`: nats (n,), (n,) → P(NeurIPS | x), shape (n,)."""
    a, b = np.array([-100.0, -101.0, -99.0]), np.array([-100.0, -100.0, -102.0])

    def expected(a, b, prior):
        """By odds: the prior's times e to the difference."""
        return [1 / (1 + (1 - prior) / prior * math.exp(y - x)) for x, y in zip(a, b)]

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    def odds(p):
        return math.log(p / (1 - p))

    def softmax_of_both(a, b, axis):
        return torch.tensor(np.array([a, b])).softmax(axis)[0].numpy()

    @np.errstate(all="ignore")
    def underflowing(a, b, p):
        return p * np.exp(a) / (p * np.exp(a) + (1 - p) * np.exp(b))

    check(
        "posterior",
        function,
        [
            Case(
                "nothing known, equal priors",
                (np.array([-100.0]), np.array([-100.0]), 0.5),
                [0.5],
            ),
            Case(
                "a nat or three apart, equal priors", (a, b, 0.5), expected(a, b, 0.5)
            ),
            Case("one text in ten is an abstract", (a, b, 0.1), expected(a, b, 0.1)),
            Case(
                "a whole page, 5,000 nats",
                (50 * a, 50 * a - 1, 0.5),
                expected(50 * a, 50 * a - 1, 0.5),
            ),
        ],
        [
            Mistake(
                "the prior is ignored",
                "With unequal priors, Bayes' rule adds log(prior / (1 − prior)) to the "
                "difference.",
                lambda a, b, p: logistic(a - b),
            ),
            Mistake(
                "the prior of the other domain",
                "prior is that of NeurIPS: its odds are prior / (1 − prior).",
                lambda a, b, p: logistic(a - b - odds(p)),
            ),
            Mistake(
                "the prior multiplies the answer",
                "Multiply the two *likelihoods* by their priors, then divide by "
                "their sum.",
                lambda a, b, p: logistic(a - b) * p,
                lambda a, b, p: logistic(a - b) * 2 * p,
            ),
            Mistake(
                "the prior is not turned into a log",
                "Log-likelihoods take log-priors: add log(prior), not prior.",
                lambda a, b, p: logistic(a + p - b - (1 - p)),
                lambda a, b, p: logistic(a - b + p),
            ),
            Mistake(
                "the domains are swapped",
                "This is P(Shakespeare | x).",
                lambda a, b, p: logistic(b - a - odds(p)),
                lambda a, b, p: logistic(b - a),
                lambda a, b, p: logistic(b - a + odds(p)),
            ),
            Mistake(
                "exp of a whole text",
                "exp(−5000) is 0, and 0/0 no number: subtract the logs first, then one exp.",
                underflowing,
            ),
            Mistake(
                "a verdict, not a probability",
                "Return how sure the two models are, not only which is ahead.",
                lambda a, b, p: (a > b).astype(float),
                lambda a, b, p: (logistic(a - b + odds(p)) > 0.5).astype(float),
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
                lambda a, b, p: softmax_of_both(a, b, 1),
            ),
        ],
    )


# ---- spot the bug


@_on_the_tiny_model
def total_from_loss(function: Callable) -> None:
    """`function(loss, ids)`: the library's mean loss (nats), and ids (n+1,) with the separator → log p of the text."""

    def case(what, loss, n):
        return Case(
            what,
            (loss, torch.arange(n + 1)),
            -loss * n,
            f"loss = {loss:.4g}, ids = the separator and {n} token{'s' * (n > 1)}",
        )

    sentence = "To be, or not to be"
    ids = torch.tensor(_tiny().encode([sentence])[0])
    with torch.inference_mode():
        loss = F.cross_entropy(_tiny().model(ids[None]).logits[0, :-1], ids[1:]).item()
    check(
        "total_from_loss",
        function,
        [
            case(
                "one token, which the model finds as likely as a coin's side",
                math.log(2),
                1,
            ),
            case("ten such tokens", math.log(2), 10),
            Case(
                "a loss of the library's own",
                (loss, ids),
                likelihood.score(
                    _tiny(), [sentence], condition_on="first_token", progress=False
                ).log_likelihood[0],
                f"the tiny model's loss on “{sentence}”, its first byte standing for the separator",
            ),
        ],
        [
            Mistake(
                "multiplied by the length",
                "The loss is a mean over the tokens it *scored*. How many of ids did it "
                "score?",
                lambda loss, ids: -loss * len(ids),
            ),
            Mistake(
                "two tokens too few",
                "Only one of ids is not scored: the first, which nothing comes before.",
                lambda loss, ids: -loss * (len(ids) - 2),
            ),
            Mistake(
                "one token too many",
                "The separator is already among ids: nothing is added.",
                lambda loss, ids: -loss * (len(ids) + 1),
            ),
            Mistake(
                "the sign is turned",
                "A loss is minus a log-likelihood.",
                lambda loss, ids: loss * (len(ids) - 1),
                lambda loss, ids: loss * len(ids),
            ),
            Mistake(
                "still a mean",
                "A mean per token is no total: multiply by the number of tokens scored.",
                lambda loss, ids: -loss,
                lambda loss, ids: loss,
            ),
            Mistake(
                "a probability, not its log",
                "Leave out the exp: in a long text it underflows.",
                lambda loss, ids: math.exp(-loss * (len(ids) - 1)),
                lambda loss, ids: math.exp(-loss),
            ),
        ],
    )


def reported_loss(function: Callable) -> None:
    """`function(validation, test)`: losses of each checkpoint (n,), (n,) → the test loss an honest report gives."""

    def case(what, validation, test):
        validation, test = np.array(validation), np.array(test)
        return Case(
            what, (validation, test), dict(zip(validation, test))[min(validation)]
        )

    check(
        "reported_loss",
        function,
        [
            case("two checkpoints", [3.0, 3.2], [3.1, 2.9]),
            case(
                "the best on validation in the middle",
                [3.5, 3.0, 3.3, 3.1],
                [3.6, 3.2, 2.8, 3.4],
            ),
            case("the best on validation last", [3.5, 3.4, 3.3], [3.4, 3.7, 3.8]),
        ],
        [
            Mistake(
                "chosen on the test split",
                "test.min() lets the test split choose; the least of many noisy numbers is "
                "too good.",
                lambda v, t: t.min(),
            ),
            Mistake(
                "the validation loss is reported",
                "The validation split has chosen, so its loss is the flattered one: "
                "report the test loss of that checkpoint.",
                lambda v, t: v.min(),
            ),
            Mistake(
                "the last checkpoint",
                "Training longest is not the same as being best on validation.",
                lambda v, t: t[-1],
            ),
            Mistake(
                "both splits choose",
                "The test split must have no say in the choice, not even half of it.",
                lambda v, t: t[(v + t).argmin()],
                lambda v, t: min(v.min(), t.min()),
            ),
            Mistake(
                "a mean over checkpoints",
                "One checkpoint is kept, and its loss is reported.",
                lambda v, t: t.mean(),
            ),
            Mistake(
                "the worst checkpoint",
                "A loss is better when it is lower: argmin.",
                lambda v, t: t[v.argmax()],
            ),
            Mistake(
                "which checkpoint, not its loss",
                "Return the test loss at that place, not the place.",
                lambda v, t: float(v.argmin()),
            ),
        ],
    )


def same_format(function: Callable) -> None:
    """`function(text)`: the text with every run of white space turned into one space, none at the ends."""

    def case(what, text, expected):
        return Case(what, (text,), expected)

    check(
        "same_format",
        function,
        [
            case("a line break", "to be\nor not", "to be or not"),
            case("a line break and an indent", "to be,\n    or not", "to be, or not"),
            case("white space at the ends", "  to be \n", "to be"),
            case("a tab", "to\tbe", "to be"),
            case("capitals and punctuation stay", "To BE, or—not?", "To BE, or—not?"),
        ],
        [
            Mistake(
                "runs of white space are left",
                "A line break followed by an indent becomes several spaces, and still "
                "tells. Fold the whole run into one.",
                lambda t: t.replace("\n", " "),
                lambda t: t.replace("\n", " ").strip(),
                lambda t: t.replace("\n", " ").replace("\t", " ").strip(),
            ),
            Mistake(
                "words are joined",
                "A line break parts two words: put a space in its place.",
                lambda t: t.replace("\n", ""),
                lambda t: t.replace("\n", "").strip(),
                lambda t: "".join(t.splitlines()),
                lambda t: "".join(t.split()),
            ),
            Mistake(
                "only the ends are cleaned",
                "strip() leaves what stands between the words.",
                lambda t: t.strip(),
            ),
            Mistake(
                "too much is folded",
                "Capitals and punctuation are the author's words, not the file's format.",
                lambda t: " ".join(t.lower().split()),
                lambda t: " ".join(
                    "".join(c for c in t if c.isalnum() or c.isspace()).split()
                ),
            ),
            Mistake(
                "only spaces are folded",
                "split(' ') knows only spaces; split() without an argument knows all white "
                "space.",
                lambda t: " ".join(w for w in t.split(" ") if w),
            ),
            Mistake(
                "nothing is changed", "The text comes back as it went in.", lambda t: t
            ),
        ],
    )
