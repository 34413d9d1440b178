"""A corpus that someone brought: the columns of its file, and the text in them.

Libraries mend such files in silence. What is not plain is refused here, in one line
that names the file and the place; beside each step stands what it is there for.
"""

import csv
import json
import re
from pathlib import Path
from textwrap import shorten

import pyarrow.parquet

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
LEFT = re.compile(rf"{MARKER}|</?s>", re.M)
# What parts a text file's documents: the first of these that gives MANY of them. One
# that gives fewer may be there by chance.
MANY = 10
SIGNS = (
    MARKER,
    r"\n(?:[^\S\n]*\n){2,}",  # two blank lines or more: what has verses has single ones
    r"\n[^\S\n]*\n",
)


def _read_csv(path: Path) -> dict[str, list]:
    """Not pandas: it takes a row's surplus fields for its name, and shifts the rest."""
    csv.field_size_limit(2**31 - 1)  # else 131,072 characters: less than a play
    rows, line = [], 1  # each row, and the line that the next one begins in
    with path.open(encoding=UTF8, newline="") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            header, line = next(reader, []), reader.line_num + 1
            for row in reader:
                if len(row) == len(header):
                    rows.append(row)
                elif row not in ([], [""]):  # which are blank lines
                    found = f"{len(row)} fields, the header {len(header)}"
                    raise csv.Error(f"{found} ({','.join(header):.40})")
                line = reader.line_num + 1
        except csv.Error as error:
            wanted = "commas part fields; a text with commas needs quotation marks"
            raise ValueError(f"line {line}: {error}; {wanted}") from error
    if len({*header}) < len(header):
        raise ValueError("two columns have one name")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _read_json_lines(path: Path) -> dict[str, list]:
    """Not pandas: it makes numbers and dates of text, and names no line."""
    rows = []
    with path.open(encoding=UTF8) as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line) if line.strip() else {}
                json.dumps(row, ensure_ascii=False).encode()  # no lone surrogates
                why = "" if isinstance(row, dict) else type(row).__name__
            except (ValueError, RecursionError) as error:
                why = first_line(error).split(": line")[0]
            if why:
                wanted = "each line should be a JSON object, with no array around them"
                raise ValueError(f"line {number}: {why}; {wanted}")
            rows += [row] if row else []
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


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
    ".parquet": lambda path: pyarrow.parquet.read_table(path).to_pydict(),
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
    except Exception as error:  # of many kinds; whatever is wrong, the file must change
        why = getattr(error, "strerror", None) or first_line(error)
        if isinstance(error, UnicodeDecodeError):
            why = "it is not UTF-8 text; save it so"
        why = why.replace(str(path), name)[:180]
        raise ValueError(f"{name} cannot be read as {ending}: {why}.") from error


def texts(table: dict[str, list], name: str) -> tuple[list[str], str]:
    """The text of each row, "" where there is none; and in words, what was done to it.

    Prose by its source, a column `abstract`, is put on one line; any other text keeps
    its white space. ValueError, naming the corpus, if no column holds text.
    """
    column = _text_column(table, name)
    given = [value if isinstance(value, str) else "" for value in table[column]]
    given = [text.replace("\r\n", "\n").replace("\r", "\n").strip() for text in given]
    found, done = given[:], ""
    for i in (i for i, text in enumerate(given) if "<" in text):  # else it takes long
        found[i] = OUTSIDE.sub("", given[i])
    if taken := sum(a != b for a, b in zip(found, given)):
        done += f", end markers taken off {taken}"
    if left := sum(bool(LEFT.search(text)) for text in found if "<" in text):
        done += f", end markers left as text in {left}"
    if column == "abstract":
        found = [" ".join(text.split()) for text in found]
    return found, done


def _text_column(table: dict[str, list], name: str) -> str:
    """The first of COLUMNS that holds text, or the first one if they are all empty."""
    there = [column for column in COLUMNS if column in table]
    if not there:
        listed = shorten(", ".join(map(str, [*table][:10])), 150, placeholder=" …")
        wanted = "no column 'abstract' or 'text'"
        raise ValueError(f"{name} has {wanted}; its columns ({len(table)}): {listed}")
    for column in there:
        if any(isinstance(value, str) and value.strip() for value in table[column]):
            return column
    for value in table[there[0]]:
        if not isinstance(value, str | None):
            kind = type(value).__name__
            raise ValueError(f"{name}: its column {there[0]!r} holds {kind}, not text.")
    return there[0]
