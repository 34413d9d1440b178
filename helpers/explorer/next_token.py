"""What next_token.html lets a class play with, asked of the models beforehand."""

import math
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from helpers import config, likelihood, submission
from helpers.engine import decoding, files
from helpers.explorer.page import facts, fill
from helpers.models import LanguageModel
from helpers.plots import style

CORPUS = Path(__file__).parents[1] / "corpus"
# The five words of notebook 5, with probabilities that can be checked by hand.
TOY = {"the": 0.4, "a": 0.3, "thy": 0.15, "my": 0.1, "zounds": 0.05}
# After an opening, one token on, and two on: how many of the likeliest tokens are kept,
# and in bins of how many nats the others are counted.
LEVELS = ((256, 0.05), (32, 0.2), (32, 0.2))
BRANCHES = 5  # the likeliest tokens, which are gone on from
LEAST = -100  # nats; what is less likely still is counted as that


def write_next_token(models: dict[str, LanguageModel], note: str) -> Path:
    """Write `submission/next_token.html`: what comes next, to play with, as one file.

    models: by name, all made from one base, so that they cut a text into the same
    tokens. note: what made the numbers; shown at the top.
    """
    page = fill("next_token", note, content(models))
    path = files.write_text(config.submission() / "next_token.html", page)
    return submission.record(path)


def content(models: dict[str, LanguageModel]) -> dict:
    """What the page draws from: after each opening a tree, of each sentence scores."""
    colors = style.colors_of(models) | {"base": "currentColor"}
    openings, sentences = _listed("openings"), _listed("sentences")
    trees, scores = [], []
    for lm in tqdm(models.values(), "What comes next", leave=False, delay=2):
        trees.append(grow(lm, list(openings.text)))
        scores.append([_scored(lm, text) for text in sentences.text])
    toy = {"names": [*TOY], "entries": [[math.log(p), 1] for p in TOY.values()]}
    every = {i for of_model in trees for tree in of_model for i in ids_in(tree)}
    return {
        "models": [facts(name, style.MODEL_NAMES, colors) for name in models],
        "toy": toy | {"color": "currentColor"},
        "names": {i: lm.decode([i]) for i in sorted(every)},
        # of each opening and each sentence, one tree and one score a model
        "openings": openings.assign(trees=list(zip(*trees))).to_dict("records"),
        "sentences": sentences.assign(scores=list(zip(*scores))).to_dict("records"),
    }


def _listed(name: str) -> pd.DataFrame:
    """The openings, or the sentences, that are asked about: columns `kind`, `text`."""
    lines = (CORPUS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return pd.DataFrame([line.split("\t") for line in lines], columns=["kind", "text"])


def _scored(lm: LanguageModel, text: str) -> dict[str, list]:
    """A text's tokens, and of each the log-probability (nats) and the rank."""
    table = likelihood.token_log_probs(lm, text).round({"log_prob": 4})
    return table[["token", "log_prob", "rank"]].to_dict("list")


@torch.inference_mode()
def grow(lm: LanguageModel, openings: list[str]) -> list[dict]:
    """After each opening a tree: a distribution, and what follows its likeliest tokens.

    See `summary` for a distribution; `branches` are those after its first tokens.
    """
    kind = decoding.Batch if lm.keeps_cache else decoding.Plain
    begun = [[lm.bos_id, *ids] for ids in lm.encode(openings)]
    batch, levels = kind(lm.model, begun, padding=lm.bos_id), []
    for kept, width in LEVELS:
        if levels:
            likeliest = batch.logits.topk(BRANCHES).indices  # (nodes, BRANCHES)
            rows = [row for row in range(len(likeliest)) for _ in range(BRANCHES)]
            batch.advance(rows, likeliest.flatten())
        log_p = batch.logits.log_softmax(-1).cpu()  # (nodes, vocabulary)
        levels.append([summary(row, kept, width) for row in log_p])
    for nodes, following in zip(levels, levels[1:]):
        for i, node in enumerate(nodes):
            node["branches"] = following[i * BRANCHES : (i + 1) * BRANCHES]
    return levels[0]


def summary(log_p: torch.Tensor, kept: int, width: float) -> dict:
    """A distribution (vocabulary,) in few numbers, from which it can be reshaped.

    `ids` and `log_p` (nats) of the `kept` likeliest tokens; `rest`, the probability of
    all others together; and how many of those there are in each bin of log p:
    `counts[i]` between −width · (first + i + 1) and −width · (first + i).
    """
    top = log_p.topk(min(kept, len(log_p)))
    rest = log_p.scatter(0, top.indices, torch.nan)
    rest = rest[~rest.isnan()].clamp(min=LEAST)  # (vocabulary − kept,)
    counts = torch.bincount((-rest / width).long()).tolist()
    first = next((i for i, count in enumerate(counts) if count), 0)
    return {
        "ids": top.indices.tolist(),
        "log_p": [round(value, 4) for value in top.values.tolist()],
        "rest": float(rest.exp().sum()),
        "width": width,
        "first": first,
        "counts": counts[first:],
    }


def ids_in(tree: dict) -> set[int]:
    """The ids of all tokens kept in a tree."""
    return set(tree["ids"]).union(*map(ids_in, tree.get("branches", [])))
