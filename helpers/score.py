"""Score a file of texts under a model, and write a table of their likelihoods.

From a terminal, under the profile that AR_PROFILE names:
python -m helpers.score texts.csv --model shakespeare --out scores.csv
On several processes or GPUs, for the same table:
accelerate launch --num_processes 2 -m helpers.score texts.csv
"""

from helpers import config
from helpers.engine import terminal

if __name__ == "__main__":  # before what takes seconds to import
    terminal.guard(config.ROOT / "runs" / "error.txt")

import argparse
import glob
import hashlib
import json
import math
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import pandas as pd
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import load_dataset, logging
from tqdm import tqdm

from helpers import likelihood, models, ood
from helpers.engine import files
from helpers.engine.corpora import COLUMNS, READERS, UTF8
from helpers.submission import NUMBERS

# Texts that a process scores at once. Such a unit begins at a multiple of their number:
# its batches are the same on any number of processes, and after any stop.
UNIT = 256
HEADER = ["row", *NUMBERS, "bits_per_byte", "ratio", "posterior"]
APPEND = {"mode": "a", "index": False, "float_format": "%.4f", "lineterminator": "\n"}
logging.set_verbosity(logging.CRITICAL)  # else it tells errors twice


def rows(path: Path):
    """The rows of a file, as a stream of dicts; {"text": line} for a text file.

    ValueError for another kind of file, for a CSV whose first row is too long, and,
    naming it, for a row of JSON Lines that is no object.
    """
    ending = path.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"{path.name} ends in none of {', '.join(READERS)}.")
    builder, options = "text", {"encoding": UTF8, "chunksize": 2**18}  # characters
    if ending == ".csv":
        # Pandas takes a surplus field for the row's name, and shifts the others.
        if not isinstance(pd.read_csv(path, nrows=1).index, pd.RangeIndex):
            raise ValueError(f"{path.name}: row 1 has more fields than the header.")
        # Every field as it stands: "NA" and 007 are text, too.
        as_text = {"na_filter": False, "converters": dict.fromkeys(COLUMNS, str)}
        builder, options = "csv", {"chunksize": UNIT, **as_text}
    if ending == ".parquet":
        builder, options = "parquet", {"batch_size": UNIT}
    options["data_files"] = glob.escape(str(path))  # a name may have brackets
    # Not the builder "json": past its first chunk it makes text of numbers, puts texts
    # beside them in quotation marks, and rewrites what looks like a date.
    stream = load_dataset(builder, split="train", streaming=True, **options)
    for number, row in enumerate(stream, start=1):
        try:
            yield dict(json.loads(row["text"])) if ending == ".jsonl" else row
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path.name}: row {number} is no JSON object.") from error


def survey(path: Path) -> tuple[str, int]:
    """The column that the texts stand in, and how many there are.

    ValueError if none holds text, or, naming the row, for what is not text; and as for
    `rows`.
    """
    filled = [name for name in COLUMNS if any(row.get(name) for row in rows(path))]
    if not filled:
        raise ValueError(f"{path.name} has no text under 'abstract' or 'text'.")
    for number, row in enumerate(rows(path), start=1):
        if not isinstance(row.get(filled[0]), str):
            raise ValueError(f"{path.name}: no text in row {number} of {filled[0]}.")
    return filled[0], number


def load(which: str) -> dict[str, models.LanguageModel]:
    """The models that a table needs, by name: the first is the one asked for.

    The others are the base and, if they have been made, the two fine-tuned ones. Errors
    as for `models.load`.
    """
    if which not in config.MODELS:
        asked, base = config.choose("model", which), config.base()
        if (asked.used, asked.revision) == (base.used, base.revision):
            which = "base"
    lms = {name: models.load(name) for name in dict.fromkeys([which, "base"])}
    try:
        lms |= {name: models.load(name) for name in config.DOMAINS if name not in lms}
    except FileNotFoundError as error:
        PartialState().print(f"The column posterior stays empty. {error}")
    return lms


def table(lms: dict[str, models.LanguageModel], texts: list[str], first: int):
    """The table's rows of some texts, of which the first has the number `first`."""
    shown = PartialState().is_main_process
    tables = {n: likelihood.score(m, texts, progress=shown) for n, m in lms.items()}
    asked = tables[next(iter(lms))]
    asked["row"] = range(first, first + len(texts))
    asked["bits_per_byte"] = -asked.log_likelihood / math.log(2) / asked.n_bytes
    asked["ratio"] = asked.log_likelihood - tables["base"].log_likelihood
    if lms.keys() >= set(config.DOMAINS):
        scores = pd.concat(tables, names=["model", "text_id"]).reset_index()
        asked["posterior"] = ood.domain_posterior(scores.assign(domain="")).array
    return asked.reindex(columns=HEADER)


def cut_back(unfinished: Path) -> int:
    """Cut a table back to whole units; how many rows it then has."""
    done = size = 0
    with unfinished.open("a+b") as file:
        file.seek(0)
        for number, line in enumerate(file):  # number 0 is the header
            if number and number % UNIT == 0 and line.endswith(b"\n"):
                done, size = number, file.tell()
        file.truncate(size)
    return done


def score_file(path: Path, which: str, out: Path) -> None:
    """Write the table `out` of a file's texts, going on where it was stopped.

    The file is read as a stream and the table appended to: memory does not depend on
    how many texts there are. Columns: `row` (from 1); `n_chars`, `n_bytes`, `n_tokens`
    and `log_likelihood` as in `likelihood.score`; `bits_per_byte` (empty for an empty
    text); `ratio`, the log of the likelihood ratio to the base (nats); `posterior` as
    in `ood.domain_posterior`. ValueError for an `out` that cannot be the table, and as
    for `survey`, `load` and `likelihood.score`.
    """
    if not out.parent.is_dir() or out.is_dir() or out.resolve() == path.resolve():
        raise ValueError(f"{out} cannot be the table: give another name as --out.")
    column, total = survey(path)
    processes = PartialState()
    first, at = processes.is_main_process, UNIT * processes.process_index
    with processes.main_process_first():  # the others find what the first has fetched
        lms = load(which)
    # What decides the numbers, so that no table is of two files or two models.
    decides = path.suffix, files.digest(path), {n: m.digests() for n, m in lms.items()}
    key = hashlib.sha256(repr(decides).encode()).hexdigest()[:8]
    unfinished = out.with_name(f".unfinished-{key}-{out.name}")
    lock = config.ROOT / "runs" / f".score-{out.name}.lock"
    busy = f"Another process is writing a table {out.name}; waiting for it."
    with files.lock(lock, busy) if first else nullcontext():
        done = gather_object([cut_back(unfinished) if first else 0])[0]
        todo = islice(rows(path), done, None)
        with tqdm(desc=out.name, total=total, initial=done, disable=not first) as bar:
            while group := list(islice(todo, UNIT * processes.num_processes)):
                own = [row[column] for row in group[at : at + UNIT]]
                # From every process, in their order.
                parts = gather_object([table(lms, own, done + at + 1)] if own else [])
                if first:
                    pd.concat(parts).to_csv(unfinished, header=not done, **APPEND)
                done += len(group)
                bar.update(len(group))
        if first:
            unfinished.replace(out)


def main() -> None:
    """Score a file from a terminal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--model", default="base", help="a name, a hub id or a folder")
    parser.add_argument("--out", type=Path, help="the table; else FILE.scores.csv")
    args = parser.parse_args()
    PartialState().on_main_process(config.describe)()
    score_file(args.file, args.model, args.out or args.file.with_suffix(".scores.csv"))


if __name__ == "__main__":
    main()
