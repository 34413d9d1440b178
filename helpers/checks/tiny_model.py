"""The tiny model (random weights over bytes) that some checks run on."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch.nn.utils.rnn import pad_sequence

from helpers import models
from helpers.engine import folders


@functools.cache
def tiny() -> models.LanguageModel:
    """The tiny model on the CPU, where the checks' tensors are, GPU or not."""
    lm = models.load("tiny")
    lm.model.cpu()
    return lm


@torch.no_grad()
def tiny_logits(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the tiny model expects of texts behind a separator, padded with it.

    Logits (texts, longest + 1, 257), ids (texts, longest + 1), and lengths (texts,).
    """
    lm = tiny()
    encoded = lm.encode(texts)
    rows = [torch.tensor([lm.bos_id, *text]) for text in encoded]
    ids = pad_sequence(rows, batch_first=True, padding_value=lm.bos_id)
    return lm.model(ids).logits, ids, torch.tensor([len(text) for text in encoded])


def picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """log p of each id under the row of logits beside it.

    (…, tokens, vocabulary) and (…, tokens) → (…, tokens).
    """
    return logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]


def on_the_tiny_model(check: Callable) -> Callable:
    """A check without warnings about padding that is not there, and on one thread.

    Products this small take longer on two: the threads only wait for each other.
    """

    @functools.wraps(check)
    def alone(function: Callable) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            folders.quietly(check, function)
        finally:
            torch.set_num_threads(threads)

    return alone
