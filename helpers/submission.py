"""What a run leaves behind, in plain formats: CSV for scores, JSON for facts, text.

Every file is whole: a reader finds the old one or the new one. The manifest lists each
with its digest and its run, so that `mixed` can say what does not belong together.
"""

import json
import math
import re
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
# What a terminal might obey, or cannot print.
CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
WRAPPER = textwrap.TextWrapper(
    88, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
)
ODD = "missing, changed since, or of no run"


def write_scores(scores: pd.DataFrame) -> Path:
    """Write `likelihoods.csv`: one row per model and string, in nats, no text."""
    table = scores[list(SCORE_COLUMNS)]
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    return record(files.write_text(config.submission() / "likelihoods.csv", text))


def read_scores(path: Path | None = None) -> pd.DataFrame:
    """Read `likelihoods.csv` and add `nats_per_token` and `bits_per_byte`.

    Prints what in submission/ does not belong together. FileNotFoundError if no run has
    written it yet; ValueError if it is damaged or no table of scores.
    """
    if path is None and (odd := mixed()):
        print(odd)
    path = Path(path or config.submission() / "likelihoods.csv")
    if not path.exists():
        by = "notebook 06 (or `make run`) writes it"
        raise FileNotFoundError(f"{path.name} is not there yet: {by}.")
    try:
        if not path.read_bytes().endswith(b"\n"):
            raise ValueError("its last line is cut off")
        return add_rates(pd.read_csv(path))
    except ValueError as error:  # pandas' are ValueErrors, too
        damaged = f"{path.parent.name}/{path.name} is damaged"
        again = "run notebook 06 again, or git checkout submission/likelihoods.csv."
        why = files.first_line(error)
        raise ValueError(f"{damaged} ({why:.150}): {again}") from None


def add_rates(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with `nats_per_token` and `bits_per_byte` (−log₂ p per UTF-8 byte).

    ValueError naming the column that is missing, or the row that cannot be right.
    """
    missing = [column for column in SCORE_COLUMNS if column not in scores]
    if missing or scores.empty:
        raise ValueError(f"The table of scores has no {', '.join(missing) or 'rows'}.")
    numbers = scores[list(NUMBERS)].apply(pd.to_numeric, errors="coerce")
    good = np.isfinite(numbers).all(axis=1)
    good &= scores[["domain", "model"]].notna().all(axis=1)
    good &= (numbers[["n_bytes", "n_tokens"]] > 0).all(axis=1)
    if not good.all():
        row = int(good.to_numpy().argmin())
        raise ValueError(f"Row {row} is no score: {scores.iloc[row].to_dict()}.")
    return scores.assign(
        **numbers,
        nats_per_token=numbers.log_likelihood / numbers.n_tokens,
        bits_per_byte=-numbers.log_likelihood / math.log(2) / numbers.n_bytes,
    )


def update_json(name: str, **facts) -> Path:
    """Merge `facts` into the JSON object in `submission/<name>`, made if missing.

    A file that another run made is begun anew, so that none is of two runs; so is one
    that is damaged. NaN and infinity, which JSON does not have, become null.
    """
    path = config.submission() / name
    with _locked():
        old = files.read_json(path) or {}
        maker = _facts()["files"].get(name, {}).get("run", run())
        if old and maker != run():
            print(f"{name} was of another run ({maker}) and is begun anew.")
            old = {}
        files.write_text(path, _json(old | facts, indent=1) + "\n")
    return record(path)


def manifest() -> dict:
    """What made the files in submission/; ValueError if manifest.json is damaged."""
    remedy = "run the series again (make run), or git checkout submission/manifest.json"
    return files.read_json(config.submission() / "manifest.json", remedy) or {}


def _facts() -> dict:
    """What the manifest says, as far as it is whole; `files` is in it in any case."""
    found = files.read_json(config.submission() / "manifest.json") or {}
    return found | {"files": found.get("files", {})}


def _locked():
    """The lock under which a JSON file is read, changed and written."""
    waiting = "Another process is writing into submission/; waiting for it."
    return files.lock(config.ROOT / "runs" / ".update.lock", waiting)


def _json(value, indent: int | None = None) -> str:
    plain = json.loads(json.dumps(value, default=float), parse_constant=lambda _: None)
    return json.dumps(plain, indent=indent)


def record(path: Path) -> Path:
    """List a file of submission/ in its manifest, with its digest and its run.

    What lies elsewhere is not listed. Returns `path`.
    """
    target = config.submission() / "manifest.json"
    if path != target and path.parent == target.parent:
        with _locked():
            facts = _facts()
            listed = {"sha256": files.digest(path), "run": run()}
            facts["files"][path.name] = listed
            files.write_text(target, _json(facts, indent=1) + "\n")
    return path


def run() -> str:
    """What decides a run's numbers, in words; files that say the same go together."""
    said = [f"profile {config.profile().name}"]
    for what, choice in (("base", config.base()), ("abstracts", config.neurips())):
        said.append(f"{what} {choice.label} {choice.content()[:8]}".strip())
    return ", ".join([*said, f"seed {config.SEED}"])


def mixed(rewritten: str = "") -> str:
    """What in submission/ does not belong together, and what to do; "" if all does.

    A file that is about to be `rewritten` does not count. "" also where no run has
    listed its files.
    """
    folder, listed, groups = config.submission(), _facts()["files"], {}
    there = {path.name for path in folder.glob("[!.]*") if path.is_file()}
    for name in sorted({*listed, *there} - {"manifest.json", rewritten}):
        facts = listed.get(name, {})
        whole = name in there and files.digest(folder / name) == facts.get("sha256")
        groups.setdefault(facts["run"] if whole else ODD, []).append(name)
    if not listed or (len(groups) < 2 and ODD not in groups):
        return ""
    said = [
        f"{textwrap.shorten(', '.join(names), 80, placeholder=' …')}: {what}"
        for what, names in groups.items()
    ]
    again = f"make run PROFILE={config.profile().name}"
    return (
        f"{folder.name}/ is not what one run left. {'; '.join(said)}.\n"
        f"To make it whole, run the series again: {again}"
    )


def wrapped(text: str) -> str:
    """`text` with its long lines broken between words; a verse stays a verse.

    Control characters are shown as �, and never sent to a terminal.
    """
    lines = CONTROLS.sub("�", text).split("\n")
    return "\n".join(map(WRAPPER.fill, lines))


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
        head = wrapped(f"{made_by} · {settings} · seed {sample['seed']}")
        text = wrapped(f"[{sample['prompt']}]{sample['text']}")
        readable.append(f"{'=' * 88}\n{head}\n{'-' * 88}\n{text}\n")
    record(files.write_text(folder / "samples.txt", "\n".join(readable)))
    lines = [_json(sample) + "\n" for sample in samples]
    return record(files.write_text(folder / "samples.jsonl", "".join(lines)))
