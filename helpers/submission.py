"""What a run leaves behind, in plain formats: CSV for scores, JSON for facts, text for samples.

Every file is written beside its place and then renamed, so a reader finds the old one or the new one.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import textwrap
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from helpers import config

SCORE_COLUMNS = (
    "text_id",
    "domain",
    "model",
    "n_chars",
    "n_bytes",
    "n_tokens",
    "log_likelihood",
)
# What a log-likelihood can be reported as: (column, axis label, unit).
MEASURES = {
    "log_likelihood": ("log-likelihood of a string", "nats"),
    "nats_per_token": ("log-likelihood per token", "nats per token"),
    "bits_per_byte": ("bits per byte", "bits; lower is likelier"),
}


@contextmanager
def atomic(path: Path):
    """Give a temporary path beside `path`; on leaving without an error, rename it into place.

    OSError naming `path` if the disk is full or may not be written to.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=".unfinished-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{path.parent.name}/{path.name} cannot be written ({error.strerror}); "
            "what was there is unchanged",
        ) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


@contextmanager
def lock(name: str, message: str, wait: bool = True):
    """Hold the lock `name` of this checkout; a process that ends, however it ends, gives its locks back.

    If another process holds it, print `message` and wait; or, with `wait=False`, BlockingIOError with `message`.
    """
    path = config.ROOT / "runs" / f".{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BlockingIOError(message) from None
        print(message, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text atomically, with the same bytes on every system."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
    return Path(path)


def write_scores(scores: pd.DataFrame, path: Path | None = None) -> Path:
    """Write `likelihoods.csv`: one row per model and string, `log_likelihood` in nats, no text."""
    text = scores[list(SCORE_COLUMNS)].to_csv(
        index=False, float_format="%.4f", lineterminator="\n"
    )
    return write_text(path or config.submission() / "likelihoods.csv", text)


def read_scores(path: Path | None = None) -> pd.DataFrame:
    """Read `likelihoods.csv` and add `nats_per_token` and `bits_per_byte`.

    FileNotFoundError if no run has written it yet; ValueError if it is not a table of scores.
    """
    path = Path(path or config.submission() / "likelihoods.csv")
    if not path.exists():
        raise FileNotFoundError(
            f"{path.name} is not there yet: run notebook 06 (or `make run`), which writes it."
        )
    return add_rates(pd.read_csv(path))


def _plain(value):
    """A number of numpy's as Python's own, which prints as itself."""
    return value.item() if isinstance(value, np.generic) else value


def add_rates(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with two columns more: `nats_per_token`, and `bits_per_byte` (−log₂ p per UTF-8 byte).

    ValueError naming the column that is missing, or the column and row whose value cannot be right.
    """
    missing = [c for c in SCORE_COLUMNS if c not in scores]
    if missing:
        raise ValueError(f"A table of scores needs the column(s) {', '.join(missing)}.")
    if scores.empty:
        raise ValueError("The table of scores has no rows.")
    for column in ("n_chars", "n_bytes", "n_tokens", "log_likelihood"):
        number = pd.to_numeric(scores[column], errors="coerce")
        bad = ~np.isfinite(number)
        if bad.any():
            row = bad.to_numpy().argmax()
            value = _plain(scores[column].iloc[row])
            raise ValueError(
                f"Column {column}, row {row}: {value!r} is not a finite number."
            )
        scores = scores.assign(**{column: number})
    for column, good, wanted in (
        (
            "model",
            scores.model.isin(config.MODELS),
            f"one of {', '.join(config.MODELS)}",
        ),
        ("n_bytes", scores.n_bytes > 0, "a text's length"),
        ("n_tokens", scores.n_tokens > 0, "a text's length"),
    ):
        if not good.all():
            row = (~good).to_numpy().argmax()
            raise ValueError(
                f"Column {column}, row {row}: {_plain(scores[column].iloc[row])!r} is not {wanted}."
            )
    return scores.assign(
        nats_per_token=scores.log_likelihood / scores.n_tokens,
        bits_per_byte=-scores.log_likelihood / math.log(2) / scores.n_bytes,
    )


def update_json(name: str, **facts) -> Path:
    """Merge `facts` into the JSON object in `submission/<name>`, making it if it is missing."""
    path = config.submission() / name
    with lock("update", f"Another process is writing {name}; waiting for it."):
        old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return write_text(
            path,
            json.dumps(old | facts, indent=1, ensure_ascii=False, default=float) + "\n",
        )


def wrapped(text: str) -> str:
    """`text` with its long lines broken between words, to be read; a verse stays a verse."""
    return "\n".join(
        textwrap.fill(
            line,
            88,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


def write_samples(samples: list[dict]) -> Path:
    """Write `samples.jsonl` (one object a sample) and `samples.txt` (the same, to be read).

    A sample has `model, base, prompt, settings, seed, text, token_log_probs` (nats).
    """
    folder = config.submission()
    lines, readable = [], []
    for s in samples:
        lines.append(json.dumps(s, ensure_ascii=False))
        settings = ", ".join(f"{k}={v}" for k, v in s["settings"].items())
        head = f"model {s['model']} (base {s['base']}) · {settings} · seed {s['seed']}"
        text = wrapped(f"[{s['prompt']}]{s['text']}")
        readable.append(f"{'=' * 88}\n{head}\n{'-' * 88}\n{text}\n")
    write_text(
        folder / "samples.txt",
        "The prompt stands in square brackets; the model wrote what follows it.\n\n"
        + "\n".join(readable),
    )
    return write_text(folder / "samples.jsonl", "\n".join(lines) + "\n")
