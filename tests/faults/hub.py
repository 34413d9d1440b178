"""A hub on loopback: enough of the Hugging Face hub's protocol for its real clients.

    with Hub([repository, ...]) as hub:
        ...                                 # with HF_ENDPOINT=hub.endpoint
        hub.fault = "stall"

`fault` is its bad day: None, a status (404, 429, 503), or one of

- "stall" (the connection is taken and nothing is said), "portal" (every page is one to
  log in to), "once" (the first time something is asked for, it is answered 503), "drip"
  (an answer comes at a byte a second);
- for files: "cut" (half of one is sent, then the line goes dead), "restart" (the same,
  from the start each time), "pause" (half of it, silence, and a new connection gets the
  rest), "slow" (a large one comes at 5 kB a second), "damage" and "damage small" (a
  large or a small file with one wrong byte), "refuse" (the address a large file lies at
  refuses connections).

It strikes everything, or with `only = "files"` the files alone, as when the storage
behind a hub is down, or with `only = "questions"` all but the files.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd

from helpers import config, data

LARGE = (".safetensors", ".parquet", ".bin")  # kept apart, as the hub keeps them
DATASET_COMMIT = "d" * 40
STORAGE = "http://localhost"  # under another name than the hub's, as in life
REFUSES = f"{STORAGE}:9/"  # the discard port: nobody listens


@dataclass
class Repository:
    """Files at one commit, which is also the branch main."""

    kind: str  # "model" or "dataset"
    name: str
    commit: str
    files: dict[str, bytes] = field(repr=False)


def gpt2() -> Repository:
    """openai-community/gpt2 in small: its files and commit, two layers of noise."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    end = "<|endoftext|>"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[end],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    bpe.train_from_iterator([data.CORPUS.read_text(encoding="utf-8")], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=end, eos_token=end
    )
    shape = {"vocab_size": 400, "n_positions": 256, "n_embd": 48}
    shape |= {"n_layer": 2, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        GPT2LMHeadModel(GPT2Config(**shape)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    for name in ("pytorch_model.bin", "onnx/config.json", "README.md"):
        files[name] = b"never to be fetched"
    return Repository("model", config.GPT2, config.REVISIONS[config.GPT2], files)


def neurips() -> Repository:
    """NeurIPSConference/NeurIPS2024-papers in small, with the packaged abstracts."""
    table = pd.read_json(data.CORPUS, lines=True)
    table = table.assign(authors="A. N. Author", url="https://example.org")
    parquet = io.BytesIO()
    columns = ["title", "authors", "abstract", "url"]
    table[columns].to_parquet(parquet, index=False)
    card = (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: train\n    path: data/train-*\n---\n# Papers\n"
    )
    files = {
        "README.md": card.encode(),
        "data/train-00000-of-00001.parquet": parquet.getvalue(),
    }
    return Repository("dataset", config.NEURIPS_HUB, DATASET_COMMIT, files)


class Hub:
    """Serves repositories until left; `asked` lists the paths requested."""

    def __init__(self, repositories: list[Repository], fault=None, only=None):
        self.repositories, self.fault, self.only = repositories, fault, only
        self.asked: list[str] = []
        self.left = threading.Event()  # ends stalled answers
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def pace(self, path: str) -> tuple[int, float]:
        """How many bytes are sent at once, and how many seconds pass after them."""
        if self.fault == "drip" and path.startswith("/api/"):
            return 1, 1.0
        if self.fault == "slow" and path.startswith("/blob/"):
            return 500, 0.1
        return 2**20, 0.0

    def __enter__(self) -> Hub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.left.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        first = path not in self.hub.asked
        self.hub.asked.append(path)
        part = "questions" if path.startswith("/api/") else "files"
        fault = self.hub.fault if self.hub.only in (None, part) else None
        if fault == "stall":
            self.hub.left.wait(120)
            self.close_connection = True
        elif fault == "portal":
            self.answer(200, b"<html>Log in</html>", Content_Type="text/html")
        elif fault == "once" and first:
            self.refuse(503)
        elif isinstance(fault, int):
            self.refuse(fault)
        elif path.startswith("/blob/"):
            self.blob(path)
        else:
            self.find(path)

    def find(self, path: str) -> None:
        for repository in self.hub.repositories:
            home = f"/api/{repository.kind}s/{repository.name}"
            if path == home or path.startswith(f"{home}/"):
                return self.api(repository, path.removeprefix(home).strip("/"))
            kind = "" if repository.kind == "model" else "/datasets"
            files = f"{kind}/{repository.name}/resolve/"
            if path.startswith(files):
                revision, name = path.removeprefix(files).split("/", 1)
                return self.resolve(repository, revision, name)
        # The hub does not tell what is private from what is not there.
        self.refuse(401, "RepoNotFound")

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            at_once, seconds = self.hub.pace(self.path)
            for start in range(0, len(body), at_once):
                self.wfile.write(body[start : start + at_once])
                if seconds and self.hub.left.wait(seconds):
                    return

    def refuse(self, status: int, code: str = "") -> None:
        headers = {"X_Error_Code": code} if code else {}
        if status == 429:
            headers["Retry_After"] = "300"
        said = b'{"error": "no"}'
        self.answer(status, said, Content_Type="application/json", **headers)

    def api(self, repository: Repository, rest: str) -> None:
        what, _, revision = rest.partition("/")
        revision = revision.split("/")[0] or repository.commit
        if revision not in (repository.commit, "main"):
            return self.refuse(404, "RevisionNotFound")
        if what in ("", "revision"):
            said = {"id": repository.name, "sha": repository.commit, "tags": []}
            said["siblings"] = [sibling(*item) for item in repository.files.items()]
        elif what == "tree":
            said = [leaf(*item) for item in repository.files.items()]
        else:
            return self.refuse(404)
        self.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def resolve(self, repository: Repository, revision: str, name: str) -> None:
        if revision not in (repository.commit, "main"):
            return self.refuse(404, "RevisionNotFound")
        if name not in repository.files:
            return self.refuse(404, "EntryNotFound")
        content, commit = repository.files[name], repository.commit
        headers = {"ETag": f'"{git_blob(content)}"', "X_Repo_Commit": commit}
        if not name.endswith(LARGE):
            if self.hub.fault == "damage small":
                content = damaged(content)
            return self.send_file(content, **headers)
        port = self.hub.server.server_port
        start = REFUSES if self.hub.fault == "refuse" else f"{STORAGE}:{port}/"
        headers |= {
            "X_Linked_Etag": f'"{sha256(content)}"',
            "X_Linked_Size": str(len(content)),
            "Location": f"{start}blob/{sha256(content)}",
        }
        self.answer(302, **headers)

    def blob(self, path: str) -> None:
        for content in (c for r in self.hub.repositories for c in r.files.values()):
            if (digest := sha256(content)) == path.removeprefix("/blob/"):
                if self.hub.fault == "damage":
                    content = damaged(content)
                return self.send_file(content, self.hub.fault, ETag=f'"{digest}"')
        self.refuse(404)

    def send_file(self, content: bytes, fault=None, **headers: str) -> None:
        """The whole, or the range asked for; or on a bad day half of it."""
        wanted = (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=")
        start = 0 if fault == "restart" else int(wanted.split("-")[0])
        headers["Content_Length"] = str(len(content) - start)
        if start:
            span = f"{start}-{len(content) - 1}"
            headers["Content_Range"] = f"bytes {span}/{len(content)}"
        body, half = content[start:], max(start, len(content) // 2)
        if fault in ("cut", "restart") or (fault == "pause" and not start):
            body, self.close_connection = content[start:half], True
        self.answer(206 if start else 200, body, **headers)
        if fault == "pause" and not start:
            self.hub.left.wait(120)


def sibling(name: str, content: bytes) -> dict:
    """A file as the hub tells of it to whoever asks about a repository."""
    said = {"rfilename": name, "size": len(content), "blobId": git_blob(content)}
    if name.endswith(LARGE):
        size = {"size": len(content), "pointerSize": 130}
        said["lfs"] = {"sha256": sha256(content), **size}
    return said


def leaf(name: str, content: bytes) -> dict:
    """A file as the hub tells of it to whoever asks for a repository's tree."""
    said = {"type": "file", "path": name, "size": len(content)}
    said["oid"] = git_blob(content)
    if name.endswith(LARGE):
        size = {"size": len(content), "pointerSize": 130}
        said["lfs"] = {"oid": sha256(content), **size}
    return said


def damaged(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
