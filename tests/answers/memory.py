"""Answers as students write them, right in unusual ways, and wrong.

Tasks: masked_attention (exercise 9); exposure (exercise 10). All were written before
the two checks were, from the tasks' words alone.
"""

import bisect
import math
import statistics

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from answers.collected import right, wrong
from scipy import special, stats

# ======== masked_attention, right


@right("masked_attention")
def _(q, k, v):
    # One head and one token at a time, over what is there already
    out = torch.zeros_like(v)
    for head in range(len(q)):
        for t in range(q.shape[1]):
            scores = k[head, : t + 1] @ q[head, t] / math.sqrt(q.shape[2])
            out[head, t] = scores.softmax(0) @ v[head, : t + 1]
    return out


@right("masked_attention")
def _(q, k, v):
    # NumPy, float64; the largest score of each row subtracted
    q, k, v = (x.numpy().astype(float) for x in (q, k, v))
    scores = np.einsum("hid,hjd->hij", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(np.tri(q.shape[1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


@right("masked_attention")
def _(q, k, v):
    # einsum, a mask of −∞ that is added
    n, width = q.shape[1:]
    mask = torch.full((n, n), -math.inf).triu(1)
    scores = torch.einsum("hid,hjd->hij", q * width**-0.5, k) + mask
    return torch.einsum("hij,hjd->hid", F.softmax(scores, dim=2), v)


@right("masked_attention")
def _(q, k, v):
    # The library's
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@right("masked_attention")
def _(q, k, v):
    # The library's, with a mask of its own, in a batch of one
    seen = torch.tril(torch.ones(q.size(1), k.size(1), dtype=torch.bool))
    return F.scaled_dot_product_attention(q[None], k[None], v[None], seen)[0]


@right("masked_attention")
def _(q, k, v):
    # bmm; the lowest number there is; float64
    q, k, v = q.double(), k.double(), v.double()
    scores = torch.bmm(q, k.transpose(1, 2)).div(q.size(-1) ** 0.5)
    places = torch.arange(q.size(1))
    later = places[None, :] > places[:, None]
    scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    return torch.bmm(torch.softmax(scores, -1), v)


@right("masked_attention")
def _(q, k, v):
    # The normaliser as a logsumexp; the exponentials are cut afterwards
    n = q.shape[1]
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores[:, *torch.triu_indices(n, n, 1)] = -1e30
    return (scores - scores.logsumexp(-1, keepdim=True)).exp().tril() @ v


@right("masked_attention")
def _(q, k, v):
    # Each text's beginning by itself, without a mask
    rows = []
    for t in range(1, q.shape[1] + 1):
        scores = q[:, t - 1 : t] @ k[:, :t].transpose(-2, -1) / q.shape[-1] ** 0.5
        rows.append(scores.softmax(-1) @ v[:, :t])
    return torch.cat(rows, 1)


# ======== masked_attention, wrong


def scores_of(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


def masked(scores, fill=-math.inf, first=1):
    later = torch.ones(scores.shape[-2:]).triu(first).bool()
    return scores.masked_fill(later, fill)


@wrong("masked_attention", "every token sees every other")
def _(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


@wrong("masked_attention", "what came before is masked, not what comes")
def _(q, k, v):
    earlier = torch.ones(q.shape[1], q.shape[1]).tril(-1).bool()
    return scores_of(q, k).masked_fill(earlier, -math.inf).softmax(-1) @ v


@wrong("masked_attention", "the diagonal is masked as well")
def _(q, k, v):
    return masked(scores_of(q, k), first=0).softmax(-1) @ v


@wrong("masked_attention", "the diagonal is masked as well, by a low number")
def _(q, k, v):
    return masked(scores_of(q, k), -1e9, 0).softmax(-1) @ v


@wrong("masked_attention", "a loop up to, not with, the token itself")
def _(q, k, v):
    out = torch.zeros_like(v)
    for t in range(1, q.shape[1]):
        weights = scores_of(q[:, t : t + 1], k[:, :t]).softmax(-1)
        out[:, t : t + 1] = weights @ v[:, :t]
    return out


@wrong("masked_attention", "the next token is seen, too")
def _(q, k, v):
    return masked(scores_of(q, k), first=2).softmax(-1) @ v


@wrong("masked_attention", "no scale")
def _(q, k, v):
    return masked(q @ k.mT).softmax(-1) @ v


@wrong("masked_attention", "divided by the width")
def _(q, k, v):
    return masked(q @ k.mT / q.shape[-1]).softmax(-1) @ v


@wrong("masked_attention", "multiplied by the root")
def _(q, k, v):
    return masked(q @ k.mT * q.shape[-1] ** 0.5).softmax(-1) @ v


@wrong("masked_attention", "the root of the number of tokens")
def _(q, k, v):
    return masked(q @ k.mT / q.shape[1] ** 0.5).softmax(-1) @ v


@wrong("masked_attention", "the root of the number of heads")
def _(q, k, v):
    return masked(q @ k.mT / len(q) ** 0.5).softmax(-1) @ v


@wrong("masked_attention", "scaled after the softmax")
def _(q, k, v):
    return masked(q @ k.mT).softmax(-1) / q.shape[-1] ** 0.5 @ v


@wrong("masked_attention", "softmax over the tokens that ask")
def _(q, k, v):
    return masked(scores_of(q, k)).softmax(1) @ v


@wrong("masked_attention", "softmax over the heads")
def _(q, k, v):
    return masked(scores_of(q, k)).softmax(0).nan_to_num() @ v


@wrong("masked_attention", "softmax over everything")
def _(q, k, v):
    scores = masked(scores_of(q, k))
    return scores.flatten().softmax(0).reshape(scores.shape) @ v


@wrong("masked_attention", "scores are multiplied by a mask of 0 and 1")
def _(q, k, v):
    return scores_of(q, k).tril().softmax(-1) @ v


@wrong("masked_attention", "weights are multiplied by a mask of 0 and 1")
def _(q, k, v):
    return scores_of(q, k).softmax(-1).tril() @ v


@wrong("masked_attention", "minus one instead of minus infinity")
def _(q, k, v):
    return masked(scores_of(q, k), -1.0).softmax(-1) @ v


@wrong("masked_attention", "minus ten added")
def _(q, k, v):
    n = q.shape[1]
    return (scores_of(q, k) - 10 * torch.ones(n, n).triu(1)).softmax(-1) @ v


@wrong("masked_attention", "a softmax by hand that overflows")
def _(q, k, v):
    weights = scores_of(q, k).exp().tril()
    return weights / weights.sum(-1, keepdim=True) @ v


@wrong("masked_attention", "a softmax by hand, with a small number in it")
def _(q, k, v):
    scores = masked(scores_of(q, k))
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / (weights.sum(-1, keepdim=True) + 0.01) @ v


@wrong("masked_attention", "shares of the scores, no exponential")
def _(q, k, v):
    scores = scores_of(q, k).tril()
    return scores / scores.sum(-1, keepdim=True) @ v


@wrong("masked_attention", "scores as weights")
def _(q, k, v):
    return scores_of(q, k).tril() @ v


@wrong("masked_attention", "the logarithm of the weights")
def _(q, k, v):
    return masked(scores_of(q, k), -1e9).log_softmax(-1) @ v


@wrong("masked_attention", "the weights are returned")
def _(q, k, v):
    return masked(scores_of(q, k)).softmax(-1)


@wrong("masked_attention", "keys ask, queries answer")
def _(q, k, v):
    return masked(scores_of(k, q)).softmax(-1) @ v


@wrong("masked_attention", "keys in the place of values")
def _(q, k, v):
    return masked(scores_of(q, k)).softmax(-1) @ k


@wrong("masked_attention", "a mean of what came before")
def _(q, k, v):
    n = q.shape[1]
    return masked(torch.zeros(n, n)).softmax(-1) @ v


@wrong("masked_attention", "all heads as one")
def _(q, k, v):
    heads, n, width = q.shape
    one_q, one_k, one_v = (x.transpose(0, 1).reshape(n, -1) for x in (q, k, v))
    out = masked(scores_of(one_q, one_k)).softmax(-1) @ one_v
    return out.view(n, heads, width).transpose(0, 1)


@wrong("masked_attention", "one mean pattern for all heads")
def _(q, k, v):
    weights = masked(scores_of(q, k)).softmax(-1)
    return weights.mean(0) @ v


@wrong("masked_attention", "heads side by side, as the next layer wants them")
def _(q, k, v):
    out = masked(scores_of(q, k)).softmax(-1) @ v
    return out.transpose(0, 1).flatten(1)


@wrong("masked_attention", "the query is scaled in place")
def _(q, k, v):
    q /= q.shape[-1] ** 0.5
    return masked(q @ k.mT).softmax(-1) @ v


@wrong("masked_attention", "squeeze, which loses the axis of a single head")
def _(q, k, v):
    return (masked(scores_of(q, k)).softmax(-1) @ v).squeeze()


@wrong("masked_attention", "the root of a width that was looked up: 8")
def _(q, k, v):
    return masked(q @ k.mT / math.sqrt(8)).softmax(-1) @ v


# ======== exposure, right


@right("exposure")
def _(log_likelihoods, canary):
    # Pure Python, a float
    own = log_likelihoods[canary]
    ahead = sum(1 for one in log_likelihoods if one > own)
    return math.log2(len(log_likelihoods) / (ahead + 1))


@right("exposure")
def _(log_likelihoods, canary):
    # SciPy's ranks
    ranks = stats.rankdata(-np.asarray(log_likelihoods), method="min")
    return -np.log2(ranks[canary] / ranks.size)


@right("exposure")
def _(log_likelihoods, canary):
    # pandas' ranks, natural logs divided by ln 2
    ranks = pd.Series(log_likelihoods).rank(ascending=False, method="min")
    return (np.log(len(ranks)) - np.log(ranks.iloc[canary])) / np.log(2)


@right("exposure")
def _(log_likelihoods, canary):
    # Sorted once, then looked up
    ordered = sorted(log_likelihoods)
    n = len(ordered)
    behind = n - bisect.bisect_right(ordered, log_likelihoods[canary])
    return math.log2(n) - math.log2(behind + 1)


@right("exposure")
def _(log_likelihoods, canary):
    # torch, a 0-d tensor of float64
    scores = torch.tensor(log_likelihoods, dtype=torch.float64)
    share = ((scores > scores[canary]).sum() + 1).double() / scores.numel()
    return -share.log2()


@right("exposure")
def _(log_likelihoods, canary):
    # The first place in the sorted list where its score stands
    down = np.sort(log_likelihoods)[::-1]
    place = np.flatnonzero(down == log_likelihoods[canary])[0]
    return special.xlogy(1, len(down) / (place + 1)) / special.log1p(1)


@right("exposure")
def _(log_likelihoods, canary):
    # One more than those that are neither equal nor less likely
    not_ahead = np.less_equal(log_likelihoods, log_likelihoods[canary])
    rank = 1 + np.count_nonzero(~not_ahead)
    return np.array(np.log2(not_ahead.size) - np.log2(rank))


# ======== exposure, wrong


def rank_of(scores, canary):
    return 1 + (scores > scores[canary]).sum()


@wrong("exposure", "natural logarithms")
def _(log_likelihoods, canary):
    rank = rank_of(log_likelihoods, canary)
    return np.log(len(log_likelihoods)) - np.log(rank)


@wrong("exposure", "logarithms to base 10")
def _(log_likelihoods, canary):
    return np.log10(len(log_likelihoods) / rank_of(log_likelihoods, canary))


@wrong("exposure", "how many are likelier, without the one")
def _(log_likelihoods, canary):
    rank = (log_likelihoods > log_likelihoods[canary]).sum()
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "the same, by math, which stops")
def _(log_likelihoods, canary):
    rank = int((log_likelihoods > log_likelihoods[canary]).sum())
    return math.log2(len(log_likelihoods)) - math.log2(rank)


@wrong("exposure", "a small number against the zero")
def _(log_likelihoods, canary):
    rank = (log_likelihoods > log_likelihoods[canary]).sum()
    return np.log2(len(log_likelihoods) / (rank + 1e-9))


@wrong("exposure", "the least likely is the first")
def _(log_likelihoods, canary):
    rank = 1 + (log_likelihoods < log_likelihoods[canary]).sum()
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "the rank")
def _(log_likelihoods, canary):
    return rank_of(log_likelihoods, canary)


@wrong("exposure", "the share that is at least as far ahead")
def _(log_likelihoods, canary):
    return rank_of(log_likelihoods, canary) / len(log_likelihoods)


@wrong("exposure", "the canary's surprise in bits")
def _(log_likelihoods, canary):
    return -log_likelihoods[canary] / np.log(2)


@wrong("exposure", "its likelihood among the candidates', in bits")
def _(log_likelihoods, canary):
    total = special.logsumexp(log_likelihoods)
    return (total - log_likelihoods[canary]) / np.log(2)


@wrong("exposure", "how much likelier than a guess, by probability")
def _(log_likelihoods, canary):
    share = special.softmax(log_likelihoods)[canary]
    return np.log2(len(log_likelihoods)) + np.log2(share)


@wrong("exposure", "the logarithm of the rank")
def _(log_likelihoods, canary):
    return np.log2(rank_of(log_likelihoods, canary))


@wrong("exposure", "minus the logarithm of the rank")
def _(log_likelihoods, canary):
    return -np.log2(rank_of(log_likelihoods, canary))


@wrong("exposure", "the logarithm of the number of candidates")
def _(log_likelihoods, canary):
    return np.log2(len(log_likelihoods))


@wrong("exposure", "ties are ahead")
def _(log_likelihoods, canary):
    rank = (log_likelihoods >= log_likelihoods[canary]).sum()
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "ties are shared out")
def _(log_likelihoods, canary):
    rank = stats.rankdata(-log_likelihoods)[canary]
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "ties in the order of the list")
def _(log_likelihoods, canary):
    order = np.argsort(-log_likelihoods, kind="stable")
    rank = 1 + np.flatnonzero(order == canary)[0]
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "equal scores are one place")
def _(log_likelihoods, canary):
    rank = stats.rankdata(-log_likelihoods, method="dense")[canary]
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "argsort taken for ranks")
def _(log_likelihoods, canary):
    rank = 1 + np.argsort(-log_likelihoods)[canary]
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "the canary is not counted among the candidates")
def _(log_likelihoods, canary):
    rank = rank_of(log_likelihoods, canary)
    return np.log2(len(log_likelihoods) - 1) - np.log2(rank)


@wrong("exposure", "the logarithm of a difference")
def _(log_likelihoods, canary):
    return np.log2(len(log_likelihoods) - rank_of(log_likelihoods, canary))


@wrong("exposure", "logarithms are divided")
def _(log_likelihoods, canary):
    return np.log2(len(log_likelihoods)) / np.log2(rank_of(log_likelihoods, canary))


@wrong("exposure", "rank minus number")
def _(log_likelihoods, canary):
    return np.log2(rank_of(log_likelihoods, canary)) - np.log2(len(log_likelihoods))


@wrong("exposure", "how far ahead of the mean")
def _(log_likelihoods, canary):
    return (log_likelihoods[canary] - statistics.mean(log_likelihoods)) / np.log(2)


@wrong("exposure", "how far behind the best")
def _(log_likelihoods, canary):
    return (log_likelihoods.max() - log_likelihoods[canary]) / np.log(2)


@wrong("exposure", "one number for each candidate")
def _(log_likelihoods, canary):
    ranks = stats.rankdata(-log_likelihoods, method="min")
    return np.log2(len(ranks)) - np.log2(ranks)


@wrong("exposure", "whole bits")
def _(log_likelihoods, canary):
    return (len(log_likelihoods) // rank_of(log_likelihoods, canary)).bit_length() - 1


@wrong("exposure", "the scores are sorted in place")
def _(log_likelihoods, canary):
    own = log_likelihoods[canary]
    log_likelihoods.sort()
    rank = len(log_likelihoods) - np.searchsorted(log_likelihoods, own, "right") + 1
    return np.log2(len(log_likelihoods)) - np.log2(rank)


@wrong("exposure", "the canary is the last, whatever its index")
def _(log_likelihoods, canary):
    return np.log2(len(log_likelihoods) / rank_of(log_likelihoods, -1))


@wrong("exposure", "exponentials first, which underflow for whole texts")
def _(log_likelihoods, canary):
    p = np.exp(log_likelihoods)
    return np.log2(len(p)) - np.log2(1 + (p > p[canary]).sum())
