"""Rows that somebody already took out of a model: one ``.npz`` or ``.safetensors`` file."""

from __future__ import annotations

import math
import warnings
import zipfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from numgeom import MeasurementWarning, ModelSpec, NumberSet, Representation, SourceError
from numgeom.numbers import BARE, SPACE, format_values
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile

RANDOM_ROWS = 1000


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

    The file holds ``numbers`` (n, d) floats and ``number_values`` (n,) integers; optionally
    ``number_token_ids`` (n,) and ``random`` (m, d), of which at most 1,000 rows are used. For the leading-space
    form ``space_numbers``, ``space_number_values`` and ``space_number_token_ids`` are read where present.

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
    return Representation(
        _floats(path, table, arrays.rows(table, wanted)),
        values[wanted],
        token_ids=token_ids,
        provenance={
            "tensor": table,
            "files": [path.name],
            "form": "space" if prefix else "bare",
            "notes": notes,
        },
        random_rows=_random(path, arrays, arrays.shape(table)[1], notes),
    )


class _Npz:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._shapes: dict[str, tuple[int, ...]] = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    with archive.open(member) as file:
                        shape, dtype = _npy_header(file)
                        # The header must fit what the archive holds before numpy allocates what it claims.
                        if not dtype.hasobject and math.prod(shape) * dtype.itemsize + file.tell() != member.file_size:
                            raise ValueError(f"{member.filename} does not hold the {shape} array that it claims")
                    self._shapes[member.filename.removesuffix(".npy")] = shape
        self.names = frozenset(self._shapes)

    def whole(self, name: str) -> npt.NDArray[Any]:
        try:
            with np.load(self.path, allow_pickle=False) as held:
                return np.asarray(held[name])
        except ValueError as error:
            raise SourceError(
                f"{str(self.path)!r}: array {name!r} cannot be read ({error}); save plain arrays with numpy.savez."
            ) from error

    def rows(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return self.whole(name)[rows]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]


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


def _npy_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _open(path: Path) -> Arrays:
    if path.suffix not in (".npz", ".safetensors"):
        raise SourceError(f"rows file {str(path)!r} must end in .npz or .safetensors; save it with numpy.savez.")
    if path.suffix == ".safetensors":
        return _Safetensors(path)
    try:
        return _Npz(path)
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"{str(path)!r} is not a whole .npz file: {error}; save it again with numpy.savez."
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


def _random(path: Path, arrays: Arrays, width: int, notes: list[str]) -> npt.NDArray[Any] | None:
    """The file's control; with more than 1,000 rows a draw of them, seed 0."""
    if "random" not in arrays.names:
        return None
    shape = arrays.shape("random")
    if len(shape) != 2 or shape[1] != width:
        raise SourceError(
            f"{str(path)!r}: random has shape {shape}; it must be a matrix of width {width} as numbers is."
        )
    chosen = np.arange(shape[0])
    if shape[0] > RANDOM_ROWS:
        chosen = np.sort(np.random.default_rng(0).choice(shape[0], RANDOM_ROWS, replace=False))
    rows = _floats(path, "random", arrays.rows("random", chosen))
    whole = np.isfinite(rows).all(axis=1)
    if not whole.all():
        notes.append(f"{int((~whole).sum())} random rows with NaN or infinity left out")
    return rows[whole] if whole.any() else None


def _short(values: npt.NDArray[np.int64]) -> str:
    text = format_values(values.tolist())
    return text if len(text) < 60 else f"{values.size} numbers from {values.min()} to {values.max()}"
