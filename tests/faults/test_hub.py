"""The hub's branches, through the real clients: when all is well, from the cache, and on the hub's bad days."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hub import DATASET_COMMIT, Hub, Repository, git_blob, gpt2, neurips, sha256

from helpers import config
from helpers import hub as helpers_hub

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 30  # seconds within which every bad day must end
CHOOSE = "from helpers import config; config.describe()"
LOAD = """
import json
from helpers import config, data, models
config.describe()
lm = models.load("base")
print(json.dumps({"base": config.base().record(), "neurips": config.neurips().record(), "weights": lm.parameters(),
                  "texts": lm.decode(lm.encode(["To be"])[0]), "corpus": data.provenance("neurips")}))
"""


@pytest.fixture(scope="module")
def repositories():
    return [gpt2(), neurips()]


def environment(home, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "AR_"))}
    return (
        kept
        | {"AR_PROFILE": "smoke", "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        | more
    )


def python(code, **env):
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=config.ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    ran.seconds = time.monotonic() - started
    return ran


def assert_whole(home, repositories):
    """Every file in the cache is one of the repositories', byte for byte, under the name of its hash."""
    known = {
        name: content
        for r in repositories
        for content in r.files.values()
        for name in (sha256(content), git_blob(content))
    }
    blobs = [
        p
        for p in Path(home).glob("hub/*/blobs/*")
        if not p.name.endswith(".incomplete")
    ]
    assert all(path.read_bytes() == known[path.name] for path in blobs)
    pointed = [p for p in Path(home).glob("hub/*/snapshots/**/*") if p.is_file()]
    assert all(p.read_bytes() in known.values() for p in pointed)
    return pointed


def test_the_hub_then_the_cache_then_offline(repositories, tmp_path, fault):
    """Model and corpus come from the hub at their commits, once; then from the cache, asking nobody."""
    home, said = tmp_path / "cache é", []
    with Hub(repositories) as hub:
        env = environment(
            home, HF_ENDPOINT=hub.endpoint, AR_BASE="gpt2", AR_NEURIPS="auto"
        )
        for _ in range(2):
            ran = python(LOAD, **env)
            assert ran.returncode == 0 and ran.stderr == "", ran.stderr
            said.append(
                (
                    ran.stdout.splitlines(),
                    len([p for p in hub.asked if "harness" not in p]),
                )
            )
        assert not [
            p
            for p in hub.asked
            if "onnx" in p or p.endswith((".bin", "gpt2/README.md"))
        ]
    ran = python(LOAD, **env, HF_HUB_OFFLINE="1")
    assert ran.returncode == 0, ran.stderr
    fault(
        "no network, the hub's model and corpus in the cache (HF_HUB_OFFLINE=1)",
        ran.stdout.splitlines()[0],
    )
    (first, asked), (second, asked_again), offline = *said, ran.stdout.splitlines()
    assert asked == asked_again, "what is in the cache is asked for again"
    assert first[0].startswith(
        "Fetching openai-community/gpt2"
    ) and "Fetching" not in "".join(second)
    assert json.loads(first[-1]) == json.loads(second[-1]) == json.loads(offline[-1])
    facts = json.loads(first[-1])
    assert (
        facts["base"]["used"] == config.GPT2
        and facts["base"]["revision"] == config.REVISIONS[config.GPT2]
    )
    assert (
        facts["neurips"]["revision"] == DATASET_COMMIT
        and facts["corpus"]["documents"] == 216
    )
    assert (
        facts["corpus"]["source"] == f"{config.NEURIPS_HUB}@{DATASET_COMMIT}"
        and facts["texts"] == "To be"
    )
    assert len(assert_whole(home, repositories)) == 7


BAD_DAYS = {
    "refuses connections": ("down", None),
    "answers 404": (404, None),
    "answers 429, come back in 300 s": (429, None),
    "answers 503": (503, None),
    "takes the connection and says nothing": ("stall", None),
    "answers, but its files are 404": (404, "files"),
    "answers, but its files are 429": (429, "files"),
    "answers, but its files are 503": (503, "files"),
    "answers, but its files never come": ("stall", "files"),
    "answers, but its storage refuses connections": ("refuse", "files"),
    "cuts a file off in the middle": ("cut", "files"),
    "cuts a file off in the middle and starts again": ("restart", "files"),
    "sends a file with one wrong byte": ("damage", "files"),
}
ASKED = {
    "auto": {"AR_BASE": "auto", "AR_NEURIPS": "packaged"},
    "gpt2": {"AR_BASE": "gpt2", "AR_NEURIPS": "packaged"},
    "papers": {"AR_BASE": "tiny", "AR_NEURIPS": "auto"},
}


@pytest.fixture(scope="module")
def outcomes(repositories, tmp_path_factory):
    """What each choice ended in on each bad day; many at a time, because most of it is waiting."""

    def live(case):
        day, asked = case
        kind, only = BAD_DAYS[day]
        home = tmp_path_factory.mktemp("home")
        with Hub(repositories, None if kind == "down" else kind, only) as hub:
            endpoint = "http://127.0.0.1:9" if kind == "down" else hub.endpoint
            ran = python(
                CHOOSE, **environment(home, HF_ENDPOINT=endpoint, **ASKED[asked])
            )
            partial = assert_whole(home, repositories)
            if only is None:  # not a file came
                return ran, partial, None
            repository = repositories[asked == "papers"]
            wanted = helpers_hub._wanted(
                repository.name, repository.kind, config.REVISIONS.get(repository.name)
            )
            assert helpers_hub._cached(wanted | {"cache_dir": home / "hub"}) is None, (
                "half of it counts as whole"
            )
            hub.fault = None  # the next day all is well again
            later = python(
                CHOOSE, **environment(home, HF_ENDPOINT=hub.endpoint, **ASKED[asked])
            )
        assert_whole(home, repositories)
        return ran, partial, later

    cases = [(day, asked) for day in BAD_DAYS for asked in ASKED]
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(cases, pool.map(live, cases)))


@pytest.mark.parametrize("asked", ["auto", "papers"])
@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_of_the_hub_ends_in_the_stand_in(outcomes, day, asked, fault):
    ran, _, later = outcomes[day, asked]
    assert ran.returncode == 0 and ran.seconds < LIMIT, ran.stderr
    notes = [line for line in ran.stdout.splitlines() if "stands in" in line]
    assert len(notes) == 1
    assert later is None or (
        later.returncode == 0 and "stands in" not in later.stdout
    ), later.stdout
    fault(
        f"AR_{'BASE' if asked == 'auto' else 'NEURIPS'}=auto and a hub that {day}",
        notes[0],
    )


@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_of_the_hub_is_said_in_one_line(outcomes, day, fault):
    ran, partial, later = outcomes[day, "gpt2"]
    assert ran.returncode != 0 and ran.seconds < LIMIT
    last = ran.stderr.strip().splitlines()[-1]
    assert (
        last.startswith("helpers.hub.HubError")
        and "AR_BASE=packaged" in last
        and "try again later" in last
    )
    assert not [p for p in partial if p.suffix == ".safetensors"]
    assert later is None or later.returncode == 0, later.stderr
    fault(f"AR_BASE=gpt2 and a hub that {day}", last.removeprefix("helpers.hub."))


def test_a_part_that_another_program_fetched_is_completed(
    repositories, tmp_path, fault
):
    """Only the configuration and the weights are in the cache, and nothing says what is missing."""
    with Hub(repositories) as hub:
        env = environment(
            tmp_path, HF_ENDPOINT=hub.endpoint, AR_BASE="auto", AR_NEURIPS="packaged"
        )
        part = (
            "from huggingface_hub import hf_hub_download as get\n"
            f"for name in ('config.json', 'model.safetensors'): get({config.GPT2!r}, name, "
            f"revision={config.REVISIONS[config.GPT2]!r})"
        )
        assert python(part, **env).returncode == 0
        ran = python(LOAD, **env)
    assert (
        ran.returncode == 0 and config.GPT2 in ran.stdout and "Fetching" in ran.stdout
    ), ran.stderr
    fault(
        "AR_BASE=auto and a cache that holds a part of GPT-2",
        ran.stdout.splitlines()[0],
    )


def test_a_repository_that_is_not_there(repositories, tmp_path, fault):
    with Hub(repositories) as hub:
        for name, value in (
            ("AR_BASE", "nobody/nothing"),
            ("AR_NEURIPS", "nobody/nothing"),
        ):
            ran = python(
                CHOOSE,
                **environment(
                    tmp_path,
                    HF_ENDPOINT=hub.endpoint,
                    AR_BASE="tiny",
                    AR_NEURIPS="packaged",
                )
                | {name: value},
            )
            last = ran.stderr.strip().splitlines()[-1]
            assert ran.returncode and "HTTP 401, not found there" in last
            fault(
                f"{name}={value}, a repository that does not exist",
                last.removeprefix("helpers.hub."),
            )


def parquet(**columns):
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    return file.getvalue()


OTHER = {
    "has no split called train": (
        {"data/test-0.parquet": parquet(abstract=["a b c"] * 20)},
        "no split 'train'",
    ),
    "has another column": (
        {"data/train-0.parquet": parquet(summary=["a b c"] * 20)},
        "no column 'abstract'",
    ),
    "holds no table": (
        {"README.md": b"# nothing\n", "load.py": b"raise SystemExit('ran')"},
        "no split 'train'",
    ),
    "holds a damaged table": (
        {"data/train-0.parquet": b"PAR1 and no more"},
        "no split 'train'",
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_another_dataset_of_the_hub_that_will_not_do(what, tmp_path, fault):
    files, message = OTHER[what]
    with Hub([Repository("dataset", "someone/papers", "e" * 40, files)]) as hub:
        ran = python(
            "from helpers import data; data.documents('neurips')",
            **environment(
                tmp_path,
                HF_ENDPOINT=hub.endpoint,
                AR_BASE="tiny",
                AR_NEURIPS="someone/papers",
            ),
        )
    last = ran.stderr.strip().splitlines()[-1]
    assert (
        ran.returncode
        and last.startswith("ValueError: someone/papers")
        and message in last
    ), ran.stderr[-2000:]
    fault(f"AR_NEURIPS: a hub dataset that {what}", last)


def test_a_full_disk_under_the_cache(repositories, tmp_path, small_disk, fault):
    small_disk(tmp_path, 200)
    with Hub(repositories) as hub:
        ran = python(
            CHOOSE, **environment(tmp_path, HF_ENDPOINT=hub.endpoint, **ASKED["auto"])
        )
    note = next(line for line in ran.stdout.splitlines() if "stands in" in line)
    assert "No space left" in note and not [
        p for p in assert_whole(tmp_path, repositories) if "safetensors" in p.name
    ]
    fault("AR_BASE=auto and a disk that fills up while GPT-2 is fetched", note)


@pytest.mark.slow
def test_the_whole_series_from_the_hub_then_offline_from_the_cache(
    repositories, tmp_path, fault
):
    """python -m helpers as a reader runs it, in a copy of the project."""
    home, project = tmp_path / "home", tmp_path / "a copy é"
    for part in ("helpers", "notebooks"):
        shutil.copytree(
            ROOT / part,
            project / part,
            ignore=shutil.ignore_patterns(".*", "__pycache__"),
        )
    with Hub(repositories) as hub:
        env = environment(
            home,
            HF_ENDPOINT=hub.endpoint,
            AR_BASE="gpt2",
            AR_NEURIPS="auto",
            PYTHONPATH=str(project),
        )
        for more in ({}, {"HF_HUB_OFFLINE": "1"}):
            ran = subprocess.run(
                [sys.executable, "-m", "helpers"],
                cwd=project,
                env=env | more,
                capture_output=True,
                text=True,
            )
            assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
            results = project / "runs" / "smoke" / "submission"
            manifest = json.loads(
                (results / "manifest.json").read_text(encoding="utf-8")
            )
            assert (
                manifest["base"]["used"] == config.GPT2
                and manifest["profile"] == "smoke"
            )
            assert manifest["base"]["revision"] == config.REVISIONS[config.GPT2]
            assert (
                manifest["data"]["neurips"]["source"]
                == f"{config.NEURIPS_HUB}@{DATASET_COMMIT}"
            )
            fault(
                "the whole smoke series with AR_BASE=gpt2 AR_NEURIPS=auto, "
                + ("offline from the cache" if more else "from the hub"),
                f"complete: {len(manifest['notebooks'])} notebooks, base {manifest['base']['label']}",
            )
            shutil.rmtree(project / "runs")
