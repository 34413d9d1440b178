"""Draw text from a model, one token at a time.

From its own next-token distribution, or from one reshaped by temperature, top-k and
top-p, applied in that order.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import torch
from tqdm.auto import tqdm

from helpers import config, submission
from helpers.engine import decoding
from helpers.models import LanguageModel, as_texts


@dataclass
class Sample:
    """One continuation of one prompt; log-probabilities in nats, one per token."""

    prompt: str
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    token_log_probs: list[float] = field(default_factory=list)  # under the model
    sampling_log_probs: list[float] = field(default_factory=list)  # as drawn from

    def __str__(self) -> str:
        return submission.wrapped(self.prompt + self.text)


def reshape(
    logits: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> torch.Tensor:
    """Log-probabilities after temperature, then top-k, then top-p; dropped tokens −inf.

    The distribution is reshaped, not the tensor: shape (…, vocabulary) in and out.
    Temperature T raises every probability to the power 1/T and renormalises; 0 keeps
    only the likeliest token. Top-k keeps the k likeliest (Fan et al. 2018) and any that
    tie with the k-th; 0 keeps all. Top-p keeps the fewest of the likeliest tokens whose
    probabilities together reach p (nucleus sampling, Holtzman et al. 2020); 1 keeps
    all. ValueError for a setting outside its range.
    """
    _check_shape(temperature, top_k, top_p)
    logits = logits.float()
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter(-1, best, 0.0)
    logits = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        edge = logits.topk(top_k, dim=-1).values[..., -1:]  # (…, 1), the k-th likeliest
        logits = logits.masked_fill(logits < edge, -torch.inf)
    if top_p < 1:
        ordered = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        # For each token, the mass of those likelier than it.
        before = ordered.values.cumsum(-1) - ordered.values
        enough = before >= top_p
        enough[..., 0] = False  # the likeliest stays, however small p is
        # From the order of likelihood back to the order of the vocabulary.
        dropped = torch.zeros_like(enough).scatter(-1, ordered.indices, enough)
        logits = logits.masked_fill(dropped, -torch.inf)
    return logits.log_softmax(-1)


@torch.inference_mode()
def sample(
    lm: LanguageModel,
    prompts: list[str],
    *,
    n: int = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    temperature_horizon: int = 1,
    seed: int = config.SEED,
) -> list[Sample]:
    """`n` continuations of each prompt, drawn in one batch; the first prompt's first.

    Every prompt is put after the separator between documents; an empty one is that
    token alone. A continuation ends when a token that ends a text is drawn (see
    `LanguageModel.end_ids`; it is not recorded) or after `max_new_tokens`. Its random
    numbers depend on the seed, the prompt and how often that prompt came before:
    rounding apart, not on the rest of the batch.

    With `temperature_horizon=2` the next token x1 comes from p(x1, x2)^(1/T), the
    temperature-scaled joint of the next two, renormalised and summed over x2. (Shih,
    Sadigh and Ermon 2023 train a model to do so for long horizons; two tokens can be
    summed exactly.) `top_k` limits both steps (0 keeps every token, at the price of a
    pass over the whole vocabulary); `top_p` applies after the sum. `temperature=0`
    takes the likeliest next token, whatever the horizon.

    ValueError for settings outside their range, no prompts, what is no list of texts,
    an element that is not text, or a prompt that leaves no room in the context.
    FloatingPointError if the model gives no probabilities.
    """
    prompts = as_texts(prompts, "prompts")
    _check_shape(temperature, top_k, top_p)
    _check(bool(prompts), "prompts is empty; [''] starts from the document separator")
    _check(n >= 1, f"n={n} is not at least 1")
    _check(max_new_tokens >= 1, f"max_new_tokens={max_new_tokens} is not at least 1")
    known = temperature_horizon in (1, 2)
    _check(known, f"temperature_horizon={temperature_horizon} is not 1 or 2")
    encoded = [[lm.bos_id, *ids] for ids in lm.encode(prompts)]
    for i, ids in enumerate(encoded):
        total = len(ids) + max_new_tokens  # the separator included
        past = f"{total} tokens, past the model's context of {lm.context_length}"
        _check(total <= lm.context_length, f"prompts[{i}] and what follows take {past}")
    begun = [ids for ids in encoded for _ in range(n)]
    samples = [Sample(prompt) for prompt in prompts for _ in range(n)]
    streams = _random_streams(samples, seed)
    looks_ahead = temperature_horizon == 2 and temperature > 0  # greedy does not

    kind = decoding.Batch if lm.keeps_cache else decoding.Plain
    batch = kind(lm.model, begun, padding=lm.bos_id)
    ends = lm.end_ids
    going = list(range(len(samples)))  # row r of the batch grows samples[going[r]]
    steps, title = range(max_new_tokens), f"sampling from {lm.name}"
    for step in tqdm(steps, title, leave=False, delay=2):
        own = batch.logits.log_softmax(-1)  # (rows, vocabulary)
        if own.isnan().any():
            raise FloatingPointError(f"{lm.name} gives NaN for a probability.")
        if looks_ahead:
            shaped = _two_tokens(batch, own, temperature, top_k, top_p)
        else:
            shaped = reshape(batch.logits, temperature, top_k, top_p)
        token = _draw(shaped, [streams[i] for i in going])  # (rows,)
        drawn, at = token.tolist(), token[:, None]  # (rows, 1)
        # As lists, all at once: one by one, a GPU would be waited for each time.
        under, shape = (p.gather(1, at)[:, 0].tolist() for p in (own, shaped))
        rows = [row for row, one in enumerate(drawn) if one not in ends]
        going = [going[row] for row in rows]  # those that have not ended
        for i, row in zip(going, rows):
            samples[i].token_ids.append(drawn[row])
            samples[i].token_log_probs.append(under[row])
            samples[i].sampling_log_probs.append(shape[row])
        if not going or step == max_new_tokens - 1:
            break
        batch.advance(rows, token[rows])
    for one, (_, *prompt) in zip(samples, begun):  # the first is the separator
        # Decoded together: some tokenizers drop the space that a text begins with.
        one.text = lm.decode(prompt + one.token_ids)[len(one.prompt) :]
    return samples


def _two_tokens(batch, own, temperature: float, top_k: int, top_p: float):
    """Log-probabilities of the next token when the joint of the next two is scaled.

    batch: a decoding.Batch; own: the model's log-probabilities, a tensor of shape
    (rows, vocabulary), like what is returned.
    """
    vocabulary = own.shape[-1]
    k = min(top_k, vocabulary) or vocabulary
    # Ids (rows, k), and the logits after each (rows, k, vocabulary).
    first, logits = decoding.look_ahead(batch, k)
    # log p(x2 | x1) of the k likeliest x2, then log Σ_x2 p(x2 | x1)^(1/T).
    second = logits.topk(k, dim=-1).values - logits.logsumexp(-1, keepdim=True)
    mass = (second / temperature).logsumexp(-1)  # (rows, k)
    # log Σ_x2 p(x1, x2)^(1/T), not yet renormalised.
    summed = own.gather(1, first) / temperature + mass  # (rows, k)
    shaped = torch.full_like(own, -torch.inf).scatter(1, first, summed)
    return reshape(shaped, top_p=top_p)


def _draw(log_probs: torch.Tensor, streams: list[torch.Generator]) -> torch.Tensor:
    """One token per row, where its cumulative distribution passes a uniform number.

    (Inverse transform sampling.) The number is below 1, and so below the sum: a token
    that was dropped adds nothing to the sum, which passes no number there.
    """
    uniform = [torch.rand((), generator=g, dtype=torch.float64) for g in streams]
    uniform = torch.stack(uniform).to(log_probs.device)[:, None]  # (rows, 1)
    cumulative = log_probs.exp().cumsum(-1, dtype=torch.float64)  # (rows, vocabulary)
    passed = uniform * cumulative[:, -1:]  # the sum is 1, but for rounding
    return torch.searchsorted(cumulative, passed, right=True)[:, 0]


def _random_streams(samples: list[Sample], seed: int) -> list[torch.Generator]:
    """One stream of random numbers for each continuation.

    Seeded by `seed`, the prompt, and how often that prompt came before.
    """
    streams, seen = [], Counter()
    for prompt in (sample.prompt for sample in samples):
        key = hashlib.sha256(f"{seed}|{seen[prompt]}|{prompt}".encode()).digest()
        number = int.from_bytes(key[:7], "big")
        streams.append(torch.Generator().manual_seed(number))
        seen[prompt] += 1
    return streams


def _check_shape(temperature: float, top_k: int, top_p: float) -> None:
    in_range = temperature == 0 or 1e-3 <= temperature <= 1e3  # float32 has limits
    _check(in_range, f"temperature={temperature} is not 0, or from 0.001 to 1000")
    _check(top_k >= 0, f"top_k={top_k} is not at least 0 (0 keeps every token)")
    _check(0 < top_p <= 1, f"top_p={top_p} is outside (0, 1]; 1 keeps every token")


def _check(good: bool, complaint: str) -> None:
    if not good:
        raise ValueError(f"{complaint}.")
