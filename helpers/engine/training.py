"""What a fine-tuning run needs beside its lesson: progress, and going on after a stop.

Trainer writes a checkpoint file by file, its own state last. One that was cut off
half-way, and so has none, is not loaded.
"""

import errno
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from accelerate import PartialState
from IPython import get_ipython
from IPython.display import display
from tqdm.auto import tqdm
from transformers import PreTrainedModel, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from helpers.engine.files import read_json, write_text

KEPT = 2  # checkpoints at once: if the newest is cut off, there is one before it
SPLITS = {"loss": "training", "eval_loss": "validation"}  # as Trainer logs them


class Progress(TrainerCallback):
    """A bar, a loss curve that redraws, a stop if the loss breaks.

    draw: makes a figure of a history (columns tokens, loss, split), for notebooks.
    Of several processes, the first alone shows something.
    """

    def __init__(self, title: str, steps: int, tokens_per_step: int, draw: Callable):
        self.title, self.tokens_per_step, self.draw = title, tokens_per_step, draw
        self.is_first = PartialState().is_main_process
        self.bar = tqdm(total=steps, desc=title, disable=not self.is_first)
        self.history: list[dict] = []
        self.picture = None  # until training begins, in a notebook

    def on_train_begin(self, args, state, control, **_):
        if state.global_step and self.is_first:
            print(f"Resuming from step {state.global_step} of {state.max_steps}.")
        if getattr(get_ipython(), "kernel", None):
            self.picture = display({"text/plain": ""}, raw=True, display_id=True)

    def on_step_end(self, args, state, control, **_):
        self.bar.update(state.global_step - self.bar.n)

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
    while last := get_last_checkpoint(folder):
        state = read_json(Path(last, "trainer_state.json"))  # the last file written
        if state is None:
            print(f"{Path(last).name} is not whole and is passed over.")
        else:
            control = state["stateful_callbacks"]["TrainerControl"]["args"]
            if not control["should_training_stop"]:
                return last
        shutil.rmtree(last)


def check_disk(folder: Path, model: PreTrainedModel) -> None:
    """OSError, saying how much room a run needs, if the disk has less."""
    # Adam keeps two numbers for each weight; and the model is written at the end.
    need = model.get_memory_footprint() * (3 * (KEPT + 1) + 1)
    there = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if shutil.disk_usage(folder).free + there < need:
        said = f"Fine-tuning needs {need / 1e9:.2g} GB under runs/: make room for it."
        raise OSError(errno.ENOSPC, said)
