"""GPT-2's scores as other people's programs got them, beside ours.

.venv/bin/python -m pytest -rs tests/test_gpt2.py

What they got lies beside the project, in ../shared/data; the sources are named there.
"""

import copy

import numpy as np
import pytest
import regression
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from helpers import likelihood, models

SHARED = regression.ROOT.parent / "shared" / "data"
# Nats. Four decimals are published; a program that is not in float32 rounds more.
ONE_TOKEN, ONE_STRING = 0.01, 0.05


@pytest.fixture(scope="module")
def known():
    answers = SHARED / "gpt2_known_answers.json"
    if not answers.exists():
        pytest.skip(f"there is no ../shared/data/{answers.name}")
    return regression.read_json(answers)


def next_tokens(lm, known) -> np.ndarray:
    """How far apart in nats: log p(token | prompt), no separator (prompts, tokens)."""
    apart = []
    for case in known["next_token"]["cases"]:
        ours = []
        for token in case["top_token_ids"]:
            text = case["prompt"] + lm.decode([token])
            ids = [*case["token_ids"], token]
            assert lm.encode([text]) == [ids]
            (values,) = likelihood.score_ids(lm, [ids], 1000, progress=False)
            ours.append(values[-1, 0])
        apart.append(np.array(ours) - case["top_log_probs"])
    return np.abs(apart)


def strings(lm, known) -> np.ndarray:
    """How far apart in nats, for each string; its first token is given, not scored."""
    cases = known["log_likelihood"]["cases"]
    texts = [case["text"] for case in cases]
    ours = likelihood.score(lm, texts, condition_on="first_token", progress=False)
    assert [n + 1 for n in ours.n_tokens] == list(map(len, lm.encode(texts)))
    theirs = [case["log_likelihood"] for case in cases]
    return np.abs(ours.log_likelihood - theirs).to_numpy()


def test_next_tokens_are_as_likely_as_for_others(gpt2, known):
    assert next_tokens(gpt2, known).max() < ONE_TOKEN


def test_strings_are_as_likely_as_for_others(gpt2, known):
    assert strings(gpt2, known).max() < ONE_STRING


def test_the_comparison_sees_what_is_off(known, fault):
    """With GPT-2's tokenizer, random weights, and answers by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(SHARED / "gpt2")
    torch.manual_seed(0)
    small = GPT2Config(n_embd=32, n_layer=2, n_head=2, initializer_range=0.2)
    model = GPT2LMHeadModel(small).eval()
    model.loss_type = "ForCausalLM"  # else it warns
    lm = models.LanguageModel(model, tokenizer, "random GPT-2")
    own = copy.deepcopy(known)
    with torch.no_grad():
        for case in own["next_token"]["cases"]:
            logits = model(torch.tensor([case["token_ids"]])).logits[0, -1]
            log_p = logits.log_softmax(-1)[case["top_token_ids"]]
            case["top_log_probs"] = log_p.tolist()
        for case in own["log_likelihood"]["cases"]:
            ids = tokenizer(case["text"], return_tensors="pt").input_ids
            loss = model(ids, labels=ids).loss  # a mean over all but the first token
            case["log_likelihood"] = -loss.item() * (ids.shape[1] - 1)
    assert next_tokens(lm, own).shape == (5, 20) and len(strings(lm, own)) == 50
    assert next_tokens(lm, own).max() < ONE_TOKEN / 10
    assert strings(lm, own).max() < ONE_STRING / 10
    assert next_tokens(lm, known).max() > 1 and strings(lm, known).max() > 10
    fault("GPT-2's known answers, another model's weights", "not the same")
