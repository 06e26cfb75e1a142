"""Rows of PyTorch files: what torch wrote comes back bit for bit, only rows are read, and no pickle ever runs code."""

from __future__ import annotations

import collections
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom_plugins.sources.checkpoint import read_checkpoint
from numgeom_plugins.sources.pickled_rows import PickledFile, read_rows

torch = pytest.importorskip("torch", reason="numgeom's own dependency")
NUMBERS = NumberSet.parse("0..99")


def message(call: Callable[[], object]) -> str:
    """The message of an expected error; every one is a single line."""
    with pytest.raises(SourceError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_tokenizer(folder: Path) -> list[int]:
    """A word-level tokenizer.json in which the integers 0..99 are tokens; returns their ids."""
    from tokenizers import Tokenizer, models

    vocabulary = {"<unk>": 0, **{str(n): 40 + n for n in range(100)}}
    Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    return [40 + n for n in range(100)]


def folder_rows(folder: Path, read: str = "input") -> Representation:
    return read_checkpoint(ModelSpec(name="m", source="checkpoint", id=str(folder)), NUMBERS, read=read)


# ---------------------------------------------------------------- the same values


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int64"])
def test_rows_are_what_torch_saved(tmp_path: Path, dtype: str) -> None:
    matrix = (torch.randn(50, 7, generator=torch.manual_seed(0)) * 100).to(getattr(torch, dtype))
    torch.save({"a": matrix, "b": torch.nn.Parameter(matrix.float())}, tmp_path / "x.bin")
    file = PickledFile(tmp_path / "x.bin")
    wanted = [49, 0, 3, 3]
    expected = (matrix.float() if dtype == "bfloat16" else matrix)[wanted].numpy()
    np.testing.assert_array_equal(file.read_rows("a", wanted), expected)
    assert file.read_rows("a", wanted).dtype == expected.dtype
    np.testing.assert_array_equal(read_rows(tmp_path / "x.bin", "b", wanted), matrix.float()[wanted].numpy())
    np.testing.assert_array_equal(file.read("b"), matrix.float().numpy())


def test_names_shapes_and_types_are_listed_as_safetensors_calls_them(tmp_path: Path) -> None:
    state = collections.OrderedDict(w=torch.zeros(4, 2).bfloat16(), n=torch.arange(3), e=torch.zeros(0, 2))
    torch.save({"state_dict": state, "epoch": 3, "history": [1.5, None]}, tmp_path / "x.pt")
    tensors = PickledFile(tmp_path / "x.pt").tensors
    assert {name: (info.dtype, info.shape) for name, info in tensors.items()} == {
        "state_dict.w": ("BF16", (4, 2)),
        "state_dict.n": ("I64", (3,)),
        "state_dict.e": ("F32", (0, 2)),
    }
    assert [info.is_table for info in tensors.values()] == [True, False, False]


def test_transposed_and_shared_tensors_keep_their_values(tmp_path: Path) -> None:
    matrix = torch.arange(12.0).reshape(4, 3)
    torch.save({"w": matrix, "tied": matrix, "t": matrix.t()}, tmp_path / "x.bin")
    file = PickledFile(tmp_path / "x.bin")
    np.testing.assert_array_equal(file.read_rows("t", [2]), [[2, 5, 8, 11]])
    np.testing.assert_array_equal(file.read_rows("tied", [0]), file.read_rows("w", [0]))


@pytest.mark.parametrize("sharded", [False, True])
def test_a_checkpoint_of_pickles_gives_the_rows_of_its_safetensors_twin(tmp_path: Path, sharded: bool) -> None:
    import transformers

    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=160,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=False,
    )
    net = transformers.LlamaForCausalLM(config)
    config.save_pretrained(tmp_path)
    ids = write_tokenizer(tmp_path)
    state = net.state_dict()
    if sharded:
        names = list(state)
        shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
        for shard, held in shards.items():
            torch.save({name: state[name] for name in held}, tmp_path / shard)
        index = {"metadata": {}, "weight_map": {name: shard for shard, held in shards.items() for name in held}}
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    else:
        torch.save(state, tmp_path / "pytorch_model.bin")
    for read, weight in (("input", net.get_input_embeddings().weight), ("output", net.lm_head.weight)):
        np.testing.assert_array_equal(folder_rows(tmp_path, read).matrix, weight.detach()[ids].numpy())


BIG = """
import resource, sys
from pathlib import Path
import torch
from numgeom_plugins.sources.pickled_rows import PickledFile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = PickledFile(Path(sys.argv[1])).read_rows("wte.weight", [0, 50_000, 99_999])
print(rows[:, 0].tolist(), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_only_the_wanted_rows_come_into_memory(tmp_path: Path) -> None:
    matrix = torch.zeros(100_000, 1024, dtype=torch.bfloat16)  # 205 MB
    matrix[50_000, 0], matrix[99_999, 0] = 3, 5
    torch.save({"wte.weight": matrix}, tmp_path / "x.bin")
    done = subprocess.run([sys.executable, "-c", BIG, str(tmp_path / "x.bin")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    values, megabytes = done.stdout.rsplit(None, 1)
    assert values == "[0.0, 3.0, 5.0]"
    assert int(megabytes) < 30


# ---------------------------------------------------------------- code in pickles


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def test_a_pickle_with_code_is_refused_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"w": torch.ones(2, 2), "x": Trap(mark)}, tmp_path / "zip.bin")
    torch.save({"w": torch.ones(2, 2), "x": Trap(mark)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.bin").write_bytes(pickle.dumps(Trap(mark)))
    said = message(lambda: PickledFile(tmp_path / "zip.bin"))
    assert "its pickle names 'posix.mkdir'" in said or "'nt.mkdir'" in said
    assert "pickles can run code" in said
    assert said.endswith("save_pretrained(NEW) writes model.safetensors.")
    for name in ("old.bin", "plain.bin"):
        assert "not a whole zip archive as torch.save writes it" in message(
            lambda name=name: PickledFile(tmp_path / name)
        )
    assert not mark.exists()
    pickle.loads((tmp_path / "plain.bin").read_bytes())  # the trap is one
    assert mark.exists()


def test_a_checkpoint_folder_with_a_trap_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    torch.save({"wte.weight": torch.ones(160, 4), "x": Trap(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    assert "pickles can run code" in message(lambda: folder_rows(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("held", [bytearray(3), {1, 2}, 1j, b"bytes", torch.zeros(2, dtype=torch.uint16)])
def test_what_is_no_plain_tensor_is_refused(tmp_path: Path, held: object) -> None:
    # A bytearray or an untyped storage could be of any size, so a few bytes of pickle could fill the memory.
    torch.save({"w": torch.ones(2, 2), "x": held}, tmp_path / "x.bin")
    assert "no part of a plain tensor" in message(lambda: PickledFile(tmp_path / "x.bin"))


def test_a_whole_model_and_torchscript_are_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.bin")
    assert "its pickle names 'torch.nn.modules.linear.Linear'" in message(lambda: PickledFile(tmp_path / "model.bin"))
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"script/{name}", b"\x80\x02}.")
    assert "TorchScript, a program" in message(lambda: PickledFile(tmp_path / "script.pt"))


# ---------------------------------------------------------------- lies and damage


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], compress: int = zipfile.ZIP_STORED) -> Path:
    """A copy of an archive in which ``change`` has replaced or dropped records."""
    out = path.with_name("changed.bin")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", compress) as new:
        for record in old.infolist():
            content = change(record.filename.partition("/")[2], old.read(record))
            if content is not None:
                new.writestr(record.filename, content)
    return out


def test_a_storage_must_have_the_size_that_the_pickle_says(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(8, 4), "b": torch.ones(100)}, tmp_path / "x.bin")

    def fault(change: Callable[[str, bytes], bytes | None], **options: Any) -> str:
        return message(lambda: PickledFile(rewritten(tmp_path / "x.bin", change, **options)))

    assert "its storage '0' should have 128 bytes, but has 64" in fault(
        lambda name, raw: raw[:64] if name == "data/0" else raw
    )
    assert "its storage '1' should have 400 bytes, but is not there" in fault(
        lambda name, raw: None if name == "data/1" else raw
    )
    # 32 values become 33: the next record's bytes would be read as ours.
    assert "its storage '0' should have 132 bytes" in fault(
        lambda name, raw: raw.replace(b"K\x20t", b"K\x21t", 1) if name == "data.pkl" else raw
    )
    assert "is compressed" in fault(lambda name, raw: raw, compress=zipfile.ZIP_DEFLATED)
    assert "no archive of tensors" in fault(lambda name, raw: None if name == "data.pkl" else raw)
    assert "big-endian" in fault(lambda name, raw: b"big" if name == "byteorder" else raw)
    assert "of protocol 4" in fault(lambda name, raw: pickle.dumps({}, 4) if name == "data.pkl" else raw)
    assert "it holds a list, no mapping" in fault(lambda name, raw: b"\x80\x02]." if name == "data.pkl" else raw)


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3, 5)}, tmp_path / "x.bin")
    for old, new in ((b"K\x03K\x05\x86", b"K\x7fK\x05\x86"), (b"K\x00K\x03", b"K\x09K\x03")):
        path = rewritten(
            tmp_path / "x.bin", lambda name, raw, old=old, new=new: raw.replace(old, new) if name == "data.pkl" else raw
        )
        assert "torch cannot read it" in message(lambda path=path: PickledFile(path))
    torch.save({"w": torch.ones(1, 1).expand(10**6, 10**6)}, tmp_path / "x.bin")
    assert "of shape (1000000, 1000000) is larger than its data" in message(lambda: PickledFile(tmp_path / "x.bin"))


def test_rows_and_tensors_that_are_not_there(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3, 5), "b": torch.ones(4)}, tmp_path / "x.bin")
    file = PickledFile(tmp_path / "x.bin")
    assert "has no tensor 'y'; it holds: b, w" in message(lambda: file.read_rows("y", [0]))
    assert "row 3 is not in tensor 'w'" in message(lambda: file.read_rows("w", [0, 3]))
    assert "row -1 is not in tensor 'w'" in message(lambda: file.read_rows("w", [-1]))
    assert "rows need a matrix" in message(lambda: file.read_rows("b", [0]))
    assert "No such file" in message(lambda: PickledFile(tmp_path / "none.bin"))


def test_an_old_torch_is_told_to_be_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.ones(3, 5)}, tmp_path / "x.bin")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert "pip install -U 'torch>=2.6'" in message(lambda: PickledFile(tmp_path / "x.bin"))
