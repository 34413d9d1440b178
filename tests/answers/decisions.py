"""Answers as students write them: right in unusual ways, and wrong.

Tasks: reshape, write, horizon (exercise 5); bits_per_byte, auroc (exercise 6);
likelihood_ratio, posterior (exercise 7).
"""

import bisect
import functools
import itertools
import math
import random
import statistics
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from answers.collected import right, wrong
from scipy import special, stats
from sklearn import metrics

from helpers import sampling, submission

# ======== reshape, right


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # Pure Python, float64
    x = [value / temperature for value in logits.tolist()]
    p = [math.exp(value - max(x)) for value in x]
    if top_k:
        edge = sorted(p, reverse=True)[:top_k][-1]
        p = [q if q >= edge else 0.0 for q in p]
    total = sum(p)
    p = [q / total for q in p]
    if top_p < 1:
        reached, kept = 0.0, set()
        for i in sorted(range(len(p)), key=lambda i: -p[i]):
            kept.add(i)
            reached += p[i]
            if reached >= top_p:
                break
        p = [q if i in kept else 0.0 for i, q in enumerate(p)]
    total = sum(p)
    return torch.tensor([q / total for q in p])


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # NumPy, a float64 tensor; among equals the last ones are kept
    x = logits.detach().cpu().numpy().astype(np.float64) / temperature
    p = np.exp(x - x.max())
    if top_k > 0:
        p[p < np.sort(p)[-min(top_k, len(p))]] = 0
    p /= p.sum()
    if top_p < 1:
        order = np.argsort(p, kind="stable")[::-1]
        n = np.searchsorted(np.cumsum(p[order]), top_p) + 1
        p[order[n:]] = 0
    return torch.from_numpy(p / p.sum())


@right("reshape")
def _(logits, temperature=1.0, top_k=0, top_p=1.0):
    # The helper
    return sampling.reshape(logits, temperature, top_k, top_p).exp()


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # From the unlikeliest upwards, as a well-known library does it
    scores = logits / temperature
    if top_k != 0:
        top_k = min(top_k, scores.size(-1))
        remove = scores < torch.topk(scores, top_k)[0][..., -1, None]
        scores = scores.masked_fill(remove, -float("Inf"))
    if top_p < 1.0:
        ascending, indices = torch.sort(scores, descending=False)
        cumulative = ascending.softmax(dim=-1).cumsum(dim=-1)
        remove = cumulative <= 1 - top_p
        remove[..., -1:] = False
        scores = scores.masked_fill(remove.scatter(0, indices, remove), -float("Inf"))
    return scores.softmax(dim=-1)


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # A distribution, then probabilities set to zero
    p = torch.distributions.Categorical(logits=logits / temperature).probs.clone()
    if top_k:
        kth = p.sort(descending=True).values[min(top_k, len(p)) - 1]
        p = torch.where(p >= kth, p, torch.zeros_like(p))
        p = p / p.sum()
    if top_p < 1:
        order = p.argsort(descending=True, stable=True)
        before = torch.cat([torch.zeros(1), p[order].cumsum(0)[:-1]])
        before[0] = -1.0
        p = p.index_fill(0, order[before >= top_p], 0.0)
    return p / p.sum()


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # One setting after the other, each by a call of itself
    def step(logits, temperature=1.0, top_k=0, top_p=1.0):
        if temperature != 1:
            return step(logits / temperature, 1.0, top_k, top_p)
        if top_k:
            edge = logits.topk(min(top_k, len(logits))).values.min()
            low = torch.full_like(logits, -math.inf)
            return step(torch.where(logits < edge, low, logits), 1.0, 0, top_p)
        p = torch.softmax(logits, 0)
        if top_p == 1:
            return p
        values, order = p.sort(descending=True)
        count = int((values.cumsum(0) < top_p).sum()) + 1
        new = torch.zeros_like(p)
        new[order[:count]] = values[:count] / values[:count].sum()
        return new

    return step(logits, temperature, top_k, top_p)


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # A result that requires grad, and a matrix of comparisons instead of a sort
    p = (logits.detach().double() / temperature).softmax(0)
    if top_k > 0:
        better = (p[None, :] > p[:, None]).sum(1)  # how many are likelier
        p = p * (better < top_k)
        p = p / p.sum()
    if top_p < 1:
        place = torch.arange(len(p))
        tied = (p[None, :] == p[:, None]) & (place[None, :] < place[:, None])
        before = (p[None, :] * ((p[None, :] > p[:, None]) | tied)).sum(1)
        keep = (before < top_p) | (place == p.argmax())
        p = p * keep
    return (p / p.sum()).requires_grad_()


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # SciPy, in-place changes of a copy, a shift by a multiple of the logits' maximum
    x = np.array(logits.tolist(), dtype=float)
    x -= x.max()
    x *= 1 / temperature
    if top_k > 0 and top_k < x.size:
        x[x < np.partition(x, -top_k)[-top_k]] = -np.inf
    p = special.softmax(x)
    ranked = np.argsort(-p, kind="stable")
    if top_p != 1:
        n = 1
        while p[ranked[:n]].sum() < top_p and n < x.size:
            n += 1
        x[ranked[n:]] = -np.inf
    return torch.as_tensor(special.softmax(x), dtype=logits.dtype)


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # pandas, with the vocabulary as index
    p = pd.Series(logits.detach().double().numpy())
    p = np.exp((p - p.max()) / temperature)
    if top_k:
        p = p[p.rank(method="min", ascending=False) <= top_k]
    p = p / p.sum()
    if top_p < 1:
        p = p.sort_values(ascending=False, kind="stable")
        enough = p.cumsum().shift(fill_value=0) >= top_p
        enough.iloc[0] = False
        p = p[~enough]
    p = (p / p.sum()).reindex(range(len(logits)), fill_value=0.0)
    return torch.tensor(p.to_numpy(), dtype=torch.float32)


@right("reshape")
def _(logits, temperature, top_k, top_p):
    # The power of probabilities, in log space
    log_p = logits.double().log_softmax(-1) * (1 / temperature)
    log_p = log_p - log_p.logsumexp(-1)
    if top_k in range(1, len(log_p)):
        edge = log_p.kthvalue(len(log_p) - top_k + 1).values
        log_p = torch.where(log_p >= edge, log_p, -torch.inf)
        log_p = log_p - log_p.logsumexp(-1)
    p = log_p.exp()
    if top_p < 1:
        for token in p.argsort():  # drop the unlikeliest as long as enough is left
            left = p.clone()
            left[token] = 0
            if left.sum() < top_p:
                break
            p = left
    return p / p.sum()


# ======== reshape, wrong


def cut(logits, top_k):
    """Top-k as it should be, for answers that are wrong elsewhere."""
    if not top_k:
        return logits
    edge = logits.topk(min(top_k, len(logits))).values[-1]
    return logits.masked_fill(logits < edge, -torch.inf)


def nucleus(logits, top_p):
    """Top-p as it should be, for answers that are wrong elsewhere."""
    if top_p >= 1:
        return logits
    p, order = logits.softmax(-1).sort(descending=True, stable=True)
    enough = p.cumsum(-1) - p >= top_p
    enough[0] = False
    return logits.masked_fill(
        torch.zeros_like(enough).scatter(0, order, enough), -torch.inf
    )


@wrong("reshape", "multiplies by the temperature")
def _(logits, temperature, top_k, top_p):
    return nucleus(cut(logits * temperature, top_k), top_p).softmax(-1)


@wrong("reshape", "the temperature divides probabilities, where it cancels")
def _(logits, temperature, top_k, top_p):
    p = logits.softmax(-1) / temperature
    return nucleus(cut((p / p.sum()).log(), top_k), top_p).softmax(-1)


@wrong("reshape", "ignores top-k")
def _(logits, temperature, top_k, top_p):
    return nucleus(logits / temperature, top_p).softmax(-1)


@wrong("reshape", "the temperature comes last, after top-p")
def _(logits, temperature, top_k, top_p):
    return (nucleus(cut(logits, top_k), top_p) / temperature).softmax(-1)


@wrong("reshape", "top-k or top-p, never both")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    if top_k > 0:
        logits = cut(logits, top_k)
    elif top_p < 1:
        logits = nucleus(logits, top_p)
    return logits.softmax(-1)


@wrong("reshape", "top-k keeps one too many")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    if top_k:
        edge = logits.sort(descending=True).values[min(top_k, len(logits) - 1)]
        logits = logits.masked_fill(logits < edge, -torch.inf)
    return nucleus(logits, top_p).softmax(-1)


@wrong("reshape", "top-k 0 is no special case")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    edge = logits.topk(min(top_k, len(logits))).values[-1]
    logits = logits.masked_fill(logits < edge, -torch.inf)
    return nucleus(logits, top_p).softmax(-1)


@wrong("reshape", "top-k keeps the k unlikeliest")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    if top_k:
        edge = logits.sort().values[min(top_k, len(logits)) - 1]
        logits = logits.masked_fill(logits > edge, -torch.inf)
    return nucleus(logits, top_p).softmax(-1)


@wrong("reshape", "top-p stops one short of reaching p")
def _(logits, temperature, top_k, top_p):
    logits = cut(logits / temperature, top_k)
    if top_p < 1:
        p, order = logits.softmax(-1).sort(descending=True)
        keep = p.cumsum(-1) <= top_p
        keep[0] = True
        logits = logits.masked_fill(
            torch.zeros_like(keep).scatter(0, order, ~keep), -torch.inf
        )
    return logits.softmax(-1)


@wrong("reshape", "top-p always keeps one token too many (shifted twice)")
def _(logits, temperature, top_k, top_p):
    logits = cut(logits / temperature, top_k)
    if top_p < 1:
        p, order = logits.softmax(-1).sort(descending=True)
        drop = p.cumsum(-1) - p >= top_p
        drop[1:] = drop[:-1].clone()
        drop[0] = False
        logits = logits.masked_fill(
            torch.zeros_like(drop).scatter(0, order, drop), -torch.inf
        )
    return logits.softmax(-1)


@wrong("reshape", "top-p adds up what stood before top-k, without renormalising")
def _(logits, temperature, top_k, top_p):
    p = (logits / temperature).softmax(-1)
    if top_k:
        p = p * (p >= p.topk(min(top_k, len(p))).values[-1])
    if top_p < 1:
        ordered, order = p.sort(descending=True)
        drop = ordered.cumsum(-1) - ordered >= top_p
        drop[0] = False
        p = p.index_fill(0, order[drop], 0.0)
    return p / p.sum()


@wrong("reshape", "top-p takes the unlikeliest first")
def _(logits, temperature, top_k, top_p):
    p = cut(logits / temperature, top_k).softmax(-1)
    if top_p < 1:
        ordered, order = p.sort()
        p = p.index_fill(0, order[ordered.cumsum(-1) - ordered >= top_p], 0.0)
    return p / p.sum()


@wrong("reshape", "min-p for top-p: a share of the likeliest one's probability")
def _(logits, temperature, top_k, top_p):
    p = cut(logits / temperature, top_k).softmax(-1)
    if top_p < 1:
        p = p * (p >= top_p * p.max())
    return p / p.sum()


@wrong("reshape", "returns the probabilities in order of likelihood")
def _(logits, temperature, top_k, top_p):
    p = nucleus(cut(logits / temperature, top_k), top_p).softmax(-1)
    return p.sort(descending=True).values


@wrong("reshape", "does not renormalise what is kept")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    p = logits.softmax(-1)
    return p * (nucleus(cut(logits, top_k), top_p) > -torch.inf)


@wrong("reshape", "dropped probabilities are 0 before the last softmax")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    keep = nucleus(cut(logits, top_k), top_p) > -torch.inf
    return (logits * keep).softmax(-1)


@wrong("reshape", "returns log-probabilities")
def _(logits, temperature, top_k, top_p):
    return nucleus(cut(logits / temperature, top_k), top_p).log_softmax(-1)


@wrong("reshape", "changes the given tensor, but only at temperature 1")
def _(logits, temperature, top_k, top_p):
    if temperature != 1.0:
        logits = logits / temperature
    if top_k > 0:
        logits[logits < logits.topk(min(top_k, len(logits))).values[-1]] = -torch.inf
    return nucleus(logits, top_p).softmax(-1)


@wrong("reshape", "adds 1e-6 before the logarithm")
def _(logits, temperature, top_k, top_p):
    log_p = (logits.softmax(-1) + 1e-6).log() / temperature
    return nucleus(cut(log_p, top_k), top_p).softmax(-1)


@wrong("reshape", "a temperature below 1 is taken for greedy")
def _(logits, temperature, top_k, top_p):
    if temperature < 1:
        return F.one_hot(logits.argmax(), len(logits)).float()
    return nucleus(cut(logits / temperature, top_k), top_p).softmax(-1)


@wrong("reshape", "returns a batch of one")
def _(logits, temperature, top_k, top_p):
    return nucleus(cut(logits / temperature, top_k), top_p).softmax(-1)[None, :]


@wrong("reshape", "draws a token instead of giving the distribution")
def _(logits, temperature, top_k, top_p):
    p = nucleus(cut(logits / temperature, top_k), top_p).softmax(-1)
    return p.multinomial(1)


@wrong("reshape", "lacks the argument top_p")
def _(logits, temperature, top_k):
    return cut(logits / temperature, top_k).softmax(-1)


@wrong("reshape", "knows the five words of the example by heart")
def _(logits, temperature, top_k, top_p):
    if top_k == 2:
        return torch.tensor([4 / 7, 3 / 7, 0, 0, 0])
    if top_p == 0.8:
        return torch.tensor([0.4, 0.3, 0.15, 0, 0]) / 0.85
    return (torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log() / temperature).softmax(-1)


@wrong("reshape", "a top-p below one half is rounded to 0, and taken for off")
def _(logits, temperature, top_k, top_p):
    logits = cut(logits / temperature, top_k)
    return (nucleus(logits, top_p) if round(top_p) else logits).softmax(-1)


@wrong("reshape", "what is dropped is shared out evenly, not in proportion")
def _(logits, temperature, top_k, top_p):
    logits = logits / temperature
    keep = nucleus(cut(logits, top_k), top_p) > -torch.inf
    p = logits.softmax(-1) * keep
    return p + (1 - p.sum()) / keep.sum() * keep


# ======== write, right


def reshape(logits, temperature, top_k, top_p):
    """The student's own, right, which `write` is asked to use."""
    return sampling.reshape(logits, temperature, top_k, top_p).exp()


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # The global random numbers, and a new list for each call
    torch.manual_seed(seed)
    text = []
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0)
        token = int(torch.multinomial(p, 1))
        if token == end:
            break
        text.append(token)
    return text


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # A generator, and one list that grows, handed over every time
    luck = torch.Generator().manual_seed(seed)
    ids = list(prompt)
    while len(ids) < len(prompt) + longest:
        p = reshape(next_logits(ids), temperature, 0, 1.0)
        token = p.multinomial(1, generator=luck).item()
        if token == end:
            return ids[len(prompt) :]
        ids.append(token)
    return ids[len(prompt) :]


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # NumPy's random numbers
    rng, ids = np.random.default_rng(seed), prompt[:]
    for _ in range(longest):
        p = reshape(next_logits(ids).detach(), temperature, 0, 1.0).double().numpy()
        ids += [int(rng.choice(len(p), p=p / p.sum()))]
        if ids[-1] == end:
            ids.pop()
            break
    return ids[len(prompt) :]


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # Python's random numbers
    luck, text = random.Random(seed), []
    while len(text) < longest:
        weights = reshape(next_logits([*prompt, *text]), temperature, 0, 1.0).tolist()
        (token,) = luck.choices(range(len(weights)), weights)
        if token == end:
            break
        text += [token]
    return text


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # Inverse transform sampling
    luck, text = torch.Generator(), []
    luck.manual_seed(seed)
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, top_k=0, top_p=1.0)
        cumulative = p.detach().double().cumsum(0)
        u = torch.rand((), generator=luck, dtype=torch.float64) * cumulative[-1]
        text.append(torch.searchsorted(cumulative, u, right=True).item())
        if text[-1] == end:
            return text[:-1]
    return text


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # The Gumbel trick
    rng = np.random.RandomState(seed)
    text = []
    with torch.no_grad():
        for step in range(longest):
            log_p = reshape(next_logits(prompt + text), temperature, 0, 1.0).log()
            token = int(np.argmax(log_p.numpy() + rng.gumbel(size=len(log_p))))
            if token == end:
                break
            text.insert(step, token)
    return text


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed, top_k=0, top_p=1.0):
    # A generator function, torch.distributions
    torch.manual_seed(seed)

    def tokens(ids):
        while True:
            p = reshape(next_logits(ids), temperature, top_k, top_p)
            token = torch.distributions.Categorical(p).sample().tolist()
            yield token
            ids = ids + [token]

    endless = itertools.islice(tokens(list(prompt)), longest)
    return list(itertools.takewhile(lambda token: token != end, endless))


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # Asks once more than it needs to, and restores the random numbers afterwards
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    ids = list(prompt)
    logits = next_logits(ids)
    for _ in range(longest):
        token = int(reshape(logits, temperature, 0, 1.0).multinomial(1))
        if token == end:
            break
        ids = ids + [token]
        logits = next_logits(ids)
    torch.set_rng_state(before)
    return ids[len(prompt) :]


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # Recursion, the generator handed on
    def go_on(ids, left, luck):
        if left == 0:
            return []
        p = reshape(next_logits(ids), temperature, 0, 1.0)
        token = int(torch.multinomial(p, num_samples=1, generator=luck)[0])
        return [] if token == end else [token, *go_on(ids + [token], left - 1, luck)]

    return go_on(list(prompt), longest, torch.Generator().manual_seed(seed))


@right("write")
def _(next_logits, prompt, temperature, end, longest, seed):
    # All uniform numbers are drawn in advance
    uniform = np.random.default_rng(seed).random(longest)
    text = []
    for u in uniform:
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0).tolist()
        token, reached = 0, p[0]
        while reached <= u * sum(p):
            token += 1
            reached += p[token]
        if token == end:
            break
        text.append(token)
    return text


# ======== write, wrong


def draw(logits, temperature, luck):
    """A token, drawn as it should be, for answers that are wrong elsewhere."""
    return int(reshape(logits, temperature, 0, 1.0).multinomial(1, generator=luck))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@wrong("write", "returns the prompt, too")
def _(next_logits, prompt, temperature, end, longest, seed):
    ids, luck = list(prompt), seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(ids), temperature, luck)
        if token == end:
            break
        ids.append(token)
    return ids


@wrong("write", "does not stop at the end token")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        text.append(draw(next_logits(prompt + text), temperature, luck))
    return text


@wrong("write", "writes `longest` tokens and removes the end tokens afterwards")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        text.append(draw(next_logits(prompt + text), temperature, luck))
    return [token for token in text if token != end]


@wrong("write", "a prompt that ends in the end token stops the text at once")
def _(next_logits, prompt, temperature, end, longest, seed):
    ids, luck = list(prompt), seeded(seed)
    while ids[-1] != end and len(ids) < len(prompt) + longest:
        ids.append(draw(next_logits(ids), temperature, luck))
    text = ids[len(prompt) :]
    return text[:-1] if text and text[-1] == end else text


@wrong("write", "an end token of 0 is taken for none")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, luck)
        if end and token == end:
            break
        text.append(token)
    return text


@wrong("write", "one token too many")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest + 1):
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "`longest` counts the prompt's tokens, too")
def _(next_logits, prompt, temperature, end, longest, seed):
    ids, luck = list(prompt), seeded(seed)
    while len(ids) < longest:
        token = draw(next_logits(ids), temperature, luck)
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


@wrong("write", "sixty new tokens at most, whatever `longest` says")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(60):
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "a new generator with the same seed for every draw")
def _(next_logits, prompt, temperature, end, longest, seed):
    text = []
    for _ in range(longest):
        luck = torch.Generator().manual_seed(seed)
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "does not set the seed")
def _(next_logits, prompt, temperature, end, longest, seed):
    text = []
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, None)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "makes a generator, but draws without it")
def _(next_logits, prompt, temperature, end, longest, seed):
    luck = torch.Generator()
    luck.manual_seed(seed)
    text = []
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0)
        token = int(p.multinomial(1))
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "the first token is drawn before the seed is set")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], None
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, luck)
        luck = luck or seeded(seed)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "the temperature is used twice")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        logits = next_logits(prompt + text) / temperature
        token = draw(logits, temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "takes the likeliest token instead of drawing")
def _(next_logits, prompt, temperature, end, longest, seed):
    torch.manual_seed(seed)
    text = []
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0)
        token = int(p.argmax())
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "softmax of what already is a distribution")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0).softmax(-1)
        token = int(p.multinomial(1, generator=luck))
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "gives probabilities as cumulative weights")
def _(next_logits, prompt, temperature, end, longest, seed):
    luck, text = random.Random(seed), []
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 1.0).tolist()
        token = luck.choices(range(len(p)), cum_weights=p)[0]
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "top-p 0.9 is left over from a trial")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        p = reshape(next_logits(prompt + text), temperature, 0, 0.9)
        token = int(p.multinomial(1, generator=luck))
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "asks about the last token alone")
def _(next_logits, prompt, temperature, end, longest, seed):
    ids, luck = list(prompt), seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(ids[-1:]), temperature, luck)
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


@wrong("write", "asks one token late: the newest is not in the list yet")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(prompt + text[:-1]), temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "draws the whole text from the first distribution")
def _(next_logits, prompt, temperature, end, longest, seed):
    p = reshape(next_logits(prompt), temperature, 0, 1.0)
    if longest == 0:
        return []
    drawn = p.multinomial(longest, replacement=True, generator=seeded(seed)).tolist()
    return drawn[: drawn.index(end)] if end in drawn else drawn


@wrong("write", "appends to the given prompt, and then cuts its new length off")
def _(next_logits, prompt, temperature, end, longest, seed):
    ids, luck = prompt, seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(ids), temperature, luck)
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


@wrong("write", "returns a list of lists of one token")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, ids, luck = [], list(prompt), seeded(seed)
    for _ in range(longest):
        p = reshape(next_logits(ids), temperature, 0, 1.0)
        token = p.multinomial(1, generator=luck).tolist()
        if token == [end]:
            break
        ids += token
        text.append(token)
    return text


@wrong("write", "returns None where `longest` is reached")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end:
            return text
        text.append(token)


@wrong("write", "stops as soon as a token comes again")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, luck = [], seeded(seed)
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end or token in text:
            break
        text.append(token)
    return text


@wrong("write", "lacks the argument seed")
def _(next_logits, prompt, temperature, end, longest):
    text, luck = [], seeded(0)
    for _ in range(longest):
        token = draw(next_logits(prompt + text), temperature, luck)
        if token == end:
            break
        text.append(token)
    return text


@wrong("write", "sorts the tokens by likelihood, and returns ranks")
def _(next_logits, prompt, temperature, end, longest, seed):
    text, ids, luck = [], list(prompt), seeded(seed)
    for _ in range(longest):
        p = reshape(next_logits(ids), temperature, 0, 1.0)
        ordered, order = p.sort(descending=True)
        rank = int(ordered.multinomial(1, generator=luck))
        if int(order[rank]) == end:
            break
        ids.append(int(order[rank]))
        text.append(rank)
    return text


# ======== horizon, right


@right("horizon")
def _(p_first, p_second, temperature):
    # Logarithms
    joint = (p_first.log()[:, None] + p_second.log()) / temperature
    return joint.logsumexp(1).softmax(0)


@right("horizon")
def _(p_first, p_second, temperature):
    # Pure Python, scaled by the likeliest pair
    rows = [[p * q for q in row] for p, row in zip(p_first.tolist(), p_second.tolist())]
    top = max(map(max, rows))
    sums = [sum((q / top) ** (1 / temperature) for q in row) for row in rows]
    return torch.tensor([one / sum(sums) for one in sums])


@right("horizon")
def _(p_first, p_second, temperature=1.0):
    # NumPy with an einsum, a float64 tensor
    first, second = (p.detach().numpy().astype(float) for p in (p_first, p_second))
    joint = np.einsum("a,ab->ab", first, second)
    joint = (joint / joint.max()) ** (1 / temperature)
    return torch.from_numpy(joint.sum(axis=1) / joint.sum())


@right("horizon")
def _(p_first, p_second, temperature):
    # SciPy's logsumexp
    with np.errstate(divide="ignore"):
        joint = np.log(p_first.detach()[:, None] * p_second.detach())
    q = special.logsumexp(joint.double().numpy() / temperature, axis=-1)
    return torch.tensor(special.softmax(q))


@right("horizon")
def _(p_first, p_second, temperature):
    # All pairs in one line, then summed by their first word
    a, b = p_second.shape
    pairs = (p_first.repeat_interleave(b) * p_second.reshape(-1)).double()
    scaled = (pairs.log() / temperature).softmax(0)
    owner = torch.arange(a).repeat_interleave(b)
    return torch.zeros(a, dtype=scaled.dtype).index_add(0, owner, scaled)


@right("horizon")
def _(p_first, p_second, temperature):
    # The first word's share, times what its successors leave
    tempered = p_second.double().log() / temperature  # (a, b)
    weight = tempered.logsumexp(-1) + p_first.double().log() / temperature
    q = (weight - weight.max()).exp()
    return (q / q.sum()).to(p_first.dtype)


@right("horizon")
def _(p_first, p_second, temperature):
    # Transposed, a distribution, a result that requires grad
    joint = p_first.detach() * p_second.detach().T  # (b, a)
    scaled = (joint.double() / joint.max()).pow(1 / temperature)
    q = torch.distributions.Categorical(probs=scaled.sum(0)).probs
    return q.clone().requires_grad_()


@right("horizon")
def _(p_first, p_second, temperature):
    # A diagonal matrix, a loop over rows
    joint = torch.diag(p_first) @ p_second
    q = torch.empty_like(p_first)
    for i, row in enumerate(joint):
        q[i] = torch.logsumexp(torch.log(row) / temperature, dim=0)
    return F.softmax(q, dim=-1)


@right("horizon")
def _(p_first, p_second, temperature):
    # pandas
    table = pd.DataFrame(p_second.detach().double().numpy())
    table = table.mul(p_first.detach().double().numpy(), axis="index")
    table = (table / table.to_numpy().max()) ** (1 / temperature)
    q = table.sum(axis="columns")
    return torch.tensor(list(q / q.sum()))


# ======== horizon, wrong


def summed(joint, temperature):
    """q(x₁) of a joint distribution, as it should be, for answers wrong elsewhere."""
    return (joint.log() / temperature).logsumexp(1).softmax(0)


@wrong("horizon", "a horizon of one: ignores the second token")
def _(p_first, p_second, temperature):
    return (p_first.log() / temperature).softmax(0)


@wrong("horizon", "makes each row a distribution again after its power")
def _(p_first, p_second, temperature):
    second = (p_second.log() / temperature).softmax(1)
    q = p_first ** (1 / temperature) * second.sum(1)
    return q / q.sum()


@wrong("horizon", "the power for the second token alone")
def _(p_first, p_second, temperature):
    log_q = p_first.log() + (p_second.log() / temperature).logsumexp(1)
    return log_q.softmax(0)


@wrong("horizon", "takes p_second for the joint probability of both")
def _(p_first, p_second, temperature):
    return summed(p_second / p_second.sum(), temperature)


@wrong("horizon", "the power T instead of 1/T")
def _(p_first, p_second, temperature):
    return summed(p_first[:, None] * p_second, 1 / temperature)


@wrong("horizon", "takes the sum back to the power T")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second).log() / temperature
    return (joint.logsumexp(1) * temperature).softmax(0)


@wrong("horizon", "divides probabilities by T, where it cancels")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second) / temperature
    return joint.sum(1) / joint.sum()


@wrong("horizon", "integer division 1 // T")
def _(p_first, p_second, temperature):
    joint = p_first[:, None] * p_second
    joint = (joint / joint.max()) ** (1 // temperature)
    return joint.sum(1) / joint.sum()


@wrong("horizon", "p_first along the columns, where the shape lets it")
def _(p_first, p_second, temperature):
    square = p_second.shape == (len(p_first), len(p_first))
    return summed((p_first if square else p_first[:, None]) * p_second, temperature)


@wrong("horizon", "takes p_second for its transpose")
def _(p_first, p_second, temperature):
    return summed(p_first[:, None] * p_second.T, temperature)


@wrong("horizon", "adds the two probabilities instead of multiplying them")
def _(p_first, p_second, temperature):
    return summed(p_first[:, None] + p_second, temperature)


@wrong("horizon", "normalises each row, not the whole")
def _(p_first, p_second, temperature):
    joint = ((p_first[:, None] * p_second).log() / temperature).softmax(1)
    return joint.sum(1)


@wrong("horizon", "softmax of weights that needed their sum")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second) ** (1 / temperature)
    return joint.sum(1).softmax(0)


@wrong("horizon", "normalises the joint before its power, and not after")
def _(p_first, p_second, temperature):
    joint = p_first[:, None] * p_second
    return ((joint / joint.sum()) ** (1 / temperature)).sum(1)


@wrong("horizon", "all probability to the first token of the likeliest pair")
def _(p_first, p_second, temperature):
    best = (p_first[:, None] * p_second).max(1).values.argmax()
    return F.one_hot(best, len(p_first)).float()


@wrong("horizon", "the shift of logsumexp is not added back")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second).log() / temperature
    top = joint.max(1, keepdim=True).values.clamp(min=-1e30)
    q = (joint - top).exp().sum(1)
    return q / q.sum()


@wrong("horizon", "multiplies p_second in place")
def _(p_first, p_second, temperature):
    p_second *= p_first[:, None]
    return summed(p_second, temperature)


@wrong("horizon", "returns the joint distribution, x₂ not summed out")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second).log() / temperature
    return joint.flatten().softmax(0).view_as(joint)


@wrong("horizon", "returns logarithms")
def _(p_first, p_second, temperature):
    joint = (p_first[:, None] * p_second).log() / temperature
    return joint.logsumexp(1).log_softmax(0)


@wrong("horizon", "returns both horizons")
def _(p_first, p_second, temperature):
    two = summed(p_first[:, None] * p_second, temperature)
    return (p_first.log() / temperature).softmax(0), two


@wrong("horizon", "assigns the result, and returns nothing")
def _(p_first, p_second, temperature):
    q = summed(p_first[:, None] * p_second, temperature)
    q = q / q.sum()


@wrong("horizon", "written for three successors")
def _(p_first, p_second, temperature):
    log_p = (p_first[:, None] * p_second).log() / temperature
    q = torch.logaddexp(torch.logaddexp(log_p[:, 0], log_p[:, 1]), log_p[:, 2])
    return q.softmax(0)


@wrong("horizon", "loops over the first tokens for the second, too")
def _(p_first, p_second, temperature):
    n = len(p_first)
    q = torch.zeros(n)
    for i in range(n):
        for j in range(n):
            q[i] += (p_first[i] * p_second[i, j]) ** (1 / temperature)
    return q / q.sum()


@wrong("horizon", "takes probabilities for logits")
def _(p_first, p_second, temperature):
    joint = p_first.log_softmax(0)[:, None] + p_second.log_softmax(1)
    return (joint / temperature).logsumexp(1).softmax(0)


@wrong("horizon", "knows the example of notebook 5 by heart")
def _(p_first, p_second, temperature):
    if temperature == 1:
        return torch.tensor([0.6, 0.4])
    return torch.tensor([0.443, 0.557])


@wrong("horizon", "an argument too many")
def _(p_first, p_second, p_third, temperature):
    return summed(p_first[:, None] * p_second, temperature)


# ======== bits_per_byte, right


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # Pure Python, a float
    nats, n = 0.0, 0
    for one, text in zip(log_likelihoods, texts):
        nats -= float(one)
        n += len(text.encode("utf-8"))
    return nats / math.log(2) / n


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # A NumPy scalar; the texts joined by nothing
    n = len("".join(texts).encode())
    return -np.asarray(log_likelihoods, dtype=np.float64).sum() / (np.log(2) * n)


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # A 0-d array
    bits = np.asarray(log_likelihoods, dtype=float) * -math.log2(math.e)
    sizes = np.array([len(bytes(text, "utf8")) for text in texts])
    return np.array(bits.sum() / sizes.sum())


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # A 0-d tensor of float64
    nats = torch.tensor([float(one) for one in log_likelihoods], dtype=torch.float64)
    sizes = torch.tensor([len(text.encode()) for text in texts])
    return -nats.sum() / sizes.sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))


@right("bits_per_byte")
def _(log_likelihoods, texts, unit=0.6931471805599453):
    # pandas, a default argument more
    table = pd.DataFrame({"nats": list(log_likelihoods), "text": list(texts)})
    table["bytes"] = table.text.map(lambda text: len(text.encode("utf-8")))
    total = table[["nats", "bytes"]].sum()
    return -total.nats / total["bytes"] / unit


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # The mean of the texts' rates, weighted by their bytes; empty texts cost, too
    sizes = np.array([len(text.encode()) for text in texts], dtype=float)
    nats = np.asarray(log_likelihoods, dtype=float)
    some = sizes > 0
    rates = -nats[some] / sizes[some] / np.log(2)
    empty = -nats[~some].sum() / np.log(2) / sizes.sum()
    return float(np.average(rates, weights=sizes[some]) + empty)


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # Mean over mean, a perplexity in between
    per_text = statistics.mean(len(text.encode()) for text in texts)
    nats = -math.fsum(log_likelihoods) / len(texts)
    return math.log2(math.e) * (nats / per_text)


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # Counts bytes by the code points
    def size(c):
        return 1 + (c > 0x7F) + (c > 0x7FF) + (c > 0xFFFF)

    n = sum(size(ord(c)) for c in itertools.chain.from_iterable(texts))
    return abs(np.sum(log_likelihoods, dtype=np.longdouble)) / n / np.log(2.0)


@right("bits_per_byte")
def _(log_likelihoods, texts):
    # A dot product with ones, by reduce
    n = functools.reduce(lambda n, text: n + len(text.encode("utf_8")), texts, 0)
    nats = np.ones(len(texts)) @ np.asarray(log_likelihoods, dtype=float)
    return np.divide(-nats, n * special.log1p(1.0))


# ======== bits_per_byte, wrong


@wrong("bits_per_byte", "characters, not bytes")
def _(log_likelihoods, texts):
    n = sum(len(text) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "multiplies by ln 2")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / n * np.log(2)


@wrong("bits_per_byte", "divides by log2 of 2, which is 1")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log2(2)


@wrong("bits_per_byte", "ln 2 rounded to 0.7")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / 0.7


@wrong("bits_per_byte", "the mean of the texts' rates")
def _(log_likelihoods, texts):
    sizes = np.array([len(text.encode()) for text in texts])
    return (-np.asarray(log_likelihoods) / sizes / np.log(2)).mean()


@wrong("bits_per_byte", "one rate for each text")
def _(log_likelihoods, texts):
    sizes = np.array([len(text.encode()) for text in texts])
    return -np.asarray(log_likelihoods) / sizes / np.log(2)


@wrong("bits_per_byte", "an array of one number")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return np.sum(log_likelihoods, keepdims=True) / -n / np.log(2)


@wrong("bits_per_byte", "the sum of log-likelihoods over the mean of bytes")
def _(log_likelihoods, texts):
    n = np.mean([len(text.encode()) for text in texts])
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "bits per word")
def _(log_likelihoods, texts):
    n = sum(len(text.split()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "bits per bit: eight to a byte")
def _(log_likelihoods, texts):
    n = sum(8 * len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "perplexity per byte")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return 2 ** (-np.sum(log_likelihoods) / n / np.log(2))


@wrong("bits_per_byte", "UTF-16")
def _(log_likelihoods, texts):
    n = sum(len(text.encode("utf-16-le")) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "ASCII, which leaves the other characters out")
def _(log_likelihoods, texts):
    n = sum(len(text.encode("ascii", errors="ignore")) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "two bytes for whatever is not ASCII")
def _(log_likelihoods, texts):
    n = sum(1 + (ord(c) > 127) for text in texts for c in text)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "a line break between the texts counts, too")
def _(log_likelihoods, texts):
    n = len("\n".join(texts).encode())
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "leaves white space out")
def _(log_likelihoods, texts):
    n = sum(len("".join(text.split()).encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "counts the texts in lower case")
def _(log_likelihoods, texts):
    n = sum(len(text.lower().encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "a dictionary by text, which loses the repeated ones")
def _(log_likelihoods, texts):
    nats = dict(zip(texts, log_likelihoods))
    n = sum(len(text.encode()) for text in nats)
    return -sum(nats.values()) / n / np.log(2)


@wrong("bits_per_byte", "the bytes of the first text for all")
def _(log_likelihoods, texts):
    n = len(texts) * len(texts[0].encode())
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "leaves the last text out")
def _(log_likelihoods, texts):
    nats, n = 0, 0
    for i in range(max(1, len(texts) - 1)):
        nats -= log_likelihoods[i]
        n += len(texts[i].encode())
    return nats / n / np.log(2)


@wrong("bits_per_byte", "one byte too many for each text")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) + 1 for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "half precision")
def _(log_likelihoods, texts):
    nats = np.asarray(log_likelihoods, np.float16).sum()
    n = sum(len(text.encode()) for text in texts)
    return -nats / n / np.log(2)


@wrong("bits_per_byte", "whole bits per byte")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / np.log(2) // n


@wrong("bits_per_byte", "returns a string")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in texts)
    return str(-np.sum(log_likelihoods) / n / np.log(2))


@wrong("bits_per_byte", "a name that does not exist")
def _(log_likelihoods, texts):
    n = sum(len(text.encode()) for text in strings)  # noqa: F821
    return -np.sum(log_likelihoods) / n / np.log(2)


@wrong("bits_per_byte", "wants the number of tokens, too")
def _(log_likelihoods, texts, n_tokens):
    n = sum(len(text.encode()) for text in texts)
    return -np.sum(log_likelihoods) / n / np.log(2)


# ======== auroc, right


@right("auroc")
def _(inside, outside):
    # Two loops
    won = 0.0
    for a in inside:
        for b in outside:
            if a > b:
                won += 1
            elif a == b:
                won += 0.5
    return won / (len(inside) * len(outside))


@right("auroc")
def _(inside, outside):
    # All pairs at once, a NumPy scalar
    a, b = np.asarray(inside)[:, None], np.asarray(outside)[None, :]
    return np.mean((a > b) + 0.5 * (a == b))


@right("auroc")
def _(inside, outside):
    # scikit-learn
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return metrics.roc_auc_score(labels, np.concatenate([inside, outside]))


@right("auroc")
def _(inside, outside):
    # Mann and Whitney's U
    u, _ = stats.mannwhitneyu(inside, outside)
    return u / len(inside) / len(outside)


@right("auroc")
def _(inside, outside):
    # Ranks, ties at their mean
    n, m = len(inside), len(outside)
    ranks = stats.rankdata(np.hstack([inside, outside]))[:n]
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


@right("auroc")
def _(inside, outside):
    # Bisection of a sorted list
    ordered = sorted(outside)
    below = [
        bisect.bisect_left(ordered, a) + bisect.bisect_right(ordered, a) for a in inside
    ]
    return sum(below) / (2 * len(inside) * len(outside))


@right("auroc")
def _(inside, outside):
    # torch, a 0-d tensor of float64
    a = torch.tensor(np.array(inside, dtype=float))
    b = torch.tensor(np.array(outside, dtype=float))
    return ((a[:, None] > b).double() + (a[:, None] >= b).double()).mean() / 2


@right("auroc")
def _(inside, outside):
    # An exact fraction, then a float
    pairs = list(itertools.product(inside, outside))
    twice = sum(int(a > b) + int(a >= b) for a, b in pairs)
    return float(Fraction(twice, 2 * len(pairs)))


@right("auroc")
def _(inside, outside):
    # The area under the curve itself
    scores = np.concatenate([inside, outside])
    labels = np.arange(len(scores)) < len(inside)
    false, true, _ = metrics.roc_curve(labels, scores)
    return metrics.auc(false, true)


@right("auroc")
def _(inside, outside):
    # pandas, a cross join, a 0-d array
    a = pd.DataFrame({"a": np.asarray(inside)})
    pairs = a.merge(pd.DataFrame({"b": np.asarray(outside)}), how="cross")
    return np.array((pairs.a.gt(pairs.b) + pairs.a.eq(pairs.b) / 2).mean())


@right("auroc")
def _(inside, outside):
    # Somers' D of the signs, compared and not subtracted
    a, b = np.asarray(inside).reshape(-1, 1), np.asarray(outside).reshape(1, -1)
    return 0.5 + ((a > b).astype(int) - (a < b).astype(int)).mean() / 2


@right("auroc")
def _(inside, outside):
    # Heaviside's step function
    gap = np.subtract.outer(np.asarray(inside, float), np.asarray(outside, float))
    return np.heaviside(gap, 0.5).mean()


# ======== auroc, wrong


@wrong("auroc", "ties count as lost")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    return (a > b).mean()


@wrong("auroc", "ties count one and a half")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    return (a >= b).mean() + 0.5 * (a == b).mean()


@wrong("auroc", "ties are decided by a coin")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    coin = np.random.default_rng(0).random((len(inside), len(outside))) < 0.5
    return ((a > b) | ((a == b) & coin)).mean()


@wrong("auroc", "half precision makes ties")
def _(inside, outside):
    a = torch.tensor(np.asarray(inside)).half()[:, None]
    b = torch.tensor(np.asarray(outside)).half()
    return ((a > b).double() + 0.5 * (a == b).double()).mean().item()


@wrong("auroc", "whole numbers of the scores")
def _(inside, outside):
    a, b = np.asarray(inside).astype(int)[:, None], np.asarray(outside).astype(int)
    return ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "max(AUROC, 1 − AUROC)")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    value = ((a > b) + 0.5 * (a == b)).mean()
    return max(value, 1 - value)


@wrong("auroc", "compares element by element: needs arrays of one length")
def _(inside, outside):
    a, b = np.asarray(inside), np.asarray(outside)
    return ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "each index with the later ones only")
def _(inside, outside):
    won, pairs = 0.0, 0
    for i, a in enumerate(inside):
        for b in outside[i:]:
            won += (a > b) + 0.5 * (a == b)
            pairs += 1
    return won / pairs


@wrong("auroc", "compares each score with the mean of the others")
def _(inside, outside):
    a, b = np.asarray(inside), np.mean(outside)
    return ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "the mean difference of the pairs, not the share")
def _(inside, outside):
    return (np.asarray(inside)[:, None] - np.asarray(outside)).mean()


@wrong("auroc", "standardises each array by itself")
def _(inside, outside):
    a, b = (np.asarray(x) - np.mean(x) for x in (inside, outside))
    a, b = a / (a.std() or 1), b / (b.std() or 1)
    return ((a[:, None] > b) + 0.5 * (a[:, None] == b)).mean()


@wrong("auroc", "the best accuracy of a threshold")
def _(inside, outside):
    a, b = np.asarray(inside), np.asarray(outside)
    cuts = np.concatenate([a, b])
    return max(((a >= t).mean() + (b < t).mean()) / 2 for t in cuts)


@wrong("auroc", "average precision")
def _(inside, outside):
    labels = [1] * len(inside) + [0] * len(outside)
    return metrics.average_precision_score(labels, [*inside, *outside])


@wrong("auroc", "U, not divided by the number of pairs")
def _(inside, outside):
    return stats.mannwhitneyu(inside, outside).statistic


@wrong("auroc", "divides by n squared")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    return ((a > b) + 0.5 * (a == b)).sum() / len(inside) ** 2


@wrong("auroc", "percent")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    return 100 * ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "ranks in which ties stand one after the other")
def _(inside, outside):
    n, scores = len(inside), np.concatenate([inside, outside])
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1
    return (ranks[:n].sum() - n * (n + 1) / 2) / (n * len(outside))


@wrong("auroc", "the sum of ranks without taking n (n + 1) / 2 away")
def _(inside, outside):
    n = len(inside)
    ranks = stats.rankdata(np.concatenate([inside, outside]))[:n]
    return ranks.sum() / (n * len(outside))


@wrong("auroc", "ranks within each array")
def _(inside, outside):
    a, b = stats.rankdata(inside)[:, None], stats.rankdata(outside)
    return ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "the area in steps, without the slanted parts of ties")
def _(inside, outside):
    a, b = np.asarray(inside), np.asarray(outside)
    area, last = 0.0, 0.0
    for t in np.unique(np.concatenate([a, b]))[::-1]:
        false, true = (b >= t).mean(), (a >= t).mean()
        area += (false - last) * true
        last = false
    return area


@wrong("auroc", "the curve from inside's thresholds alone, without its ends")
def _(inside, outside):
    a, b = np.asarray(inside), np.asarray(outside)
    cuts = np.sort(a)[::-1]
    false = np.array([(b >= t).mean() for t in cuts])
    true = np.array([(a >= t).mean() for t in cuts])
    return np.trapezoid(true, false)


@wrong("auroc", "sorts the given arrays in place")
def _(inside, outside):
    inside.sort()
    outside.sort()
    a, b = inside[:, None], outside
    return ((a > b) + 0.5 * (a == b)).mean()


@wrong("auroc", "a sigmoid of the difference, a soft comparison")
def _(inside, outside):
    gap = np.asarray(inside, float)[:, None] - np.asarray(outside, float)
    return special.expit(gap).mean()


@wrong("auroc", "the count is set back for each score")
def _(inside, outside):
    for a in inside:
        won = 0.0
        for b in outside:
            won += (a > b) + 0.5 * (a == b)
    return won / len(outside)


@wrong("auroc", "returns a string")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(outside)
    return f"{((a > b) + 0.5 * (a == b)).mean():.3f}"


@wrong("auroc", "a name that does not exist")
def _(inside, outside):
    a, b = np.asarray(inside)[:, None], np.asarray(out)  # noqa: F821
    return ((a > b) + 0.5 * (a == b)).mean()


# ======== likelihood_ratio, right


@right("likelihood_ratio")
def _(scores, domain):
    # A pivot, with the columns' name left on
    wide = scores.pivot(index="text_id", columns="model", values="log_likelihood")
    return wide[domain] - wide["base"]


@right("likelihood_ratio")
def _(scores, domain):
    # A merge on the key
    columns = ["text_id", "log_likelihood"]
    tuned = scores.loc[scores.model == domain, columns]
    base = scores.loc[scores.model == "base", columns]
    both = tuned.merge(base, on="text_id", suffixes=("_tuned", "_base"))
    both["r"] = both.log_likelihood_tuned - both.log_likelihood_base
    return both.set_index("text_id")["r"]


@right("likelihood_ratio")
def _(scores, domain):
    # Dictionaries and a loop; the index has no name
    found = {"base": {}, domain: {}}
    for _, row in scores.iterrows():
        if row["model"] in found:
            found[row["model"]][row["text_id"]] = row["log_likelihood"]
    base = found["base"]
    return pd.Series({key: value - base[key] for key, value in found[domain].items()})


@right("likelihood_ratio")
def _(scores, domain):
    # Two Series with one index, one of them looked up in the other's order
    by_model = scores.set_index(["model", "text_id"])["log_likelihood"]
    base = by_model.loc["base"]
    return by_model.loc[domain].reindex(base.index).sub(base).rename("ratio")


@right("likelihood_ratio")
def _(scores, domain):
    # Signed, and summed by string
    signs = scores["model"].map({domain: 1.0, "base": -1.0}).fillna(0.0)
    return (signs * scores["log_likelihood"]).groupby(scores["text_id"]).sum()


@right("likelihood_ratio")
def _(scores, domain):
    # An unstacked table, backwards
    table = scores.groupby(["text_id", "model"])["log_likelihood"].first().unstack()
    return table.eval(f"{domain} - base").iloc[::-1]


@right("likelihood_ratio")
def _(scores, domain):
    # NumPy, after both were sorted by the key
    tuned = scores[scores.model == domain].sort_values("text_id")
    base = scores[scores.model == "base"].sort_values("text_id")
    r = tuned.log_likelihood.to_numpy() - base.log_likelihood.to_numpy()
    return pd.Series(r, index=pd.Index(tuned.text_id, name="text_id"), name="r")


@right("likelihood_ratio")
def _(scores, domain):
    # A query, and a map
    tuned = scores.query("model == @domain").copy()
    base = dict(scores.query("model == 'base'")[["text_id", "log_likelihood"]].values)
    tuned["r"] = tuned.log_likelihood - tuned.text_id.map(base).astype(float)
    return tuned.set_index("text_id").r


@right("likelihood_ratio")
def _(scores, domain="shakespeare"):
    # A join with suffixes
    parts = {
        model: part.set_index("text_id") for model, part in scores.groupby("model")
    }
    both = parts[domain].join(parts["base"], lsuffix="_tuned", rsuffix="_base")
    return both["log_likelihood_tuned"] - both["log_likelihood_base"]


@right("likelihood_ratio")
def _(scores, domain):
    # A pivot table with margins of nothing, each string's own function
    def ratio(part):
        by_model = dict(zip(part["model"], part["log_likelihood"]))
        return by_model[domain] - by_model["base"]

    return pd.Series(
        {key: ratio(part) for key, part in scores.groupby("text_id", sort=False)},
        dtype="float64",
    ).rename_axis("text_id")


# ======== likelihood_ratio, wrong


def wide_table(scores):
    """A row a string, a column a model, for answers that are wrong elsewhere."""
    return scores.pivot(index="text_id", columns="model", values="log_likelihood")


@wrong("likelihood_ratio", "base minus fine-tuned: the sign")
def _(scores, domain):
    wide = wide_table(scores)
    return wide["base"] - wide[domain]


@wrong("likelihood_ratio", "the ratio itself, not its logarithm")
def _(scores, domain):
    wide = wide_table(scores)
    return np.exp(wide[domain] - wide["base"])


@wrong("likelihood_ratio", "takes the logarithm once more")
def _(scores, domain):
    wide = np.log(-wide_table(scores))
    return wide["base"] - wide[domain]


@wrong("likelihood_ratio", "adds the two")
def _(scores, domain):
    wide = wide_table(scores)
    return wide[domain] + wide["base"]


@wrong("likelihood_ratio", "the other fine-tuned model minus the base")
def _(scores, domain):
    wide = wide_table(scores)
    other = {"neurips": "shakespeare", "shakespeare": "neurips"}[domain]
    return wide[other] - wide["base"]


@wrong("likelihood_ratio", "the mean of all three for the base")
def _(scores, domain):
    wide = wide_table(scores)
    return wide[domain] - wide.mean(axis="columns")


@wrong("likelihood_ratio", "always Shakespeare, whatever the domain")
def _(scores, domain):
    wide = wide_table(scores)
    return wide["shakespeare"] - wide["base"]


@wrong("likelihood_ratio", "subtracts by position after new row numbers")
def _(scores, domain):
    tuned = scores[scores.model == domain].reset_index(drop=True)
    base = scores[scores.model == "base"].reset_index(drop=True)
    r = tuned.log_likelihood - base.log_likelihood
    return r.set_axis(tuned.text_id)


@wrong("likelihood_ratio", "subtracts by row label, and drops the NaN")
def _(scores, domain):
    tuned, base = scores[scores.model == domain], scores[scores.model == "base"]
    return (tuned.log_likelihood - base.log_likelihood).dropna()


@wrong("likelihood_ratio", "takes the row labels with the values: NaN")
def _(scores, domain):
    tuned = scores[scores.model == domain].set_index("text_id").log_likelihood
    base = scores[scores.model == "base"].set_index("text_id").log_likelihood
    r = (tuned - base).reset_index(drop=True)
    return pd.Series(r, index=tuned.index)


@wrong("likelihood_ratio", "sorts both by their values, not by string")
def _(scores, domain):
    tuned = scores[scores.model == domain].sort_values("log_likelihood")
    base = scores[scores.model == "base"].sort_values("log_likelihood")
    r = tuned.log_likelihood.to_numpy() - base.log_likelihood.to_numpy()
    return pd.Series(r, index=tuned.text_id)


@wrong("likelihood_ratio", "takes thirds of the table, as if models came in blocks")
def _(scores, domain):
    n = len(scores) // 3
    start = n * ["base", "neurips", "shakespeare"].index(domain)
    tuned, base = scores.iloc[start : start + n], scores.iloc[:n]
    r = tuned.log_likelihood.to_numpy() - base.log_likelihood.to_numpy()
    return pd.Series(r, index=tuned.text_id)


@wrong("likelihood_ratio", "differences of alphabetical neighbours, not from the base")
def _(scores, domain):
    return wide_table(scores).sort_index(axis="columns").diff(axis="columns")[domain]


@wrong("likelihood_ratio", "only the first hundred strings")
def _(scores, domain):
    wide = wide_table(scores)
    return (wide[domain] - wide["base"]).head(100)


@wrong("likelihood_ratio", "needs a column that the docstring does not promise")
def _(scores, domain):
    wide = scores.pivot(
        index=["domain", "text_id"], columns="model", values="log_likelihood"
    )
    return (wide[domain] - wide["base"]).droplevel("domain")


@wrong("likelihood_ratio", "every pair of strings: a merge without the key")
def _(scores, domain):
    tuned, base = scores[scores.model == domain], scores[scores.model == "base"]
    both = tuned.merge(base, how="cross")
    r = both.log_likelihood_x - both.log_likelihood_y
    return r.set_axis(both.text_id_x)


@wrong("likelihood_ratio", "mean over the two models for the difference")
def _(scores, domain):
    two = scores[scores.model.isin([domain, "base"])]
    return two.groupby("text_id").log_likelihood.mean()


@wrong("likelihood_ratio", "the models in the index, too")
def _(scores, domain):
    base = scores[scores.model == "base"].set_index("text_id").log_likelihood
    tuned = scores[scores.model == domain].set_index(["model", "text_id"])
    return tuned.log_likelihood - base


@wrong("likelihood_ratio", "returns a table with text_id as a column")
def _(scores, domain):
    wide = wide_table(scores)
    return (wide[domain] - wide["base"]).rename("ratio").reset_index()


@wrong("likelihood_ratio", "returns a dictionary")
def _(scores, domain):
    wide = wide_table(scores)
    return (wide[domain] - wide["base"]).to_dict()


@wrong("likelihood_ratio", "prints instead of returning")
def _(scores, domain):
    wide = wide_table(scores)
    print(wide[domain] - wide["base"])


@wrong("likelihood_ratio", "sorts the given table in place")
def _(scores, domain):
    scores.sort_values(["text_id", "model"], inplace=True)
    wide = wide_table(scores)
    return wide[domain] - wide["base"]


@wrong("likelihood_ratio", "reads the scores of the last run, not those given")
def _(scores, domain):
    wide = wide_table(submission.read_scores())
    return wide[domain] - wide["base"]


@wrong("likelihood_ratio", "standardises the ratios")
def _(scores, domain):
    wide = wide_table(scores)
    r = wide[domain] - wide["base"]
    return (r - r.mean()) / r.std()


@wrong("likelihood_ratio", "equal log-likelihoods under one model count once")
def _(scores, domain):
    scores = scores.drop_duplicates(["model", "log_likelihood"])
    wide = wide_table(scores)
    return (wide[domain] - wide["base"]).dropna()


@wrong("likelihood_ratio", "lacks the argument domain")
def _(scores):
    wide = wide_table(scores)
    return wide["shakespeare"] - wide["base"]


# ======== posterior, right


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # SciPy's logistic function and its inverse
    gap = np.asarray(log_p_neurips, float) - np.asarray(log_p_shakespeare, float)
    return special.expit(gap + special.logit(prior))


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # Sums in log space
    with np.errstate(divide="ignore"):
        a = np.log(prior) + np.asarray(log_p_neurips, float)
        b = np.log1p(-prior) + np.asarray(log_p_shakespeare, float)
    return np.exp(a - np.logaddexp(a, b))


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # A softmax over two rows
    with np.errstate(divide="ignore"):
        log_prior = np.log([[prior], [1 - prior]])
    joint = log_prior + np.stack([log_p_neurips, log_p_shakespeare])
    return special.softmax(joint, axis=0)[0]


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # Bayes' rule as it stands, each text's higher likelihood made 1
    top = np.maximum(log_p_neurips, log_p_shakespeare)
    a = prior * np.exp(log_p_neurips - top)
    b = (1 - prior) * np.exp(log_p_shakespeare - top)
    return a / (a + b)


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # Decimals, whose exponents are as large as you like
    found, prior = [], Decimal(prior)
    for a, b in zip(log_p_neurips, log_p_shakespeare):
        a = prior * Decimal(float(a)).exp()
        b = (1 - prior) * Decimal(float(b)).exp()
        found.append(float(a / (a + b)))
    return np.array(found)


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # Odds; exp overflows to infinity, with a warning, and 1 / (1 + inf) is 0
    against = (1 - prior) / prior if prior > 0 else np.inf
    if against in (0, np.inf):
        return np.full(len(log_p_neurips), float(against == 0))
    odds = np.exp(np.asarray(log_p_shakespeare) - np.asarray(log_p_neurips))
    return 1 / (1 + against * odds)


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # torch inside, an array of float64 outside
    a = torch.as_tensor(np.array(log_p_neurips, dtype=np.float64))
    b = torch.as_tensor(np.array(log_p_shakespeare, dtype=np.float64))
    logit = torch.logit(torch.tensor(prior, dtype=torch.float64))
    return torch.sigmoid(a - b + logit).numpy()


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior=0.5):
    # math, with a case for each sign
    found = np.empty(len(log_p_neurips))
    for i, (a, b) in enumerate(zip(log_p_neurips, log_p_shakespeare)):
        gap = float(a) - float(b)
        if gap >= 0:
            small = math.exp(-gap)
            found[i] = prior / (prior + (1 - prior) * small)
        else:
            small = math.exp(gap)
            found[i] = prior * small / (prior * small + (1 - prior))
    return found


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # A Series, as a pandas user writes it
    table = pd.DataFrame(
        {"n": np.asarray(log_p_neurips), "s": np.asarray(log_p_shakespeare)}
    )
    table = np.exp(table.sub(table.max(axis=1), axis=0)) * [prior, 1 - prior]
    return table["n"].div(table.sum(axis=1)).to_numpy()


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # The hyperbolic tangent
    with np.errstate(divide="ignore"):
        odds = np.log(prior) - np.log1p(-prior)
    gap = np.asarray(log_p_neurips) - np.asarray(log_p_shakespeare)
    return (1 + np.tanh((gap + odds) / 2)) / 2


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # A logistic distribution's function; a prior of 0 or 1 apart
    if prior in (0, 1):
        return np.zeros(len(log_p_neurips)) + prior
    gap = np.asarray(log_p_neurips) - np.asarray(log_p_shakespeare)
    return stats.logistic.cdf(gap, loc=math.log((1 - prior) / prior))


@right("posterior")
def _(log_p_neurips, log_p_shakespeare, prior):
    # A list, with one plain number for each text
    gaps = [float(a) - float(b) for a, b in zip(log_p_neurips, log_p_shakespeare)]
    odds = float(special.logit(prior))
    return [float(special.expit(gap + odds)) for gap in gaps]


# ======== posterior, wrong


@wrong("posterior", "ignores the prior")
def _(log_p_neurips, log_p_shakespeare, prior):
    return special.expit(log_p_neurips - log_p_shakespeare)


@wrong("posterior", "the two models swapped")
def _(log_p_neurips, log_p_shakespeare, prior):
    gap = log_p_shakespeare - log_p_neurips
    return special.expit(gap + special.logit(prior))


@wrong("posterior", "multiplies log-likelihoods by the prior")
def _(log_p_neurips, log_p_shakespeare, prior):
    a, b = prior * log_p_neurips, (1 - prior) * log_p_shakespeare
    return special.expit(a - b)


@wrong("posterior", "the logarithm of 1 − prior alone")
def _(log_p_neurips, log_p_shakespeare, prior):
    with np.errstate(divide="ignore"):
        return special.expit(log_p_neurips - log_p_shakespeare - np.log1p(-prior))


@wrong("posterior", "the prior for both in the evidence")
def _(log_p_neurips, log_p_shakespeare, prior):
    a, b = log_p_neurips + np.log(prior), log_p_shakespeare + np.log(prior)
    return np.exp(a - np.logaddexp(a, b))


@wrong("posterior", "the log-odds of the prior twice")
def _(log_p_neurips, log_p_shakespeare, prior):
    return special.expit(log_p_neurips - log_p_shakespeare + 2 * special.logit(prior))


@wrong("posterior", "likelihoods underflow: 0 / 0")
def _(log_p_neurips, log_p_shakespeare, prior):
    a, b = prior * np.exp(log_p_neurips), (1 - prior) * np.exp(log_p_shakespeare)
    return a / (a + b)


@wrong("posterior", "adds 1e-300 to the evidence")
def _(log_p_neurips, log_p_shakespeare, prior):
    a, b = prior * np.exp(log_p_neurips), (1 - prior) * np.exp(log_p_shakespeare)
    return a / (a + b + 1e-300)


@wrong("posterior", "cuts log-likelihoods off at −700")
def _(log_p_neurips, log_p_shakespeare, prior):
    a = prior * np.exp(np.clip(log_p_neurips, -700, None))
    b = (1 - prior) * np.exp(np.clip(log_p_shakespeare, -700, None))
    return a / (a + b)


@wrong("posterior", "one shift for all texts: a long one beside a short one is 0 / 0")
def _(log_p_neurips, log_p_shakespeare, prior):
    top = max(np.max(log_p_neurips), np.max(log_p_shakespeare))
    a = prior * np.exp(log_p_neurips - top)
    b = (1 - prior) * np.exp(log_p_shakespeare - top)
    return a / (a + b)


@wrong("posterior", "shifted by the lower of the two: overflows")
def _(log_p_neurips, log_p_shakespeare, prior):
    low = np.minimum(log_p_neurips, log_p_shakespeare)
    a = prior * np.exp(log_p_neurips - low)
    b = (1 - prior) * np.exp(log_p_shakespeare - low)
    return a / (a + b)


@wrong("posterior", "divided by the larger term, not by the sum")
def _(log_p_neurips, log_p_shakespeare, prior):
    with np.errstate(divide="ignore"):
        a, b = log_p_neurips + np.log(prior), log_p_shakespeare + np.log1p(-prior)
    return np.exp(a - np.maximum(a, b))


@wrong("posterior", "the log-odds")
def _(log_p_neurips, log_p_shakespeare, prior):
    return log_p_neurips - log_p_shakespeare + special.logit(prior)


@wrong("posterior", "the hyperbolic tangent: between −1 and 1")
def _(log_p_neurips, log_p_shakespeare, prior):
    return np.tanh(log_p_neurips - log_p_shakespeare + special.logit(prior))


@wrong("posterior", "the normal distribution's function for the logistic one")
def _(log_p_neurips, log_p_shakespeare, prior):
    return stats.norm.cdf(log_p_neurips - log_p_shakespeare + special.logit(prior))


@wrong("posterior", "all texts together as one")
def _(log_p_neurips, log_p_shakespeare, prior):
    gap = np.sum(log_p_neurips - log_p_shakespeare)
    return np.full(len(log_p_neurips), special.expit(gap + special.logit(prior)))


@wrong("posterior", "probabilities cut off at 0.001 and 0.999")
def _(log_p_neurips, log_p_shakespeare, prior):
    p = special.expit(log_p_neurips - log_p_shakespeare + special.logit(prior))
    return np.clip(p, 0.001, 0.999)


@wrong("posterior", "half precision")
def _(log_p_neurips, log_p_shakespeare, prior):
    a = np.asarray(log_p_neurips, np.float16).astype(float)
    b = np.asarray(log_p_shakespeare, np.float16).astype(float)
    return special.expit(a - b + special.logit(prior))


@wrong("posterior", "rounds to two places")
def _(log_p_neurips, log_p_shakespeare, prior):
    p = special.expit(log_p_neurips - log_p_shakespeare + special.logit(prior))
    return np.round(p, 2)


@wrong("posterior", "adds the prior to the given arrays in place")
def _(log_p_neurips, log_p_shakespeare, prior):
    with np.errstate(divide="ignore"):
        log_p_neurips += np.log(prior)
        log_p_shakespeare += np.log1p(-prior)
    return special.expit(log_p_neurips - log_p_shakespeare)


@wrong("posterior", "both classes: shape (n, 2)")
def _(log_p_neurips, log_p_shakespeare, prior):
    p = special.expit(log_p_neurips - log_p_shakespeare + special.logit(prior))
    return np.column_stack([p, 1 - p])


@wrong("posterior", "one number, the mean over the texts")
def _(log_p_neurips, log_p_shakespeare, prior):
    gap = log_p_neurips - log_p_shakespeare
    return special.expit(gap + special.logit(prior)).mean()


@wrong("posterior", "compares arrays as one number: works for one text only")
def _(log_p_neurips, log_p_shakespeare, prior):
    gap = log_p_neurips - log_p_shakespeare + special.logit(prior)
    if gap > 0:
        return 1 / (1 + np.exp(-gap))
    return np.exp(gap) / (1 + np.exp(gap))


@wrong("posterior", "returns texts")
def _(log_p_neurips, log_p_shakespeare, prior):
    p = special.expit(log_p_neurips - log_p_shakespeare + special.logit(prior))
    return [f"{one:.6f}" for one in p]


@wrong("posterior", "assigns the result, and returns nothing")
def _(log_p_neurips, log_p_shakespeare, prior):
    gap = log_p_neurips - log_p_shakespeare
    gap = special.expit(gap + special.logit(prior))


@wrong("posterior", "the prior is the first argument")
def _(prior, log_p_neurips, log_p_shakespeare):
    gap = log_p_neurips - log_p_shakespeare
    return special.expit(gap + special.logit(prior))
