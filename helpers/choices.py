"""What the name of a model or a corpus means, and what was chosen by it.

`config.base()` and `config.neurips()` ask here for what the environment names. To
choose downloads nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from helpers.engine import files

ROOT = Path(__file__).resolve().parents[1]  # where relative paths start
GPT2 = "openai-community/gpt2"
NEURIPS_HUB = "NeurIPSConference/NeurIPS2024-papers"
VARIABLES = {"model": "AR_BASE", "dataset": "AR_NEURIPS"}  # what chooses each
# Words that mean this, whatever folder of that name lies here: a repository of the hub,
HUB_WORDS = {
    ("model", "auto"): GPT2,
    ("model", "gpt2"): GPT2,
    ("dataset", "auto"): NEURIPS_HUB,
}
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

    def fetch(self) -> Path:
        """Its file or folder, downloaded whole if it is not here yet.

        hub.HubError, saying what to do, if it could not be downloaded.
        """
        # Here, so that a picture need not wait for the hub's client.
        from helpers.engine import hub, paperlists

        if os.path.isabs(self.used):
            return Path(self.used)
        if self.used == "paperlists":
            return paperlists.fetch(self.revision, ROOT / "runs" / "paperlists.parquet")
        return hub.fetch(self.used, self.kind, self.revision)

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
def choose(kind: str, asked: str) -> Choice:
    """The "model" or "dataset" that `asked` means: a word, a path, or a hub id.

    What lies here comes before a repository of that name; a hub id may end in @commit.
    "auto" is what the hub gives, else the packaged stand-in. hub.HubError for what was
    named, is not here, and was not found on the hub.
    """
    from helpers.engine import hub  # here, as above

    if (kind, asked) in LABELS:
        return Choice(asked, asked, REVISIONS.get(asked), kind=kind)
    word = HUB_WORDS.get((kind, asked))
    if not word and (path := local_path(asked)):
        return Choice(asked, str(path), kind=kind)
    repo, _, commit = (word or asked).partition("@")
    try:
        found = hub.newest(repo, kind, commit or REVISIONS.get(repo))
        return Choice(asked, repo, found, kind=kind)
    except hub.HubError as error:
        if asked == "auto":
            again = f"to look again, delete auto-{kind}.json under runs/"
            stand_in = f"{LABELS[kind, 'packaged']} stands in ({again})."
            return Choice(asked, "packaged", None, f"{error.why}: {stand_in}", kind)
        if not word:
            here = f"no file or folder {asked!r:.80} is here"
            raise hub.HubError(f"{here}, and {error.why}") from None
        raise
