"""Answers as students write them: right in unusual ways, and wrong.

Tasks: log_likelihood, log_likelihoods, training_step (exercise 2); total_from_loss,
perplexity, per_word, batch_scores (spot the bug).
"""

import copy
import functools
import itertools
import math
import statistics
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from answers.collected import right, wrong
from scipy import special
from torch.nn.utils.rnn import pad_sequence

from helpers import models

# ======== log_likelihood, right


@right("log_likelihood")
def _(logits, ids):
    # Pure Python, a float
    rows, tokens = logits.tolist(), ids.tolist()
    total = 0.0
    for row, token in zip(rows, tokens[1:]):
        top = max(row)
        total += row[token] - top - math.log(sum(math.exp(x - top) for x in row))
    return total


@right("log_likelihood")
def _(logits, ids):
    # NumPy, a NumPy scalar of float64
    x = logits.detach().cpu().float().numpy().astype(np.float64)[:-1]
    x = x - x.max(axis=1, keepdims=True)
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return log_p[np.arange(len(x)), ids.cpu().numpy()[1:]].sum()


@right("log_likelihood")
def _(logits, ids):
    # SciPy, a 0-d array
    log_p = special.log_softmax(logits.detach().cpu().double().numpy(), axis=-1)
    picked = np.take_along_axis(log_p[:-1], ids.cpu().numpy()[1:, None], axis=-1)
    return np.asarray(picked.sum())


@right("log_likelihood")
def _(logits, ids):
    # A 0-d tensor, with a graph where the logits have one
    return -F.cross_entropy(logits[:-1].float(), ids[1:], reduction="sum")


@right("log_likelihood")
def _(logits, ids):
    # A distribution; an empty one does not pass its validation
    given = torch.distributions.Categorical(
        logits=logits[:-1].float(), validate_args=False
    )
    return given.log_prob(ids[1:]).sum()


@right("log_likelihood")
def _(logits, ids):
    # float64, and one-hot rows instead of a gather
    log_p = logits[:-1].double().log_softmax(dim=1)
    hot = F.one_hot(ids[1:], logits.shape[1]).bool()
    return log_p[hot].sum()


@right("log_likelihood")
def _(logits, ids, dtype=torch.float32):
    # The helper's way, an optional argument more, .item()
    logits = logits.to(dtype)[:-1]
    chosen = logits.gather(-1, ids[1:].unsqueeze(-1)).squeeze(-1)
    return (chosen - logits.logsumexp(-1)).sum().item()


@right("log_likelihood")
def _(logits, ids):
    # A result that requires grad though the logits need not
    logits = logits.detach().float().clone().requires_grad_()
    log_p = logits.log_softmax(-1)
    return sum((log_p[t, ids[t + 1]] for t in range(len(ids) - 1)), torch.tensor(0.0))


@right("log_likelihood")
def _(logits, ids):
    # Everything shifted by roll, the last row set to nothing afterwards
    nats = F.nll_loss(logits.float().log_softmax(-1), ids.roll(-1), reduction="none")
    nats[-1] = 0
    return -nats.sum()


@right("log_likelihood")
def _(logits, ids):
    # pandas
    table = pd.DataFrame(logits.detach().cpu().double().numpy()).iloc[:-1]
    log_p = table.sub(special.logsumexp(table.to_numpy(), axis=1), axis=0)
    return math.fsum(log_p.at[t, x] for t, x in enumerate(ids.tolist()[1:]))


right("log_likelihood")(
    lambda logits, ids: torch.diagonal(
        logits[:-1].float().log_softmax(-1)[:, ids[1:]]
    ).sum()
)


# ======== log_likelihood, wrong


@wrong("log_likelihood", "no shift: row t is asked about token t")
def _(logits, ids):
    log_p = logits.float().log_softmax(-1)
    return log_p[torch.arange(len(ids)), ids].sum()


@wrong("log_likelihood", "shifted the other way: row t + 1 is asked about token t")
def _(logits, ids):
    log_p = logits[1:].float().log_softmax(-1)
    return log_p.gather(-1, ids[:-1, None]).sum()


@wrong("log_likelihood", "the first token is left out")
def _(logits, ids):
    log_p = logits[1:-1].float().log_softmax(-1)
    return log_p.gather(-1, ids[2:, None]).sum()


@wrong("log_likelihood", "sign: the surprise, not the log-likelihood")
def _(logits, ids):
    return F.cross_entropy(logits[:-1].float(), ids[1:], reduction="sum").item()


@wrong("log_likelihood", "mean times n + 1: the separator counted")
def _(logits, ids):
    return -F.cross_entropy(logits[:-1].float(), ids[1:]).item() * len(ids)


@wrong("log_likelihood", "one softmax over the whole table")
def _(logits, ids):
    logits = logits[:-1].float()
    log_p = logits - logits.flatten().logsumexp(0)
    return log_p.gather(-1, ids[1:, None]).sum()


@wrong("log_likelihood", "log of the raw logits")
def _(logits, ids):
    return logits[:-1].float().gather(-1, ids[1:, None]).log().sum()


@wrong("log_likelihood", "log of the sum of the probabilities, not sum of the logs")
def _(logits, ids):
    p = logits[:-1].float().softmax(-1)
    return p.gather(-1, ids[1:, None]).sum().log()


@wrong("log_likelihood", "log of a softmax, which is −inf for rare tokens")
def _(logits, ids):
    p = logits[:-1].float().softmax(-1)
    return p.gather(-1, ids[1:, None]).log().sum()


@wrong("log_likelihood", "probabilities clamped at 1e-12")
def _(logits, ids):
    p = logits[:-1].double().softmax(-1)
    return p.gather(-1, ids[1:, None]).clamp(min=1e-12).log().sum()


@wrong("log_likelihood", "log of a sum of exp without a shift, which overflows")
def _(logits, ids):
    logits = logits[:-1].float()
    chosen = logits.gather(-1, ids[1:, None])[:, 0]
    return (chosen - logits.exp().sum(-1).log()).sum()


@wrong("log_likelihood", "the shift is not taken from the chosen logit as well")
def _(logits, ids):
    x = logits[:-1].float()
    chosen = x.gather(-1, ids[1:, None])[:, 0]
    top = x.max(-1, keepdim=True).values
    return (chosen - (x - top).exp().sum(-1).log()).sum()


@wrong("log_likelihood", "base ten")
def _(logits, ids):
    p = torch.softmax(logits[:-1].double(), -1)
    return torch.log10(p.gather(-1, ids[1:, None])).sum().item()


@wrong("log_likelihood", "turned into float32 only after the softmax")
def _(logits, ids):
    log_p = torch.log_softmax(logits[:-1], dim=-1).float()
    return log_p.gather(-1, ids[1:, None]).sum()


@wrong("log_likelihood", "the greedy token's probability, not the text's")
def _(logits, ids):
    return logits[:-1].float().log_softmax(-1).max(-1).values.sum()


@wrong("log_likelihood", "tokens with the separator's id are taken for padding")
def _(logits, ids):
    log_p = logits[:-1].float().log_softmax(-1)
    picked = log_p.gather(-1, ids[1:, None])[:, 0]
    return picked[ids[1:] != ids[0]].sum()


@wrong("log_likelihood", "cross_entropy with ignore_index=0")
def _(logits, ids):
    lost = F.cross_entropy(
        logits[:-1].float(), ids[1:], ignore_index=0, reduction="sum"
    )
    return -lost.item()


@wrong("log_likelihood", "return inside the loop")
def _(logits, ids):
    log_p = logits.float().log_softmax(-1)
    total = 0.0
    for t in range(len(ids) - 1):
        total += log_p[t, ids[t + 1]].item()
        return total


@wrong("log_likelihood", "printed, not returned")
def _(logits, ids):
    print(-F.cross_entropy(logits[:-1].float(), ids[1:], reduction="sum").item())


@wrong("log_likelihood", "a tuple: the sum and the terms")
def _(logits, ids):
    log_p = logits[:-1].float().log_softmax(-1)
    terms = log_p.gather(-1, ids[1:, None])[:, 0]
    return terms.sum(), terms


@wrong("log_likelihood", "a vocabulary of 257 written into the code")
def _(logits, ids):
    hot = F.one_hot(ids[1:], num_classes=257)
    return (logits[:-1].float().log_softmax(-1) * hot).sum()


@wrong("log_likelihood", "a model that knows nothing: −n ln V, whatever the logits")
def _(logits, ids):
    return -(len(ids) - 1) * math.log(logits.shape[-1])


@wrong("log_likelihood", "a batch is expected: logits[0]")
def _(logits, ids):
    log_p = logits[0, :-1].float().log_softmax(-1)
    return log_p.gather(-1, ids[0, 1:, None]).sum()


@wrong("log_likelihood", "a NameError: log_prob for log_probs")
def _(logits, ids):
    log_probs = logits[:-1].float().log_softmax(-1)
    log_probs = log_probs.gather(-1, ids[1:, None])
    return log_prob.sum()  # noqa: F821


@wrong("log_likelihood", "one argument too many: lengths")
def _(logits, ids, lengths):
    log_p = logits[:-1].float().log_softmax(-1)
    return log_p.gather(-1, ids[1:, None])[:lengths].sum()


@wrong("log_likelihood", "the unused last row counts as a term of its own")
def _(logits, ids):
    log_p = logits.float().log_softmax(-1)
    terms = log_p[:-1].gather(-1, ids[1:, None]).sum()
    return terms + log_p[-1].max()


# ======== log_likelihoods, right


def _one(logits, ids):
    """log p of one row of ids, a float."""
    return -F.cross_entropy(logits[:-1].double(), ids[1:], reduction="sum").item()


@right("log_likelihoods")
def _(logits, ids, lengths):
    # Text by text, float64
    totals = torch.zeros(len(ids), dtype=torch.float64)
    for i, n in enumerate(lengths.tolist()):
        totals[i] = _one(logits[i, : n + 1], ids[i, : n + 1])
    return totals


@right("log_likelihoods")
def _(logits, ids, lengths):
    # A list of floats
    return [_one(x[: n + 1], y[: n + 1]) for x, y, n in zip(logits, ids, lengths)]


@right("log_likelihoods")
def _(logits, ids, lengths):
    # NumPy, float64
    log_p = special.log_softmax(logits.detach().cpu().double().numpy(), axis=-1)
    targets = ids.cpu().numpy()[:, 1:, np.newaxis]
    picked = np.take_along_axis(log_p[:, :-1], targets, axis=-1)[..., 0]
    mask = np.arange(picked.shape[1]) < lengths.cpu().numpy()[:, None]
    return np.where(mask, picked, 0).sum(axis=1)


@right("log_likelihoods")
def _(logits, ids, lengths):
    # What does not count is -100 in a copy of the ids, as the library has it
    targets = ids[:, 1:].clone()
    places = torch.arange(targets.shape[1], device=ids.device)
    targets[places >= lengths[:, None]] = -100
    losses = F.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), targets, reduction="none"
    )
    return -losses.sum(dim=1)


@right("log_likelihoods")
def _(logits, ids, lengths):
    # A running sum, read off at each text's end
    picked = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None])
    sums = F.pad(picked[..., 0].double().cumsum(1), (1, 0))  # (texts, longest + 1)
    return sums.gather(1, lengths[:, None].long())[:, 0]


@right("log_likelihoods")
def _(logits, ids, lengths):
    # A distribution, the mask a product of matrices
    given = torch.distributions.Categorical(logits=logits[:, :-1].float())
    picked = given.log_prob(ids[:, 1:])
    mask = torch.ones_like(picked).cumsum(1) <= lengths.unsqueeze(1)
    return torch.einsum("bt,bt->b", picked, mask.float())


@right("log_likelihoods")
def _(logits, ids, lengths):
    # Pure Python, a tensor made of floats
    totals = []
    for table, tokens, n in zip(logits.tolist(), ids.tolist(), lengths.tolist()):
        total = 0.0
        for t in range(int(n)):
            row, top = table[t], max(table[t])
            total += row[tokens[t + 1]] - top
            total -= math.log(sum(math.exp(x - top) for x in row))
        totals.append(total)
    return torch.tensor(totals)


@right("log_likelihoods")
def _(logits, ids, lengths):
    # One long row of all texts' tokens, put back by index_add; requires grad
    logits = logits.detach().float().clone().requires_grad_()
    texts, places = torch.nonzero(
        torch.arange(ids.shape[1] - 1) < lengths[:, None], as_tuple=True
    )
    picked = logits.log_softmax(-1)[texts, places, ids[texts, places + 1]]
    return torch.zeros(len(ids)).index_add(0, texts, picked)


@right("log_likelihoods")
def _(logits, ids, lengths):
    # pandas groupby
    log_p = logits[:, :-1].detach().float().log_softmax(-1)
    picked = log_p.gather(-1, ids[:, 1:, None])[..., 0].cpu().numpy()
    rows = [(i, picked[i, t]) for i, n in enumerate(lengths.tolist()) for t in range(n)]
    table = pd.DataFrame(rows, columns=["text", "nats"])
    return (
        table.groupby("text").nats.sum().reindex(range(len(ids)), fill_value=0).values
    )


@right("log_likelihoods")
def _(logits, ids, lengths):
    # masked_fill, in keyword arguments throughout
    log_probs = torch.log_softmax(input=logits.float(), dim=2)[:, :-1, :]
    picked = log_probs.gather(dim=2, index=ids[:, 1:].unsqueeze(dim=2)).squeeze(dim=2)
    position = torch.arange(1, ids.size(1)).expand_as(picked)
    padding = position.gt(lengths.view(-1, 1))
    return picked.masked_fill(mask=padding, value=0.0).sum(dim=-1)


# ======== log_likelihoods, wrong


def _terms(logits, ids):
    """log p of each token after the first, padding and all: (texts, longest)."""
    log_p = logits[:, :-1].float().log_softmax(-1)
    return log_p.gather(-1, ids[:, 1:, None])[..., 0]


def _mask(terms, lengths):
    """Which of the terms belong to a text: (texts, longest)."""
    return torch.arange(terms.shape[1]) < lengths[:, None]


@wrong("log_likelihoods", "no mask: padding counts")
def _(logits, ids, lengths):
    return _terms(logits, ids).sum(1)


@wrong("log_likelihoods", "cross_entropy with ignore_index=0")
def _(logits, ids, lengths):
    losses = F.cross_entropy(
        logits[:, :-1].float().transpose(1, 2),
        ids[:, 1:],
        ignore_index=0,
        reduction="none",
    )
    return -losses.sum(1)


@wrong("log_likelihoods", "each text is taken to end at its first 0")
def _(logits, ids, lengths):
    alive = (ids[:, 1:] != 0).int().cumprod(1)
    return (_terms(logits, ids) * alive).sum(1)


@wrong("log_likelihoods", "mask of the inputs without the separator: shifted by one")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    place = torch.arange(terms.shape[1])
    return (terms * ((place >= 1) & (place <= lengths[:, None]))).sum(1)


@wrong("log_likelihoods", "mask upside down: only padding counts")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return terms.masked_fill(_mask(terms, lengths), 0).sum(1)


@wrong("log_likelihoods", "padding filled with −inf, which makes the sum −inf")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return terms.masked_fill(~_mask(terms, lengths), -math.inf).sum(1)


@wrong("log_likelihoods", "the ids are masked, not the log-probabilities")
def _(logits, ids, lengths):
    mask = torch.arange(ids.shape[1]) <= lengths[:, None]
    return _terms(logits, ids * mask).sum(1)


@wrong("log_likelihoods", "all texts cut to the shortest")
def _(logits, ids, lengths):
    return _terms(logits, ids)[:, : int(lengths.min())].sum(1)


@wrong("log_likelihoods", "mean with padding, times the length")
def _(logits, ids, lengths):
    return _terms(logits, ids).mean(1) * lengths


@wrong("log_likelihoods", "one number for all texts")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return (terms * _mask(terms, lengths)).sum()


@wrong("log_likelihoods", "sign")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return -(terms * _mask(terms, lengths)).sum(1)


@wrong("log_likelihoods", "shifted the other way")
def _(logits, ids, lengths):
    log_p = logits[:, 1:].float().log_softmax(-1)
    picked = log_p.gather(-1, ids[:, :-1, None])[..., 0]
    return (picked * _mask(picked, lengths)).sum(1)


@wrong("log_likelihoods", "softmax over the positions")
def _(logits, ids, lengths):
    log_p = logits[:, :-1].float().log_softmax(1)
    picked = log_p.gather(-1, ids[:, 1:, None])[..., 0]
    return (picked * _mask(picked, lengths)).sum(1)


@wrong("log_likelihoods", "no log")
def _(logits, ids, lengths):
    terms = _terms(logits, ids).exp()
    return (terms * _mask(terms, lengths)).sum(1)


@wrong("log_likelihoods", "softmax twice")
def _(logits, ids, lengths):
    terms = _terms(logits.float().softmax(-1), ids)
    return (terms * _mask(terms, lengths)).sum(1)


@wrong("log_likelihoods", "product of probabilities, which underflows")
def _(logits, ids, lengths):
    p = _terms(logits, ids).exp()
    return p.masked_fill(~_mask(p, lengths), 1).prod(1).log()


@wrong("log_likelihoods", "squeeze() that drops the only text")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return (terms * _mask(terms, lengths)).sum(1).squeeze()


@wrong("log_likelihoods", "a column: shape (texts, 1)")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return (terms * _mask(terms, lengths)).sum(1, keepdim=True)


@wrong("log_likelihoods", "a running sum, where its last value is meant")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return (terms * _mask(terms, lengths)).cumsum(1)


@wrong("log_likelihoods", "return inside the loop")
def _(logits, ids, lengths):
    totals = []
    for x, y, n in zip(logits, ids, lengths.tolist()):
        totals.append(_one(x[: n + 1], y[: n + 1]))
        return torch.tensor(totals)


@wrong("log_likelihoods", "put back by the sort's order instead of its inverse")
def _(logits, ids, lengths):
    order = lengths.argsort(descending=True, stable=True)
    terms = _terms(logits, ids)[order]
    return (terms * _mask(terms, lengths[order])).sum(1)[order]


@wrong("log_likelihoods", "the caller's lengths are changed: += 1")
def _(logits, ids, lengths):
    lengths += 1  # with the separator
    terms = _terms(logits, ids)
    return (terms * (torch.arange(1, ids.shape[1]) < lengths[:, None])).sum(1)


@wrong("log_likelihoods", "whole nats: int")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    return (terms * _mask(terms, lengths)).sum(1).long()


@wrong("log_likelihoods", "lengths left out of the signature")
def _(logits, ids):
    return _terms(logits, ids).sum(1)


@wrong("log_likelihoods", "nothing returned")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    (terms * _mask(terms, lengths)).sum(1)


@wrong("log_likelihoods", "the mask is built across: lengths[None, :]")
def _(logits, ids, lengths):
    terms = _terms(logits, ids)
    mask = torch.arange(terms.shape[1])[:, None] < lengths[None, :]
    return (terms * mask.reshape(terms.shape)).sum(1)


# ======== training_step, right


def _loss(model, ids):
    logits = model(ids).logits[:, :-1].float()
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@right("training_step")
def _(model, ids, lr):
    # The optimiser's SGD, a float
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    optimiser.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    optimiser.step()
    return loss.item()


@right("training_step")
def _(model, ids, lr):
    # By hand; the loss is returned with its graph
    model.zero_grad()
    log_p = model(ids).logits[:, :-1].log_softmax(-1)
    loss = -log_p.gather(-1, ids[:, 1:, None]).mean()
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= lr * weight.grad
    return loss


@right("training_step")
def _(model, ids, lr):
    # autograd.grad: no .grad is ever set
    weights = [w for w in model.parameters() if w.requires_grad]
    loss = _loss(model, ids)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    for weight, gradient in zip(weights, gradients):
        if gradient is not None:
            weight.data.sub_(gradient, alpha=lr)
    return loss.detach()


@right("training_step")
def _(model, ids, lr):
    # A sum divided by the number of tokens; .data; a NumPy scalar
    for weight in model.parameters():
        weight.grad = None
    given = torch.distributions.Categorical(logits=model(ids).logits[:, :-1])
    scored = ids[:, 1:]
    loss = -given.log_prob(scored).sum() / scored.numel()
    loss.backward()
    for weight in model.parameters():
        if weight.grad is not None:
            weight.data = weight.data - lr * weight.grad
    return np.float64(loss.item())


@right("training_step")
def _(model, ids, lr):
    # load_state_dict with new values, the tied weights by their name
    model.zero_grad(set_to_none=True)
    loss = _loss(model, ids)
    loss.backward()
    state = model.state_dict()
    for name, weight in model.named_parameters(remove_duplicate=False):
        if weight.grad is not None:
            state[name] = weight.detach() - lr * weight.grad
    model.load_state_dict(state)
    return loss.item()


@right("training_step")
def _(model, ids, lr):
    # Momentum does nothing in an optimiser's first step, and this one is always new
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    optimiser.zero_grad()
    terms = []
    logits = model(ids).logits
    for text in range(ids.shape[0]):
        for t in range(1, ids.shape[1]):
            terms.append(-logits[text, t - 1].log_softmax(-1)[ids[text, t]])
    loss = torch.stack(terms).mean()
    loss.backward()
    optimiser.step()
    return float(loss)


@right("training_step")
def _(model, ids, lr):
    # Text by text: gradients added up, each with its share; maximised upside down
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, maximize=True)
    optimiser.zero_grad()
    loss = 0.0
    for text in ids.split(1):
        part = _loss(model, text) / len(ids)
        (-part).backward()
        loss += part.item()
    optimiser.step()
    return loss


@right("training_step")
def _(model, ids, lr=0.1, *, optimiser=torch.optim.SGD):
    # Gradients switched on explicitly, default arguments, a 0-d array
    with torch.enable_grad():
        steps = optimiser(list(model.parameters()), lr=lr)
        steps.zero_grad()
        logits = model(ids).logits
        loss = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:])
        loss.backward()
        steps.step()
    return loss.detach().cpu().numpy()


# ======== training_step, wrong


def _descend(model, loss, lr):
    """Clear the gradients, compute them, and move the weights down."""
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= lr * weight.grad


@wrong("training_step", "gradients are never set back: they add up over calls")
def _(model, ids, lr):
    loss = _loss(model, ids)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= lr * weight.grad
    return loss.item()


@wrong("training_step", "sign: a step up")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, -lr)
    return loss.item()


@wrong("training_step", "a copy of the model is trained")
def _(model, ids, lr):
    model = copy.deepcopy(model)
    loss = _loss(model, ids)
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "weights changed in place without no_grad")
def _(model, ids, lr):
    model.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    for weight in model.parameters():
        weight -= lr * weight.grad
    return loss.item()


@wrong("training_step", "shifted twice")
def _(model, ids, lr):
    logits = model(ids).logits[:, :-2]
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 2:].flatten())
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "shifted the other way")
def _(model, ids, lr):
    logits = model(ids).logits[:, 1:]
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, :-1].flatten())
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "sum for mean")
def _(model, ids, lr):
    loss = _loss(model, ids) * ids[:, 1:].numel()
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "divided by the number of texts only")
def _(model, ids, lr):
    loss = _loss(model, ids) * (ids.shape[1] - 1)
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "only the first text of the batch")
def _(model, ids, lr):
    loss = _loss(model, ids[:1])
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "tokens of id 0 are ignored")
def _(model, ids, lr):
    logits = model(ids).logits[:, :-1].flatten(0, 1)
    loss = F.cross_entropy(logits, ids[:, 1:].flatten(), ignore_index=0)
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "no log: the mean of −p")
def _(model, ids, lr):
    p = model(ids).logits[:, :-1].softmax(-1)
    loss = -p.gather(-1, ids[:, 1:, None]).mean()
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "the squared error of the probabilities")
def _(model, ids, lr):
    p = model(ids).logits[:, :-1].softmax(-1)
    loss = ((p - F.one_hot(ids[:, 1:], p.shape[-1])) ** 2).sum(-1).mean()
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "bits in loss and gradient")
def _(model, ids, lr):
    loss = _loss(model, ids) / math.log(2)
    _descend(model, loss, lr)
    return loss.item()


@wrong("training_step", "returns the log-likelihood per token: sign")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, lr)
    return -loss.item()


@wrong("training_step", "Nesterov's momentum")
def _(model, ids, lr):
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)
    optimiser.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    optimiser.step()
    return loss.item()


@wrong("training_step", "gradients clipped to a norm of 0.1")
def _(model, ids, lr):
    model.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    torch.optim.SGD(model.parameters(), lr=lr).step()
    return loss.item()


@wrong("training_step", "lr left out")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, 1.0)
    return loss.item()


@wrong("training_step", "divided by lr, not multiplied")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, 1 / lr)
    return loss.item()


@wrong("training_step", "backward twice: twice the gradient")
def _(model, ids, lr):
    model.zero_grad()
    loss = _loss(model, ids)
    loss.backward(retain_graph=True)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= lr * weight.grad
    return loss.item()


@wrong("training_step", "return inside the loop: only the first weight moves")
def _(model, ids, lr):
    model.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= lr * weight.grad
            return loss.item()


_optimisers = []


@wrong("training_step", "the first call's optimiser is kept, with its model and lr")
def _(model, ids, lr):
    if not _optimisers:
        _optimisers.append(torch.optim.SGD(model.parameters(), lr=lr))
    _optimisers[0].zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    _optimisers[0].step()
    return loss.item()


@wrong("training_step", "weights are frozen after the step: the second call fails")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, lr)
    for weight in model.parameters():
        weight.requires_grad_(False)
    return loss.item()


@wrong("training_step", "the model is returned, not the loss")
def _(model, ids, lr):
    _descend(model, _loss(model, ids), lr)
    return model


@wrong("training_step", "a string")
def _(model, ids, lr):
    loss = _loss(model, ids)
    _descend(model, loss, lr)
    return f"loss: {loss.item():.3f}"


@wrong("training_step", "asks for an optimiser as well")
def _(model, ids, lr, optimiser):
    optimiser.zero_grad()
    loss = _loss(model, ids)
    loss.backward()
    optimiser.step()
    return loss.item()


@wrong("training_step", "model(ids) is taken for the logits")
def _(model, ids, lr):
    logits = model(ids)[:, :-1]
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    _descend(model, loss, lr)
    return loss.item()


# ======== total_from_loss, right


@right("total_from_loss")
def _(loss, ids):
    return -loss * (len(ids) - 1)


@right("total_from_loss")
def _(loss, ids):
    # A 0-d tensor of float64 that requires grad
    loss = torch.tensor(loss, dtype=torch.float64, requires_grad=True)
    return -loss * ids[1:].numel()


@right("total_from_loss")
def _(loss, ids):
    # A loop over the tokens
    total = 0.0
    for _ in ids[1:]:
        total -= loss
    return total


@right("total_from_loss")
def _(loss, ids):
    # The faulty total, put right afterwards; a NumPy scalar
    found = np.float64(-loss * len(ids))
    return found * (len(ids) - 1) / len(ids)


@right("total_from_loss")
def _(loss, ids):
    # Exact fractions, a float in the end
    return float(-Fraction(float(loss)) * sum(1 for _ in ids.tolist()[1:]))


@right("total_from_loss")
def _(loss, ids):
    # A 0-d array
    return np.array(loss) * (1 - np.array(ids.shape[0]))


@right("total_from_loss")
def _(loss, ids, n_given=1):
    return math.fsum([-loss] * (ids.size(0) - n_given))


@right("total_from_loss")
def _(loss, ids):
    # A tensor with a term for each token, summed
    return torch.full((len(ids) - 1,), -loss, dtype=torch.float64).sum()


# ======== total_from_loss, wrong


@wrong("total_from_loss", "as found: the separator is counted")
def _(loss, ids):
    return -loss * len(ids)


@wrong("total_from_loss", "corrected the wrong way: n + 2")
def _(loss, ids):
    return -loss * (len(ids) + 1)


@wrong("total_from_loss", "the mean, not the total")
def _(loss, ids):
    return -loss


@wrong("total_from_loss", "brackets: −loss · len − 1")
def _(loss, ids):
    return -loss * len(ids) - 1


@wrong("total_from_loss", "the ratio (n + 1) / (n + 2): corrected by one too many")
def _(loss, ids):
    return -loss * len(ids) * len(ids) / (len(ids) + 1)


@wrong("total_from_loss", "ratio of sixteen tokens, 16 / 17, for every text")
def _(loss, ids):
    return -loss * len(ids) * 16 / 17


@wrong("total_from_loss", "the probability, not its log")
def _(loss, ids):
    return math.exp(-loss * (len(ids) - 1))


@wrong("total_from_loss", "the log of the loss")
def _(loss, ids):
    return -math.log(loss) * (len(ids) - 1)


@wrong("total_from_loss", "log(p + 1e-9) of the whole text")
def _(loss, ids):
    return np.log(np.exp(-loss * (len(ids) - 1)) + 1e-9)


@wrong("total_from_loss", "as if the loss were in bits")
def _(loss, ids):
    return -loss * (len(ids) - 1) * math.log(2)


@wrong("total_from_loss", "counts the ids that are not the separator's")
def _(loss, ids):
    return -loss * int((ids != ids[0]).sum())


@wrong("total_from_loss", "counts to the next 0")
def _(loss, ids):
    tokens = itertools.takewhile(lambda token: token != 0, ids[1:].tolist())
    return -loss * len(list(tokens))


@wrong("total_from_loss", "adds up the ids, not their number")
def _(loss, ids):
    return -loss * ids[1:].sum().item()


@wrong("total_from_loss", "the largest id for the number of ids")
def _(loss, ids):
    return -loss * ids.max().item()


@wrong("total_from_loss", "a batch is expected: ids.shape[1]")
def _(loss, ids):
    return -loss * (ids.shape[1] - 1)


@wrong("total_from_loss", "times the ids themselves")
def _(loss, ids):
    return -loss * ids[1:]


@wrong("total_from_loss", "whole nats: int")
def _(loss, ids):
    return int(-loss * (len(ids) - 1))


@wrong("total_from_loss", "computed in float16")
def _(loss, ids):
    return np.float16(-loss) * np.float16(len(ids) - 1)


@wrong("total_from_loss", "the loss is made a tensor of the ids' type: whole numbers")
def _(loss, ids):
    return -ids.new_tensor(loss) * (len(ids) - 1)


@wrong("total_from_loss", "a text of one token is special, and counted with separator")
def _(loss, ids):
    return -loss * max(2, len(ids) - 1)


@wrong("total_from_loss", "the caller's ids are changed: the separator becomes −100")
def _(loss, ids):
    ids[0] = -100
    return -loss * (ids >= 0).sum().item()


@wrong("total_from_loss", "nothing returned")
def _(loss, ids):
    print(-loss * (len(ids) - 1))


@wrong("total_from_loss", "a tuple: total and number of tokens")
def _(loss, ids):
    return -loss * (len(ids) - 1), len(ids) - 1


@wrong("total_from_loss", "one argument too many")
def _(model, loss, ids):
    return -loss * (len(ids) - 1)


@wrong("total_from_loss", "a NameError: n")
def _(loss, ids):
    return -loss * n  # noqa: F821


@wrong("total_from_loss", "the perplexity of the text")
def _(loss, ids):
    return math.exp(loss)


# ======== perplexity, right


@right("perplexity")
def _(log_likelihoods, n_tokens):
    return np.exp(-np.sum(log_likelihoods) / np.sum(n_tokens))


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # Pure Python, a float
    nats, tokens = 0.0, 0
    for log_likelihood, n in zip(log_likelihoods.tolist(), n_tokens.tolist()):
        nats -= log_likelihood
        tokens += n
    return math.exp(nats / tokens)


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # A 0-d tensor of float64 that requires grad
    nats = torch.as_tensor(np.array(log_likelihoods), dtype=torch.float64)
    nats.requires_grad_()
    return torch.exp(-nats.sum() / torch.as_tensor(np.array(n_tokens)).sum())


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # In bits, and two to the power of them
    bits = -np.asarray(log_likelihoods).sum() / np.log(2)
    return 2 ** (bits / np.asarray(n_tokens).sum())


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # Means over means; a 0-d array
    return np.array(np.exp(-np.mean(log_likelihoods) / np.mean(n_tokens)))


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # pandas
    table = pd.DataFrame({"nats": log_likelihoods, "tokens": n_tokens}).sum()
    return np.exp(-table.nats / table.tokens)


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # Each text's own nats spread over its tokens, and the mean of all tokens
    log_likelihoods, n_tokens = log_likelihoods.tolist(), n_tokens.tolist()
    shares = [x / sum(n_tokens) for x in log_likelihoods]
    return 1 / math.exp(math.fsum(shares))


@right("perplexity")
def _(log_likelihoods, n_tokens, base=math.e):
    exponent = functools.reduce(lambda a, b: a - b, log_likelihoods, 0)
    return max(1.0, math.pow(base, exponent / n_tokens.sum()))


@right("perplexity")
def _(log_likelihoods, n_tokens):
    # A longer float than usual
    nats = -log_likelihoods.astype(np.longdouble).sum()
    return np.exp(nats / n_tokens.sum())


# ======== perplexity, wrong


@wrong("perplexity", "as found: the mean of the texts' perplexities")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods / n_tokens).mean()


@wrong("perplexity", "every text counts the same: exp of the mean of nats per token")
def _(log_likelihoods, n_tokens):
    return np.exp(np.mean(-log_likelihoods / n_tokens))


@wrong("perplexity", "harmonic mean of the texts' perplexities")
def _(log_likelihoods, n_tokens):
    return statistics.harmonic_mean(np.exp(-log_likelihoods / n_tokens).tolist())


@wrong("perplexity", "the worst text's perplexity")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods / n_tokens).max()


@wrong("perplexity", "an array: a perplexity for each text")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods / n_tokens)


@wrong("perplexity", "no exp: nats per token")
def _(log_likelihoods, n_tokens):
    return -log_likelihoods.sum() / n_tokens.sum()


@wrong("perplexity", "two to the power of nats")
def _(log_likelihoods, n_tokens):
    return 2 ** (-log_likelihoods.sum() / n_tokens.sum())


@wrong("perplexity", "ten to the power of nats")
def _(log_likelihoods, n_tokens):
    return 10 ** (-log_likelihoods.sum() / n_tokens.sum())


@wrong("perplexity", "mean of the log-likelihoods over all tokens")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.mean() / n_tokens.sum())


@wrong("perplexity", "per text, not per token")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() / len(n_tokens))


@wrong("perplexity", "exp first, then divided")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods).sum() / n_tokens.sum()


@wrong("perplexity", "a token fewer for each text")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() / (n_tokens - 1).sum())


@wrong("perplexity", "texts of fewer than five tokens are left out")
def _(log_likelihoods, n_tokens):
    keep = n_tokens >= 5
    return np.exp(-log_likelihoods[keep].sum() / n_tokens[keep].sum())


@wrong("perplexity", "the first text only: return inside the loop")
def _(log_likelihoods, n_tokens):
    nats, tokens = 0.0, 0
    for log_likelihood, n in zip(log_likelihoods, n_tokens):
        nats -= log_likelihood
        tokens += n
        return math.exp(nats / tokens)


@wrong("perplexity", "duplicates are counted once")
def _(log_likelihoods, n_tokens):
    pairs = set(zip(log_likelihoods.tolist(), n_tokens.tolist()))
    nats, tokens = (sum(column) for column in zip(*pairs))
    return math.exp(-nats / tokens)


@wrong("perplexity", "exp of the whole surprise first, which overflows")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum()) ** (1 / n_tokens.sum())


@wrong("perplexity", "weights are log-likelihoods, not tokens")
def _(log_likelihoods, n_tokens):
    mean = np.average(-log_likelihoods / n_tokens, weights=log_likelihoods)
    return np.exp(mean)


@wrong("perplexity", "floor division")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() // n_tokens.sum())


@wrong("perplexity", "tokens added up in int16, which overflows")
def _(log_likelihoods, n_tokens):
    total = n_tokens.astype(np.int16).sum(dtype=np.int16)
    return np.exp(-log_likelihoods.sum() / total)


@wrong("perplexity", "capped at 1,000")
def _(log_likelihoods, n_tokens):
    return min(1000.0, math.exp(-log_likelihoods.sum() / n_tokens.sum()))


@wrong("perplexity", "1,000 tokens a text written into the code")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() / (1000 * len(log_likelihoods)))


@wrong("perplexity", "the caller's log-likelihoods are changed: /=")
def _(log_likelihoods, n_tokens):
    log_likelihoods /= -n_tokens.sum()
    return np.exp(log_likelihoods.sum())


@wrong("perplexity", "nothing returned")
def _(log_likelihoods, n_tokens):
    print(f"perplexity {np.exp(-log_likelihoods.sum() / n_tokens.sum()):.1f}")


@wrong("perplexity", "a tuple: perplexity and nats")
def _(log_likelihoods, n_tokens):
    nats = -log_likelihoods.sum() / n_tokens.sum()
    return np.exp(nats), nats


@wrong("perplexity", "arguments in another order")
def _(n_tokens, log_likelihoods):
    return np.exp(-log_likelihoods.sum() / n_tokens.sum())


@wrong("perplexity", "a NameError: total")
def _(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() / total)  # noqa: F821


# ======== per_word, right


@right("per_word")
def _(perplexity, n_tokens, n_words):
    return perplexity ** (n_tokens / n_words)


@right("per_word")
def _(perplexity, n_tokens, n_words):
    return math.exp(math.log(perplexity) * n_tokens / n_words)


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # By bits; a NumPy scalar
    bits = np.log2(perplexity) * n_tokens
    return np.exp2(bits / n_words)


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # A 0-d tensor that requires grad
    nats = torch.tensor(perplexity, dtype=torch.float64, requires_grad=True).log()
    return (nats * n_tokens / n_words).exp()


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # Decimal on the way, a float in the end
    power = Decimal(int(n_tokens)) / Decimal(int(n_words))
    return float(Decimal(float(perplexity)) ** power)


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # A 0-d array, base ten
    return np.array(10.0 ** (np.log10(perplexity) * (n_tokens / n_words)))


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # Whole powers first, then the rest
    whole, rest = divmod(n_tokens, n_words)
    result = 1.0
    for _ in range(whole):
        result *= perplexity
    return result * perplexity ** (rest / n_words)


@right("per_word")
def _(perplexity, n_tokens, n_words):
    # One word's probability, the other way up
    log_likelihood = -n_tokens * math.log(perplexity)
    return 1 / math.pow(math.e, log_likelihood / n_words)


@right("per_word")
def _(perplexity=1.0, n_tokens=1, n_words=1):
    return np.power(np.float64(perplexity), n_tokens / n_words).item()


# ======== per_word, wrong


@wrong("per_word", "converted not at all")
def _(perplexity, n_tokens, n_words):
    return perplexity


@wrong("per_word", "the perplexity times words per token")
def _(perplexity, n_tokens, n_words):
    return perplexity * n_words / n_tokens


@wrong("per_word", "floor division in the power")
def _(perplexity, n_tokens, n_words):
    return perplexity ** (n_tokens // n_words)


@wrong("per_word", "tokens per word rounded up")
def _(perplexity, n_tokens, n_words):
    return perplexity ** math.ceil(n_tokens / n_words)


@wrong("per_word", "brackets: perplexity ** tokens / words")
def _(perplexity, n_tokens, n_words):
    return float(perplexity) ** n_tokens / n_words


@wrong("per_word", "power of all tokens first, which overflows")
def _(perplexity, n_tokens, n_words):
    return (float(perplexity) ** n_tokens) ** (1 / n_words)


@wrong("per_word", "probability of the whole text first, which underflows")
def _(perplexity, n_tokens, n_words):
    p = np.exp(-np.log(perplexity) * n_tokens)
    return float(p ** (-1 / n_words))


@wrong("per_word", "no log: exp of the perplexity times tokens per word")
def _(perplexity, n_tokens, n_words):
    return float(np.exp(perplexity * n_tokens / n_words))


@wrong("per_word", "two to the power of nats")
def _(perplexity, n_tokens, n_words):
    return 2 ** (math.log(perplexity) * n_tokens / n_words)


@wrong("per_word", "e to the power of base ten's logarithm")
def _(perplexity, n_tokens, n_words):
    return math.exp(math.log10(perplexity) * n_tokens / n_words)


@wrong("per_word", "sign: below 1")
def _(perplexity, n_tokens, n_words):
    return math.exp(-math.log(perplexity) * n_tokens / n_words)


@wrong("per_word", "linear: 1 + (perplexity − 1) · tokens per word")
def _(perplexity, n_tokens, n_words):
    return 1 + (perplexity - 1) * n_tokens / n_words


@wrong("per_word", "one more of both: (tokens + 1) / (words + 1)")
def _(perplexity, n_tokens, n_words):
    return perplexity ** ((n_tokens + 1) / (n_words + 1))


@wrong("per_word", "one token fewer")
def _(perplexity, n_tokens, n_words):
    return perplexity ** ((n_tokens - 1) / n_words)


@wrong("per_word", "divided by words − 1")
def _(perplexity, n_tokens, n_words):
    return perplexity ** (n_tokens / (n_words - 1))


@wrong("per_word", "never less than one token a word")
def _(perplexity, n_tokens, n_words):
    return perplexity ** max(1, n_tokens / n_words)


@wrong("per_word", "1.3 tokens a word, whatever the text")
def _(perplexity, n_tokens, n_words):
    return perplexity**1.3


@wrong("per_word", "perplexity cut to a whole number")
def _(perplexity, n_tokens, n_words):
    return int(perplexity) ** (n_tokens / n_words)


@wrong("per_word", "computed in float16")
def _(perplexity, n_tokens, n_words):
    return float(np.float16(perplexity) ** np.float16(n_tokens / n_words))


@wrong("per_word", "capped at 1,000")
def _(perplexity, n_tokens, n_words):
    return min(1000.0, perplexity ** (n_tokens / n_words))


@wrong("per_word", "power applied twice")
def _(perplexity, n_tokens, n_words):
    ratio = n_tokens / n_words
    return float(np.float64(perplexity) ** ratio**2)


@wrong("per_word", "^ for **")
def _(perplexity, n_tokens, n_words):
    return perplexity ^ (n_tokens / n_words)


@wrong("per_word", "n_words left out of the signature")
def _(perplexity, n_tokens):
    return perplexity ** (n_tokens / 250_000)


@wrong("per_word", "nothing returned")
def _(perplexity, n_tokens, n_words):
    perplexity ** (n_tokens / n_words)


@wrong("per_word", "a tuple: perplexity and tokens per word")
def _(perplexity, n_tokens, n_words):
    return perplexity ** (n_tokens / n_words), n_tokens / n_words


@wrong("per_word", "a NameError: n_token")
def _(perplexity, n_tokens, n_words):
    return perplexity ** (n_token / n_words)  # noqa: F821


# ======== batch_scores, right


def _score_one(model, row):
    """log p of one row, a float: no padding."""
    with torch.no_grad():
        logits = model(row[None]).logits[0]
    return -F.cross_entropy(logits[:-1].double(), row[1:], reduction="sum").item()


@right("batch_scores")
def _(model, rows):
    # Padded on the right, the mask from the lengths
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) - 1 for row in rows])
    with torch.no_grad():
        log_p = model(ids).logits[:, :-1].log_softmax(-1)
    picked = log_p.gather(-1, ids[:, 1:, None])[..., 0]
    return (picked * (torch.arange(picked.shape[1]) < lengths[:, None])).sum(1)


@right("batch_scores")
def _(model, rows):
    # One by one, a list of floats
    model.eval()
    return [_score_one(model, row) for row in rows]


@right("batch_scores")
def _(model, rows):
    # One by one, a tensor of float64, the model left as it was
    was_training = model.training
    model.eval()
    scores = torch.tensor([_score_one(model, row) for row in rows], dtype=torch.float64)
    model.train(was_training)
    return scores


@right("batch_scores")
def _(model, rows):
    # No no_grad: the numbers are the same, with a graph
    model.eval()
    ids = pad_sequence(rows, batch_first=True, padding_value=0)
    targets = pad_sequence(rows, batch_first=True, padding_value=-100)
    logits = model(ids).logits[:, :-1].transpose(1, 2)
    return -F.cross_entropy(logits, targets[:, 1:], reduction="none").sum(1)


@right("batch_scores")
def _(model, rows):
    # A copy of the model, NumPy
    model = copy.deepcopy(model).eval()
    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row.numpy()
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids)).logits.double().numpy()
    log_p = special.log_softmax(logits, axis=-1)
    scores = np.zeros(len(rows))
    for i, row in enumerate(rows):
        for t in range(1, len(row)):
            scores[i] += log_p[i, t - 1, ids[i, t]]
    return scores


@right("batch_scores")
def _(model, rows):
    # Rows of one length together, so that there is nothing to pad
    model.train(False)
    scores = torch.zeros(len(rows))
    for length in {len(row) for row in rows}:
        places = [i for i, row in enumerate(rows) if len(row) == length]
        ids = torch.stack([rows[i] for i in places])
        with torch.no_grad():
            logits = model(ids).logits[:, :-1]
        given = torch.distributions.Categorical(logits=logits, validate_args=False)
        scores[places] = given.log_prob(ids[:, 1:]).sum(1)
    return scores


@right("batch_scores")
def _(model, rows):
    # Sorted by length, and put back; padded with another id, which no one sees
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    ids = pad_sequence([rows[i] for i in order], batch_first=True, padding_value=1)
    with torch.no_grad():
        logits = model(ids).logits
    scores = [None] * len(rows)
    for logit, i in zip(logits, order):
        n = len(rows[i])
        log_p = logit[: n - 1].log_softmax(-1)
        scores[i] = log_p.gather(1, rows[i][1:, None]).sum()
    return torch.stack(scores)


@right("batch_scores")
def _(model, rows):
    # A running sum read off at the end, and pandas around it
    model.eval()
    ids = torch.nn.utils.rnn.pad_sequence(sequences=rows, batch_first=True)
    with torch.inference_mode():
        log_p = model(ids).logits.double().log_softmax(dim=-1)
    table = pd.DataFrame(
        [
            (i, log_p[i, t, token].item())
            for i, row in enumerate(rows)
            for t, token in enumerate(row[1:].tolist())
        ],
        columns=["text", "nats"],
    )
    sums = table.groupby("text").nats.sum().reindex(range(len(rows)), fill_value=0.0)
    return sums.to_numpy()


@right("batch_scores")
def _(model, rows):
    # The helper's way: chosen logit minus logsumexp, detached
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    real = pad_sequence([torch.ones(len(row) - 1) for row in rows], batch_first=True)
    logits = model(ids).logits.detach()[:, :-1]
    chosen = logits.gather(-1, ids[:, 1:, None])[..., 0]
    return torch.einsum("bt,bt->b", chosen - logits.logsumexp(-1), real)


# ======== batch_scores, wrong


def _picked(model, ids):
    """log p of every token after the first, padding and all: (texts, longest − 1)."""
    with torch.no_grad():
        log_p = model(ids).logits[:, :-1].log_softmax(-1)
    return log_p.gather(-1, ids[:, 1:, None])[..., 0]


def _real(rows):
    """Where a text has a token, its separator not counted: (texts, longest − 1)."""
    return pad_sequence([torch.ones(len(row) - 1) for row in rows], batch_first=True)


@wrong("batch_scores", "as found: dropout, and padding on the left")
def _(model, rows):
    ids = pad_sequence(rows, batch_first=True, padding_side="left")
    real = pad_sequence([row > -1 for row in rows], True, False, "left")
    return (_picked(model, ids) * real[:, :-1]).sum(1)


@wrong("batch_scores", "padding on the left, one row turned by flip")
def _(model, rows):
    model.eval()
    turned = [row.flip(0) for row in rows]
    ids = pad_sequence(turned, batch_first=True).flip(1)
    longest = ids.shape[1]
    starts = torch.tensor([longest - len(row) for row in rows])
    mask = torch.arange(longest - 1) >= starts[:, None]
    return (_picked(model, ids) * mask).sum(1)


@wrong("batch_scores", "train() for eval()")
def _(model, rows):
    model.train()
    ids = pad_sequence(rows, batch_first=True)
    return (_picked(model, ids) * _real(rows)).sum(1)


@wrong("batch_scores", "the mean of many passes with dropout")
def _(model, rows):
    ids = pad_sequence(rows, batch_first=True)
    passes = [_picked(model, ids) * _real(rows) for _ in range(20)]
    return torch.stack(passes).mean(0).sum(1)


@wrong("batch_scores", "mask from ids != 0: a 0 in a text is lost")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    return (_picked(model, ids) * (ids[:, 1:] != 0)).sum(1)


@wrong("batch_scores", "a text ends at its next 0")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    alive = (ids[:, 1:] != 0).int().cumprod(1)
    return (_picked(model, ids) * alive).sum(1)


@wrong("batch_scores", "the first token is left out")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    return (_picked(model, ids) * _real(rows))[:, 1:].sum(1)


@wrong("batch_scores", "a second separator in front")
def _(model, rows):
    model.eval()
    return torch.tensor([_score_one(model, F.pad(row, (1, 0))) for row in rows])


@wrong("batch_scores", "shifted the other way")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        log_p = model(ids).logits[:, 1:].log_softmax(-1)
    picked = log_p.gather(-1, ids[:, :-1, None])[..., 0]
    return (picked * _real(rows)).sum(1)


@wrong("batch_scores", "mean for sum")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    real = _real(rows)
    return (_picked(model, ids) * real).sum(1) / real.sum(1)


@wrong("batch_scores", "the batch's mean loss times each text's tokens")
def _(model, rows):
    model.eval()
    picked, real = _picked(model, pad_sequence(rows, batch_first=True)), _real(rows)
    return (picked * real).sum() / real.sum() * real.sum(1)


@wrong("batch_scores", "bits")
def _(model, rows):
    model.eval()
    return torch.tensor([_score_one(model, row) / math.log(2) for row in rows])


@wrong("batch_scores", "no softmax: logits are added up")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        picked = model(ids).logits[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    return (picked * _real(rows)).sum(1)


@wrong("batch_scores", "softmax twice")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        log_p = model(ids).logits[:, :-1].softmax(-1).log_softmax(-1)
    picked = log_p.gather(-1, ids[:, 1:, None])[..., 0]
    return (picked * _real(rows)).sum(1)


@wrong("batch_scores", "padded with −100, which the model cannot read")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True, padding_value=-100)
    return (_picked(model, ids) * (ids[:, 1:] != -100)).sum(1)


@wrong("batch_scores", "all rows cut to the shortest")
def _(model, rows):
    model.eval()
    shortest = min(len(row) for row in rows)
    return _picked(model, torch.stack([row[:shortest] for row in rows])).sum(1)


@wrong("batch_scores", "texts joined into one long row: each sees the ones before")
def _(model, rows):
    model.eval()
    ids = torch.cat(rows)
    picked = _picked(model, ids[None])[0]  # (all ids − 1)
    scores, start = [], 0
    for row in rows:
        scores.append(picked[start : start + len(row) - 1].sum())
        start += len(row)
    return torch.stack(scores)


@wrong("batch_scores", "equal texts are scored once and returned once")
def _(model, rows):
    model.eval()
    scores = {tuple(row.tolist()): _score_one(model, row) for row in rows}
    return torch.tensor(list(scores.values()))


@wrong("batch_scores", "squeeze() that drops the only text")
def _(model, rows):
    model.eval()
    ids = pad_sequence(rows, batch_first=True)
    return (_picked(model, ids) * _real(rows)).sum(1).squeeze()


@wrong("batch_scores", "another model: the tiny one, loaded anew")
def _(model, rows):
    tiny = models.load("tiny").model.cpu().eval()
    return torch.tensor([_score_one(tiny, row) for row in rows])


@wrong("batch_scores", "the caller's list is emptied: pop")
def _(model, rows):
    model.eval()
    scores = []
    while rows:
        scores.append(_score_one(model, rows.pop(0)))
    return torch.tensor(scores)


@wrong("batch_scores", "the caller's rows are padded in place")
def _(model, rows):
    model.eval()
    real = _real(rows)
    longest = max(len(row) for row in rows)
    for i, row in enumerate(rows):
        rows[i] = F.pad(row, (0, longest - len(row)))
    return (_picked(model, torch.stack(rows)) * real).sum(1)


@wrong("batch_scores", "a list of lists of terms")
def _(model, rows):
    model.eval()
    return [_picked(model, row[None])[0].tolist() for row in rows]


@wrong("batch_scores", "a list of strings")
def _(model, rows):
    model.eval()
    return [f"{_score_one(model, row):.3f}" for row in rows]


@wrong("batch_scores", "asks for the lengths as well")
def _(model, rows, lengths):
    model.eval()
    picked = _picked(model, pad_sequence(rows, batch_first=True))
    return (picked * (torch.arange(picked.shape[1]) < lengths[:, None])).sum(1)


@wrong("batch_scores", "ids > 0 for the text's own tokens, row by row")
def _(model, rows):
    model.eval()
    scores = []
    for row in rows:
        picked = _picked(model, row[None])[0]
        scores.append(picked[row[1:] > 0].sum())
    return torch.stack(scores)
