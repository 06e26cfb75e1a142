"""Models on a hub: a server on the loopback speaks the hub's protocol with the real huggingface_hub client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_server import Hub, HubHandler, Repository, serving, turn_to
from small_repository import commit, files, message, sharded, table

from numgeom import ModelSpec, NumberSet, Representation, TokenizerError
from numgeom_plugins.sources.hub import hub_fingerprint, load_tokenizer, open_snapshot, read_hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on the loopback, with the client of this process turned to it and an empty cache."""
    with serving() as server:
        turn_to(server, tmp_path, monkeypatch)
        yield server


def spec(name: str = "org/model", revision: str = "") -> ModelSpec:
    return ModelSpec(name="m", source="hf", id=name, revision=revision)


def read(model: ModelSpec | None = None, source: str = "input") -> Representation:
    return read_hub(model or spec(), NumberSet.parse("0..99"), read=source)


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
    hub.forget()
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
        nowhere = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere)
    else:
        hub.down = True
    assert read().digest == online.digest
    assert read().provenance["revision"] == commit("a")
    assert load_tokenizer(spec()).encode_number(7) == (8,)
    assert hub_fingerprint(spec()) == hub_fingerprint(spec(revision=commit("a")))
    said = message(lambda: read(source="output"))
    assert "the rows of model-00003-of-00003.safetensors of org/model@aaaaaaaaaaaa are not in the cache" in said
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
    assert {one.authorization for one in hub.to("cdn")} == {""}
    hub.forget()
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
    monkeypatch.setattr(HubHandler, "serve", lambda self, send, path: self.reply(send, 200, b"<html>log in</html>"))
    said = message(read)
    assert "what answers for org/model is no hub" in said
    assert "HF_ENDPOINT" in said


def test_a_snapshot_knows_its_commit(hub: Hub) -> None:
    hub.repositories["org/model"] = Repository({commit("a"): files()})
    snapshot = open_snapshot(spec())
    assert (snapshot.commit, snapshot.folder.name) == (commit("a"), commit("a"))
    assert "model.safetensors" in snapshot.files
