"""Answers of any kind (tensor, array, Series, number, text) compared and shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch


def same(before, after) -> bool:
    """Whether an argument is what it was. A model may change: training changes it."""
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    if isinstance(before, np.ndarray):
        return np.array_equal(before, after)
    if isinstance(before, pd.DataFrame):
        return before.equals(after)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(same, before, after))
    return isinstance(before, torch.nn.Module) or before == after


def _plain(value):
    """A tensor of one number as that number; anything else as it is."""
    one = isinstance(value, torch.Tensor) and value.numel() == 1
    return value.item() if one else value


def numbers(value) -> np.ndarray | None:
    """Numbers as float64, whatever holds them; None if `value` holds no numbers."""
    if isinstance(value, torch.Tensor):
        value = value.detach().double().cpu().numpy()
    elif isinstance(value, list | tuple):
        value = [_plain(v) for v in value]
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError, RuntimeError):
        return None


def agree(got, expected, rtol: float) -> bool:
    """Whether two answers are equal: one shape, `rtol` of the largest expected."""
    if isinstance(got, Exception) or got is None or isinstance(expected, str):
        return isinstance(got, str) and got == expected
    if isinstance(expected, pd.Series):
        if not isinstance(got, pd.Series):
            return False
        if not expected.index.sort_values().equals(got.index.sort_values()):
            return False
        got = got.reindex(expected.index)
    a, b = numbers(got), numbers(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    atol = 1e-9 + rtol * largest
    return np.allclose(a, b, rtol=0, atol=atol, equal_nan=True)


def show(value) -> str:
    """A value in few words: numbers to six figures, a shape where there are many."""
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, pd.DataFrame):
        return "\n" + value.to_string(index=False)
    if isinstance(value, pd.Series):
        return "{" + ", ".join(f"{k!r}: {v:.4g}" for k, v in value.items()) + "}"
    array = None if value is None or isinstance(value, str | bool) else numbers(value)
    measured = isinstance(value, torch.Tensor | float | np.generic)
    if array is None or (array.ndim == 0 and not measured):
        return repr(value)
    if array.size > 30:
        shape, first = array.shape, array.flat[0]
        return f"{array.size} numbers of shape {shape}, the first {first:.6g}"
    text = np.array2string(
        array, separator=", ", max_line_width=200, formatter={"float": "{:.6g}".format}
    )
    return text.replace("\n", " ")
