"""What a run leaves behind, in plain formats: CSV for scores, JSON for facts, text.

Every file is whole: a reader finds the old one or the new one. The manifest lists each
with its digest and its run, so that `mixed` can say what does not belong together.
"""

from __future__ import annotations

import functools
import hashlib
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
    """Merge `facts` into the JSON object in `submission/<name>`, made if missing.

    A file that another run made is begun anew, so that no file is of two runs.
    """
    path, manifest = config.submission() / name, config.submission() / "manifest.json"
    with _locked():
        maker = _listed(manifest).get(name, {}).get("run")
        if path != manifest and maker not in (None, run()):
            print(f"{name} was of another run ({maker}) and is begun anew.")
            path.unlink(missing_ok=True)
        _merge(path, facts)
    return record(path)


def _locked():
    """The lock under which a JSON file is read, changed and written."""
    waiting = "Another process is writing into submission/; waiting for it."
    return files.lock(config.ROOT / "runs" / ".update.lock", waiting)


def _merge(path: Path, facts: dict) -> None:
    files.write_text(path, _json(_object(path) | facts, indent=1) + "\n")


def _object(path: Path) -> dict:
    """What a JSON file holds; nothing if it is missing, damaged, or no object."""
    found = files.read_json(path)
    return found if isinstance(found, dict) else {}


def _json(value, indent: int | None = None) -> str:
    """JSON text; NaN and infinity, which JSON does not have, become null."""
    plain = json.loads(json.dumps(value, default=float), parse_constant=lambda _: None)
    return json.dumps(plain, indent=indent, ensure_ascii=False)


def record(path: Path) -> Path:
    """List a file of submission/ in its manifest, with its digest and its run.

    What lies elsewhere is not listed. Returns `path`.
    """
    manifest = config.submission() / "manifest.json"
    if path != manifest and path.is_relative_to(manifest.parent):
        name, maker = path.relative_to(manifest.parent).as_posix(), run()
        with _locked():
            facts = {"sha256": files.digest(path), "run": maker}
            _merge(manifest, {"files": _listed(manifest) | {name: facts}})
    return path


def _listed(manifest: Path) -> dict:
    return _object(manifest).get("files") or {}


def run() -> str:
    """What decides a run's numbers, in words; files that say the same go together."""
    said = [f"profile {config.profile().name}"]
    for what, choice in (("base", config.base()), ("abstracts", config.neurips())):
        said.append(f"{what} {choice.label} {_content(choice)[:12]}".strip())
    return ", ".join([*said, f"seed {config.SEED}"])


@functools.cache  # so that a model's file is read once
def _content(choice: config.Choice) -> str:
    """What tells one content of a name from another: a commit, or a digest."""
    path = Path(choice.used)
    if not path.is_absolute():
        return choice.revision or ""
    if path.is_file():
        return files.digest(path)
    inside = sorted(p for p in path.glob("*") if p.is_file())
    digests = "".join(map(files.digest, inside))
    return hashlib.sha256(digests.encode()).hexdigest()


def mixed(rewritten: str = "") -> str:
    """What in submission/ does not belong together, and what to do; "" if all does.

    A file that is about to be `rewritten` does not count. "" also where no run has
    listed its files.
    """
    folder = config.submission()
    listed = _listed(folder / "manifest.json")
    if not listed:
        return ""
    makers, odd = {}, {"changed since": [], "missing": [], "in no run's list": []}
    for name, facts in listed.items():
        if name == rewritten:
            continue
        if not (folder / name).exists():
            odd["missing"].append(name)
        elif files.digest(folder / name) != facts["sha256"]:
            odd["changed since"].append(name)
        makers.setdefault(facts["run"], []).append(name)
    known = {*listed, "manifest.json", rewritten}
    found = {path.name for path in folder.glob("[!.]*") if path.is_file()}
    odd["in no run's list"] = sorted(found - known)
    if len(makers) == 1:
        makers = {}
    groups = [
        f"{_few(names)}: {what}" for what, names in (makers | odd).items() if names
    ]
    if not groups:
        return ""
    again = f"make run PROFILE={config.profile().name}"
    said = f"{folder.name}/ is not what one run left. {'; '.join(groups)}."
    return f"{said}\nTo make it whole, run the series again: {again}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


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
