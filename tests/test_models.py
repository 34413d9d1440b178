"""Loading: the tiny model, a folder, the packaged SmolLM2, and what will not do."""

import hashlib
import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

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
    assert folders.saved(folder)["base"] == "tiny"
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


def weights(change):
    """Rewrites a folder's weights, a dictionary by name."""

    def rewrite(folder):
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return rewrite


def without_a_layer(named):
    return {name: w for name, w in named.items() if ".h.1." not in name}


def with_words(*words, **special):
    """Adds words, or special tokens, to a folder's tokenizer."""

    def add(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(list(words))
        tokenizer.add_special_tokens(special)
        tokenizer.save_pretrained(folder)

    return add


def of_another_model(folder):
    models.load("packaged").tokenizer.save_pretrained(folder)


def with_another_end(folder):
    """As many tokens, but another of them ends a text."""
    path = folder / "tokenizer_config.json"
    facts = json.loads(path.read_text())
    ends = dict.fromkeys(("bos_token", "eos_token", "pad_token"), "a")
    path.write_text(json.dumps(facts | ends))


SPOILT = {
    "a layer missing among its weights": weights(without_a_layer),
    "weights saved from a compiled model": weights(
        lambda named: {f"_orig_mod.{name}": w for name, w in named.items()}
    ),
    "a weight too many": weights(lambda named: named | {"extra": torch.ones(1)}),
    "positions of another number": weights(
        lambda named: named | {"transformer.wpe.weight": torch.ones(100, 48)}
    ),
    "a word added to its tokenizer alone": with_words("HAMLET"),
    "markers added to its tokenizer alone": with_words(bos_token="<|startoftext|>"),
    "the tokenizer of another model": of_another_model,
    "a tokenizer that ends texts otherwise": with_another_end,
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


def test_constants_that_old_versions_saved_are_no_weights(tmp_path):
    lm, folder = models.load("tiny"), tmp_path / "old"
    folders.save(lm.model, lm.tokenizer, folder)
    named = {"transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}
    weights(lambda old: old | named)(folder)
    assert models.load(str(folder)).parameters() == lm.parameters()


def test_a_damaged_fine_tuned_model_is_as_good_as_none(monkeypatch, tmp_path, fault):
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    lm, folder = models.load("tiny"), tmp_path / "models" / "neurips"
    folders.save(lm.model, lm.tokenizer, folder, base={"label": "tiny"})
    assert models.load("neurips").digests() == lm_digests(folder)
    for spoil in (
        lambda: os.truncate(folder / "model.safetensors", 10_000),
        lambda: (folder / "facts.json").write_text(""),
    ):
        folders.save(lm.model, lm.tokenizer, folder, base={"label": "tiny"})
        spoil()
        assert folders.saved(folder) is None
        with pytest.raises(FileNotFoundError, match="run its notebook") as caught:
            models.load("neurips")
    fault("a fine-tuned model cut short on the disk", caught.value)


def lm_digests(folder):
    names = ["config.json", "generation_config.json", "model.safetensors"]
    names += ["tokenizer.json", "tokenizer_config.json"]
    sums = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    return dict(zip(names, sums))


def test_the_packaged_model_is_pretrained_and_is_converted_once(capsys):
    """The one test on real weights: abstracts before plays before random letters."""
    lm = models.load("packaged")
    assert lm.bos_id == 0 and 130e6 < lm.parameters() < 140e6
    assert likelihood.is_pretrained(lm)
    # It ends a text where it ends or begins a turn of its chat, not at a word.
    control = lm.tokenizer.convert_ids_to_tokens(sorted(lm.end_ids))
    assert {"<|endoftext|>", "<|im_start|>", "<|im_end|>"} <= set(control)
    assert not lm.end_ids & set(lm.encode(["HAMLET:\n<|im_end|> the <file_sep>"])[0])
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
