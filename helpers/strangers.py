"""Sets of strings from neither domain: open ones, to choose detectors by, and sealed.

Each set has strings of at most a hundred characters, in the form of
`strings.evaluation_strings`: `text_id`, `domain` (the set's name), `text`. Everything
is seeded, and made of what an installation has.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from pathlib import Path

import pandas as pd

from helpers import config
from helpers.engine.packages import package_file
from helpers.strings import cut_strings, table

GERMAN = Path(__file__).parent / "corpus" / "german.txt"
SHUFFLED = {"neurips": "shuffled abstracts", "shakespeare": "shuffled plays"}
# Sets so like a domain that the honest answer may be "this is of the domain".
NEAR = {"scikit-learn docstrings": "neurips"}
# Modules of the standard library whose source is cut.
LIBRARY = "argparse ast csv heapq inspect textwrap threading".split()


def open_sets(strings: pd.DataFrame, length: int = 100) -> pd.DataFrame:
    """Sets that were looked at while the detectors of notebook 7 were chosen.

    `strings` is a table as `evaluation_strings` gives it; each set has as many strings
    as it has of a domain. ValueError if a source holds too few. The sets:

    - "shuffled abstracts", "shuffled plays": the whole words of each string in random
      order (not its last word, which may be cut)
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
        words = words[:-1] or words  # a text without spaces is one word
        shuffled = " ".join(rng.sample(words, len(words)))
        rows.append((f"shuffled:{row.text_id}", SHUFFLED[row.domain], shuffled))
    n = len(prose) // len(config.DOMAINS)
    library = Path(sysconfig.get_path("stdlib"))
    source = {name: (library / f"{name}.py").read_text("utf-8") for name in LIBRARY}
    rows += _cut("Python source", source, n, length)
    rows += _cut("German prose", {"german": GERMAN.read_text("utf-8")}, n, length)
    rows += _cut("scikit-learn docstrings", _docstring_prose(), n, length)
    for i, text in enumerate(rng.sample(list(prose.text), n)):
        words = text.split()
        word, line = max(words, key=len), " ".join(words[:5])
        rows.append((f"word:{i:04d}:0", "one word repeated", _again(word, length)))
        rows.append((f"line:{i:04d}:0", "one line repeated", _again(line, length)))
    return table(rows)


def _cut(name: str, texts: dict[str, str], n: int, length: int) -> list[tuple]:
    """Rows of `n` strings cut from texts, by the texts' names."""
    docs = [{"doc_id": doc_id, "text": text} for doc_id, text in texts.items()]
    cut = cut_strings(docs, n, length)
    return [(f"{name}:{doc_id}:{at}", name, text) for doc_id, at, text in cut]


def _again(unit: str, length: int) -> str:
    """A word or a line, over and over, to a length in characters."""
    return (f"{unit} " * length)[:length]


def _docstring_prose() -> dict[str, str]:
    """Paragraphs of prose from scikit-learn's docstrings: no markup, no code.

    The files are read and parsed; nothing is imported.
    """
    markup, texts = re.compile(r">>>|::|\.\. |--|==|[`*|]"), {}
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    files = package_file("scikit-learn", ".py")
    for path in (path for path in files if "tests" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            docstring = isinstance(node, kinds) and ast.get_docstring(node) or ""
            prose = docstring.split("\nParameters\n")[0]
            for paragraph in re.split(r"\n\s*\n", prose):
                text = " ".join(paragraph.split())
                if len(text) > 200 and not markup.search(text):
                    texts[f"{path.stem}.{len(texts)}"] = text
    return texts
