"""Many sequences grown token by token, with a key-value cache.

Measured with GPT-2 124M in float32 on two cores: the cache makes a step's cost
independent of what came before; one batch of 8 prompts draws four times as many tokens
a second as 8 prompts one by one (benchmarks/README.md).

A batch has `logits` (rows, vocabulary), of what comes next in each of its sequences,
and `advance(rows, tokens)`: from then on it is of its sequences `rows` (a list of
numbers; some may be left out, one may stand there more than once), each with its token
of `tokens` (rows,) appended.
"""

import copy

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache


class Plain:
    """Sequences part-way, read anew at every step: slow, and right for any model."""

    def __init__(self, model, sequences: list[list[int]], padding: int):
        self.model, self.sequences = model, sequences  # one at a time: nothing to pad
        self._read()

    def _read(self) -> None:
        found = []
        for sequence in self.sequences:
            ids = torch.tensor([sequence], device=self.model.device)
            found.append(self.model(ids, use_cache=False).logits[0, -1])
        self.logits = torch.stack(found).float()

    def advance(self, rows: list[int], tokens: torch.Tensor) -> None:
        pairs = zip(rows, tokens.tolist())
        self.sequences = [[*self.sequences[row], token] for row, token in pairs]
        self._read()


class Batch:
    """Sequences part-way: what they have read, and the logits of what comes next."""

    def __init__(self, model, sequences: list[list[int]], padding: int):
        # Padded on the left, so that all go on from the same place.
        left = {"batch_first": True, "padding_side": "left"}
        rows = [torch.tensor(ids) for ids in sequences]
        ids = pad_sequence(rows, padding_value=padding, **left)  # (rows, longest)
        mask = pad_sequence([torch.ones_like(row) for row in rows], **left)  # 0: padded
        self.model = model
        self.mask = mask.to(model.device)
        self.cache = DynamicCache()
        self._read(ids.to(model.device))

    def _read(self, ids: torch.Tensor) -> None:
        """Read the tokens `ids` (rows, new), which the mask counts already."""
        # A token's position is the number of real tokens before it.
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits = out.logits[:, -1].float()  # (rows, vocabulary)

    def advance(self, rows: list[int], tokens: torch.Tensor) -> None:
        kept = torch.tensor(rows, device=self.mask.device)
        if rows != list(range(len(self.mask))):
            self.cache.batch_select_indices(kept)
        self.mask = torch.cat([self.mask[kept], torch.ones_like(kept)[:, None]], dim=1)
        self._read(tokens[:, None])


def look_ahead(batch: Plain | Batch, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k likeliest next tokens (rows, k), the logits after each of them.

    The logits have shape (rows, k, vocabulary).
    """
    first = batch.logits.topk(k, dim=-1).indices
    ahead = copy.deepcopy(batch, {id(batch.model): batch.model})  # all but the model
    rows = [row for row in range(len(first)) for _ in range(k)]
    ahead.advance(rows, first.flatten())
    return first, ahead.logits.unflatten(0, first.shape)


@torch.inference_mode()
def cache_agrees(model, padding: int, tokens: int) -> bool:
    """Whether a `Batch` gives the model's own logits, as `Plain` does.

    Tried on two sequences, of `tokens` and of half as many. It does not where there are
    states in place of attention, or positions of another kind (Mamba, RWKV, ALiBi, …).
    """
    vocabulary = len(model.get_input_embeddings().weight)
    longest = [number % vocabulary for number in range(1, tokens + 1)]
    sequences, found = [longest, longest[tokens // 2 :]], []
    for kind in (Plain, Batch):
        try:
            batch = kind(model, sequences, padding)
            first, ahead = look_ahead(batch, 2)
            batch.advance([0, 1], first[:, 0])
            read = batch.logits
            batch.advance([1, 0], first[:, 1])
        except Exception:  # each model has reasons of its own
            return False
        found.append(torch.stack([ahead[:, 0], read, batch.logits]).log_softmax(-1))
    return bool((found[0] - found[1]).abs().max() < 2e-3)
