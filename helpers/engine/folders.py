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
# What transformers would warn of is said by `read`, or is for its own developers.
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def save(model, tokenizer, folder: Path, **facts) -> None:
    """Write a model folder (safetensors), with `facts` beside the weights.

    It is written aside and then renamed. Stopped at any point, there is the old folder,
    the new one, or none: never a mixture.
    """
    aside = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
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
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,  # no pickles, which could run code
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named, too
        )
        _check_weights(found)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        _check_tokenizer(tokenizer, model)
        _check_chain_rule(tokenizer, model)
    except Exception as error:  # every library has errors of its own
        unfit = f"{name} cannot be used as a language model"
        raise ValueError(f"{unfit}: {first_line(error)}: {NEEDED}") from error
    return model, tokenizer


def _check_weights(found: dict) -> None:
    """ValueError for weights not found, which would be random, and those left over."""
    keys = sorted(str(key) for keys in found.values() for key in keys)
    # The masked bias is a constant that old versions of transformers saved.
    odd = [key for key in keys if "masked_bias" not in key]
    if odd:
        listed = f"{len(odd)}: {', '.join(odd[:3])}"
        raise ValueError(
            f"weights are missing, too many, or of another shape ({listed})"
        )


def _check_tokenizer(tokenizer, model) -> None:
    """ValueError for a tokenizer that cannot be that of these weights."""
    rows, tokens = len(model.get_input_embeddings().weight), len(tokenizer)
    end, known = tokenizer.eos_token_id, []
    for settings in (model.config.get_text_config(), model.generation_config):
        ends = getattr(settings, "eos_token_id", None)
        known += ends if isinstance(ends, list) else [ends]
    known = [token for token in known if token in range(rows)]
    # Weights often have some rows more than there are tokens, to a round number.
    if not tokens <= rows <= 1.5 * tokens or end not in (known or range(rows)):
        own = f"{tokens} tokens, a text ends with {end}"
        raise ValueError(
            f"its tokenizer ({own}) is not that of its weights ({rows}, {known})"
        )


@torch.no_grad()
def _check_chain_rule(tokenizer, model) -> None:
    """ValueError for logits that depend on later tokens, and for another loss.

    Such logits give no factors of log p(x) = Σ_t log p(x_t | x_<t).
    """
    first = tokenizer(PROBE, return_tensors="pt", add_special_tokens=False)["input_ids"]
    ids = first.repeat(2, 1)  # (2, tokens), the same text twice
    ids[1, -1] = ids[0, 0]  # but for its last token
    out = model.eval()(ids, labels=ids, use_cache=False)
    change = (out.logits[0, :-1] - out.logits[1, :-1]).abs().max()
    if change > 1e-4 * out.logits.std():
        raise ValueError("it is no causal language model: it looks at later tokens")
    loss = cross_entropy(out.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    if not torch.isclose(out.loss, loss, rtol=1e-3):
        raise ValueError(
            f"it is trained on another loss ({out.loss:.4g}, not {loss:.4g})"
        )


def convert(gguf: Path, folder: Path, separator: str) -> None:
    """Turn a GGUF file (four bits a weight) into a folder that loads in a second.

    The file is a chat model's; here it is a plain language model with the token
    `separator` between documents.
    """
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = separator
    tokenizer.chat_template = None
    # The weights are numbers again; but transformers saves none that came quantized.
    model.hf_quantizer = None
    del model.config.quantization_config
    for settings in (model.config, model.generation_config):
        settings.bos_token_id = settings.eos_token_id = tokenizer.bos_token_id
        settings.pad_token_id = tokenizer.bos_token_id
    save(model, tokenizer, folder)
