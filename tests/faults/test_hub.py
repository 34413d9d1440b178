"""The hub, through the real clients: when all is well, from the cache, on bad days."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hub import DATASET_COMMIT, Hub, Repository, git_blob, gpt2, neurips, sha256

from helpers import config
from helpers.engine import hub as client

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 40  # seconds within which every bad day must end, imports included
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
# Bad days are mostly waiting; only two are waited for as long as a reader would.
HURRY = "from helpers.engine import hub; hub.TIMEOUT, hub.PATIENCE = 2.0, 4.0\n"
CHOOSE = "from helpers import config; config.describe()\n"
FETCH = """
from helpers import config
from helpers.engine import hub
config.describe()
for choice in (config.base(), config.neurips()):
    if choice.used == "packaged":
        continue
    try:
        print("whole:", hub.fetch(choice.used, choice.kind, choice.revision).name)
    except hub.HubError as error:
        print(f"HubError: {error}")
"""
LOAD = """
import json
from helpers import config, data, models
config.describe()
lm = models.load("base")
print(json.dumps({
    "base": config.base().record(), "neurips": config.neurips().record(),
    "weights": lm.parameters(), "texts": lm.decode(lm.encode(["To be"])[0]),
    "corpus": data.provenance("neurips"),
}))
"""
AUTO = {"AR_BASE": "auto", "AR_NEURIPS": "auto"}
NAMED = {"AR_BASE": "gpt2", "AR_NEURIPS": "packaged"}
ALONE = {"AR_BASE": "auto", "AR_NEURIPS": "packaged"}
REPOSITORIES = {"AR_BASE": config.GPT2, "AR_NEURIPS": config.NEURIPS_HUB}


@pytest.fixture(scope="module")
def repositories():
    return [gpt2(), neurips()]


def environment(home, endpoint, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "AR_"))}
    return kept | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint} | more


def python(code, *where, **more):
    """Run code as a reader would, in a process of its own; `seconds` is added."""
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=config.ROOT,
        env=environment(*where, AR_PROFILE="smoke", **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    ran.seconds = time.monotonic() - started
    return ran


def assert_undamaged(home, repositories):
    """Every file in the cache is one of the repositories', under its hash's name."""
    known = {}
    for content in (c for r in repositories for c in r.files.values()):
        known |= {sha256(content): content, git_blob(content): content}
    for path in Path(home).glob("hub/*/blobs/*"):
        assert path.read_bytes() == known[path.name]
    files = [p for p in Path(home).glob("hub/*/snapshots/**/*") if p.is_file()]
    assert all(p.read_bytes() in known.values() for p in files)
    return files


def test_the_hub_then_the_cache_then_offline(repositories, tmp_path, fault):
    """All comes from the hub, once, at its commits; then from the cache, unasked."""
    home, asked = tmp_path / "cache é", []
    with Hub(repositories) as hub:
        for _ in range(2):
            ran = python(FETCH, home, hub.endpoint, **AUTO)
            assert ran.stdout.count("whole:") == 2, ran.stderr
            asked.append((ran.stdout, len(hub.asked)))
        unwanted = (".bin", "gpt2/README.md", "onnx/config.json")
        assert not [path for path in hub.asked if path.endswith(unwanted)]
    ran = python(LOAD, home, NOWHERE, HF_HUB_OFFLINE="1", **AUTO)
    assert ran.returncode == 0, ran.stderr
    offline = ran.stdout.splitlines()
    # Handed out to a class as a zip, which holds files where the cache has links.
    zipped = shutil.make_archive(tmp_path / "handed out", "zip", home)
    shutil.unpack_archive(zipped, tmp_path / "student")
    again = python(LOAD, tmp_path / "student", NOWHERE, HF_HUB_OFFLINE="1", **AUTO)
    assert again.stdout == ran.stdout, again.stderr
    what = "no network, the hub's model and corpus in the cache (HF_HUB_OFFLINE=1)"
    fault(what, offline[0])
    (first, questions), (second, questions_again) = asked
    assert questions == questions_again, "what is in the cache is asked for again"
    assert all(f"Fetching {repo}" in first for repo in REPOSITORIES.values())
    assert "Fetching" not in second
    facts = json.loads(offline[-1])
    assert facts["base"]["used"] == config.GPT2
    assert facts["base"]["revision"] == config.REVISIONS[config.GPT2]
    assert facts["neurips"]["revision"] == DATASET_COMMIT
    assert facts["corpus"]["documents"] == 216 and facts["texts"] == "To be"
    assert facts["corpus"]["source"] == f"{config.NEURIPS_HUB}@{DATASET_COMMIT}"
    assert len(assert_undamaged(home, repositories)) == 7


BAD_DAYS = {
    "refuses connections": ("down", None),
    "answers 404": (404, None),
    "answers 429, come back in 300 s": (429, None),
    "answers 503": (503, None),
    "takes the connection and says nothing": ("stall", None),
    "answers at a byte a second": ("drip", None),
    "is hidden behind a page to log in to": ("portal", None),
}
BAD_FILES = {
    "files are 404": (404, "files"),
    "files are 429": (429, "files"),
    "files are 503": (503, "files"),
    "files never come": ("stall", "files"),
    "storage refuses connections": ("refuse", "files"),
    "files are cut off in the middle": ("cut", "files"),
    "files are cut off in the middle and start again": ("restart", "files"),
    "large files have one wrong byte": ("damage", "files"),
    "small files have one wrong byte": ("damage small", "files"),
}
WELL_IN_THE_END = {
    "answers 503 the first time": ("once", "questions"),
    "pauses in the middle of a file": ("pause", "files"),
}


@pytest.fixture(scope="module")
def outcomes(repositories, tmp_path_factory):
    """What each bad day ended in; several at a time, because most of it is waiting."""

    def live(case):
        (kind, only), chosen, code = case
        home = tmp_path_factory.mktemp("home")
        with Hub(repositories, None if kind == "down" else kind, only) as hub:
            endpoint = NOWHERE if kind == "down" else hub.endpoint
            ran = python(code, home, endpoint, **chosen)
            came = assert_undamaged(home, repositories)
            if only is None:
                return ran, came, None
            hub.fault = None  # the next day all is well again
            later = python(FETCH, home, hub.endpoint, **chosen)
        assert_undamaged(home, repositories)
        return ran, came, later

    cases = {  # the longest first
        "patient": (("stall", None), ALONE, CHOOSE),
        "patient with files": (("stall", "files"), ALONE, FETCH),
    }
    for day, kind in (BAD_FILES | WELL_IN_THE_END).items():
        cases[day] = kind, AUTO, HURRY + FETCH
    for day, kind in BAD_DAYS.items():
        cases[day] = kind, AUTO, HURRY + CHOOSE
        cases[day, "named"] = kind, NAMED, HURRY + CHOOSE
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(cases, pool.map(live, cases.values())))


def test_a_hub_that_does_not_answer_is_left_in_time(outcomes):
    """As long as a reader waits: for the first answer, and for a file."""
    chosen, _, _ = outcomes["patient"]
    assert chosen.seconds < LIMIT and "stands in" in chosen.stdout
    fetched, _, _ = outcomes["patient with files"]
    assert fetched.seconds < LIMIT and "could not be downloaded" in fetched.stdout


@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_of_the_hub_ends_in_the_stand_ins(outcomes, day, fault):
    """Nothing can be chosen there, so `auto` takes what is packaged, and says so."""
    ran, came, _ = outcomes[day]
    assert ran.returncode == 0 and ran.seconds < LIMIT and not came, ran.stderr
    for variable, repo in REPOSITORIES.items():
        told = [line for line in ran.stdout.splitlines() if line.startswith(repo)]
        assert len(told) == 1 and "stands in" in told[0]
        fault(f"{variable}=auto and a hub that {day}", told[0])


@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_of_the_hub_is_said_in_one_line(outcomes, day, fault):
    """What was named is not silently replaced."""
    ran, came, _ = outcomes[day, "named"]
    assert ran.returncode and ran.seconds < LIMIT and not came
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith(f"helpers.engine.hub.HubError: {config.GPT2} ")
    assert "AR_BASE=packaged" in last and "try again later" in last
    fault(f"AR_BASE=gpt2 and a hub that {day}", last.rpartition("engine.hub.")[2])


@pytest.mark.parametrize("day", BAD_FILES)
def test_files_that_do_not_come_are_said_in_one_line(outcomes, day, fault):
    """The hub could be asked, so its model is chosen; loading ends in a clear line."""
    ran, came, later = outcomes[day]
    assert ran.returncode == 0 and ran.seconds < LIMIT, ran.stderr
    assert "stands in" not in ran.stdout and "whole:" not in ran.stdout
    assert not [path for path in came if path.suffix in (".safetensors", ".parquet")]
    for variable, repo in REPOSITORIES.items():
        start = f"HubError: {repo} could not be downloaded ("
        told = [line for line in ran.stdout.splitlines() if line.startswith(start)]
        assert len(told) == 1
        assert f"{variable}=packaged" in told[0] and "try again later" in told[0]
        fault(f"{variable}=auto and a hub whose {day}", told[0])
    assert later.returncode == 0 and later.stdout.count("whole:") == 2, later.stdout


@pytest.mark.parametrize("day", WELL_IN_THE_END)
def test_a_bad_moment_of_the_hub_is_waited_for(outcomes, day, fault):
    ran, _, later = outcomes[day]
    assert ran.stdout.count("whole:") == 2, ran.stdout + ran.stderr
    assert "Fetching" not in later.stdout
    fault(f"AR_BASE=auto and a hub that {day}", "GPT-2 is fetched whole")


def test_damage_stops_a_model_from_loading(repositories, tmp_path):
    """The same where a reader meets it, and where a cache has no links (Windows)."""
    links = {"HF_HUB_DISABLE_SYMLINKS": "1"}
    load = "from helpers import models; models.load('base')"
    with Hub(repositories, "damage") as hub:
        ran = python(load, tmp_path, hub.endpoint, **NAMED, **links)
        assert not [p for p in tmp_path.rglob("*.safetensors") if p.exists()]
        hub.fault = None
        later = python(FETCH, tmp_path, hub.endpoint, **NAMED, **links)
        assert "whole:" in later.stdout
    last = ran.stderr.strip().splitlines()[-1]
    assert "model.safetensors arrived damaged" in last and "AR_BASE=packaged" in last
    assert_undamaged(tmp_path, repositories)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_a_download_can_be_interrupted(repositories, tmp_path, fault):
    with Hub(repositories, "pause", "files") as hub:
        running = subprocess.Popen(
            [sys.executable, "-c", FETCH],
            cwd=config.ROOT,
            env=environment(tmp_path, hub.endpoint, AR_PROFILE="smoke", **AUTO),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not [path for path in hub.asked if path.startswith("/blob/")]:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        started = time.monotonic()
        said = running.communicate(timeout=LIMIT)[1]
    assert time.monotonic() - started < 5 and "KeyboardInterrupt" in said
    assert not [path for path in tmp_path.rglob("*.incomplete")]
    fault("Ctrl-C while a file of the hub is on its way", "KeyboardInterrupt, at once")


GET = """
from huggingface_hub import hf_hub_download
for name in {names}:
    hf_hub_download({repo!r}, name, revision={revision!r})
"""


def test_what_another_program_fetched(repositories, tmp_path, fault):
    """A part is completed; a whole is used as it is, without a list of its files."""

    def get(home, names):
        revision = config.REVISIONS[config.GPT2]
        code = GET.format(names=names, repo=config.GPT2, revision=revision)
        assert python(code, home, hub.endpoint).returncode == 0

    part = ["config.json", "model.safetensors"]
    every = [name for name in repositories[0].files if name.endswith(("json", "sors"))]
    every.remove("onnx/config.json")
    with Hub(repositories) as hub:
        get(tmp_path / "part", part)
        ran = python(FETCH, tmp_path / "part", hub.endpoint, **ALONE)
        assert "Fetching" in ran.stdout and "whole:" in ran.stdout, ran.stderr
        what = "AR_BASE=auto and a cache that holds a part of GPT-2"
        fault(what, ran.stdout.splitlines()[-2])  # Fetching …, once
        get(tmp_path / "every", every)
    ran = python(FETCH, tmp_path / "every", NOWHERE, HF_HUB_OFFLINE="1", **NAMED)
    assert "whole:" in ran.stdout and "Fetching" not in ran.stdout, ran.stderr


def test_a_shard_that_is_missing(tmp_path):
    """Offline, without a list of files, the model's own index says what is missing."""
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    folder = tmp_path / "hub" / "models--a--b" / "snapshots" / ("c" * 40)
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model-1.safetensors"):
        (folder / name).write_bytes(b"")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    newest = "from helpers.engine import hub; print(hub.newest('a/b', 'model'))"
    offline = {"HF_HUB_OFFLINE": "1"}
    ran = python(newest, tmp_path, NOWHERE, **offline)
    assert "could not be downloaded (HF_HUB_OFFLINE is set)" in ran.stderr
    (folder / "model-2.safetensors").write_bytes(b"")
    assert python(newest, tmp_path, NOWHERE, **offline).stdout.strip() == "c" * 40


TWO_SHARDS = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model-1.safetensors": bytes(15_000),
    "model-2.safetensors": bytes(16_000),
}
FETCH_SHARDS = """
from helpers.engine import hub
hub.TIMEOUT, hub.PATIENCE = {timeout}, {patience}
print("whole:", hub.fetch("someone/shards", "model").name)
"""


@pytest.fixture
def shards():
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = TWO_SHARDS | {"model.safetensors.index.json": json.dumps(index).encode()}
    return Repository("model", "someone/shards", "5" * 40, files)


@pytest.mark.parametrize("links", ["", "1"], ids=["links", "no links"])
def test_slow_and_steady_shards_are_waited_for(links, shards, tmp_path, fault):
    """Each shard takes three times as long as one question may; and where there are no
    links (Windows), a finished one leaves blobs/."""
    with Hub([shards], "slow") as hub:
        no_links = {"HF_HUB_DISABLE_SYMLINKS": links}
        code = FETCH_SHARDS.format(timeout=0.5, patience=1.0)
        ran = python(code, tmp_path, hub.endpoint, **no_links)
    assert f"whole: {'5' * 40}" in ran.stdout, ran.stderr
    assert len(assert_undamaged(tmp_path, [shards])) == 5
    where = "a cache without links" if links else "the cache"
    fault(f"two shards at 5 kB a second, into {where}", "fetched whole")


@pytest.mark.slow
def test_thirty_at_once(shards, tmp_path, fault):
    """A class, each with a cache of one's own, on one hub and two cores."""

    def fetch(i):
        code = FETCH_SHARDS.format(timeout=client.TIMEOUT, patience=client.PATIENCE)
        return python(code, tmp_path / str(i), endpoint)

    with Hub([shards]) as here, ThreadPoolExecutor(30) as pool:
        endpoint = here.endpoint
        ran = list(pool.map(fetch, range(30)))
    told = [r.stderr.strip().splitlines()[-1] for r in ran if "whole:" not in r.stdout]
    assert told == []
    fault("thirty fetches at once from one hub", "all are whole")


def test_a_repository_that_is_not_there(repositories, tmp_path, fault):
    with Hub(repositories) as hub:
        for variable in ("AR_BASE", "AR_NEURIPS"):
            chosen = {"AR_BASE": "tiny", "AR_NEURIPS": "packaged"}
            chosen[variable] = "nobody/nothing"
            ran = python(CHOOSE, tmp_path, hub.endpoint, **chosen)
            last = ran.stderr.strip().splitlines()[-1].rpartition("engine.hub.")[2]
            assert ran.returncode and last.startswith("HubError: no file or folder")
            assert "nobody/nothing was not found on the hub (HTTP 401)" in last
            what = f"{variable}=nobody/nothing, a repository that does not exist"
            fault(what, last)


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
        "no text under 'abstract'",
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
READ = """
import os
from helpers import data
for i in range({count}):
    os.environ["AR_NEURIPS"] = f"someone/papers{{i}}"
    try:
        data.documents("neurips")
    except ValueError as error:
        print(f"ValueError: {{error}}")
"""


def test_another_dataset_of_the_hub_that_will_not_do(tmp_path, fault):
    datasets = [
        Repository("dataset", f"someone/papers{i}", f"{i}" * 40, files)
        for i, (files, _) in enumerate(OTHER.values())
    ]
    with Hub(datasets) as hub:
        ran = python(READ.format(count=len(OTHER)), tmp_path, hub.endpoint)
    told = [line for line in ran.stdout.splitlines() if "ValueError" in line]
    assert len(told) == len(OTHER), ran.stderr
    for i, (what, (_, message)) in enumerate(OTHER.items()):
        assert told[i].startswith(f"ValueError: someone/papers{i} has {message}")
        fault(f"AR_NEURIPS: a hub dataset that {what}", told[i])


def test_a_full_disk_under_the_cache(repositories, tmp_path, small_disk, fault):
    small_disk(tmp_path, 200)
    with Hub(repositories) as hub:
        ran = python(FETCH, tmp_path, hub.endpoint, **ALONE)
    told = next(line for line in ran.stdout.splitlines() if "HubError" in line)
    assert "No space left" in told and "UserWarning" not in ran.stderr
    came = assert_undamaged(tmp_path, repositories)
    assert not [path for path in came if path.suffix == ".safetensors"]
    fault("AR_BASE=auto and a disk that fills up while GPT-2 is fetched", told)


@pytest.mark.slow
def test_the_whole_series_from_the_hub_then_from_the_cache(
    repositories, tmp_path, fault
):
    """python -m helpers as a reader runs it, in a copy of the project."""
    home, project = tmp_path / "home", tmp_path / "a copy é"
    unwanted = shutil.ignore_patterns(".*", "__pycache__")
    for part in ("helpers", "notebooks"):
        shutil.copytree(ROOT / part, project / part, ignore=unwanted)
    chosen = {"AR_BASE": "gpt2", "AR_NEURIPS": "auto", "AR_PROFILE": "smoke"}
    results = project / "runs" / "smoke" / "submission"
    with Hub(repositories) as hub:
        where = {"PYTHONPATH": str(project)} | chosen
        env = environment(home, hub.endpoint, **where)
        for offline in ({}, {"HF_HUB_OFFLINE": "1"}):
            ran = subprocess.run(
                [sys.executable, "-m", "helpers"],
                cwd=project,
                env=env | offline,
                capture_output=True,
                text=True,
            )
            assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
            manifest = json.loads((results / "manifest.json").read_text("utf-8"))
            assert manifest["profile"] == "smoke"
            assert manifest["base"]["used"] == config.GPT2
            assert manifest["base"]["revision"] == config.REVISIONS[config.GPT2]
            source = f"{config.NEURIPS_HUB}@{DATASET_COMMIT}"
            assert manifest["data"]["neurips"]["source"] == source
            how = "offline from the cache" if offline else "from the hub"
            count, label = len(manifest["notebooks"]), manifest["base"]["label"]
            what = "the whole smoke series with AR_BASE=gpt2 AR_NEURIPS=auto, "
            fault(what + how, f"complete: {count} notebooks, base {label}")
            shutil.rmtree(project / "runs")
