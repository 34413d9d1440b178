"""Answers of any kind (tensor, array, list, Series, number) compared and shown."""

import numpy as np
import pandas as pd
import torch


def same(before, after) -> bool:
    """Whether an argument is what it was. A model may change: training changes it."""
    if isinstance(before, list):
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    return callable(before) or np.array_equal(before, after)


def numbers(value) -> np.ndarray | None:
    """Numbers as float64, whatever holds them; None if `value` holds no numbers."""
    if isinstance(value, torch.Tensor):
        value = value.detach().double().cpu().numpy()
    elif isinstance(value, list | tuple):
        # A tensor of one number is that number, whatever its shape.
        value = [
            v.item() if torch.is_tensor(v) and v.numel() == 1 else v for v in value
        ]
    try:
        value = np.asarray(value)
        return value.astype(float) if value.dtype.kind in "biuf" else None
    except (TypeError, ValueError, RuntimeError):
        return None


def indexed_alike(got: pd.Series, expected: pd.Series) -> bool:
    """Whether both have the same names, each once, in any order."""
    return got.index.is_unique and set(got.index) == set(expected.index)


def agree(got, expected, rtol: float) -> bool:
    """Whether two answers are equal: one shape, `rtol` of the largest expected."""
    if isinstance(expected, pd.Series):
        if not isinstance(got, pd.Series) or not indexed_alike(got, expected):
            return False
        got = got.reindex(expected.index)
    a, b = numbers(got), numbers(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    return np.allclose(a, b, rtol=0, atol=1e-9 + rtol * largest, equal_nan=True)


def show(value) -> str:
    """A value in one line: numbers to six figures, a shape where there are many."""
    if isinstance(value, pd.Series):
        return repr(value.head(6).to_dict())
    array = numbers(value)
    if array is None or isinstance(value, bool | int):
        return repr(value)
    if array.size > 12:
        shape, first = array.shape, array.flat[0]
        return f"{array.size} numbers of shape {shape}, the first {first:.6g}"
    digits = {"float": "{:.6g}".format}
    return np.array2string(array, separator=", ", formatter=digits).replace("\n", "")


def code(value) -> str:
    """The Python that makes `value`; an empty string where there is no short one."""
    if isinstance(value, int | float | str | list):
        return repr(value)
    kind = str(getattr(value, "dtype", ""))
    if kind not in ("torch.float32", "torch.int64", "float64", "int64"):
        return ""
    maker = "torch.tensor" if isinstance(value, torch.Tensor) else "np.array"
    # As few digits as tell each number from its neighbours.
    digits = {"separator": ", ", "floatmode": "unique", "threshold": 99}
    plain = " ".join(np.array2string(np.asarray(value), **digits).split())
    return f"{maker}({plain})"
