"""The chunked loss, training that is found again, and training that resumes."""
import json

import pytest
import torch
import torch.nn.functional as F

from helpers import config, finetune, models


@pytest.fixture
def runs(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("n", [1, 255, 256, 700])
def test_chunked_loss_and_gradients_equal_the_plain_ones(n):
    torch.manual_seed(0)
    hidden, weight = (torch.randn(n, 32, requires_grad=True), torch.randn(500, 32, requires_grad=True))
    targets = torch.randint(0, 500, (n,))
    ours = finetune.ChunkedCrossEntropy.apply(hidden, weight, targets)
    got = torch.autograd.grad(3 * ours, (hidden, weight))
    plain = F.cross_entropy(hidden @ weight.T, targets)
    expected = torch.autograd.grad(3 * plain, (hidden, weight))
    assert ours.item() == pytest.approx(plain.item(), abs=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, expected))


def test_the_training_forward_equals_the_models_own_loss():
    lm = models.load("tiny", dtype=torch.float32)
    ids = torch.tensor(lm.encode(["To be, or not to be, that is the question."]))
    assert finetune.train_forward(lm.model, ids, labels=ids).loss.item() == pytest.approx(
        lm.model(ids, labels=ids).loss.item(), abs=1e-5)


def test_a_model_is_trained_once_and_again_only_if_something_changed(runs, monkeypatch):
    history = finetune.adapt("shakespeare")
    losses = history[history.split == "validation"].loss
    assert losses.iloc[-1] < 5.0 and set(history.split) == {"training", "validation"}
    made = (runs / "models" / "shakespeare" / "model.safetensors").stat().st_mtime_ns
    assert not (runs / "checkpoints" / "shakespeare").exists()
    assert finetune.adapt("shakespeare").equals(history)
    assert (runs / "models" / "shakespeare" / "model.safetensors").stat().st_mtime_ns == made
    monkeypatch.setattr(config, "SEED", 7)
    finetune.adapt("shakespeare")
    assert (runs / "models" / "shakespeare" / "model.safetensors").stat().st_mtime_ns != made


def test_an_interrupted_run_resumes_and_ends_the_same(runs, monkeypatch, capsys):
    whole = finetune.adapt("shakespeare")
    monkeypatch.setattr(config, "runs", lambda: runs / "again")
    on_step_end = finetune.Watch.on_step_end

    def stop(self, args, state, control, **kwargs):
        on_step_end(self, args, state, control, **kwargs)
        if state.global_step == 13:
            raise KeyboardInterrupt

    monkeypatch.setattr(finetune.Watch, "on_step_end", stop)
    with pytest.raises(KeyboardInterrupt):
        finetune.adapt("shakespeare")
    assert not (runs / "again" / "models").exists()
    monkeypatch.setattr(finetune.Watch, "on_step_end", on_step_end)
    resumed = finetune.adapt("shakespeare")
    assert "Resuming from step 10 of 20" in capsys.readouterr().out
    assert resumed.tokens.tolist() == whole.tokens.tolist()
    assert resumed.loss.iloc[-1] == pytest.approx(whole.loss.iloc[-1], abs=1e-4)


def test_checkpoints_of_other_settings_are_not_resumed(runs):
    folder = runs / "checkpoints" / "shakespeare"
    (folder / "checkpoint-5").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"seed": 1}))
    assert finetune._checkpoint(folder, {"seed": 2}) is None
    assert not (folder / "checkpoint-5").exists()


def test_a_broken_loss_stops_the_run(runs, monkeypatch):
    forward = finetune.train_forward

    def broken(self, input_ids, labels=None):
        return finetune.CausalLMOutput(loss=forward(self, input_ids, labels).loss * float("nan"))

    monkeypatch.setattr(finetune, "train_forward", broken)
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        finetune.adapt("neurips")
