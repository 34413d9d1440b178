"""Exercise 2: the log-likelihood of a text, of a padded batch; one training step."""

from functools import partial

import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector
from torch.nn.utils.rnn import pad_sequence

from helpers.checks.task import Task
from helpers.checks.tiny_model import another_model, noise, picked, rows_of

# ---- log_likelihood


def by_cross_entropy(logits, ids):
    return -F.cross_entropy(logits[:-1].double(), ids[1:], reduction="sum")


log_likelihood = Task("log_likelihood", by_cross_entropy)
by_hand = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]]).log()
log_likelihood.example("one token, p = 0.2", by_hand[:2], torch.tensor([0, 2]))
log_likelihood.example("two tokens, p = 0.2 and 0.6", by_hand, torch.tensor([0, 2, 1]))


def _all_different(rng):
    n = rng.integers(1, 6)
    return noise(rng, n + 1, 6), torch.tensor([0, *(1 + rng.permutation(5)[:n])])


def _twice(rng):
    return noise(rng, 6, 4), torch.tensor(rng.integers(0, 4, 6))


def _shifted(rng):
    shift = torch.tensor(rng.choice([-1000, -100, 100, 1000], (5, 1)))
    return noise(rng, 5, 6) + shift, torch.arange(5)


def _impossible(rng):
    logits = noise(rng, 4, 6)
    logits[2, 3] = -200
    return logits, torch.arange(4)


def _in_bfloat16(rng):
    return 1.5 * noise(rng, 400, 50).bfloat16(), torch.tensor(rng.integers(0, 50, 400))


log_likelihood.drawn("logits of a model, tokens all different", _all_different)
log_likelihood.drawn("a token, or the separator, that comes twice", _twice)
log_likelihood.drawn("rows of logits shifted by a constant", _shifted, rtol=1e-4)
log_likelihood.drawn("a token all but impossible", _impossible, 3)
log_likelihood.drawn("399 tokens in bfloat16", _in_bfloat16, 1)


def _each(x, i):
    """log p of each token after the separator: (n,)."""
    return picked(x[:-1], i[1:])


def _sums(each):
    """The sum of all, of all but the first, of all but the last."""
    return each.sum(), each[1:].sum(), each[:-1].sum()


def _ways(p):
    return p.prod(), p.sum(), p.sum().log()


def _columns(x, i):
    """The sum of what stands in the tokens' columns."""
    return x[:-1].gather(-1, i[1:, None]).sum()


def _other_columns(x, i):
    logs = x[:-1].float().log_softmax(-1)
    return logs[:, i[1:]].sum(), logs.sum(), logs.amax(-1).sum()


log_likelihood.mistakes = {
    "no shift by one": lambda x, i: _sums(picked(x, i)),
    "shifted the wrong way": lambda x, i: picked(x[1:], i[:-1]).sum(),
    "the first token is left out": lambda x, i: picked(x[1:-1], i[2:]).sum(),
    "shifted twice": lambda x, i: picked(x[:-2], i[2:]).sum(),
    "the last token is left out": lambda x, i: _each(x, i)[:-1].sum(),
    "one token alone": lambda x, i: (_each(x, i)[0], _each(x, i)[-1]),
    "mean instead of sum": lambda x, i: (_each(x, i).mean(), -_each(x, i).mean()),
    "no softmax": lambda x, i: _columns(x.float(), i),
    "softmax twice": lambda x, i: _each(x.float().softmax(-1), i).sum(),
    "softmax over the wrong axis": lambda x, i: _columns(x.float().log_softmax(0), i),
    "columns other than the token's": _other_columns,
    "a probability, not its log": lambda x, i: _ways(_each(x, i).exp()),
}

# ---- log_likelihoods


def _for_each_text(x, i, n, function):
    """What a function of one text gives for each of a batch; several ways apart."""
    found = [function(x[r, : m + 1], i[r, : m + 1]) for r, m in enumerate(n)]
    return tuple(zip(*found)) if isinstance(found[0], tuple) else torch.stack(found)


_one_by_one = partial(_for_each_text, function=by_cross_entropy)
log_likelihoods = Task("log_likelihoods", _one_by_one)


def _plain(rng):
    """0 is in no text, and parts them."""
    return noise(rng, 6, 9), torch.tensor([0, *rng.integers(1, 9, 5)])


def _batch(rng, draw, lengths):
    """Texts as `draw` gives one, cut to these lengths; all padded with 0."""
    texts = [[part[: n + 1] for part in draw(rng)] for n in lengths]
    logits, ids = (pad_sequence(part, batch_first=True) for part in zip(*texts))
    return logits, ids, torch.tensor(lengths)


for what, draw, *lengths in (
    ("one text, without padding", _plain, 3),
    ("texts of three tokens and of one, padded with 0", _plain, 3, 1),
    ("a long text, a short one, two alike and the longest last", _plain, 4, 1, 2, 2, 5),
    ("texts that hold the padding's id themselves", _twice, 4, 2, 3),
    ("rows of logits shifted by a constant", _shifted, 4, 2, 1),
    ("a token all but impossible", _impossible, 3, 2, 1),
):
    batch = partial(_batch, draw=draw, lengths=lengths)
    log_likelihoods.drawn(what, batch, 5, rtol=1e-4)


def _masked(x, i, n):
    """log p of each token, 0 for all but the first `n` of each text."""
    return picked(x[:, :-1], i[:, 1:]) * (torch.arange(i.shape[1] - 1) < n[:, None])


log_likelihoods.mistakes = {
    "padding is counted": lambda x, i, n: picked(x[:, :-1], i[:, 1:]).sum(1),
    "the last token is left out": lambda x, i, n: _masked(x, i, n - 1).sum(1),
    "one token of padding is counted": lambda x, i, n: _masked(x, i, n + 1).sum(1),
    "summed over the texts": lambda x, i, n: _masked(x, i, n).sum(0),
}
for name, wrong in log_likelihood.mistakes.items():
    log_likelihoods.mistakes[name] = partial(_for_each_text, function=wrong)

# ---- training_step


def _surprise(logits, ids):
    """−log p of each token: (texts, n, vocabulary) and (texts, n) → (texts, n)."""
    return F.cross_entropy(logits.mT, ids, reduction="none")


def _scored(logits, ids):
    """The same, of each token under the row before it: (texts, n - 1)."""
    return _surprise(logits[:, :-1], ids[:, 1:])


def _mean(logits, ids):
    return _scored(logits, ids).mean()


def _step(model, ids, lr, loss_of=_mean, optimizer=torch.optim.SGD, clear=True):
    """A step by torch's own optimiser; in one that is wrong, one thing is another."""
    if clear:
        model.zero_grad()
    loss = loss_of(model(ids).logits, ids)
    loss.backward()
    optimizer(model.parameters(), lr).step()
    return loss


training_step = Task("training_step", _step)


def _moves(function, model, ids, lr, steps=1):
    """How far so many steps move the weights, and the sum of all moves."""
    before = parameters_to_vector(model.parameters()).detach()
    for _ in range(steps):
        function(model, ids, lr)
    moves = parameters_to_vector(model.parameters()).detach() - before
    return [moves.norm().item(), moves.sum().item()]


def _lesson(rng, texts):
    """A model, ids (texts, n), and a learning rate."""
    ids = rows_of(["To be or not", "That is what", "a question ?"][:texts])
    ids = torch.stack(ids).roll(3, dims=1)  # the separator inside each
    return another_model(rng), ids, rng.choice([0.1, 0.2, 0.5])


for what, texts, more in (
    ("the loss returned, one text", 1, {}),
    ("the loss returned, three texts", 3, {}),
    ("one step, and the weights", 2, {"measure": _moves}),
    ("two steps, and the weights", 3, {"measure": partial(_moves, steps=2)}),
):
    training_step.drawn(what, partial(_lesson, texts=texts), 3, rtol=1e-4, **more)


def _losing(loss_of):
    """A step whose loss is another function of the logits and the ids."""
    return lambda *args: _step(*args, loss_of)


def _loss_after(model, ids, lr):
    _step(model, ids, lr)
    return _mean(model(ids).logits, ids)


_uphill = partial(torch.optim.SGD, maximize=True)
training_step.mistakes = {
    "lr is left out": lambda model, ids, lr: _step(model, ids, 1.0),
    "the weights do not move": lambda model, ids, lr: _step(model, ids, 0.0),
    "uphill instead of downhill": lambda *args: _step(*args, optimizer=_uphill),
    "gradients pile up": lambda *args: _step(*args, clear=False),
    "the loss after the step": _loss_after,
    "the sign is turned": lambda *args: -_step(*args),
    "sum instead of mean": _losing(lambda x, i: _scored(x, i).sum()),
    "one text alone": _losing(lambda x, i: _scored(x, i)[0].mean()),
    "divided by another number": _losing(lambda x, i: _scored(x, i).sum(1).mean()),
    "no shift by one": _losing(lambda x, i: _surprise(x, i).mean()),
    "shifted twice": _losing(lambda x, i: _surprise(x[:, :-2], i[:, 2:]).mean()),
    "softmax twice": _losing(lambda x, i: _mean(x.softmax(-1), i)),
}
