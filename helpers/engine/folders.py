"""A model as a folder: read without running its code, written whole, converted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from helpers.engine.files import first_line

FACTS = "facts.json"  # where a model came from, beside its weights
NEEDED = (
    "a folder needs config.json, weights as safetensors, and the tokenizer, "
    "as save_pretrained leaves them."
)


def quietly(call, *args, **kwargs):
    """Call something of transformers without its progress bars and warnings."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return call(*args, **kwargs)
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def save(model, tokenizer, folder: Path, **facts) -> None:
    """Write a model folder (safetensors), with `facts` beside the weights.

    It is written aside and then renamed. Stopped at any point, there is the old folder,
    the new one, or none: never a mixture.
    """
    aside = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        quietly(model.save_pretrained, aside)
        tokenizer.save_pretrained(aside)
        (aside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        (folder / FACTS).unlink(missing_ok=True)  # without it, the rest is no model
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # a part of it, on a full disk


def saved(folder: Path) -> dict | None:
    """The facts of a model that `save` wrote, or None where there is none."""
    path = folder / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read(folder: Path, name: str) -> tuple:
    """The model (in float32) and tokenizer in a folder; no code of theirs is run.

    ValueError, calling it `name`, for a folder that holds none that fit together.
    """
    try:
        safe = {"trust_remote_code": False, "use_safetensors": True}  # no pickles
        load = AutoModelForCausalLM.from_pretrained
        model = quietly(load, folder, dtype=torch.float32, **safe)
        load = AutoTokenizer.from_pretrained
        tokenizer = quietly(load, folder, trust_remote_code=False)
    except Exception as error:  # every library has errors of its own
        raise ValueError(
            f"{name} cannot be loaded as a language model ({first_line(error)}): "
            f"{NEEDED}"
        ) from error
    ids = tokenizer("To be", add_special_tokens=False)["input_ids"]
    vocabulary = len(model.get_input_embeddings().weight)
    if not ids or max(ids) >= vocabulary or tokenizer.eos_token_id is None:
        raise ValueError(
            f"{name}: its tokenizer is missing, or is not that of these weights: "
            f"{NEEDED}"
        )
    return model, tokenizer


def convert(gguf: Path, folder: Path, separator: str) -> None:
    """Turn a GGUF file (four bits a weight) into a folder that loads in a second.

    The file is a chat model's; here it is a plain language model with the token
    `separator` between documents.
    """
    loaded = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = separator
    tokenizer.chat_template = None
    settings = loaded.config
    # transformers saves no model whose settings say that it came quantized.
    settings.__dict__.pop("quantization_config", None)
    settings.bos_token_id = settings.eos_token_id = tokenizer.bos_token_id
    settings.pad_token_id = tokenizer.bos_token_id
    model = type(loaded)(settings)
    model.load_state_dict(loaded.state_dict())
    save(model, tokenizer, folder)
