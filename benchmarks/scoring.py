"""Our scorer beside lm-evaluation-harness and minicons.

The same weights in float32, the same strings, one process, everybody in turn.
"""

import argparse
import contextlib
import copy
import io
import itertools
import logging
from functools import partial

import numpy as np

from benchmarks.timing import in_turn, matmul_peak, operations, seconds
from helpers import likelihood, models, strings, submission

BATCHES = (1, 8, 32)  # texts a batch; each peer gets whichever suits it best


def lm_eval(lm: models.LanguageModel):
    """A function (texts, batch) → log-likelihoods by lm-evaluation-harness.

    ImportError without it.
    """
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    # It warns that the model is loaded already: so it is.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    # A copy of the tokenizer, here and below, because both peers change its padding.
    tokenizer = copy.deepcopy(lm.tokenizer)
    harness = HFLM(pretrained=lm.model, tokenizer=tokenizer, prefix_token_id=lm.bos_id)

    def score(texts: list[str], batch: int) -> list[float]:
        harness.batch_size_per_gpu = batch
        requests = [
            Instance("loglikelihood_rolling", {}, (text,), i)
            for i, text in enumerate(texts)
        ]
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar each batch
            return harness.loglikelihood_rolling(requests, disable_tqdm=True)

    return score


def minicons(lm: models.LanguageModel):
    """The same by minicons, which puts the first token before a text as characters."""
    from minicons import scorer

    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.bos_token = tokenizer.convert_ids_to_tokens(lm.bos_id)
    incremental = scorer.IncrementalLMScorer(
        lm.model, device=str(lm.device), tokenizer=tokenizer
    )

    def total(log_probs) -> float:
        return log_probs.sum().item()

    def score(texts: list[str], batch: int) -> list[float]:
        found = []
        for start in range(0, len(texts), batch):
            some = texts[start : start + batch]
            found += incremental.sequence_score(some, bos_token=True, reduction=total)
        return found

    return score


PEERS = {"lm-eval": lm_eval, "minicons": minicons}


def ours(lm: models.LanguageModel, texts: list[str]) -> np.ndarray:
    return likelihood.score(lm, texts, progress=False).log_likelihood.to_numpy()


def best_batch(name: str, score, texts: list[str]) -> int:
    """The batch size that suits a peer best here, with the times that say so."""
    score(texts[:2], 2)  # the first call is slower
    taken = {batch: seconds(partial(score, texts, batch))[0] for batch in BATCHES}
    times = ", ".join(f"{t:.1f} s in batches of {b}" for b, t in taken.items())
    print(f"{name}, {len(texts)} strings: {times}")
    return min(taken, key=taken.get)


def compare(lm: models.LanguageModel, texts: list[str]) -> dict[str, float]:
    """Print the table; return how many nats a text is apart from ours, at most."""
    ours(lm, texts[:8])
    contenders = {"ours": partial(ours, lm, texts)}
    for name, make in PEERS.items():
        try:
            score = make(lm)
        except ImportError:
            print(f"{name} is not installed: make test-peers installs it.")
            continue
        batch = best_batch(name, score, texts[::3])  # a third of each kind
        contenders[f"{name}, batch {batch}"] = partial(score, texts, batch)

    peak = matmul_peak()
    results = in_turn(contenders)
    n_tokens = sum(map(len, lm.encode(texts)))
    own_time, own_scores = results["ours"]
    print(f"one large product: {peak / 1e9:,.0f} GFLOP/s")
    print(f"{len(texts)} strings, {n_tokens:,} tokens\n")
    columns = f"{'strings/s':>10}{'ours is':>9}{'of peak':>9}{'nats apart':>12}"
    print(f"{'scorer':<22}{columns}")
    apart = {}
    for name, (taken, scores) in results.items():
        of_peak = operations(lm) * n_tokens / taken / peak
        apart[name] = float(np.abs(np.array(scores) - own_scores).max())
        print(
            f"{name:<22}{len(texts) / taken:>10.2f}{taken / own_time:>8.2f}x"
            f"{of_peak:>9.0%}{apart[name]:>12.5f}"
        )
    del apart["ours"]
    return apart


def cost_by_size(lm: models.LanguageModel, texts: list[str], sizes) -> None:
    """Print the time a token takes: flat, if nothing grows with the number of texts."""
    # Nothing is remembered between texts, so the same ones may come again.
    for size in sizes:
        chosen = list(itertools.islice(itertools.cycle(texts), size))
        taken, table = seconds(partial(likelihood.score, lm, chosen, progress=False))
        n_tokens = table.n_tokens.sum()
        each = 1000 * taken / n_tokens
        print(f"{size:>7,} strings {n_tokens:>9,} tokens {each:>7.3f} ms a token")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    keep = "keep the differences in submission/metrics.json"
    parser.add_argument("--record", action="store_true", help=keep)
    more = "10,000 strings too (twenty minutes on two cores)"
    parser.add_argument("--long", action="store_true", help=more)
    chosen = parser.parse_args()

    lm = models.load("packaged")
    kinds = strings.evaluation_strings(100)
    texts = list(kinds.sample(frac=1, random_state=0).text)  # all kinds everywhere
    apart = compare(lm, texts)
    if chosen.record:
        agreement = {
            "model": lm.source["base"]["label"],
            "texts": len(texts),
            "nats apart at most": apart,
        }
        submission.update_json("metrics.json", agreement=agreement)
    print()
    cost_by_size(lm, texts, (100, 1_000, 10_000) if chosen.long else (100, 1_000))


if __name__ == "__main__":
    main()
