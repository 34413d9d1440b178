"""Exercise 5: temperature, top-k, top-p; the sampling loop; the horizon of two."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from helpers import sampling
from helpers.checks.task import Task

# ---- reshape


_reshaped = sampling.reshape  # log-probabilities, by the series' own helper
reshape = Task("reshape", lambda *args: _reshaped(*args).exp())
five = torch.tensor([0.5, 2.0, -0.5, 1.5, 0.0])
reshape.example("nothing to do but the softmax", five, 1.0, 0, 1.0)
reshape.example("temperature 0.5", five, 0.5, 0, 1.0)


def _settings(rng, which="Tkp"):
    """Logits, no two alike, and settings, with those not among `which` at rest.

    Top-p lies between what two numbers of tokens reach.
    """
    n = rng.integers(2, 9)
    x = torch.tensor((rng.permutation(n) * 0.4 - rng.uniform(0, 4)).round(1)).float()
    t = rng.choice([0.3, 0.7, 1.5, 3.0]) if "T" in which else 1.0
    k = rng.integers((n + 1) // 2, n + 1) if "k" in which else 0
    shares = _reshaped(x, t, k).exp().sort(descending=True).values
    middles = (shares.cumsum(-1) - shares / 2)[shares > 0]
    p = rng.choice(middles.numpy()) if "p" in which else 1.0
    return x, float(t), int(k), float(p)


reshape.drawn("any temperature", partial(_settings, which="T"))
reshape.drawn("any top-k", partial(_settings, which="k"))
reshape.drawn("any top-p", partial(_settings, which="p"))
reshape.drawn("top-p among what top-k has kept", partial(_settings, which="kp"))
reshape.drawn("temperature, then top-k or top-p", _settings)


def _tied(rng):
    logits = torch.tensor(rng.integers(0, 3, 7)).float()
    return logits, 2.0, int(rng.integers(1, 7)), 1.0


reshape.drawn("several tokens as likely as the k-th", _tied, 6)
reshape.example("unlikely tokens, a high temperature", 30 * five, 5.0, 0, 1.0)
reshape.example("logits shifted by a constant", five + 1000, 0.5, 0, 1.0, rtol=1e-4)


def _not_renormalised(x, t, k, p):
    return (x / t).softmax(-1) * (_reshaped(x, t, k, p) > -torch.inf)


reshape.mistakes = {
    "multiplied by the temperature": lambda x, t, k, p: _reshaped(x, 1 / t, k, p).exp(),
    "the logits are scaled twice": lambda x, t, k, p: _reshaped(x / t, t, k, p).exp(),
    "softmax twice": lambda *args: _reshaped(*args).exp().softmax(-1),
    "not renormalised": _not_renormalised,
}

# ---- write


def _loop(f, prompt, t, end, longest, seed, anew=False, read=lambda ids, n: ids):
    """The loop, in which one thing may be wrong.

    The seed is set anew for each token, or not all of the ids is read (n: how many of
    them the prompt has).
    """
    luck, ids = torch.Generator().manual_seed(seed), list(prompt)
    for _ in range(longest):
        probs = (f(read(ids, len(prompt))) / t).softmax(-1)
        if anew:
            luck.manual_seed(seed)
        token = int(probs.multinomial(1, generator=luck))
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


def _sure(token: int) -> torch.Tensor:
    """Logits (10,) that leave no doubt: 100 nats ahead of all others."""
    return 100 * F.one_hot(torch.tensor(token), 10).float()


def counting(ids):
    return _sure(min(int(ids[-1]) + 1, 9))


def mixed(ids):
    """A token that depends on all before it, and on their order."""
    return _sure(sum((i + 1) * int(token) for i, token in enumerate(ids)) % 9)


def constant(logits, ids):
    """The same logits whatever came before, and always the same tensor."""
    return logits


def _texts(function, *args, seeds=600):
    return [[int(i) for i in function(*args, seed)] for seed in range(seeds)]


def _shares(function, *args):
    """Over 600 seeds: shares of tokens 0, 1, 2; of texts that repeat one at once; of
    texts whose second token is the next seed's first.
    """
    texts = _texts(function, *args)
    firsts = [[text[:1] == [i] for i in range(3)] for text in texts]
    repeats = [text[:1] == text[1:2] for text in texts]
    overlaps = [one[1:2] == other[:1] for one, other in zip(texts, texts[1:])]
    return [*np.mean(firsts, 0), np.mean(repeats), np.mean(overlaps)]


def _length(function, *args):
    return [np.mean([len(text) for text in _texts(function, *args)])]


def _twice(function, *args):
    """1 if twenty seeds give the same texts twice, else 0."""
    return [_texts(function, *args, seeds=20) == _texts(function, *args, seeds=20)]


write = Task("write", _loop)
for what, *args in (
    ("until the end token", [0], 1.0, 5, 9, 1),
    ("until the longest", [0], 1.0, 9, 3, 1),
    ("the end token in the prompt", [5], 1.0, 5, 3, 1),
):
    write.example(f"{what}; the next token is the last and one", counting, *args)


def _any_prompt(rng):
    prompt = rng.integers(1, 9, rng.integers(1, 5)).tolist()
    return mixed, prompt, 1.0, int(rng.integers(0, 3)), int(rng.integers(0, 8)), 1


write.drawn("the next token depends on all before it, in order", _any_prompt, 20)
uneven = partial(constant, torch.tensor([0.5, 0.3, 0.2]).log())
halved = [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]  # what T = 0.5 makes of it
repeated = sum(p * p for p in halved)
write.example(
    "shares of 0, 1, 2 (p = 0.5, 0.3, 0.2; T = 0.5), and of seconds that repeat them",
    *(uneven, [0], 0.5, 9, 2),
    expected=[*halved, repeated, repeated],
    measure=_shares,
    rtol=0.12,
)
write.example(
    "the mean length, if six tokens in a hundred are the end",
    *(partial(constant, torch.tensor([0.6, 0.34, 0.06]).log()), [0], 1.0, 2, 6),
    measure=_length,
    rtol=0.1,
)
same = "the same seed, the same text (1)"
write.example(same, uneven, [0], 2.0, 9, 30, measure=_twice)


def _changed(change):
    """The loop with temperature, end token and longest changed."""
    return lambda f, ids, t, end, n, seed: _loop(f, ids, *change(t, end, n), seed)


def _with_end(f, ids, t, end, longest, seed):
    text = _loop(f, ids, t, end, longest, seed)
    return text + [end] * (len(text) < longest)


write.mistakes = {
    "the likeliest, not a draw": _changed(lambda t, end, n: (1e-9, end, n)),
    "the seed is set anew for each token": partial(_loop, anew=True),
    "multiplied by the temperature": _changed(lambda t, end, n: (1 / t, end, n)),
    "the text does not end": _changed(lambda t, end, n: (t, -1, n)),
    "one token too many": _changed(lambda t, end, n: (t, end, n + 1)),
    "one token too few": _changed(lambda t, end, n: (t, end, n - 1)),
    "the end token is kept": _with_end,
    "the prompt comes back as well": lambda f, ids, *rest: ids + _loop(f, ids, *rest),
    "only the last token is read": partial(_loop, read=lambda ids, n: ids[-1:]),
    "what was drawn is not read": partial(_loop, read=lambda ids, n: ids[:n]),
}

# ---- horizon


def _in_logs(p, q, t):
    """The joint divided by T as logits are, then summed over the second token."""
    return ((p.log()[:, None] + q.log()) / t).logsumexp(1).softmax(0)


horizon = Task("horizon", _in_logs)
first = torch.tensor([0.6, 0.4])
second = torch.tensor([[0.4, 0.3, 0.3], [0.98, 0.01, 0.01]])
horizon.example("notebook 5's two words, T = 0.5", first, second, 0.5)
horizon.example("T = 1 gives p_first back", first, second, 1.0)


def _any_words(rng):
    a, b = rng.integers(2, 5, 2)
    p, q = rng.dirichlet(np.ones(a)), rng.dirichlet(np.ones(b), a)
    q[0] = [1 - 1e-8, *(b - 1) * [1e-8 / (b - 1)]]  # as good as certain
    return torch.tensor(p).float(), torch.tensor(q).float(), rng.choice([0.2, 0.5, 5.0])


horizon.drawn("any words at any temperature", _any_words, 40)


def _shared(weights):
    return weights / weights.sum()


def _joint(p, q, t):
    """p(x₁, x₂) to the power 1/T, shape (a, b)."""
    return (p[:, None] * q) ** (1 / t)


horizon.mistakes = {
    "the second token has no say": lambda p, q, t: _shared(p ** (1 / t)),
    "only the second is scaled": lambda p, q, t: _shared(p * (q ** (1 / t)).sum(1)),
    "T instead of 1/T": lambda p, q, t: _shared(_joint(p, q, 1 / t).sum(1)),
    "scaled twice": lambda p, q, t: _shared(_joint(p, q, t).sum(1) ** (1 / t)),
    "no temperature": lambda p, q, t: p,
    "the best pair instead of all": lambda p, q, t: _shared(_joint(p, q, t).amax(1)),
    "not renormalised": lambda p, q, t: _joint(p, q, t).sum(1),
    "p_first along the wrong axis": lambda p, q, t: _shared((p * q).pow(1 / t).sum(1)),
    "summed over the wrong axis": lambda p, q, t: _shared(_joint(p, q, t).sum(0)),
    "a softmax of probabilities": lambda p, q, t: _joint(p, q, t).sum(1).softmax(-1),
}
