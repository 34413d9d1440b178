"""The strings every model scores: three kinds, and texts that are harder to reject."""

from __future__ import annotations

import ast
import random
import re
import string
import sysconfig
from pathlib import Path

import pandas as pd
from datasets import Dataset

from helpers import config, data
from helpers.engine.packages import package_file

GERMAN = Path(__file__).parent / "corpus" / "german.txt"
NEAR = "scikit-learn docstrings"  # so like the abstracts that it is hard for anyone
SHUFFLED = {"neurips": "shuffled abstracts", "shakespeare": "shuffled plays"}
# Modules of the standard library whose source is cut.
LIBRARY = "argparse ast csv heapq inspect textwrap threading zipfile"


def random_letters(n: int, length: int = 100, seed: int = config.SEED) -> list[str]:
    """`n` strings of `length` letters drawn uniformly from a–z and A–Z."""
    rng = random.Random(seed)
    return ["".join(rng.choices(string.ascii_letters, k=length)) for _ in range(n)]


def cut_strings(docs, n: int, length: int, seed: int = config.SEED, fewer=False):
    """A list of `n` strings as (doc_id, offset, text); no two overlap.

    docs: a Dataset with `doc_id` and `text`; length and offset in characters. A string
    starts at the start of a word and may end inside one. If the documents hold fewer:
    ValueError, or with `fewer` what they hold (ValueError for none).
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


def _table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text_id", "domain", "text"])


def domain_strings(
    domain: str, split: str, n: int, length: int = 100, fewer: bool = False
) -> pd.DataFrame:
    """Strings of a domain's split: `text_id` (kind:document:offset), `domain`, `text`.

    See `cut_strings`.
    """
    cut = cut_strings(data.splits(domain)[split], n, length, fewer=fewer)
    return _table([(f"{domain}:{doc}:{at}", domain, text) for doc, at, text in cut])


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
    parts.append(
        _table([(f"random:{i:04d}:0", "random", t) for i, t in enumerate(letters)])
    )
    return pd.concat(parts, ignore_index=True)


def _library_source() -> Dataset:
    """Modules of Python's standard library, as they are."""
    library, rows = Path(sysconfig.get_path("stdlib")), []
    for module in LIBRARY.split():
        for path in (library / f"{module}.py", library / module / "__init__.py"):
            if path.exists():
                rows.append((path.stem, path.read_text(encoding="utf-8")))
    return _documents(rows)


def _docstring_prose() -> Dataset:
    """Paragraphs of prose from scikit-learn's docstrings: no markup, no code.

    The files are read and parsed; nothing is imported.
    """
    markup = re.compile(r">>>|::|\.\. |--|==|[`*|]")
    rows = []
    for path in package_file("scikit-learn", ".py"):
        if "tests" in path.parts or "sklearn" not in path.parts:
            continue
        for docstring in _docstrings(path):
            prose = docstring.split("\nParameters\n")[0]
            for paragraph in re.split(r"\n\s*\n", prose):
                text = " ".join(paragraph.split())
                if len(text) > 200 and not markup.search(text):
                    rows.append((f"{path.stem}.{len(rows)}", text))
    return _documents(rows)


def _docstrings(path: Path) -> list[str]:
    """The docstrings of a module, its classes and its functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return [ast.get_docstring(node) or "" for node in nodes]


def _documents(rows: list[tuple[str, str]]) -> Dataset:
    doc_ids, texts = zip(*rows)
    return Dataset.from_dict({"doc_id": doc_ids, "text": texts})


def _german() -> Dataset:
    """German prose written for this project."""
    return _documents([("german", GERMAN.read_text(encoding="utf-8"))])


def harder_strings(strings: pd.DataFrame, length: int = 100) -> pd.DataFrame:
    """Sets from neither domain, harder than random letters, in the form of `strings`.

    `strings` is a table as `evaluation_strings` gives it; each set has as many strings
    as it has of a domain. Everything is seeded. ValueError if a source holds too few.
    The sets:

    - "shuffled abstracts", "shuffled plays": the words of each string in random order
    - "Python source": from the standard library
    - "German prose": written for this project
    - "scikit-learn docstrings": technical prose on the subject of the abstracts
    - "one word repeated", "one line repeated": a string's longest word, or its first
      five words, over and over
    """
    rng, rows = random.Random(config.SEED), []
    prose = strings[strings.domain.isin(config.DOMAINS)]
    for row in prose.itertuples():
        words = row.text.split()
        shuffled = " ".join(rng.sample(words, len(words)))
        rows.append((f"shuffled:{row.text_id}", SHUFFLED[row.domain], shuffled))
    n = len(prose) // len(config.DOMAINS)
    for name, key, docs in (
        ("Python source", "python", _library_source()),
        ("German prose", "german", _german()),
        (NEAR, "sklearn", _docstring_prose()),
    ):
        for doc, offset, text in cut_strings(docs, n, length):
            rows.append((f"{key}:{doc}:{offset}", name, text))
    for i, text in enumerate(rng.sample(list(prose.text), n)):
        words = text.split()
        word, line = max(words, key=len), " ".join(words[:5])
        rows.append((f"word:{i:04d}:0", "one word repeated", _again(word, length)))
        rows.append((f"line:{i:04d}:0", "one line repeated", _again(line, length)))
    return _table(rows)


def _again(unit: str, length: int) -> str:
    """A word or a line, over and over, to a length in characters."""
    return (f"{unit} " * length)[:length]
