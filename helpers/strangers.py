"""Sets of strings from neither domain: open ones, to choose detectors by, and sealed.

Each set has strings of at most a hundred characters, in the form of
`strings.evaluation_strings`: `text_id`, `domain` (the set's name), `text`. Everything
is seeded, and made of what an installation has.
"""

import ast
import random
import re
import string
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


def sealed_sets(strings: pd.DataFrame, n: int = 40, length: int = 100) -> pd.DataFrame:
    """Sets that had no part in choosing a detector: scored after the recipe was fixed.

    As `open_sets`, with `n` strings each, or fewer if a domain of `strings` has fewer:

    - "licence text": the Apache licence, as transformers brings it, lines joined
    - "JSON": nbformat's schema of a notebook, as it is
    - "digits": drawn uniformly
    - "abstracts in capitals", "plays in capitals": the domains' own strings
    - "abstracts with typos", "plays with typos": one letter in ten replaced
    - "half abstract, half play": fifty characters of each, in either order
    """
    rng = random.Random(config.SEED)
    texts = {d: list(strings[strings.domain == d].text) for d in config.DOMAINS}
    n = min(n, *map(len, texts.values()))
    licence = package_file("transformers", "LICENSE")[0].read_text("utf-8")
    schema = package_file("nbformat", "nbformat.v4.schema.json")[0].read_text("utf-8")
    rows = _cut("licence text", {"apache": " ".join(licence.split())}, n, length)
    rows += _cut("JSON", {"nbformat": schema}, n, length)
    for i, (abstract, play) in enumerate(zip(*(texts[d][:n] for d in config.DOMAINS))):
        first, second = rng.sample([abstract, play], 2)
        made = {
            "digits": "".join(rng.choices(string.digits, k=length)),
            "abstracts in capitals": abstract.upper(),
            "plays in capitals": play.upper(),
            "abstracts with typos": _with_typos(abstract, rng),
            "plays with typos": _with_typos(play, rng),
            "half abstract, half play": first[: length // 2] + second[: length // 2],
        }
        rows += [(f"{name}:{i:04d}:0", name, text) for name, text in made.items()]
    return table(rows)


def _with_typos(text: str, rng: random.Random) -> str:
    """One letter in ten replaced by another, drawn from the small ones."""
    places = [i for i, character in enumerate(text) if character.isalpha()]
    characters = list(text)
    for i in rng.sample(places, len(places) // 10):
        characters[i] = rng.choice(string.ascii_lowercase.replace(characters[i], ""))
    return "".join(characters)


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
