"""Spot the bug: a total from the library's loss, an honest test loss, one format."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from helpers import likelihood
from helpers.checks.checking import Case, Mistake, check
from helpers.checks.tiny_model import on_the_tiny_model, tiny

# ---- total_from_loss

TOTAL_FROM_LOSS = [
    Mistake(
        "multiplied by the length",
        "The loss is a mean over the tokens it *scored*. How many of ids did it score?",
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
]


@on_the_tiny_model
def total_from_loss(function: Callable) -> None:
    """`function(loss, ids)` → log p of the text behind the separator, in nats.

    The library's mean loss in nats, and ids (n + 1,).
    """
    sentence = "To be, or not to be"
    ids = torch.tensor(tiny().encode([sentence])[0])
    with torch.inference_mode():
        loss = F.cross_entropy(tiny().model(ids[None]).logits[0, :-1], ids[1:]).item()
    scores = likelihood.score(
        tiny(), [sentence], condition_on="first_token", progress=False
    )

    def case(what, loss, n):
        tokens = "1 token" if n == 1 else f"{n} tokens"
        example = f"loss = {loss:.4g}, ids = the separator and {tokens}"
        return Case(what, (loss, torch.arange(n + 1)), -loss * n, example)

    coin = math.log(2)
    cases = [
        case("one token, which the model finds as likely as a coin's side", coin, 1),
        case("ten such tokens", coin, 10),
        Case(
            "a loss of the library's own",
            (loss, ids),
            scores.log_likelihood[0],
            f"the tiny model's loss on “{sentence}”, its first byte standing for the "
            "separator",
        ),
    ]
    check("total_from_loss", function, cases, TOTAL_FROM_LOSS)


# ---- reported_loss

REPORTED_LOSS = [
    Mistake(
        "chosen on the test split",
        "test.min() lets the test split choose; the least of many noisy numbers is too "
        "good.",
        lambda v, t: t.min(),
    ),
    Mistake(
        "the validation loss is reported",
        "The validation split has chosen, so its loss is the flattered one: report the "
        "test loss of that checkpoint.",
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
]


def reported_loss(function: Callable) -> None:
    """`function(validation, test)` → the test loss that an honest report gives.

    Losses of each checkpoint (n,), (n,).
    """

    def case(what, validation, test):
        expected = dict(zip(validation, test))[min(validation)]
        return Case(what, (np.array(validation), np.array(test)), expected)

    cases = [
        case("two checkpoints", [3.0, 3.2], [3.1, 2.9]),
        case(
            "the best on validation in the middle",
            [3.5, 3.0, 3.3, 3.1],
            [3.6, 3.2, 2.8, 3.4],
        ),
        case("the best on validation last", [3.5, 3.4, 3.3], [3.4, 3.7, 3.8]),
    ]
    check("reported_loss", function, cases, REPORTED_LOSS)


# ---- same_format


def _letters_only(text):
    kept = "".join(c for c in text if c.isalnum() or c.isspace())
    return " ".join(kept.split())


SAME_FORMAT = [
    Mistake(
        "runs of white space are left",
        "A line break followed by an indent becomes several spaces, and still tells. "
        "Fold the whole run into one.",
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
        _letters_only,
    ),
    Mistake(
        "only spaces are folded",
        "split(' ') knows only spaces; split() without an argument knows all white "
        "space.",
        lambda t: " ".join(w for w in t.split(" ") if w),
    ),
    Mistake("nothing is changed", "The text comes back as it went in.", lambda t: t),
]


def same_format(function: Callable) -> None:
    """`function(text)` → the text with each run of white space as one space.

    None at its ends.
    """
    pairs = {
        "a line break": ("to be\nor not", "to be or not"),
        "a line break and an indent": ("to be,\n    or not", "to be, or not"),
        "white space at the ends": ("  to be \n", "to be"),
        "a tab": ("to\tbe", "to be"),
        "capitals and punctuation stay": ("To BE, or—not?", "To BE, or—not?"),
    }
    cases = [Case(what, (text,), folded) for what, (text, folded) in pairs.items()]
    check("same_format", function, cases, SAME_FORMAT)
