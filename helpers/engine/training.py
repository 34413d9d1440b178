"""Where an interrupted fine-tuning run goes on from: checkpoints that were written to the end, and room to write them.

Trainer writes a checkpoint file by file. One that was cut off half-way, or damaged since, must be recognised as such
and not be loaded, so the last thing written into each is a list of its files' digests.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import torch

from helpers import submission

KEPT = 2  # at once: should the newest be cut off while it is written, there is one before it
WHOLE = "whole.json"  # the digests of a checkpoint's files


def mark_whole(checkpoint: Path) -> None:
    """Say that a checkpoint has been written to the end."""
    submission.write_text(checkpoint / WHOLE, json.dumps(_digests(checkpoint)))


def last_whole(folder: Path, wanted: dict, steps: int) -> str | None:
    """The last whole checkpoint in `folder` made under the settings `wanted`, or None; what cannot be used is removed.

    One at the last of all `steps` does not count: going on from there, Trainer would take one step too many.
    """
    mark = folder / "settings.json"
    if not (mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        submission.write_text(mark, json.dumps(wanted))
    last = None
    for step, checkpoint in sorted(
        (int(p.name.split("-")[1]), p) for p in folder.glob("checkpoint-*")
    ):
        if flaw := _flaw(checkpoint):
            print(f"{checkpoint.name} of {folder.name} is passed over: {flaw}.")
            shutil.rmtree(checkpoint)
        elif step < steps:
            last = str(checkpoint)
    return last


def _digests(checkpoint: Path) -> dict[str, str]:
    """Of every file that resuming reads, but for states of random numbers: one a process, written in any order."""
    found = {}
    for path in sorted(
        p
        for p in checkpoint.iterdir()
        if p.name != WHOLE and not p.name.startswith("rng_state")
    ):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _flaw(checkpoint: Path) -> str:
    """Why a checkpoint cannot be gone on from, or "" if it can."""
    if not (checkpoint / WHOLE).exists():
        return "it was not written to the end"
    found = _digests(checkpoint)
    for name, digest in json.loads(
        (checkpoint / WHOLE).read_text(encoding="utf-8")
    ).items():
        if found.get(name) != digest:
            return f"{name} is damaged"
    return ""


@contextmanager
def enough_disk(folder: Path, model: torch.nn.Module):
    """OSError that says how much room a run needs, before it starts or when the disk fills up on the way."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    need = weights * (
        3 * (KEPT + 1) + 1
    )  # Adam keeps two numbers for each weight; and the model
    there = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

    def full() -> OSError:
        return OSError(
            errno.ENOSPC,
            f"Fine-tuning needs {need / 1e9:.2g} GB under runs/, and the disk has not so much "
            "left. Make room and run again: it goes on from the last whole checkpoint. "
            "A model made earlier is as it was.",
        )

    if shutil.disk_usage(folder).free + there < need:
        raise full()
    try:
        yield
    except Exception as error:  # each library has its own name for a full disk
        if shutil.disk_usage(folder).free < 3 * weights:  # less than one checkpoint
            raise full() from error
        raise
