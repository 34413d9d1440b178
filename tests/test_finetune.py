"""Training: found again, gone on with after a kill, the same on several processes."""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    Trainer,
    TrainerState,
)

from helpers import config, finetune, models
from helpers.engine import training

DOMAIN = "neurips"  # the smaller corpus: a process that is killed has soon read it


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """A folder for this test's models and checkpoints."""
    monkeypatch.setattr(config, "runs", lambda: tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run that nothing happens to: its folder and its history."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("undisturbed")
        patch.setattr(config, "runs", lambda: folder)
        return folder, finetune.adapt(DOMAIN)


@pytest.fixture
def undisturbed(whole_run):
    """The history of a run that nothing happens to."""
    return whole_run[1]


def change_profile(monkeypatch, **changes):
    changed = replace(config.PROFILES["smoke"], **changes)
    monkeypatch.setitem(config.PROFILES, "smoke", changed)


def last_loss(history):
    return history.loss.iloc[-1]


SMALL = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 32}
SMALL |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
DROPS = {  # by a layer, by a number that a module has, or by one in the settings
    "gpt2": {"n_layer": 1, "n_head": 2, "n_embd": 32, "vocab_size": 100},
    "llama": SMALL | {"attention_dropout": 0.5},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 32, "layerdrop": 0.5, "dropout": 0.1},
    "gptj": {"n_layer": 1, "n_head": 2, "n_embd": 32, "attn_pdrop": 0.5},
    "falcon": {"attention_dropout": 0.5, "hidden_dropout": 0.5},
}


@pytest.mark.parametrize("family", DROPS)
def test_nothing_is_dropped_out_while_it_learns(family):
    torch.manual_seed(0)
    shape = DROPS[family] if "n_embd" in DROPS[family] else SMALL | DROPS[family]
    shape = shape | ({"rotary_dim": 8, "vocab_size": 100} if family == "gptj" else {})
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape))
    model.train()
    ids = torch.randint(0, 100, (1, 20))
    losses = {model(ids, labels=ids).loss.item() for _ in range(5)}
    assert len(losses) > 1
    finetune.prepare_for_training(model)
    losses = {model(ids, labels=ids).loss.item() for _ in range(5)}
    assert len(losses) == 1


def test_a_model_is_trained_once_and_again_only_if_something_changed(
    runs, whole_run, monkeypatch, capsys, fault
):
    folder, history = whole_run
    validation = history[history.split == "validation"]
    assert last_loss(validation) < 5.0 < validation.loss.iloc[0]
    assert set(history.split) == {"training", "validation"}
    assert not (folder / "checkpoints" / DOMAIN).exists()

    shutil.copytree(folder, runs, dirs_exist_ok=True)
    weights = runs / "models" / DOMAIN / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert finetune.adapt(DOMAIN).equals(history)
    assert weights.stat().st_mtime_ns == made
    monkeypatch.setattr(config, "SEED", 7)
    capsys.readouterr()
    finetune.adapt(DOMAIN)
    assert weights.stat().st_mtime_ns != made
    said = capsys.readouterr().out.splitlines()[0]
    assert said == f"Training anew on {DOMAIN}: another seed than before."
    fault("a fine-tuned model of another seed", said)


def test_what_a_model_read_can_be_found_out_afterwards(runs, monkeypatch):
    """Notebook 10 asks the loader again; here it is what training was given."""
    read, step = [], Trainer.training_step

    def noted(self, model, inputs, *rest):
        read.append(inputs["input_ids"].clone())
        return step(self, model, inputs, *rest)

    monkeypatch.setattr(Trainer, "training_step", noted)
    finetune.adapt(DOMAIN)
    lm, profile = models.load(DOMAIN), config.profile()
    blocks = finetune.blocks(DOMAIN, "train", lm, profile.block)
    args = finetune.training_arguments(runs, lm.source["steps"], profile.batch)
    trainer = Trainer(lm.model, args, train_dataset=blocks, eval_dataset=blocks)
    again = [b["input_ids"] for b, _ in zip(trainer.get_train_dataloader(), read)]
    assert len(read) == lm.source["steps"] == len(again)
    assert torch.equal(torch.stack(read), torch.stack(again))


def kill_before(owner, name, when, cut=lambda *_: None):
    """Let `owner.name` kill its process, at the first call that `when` is true of.

    `cut` is called first, with the same arguments, to leave a part of the work.
    """
    original = getattr(owner, name)

    def deadly(*args, **kwargs):
        if when(*args, **kwargs):
            cut(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, deadly)


def at_step(n):
    def arrange():
        def when(self, args, state, *_, **__):
            return state.global_step == n

        kill_before(training.Progress, "on_step_end", when)

    return arrange


def in_the_middle_of_a_file():
    def when(_, path, *__, **___):
        return "checkpoint-10" in str(path)

    def half_a_file(_, path, *__):
        Path(path).write_bytes(b"PK" + bytes(5_000))

    kill_before(torch, "save", when, half_a_file)


def before_the_state():
    def when(_, path):
        return Path(path).parent.name == "checkpoint-15"

    kill_before(TrainerState, "save_to_json", when)


def after_the_last_step():
    kill_before(training.Progress, "on_train_end", lambda *_, **__: True)


def while_the_model_is_written():
    def when(_, folder, **__):
        return Path(folder).name == f".{DOMAIN}-unfinished"

    kill_before(PreTrainedModel, "save_pretrained", when)


def before_the_model_is_renamed():
    def when(_, to, **__):
        return Path(to).name == DOMAIN

    kill_before(os, "rename", when)


def before_checkpoints_are_removed():
    def when(path, *_, **__):
        path = Path(path)
        return path.parent.name == "checkpoints" and (path / "checkpoint-20").exists()

    kill_before(shutil, "rmtree", when)


@dataclass
class Kill:
    arrange: Callable
    resumes: int | None  # the step that the next run goes on from
    outcome: str = ""
    passed_over: str = ""  # the checkpoint that was cut off

    def __post_init__(self):
        self.outcome = self.outcome or f"goes on from step {self.resumes}"


KILLS = {
    "before the first checkpoint": Kill(at_step(3), None, "begins again"),
    "between two checkpoints": Kill(at_step(13), 10),
    "in the middle of a checkpoint's file": Kill(
        in_the_middle_of_a_file, 5, passed_over="checkpoint-10"
    ),
    "before a checkpoint's last file": Kill(
        before_the_state, 10, passed_over="checkpoint-15"
    ),
    "after the last step": Kill(after_the_last_step, 15),
    "while the model is written": Kill(while_the_model_is_written, 15),
    "when the model is not yet in its place": Kill(before_the_model_is_renamed, 15),
    "when only the checkpoints are left to remove": Kill(
        before_checkpoints_are_removed, None, "the model was there"
    ),
}


def doomed(point, folder):
    """A run, in a process of its own, that is killed at `point`."""
    config.runs = lambda: folder
    (KILLS | KILLS_OF_THE_IMPATIENT)[point].arrange()
    finetune.adapt(DOMAIN)


def killed_at(point, folder):
    """A process from a server that has imported everything: it starts at once."""
    if os.name == "nt":
        pytest.skip("Windows has no fork server, and no SIGKILL")
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
    kill = KILLS[point]
    killed_at(point, runs)
    history, said = finetune.adapt(DOMAIN), capsys.readouterr().out
    resumed = re.search(r"Resuming from step (\d+) of 20", said)
    assert (int(resumed[1]) if resumed else None) == kill.resumes
    passed_over = re.findall(r"(checkpoint-\d+) is not whole", said)
    assert "".join(passed_over) == kill.passed_over
    assert history.tokens.tolist() == undisturbed.tokens.tolist()
    assert last_loss(history) == pytest.approx(last_loss(undisturbed), abs=1e-4)
    assert [p.name for p in (runs / "models").iterdir()] == [DOMAIN]
    assert (runs / "models" / DOMAIN / "model.safetensors").exists()
    assert not (runs / "checkpoints" / DOMAIN).exists()
    outcome = f"{kill.outcome}, and ends with the same held-out loss"
    fault(f"fine-tuning killed {point}", outcome)


# Nothing is learnt, so no evaluation is better than the first; the third is the last.
LOSES_PATIENCE = {"learning_rate": 1e-30}


def without_patience(at):
    """Arrange `at`, in a run that stops early."""

    def arrange():
        config.PROFILES["smoke"] = replace(config.PROFILES["smoke"], **LOSES_PATIENCE)
        at()

    return arrange


KILLS_OF_THE_IMPATIENT = {
    "before the evaluation that ends it": Kill(without_patience(at_step(13)), 10),
    "after it has stopped early": Kill(without_patience(after_the_last_step), 5),
}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """The history of a run that stops early, and that nothing happens to."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("impatient")
        patch.setattr(config, "runs", lambda: folder)
        change_profile(patch, **LOSES_PATIENCE)
        history = finetune.adapt(DOMAIN)
    assert history.tokens.iloc[-1] == 15 * 256
    return history


@pytest.mark.parametrize("point", KILLS_OF_THE_IMPATIENT)
def test_patience_is_kept_over_a_kill(
    point, runs, impatient, monkeypatch, capsys, fault
):
    change_profile(monkeypatch, **LOSES_PATIENCE)
    killed_at(point, runs)
    history = finetune.adapt(DOMAIN)
    resumed = KILLS_OF_THE_IMPATIENT[point].resumes
    assert f"Resuming from step {resumed} of 20" in capsys.readouterr().out
    pd.testing.assert_frame_equal(history, impatient, rtol=1e-4)
    fault(f"fine-tuning killed {point}", "stops at the same step, the same history")


def write_checkpoint(folder, step, stops=False):
    """A checkpoint as Trainer leaves it, as far as it is looked at."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    control = {"TrainerControl": {"args": {"should_training_stop": stops}}}
    state = {"global_step": step, "stateful_callbacks": control}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))


@pytest.fixture
def checkpoints(tmp_path):
    """Checkpoints at steps 5, 10 and 15, at the last of which training stopped."""
    folder = tmp_path / "checkpoints" / DOMAIN
    for step in (5, 10, 15):
        write_checkpoint(folder, step, stops=step == 15)
    (folder / "settings.json").write_text(json.dumps({"seed": 1}))
    return folder


def test_checkpoints_of_other_settings_are_not_resumed(checkpoints):
    last = training.last_checkpoint(checkpoints, {"seed": 1})
    assert last == str(checkpoints / "checkpoint-10")
    assert training.last_checkpoint(checkpoints, {"seed": 2}) is None
    assert [path.name for path in checkpoints.iterdir()] == ["settings.json"]


DAMAGE = {
    "checkpoint-10/trainer_state.json": "checkpoint-5",
    "settings.json": None,
}


@pytest.mark.parametrize("how", [b"", b"<<<<<<< HEAD\n", b"\xff"])
@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_checkpoints_are_passed_over(name, how, checkpoints, capsys, fault):
    (checkpoints / name).write_bytes(how)
    last = training.last_checkpoint(checkpoints, {"seed": 1})
    assert last == (DAMAGE[name] and str(checkpoints / DAMAGE[name]))
    said = capsys.readouterr().out.splitlines()
    assert said and all(line.endswith("is passed over.") for line in said)
    assert training.last_checkpoint(checkpoints, {"seed": 1}) == last
    assert capsys.readouterr().out == "", "it is said once"
    fault(f"a damaged {name} when fine-tuning resumes", said[-1])


def test_several_processes_give_what_one_gives(tmp_path, undisturbed, on_two_processes):
    """Two, each with half of every batch, end with what one ends with."""
    said = on_two_processes("helpers.finetune neurips")
    made = tmp_path / "runs" / "smoke" / "models" / DOMAIN
    history = json.loads((made / "facts.json").read_text(encoding="utf-8"))["history"]
    assert [row["tokens"] for row in history] == undisturbed.tokens.tolist()
    assert history[-1]["loss"] == pytest.approx(last_loss(undisturbed), abs=1e-3)
    assert said.count("profile smoke") == 1


def test_a_broken_loss_stops_the_run(runs, monkeypatch, fault):
    change_profile(monkeypatch, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="lower learning rate") as caught:
        finetune.adapt(DOMAIN)
    fault("a loss that is not a number", caught.value)


def test_too_small_a_disk_is_refused_before_an_hour_is_spent_on_it(
    runs, monkeypatch, fault
):
    usage = shutil.disk_usage(runs)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=500_000))
    with pytest.raises(OSError, match=r"needs 0\.00\d+ GB.*make room") as caught:
        finetune.adapt(DOMAIN)
    assert caught.value.errno == errno.ENOSPC
    fault("fine-tuning on a disk that is too small", caught.value)


def test_a_disk_that_fills_up_leaves_the_earlier_model_as_it_was(
    runs, whole_run, small_disk, monkeypatch, fault
):
    """A file system of four megabytes, that fills up at the first checkpoint."""
    small_disk(runs, 4_096)
    shutil.copytree(whole_run[0], runs, dirs_exist_ok=True)
    made = runs / "models" / DOMAIN / "model.safetensors"
    old, free = made.read_bytes(), shutil.disk_usage(runs).free
    (runs / "somebody else's").write_bytes(bytes(free - 700_000))
    monkeypatch.setattr(config, "SEED", 7)
    with monkeypatch.context() as there_was_room:
        there_was_room.setattr(training, "check_disk", lambda *_: None)
        with pytest.raises((OSError, RuntimeError)):  # torch has no words for it
            finetune.adapt(DOMAIN)
    assert made.read_bytes() == old
    with pytest.raises(OSError, match="make room for it") as caught:
        finetune.adapt(DOMAIN)
    assert made.read_bytes() == old
    fault("fine-tuning again after the disk filled up on the way", caught.value)
