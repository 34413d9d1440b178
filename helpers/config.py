"""What a run is: its profile, its seed, its folders, and what the environment chose.

Three variables choose, and nothing else is read from the environment here:
AR_PROFILE (smoke, classroom, full), AR_BASE (the base model), AR_NEURIPS (the
abstracts). Changed in a live kernel, they count from the next call on. A run hands what
it chose to its kernels in AR_RUN.
"""

from __future__ import annotations

import functools
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

from helpers.engine import files

ROOT = Path(__file__).resolve().parents[1]
SEED = 236  # the number of the Stanford course this descends from
DOMAINS = ("neurips", "shakespeare")  # the two corpora a model is fine-tuned on
KINDS = (*DOMAINS, "random")  # the three kinds of text every model scores
MODELS = ("base", *DOMAINS)  # a fine-tuned model bears its domain's name

GPT2 = "openai-community/gpt2"
NEURIPS_HUB = "NeurIPSConference/NeurIPS2024-papers"
VARIABLES = {"model": "AR_BASE", "dataset": "AR_NEURIPS"}  # what chooses each
# Words that mean this, whatever folder of that name lies here.
WORDS = {
    "model": {"auto": GPT2, "gpt2": GPT2, "packaged": None, "tiny": None},
    "dataset": {"auto": NEURIPS_HUB, "packaged": None},
}
HUB_ID = re.compile(r"(\w[\w.-]*/)?\w[\w.-]{0,95}(@[\w.-]+)?", re.ASCII)
CORPUS_FILES = (".csv", ".jsonl", ".parquet", ".txt")
# A hub repository can change under its name; a commit cannot. Where none is pinned, the
# newest is looked up once, used as long as the cache holds it, and recorded.
REVISIONS = {GPT2: "607a30d783dfa663caf39e06633721c8d4cfcd7e"}


@dataclass(frozen=True)
class Profile:
    """Everything that differs between a laptop (the values here), a test and a GPU."""

    name: str
    base: str = "auto"  # what AR_BASE means when it is not set
    neurips: str = "auto"  # what AR_NEURIPS means when it is not set
    block: int = 256  # tokens per training block: a speech, an abstract's argument
    batch: int = 2  # blocks per optimiser step: few, so that there are many small steps
    micro_batch: int = 2  # of those, how many at once: fewer take less memory
    train_tokens: int = 122_880  # seen in training; 0 means one pass over all of them
    learning_rate: float = (
        1e-4  # more than at pretraining's end, less than at its start
    )
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
        micro_batch=4,
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
        micro_batch=16,
        train_tokens=0,
        held_out_bytes=200_000,
    ),
}


def profile() -> Profile:
    """The profile named by AR_PROFILE (default: classroom); ValueError for no name."""
    name = os.environ.get("AR_PROFILE") or "classroom"
    if name not in PROFILES:
        choices = ", ".join(PROFILES)
        raise ValueError(
            f"AR_PROFILE={name!r} is not a profile; choose from {choices}."
        )
    return PROFILES[name]


def runs() -> Path:
    """Where this profile keeps models, checkpoints, executed notebooks (untracked)."""
    return ROOT / "runs" / profile().name


def submission() -> Path:
    """Where results go; the smoke profile's own, so that a test spoils no others."""
    smoke = profile().name == "smoke"
    return runs() / "submission" if smoke else ROOT / "submission"


@dataclass(frozen=True)
class Choice:
    """A model or corpus that was chosen, what is used, and why they differ (`note`)."""

    asked: str  # the variable's value, or the profile's default
    used: str  # "tiny", "packaged", a hub id, or an absolute path
    revision: str | None = None  # the hub's commit
    note: str = ""
    kind: str = "model"  # or "dataset"

    @property
    def label(self) -> str:
        """A name fit for print: never a whole path, never GPT-2's for another model."""
        if self.used == "tiny":
            return "tiny untrained GPT-2"
        if self.used == "packaged":
            return "SmolLM2-135M" if self.kind == "model" else "packaged collection"
        return _short(self.used)

    def fetch(self) -> Path:
        """Its file or folder, downloaded whole if it is not here yet.

        hub.HubError, saying what to do, if it could not be downloaded.
        """
        from helpers.engine import hub  # here: a picture need not wait for its client

        if os.path.isabs(self.used):
            return Path(self.used)
        try:
            return hub.fetch(self.used, self.kind, self.revision)
        except hub.HubError as error:
            raise hub.HubError(f"{error}: {_remedy(self.kind)}") from None

    def record(self) -> dict:
        """For the manifest; `files` (name, size, time) tell one folder from another."""
        short = {"asked": _short(self.asked), "used": _short(self.used)}
        record = asdict(self) | short | {"label": self.label}
        if os.path.isabs(self.used) and os.path.isdir(self.used):
            files = sorted(p for p in Path(self.used).glob("*") if p.is_file())
            stats = [(p.name, p.stat()) for p in files]
            record["files"] = [[n, s.st_size, s.st_mtime_ns] for n, s in stats]
        return record


def _short(value: str) -> str:
    """A path's last part; anything else as it is."""
    return Path(value).name if os.path.isabs(value) else value


def _remedy(kind: str) -> str:
    """What to do where the hub has failed."""
    variable = VARIABLES[kind]
    return (
        f"try again later, or set {variable}=packaged, "
        f"or {variable}=PATH for a file or folder of your own."
    )


def local_path(value: str) -> Path | None:
    """`value` as an existing path: absolute, or relative to the project or to here."""
    for start in (ROOT, "."):
        path = os.path.join(start, os.path.expanduser(value))
        if os.path.exists(path):  # False for a loop of links, an unknown user, …
            return Path(os.path.realpath(path))
    return None


def base() -> Choice:
    """The base model, from AR_BASE: auto, gpt2, packaged, tiny, a hub id or a folder.

    Nothing is downloaded yet. FileNotFoundError for a path that does not exist;
    hub.HubError for a model that was named and not found.
    """
    return _chosen("model", profile().base)


def neurips() -> Choice:
    """The abstracts, from AR_NEURIPS: auto, packaged, a hub id, or a file (see README).

    Nothing is downloaded yet. FileNotFoundError for a path that does not exist;
    hub.HubError for a dataset that was named and not found.
    """
    return _chosen("dataset", profile().neurips)


def _chosen(kind: str, default: str) -> Choice:
    """What the run handed over, if the same is still asked for; else chosen here."""
    asked = os.environ.get(VARIABLES[kind], "").strip() or default
    with suppress(KeyError, TypeError, ValueError):  # none, or another program's
        handed = Choice(**json.loads(os.environ["AR_RUN"])[kind])
        if handed.asked == asked:
            return handed
    return choose(kind, asked)


def hand_over() -> None:
    """Fix both choices for this process and for those that it starts from now on."""
    chosen = {"model": asdict(base()), "dataset": asdict(neurips())}
    os.environ["AR_RUN"] = json.dumps(chosen)


def choose(kind: str, asked: str) -> Choice:
    """The "model" or "dataset" that `asked` means: a word, a path, or a hub id.

    A path has a separator, or ends like a corpus file; a hub id may end in @commit.
    "auto" is what it was for the fine-tuned models that this profile has; else what the
    hub gives; else the packaged stand-in. A process keeps to its answer.
    FileNotFoundError for a path that does not exist; hub.HubError for a model or
    dataset that was named and not found.
    """
    return _choose(kind, asked, runs() / "models")


@functools.cache  # so that the hub is asked once
def _choose(kind: str, asked: str, models: Path) -> Choice:
    from helpers.engine import hub  # here, as above

    if asked == "auto" and (before := _auto_before(kind, models)):
        return before
    repo, _, commit = asked.partition("@")
    if asked in WORDS[kind]:
        repo = WORDS[kind][asked]
        if repo is None:
            return Choice(asked, asked, kind=kind)
    elif path := _path(kind, asked):
        return Choice(asked, str(path), kind=kind)
    try:
        found = hub.newest(repo, kind, commit or REVISIONS.get(repo))
        return Choice(asked, repo, found, kind=kind)
    except hub.HubError as error:
        if asked != "auto":
            here = f" For what lies here, write ./{asked}." if local_path(asked) else ""
            raise hub.HubError(f"{error}: {_remedy(kind)}{here}") from None
        stand_in = Choice(asked, "packaged", kind=kind).label
        return Choice(asked, "packaged", None, f"{error}: {stand_in} stands in.", kind)


def _path(kind: str, asked: str) -> Path | None:
    """The file or folder that is meant; None if a hub id is."""
    path = local_path(asked)
    hub_id = HUB_ID.fullmatch(asked) and not asked.lower().endswith(CORPUS_FILES)
    if hub_id and (path is None or "/" not in asked):
        return None
    if path is None:
        variable = VARIABLES[kind]
        said = f"{variable}=" if os.environ.get(variable, "").strip() == asked else ""
        raise FileNotFoundError(
            f"{said}{asked!r:.80}: there is no such file or folder "
            "(paths are relative to the project's folder)."
        )
    return path


def _auto_before(kind: str, models: Path) -> Choice | None:
    """What auto chose for the fine-tuned models that are here, as they recorded it."""
    key = "base" if kind == "model" else "corpus"
    again = f" To look again, delete runs/{models.parent.name}/models."
    for domain in DOMAINS:
        with suppress(KeyError, TypeError):  # no model here, or an older one's facts
            record = files.read_json(models / domain / "facts.json")[key]
            old = Choice(**{f.name: record[f.name] for f in fields(Choice)})
            if old.asked == "auto":
                note = old.note.removesuffix(again) + again
                return replace(old, note=note) if old.used == "packaged" else old
    return None


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
    for choice in (base(), neurips()):
        if choice.note:
            print(choice.note)
