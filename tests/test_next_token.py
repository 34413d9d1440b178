"""What next_token.html is made from: the models' own numbers, in few."""

import json
import re

import pytest
import torch

from helpers import config, data, likelihood, models, sampling
from helpers.explorer import next_token


@pytest.fixture(scope="module")
def lm():
    return models.load("tiny")


def zipf(seed, steepness, vocabulary=50_000):
    """Logits like a language model's: few likely tokens and a long tail."""
    noise = torch.Generator().manual_seed(seed)
    ranks = torch.arange(1, vocabulary + 1).log()
    logits = -steepness * ranks + torch.randn(vocabulary, generator=noise)
    return logits[torch.randperm(vocabulary, generator=noise)]


def normaliser(kept: dict, temperature: float) -> float:
    """log Σ p^(1/T) from what is saved, every bin's tokens at its middle."""
    tokens = torch.tensor(kept["log_p"], dtype=torch.float64)
    bins = torch.arange(len(kept["counts"])) + kept["first"] + 0.5
    counts, middles = torch.tensor(kept["counts"]), -kept["width"] * bins.double()
    moved = middles + (kept["rest"] / (counts * middles.exp()).sum()).log()
    tail = (counts * (moved / temperature).exp()).sum()
    return float(((tokens / temperature).exp().sum() + tail).log())


@pytest.mark.parametrize(
    "steepness, level",
    # flatter than any model's, as flat as any, usual, peaked
    [(0.3, 0), (0.8, 0), (1.5, 0), (4, 0), (0.8, 1), (1.5, 1), (4, 1)],
)
def test_the_normaliser_is_right_at_any_temperature(steepness, level):
    log_p = zipf(1, steepness).double().log_softmax(-1)
    few = next_token.summary(log_p, *next_token.LEVELS[level])
    kept = len(few["ids"])
    assert (
        kept == next_token.LEVELS[level][0] and sum(few["counts"]) == len(log_p) - kept
    )
    for temperature in (0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.4, 2, 3):
        exact = float((log_p / temperature).logsumexp(-1))
        assert normaliser(few, temperature) == pytest.approx(exact, abs=0.01)


def test_a_vocabulary_smaller_than_what_is_kept_has_no_rest():
    few = next_token.summary(torch.tensor([0.5, 0.3, 0.2]).log(), 256, 0.1)
    assert few["ids"] == [0, 1, 2] and few["counts"] == [] and few["rest"] == 0


def test_a_token_that_never_comes_is_counted():
    few = next_token.summary(torch.tensor([0.6, 0.4, 0.0, 0.0]).log(), 2, 0.1)
    assert few["ids"] == [0, 1] and few["counts"] == [2] and few["rest"] < 1e-40
    assert json.loads(json.dumps(few, allow_nan=False)) == few


def test_the_tree_holds_what_the_model_says_token_by_token(lm):
    """Each of the 31 distributions is that of one forward pass over its tokens."""
    openings = ["My lord, I", "We"]
    trees = next_token.grow(lm, openings)

    def check(node, ids, level):
        with torch.inference_mode():
            logits = lm.model(torch.tensor([ids])).logits[0, -1]
        log_p = sampling.reshape(logits)
        kept = next_token.LEVELS[level][0]
        assert len(node["ids"]) == min(kept, len(log_p))
        assert node["log_p"] == pytest.approx(log_p[node["ids"]].tolist(), abs=2e-4)
        assert node["log_p"] == sorted(node["log_p"], reverse=True)
        branches = node.get("branches", [])
        assert len(branches) == (next_token.BRANCHES if level < 2 else 0)
        return 1 + sum(
            check(branch, [*ids, node["ids"][i]], level + 1)
            for i, branch in enumerate(branches)
        )

    for opening, tree in zip(openings, trees):
        assert check(tree, [lm.bos_id, *lm.encode([opening])[0]], 0) == 1 + 5 + 25


def test_every_name_and_score_is_there(lm):
    page = next_token.content({"base": lm, "shakespeare": lm})
    json.dumps(page, allow_nan=False)
    for opening in page["openings"]:
        for tree in opening["trees"]:
            assert next_token.ids_in(tree) <= page["names"].keys()
    sentence = page["sentences"][0]
    table = likelihood.token_log_probs(lm, sentence["text"])
    for score in sentence["scores"]:
        assert "".join(score["token"]) == sentence["text"]
        assert score["rank"] == table["rank"].tolist()
        assert sum(score["log_prob"]) == pytest.approx(table.log_prob.sum(), abs=0.01)


def test_openings_and_sentences_are_as_many_as_are_promised():
    openings, sentences = (
        next_token._listed("openings"),
        next_token._listed("sentences"),
    )
    counts = openings.kind.value_counts().to_dict()
    assert counts == {"Plays": 10, "Abstracts": 10, "Neither": 4}
    assert len(sentences) >= 30 and sentences.kind.nunique() == 3
    for table in (openings, sentences):
        assert not table.text.duplicated().any()
        assert (table.text == table.text.str.strip()).all()


def test_the_sentences_are_of_documents_kept_out_of_training(monkeypatch):
    monkeypatch.setenv("AR_NEURIPS", "packaged")
    sentences = next_token._listed("sentences").groupby("kind").text
    for kind, domain in (("Shakespeare", "shakespeare"), ("Abstracts", "neurips")):
        texts = data.splits(domain)["test"]["text"]
        held_out = re.sub(r"\s+", " ", " ".join(texts))
        for sentence in sentences.get_group(kind):
            assert sentence in held_out, sentence


def test_the_page_is_one_file_of_submission(lm, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "submission", lambda: tmp_path)
    path = next_token.write_next_token({"base": lm}, "made by <a test>")
    page = path.read_text(encoding="utf-8")
    assert path.name == "next_token.html" and path.stat().st_size < 4e6
    assert "made by &lt;a test&gt;" in page
    assert not re.search(r"""(src|href)=["'](?!#|histograms)""", page)
