"""What a fine-tuning run needs beside its lesson: progress, and going on after a stop.

Trainer writes a checkpoint file by file. One that was cut off half-way must not be
loaded, so the last thing written into each is a list of its files.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from IPython import get_ipython
from IPython.display import display
from transformers.trainer_callback import ProgressCallback

from helpers.engine.files import read_json, sizes, write_text

KEPT = 2  # checkpoints at once: if the newest is cut off, there is one before it
MARK = "whole.json"  # the sizes of a checkpoint's files, and the last that is written
SPLITS = {"loss": "training", "eval_loss": "validation"}  # as Trainer logs them


class Progress(ProgressCallback):
    """Trainer's bar, a loss curve that redraws, a stop if the loss breaks.

    draw: makes a figure of a history (columns tokens, loss, split), for notebooks.
    """

    def __init__(self, title: str, tokens_per_step: int, draw: Callable):
        super().__init__()
        self.title, self.tokens_per_step, self.draw = title, tokens_per_step, draw
        self.history: list[dict] = []
        self.picture = None  # until training begins, in a notebook

    def on_train_begin(self, args, state, control, **_):
        super().on_train_begin(args, state, control)
        if state.is_world_process_zero:
            self.training_bar.set_description_str(self.title)
            if state.global_step:
                print(f"Resuming from step {state.global_step} of {state.max_steps}.")
            if getattr(get_ipython(), "kernel", None):
                self.picture = display({"text/plain": ""}, raw=True, display_id=True)

    def on_log(self, args, state, control, **_):
        # Trainer's own log holds, after resuming, what came before as well.
        self.history = [
            {
                "tokens": log["step"] * self.tokens_per_step,
                "loss": log[name],
                "split": SPLITS[name],
            }
            for log in state.log_history
            for name in SPLITS
            if name in log
        ]
        loss = self.history[-1]["loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {state.global_step}: "
                "try a lower learning rate."
            )
        if self.picture:
            self.picture.update(self.draw(pd.DataFrame(self.history), self.title))

    def on_save(self, args, state, control, **_):
        args.distributed_state.wait_for_everyone()  # each process writes a file
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_text(checkpoint / MARK, json.dumps(sizes(checkpoint)))

    def close(self):
        if self.training_bar:  # else an error's words would stand behind it
            self.training_bar.close()

    def on_train_end(self, args, state, control, **_):
        super().on_train_end(args, state, control)
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
        listed = read_json(checkpoint / MARK)
        if not listed or not listed.items() <= sizes(checkpoint).items():
            print(f"{checkpoint.name} is not whole and is passed over.")
            shutil.rmtree(checkpoint)
            continue
        state = read_json(checkpoint / "trainer_state.json")
        callbacks = state["stateful_callbacks"]
        if not callbacks["TrainerControl"]["args"]["should_training_stop"]:
            usable[state["global_step"]] = str(checkpoint)
    return usable[max(usable)] if usable else None


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
