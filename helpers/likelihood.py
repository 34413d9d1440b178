"""The log-probability of text under a model, per token and per text.

log p(x) = Σ_t log p(x_t | x_<t): one pass of the model gives every term (teacher
forcing). Notebook 2 writes it out for one text; here it is for thousands.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
import torch
from scipy.stats import bootstrap
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from helpers import config
from helpers.models import LanguageModel, as_texts

WINDOW = 1024  # tokens seen at once at most: GPT-2's context, enough for any abstract
BATCH_TOKENS = 1024  # scored at once, padding counted: more is no faster on a CPU
PIECE = 1000  # characters of held-out text scored at once
PRETRAINED = 2.5  # bits per byte of English below which a model must have read some
ENGLISH = (
    "The river had risen in the night, and by the time the children came down to the "
    "mill the lower meadow was under water. Nobody was surprised. It rose each spring, "
    "and every spring their father said that he would build the wall a little higher."
)


# ---- from sequences of ids to log-probabilities


@dataclass
class Window:
    """A stretch of one text's ids that goes through the model at once."""

    index: int  # the text's place among the sequences
    ids: list[int]
    n_scored: int  # how many of the last ids are scored; those before are context


def windows(index: int, ids: list[int], width: int) -> Iterator[Window]:
    """Cut a text's ids into windows of at most `width`, each token scored once.

    The text's first id is given, never scored. A text no longer than `width` is one
    window. Of a longer one every window is full; each after the first moves on by half
    a width (the last by what is left) and scores only the ids it adds, so each of
    those has at least half a window of context.
    """
    done, stop = 1, width  # `done` ids are scored or given
    while done < len(ids):
        stop = min(stop, len(ids))
        yield Window(index, ids[max(0, stop - width) : stop], stop - done)
        done, stop = stop, stop + width // 2


def batches(
    lm: LanguageModel, todo: list[Window], doing: str, batch_tokens: int, progress: bool
) -> Iterator[tuple[list[Window], torch.Tensor]]:
    """Windows in batches, each with its ids as one tensor (windows, tokens).

    A batch has at most `batch_tokens` tokens, or one longer window. It is padded with
    separators on the right, where a causal model never looks: no mask is needed.
    """
    # Longest first, to pad little. The sort is stable, and the windows of a text that
    # has several are all of one length, so they stay in order.
    todo = sorted(todo, key=lambda window: -len(window.ids))
    options = {"leave": False, "delay": 2, "disable": not progress}
    with tqdm(total=len(todo), desc=f"{doing} under {lm.name}", **options) as bar:
        while todo:
            size = max(1, batch_tokens // len(todo[0].ids))
            batch, todo = todo[:size], todo[size:]
            rows = [torch.tensor(window.ids) for window in batch]
            ids = pad_sequence(rows, batch_first=True, padding_value=lm.bos_id)
            yield batch, ids.to(lm.device)
            bar.update(len(batch))


@torch.inference_mode()
def score_ids(
    lm: LanguageModel, sequences: list[list[int]], batch_tokens: int, progress: bool
) -> list[np.ndarray]:
    """Of each sequence of ids, an array (tokens − 1, 2) on the tokens after its first.

    Columns: log-probability in nats; rank among all tokens of the vocabulary, from 1.
    """
    width = min(lm.context_length, WINDOW)
    todo = [w for i, ids in enumerate(sequences) for w in windows(i, ids, width)]
    # Of each text, what its windows give, in order; nothing for a text of one id.
    found = [[np.empty((0, 2))] for _ in sequences]
    for batch, ids in batches(lm, todo, "scoring", batch_tokens, progress):
        # logits[:, t] speaks about token t + 1, so the last token is not read.
        # (windows, tokens − 1, vocabulary)
        logits = lm.model(ids[:, :-1], use_cache=False).logits.float()
        chosen = logits.gather(-1, ids[:, 1:, None])  # (windows, tokens − 1, 1)
        # Not log_softmax: on some CPUs its errors sum to as much as 0.001 nats.
        log_p = chosen - logits.logsumexp(-1, keepdim=True)
        rank = 1 + (logits > chosen).sum(-1, keepdim=True)
        both = torch.cat([log_p.double(), rank], dim=-1).cpu().numpy()
        for window, values in zip(batch, both):
            end = len(window.ids) - 1  # values[t] is about token t + 1
            found[window.index].append(values[end - window.n_scored : end])
    return [np.concatenate(parts) for parts in found]


# ---- tables of scores


def score(
    lm: LanguageModel,
    texts: list[str],
    *,
    given: list[str] | None = None,
    condition_on: str = "bos",
    progress: bool = True,
) -> pd.DataFrame:
    """Log-likelihood of each text: one row per text, in the order given.

    Columns `n_chars`, `n_bytes` (UTF-8), `n_tokens` (those scored), `log_likelihood`
    (nats). `condition_on="bos"` scores every token, the first given the separator.
    `"first_token"` puts nothing in front: the text's own first token is given, not
    scored, as in the Stanford assignment, though its bytes still count in `n_bytes`. A
    text longer than the context is scored in full, in windows that overlap by half or
    more.

    given: a beginning for each text; the rows are then log p(text | beginning). The two
    are cut into tokens together, and a token counts if it reaches into the text. The
    difference of two scores is something else, for the seam may move: after
    "The capital of France is " comes a token that begins with that space.

    ValueError for another `condition_on`, another number of beginnings, what is no list
    of texts, or, naming its position, an element that is not text.
    """
    texts = as_texts(texts, "texts")
    beginnings = as_texts([""] * len(texts) if given is None else given, "given")
    if len(beginnings) != len(texts):
        raise ValueError(f"given has {len(beginnings)} texts, and texts {len(texts)}.")
    if condition_on not in ("bos", "first_token"):
        raise ValueError(f'condition_on={condition_on!r}: "bos" or "first_token".')
    first = [lm.bos_id] if condition_on == "bos" else []
    both = [before + text for before, text in zip(beginnings, texts)]
    sequences = [first + ids for ids in lm.encode(both)]
    values = score_ids(lm, sequences, BATCH_TOKENS, progress)
    for i, before in enumerate(beginnings):
        if before:
            count = _reaching(lm, before, both[i], f"given[{i}]")
            values[i] = values[i][max(0, len(values[i]) - count) :]
    return pd.DataFrame(
        {
            "n_chars": [len(text) for text in texts],
            "n_bytes": [len(text.encode("utf-8")) for text in texts],
            "n_tokens": [len(array) for array in values],
            "log_likelihood": [float(array[:, 0].sum()) for array in values],
        }
    )


def _reaching(lm: LanguageModel, before: str, both: str, name: str) -> int:
    """How many tokens reach into the text that follows `before` in `both`."""
    ends = lm.ends(both)
    if len(before) not in ends:
        print(f"{name} ends inside a token ({before[-9:]!r}); it counts as the text's.")
    return sum(end > len(before) for end in ends)


def token_log_probs(lm: LanguageModel, text: str) -> pd.DataFrame:
    """One text, token by token, the first given the separator.

    Columns `token_id`, `token` (its text; a character of several tokens stands at the
    first of them, and the others are empty), `log_prob` (nats), `rank` (1 = likeliest).
    """
    (ids,) = lm.encode(as_texts([text], "texts"))
    (values,) = score_ids(lm, [[lm.bos_id, *ids]], BATCH_TOKENS, progress=False)
    ends = lm.ends(text)
    return pd.DataFrame(
        {
            "token_id": ids,
            "token": [text[start:end] for start, end in zip([0, *ends], ends)],
            "log_prob": values[:, 0],
            "rank": values[:, 1].astype(int),
        }
    )


def score_table(models: dict[str, LanguageModel], strings: pd.DataFrame):
    """Every model on every string (`text_id, domain, text`): rows of likelihoods.csv.

    Returns a DataFrame with the columns `submission.SCORE_COLUMNS`; no text is kept.
    """
    names = strings[["text_id", "domain"]].reset_index(drop=True)
    parts = []
    for name, lm in models.items():
        table = score(lm, list(strings.text))
        parts.append(pd.concat([names, table], axis=1).assign(model=name))
    return pd.concat(parts, ignore_index=True)


def score_held_out(lm: LanguageModel, texts: list[str], n_bytes: int) -> pd.DataFrame:
    """Scores of pieces of PIECE characters, one row each, as `score` gives them.

    The first piece of each text, then the second of each, and so on, until they hold
    `n_bytes` bytes or the texts end. Plays are cut as short as abstracts, because a
    model picks up the style of what it has just read: on a long text the base would
    catch up. `bits_per_byte` (below) makes one number of the table. ValueError as for
    `score`.
    """
    texts = as_texts(texts, "texts")
    cut = [[t[i : i + PIECE] for i in range(0, len(t), PIECE)] for t in texts]
    # zip_longest gives None for texts that have ended.
    in_turn = [part for turn in zip_longest(*cut) for part in turn if part]
    ends = np.cumsum([len(part.encode("utf-8")) for part in in_turn])
    enough = int(np.searchsorted(ends, n_bytes)) + 1
    return score(lm, in_turn[:enough])


# ---- what a table says


def bits_per_byte(scores: pd.DataFrame) -> float:
    """Bits per UTF-8 byte of all texts together: −Σ log p / (ln 2 · Σ bytes)."""
    return -scores.log_likelihood.sum() / math.log(2) / scores.n_bytes.sum()


def is_pretrained(lm: LanguageModel) -> bool:
    """Whether a model has read English: it finds a plain paragraph easy."""
    return bits_per_byte(score(lm, [ENGLISH], progress=False)) < PRETRAINED


def interval(statistic: Callable, *samples) -> tuple[float, float]:
    """95 % bootstrap interval (Efron 1979) of `statistic(*samples, axis=-1)`, seeded.

    1,000 times every sample is redrawn with replacement, each by itself, and the
    statistic computed; the interval runs from the 2.5th to the 97.5th percentile.
    (nan, nan) if a sample has fewer than two values.
    """
    arrays = [np.asarray(sample) for sample in samples]
    if min(map(len, arrays)) < 2:
        return math.nan, math.nan
    how = {"n_resamples": 1000, "method": "percentile", "rng": config.SEED}
    low, high = bootstrap(arrays, statistic, **how).confidence_interval
    return float(low), float(high)


def gain(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """Bits per byte that the second model saves on the same texts, with its interval.

    before, after: tables of `score`, row for row the same texts. A mean over rows, each
    counting alike, so not quite the difference of two `bits_per_byte`, where long texts
    count more. Keys `gain`, `low`, `high`; positive where `after` needs fewer bits.
    """
    nats_saved = after.log_likelihood - before.log_likelihood  # (texts,)
    saved = nats_saved / before.n_bytes / math.log(2)
    low, high = interval(np.mean, saved)
    return {"gain": float(saved.mean()), "low": low, "high": high}


def verdict(
    claim: str, value: float, low: float, high: float, above: float = 0.0
) -> dict:
    """A row of a table of claims: it holds if its whole interval is above `above`."""
    says = "holds" if low > above else "does not hold"
    return {"claim": claim, "value": value, "low": low, "high": high, "verdict": says}
