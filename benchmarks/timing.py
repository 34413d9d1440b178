"""What the benchmarks share: a clock, everybody in turn, and what a machine can do."""

import time

import torch

from helpers.engine import precision
from helpers.models import LanguageModel

ROUNDS = 2  # everybody in turn, twice, so that a busy moment spoils nobody's best


def seconds(call) -> tuple[float, object]:
    """How long a call takes, and what it gives."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def in_turn(contenders: dict) -> dict[str, tuple[float, object]]:
    """Each contender's best time, and what it gives: {name: (seconds, result)}."""
    best = {}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            taken, result = seconds(call)
            if name not in best or taken < best[name][0]:
                best[name] = taken, result
    return best


def matmul_peak(dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second in one large product."""
    a = torch.randn(2048, 2048, device=precision.device()).to(dtype)
    best = min(seconds(lambda: (a @ a)[0, 0].item())[0] for _ in range(5))
    return 2 * 2048**3 / best


def operations(lm: LanguageModel) -> float:
    """What a forward pass must do for a token: every layer's products, and the head's.

    Attention's own products are left out, under a hundredth at these lengths.
    """
    embeddings = {lm.model.get_output_embeddings().weight}
    head = sum(p.numel() for p in embeddings)
    for module in lm.model.modules():
        if isinstance(module, torch.nn.Embedding):
            embeddings |= set(module.parameters())
    layers = lm.parameters() - sum(p.numel() for p in embeddings)
    return 2 * (layers + head)
