"""Our scores beside those of two scorers that are not ours: lm-eval and minicons.

No text here is longer than the context: lm-eval scores such a text in windows that
overlap by one token, ours overlap by half, minicons has none, so each would rightly
give another number.
"""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import scoring
from helpers import likelihood, models, strangers, strings

pytestmark = pytest.mark.peers
PACKAGES = {"lm-eval": "lm_eval", "minicons": "minicons"}
BATCH = 8
# Where a tokenizer, a byte count or a padded batch could go wrong. The tiny model sees
# 256 bytes at most.
AWKWARD = {
    "emoji": [
        "\U0001f3ad",
        "Exit \U0001f43b, pursued \U0001f3c3\u200d\u2642\ufe0f",
        "\U0001f468\u200d\U0001f469\u200d"
        "\U0001f467\u200d\U0001f466 \U0001f1eb\U0001f1f7 \U0001f44b\U0001f3fd",
        "\U0001f600" * 25,
    ],
    "right to left": [
        "שלום עולם",
        "להיות או לא להיות, זאת השאלה",
        "أكون أو لا أكون، ذلك هو السؤال",
        "Hamlet said: \u202b\u05dc\u05d4\u05d9\u05d5\u05ea\u202c, then left.",
        "בודק abc 123 עברית",
    ],
    "other": [
        "x",
        " ",
        "\n\n\n",
        " a space before",
        "a space after ",
        "Ünïcödé e\u0301 你好，世界",
        "a\x00b",
        "\t\r\n",
        "  two  spaces  ",
        "To be, or not to be. " * 10,
    ],
}


@pytest.fixture(scope="module", params=PACKAGES)
def peer(request):
    reason = f"{request.param} is missing: make test-peers installs it"
    pytest.importorskip(PACKAGES[request.param], reason=reason)
    return scoring.PEERS[request.param]


@pytest.fixture(scope="module")
def texts():
    """Columns `domain` (the kind) and `text`: the three kinds, and the harder kinds."""
    three, few = strings.evaluation_strings(100), strings.evaluation_strings(10)
    awkward = [(kind, text) for kind, texts in AWKWARD.items() for text in texts]
    parts = [
        three,
        strangers.open_sets(few),
        pd.DataFrame(awkward, columns=["domain", "text"]),
    ]
    return pd.concat(parts, ignore_index=True)[["domain", "text"]]


@pytest.fixture(scope="module", params=["tiny", "packaged"])
def ours(request, texts):
    """A model and our scores under it."""
    lm = models.load(request.param)
    scored = likelihood.score(lm, list(texts.text), progress=False)
    return lm, scored.log_likelihood.to_numpy()


def log_likelihood_in_float64(exact, lm, text):
    ids = torch.tensor([[lm.bos_id, *lm.encode([text])[0]]], device=lm.device)
    with torch.inference_mode():
        log_p = exact(ids[:, :-1]).logits[0].double().log_softmax(-1)
    return log_p.gather(1, ids[0, 1:, None]).sum().item()


def test_agrees_with_the_peer_on_every_kind(peer, ours, texts):
    lm, scores = ours
    apart = np.abs(np.array(peer(lm)(list(texts.text), BATCH)) - scores)
    worst = pd.Series(apart).groupby(texts.domain).max()
    print(worst.to_string())
    # lm-eval takes PyTorch's log_softmax, which on some processors rounds by as much;
    # then float64 decides.
    disputed = np.flatnonzero(apart >= 1e-3)[:20]
    exact = copy.deepcopy(lm.model).double() if len(disputed) else None
    for i in disputed:
        truth = log_likelihood_in_float64(exact, lm, texts.text[i])
        said = f"{texts.text[i]!r}: ours {scores[i]}, float64 {truth}"
        assert abs(scores[i] - truth) < 5e-4, said
    assert worst.max() < 3e-3, f"nats apart, at most, by kind:\n{worst.to_string()}"


def test_the_bos_token_is_what_both_condition_on(peer, ours):
    """A peer that left it out would miss the first token's own log-probability."""
    lm, _ = ours
    first = likelihood.token_log_probs(lm, "x")
    assert len(first) == 1
    ids = torch.tensor([[lm.bos_id]], device=lm.device)
    with torch.inference_mode():
        log_p = lm.model(ids).logits[0, 0].log_softmax(-1)  # (vocabulary,)
    expected = log_p[first.token_id[0]].item()
    assert first.log_prob[0] == pytest.approx(expected, abs=1e-3)
    assert peer(lm)(["x"], 1)[0] == pytest.approx(expected, abs=1e-3)
