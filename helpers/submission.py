"""What a run leaves behind, in plain formats: CSV for scores, JSON for facts, text.

Every file is whole: a reader finds the old one or the new one.
"""

from __future__ import annotations

import json
import math
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import config
from helpers.engine import files

NUMBERS = ("n_chars", "n_bytes", "n_tokens", "log_likelihood")
SCORE_COLUMNS = ("text_id", "domain", "model", *NUMBERS)
# What a log-likelihood can be reported as: (axis label, unit) by column.
MEASURES = {
    "log_likelihood": ("log-likelihood of a string", "nats"),
    "nats_per_token": ("log-likelihood per token", "nats per token"),
    "bits_per_byte": ("bits per byte", "bits; lower is likelier"),
}


def write_scores(scores: pd.DataFrame, path: Path | None = None) -> Path:
    """Write `likelihoods.csv`: one row per model and string, in nats, no text."""
    path = path or config.submission() / "likelihoods.csv"
    table = scores[list(SCORE_COLUMNS)]
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    return files.write_text(path, text)


def read_scores(path: Path | None = None) -> pd.DataFrame:
    """Read `likelihoods.csv` and add `nats_per_token` and `bits_per_byte`.

    FileNotFoundError if no run has written it yet; ValueError if it is not a table of
    scores.
    """
    path = Path(path or config.submission() / "likelihoods.csv")
    if not path.exists():
        raise FileNotFoundError(
            f"{path.name} is not there yet: "
            "run notebook 06 (or `make run`), which writes it."
        )
    return add_rates(pd.read_csv(path))


def add_rates(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with `nats_per_token` and `bits_per_byte` (−log₂ p per UTF-8 byte).

    ValueError naming the column that is missing, or the column and row whose value
    cannot be right.
    """
    missing = [column for column in SCORE_COLUMNS if column not in scores]
    if missing:
        raise ValueError(f"A table of scores needs the column(s) {', '.join(missing)}.")
    if scores.empty:
        raise ValueError("The table of scores has no rows.")
    for column in NUMBERS:
        number = pd.to_numeric(scores[column], errors="coerce")
        _check(scores[column], np.isfinite(number), "a finite number")
        scores = scores.assign(**{column: number})
    known = scores.model.isin(config.MODELS)
    _check(scores.model, known, f"one of {', '.join(config.MODELS)}")
    for column in ("n_bytes", "n_tokens"):
        _check(scores[column], scores[column] > 0, "a text's length")
    return scores.assign(
        nats_per_token=scores.log_likelihood / scores.n_tokens,
        bits_per_byte=-scores.log_likelihood / math.log(2) / scores.n_bytes,
    )


def _check(values: pd.Series, good: pd.Series, wanted: str) -> None:
    """ValueError naming the first value of a column that is not good."""
    if not good.all():
        row = int((~good).to_numpy().argmax())
        value = values.tolist()[row]
        raise ValueError(f"Column {values.name}, row {row}: {value!r} is not {wanted}.")


def update_json(name: str, **facts) -> Path:
    """Merge `facts` into the JSON object in `submission/<name>`, made if missing."""
    path = config.submission() / name
    waiting = f"Another process is writing {name}; waiting for it."
    with files.lock(config.ROOT / "runs" / ".update.lock", waiting):
        old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = json.dumps(old | facts, indent=1, ensure_ascii=False, default=float)
        return files.write_text(path, text + "\n")


def wrapped(text: str) -> str:
    """`text` with its long lines broken between words; a verse stays a verse."""
    unbroken = {"break_long_words": False, "break_on_hyphens": False}
    lines = [
        textwrap.fill(line, 88, replace_whitespace=False, **unbroken)
        for line in text.split("\n")
    ]
    return "\n".join(lines)


def write_samples(samples: list[dict]) -> Path:
    """Write `samples.jsonl` (one object a sample) and `samples.txt` (to be read).

    A sample has `model, base, prompt, settings, seed, text, token_log_probs` (nats).
    """
    folder = config.submission()
    readable = [
        "The prompt stands in square brackets; the model wrote what follows it.\n"
    ]
    for sample in samples:
        settings = ", ".join(f"{k}={v}" for k, v in sample["settings"].items())
        made_by = f"model {sample['model']} (base {sample['base']})"
        head = f"{made_by} · {settings} · seed {sample['seed']}"
        text = wrapped(f"[{sample['prompt']}]{sample['text']}")
        readable.append(f"{'=' * 88}\n{head}\n{'-' * 88}\n{text}\n")
    files.write_text(folder / "samples.txt", "\n".join(readable))
    lines = [json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples]
    return files.write_text(folder / "samples.jsonl", "".join(lines))
