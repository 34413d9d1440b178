"""Files that are whole or not there, and locks that end with their process."""

import hashlib
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def atomic(path: Path):
    """Give a temporary path beside `path`; on leaving without an error, rename it.

    So a reader finds the old file or the new one, never a part of one. OSError naming
    `path` if the disk is full or may not be written to.
    """
    temporary = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        name = f"{path.parent.name}/{path.name}"
        raise OSError(
            error.errno,
            f"{name} cannot be written ({error.strerror}); what was there is unchanged",
        ) from None
    finally:
        with suppress(OSError):  # it may be gone, or its folder may only be read
            temporary.unlink()


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text, whole or not at all, with the same bytes on every system."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
    return path


def read_json(path: Path, remedy: str = ""):
    """What a JSON file holds; None if it is not there.

    If it is damaged (empty, not JSON, not UTF-8), ValueError that ends with `remedy`;
    without one, as for what can be made again, a line is printed, and None returned.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        damaged = f"{path.parent.name}/{path.name} is damaged"
        if remedy:
            raise ValueError(f"{damaged} ({first_line(error)}): {remedy}") from None
        print(f"{damaged} and is passed over.", flush=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def sizes(folder: Path) -> dict[str, int]:
    """Bytes in each file of a folder: enough to tell a whole one from one cut off."""
    return {p.name: p.stat().st_size for p in sorted(folder.iterdir()) if p.is_file()}


def lock(path: Path, message: str, wait: bool = True):
    """Take the lock file `path`, to be used in a `with`, which gives it back.

    If another process holds it, print `message` and wait; or, with `wait=False`,
    BlockingIOError with `message`. A process that ends, however, gives its locks back.
    """
    held = FileLock(path)
    try:
        return held.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BlockingIOError(message) from None
    print(message, flush=True)
    return held.acquire()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
