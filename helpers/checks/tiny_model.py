"""The tiny model (random weights over bytes) that some checks run on."""

import copy
import functools

import numpy as np
import torch

from helpers import models


@functools.cache
def tiny() -> models.LanguageModel:
    """The tiny model on the CPU, where the checks' tensors are, GPU or not."""
    lm = models.load("tiny")
    lm.model.cpu()
    return lm


def rows_of(texts: list[str]) -> list[torch.Tensor]:
    """The ids of each text behind a separator: tensors (n + 1,)."""
    return [torch.tensor([tiny().bos_id, *ids]) for ids in tiny().encode(texts)]


def picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """log p of each id under the row of logits beside it.

    (…, tokens, vocabulary) and (…, tokens) → (…, tokens).
    """
    return logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]


def noise(rng: np.random.Generator, *shape: int, scale: float = 2.0) -> torch.Tensor:
    """Random float32 of that shape, to one decimal."""
    values = rng.normal(scale=scale, size=shape).round(1)
    return torch.tensor(values, dtype=torch.float32)


def another_model(rng: np.random.Generator) -> torch.nn.Module:
    """The tiny model with weights half or twice as large."""
    model = copy.deepcopy(tiny().model)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= rng.choice([0.5, 2.0])
    return model
