"""Where the arithmetic happens, and in which precision training may do it."""

import functools
import timeit

import torch


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@functools.cache
def fast_dtype() -> torch.dtype:
    """bfloat16 where it is faster than float32, else float32. For training alone.

    On a GPU that is a fact of the card. On a CPU it is measured (a fifth of a second):
    some processors multiply bfloat16 four times as fast as float32, others accept it
    and take twice as long.
    """
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32

    def seconds(dtype):
        matrix = torch.ones(768, 768, dtype=dtype)
        return timeit.timeit(lambda: matrix @ matrix.T, number=1)

    # The best of 20 each, in turn, so that a busy moment does not decide.
    turns = [(seconds(torch.float32), seconds(torch.bfloat16)) for _ in range(20)]
    float32, bfloat16 = map(min, zip(*turns))
    return torch.bfloat16 if bfloat16 < float32 / 1.3 else torch.float32
