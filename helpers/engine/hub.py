"""What comes from the Hugging Face hub: found whole in the cache, fetched whole, or a reason within seconds.

The fetching is done by a process of its own (this file, run as a script), because the hub's client retries for
minutes where a reader wants an answer, and a process that makes no headway can be ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TIMEOUT = 4.0  # seconds for a first answer: longer than a slow one, shorter than a reader's patience
PATIENCE = 10.0  # seconds without one more byte before a download is given up
WORDS = {
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
    "ConnectError": "no connection",
    "ReadTimeout": "no answer",
    "ConnectTimeout": "no answer",
    "RemoteProtocolError": "the connection broke off",
}
# What is read, and nothing else: weights as safetensors, tables as CSV, JSON, Parquet or text; never a pickle.
FILES = {
    "model": ["*.safetensors", "*.json", "*.txt", "*.model"],
    "dataset": ["*.parquet", "*.csv", "*.json", "*.jsonl", "*.txt", "README.md"],
}
MODEL = (
    ["config.json"],
    ["*.safetensors"],
    ["tokenizer.json", "vocab.*", "*.model"],
)  # one of each


class HubError(ConnectionError):
    """A repository cannot be had; one line says why."""


def reason(error: BaseException) -> str:
    """Why, in a few words: the first cause that an answer, the network or the disk gave."""
    while error.__cause__ is not None and getattr(error, "response", None) is None:
        error = error.__cause__
    if (response := getattr(error, "response", None)) is not None:
        unknown = ", not found there" if response.status_code in (401, 403, 404) else ""
        return f"HTTP {response.status_code}{unknown}"
    return (
        WORDS.get(type(error).__name__)
        or f"{type(error).__name__}: {first_line(error)[:120]}"
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _wanted(repo: str, kind: str, revision: str | None) -> dict:
    ignored = (
        ["*/*"] if kind == "model" else None
    )  # copies of the weights in other formats
    return {
        "repo_id": repo,
        "repo_type": kind,
        "revision": revision,
        "allow_patterns": FILES[kind],
        "ignore_patterns": ignored,
    }


def _cached(wanted: dict) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:  # not there, or known to lack a file
        return None
    needed = (
        MODEL if wanted["repo_type"] == "model" else ()
    )  # another program may have fetched a part of it
    return (
        folder
        if all(any(any(folder.glob(p)) for p in either) for either in needed)
        else None
    )


def _size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except FileNotFoundError:  # not there yet, or a file was renamed as we looked
        return 0


def fetch(repo: str, kind: str, revision: str | None = None) -> Path:
    """The local folder of a hub "model" or "dataset", whole; its name is the commit.

    What the cache holds is used without asking the hub. Without a `revision` the newest commit is looked up once,
    and is the one the cache holds from then on. HubError if the repository cannot be had: after TIMEOUT seconds
    without a first answer, or PATIENCE seconds without one more byte.
    """
    from huggingface_hub import HfApi, constants, file_download
    from huggingface_hub.utils import filter_repo_objects
    from tqdm.auto import tqdm

    wanted = _wanted(repo, kind, revision)
    if folder := _cached(wanted):
        return folder
    try:  # the quick question first: one request, no retries
        info = HfApi().repo_info(
            repo,
            repo_type=kind,
            revision=revision,
            timeout=TIMEOUT,
            files_metadata=True,
        )
    except Exception as error:
        raise HubError(f"{repo} cannot be had from the hub ({reason(error)})") from None
    print(f"Fetching {repo} from the hub, once.", flush=True)
    files = filter_repo_objects(
        info.siblings or (),
        allow_patterns=wanted["allow_patterns"],
        ignore_patterns=wanted["ignore_patterns"],
        key=lambda file: file.rfilename,
    )
    bar = tqdm(
        total=sum(file.size or 0 for file in files),
        unit="B",
        unit_scale=True,
        leave=False,
        delay=2,
    )
    blobs = (
        Path(constants.HF_HUB_CACHE)
        / file_download.repo_folder_name(repo_id=repo, repo_type=kind)
        / "blobs"
    )
    child = subprocess.Popen(
        [sys.executable, "-P", __file__, json.dumps(wanted)],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HF_HUB_DISABLE_XET": "1"},
    )
    problem, most, moved = "", -1, time.monotonic()
    try:
        while child.poll() is None and not problem:
            size = _size(blobs)
            if size > most:
                most, moved = size, time.monotonic()
                bar.update(size - bar.n)
            elif time.monotonic() - moved > PATIENCE:
                problem = f"nothing more came for {PATIENCE:.0f} seconds"
            time.sleep(0.1)
    finally:
        bar.close()
        child.kill()
        said = child.communicate()[0].strip()
    folder = None if problem or said else _cached(wanted)
    problem = (
        problem
        or said
        or ("it holds no file we can read" if folder is None else _damage(folder))
    )
    if problem:
        raise HubError(f"{repo} cannot be had from the hub ({problem})")
    return folder


def _damage(folder: Path) -> str:
    """Take out what arrived damaged, and say so: large files lie in the cache under their SHA-256."""
    for path in folder.rglob("*"):
        blob = path.resolve()
        if blob.is_file() and len(blob.name) == 64:
            with blob.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != blob.name:
                    file.close()
                    path.unlink()
                    blob.unlink()
                    return f"{path.name} arrived damaged"
    return ""


if __name__ == "__main__":
    from huggingface_hub import constants, snapshot_download

    constants.DOWNLOAD_CHUNK_SIZE = (
        2**16
    )  # so that whoever watches the file sees it grow
    try:
        snapshot_download(**json.loads(sys.argv[1]), etag_timeout=TIMEOUT)
    except Exception as error:
        print(reason(error))
