"""The log-probability of text under a model, per token and per text.

log p(x) = Σ_t log p(x_t | x_<t): one pass of the model gives every term (teacher forcing).
"""

from __future__ import annotations

import math
from itertools import zip_longest

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from helpers.models import LanguageModel

WINDOW = (
    1024  # tokens seen at once at most: GPT-2's context, and enough for any abstract
)
HEAD_ROWS = (
    256  # positions whose logits are held at once; 256 × 50,000 floats are 51 MB
)


def _windows(n: int, width: int) -> list[tuple[int, int, int]]:
    """Cut positions 1…n (0 is what they are conditioned on) into windows (start, stop, first scored).

    The first window scores all it holds; each later one starts half a window further on and scores
    only the half not yet scored, so every token has at least half a window of context.
    """
    if n <= width:
        return [(0, n, 1)]
    cuts, stop = [(0, width, 1)], width
    while stop < n:
        done, stop = stop, min(n, stop + width // 2)
        cuts.append((stop - width, stop, done - (stop - width)))
    return cuts


def _batches(lengths: list[int], batch_tokens: int) -> list[list[int]]:
    """Indices grouped by like length, longest first, at most `batch_tokens` padded tokens a group."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= batch_tokens:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


@torch.inference_mode()
def _score_ids(
    lm: LanguageModel,
    sequences: list[list[int]],
    batch_tokens: int,
    progress: bool,
    ranked: bool = False,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each sequence of ids, arrays (log-prob in nats, rank from 1 if `ranked`) of its tokens after the first."""
    width = min(lm.context, WINDOW)
    jobs = [
        (s, *cut)
        for s, ids in enumerate(sequences)
        for cut in _windows(len(ids), width)
    ]
    results = [
        (np.zeros(max(0, len(ids) - 1)), np.zeros(max(0, len(ids) - 1), dtype=int))
        for ids in sequences
    ]
    with tqdm(
        total=len(jobs),
        desc=f"scoring under {lm.name}",
        unit="text",
        leave=False,
        delay=2,
        disable=not progress,
    ) as bar:
        for group in _batches(
            [stop - start for _, start, stop, _ in jobs], batch_tokens
        ):
            chosen = [jobs[i] for i in group]
            longest = max(stop - start for _, start, stop, _ in chosen)
            ids = torch.full((len(chosen), longest), lm.separator)
            for row, (s, start, stop, _) in enumerate(chosen):
                ids[row, : stop - start] = torch.tensor(sequences[s][start:stop])
            # A causal model never looks to the right, where the padding is, so no mask is needed; and nothing
            # asks what follows the last token.
            hidden = lm.hidden(
                input_ids=ids[:, : max(1, longest - 1)].to(lm.device), use_cache=False
            )
            # Only real, scored positions reach the vocabulary, whose product costs as much as many layers.
            where = [
                (row, p)
                for row, (_, start, stop, first) in enumerate(chosen)
                for p in range(first, stop - start)
            ]
            if where:
                rows, places = (torch.tensor(x) for x in zip(*where))
                states = hidden[rows.to(lm.device), places.to(lm.device) - 1]
                targets = ids[rows, places].to(lm.device)
                values, ranks = [], []
                for a in range(0, len(states), HEAD_ROWS):
                    logits = lm.logits(states[a : a + HEAD_ROWS])
                    wanted = targets[a : a + HEAD_ROWS]
                    picked = logits.gather(1, wanted[:, None])
                    # Not log_softmax: on CPUs it rounds its exponentials, which adds up to 0.001 nats a text.
                    values.append((picked[:, 0] - logits.logsumexp(-1)).double().cpu())
                    if ranked:
                        ranks.append(1 + (logits > picked).sum(-1).cpu())
                values = torch.cat(values).numpy()
                ranks = (
                    torch.cat(ranks).numpy()
                    if ranked
                    else np.zeros(len(values), dtype=int)
                )
                at = 0
                for s, start, stop, first in chosen:
                    count = stop - start - first
                    into = slice(start + first - 1, stop - 1)
                    results[s][0][into], results[s][1][into] = (
                        values[at : at + count],
                        ranks[at : at + count],
                    )
                    at += count
            bar.update(len(chosen))
    return results


def _sequences(
    lm: LanguageModel, texts: list[str], condition_on: str
) -> list[list[int]]:
    if condition_on not in ("bos", "first_token"):
        raise ValueError(
            f'condition_on={condition_on!r}: choose "bos" or "first_token".'
        )
    if isinstance(texts, str):
        raise ValueError(f"texts is one string; a list is asked for: [{texts[:20]!r}].")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"texts[{i}] is {type(text).__name__}, not str.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"texts[{i}] has a lone surrogate at character {error.start}, which is no text; "
                "remove or replace it."
            ) from None
    encoded = lm.encode(list(texts))
    return (
        [[lm.separator, *ids] for ids in encoded] if condition_on == "bos" else encoded
    )


def score(
    lm: LanguageModel,
    texts: list[str],
    *,
    condition_on: str = "bos",
    batch_tokens: int = 1024,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Log-likelihood of each text, one row a text in the order given.

    Columns `n_chars, n_bytes, n_tokens, log_likelihood` (nats). `condition_on="bos"` scores every token,
    the first given the document separator: a proper log-probability of the whole text. `"first_token"`
    gives the model no separator and leaves the first token out, as the Stanford assignment does: the
    log-probability of the rest given that token, which forgives a text its strange beginning.
    A text longer than 1,024 tokens is scored in full, in windows that overlap by half. `dtype` is that of the
    matrix products (None: the model's own); torch.bfloat16 moves a text's log-likelihood by 0.5 % at most.
    ValueError, naming the text's position, for anything that is not text, and for a `dtype` finer than the model's.
    """
    lm = lm.at(dtype)
    sequences = _sequences(lm, texts, condition_on)
    scored = _score_ids(lm, sequences, batch_tokens, progress)
    return pd.DataFrame(
        {
            "n_chars": [len(t) for t in texts],
            "n_bytes": [len(t.encode("utf-8")) for t in texts],
            "n_tokens": [len(values) for values, _ in scored],
            "log_likelihood": [float(values.sum()) for values, _ in scored],
        }
    )


def token_log_probs(
    lm: LanguageModel, text: str, *, condition_on: str = "bos"
) -> pd.DataFrame:
    """One text, token by token: `token_id, token` (its text), `log_prob` (nats) and `rank` (1 = likeliest)."""
    ids = _sequences(lm, [text], condition_on)[0]
    values, ranks = _score_ids(lm, [ids], WINDOW, progress=False, ranked=True)[0]
    return pd.DataFrame(
        {
            "token_id": ids[1:],
            "token": [lm.decode([i]) for i in ids[1:]],
            "log_prob": values,
            "rank": ranks,
        }
    )


def score_table(
    models: dict[str, LanguageModel], strings: pd.DataFrame
) -> pd.DataFrame:
    """Every model on every string (`text_id, domain, text`): the rows of `likelihoods.csv`, no text kept."""
    parts = []
    for name, lm in models.items():
        scored = score(lm, list(strings.text))
        parts.append(
            pd.concat(
                [strings[["text_id", "domain"]].reset_index(drop=True), scored], axis=1
            ).assign(model=name)
        )
    return pd.concat(parts, ignore_index=True)


def held_out(
    lm: LanguageModel, texts: list[str], n_bytes: int, piece: int = 1000
) -> pd.DataFrame:
    """Scores of pieces of `piece` characters, one of each text in turn, until `n_bytes` are scored.

    Pieces as long as an abstract, so that plays and abstracts are treated alike: a model that reads a
    longer stretch has learnt its style from the stretch itself. `bits_per_byte` sums the scores up.
    """
    queues = [[t[i : i + piece] for i in range(0, len(t), piece)] for t in texts]
    turns = [p for turn in zip_longest(*queues) for p in turn if p]
    ends = np.cumsum([len(p.encode("utf-8")) for p in turns])
    return score(lm, turns[: int(np.searchsorted(ends, n_bytes)) + 1])


def score_blocks(
    lm: LanguageModel, blocks: list[list[int]], batch_tokens: int = 1024
) -> pd.DataFrame:
    """Log-likelihood of blocks of token ids cut from a stream of documents, as training reads them.

    One row a block, with the columns of `score` less `n_chars`. A block's first token is given, not scored.
    Separators within a block count among its tokens and nats, but they are no bytes of text.
    """
    scored = _score_ids(lm, blocks, batch_tokens, progress=True)
    texts = [lm.decode([i for i in ids[1:] if i != lm.separator]) for ids in blocks]
    return pd.DataFrame(
        {
            "n_bytes": [len(text.encode("utf-8")) for text in texts],
            "n_tokens": [len(values) for values, _ in scored],
            "log_likelihood": [float(values.sum()) for values, _ in scored],
        }
    )


def bits_per_byte(scores: pd.DataFrame) -> float:
    """Bits the model needs per UTF-8 byte of all the texts together: −Σ log p / (ln 2 · Σ bytes)."""
    return -scores.log_likelihood.sum() / math.log(2) / scores.n_bytes.sum()
