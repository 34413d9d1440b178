"""The chunked loss, training that is found again, that survives being killed, and that several processes share."""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from helpers import checkpoints, config, finetune, models, submission


@pytest.fixture
def runs(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "n", [1, finetune.CHUNK - 1, finetune.CHUNK, 2 * finetune.CHUNK + 188]
)
def test_chunked_loss_and_gradients_equal_the_plain_ones(n):
    torch.manual_seed(0)
    hidden, weight = (
        torch.randn(n, 32, requires_grad=True),
        torch.randn(500, 32, requires_grad=True),
    )
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
    assert finetune.train_forward(
        lm.model, ids, labels=ids
    ).loss.item() == pytest.approx(lm.model(ids, labels=ids).loss.item(), abs=1e-5)


def test_nothing_is_dropped_out_while_it_learns():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_layer=1, n_head=2, n_embd=32, vocab_size=100)
    ).train()
    ids = torch.randint(0, 100, (1, 20))
    assert model(ids, labels=ids).loss != model(ids, labels=ids).loss
    finetune.ready(model)
    assert model(ids, labels=ids).loss == model(ids, labels=ids).loss


def test_a_model_is_trained_once_and_again_only_if_something_changed(runs, monkeypatch):
    history = finetune.adapt("shakespeare")
    losses = history[history.split == "validation"].loss
    assert losses.iloc[-1] < 5.0 and set(history.split) == {"training", "validation"}
    made = (runs / "models" / "shakespeare" / "model.safetensors").stat().st_mtime_ns
    assert not (runs / "checkpoints" / "shakespeare").exists()
    assert finetune.adapt("shakespeare").equals(history)
    assert (
        runs / "models" / "shakespeare" / "model.safetensors"
    ).stat().st_mtime_ns == made
    monkeypatch.setattr(config, "SEED", 7)
    finetune.adapt("shakespeare")
    assert (
        runs / "models" / "shakespeare" / "model.safetensors"
    ).stat().st_mtime_ns != made


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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The history of a run that nothing happens to."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("undisturbed")
        patch.setattr(config, "runs", lambda: folder)
        return finetune.adapt("shakespeare")


def before(owner, name, when, cut=lambda *_: None):
    """Let `owner.name` kill its process when `when(*arguments)` holds, having done `cut(*arguments)` instead."""
    original = getattr(owner, name)

    def deadly(*args, **kwargs):
        if when(*args, **kwargs):
            cut(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, deadly)


def at_step(n):
    return lambda: before(
        finetune.Watch,
        "on_step_end",
        lambda self, args, state, *_, **__: state.global_step == n,
    )


def half_a_file(_, path, *__):
    Path(path).write_bytes(b"PK" + bytes(5_000))


KILLS = {  # where a run is killed: how to arrange it, and from which step the next run goes on
    "before the first checkpoint": (at_step(3), None),
    "between two checkpoints": (at_step(13), 10),
    "in the middle of a checkpoint's file": (
        lambda: before(
            torch,
            "save",
            lambda _, path, *__, **___: "checkpoint-10" in str(path),
            half_a_file,
        ),
        5,
    ),
    "when a checkpoint lacks its last file": (
        lambda: before(
            submission, "write_text", lambda path, text: "checkpoint-15" in str(path)
        ),
        10,
    ),
    "after the last step": (
        lambda: before(finetune.Watch, "on_train_end", lambda *_, **__: True),
        15,
    ),
    "while the model is written": (
        lambda: before(models, "quietly", lambda f, *_, **__: "save" in f.__name__),
        15,
    ),
    "when the model is not yet in its place": (
        lambda: before(os, "replace", lambda _, to: Path(to).name == "shakespeare"),
        15,
    ),
    "when only the checkpoints are left to remove": (
        lambda: before(
            shutil,
            "rmtree",
            lambda path, *_, **__: (
                Path(path).parent.name == "checkpoints"
                and (Path(path) / "checkpoint-20").exists()
            ),
        ),
        None,
    ),
}


def doomed(point, folder):
    """A run, in a process of its own, that is killed at `point`."""
    config.runs = lambda: folder
    KILLS[point][0]()
    finetune.adapt("shakespeare")


def killed_at(point, folder):
    """A process that comes from a server which has imported everything and computed nothing: it starts at once."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["helpers.finetune"])
    process = processes.Process(target=doomed, args=(point, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_run_is_gone_on_with_and_ends_the_same(
    point, runs, undisturbed, capsys, fault
):
    killed_at(point, runs)
    history, step = finetune.adapt("shakespeare"), KILLS[point][1]
    resumed = re.search(r"Resuming from step (\d+)", capsys.readouterr().out)
    assert (int(resumed[1]) if resumed else None) == step
    assert history.tokens.tolist() == undisturbed.tokens.tolist()
    assert history.loss.iloc[-1] == pytest.approx(undisturbed.loss.iloc[-1], abs=1e-4)
    assert (runs / "models" / "shakespeare" / "model.safetensors").exists()
    assert not (runs / "checkpoints" / "shakespeare").exists()
    assert [p.name for p in (runs / "models").iterdir()] == ["shakespeare"]
    how = (
        f"goes on from step {step}"
        if step
        else "the model was there"
        if "only" in point
        else "begins again"
    )
    fault(f"fine-tuning killed {point}", f"{how}, and ends with the same held-out loss")


@pytest.mark.parametrize(
    "name, spoil",
    [
        (
            "model.safetensors",
            lambda p: p.write_bytes(p.read_bytes()[:-100] + bytes(100)),
        ),
        ("optimizer.pt", lambda p: p.write_bytes(p.read_bytes()[:1000])),
        ("trainer_state.json", lambda p: p.unlink()),
        ("whole.json", lambda p: p.unlink()),
    ],
)
def test_a_damaged_checkpoint_is_named_and_passed_over(
    name, spoil, runs, undisturbed, capsys, fault
):
    killed_at("between two checkpoints", runs)
    spoil(runs / "checkpoints" / "shakespeare" / "checkpoint-10" / name)
    history = finetune.adapt("shakespeare")
    said = capsys.readouterr().out
    assert (
        f"checkpoint-10 of shakespeare is passed over: {name} is damaged" in said
        or (
            name == "whole.json"
            and "checkpoint-10 of shakespeare is passed over: it was not written to the end"
            in said
        )
    )
    assert "Resuming from step 5 of 20" in said
    fault(
        f"a checkpoint whose {name} is damaged or missing",
        re.search(r"checkpoint-10 of .*", said)[0],
    )
    assert history.loss.iloc[-1] == pytest.approx(undisturbed.loss.iloc[-1], abs=1e-4)


def test_several_processes_give_what_one_gives(tmp_path, undisturbed):
    """Two processes (gloo) with half of each batch; what they end with is what one ends with."""
    shutil.copytree(Path(config.__file__).parent, tmp_path / "helpers")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--cpu",
            "--num_processes=2",
            "--num_machines=1",
            "--mixed_precision=no",
            "--dynamo_backend=no",
            "--main_process_port=0",
            "-m",
            "helpers.finetune",
            "shakespeare",
            "--profile",
            "smoke",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    made = tmp_path / "runs" / "smoke" / "models" / "shakespeare"
    history = json.loads((made / "facts.json").read_text(encoding="utf-8"))["history"]
    assert [row["tokens"] for row in history] == undisturbed.tokens.tolist()
    assert history[-1]["loss"] == pytest.approx(undisturbed.loss.iloc[-1], abs=1e-3)
    assert ran.stdout.count("profile smoke") == 1


def test_fewer_blocks_at_once_give_the_same_model(runs, monkeypatch, undisturbed):
    monkeypatch.setattr(
        config, "profile", lambda: replace(config.PROFILES["smoke"], micro_batch=1)
    )
    assert finetune.adapt("shakespeare").loss.iloc[-1] == pytest.approx(
        undisturbed.loss.iloc[-1], abs=1e-3
    )


@pytest.mark.fault("a batch that cannot be shared out")
def test_a_batch_that_cannot_be_shared_out_is_refused(runs, monkeypatch):
    monkeypatch.setattr(
        config, "profile", lambda: replace(config.PROFILES["smoke"], micro_batch=3)
    )
    with pytest.raises(
        ValueError, match="batch of 4 blocks cannot be shared out evenly"
    ):
        finetune.adapt("shakespeare")


@pytest.mark.fault("fine-tuning on a disk that is too small")
def test_too_small_a_disk_is_refused_before_an_hour_is_spent_on_it(runs, monkeypatch):
    usage = shutil.disk_usage(runs)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=500_000))
    with pytest.raises(OSError, match=r"needs 0\.00\d+ GB under runs/") as caught:
        finetune.adapt("shakespeare")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.fault("fine-tuning on a disk that fills up on the way")
def test_a_disk_that_fills_up_leaves_the_earlier_model_as_it_was(
    runs, small_disk, monkeypatch
):
    """A real file system of four megabytes, where one may be mounted; it fills up at the first checkpoint."""
    small_disk(runs, 4_096)
    finetune.adapt("shakespeare")
    made = runs / "models" / "shakespeare" / "model.safetensors"
    old, room = made.read_bytes(), shutil.disk_usage
    (runs / "somebody else's").write_bytes(bytes(room(runs).free - 700_000))
    answers = iter(
        [room(runs)._replace(free=10**9)]
    )  # there was room when the run began
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: next(answers, None) or room(path)
    )
    monkeypatch.setattr(config, "SEED", 7)
    with pytest.raises(OSError, match="Make room and run again"):
        finetune.adapt("shakespeare")
    assert made.read_bytes() == old


def test_checkpoints_of_other_settings_are_not_resumed(runs):
    folder = runs / "checkpoints" / "shakespeare"
    (folder / "checkpoint-5").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"seed": 1}))
    assert checkpoints.last_whole(folder, {"seed": 2}, 20) is None
    assert not (folder / "checkpoint-5").exists()


@pytest.mark.fault("a loss that is not a number")
def test_a_broken_loss_stops_the_run(runs, monkeypatch):
    forward = finetune.train_forward

    def broken(self, input_ids, labels=None):
        return finetune.CausalLMOutput(
            loss=forward(self, input_ids, labels).loss * float("nan")
        )

    monkeypatch.setattr(finetune, "train_forward", broken)
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        finetune.adapt("neurips")
