"""What comes from the Hugging Face hub: found whole in the cache, or fetched whole.

The hub's client downloads, resumes, locks and renames by itself. But it waits for
minutes, or for ever, where a reader wants an answer, and it compares sizes, not
digests. That is done here; beside each line stands the failure it is there for.
"""

import re
import time
import warnings
from contextlib import nullcontext, suppress
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import huggingface_hub as hf
from huggingface_hub import constants, errors, utils
from tqdm.auto import tqdm

from helpers.engine.files import digest, first_line

TIMEOUT = 4.0  # seconds without one more byte: then the client asks again by itself
PATIENCE = 18.0  # seconds for one question, however often it is asked again
REMEDY = "try again later, or choose AR_BASE=packaged and AR_NEURIPS=packaged."
WORDS = {  # a sign in an error, and what it means; the others speak for themselves
    "OfflineMode": "HF_HUB_OFFLINE is set",
    r"ConnectError\((?!SSL)": "no connection",
    "Timeout|JSONDecode": "no answer",  # or a page to log in to
    "ProtocolError|ReadError": "the connection broke off",
}
# What is read, and nothing else: weights as safetensors, tables as CSV, JSON, Parquet
# or text; never a pickle, never code, no copy of a model in another format.
FILES = {
    "model": r"[^/]+\.(safetensors|json|txt|model)",
    "dataset": r".+\.(parquet|csv|json|jsonl|txt)|README\.md",
}


class HubError(ConnectionError):
    """What is not in the cache was not downloaded: `why`, and what to do, in a line."""

    def __init__(self, why: str):
        self.why = why

    def __str__(self) -> str:
        return f"{self.why}: {REMEDY}"


def newest(repo: str, kind: str, revision: str | None = None) -> str:
    """The commit of a "model" or "dataset" that `fetch` will give; downloads nothing.

    If the cache holds the repository whole, its commit, and the hub is not asked; else
    the hub's newest. `revision` pins a commit. HubError if the hub does not tell.
    """
    folder = _cached(repo, kind, revision)
    return folder.name if folder else _ask(repo, kind, revision).sha


def fetch(repo: str, kind: str, revision: str | None = None) -> Path:
    """The local folder of a "model" or "dataset", whole; its name is the commit.

    What the cache holds whole is used without asking the hub, so the newest commit is
    looked up once. HubError if a file could not be downloaded, or arrived damaged.
    """
    if folder := _cached(repo, kind, revision):
        return folder
    found = _ask(repo, kind, revision)
    print(f"Fetching {repo} from the hub, once.", flush=True)
    files = [f for f in found.siblings if re.fullmatch(FILES[kind], f.rfilename)]
    bar = tqdm(total=sum(f.size for f in files), unit="B", unit_scale=True, leave=False)
    commit = {"repo_type": kind, "revision": found.sha, "etag_timeout": TIMEOUT}
    get = partial(hf.hf_hub_download, repo, **commit)
    constants.HF_HUB_DISABLE_XET = True  # another client, which would wait for ever
    constants.DOWNLOAD_CHUNK_SIZE = 2**16  # else each break costs up to 10 MB
    utils.logging.set_verbosity_error()  # else a line each time that it asks again
    utils.disable_progress_bars()  # else a bar for a list of files, besides ours
    hf.set_client_factory(partial(_impatient, {}))
    try:
        with bar, warnings.catch_warnings(action="ignore"):  # a full disk, no symlinks
            # The smallest first, so that a copy that was broken off lacks its weights.
            for f in sorted(files, key=lambda f: f.size):
                _check(get(f.rfilename, tqdm_class=lambda **_: nullcontext(bar)), f)
            # Now that all is here and right, the client notes which files there are.
            return Path(hf.snapshot_download(repo, allow_patterns=[], **commit))
    except Exception as error:
        raise HubError(f"{repo} could not be downloaded ({reason(error)})") from None
    finally:
        hf.set_client_factory(utils._http.default_client_factory)


def _cached(repo: str, kind: str, revision: str | None) -> Path | None:
    """The folder of a commit of which the cache lacks nothing."""
    home = Path(constants.HF_HUB_CACHE, f"{kind}s--{repo.replace('/', '--')}")
    if not home.exists():  # glob may raise for a name that cannot be a folder's
        return None
    for folder in home.glob(f"snapshots/{revision or '*'}"):
        # Another program may have fetched a model, or a part of it, and noted nothing.
        names = ["config.json", "tokenizer.json", "model.safetensors"]
        if (index := folder / "model.safetensors.index.json").exists():
            names[2:] = re.findall(r'[^"]+\.safetensors', index.read_text("utf-8"))
        with suppress(errors.CachedRepoTreeNotFoundError):
            listed = hf.get_cached_repo_tree(repo, repo_type=kind, revision=folder.name)
            names = [f.path for f in listed if re.fullmatch(FILES[kind], f.path)]
        if all((folder / name).exists() for name in names):
            return folder


def _ask(repo: str, kind: str, revision: str | None, tries: int = 3):
    """What the hub says of a repository: its commit, its files and their digests."""
    how = dict(repo_type=kind, revision=revision, timeout=TIMEOUT, files_metadata=True)
    try:  # in a thread: of a byte a second the client would wait for every one
        answer = ThreadPool(1).apply_async(hf.repo_info, [repo], how)
        return answer.get(2 * TIMEOUT)
    except Exception as error:
        why = reason(error)
    if tries > 1 and why.startswith(("no answer", "HTTP 429", "HTTP 5")):
        time.sleep(1)  # it may be busy for a moment
        return _ask(repo, kind, revision, tries - 1)
    said = "was not found on the hub" if "HTTP 40" in why else "could not be downloaded"
    raise HubError(f"{repo} {said} ({why})")


def _check(path: str, file) -> None:
    """Take out of the cache what is not, bit for bit, what the hub says it is."""
    # Large files go by their SHA-256, small ones by git's name for them.
    found = digest(path) if file.lfs else utils.sha.git_hash(Path(path).read_bytes())
    if found != (file.lfs.sha256 if file.lfs else file.blob_id):
        Path(path).resolve().unlink()  # where the cache has links, what it points to
        raise ConnectionError(f"{file.rfilename} arrived damaged")


def _impatient(asked: dict):
    """A client that gives up; `asked` holds when each question was asked first.

    A question is a method, an address and a range: so every 64 kB that came make the
    next question a new one, and the same bytes are not asked for for ever.
    """

    def before(request):
        # Some requests have no timeout of their own, and some a minute.
        request.extensions["timeout"].update(connect=TIMEOUT, read=TIMEOUT)
        question = request.method, request.url, request.headers.get("Range")
        if time.monotonic() - asked.setdefault(question, time.monotonic()) > PATIENCE:
            raise ConnectionError(f"nothing more came for {PATIENCE:.0f} seconds")

    def after(response):
        # The client sleeps for as long as it is told to: 300, or "api";r=0;t=300.
        said = response.headers.get("Retry-After") or response.headers.get("ratelimit")
        wait = re.search(r"(^|r=0;t=)(\d+)$", said or "")
        if response.is_error and wait and int(wait[2]) > PATIENCE:
            raise ConnectionError(f"HTTP {response.status_code}")

    made = utils._http.default_client_factory()
    made.event_hooks["request"].append(before)
    made.event_hooks["response"].append(after)
    return made


def reason(error: BaseException) -> str:
    """Why, in a few words: what the hub, the network or the disk said in the end."""
    while error.__cause__ is not None and not hasattr(error, "response"):
        error = error.__cause__
    if hasattr(error, "response"):
        return f"HTTP {error.response.status_code}"
    known = [words for sign, words in WORDS.items() if re.search(sign, repr(error))]
    return known[0] if known else first_line(error)[:120]
