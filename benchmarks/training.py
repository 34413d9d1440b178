"""Our training step beside Trainer's defaults and a plain loop.

GPT-2 124M with random weights, 8×128 tokens a step, all on the same plays. Tokens are
those a loss was taken on: padding is no text, and does not count.
"""

import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from transformers import (
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from benchmarks.sampling import gpt2
from benchmarks.timing import matmul_peak, operations
from helpers import config, data, finetune, models
from helpers.engine.precision import fast_dtype

BLOCK, BATCH = 128, 8
STEPS = 8  # that a contender takes
WARM = 2  # of them, the first, which allocate and compile, are not timed


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **_):
        self.times.append(time.perf_counter())

    def seconds(self) -> float:
        return (self.times[-1] - self.times[WARM - 1]) / (len(self.times) - WARM)


def only_steps(folder: str) -> dict:
    """Arguments for steps and nothing else: no evaluation, checkpoint or report."""
    return {
        "output_dir": folder,
        "max_steps": STEPS,
        "use_cpu": not torch.cuda.is_available(),
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "disable_tqdm": True,
        "log_level": "error",
        "save_strategy": "no",
        "eval_strategy": "no",
    }


def seconds_per_step(**what) -> float:
    clock = Clock()
    trainer = Trainer(**what, callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return clock.seconds()


def ours(model, blocks, folder) -> float:
    """Tokens a second as in `finetune.adapt`: packed blocks, fused AdamW, no dropout.

    In bfloat16 where that is fast.
    """
    finetune.prepare_for_training(model)
    changes = only_steps(folder)
    del changes["output_dir"], changes["max_steps"]  # `training_arguments` sets them
    nothing_else = {"eval_on_start": False, "load_best_model_at_end": False}
    arguments = finetune.training_arguments(
        Path(folder), STEPS, BATCH, **changes, **nothing_else
    )
    step = seconds_per_step(model=model, args=arguments, train_dataset=blocks)
    return BATCH * (BLOCK - 1) / step


def defaults(model, speeches, tokenizer, folder) -> float:
    """Trainer as it comes: a speech an example, padded to the longest of its batch."""
    seen = []
    pad = DataCollatorForLanguageModeling(tokenizer, mlm=False)

    def collate(rows):
        seen.append(sum(len(row["input_ids"]) - 1 for row in rows))
        return pad(rows)

    arguments = TrainingArguments(
        **only_steps(folder), per_device_train_batch_size=BATCH
    )
    step = seconds_per_step(
        model=model, args=arguments, train_dataset=speeches, data_collator=collate
    )
    timed = seen[WARM:STEPS]
    return sum(timed) / len(timed) / step


def plain(model, blocks) -> float:
    """A loop in the manner of nanoGPT on a CPU: packed blocks, float32, AdamW."""
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1
    )
    clock = Clock()
    for step in range(STEPS):
        rows = blocks[step * BATCH : (step + 1) * BATCH]["input_ids"]
        ids = torch.tensor(rows, device=model.device)  # (BATCH, BLOCK)
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        loss.item()  # on a GPU: wait for the step to end
        clock.times.append(time.perf_counter())
    return BATCH * (BLOCK - 1) / clock.seconds()


def main() -> None:
    reader = models.load("packaged")
    plays = data.splits("shakespeare")["train"]["text"][:4]
    blocks = data.packed_blocks(plays, reader.encode, reader.bos_id, BLOCK, config.SEED)
    speeches = [speech for play in plays for speech in play.split("\n\n")]
    rows = [ids[:BLOCK] for ids in reader.encode(speeches) if len(ids) > 1]
    padded = data.Dataset.from_dict({"input_ids": rows})

    # Each starts from the same random weights.
    with tempfile.TemporaryDirectory() as folder:
        speed = {
            "ours": ours(gpt2().model, blocks, folder),
            "Trainer's defaults, float32": defaults(
                gpt2().model, padded, reader.tokenizer, folder
            ),
            "plain loop, float32": plain(gpt2().model, blocks),
        }
    work = 3 * operations(gpt2())  # a backward pass costs two forward passes
    fast = fast_dtype()
    peaks = dict.fromkeys(speed, matmul_peak()) | {"ours": matmul_peak(fast)}
    precision = str(fast).removeprefix("torch.")
    print(f"{BATCH}x{BLOCK} tokens a step; ours in {precision}")
    print(f"{'step':<30}{'tokens/s':>9}{'ours is':>9}{'of peak':>9}")
    for name, rate in speed.items():
        times, of_peak = speed["ours"] / rate, work * rate / peaks[name]
        print(f"{name:<30}{rate:>9.0f}{times:>8.2f}x{of_peak:>9.0%}")


if __name__ == "__main__":
    main()
