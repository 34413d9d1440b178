"""Loading: the tiny model, a folder, the packaged SmolLM2, and what will not do."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from helpers import config, likelihood, models, strings
from helpers.engine import folders, packages


def test_the_tiny_model_is_the_same_every_time_and_reads_any_text():
    one, two = models.load("tiny"), models.load("tiny")
    pairs = zip(one.model.parameters(), two.model.parameters())
    assert all(torch.equal(a, b) for a, b in pairs)
    text = "Ĝis morgaŭ — 你好\n\x00 \U0001f3ad"
    ids = one.encode([text])[0]
    assert one.decode(ids) == text
    assert one.bos_id == 0 and one.bos_id not in ids


def test_a_saved_model_comes_back_the_same(tmp_path):
    lm, folder = models.load("tiny"), tmp_path / "a folder é"
    folders.save(lm.model, lm.tokenizer, folder, base="tiny")
    assert folders.saved(folder) == {"base": "tiny"}
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]
    assert (folder / "model.safetensors").exists()
    again = models.load(str(folder))
    for one, two in zip(lm.model.parameters(), again.model.parameters()):
        assert torch.equal(one, two)
    assert again.encode(["To be é"]) == lm.encode(["To be é"])


def test_a_model_not_yet_made_says_how_to_make_it(monkeypatch, tmp_path, fault):
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="helpers.finetune neurips") as caught:
        models.load("neurips")
    fault("loading a fine-tuned model before it is made", caught.value)


def test_a_missing_package_says_how_to_install_it(fault):
    with pytest.raises(ModuleNotFoundError, match="--group packaged") as caught:
        packages.package_file("no-such-package-as-this", ".md")
    fault("a package that is not installed", caught.value)


def emptied(folder, pattern):
    for path in folder.glob(pattern):
        path.unlink()


def with_code(folder):
    settings = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}
    settings |= {"model_type": "evil", "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(settings))
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
    "code of its own to run": with_code,
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_folder_that_is_no_model(tmp_path, what, fault):
    lm, folder = models.load("tiny"), tmp_path / "mine"
    folders.save(lm.model, lm.tokenizer, folder)
    SPOILT[what](folder)
    with pytest.raises(ValueError, match="mine.*a folder needs config.json") as caught:
        models.load(str(folder))
    assert not (folder / "ran").exists()
    fault(f"AR_BASE: a folder with {what}", caught.value)


def test_the_packaged_model_is_pretrained_and_is_converted_once(capsys):
    """The one test on real weights: abstracts before plays before random letters."""
    lm = models.load("packaged")
    assert lm.bos_id == 0 and 130e6 < lm.parameters() < 140e6
    assert likelihood.is_pretrained(lm)
    assert (models.packaged_folder() / "model.safetensors").exists()
    capsys.readouterr()
    models.load("packaged")
    assert "Converting" not in capsys.readouterr().out

    table = strings.evaluation_strings(n=8)
    scored = likelihood.score(lm, list(table.text), progress=False)
    means = scored.log_likelihood.groupby(table.domain).mean()
    assert means["random"] < -350
    assert -250 < means["shakespeare"] < -100
    assert means["random"] + 100 < means["neurips"] < -80
