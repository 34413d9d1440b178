"""Draw text from a model, one token at a time, from its own next-token distribution or a reshaped one."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from tqdm.auto import tqdm
from transformers.cache_utils import Cache, DynamicLayer

from helpers import config, submission
from helpers.models import LanguageModel

ROOM = 128  # tokens by which the key-value cache grows when it is full


@dataclass
class Sample:
    """One continuation of one prompt; log-probabilities in nats, one per token drawn."""

    prompt: str
    text: str
    token_ids: list[int]
    token_log_probs: list[float]  # under the model itself
    sampling_log_probs: list[float]  # under the distribution actually drawn from

    def __str__(self) -> str:
        return submission.wrapped(self.prompt + self.text)


def reshape(
    logits: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> torch.Tensor:
    """Log-probabilities after temperature, then top-k, then top-p. Shape (…, vocabulary) in and out.

    Temperature T raises every probability to 1/T and renormalises; 0 keeps only the likeliest token.
    Top-k keeps the k likeliest (ties at the edge too); top-p keeps the fewest whose probability reaches
    p (nucleus sampling, Holtzman et al. 2020). Dropped tokens get −inf.
    """
    logits = logits.float()
    if temperature == 0:
        best = torch.zeros_like(logits, dtype=torch.bool).scatter(
            -1, logits.argmax(-1, keepdim=True), True
        )
        return torch.where(best, 0.0, -torch.inf)
    logits = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        edge = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < edge, -torch.inf)
    if top_p < 1:
        ordered, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        enough = (
            ordered.cumsum(-1) - ordered >= top_p
        )  # the mass before a token already reaches p
        logits = logits.masked_fill(
            torch.zeros_like(enough).scatter(-1, order, enough), -torch.inf
        )
    return logits.log_softmax(-1)


def _check(
    lm, prompts, n, max_new_tokens, temperature, top_k, top_p, horizon
) -> list[list[int]]:
    if isinstance(prompts, str):
        raise ValueError(
            f"prompts is one string; a list is asked for: [{prompts[:20]!r}]."
        )
    if not prompts:
        raise ValueError(
            "prompts is empty; an empty prompt, [''], starts from the document separator."
        )
    if not temperature >= 0:
        raise ValueError(
            f"temperature={temperature} is not at least 0: 0 is greedy, 1 the model's own distribution."
        )
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} is outside (0, 1]; 1 keeps every token.")
    if top_k < 0 or n < 1 or max_new_tokens < 1 or horizon not in (1, 2):
        raise ValueError(
            f"top_k={top_k}, n={n}, max_new_tokens={max_new_tokens}, temperature_horizon={horizon}: "
            "top_k is at least 0, n and max_new_tokens at least 1, the horizon 1 or 2."
        )
    ids = [[lm.separator, *encoded] for encoded in lm.encode(list(prompts))]
    for i, prompt in enumerate(ids):
        if len(prompt) + max_new_tokens > lm.context:
            raise ValueError(
                f"prompts[{i}] has {len(prompt)} tokens; with max_new_tokens={max_new_tokens} "
                f"that is past the model's context of {lm.context}."
            )
    return ids


def _generators(prompts: list[str], n: int, seed: int) -> list[torch.Generator]:
    """One stream of random numbers per sequence, fixed by the seed, the prompt and how often it came before."""
    streams, seen = [], Counter()
    for prompt in prompts:
        for _ in range(n):
            key = hashlib.sha256(f"{seed}|{seen[prompt]}|{prompt}".encode()).digest()
            streams.append(
                torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
            )
            seen[prompt] += 1
    return streams


def _draw(log_probs: torch.Tensor, streams: list[torch.Generator]) -> torch.Tensor:
    """One token per row by inverting the cumulative distribution at a uniform number of the row's own."""
    u = torch.stack(
        [torch.rand((), generator=g, dtype=torch.float64) for g in streams]
    ).to(log_probs.device)
    cumulative = log_probs.exp().cumsum(-1, dtype=torch.float64)
    chosen = torch.searchsorted(
        cumulative, (u * cumulative[:, -1])[:, None], right=True
    )[:, 0]
    last = log_probs.shape[-1] - 1 - (log_probs > -torch.inf).flip(-1).int().argmax(-1)
    return torch.minimum(
        chosen, last
    )  # rounding at the far end must not pick a dropped token


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
    progress: bool = True,
) -> list[Sample]:
    """`n` continuations of each prompt, in order, all drawn in one batch with a key-value cache.

    Each stops at the document separator or after `max_new_tokens`. An empty prompt starts from the
    separator. In float32 the same seed gives the same text whatever else is in the batch; in bfloat16 two
    batches may part ways where two tokens are within rounding of each other.

    With `temperature_horizon=2` the next token comes from the temperature-scaled joint of the next two,
    p(x1, x2)^(1/T), renormalised and summed over x2; top_k then limits both steps (0 keeps every token,
    at the price of a forward pass over the whole vocabulary), and top_p applies to the sum.

    ValueError for settings outside their range, or a prompt that leaves no room in the context.
    """
    encoded = _check(
        lm, prompts, n, max_new_tokens, temperature, top_k, top_p, temperature_horizon
    )
    state = _State(lm, [ids for ids in encoded for _ in range(n)])
    horizon = temperature_horizon if temperature > 0 else 1  # greedy looks no further
    # With one sequence, or with all the candidates of horizon 2, another layout of the weights is no gain.
    with lm.laid_out() if horizon == 1 and len(state.mask) > 1 else nullcontext():
        drawn = _continue(
            state,
            _generators(prompts, n, seed),
            max_new_tokens,
            temperature,
            top_k,
            top_p,
            horizon,
            progress,
        )
    samples = []
    for i, facts in enumerate(drawn):
        tokens, own_log_probs, used_log_probs = (
            [f[j] for f in facts] for j in range(3)
        )
        samples.append(
            Sample(
                prompts[i // n],
                lm.decode(tokens),
                tokens,
                own_log_probs,
                used_log_probs,
            )
        )
    return samples


def _continue(
    state: _State,
    streams: list[torch.Generator],
    max_new_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    horizon: int,
    progress: bool,
) -> list[list[tuple[int, float, float]]]:
    """For each sequence the tokens drawn after it: (id, its log-prob under the model, under what was drawn from)."""
    lm, drawn, active = state.lm, [[] for _ in streams], list(range(len(streams)))
    for _ in tqdm(
        range(max_new_tokens),
        desc=f"sampling from {lm.name}",
        unit="token",
        leave=False,
        delay=2,
        disable=not progress,
    ):
        own = state.logits.log_softmax(-1)
        if horizon == 2:
            candidates, ahead = state.look_ahead(top_k)
            joint = own.gather(1, candidates) / temperature + _scaled_mass(
                ahead, temperature, top_k
            )
            shaped = torch.full_like(own, -torch.inf).scatter(1, candidates, joint)
            shaped = reshape(shaped, top_p=top_p)
        else:
            shaped = reshape(state.logits, temperature, top_k, top_p)
        token = _draw(shaped, [streams[i] for i in active])
        facts = zip(
            token.tolist(),
            own.gather(1, token[:, None])[:, 0].tolist(),
            shaped.gather(1, token[:, None])[:, 0].tolist(),
        )
        going = []
        for row, (i, fact) in enumerate(zip(active, facts)):
            if fact[0] != lm.separator:
                drawn[i].append(fact)
                going.append(row)
        active = [active[row] for row in going]
        if not active:
            break
        if len(drawn[active[0]]) < max_new_tokens:
            kept = torch.tensor(going, device=lm.device)
            if horizon == 2:
                state.choose((candidates == token[:, None]).int().argmax(1), kept)
            else:
                state.advance(token, kept)
    return drawn


def _scaled_mass(logits: torch.Tensor, temperature: float, top_k: int) -> torch.Tensor:
    """log Σ_x2 p(x2 | x1)^(1/T) over the top-k x2: (rows, candidates, vocabulary) → (rows, candidates)."""
    kept = logits.topk(top_k, dim=-1).values if 0 < top_k < logits.shape[-1] else logits
    return ((kept - logits.logsumexp(-1, keepdim=True)) / temperature).logsumexp(-1)


class _Room(DynamicLayer):
    """A layer's keys and values with room for more: a step writes its own and copies none of those before."""

    rooms = (
        None,
        None,
    )  # what `keys` and `values` are the beginning of, unless rows have been taken out of them

    def update(self, key_states, value_states, *_, **__):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        past, rooms = self.get_seq_length(), []
        stop = past + key_states.shape[2]
        for old, room, new in zip(
            (self.keys, self.values), self.rooms, (key_states, value_states)
        ):
            if not past or old.data_ptr() != room.data_ptr() or stop > room.shape[2]:
                room = new.new_empty(*new.shape[:2], stop + ROOM, new.shape[3])
                if past:
                    room[:, :, :past] = old
            room[:, :, past:stop] = new
            rooms.append(room)
        self.rooms = rooms
        self.keys, self.values = (room[:, :, :stop] for room in rooms)
        return self.keys, self.values


class _State:
    """A batch of sequences part-way: the key-value cache, the mask, and the next token's logits."""

    def __init__(self, lm: LanguageModel, sequences: list[list[int]]):
        longest = max(map(len, sequences))
        ids = torch.full((len(sequences), longest), lm.separator)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(
            sequences
        ):  # padded on the left, so that all go on from one place
            ids[row, longest - len(tokens) :] = torch.tensor(tokens)
            mask[row, longest - len(tokens) :] = 1
        self.lm, self.mask, self.cache = (
            lm,
            mask.to(lm.device),
            Cache(layer_class_to_replicate=_Room),
        )
        self._forward(ids.to(lm.device))

    def _forward(self, ids: torch.Tensor) -> None:
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.lm.model.base_model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits = self.lm.logits(out.last_hidden_state[:, -1])

    def _keep(self, rows: torch.Tensor) -> None:
        if len(rows) < len(self.mask) or not torch.equal(
            rows, torch.arange(len(rows), device=rows.device)
        ):
            self.cache.batch_select_indices(rows)
            self.mask = self.mask[rows]

    def advance(self, token: torch.Tensor, rows: torch.Tensor) -> None:
        """Append each row's token and go on with the rows given."""
        self._keep(rows)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), 1)], dim=1)
        self._forward(token[rows, None])

    def look_ahead(self, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidates for the next token (rows, k) and the logits after each of them (rows, k, vocabulary).

        The candidates go through as branches of one sequence: each stands at the next position and sees what came
        before, and itself, but not the others. So nothing of the cache is copied for them (the tree attention of
        Miao et al. 2024, "SpecInfer", section 4).
        """
        rows, vocabulary = self.logits.shape
        k = min(top_k, vocabulary) if top_k else vocabulary
        candidates = self.logits.topk(k, dim=-1).indices
        others = 1 - torch.eye(k, device=self.mask.device)
        hidden = torch.cat(
            [(1 - self.mask)[:, None].expand(rows, k, -1), others.expand(rows, k, k)],
            dim=-1,
        )
        out = self.lm.model.base_model(
            input_ids=candidates,
            past_key_values=self.cache,
            use_cache=True,
            attention_mask=(hidden * torch.finfo(torch.bfloat16).min)[
                :, None
            ],  # finite in every precision
            position_ids=self.mask.sum(-1, keepdim=True).expand(rows, k),
        )
        self.ahead = self.lm.logits(out.last_hidden_state)
        return candidates, self.ahead

    def choose(self, which: torch.Tensor, rows: torch.Tensor) -> None:
        """Go on from the candidate drawn in each of the rows given, whose forward pass is done; forget the others."""
        past, which = self.mask.shape[1], which[rows]
        self.logits = self.ahead[rows, which]
        self._keep(rows)
        for layer in self.cache.layers:
            at = (past + which)[:, None, None, None].expand(
                -1, layer.keys.shape[1], 1, layer.keys.shape[3]
            )
            chosen = layer.keys.gather(2, at), layer.values.gather(2, at)
            layer.crop(past - layer.get_seq_length())
            layer.update(*chosen)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), 1)], dim=1)
