"""What the name of a model or a corpus means, and what was chosen by it.

`config.base()` and `config.neurips()` ask here for what the environment names. To
choose downloads nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from helpers.engine import files

ROOT = Path(__file__).resolve().parents[1]  # where relative paths start
GPT2 = "openai-community/gpt2"
NEURIPS_HUB = "NeurIPSConference/NeurIPS2024-papers"
VARIABLES = {"model": "AR_BASE", "dataset": "AR_NEURIPS"}  # what chooses each
REMEDY = "try again later, or set {0}=packaged, or {0}=PATH (a file or folder here)."
# Words that mean this, whatever folder of that name lies here: a repository of the hub,
HUB_WORDS = {
    "model": {"auto": GPT2, "gpt2": GPT2},
    "dataset": {"auto": NEURIPS_HUB},
}
# or what needs no hub, with its name in print. The packaged model has been tuned for
# chat and rounded.
LABELS = {
    "model": {
        "packaged": "SmolLM2-135M-Instruct (4-bit)",
        "tiny": "tiny untrained GPT-2",
    },
    "dataset": {
        "packaged": "packaged collection",
        "paperlists": "NeurIPS 2012–2018 (paperlists)",
    },
}
HUB_ID = re.compile(r"(\w[\w.-]*/)?\w[\w.-]{0,95}(@[\w.-]+)?", re.ASCII)
CORPUS_FILES = (".csv", ".jsonl", ".parquet", ".txt")
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
        return LABELS[self.kind].get(self.used, _short(self.used))

    def fetch(self) -> Path:
        """Its file or folder, downloaded whole if it is not here yet.

        hub.HubError, saying what to do, if it could not be downloaded.
        """
        # Here, so that a picture need not wait for the hub's client.
        from helpers.engine import hub, paperlists

        if os.path.isabs(self.used):
            return Path(self.used)
        try:
            if self.used == "paperlists":
                kept = ROOT / "runs" / "paperlists.parquet"
                return paperlists.fetch(self.revision, kept)
            return hub.fetch(self.used, self.kind, self.revision)
        except hub.HubError as error:
            remedy = REMEDY.format(VARIABLES[self.kind])
            raise hub.HubError(f"{error}: {remedy}") from None

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


def named(kind: str) -> str:
    """What the environment names as the model or the dataset; "" if it names none."""
    return os.environ.get(VARIABLES[kind], "").strip()


def local_path(value: str) -> Path | None:
    """`value` as an existing path: absolute, or relative to the project or to here."""
    for start in (ROOT, "."):
        path = os.path.join(start, os.path.expanduser(value))
        if os.path.exists(path):  # False for a loop of links, an unknown user, …
            return Path(os.path.realpath(path))
    return None


@functools.cache  # so the hub is asked once, and a process keeps to its answer
def choose(kind: str, asked: str, models: Path) -> Choice:
    """The "model" or "dataset" that `asked` means: a word, a path, or a hub id.

    A path has a separator, or ends like a corpus file; a hub id may end in @commit.
    "auto" is what it was for the fine-tuned models in the folder `models`; else what
    the hub gives; else the packaged stand-in. FileNotFoundError for a path that does
    not exist; hub.HubError for a model or dataset that was named and not found.
    """
    from helpers.engine import hub  # here, as above

    if asked == "auto" and (before := _auto_before(kind, models)):
        return before
    if asked in LABELS[kind]:
        return Choice(asked, asked, REVISIONS.get(asked), kind=kind)
    repo, _, commit = HUB_WORDS[kind].get(asked, asked).partition("@")
    if asked not in HUB_WORDS[kind] and (path := _path(kind, asked)):
        return Choice(asked, str(path), kind=kind)
    try:
        found = hub.newest(repo, kind, commit or REVISIONS.get(repo))
        return Choice(asked, repo, found, kind=kind)
    except hub.HubError as error:
        if asked != "auto":
            here = f" For what lies here, write ./{asked}." if local_path(asked) else ""
            remedy = REMEDY.format(VARIABLES[kind])
            raise hub.HubError(f"{error}: {remedy}{here}") from None
        again = f"to look again, delete runs/{models.parent.name}/models"
        note = f"{error}: {LABELS[kind]['packaged']} stands in ({again})."
        return Choice(asked, "packaged", None, note, kind)


def _path(kind: str, asked: str) -> Path | None:
    """The file or folder that is meant; None if a hub id is."""
    path = local_path(asked)
    hub_id = HUB_ID.fullmatch(asked) and not asked.lower().endswith(CORPUS_FILES)
    if hub_id and (path is None or "/" not in asked):
        return None
    if path is None:
        start = "(paths are relative to the project's folder)"
        raise FileNotFoundError(f"{asked!r:.80}: no such file or folder {start}.")
    return path


def _auto_before(kind: str, models: Path) -> Choice | None:
    """What auto chose for the fine-tuned models that are here, as they recorded it."""
    key = "base" if kind == "model" else "corpus"
    for path in sorted(models.glob("*/facts.json")):
        with suppress(KeyError, TypeError):  # an older model's facts
            record = files.read_json(path)[key]
            old = Choice(**{f.name: record[f.name] for f in fields(Choice)})
            if old.asked == "auto":
                return old
    return None
