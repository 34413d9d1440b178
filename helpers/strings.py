"""The strings every model scores, three kinds of them, and how strings are cut."""

import random
import string

import pandas as pd

from helpers import config, data


def random_letters(n: int, length: int = 100, seed: int = config.SEED) -> list[str]:
    """`n` strings of `length` letters drawn uniformly from a–z and A–Z."""
    rng = random.Random(seed)
    return ["".join(rng.choices(string.ascii_letters, k=length)) for _ in range(n)]


def cut_strings(docs, n: int, length: int, seed: int = config.SEED, fewer=False):
    """A list of `n` strings as (doc_id, offset, text); no two overlap.

    docs: documents with `doc_id` and `text` (a Dataset, or a list of dicts); length and
    offset in characters. A string starts at the start of a word and may end inside one.
    If the documents hold fewer: ValueError, or with `fewer` what they hold (ValueError
    for none).
    """
    rng, found = random.Random(seed), []
    for doc in docs:
        text = doc["text"]
        # The earliest start: random, so that openings are not over-represented.
        for start in data.cuts(text, rng.randrange(length), length):
            found.append((doc["doc_id"], start, text[start : start + length]))
    if len(found) < n and not (fewer and found):
        raise ValueError(
            f"The documents hold {len(found)} strings of {length} characters, "
            f"and {n} are wanted: take fewer or shorter ones, or bring more text."
        )
    return rng.sample(found, min(n, len(found)))


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Rows of strings as a table: `text_id`, `domain`, `text`."""
    return pd.DataFrame(rows, columns=["text_id", "domain", "text"])


def domain_strings(
    domain: str, split: str, n: int, length: int = 100, fewer: bool = False
) -> pd.DataFrame:
    """Strings of a domain's split: `text_id` (kind:document:offset), `domain`, `text`.

    See `cut_strings`.
    """
    cut = cut_strings(data.splits(domain)[split], n, length, fewer=fewer)
    return table([(f"{domain}:{doc}:{at}", domain, text) for doc, at, text in cut])


def evaluation_strings(n: int | None = None, length: int = 100) -> pd.DataFrame:
    """The strings every model scores: `n` of each kind, from the test splits.

    Columns `text_id` (kind:document:offset), `domain` and `text`. `n` defaults to the
    profile's number, or to as many as a small corpus holds; ValueError for an `n` that
    it does not hold.
    """
    fewer = n is None
    n = n or config.profile().strings
    parts = [domain_strings(d, "test", n, length, fewer) for d in config.DOMAINS]
    letters = random_letters(n, length)
    rows = [(f"random:{i:04d}:0", "random", text) for i, text in enumerate(letters)]
    return pd.concat([*parts, table(rows)], ignore_index=True)
