"""What the environment chooses, and what is said where it was not found."""

import json
import re

import pytest

from helpers import choices, config, data, models
from helpers.engine import hub


@pytest.fixture(autouse=True)
def fresh_choices():
    """A process asks the hub once; here each test asks it anew."""
    choices.choose.cache_clear()
    yield
    choices.choose.cache_clear()


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
        assert choice.note.endswith("(to look again, delete runs/classroom/models).")
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


# ---- settings.toml


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """A function of the text of settings.toml; the environment chooses nothing."""
    for name in ("AR_PROFILE", "AR_BASE", "AR_NEURIPS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(config, "ROOT", tmp_path)
    return lambda said: (tmp_path / "settings.toml").write_bytes(said.encode())


CLASS = """
profile = "classroom"
base = "packaged"
neurips = "packaged"
train_tokens = 61_440
learning_rate = 2e-4
"""


def test_without_settings_the_profile_is_as_it_is(settings):
    assert config.profile() == config.PROFILES["classroom"]


def test_settings_hold_where_the_environment_says_nothing(settings, capsys):
    settings(CLASS)
    assert config.profile().name == "classroom"
    assert (config.base().used, config.neurips().used) == ("packaged", "packaged")
    assert config.profile().train_tokens == 61_440
    assert config.profile().block == config.PROFILES["classroom"].block
    config.describe()
    said = "settings.toml: base packaged, learning_rate 0.0002, neurips packaged, "
    assert said + "train_tokens 61440\n" in capsys.readouterr().out


def test_the_environment_wins_over_the_settings(settings, monkeypatch):
    settings(CLASS)
    monkeypatch.setenv("AR_BASE", "tiny")
    monkeypatch.setenv("AR_NEURIPS", "paperlists")
    assert (config.base().used, config.neurips().used) == ("tiny", "paperlists")
    assert config.profile().train_tokens == 61_440


def test_settings_of_another_profile_are_passed_over(settings, monkeypatch):
    settings(CLASS)
    monkeypatch.setenv("AR_PROFILE", "smoke")
    assert config.profile() == config.PROFILES["smoke"]
    settings("strings = 30")  # of no profile's name: the classroom's
    assert config.profile() == config.PROFILES["smoke"]
    monkeypatch.setenv("AR_PROFILE", "classroom")
    assert config.profile().strings == 30


WRONG = {
    "a key that there is none of": (
        "train_token = 5",
        "take train_token = 5, but: profile (str), ",
    ),
    "a profile's name under `name`": ('name = "smoke"', "take name = 'smoke', but"),
    "a table": ("[profile]\nblock = 5", "take profile = {'block': 5}, but"),
    "a profile that there is none of": ('profile = "huge"', "smoke, classroom, full"),
    "text for a number": ('block = "64"', "take block = '64', but"),
    "true for a number": ("strings = true", "take strings = True, but"),
    "a fraction for a number": ("strings = 9.5", "take strings = 9.5, but"),
    "a line that is no TOML": (
        "profile = classroom",
        "settings.toml: Invalid value (at line",
    ),
    "a key twice": ("block = 1\nblock = 2", "settings.toml: Cannot overwrite"),
}


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_are_wrong_are_one_line(settings, what, fault):
    text, message = WRONG[what]
    settings(text)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        config.profile()
    said = str(caught.value)
    assert "settings.toml" in said and "\n" not in said
    fault(f"settings.toml: {what}", caught.value)


def test_settings_that_are_not_utf8(settings, tmp_path, fault):
    (tmp_path / "settings.toml").write_bytes(b'base = "\xe9"')
    with pytest.raises(ValueError, match="^settings.toml: 'utf-8'") as caught:
        config.profile()
    fault("settings.toml in Latin-1", caught.value)


# ---- names: words, paths and hub ids


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def all_known(monkeypatch):
    """A hub that knows everything."""
    newest = lambda repo, kind, revision: revision or "newest"  # noqa: E731
    monkeypatch.setattr(hub, "newest", newest)


@pytest.mark.parametrize("word", ["auto", "gpt2", "packaged", "tiny"])
def test_a_folder_does_not_change_what_a_word_means(all_known, here, word):
    before = config.choose("model", word)
    choices.choose.cache_clear()
    (here / word).mkdir()
    assert config.choose("model", word) == before


@pytest.mark.parametrize(
    "asked", ["./m", "sub/m", "{}/m", "~/m", "m/", "a b", "t.txt", "T.CSV", "sub/m@c"]
)
def test_what_has_a_separator_or_a_corpus_ending_is_a_path(
    all_known, here, monkeypatch, asked
):
    monkeypatch.setenv("HOME", str(here))
    asked = asked.format(here)
    path = here / asked.replace("~", ".")
    path.mkdir(parents=True)
    assert config.choose("dataset", asked).used == str(path.resolve())


@pytest.mark.parametrize("asked", ["m", "own/m", "Qwen2.5-0.5B", "m.json"])
def test_anything_else_is_a_hub_id(all_known, here, asked):
    (here / asked.partition("/")[0]).mkdir()
    assert config.choose("model", asked).used == asked


def test_a_commit_pins_a_hub_id(all_known):
    choice = config.choose("model", "own/m@abc123")
    assert (choice.used, choice.revision) == ("own/m", "abc123")


def test_a_folder_of_a_name_the_hub_does_not_know_is_said(here, fault):
    (here / "mine").mkdir()
    with pytest.raises(hub.HubError, match=r"write \./mine\.$") as caught:
        config.choose("model", "mine")
    fault("AR_BASE=mine, a folder, and unknown to the hub", caught.value)


def test_space_around_a_value_does_not_count(monkeypatch):
    monkeypatch.setenv("AR_BASE", "tiny ")  # as `set AR_BASE=tiny && …` on Windows
    assert config.base().used == "tiny"


NO_PATHS = {
    "of an unknown user": "~nouser/x",
    "a loop of links": "./loop",
    "with a NUL": "./a\0b",
    "too long": "x" * 5000,
    "too long, with a separator": "./" + "x" * 5000,
    "a link to nothing": "./dangling",
}


@pytest.mark.parametrize("what", NO_PATHS)
def test_a_path_that_cannot_be_is_one_line(here, what, fault):
    (here / "loop").symlink_to("loop")
    (here / "dangling").symlink_to("nothing")
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        config.choose("model", NO_PATHS[what])
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)
    fault(f"a base model's path, {what}", caught.value)


# ---- auto, where there are fine-tuned models


@pytest.fixture
def made_with(monkeypatch, tmp_path):
    """A function that leaves a fine-tuned model with the Choices it was made with."""
    monkeypatch.setattr(config, "runs", lambda: tmp_path / "classroom")
    monkeypatch.setattr(hub, "newest", lambda *_: "newest")  # the hub is up

    def leave(domain, **facts):
        path = tmp_path / "classroom" / "models" / domain / "facts.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(facts))

    return leave


def test_auto_is_what_the_models_here_were_made_with(made_with):
    base = config.Choice("auto", "packaged", note="no connection: it stands in.")
    corpus = config.Choice("auto", config.NEURIPS_HUB, "old", kind="dataset")
    made_with("neurips", base=base.record(), corpus=corpus.record())
    assert config.choose("model", "auto") == base
    assert config.choose("dataset", "auto") == corpus


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"base": None},
        {"base": {"asked": "auto"}},
        {"base": config.Choice("packaged", "packaged").record()},
    ],
)
def test_models_not_made_under_auto_do_not_bind_it(made_with, facts):
    made_with("neurips", **facts)
    assert config.choose("model", "auto").used == config.GPT2


def test_a_damaged_facts_file_does_not_bind_auto(made_with, tmp_path, capsys):
    made_with("neurips")
    (tmp_path / "classroom" / "models" / "neurips" / "facts.json").write_text("")
    assert config.choose("model", "auto").used == config.GPT2
    assert "neurips/facts.json is damaged" in capsys.readouterr().out
