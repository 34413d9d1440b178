"""Adapt the base model to a domain with transformers' Trainer; find it again next time.

From a terminal, under the profile that AR_PROFILE names:
python -m helpers.finetune shakespeare
On several processes or GPUs:
accelerate launch --num_processes 2 -m helpers.finetune shakespeare
"""

from helpers import config
from helpers.engine import terminal

if __name__ == "__main__":  # before what takes seconds to import
    terminal.guard(config.ROOT / "runs" / "error.txt")

import argparse
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import torch
from accelerate import PartialState
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from helpers import data, models, plots
from helpers.engine import files, folders, training
from helpers.engine.precision import fast_dtype
from helpers.models import LanguageModel

EVALUATIONS = 4  # validation losses and checkpoints during a run
VALIDATION_TOKENS = 4_096  # enough to tell checkpoints apart, few enough to be quick
PATIENCE = 2  # evaluations without a better validation loss before it stops


def training_arguments(
    folder: Path, steps: int, batch: int, **changes
) -> TrainingArguments:
    """The hyperparameters of a run of `steps` optimiser steps, each with its reason.

    batch: blocks per optimiser step, in all processes together; changes: any
    TrainingArguments, which override those chosen here. The rest are the library's:
    fused AdamW, gradients clipped at a norm of 1.
    """
    chosen = dict(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        accelerator_config={"split_batches": True},  # among processes: the same steps
        learning_rate=config.profile().learning_rate,
        lr_scheduler_type="cosine",  # down to nothing: the last steps settle
        warmup_steps=max(1, steps // 20),  # Adam's first estimates are poor
        weight_decay=0.1,  # as in GPT-3 (Brown et al. 2020, appendix B)
        adam_beta2=0.95,  # the same; short memory suits short runs
        bf16=fast_dtype() == torch.bfloat16,  # only where it is faster
        eval_strategy="steps",
        eval_steps=steps // EVALUATIONS,
        save_steps=steps // EVALUATIONS,
        save_total_limit=training.KEPT,
        load_best_model_at_end=True,  # best on validation documents, not the last
        restore_callback_states_from_checkpoint=True,  # how often it was no better
        logging_steps=max(1, steps // 24),
        logging_nan_inf_filter=False,  # a broken loss must be seen, not averaged away
        seed=config.SEED,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,  # Progress draws the bar
    )
    return TrainingArguments(**chosen | changes)


def prepare_for_training(model: torch.nn.Module) -> None:
    """Make a model ready to learn: without dropout, without the key-value cache.

    Dropout keeps a model from learning its text by heart. Here it reads most text at
    most once (the small packaged collection about three times), and early stopping
    watches. On a CPU dropout would make each step a tenth slower.
    """
    # Some models drop out by a layer, some by a number of a module or of the settings.
    for part in (model.config, model.config.get_text_config(), *model.modules()):
        for name, value in vars(part).items():
            if isinstance(value, float) and (name == "p" or "drop" in name):
                setattr(part, name, 0.0)
    model.config.use_cache = False  # the cache only helps sampling


def settings(domain: str) -> dict:
    """What a saved model must match to be used again: base, data, profile, seed.

    What `training_arguments` fixes is not among them: after changing it, delete
    runs/<profile>/models/<domain>.
    """
    profile, base = config.profile(), config.base().record()
    return {
        "base": [base["used"], base["revision"], base.get("files")],
        "sha256": data.provenance(domain)["sha256"],
        "seed": config.SEED,
        "block": profile.block,
        "batch": profile.batch,
        "train_tokens": profile.train_tokens,
        "learning_rate": profile.learning_rate,
    }


def adapt(domain: str) -> pd.DataFrame:
    """Fine-tune the base on "shakespeare" or "neurips", unless such a model is there.

    Under the classroom profile this takes five minutes where bfloat16 is fast, up to
    three quarters of an hour where it is not. The model is kept under
    runs/<profile>/models/<domain>; load it with `models.load(domain)`. Returns the
    history: columns `tokens` (read so far), `loss` (nats per token) and `split`
    ("training" or "validation"). An interrupted run resumes from its last checkpoint.
    FloatingPointError if the loss is no longer a finite number; OSError if the disk has
    too little room; ValueError if a batch cannot be shared among the processes.
    """
    folder, wanted = config.runs() / "models" / domain, settings(domain)
    checkpoints = config.runs() / "checkpoints" / domain
    processes = PartialState(cpu=not torch.cuda.is_available())
    waiting = f"Another process is fine-tuning on {domain}; waiting for it."
    lock = config.ROOT / "runs" / f".finetune-{domain}.lock"
    first = processes.is_main_process
    with files.lock(lock, waiting) if first else nullcontext():
        processes.wait_for_everyone()  # until the first of them has the lock
        saved = folders.saved(folder)  # settings, history, …
        differ = [k for k in wanted if saved and saved["settings"].get(k) != wanted[k]]
        if differ:
            what = ", ".join(differ).replace("sha256", "corpus")
            processes.print(f"Training anew on {domain}: another {what} than before.")
        if differ or not saved:
            _train(domain, folder, wanted, processes)
            saved = folders.saved(folder)
        if first:
            shutil.rmtree(checkpoints, ignore_errors=True)
    return pd.DataFrame(saved["history"])


def _train(domain: str, folder: Path, wanted: dict, processes) -> None:
    """Train, and write the model to `folder`."""
    started = time.time()
    config.keep_auto()  # for whoever opens another notebook with these models
    checkpoints = config.runs() / "checkpoints" / domain
    with processes.main_process_first():  # the others find what the first has done
        resume = training.last_checkpoint(checkpoints, wanted)
        lm = models.load("base")
        block = min(config.profile().block, lm.context_length)
        train = blocks(domain, "train", lm, block)
        valid = blocks(domain, "validation", lm, block)
    valid = valid.select(range(min(len(valid), VALIDATION_TOKENS // block)))
    batch = config.profile().batch
    tokens = config.profile().train_tokens or len(train) * block
    # At least one step between evaluations.
    steps = max(EVALUATIONS, tokens // (batch * block))

    prepare_for_training(lm.model)
    training.check_disk(checkpoints, lm.model)
    title = f"fine-tuning {config.base().label} on {domain}"
    progress = training.Progress(title, steps, batch * block, plots.loss_curve)
    # First of all the base, before it has read any of the domain.
    fresh = {"eval_on_start": resume is None}
    trainer = Trainer(
        model=lm.model,
        args=training_arguments(checkpoints, steps, batch, **fresh),
        train_dataset=train,
        eval_dataset=valid,
        callbacks=[progress, EarlyStoppingCallback(PATIENCE)],
    )
    trainer.remove_callback(PrinterCallback)
    with progress.bar:  # closed after an error, too: its words get their own line
        trainer.train(resume_from_checkpoint=resume)
        lm.model.config.use_cache = True
        if processes.is_main_process:
            facts = {
                "settings": wanted,
                "base": config.base().record(),
                "steps": steps,
                "seconds": round(time.time() - started),
                "history": progress.history,
            }
            folders.save(lm.model, lm.tokenizer, folder, **facts)
    processes.wait_for_everyone()  # until the model is there


def blocks(domain: str, split: str, lm: LanguageModel, block: int):
    """A split of a domain as shuffled blocks of `block` token ids, a row each.

    The columns are those of `data.packed_blocks`; ValueError as there and for `splits`.
    """
    texts = data.splits(domain)[split]["text"]
    return data.packed_blocks(texts, lm.encode, lm.bos_id, block, seed=config.SEED)


def load_or_train_all() -> dict[str, LanguageModel]:
    """The three models of the series, by name; trains first what is not there yet."""
    for domain in config.DOMAINS:
        adapt(domain)
    return {name: models.load(name) for name in config.MODELS}


def main() -> None:
    """Fine-tune from a terminal, and print the validation losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("domain", choices=config.DOMAINS)
    domain = parser.parse_args().domain
    processes = PartialState(cpu=not torch.cuda.is_available())
    if processes.is_main_process:
        config.describe()
    history = adapt(domain)
    processes.print(history[history.split == "validation"].to_string(index=False))


if __name__ == "__main__":
    main()
