"""Many sequences grown token by token, with a key-value cache.

Measured with GPT-2 124M in float32 on two cores: the cache makes a step's cost
independent of what came before; one batch of 8 prompts draws four times as many tokens
a second as 8 prompts one by one; weights laid out for oneDNN bring 1.4 to 1.75 times
more at 8 and 32 prompts, and nothing at 1 (benchmarks/README.md).
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from transformers import DynamicCache
from transformers.pytorch_utils import Conv1D


class Batch:
    """Sequences part-way: what they have read, and the logits of what comes next.

    `logits` has shape (rows, vocabulary), one row per sequence still growing.
    """

    def __init__(self, model, sequences: list[list[int]], padding: int):
        longest = max(len(ids) for ids in sequences)
        ids = torch.full((len(sequences), longest), padding)  # (rows, longest)
        mask = torch.zeros_like(ids)  # 1: a token; 0: padding
        for row, tokens in enumerate(sequences):
            # Padded on the left, so that all go on from the same place.
            ids[row, longest - len(tokens) :] = torch.tensor(tokens)
            mask[row, longest - len(tokens) :] = 1
        self.model = model
        self.mask = mask.to(model.device)
        self.cache = DynamicCache()
        self.candidates = None  # (rows, k) after `look_ahead`, until `advance`
        self._forward(ids.to(model.device))

    def _forward(self, ids: torch.Tensor) -> None:
        """Read the tokens `ids` (rows, new), which the mask already counts."""
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

    def advance(self, token: torch.Tensor, rows: list[int]) -> None:
        """Append to each sequence in `rows` its `token` (rows,); drop the others."""
        kept = torch.tensor(rows, device=self.mask.device)
        if self.candidates is not None:
            self._forget_all_but(token)
        if len(rows) < len(self.mask):
            self.cache.batch_select_indices(kept)
            self.mask = self.mask[kept]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), 1)], dim=1)
        if self.candidates is None:
            self._forward(token[kept, None])
        else:
            self.logits = self.logits[kept]
            self.candidates = None

    def look_ahead(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The k likeliest next tokens and the logits after each of them.

        Shapes (rows, k) and (rows, k, vocabulary).

        The candidates go through as branches of one sequence: all stand at the next
        position, and each sees what came before and itself, but not the others. So
        nothing of the cache is copied for them (the tree attention of Miao et al. 2024,
        "SpecInfer", section 4). With a past of two tokens and three candidates:

                        past    candidates
            first       x x     x . .
            second      x x     . x .
            third       x x     . . x
        """
        rows, past = self.mask.shape
        self.candidates = self.logits.topk(k, dim=-1).indices  # (rows, k)
        itself = torch.eye(k, device=self.mask.device).expand(rows, k, k)
        before = self.mask[:, None].expand(rows, k, past)
        seen = torch.cat([before, itself], dim=-1)  # (rows, k, past + k), 1: may look
        hide = torch.finfo(torch.float32).min
        out = self.model(
            input_ids=self.candidates,
            attention_mask=((1 - seen) * hide)[:, None],  # (rows, 1, k, past + k)
            position_ids=self.mask.sum(-1, keepdim=True).expand(rows, k),
            past_key_values=self.cache,
            use_cache=True,
        )
        self.logits_ahead = out.logits.float()  # (rows, k, vocabulary)
        return self.candidates, self.logits_ahead

    def _forget_all_but(self, token: torch.Tensor) -> None:
        """Of the candidates looked ahead to, keep the one drawn in each row."""
        which = (self.candidates == token[:, None]).int().argmax(1)  # (rows,)
        past = self.mask.shape[1]
        for layer in self.cache.layers:
            layer.keys = _one_of_the_last(layer.keys, past, which)
            layer.values = _one_of_the_last(layer.values, past, which)
        self.logits = self.logits_ahead[torch.arange(len(which)), which]


def _one_of_the_last(states: torch.Tensor, past: int, which: torch.Tensor):
    """(rows, heads, past + k, width) → (rows, heads, past + 1, width)."""
    rows = torch.arange(len(which), device=states.device)
    chosen = states[rows, :, past + which]  # (rows, heads, width)
    return torch.cat([states[:, :, :past], chosen[:, :, None]], dim=2)


@contextmanager
def laid_out(model):
    """Within this, weights lie as oneDNN's products want them (x86 CPUs only).

    A step multiplies a few rows by all the weights there are, and fetching those is
    most of its time. Laid out beforehand, they are fetched about twice as fast. It
    takes a copy of them while it lasts.
    """
    matrices = []
    if _has_onednn(model):
        kinds = torch.nn.Linear | Conv1D
        matrices = [m for m in model.modules() if isinstance(m, kinds)]
    try:
        for module in matrices:
            module.forward = _onednn_forward(module)
        yield
    finally:
        for module in matrices:
            module.__dict__.pop("forward", None)


def _has_onednn(model) -> bool:
    """Whether PyTorch has oneDNN's operators for this model's device."""
    on_x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    has_operator = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return model.device.type == "cpu" and on_x86 and has_operator


def _onednn_forward(module):
    """A layer's x → x @ weight.T + bias, on a copy of its weight laid out for 8 rows.

    These two operators are what torch.compile turns a linear layer into; PyTorch has
    no other way to them.
    """
    weight = module.weight.detach()  # (outputs, inputs), in a Conv1D (inputs, outputs)
    weight = weight.T if isinstance(module, Conv1D) else weight
    laid = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 8)
    bias = module.bias

    def forward(x):
        return torch.ops.mkldnn._linear_pointwise(x, laid, bias, "none", [], "")

    return forward
