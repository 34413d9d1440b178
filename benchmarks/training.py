"""Our training step beside Trainer's defaults and a plain loop, on a GPT-2 124M with random weights, 8×128 tokens.

Each learns from the same plays. Tokens are those a loss was taken on: padding is no text, and does not count.
"""

import tempfile
import time
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from transformers import (
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from benchmarks.sampling import gpt2
from benchmarks.scoring import matmul_peak, operations
from helpers import config, data, finetune, models

BLOCK, BATCH = 128, 8
STEPS, WARM = (
    8,
    2,
)  # steps a contender takes; the first ones, which allocate and compile, are not timed


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **_):
        self.times.append(time.perf_counter())

    def seconds(self) -> float:
        return (self.times[-1] - self.times[WARM - 1]) / (len(self.times) - WARM)


def quick(folder: str) -> dict:
    """Steps and nothing else: no evaluation, no checkpoint, no report."""
    return {
        "output_dir": folder,
        "max_steps": STEPS,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
        "log_level": "error",
        "save_strategy": "no",
    }


def train(**what):
    trainer = Trainer(**what)
    trainer.remove_callback(PrinterCallback)
    models.quietly(trainer.train)


def ours(model, blocks, folder):
    """The step of `finetune.adapt`: packed blocks, the loss in chunks, fused AdamW, bf16 where it is fast."""
    clock = Clock()
    finetune.ready(model)
    arguments = finetune.recipe(
        Path(folder),
        STEPS,
        BATCH,
        **quick(folder),
        eval_strategy="no",
        eval_on_start=False,
        load_best_model_at_end=False,
    )
    with finetune.own_memory():
        train(model=model, args=arguments, train_dataset=blocks, callbacks=[clock])
    return BATCH * (BLOCK - 1) / clock.seconds()


def defaults(model, speeches, tokenizer, folder):
    """Trainer as it comes, a speech an example, padded to the longest of its batch."""
    clock, seen = Clock(), []
    pad = DataCollatorForLanguageModeling(tokenizer, mlm=False)

    def collate(rows):
        seen.append(sum(len(row["input_ids"]) - 1 for row in rows))
        return pad(rows)

    arguments = TrainingArguments(**quick(folder), per_device_train_batch_size=BATCH)
    train(
        model=model,
        args=arguments,
        train_dataset=speeches,
        data_collator=collate,
        callbacks=[clock],
    )
    timed = seen[WARM:STEPS]
    return sum(timed) / len(timed) / clock.seconds()


def plain(model, blocks):
    """A loop in the manner of nanoGPT on a CPU: packed blocks, float32, all logits at once, AdamW."""
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1
    )
    clock = Clock()
    for step in range(STEPS):
        ids = torch.tensor(
            blocks[step * BATCH : (step + 1) * BATCH]["input_ids"], device=model.device
        )
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten()
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss.item()  # on a GPU: wait for the step to end
        clock.times.append(time.perf_counter())
    return BATCH * (BLOCK - 1) / clock.seconds()


def main() -> None:
    reader = models.load("packaged", dtype=torch.float32)
    plays = data.splits("shakespeare")["train"]["text"][:4]
    blocks = data.packed_blocks(
        plays, reader.encode, reader.separator, BLOCK, seed=config.SEED
    )
    speeches = [
        ids[:BLOCK]
        for ids in reader.encode([s for play in plays for s in play.split("\n\n")])
        if len(ids) > 1
    ]
    speeches = data.Dataset.from_dict({"input_ids": speeches})

    def fresh():  # each starts from the same random weights
        return gpt2(torch.float32).model

    with tempfile.TemporaryDirectory() as folder:
        speed = {
            "ours": ours(fresh(), blocks, folder),
            "Trainer's defaults, float32": defaults(
                fresh(), speeches, reader.tokenizer, folder
            ),
            "plain loop, float32": plain(fresh(), blocks),
        }
    work = 3 * operations(
        gpt2(torch.float32), 1
    )  # a backward pass costs two forward passes
    dtype = models.fast_dtype()
    peaks = {
        name: matmul_peak(dtype if name == "ours" else torch.float32) for name in speed
    }
    print(f"{BATCH}x{BLOCK} tokens a step; ours in {str(dtype).removeprefix('torch.')}")
    for name, rate in speed.items():
        share = work * rate / peaks[name]
        print(
            f"{name:<30} {rate:>8.0f} tokens/s {speed['ours'] / rate:>7.2f}x {share:>7.0%} of peak"
        )


if __name__ == "__main__":
    main()
