"""What a run is: its profile, its seed, its folders, and what the environment chose.

Three variables choose, and nothing else is read from the environment here:
AR_PROFILE (smoke, classroom, full), AR_BASE (the base model), AR_NEURIPS (the
abstracts). Where they say nothing, the file settings.toml in the project's folder
does. Changed in a live kernel, both count from the next call on.
"""

import functools
import hashlib
import json
import os
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

from helpers.engine import files

ROOT = Path(__file__).resolve().parents[1]  # where relative paths start
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
    kinds = {"profile": "str"} | {f.name: f.type.__name__ for f in fields(Profile)[1:]}
    for key, value in said.items():
        if type(value).__name__ != kinds.get(key):
            known = ", ".join(f"{k} ({kind})" for k, kind in kinds.items())
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


# ---- what was chosen, and what its name means

GPT2 = "openai-community/gpt2"
NEURIPS_HUB = "NeurIPSConference/NeurIPS2024-papers"
# Words that mean this, whatever folder of that name lies here: a repository of the hub,
HUB_WORDS = {"model": {"auto": GPT2, "gpt2": GPT2}, "dataset": {"auto": NEURIPS_HUB}}
# or what needs no hub, with its name in print. The packaged model has been tuned for
# chat and rounded.
LABELS = {
    ("model", "packaged"): "SmolLM2-135M-Instruct (4-bit)",
    ("model", "tiny"): "tiny untrained GPT-2",
    ("dataset", "packaged"): "packaged collection",
    ("dataset", "paperlists"): "NeurIPS 2012–2018 (paperlists)",
}
# A repository can change under its name; a commit cannot. Where none is pinned, the
# hub's newest is looked up once, used as long as the cache holds it, and recorded.
REVISIONS = {
    GPT2: "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "paperlists": "33f9884e652f05a768d2f216534d7f1e446a0cf7",
}


@dataclass(frozen=True)
class Choice:
    """A model or corpus that was chosen, what is used, and why they differ (`note`)."""

    asked: str  # the variable's value, or the profile's default
    used: str  # a word of LABELS, a hub id, or an absolute path
    revision: str | None = None  # the repository's commit
    note: str = ""
    kind: str = "model"  # or "dataset"

    @property
    def label(self) -> str:
        """A name fit for print: never a whole path, never GPT-2's for another model."""
        return LABELS.get((self.kind, self.used), _short(self.used))

    def content(self) -> str:
        """What tells apart two contents of one name: a commit, or a digest of files."""
        path = Path(self.used)
        if not path.is_absolute():
            return self.revision or ""
        inside = sorted(path.glob("*")) if path.is_dir() else [path]
        digests = [_digest(p, p.stat().st_mtime_ns) for p in inside if p.is_file()]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def record(self) -> dict:
        """For the manifest; `files`, a digest, tells one folder from another."""
        short = {"asked": _short(self.asked), "used": _short(self.used)}
        record = asdict(self) | short | {"label": self.label}
        own = os.path.isabs(self.used)
        return record | {"files": self.content()} if own else record


@functools.cache  # so that a model's weights are read once
def _digest(path: Path, time: int) -> str:
    return files.digest(path)


def _short(value: str) -> str:
    """A path's last part; anything else as it is."""
    return Path(value).name if os.path.isabs(value) else value


def base() -> Choice:
    """The base model, from AR_BASE: auto, gpt2, packaged, tiny, a hub id or a folder.

    Where it is not set, from settings.toml, else from the profile. Nothing is
    downloaded yet. hub.HubError for a model that was named and not found.
    """
    return choose("model", os.environ.get("AR_BASE", "").strip() or profile().base)


def neurips() -> Choice:
    """The abstracts: auto, packaged, paperlists, a hub id, or a file (see README).

    From AR_NEURIPS, else settings.toml, else the profile. Nothing is downloaded yet.
    hub.HubError for what was named and not found.
    """
    named = os.environ.get("AR_NEURIPS", "").strip()
    return choose("dataset", named or profile().neurips)


def local_path(value: str) -> Path | None:
    """`value` as an existing path: absolute, or relative to the project or to here."""
    for start in (ROOT, "."):
        path = os.path.join(start, os.path.expanduser(value))
        if os.path.exists(path):  # False for a loop of links, an unknown user, …
            return Path(os.path.realpath(path))
    return None


@functools.cache  # so the hub is asked once, and a process keeps to its answer
def choose(kind: str, asked: str) -> Choice:
    """The "model" or "dataset" that `asked` means: a word, a path, or a hub id.

    What lies here comes before a repository of that name; a hub id may end in @commit.
    "auto" is what `keep_auto` kept, else what the hub gives, else the packaged
    stand-in. hub.HubError for what was named, is not here, and was not found on the
    hub.
    """
    # Here, so that a picture need not wait for the hub's client.
    from helpers.engine import hub

    if (kind, asked) in LABELS:
        return Choice(asked, asked, REVISIONS.get(asked), kind=kind)
    if asked == "auto" and (kept := files.read_json(_kept(kind))):
        return Choice(**kept)
    word = HUB_WORDS[kind].get(asked)
    if not word and (path := local_path(asked)):
        return Choice(asked, str(path), kind=kind)
    repo, _, commit = (word or asked).partition("@")
    try:
        commit = hub.newest(repo, kind, commit or REVISIONS.get(repo))
    except hub.HubError as error:
        if asked == "auto":
            again = f"to look again, delete auto-{kind}.json under runs/"
            stand_in = f"{LABELS[kind, 'packaged']} stands in ({again})."
            return Choice(asked, "packaged", None, f"{error.why}: {stand_in}", kind)
        if not word:
            error.why = f"no file or folder {asked!r:.80} is here, and {error.why}"
        raise
    return Choice(asked, repo, commit, kind=kind)


def _kept(kind: str) -> Path:
    return runs() / f"auto-{kind}.json"


def keep_auto() -> None:
    """Keep what auto means now: a run, or a model made here, has one base and corpus.

    Kept in runs/<profile>/; to choose anew, delete it there.
    """
    for choice in (base(), neurips()):
        if choice.asked == "auto":
            files.write_text(_kept(choice.kind), json.dumps(asdict(choice)))


# ---- in words


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
