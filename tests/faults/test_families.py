"""Models of many kinds: taken as their own forward says, or refused."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from families import outcome  # noqa: E402

RIGHT = {  # a family, with what is unlike GPT-2 in it
    "gpt2": {},
    "gpt_bigcode": {},  # one key and value for all heads
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gptj": {},  # a bias in the head
    "gpt_neox": {},  # input and output weights apart
    "codegen": {},
    "opt": {},  # positions two further on
    "llama": {},  # rotary positions
    "mistral": {"sliding_window": 8},
    "mixtral": {},  # experts
    "qwen2": {},
    "falcon": {},
    "olmo2": {},
    "phi": {},  # a bias in the head
    "gemma2": {"final_logit_softcapping": 3.0},
    "gemma3_text": {"sliding_window": 8},
    "granite": {"logits_scaling": 16.0},
    "cohere": {"logit_scale": 0.0625},
    "bloom": {},  # ALiBi: no limit, and no ids of positions
    "mpt": {},  # ALiBi, and another name for the limit
    "mamba": {},  # a state instead of attention
    "rwkv": {},
    "bert": {"is_decoder": True},
    "roberta": {"is_decoder": True, "pad_token_id": 1},  # positions begin after it
}
REFUSED = {  # a family, and what is said of it
    "bert": ({}, "looks at later tokens"),
    "roberta": ({}, "looks at later tokens"),
    "electra": ({}, "looks at later tokens"),
    "xlnet": ({}, "looks at later tokens"),
    "bart": ({}, "trained on another loss"),
}


@pytest.mark.parametrize("family", RIGHT)
def test_a_family_is_scored_sampled_and_trained_as_its_forward_says(
    family, tmp_path, fault
):
    assert outcome(family, tmp_path / family, **RIGHT[family]) == ("right", "")
    settings = ", ".join(f"{k}={v}" for k, v in RIGHT[family].items())
    what = f"a model of the family {family} {settings}".strip()
    fault(what, "scored, sampled and trained as its own forward says")


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_the_chain_rule_does_not_fit_is_refused(family, tmp_path, fault):
    settings, why = REFUSED[family]
    found, said = outcome(family, tmp_path / family, **settings)
    assert found == "refused" and re.search(why, said) and "\n" not in said
    fault(f"a model of the family {family}", said)
