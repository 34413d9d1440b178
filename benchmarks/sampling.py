"""Our sampler beside `model.generate` and beside the loops that people write, on a GPT-2 124M with random weights.

Random weights sample as fast as trained ones and need no download. Everybody draws with the same settings.
"""

import time

import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from helpers import config, models, sampling

TOKENS = 64  # new tokens a prompt
AHEAD = 4  # new tokens for horizon 2, whose loop takes TOP_K forward passes for each of them
TOP_K = 40  # the Stanford assignment's
TEMPERATURE = 0.9
ROUNDS = 2  # everybody in turn, twice over, so that a busy moment spoils nobody's best
PROMPT = "the quality of mercy is not strained it droppeth as the gentle rain"


class Untrained:
    """A tokenizer for random weights: a letter is a token; what they write means nothing in any alphabet."""

    bos_token_id = eos_token_id = 50_256

    def __call__(self, texts, **_):
        return {"input_ids": [list(map(ord, text)) for text in texts]}

    def decode(self, ids, **_):
        return "".join(map(chr, ids))


def gpt2(dtype: torch.dtype) -> models.LanguageModel:
    """GPT-2 124M, the same random weights every time."""
    torch.manual_seed(config.SEED)
    model = GPT2LMHeadModel(GPT2Config()).to(models.device()).eval()
    if dtype != torch.float32:
        models.products_in(model, dtype)
    return models.LanguageModel(
        model, Untrained(), "GPT-2 124M, random weights", dtype=dtype
    )


def prompts_of(n: int) -> list[str]:
    """`n` prompts of 20 to 60 tokens, no two alike."""
    return [PROMPT[i % 7 : 20 + (7 * i) % 40] + chr(97 + i % 26) for i in range(n)]


def ours(lm, prompts, tokens, horizon=1):
    drawn = sampling.sample(
        lm,
        prompts,
        max_new_tokens=tokens,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        temperature_horizon=horizon,
        progress=False,
    )
    return sum(len(s.token_ids) for s in drawn)


@torch.inference_mode()
def generate(lm, prompts, tokens):
    """transformers' own, all prompts in one batch."""
    rows = [[lm.separator, *ids] for ids in lm.encode(prompts)]
    longest = max(map(len, rows))
    ids = torch.tensor(
        [[lm.separator] * (longest - len(row)) + row for row in rows], device=lm.device
    )
    mask = torch.tensor(
        [[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=lm.device
    )
    out = lm.model.generate(
        ids,
        attention_mask=mask,
        do_sample=True,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=lm.separator,
    )
    return out[:, longest:].numel()


def reshaped(logits):
    logits = logits / TEMPERATURE
    return logits.masked_fill(logits < logits.topk(TOP_K).values[..., -1:], -torch.inf)


@torch.inference_mode()
def loop(lm, prompts, tokens):
    """What one writes first: a prompt at a time, with a key-value cache."""
    for ids in lm.encode(prompts):
        step, cache = (
            torch.tensor([[lm.separator, *ids]], device=lm.device),
            DynamicCache(),
        )
        for _ in range(tokens):
            logits = lm.model(
                step, past_key_values=cache, use_cache=True, logits_to_keep=1
            ).logits[:, -1]
            step = reshaped(logits).softmax(-1).multinomial(1)
    return len(prompts) * tokens


@torch.inference_mode()
def loop_ahead(lm, prompts, tokens):
    """Horizon 2 as one writes it first: for each candidate for the next token, a forward pass of its own."""
    for ids in lm.encode(prompts):
        past = torch.tensor([[lm.separator, *ids]], device=lm.device)
        cache = DynamicCache()
        logits = lm.model(
            past, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits[:, -1]
        for _ in range(tokens):
            log_p, candidates = logits.log_softmax(-1), logits.topk(TOP_K).indices[0]
            mass, after = [], []
            for token in candidates:
                after.append(
                    lm.model(
                        token[None, None], past_key_values=cache, use_cache=True
                    ).logits[:, -1]
                )
                cache.crop(-1)
                second = after[-1].log_softmax(-1).topk(TOP_K).values
                mass.append(((log_p[0, token] + second) / TEMPERATURE).logsumexp(-1))
            chosen = torch.cat(mass).softmax(-1).multinomial(1)
            logits = lm.model(
                candidates[chosen][None], past_key_values=cache, use_cache=True
            ).logits[:, -1]
    return len(prompts) * tokens


def tokens_per_second(call) -> float:
    start = time.perf_counter()
    count = call()
    return count / (time.perf_counter() - start)


def table(title: str, contenders: dict) -> None:
    """Print tokens per second of each, and how many times as fast ours (the first) is."""
    best = {name: 0.0 for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            best[name] = max(best[name], tokens_per_second(call))
    print(f"\n{title}")
    first = next(iter(best.values()))
    for name, speed in best.items():
        print(f"{name:<40} {speed:>8.0f} tokens/s {first / speed:>8.2f}x")


def main() -> None:
    logging.set_verbosity_error()
    exact, dtype = gpt2(torch.float32), models.fast_dtype()
    fast, halved = gpt2(dtype), gpt2(torch.float32)
    halved.model.to(dtype)  # as users of `generate` load a model in bf16
    name = str(dtype).removeprefix("torch.")
    for n in (1, 8, 32):
        prompts = prompts_of(n)
        rows = {f"ours, {name}": lambda p=prompts: ours(fast, p, TOKENS)}
        if dtype != torch.float32:
            rows["ours, float32"] = lambda p=prompts: ours(exact, p, TOKENS)
        rows["generate, float32"] = lambda p=prompts: generate(exact, p, TOKENS)
        if dtype != torch.float32:
            rows[f"generate, {name}"] = lambda p=prompts: generate(halved, p, TOKENS)
        if n <= 8:
            rows["one prompt at a time, float32"] = lambda p=prompts: loop(
                exact, p, TOKENS
            )
        table(
            f"{n} prompt{'s'[: n > 1]}, {TOKENS} new tokens each, top-k {TOP_K}", rows
        )
    prompts = prompts_of(8)
    table(
        f"horizon 2: {len(prompts)} prompts, {AHEAD} new tokens each, top-k {TOP_K} at both steps",
        {
            f"ours, {name}": lambda: ours(fast, prompts, AHEAD, horizon=2),
            "a pass for each candidate, float32": lambda: loop_ahead(
                exact, prompts, AHEAD
            ),
        },
    )


if __name__ == "__main__":
    main()
