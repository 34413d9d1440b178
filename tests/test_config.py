"""What the environment chooses, and what is said where it was not found."""

import pytest

from helpers import config, data, models
from helpers.engine import hub


@pytest.fixture(autouse=True)
def fresh_choices():
    """A process asks the hub once; here each test asks it anew."""
    config._choose.cache_clear()
    yield
    config._choose.cache_clear()


def test_unknown_profile_names_the_choices(monkeypatch, fault):
    monkeypatch.setenv("AR_PROFILE", "huge")
    with pytest.raises(ValueError, match="smoke, classroom, full") as caught:
        config.profile()
    fault("AR_PROFILE=huge", caught.value)


def test_auto_without_a_hub_falls_back_and_says_why(monkeypatch):
    monkeypatch.setenv("AR_PROFILE", "classroom")
    monkeypatch.setenv("AR_BASE", "auto")
    monkeypatch.setenv("AR_NEURIPS", "auto")
    for choice in (config.base(), config.neurips()):
        assert choice.used == "packaged"
        assert "HF_HUB_OFFLINE is set" in choice.note and "\n" not in choice.note
        assert choice.record()["note"] == choice.note


@pytest.mark.parametrize("value", ["./none", "/nowhere/model", "abstracts.csv"])
def test_a_missing_path_is_an_error_not_a_hub_id(monkeypatch, value, fault):
    monkeypatch.setenv("AR_NEURIPS", value)
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        config.neurips()
    fault(f"AR_NEURIPS={value}, which is not there", caught.value)


def test_gpt2_is_pinned(monkeypatch):
    asked = []

    def newest(repo, kind, revision):
        asked.append((repo, kind, revision))
        return revision

    monkeypatch.setattr(hub, "newest", newest)
    monkeypatch.setenv("AR_BASE", "gpt2")
    pinned = config.REVISIONS[config.GPT2]
    assert len(pinned) == 40
    assert (config.base().used, config.base().revision) == (config.GPT2, pinned)
    assert asked == [(config.GPT2, "model", pinned)]


def test_a_model_that_was_named_has_no_stand_in(monkeypatch, fault):
    monkeypatch.setenv("AR_BASE", "gpt2")
    with pytest.raises(hub.HubError, match="AR_BASE=packaged") as caught:
        config.base()
    fault("AR_BASE=gpt2, offline, nothing in the cache", caught.value)


def test_choosing_downloads_nothing(monkeypatch):
    def refuse(*_):
        raise AssertionError("downloaded")

    monkeypatch.setattr(hub, "newest", lambda repo, kind, revision: "c" * 40)
    monkeypatch.setattr(hub, "fetch", refuse)
    monkeypatch.setenv("AR_BASE", "auto")
    monkeypatch.setenv("AR_NEURIPS", "auto")
    config.describe()
    used = [config.base().used, config.neurips().used]
    assert used == [config.GPT2, config.NEURIPS_HUB]
    with pytest.raises(AssertionError, match="downloaded"):
        models.load("base")


def test_a_variable_changed_in_a_live_process_counts_from_the_next_call(
    monkeypatch, corpus, tmp_path
):
    packaged = data.documents("neurips").num_rows
    texts = [f"Document {i}. " + " ".join(f"w{i}x{j}" for j in range(40)) for i in "ab"]
    corpus("a.txt", lambda path: path.write_text("\n\n".join(texts * 5 + texts)))
    assert config.neurips().label == "a.txt"
    with pytest.raises(ValueError, match="a.txt: 2 documents"):
        data.documents("neurips")
    monkeypatch.setenv("AR_NEURIPS", "packaged")
    assert data.documents("neurips").num_rows == packaged

    monkeypatch.setenv("AR_BASE", str(tmp_path))
    assert config.base().label == tmp_path.name
    monkeypatch.setenv("AR_BASE", "tiny")
    assert config.base().label == "tiny untrained GPT-2"

    monkeypatch.setenv("AR_PROFILE", "full")
    assert config.profile().block == 512 and config.runs().name == "full"


def test_labels_never_show_an_absolute_path(monkeypatch, tmp_path):
    monkeypatch.setenv("AR_BASE", str(tmp_path))
    assert config.base().label == tmp_path.name
    assert str(tmp_path.parent) not in str(config.base().record())


def test_a_smoke_run_keeps_away_from_the_real_results(monkeypatch):
    assert config.submission() == config.runs() / "submission"
    monkeypatch.setenv("AR_PROFILE", "classroom")
    assert config.submission() == config.ROOT / "submission"
