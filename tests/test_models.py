"""Loading: the tiny model, a local GPT-2, the packaged SmolLM2, and what is missing."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from helpers import config, data, likelihood, models


def test_the_tiny_model_is_the_same_every_time_and_reads_any_text():
    one, two = models.load("tiny"), models.load("tiny")
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.model.parameters(), two.model.parameters())
    )
    text = "Ĝis morgaŭ — 你好\n\x00 \U0001f3ad"
    assert one.decode(one.encode([text])[0]) == text
    assert one.separator == 0 and one.separator not in one.encode([text])[0]


def test_a_saved_model_comes_back_the_same(tmp_path):
    lm = models.load("tiny", dtype=torch.float32)
    models.save(lm.model, lm.tokenizer, tmp_path / "a folder é", base="tiny")
    again = models.load(str(tmp_path / "a folder é"), dtype=torch.float32)
    assert not list(tmp_path.glob(".*")) and not list(tmp_path.rglob("*.bin"))
    one, two = (
        likelihood.score(m, ["To be, or not to be"]).log_likelihood[0]
        for m in (lm, again)
    )
    assert one == pytest.approx(two, abs=1e-4)


@pytest.mark.fault("loading a fine-tuned model before it is made")
def test_a_model_not_yet_made_says_how_to_make_it(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="helpers.finetune neurips"):
        models.load("neurips")


@pytest.mark.fault("a package that is not installed")
def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(ModuleNotFoundError, match="--group packaged"):
        data.package_file("no-such-package-as-this", ".md")


def emptied(folder, *patterns):
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        path.unlink()


def code(folder):
    settings = json.loads((folder / "config.json").read_text())
    brings = {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"},
    }
    (folder / "config.json").write_text(json.dumps(settings | brings))
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


SPOILT = {
    "no files": lambda f: emptied(f, "*"),
    "no tokenizer": lambda f: emptied(f, "tokenizer*"),
    "half of its weights": lambda f: os.truncate(f / "model.safetensors", 10_000),
    "a broken config.json": lambda f: (f / "config.json").write_text("{"),
    "weights as a pickle": pickled,
    "code of its own to run": code,
}


@pytest.mark.parametrize("what", SPOILT)
@pytest.mark.fault("AR_BASE: a folder with {what}")
def test_a_folder_that_is_no_model(tmp_path, what):
    lm, folder = models.load("tiny", dtype=torch.float32), tmp_path / "mine"
    models.save(lm.model, lm.tokenizer, folder)
    SPOILT[what](folder)
    with pytest.raises(ValueError, match="mine.*a folder needs config.json"):
        models.load(str(folder))
    assert not (folder / "ran").exists()


def test_the_packaged_model_is_pretrained_and_is_converted_once(capsys):
    """The one test on real weights: abstracts before plays before random letters, in the measured range."""
    lm = models.load("packaged", dtype=torch.float32)
    assert lm.separator == 0 and 130e6 < lm.parameters() < 140e6
    folder = models.packaged_folder()
    assert (folder / "model.safetensors").exists() and capsys.readouterr().out.count(
        "Converting"
    ) == 1
    strings = data.evaluation_strings(n=8)
    means = (
        likelihood.score(lm, list(strings.text), progress=False)
        .log_likelihood.groupby(strings.domain)
        .mean()
    )
    assert means["random"] < -350 < -250 < means["shakespeare"] < -100
    assert means["random"] + 100 < means["neurips"] < -80


def test_products_in_bf16_hardly_move_a_score():
    """Measured: 0.07 % in the mean, 0.5 % at most per text; rounded to bf16 as a whole, a model is off by 0.3 and 2."""
    strings = data.evaluation_strings(n=6)
    exact, fast = (
        likelihood.score(
            models.load("packaged", dtype=dtype), list(strings.text), progress=False
        ).log_likelihood
        for dtype in (torch.float32, torch.bfloat16)
    )
    off = (fast - exact) / exact.abs()
    assert 0 < off.abs().max() < 0.01 and abs(fast.mean() / exact.mean() - 1) < 0.003


def test_a_model_with_products_in_bf16_still_answers_as_usual():
    lm = models.load("tiny", dtype=torch.bfloat16)
    ids = torch.tensor([[0, 5, 6, 7]])
    with torch.inference_mode():
        logits = lm.model(ids).logits
        again = lm.logits(lm.hidden(input_ids=ids))
        written = lm.model.generate(
            ids, max_new_tokens=3, do_sample=False, pad_token_id=0
        )
    assert logits.dtype == again.dtype == torch.float32 and torch.allclose(
        logits, again, atol=0.05
    )
    assert written.shape[1] <= 7 and lm.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_laid_out_for_the_processor_give_the_same_logits(dtype):
    lm = models.load("tiny", dtype=dtype)
    ids = torch.tensor(lm.encode(["To be, or not to be", "Who's there? Answer"]))

    def logits():
        with torch.inference_mode():
            return lm.logits(lm.hidden(input_ids=ids))

    plain = logits()
    with lm.laid_out():
        assert torch.allclose(
            logits(), plain, atol=1e-5 if dtype == torch.float32 else 0.05
        )
        assert (
            "forward" in vars(lm.model.transformer.h[0].mlp.c_fc)
        ) == models._has_onednn(lm)
    with (
        pytest.raises(KeyError),
        lm.laid_out(),
    ):  # an error inside leaves nothing behind
        raise KeyError
    assert torch.equal(logits(), plain)
    assert not any("forward" in vars(m) for m in models._products(lm.model))
