"""Our sampler beside `model.generate` and beside the loops that people write.

GPT-2 124M in float32 with random weights, which sample as fast as trained ones and need
no download. Everybody draws with the same settings.
"""

from functools import partial

import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from benchmarks.timing import in_turn
from helpers import config, models, sampling
from helpers.engine import precision

TOKENS = 64  # new tokens a prompt
AHEAD = 4  # the same for horizon 2, whose loop takes TOP_K forward passes for each
TOP_K = 40  # the Stanford assignment's
TEMPERATURE = 0.9
PROMPT = "the quality of mercy is not strained it droppeth as the gentle rain"


class Letters:
    """A tokenizer for random weights: a letter is a token. What they write is noise."""

    bos_token_id = eos_token_id = 50_256
    added_tokens_decoder = {}

    def __call__(self, texts, **_):
        return {"input_ids": [list(map(ord, text)) for text in texts]}

    def decode(self, ids, **_):
        return "".join(map(chr, ids))


def gpt2() -> models.LanguageModel:
    """GPT-2 124M, the same random weights every time."""
    torch.manual_seed(config.SEED)
    model = GPT2LMHeadModel(GPT2Config()).to(precision.device()).eval()
    return models.LanguageModel(model, Letters(), "GPT-2 124M, random weights")


def prompts_of(n: int) -> list[str]:
    """`n` prompts of 17 to 57 letters, no two alike."""
    return [PROMPT[i % 7 : 20 + (7 * i) % 40] + chr(97 + i % 26) for i in range(n)]


def ours(lm, prompts, tokens, horizon=1) -> int:
    """How many tokens were drawn, here and in the next three."""
    drawn = sampling.sample(
        lm,
        prompts,
        max_new_tokens=tokens,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        temperature_horizon=horizon,
    )
    return sum(len(sample.token_ids) for sample in drawn)


@torch.inference_mode()
def generate(lm, prompts, tokens) -> int:
    """transformers' own, all prompts in one batch."""
    sequences = [[lm.bos_id, *ids] for ids in lm.encode(prompts)]
    longest = max(map(len, sequences))
    ids = torch.full((len(prompts), longest), lm.bos_id)  # (prompts, longest)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, longest - len(sequence) :] = torch.tensor(sequence)
        mask[row, longest - len(sequence) :] = 1
    out = lm.model.generate(
        ids.to(lm.device),
        attention_mask=mask.to(lm.device),
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=lm.bos_id,
    )
    return out[:, longest:].numel()


@torch.inference_mode()
def loop(lm, prompts, tokens) -> int:
    """What one writes first: a prompt at a time, with a key-value cache."""
    for ids in lm.encode(prompts):
        step = torch.tensor([[lm.bos_id, *ids]], device=lm.device)
        cache = DynamicCache()
        for _ in range(tokens):
            logits = next_logits(lm, step, cache) / TEMPERATURE
            edge = logits.topk(TOP_K).values[..., -1:]
            logits = logits.masked_fill(logits < edge, -torch.inf)
            step = logits.softmax(-1).multinomial(1)
    return len(prompts) * tokens


@torch.inference_mode()
def loop_ahead(lm, prompts, tokens) -> int:
    """Horizon 2 as one writes it first: a forward pass for each candidate."""
    for ids in lm.encode(prompts):
        cache = DynamicCache()
        past = torch.tensor([[lm.bos_id, *ids]], device=lm.device)
        logits = next_logits(lm, past, cache)
        for _ in range(tokens):
            log_p, candidates = logits.log_softmax(-1), logits.topk(TOP_K).indices[0]
            mass = []
            for token in candidates:
                after = next_logits(lm, token[None, None], cache)
                cache.crop(-1)
                second = after.log_softmax(-1).topk(TOP_K).values
                joint = log_p[0, token] + second
                mass.append((joint / TEMPERATURE).logsumexp(-1))
            chosen = torch.cat(mass).softmax(-1).multinomial(1)
            logits = next_logits(lm, candidates[chosen][None], cache)
    return len(prompts) * tokens


def next_logits(lm, ids, cache):
    """Logits (1, vocabulary) of what follows `ids`, which the cache takes in."""
    out = lm.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return out.logits[:, -1]


def table(title: str, contenders: dict) -> None:
    """Print tokens a second of each, and how many times as fast ours is."""
    results = in_turn(contenders)
    speed = {name: count / taken for name, (taken, count) in results.items()}
    print(f"\n{title}")
    for name, rate in speed.items():
        print(f"{name:<28}{rate:>6.0f} tokens/s{speed['ours'] / rate:>8.2f}x")


def main() -> None:
    logging.set_verbosity_error()
    lm = gpt2()
    for n in (1, 8, 32):
        contenders = {
            name: partial(call, lm, prompts_of(n), TOKENS)
            for name, call in {"ours": ours, "generate": generate, "loop": loop}.items()
        }
        if n > 8:
            del contenders["loop"]  # takes as long a prompt as before
        table(f"{n} prompts, {TOKENS} new tokens each, top-k {TOP_K}", contenders)
    prompts = prompts_of(8)
    contenders = {
        "ours": partial(ours, lm, prompts, AHEAD, horizon=2),
        "a pass for each candidate": partial(loop_ahead, lm, prompts, AHEAD),
    }
    table(f"horizon 2: 8 prompts, {AHEAD} new tokens each, top-k {TOP_K}", contenders)


if __name__ == "__main__":
    main()
