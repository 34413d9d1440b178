"""Reshaped distributions, parity with generate, and exactness on a model small enough to enumerate."""

import itertools

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import models, sampling

PROMPTS = ["HAMLET:\n", "In this paper we", "", "The nature of things is"]


@pytest.fixture(scope="module")
def lm():
    return models.load("tiny", dtype=torch.float32)


class Digits:
    """A tokenizer of single digits, for a vocabulary of twelve."""

    bos_token_id = eos_token_id = 0

    def __call__(self, texts, **_):
        return {"input_ids": [[int(c) + 1 for c in t] for t in texts]}

    def decode(self, ids, **_):
        return "".join(str(i - 1) for i in ids)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(1)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=12,
            n_positions=16,
            n_embd=16,
            n_layer=1,
            n_head=2,
            initializer_range=0.6,
        )
    )
    return models.LanguageModel(model.eval(), Digits(), "small")


def test_reshape_by_hand():
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    shaped = lambda **s: sampling.reshape(logits, **s).exp().tolist()  # noqa: E731
    assert shaped(temperature=0.5) == pytest.approx(
        [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]
    )
    assert shaped(temperature=0) == [1, 0, 0]
    assert shaped(top_k=2) == pytest.approx([0.625, 0.375, 0])
    assert shaped(top_p=0.5) == [1, 0, 0]
    assert shaped(top_p=0.51) == pytest.approx([0.625, 0.375, 0])
    assert (
        sampling.reshape(torch.zeros(4), top_k=2).exp().tolist() == [0.25] * 4
    )  # ties at the edge stay


def test_greedy_equals_generate_on_twenty_prompts(lm):
    prompts = PROMPTS + [PROMPTS[0][:i] + PROMPTS[3][-i:] for i in range(1, 17)]
    ours = sampling.sample(lm, prompts, max_new_tokens=20, temperature=0)
    for prompt, sample in zip(prompts, ours):
        ids = torch.tensor([[lm.separator, *lm.encode([prompt])[0]]])
        out = lm.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=20,
            do_sample=False,
            pad_token_id=0,
        )[0, ids.shape[1] :].tolist()
        assert sample.token_ids == (out[: out.index(0)] if 0 in out else out)


@pytest.mark.parametrize("horizon", [1, 2])
def test_the_batch_does_not_matter(lm, horizon):
    how = {
        "max_new_tokens": 12,
        "temperature": 0.8,
        "top_k": 5,
        "temperature_horizon": horizon,
        "seed": 3,
    }
    together = sampling.sample(lm, PROMPTS, n=2, **how)
    alone = [s for p in PROMPTS for s in sampling.sample(lm, [p], n=2, **how)]
    assert [s.text for s in together] == [s.text for s in alone]
    assert together[0].text != together[1].text


@pytest.mark.parametrize(
    "how", [{"top_p": 0.9}, {"top_k": 5, "temperature_horizon": 2}]
)
def test_log_probabilities_are_the_models_own(lm, how):
    sample = sampling.sample(
        lm, ["In this paper", "To be"], max_new_tokens=15, temperature=0.7, **how
    )[1]
    ids = [lm.separator, *lm.encode(["To be"])[0], *sample.token_ids]
    with torch.inference_mode():
        own = lm.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    start = len(ids) - len(sample.token_ids)
    assert np.allclose(
        sample.token_log_probs,
        [own[t - 1, ids[t]].item() for t in range(start, len(ids))],
        atol=1e-4,
    )
    assert all(used >= -1e-6 or used > -50 for used in sample.sampling_log_probs)


def exact(model, temperature, top_k, top_p, horizon, length=3):
    """The distribution over first `length` tokens, by enumeration; a separator ends a text."""

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

    found, open_ends = {}, {(): 1.0}
    for _ in range(length):
        grown = {}
        for prefix, p in open_ends.items():
            for token, q in enumerate(step([0, 3, *prefix]).tolist()):
                if q > 0:
                    (found if token == 0 else grown)[
                        prefix if token == 0 else (*prefix, token)
                    ] = p * q
        open_ends = grown
    return found | open_ends


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
    from scipy.stats import chisquare

    expected = exact(small.model, temperature, top_k, top_p, horizon)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-4)
    n = 20_000
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
        progress=False,
    )
    counts = {key: 0 for key in expected}
    for sample in drawn:
        counts[tuple(sample.token_ids)] += (
            1  # KeyError: something was drawn that cannot be
        )
    common = [k for k in expected if n * expected[k] >= 5]
    observed = [counts[k] for k in common] + [n - sum(counts[k] for k in common)]
    wanted = [n * expected[k] for k in common]
    wanted += [n - sum(wanted)]
    if wanted[-1] < 5:
        observed, wanted = (
            observed[:-1],
            [w * sum(observed[:-1]) / sum(wanted[:-1]) for w in wanted[:-1]],
        )
    assert chisquare(observed, wanted).pvalue > 0.001


def test_horizon_two_differs_from_one_except_at_temperature_one(small):
    one, two = (exact(small.model, 0.5, 0, 1.0, h, length=1) for h in (1, 2))
    assert max(abs(one[k] - two[k]) for k in one) > 0.02
    one, two = (exact(small.model, 1.0, 0, 1.0, h, length=1) for h in (1, 2))
    assert max(abs(one[k] - two[k]) for k in one) < 1e-4


@pytest.mark.fault("sampling with {arguments!s:.60}")
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prompts": []}, "empty"),
        ({"temperature": -1}, "not at least 0"),
        ({"temperature": float("nan")}, "not at least 0"),
        ({"prompts": "HAMLET"}, r"\['HAMLET'\]"),
        ({"top_p": 0}, r"outside \(0, 1\]"),
        ({"top_p": 1.5}, r"outside \(0, 1\]"),
        ({"n": 0}, "at least 1"),
        ({"temperature_horizon": 3}, "1 or 2"),
        ({"max_new_tokens": 300}, "past the model's context"),
        ({"prompts": ["x" * 300]}, r"prompts\[0\]"),
    ],
)
def test_bad_settings_are_named(lm, arguments, message):
    with pytest.raises(ValueError, match=message):
        sampling.sample(lm, **({"prompts": ["a"], "max_new_tokens": 5} | arguments))


def test_every_pair_of_settings_gives_text(lm):
    for k, p in itertools.product((0, 3), (1.0, 0.5)):
        assert (
            len(sampling.sample(lm, ["a", ""], max_new_tokens=3, top_k=k, top_p=p)) == 2
        )
