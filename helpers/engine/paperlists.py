"""NeurIPS abstracts of 2012 to 2018, from the repository papercopilot/paperlists.

Its files' columns differ, so that they are read one by one, and three are kept.
"""

import hashlib
import io
from pathlib import Path

import huggingface_hub as hf
import pandas as pd
from tqdm.auto import tqdm

from helpers.engine import files, hub

ADDRESS = "https://raw.githubusercontent.com/papercopilot/paperlists"
# A line for each file, as sha256sum writes it: digest, name.
LISTED = Path(__file__).parents[1] / "corpus" / "paperlists.txt"


def fetch(commit: str, kept: Path) -> Path:
    """The file `kept` (title, abstract, year), made on the first call: 13 MB to fetch.

    HubError if one of its files could not be downloaded or is not what is listed.
    """
    if kept.exists():
        return kept
    listed = [line.split() for line in LISTED.read_text().splitlines()]
    tables = []
    for digest, name in tqdm(listed, "Fetching NeurIPS abstracts, once", leave=False):
        try:
            answer = hf.get_session().get(f"{ADDRESS}/{commit}/{name}", timeout=30)
            answer.raise_for_status()
            if hashlib.sha256(answer.content).hexdigest() != digest:
                raise ValueError("arrived damaged: its SHA-256 is not the listed one")
        except Exception as error:  # the client's and the network's, of many kinds
            why = f"{name} could not be downloaded ({hub.reason(error)})"
            raise hub.HubError(why) from None
        papers = pd.read_json(io.BytesIO(answer.content), dtype=False)
        year = int(name[-9:-5])  # nips/nips2012.json
        tables.append(papers[["title", "abstract"]].assign(year=year))
    with files.atomic(kept) as temporary:
        pd.concat(tables).to_parquet(temporary, index=False)
    return kept
