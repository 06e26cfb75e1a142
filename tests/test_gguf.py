"""GGUF files: rows equal the gguf package's dequantisation, only they are read, and faults are one line."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgeom import Incompatible, MeasurementWarning, ModelSpec, NumberSet, NumgeomError, Representation, SourceError
from numgeom.testing import run_checks
from numgeom_plugins.sources import numgeom_sources
from numgeom_plugins.sources.gguf import gguf_fingerprint, read_gguf
from numgeom_plugins.sources.gguf_file import GgufFile

gguf = pytest.importorskip("gguf", reason="rows of GGUF files need the gguf package")

VOCABULARY, WIDTH = 160, 512
FIRST = 40  # id of the number 0
DIGITS = NumberSet.parse("0..99")
WORDS = ["[UNK]", *(f"▁w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(1, VOCABULARY))]
TOKENS = [f"▁{place - FIRST}" if FIRST <= place < FIRST + 100 else word for place, word in enumerate(WORDS)]
QUANTISED = ("Q8_0", "Q4_0", "Q5_1", "BF16", "F16", "F32")
BLOCKS_ONLY = ("Q4_K", "Q6_K", "Q5_K", "Q3_K", "Q2_K", "IQ4_XS")


def model(path: Path) -> ModelSpec:
    return ModelSpec(name="m", source="gguf", id=str(path))


def read(path: Path, what: str = "input", numbers: NumberSet = DIGITS) -> Representation:
    return read_gguf(model(path), numbers, read=what)


def table(seed: int = 0, rows: int = VOCABULARY) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((rows, WIDTH)).astype(np.float32)


def stored(dtype: str, seed: int = 0, rows: int = VOCABULARY) -> np.ndarray[Any, Any]:
    """A table as the type stores it: quantised where the package can, else valid blocks of random codes."""
    kind = gguf.GGMLQuantizationType[dtype]
    if dtype not in BLOCKS_ONLY:
        held = gguf.quants.quantize(table(seed, rows), kind)
        return held if dtype in ("F32", "F16") else held.view(np.uint8)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    codes = np.random.default_rng(seed).integers(0, 256, (rows, WIDTH // block, size), dtype=np.uint8)
    # A half-precision scale stands at the beginning or the end of a block; random bits there could be infinite.
    scales = np.array([0.01, 0.02], np.float16).view(np.uint8)
    codes[..., :4] = scales
    codes[..., -4:] = scales
    return codes.reshape(rows, -1)


def write(
    path: Path, tensors: dict[str, tuple[np.ndarray[Any, Any], str]], tokens: Sequence[str] = TOKENS, **values: Any
) -> Path:
    writer = gguf.GGUFWriter(path, values.pop("arch", "llama"))
    if tokens:
        writer.add_tokenizer_model("bert")
        writer.add_token_list(list(tokens))
    for key, value in values.items():
        writer.add_uint32(key.replace("_", "."), value)
    for name, (held, dtype) in tensors.items():
        raw = None if dtype in ("F32", "F16") else gguf.GGMLQuantizationType[dtype]
        writer.add_tensor(name, held, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def message(call: Callable[[], object], error: type[NumgeomError] = SourceError) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        with pytest.raises(error) as caught:
            call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- the same values as the package


@pytest.mark.parametrize("dtype", QUANTISED + BLOCKS_ONLY)
def test_rows_equal_the_packages_dequantisation(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (stored(dtype), dtype)})
    tensor = gguf.GGUFReader(path).tensors[0]
    whole = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    rep = read(path)
    assert np.isfinite(whole).all()
    assert len(np.unique(whole)) > 50
    np.testing.assert_array_equal(rep.matrix, whole[FIRST : FIRST + 100])
    assert rep.token_ids is not None
    assert rep.token_ids.tolist() == list(range(FIRST, FIRST + 100))
    assert (rep.provenance["dtype"], rep.provenance["files"]) == (dtype, ["m.gguf"])
    assert (f"rows dequantised from {dtype}" in rep.provenance["notes"]) == (dtype not in ("F32", "F16", "BF16"))
    assert rep.random_rows is not None
    np.testing.assert_array_equal(rep.random_rows, whole[rep.provenance["random_token_ids"]])
    assert not set(rep.provenance["random_token_ids"]) & {0, *range(FIRST, FIRST + 100)}


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    file = GgufFile(write(tmp_path / "m.gguf", {"x": (table(), "F32")}))
    np.testing.assert_array_equal(file.read_rows("x", [159, 0, 3, 3]), table()[[159, 0, 3, 3]])
    assert file.read_rows("x", []).shape == (0, WIDTH)


def test_an_alignment_of_its_own_moves_the_tensors(tmp_path: Path) -> None:
    tensors = {"a": (table(1, 3), "F32"), "token_embd.weight": (stored("Q8_0"), "Q8_0")}
    plain = read(write(tmp_path / "a.gguf", tensors))
    writer = gguf.GGUFWriter(tmp_path / "b.gguf", "llama")
    writer.add_custom_alignment(256)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(TOKENS)
    for name, (held, dtype) in tensors.items():
        writer.add_tensor(name, held, raw_dtype=None if dtype == "F32" else gguf.GGMLQuantizationType[dtype])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    np.testing.assert_array_equal(read(tmp_path / "b.gguf").matrix, plain.matrix)


BIG = """
import resource, sys
from pathlib import Path
import numpy as np, gguf
from numgeom_plugins.sources.gguf_file import GgufFile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = GgufFile(Path(sys.argv[1])).read_rows("token_embd.weight", range(0, 128_000, 128))
print(rows.shape, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, "torch" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_a_thousand_rows_of_half_a_gigabyte_cost_their_own_memory(tmp_path: Path) -> None:
    shape, size = (128_000, 4096), 128_000 * 4096 // 32 * 34
    with open(tmp_path / "m.gguf", "wb") as file:
        name = b"token_embd.weight"
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name)
        file.write(struct.pack("<I2QIQ", 2, shape[1], shape[0], gguf.GGMLQuantizationType.Q8_0, 0))
        file.truncate(-(-file.tell() // 32) * 32 + size)  # sparse
    done = subprocess.run([sys.executable, "-c", BIG, str(tmp_path / "m.gguf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, megabytes, torch = done.stdout.rsplit(None, 2)
    assert (rows, torch) == ("(1000, 4096)", "False")
    assert int(megabytes) < 120  # 16 MB of floats, their blocks, and one page for each row


# ---------------------------------------------------------------- output, parts, cards


def test_an_output_of_its_own_is_a_second_source(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.gguf", {"token_embd.weight": (table(0), "F32"), "output.weight": (stored("Q8_0", 1), "Q8_0")}
    )
    np.testing.assert_allclose(read(path, "output").matrix, table(1)[FIRST : FIRST + 100], atol=0.02)
    assert read(path, "output").provenance["tied"] is False
    assert read(path).provenance["tied"] is False


def test_a_tied_output_is_refused_with_its_code(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (table(), "F32")})
    assert read(path).provenance["tied"] is True
    with pytest.warns(MeasurementWarning, match="W-TIED"), pytest.raises(Incompatible, match="not a second source"):
        read(path, "output")
    path = write(tmp_path / "copy.gguf", {"token_embd.weight": (table(), "F32"), "output.weight": (table(), "F32")})
    assert "bit for bit" in message(lambda: read(path, "output"), Incompatible)


def test_a_model_in_parts_is_read_from_the_part_that_holds_the_rows(tmp_path: Path) -> None:
    write(tmp_path / "m-00001-of-00002.gguf", {"token_embd.weight": (table(), "F32")})
    first = tmp_path / "m-00001-of-00002.gguf"
    assert "m-00002-of-00002.gguf is missing" in message(lambda: read(first, "output"))
    second = write(tmp_path / "m-00002-of-00002.gguf", {"output.weight": (table(1), "F32")}, tokens=())
    np.testing.assert_array_equal(read(first, "output").matrix, table(1)[FIRST : FIRST + 100])
    assert read(first, "output").provenance["files"] == ["m-00002-of-00002.gguf"]
    before = gguf_fingerprint(model(first))
    second.write_bytes(second.read_bytes() + b"\0")
    assert gguf_fingerprint(model(first)) != before


def test_gemmas_rows_are_said_to_be_scaled_by_the_model(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (table(), "F32")}, arch="gemma2")
    assert any("multiplies them by sqrt(d)" in note for note in read(path).provenance["notes"])


def test_one_vocabulary_has_one_digest_in_gguf_and_tokenizer_json(shared: Path, tmp_path: Path) -> None:
    from numgeom_plugins.sources.tokenizers import open_tokenizer, vocabulary_digest

    folder = shared / "data/tokenizers/starcoder"
    one, other = (open_tokenizer(folder / name) for name in ("ggml-vocab-starcoder.gguf", "tokenizer.json"))
    assert vocabulary_digest(one) == vocabulary_digest(other)


def test_the_card_passes_the_conformance_kit(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (table(), "F32"), "output.weight": (table(1), "F32")})
    card = next(card for card in numgeom_sources() if card.name == "gguf")
    report = run_checks(card, model=model(path))
    assert [result for result in report.results if result.status == "failed"] == []
    assert {"reads[input]", "reads[output]", "tokenizer", "fingerprint"} <= {result.check for result in report.results}


# ---------------------------------------------------------------- faults


def test_a_vocabulary_larger_than_the_table_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (table(0, 100), "F32")})
    assert "number 99 has token id 139, but token_embd.weight" in message(lambda: read(path))


def test_files_without_what_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"blk.0.attn_q.weight": (table(), "F32")})
    for what in ("input", "output"):
        assert "has no " in message(lambda what=what: read(path, what))
    path = write(tmp_path / "bare.gguf", {"token_embd.weight": (table(), "F32")}, tokens=())
    assert "holds no tokenizer" in message(lambda: read(path), NumgeomError)
    path = write(tmp_path / "i.gguf", {"token_embd.weight": (table().astype(np.int32), "I32")})
    assert "is of type I32, which the gguf package cannot turn into floats" in message(lambda: read(path))
    path = write(tmp_path / "n.gguf", {"token_embd.weight": (table(), "F32")})
    said = message(lambda: read(path, numbers=NumberSet.parse("1000..1010")))
    assert "no number of 1000..1010 is one token of m: '1000' takes 1" in said


def head(*, version: int = 3, tensors: int = 1, pairs: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + rest


def text(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def tensor(name: bytes = b"x", shape: tuple[int, ...] = (32, 4), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


HEADERS: dict[str, tuple[bytes, str]] = {
    "no magic": (b"GGML" + bytes(40), "does not begin with GGUF"),
    "empty": (b"", "its header claims 4 bytes at byte 0, but the file has 0"),
    "version": (head(version=1), "it is of version 1"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "it is big-endian"),
    "a billion tensors": (head(tensors=10**12), "but the file has 24"),
    "a billion keys": (head(tensors=0, pairs=10**12), "but the file has 24"),
    "long key": (head(tensors=0, pairs=1, rest=struct.pack("<Q", 2**63)), "claims 9,223,372,036,854,775,808 bytes"),
    "long array": (
        head(tensors=0, pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 4, 2**61)),
        "claims 9,223,372,036,854,775,808 bytes",
    ),
    "many texts": (head(tensors=0, pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**61)), "claims 8 bytes"),
    "deep array": (
        head(tensors=0, pairs=1, rest=text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100),
        "of the unknown type 9",
    ),
    "unknown value": (head(tensors=0, pairs=1, rest=text(b"k") + struct.pack("<I", 77)), "of the unknown type 77"),
    "key twice": (
        head(tensors=0, pairs=2, rest=2 * (text(b"k") + struct.pack("<IB", 0, 1))),
        "holds the key 'k' twice",
    ),
    "key is no text": (head(tensors=0, pairs=1, rest=text(b"a\nb") + struct.pack("<IB", 0, 1)), "a key is 'a\\nb'"),
    "tensor twice": (head(tensors=2, rest=2 * tensor()), "holds the tensor 'x' twice"),
    "many dimensions": (head(rest=text(b"x") + struct.pack("<I", 2**31)), "claims 2,147,483,648 dimensions"),
    "odd alignment": (
        head(tensors=0, pairs=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 3)),
        "alignment 3 is not a power of two",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_false_header_is_refused_before_anything_is_allocated(tmp_path: Path, case: str) -> None:
    content, says = HEADERS[case]
    (tmp_path / "x.gguf").write_bytes(content)
    assert says in message(lambda: GgufFile(tmp_path / "x.gguf"))


def test_a_false_tensor_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"

    def fault(**entry: Any) -> str:
        content = head(rest=tensor(**entry))
        path.write_bytes(content + bytes(-len(content) % 32 + 512))
        return message(lambda: GgufFile(path).read_rows("x", [0]))

    assert "but the file has" in fault(shape=(32, 5))
    assert "but the file has" in fault(shape=(2**40, 2**40))
    assert "but the file has" in fault(offset=2**63)
    assert "has no whole Q8_0 blocks of 32" in fault(kind=8, shape=(33, 4))
    assert "is of type 9999, which this version of gguf does not know" in fault(kind=9999)
    assert "rows need a matrix" in fault(shape=(32,))
    assert "rows need a matrix" in fault(shape=(32, 0))
    assert "row 0" not in fault(shape=(32, 4, 1))


def test_a_header_beyond_the_bound_is_refused_unread(tmp_path: Path) -> None:
    with open(tmp_path / "x.gguf", "wb") as file:
        file.write(head(tensors=0, pairs=1, rest=struct.pack("<Q", 200_000_000)))
        file.truncate(300_000_000)
    assert "longer than the 32,000,000 bytes" in message(lambda: GgufFile(tmp_path / "x.gguf"))


def test_a_missing_file_and_a_cut_one(tmp_path: Path) -> None:
    assert "No such file" in message(lambda: read(tmp_path / "none.gguf"))
    path = write(tmp_path / "m.gguf", {"token_embd.weight": (table(), "F32")})
    path.write_bytes(path.read_bytes()[:-100])
    assert "claims bytes" in message(lambda: read(path))
    assert "row 160 is not in tensor" in message(
        lambda: GgufFile(write(path, {"x": (table(), "F32")})).read_rows("x", [160])
    )
