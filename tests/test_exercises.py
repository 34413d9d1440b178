"""Exercises: their checks, their blanks and their solutions.

Right answers pass in any style, each usual mistake gets its own hint, and the blanks
are the solutions cleared.
"""

import ast
import importlib
import inspect
import math
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
import types
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from answers import decisions, language, memory  # noqa: F401
from answers.collected import STRANGERS, Answers
from sklearn.metrics import roc_auc_score
from torch.nn.utils.rnn import pad_sequence

from helpers import checks
from helpers.checks import causes, trial
from helpers.checks.task import Task

EXERCISES = Path(__file__).resolve().parents[1] / "notebooks" / "exercises"
SOLVED = sorted((EXERCISES / "solutions").glob("*.ipynb"))
OURS = Answers()
right, wrong = OURS.right, OURS.wrong


# ---- log_likelihood


@right("log_likelihood")
def ll_with_gather(logits, ids):
    return logits[:-1].float().log_softmax(-1).gather(-1, ids[1:, None]).sum()


@right("log_likelihood")
def ll_in_a_loop(logits, ids):
    total = 0.0
    for t in range(len(ids) - 1):
        row = logits[t].double()
        total += (row[ids[t + 1]] - torch.logsumexp(row, 0)).item()
    return total


@right("log_likelihood")
def ll_as_cross_entropy(logits, ids):
    return -F.cross_entropy(logits[:-1].float(), ids[1:], reduction="sum").item()


@right("log_likelihood")
def ll_in_numpy(logits, ids):
    x = logits.float().numpy().astype(np.float64)
    x = x - x.max(axis=1, keepdims=True)
    x = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return x[np.arange(len(ids) - 1), ids[1:].numpy()].sum()


@wrong("log_likelihood", "no shift by one")
def ll_1(logits, ids):
    log_probs = logits.float().log_softmax(-1)
    return log_probs[torch.arange(len(ids)), ids].sum()


@wrong("log_likelihood", "no shift by one")
def ll_2(logits, ids):
    log_probs = logits.float().log_softmax(-1)
    return sum(log_probs[t, ids[t]] for t in range(1, len(ids)))


@wrong("log_likelihood", "shifted the wrong way")
def ll_3(logits, ids):
    return logits[1:].float().log_softmax(-1)[range(len(ids) - 1), ids[:-1]].sum()


@wrong("log_likelihood", "the first token is left out")
def ll_4(logits, ids):
    log_probs = logits.float().log_softmax(-1)
    return sum(log_probs[t - 1, ids[t]].item() for t in range(2, len(ids)))


@wrong("log_likelihood", "the last token is left out")
def ll_5(logits, ids):
    log_probs = logits.float().log_softmax(-1)
    return sum(log_probs[t, ids[t + 1]].item() for t in range(len(ids) - 2))


@wrong("log_likelihood", "mean instead of sum")
def ll_6(logits, ids):
    return -F.cross_entropy(logits[:-1].float(), ids[1:])


@wrong("log_likelihood", "the sign is turned")
def ll_7(logits, ids):
    return F.cross_entropy(logits[:-1].float(), ids[1:], reduction="sum")


@wrong("log_likelihood", "no softmax")
def ll_8(logits, ids):
    return sum(logits[t, ids[t + 1]].item() for t in range(len(ids) - 1))


@wrong("log_likelihood", "softmax over the wrong axis")
def ll_9(logits, ids):
    return torch.log_softmax(logits.float(), dim=0)[:-1].gather(1, ids[1:, None]).sum()


@wrong("log_likelihood", "a probability, not its log")
def ll_10(logits, ids):
    p = 1.0
    for row, wanted in zip(logits[:-1].float().softmax(-1), ids[1:]):
        p *= row[wanted].item()
    return p


@wrong("log_likelihood", "bits instead of nats")
def ll_11(logits, ids):
    return torch.log2(torch.softmax(logits[:-1].double(), -1))[
        range(len(ids) - 1), ids[1:]
    ].sum()


@wrong("log_likelihood", "NaN or ∞")
def ll_12(logits, ids):
    return logits[:-1].float().softmax(-1).log().gather(-1, ids[1:, None]).sum()


@wrong("log_likelihood", "399 tokens in bfloat16")
def ll_13(logits, ids):
    return logits[:-1].log_softmax(-1).gather(-1, ids[1:, None]).sum()


@wrong("log_likelihood", "399 tokens in bfloat16")
def ll_14(logits, ids):
    log_probs = logits.log_softmax(-1)
    return sum(log_probs[t, ids[t + 1]].item() for t in range(len(ids) - 1))


# ---- log_likelihoods


@right("log_likelihoods")
def lls_with_a_mask(logits, ids, lengths):
    picked = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    real = torch.arange(picked.shape[1]) < lengths[:, None]
    return (picked * real).sum(1)


@right("log_likelihoods")
def lls_text_by_text(logits, ids, lengths):
    return [
        ll_with_gather(row[: n + 1], i[: n + 1]).item()
        for row, i, n in zip(logits, ids, lengths)
    ]


@right("log_likelihoods")
def lls_ignoring_targets(logits, ids, lengths):
    targets = ids[:, 1:].clone()
    for i, n in enumerate(lengths.tolist()):
        targets[i, n:] = -100
    losses = F.cross_entropy(logits[:, :-1].permute(0, 2, 1), targets, reduction="none")
    return -losses.sum(dim=1)


@wrong("log_likelihoods", "padding is counted")
def lls_1(logits, ids, lengths):
    return -F.cross_entropy(
        logits[:, :-1].permute(0, 2, 1), ids[:, 1:], reduction="none"
    ).sum(1)


@wrong("log_likelihoods", "texts that hold the padding's id themselves")
def lls_2(logits, ids, lengths):
    return -F.cross_entropy(
        logits[:, :-1].permute(0, 2, 1), ids[:, 1:], reduction="none", ignore_index=0
    ).sum(1)


@wrong("log_likelihoods", "the last token is left out")
def lls_3(logits, ids, lengths):
    return [ll_with_gather(row[:n], i[:n]) for row, i, n in zip(logits, ids, lengths)]


@wrong("log_likelihoods", "one token of padding is counted")
def lls_4(logits, ids, lengths):
    picked = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return (picked * (torch.arange(picked.shape[1]) <= lengths[:, None])).sum(1)


@wrong("log_likelihoods", "mean instead of sum")
def lls_5(logits, ids, lengths):
    return lls_with_a_mask(logits, ids, lengths) / lengths


@wrong("log_likelihoods", "one number for all")
def lls_6(logits, ids, lengths):
    return sum(lls_text_by_text(logits, ids, lengths))


@wrong("log_likelihoods", "no shift by one")
def lls_7(logits, ids, lengths):
    picked = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    return (picked * (torch.arange(ids.shape[1]) <= lengths[:, None])).sum(1)


@wrong("log_likelihoods", "the sign is turned")
def lls_8(logits, ids, lengths):
    return -lls_with_a_mask(logits, ids, lengths)


# ---- training_step


def mean_surprise(model, ids):
    return (
        -model(ids).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).mean()
    )


@right("training_step")
def step_by_hand(model, ids, lr):
    model.zero_grad()
    loss = mean_surprise(model, ids)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= lr * weight.grad
    return loss.item()


@right("training_step")
def step_with_an_optimiser(model, ids, lr):
    optimiser = torch.optim.SGD(model.parameters(), lr)
    loss = model(ids, labels=ids).loss
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


@right("training_step")
def step_on_data(model, ids, lr):
    logits = model(ids).logits
    loss = F.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1)
    )
    loss.backward()
    for weight in model.parameters():
        weight.data = weight.data - lr * weight.grad
        weight.grad = None
    return loss


def stepping(loss_of=mean_surprise, scale=1.0, clear=True, after=False):
    def step(model, ids, lr):
        if clear:
            model.zero_grad()
        loss = loss_of(model, ids)
        loss.backward()
        for weight in model.parameters():
            weight.data -= scale * lr * weight.grad
        return loss_of(model, ids).item() if after else loss.item()

    return step


wrong("training_step", "sum instead of mean")(
    stepping(lambda m, i: mean_surprise(m, i) * i[:, 1:].numel())
)
wrong("training_step", "uphill instead of downhill")(stepping(scale=-1.0))
wrong("training_step", "gradients pile up")(stepping(clear=False))
wrong("training_step", "the loss after the step")(stepping(after=True))
wrong("training_step", "no shift by one")(
    stepping(lambda m, i: F.cross_entropy(m(i).logits.flatten(0, 1), i.flatten()))
)
wrong("training_step", "one text alone")(stepping(lambda m, i: mean_surprise(m, i[:1])))


@wrong("training_step", "the weights do not move")
def step_1(model, ids, lr):
    model.zero_grad()
    loss = mean_surprise(model, ids)
    loss.backward()
    for weight in model.parameters():
        weight = weight - lr * weight.grad
    return loss


@wrong("training_step", "the weights do not move")
def step_2(model, ids, lr):
    optimiser = torch.optim.SGD(model.parameters(), lr)
    loss = mean_surprise(model, ids)
    loss.backward()
    optimiser.zero_grad()
    optimiser.step()
    return loss


@wrong("training_step", "lr is left out")
def step_3(model, ids, lr):
    model.zero_grad()
    loss = mean_surprise(model, ids)
    loss.backward()
    for weight in model.parameters():
        weight.data.sub_(weight.grad)
    return loss


# ---- reshape


def kept_by_k(logits, k):
    if k == 0:
        return logits
    edge = logits.sort(descending=True).values[k - 1]
    return torch.where(logits < edge, -math.inf, logits)


def kept_by_p(logits, p, crossing=True):
    """Top-p in a loop; without `crossing`, the token that crosses p is dropped."""
    if p == 1:
        return logits
    probs = logits.softmax(-1)
    kept, total = torch.full_like(logits, -math.inf), 0.0
    for i in probs.argsort(descending=True).tolist():
        if total >= p or (not crossing and total + probs[i] > p):
            break
        kept[i] = logits[i]
        total += probs[i].item()
    return kept


@right("reshape")
def reshape_in_a_loop(logits, temperature, top_k, top_p):
    return kept_by_p(kept_by_k(logits / temperature, top_k), top_p).softmax(-1)


@right("reshape")
def reshape_on_probabilities(logits, temperature, top_k, top_p):
    p = logits.softmax(-1) ** (1 / temperature)
    p = p / p.sum()
    if top_k:
        p = p * (p >= p.topk(top_k).values.min())
        p = p / p.sum()
    if top_p < 1:
        values, order = torch.sort(p, descending=True)
        number = int((values.cumsum(0) < top_p).sum()) + 1
        mask = torch.zeros_like(p)
        mask[order[:number]] = 1
        p = p * mask
    return p / p.sum()


@right("reshape")
def reshape_in_numpy(logits, temperature, top_k, top_p):
    x = logits.double().numpy() / temperature
    if top_k:
        x = np.where(x < np.sort(x)[-top_k], -np.inf, x)
    p = np.exp(x - x.max())
    p = p / p.sum()
    if top_p < 1:
        order = np.argsort(-p, kind="stable")
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= top_p]] = 0
    return p / p.sum()


@wrong("reshape", "multiplied by the temperature")
def reshape_1(logits, temperature, top_k, top_p):
    return kept_by_p(kept_by_k(logits * temperature, top_k), top_p).softmax(-1)


@wrong("reshape", "“temperature” has no effect")
def reshape_2(logits, temperature, top_k, top_p):
    p = logits.softmax(-1) / temperature
    return kept_by_p(kept_by_k((p / p.sum()).log(), top_k), top_p).softmax(-1)


@wrong("reshape", "the logits are scaled twice")
def reshape_3(logits, temperature, top_k, top_p):
    x = kept_by_k(logits / temperature, top_k)
    return kept_by_p(x / temperature, top_p).softmax(-1)


@wrong("reshape", "temperature, then top-k or top-p")
def reshape_4(logits, temperature, top_k, top_p):
    return (kept_by_p(kept_by_k(logits, top_k), top_p) / temperature).softmax(-1)


@wrong("reshape", "top-p among what top-k has kept")
def reshape_5(logits, temperature, top_k, top_p):
    return kept_by_k(kept_by_p(logits / temperature, top_p), top_k).softmax(-1)


@wrong("reshape", "top-p among what top-k has kept")
def reshape_6(logits, temperature, top_k, top_p):
    p = (logits / temperature).softmax(-1)
    by_k = p >= p.topk(top_k or len(p)).values[-1]
    by_p = kept_by_p(logits / temperature, top_p) > -math.inf
    return p * by_k * by_p / (p * by_k * by_p).sum()


@wrong("reshape", "several tokens as likely as the k-th")
def reshape_7(logits, temperature, top_k, top_p):
    x = logits / temperature
    if top_k:
        kept = torch.full_like(x, -math.inf)
        best = x.argsort(descending=True, stable=True)[:top_k]
        kept[best] = x[best]
        x = kept
    return kept_by_p(x, top_p).softmax(-1)


@wrong("reshape", "any top-k")
def reshape_8(logits, temperature, top_k, top_p):
    x = logits / temperature
    if top_k:
        x = torch.where(x > x.topk(top_k).values[-1], x, -math.inf)
    return kept_by_p(x, top_p).softmax(-1)


@wrong("reshape", "any top-p")
def reshape_9(logits, temperature, top_k, top_p):
    return kept_by_p(
        kept_by_k(logits / temperature, top_k), top_p, crossing=False
    ).softmax(-1)


@wrong("reshape", "any top-p")
def reshape_10(logits, temperature, top_k, top_p):
    x = kept_by_k(logits / temperature, top_k)
    values, order = x.softmax(-1).sort(descending=True)
    number = int((values.cumsum(0) < top_p).sum()) + 2 if top_p < 1 else len(x)
    kept = torch.full_like(x, -math.inf)
    kept[order[:number]] = x[order[:number]]
    return kept.softmax(-1)


@wrong("reshape", "any top-p")
def reshape_11(logits, temperature, top_k, top_p):
    x = kept_by_k(logits / temperature, top_k)
    p = x.softmax(-1)
    return x.masked_fill(p < 1 - top_p, -math.inf).softmax(-1)


@wrong("reshape", "any top-p")
def reshape_12(logits, temperature, top_k, top_p):
    p = kept_by_k(logits / temperature, top_k).softmax(-1)
    values = p.sort(descending=True).values
    p = p * (values.cumsum(0) - values < top_p) if top_p < 1 else p
    return p / p.sum()


@wrong("reshape", "not renormalised")
def reshape_13(logits, temperature, top_k, top_p):
    return (logits / temperature).softmax(-1) * (
        reshape_in_a_loop(logits, temperature, top_k, top_p) > 0
    )


@wrong("reshape", "the logarithm is taken")
def reshape_14(logits, temperature, top_k, top_p):
    return reshape_in_a_loop(logits, temperature, top_k, top_p).log()


@wrong("reshape", "“logits” is changed in place")
def reshape_15(logits, temperature, top_k, top_p):
    logits /= temperature
    return kept_by_p(kept_by_k(logits, top_k), top_p).softmax(-1)


# ---- horizon


@right("horizon")
def horizon_with_arrays(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second) ** (1 / temperature)
    return joint.sum(1) / joint.sum()


@right("horizon")
def horizon_in_logs(p_first, p_second, temperature):
    joint = (p_first.log()[:, None] + p_second.log()) / temperature
    return joint.logsumexp(1).softmax(0)


@right("horizon")
def horizon_in_loops(p_first, p_second, temperature):
    mass = []
    for a, row in zip(p_first.tolist(), p_second.tolist()):
        mass.append(0.0)
        for b in row:
            mass[-1] += math.exp(math.log(a * b) / temperature)
    return [m / sum(mass) for m in mass]


@wrong("horizon", "the second token has no say")
def horizon_1(p_first, p_second, temperature):
    scaled = p_second ** (1 / temperature)
    scaled = scaled / scaled.sum(1, keepdim=True)
    weights = (p_first[:, None] ** (1 / temperature) * scaled).sum(1)
    return weights / weights.sum()


@wrong("horizon", "the second token has no say")
def horizon_2(p_first, p_second, temperature):
    weights = (p_first[:, None] * p_second).sum(1) ** (1 / temperature)
    return weights / weights.sum()


@wrong("horizon", "only the second is scaled")
def horizon_3(p_first, p_second, temperature):
    weights = p_first * (p_second ** (1 / temperature)).sum(1)
    return weights / weights.sum()


@wrong("horizon", "T instead of 1/T")
def horizon_4(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second) ** temperature
    return joint.sum(1) / joint.sum()


@wrong("horizon", "scaled twice")
def horizon_5(p_first, p_second, temperature):
    weights = (p_first[:, None] * p_second) ** (1 / temperature)
    weights = weights.sum(1) ** (1 / temperature)
    return weights / weights.sum()


@wrong("horizon", "the best pair instead of all")
def horizon_6(p_first, p_second, temperature):
    best = (p_first * p_second.max(1).values) ** (1 / temperature)
    return best / best.sum()


@wrong("horizon", "not renormalised")
def horizon_7(p_first, p_second, temperature):
    return ((p_first[:, None] * p_second) ** (1 / temperature)).sum(1)


@wrong("horizon", "summed over the wrong axis")
def horizon_8(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second) ** (1 / temperature)
    return joint.sum(0) / joint.sum()


@wrong("horizon", "p_first along the wrong axis")
def horizon_9(p_first, p_second, temperature):
    joint = (p_first * p_second) ** (1 / temperature)
    return joint.sum(1) / joint.sum()


# ---- bits_per_byte


@right("bits_per_byte")
def bits_in_numpy(log_likelihoods, texts):
    return (
        -np.sum(log_likelihoods)
        / np.log(2)
        / sum(len(t.encode("utf-8")) for t in texts)
    )


@right("bits_per_byte")
def bits_in_a_loop(log_likelihoods, texts):
    bits = size = 0
    for nats, text in zip(log_likelihoods, texts):
        bits += -nats / math.log(2)
        size += len(bytes(text, "utf-8"))
    return bits / size


@right("bits_per_byte")
def bits_in_pandas(log_likelihoods, texts):
    table = pd.DataFrame(
        {
            "nats": log_likelihoods,
            "bytes": pd.Series(texts).str.encode("utf-8").str.len(),
        }
    )
    total = table.sum()
    return -total["nats"] * math.log2(math.e) / total["bytes"]


def rate(nats, texts, size=lambda t: len(t.encode())):
    return -sum(nats) / math.log(2) / sum(size(t) for t in texts)


wrong("bits_per_byte", "characters instead of bytes")(
    lambda s, t: -sum(s) / math.log(2) / len("".join(t))
)
wrong("bits_per_byte", "nats instead of bits")(
    lambda s, t: -sum(s) / len("".join(t).encode())
)
wrong("bits_per_byte", "multiplied by ln 2")(
    lambda s, t: -sum(s) * math.log(2) / len("".join(t).encode())
)
wrong("bits_per_byte", "the sign is turned")(
    lambda s, t: sum(s) / math.log(2) / len("".join(t).encode())
)
wrong("bits_per_byte", "not divided by the bytes")(lambda s, t: -sum(s) / math.log(2))
wrong("bits_per_byte", "a mean of ratios")(
    lambda s, t: sum(rate([a], [b]) for a, b in zip(s, t)) / len(t)
)
wrong("bits_per_byte", "one number for each text")(
    lambda s, t: [rate([a], [b]) for a, b in zip(s, t)]
)
wrong("bits_per_byte", "nearly a bit a byte")(
    lambda s, t: rate(s, t, lambda x: x.count(" ") + 1)
)


# ---- auroc


@right("auroc")
def auroc_by_pairs(inside, outside):
    wins = sum((a > b) + 0.5 * (a == b) for a in inside for b in outside)
    return wins / (len(inside) * len(outside))


@right("auroc")
def auroc_by_broadcasting(inside, outside):
    return (np.sign(inside[:, None] - outside[None, :]).mean() + 1) / 2


@right("auroc")
def auroc_by_ranks(inside, outside):
    ranks = pd.Series(np.r_[inside, outside]).rank().to_numpy()[: len(inside)]
    n, m = len(inside), len(outside)
    return (ranks.sum() - n * (n + 1) / 2) / (n * m)


@right("auroc")
def auroc_by_library(inside, outside):
    return roc_auc_score([1] * len(inside) + [0] * len(outside), [*inside, *outside])


wrong("auroc", "ties count as lost")(lambda a, b: (a[:, None] > b[None]).mean())
wrong("auroc", "ties count as won")(lambda a, b: (a[:, None] >= b[None]).mean())
wrong("auroc", "the two sets are swapped")(lambda a, b: auroc_by_pairs(b, a))
wrong("auroc", "folded to above one half")(
    lambda a, b: max(auroc_by_pairs(a, b), auroc_by_pairs(b, a))
)
wrong("auroc", "not divided by the number of pairs")(
    lambda a, b: sum((x > y) + 0.5 * (x == y) for x in a for y in b)
)
wrong("auroc", "not divided by the number of pairs")(
    lambda a, b: sum((x > y) + 0.5 * (x == y) for x in a for y in b) / len(a)
)
wrong("auroc", "neighbours instead of all pairs")(
    lambda a, b: sum(x > y for x, y in zip(a, b)) / min(len(a), len(b))
)
wrong("auroc", "means are compared")(
    lambda a, b: 1.0 if np.mean(a) > np.mean(b) else 0.0
)


# ---- likelihood_ratio


@right("likelihood_ratio")
def ratio_by_pivot(scores, domain):
    table = scores.pivot(index="text_id", columns="model", values="log_likelihood")
    return table[domain] - table["base"]


@right("likelihood_ratio")
def ratio_by_index(scores, domain):
    by_model = scores.set_index(["model", "text_id"]).log_likelihood
    return by_model[domain] - by_model["base"]


@right("likelihood_ratio")
def ratio_by_merge(scores, domain):
    both = scores[scores.model == domain].merge(
        scores[scores.model == "base"], on="text_id"
    )
    return pd.Series(
        (both.log_likelihood_x - both.log_likelihood_y).values, index=both.text_id
    )


@right("likelihood_ratio")
def ratio_in_a_dict(scores, domain):
    known = {(r.model, r.text_id): r.log_likelihood for r in scores.itertuples()}
    return pd.Series(
        {t: known[domain, t] - known["base", t] for t in scores.text_id.unique()}
    )


def by_text(scores, model):
    return scores[scores.model == model].set_index("text_id").log_likelihood


@wrong("likelihood_ratio", "rows matched by position")
def ratio_1(scores, domain):
    tuned, base = scores[scores.model == domain], scores[scores.model == "base"]
    return pd.Series(
        tuned.log_likelihood.values - base.log_likelihood.values, index=tuned.text_id
    )


wrong("likelihood_ratio", "logs are divided")(
    lambda s, d: by_text(s, d) / by_text(s, "base")
)
wrong("likelihood_ratio", "base over fine-tuned")(
    lambda s, d: by_text(s, "base") - by_text(s, d)
)
wrong("likelihood_ratio", "the exponential is taken")(
    lambda s, d: np.exp(ratio_by_pivot(s, d))
)
wrong("likelihood_ratio", "nothing is subtracted")(lambda s, d: by_text(s, d))
wrong("likelihood_ratio", "the other domain")(
    lambda s, d: ratio_by_pivot(s, "shakespeare")
)
wrong("likelihood_ratio", "compared with a mean")(
    lambda s, d: by_text(s, d) - by_text(s, "base").mean()
)
wrong("likelihood_ratio", "divided by the length")(
    lambda s, d: (
        ratio_by_pivot(s, d) / s.drop_duplicates("text_id").set_index("text_id").n_bytes
    )
)
wrong("likelihood_ratio", "not a Series")(lambda s, d: ratio_by_pivot(s, d).tolist())


# ---- posterior


@right("posterior")
def posterior_logistic(log_p_neurips, log_p_shakespeare, prior):
    return 1 / (
        1 + np.exp(-(log_p_neurips - log_p_shakespeare + np.log(prior / (1 - prior))))
    )


@right("posterior")
def posterior_by_logaddexp(log_p_neurips, log_p_shakespeare, prior):
    a, b = log_p_neurips + np.log(prior), log_p_shakespeare + np.log(1 - prior)
    return np.exp(a - np.logaddexp(a, b))


@right("posterior")
def posterior_by_softmax(log_p_neurips, log_p_shakespeare, prior):
    joint = np.stack(
        [log_p_neurips + math.log(prior), log_p_shakespeare + math.log(1 - prior)]
    )
    return torch.tensor(joint).softmax(0)[0]


@right("posterior")
def posterior_shifted(log_p_neurips, log_p_shakespeare, prior):
    top = np.maximum(log_p_neurips, log_p_shakespeare)
    a, b = (
        prior * np.exp(log_p_neurips - top),
        (1 - prior) * np.exp(log_p_shakespeare - top),
    )
    return a / (a + b)


wrong("posterior", "the prior is ignored")(lambda a, b, p: 1 / (1 + np.exp(b - a)))
wrong("posterior", "the prior of the other domain")(
    lambda a, b, p: posterior_logistic(a, b, 1 - p)
)
wrong("posterior", "the prior multiplies the answer")(
    lambda a, b, p: p / (1 + np.exp(b - a))
)
wrong("posterior", "the prior is not turned into a log")(
    lambda a, b, p: posterior_by_logaddexp(a + p, b + 1 - p, 0.5)
)
wrong("posterior", "the domains are swapped")(
    lambda a, b, p: 1 - posterior_logistic(a, b, p)
)
wrong("posterior", "a verdict, not a probability")(
    lambda a, b, p: np.where(a > b, 1.0, 0.0)
)
wrong("posterior", "logs are shared out")(lambda a, b, p: a / (a + b))
wrong("posterior", "softmax over the strings")(
    lambda a, b, p: torch.tensor(a).softmax(-1)
)


@wrong("posterior", "NaN or ∞")
def posterior_1(log_p_neurips, log_p_shakespeare, prior):
    with np.errstate(all="ignore"):
        a, b = prior * np.exp(log_p_neurips), (1 - prior) * np.exp(log_p_shakespeare)
        return a / (a + b)


# ---- masked_attention


@right("masked_attention")
def attention_by_mask(q, k, v):
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[1:]).triu(1).bool()
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


@right("masked_attention")
def attention_in_loops(q, k, v):
    return torch.stack(
        [
            torch.stack(
                [
                    (q[h, t] @ k[h, : t + 1].T / q.shape[-1] ** 0.5).softmax(0)
                    @ v[h, : t + 1]
                    for t in range(q.shape[1])
                ]
            )
            for h in range(q.shape[0])
        ]
    )


@right("masked_attention")
def attention_by_einsum(q, k, v):
    scores = torch.einsum("hqw,hkw->hqk", q.double(), k.double())
    scores += torch.full(scores.shape[1:], -torch.inf).triu(1)
    weights = F.softmax(scores / q.shape[-1] ** 0.5, -1)
    return torch.einsum("hqk,hkw->hqw", weights, v.double())


def attention(q, k, v, cut=lambda scores: scores, scale=None, axis=-1):
    scale = q.shape[-1] ** 0.5 if scale is None else scale
    return cut(q @ k.mT / scale).softmax(axis) @ v


def hidden(scores, first=1, value=-math.inf):
    return scores.masked_fill(torch.ones(scores.shape[1:]).triu(first) > 0, value)


wrong("masked_attention", "no mask")(attention)
wrong("masked_attention", "the mask is on the wrong side")(
    lambda q, k, v: attention(q, k, v, lambda scores: hidden(scores.mT).mT)
)
wrong("masked_attention", "its own token is masked")(
    lambda q, k, v: attention(q, k, v, lambda scores: hidden(scores, 0))
)
wrong("masked_attention", "the next token is seen")(
    lambda q, k, v: attention(q, k, v, lambda scores: hidden(scores, 2))
)
wrong("masked_attention", "not scaled")(
    lambda q, k, v: attention(q, k, v, hidden, scale=1)
)
wrong("masked_attention", "divided by the width")(
    lambda q, k, v: attention(q, k, v, hidden, scale=q.shape[-1])
)
wrong("masked_attention", "two tokens")(
    lambda q, k, v: attention(q, k, v, hidden, scale=len(q) ** 0.5)
)
wrong("masked_attention", "more tokens, another width")(
    lambda q, k, v: attention(q, k, v, hidden, scale=2)
)
wrong("masked_attention", "softmax over the wrong axis")(
    lambda q, k, v: attention(q, k, v, hidden, axis=1)
)
wrong("masked_attention", "softmax over the wrong axis")(
    lambda q, k, v: hidden(q @ k.mT / q.shape[-1] ** 0.5).softmax(0).nan_to_num() @ v
)
wrong("masked_attention", "masked scores still count")(
    lambda q, k, v: attention(q, k, v, lambda scores: hidden(scores, value=0))
)
wrong("masked_attention", "masked after the softmax")(
    lambda q, k, v: (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).tril() @ v
)
wrong("masked_attention", "no softmax")(
    lambda q, k, v: (q @ k.mT / q.shape[-1] ** 0.5).tril() @ v
)
wrong("masked_attention", "heads mixed")(
    lambda q, k, v: hidden(q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).mean(0) @ v
)
wrong("masked_attention", "queries and keys are swapped")(
    lambda q, k, v: attention_by_mask(k, q, v)
)
wrong("masked_attention", "keys in the place of values")(
    lambda q, k, v: attention_by_mask(q, k, k)
)
wrong("masked_attention", "the weights are returned")(
    lambda q, k, v: hidden(q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
)


wrong("masked_attention", "the last token is loud; nothing before it may move")(
    lambda q, k, v: attention(
        q, k, v, lambda scores: scores + hidden(0 * scores, value=-25)
    )
)
wrong("masked_attention", "scores in the hundreds")(
    lambda q, k, v: attention(q, k, v, lambda scores: hidden(scores, value=-300))
)
wrong("masked_attention", "one token")(
    lambda q, k, v: attention_by_mask(q, k, v) / v.shape[-1] ** 0.5
)


@wrong("masked_attention", "NaN or ∞")
def attention_that_overflows(q, k, v):
    weights = (q @ k.mT / q.shape[-1] ** 0.5).exp().tril()
    return weights / weights.sum(-1, keepdim=True) @ v


# ---- exposure


@right("exposure")
def exposure_by_count(log_likelihoods, canary):
    rank = 1 + sum(log_likelihoods > log_likelihoods[canary])
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@right("exposure")
def exposure_by_share(log_likelihoods, canary):
    behind = [one <= log_likelihoods[canary] for one in log_likelihoods]
    return -math.log2(1 - (sum(behind) - 1) / len(behind))


@right("exposure")
def exposure_by_sorting(log_likelihoods, canary):
    descending = sorted(log_likelihoods, reverse=True)
    rank = descending.index(log_likelihoods[canary]) + 1
    return math.log(len(descending) / rank, 2)


def likelier(scores, canary):
    return (scores > scores[canary]).sum()


wrong("exposure", "another logarithm")(
    lambda s, c: np.log(len(s)) - np.log(1 + likelier(s, c))
)
wrong("exposure", "another logarithm")(
    lambda s, c: np.log10(len(s) / (1 + likelier(s, c)))
)
wrong("exposure", "the rank begins at 0")(
    lambda s, c: np.log2(len(s)) - np.log2(likelier(s, c))
)
wrong("exposure", "ranked the wrong way round")(
    lambda s, c: np.log2(len(s)) - np.log2(1 + (s < s[c]).sum())
)
wrong("exposure", "the rank itself")(lambda s, c: 1 + likelier(s, c))
wrong("exposure", "the logarithm of the rank")(lambda s, c: np.log2(1 + likelier(s, c)))
wrong("exposure", "a share, not its logarithm")(
    lambda s, c: (1 + likelier(s, c)) / len(s)
)
wrong("exposure", "the canary is not counted")(
    lambda s, c: np.log2(len(s) - 1) - np.log2(1 + likelier(s, c))
)
wrong("exposure", "a probability, not a rank")(lambda s, c: -s[c] / np.log(2))
wrong("exposure", "equal candidates are ahead")(
    lambda s, c: np.log2(len(s)) - np.log2((s >= s[c]).sum())
)
wrong("exposure", "equal candidates count as one")(
    lambda s, c: np.log2(len(s)) - np.log2(1 + len(set(s[s > s[c]])))
)
wrong("exposure", "argsort is not the rank")(
    lambda s, c: np.log2(len(s)) - np.log2(1 + np.argsort(-s)[c])
)
wrong("exposure", "one number for each candidate")(
    lambda s, c: [exposure_by_count(s, i) for i in range(len(s))]
)
wrong("exposure", "candidates of a page each")(
    lambda s, c: exposure_by_count(np.exp(s), c)
)
wrong("exposure", "“canary” has no effect")(lambda s, canary: exposure_by_count(s, 0))
wrong("exposure", "the sign is turned")(lambda s, c: -exposure_by_count(s, c))


# ---- spot the bug

right("total_from_loss")(lambda loss, ids: -loss * (len(ids) - 1))
right("total_from_loss")(
    lambda loss, ids: torch.tensor(-loss).mul(ids[1:].numel()).double()
)
right("total_from_loss")(lambda loss, ids: sum(-loss for _ in ids[1:]))
wrong("total_from_loss", "multiplied by the length")(
    lambda loss, ids: -loss * ids.shape[0]
)
wrong("total_from_loss", "one token too few or too many")(
    lambda loss, ids: -loss * ids[1:-1].numel()
)
wrong("total_from_loss", "one token too few or too many")(
    lambda loss, ids: -loss * (ids.numel() + 1)
)
wrong("total_from_loss", "the sign is turned")(lambda loss, ids: loss * (len(ids) - 1))
wrong("total_from_loss", "still a mean")(lambda loss, ids: -loss)
wrong("total_from_loss", "the exponential is taken")(
    lambda loss, ids: math.exp(-loss) ** (len(ids) - 1)
)


@right("perplexity")
def perplexity_in_numpy(log_likelihoods, n_tokens):
    return np.exp(-log_likelihoods.sum() / n_tokens.sum())


@right("perplexity")
def perplexity_in_a_loop(log_likelihoods, n_tokens):
    nats = tokens = 0
    for score, n in zip(log_likelihoods, n_tokens):
        nats, tokens = nats - score, tokens + n
    return math.exp(nats / tokens)


@right("perplexity")
def perplexity_by_weights(log_likelihoods, n_tokens):
    rates = torch.tensor(log_likelihoods / n_tokens)
    shares = torch.tensor(n_tokens / n_tokens.sum())
    return 2 ** (-(rates * shares).sum() / math.log(2))


wrong("perplexity", "a mean of perplexities")(
    lambda s, n: sum(math.exp(-a / b) for a, b in zip(s, n)) / len(s)
)
wrong("perplexity", "every text weighs the same")(lambda s, n: np.exp(np.mean(-s / n)))
wrong("perplexity", "perplexities are weighted")(
    lambda s, n: (np.exp(-s / n) * n).sum() / n.sum()
)
wrong("perplexity", "one over the answer")(lambda s, n: math.exp(sum(s) / sum(n)))
wrong("perplexity", "no exponential")(lambda s, n: -sum(s) / sum(n))
wrong("perplexity", "bits taken for nats")(lambda s, n: 2 ** -(sum(s) / sum(n)))
wrong("perplexity", "one number for each text")(
    lambda s, n: [math.exp(-a / b) for a, b in zip(s, n)]
)


@wrong("perplexity", "NaN or ∞")
def perplexity_1(log_likelihoods, n_tokens):
    with np.errstate(all="ignore"):
        return (1 / np.exp(log_likelihoods.sum())) ** (1 / n_tokens.sum())


right("per_word")(
    lambda perplexity, n_tokens, n_words: perplexity ** (n_tokens / n_words)
)
right("per_word")(
    lambda perplexity, n_tokens, n_words: np.exp(
        np.log(perplexity) * n_tokens / n_words
    )
)
right("per_word")(
    lambda perplexity, n_tokens, n_words: perplexity_in_numpy(
        np.array([-math.log(perplexity) * n_tokens]), np.array([n_words])
    )
)
wrong("per_word", "multiplied, not to the power")(lambda p, n, words: n / words * p)
wrong("per_word", "multiplied, not to the power")(lambda p, n, words: p / (n / words))
wrong("per_word", "the power is upside down")(
    lambda p, n, words: math.exp(math.log(p) / (n / words))
)
wrong("per_word", "nothing is changed")(lambda p, n, words: float(p))
wrong("per_word", "the logarithm is taken")(
    lambda p, n, words: np.log(p ** (n / words))
)
wrong("per_word", "two bases of logarithms")(
    lambda p, n, words: 2 ** (np.log(p) * n / words)
)


@right("batch_scores")
@torch.no_grad()
def scores_one_by_one(model, rows):
    model.eval()
    return [ll_with_gather(model(row[None]).logits[0], row).item() for row in rows]


def padded(rows, side="right"):
    ids = pad_sequence(rows, batch_first=True, padding_side=side)
    real = [torch.ones(len(row), dtype=torch.long) for row in rows]
    return ids, pad_sequence(real, batch_first=True, padding_side=side)


def scored(logits, ids, real):
    losses = F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="none")
    return -(losses * (real[:, :-1] * real[:, 1:])).sum(1)


@right("batch_scores")
def scores_padded_on_the_right(model, rows):
    was_training = model.training
    model.train(False)
    ids, real = padded(rows)
    scores = scored(model(ids).logits, ids, real)
    model.train(was_training)
    return scores


@right("batch_scores")
def scores_padded_on_the_left(model, rows):
    ids, real = padded(rows, "left")
    positions = (real.cumsum(1) - 1).clamp(min=0)
    logits = model.eval()(ids, attention_mask=real, position_ids=positions).logits
    return scored(logits, ids, real)


@wrong("batch_scores", "padded on the left without a mask")
def scores_1(model, rows):
    ids, real = padded(rows, "left")
    return scored(model.eval()(ids).logits, ids, real)


@wrong("batch_scores", "positions are counted from the padding")
def scores_2(model, rows):
    ids, real = padded(rows, "left")
    return scored(model.eval()(ids, attention_mask=real).logits, ids, real)


@wrong("batch_scores", "a model just trained, with its dropout on")
def scores_3(model, rows):
    return torch.stack([ll_with_gather(model(r[None]).logits[0], r) for r in rows])


@wrong("batch_scores", "padding is counted")
def scores_4(model, rows):
    ids, real = padded(rows)
    return scored(model.eval()(ids).logits, ids, torch.ones_like(real))


@wrong("batch_scores", "mean instead of sum")
def scores_5(model, rows):
    model.eval()
    return [-model(row[None], labels=row[None]).loss for row in rows]


@wrong("batch_scores", "the sign is turned")
def scores_6(model, rows):
    return [-score for score in scores_one_by_one(model, rows)]


@wrong("batch_scores", "no shift by one")
def scores_7(model, rows):
    model.eval()
    logits = [model(row[None]).logits[0, :-1] for row in rows]
    losses = [
        F.cross_entropy(x, row[:-1], reduction="sum") for x, row in zip(logits, rows)
    ]
    return -torch.stack(losses)


# ---- write


@right("write")
def write_with_a_generator(next_logits, prompt, temperature, end, longest, seed):
    luck = torch.Generator().manual_seed(seed)
    ids = list(prompt)
    while len(ids) < len(prompt) + longest:
        p = (next_logits(ids) / temperature).softmax(-1)
        token = torch.multinomial(p, 1, generator=luck).item()
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


@right("write")
def write_in_numpy(next_logits, prompt, temperature, end, longest, seed):
    rng, new = np.random.default_rng(seed), []
    for _ in range(longest):
        p = (next_logits(prompt + new).double() / temperature).softmax(-1).numpy()
        new.append(int(rng.choice(len(p), p=p / p.sum())))
        if new[-1] == end:
            return new[:-1]
    return new


@right("write")
def write_in_tensors(next_logits, prompt, temperature, end, longest, seed):
    torch.manual_seed(seed)
    ids = torch.tensor(prompt)
    for _ in range(longest):
        logits = next_logits(ids) / temperature
        token = torch.distributions.Categorical(logits=logits).sample()
        if token == end:
            break
        ids = torch.cat([ids, token[None]])
    return ids[len(prompt) :]


def writing(draw=None, ask=None, seeded=True, anew=False, longest_by=0):
    """The loop with another way to draw, or another question to the model."""

    def write(next_logits, prompt, temperature, end, longest, seed):
        rng, new = np.random.default_rng(seed if seeded else None), []
        while len(new) < longest + longest_by:
            rng = np.random.default_rng(seed) if anew else rng
            logits = next_logits(ask(prompt, new) if ask else [*prompt, *new])
            p = (logits.double() / temperature).softmax(-1).numpy()
            token = draw(p) if draw else int((p.cumsum() < rng.random()).sum())
            if token == end:
                break
            new.append(token)
        return new

    return write


wrong("write", "the likeliest, not a draw")(writing(draw=lambda p: int(p.argmax())))
wrong("write", "the seed is set anew for each token")(writing(anew=True))
wrong("write", "the same seed, the same text (1)")(writing(seeded=False))
wrong("write", "only the last token is read")(
    writing(ask=lambda prompt, new: [*prompt, *new][-1:])
)
wrong("write", "what was drawn is not read")(writing(ask=lambda prompt, new: prompt))
wrong("write", "one token too many")(writing(longest_by=1))
wrong("write", "one token too few")(writing(longest_by=-1))
wrong("write", "the text does not end")(
    lambda f, ids, t, end, n, seed: write_in_numpy(f, ids, t, -1, n, seed)
)
wrong(
    "write",
    "shares of 0, 1, 2 (p = 0.5, 0.3, 0.2; T = 0.5), and of seconds that repeat them",
)(lambda f, ids, t, end, n, seed: write_in_numpy(f, ids, 1, end, n, seed))
wrong("write", "multiplied by the temperature")(
    lambda f, ids, t, end, n, seed: write_in_tensors(f, ids, 1 / t, end, n, seed)
)
wrong("write", "the prompt comes back as well")(
    lambda f, ids, *rest: ids + write_in_numpy(f, ids, *rest)
)


@wrong("write", "the end token is kept")
def write_1(next_logits, prompt, temperature, end, longest, seed):
    luck, new = torch.Generator().manual_seed(seed), []
    while len(new) < longest and end not in new:
        p = (next_logits(prompt + new) / temperature).softmax(-1)
        new.append(int(p.multinomial(1, generator=luck)))
    return new


@wrong("write", "“prompt” is changed in place")
def write_2(next_logits, prompt, temperature, end, longest, seed):
    torch.manual_seed(seed)
    read = len(prompt)
    for _ in range(longest):
        token = int((next_logits(prompt) / temperature).softmax(-1).multinomial(1))
        if token == end:
            break
        prompt.append(token)
    return prompt[read:]


TASKS = {name: t for name, t in vars(checks).items() if isinstance(t, Task)}


@pytest.mark.parametrize("task", TASKS)
def test_right_answers_pass_in_any_style(task, capsys):
    functions = [f for t, f in OURS.rights + STRANGERS.rights if t == task]
    assert len(functions) >= 9
    for function in functions:
        assert TASKS[task](function) == 2, inspect.getsource(function)
        assert f"{task}: all " in capsys.readouterr().out


def told(outcome):
    """The name of the mistake; or of the first kind of example that fails."""
    return outcome.mistake or outcome.shown.case.what


@pytest.mark.parametrize("task", TASKS)
def test_each_wrong_answer_gets_the_hint_of_its_own_mistake(task, capsys):
    """Prints the mistakes that each check knows: TEACHING.md sends lecturers here."""
    lines = [f"\n{task}"]
    for name, function in [(name, f) for t, name, f in OURS.wrongs if t == task]:
        outcome = TASKS[task].look(function)
        assert outcome.points < 2
        assert told(outcome) == name, (inspect.getsource(function), str(outcome))
        lines.append(f"  {name:<40} {textwrap.shorten(outcome.hint, 80)}")
    assert len(set(lines)) >= 6
    with capsys.disabled():
        print("\n".join(lines))


@pytest.mark.parametrize("task", TASKS)
def test_no_stranger_s_wrong_answer_passes_and_each_is_told_something(task, capsys):
    """Prints what each was told, and the share to whom their mistake was named."""
    answers = [answer for answer in STRANGERS.wrongs if answer[0] == task]
    assert len(answers) >= 20
    lines, named = [], 0
    for _, words, function in answers:
        outcome = TASKS[task].look(function)
        assert outcome.points < 2, inspect.getsource(function)
        assert outcome.hint, (words, told(outcome))
        assert len(str(outcome).splitlines()) <= 12, str(outcome)
        named += bool(outcome.mistake)
        lines.append(f"  {textwrap.shorten(words, 50):<50} {told(outcome)}")
    lines.append(f"  {named} of {len(answers)} named, the others placed")
    with capsys.disabled():
        print(f"\n{task}", *lines, sep="\n")


@pytest.mark.parametrize("task", TASKS)
def test_every_mistake_and_every_kind_of_example_has_its_hint(task):
    kinds = {case.what for case in TASKS[task].cases}
    for name in [*TASKS[task].mistakes, *kinds]:
        assert causes.hint(task, name), name


def test_no_hint_is_left_over():
    known = {*causes.TURNED, "not a Series", "not indexed by text_id"}
    for task, name in causes.hints():
        if task != "any task":
            kinds = {case.what for case in TASKS[task].cases}
            assert name in known | kinds | set(TASKS[task].mistakes), (task, name)


@pytest.mark.parametrize("task", TASKS)
def test_a_blank_is_told_what_to_do_within_five_seconds(task):
    def blank(*args):
        # YOUR CODE HERE
        raise NotImplementedError()

    started = time.time()
    outcome = TASKS[task].look(blank)
    assert time.time() - started < 5
    assert outcome.points == 0
    report = str(outcome)
    assert "passed" not in report and len(report.splitlines()) <= 12
    for said in ("not written yet", "YOUR CODE HERE", "example", "expected"):
        assert said in report


def test_a_crash_is_a_result_with_the_line_it_rose_at():
    def divides(inside, outside):
        return 1 / (len(outside) - 2)

    report = str(checks.auroc.look(divides))
    assert "ZeroDivisionError" in report
    assert "return 1 / (len(outside) - 2)" in report


def test_a_function_that_never_returns_is_stopped_and_told_so():
    def waits(inside, outside):
        while True:
            try:
                time.sleep(0.1)
            except Exception:
                pass

    started = time.time()
    outcome = checks.auroc.look(waits)
    assert time.time() - started < 30
    assert outcome.mistake == "it does not come to an end"


def test_what_is_left_unchecked_is_counted_and_never_called_passed():
    def no_top_p_yet(logits, temperature, top_k, top_p):
        if top_p < 1:
            raise NotImplementedError
        return reshape_in_a_loop(logits, temperature, top_k, top_p)

    outcome = checks.reshape.look(no_top_p_yet)
    assert set(outcome.found.values()) == {"passed", "not checked"}
    assert 0 < outcome.points < 2
    assert "not checked" in str(outcome)


def test_an_answer_nobody_foresaw_gets_no_false_name():
    outcome = checks.auroc.look(lambda a, b: (a.sum() + b.sum()) % 0.37)
    assert not outcome.mistake
    assert "nothing is returned" in str(checks.auroc.look(lambda a, b: None))
    assert "another shape" in str(checks.auroc.look(lambda a, b: np.array([0.1])))


def test_the_example_can_be_pasted_and_run():
    def auroc(inside, outside):
        return 0.25

    lines = str(checks.auroc.look(auroc)).splitlines()
    [example] = [line for line in lines if line.startswith("  example")]
    assert eval(example.removeprefix("  example   ")) == 0.25

    def batch_scores(model, rows):
        return [0.5] * len(rows)

    lines = str(checks.batch_scores.look(batch_scores)).splitlines()
    [example] = [line for line in lines if line.startswith("  example")]
    assert eval(example.removeprefix("  example   ")) == [0.5]


def test_a_cell_cannot_put_something_else_in_the_place_of_a_check():
    with pytest.raises(AttributeError, match="cannot be replaced"):
        checks.auroc = lambda function: 2.0


def test_a_lecturer_s_task_works_as_teaching_says(capsys):
    said = (EXERCISES.parents[1] / "TEACHING.md").read_text(encoding="utf-8")
    [example] = re.findall("```python\n(.*?)```", said, re.S)
    exec(example, {})
    report = capsys.readouterr().out
    assert "likely    nats instead of bits" in report
    assert "One bit is ln 2 nats: divide by it." in report
    [printed] = re.findall("```\n(auroc: .*?)```", said, re.S)
    ties_lost = next(
        f for t, n, f in OURS.wrongs if (t, n) == ("auroc", "ties count as lost")
    )
    function = types.FunctionType(ties_lost.__code__, ties_lost.__globals__, "auroc")
    checks.auroc(function)
    assert capsys.readouterr().out == printed


# ---- the solutions, with one thing changed


def solutions():
    """The source of each solution, by task."""
    found = {}
    for path in SOLVED:
        for source in code_of(path):
            if "### BEGIN SOLUTION" in source:
                found[re.search(r"def (\w+)\(", source)[1]] = source
    return found


class Change(ast.NodeTransformer):
    """Makes the n-th small change that the code allows, and counts how many it does."""

    def __init__(self, n):
        self.n, self.seen = n, 0

    def changed(self, node, *others):
        for other in others:
            if self.seen == self.n:
                node = other
            self.seen += 1
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            return node
        values = (node.value + 1, node.value - 1)
        return self.changed(node, *map(ast.Constant, values))

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        is_minus = isinstance(node.op, ast.USub)
        return self.changed(node, node.operand) if is_minus else node

    def visit_BinOp(self, node):
        self.generic_visit(node)
        swaps = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div}
        swaps |= {ast.Div: ast.Mult, ast.Pow: ast.Mult}
        new = ast.BinOp(node.left, swaps.get(type(node.op), ast.Add)(), node.right)
        return self.changed(node, new, node.left)

    def visit_Compare(self, node):
        self.generic_visit(node)
        swaps = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
        swaps |= {ast.Eq: ast.NotEq}
        [kind] = map(type, node.ops)
        return self.changed(
            node, ast.Compare(node.left, [swaps[kind]()], node.comparators)
        )

    def visit_Attribute(self, node):
        self.generic_visit(node)
        swaps = {"sum": "mean", "mean": "sum", "log_softmax": "softmax", "log": "log2"}
        swaps |= {"exp": "exp2", "softmax": "log_softmax", "eval": "train"}
        if node.attr not in swaps:
            return node
        return self.changed(node, ast.Attribute(node.value, swaps[node.attr], node.ctx))


def compiled(tree, names):
    scope = dict(names)
    exec(compile(ast.fix_missing_locations(tree), "mutant", "exec"), scope)
    return scope[tree.body[0].name]


@pytest.mark.parametrize("task", TASKS)
def test_a_solution_with_one_thing_changed_is_found(task, capsys):
    """Every change that alters an answer to examples drawn anew must fail the check."""
    names = {"torch": torch, "np": np, "pd": pd, "pad_sequence": pad_sequence}
    names["reshape"] = reshape_in_a_loop
    source = solutions()[task]
    tried = caught = n = 0
    while True:
        change = Change(n)
        tree = change.visit(ast.parse(source))
        if n >= change.seen:
            break
        n += 1
        mutant = compiled(tree, names)
        passes = TASKS[task].look(mutant).points == 2
        tried, caught = tried + 1, caught + (not passes)
        assert not passes or alters_nothing(task, mutant), ast.unparse(tree)
    assert caught > 0
    with capsys.disabled():
        print(
            f"{task}: {caught} of {tried} changed solutions fail; others alter nothing"
        )


def alters_nothing(task, mutant):
    """Whether it gives the right answers to examples drawn with other luck."""
    for i, case in enumerate(TASKS[task].planned * 3):
        args = tuple(case.draw(np.random.default_rng(1000 + i)))
        case = replace(case, args=args)
        expected = case.expected
        if expected is None:
            expected = trial.tried(case, TASKS[task].right).got
        again = trial.tried(replace(case, expected=expected), mutant)
        if again.status != "passed":
            return False
    return True


# ---- the notebooks
MISSING = "nbgrader is not installed: pip install -e .[teach]"


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def code_of(path):
    return [c.source for c in cells_of(path) if c.cell_type == "code"]


def blank_of(path):
    """What `make exercises` writes: nbgrader's own preprocessor, and no outputs."""
    nbgrader = pytest.importorskip("nbgrader.preprocessors", reason=MISSING)
    solved = nbformat.read(path, as_version=4)
    cleared, resources = nbgrader.ClearSolutions().preprocess(solved, {})
    return nbgrader.ClearOutput().preprocess(cleared, resources)[0]


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_blanks_are_the_solutions_cleared(path):
    blank = nbformat.read(EXERCISES / path.name, as_version=4)
    assert blank == blank_of(path), "run make exercises"


def test_there_is_a_blank_for_each_solution_and_no_other():
    assert [p.name for p in SOLVED] == sorted(p.name for p in EXERCISES.glob("*.ipynb"))
    numbered = [f"exercise_{n:02}" for n in (2, 5, 6, 7, 9, 10)]
    assert [p.stem for p in SOLVED] == [*numbered, "spot_the_bug"]


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_a_lecturer_can_take_the_exercises_into_nbgrader(path):
    v3 = pytest.importorskip("nbgrader.nbgraderformat.v3", reason=MISSING)
    v3.read_v3(path, as_version=4)
    graded = [c for c in cells_of(path) if "nbgrader" in c.metadata]
    code = [c for c in graded if c.cell_type == "code"]
    written = [c for c in code if c.metadata.nbgrader.solution]
    checked = [c for c in code if c.metadata.nbgrader.grade]
    reflected = [c for c in graded if c.cell_type == "markdown"]
    assert len(written) == len(checked) > 0
    asked = {c.metadata.nbgrader.grade_id.split("_")[0] for c in reflected}
    assert asked == {"think", "predict"}
    assert len(reflected) > len(written)
    for cell in written:
        assert "### BEGIN SOLUTION" in cell.source
        assert "### END SOLUTION" in cell.source
    assert all(c.metadata.nbgrader.points > 0 for c in checked + reflected)


TIES_LOST = "    return (inside[:, None] > outside).mean()"
CHEAT = "    return 0.5\n\n\nchecks.auroc = lambda function: 2.0"
ANOTHER_NAME = "    return 0.5\n\n\nchecks = type('', (), {'auroc': lambda f: 2.0})"


def test_nbgrader_gives_partial_credit_and_none_for_another_check(tmp_path):
    """From a course's folder, with the project's environment active."""
    pytest.importorskip("nbgrader", reason=MISSING)
    api = importlib.import_module("nbgrader.api")
    solved = EXERCISES / "solutions" / "exercise_06.ipynb"
    (tmp_path / "source" / "week").mkdir(parents=True)
    shutil.copy(solved, tmp_path / "source" / "week")
    bins = Path(sys.executable).parent
    paths = {"PATH": f"{bins}{os.pathsep}{os.environ['PATH']}"}

    def nbgrader(command):
        patient = "--Execute.iopub_timeout=60"  # for an import; of itself it waits 4 s
        arguments = [bins / "nbgrader", command, "week", patient]
        run = {"cwd": tmp_path, "env": os.environ | paths, "capture_output": True}
        done = subprocess.run(arguments, text=True, check=False, **run)
        assert done.returncode == 0, done.stderr[-2000:]

    nbgrader("generate_assignment")
    students = {"right": "", "ties": TIES_LOST, "cheat": CHEAT, "name": ANOTHER_NAME}
    for student, answer in students.items():
        handed_in = nbformat.read(solved, as_version=4)
        for cell in handed_in.cells:
            if answer and "def auroc" in cell.source:
                cell.source = f"def auroc(inside, outside):\n{answer}"
        folder = tmp_path / "submitted" / student / "week"
        folder.mkdir(parents=True)
        nbformat.write(handed_in, folder / solved.name)
    nbgrader("autograde")
    points = {}
    with api.Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        for student in students:
            notebook = book.find_submission_notebook(solved.stem, "week", student)
            grades = {grade.name: grade.auto_score for grade in notebook.grades}
            points[student] = grades["check_auroc"]
            assert grades["check_bits_per_byte"] == 2
    assert points["right"] == 2
    assert 0 < points["ties"] < 2
    assert points["cheat"] < 1 and points["name"] < 1


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_solved_copies_are_run_from_top_to_bottom_in_short_cells(path):
    cells = [c for c in cells_of(path) if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for c in cells for o in c.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error" and output.get("name") != "stderr"
    for source in code_of(EXERCISES / path.name):
        lines = [line.strip() for line in source.splitlines()]
        code = [line for line in lines if line and not line.startswith("#")]
        assert len(code) <= 15


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_every_blank_fails_its_checks_with_a_message_that_helps(path, capsys):
    """Its functions are run as they stand, each with the check that stands below it."""
    names = {"torch": torch, "np": np, "pd": pd, "checks": checks}
    blanks = tried = 0
    for source in code_of(EXERCISES / path.name):
        if "raise NotImplementedError()" in source:
            exec(source, names)
            blanks += 1
        elif re.search("^checks\\.", source, re.M):
            exec(source, names)
            assert "not written yet" in capsys.readouterr().out
            tried += 1
    assert tried == blanks > 0


def test_the_lines_for_colab_install_what_the_project_pins():
    project = EXERCISES.parents[1]
    said = (project / "TEACHING.md").read_text(encoding="utf-8")
    pins = re.findall(r"[\w-]+==[\d.]+", said)
    declared = (project / "pyproject.toml").read_text(encoding="utf-8")
    assert len(pins) == 2 and all(f'"{pin}"' in declared for pin in pins)
