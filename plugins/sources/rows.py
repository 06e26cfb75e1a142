"""Rows that somebody already took out of a model: one ``.npz``, ``.npy`` or ``.safetensors`` file."""

from __future__ import annotations

import math
import warnings
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from numgeom import MeasurementWarning, ModelSpec, NumberSet, Representation, SourceError
from numgeom.numbers import BARE, SPACE, format_values
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile

RANDOM_ROWS = 1000
BLOCK_BYTES = 1 << 20
MOST_HEADER_BYTES = 10_000
MOST_WHOLE_BYTES = 1 << 28
# Floats hardly shrink; what does so a hundredfold is made to fill the memory.
MOST_SHRUNK = 100
SUFFIXES = (".npz", ".npy", ".safetensors")


class Arrays(Protocol):
    """Named arrays of one file."""

    names: frozenset[str]

    def whole(self, name: str) -> npt.NDArray[Any]:
        """All of an array."""

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Some rows of a matrix."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape, before anything is read."""


def read_rows(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
    """The rows of a number set out of a file of rows.

    A ``.npz`` or ``.safetensors`` file holds ``numbers`` (n, d) floats and ``number_values`` (n,) integers;
    optionally ``number_token_ids`` (n,) and ``random`` (m, d), of which at most 1,000 rows are used. For the
    leading-space form ``space_numbers``, ``space_number_values`` and ``space_number_token_ids`` are read where
    present. A ``.npy`` file is the matrix alone: its rows are the numbers 0 to n - 1. Only wanted rows are kept in
    memory.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the file.
    numbers : NumberSet
    read : {"vectors"}

    Returns
    -------
    Representation
        Rows sorted by number. Where the file lacks the form asked for its bare rows stand in, with the
        warning W-TOKENFORM.

    Raises
    ------
    SourceError
        If arrays are missing, disagree, repeat a number or hold none of the set; if rows hold NaN.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(path, numbers=np.array([[2.0, 0.0], [1.0, 1.0]]), number_values=[2, 1])
    >>> rep = read_rows(ModelSpec(name="mine", source="rows", id=str(path)), NumberSet.parse("0..9"), read="vectors")
    >>> rep.numbers.tolist(), rep.matrix.tolist()
    ([1, 2], [[1.0, 1.0], [2.0, 0.0]])
    """
    path = Path(model.id).expanduser()
    arrays = _open(path)
    prefix = "space_" if numbers.template == SPACE and "space_numbers" in arrays.names else ""
    notes: list[str] = []
    if numbers.template != BARE and not prefix:
        notes.append(f"no rows of the form {numbers.form!r} in the file: its bare rows stand in")
        warnings.warn(MeasurementWarning("W-TOKENFORM", f"{path.name}: {notes[0]}"), stacklevel=2)
    table, labels, ids = f"{prefix}numbers", f"{prefix}number_values", f"{prefix}number_token_ids"
    values = _values(path, arrays, table, labels)
    wanted = np.flatnonzero(np.isin(values, numbers.array))
    if not wanted.size:
        raise SourceError(
            f"{str(path)!r} holds none of the numbers {numbers.spec}; it holds {_short(values)}: choose with --numbers."
        )
    wanted = wanted[np.argsort(values[wanted])]
    token_ids = None
    if ids in arrays.names:
        token_ids = arrays.whole(ids)
        if token_ids.shape != values.shape:
            raise SourceError(f"{str(path)!r}: {ids} has shape {token_ids.shape}, but {labels} {values.shape}.")
        token_ids = token_ids[wanted].astype(np.int64)
    control, control_ids = _random(path, arrays, arrays.shape(table)[1], notes)
    return Representation(
        _floats(path, table, arrays.rows(table, wanted)),
        values[wanted],
        token_ids=token_ids,
        provenance={
            "tensor": table,
            "files": [path.name],
            "form": "space" if prefix else "bare",
            "notes": notes,
            **({} if control_ids is None else {"random_token_ids": control_ids}),
        },
        random_rows=control,
    )


class _Npz:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, tuple[tuple[int, ...], bool, np.dtype[Any]]] = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    with archive.open(member) as file:
                        shape, fortran, dtype = _npy_header(file)
                        # The header must fit what the archive holds before numpy allocates what it claims.
                        if not dtype.hasobject and math.prod(shape) * dtype.itemsize + file.tell() != member.file_size:
                            raise ValueError(f"{member.filename} does not hold the {shape} array that it claims")
                    if member.file_size > max(MOST_SHRUNK * member.compress_size, MOST_WHOLE_BYTES):
                        raise ValueError(
                            f"{member.filename} unpacks from {member.compress_size:,} to {member.file_size:,} bytes"
                        )
                    self._members[member.filename.removesuffix(".npy")] = shape, fortran, dtype
        self.names = frozenset(self._members)

    def whole(self, name: str) -> npt.NDArray[Any]:
        shape, _, dtype = self._members[name]
        if math.prod(shape) * dtype.itemsize > MOST_WHOLE_BYTES:
            raise SourceError(
                f"{str(self.path)!r}: array {name!r} of shape {shape} is too large to be read whole; save matrices "
                "in C order (numpy.ascontiguousarray), and labels as integers."
            )
        try:
            with np.load(self.path, allow_pickle=False) as held:
                return np.asarray(held[name])
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SourceError(
                f"{str(self.path)!r}: array {name!r} cannot be read ({error}); save plain arrays with numpy.savez."
            ) from error

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        shape, fortran, dtype = self._members[name]
        if fortran or dtype.hasobject or len(shape) != 2:
            return self.whole(name)[rows]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as file:
                _npy_header(file)
                return _streamed(file, shape, dtype, rows)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SourceError(
                f"{str(self.path)!r}: array {name!r} cannot be read ({error}); save it again with numpy.savez."
            ) from error

    def shape(self, name: str) -> tuple[int, ...]:
        return self._members[name][0]


class _Npy:
    """A matrix alone, as if it were an archive of itself and its row numbers."""

    names = frozenset({"numbers", "number_values"})

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            _npy_header(file)
        self._matrix = np.load(path, mmap_mode="r", allow_pickle=False)

    def whole(self, name: str) -> npt.NDArray[Any]:
        return np.asarray(self._matrix) if name == "numbers" else np.arange(self._matrix.shape[0])

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return np.asarray(self._matrix[rows])

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._matrix.shape)


class _Safetensors:
    def __init__(self, path: Path) -> None:
        self._file = SafetensorsFile(path)
        self.names = frozenset(self._file.tensors)

    def whole(self, name: str) -> npt.NDArray[Any]:
        return self._file.read(name)

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return self._file.read_rows(name, rows)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._file.tensor(name).shape


def _npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    field = file.read(2 if version == (1, 0) else 4)
    if int.from_bytes(field, "little") > MOST_HEADER_BYTES:
        raise ValueError(f"an array claims a header of {int.from_bytes(field, 'little'):,} bytes")
    file.seek(-len(field), 1)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"an array has the shape {shape}")
    return shape, fortran, dtype


def _streamed(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], rows: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """Some rows of a matrix that is unpacked from its beginning, a block at a time."""
    count, width = shape
    order = np.argsort(rows, kind="stable")
    taken = np.empty((rows.size, width), dtype)
    step = max(1, BLOCK_BYTES // max(1, width * dtype.itemsize))
    done = 0
    for start in range(0, count, step):
        if done == rows.size:
            break
        stop = min(start + step, count)
        raw = file.read((stop - start) * width * dtype.itemsize)
        block = np.frombuffer(raw, dtype).reshape(stop - start, width)
        last = int(np.searchsorted(rows[order], stop))
        taken[order[done:last]] = block[rows[order[done:last]] - start]
        done = last
    return taken


def _open(path: Path) -> Arrays:
    if path.suffix not in SUFFIXES:
        raise SourceError(f"rows file {str(path)!r} must end in .npz, .npy or .safetensors; save it with numpy.savez.")
    if path.suffix == ".safetensors":
        return _Safetensors(path)
    try:
        return _Npz(path) if path.suffix == ".npz" else _Npy(path)
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
    except (
        ValueError,
        TypeError,
        SyntaxError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        TokenError,  # numpy reads the header as Python's own literals
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        what = (str(error).splitlines() or [type(error).__name__])[0][:160]
        again = "savez" if path.suffix == ".npz" else "save"
        raise SourceError(
            f"{str(path)!r} is not a whole {path.suffix} file: {what}; save it again with numpy.{again}."
        ) from error


def _values(path: Path, arrays: Arrays, table: str, labels: str) -> npt.NDArray[np.int64]:
    missing = [name for name in (table, labels) if name not in arrays.names]
    if missing:
        raise SourceError(
            f"{str(path)!r} lacks {' and '.join(missing)}; it holds: {', '.join(sorted(arrays.names)) or '(nothing)'}. "
            "A rows file needs numbers (n, d) and number_values (n,)."
        )
    shape = arrays.shape(table)
    if len(shape) != 2:
        raise SourceError(
            f"{str(path)!r}: {table} has shape {shape}; it must be a matrix with one row for each number."
        )
    values = arrays.whole(labels)
    if values.shape != (shape[0],):
        raise SourceError(
            f"{str(path)!r}: {table} has {shape[0]} rows but {labels} has shape {values.shape}; "
            "give one value for each row."
        )
    if values.dtype.kind not in "iuf" or not np.array_equal(values, np.round(values)):
        raise SourceError(f"{str(path)!r}: {labels} must hold whole numbers; it has type {values.dtype}.")
    whole = values.astype(np.int64)
    unique, counts = np.unique(whole, return_counts=True)
    if (counts > 1).any():
        raise SourceError(
            f"{str(path)!r}: {labels} holds {int(unique[counts > 1][0])} more than once "
            f"({int((counts > 1).sum())} numbers are repeated); keep one row for each number."
        )
    return whole


def _floats(path: Path, name: str, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if matrix.dtype.kind not in "iuf":
        raise SourceError(f"{str(path)!r}: {name} has type {matrix.dtype}; it must hold numbers.")
    return matrix


def _random(
    path: Path, arrays: Arrays, width: int, notes: list[str]
) -> tuple[npt.NDArray[Any] | None, list[int] | None]:
    """The file's control and its token ids, where it has them; with more than 1,000 rows a draw of them, seed 0."""
    if "random" not in arrays.names:
        return None, None
    shape = arrays.shape("random")
    if len(shape) != 2 or shape[1] != width:
        raise SourceError(
            f"{str(path)!r}: random has shape {shape}; it must be a matrix of width {width} as numbers is."
        )
    ids = arrays.whole("random_token_ids") if "random_token_ids" in arrays.names else None
    if ids is not None and (ids.shape != shape[:1] or ids.dtype.kind not in "iu"):
        raise SourceError(
            f"{str(path)!r}: random_token_ids has shape {ids.shape} and type {ids.dtype}; give {shape[0]} integers."
        )
    chosen = np.arange(shape[0])
    if shape[0] > RANDOM_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(shape[0], RANDOM_ROWS, replace=False))
    rows = _floats(path, "random", arrays.rows("random", chosen))
    whole = np.isfinite(rows).all(axis=1)
    if not whole.all():
        notes.append(f"{int((~whole).sum())} random rows with NaN or infinity left out")
    if not whole.any():
        return None, None
    return rows[whole], None if ids is None else ids[chosen][whole].tolist()


def _short(values: npt.NDArray[np.int64]) -> str:
    text = format_values(values.tolist())
    return text if len(text) < 60 else f"{values.size} numbers from {values.min()} to {values.max()}"
