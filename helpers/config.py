"""What a run is: its profile, its seed, its folders, and what the environment chose.

Three variables choose, and nothing else is read from the environment here:
AR_PROFILE (smoke, classroom, full), AR_BASE (the base model), AR_NEURIPS (the
abstracts). Where they say nothing, the file settings.toml in the project's folder
does. Changed in a live kernel, both count from the next call on.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from helpers import choices
from helpers.choices import GPT2, NEURIPS_HUB, REVISIONS, ROOT, Choice  # noqa: F401
from helpers.engine import files

SEED = 236  # the number of the Stanford course this descends from
DOMAINS = ("neurips", "shakespeare")  # the two corpora a model is fine-tuned on
KINDS = (*DOMAINS, "random")  # the three kinds of text every model scores
MODELS = ("base", *DOMAINS)  # a fine-tuned model bears its domain's name


@dataclass(frozen=True)
class Profile:
    """Everything that differs between a laptop (the values here), a test and a GPU."""

    name: str
    base: str = "auto"  # what AR_BASE means when it is not set
    neurips: str = "auto"  # what AR_NEURIPS means when it is not set
    block: int = 256  # tokens per training block: a speech, an abstract's argument
    batch: int = 2  # blocks per optimiser step: few, so that there are many small steps
    train_tokens: int = 92_160  # seen in training; 0 means one pass over all of them
    learning_rate: float = 1e-4  # between pretraining's highest and its last
    held_out_bytes: int = 40_000  # of each test split, scored for bits per byte
    strings: int = 100  # evaluation strings per kind
    sample_tokens: int = 200  # tokens per sample that notebook 05 keeps


PROFILES = {
    "smoke": Profile(
        "smoke",
        base="tiny",
        neurips="packaged",
        block=64,
        batch=4,
        train_tokens=5_120,
        learning_rate=3e-3,
        held_out_bytes=4_000,
        strings=20,
        sample_tokens=24,
    ),
    "classroom": Profile("classroom"),
    "full": Profile(
        "full",
        block=512,
        batch=16,
        train_tokens=0,
        held_out_bytes=200_000,
    ),
}


def profile() -> Profile:
    """The profile named by AR_PROFILE, else by settings.toml, else classroom.

    What else settings.toml says replaces the profile's own values; it is passed over if
    AR_PROFILE names another profile than the file. ValueError for no profile's name.
    """
    said = _settings()
    own = said.pop("profile", "classroom")
    name = os.environ.get("AR_PROFILE") or own
    if name not in PROFILES:
        where = "AR_PROFILE, else profile in settings.toml"
        known = ", ".join(PROFILES)
        raise ValueError(f"{name!r} ({where}) is no profile; choose from {known}.")
    return replace(PROFILES[name], **said) if name == own else PROFILES[name]


def _settings() -> dict:
    """What settings.toml says: `profile`, and any field of Profile except its name.

    Nothing if there is no such file; ValueError, naming the key, if it is wrong.
    """
    path = ROOT / "settings.toml"
    try:
        said = tomllib.loads(path.read_text("utf-8-sig")) if path.exists() else {}
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"settings.toml: {files.first_line(error)}.") from None
    fields = asdict(PROFILES["classroom"])
    kinds = {"profile" if k == "name" else k: type(v) for k, v in fields.items()}
    for key, value in said.items():
        if type(value) is not kinds.get(key):
            known = ", ".join(f"{k} ({kind.__name__})" for k, kind in kinds.items())
            wrong = f"{key} = {value!r:.40}"
            raise ValueError(f"settings.toml cannot take {wrong}, but: {known}.")
    return said


def runs() -> Path:
    """Where this profile keeps models, checkpoints, executed notebooks (untracked)."""
    return ROOT / "runs" / profile().name


def submission() -> Path:
    """Where results go; the smoke profile's own, so that a test spoils no others."""
    smoke = profile().name == "smoke"
    return runs() / "submission" if smoke else ROOT / "submission"


def base() -> Choice:
    """The base model, from AR_BASE: auto, gpt2, packaged, tiny, a hub id or a folder.

    Where it is not set, from settings.toml, else from the profile. Nothing is
    downloaded yet. hub.HubError for a model that was named and not found.
    """
    return choose("model", choices.named("model") or profile().base)


def neurips() -> Choice:
    """The abstracts: auto, packaged, paperlists, a hub id, or a file (see README).

    From AR_NEURIPS, else settings.toml, else the profile. Nothing is downloaded yet.
    hub.HubError for what was named and not found.
    """
    return choose("dataset", choices.named("dataset") or profile().neurips)


def choose(kind: str, asked: str) -> Choice:
    """What `asked` means for a "model" or "dataset": see `choices.choose`.

    "auto" is what `keep_auto` kept, if it was called before.
    """
    kept = files.read_json(_kept(kind)) if asked == "auto" else None
    return Choice(**kept) if kept else choices.choose(kind, asked)


def _kept(kind: str) -> Path:
    return runs() / f"auto-{kind}.json"


def keep_auto() -> None:
    """Keep what auto means now: a run, or a model made here, has one base and corpus.

    Kept in runs/<profile>/; to choose anew, delete it there.
    """
    for choice in (base(), neurips()):
        if choice.asked == "auto":
            files.write_text(_kept(choice.kind), json.dumps(asdict(choice)))


def versions() -> dict[str, str]:
    """Versions of the libraries a result depends on."""
    names = "torch transformers datasets pandas matplotlib scikit-learn".split()
    return {name: version(name) for name in names}


def describe() -> None:
    """Print what this run uses: the first cell of every notebook that needs models."""
    print(
        f"profile {profile().name} · base model {base().label} · "
        f"abstracts {neurips().label} · seed {SEED}"
    )
    print(" · ".join(f"{name} {number}" for name, number in versions().items()))
    own = asdict(PROFILES[profile().name]).items()
    if changed := dict(asdict(profile()).items() - own):
        print("settings.toml:", ", ".join(f"{k} {changed[k]}" for k in sorted(changed)))
    for choice in (base(), neurips()):
        if choice.note:
            print(choice.note)
