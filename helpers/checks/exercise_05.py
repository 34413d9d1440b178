"""Exercise 5: temperature, top-k, top-p; the sampling loop; the horizon of two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from helpers import sampling
from helpers.checks.checking import Case, Mistakes, check

# ---- reshape


def _reshaped(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The right answer: log-probabilities after all three."""
    return sampling.reshape(logits, temperature, top_k, top_p)


def _cut_k(x, k):
    return _reshaped(x, top_k=k)


def _cut_p(x, p):
    return _reshaped(x, top_p=p)


def _with(x, t, k, p, cut_k=_cut_k, cut_p=_cut_p):
    """Temperature, top-k, top-p in the right order, with another way to cut."""
    return cut_p(cut_k(x / t, k), p).softmax(-1)


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


RESHAPE = Mistakes()


@RESHAPE.mistake("multiplied by the temperature")
def _(x, t, k, p):
    """A low temperature sharpens: *divide* the logits by it."""
    return _reshaped(x, 1 / t, k, p).exp()


@RESHAPE.mistake("the temperature has no effect")
def _(x, t, k, p):
    """Divide the logits: probabilities divided by T and renormalised are the same."""
    return _reshaped(x, 1.0, k, p).exp()


@RESHAPE.mistake("the logits are scaled twice")
def _(x, t, k, p):
    """The logits are divided by T in two places; once is right."""
    return _reshaped(x, t * t, k, p).exp()


@RESHAPE.mistake("temperature after the cuts")
def _(x, t, k, p):
    """Temperature comes first: top-p adds up *reshaped* probabilities."""
    return (
        _reshaped(_reshaped(x, 1.0, k, p), t).exp(),
        _reshaped(_cut_p(_cut_k(x, k), p), t).exp(),
    )


@RESHAPE.mistake("top-p does not wait for top-k")
def _(x, t, k, p):
    """Top-k first; top-p then adds up what it kept, renormalised."""
    return _cut_k(_reshaped(x, t, 0, p), k).exp()


@RESHAPE.mistake("top-k drops ties")
def _(*args):
    """Keep every token as likely as the k-th, not exactly k of them: else chance
    decides which of two equals goes.
    """
    return _with(*args, cut_k=_first_ties), _with(*args, cut_k=_last_ties)


@RESHAPE.mistake("top-k drops its edge")
def _(*args):
    """The k-th likeliest token stays: drop those *below* it."""
    return _with(*args, cut_k=_edge_lost)


@RESHAPE.mistake("top-p keeps too little")
def _(*args):
    """The token that crosses p stays as well, or the kept ones do not reach p."""
    return _with(*args, cut_p=_nucleus(lambda ordered, total, p: total > p))


@RESHAPE.mistake("top-p keeps one too many")
def _(*args):
    """Stop with the token that reaches p; the next is not needed."""
    return _with(*args, cut_p=_nucleus(_one_too_many))


@RESHAPE.mistake("top-p taken for a threshold")
def _(*args):
    """The *sum* over the likeliest tokens reaches p, not each alone."""
    return (
        _with(*args, cut_p=lambda x, p: _dropping(x, x.softmax(-1) < p % 1)),
        _with(*args, cut_p=lambda x, p: _dropping(x, x.softmax(-1) < 1 - p)),
    )


@RESHAPE.mistake("sorted and not sorted back")
def _(*args):
    """The mask is in the order of the sorted tokens: scatter it back."""
    return _with(*args, cut_p=_unsorted)


@RESHAPE.mistake("not renormalised")
def _(x, t, k, p):
    """What is kept must sum to one again."""
    return (x / t).softmax(-1) * (_reshaped(x, t, k, p) > -torch.inf)


@RESHAPE.mistake("logs instead of probabilities")
def _(*args):
    """Return probabilities: one exp is missing."""
    return _reshaped(*args)


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


def _loop(
    f, prompt, t, end, longest, seed, draw=_drawn, anew=False, read=lambda ids, n: ids
):
    """The loop, in which one thing may be wrong.

    How a token is drawn, the seed set anew for each token, or what of the ids is read
    (n: how long the prompt was).
    """
    luck, ids = torch.Generator().manual_seed(seed), list(prompt)
    for _ in range(longest):
        probs = (f(read(ids, len(prompt))) / t).softmax(-1)
        token = draw(probs, luck.manual_seed(seed) if anew else luck)
        if token == end:
            break
        ids.append(token)
    return ids[len(prompt) :]


WRITE = Mistakes()


@WRITE.mistake("the likeliest, not a draw")
def _(*args):
    """argmax always takes the same token: draw one by its probability."""
    return _loop(*args, draw=lambda probs, luck: int(probs.argmax()))


@WRITE.mistake("the temperature is left out")
def _(f, ids, t, *rest):
    """Reshape the logits before each draw."""
    return _loop(f, ids, 1.0, *rest)


@WRITE.mistake("multiplied by the temperature")
def _(f, ids, t, *rest):
    """A low temperature sharpens: *divide* the logits by it."""
    return _loop(f, ids, 1 / t, *rest)


@WRITE.mistake("the seed is set anew for each token")
def _(*args):
    """Set the seed once, before the loop, or each draw has the luck of the first."""
    return _loop(*args, anew=True)


@WRITE.mistake("the seed is not used")
def _(*args):
    """Give multinomial a generator that was made with manual_seed(seed)."""
    return _loop(*args, draw=lambda probs, luck: int(probs.multinomial(1)))


@WRITE.mistake("the end token is kept")
def _(f, ids, t, end, n, seed):
    """The end token ends the text and is no part of it."""
    text = _loop(f, ids, t, end, n, seed)
    return [*text, end] if len(text) < n else text


@WRITE.mistake("the text does not end")
def _(f, ids, t, end, n, seed):
    """Stop when the end token is drawn."""
    return _loop(f, ids, t, None, n, seed)


@WRITE.mistake("the prompt comes back as well")
def _(f, ids, *rest):
    """Return the new tokens alone."""
    return [*ids, *_loop(f, ids, *rest)]


@WRITE.mistake("only the last token is read")
def _(*args):
    """The next token depends on *all* before it: ask with the whole list."""
    return _loop(*args, read=lambda ids, n: ids[-1:])


@WRITE.mistake("what was drawn is not read")
def _(*args):
    """Append each token to what the next is asked about."""
    return _loop(*args, read=lambda ids, n: ids[:n])


@WRITE.mistake("one token too many")
def _(f, ids, t, end, n, seed):
    """range(longest) goes round longest times."""
    return _loop(f, ids, t, end, n + 1, seed)


@WRITE.mistake("one token too few")
def _(f, ids, t, end, n, seed):
    """“longest” counts new tokens, the first and the last; the prompt's are not."""
    return _loop(f, ids, t, end, n - 1, seed)


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


HORIZON = Mistakes()


@HORIZON.mistake("the second token has no say")
def _(p, q, t):
    """This is a horizon of one. Scale the joint p(x₁, x₂), *then* sum over x₂; summing
    or normalising each row first leaves p(x₁).
    """
    return _shared(p ** (1 / t))


@HORIZON.mistake("only the second token is scaled")
def _(p, q, t):
    """The power goes on the whole pair's probability, p(x₁) included."""
    return _shared(p * (q ** (1 / t)).sum(1))


@HORIZON.mistake("T instead of 1/T")
def _(p, q, t):
    """Temperature T raises to the power 1/T."""
    return _shared((_joint(p, q) ** t).sum(1))


@HORIZON.mistake("scaled twice")
def _(p, q, t):
    """The power 1/T is applied both to the factors and to their product: once is
    right.
    """
    return (
        _shared((_joint(p, q) ** (1 / t) ** 2).sum(1)),
        _shared((_joint(p, q) ** (1 / t)).sum(1) ** (1 / t)),
    )


@HORIZON.mistake("the best pair instead of all")
def _(p, q, t):
    """Sum over every second token; the maximum forgets all but one."""
    return _shared((_joint(p, q) ** (1 / t)).amax(1))


@HORIZON.mistake("not renormalised")
def _(p, q, t):
    """Divide by the sum, so that the first token's probabilities add up to one."""
    return (_joint(p, q) ** (1 / t)).sum(1)


@HORIZON.mistake("p_first is spread along the wrong axis")
def _(p, q, t):
    """Row i of p_second belongs to p_first[i]: “p_first[:, None]” makes a column of
    it.
    """
    return _shared(((p * q) ** (1 / t)).sum(1))


@HORIZON.mistake("summed over the wrong axis")
def _(p, q, t):
    """Sum over the second token, axis 1, and keep the first."""
    return _shared((_joint(p, q) ** (1 / t)).sum(0))


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
