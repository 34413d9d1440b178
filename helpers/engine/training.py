"""What a fine-tuning run needs beside its lesson: progress, and going on after a stop.

Trainer writes a checkpoint file by file. One that was cut off half-way, or damaged
since, must not be loaded, so the last thing written into each is a list of its files.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from IPython import get_ipython
from IPython.display import display
from tqdm.auto import tqdm
from transformers import TrainerCallback

from helpers.engine.files import digest, read_json, write_text

KEPT = 2  # checkpoints at once: if the newest is cut off, there is one before it
MARK = "whole.json"  # the digests of a checkpoint's files, and the last that is written


class ProgressCallback(TrainerCallback):
    """A bar with tokens per second, a loss curve that redraws, a stop if it breaks.

    draw: makes a figure of a history (columns tokens, loss, split), for notebooks.
    """

    def __init__(self, title: str, tokens_per_step: int, draw: Callable):
        self.title, self.tokens_per_step, self.draw = title, tokens_per_step, draw
        self.history: list[dict] = []
        self.picture, self.bar = None, tqdm(disable=True)  # until training begins

    def on_train_begin(self, args, state, control, **_):
        self.start, self.first = time.time(), state.global_step
        shown = state.is_world_process_zero
        if self.first and shown:
            print(f"Resuming from step {self.first} of {state.max_steps}.")
        look = {"desc": self.title, "leave": False, "disable": not shown}
        self.bar = tqdm(total=state.max_steps, initial=self.first, **look)
        if shown and getattr(get_ipython(), "kernel", None):  # in a notebook
            self.picture = display({"text/plain": ""}, raw=True, display_id=True)

    def on_step_end(self, args, state, control, **_):
        tokens = (state.global_step - self.first) * self.tokens_per_step
        rate = tokens / (time.time() - self.start)
        self.bar.update(1)
        self.bar.set_postfix_str(f"{rate:,.0f} tokens/s")

    def on_log(self, args, state, control, logs, **_):
        loss = logs.get("loss", logs.get("eval_loss"))
        if loss is None:
            return
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {state.global_step}: "
                "try a lower learning rate."
            )
        # Trainer's own log holds, after resuming, what came before as well.
        logs = [log for log in state.log_history if {"loss", "eval_loss"} & log.keys()]
        self.history = [
            {
                "tokens": log["step"] * self.tokens_per_step,
                "loss": log.get("loss", log.get("eval_loss")),
                "split": "training" if "loss" in log else "validation",
            }
            for log in logs
        ]
        if self.picture:
            self.picture.update(self.draw(pd.DataFrame(self.history), self.title))

    def on_save(self, args, state, control, **_):
        args.distributed_state.wait_for_everyone()  # each process writes a file
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_text(checkpoint / MARK, json.dumps(_digests(checkpoint)))

    def close(self):
        self.bar.close()  # else an error's words would stand behind it

    def on_train_end(self, args, state, control, **_):
        if self.picture:  # the notebook draws the finished curve itself
            self.picture.update({"text/plain": ""}, raw=True)


def last_checkpoint(folder: Path, wanted: dict) -> str | None:
    """The last whole checkpoint in `folder` made under the settings `wanted`, or None.

    What cannot be used is removed. A checkpoint at the step where training was to end
    does not count: going on from there, Trainer would take one step too many.
    """
    made_with = folder / "settings.json"
    if read_json(made_with) != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        write_text(made_with, json.dumps(wanted))
    usable = {}
    for checkpoint in folder.glob("checkpoint-*"):
        if read_json(checkpoint / MARK) != _digests(checkpoint):
            print(f"{checkpoint.name} is not whole and is passed over.")
            shutil.rmtree(checkpoint)
            continue
        state = read_json(checkpoint / "trainer_state.json")
        callbacks = state["stateful_callbacks"]
        if not callbacks["TrainerControl"]["args"]["should_training_stop"]:
            usable[state["global_step"]] = str(checkpoint)
    return usable[max(usable)] if usable else None


def _digests(checkpoint: Path) -> dict[str, str]:
    return {p.name: digest(p) for p in checkpoint.iterdir() if p.name != MARK}


@contextmanager
def enough_disk(folder: Path, model: torch.nn.Module):
    """OSError that says how much room a run needs: before it, and if the disk fills."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # Adam keeps two numbers for each weight; and the model is written at the end.
    need = weights * (3 * (KEPT + 1) + 1)
    there = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    full = OSError(
        errno.ENOSPC,
        f"Fine-tuning needs {need / 1e9:.2g} GB under runs/, and the disk has not so "
        "much left. Make room and run again: it goes on from the last checkpoint.",
    )
    if shutil.disk_usage(folder).free + there < need:
        raise full
    try:
        yield
    except Exception as error:  # each library has its own name for a full disk
        if shutil.disk_usage(folder).free < 3 * weights:  # less than one checkpoint
            raise full from error
        raise
