"""Distributions reshaped, parity with generate, and exactness where one can count."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import models, sampling

PROMPTS = ["HAMLET:\n", "In this paper we", "", "The nature of things is"]


@pytest.fixture(scope="module")
def lm():
    return models.load("tiny")


class Digits:
    """A tokenizer of single digits, for a vocabulary of twelve."""

    bos_token_id = eos_token_id = 0
    added_tokens_decoder = {}

    def __call__(self, texts, **_):
        return {"input_ids": [[int(c) + 1 for c in t] for t in texts]}

    def decode(self, ids, **_):
        return "".join(str(i - 1) for i in ids)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    size = {"n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2}
    settings = GPT2Config(vocab_size=12, initializer_range=0.6, **size)
    model = GPT2LMHeadModel(settings)
    return models.LanguageModel(model.eval(), Digits(), "small")


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"temperature": 0.5}, [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]),
        ({"temperature": 0}, [1, 0, 0]),
        ({"top_k": 2}, [0.625, 0.375, 0]),
        ({"top_p": 0.5}, [1, 0, 0]),
        ({"top_p": 0.51}, [0.625, 0.375, 0]),
        ({"top_k": 2, "top_p": 0.6}, [1, 0, 0]),  # top-k first: 0.625 is enough
    ],
)
def test_reshape_by_hand(settings, expected):
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    shaped = sampling.reshape(logits, **settings).exp().tolist()
    assert shaped == pytest.approx(expected)


@pytest.mark.parametrize("top_p", [1e-300, 1e-45, 1e-6])
@pytest.mark.parametrize("temperature", [0.001, 1.0, 1000.0])
def test_however_little_is_kept_the_likeliest_token_is(top_p, temperature):
    logits = torch.tensor([[0.1, 3.0, 0.2], [900.0, -900.0, 899.0]])
    shaped = sampling.reshape(logits, temperature=temperature, top_p=top_p)
    assert shaped.exp().tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_model_that_gives_no_numbers_is_not_sampled(fault):
    lm = models.load("tiny")
    lm.model.transformer.ln_f.bias.data[0] = float("nan")
    with pytest.raises(FloatingPointError, match="tiny gives NaN") as caught:
        sampling.sample(lm, ["To be"], max_new_tokens=2)
    fault("sampling from a model with a NaN among its weights", caught.value)


def test_a_continuation_ends_at_the_models_own_end_of_text():
    """Llama, Gemma and others begin a text with one token and end it with another."""
    lm = models.load("tiny")
    long = {"max_new_tokens": 200, "n": 8}
    drawn = {i for s in sampling.sample(lm, ["a"], **long) for i in s.token_ids}
    lm.tokenizer.eos_token = "e"
    end = lm.tokenizer.eos_token_id
    assert end in drawn and end != lm.bos_id
    for one in sampling.sample(lm, ["a"], **long):
        assert end not in one.token_ids


def test_a_continuation_ends_at_any_control_token_and_shows_none():
    """A chat model ends a turn, or begins one, with tokens that stand for no text."""
    lm = models.load("tiny")
    long = {"max_new_tokens": 200, "n": 8}
    before = sampling.sample(lm, ["a"], **long)
    lm.tokenizer.add_tokens(["<|im_end|>"], special_tokens=True)
    lm.tokenizer.add_tokens(["HAMLET"])  # a word, and no control token
    turn, word = lm.tokenizer.convert_tokens_to_ids(["<|im_end|>", "HAMLET"])
    assert lm.end_ids == {lm.bos_id, turn}
    lm.model.resize_token_embeddings(len(lm.tokenizer), mean_resizing=False)
    with torch.no_grad():
        rows = lm.model.get_input_embeddings().weight
        rows[[turn, word]] = rows[lm.encode(["e"])[0]].clone()  # as likely as an "e"
    after = sampling.sample(lm, ["a"], **long)
    lengths = [[len(one.token_ids) for one in samples] for samples in (before, after)]
    assert sum(lengths[1]) < sum(lengths[0])
    drawn = {i for one in after for i in one.token_ids}
    assert word in drawn and turn not in drawn
    assert not any("<|im_end|>" in one.text for one in after)


def test_what_was_dropped_is_not_drawn_by_the_largest_random_number(monkeypatch):
    below_one = torch.tensor(1 - 2**-53, dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: below_one)
    for total in (0.1, 0.5, 1 - 1e-7, 1.0, 1 + 1e-7, 1.5):
        log_probs = torch.tensor([[0.3, 0.7, 0.0, 0.0]]).mul(total).log()
        assert sampling._draw(log_probs, [None]).tolist() == [1]


def test_a_space_at_the_seam_stays(spaces_marked):
    """Tokenizers that mark spaces drop the first one when a text is decoded alone."""
    model = models.load("tiny").model
    model.resize_token_embeddings(6)
    lm = models.LanguageModel(model, spaces_marked("tobe"), "spaces marked")
    for one in sampling.sample(lm, ["to be"], n=20, max_new_tokens=3):
        ids = lm.encode(["to be"])[0] + one.token_ids
        assert one.prompt + one.text == lm.decode(ids)


def test_prompts_that_can_be_read_only_once(lm):
    once = sampling.sample(lm, (p for p in PROMPTS), max_new_tokens=2)
    assert [s.text for s in once] == [
        s.text for s in sampling.sample(lm, PROMPTS, max_new_tokens=2)
    ]


def test_ties_at_the_edge_of_top_k_stay():
    shaped = sampling.reshape(torch.zeros(4), top_k=2)
    assert shaped.exp().tolist() == [0.25] * 4


def test_greedy_equals_generate_on_twenty_prompts(lm):
    prompts = PROMPTS + [PROMPTS[0][:i] + PROMPTS[3][-i:] for i in range(1, 17)]
    ours = sampling.sample(lm, prompts, max_new_tokens=20, temperature=0)
    for prompt, sample in zip(prompts, ours):
        ids = torch.tensor([[lm.bos_id, *lm.encode([prompt])[0]]])
        how = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0}
        out = lm.model.generate(ids, attention_mask=torch.ones_like(ids), **how)
        written = out[0, ids.shape[1] :].tolist()
        end = written.index(lm.bos_id) if lm.bos_id in written else len(written)
        assert sample.token_ids == written[:end]


@pytest.mark.parametrize("horizon", [1, 2])
def test_the_batch_does_not_matter(lm, horizon):
    how = {"max_new_tokens": 12, "temperature": 0.8, "top_k": 5, "seed": 3}
    how |= {"temperature_horizon": horizon, "n": 2}
    together = sampling.sample(lm, PROMPTS, **how)
    alone = [s for p in PROMPTS for s in sampling.sample(lm, [p], **how)]
    assert [s.text for s in together] == [s.text for s in alone]
    assert together[0].text != together[1].text


def own_log_probs(lm, prompt, sample):
    """The model's own next-token log-probabilities, a row for each token drawn."""
    ids = [lm.bos_id, *lm.encode([prompt])[0], *sample.token_ids]
    with torch.inference_mode():
        own = lm.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return own[-len(sample.token_ids) - 1 : -1]  # (drawn, vocabulary)


@pytest.mark.parametrize("horizon", [1, 2])
def test_log_probabilities_are_the_models_own(lm, horizon):
    how = {"max_new_tokens": 15, "temperature": 0.7, "top_k": 5}
    how["temperature_horizon"] = horizon
    sample = sampling.sample(lm, ["In this paper", "To be"], **how)[1]
    own = own_log_probs(lm, "To be", sample)
    chosen = own.gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0]
    assert np.allclose(sample.token_log_probs, chosen, atol=1e-4)


def test_what_was_drawn_from_is_the_reshaped_distribution(lm):
    how = {"temperature": 0.7, "top_k": 50, "top_p": 0.9}
    sample = sampling.sample(lm, ["To be"], max_new_tokens=15, **how)[0]
    shaped = sampling.reshape(own_log_probs(lm, "To be", sample), **how)
    chosen = shaped.gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0]
    assert np.allclose(sample.sampling_log_probs, chosen, atol=1e-4)


def exact(model, temperature, top_k, top_p, horizon, length=3):
    """{token ids: probability} of the first `length` tokens, by enumeration.

    Token 0 ends a text, and is not among its ids.
    """

    def next_log_probs(prefix):
        with torch.inference_mode():
            return model(torch.tensor([prefix])).logits[0, -1].log_softmax(-1)

    def step(prefix):
        own = next_log_probs(prefix)
        if horizon == 1:
            return sampling.reshape(own, temperature, top_k, top_p).exp()
        mass = torch.full((12,), -torch.inf)
        for x1 in own.topk(top_k or 12).indices.tolist():
            second = next_log_probs(prefix + [x1])
            kept = second.topk(top_k or 12).values
            mass[x1] = ((own[x1] + kept) / temperature).logsumexp(0)
        return sampling.reshape(mass, top_p=top_p).exp()

    ended, open_ends = {}, {(): 1.0}
    for _ in range(length):
        grown = {}
        for prefix, p in open_ends.items():
            for token, q in enumerate(step([0, 3, *prefix]).tolist()):
                if q > 0 and token == 0:
                    ended[prefix] = p * q
                elif q > 0:
                    grown[*prefix, token] = p * q
        open_ends = grown
    return ended | open_ends


@pytest.mark.parametrize(
    "temperature, top_k, top_p, horizon",
    [
        (1.0, 0, 1.0, 1),
        (0.6, 0, 1.0, 1),
        (1.3, 4, 1.0, 1),
        (0.9, 0, 0.7, 1),
        (1.2, 6, 0.8, 1),
        (1.0, 0, 1.0, 2),
        (0.6, 0, 1.0, 2),
        (0.7, 4, 1.0, 2),
        (1.4, 5, 0.8, 2),
    ],
)
def test_samples_match_the_enumerated_distribution(
    small, temperature, top_k, top_p, horizon
):
    expected = exact(small.model, temperature, top_k, top_p, horizon)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-4)
    n = 10_000
    drawn = sampling.sample(
        small,
        ["2"],
        n=n,
        max_new_tokens=3,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        temperature_horizon=horizon,
        seed=5,
    )
    counts = dict.fromkeys(expected, 0)
    for sample in drawn:
        counts[tuple(sample.token_ids)] += 1  # KeyError: what has probability 0
    # What is expected fewer than five times is counted together, if that makes five.
    common = [key for key in expected if n * expected[key] >= 5]
    observed = np.array([counts[key] for key in common])
    wanted = n * np.array([expected[key] for key in common])
    if n - wanted.sum() >= 5:
        observed = np.append(observed, n - observed.sum())
        wanted = np.append(wanted, n - wanted.sum())
    wanted *= observed.sum() / wanted.sum()
    assert chisquare(observed, wanted).pvalue > 0.001


def test_horizon_two_differs_from_one_except_at_temperature_one(small):
    one, two = (exact(small.model, 0.5, 0, 1.0, h, length=1) for h in (1, 2))
    assert max(abs(one[k] - two[k]) for k in one) > 0.02
    one, two = (exact(small.model, 1.0, 0, 1.0, h, length=1) for h in (1, 2))
    assert max(abs(one[k] - two[k]) for k in one) < 1e-4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prompts": []}, "empty"),
        ({"temperature": -1}, "not 0, or from"),
        ({"temperature": float("nan")}, "not 0, or from"),
        ({"prompts": "HAMLET"}, "prompts is str; give a list"),
        ({"top_p": 0}, r"outside \(0, 1\]"),
        ({"top_p": 1.5}, r"outside \(0, 1\]"),
        ({"n": 0}, "at least 1"),
        ({"temperature_horizon": 3}, "1 or 2"),
        ({"max_new_tokens": 300}, "past the model's context"),
        ({"prompts": ["x" * 300]}, r"prompts\[0\]"),
        ({"temperature": 1e-300}, "not 0, or from"),
        ({"temperature": float("inf"), "temperature_horizon": 2}, "not 0, or from"),
        ({"top_p": float("nan")}, r"outside \(0, 1\]"),
        ({"prompts": None}, "prompts is NoneType; give a list"),
        ({"prompts": ["fine", None]}, r"prompts\[1\] is NoneType"),
        ({"prompts": [float("nan")]}, r"prompts\[0\] is float"),
        ({"prompts": ["a\ud800"]}, r"prompts\[0\] has a lone surrogate"),
    ],
)
def test_bad_settings_are_named(lm, arguments, message, fault):
    with pytest.raises(ValueError, match=message) as caught:
        sampling.sample(lm, **{"prompts": ["a"], "max_new_tokens": 5} | arguments)
    fault(f"sampling with {str(arguments)[:60]}", caught.value)
