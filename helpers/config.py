"""What a run is: its profile, its seed, its folders, and what the environment chose.

Three variables choose, and nothing else is read from the environment here:
AR_PROFILE (smoke, classroom, full), AR_BASE (the base model), AR_NEURIPS (the abstracts).
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from helpers import hub

ROOT = Path(__file__).resolve().parents[1]
SEED = 236  # the number of the Stanford course this descends from
DOMAINS = ("neurips", "shakespeare")  # the two corpora a model is fine-tuned on
KINDS = (*DOMAINS, "random")  # the three kinds of text every model scores
MODELS = ("base", *DOMAINS)  # a fine-tuned model bears its domain's name

GPT2 = "openai-community/gpt2"
NEURIPS_HUB = "NeurIPSConference/NeurIPS2024-papers"
CORPUS_FILES = (".csv", ".jsonl", ".parquet", ".txt")
# A hub repository can change under its name; a commit cannot. Where none is pinned here, the newest
# is looked up once, used as long as the cache holds it, and recorded in the manifest.
REVISIONS = {GPT2: "607a30d783dfa663caf39e06633721c8d4cfcd7e"}
LABELS = {
    ("model", "packaged"): "SmolLM2-135M",
    ("model", "tiny"): "tiny untrained GPT-2",
    ("dataset", "packaged"): "packaged collection",
}


@dataclass(frozen=True)
class Profile:
    """Everything that differs between a test run, a laptop and a GPU."""

    name: str
    base: str  # what AR_BASE means when it is not set
    neurips: str  # what AR_NEURIPS means when it is not set
    block: int  # tokens per training block: long enough for a speech or an abstract's argument
    batch: int  # blocks per optimiser step: small, because adapting to a style needs many small steps
    micro_batch: int  # of those, how many at once on each device: fewer take less memory and give the same model
    train_tokens: int  # tokens seen in training; 0 means one pass over all of them
    learning_rate: (
        float  # higher than for pretraining's end, far lower than for its start
    )
    held_out_bytes: int  # bytes of each domain's test split scored for bits per byte
    strings: int  # evaluation strings per kind
    sample_tokens: int  # tokens per sample that notebook 05 keeps


PROFILES = {
    p.name: p
    for p in (
        Profile(
            "smoke",
            "tiny",
            "packaged",
            block=64,
            batch=4,
            micro_batch=4,
            train_tokens=5_120,
            learning_rate=3e-3,
            held_out_bytes=4_000,
            strings=20,
            sample_tokens=24,
        ),
        Profile(
            "classroom",
            "auto",
            "auto",
            block=256,
            batch=2,
            micro_batch=2,
            train_tokens=122_880,
            learning_rate=1e-4,
            held_out_bytes=40_000,
            strings=100,
            sample_tokens=200,
        ),
        Profile(
            "full",
            "auto",
            "auto",
            block=512,
            batch=16,
            micro_batch=16,
            train_tokens=0,
            learning_rate=1e-4,
            held_out_bytes=200_000,
            strings=100,
            sample_tokens=200,
        ),
    )
}


def profile() -> Profile:
    """The profile named by AR_PROFILE (default: classroom). ValueError for a name that is none."""
    name = os.environ.get("AR_PROFILE") or "classroom"
    if name not in PROFILES:
        raise ValueError(
            f"AR_PROFILE={name!r} is not a profile; choose one of {', '.join(PROFILES)}."
        )
    return PROFILES[name]


def runs() -> Path:
    """Where this profile keeps models, checkpoints and executed notebooks (not committed)."""
    return ROOT / "runs" / profile().name


def submission() -> Path:
    """Where results go. The smoke profile keeps its own, so that a test never overwrites real ones."""
    return runs() / "submission" if profile().name == "smoke" else ROOT / "submission"


@dataclass(frozen=True)
class Choice:
    """A model or corpus that was asked for, what is used, and why they differ (`note`, or "")."""

    asked: str
    used: str  # "tiny", "packaged", a hub id, or an absolute path
    revision: str | None = None
    note: str = ""
    kind: str = "model"  # or "dataset"

    @property
    def label(self) -> str:
        """A name fit for print: never an absolute path, and never GPT-2's name for another model."""
        return LABELS.get((self.kind, self.used), self._short(self.used))

    @staticmethod
    def _short(value: str) -> str:
        return Path(value).name if os.path.isabs(value) else value

    def record(self) -> dict:
        """For the manifest; `files` (name, size, time of a local folder's files) tells one model from another."""
        files = (
            sorted(p for p in Path(self.used).glob("*") if p.is_file())
            if os.path.isabs(self.used)
            else []
        )
        state = (
            {"files": [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files]}
            if files
            else {}
        )
        names = {
            "asked": self._short(self.asked),
            "used": self._short(self.used),
            "label": self.label,
        }
        return asdict(self) | names | state


def local_path(value: str) -> Path | None:
    """`value` as an existing file or folder: absolute, or relative to the project's folder or to here."""
    for start in (ROOT, Path.cwd()):
        path = (start / Path(value).expanduser()).resolve()
        if path.exists():
            return path
    return None


def _choose(
    variable: str, default: str, kind: str, preferred: str, stand_in: str
) -> Choice:
    asked = os.environ.get(variable) or default
    if asked in ("tiny", "packaged"):
        return Choice(asked, asked, kind=kind)
    if asked != "auto":
        if path := local_path(asked):
            return Choice(asked, str(path), kind=kind)
        if (
            asked.startswith((".", "/", "~"))
            or asked.count("/") > 1
            or Path(asked).suffix in CORPUS_FILES
        ):
            raise FileNotFoundError(
                f"{variable}={asked!r}: there is no such file or folder "
                "(paths are relative to the project's folder)."
            )
    repo = {"auto": preferred, "gpt2": GPT2}.get(asked, asked)
    try:
        return Choice(
            asked, repo, hub.fetch(repo, kind, REVISIONS.get(repo)).name, kind=kind
        )
    except hub.HubError as error:
        if asked == "auto":
            return Choice(
                asked, "packaged", None, f"{error}: {stand_in} stands in.", kind
            )
        raise hub.HubError(
            f"{error}: try again later, or take {stand_in} with {variable}=packaged, "
            f"or a file or folder of your own with {variable}=PATH."
        ) from None


@cache
def base() -> Choice:
    """The base model, from AR_BASE: auto, gpt2, packaged, tiny, a hub id or a local folder.

    What comes from the hub is in the cache, whole, when this returns. FileNotFoundError for a path that does not
    exist; hub.HubError for a model asked for by name that cannot be had.
    """
    return _choose(
        "AR_BASE", profile().base, "model", GPT2, "the packaged SmolLM2-135M"
    )


@cache
def neurips() -> Choice:
    """The abstracts, from AR_NEURIPS: auto, packaged, a hub id, or a CSV, JSON Lines, Parquet or text file.

    What comes from the hub is in the cache, whole, when this returns. FileNotFoundError for a path that does not
    exist; hub.HubError for a dataset asked for by name that cannot be had.
    """
    return _choose(
        "AR_NEURIPS",
        profile().neurips,
        "dataset",
        NEURIPS_HUB,
        "the packaged collection, written for this project,",
    )


def versions() -> dict[str, str]:
    """Versions of the libraries a result depends on."""
    return {
        name: version(name)
        for name in (
            "torch",
            "transformers",
            "datasets",
            "pandas",
            "matplotlib",
            "scikit-learn",
        )
    }


def describe() -> None:
    """Print what this run uses; the first cell of every notebook that needs a model or a corpus."""
    print(
        f"profile {profile().name} · base model {base().label} · abstracts {neurips().label} · seed {SEED}"
    )
    print(" · ".join(f"{name} {number}" for name, number in versions().items()))
    for choice in (base(), neurips()):
        if choice.note:
            print(choice.note)
