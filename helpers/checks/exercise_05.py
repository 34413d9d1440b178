"""Exercise 5: temperature, top-k, top-p; the sampling loop; the horizon of two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from helpers import sampling
from helpers.checks.checking import Case, Mistake, check

# ---- reshape


def _reshaped(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The right answer: log-probabilities after all three."""
    return sampling.reshape(logits, temperature, top_k, top_p)


def _cut_k(x, k):
    return _reshaped(x, top_k=k)


def _cut_p(x, p):
    return _reshaped(x, top_p=p)


def _with(cut_k=_cut_k, cut_p=_cut_p):
    """Temperature, top-k, top-p in the right order, with another way to cut."""
    return lambda x, t, k, p: cut_p(cut_k(x / t, k), p).softmax(-1)


def _dropping(x, mask):
    return x.masked_fill(mask, -torch.inf)


def _nucleus(enough: Callable) -> Callable:
    """Top-p by another rule for what is dropped.

    `enough(ordered, total, p)`: the probabilities in order, their running sum.
    """

    def cut(x, p):
        ordered, order = x.softmax(-1).sort(descending=True)
        dropped = enough(ordered, ordered.cumsum(-1), p)
        mask = torch.zeros_like(dropped).scatter(-1, order, dropped)
        return _dropping(x, mask) if p < 1 else x

    return cut


def _one_too_many(ordered, total, p):
    return F.pad(total - ordered, (1, 0))[:-1] >= p


def _unsorted(x, p):
    ordered = x.softmax(-1).sort(descending=True).values
    return _dropping(x, ordered.cumsum(-1) - ordered >= p) if p < 1 else x


def _first_ties(x, k):
    order = x.argsort(descending=True, stable=True)
    return x.index_fill(0, order[k:], -torch.inf) if k else x


def _last_ties(x, k):
    return _first_ties(x.flip(-1), k).flip(-1)


def _edge_lost(x, k):
    return _dropping(x, x <= x.topk(k).values[-1]) if 0 < k < len(x) else x


def _not_renormalised(x, t, k, p):
    kept = torch.isfinite(_reshaped(x, t, k, p))
    return torch.where(kept, (x / t).softmax(-1), 0.0)


RESHAPE = [
    Mistake(
        "multiplied by the temperature",
        "A low temperature sharpens: *divide* the logits by it.",
        lambda x, t, k, p: _reshaped(x, 1 / t, k, p).exp(),
    ),
    Mistake(
        "the temperature has no effect",
        "Divide the logits: dividing probabilities by T, then renormalising, undoes "
        "itself.",
        lambda x, t, k, p: _reshaped(x, 1.0, k, p).exp(),
    ),
    Mistake(
        "the logits are scaled twice",
        "The logits are divided by T in two places; once is right.",
        lambda x, t, k, p: _reshaped(x, t * t, k, p).exp(),
    ),
    Mistake(
        "temperature after the cuts",
        "Temperature comes first: top-p adds up *reshaped* probabilities.",
        lambda x, t, k, p: _reshaped(_reshaped(x, 1.0, k, p), t).exp(),
        lambda x, t, k, p: _reshaped(_cut_p(_cut_k(x, k), p), t).exp(),
    ),
    Mistake(
        "top-p does not wait for top-k",
        "Top-k first; top-p then adds up the probabilities of those it kept, shared "
        "out anew.",
        lambda x, t, k, p: _cut_k(_reshaped(x, t, 0, p), k).exp(),
    ),
    Mistake(
        "top-k drops ties",
        "Keep every token as likely as the k-th, not exactly k of them: else chance "
        "decides which of two equals goes.",
        _with(cut_k=_first_ties),
        _with(cut_k=_last_ties),
    ),
    Mistake(
        "top-k drops its edge",
        "The k-th likeliest token stays: drop those *below* it.",
        _with(cut_k=_edge_lost),
    ),
    Mistake(
        "top-p keeps too little",
        "The token that crosses p stays as well, or the kept ones do not reach p.",
        _with(cut_p=_nucleus(lambda ordered, total, p: total > p)),
    ),
    Mistake(
        "top-p keeps one too many",
        "Stop with the token that reaches p; the next is not needed.",
        _with(cut_p=_nucleus(_one_too_many)),
    ),
    Mistake(
        "top-p taken for a threshold",
        "The *sum* over the likeliest tokens reaches p, not each alone.",
        _with(cut_p=lambda x, p: _dropping(x, x.softmax(-1) < p) if p < 1 else x),
        _with(cut_p=lambda x, p: _dropping(x, x.softmax(-1) < 1 - p)),
    ),
    Mistake(
        "sorted and not sorted back",
        "The mask is in the order of the sorted tokens; the logits are not. Scatter it "
        "back.",
        _with(cut_p=_unsorted),
    ),
    Mistake(
        "not renormalised", "What is kept must sum to one again.", _not_renormalised
    ),
    Mistake(
        "logs instead of probabilities",
        "Return probabilities: one exp is missing.",
        _reshaped,
    ),
]


def reshape(function: Callable) -> None:
    """`function(logits, temperature, top_k, top_p)` → probabilities (vocabulary,).

    Logits (vocabulary,); temperature first, then top-k, then top-p.
    """
    logits = torch.tensor([0.1, 0.4, 0.05, 0.3, 0.15]).log()
    tied = torch.tensor([0.2, 0.4, 0.1, 0.2, 0.1]).log()

    def case(what, temperature=1.0, top_k=0, top_p=1.0, logits=logits):
        numbers = ", ".join(f"{p:.2f}" for p in logits.exp().tolist())
        args = (logits, temperature, top_k, top_p)
        example = (
            f"logits = log [{numbers}], temperature = {temperature}, top_k = {top_k}, "
            f"top_p = {top_p}"
        )
        return Case(what, args, _reshaped(*args).exp(), example)

    cases = [
        case("nothing to do"),
        case("temperature 0.5", 0.5),
        case("temperature 2", 2.0),
        case("the two likeliest", top_k=2),
        case("the two likeliest, where the second is tied", top_k=2, logits=tied),
        case("the fewest that reach 0.8", top_p=0.8),
        case("the fewest that reach 0.3", top_p=0.3),
        case("temperature 2, then the fewest that reach 0.6", 2.0, top_p=0.6),
        case(
            "the three likeliest, of them the fewest that reach 0.8", top_k=3, top_p=0.8
        ),
        case("all three together", 1.5, 4, 0.7),
    ]
    check("reshape", function, cases, RESHAPE)


# ---- write


def _drawn(probs, luck):
    return int(probs.multinomial(1, generator=luck))


def _loop(draw=_drawn, power=1.0, anew=False, read=lambda ids, n: ids, more=0):
    """The loop, in which one thing may be wrong.

    How a token is drawn, the power on T, a seed set anew for each token, what of the
    ids is read (n: how long the prompt was), or how many tokens more than the longest.
    """

    def write(next_logits, prompt, temperature, end, longest, seed):
        luck, ids = torch.Generator().manual_seed(seed), list(prompt)
        for _ in range(longest + more):
            logits = next_logits(read(ids, len(prompt)))
            probs = (logits / temperature**power).softmax(-1)
            token = draw(probs, luck.manual_seed(seed) if anew else luck)
            if token == end:
                break
            ids.append(token)
        return ids[len(prompt) :]

    return write


def _end_kept(next_logits, prompt, temperature, end, longest, seed):
    ids = _loop()(next_logits, prompt, temperature, end, longest, seed)
    return [*ids, end] if len(ids) < longest else ids


WRITE = [
    Mistake(
        "the likeliest, not a draw",
        "argmax always takes the same token: draw one by its probability.",
        _loop(lambda probs, luck: int(probs.argmax())),
    ),
    Mistake(
        "the temperature is left out",
        "Reshape the logits before each draw.",
        _loop(power=0),
    ),
    Mistake(
        "multiplied by the temperature",
        "A low temperature sharpens: *divide* the logits by it.",
        _loop(power=-1),
    ),
    Mistake(
        "the seed is set anew for each token",
        "Set the seed once, before the loop, or each draw has the luck of the first.",
        _loop(anew=True),
    ),
    Mistake(
        "the seed is not used",
        "Give multinomial a generator that was made with manual_seed(seed).",
        _loop(lambda probs, luck: int(probs.multinomial(1))),
    ),
    Mistake(
        "the end token is kept",
        "The end token ends the text and is no part of it.",
        _end_kept,
    ),
    Mistake(
        "the text does not end",
        "Stop when the end token is drawn.",
        lambda f, ids, t, end, n, seed: _loop()(f, ids, t, None, n, seed),
    ),
    Mistake(
        "the prompt comes back as well",
        "Return the new tokens alone.",
        lambda f, ids, *rest: [*ids, *_loop()(f, ids, *rest)],
    ),
    Mistake(
        "only the last token is read",
        "The next token depends on *all* before it: ask with the whole list.",
        _loop(read=lambda ids, n: ids[-1:]),
    ),
    Mistake(
        "what was drawn is not read",
        "Append each token to what the next is asked about.",
        _loop(read=lambda ids, n: ids[:n]),
    ),
    Mistake(
        "one token too many",
        "range(longest) goes round longest times.",
        _loop(more=1),
    ),
    Mistake(
        "one token too few",
        "The prompt's tokens do not count towards the longest.",
        _loop(more=-1),
        lambda f, ids, t, end, n, seed: _loop()(f, ids, t, end, n - len(ids), seed),
    ),
]


def _sure(token: int) -> torch.Tensor:
    """Logits (10,) that leave no doubt: 100 nats ahead of all others."""
    return 100 * F.one_hot(torch.tensor(token), 10).float()


def _counting(ids):
    return _sure(min(int(ids[-1]) + 1, 9))


def _adding(ids):
    return _sure(sum(map(int, ids)) % 9)


def _uneven(ids):
    return torch.tensor([0.5, 0.3, 0.2]).log()


def _shares(function, *args):
    """Over 500 seeds: shares of tokens 0, 1, 2, and of texts that repeat one at once.

    (A text of two tokens, the second drawn from the distribution of the first.)
    """
    texts = [[int(i) for i in function(*args, seed)] for seed in range(500)]
    firsts = [[text[:1] == [i] for i in range(3)] for text in texts]
    repeats = [text[:1] == text[1:2] for text in texts]
    return [*np.mean(firsts, 0), np.mean(repeats)]


def _twice(function, *args):
    """Whether the same seed gives the same text."""
    first, second = (list(map(int, function(*args))) for _ in range(2))
    return "the same text" if first == second else "another text"


def write(function: Callable) -> None:
    """`function(next_logits, prompt, temperature, end, longest, seed)` → new tokens.

    `next_logits(ids)` → logits (vocabulary,) of what comes after the list ids.
    """

    def case(what, model, args, expected, told, call=Case.call, rtol=1e-5):
        prompt, temperature, end, longest, *_ = args
        example = f"{told}; {prompt = }, {temperature = }, {end = }, {longest = }"
        return Case(what, (model, *args), expected, example, rtol, call)

    p = torch.tensor([0.5, 0.3, 0.2]) ** 2  # temperature one half
    p = p / p.sum()
    shares = [*p.tolist(), p.square().sum().item()]
    count, uneven = "the next is the last and one", "0.5, 0.3, 0.2 whatever came before"
    cases = [
        case(
            "until the end token", _counting, ([0], 1.0, 5, 9, 1), [1, 2, 3, 4], count
        ),
        case("the end token at once", _counting, ([4], 1.0, 5, 9, 1), [], count),
        case("until the longest", _counting, ([0], 1.0, 9, 3, 1), [1, 2, 3], count),
        case(
            "the next token depends on all before it",
            _adding,
            ([1, 2], 1.0, 9, 4, 1),
            [3, 6, 3, 6],
            "the next is the sum of all, less nines",
        ),
        case(
            "shares of 500 first tokens, and of seconds that repeat them",
            _uneven,
            ([0], 0.5, 9, 2),
            shares,
            uneven,
            _shares,
            rtol=0.15,
        ),
        case(
            "the same seed twice",
            _uneven,
            ([0], 2.0, 9, 30, 7),
            "the same text",
            uneven,
            _twice,
        ),
    ]
    check("write", function, cases, WRITE)


# ---- horizon


def _shared(weights):
    return weights / weights.sum()


def _joint(p, q):
    """p(x₁, x₂), shape (a, b)."""
    return p[:, None] * q


HORIZON = [
    Mistake(
        "the second token has no say",
        "This is a horizon of one. Scale the joint p(x₁, x₂), *then* sum over x₂; "
        "summing or normalising each row first leaves p(x₁).",
        lambda p, q, t: _shared(p ** (1 / t)),
    ),
    Mistake(
        "only the second token is scaled",
        "The power goes on the whole pair's probability, p(x₁) included.",
        lambda p, q, t: _shared(p * (q ** (1 / t)).sum(1)),
    ),
    Mistake(
        "T instead of 1/T",
        "Temperature T raises to the power 1/T.",
        lambda p, q, t: _shared((_joint(p, q) ** t).sum(1)),
    ),
    Mistake(
        "scaled twice",
        "The power 1/T is applied both to the factors and to their product: once is "
        "right.",
        lambda p, q, t: _shared((_joint(p, q) ** (1 / t) ** 2).sum(1)),
        lambda p, q, t: _shared((_joint(p, q) ** (1 / t)).sum(1) ** (1 / t)),
    ),
    Mistake(
        "the best pair instead of all",
        "Sum over every second token; the maximum forgets all but one.",
        lambda p, q, t: _shared((_joint(p, q) ** (1 / t)).amax(1)),
    ),
    Mistake(
        "not renormalised",
        "Divide by the sum, so that the first token's probabilities add up to one.",
        lambda p, q, t: (_joint(p, q) ** (1 / t)).sum(1),
    ),
    Mistake(
        "p_first is spread along the wrong axis",
        "Row i of p_second belongs to p_first[i]: “p_first[:, None]” makes a column of "
        "it.",
        lambda p, q, t: _shared(((p * q) ** (1 / t)).sum(1)),
    ),
    Mistake(
        "summed over the wrong axis",
        "Sum over the second token, axis 1, and keep the first.",
        lambda p, q, t: _shared((_joint(p, q) ** (1 / t)).sum(0)),
    ),
]


def horizon(function: Callable) -> None:
    """`function(p_first, p_second, temperature)` → q of the first token, shape (a,).

    p_first (a,), p_second (a, b): the first of two tokens that are scaled together.
    """
    first = torch.tensor([0.6, 0.4])
    second = torch.tensor([[0.4, 0.3, 0.3], [0.98, 0.01, 0.01]])
    three = torch.tensor([0.5, 0.3, 0.2])
    square = torch.tensor([[0.5, 0.4, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])

    def case(what, p, q, t):
        """The definition, pair by pair."""
        weights = []
        for a, row in zip(p.tolist(), q.tolist()):
            weights.append(sum((a * b) ** (1 / t) for b in row))
        return Case(what, (p, q, t), [w / sum(weights) for w in weights])

    cases = [
        case("notebook 5's two words, T = 0.5", first, second, 0.5),
        case("the same, T = 2", first, second, 2.0),
        case("T = 1 gives p_first back", first, second, 1.0),
        case("three words by three", three, square, 0.25),
    ]
    check("horizon", function, cases, HORIZON)
