"""A thousand spoiled files: an answer that makes sense or one clear line, in bounded memory, and nothing is touched."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hostile_files import sound, spoiled

from numgeom import ModelSpec, NumberSet, NumgeomError, Representation, SourceError, TokenizerError
from numgeom_plugins.sources.architecture import parameter_names
from numgeom_plugins.sources.checkpoint import read_checkpoint
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder

CASES = 1000
MEGABYTES = 256
SECONDS = 20.0  # for one file, on a busy machine


@cache
def answers(folder: Path, seed: int = 20260101) -> list[dict[str, Any]]:
    """What became of every file; the sound ones come first."""
    rng = random.Random(seed)
    seeds = sound(folder)
    asked: list[str] = []

    def write(kind: str, case: str, files: dict[str, bytes]) -> None:
        (folder / case).mkdir()
        for name, content in files.items():
            (folder / case / name).write_bytes(content)
        asked.append(f"{kind} {case}")

    for place, (name, (kind, files, _, _)) in enumerate(seeds.items(), start=1):
        write(kind, f"{'last_sound' if place == len(seeds) else 'sound'}_{name}", files)
    for name, (kind, files, targets, times) in seeds.items():
        for turn in range(times):
            target = rng.choice(targets)
            write(kind, f"{name}_{turn}", {**files, target: spoiled(files[target], rng)})
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_ARENA_MAX": "1",
        "NUMGEOM_CACHE": str(folder / "cache"),
    }
    worker = Path(__file__).with_name("hostile_worker.py")
    done = subprocess.run(
        [sys.executable, str(worker), str(folder), str(MEGABYTES)],
        input="\n".join(asked) + "\n",
        capture_output=True,
        text=True,
        env=environment,
        timeout=570,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"it died after {found[-1] if found else 'nothing'}: {done.stderr[-2000:]}"
    assert len(found) == len(asked)
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    if sys.platform != "linux":
        pytest.skip("the bound on memory is set by RLIMIT_AS, and counted in /proc")
    pytest.importorskip("gguf", reason="GGUF files are written with the gguf package")
    return answers(tmp_path_factory.mktemp("hostile"))


def hostile(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [answer for answer in results if "sound_" not in answer["case"]]


def test_the_sound_files_are_read(results: list[dict[str, Any]]) -> None:
    assert [answer for answer in results if "sound_" in answer["case"] and answer["status"] != "read"] == []


def test_every_spoiled_file_ends_in_an_answer_or_one_clear_line(results: list[dict[str, Any]]) -> None:
    spoilt = hostile(results)
    assert len(spoilt) >= CASES
    assert [answer for answer in spoilt if answer["status"] not in ("read", "refused")] == []
    counts = collections.Counter((answer["kind"], answer["status"]) for answer in spoilt)
    # The faults are of both kinds in every format: some break the file, some only its values.
    assert all(counts[kind, "refused"] > 10 for kind in ("checkpoint", "gguf", "tokenizer", "rows", "vectors")), counts
    assert all(counts[kind, "read"] > 2 for kind in ("checkpoint", "gguf", "tokenizer", "rows", "vectors")), counts


def test_what_is_read_is_what_the_library_of_the_format_reads(results: list[dict[str, Any]]) -> None:
    compared = collections.Counter(answer["kind"] for answer in hostile(results) if answer.get("compared"))
    assert compared["checkpoint"] > 50, compared
    assert compared["gguf"] > 10, compared


def test_nothing_is_written_and_nothing_is_started(results: list[dict[str, Any]]) -> None:
    assert [answer for answer in hostile(results) if answer["touched"]] == []


def test_no_spoiled_file_takes_long(results: list[dict[str, Any]]) -> None:
    assert [answer for answer in hostile(results) if answer["seconds"] > SECONDS] == []


# ---------------------------------------------------------------- files that are not what they are called


def checkpoint(folder: Path) -> Path:
    _, files, _, _ = sound(folder)["safetensors"]
    (folder / "m").mkdir()
    for name, content in files.items():
        (folder / "m" / name).write_bytes(content)
    return folder / "m"


def read(folder: Path) -> Representation:
    return read_checkpoint(
        ModelSpec(name="m", source="checkpoint", id=str(folder)), NumberSet.parse("0..9"), read="input"
    )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    folder = checkpoint(tmp_path)
    (folder / name).rename(tmp_path / "secret")
    for target in (tmp_path / "secret", Path("..") / "secret"):
        (folder / name).symlink_to(target)
        with pytest.raises(NumgeomError, match="out of its folder, which a checkpoint may not have") as caught:
            read(folder)
        assert "\n" not in str(caught.value)
        (folder / name).unlink()


def test_links_within_the_folder_and_a_linked_folder_are_followed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    (tmp_path / "link").symlink_to(folder)
    assert read(tmp_path / "link").n == 10


def test_the_links_of_the_hubs_cache_are_followed_and_no_others(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "blobs").mkdir()
    folder = checkpoint(tmp_path).rename(repository / "snapshots" / "0123abcd")
    for file in list(folder.iterdir()):
        file.rename(repository / "blobs" / file.name)
        file.symlink_to(Path("../../blobs") / file.name)
    assert read(folder).n == 10
    (folder / "model.safetensors").unlink()
    (repository / "blobs" / "model.safetensors").rename(tmp_path / "secret")
    (folder / "model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(NumgeomError, match="out of its folder"):
        read(folder)


@pytest.mark.parametrize("shard", ["../secret", "/etc/passwd", "..", "", "a\x00b", "x" * 5000, "a\nb", "\ud800", 7])
def test_an_index_may_name_only_files_of_its_folder(tmp_path: Path, shard: Any) -> None:
    folder = checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"model.embed_tokens.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SourceError, match="only file names without folders are allowed") as caught:
        read(folder)
    assert str(caught.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(TokenizerError, match="is no regular file"):
        read(folder)


def test_a_config_of_a_billion_layers_is_not_built(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2**31}))
    began = time.perf_counter()
    assert parameter_names(CheckpointFolder(folder), "input") == []
    assert time.perf_counter() - began < SECONDS
    (folder / "config.json").write_text(json.dumps(config))
    assert parameter_names(CheckpointFolder(folder), "input") == ["model.embed_tokens.weight"]
