"""A model as a folder: read without running its code, written whole, converted."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from helpers.engine.files import digest, first_line, read_json

MODEL_FILES = (".json", ".safetensors")
FACTS = "facts.json"  # where a model came from, beside its weights
PROBE = "A model is asked what comes next, and next."
BUFFERS = "masked_bias|inv_freq|position_ids"  # constants that old versions saved
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
        facts["files"] = _sizes(aside)
        (aside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        (folder / FACTS).unlink(missing_ok=True)  # without it, the rest is no model
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)  # a part of it, on a full disk


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes in each file of a model: its settings, weights and tokenizer."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_FILES]
    return {path.name: path.stat().st_size for path in paths if path.name != FACTS}


def saved(folder: Path) -> dict | None:
    """The facts of a model that `save` wrote; None if it is not there, or not whole."""
    facts = read_json(folder / FACTS)
    if facts and facts.get("files", _sizes(folder)) != _sizes(folder):
        print(f"{folder.parent.name}/{folder.name} is damaged and is passed over.")
        return None
    return facts


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a model, in hex."""
    return {name: digest(folder / name) for name in _sizes(folder)}


def read(folder: Path, name: str) -> tuple:
    """The model (in float32) and tokenizer in a folder; no code of theirs is run.

    ValueError, calling it `name`, for a folder that holds none that fit together, or
    one whose model the chain rule does not fit.
    """
    try:
        safe = {"trust_remote_code": False, "use_safetensors": True}  # no pickles
        load = partial(AutoModelForCausalLM.from_pretrained, output_loading_info=True)
        safe["ignore_mismatched_sizes"] = True  # they are named, too
        model, found = quietly(load, folder, dtype=torch.float32, **safe)
        load = AutoTokenizer.from_pretrained
        tokenizer = quietly(load, folder, trust_remote_code=False)
        wrong = _weights(found) or _tokenizer(tokenizer, model)
    except Exception as error:  # every library has errors of its own
        wrong = f"{first_line(error)}: {NEEDED}"
    if wrong := wrong or quietly(_chain_rule, model, tokenizer):
        raise ValueError(f"{name} cannot be used as a language model: {wrong}")
    return model, tokenizer


def _weights(found: dict) -> str:
    """Complains of weights not found, which would be random, and of those left over."""
    said = ""
    for kind, keys in found.items():
        # One of another shape is a tuple: its name, and both shapes.
        keys = sorted(key if isinstance(key, str) else key[0] for key in keys)
        keys = [key for key in keys if not re.search(BUFFERS, key)]
        if keys:
            said += f"{len(keys)} {kind.replace('_', ' ')} ({', '.join(keys[:3])}); "
    return said and f"its weights are not those of its config.json: {said}{NEEDED}"


def _tokenizer(tokenizer, model) -> str:
    """Complains of a tokenizer that cannot be that of these weights."""
    rows, tokens = len(model.get_input_embeddings().weight), len(tokenizer)
    if not tokenizer.is_fast:
        return "its tokenizer cannot say which characters a token stands for."
    if tokenizer.eos_token_id is None:
        return f"its tokenizer is missing, or has no token that ends a text: {NEEDED}"
    if not tokens <= rows <= 1.5 * tokens:  # often some rows more, to a round number
        said = f"its tokenizer has {tokens} tokens, and its weights {rows}"
        return f"{said}, so it is that of another model: {NEEDED}"

    ends = []
    for settings in (model.config.get_text_config(), model.generation_config):
        end = getattr(settings, "eos_token_id", None)
        ends += end if isinstance(end, list) else [end]
    known = [end for end in ends if end is not None and 0 <= end < rows]
    if known and tokenizer.eos_token_id not in known:
        said = f"a text ends with token {tokenizer.eos_token_id} for its tokenizer"
        return f"{said}, and with {known[0]} for its config.json: {NEEDED}"
    return ""


@torch.no_grad()
def _chain_rule(model, tokenizer) -> str:
    """Complains of logits that depend on later tokens, and of another loss.

    Such logits give no factors of log p(x) = Σ_t log p(x_t | x_<t).
    """
    first = tokenizer(PROBE, return_tensors="pt", add_special_tokens=False)["input_ids"]
    ids = first.repeat(2, 1)  # (2, tokens), the same text twice
    ids[1, -1] = ids[0, 0]  # but for its last token
    try:
        out = model.eval()(ids, labels=ids, use_cache=False)
    except Exception as error:  # each model has reasons of its own
        return f"it gives no logits and loss ({first_line(error)})."
    change = (out.logits[0, :-1] - out.logits[1, :-1]).abs().max()
    if change > 1e-4 * out.logits.std():
        return "it is no causal language model: it looks at later tokens."
    next_token = cross_entropy(out.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    if not torch.isclose(out.loss, next_token, rtol=1e-3):
        return f"it is trained on another loss ({out.loss:.4g}, not {next_token:.4g})."
    return ""


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
