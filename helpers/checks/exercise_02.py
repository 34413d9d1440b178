"""Exercise 2: the log-likelihood of a text, of a padded batch; one training step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from helpers import likelihood
from helpers.checks.checking import Case, Mistakes, check
from helpers.checks.tiny_model import on_the_tiny_model, picked, tiny, tiny_logits


def _noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- log_likelihood

LOG_LIKELIHOOD = Mistakes()


@LOG_LIKELIHOOD.mistake("no shift by one")
def _(x, i):
    """Row t of the logits speaks about the token after ids[t], not about ids[t]
    itself.
    """
    return picked(x, i).sum(), picked(x[1:], i[1:]).sum(), picked(x[:-1], i[:-1]).sum()


@LOG_LIKELIHOOD.mistake("shifted the wrong way")
def _(x, i):
    """You ask each row about the token before its own; it knows the one after."""
    return picked(x[1:], i[:-1]).sum()


@LOG_LIKELIHOOD.mistake("the first token is left out")
def _(x, i):
    """Row 0 has read the separator alone and speaks about ids[1], the text's first
    token: it counts.
    """
    return picked(x[1:-1], i[2:]).sum()


@LOG_LIKELIHOOD.mistake("the last token is left out")
def _(x, i):
    """The last but one row speaks about the last token: one row too few."""
    return picked(x[:-2], i[1:-1]).sum()


@LOG_LIKELIHOOD.mistake("mean instead of sum")
def _(x, i):
    """The chain rule adds the terms up; their mean is no log p of the text."""
    return picked(x[:-1], i[1:]).mean()


@LOG_LIKELIHOOD.mistake("the sign is turned")
def _(x, i):
    """A loss is minus a log-likelihood. Log-probabilities are never above zero."""
    return -picked(x[:-1], i[1:]).sum()


@LOG_LIKELIHOOD.mistake("no softmax")
def _(x, i):
    """Logits are not yet log-probabilities: a softmax over the vocabulary makes them
    so.
    """
    return x[:-1].float().gather(-1, i[1:, None]).sum()


@LOG_LIKELIHOOD.mistake("softmax over the wrong axis")
def _(x, i):
    """Each row must sum to one: the softmax runs over the vocabulary, the last axis."""
    return (
        x.float().log_softmax(0)[:-1].gather(-1, i[1:, None]).sum(),
        x[:-1].float().log_softmax(0).gather(-1, i[1:, None]).sum(),
    )


@LOG_LIKELIHOOD.mistake("a probability, not its log")
def _(x, i):
    """Sum logs; the product of a long text's probabilities underflows."""
    return picked(x[:-1], i[1:]).exp().prod(), picked(x[:-1], i[1:]).exp().sum()


@LOG_LIKELIHOOD.mistake("bits instead of nats")
def _(x, i):
    """Use the natural logarithm."""
    return picked(x[:-1], i[1:]).sum() / math.log(2)


@LOG_LIKELIHOOD.mistake("log of a softmax")
def _(x, i):
    """The softmax underflows to 0, whose log is −∞; log_softmax does both at once."""
    return x[:-1].float().softmax(-1).log().gather(-1, i[1:, None]).sum()


@LOG_LIKELIHOOD.mistake("rounded to bfloat16", rtol=0.01)
def _(x, i):
    """bfloat16 keeps two to three digits: turn the logits into float32 *before* the
    softmax.
    """
    return x[:-1].bfloat16().log_softmax(-1).gather(-1, i[1:, None]).float().sum()


@on_the_tiny_model
def log_likelihood(function: Callable) -> None:
    """`function(logits, ids)` → log p of the text behind the separator, in nats.

    Logits (n + 1, vocabulary), ids (n + 1,).
    """
    by_hand = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]]).log()
    ids = torch.tensor([0, 2, 1])
    impossible = torch.tensor([[0.0, 0.0, -200.0], [0.0, 0.0, 0.0]])
    long = 3 * _noise(0, 400, 50).bfloat16()
    chosen = torch.arange(400) * 7 % 50
    exact = -F.cross_entropy(long[:-1].double(), chosen[1:], reduction="sum")
    sentence = "To be, or not to be"
    logits, sentence_ids, _ = tiny_logits([sentence])
    scores = likelihood.score(tiny(), [sentence], progress=False)
    cases = [
        Case(
            "two tokens, p = 0.2 and 0.6",
            (by_hand, ids),
            math.log(0.2 * 0.6),
            "ids = [0, 2, 1]; the rows' softmax is [0.5, 0.3, 0.2], [0.1, 0.6, 0.3] "
            "and [0.2, 0.3, 0.5]",
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
            (impossible, ids[:2]),
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
            scores.log_likelihood[0],
            "its logits and ids",
        ),
    ]
    check("log_likelihood", function, cases, LOG_LIKELIHOOD)


# ---- log_likelihoods


def _masked(x, i, n):
    """log p of each token, 0 for all but the first `n` of each text."""
    return picked(x[:, :-1], i[:, 1:]) * (torch.arange(i.shape[1] - 1) < n[:, None])


LOG_LIKELIHOODS = Mistakes()


@LOG_LIKELIHOODS.mistake("padding is counted")
def _(x, i, n):
    """Only the first lengths[i] tokens after the separator belong to text i."""
    return picked(x[:, :-1], i[:, 1:]).sum(1)


@LOG_LIKELIHOODS.mistake("the separator is taken for padding")
def _(x, i, n):
    """A text may hold the padding's id itself. Mask by position, not by id."""
    return (picked(x[:, :-1], i[:, 1:]) * (i[:, 1:] != 0)).sum(1)


@LOG_LIKELIHOODS.mistake("the last token of each text is masked")
def _(x, i, n):
    """lengths counts the tokens after the separator: once shifted, positions 0 to
    lengths − 1 are all real.
    """
    return _masked(x, i, n - 1).sum(1)


@LOG_LIKELIHOODS.mistake("one token of padding is counted")
def _(x, i, n):
    """One position too many: after the shift, positions *below* lengths are real."""
    return _masked(x, i, n + 1).sum(1)


@LOG_LIKELIHOODS.mistake("mean instead of sum")
def _(x, i, n):
    """A mean per token is no log-likelihood, and long texts lose their length in it."""
    return _masked(x, i, n).sum(1) / n, _masked(x, i, n).mean(1)


@LOG_LIKELIHOODS.mistake("the batch is summed up")
def _(x, i, n):
    """Sum over a text's tokens, axis 1, and keep one number for each text."""
    return _masked(x, i, n).sum(), _masked(x, i, n).sum(0)


@LOG_LIKELIHOODS.mistake("no shift by one")
def _(x, i, n):
    """Row t of the logits speaks about the token after ids[:, t]."""
    return (
        (picked(x, i) * (torch.arange(i.shape[1]) < n[:, None])).sum(1),
        ((picked(x, i) * (torch.arange(i.shape[1]) <= n[:, None])).sum(1)),
    )


@LOG_LIKELIHOODS.mistake("the sign is turned")
def _(x, i, n):
    """A loss is minus a log-likelihood. Log-probabilities are never above zero."""
    return -_masked(x, i, n).sum(1)


@on_the_tiny_model
def log_likelihoods(function: Callable) -> None:
    """`function(logits, ids, lengths)` → log p of each text (texts,), in nats.

    A padded batch: logits (texts, longest + 1, vocabulary), ids (texts, longest + 1).
    """
    logits = _noise(1, 2, 4, 5).round(decimals=1)
    ids = torch.tensor([[0, 2, 1, 4], [0, 3, 0, 0]])
    lengths = torch.tensor([3, 1])
    inner = torch.tensor([[0, 2, 0, 4], [0, 3, 1, 0]])
    texts = ["To be, or not to be", "that", "is the question"]
    scores = likelihood.score(tiny(), texts, progress=False)

    def case(what, logits, ids, lengths):
        padding = torch.arange(ids.shape[1] - 1) >= lengths[:, None]
        wanted = ids[:, 1:].masked_fill(padding, -100)
        losses = F.cross_entropy(logits[:, :-1].mT, wanted, reduction="none")
        return Case(what, (logits, ids, lengths), -losses.sum(1))

    cases = [
        case("one text, without padding", logits[:1], ids[:1], lengths[:1]),
        case("texts of three tokens and of one, padded with 0", logits, ids, lengths),
        case(
            "texts that hold the separator themselves",
            logits,
            inner,
            torch.tensor([3, 3]),
        ),
        Case(
            "three texts under the tiny model",
            tiny_logits(texts),
            scores.log_likelihood.tolist(),
            "its logits and ids",
        ),
    ]
    check("log_likelihoods", function, cases, LOG_LIKELIHOODS)


# ---- training_step


def _surprise(model, ids):
    """−log p of each token after the first: (texts, n - 1)."""
    return -picked(model(ids).logits[:, :-1], ids[:, 1:])


def _mean_surprise(model, ids):
    return _surprise(model, ids).mean()


def _step(model, ids, lr, loss_of=_mean_surprise, clear=True, after=False):
    """A step of gradient descent in which one thing may be wrong.

    Another loss, gradients not cleared, or the loss after the step.
    """
    if clear:
        model.zero_grad()
    loss = loss_of(model, ids)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= lr * weight.grad
        return loss_of(model, ids) if after else loss


TRAINING_STEP = Mistakes()


@TRAINING_STEP.mistake("the weights do not move")
def _(model, ids, lr):
    """“weight = weight − …” only renames; change the model's own weights with “weight
    −= …” under torch.no_grad(), and clear gradients before backward, not after it.
    """
    return _step(model, ids, 0.0)


@TRAINING_STEP.mistake("uphill instead of downhill")
def _(model, ids, lr):
    """The gradient points to where the loss grows: subtract it."""
    return _step(model, ids, -lr)


@TRAINING_STEP.mistake("no shift by one")
def _(*args):
    """The output at position t must be scored on the token at t + 1."""
    return _step(*args, lambda model, ids: -picked(model(ids).logits, ids).mean())


@TRAINING_STEP.mistake("sum instead of mean")
def _(*args):
    """The loss is the *mean* surprise per token; a sum takes longer steps."""
    return _step(*args, lambda model, ids: _surprise(model, ids).sum())


@TRAINING_STEP.mistake("a mean over one text")
def _(*args):
    """The batch has several texts: the mean runs over the tokens of all of them."""
    return _step(*args, lambda model, ids: _surprise(model, ids)[0].mean())


@TRAINING_STEP.mistake("divided by the tokens of one text")
def _(*args):
    """The sum is over all texts, and so is the number of tokens it is divided by."""
    return _step(*args, lambda model, ids: _surprise(model, ids).mean(1).sum())


@TRAINING_STEP.mistake("the learning rate is left out")
def _(model, ids, lr):
    """Multiply the gradient by lr, which says how far to go."""
    return _step(model, ids, 1.0)


@TRAINING_STEP.mistake("gradients pile up")
def _(*args):
    """backward() *adds* to weight.grad: set it to None (or zero) before each step."""
    return _step(*args, clear=False)


@TRAINING_STEP.mistake("the loss after the step")
def _(*args):
    """Return the loss you took the gradient of, from before the weights moved."""
    return _step(*args, after=True)


def _right_step(model, ids, lr):
    """By torch's own cross-entropy and gradients."""
    logits, weights = model(ids).logits[:, :-1], list(model.parameters())
    loss = F.cross_entropy(logits.mT, ids[:, 1:])
    with torch.no_grad():
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights)):
            weight.sub_(lr * slope)
    return loss


@torch.no_grad()
def _state(model, ids):
    """The loss, and all weights in a row."""
    weights = [weight.flatten() for weight in model.parameters()]
    return _mean_surprise(model, ids), torch.cat(weights)


def _moved(function, model, ids, lr, steps=1):
    """How far `steps` calls bring the loss down, and how far they move the weights."""
    loss, weights = _state(model, ids)
    for _ in range(steps):
        function(model, ids, lr)
    new_loss, new_weights = _state(model, ids)
    return torch.stack([new_loss - loss, (new_weights - weights).norm()])


def _moved_twice(function, model, ids, lr):
    return _moved(function, model, ids, lr, steps=2)


@on_the_tiny_model
def training_step(function: Callable) -> None:
    """`function(model, ids, lr)` → the loss before one step, which it takes.

    Ids (texts, n). The model's weights are changed in place.
    """
    model = tiny().model
    ids = torch.tensor(tiny().encode(["To be or not", "That is what"]))

    def case(what, call, lr):
        args = (model, ids, lr)
        expected = call(_right_step, *copy.deepcopy(args))
        example = f"the tiny model, two texts of 12 bytes, lr = {lr}"
        return Case(what, args, expected, example, 1e-3, call)

    cases = [
        case("the loss it returns", Case.call, 0.1),
        case(
            "one step: change of the loss, and distance the weights move", _moved, 0.5
        ),
        case("two steps, one after the other", _moved_twice, 0.1),
    ]
    check("training_step", function, cases, TRAINING_STEP)
