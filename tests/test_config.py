"""What the environment chooses, and what is said where it was not found."""

import re

import pytest

from helpers import config, data, models
from helpers.engine import hub


@pytest.fixture(autouse=True)
def fresh_choices():
    """A process asks the hub once; here each test asks it anew."""
    config.choose.cache_clear()
    yield
    config.choose.cache_clear()


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
        assert choice.note.endswith("under runs/).")
        assert choice.record()["note"] == choice.note


@pytest.mark.parametrize("value", ["./none", "/nowhere/model", "abstracts.csv"])
def test_a_missing_path_is_said(monkeypatch, value, fault):
    monkeypatch.setenv("AR_NEURIPS", value)
    here = f"^no file or folder '{value}' is here, and"
    with pytest.raises(hub.HubError, match=here) as caught:
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
    config.choose.cache_clear()
    (here / word).mkdir()
    assert config.choose("model", word) == before


@pytest.mark.parametrize(
    "asked", ["./m", "m", "sub/m", "{}/m", "~/m", "m/", "a b", "t.txt", "sub/m@c"]
)
def test_what_lies_here_comes_before_the_hub(all_known, here, monkeypatch, asked):
    monkeypatch.setenv("HOME", str(here))
    asked = asked.format(here)
    path = here / asked.replace("~", ".")
    path.mkdir(parents=True)
    assert config.choose("dataset", asked).used == str(path.resolve())


@pytest.mark.parametrize("asked", ["m", "own/m", "Qwen2.5-0.5B", "m.json"])
def test_anything_else_is_a_hub_id(all_known, here, asked):
    assert config.choose("model", asked).used == asked


def test_a_commit_pins_a_hub_id(all_known):
    choice = config.choose("model", "own/m@abc123")
    assert (choice.used, choice.revision) == ("own/m", "abc123")


def test_space_around_a_value_does_not_count(monkeypatch):
    monkeypatch.setenv("AR_BASE", "tiny ")  # as `set AR_BASE=tiny && …` on Windows
    assert config.base().used == "tiny"


NO_PATHS = {
    "of an unknown user": "~nouser/x",
    "a loop of links": "./loop",
    "with a NUL": "./a\0b",
    "a link to nothing": "./dangling",
}


@pytest.mark.parametrize("what", NO_PATHS)
def test_a_path_that_cannot_be_is_one_line(here, what, fault):
    (here / "loop").symlink_to("loop")
    (here / "dangling").symlink_to("nothing")
    with pytest.raises(hub.HubError, match="^no file or folder") as caught:
        config.choose("model", NO_PATHS[what])
    assert "\n" not in str(caught.value)
    fault(f"a base model's path, {what}", caught.value)
