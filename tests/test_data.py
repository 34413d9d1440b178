"""Corpora, splits, blocks and evaluation strings."""

import pandas as pd
import pytest
from datasets import Dataset

from helpers import config, data

LONG = [
    f"Document {i}. " + " ".join(f"word{i}x{j}" for j in range(40)) for i in range(20)
]


def test_plays_are_plain_text():
    plays = data.documents("shakespeare")
    assert len(plays) == 38
    for play in plays:
        assert not set("*_#\\") & set(play["text"]), play["doc_id"]
    hamlet = next(p["text"] for p in plays if p["doc_id"] == "hamlet")
    assert "\n\nBERNARDO:\nWho's there?\n\n" in hamlet and "[Exit Ghost]" in hamlet


def test_a_direction_over_several_lines_becomes_one():
    assert (
        data.plain_play("**A**  \nHo!\n\n_Enter B, with\nothers_\n\n_\\[Aside]_  \nNo.")
        == "A:\nHo!\n\n[Enter B, with others]\n\n[Aside]\nNo."
    )


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
    corpus(
        "c.jsonl",
        lambda p: pd.DataFrame(
            {"abstract": LONG + [text + " Again." for text in LONG]}
        ).to_json(p, orient="records", lines=True),
    )
    parts = data.splits("neurips")
    assert sum(map(len, parts.values())) < 40
    assert data.shared_passages(parts["train"], parts["test"]) == []


def test_packed_blocks_keep_every_token_in_order():
    texts = ["abcdefg", "hij", "klmnopqrst"]
    packed = data.packed_blocks(
        texts, lambda ts: [[ord(c) for c in t] for t in ts], separator=0, block=5
    )
    flat = [t for block in packed["input_ids"] for t in block]
    stream = [t for text in texts for t in (0, *map(ord, text))]
    assert flat == stream[: len(flat)] and len(stream) - len(flat) < 5
    assert packed["labels"] == packed["input_ids"] or list(packed["labels"]) == list(
        packed["input_ids"]
    )


@pytest.mark.fault("too little text for one training block")
def test_too_little_text_for_a_block():
    with pytest.raises(ValueError, match="do not fill one block"):
        data.packed_blocks(
            ["ab"], lambda ts: [[1, 2] for _ in ts], separator=0, block=64
        )


def test_evaluation_strings_are_what_they_claim():
    strings = data.evaluation_strings(n=20)
    assert (
        list(strings.domain.unique()) == list(config.KINDS)
        and (strings.text.str.len() == 100).all()
    )
    for domain in config.DOMAINS:
        test = {d["doc_id"]: d["text"] for d in data.splits(domain)["test"]}
        spans = {}
        for text_id, text in strings.loc[
            strings.domain == domain, ["text_id", "text"]
        ].itertuples(index=False):
            _, doc, offset = text_id.split(":")
            at = int(offset)
            assert test[doc][at : at + 100] == text
            assert at == 0 or test[doc][at - 1].isspace()
            assert all(abs(at - other) >= 100 for other in spans.setdefault(doc, []))
            spans[doc].append(at)
    assert strings.equals(data.evaluation_strings(n=20))


@pytest.mark.fault("100,000 evaluation strings from a small corpus")
def test_too_many_strings_is_an_error():
    with pytest.raises(ValueError, match="were asked for"):
        data.evaluation_strings(n=100_000)


def test_a_small_corpus_gives_as_many_long_strings_as_it_holds():
    counts = data.evaluation_strings(length=700).groupby("domain").size()
    assert 0 < counts["neurips"] <= counts["shakespeare"] == config.profile().strings
    with pytest.raises(ValueError, match="were asked for"):
        data.evaluation_strings(length=1_000_000)


def test_random_letters_are_uniform_over_both_cases():
    text = "".join(data.random_letters(200))
    counts = pd.Series(list(text)).value_counts()
    assert len(counts) == 52 and counts.between(300, 480).all()


def test_harder_strings_have_the_right_length():
    strings = data.evaluation_strings(n=5)
    harder = data.harder_strings(strings)
    assert harder.groupby("domain").size().to_dict() == {
        "shuffled abstracts": 5,
        "shuffled plays": 5,
        "Python source": 5,
        "German prose": 5,
        data.NEAR: 5,
        "one word repeated": 5,
        "one line repeated": 5,
    }
    line = harder[harder.domain == "one line repeated"].text.iloc[0]
    assert line.count(" ".join(line.split()[:3])) > 1
    shuffled = harder[harder.domain == "shuffled abstracts"].text.iloc[0]
    assert (
        sorted(shuffled.split()) == sorted(strings.text.iloc[0].split())
        and shuffled.split() != strings.text.iloc[0].split()
    )


@pytest.mark.parametrize(
    "name, write",
    [
        (
            "c.csv",
            lambda p: pd.DataFrame({"title": "t", "abstract": LONG}).to_csv(
                p, index=False
            ),
        ),
        (
            "c.jsonl",
            lambda p: pd.DataFrame({"text": LONG}).to_json(
                p, orient="records", lines=True
            ),
        ),
        ("c.parquet", lambda p: pd.DataFrame({"abstract": LONG}).to_parquet(p)),
        ("c.txt", lambda p: p.write_text("\n\n".join(LONG), encoding="utf-8")),
    ],
)
def test_a_corpus_of_ones_own(corpus, name, write):
    corpus(name, write)
    assert data.documents("neurips")["text"][:] == LONG
    assert data.provenance("neurips")["source"] == name


@pytest.mark.parametrize(
    "name, write, message",
    [
        ("c.csv", lambda p: p.write_text("a,b\n1,2\n"), "no column 'abstract'"),
        ("c.txt", lambda p: p.write_text(LONG[0]), "at least 10"),
        ("c.zip", lambda p: p.write_bytes(b"PK"), "a corpus is one of"),
    ],
)
def test_a_corpus_that_will_not_do(corpus, name, write, message):
    corpus(name, write)
    with pytest.raises(ValueError, match=message):
        data.documents("neurips")


@pytest.mark.fault("a domain there is none of")
def test_unknown_domain():
    with pytest.raises(ValueError, match="not a domain"):
        data.documents("milton")
