"""Models on a hub: a server on the loopback speaks the hub's protocol with the real huggingface_hub client."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from safetensors.numpy import save

from numgeom import ModelSpec, NumberSet, NumgeomError, Representation, SourceError, TokenizerError
from numgeom_plugins.sources.hub import hub_fingerprint, load_tokenizer, open_snapshot, read_hub

ROWS, WIDTH = 160, 8


@dataclass
class Repository:
    """Commits of one repository; the last is ``main``."""

    commits: dict[str, dict[str, bytes]]
    refusal: tuple[int, str] | None = None  # status and X-Error-Code of every file
    token: str = ""  # without it: private
    pushed: dict[str, dict[str, bytes]] = field(default_factory=dict)  # arrives just after the first listing

    def resolve(self, revision: str) -> str | None:
        return list(self.commits)[-1] if revision == "main" else revision if revision in self.commits else None


@dataclass
class Hub:
    """The server's content, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    down: bool = False
    url: str = ""

    def files_sent(self) -> list[str]:
        return [path.rsplit("/", 1)[-1] for method, path, _ in self.asked if method == "GET" and "/api/" not in path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def do_GET(self) -> None:
        self.answer(send=True)

    def answer(self, send: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers.get("authorization", "")
        self.hub.asked.append((self.command, path, authorization))
        if self.hub.down:
            return self.reply(send, 503)
        if match := re.fullmatch(r"/cdn/([0-9a-f]+)/.*", path):
            return self.reply(send, 200, self.blob(match[1]))
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or resolve
        repository = self.hub.repositories.get(match[1]) if match else None
        if match is None or repository is None or (repository.token and repository.token not in authorization):
            return self.reply(send, 401, code="RepoNotFound")
        if (resolve or repository.token) and repository.refusal:
            return self.reply(send, repository.refusal[0], code=repository.refusal[1])
        commit = repository.resolve(match[2])
        if commit is None:
            return self.reply(send, 404, code="RevisionNotFound")
        files = repository.commits[commit]
        if api:
            listing = {"id": match[1], "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            repository.commits.update(repository.pushed)
            return self.reply(send, 200, json.dumps(listing).encode(), kind="application/json")
        if match[3] not in files:
            return self.reply(send, 404, code="EntryNotFound", commit=commit)
        content = files[match[3]]
        etag = hashlib.sha256(content).hexdigest()
        if match[3].endswith(".safetensors"):
            # Large files are redirected to another host, as the hub does for LFS.
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{urlsplit(self.hub.url).port}/cdn/{etag}/{match[3]}")
            self.send_header("X-Linked-Etag", f'"{etag}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self.reply(send, 200, content, commit=commit, etag=etag)

    def blob(self, digest: str) -> bytes:
        contents = [
            content
            for repository in self.hub.repositories.values()
            for files in repository.commits.values()
            for content in files.values()
        ]
        return next(content for content in contents if hashlib.sha256(content).hexdigest() == digest)

    def reply(
        self,
        send: bool,
        status: int,
        content: bytes = b"",
        *,
        code: str = "",
        commit: str = "",
        etag: str = "",
        kind: str = "",
    ) -> None:
        self.send_response(status)
        optional = {"X-Error-Code": code, "X-Repo-Commit": commit, "ETag": etag and f'"{etag}"', "Content-Type": kind}
        for name, value in {**optional, "Content-Length": str(len(content))}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(content)


def table(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32)


def tokenizer_json() -> bytes:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<unk>": 0, **{str(n): n + 1 for n in range(100)}, **{f"w{chr(97 + i)}": 101 + i for i in range(26)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(tokenizer.to_str()).encode()


def files(seed: int = 0) -> dict[str, bytes]:
    """One repository with a single weight file."""
    return {
        "config.json": json.dumps({"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": True}).encode(),
        "tokenizer.json": tokenizer_json(),
        "model.safetensors": save({"wte.weight": table(seed)}),
        "README.md": b"# A model",
    }


def sharded() -> dict[str, bytes]:
    """One repository in three shards: embedding, layers, head."""
    shards = {
        "model-00001-of-00003.safetensors": {"model.embed_tokens.weight": table(1)},
        "model-00002-of-00003.safetensors": {"model.layers.0.mlp.weight": np.zeros((3000, WIDTH), np.float32)},
        "model-00003-of-00003.safetensors": {"lm_head.weight": table(2)},
    }
    index = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    rest = files()
    del rest["model.safetensors"]
    config = {"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": False}
    return {
        **rest,
        "config.json": json.dumps(config).encode(),
        "model.safetensors.index.json": json.dumps({"weight_map": index}).encode(),
        "pytorch_model.bin": b"never fetched",
        **{name: save(tensors) for name, tensors in shards.items()},
    }


def commit(digit: str) -> str:
    return digit * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on the loopback, with the client of this process turned to it and an empty cache."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": Hub()}))
    store: Hub = server.RequestHandlerClass.hub  # type: ignore[attr-defined]
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", store.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", store.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield store
    server.shutdown()
    thread.join()
    server.server_close()


def spec(name: str = "org/model", revision: str = "") -> ModelSpec:
    return ModelSpec(name="m", source="hf", id=name, revision=revision)


def read(model: ModelSpec | None = None, source: str = "input") -> Representation:
    return read_hub(model or spec(), NumberSet.parse("0..99"), read=source)


def message(call: Callable[[], object], error: type[NumgeomError] = SourceError) -> str:
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_rows_come_over_the_hub(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): files()})
    rep = read()
    np.testing.assert_array_equal(rep.matrix, table(0)[1:101])
    assert rep.provenance["revision"] == commit("a")
    assert rep.provenance["repository"] == "org/model"
    assert "README.md" not in hub.files_sent()


def test_only_the_shard_with_the_embedding_is_fetched(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): sharded()})
    np.testing.assert_array_equal(read().matrix, table(1)[1:101])
    weights = [name for name in hub.files_sent() if name.endswith((".safetensors", ".bin"))]
    assert set(weights) == {"model-00001-of-00003.safetensors"}
    np.testing.assert_array_equal(read(source="output").matrix, table(2)[1:101])
    assert "model-00002-of-00003.safetensors" not in hub.files_sent()


def test_a_second_reading_fetches_no_file_again(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): sharded()})
    read()
    hub.asked.clear()
    read()
    assert hub.files_sent() == []


def test_the_tokenizer_alone_fetches_no_weights(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): {**files(), "vocab.json": b"{}", "merges.txt": b""}})
    assert load_tokenizer(spec()).encode_number(7) == (8,)
    assert set(hub.files_sent()) <= {"config.json", "tokenizer.json", "vocab.json"}


def test_revisions_are_kept_apart(hub: Hub) -> None:
    old, new = commit("a"), commit("b")
    hub.repositories["org/model"] = Repository({old: files(5), new: files(6)})
    np.testing.assert_array_equal(read().matrix, table(6)[1:101])
    np.testing.assert_array_equal(read(spec(revision=old)).matrix, table(5)[1:101])
    assert hub_fingerprint(spec()) == hub_fingerprint(spec(revision=new)) != hub_fingerprint(spec(revision=old))


def test_a_moved_branch_is_followed(hub: Hub) -> None:
    repository = hub.repositories["org/model"] = Repository({commit("a"): files(5)})
    before = hub_fingerprint(spec())
    read()
    repository.commits[commit("b")] = files(6)
    np.testing.assert_array_equal(read().matrix, table(6)[1:101])
    assert hub_fingerprint(spec()) != before


def test_a_branch_that_moves_between_two_requests_gives_one_commit(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): files(5)}, pushed={commit("b"): sharded()})
    rep = read()
    # All of the new commit: nothing of the old one's listing, which had a single weight file.
    assert rep.provenance["revision"] == commit("b")
    np.testing.assert_array_equal(rep.matrix, table(1)[1:101])


@pytest.mark.parametrize("how", ["offline", "unreachable", "down"])
def test_what_was_read_once_is_read_without_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from huggingface_hub import constants

    hub.repositories["org/model"] = Repository({commit("a"): sharded()})
    online = read()
    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "unreachable":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    else:
        hub.down = True
    assert read().digest == online.digest
    assert read().provenance["revision"] == commit("a")
    assert load_tokenizer(spec()).encode_number(7) == (8,)
    assert hub_fingerprint(spec()) == hub_fingerprint(spec(revision=commit("a")))
    said = message(lambda: read(source="output"))
    assert "model-00003-of-00003.safetensors of org/model@main is not in the cache" in said
    assert "cannot be reached" in said
    assert "org/other@main is not in the cache" in message(lambda: read(spec("org/other")))


def test_the_environment_is_honoured(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["org/private"] = Repository({commit("a"): files(3)}, token="hf_secret")
    code = (
        "from numgeom import ModelSpec, NumberSet; from numgeom_plugins.sources.hub import read_hub;"
        "model = ModelSpec(name='m', source='hf', id='org/private');"
        "print(read_hub(model, NumberSet.parse('0..99'), read='input').digest)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    base = {**clean, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1,localhost"}
    online = {**base, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret"}
    offline = {**base, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "1"}

    def run(env: dict[str, str]) -> str:
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    first = run(online)
    assert (tmp_path / "home" / "hub" / "models--org--private").is_dir()
    # The token is for the hub alone, not for the host that it redirects to.
    assert {authorization for _, path, authorization in hub.asked if "/api/models/" in path} == {"Bearer hf_secret"}
    assert {authorization for _, path, authorization in hub.asked if "/cdn/" in path} == {""}
    hub.asked.clear()
    assert run(offline) == first
    assert hub.asked == []


def test_refusals_say_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {commit("a"): files()}
    hub.repositories["org/model"] = Repository(here)
    hub.repositories["org/gated"] = Repository(here, refusal=(403, "GatedRepo"))
    hub.repositories["org/gated401"] = Repository(here, refusal=(401, "GatedRepo"))
    hub.repositories["org/closed"] = Repository(here, refusal=(403, ""))
    hub.repositories["org/private"] = Repository(here, token="hf_secret")
    said = message(lambda: read(spec("org/none")))
    assert "org/none is not on the hub, or it is private; check the spelling, or set HF_TOKEN" in said
    assert "org/private is not on the hub, or it is private" in message(lambda: read(spec("org/private")))
    assert "org/model has no revision 'v9'; write a branch, tag or commit after @" in message(
        lambda: read(spec(revision="v9"))
    )
    for name in ("org/gated", "org/gated401"):
        said = message(lambda name=name: read(spec(name)))  # type: ignore[misc]
        assert f"{name} is gated: accept its terms" in said
        assert "set HF_TOKEN" in said
    assert "does not let you read org/closed (403)" in message(lambda: read(spec("org/closed")))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    np.testing.assert_array_equal(read(spec("org/private")).matrix, table(0)[1:101])


@pytest.mark.parametrize(
    "name", ["gpt2", "../etc", "a/b/c", "/etc/passwd", "org/..", "org/model/", "org\\model", "org/a..b", ""]
)
def test_a_model_id_is_not_a_path(hub: Hub, name: str) -> None:
    assert "is not a repository of the hub; write hf:ORG/NAME" in message(lambda: read(spec(name)))
    assert hub.asked == []


@pytest.mark.parametrize("revision", ["../../x", "/abs", "a//b", "refs/../../x", "a b", "v1..v2"])
def test_a_revision_is_not_a_path(hub: Hub, revision: str) -> None:
    assert "is not a revision of org/model" in message(lambda: read(spec(revision=revision)))
    assert hub.asked == []


def test_repositories_without_what_is_needed(hub: Hub) -> None:
    whole = files()
    bare = {name: content for name, content in whole.items() if name != "tokenizer.json"}
    pickled = {**bare, "tokenizer.json": whole["tokenizer.json"], "pytorch_model.bin": b"\x80"}
    del pickled["model.safetensors"]
    hub.repositories["org/pickled"] = Repository({commit("a"): pickled})
    hub.repositories["org/mute"] = Repository({commit("a"): bare})
    hub.repositories["org/empty"] = Repository({commit("a"): {}})
    said = message(lambda: read(spec("org/pickled")))
    assert "org/pickled@aaaaaaaaaaaa holds its weights as pickles only (pytorch_model.bin)" in said
    assert "tokenizer" in message(lambda: read(spec("org/mute")), TokenizerError)
    assert "holds no files" in message(lambda: read(spec("org/empty")))


def test_an_index_that_names_a_shard_that_is_not_there(hub: Hub) -> None:
    held = sharded()
    del held["model-00001-of-00003.safetensors"]
    hub.repositories["org/model"] = Repository({commit("a"): held})
    assert "has no file model-00001-of-00003.safetensors" in message(read)


def test_an_endpoint_that_is_no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "answer", lambda self, send: self.reply(send, 200, b"<html>please log in</html>"))
    said = message(read)
    assert "what answers for org/model is no hub" in said
    assert "HF_ENDPOINT" in said


def test_a_snapshot_knows_its_commit(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): files()})
    snapshot = open_snapshot(spec())
    assert (snapshot.commit, snapshot.folder.name) == (commit("a"), commit("a"))
    assert "model.safetensors" in snapshot.files
