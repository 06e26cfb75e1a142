"""Checkpoint folders whose weights are PyTorch's: the same rows as from safetensors, and no code run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_repository import ROWS, WIDTH, files, message, table

from numgeom import ModelSpec, NumberSet, Representation
from numgeom_plugins.sources.checkpoint import read_checkpoint
from numgeom_plugins.sources.fingerprint import folder as fingerprint


def spec(folder: Path) -> ModelSpec:
    return ModelSpec(name="m", source="checkpoint", id=str(folder))


def read(folder: Path, source: str = "input") -> Representation:
    return read_checkpoint(spec(folder), NumberSet.parse("0..99"), read=source)


def write(folder: Path, shards: dict[str, dict[str, np.ndarray]]) -> None:
    config = {"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes(files()["tokenizer.json"])
    for name, tensors in shards.items():
        torch.save({key: torch.from_numpy(value.copy()) for key, value in tensors.items()}, folder / name)
    if len(shards) > 1:
        where = {tensor: name for name, tensors in shards.items() for tensor in tensors}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))


TENSORS = {"model.embed_tokens.weight": table(1), "lm_head.weight": table(2)}


@pytest.mark.parametrize("count", [1, 2])
def test_rows_of_pytorch_files_are_the_stored_rows(tmp_path: Path, count: int) -> None:
    if count == 1:
        write(tmp_path, {"pytorch_model.bin": TENSORS})
    else:
        parts = {f"pytorch_model-{i}.bin": {name: held} for i, (name, held) in enumerate(TENSORS.items())}
        write(tmp_path, parts)
    np.testing.assert_array_equal(read(tmp_path).matrix, table(1)[1:101])
    np.testing.assert_array_equal(read(tmp_path, "output").matrix, table(2)[1:101])
    assert read(tmp_path).provenance["files"] == [f"pytorch_model{'-0' if count == 2 else ''}.bin"]


def test_safetensors_come_before_pickles(tmp_path: Path) -> None:
    write(tmp_path, {"pytorch_model.bin": TENSORS})
    (tmp_path / "model.safetensors").write_bytes(files(5)["model.safetensors"])
    np.testing.assert_array_equal(read(tmp_path).matrix, table(5)[1:101])


def test_the_fingerprint_sees_pickles(tmp_path: Path) -> None:
    write(tmp_path, {"pytorch_model.bin": TENSORS})
    before = fingerprint(spec(tmp_path))
    write(tmp_path, {"pytorch_model.bin": {**TENSORS, "lm_head.weight": table(3)}})
    assert fingerprint(spec(tmp_path)) != before


def test_several_pickles_without_an_index_are_not_guessed_at(tmp_path: Path) -> None:
    write(tmp_path, {"pytorch_model-0.bin": TENSORS})
    torch.save({}, tmp_path / "optimizer.pt")
    assert "holds 2 pickles but neither pytorch_model.bin nor pytorch_model.bin.index.json" in message(
        lambda: read(tmp_path)
    )


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(__file__).with_name("never-there"),)  # type: ignore[return-value]


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    write(tmp_path, {"pytorch_model.bin": TENSORS})
    torch.save({"wte.weight": Evil()}, tmp_path / "pytorch_model.bin")
    assert "pickles can run code" in message(lambda: read(tmp_path))
    assert not Path(__file__).with_name("never-there").exists()
