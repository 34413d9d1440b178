"""A corpus that someone brought: the columns of its file, and the text in them.

What is not plain is refused, in one line that names the file, never mended in silence.
"""

import csv
import re
from pathlib import Path

import pyarrow
from pyarrow import json, parquet

from helpers.engine.files import first_line

COLUMNS = ("abstract", "text")  # where documents stand: in the first that holds any
UTF8 = "utf-8-sig"  # with or without the mark that some editors put first
# What stands between documents that were put together for GPT-2, Llama or Gemma. <s>
# is HTML too, for words struck through: it counts at the ends of lines only.
MARKER = (
    r"<\|(?:end|start)oftext\|>|<\|(?:end|begin)_of_text\|>|<[be]os>"
    r"|</s>\s*<s>|^<s>(?!.*</s>.)|</s>$"
)
OUTSIDE = re.compile(rf"\A(?:\s|{MARKER})+|(?:\s|{MARKER})+\Z", re.M)
# What parts a text file's documents: the first of these that gives MANY of them. One
# that gives fewer may be there by chance.
MANY = 10
SIGNS = (
    MARKER,
    r"\n(?:[^\S\n]*\n){2,}",  # two blank lines or more: what has verses has single ones
    r"\n[^\S\n]*\n",
)


def _read_csv(path: Path) -> dict[str, list]:
    """Not pandas: it takes a row's surplus fields for its name, and shifts the rest.

    Nor pyarrow: it reads on past a quotation mark that was left open.
    """
    csv.field_size_limit(2**31 - 1)  # else 131,072 characters: less than a play
    rows = []
    with path.open(encoding=UTF8, newline="") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            for row in reader:
                if row in ([], [""]):  # a blank line
                    continue
                rows.append(row)
                if len(row) != len(rows[0]):
                    raise csv.Error(f"{len(row)} fields, the header {len(rows[0])}")
        except csv.Error as error:
            wanted = "commas part fields; a text with commas needs quotation marks"
            raise ValueError(f"line {reader.line_num}: {error}; {wanted}") from error
    columns = {name: values for name, *values in zip(*rows)}
    if rows and len(columns) < len(rows[0]):
        raise ValueError("two columns have one name")
    return columns


def _read_json_lines(path: Path) -> dict[str, list]:
    """Not pandas: it makes numbers and dates of text."""
    schema = pyarrow.schema({name: pyarrow.string() for name in COLUMNS})
    # In one block: a document longer than a block is refused.
    whole = json.ReadOptions(block_size=2**30)
    as_text = json.ParseOptions(explicit_schema=schema)
    return json.read_json(path, whole, as_text).to_pydict()


def _read_text(path: Path) -> dict[str, list]:
    text = path.read_text(encoding=UTF8)
    for sign in SIGNS:
        parts = re.split(sign, text, flags=re.M)
        found = [part for part in parts if part.strip()]
        if len(found) >= MANY:
            break
    return {"text": found}


READERS = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".parquet": lambda path: parquet.read_table(path).to_pydict(),
    ".txt": _read_text,
}


def read(path: Path) -> dict[str, list]:
    """A corpus file as a table: the name of each column, and its values.

    ValueError, naming the file and what is wrong with it, if it cannot be read.
    """
    name, ending = path.name, path.suffix.lower()
    if not path.is_file() or ending not in READERS:
        endings = ", ".join(READERS)
        raise ValueError(f"{name}: a corpus is a file that ends in one of {endings}.")
    try:
        return READERS[ending](path)
    except (OSError, ValueError) as error:  # pyarrow's are among them
        why = getattr(error, "strerror", None) or first_line(error)
        if isinstance(error, UnicodeDecodeError):
            why = "it is not UTF-8 text; save it so"
        raise ValueError(f"{name} cannot be read as {ending}: {why:.180}.") from error


def texts(table: dict[str, list], name: str) -> list[str]:
    """The text of each row, "" where there is none; end markers around it taken off.

    Prose by its source, a column `abstract`, is put on one line; any other text keeps
    its white space. ValueError, naming the corpus, if no column holds text.
    """
    there = [column for column in COLUMNS if any(table.get(column, ()))]
    if not there:
        listed = ", ".join(map(str, [*table][:10]))
        wanted = "no text under 'abstract' or 'text'"
        raise ValueError(f"{name} has {wanted}; its columns: {listed:.150}")
    found = []
    for value in table[there[0]]:
        if not isinstance(value, str | None):
            kind = type(value).__name__
            raise ValueError(f"{name}: its column {there[0]!r} holds {kind}, not text.")
        text = (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()
        if "<" in text:  # else it takes long
            text = OUTSIDE.sub("", text)
        found.append(" ".join(text.split()) if there[0] == "abstract" else text)
    return found
