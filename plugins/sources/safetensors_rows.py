"""Rows of a safetensors file, read without loading the file.

The format: 8 bytes little-endian header length, a JSON header (tensor name to dtype, shape and byte span),
then the tensors back to back in row-major order. Everything the header claims is checked against the size of
the file before anything is allocated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources import fp8
from numgeom_plugins.sources.file_bytes import FileBytes, LocalBytes

MOST_HEADER_BYTES = 100_000_000
FLOATS = ("F16", "BF16", "F32", "F64", *fp8.TYPES)

# bfloat16 and the eight-bit floats have no numpy type: they are read as their bits and widened.
_STORED: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "F8_E4M3": np.dtype("u1"),
    "F8_E5M2": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a header says of one tensor; ``start`` and ``stop`` are byte positions in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def is_table(self) -> bool:
        """Whether it can be a table of vectors: two-dimensional, of readable floats, not empty."""
        return len(self.shape) == 2 and self.dtype in FLOATS and min(self.shape) > 0


class SafetensorsFile:
    """The checked header of one safetensors file, and its rows on demand.

    Parameters
    ----------
    where : Path or FileBytes
        A file of this machine, or the bytes of one elsewhere.

    Attributes
    ----------
    tensors : dict of str to TensorInfo
    metadata : dict of str to str

    Raises
    ------
    SourceError
        If the file is missing, cut off, or its header contradicts its size or itself.

    Notes
    -----
    Format: https://github.com/huggingface/safetensors. Only numpy is imported.

    Examples
    --------
    >>> import tempfile
    >>> from safetensors.numpy import save_file
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save_file({"wte.weight": np.arange(12, dtype=np.float32).reshape(4, 3)}, path)
    >>> SafetensorsFile(path).read_rows("wte.weight", [3, 1]).tolist()
    [[9.0, 10.0, 11.0], [3.0, 4.0, 5.0]]
    """

    def __init__(self, where: Path | FileBytes) -> None:
        self.source: FileBytes = LocalBytes(where) if isinstance(where, Path) else where
        self.name = self.source.name
        size, header = self._first_bytes()
        self.metadata: dict[str, str] = {}
        self.tensors: dict[str, TensorInfo] = {}
        try:
            entries = json.loads(header)
        except (ValueError, RecursionError):
            raise self._broken("its header is not JSON") from None
        if not isinstance(entries, dict):
            raise self._broken("its header is not a JSON object")
        for name, entry in entries.items():
            if name == "__metadata__":
                self.metadata = dict(entry) if isinstance(entry, dict) else {}
            elif not name.isprintable():
                raise self._broken(f"a tensor has the name {name!r}")
            else:
                self.tensors[name] = self._checked(name, entry, 8 + len(header), size)

    @property
    def notes(self) -> list[str]:
        """What should be said of the way the file was read."""
        return self.source.notes

    def tensor(self, name: str) -> TensorInfo:
        """The entry called ``name``.

        Raises
        ------
        SourceError
            If there is none; the message lists those that exist.
        """
        if name not in self.tensors:
            held = sorted(self.tensors)
            listed = ", ".join(held[:12]) + (", ..." if len(held) > 12 else "")
            raise SourceError(f"{self.name} has no tensor {name!r}; it holds: {listed or '(none)'}.")
        return self.tensors[name]

    def read(self, name: str) -> npt.NDArray[Any]:
        """A whole tensor in its stored shape; bfloat16 and eight-bit floats as float32, others as stored."""
        info = self.tensor(name)
        stored = self._stored(info)
        raw = self._whole(info)
        return _widen(np.frombuffer(raw, dtype=stored).reshape(info.shape), info.dtype)

    def read_rows(self, name: str, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Some rows of a matrix, in the order asked for.

        Parameters
        ----------
        name : str
        rows : array_like of int, shape (k,)
            Row indices; repeats are allowed.

        Returns
        -------
        ndarray, shape (k, d)
            bfloat16 and eight-bit floats widened to float32 exactly; other types as stored.

        Raises
        ------
        SourceError
            If the tensor is missing or not a matrix, a row is beyond it, or the file ends early.
        """
        info = self.tensor(name)
        if len(info.shape) != 2:
            raise SourceError(f"tensor {name!r} of {self.name} has shape {info.shape}; rows need a matrix.")
        stored = self._stored(info)
        wanted, position = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        count = info.shape[0]
        if wanted.size and (wanted[0] < 0 or wanted[-1] >= count):
            beyond = wanted[0] if wanted[0] < 0 else wanted[-1]
            raise SourceError(f"row {beyond} is not in tensor {name!r} of {self.name}, which has {count} rows.")
        return _widen(self._take(info, wanted, stored)[position], info.dtype)

    def _take(self, info: TensorInfo, wanted: npt.NDArray[np.int64], stored: np.dtype[Any]) -> npt.NDArray[Any]:
        """``(k, d)``: rows at strictly increasing indices, as stored."""
        width = info.shape[1]
        row_bytes = width * stored.itemsize
        table = np.empty((wanted.size, width), dtype=stored)
        for runs in self.source.rounds(wanted, row_bytes) if table.size else ():
            spans = [(info.start + first * row_bytes, info.start + stop * row_bytes) for first, stop in runs]
            for i, raw in self.source.read(spans):
                first, stop = runs[i]
                low, high = np.searchsorted(wanted, (first, stop))
                block = np.frombuffer(raw, dtype=stored).reshape(stop - first, width)
                table[low:high] = block[wanted[low:high] - first]
        return table

    def _first_bytes(self) -> tuple[int, bytes]:
        """Size of the file, and its header."""
        size = self.source.size()
        begin = bytes(self._span(0, min(size, max(8, self.source.head_bytes))))
        length = int.from_bytes(begin[:8], "little")
        if size < 8:
            raise self._broken(f"it has {size} bytes")
        if length > size - 8:
            raise self._broken(f"it has {size:,} bytes but its header alone claims {length:,}")
        if length > MOST_HEADER_BYTES:
            raise self._broken(f"its header claims {length:,} bytes; at most {MOST_HEADER_BYTES:,} are allowed")
        if 8 + length > len(begin):
            begin += self._span(len(begin), 8 + length)
        return size, begin[8 : 8 + length]

    def _whole(self, info: TensorInfo) -> bytes | bytearray:
        return self._span(info.start, info.stop)

    def _span(self, start: int, stop: int) -> bytes | bytearray:
        return next(iter(self.source.read([(start, stop)])))[1] if start < stop else b""

    def _checked(self, name: str, entry: Any, begin: int, size: int) -> TensorInfo:
        try:
            dtype, shape = entry["dtype"], tuple(entry["shape"])
            low, high = entry["data_offsets"]
        except (KeyError, TypeError, ValueError):
            raise self._broken(f"tensor {name!r} has no dtype, shape and data_offsets") from None
        whole = [value for value in (*shape, low, high) if type(value) is int and value >= 0]
        if len(whole) != len(shape) + 2 or not isinstance(dtype, str):
            raise self._broken(f"tensor {name!r} has a shape or offsets that are not counts")
        if low > high or begin + high > size:
            raise self._broken(
                f"tensor {name!r} claims bytes {low:,} to {high:,} of data, but the file holds {size - begin:,}"
            )
        stored = _STORED.get(dtype)
        if stored is not None and math.prod(shape) * stored.itemsize != high - low:
            needs = math.prod(shape) * stored.itemsize
            raise self._broken(
                f"tensor {name!r} of shape {shape} and type {dtype} needs {needs:,} bytes, but its offsets span "
                f"{high - low:,}"
            )
        return TensorInfo(name, dtype, shape, begin + low, begin + high)

    def _stored(self, info: TensorInfo) -> np.dtype[Any]:
        if info.dtype not in _STORED:
            raise SourceError(
                f"tensor {info.name!r} of {self.name} has type {info.dtype}, which has no rows of floats; "
                f"readable are {', '.join(FLOATS)}: take an unquantised checkpoint."
            )
        return _STORED[info.dtype]

    def _broken(self, why: str) -> SourceError:
        return SourceError(f"{self.name} is not a whole safetensors file: {why}; download or save it again.")


def _widen(values: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Native byte order; a bfloat16 is the upper half of the float32 of the same value."""
    if dtype == "BF16":
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype in fp8.TYPES:
        widened: npt.NDArray[np.float32] = fp8.values(dtype)[values]
        return widened
    return values.astype(values.dtype.newbyteorder("="))
