"""A corpus that someone brought: the columns of its file, and the text in them.

Libraries mend such files in silence. What is not plain is refused here, in one line
that names the file and the place; beside each step stands what it is there for.
"""

import csv
import json
import re
from itertools import chain, zip_longest
from pathlib import Path

import pyarrow.parquet

from helpers.engine.files import first_line

COLUMNS = ("abstract", "text")  # where documents stand: in the first that holds any
KINDS = {list: "lists", dict: "dicts", int: "numbers", float: "numbers"}
UTF8 = "utf-8-sig"  # with or without the mark that some editors put first
# What stands between documents that were put together for GPT-2, Llama or Gemma.
MARKERS = (
    "<|endoftext|> <|startoftext|> <|end_of_text|> <|begin_of_text|> <eos> <bos>"
).split()
STRIKE = ("<s>", "</s>")  # Llama's; they are HTML too, so count at ends of lines only
# What parts a text file's documents: the first of these that gives MANY of them. One
# that gives fewer may be there by chance.
MANY = 10
SIGNS = (
    "|".join(map(re.escape, MARKERS)) + r"|</s>\s*<s>|^<s>(?!.*</s>.)|</s>$",
    r"\n(?:[^\S\n]*\n){2,}",  # two blank lines or more: what has verses has single ones
    r"\n[^\S\n]*\n",
)


def _read_csv(path: Path) -> dict[str, list]:
    """Not pandas: it takes a row's surplus fields for its name, and shifts the rest."""
    csv.field_size_limit(2**31 - 1)  # else 131,072 characters: less than a play
    rows, line = [], 1  # each row with the line it begins in
    with path.open(encoding=UTF8, newline="") as file:
        head = file.readline()
        if "," not in head and (other := re.search(r"[;\t|]", head)):
            raise ValueError(f"its fields are parted by {other[0]!r}, not by commas")
        reader = csv.reader(chain([head], file), skipinitialspace=True, strict=True)
        try:
            for row in reader:
                rows += [(line, row)] if row else []
                line = reader.line_num + 1
        except csv.Error as error:
            where = f"look at the quotation marks from line {line} on"
            raise ValueError(f"{error}; {where}") from error
    (_, header), *rows = rows or [(1, [])]
    if any(header.count(name) > 1 for name in COLUMNS):
        raise ValueError("two columns have one name")
    # A line of spaces is blank, too, unless there is but one column.
    rows = [(line, row) for line, row in rows if row != [""] or len(header) == 1]
    # An empty field at the end of every row is only a comma too many.
    surplus = [""] if rows and rows[0][1][len(header) :] == [""] else []
    for line, row in rows:
        if len(row) < len(header) or row[len(header) :] != surplus:
            found = f"line {line} has {len(row)} fields, the header {len(header)}"
            raise ValueError(f"{found}; put quotation marks around a text with commas")
    return {name: [row[i] for _, row in rows] for i, name in enumerate(header)}


def _read_json_lines(path: Path) -> dict[str, list]:
    """Not pandas: it makes numbers and dates of text, and names no line."""
    rows = []
    with path.open(encoding=UTF8) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if not rows and line.lstrip().startswith("["):
                raise ValueError("a JSON array; one JSON object per line is wanted")
            try:
                row = json.loads(line)
                json.dumps(row, ensure_ascii=False).encode()  # no lone surrogates
            except (ValueError, RecursionError) as error:
                why = first_line(error).split(": line")[0]
                raise ValueError(f"line {number}: {why}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_text(path: Path) -> dict[str, list]:
    text = path.read_text(encoding=UTF8)
    for sign in SIGNS:
        parts = re.split(f"(?m:({sign}))", text)  # text, sign, text, sign, …, text
        found = map("".join, zip_longest(parts[::2], parts[1::2], fillvalue=""))
        found = [part for part in found if _bare(part)]
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
    except UnicodeDecodeError as error:
        good = path.read_bytes().decode("utf-8", "replace").partition("\ufffd")[0]
        line = good.count("\n") + 1
        said = f"{name} is not UTF-8 text (line {line}): save it so."
        raise ValueError(said) from error
    except Exception as error:  # of many kinds; whatever is wrong, the file must change
        why = getattr(error, "strerror", None) or first_line(error)
        why = why.replace(str(path), name)[:150]
        raise ValueError(f"{name} cannot be read as {ending}: {why}.") from error


def texts(table: dict[str, list], name: str) -> tuple[list[str], str]:
    """The text of each row, "" where there is none; and in words, what was done to it.

    Prose by its source, a column `abstract`, is put on one line; any other text keeps
    its white space. ValueError, naming the corpus, if no column holds text.
    """
    column = _text_column(table, name)
    given = [value if isinstance(value, str) else "" for value in table[column]]
    given = [text.replace("\r\n", "\n").replace("\r", "\n").strip() for text in given]
    found, done = [_bare(text) for text in given], ""
    if taken := sum(a != b for a, b in zip(found, given)):
        done += f", end markers taken off {taken}"
    signs = (*MARKERS, *STRIKE)
    if left := sum(any(sign in text for sign in signs) for text in found):
        done += f", end markers left as text in {left}"
    if column == "abstract":
        found = [" ".join(text.split()) for text in found]
    return found, done


def _text_column(table: dict[str, list], name: str) -> str:
    """The first of COLUMNS that holds text, or the first one if they are all empty."""
    there = [column for column in COLUMNS if column in table]
    if not there:
        names = [" ".join(str(column)[:16].split()) for column in table]
        listed = ", ".join(names[:10]) or "none"
        more = f" … and {len(names) - 10} more" if len(names) > 10 else ""
        wanted = "no column 'abstract' or 'text'"
        raise ValueError(f"{name} has {wanted}; it has {listed}{more}.")
    for column in there:
        if any(isinstance(value, str) and value.strip() for value in table[column]):
            return column
    for column in there:
        other = [v for v in table[column] if not isinstance(v, str | None)]
        if other:
            kind = KINDS.get(type(other[0]), type(other[0]).__name__)
            raise ValueError(f"{name}: its column {column!r} holds {kind}, not text.")
    return there[0]


def _bare(text: str) -> str:
    """A text without the markers at its ends, and without white space there."""
    for marker in MARKERS * 2:  # twice: they stand in any order
        text = text.removeprefix(marker).removesuffix(marker).strip()
    inner = text.removeprefix("<s>").removesuffix("<s>").strip()
    inner = inner.removesuffix("</s>").strip()
    return text if any(tag in inner for tag in STRIKE) else inner
