"""Tiny random models of every causal family that transformers has.

python tests/families.py [FAMILY …]    says of each whether scoring, sampling and
                                       training give what its own forward says (right),
                                       or what stands against it in one line (refused)

It takes some twenty minutes for all; `tests/faults/test_families.py` tries twenty-odd.
"""

import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from helpers import finetune, likelihood, models, sampling

TEXT = "To be, or not to be: that is the question."
TEXTS = [TEXT, "Short.", TEXT * 9]  # the last is longer than the context
WIDTHS = """hidden_size n_embd d_model embed_dim dim embedding_size lru_width
    word_embed_proj_dim attention_hidden_size"""
INNER = """intermediate_size ffn_dim n_inner d_inner d_ff encoder_ffn_dim
    decoder_ffn_dim ffn_hidden_size moe_intermediate_size
    shared_expert_intermediate_size"""
LAYERS = """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers
    num_kv_shared_layers"""
HEADS = """num_attention_heads n_head n_heads num_heads encoder_attention_heads
    decoder_attention_heads"""
POSITIONS = "max_position_embeddings n_positions n_ctx max_seq_len"
EXPERTS = "num_experts num_local_experts n_routed_experts moe_num_experts"
IDS = "bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id"
OTHERS = {"num_key_value_heads": 2, "head_dim": 12, "rotary_dim": 8, "state_size": 8}
OTHERS |= {"num_experts_per_tok": 2, "attention_window_size": 32, "mamba_expand": 2}
OTHERS |= {"n_group": 1, "topk_group": 1, "q_lora_rank": 16, "kv_lora_rank": 16}


def small(family: str, vocabulary: int, **extra):
    """The family's settings, as small as its default ones can be made."""
    default = AutoConfig.for_model(family)
    wanted = {"vocab_size": vocabulary, "vocab_size_per_layer_input": vocabulary}
    for names, value in (
        (WIDTHS, 48),
        (INNER, 96),
        (LAYERS, 2),
        (HEADS, 4),
        (POSITIONS, 256),
        (EXPERTS, 4),
        (IDS, 0),
    ):
        wanted |= dict.fromkeys(names.split(), value)
    taken = {}
    for name, value in (wanted | OTHERS).items():
        with contextlib.suppress(Exception):  # a property that is not set from outside
            if hasattr(default, name):
                setattr(default, name, value)
                taken[name] = value
    return AutoConfig.for_model(family, **taken | extra)


def build(family: str, folder: Path, **extra) -> None:
    """A random model of a family, saved with the tokenizer of `tiny`."""
    torch.manual_seed(0)
    tokenizer = models.load("tiny").tokenizer
    settings = small(family, len(tokenizer), **extra)
    model = AutoModelForCausalLM.from_config(settings).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights *= 4  # so that the predictions differ from token to token
            elif not weights.any():
                weights.normal_()  # a bias that is left out must be missed
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def own_log_probs(lm, ids: list[int]) -> torch.Tensor:
    """log p of each id after the first, by one pass of the model's own forward."""
    with torch.no_grad():
        logits = lm.model(torch.tensor([ids]), use_cache=False).logits[0].float()
    return logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def compare(lm) -> str:
    """Where scores, samples or the training loss differ from its own forward."""
    ids = [lm.bos_id, *lm.encode([TEXT])[0]]
    own = own_log_probs(lm, ids).sum().item()
    scored = likelihood.score(lm, TEXTS, progress=False).log_likelihood[0]
    if not abs(scored - own) < 1e-2:
        return f"scored {scored:.3f}, its own forward {own:.3f}"

    for horizon in (1, 2):
        how = {"n": 2, "max_new_tokens": 6, "top_k": 5, "temperature": 0.9}
        how["temperature_horizon"] = horizon
        for one in sampling.sample(lm, ["To be", "A longer beginning"], **how):
            start = [lm.bos_id, *lm.encode([one.prompt])[0]]
            expected = own_log_probs(lm, start + one.token_ids)[len(start) - 1 :]
            off = expected - torch.tensor(one.token_log_probs)
            if off.numel() and not off.abs().max() < 2e-3:
                return f"sampled with horizon {horizon}: off by {off.abs().max():.3g}"

    finetune.prepare_for_training(lm.model)
    twice = torch.tensor([ids, ids])
    loss = lm.model.train()(twice, labels=twice).loss.item()
    if not abs(loss * (len(ids) - 1) + own) < 2e-2:
        return f"trained on {loss:.4f} nats a token, not {-own / (len(ids) - 1):.4f}"
    return ""


def outcome(family: str, folder: Path, **extra) -> tuple[str, str]:
    """What becomes of a family, as ("right" | "refused" | "wrong" | …, why)."""
    try:
        build(family, folder, **extra)
    except Exception as error:
        return "not built", repr(error)
    try:
        lm = models.load(str(folder))
    except ValueError as error:
        return "refused", str(error)
    wrong = compare(lm)
    return ("wrong", wrong) if wrong else ("right", "")


def main() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    home = Path(tempfile.mkdtemp())
    for family in sys.argv[1:] or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:

        def one(end, family=family):
            resource.setrlimit(resource.RLIMIT_AS, (7 << 30, 7 << 30))
            try:
                end.send(outcome(family, home / family))
            except Exception as error:
                end.send(("wrong", repr(error)))

        here, there = multiprocessing.Pipe(duplex=False)
        fork = multiprocessing.get_context("fork")
        process = fork.Process(target=one, args=(there,))
        process.start()
        there.close()
        process.join(100)
        process.kill()
        found = here.recv() if here.poll() else ("no answer", "in 100 s, or 7 GB")
        print(f"{family:<28}", *found, flush=True)
        shutil.rmtree(home / family, ignore_errors=True)


if __name__ == "__main__":
    main()
