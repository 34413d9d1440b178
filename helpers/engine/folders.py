"""A model as a folder: read without running its code, written whole, converted."""

import json
import shutil
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from helpers.engine.files import digest, first_line, read_json, sizes

MODEL_FILES = (".json", ".safetensors")
FACTS = "facts.json"  # where a model came from, beside its weights
PROBE = "A model is asked what comes next, and next."
NEEDED = (
    "a folder needs config.json, weights as safetensors, and the tokenizer "
    "of one causal language model, as save_pretrained leaves them."
)


def quietly(call, *args, **kwargs):
    """Call something of transformers without its warnings and (from then on) bars."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return call(*args, **kwargs)
    finally:
        transformers_logging.set_verbosity(level)


def save(model, tokenizer, folder: Path, **facts) -> None:
    """Write a model folder (safetensors), with `facts` beside the weights.

    It is written aside and then renamed. Stopped at any point, there is the old folder,
    the new one, or none: never a mixture.
    """
    aside = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    quietly(model.save_pretrained, aside)
    tokenizer.save_pretrained(aside)
    facts["files"] = sizes(aside)
    (aside / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    (folder / FACTS).unlink(missing_ok=True)  # without it, the rest is no model
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def saved(folder: Path) -> dict | None:
    """The facts of a model that `save` wrote; None if it is not there, or not whole."""
    facts = read_json(folder / FACTS)
    if facts and not facts.get("files", {}).items() <= sizes(folder).items():
        print(f"{folder.parent.name}/{folder.name} is damaged and is passed over.")
        return None
    return facts


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a model (settings, weights, tokenizer), in hex."""
    names = [name for name in sizes(folder) if name.endswith(MODEL_FILES)]
    return {name: digest(folder / name) for name in names if name != FACTS}


def read(folder: Path, name: str) -> tuple:
    """The model (in float32) and tokenizer in a folder; no code of theirs is run.

    ValueError, calling it `name`, for a folder that holds none that fit together, or
    one whose model the chain rule does not fit.
    """
    try:
        model, found = quietly(
            AutoModelForCausalLM.from_pretrained,
            folder,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,  # no pickles, which could run code
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named, too
        )
        load = AutoTokenizer.from_pretrained
        tokenizer = quietly(load, folder, trust_remote_code=False)
        wrong = _weights(found) or _tokenizer(tokenizer, model)
        wrong = wrong or quietly(_chain_rule, model, tokenizer)
    except Exception as error:  # every library has errors of its own
        wrong = first_line(error)
    if wrong:
        unfit = f"{name} cannot be used as a language model"
        raise ValueError(f"{unfit}: {wrong}: {NEEDED}")
    return model, tokenizer


def _weights(found: dict) -> str:
    """Complains of weights not found, which would be random, and of those left over."""
    keys = sorted(str(key) for keys in found.values() for key in keys)
    # The masked bias is a constant that old versions of transformers saved.
    odd = [key for key in keys if "masked_bias" not in key]
    listed = ", ".join(odd[:3])
    said = f"weights are missing, too many, or of another shape ({len(odd)}: {listed})"
    return said if odd else ""


def _tokenizer(tokenizer, model) -> str:
    """Complains of a tokenizer that cannot be that of these weights."""
    rows, tokens = len(model.get_input_embeddings().weight), len(tokenizer)
    end, known = tokenizer.eos_token_id, []
    for settings in (model.config.get_text_config(), model.generation_config):
        ends = getattr(settings, "eos_token_id", None)
        known += ends if isinstance(ends, list) else [ends]
    known = [token for token in known if token in range(rows)]
    # Weights often have some rows more than there are tokens, to a round number.
    if tokens <= rows <= 1.5 * tokens and end in (known or range(rows)):
        return ""
    own = f"{tokens} tokens, a text ends with {end}"
    return f"its tokenizer ({own}) is not that of its weights ({rows}, {known})"


@torch.no_grad()
def _chain_rule(model, tokenizer) -> str:
    """Complains of logits that depend on later tokens, and of another loss.

    Such logits give no factors of log p(x) = Σ_t log p(x_t | x_<t).
    """
    first = tokenizer(PROBE, return_tensors="pt", add_special_tokens=False)["input_ids"]
    ids = first.repeat(2, 1)  # (2, tokens), the same text twice
    ids[1, -1] = ids[0, 0]  # but for its last token
    out = model.eval()(ids, labels=ids, use_cache=False)
    change = (out.logits[0, :-1] - out.logits[1, :-1]).abs().max()
    if change > 1e-4 * out.logits.std():
        return "it is no causal language model: it looks at later tokens"
    next_token = cross_entropy(out.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    if not torch.isclose(out.loss, next_token, rtol=1e-3):
        return f"it is trained on another loss ({out.loss:.4g}, not {next_token:.4g})"
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
