"""Corpora, splits, blocks and the strings that are scored."""

import pandas as pd
import pytest
from datasets import Dataset

from helpers import config, data, strangers, strings

LONG = [
    f"Document {i}. " + " ".join(f"word{i}x{j}" for j in range(250)) for i in range(20)
]


def test_plays_are_plain_text():
    plays = data.documents("shakespeare")
    assert len(plays) == 38
    for play in plays:
        assert not set("*_#\\") & set(play["text"]), play["doc_id"]
    hamlet = data.document("shakespeare", "hamlet")
    assert "\n\nBERNARDO:\nWho's there?\n\n" in hamlet and "[Exit Ghost]" in hamlet


def test_a_direction_over_several_lines_becomes_one():
    markdown = "**A**  \nHo!\n\n_Enter B, with\nothers_\n\n_\\[Aside]_  \nNo."
    plain = "A:\nHo!\n\n[Enter B, with others]\n\n[Aside]\nNo."
    assert data.plain_play(markdown) == plain


def test_a_document_is_found_by_its_name():
    abstracts = data.documents("neurips")
    assert data.document("neurips", abstracts["doc_id"][7]) == abstracts["text"][7]
    with pytest.raises(KeyError, match="no such play"):
        data.document("shakespeare", "no such play")


def test_unknown_domain(fault):
    with pytest.raises(ValueError, match="not a domain") as caught:
        data.documents("milton")
    fault("a domain there is none of", caught.value)


@pytest.mark.parametrize("domain", config.DOMAINS)
def test_splits_hold_whole_documents_and_share_no_passage(domain):
    parts = data.splits(domain)
    ids = [i for part in parts.values() for i in part["doc_id"]]
    assert len(ids) == len(set(ids)) and all(len(part) for part in parts.values())
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert data.shared_passages(parts[a], parts[b]) == []


def test_a_leak_would_be_seen():
    one = Dataset.from_dict({"doc_id": ["a"], "text": [LONG[0]]})
    two = Dataset.from_dict({"doc_id": ["b"], "text": ["before " + LONG[0].upper()]})
    assert data.shared_passages(one, two) == [("a", "b")]


def test_near_copies_are_dropped_from_training(corpus):
    twice = pd.DataFrame({"abstract": LONG + [text + " Again." for text in LONG]})
    corpus("c.jsonl", lambda p: twice.to_json(p, orient="records", lines=True))
    parts = data.splits("neurips")
    assert sum(map(len, parts.values())) < 40
    assert data.shared_passages(parts["train"], parts["test"]) == []


def letters(texts):
    """Each letter is a token."""
    return [[ord(c) for c in text] for text in texts]


def test_packed_blocks_keep_every_token_in_order():
    texts = ["abcdefg", "hij", "klmnopqrst"]
    packed = data.packed_blocks(texts, letters, bos_id=0, block=5)
    flat = [token for block in packed["input_ids"] for token in block]
    stream = [token for text in texts for token in (0, *map(ord, text))]
    assert flat == stream[: len(flat)] and len(stream) - len(flat) < 5
    assert list(packed["labels"]) == list(packed["input_ids"])


def test_a_seed_shuffles_blocks_and_cuts_none():
    texts = ["abcdefghijklmnopqrst"]
    plain = data.packed_blocks(texts, letters, bos_id=0, block=3)["input_ids"][:]
    shuffled = data.packed_blocks(texts, letters, bos_id=0, block=3, seed=1)
    assert shuffled["input_ids"][:] != plain
    assert sorted(shuffled["input_ids"][:]) == sorted(plain)


def test_too_little_text_for_a_block(fault):
    with pytest.raises(ValueError, match="do not fill one block") as caught:
        data.packed_blocks(["ab"], letters, bos_id=0, block=64)
    fault("too little text for one training block", caught.value)


def test_evaluation_strings_are_what_they_claim():
    table = strings.evaluation_strings(n=20)
    assert list(table.domain.unique()) == list(config.KINDS)
    assert (table.text.str.len() == 100).all()
    assert table.equals(strings.evaluation_strings(n=20))


@pytest.mark.parametrize("domain", config.DOMAINS)
def test_evaluation_strings_are_found_where_their_name_says(domain):
    table = strings.evaluation_strings(n=20)
    held_out = data.splits(domain)["test"]["doc_id"][:]
    starts = {}
    for row in table[table.domain == domain].itertuples():
        _, doc_id, offset = row.text_id.split(":")
        document, at = data.document(domain, doc_id), int(offset)
        assert doc_id in held_out and document[at : at + 100] == row.text
        assert at == 0 or document[at - 1].isspace()
        others = starts.setdefault(doc_id, [])
        assert all(abs(at - other) >= 100 for other in others), "they overlap"
        others.append(at)


def test_too_many_strings_is_an_error(fault):
    with pytest.raises(ValueError, match="100000 are wanted") as caught:
        strings.evaluation_strings(n=100_000)
    fault("100,000 evaluation strings from a small corpus", caught.value)


def test_a_small_corpus_gives_as_many_long_strings_as_it_holds():
    counts = strings.evaluation_strings(length=700).groupby("domain").size()
    assert 0 < counts["neurips"] <= counts["shakespeare"] == config.profile().strings
    with pytest.raises(ValueError, match="hold 0 strings"):
        strings.evaluation_strings(length=1_000_000)


def test_random_letters_are_uniform_over_both_cases():
    text = "".join(strings.random_letters(200))
    counts = pd.Series(list(text)).value_counts()
    assert len(counts) == 52 and counts.between(300, 480).all()


def test_harder_strings_are_what_they_are_called():
    table = strings.evaluation_strings(n=5)
    harder = strangers.open_sets(table)
    names = {
        *strangers.SHUFFLED.values(),
        *strangers.NEAR,
        "Python source",
        "German prose",
        "one word repeated",
        "one line repeated",
    }
    assert harder.groupby("domain").size().to_dict() == dict.fromkeys(names, 5)
    line = harder[harder.domain == "one line repeated"].text.iloc[0]
    assert line.count(" ".join(line.split()[:3])) > 1
    shuffled = harder[harder.domain == "shuffled abstracts"].text.iloc[0].split()
    words = table.text.iloc[0].split()[:-1]  # the last may be cut
    assert sorted(shuffled) == sorted(words) and shuffled != words


def test_sealed_strings_are_what_they_are_called():
    texts = strings.evaluation_strings(n=12)
    sealed = strangers.sealed_sets(texts, n=10)
    assert sealed.equals(strangers.sealed_sets(texts, n=10))
    assert (sealed.groupby("domain").size() == 10).all()
    assert (sealed.text.str.len() == 100).all()
    assert sealed.text_id.is_unique and sealed.text.is_unique
    sets = {name: list(group.text) for name, group in sealed.groupby("domain")}
    assert len(sets) >= 6 and not {*sets} & {*strangers.open_sets(texts).domain}
    plays = list(texts[texts.domain == "shakespeare"].text[:10])
    abstracts = list(texts[texts.domain == "neurips"].text[:10])
    assert sets["plays in capitals"] == [text.upper() for text in plays]
    assert all(text.isdigit() for text in sets["digits"])
    for text, typos in zip(plays, sets["plays with typos"]):
        changed = [a for a, b in zip(text, typos) if a != b]
        letters = sum(map(str.isalpha, text))
        assert len(changed) == letters // 10 and all(map(str.isalpha, changed))
    halves = [(text[:50], text[50:]) for text in sets["half abstract, half play"]]
    for (first, second), abstract, play in zip(halves, abstracts, plays):
        either = [(abstract[:50], play[:50]), (play[:50], abstract[:50])]
        assert (first, second) in either


FILES = {
    "c.csv": lambda p: pd.DataFrame({"abstract": LONG}).to_csv(p, index=False),
    "c.jsonl": lambda p: pd.DataFrame({"text": LONG}).to_json(
        p, orient="records", lines=True
    ),
    "c.parquet": lambda p: pd.DataFrame({"abstract": LONG}).to_parquet(p),
    "c.txt": lambda p: p.write_text("\n\n".join(LONG), encoding="utf-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_corpus_of_ones_own(corpus, name):
    corpus(name, FILES[name])
    assert data.documents("neurips")["text"][:] == LONG
    assert data.provenance("neurips")["source"] == name
