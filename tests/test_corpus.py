"""The packaged abstracts are what the README says they are."""

import json
import re
from collections import Counter

import pytest

from helpers import data

ROWS = [
    json.loads(line) for line in data.CORPUS.read_text(encoding="utf-8").splitlines()
]


def words(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def test_enough_abstracts_of_the_right_length():
    assert len(ROWS) >= 160
    assert all(set(row) == {"title", "abstract", "area"} for row in ROWS)
    assert all(110 <= len(row["abstract"].split()) <= 200 for row in ROWS)


def test_breadth():
    areas = Counter(row["area"] for row in ROWS)
    assert len(areas) >= 20 and areas.most_common(1)[0][1] <= len(ROWS) / 10
    assert len({row["title"] for row in ROWS}) == len(ROWS)


def test_no_two_share_a_run_of_eight_words():
    owner = {}
    for i, row in enumerate(ROWS):
        w = words(row["abstract"])
        for run in zip(*(w[k:] for k in range(8))):
            assert owner.setdefault(run, i) == i, (
                f"abstracts {owner[run]} and {i} share: {' '.join(run)}"
            )


def test_openings_vary():
    assert len({tuple(words(row["abstract"])[:3]) for row in ROWS}) == len(ROWS)
    assert (
        Counter(words(row["abstract"])[0] for row in ROWS).most_common(1)[0][1]
        <= len(ROWS) / 8
    )


@pytest.mark.parametrize(
    "name",
    ["ImageNet", "CIFAR", "MNIST", "GPT", "BERT", "Atari", "OpenAI", "Google", "LLaMA"],
)
def test_no_result_is_claimed_for_a_real_system(name):
    assert not [
        row["title"] for row in ROWS if re.search(rf"\b{name}", row["abstract"])
    ]
