"""Our scorer beside lm-evaluation-harness and minicons: the same weights, the same strings, one process."""

import argparse
import contextlib
import copy
import io
import itertools
import logging
import time

import numpy as np
import torch

from helpers import config, data, likelihood, models, submission

BATCHES = (1, 8, 32)  # texts a batch; each peer gets whichever suits it best
ROUNDS = 2  # everybody in turn, twice over, so that a busy moment spoils nobody's best
TRIAL = 32  # strings of each kind on which the batch size is chosen: one full batch of the largest


def lm_eval(lm: models.LanguageModel):
    """A function (texts, batch) → log-likelihoods by lm-evaluation-harness. ImportError without it."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    logging.getLogger("lm_eval").setLevel(
        logging.ERROR
    )  # it warns that the model is loaded already: so it is
    # A copy of the tokenizer, here and below, because both peers change its padding.
    harness = HFLM(
        pretrained=lm.model,
        tokenizer=copy.deepcopy(lm.tokenizer),
        prefix_token_id=lm.separator,
    )

    def score(texts: list[str], batch: int) -> list[float]:
        harness.batch_size_per_gpu = batch
        requests = [
            Instance("loglikelihood_rolling", {}, (text,), i)
            for i, text in enumerate(texts)
        ]
        with contextlib.redirect_stderr(
            io.StringIO()
        ):  # it draws one progress bar a batch
            return harness.loglikelihood_rolling(requests, disable_tqdm=True)

    return score


def minicons(lm: models.LanguageModel):
    """The same by minicons, which puts the separator before a text as characters. ImportError without it."""
    from minicons import scorer

    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.bos_token = tokenizer.convert_ids_to_tokens(lm.separator)
    incremental = scorer.IncrementalLMScorer(
        lm.model, device=str(lm.device), tokenizer=tokenizer
    )

    def score(texts: list[str], batch: int) -> list[float]:
        return [
            value
            for i in range(0, len(texts), batch)
            for value in incremental.sequence_score(
                texts[i : i + batch], bos_token=True, reduction=lambda x: x.sum().item()
            )
        ]

    return score


PEERS = {"lm-eval": lm_eval, "minicons": minicons}


def seconds(call) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def matmul_peak(dtype: torch.dtype) -> float:
    """What this machine can do at all: floating-point operations a second in one large product."""
    a = torch.randn(2048, 2048, device=models.device()).to(dtype)
    return 2 * 2048**3 / min(seconds(lambda: (a @ a)[0, 0].item())[0] for _ in range(5))


def operations(lm: models.LanguageModel, n_tokens: int) -> float:
    """What scoring cannot do without: every layer's products and the vocabulary's, once a token scored.

    Attention's own products are left out, under a hundredth at these lengths, and so is padding, which no one needs.
    """
    head = lm.model.get_output_embeddings().weight
    embeddings = {
        p
        for m in lm.model.modules()
        if isinstance(m, torch.nn.Embedding)
        for p in m.parameters()
    } | {head}
    layers = lm.parameters() - sum(p.numel() for p in embeddings)
    return 2 * (layers + head.numel()) * n_tokens


def best_batch(name: str, score, texts: list[str]) -> int:
    """The batch size that suits a peer best here, with the times that say so."""
    taken = {
        batch: seconds(lambda batch=batch: score(texts, batch))[0] for batch in BATCHES
    }
    print(
        f"{name}, {len(texts)} strings: "
        + ", ".join(f"{t:.1f} s in batches of {b}" for b, t in taken.items())
    )
    return min(taken, key=taken.get)


def compare(
    ours: dict[str, models.LanguageModel], texts: list[str]
) -> dict[str, float]:
    """Print the table of speeds, ratios and differences; return by scorer how many nats a text is apart at most.

    `ours` has "float32", and "bfloat16" too where this machine is faster with it.
    """
    contenders, missing, exact = {}, [], ours["float32"]
    for name, lm in ours.items():
        contenders[f"ours, {name}"] = (
            lm.dtype,
            lambda lm=lm: likelihood.score(
                lm, texts, progress=False
            ).log_likelihood.to_numpy(),
        )
    trial = [
        text
        for i in range(0, len(texts), len(texts) // 3)
        for text in texts[i : i + TRIAL]
    ]
    for name, make in PEERS.items():
        try:
            score = make(exact)
        except ImportError:
            missing.append(name)
            continue
        score(trial[:2], 2)
        batch = best_batch(name, score, trial)
        contenders[f"{name}, float32, batch {batch}"] = (
            torch.float32,
            lambda score=score, batch=batch: np.array(score(texts, batch)),
        )
    if missing:
        print(
            f"Not installed, so not compared: {', '.join(missing)} (make test-peers installs them)."
        )

    best, scores, peaks = {}, {}, {lm.dtype: [] for lm in ours.values()}
    for lm in ours.values():
        likelihood.score(lm, texts[:8], progress=False)
    for _ in range(ROUNDS):
        for dtype, seen in peaks.items():
            seen.append(matmul_peak(dtype))
        for name, (_, call) in contenders.items():
            taken, scores[name] = seconds(call)
            best[name] = min(taken, best.get(name, float("inf")))
    if any(min(seen) < 0.8 * max(seen) for seen in peaks.values()):
        print(
            "Something else kept the machine busy for part of this run: the ratios may be off."
        )
    for dtype, seen in peaks.items():
        print(
            f"one large product in {str(dtype).removeprefix('torch.')}: {max(seen) / 1e9:,.0f} GFLOP/s"
        )

    n_tokens = sum(map(len, exact.encode(texts)))
    print(
        f"\n{len(texts)} strings, {n_tokens:,} tokens; best of {ROUNDS}; differences from our float32\n"
        f"{'scorer':<28} {'strings/s':>9} "
        + "".join(f"{name + ' by':>12} " for name in ours)
        + f"{'max nats':>9} {'mean, %':>8} {'of peak':>8}"
    )
    for name, (dtype, _) in contenders.items():
        work = operations(exact, n_tokens) / best[name] / max(peaks[dtype])
        reference = scores["ours, float32"]
        apart = scores[name] - reference
        print(
            f"{name:<28} {len(texts) / best[name]:>9.2f} "
            + "".join(
                f"{best[name] / best[f'ours, {which}']:>11.2f}x " for which in ours
            )
            + f"{np.abs(apart).max():>9.5f} {100 * apart.mean() / abs(reference.mean()):>+8.4f} {work:>8.0%}"
        )
    return {
        name: float(np.abs(scores[name] - reference).max())
        for name in contenders
        if name != "ours, float32"
    }


def cost_by_size(
    lm: models.LanguageModel, texts: list[str], sizes: tuple[int, ...]
) -> None:
    """Print the time a token takes from few strings to many: flat, if nothing grows with their number."""
    # All kinds in turn, the same ones over and over: nothing is remembered between texts, so none comes cheaper.
    third = len(texts) // 3
    mixed = [
        text
        for three in zip(*(texts[i : i + third] for i in range(0, len(texts), third)))
        for text in three
    ]
    print(f"\nours, {str(lm.dtype).removeprefix('torch.')}")
    for size in sizes:
        chosen = list(itertools.islice(itertools.cycle(mixed), size))
        taken, table = min(
            (
                seconds(lambda c=chosen: likelihood.score(lm, c, progress=False))
                for _ in range(1 if size > 100 else 3)
            ),
            key=lambda result: result[0],
        )
        n_tokens = table.n_tokens.sum()
        print(
            f"{size:>7,} strings {n_tokens:>9,} tokens {1000 * taken / n_tokens:>7.3f} ms a token"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--long",
        action="store_true",
        help="10,000 strings too (a quarter of an hour on two cores)",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the differences in submission/metrics.json",
    )
    chosen = parser.parse_args()
    texts = list(data.evaluation_strings(100).text)
    ours = {
        str(dtype).removeprefix("torch."): models.load("packaged", dtype=dtype)
        for dtype in dict.fromkeys((torch.float32, models.fast_dtype()))
    }
    apart = compare(ours, texts)
    if chosen.record:
        submission.update_json(
            "metrics.json",
            agreement={
                "model": config.LABELS["model", "packaged"],
                "texts": len(texts),
                "nats apart at most": apart,
            },
        )
    cost_by_size(
        list(ours.values())[-1],
        texts,
        (100, 1_000, 10_000) if chosen.long else (100, 1_000),
    )


if __name__ == "__main__":
    main()
