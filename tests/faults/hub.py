"""A hub on loopback: enough of the Hugging Face hub's protocol for its real clients, and for its bad days.

    with Hub([repository, ...]) as hub:
        ...                                 # with HF_ENDPOINT=hub.endpoint
        hub.fault = "stall"

`fault` is None, a status (404, 429, 503), "stall" (the connection is taken and nothing is said), or, for files,
"cut" (half of it is sent, then the line goes dead), "restart" (the same, from the start each time), "damage" (the
right length, one wrong byte) or "refuse" (the address a file lies at refuses). It strikes everything, or with
`only = "files"` the files alone, as when the storage behind a hub is down.
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

from helpers import config, data

LARGE = (
    ".safetensors",
    ".parquet",
    ".bin",
)  # kept apart from the repository, as the hub keeps large files
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
    """openai-community/gpt2 in small: the same files at the pinned commit, two layers of random weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    bpe.train_from_iterator(
        [data.CORPUS.read_text(encoding="utf-8")],
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=400,
                n_positions=256,
                n_embd=48,
                n_layer=2,
                n_head=4,
                bos_token_id=0,
                eos_token_id=0,
            )
        ).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    never = b"never to be fetched"
    return Repository(
        "model",
        config.GPT2,
        config.REVISIONS[config.GPT2],
        files
        | {"pytorch_model.bin": never, "onnx/config.json": never, "README.md": never},
    )


def neurips() -> Repository:
    """NeurIPSConference/NeurIPS2024-papers in small, with the packaged abstracts for its rows."""
    table = data._read_table(data.CORPUS)
    table = table.assign(authors="A. N. Author", url="https://example.org")[
        ["title", "authors", "abstract", "url"]
    ]
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    card = (
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
        "# Papers\n"
    )
    return Repository(
        "dataset",
        config.NEURIPS_HUB,
        DATASET_COMMIT,
        {
            "README.md": card.encode(),
            "data/train-00000-of-00001.parquet": parquet.getvalue(),
        },
    )


class Hub:
    """Serves repositories until left; `asked` lists the paths requested."""

    def __init__(
        self, repositories: list[Repository], fault=None, only: str | None = None
    ):
        self.repositories, self.fault, self.only = repositories, fault, only
        self.asked: list[str] = []
        self.left = threading.Event()  # ends stalled answers
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self})
        )
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

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
        self.hub.asked.append(path)
        fault = (
            self.hub.fault
            if self.hub.only != "files" or not path.startswith("/api/")
            else None
        )
        if fault == "stall":
            self.hub.left.wait(120)
            self.close_connection = True
        elif isinstance(fault, int):
            self.refuse(fault)
        elif path.startswith("/blob/"):
            self.blob(path)
        else:
            for repository in self.hub.repositories:
                home = f"/api/{repository.kind}s/{repository.name}"
                prefix = (
                    f"/{repository.name}"
                    if repository.kind == "model"
                    else f"/datasets/{repository.name}"
                )
                if path == home or path.startswith(f"{home}/"):
                    return self.api(repository, path.removeprefix(home).strip("/"))
                if path.startswith(f"{prefix}/resolve/"):
                    return self.resolve(
                        repository,
                        *path.removeprefix(f"{prefix}/resolve/").split("/", 1),
                    )
            self.refuse(
                401, "RepoNotFound"
            )  # the hub does not tell what is private from what is not there

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str = "") -> None:
        headers = {"X_Error_Code": code} if code else {}
        if status == 429:
            headers["Retry_After"] = "300"
        self.answer(
            status, b'{"error": "no"}', Content_Type="application/json", **headers
        )

    def api(self, repository: Repository, rest: str) -> None:
        what, _, revision = rest.partition("/")
        revision = revision.split("/")[0] or repository.commit
        if revision not in (repository.commit, "main"):
            return self.refuse(404, "RevisionNotFound")
        if what in ("", "revision"):
            said = {
                "id": repository.name,
                "sha": repository.commit,
                "private": False,
                "tags": [],
                "siblings": [
                    {"rfilename": name, "size": len(file)}
                    for name, file in repository.files.items()
                ],
            }
        elif what == "tree":
            said = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(content),
                    "oid": git_blob(content),
                }
                | (
                    {
                        "lfs": {
                            "oid": sha256(content),
                            "size": len(content),
                            "pointerSize": 130,
                        }
                    }
                    if name.endswith(LARGE)
                    else {}
                )
                for name, content in repository.files.items()
            ]
        else:
            return self.refuse(404)
        self.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def resolve(self, repository: Repository, revision: str, name: str) -> None:
        if revision not in (repository.commit, "main"):
            return self.refuse(404, "RevisionNotFound")
        if name not in repository.files:
            return self.refuse(404, "EntryNotFound")
        content, commit = repository.files[name], repository.commit
        if not name.endswith(LARGE):
            return self.send_file(
                content, ETag=f'"{git_blob(content)}"', X_Repo_Commit=commit
            )
        start = (
            REFUSES
            if self.hub.fault == "refuse"
            else f"{STORAGE}:{self.hub.server.server_port}/"
        )
        self.answer(
            302,
            ETag=f'"{git_blob(content)}"',
            X_Linked_Etag=f'"{sha256(content)}"',
            X_Linked_Size=str(len(content)),
            X_Repo_Commit=commit,
            Location=f"{start}blob/{sha256(content)}",
        )

    def blob(self, path: str) -> None:
        for content in (c for r in self.hub.repositories for c in r.files.values()):
            if (digest := sha256(content)) == path.removeprefix("/blob/"):
                if self.hub.fault == "damage":
                    content = content[:-1] + bytes([content[-1] ^ 1])
                return self.send_file(content, self.hub.fault, ETag=f'"{digest}"')
        self.refuse(404)

    def send_file(self, content: bytes, fault=None, **headers: str) -> None:
        """The whole, or the range asked for; cut off, half of a file arrives at first, and afterwards nothing more."""
        start = int(
            (self.headers.get("Range") or "bytes=0-")
            .removeprefix("bytes=")
            .split("-")[0]
        )
        if fault == "restart":
            start = 0
        headers["Content_Length"] = str(len(content) - start)
        if start:
            headers["Content_Range"] = (
                f"bytes {start}-{len(content) - 1}/{len(content)}"
            )
        body = content[start:]
        if fault in ("cut", "restart"):
            body, self.close_connection = (
                content[start : max(start, len(content) // 2)],
                True,
            )
        self.answer(206 if start else 200, body, **headers)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
