"""Eight-bit floats: every value, every kind of scale, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_repository import message, tokenizer_json

from numgeom import ModelSpec, NumberSet, Representation
from numgeom_plugins.sources import fp8
from numgeom_plugins.sources.checkpoint import read_checkpoint

ROWS, WIDTH = 300, 260
TYPES = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}


@pytest.mark.parametrize("name", TYPES)
def test_all_256_values_are_those_of_torch(name: str) -> None:
    theirs = torch.arange(256, dtype=torch.uint8).view(TYPES[name]).float().numpy()
    np.testing.assert_array_equal(fp8.values(name), theirs)
    signs = np.signbit(fp8.values(name)) == np.signbit(theirs)
    assert signs[~np.isnan(theirs)].all()


def stored(name: str) -> torch.Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0)).to(TYPES[name])


def read(folder: Path, tensors: dict[str, torch.Tensor], **config: Any) -> Representation:
    import json

    save_file(tensors, folder / "model.safetensors")
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    (folder / "config.json").write_text(json.dumps({"vocab_size": 160, "hidden_size": WIDTH, **config}))
    model = ModelSpec(name="m", source="checkpoint", id=str(folder))
    return read_checkpoint(model, NumberSet.parse("0..99"), read="input")


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("kind", ["none", "number", "row", "column", "block"])
def test_rows_are_multiplied_by_their_scale(tmp_path: Path, name: str, kind: str) -> None:
    table = stored(name)
    scales = {
        "number": torch.tensor(0.37),
        "row": torch.rand(ROWS) + 0.5,
        "column": torch.rand(ROWS, 1) + 0.5,
        "block": torch.rand(5, 4) + 0.5,
    }
    tensors = {"model.embed_tokens.weight": table}
    wanted = table.float()
    if kind != "none":
        ending = "_scale_inv" if kind == "block" else "_scale"
        tensors[f"model.embed_tokens.weight{ending}"] = scales[kind]
        factor = scales[kind].reshape(-1, 1) if kind == "row" else scales[kind]
        if kind == "block":
            factor = factor.repeat_interleave(64, 0)[:ROWS].repeat_interleave(65, 1)[:, :WIDTH]
        wanted = wanted * factor
    rep = read(tmp_path, tensors, quantization_config={"weight_block_size": [64, 65]})
    np.testing.assert_array_equal(rep.matrix, wanted[1:101].numpy())
    said = " ".join(rep.provenance["notes"])
    assert ("without a scale" if kind == "none" else "rows multiplied by model.embed_tokens.weight_scale") in said


def test_a_scale_of_another_shape_is_refused_unread(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": stored("F8_E4M3"), "model.embed_tokens.weight_scale": torch.ones(7, 3)}
    said = message(lambda: read(tmp_path, tensors))
    assert "shape (7, 3): neither one number, nor one a row, nor one for each block of 128x128" in said
