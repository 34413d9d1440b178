"""Adapt the base model to a domain with transformers' Trainer; find the result again next time.

From a terminal: python -m helpers.finetune shakespeare
On several processes or GPUs: accelerate launch --num_processes 2 -m helpers.finetune shakespeare
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import os
import shutil
import time
import types
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from accelerate import PartialState
from IPython import get_ipython
from IPython.display import display
from tqdm.auto import tqdm
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.modeling_outputs import CausalLMOutput
from transformers.trainer_callback import PrinterCallback

from helpers import checkpoints, config, data, models, plots, submission
from helpers.models import LanguageModel

CHUNK = 1024  # positions whose logits exist at once: fewer is slower, all of them would take gigabytes
EVALUATIONS = 4  # held-out losses and checkpoints during a run
VALIDATION_TOKENS = (
    4_096  # enough to tell two checkpoints apart, few enough not to double the time
)
PATIENCE = 2  # evaluations without a better held-out loss, after which there is nothing more to gain


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of hidden states through an output matrix, CHUNK positions at a time.

    Equal to `F.cross_entropy(hidden @ weight.T, targets)`, but the logits of a chunk are turned into
    gradients at once and thrown away, so that memory does not grow with positions × vocabulary.
    hidden: (n, width); weight: (vocabulary, width); targets: (n,). The idea is in Wijmans et al. 2024,
    "Cut Your Losses in Large-Vocabulary Language Models", section 4.
    """

    @staticmethod
    def forward(ctx, hidden, weight, targets):
        dtype = (
            torch.get_autocast_dtype(hidden.device.type)
            if torch.is_autocast_enabled(hidden.device.type)
            else hidden.dtype
        )
        w, n = weight.to(dtype), len(targets)
        need = hidden.requires_grad
        total = hidden.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.empty_like(hidden) if need else None
        grad_weight = torch.zeros_like(weight) if need else None
        for i in range(0, n, CHUNK):
            h, y = hidden[i : i + CHUNK].to(dtype), targets[i : i + CHUNK]
            logits, rows = F.linear(h, w).float(), torch.arange(len(y), device=y.device)
            normaliser = logits.logsumexp(-1)
            total += (normaliser - logits[rows, y]).sum()
            if need:  # softmax / n in place: every pass over a chunk costs time
                slope = logits.sub_(normaliser[:, None] + math.log(n)).exp_()
                slope[rows, y] -= 1 / n
                slope = slope.to(dtype)
                grad_hidden[i : i + CHUNK] = slope @ w
                grad_weight += slope.T @ h
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total / n

    @staticmethod
    def backward(ctx, upstream):
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * upstream, grad_weight * upstream, None


def train_forward(self, input_ids, labels=None):
    """A model's forward for training: the mean loss alone, never the logits.

    It replaces `model.forward` rather than `Trainer.compute_loss`, so that wrappers which synchronise
    gradients between processes see an ordinary call of the model.
    """
    hidden = self.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
    loss = ChunkedCrossEntropy.apply(
        hidden[:, :-1].flatten(0, 1),
        self.get_output_embeddings().weight,
        labels[:, 1:].flatten(),
    )
    return CausalLMOutput(loss=loss)


def ready(model) -> None:
    """Make a model ready to learn: its forward gives the loss alone, and nothing is dropped out.

    Dropout keeps a model from learning its text by heart; here it reads every passage once, and early
    stopping watches. On a CPU dropout would cost a tenth of the step.
    """
    model.forward = types.MethodType(train_forward, model)
    model.config.use_cache = False
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


class Watch(TrainerCallback):
    """A progress bar with tokens per second, a loss curve that redraws, and a stop when the loss breaks."""

    def __init__(self, title: str, tokens_per_step: int, kept: Path):
        self.title, self.tokens_per_step, self.kept = title, tokens_per_step, kept
        self.history: list[dict] = []
        self.picture = None

    def on_train_begin(self, args, state, control, **_):
        self.start, self.first = time.time(), state.global_step
        shown = state.is_world_process_zero
        if self.first:  # resumed: the curve so far is beside the checkpoint
            if shown:
                print(f"Resuming from step {self.first} of {state.max_steps}.")
            so_far = (
                json.loads(self.kept.read_text(encoding="utf-8"))
                if self.kept.exists()
                else []
            )
            self.history += [
                row
                for row in so_far
                if row["tokens"] <= self.first * self.tokens_per_step
            ]
        self.bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=self.title,
            unit="step",
            leave=False,
            disable=not shown,
        )
        if shown and getattr(
            get_ipython(), "kernel", None
        ):  # in a notebook, not in a terminal
            self.picture = display({"text/plain": ""}, raw=True, display_id=True)

    def on_step_end(self, args, state, control, **_):
        self.bar.update(1)
        rate = (
            (state.global_step - self.first)
            * self.tokens_per_step
            / (time.time() - self.start)
        )
        self.bar.set_postfix_str(f"{rate:,.0f} tokens/s")

    def on_log(self, args, state, control, logs=None, **_):
        loss = (logs or {}).get("loss", (logs or {}).get("eval_loss"))
        if loss is None:
            return
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {state.global_step}: try a lower learning rate."
            )
        self.history.append(
            {
                "tokens": state.global_step * self.tokens_per_step,
                "loss": loss,
                "split": "training" if "loss" in logs else "validation",
            }
        )
        if self.picture:
            self.picture.update(
                plots.loss_curve(pd.DataFrame(self.history), self.title)
            )

    def on_save(self, args, state, control, **_):
        if state.is_world_process_zero:
            submission.write_text(self.kept, json.dumps(self.history))
            checkpoints.mark_whole(
                Path(args.output_dir) / f"checkpoint-{state.global_step}"
            )

    def on_train_end(self, args, state, control, **_):
        self.bar.close()
        if self.picture:  # the notebook draws the finished curve itself
            self.picture.update({"text/plain": ""}, raw=True)


def settings(domain: str) -> dict:
    """Everything that decides what a fine-tuned model is: base, data, profile, seed."""
    profile, base = asdict(config.profile()), config.base().record()
    return {
        "base": [base["used"], base["revision"], base.get("files")],
        "sha256": data.provenance(domain)["sha256"],
        "seed": config.SEED,
    } | {
        name: profile[name]
        for name in ("block", "batch", "train_tokens", "learning_rate")
    }


@contextmanager
def own_memory():
    """Keep freed memory in the process while training, and give it all back afterwards (CPU with glibc only).

    Else much of a step on CPU is the system clearing pages that the step before had given back.
    """
    try:
        libc = ctypes.CDLL("libc.so.6") if not torch.cuda.is_available() else None
    except OSError:
        libc = None
    mmap_max, trim_threshold = -4, -1  # glibc's M_MMAP_MAX and M_TRIM_THRESHOLD
    if libc:
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, -1)
    try:
        yield
    finally:
        gc.collect()
        if libc:
            libc.mallopt(mmap_max, 65_536)
            libc.mallopt(trim_threshold, 128 * 1024)
            libc.malloc_trim(0)


def adapt(domain: str) -> pd.DataFrame:
    """Fine-tune the base on "shakespeare" or "neurips", unless a model made so is there already.

    The model is kept under runs/<profile>/models/<domain>; load it with `models.load(domain)`. Returns
    the history: columns `tokens`, `loss` (nats per token) and `split`. An interrupted run resumes from its
    last checkpoint. FloatingPointError if the loss is no longer a finite number.
    """
    folder, wanted = config.runs() / "models" / domain, settings(domain)
    processes = PartialState(cpu=not torch.cuda.is_available())
    busy = submission.lock(
        f"finetune-{domain}",
        f"Another process is fine-tuning on {domain}; waiting for it.",
    )
    with busy if processes.is_main_process else nullcontext():
        processes.wait_for_everyone()  # until the first of them has the lock
        facts = models.saved(folder)
        if facts and facts["settings"] == wanted:
            shutil.rmtree(config.runs() / "checkpoints" / domain, ignore_errors=True)
            return pd.DataFrame(facts["history"])
        with own_memory():
            return pd.DataFrame(_train(domain, folder, wanted, processes))


def recipe(
    folder: Path, steps: int, at_once: int, accumulation: int = 1, **changes
) -> TrainingArguments:
    """The hyperparameters of a run of `steps` optimiser steps, each with its reason."""
    return TrainingArguments(
        **{
            "output_dir": str(folder),
            "max_steps": steps,
            "per_device_train_batch_size": at_once,
            "per_device_eval_batch_size": at_once,
            "gradient_accumulation_steps": accumulation,
            "learning_rate": config.profile().learning_rate,
            "lr_scheduler_type": "cosine",  # down to nothing: the last steps settle rather than wander
            "warmup_steps": max(
                1, steps // 20
            ),  # Adam's first estimates are poor; small steps until they are not
            "weight_decay": 0.1,
            "adam_beta2": 0.95,  # as in GPT-3 (Brown et al. 2020, appendix B):
            # short memory suits short runs
            "max_grad_norm": 1.0,  # one odd batch must not undo the rest
            "optim": "adamw_torch_fused",  # one pass over the weights instead of a dozen
            "bf16": models.fast_dtype() == torch.bfloat16,
            "eval_strategy": "steps",
            "eval_steps": steps // EVALUATIONS,
            "save_strategy": "steps",
            "save_steps": steps // EVALUATIONS,
            "save_total_limit": checkpoints.KEPT,
            "load_best_model_at_end": True,  # the best on validation documents, not the last
            "eval_on_start": True,  # where the base stands before it has learnt anything
            "logging_steps": max(1, steps // 24),
            "logging_nan_inf_filter": False,  # a broken loss must be seen, not averaged away
            "seed": config.SEED,
            "use_cpu": not torch.cuda.is_available(),
            "dataloader_pin_memory": torch.cuda.is_available(),
            "report_to": "none",
            "disable_tqdm": True,
            "log_level": "error",
        }
        | changes
    )


def _train(
    domain: str, folder: Path, wanted: dict, processes: PartialState
) -> list[dict]:
    """Train, write the model to `folder`, and return the history."""
    started = time.time()
    p = config.profile()
    unfinished = config.runs() / "checkpoints" / domain
    with (
        processes.main_process_first()
    ):  # the others find what the first has fetched and converted
        lm = models.load("base", dtype=torch.float32)
        splits, block = data.splits(domain), min(p.block, lm.context)
        train, valid = (
            data.packed_blocks(
                splits[split]["text"], lm.encode, lm.separator, block, seed=config.SEED
            )
            for split in ("train", "validation")
        )
    at_once = min(p.micro_batch, p.batch // processes.num_processes)
    share = (
        at_once * processes.num_processes
    )  # blocks that all processes together take at once
    if not share or p.batch % share:
        raise ValueError(
            f"A batch of {p.batch} blocks cannot be shared out evenly among {processes.num_processes} "
            f"processes, {at_once} at once: use fewer processes, or change the profile's batch."
        )
    per_step = p.batch * block
    steps = max(EVALUATIONS, (p.train_tokens or len(train) * block) // per_step)
    with processes.main_process_first():
        resume = checkpoints.last_whole(unfinished, wanted, steps)
    arguments = recipe(
        unfinished, steps, at_once, p.batch // share, eval_on_start=resume is None
    )
    set_seed(config.SEED)
    ready(lm.model)
    watch = Watch(
        f"fine-tuning {config.base().label} on {domain}",
        per_step,
        unfinished / "history.json",
    )
    valid = valid.select(range(min(len(valid), VALIDATION_TOKENS // block)))
    trainer = Trainer(
        model=lm.model,
        args=arguments,
        train_dataset=train,
        eval_dataset=valid,
        callbacks=[watch, EarlyStoppingCallback(PATIENCE)],
    )
    trainer.remove_callback(PrinterCallback)
    with checkpoints.enough_disk(unfinished, lm.model):
        models.quietly(trainer.train, resume_from_checkpoint=resume)
        del lm.model.forward
        lm.model.config.use_cache = True
        if processes.is_main_process:
            models.save(
                lm.model,
                lm.tokenizer,
                folder,
                settings=wanted,
                base=config.base().record(),
                data=data.provenance(domain)["source"],
                steps=steps,
                seconds=round(time.time() - started),
                history=watch.history,
            )
            shutil.rmtree(unfinished)
    processes.wait_for_everyone()
    return watch.history


def load_all() -> dict[str, LanguageModel]:
    """The three models of the series, by name; those not fine-tuned yet are fine-tuned first."""
    for domain in config.DOMAINS:
        adapt(domain)
    return {name: models.load(name) for name in config.MODELS}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Fine-tune the base model on a domain."
    )
    parser.add_argument("domain", choices=config.DOMAINS)
    parser.add_argument(
        "--profile", choices=config.PROFILES, default=config.profile().name
    )
    chosen = parser.parse_args()
    os.environ["AR_PROFILE"] = chosen.profile
    first = PartialState(cpu=not torch.cuda.is_available()).is_main_process
    if first:
        config.describe()
    curve = adapt(chosen.domain)
    if first:
        print(curve[curve.split == "validation"].to_string(index=False))
