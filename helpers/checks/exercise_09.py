"""Exercise 9: attention that looks backwards, in several heads."""

from functools import partial

import torch
from torch.nn.functional import scaled_dot_product_attention as attend

from helpers.checks.task import Task
from helpers.checks.tiny_model import noise

_causal = partial(attend, is_causal=True)
masked_attention = Task("masked_attention", _causal)


def _any(rng, shape, scale=1.5, last=1):
    """q, k, v; what the last token brings is `last` times as large."""
    qkv = noise(rng, 3, *shape, scale=scale)
    qkv[:, :, -1] *= last
    return qkv


for what, *given in (  # (heads, tokens, width), scale, last
    ("one token", (1, 1, 4)),
    ("two tokens", (1, 2, 4)),
    ("more tokens, another width", (1, 6, 3)),
    ("several heads", (3, 5, 4)),
    ("the last token is loud; nothing before it may move", (2, 4, 3), 1, 30),
    ("scores in the hundreds", (2, 5, 4), 20),
):
    masked_attention.drawn(what, lambda rng, given=given: _any(rng, *given), 3)


def _weights(q, k, hidden=-torch.inf, axis=-1, ahead=0, side=torch.tril):
    """(heads, tokens, tokens); each token sees so many `ahead` of itself."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    seen = side(torch.ones(scores.shape[1:]), ahead) > 0
    return scores.masked_fill(~seen, hidden).softmax(axis)


def _hidden(q, k, v, **more):
    """What is seen if −1e9 hides; if −∞ does; if 0 stands where that gives NaN."""
    by_number, by_infinity = (_weights(q, k, x, **more) for x in (-1e9, -torch.inf))
    return by_number @ v, by_infinity @ v, by_infinity.nan_to_num() @ v


masked_attention.mistakes = {
    "no mask": attend,
    "the mask is on the wrong side": partial(_hidden, side=torch.triu),
    "its own token is masked": partial(_hidden, ahead=-1),
    "the next token is seen": partial(_hidden, ahead=1),
    "not scaled": partial(_causal, scale=1.0),
    "divided by the width": lambda q, k, v: _causal(q, k, v, scale=1 / q.shape[-1]),
    "softmax over the wrong axis": lambda *qkv: (
        _hidden(*qkv, axis=0) + _hidden(*qkv, axis=1)
    ),
    "masked scores still count": lambda q, k, v: tuple(
        _weights(q, k, hidden) @ v for hidden in (0, -1, -10)
    ),
    "masked after the softmax": lambda q, k, v: _weights(q, k, ahead=9).tril() @ v,
    "no softmax": lambda q, k, v: (q @ k.mT).tril() @ v / q.shape[-1] ** 0.5,
    "heads mixed": lambda q, k, v: _weights(q, k).mean(0) @ v,
    "queries and keys are swapped": lambda q, k, v: _causal(k, q, v),
    "keys in the place of values": lambda q, k, v: _causal(q, k, k),
    "the weights are returned": lambda q, k, v: _weights(q, k),
}
