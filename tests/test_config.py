"""What the environment chooses, and what is said when it cannot be had."""

from pathlib import Path

import pytest

from helpers import config, hub


@pytest.fixture(autouse=True)
def fresh_choices():
    config.base.cache_clear()
    config.neurips.cache_clear()
    yield
    config.base.cache_clear()
    config.neurips.cache_clear()


@pytest.mark.fault("AR_PROFILE=huge")
def test_unknown_profile_names_the_choices(monkeypatch):
    monkeypatch.setenv("AR_PROFILE", "huge")
    with pytest.raises(ValueError, match="smoke, classroom, full"):
        config.profile()


def test_auto_without_a_hub_falls_back_and_says_why(monkeypatch):
    monkeypatch.setenv("AR_PROFILE", "classroom")
    monkeypatch.setenv("AR_BASE", "auto")
    monkeypatch.setenv("AR_NEURIPS", "auto")
    for choice in (config.base(), config.neurips()):
        assert choice.used == "packaged"
        assert "hub" in choice.note and "\n" not in choice.note
        assert choice.record()["note"] == choice.note


@pytest.mark.fault("AR_NEURIPS={value}, which is not there")
@pytest.mark.parametrize("value", ["./none", "/nowhere/model", "abstracts.csv"])
def test_a_missing_path_is_an_error_not_a_hub_id(monkeypatch, value):
    monkeypatch.setenv("AR_NEURIPS", value)
    with pytest.raises(FileNotFoundError, match="no such file"):
        config.neurips()


def test_gpt2_is_pinned(monkeypatch):
    monkeypatch.setenv("AR_BASE", "gpt2")
    asked = []
    monkeypatch.setattr(
        hub, "fetch", lambda *args: asked.append(args) or Path("snapshots", args[2])
    )
    assert config.base().used == config.GPT2 and len(config.base().revision) == 40
    assert asked == [(config.GPT2, "model", config.base().revision)]


@pytest.mark.fault("AR_BASE=gpt2, offline, nothing in the cache")
def test_a_model_asked_for_by_name_has_no_stand_in(monkeypatch):
    monkeypatch.setenv("AR_BASE", "gpt2")
    with pytest.raises(hub.HubError, match="AR_BASE=packaged"):
        config.base()


def test_labels_never_show_an_absolute_path(monkeypatch, tmp_path):
    monkeypatch.setenv("AR_BASE", str(tmp_path))
    assert config.base().label == tmp_path.name
    assert str(tmp_path.parent) not in str(config.base().record())


def test_a_smoke_run_keeps_away_from_the_real_results(monkeypatch):
    assert config.submission() == config.runs() / "submission"
    monkeypatch.setenv("AR_PROFILE", "classroom")
    assert config.submission() == config.ROOT / "submission"
