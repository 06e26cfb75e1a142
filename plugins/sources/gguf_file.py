"""The header of a GGUF file, and rows of its tensors, read without loading the file.

The format: magic, version, counts, typed key-value pairs, one entry for each tensor (name, dimensions from the
fastest on, type, offset), padding, then the tensors. Whatever the header claims is checked against the size of
the file before anything is allocated, which the reader of the ``gguf`` package does not do; the package tells the
block sizes of the types and turns blocks into floats.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.safetensors_rows import TensorInfo

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_HEADER_BYTES = 32_000_000
MOST_DIMENSIONS = 4
ALIGNMENT = 32

_STRING, _ARRAY = 8, 9
_MOST_NESTED = 3
_NUMBERS: Mapping[int, np.dtype[Any]] = {
    0: np.dtype("u1"),
    1: np.dtype("i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}


class GgufFile:
    """The checked header of one GGUF file, and its rows on demand.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    values : dict of str to object
        The key-value pairs: numbers, text, arrays of numbers, lists of bytes for arrays of text.
    tensors : tuple of str
        Names, in the order of the file.

    Raises
    ------
    SourceError
        If the file is missing, cut off, or its header contradicts its size.

    Notes
    -----
    Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The ``gguf`` package is imported when rows are
    read, not for the header.

    Examples
    --------
    >>> import tempfile
    >>> from gguf import GGUFWriter
    >>> path = Path(tempfile.mkdtemp()) / "m.gguf"
    >>> writer = GGUFWriter(path, "llama")
    >>> writer.add_tensor("token_embd.weight", np.arange(12, dtype=np.float32).reshape(4, 3))
    >>> writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
    >>> file = GgufFile(path)
    >>> file.values["general.architecture"], file.tensor("token_embd.weight").shape
    ('llama', (4, 3))
    >>> file.read_rows("token_embd.weight", [3, 1]).tolist()
    [[9.0, 10.0, 11.0], [3.0, 4.0, 5.0]]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = repr(str(path))
        try:
            with open(path, "rb", buffering=1 << 16) as file:
                self._size = os.fstat(file.fileno()).st_size
                reader = _Reader(self, file, self._size)
                self._entries = self._header(reader)
                alignment = self._alignment()
                self._start = -(-reader.position // alignment) * alignment
        except OSError as error:
            raise SourceError(f"cannot read {self.name}: {error.strerror or error}; check the path.") from error
        self.tensors = tuple(self._entries)

    def text(self, key: str) -> str:
        """A value that is text; empty where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def tensor(self, name: str) -> TensorInfo:
        """The entry called ``name``: its type by ggml's name, its shape as (rows, width).

        Raises
        ------
        SourceError
            If there is none, its type is not known, or its bytes lie beyond the file.
        """
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        if name not in self._entries:
            listed = ", ".join(self.tensors[:12]) + (", ..." if len(self.tensors) > 12 else "")
            raise SourceError(f"{self.name} has no tensor {name!r}; it holds: {listed or '(none)'}.")
        shape, kind, offset = self._entries[name]
        if kind not in GGML_QUANT_SIZES:
            raise SourceError(
                f"tensor {name!r} of {self.name} is of type {kind}, which this version of gguf does not know; "
                "type: pip install -U gguf"
            )
        dtype = GGMLQuantizationType(kind)
        block, block_bytes = GGML_QUANT_SIZES[dtype]
        if not shape or shape[-1] % block:
            raise self._broken(f"tensor {name!r} of shape {shape} has no whole {dtype.name} blocks of {block}")
        start, size = self._start + offset, math.prod(shape) // block * block_bytes
        if start + size > self._size:
            raise self._broken(
                f"tensor {name!r} claims bytes {start:,} to {start + size:,}, but the file has {self._size:,}"
            )
        return TensorInfo(name, dtype.name, shape, start, start + size)

    def read_rows(self, name: str, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Some rows of a matrix, dequantised, in the order asked for; no other row is read.

        Parameters
        ----------
        name : str
        rows : array_like of int, shape (k,)
            Row indices; repeats are allowed.

        Returns
        -------
        ndarray of float32, shape (k, d)
            As ``gguf.quants.dequantize`` gives them.

        Raises
        ------
        SourceError
            If the tensor is missing, not a matrix or of a type that the package cannot turn into floats, or a row
            is beyond it.
        """
        from gguf import GGMLQuantizationType, quants

        info = self.tensor(name)
        if len(info.shape) != 2 or not min(info.shape):
            raise SourceError(f"tensor {name!r} of {self.name} has shape {info.shape}; rows need a matrix.")
        count = info.shape[0]
        wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        beyond = wanted[(wanted < 0) | (wanted >= count)]
        if beyond.size:
            raise SourceError(f"row {beyond[0]} is not in tensor {name!r} of {self.name}, which has {count} rows.")
        layout = (count, (info.stop - info.start) // count)
        try:
            stored = np.memmap(self.path, dtype=np.uint8, mode="r", offset=info.start, shape=layout)[wanted]
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot read {self.name}: {error}; check the path.") from error
        try:
            with np.errstate(all="ignore"):
                floats = quants.dequantize(np.asarray(stored), GGMLQuantizationType[info.dtype])
        except NotImplementedError:
            raise SourceError(
                f"tensor {name!r} of {self.name} is of type {info.dtype}, which the gguf package cannot turn "
                "into floats; take a file quantised otherwise, as Q8_0 or F16."
            ) from None
        return np.asarray(floats, dtype=np.float32).reshape(wanted.size, info.shape[1])

    def _header(self, reader: _Reader) -> dict[str, tuple[tuple[int, ...], int, int]]:
        if reader.take(4) != MAGIC:
            raise self._broken("it does not begin with GGUF")
        version = reader.count("<I")
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
            what = "it is big-endian" if swapped else f"it is of version {version}"
            raise self._broken(f"{what}; little-endian files of version {' or '.join(map(str, VERSIONS))} are read")
        tensors, pairs = reader.count(), reader.count()
        self.values: dict[str, Any] = {}
        for _ in range(pairs):
            key = self._name(reader, "key")
            if key in self.values:
                raise self._broken(f"it holds the key {key!r} twice")
            self.values[key] = reader.value(reader.count("<I"))
        entries: dict[str, tuple[tuple[int, ...], int, int]] = {}
        for _ in range(tensors):
            name = self._name(reader, "tensor name")
            if name in entries:
                raise self._broken(f"it holds the tensor {name!r} twice")
            dimensions = reader.count("<I")
            if dimensions > MOST_DIMENSIONS:
                raise self._broken(f"tensor {name!r} claims {dimensions:,} dimensions")
            shape = tuple(reader.count() for _ in range(dimensions))[::-1]
            entries[name] = shape, reader.count("<I"), reader.count()
        return entries

    def _name(self, reader: _Reader, what: str) -> str:
        name = reader.string().decode("utf-8", "backslashreplace")
        if not name.isprintable() or not name:
            raise self._broken(f"a {what} is {name[:40]!r}")
        return name

    def _alignment(self) -> int:
        alignment = self.values.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
            raise self._broken(f"its alignment {alignment!r} is not a power of two")
        return alignment

    def _broken(self, why: str) -> SourceError:
        return SourceError(f"{self.name} is not a whole GGUF file: {why}; download it again.")


class _Reader:
    """Takes a header apart; nothing longer than what is left of the file is ever asked for."""

    def __init__(self, owner: GgufFile, file: BinaryIO, size: int) -> None:
        self._owner = owner
        self._file = file
        self._size = size
        self.position = 0

    def take(self, length: int) -> bytes:
        if length > self._size - self.position:
            raise self._owner._broken(
                f"its header claims {length:,} bytes at byte {self.position:,}, but the file has {self._size:,}"
            )
        if self.position + length > MOST_HEADER_BYTES:
            raise self._owner._broken(f"its header is longer than the {MOST_HEADER_BYTES:,} bytes that are allowed")
        taken = self._file.read(length)
        if len(taken) != length:
            raise self._owner._broken(f"it ends at byte {self.position + len(taken):,}, before its header does")
        self.position += length
        return taken

    def count(self, form: str = "<Q") -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def string(self) -> bytes:
        return self.take(self.count())

    def value(self, kind: int, nested: int = 0) -> Any:
        if kind == _STRING:
            return self.string().decode("utf-8", "replace")
        if kind == _ARRAY:
            return self._array(nested)
        if kind not in _NUMBERS:
            raise self._owner._broken(f"a value at byte {self.position:,} is of the unknown type {kind}")
        stored = _NUMBERS[kind]
        return np.frombuffer(self.take(stored.itemsize), stored)[0].item()

    def _array(self, nested: int) -> Any:
        kind, length = self.count("<I"), self.count()
        if kind in _NUMBERS:
            stored = _NUMBERS[kind]
            return np.frombuffer(self.take(length * stored.itemsize), stored)
        if kind == _STRING:
            return [self.string() for _ in range(length)]
        if kind != _ARRAY or nested == _MOST_NESTED:
            raise self._owner._broken(f"an array at byte {self.position:,} is of the unknown type {kind}")
        return [self._array(nested + 1) for _ in range(length)]
