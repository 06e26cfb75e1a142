"""One model's numbers as points: the matrix, its row labels, and where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from numgeom.errors import SourceError
from numgeom.workspace import Workspace

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
T = TypeVar("T")

LONGEST_STRING = 18


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """Row ``i`` of ``matrix`` is the vector of ``numbers[i]``.

    Parameters
    ----------
    matrix : ndarray, shape (n, d)
        Finite floats in the stored precision (bfloat16 is widened to float32 without loss).
    numbers : ndarray of int, shape (n,)
        Strictly increasing values.
    token_ids : ndarray of int, shape (n,), optional
        Vocabulary ids of the rows.
    provenance : mapping
        Where the rows came from: tensor name, dtype, revision, notes.
    random_rows : ndarray, shape (m, d), optional
        Rows of random vocabulary entries that are not numbers: the model's own control.
    origin : Representation, optional
        What a reduction was computed from (``None`` for rows read from a model).
    string_rows : ndarray, shape (m, d), optional
        Rows of strings of digits with zeros in front that are one vocabulary entry each, in the order of ``strings``.
    strings : tuple of str
        Those strings, such as ``"00"`` and ``"007"``: 2 to 18 digits, each once.

    Raises
    ------
    SourceError
        If shapes disagree, rows hold NaN or infinity, numbers are not strictly increasing, or a string is no number
        with zeros in front.

    Examples
    --------
    >>> rep = Representation(np.eye(4), np.arange(4))
    >>> rep.n, rep.d
    (4, 4)
    """

    matrix: FloatArray
    numbers: IntArray
    token_ids: IntArray | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    random_rows: FloatArray | None = None
    origin: Representation | None = None
    string_rows: FloatArray | None = None
    strings: tuple[str, ...] = ()
    workspace: Workspace = field(init=False, repr=False)

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=_float_dtype(self.matrix), order="C", copy=True)
        numbers = np.asarray(self.numbers, dtype=np.int64)
        if matrix.ndim != 2:
            raise SourceError(f"a representation needs an (n, d) matrix; got shape {matrix.shape}.")
        if numbers.shape != (matrix.shape[0],):
            raise SourceError(
                f"{matrix.shape[0]} rows but {numbers.size} numbers; give exactly one number for each row."
            )
        if np.any(np.diff(numbers) <= 0):
            raise SourceError("numbers must be strictly increasing: sort the rows by number and drop repeats.")
        with np.errstate(all="ignore"):
            finite = bool(np.isfinite(matrix.sum()))  # an infinite sum may also be one of large numbers
        bad = np.False_ if finite else ~np.isfinite(matrix).all(axis=1)
        if bad.any():
            first = ", ".join(str(v) for v in numbers[bad][:5])
            raise SourceError(
                f"{int(bad.sum())} of {numbers.size} rows hold NaN or infinity (numbers {first}"
                f"{', ...' if bad.sum() > 5 else ''}); mend the file, or leave those numbers out with --numbers."
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "string_rows", _string_rows(self.string_rows, self.strings, matrix.shape[1]))
        object.__setattr__(self, "strings", tuple(self.strings))
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "workspace", Workspace(matrix))

    @property
    def n(self) -> int:
        """How many numbers."""
        return int(self.matrix.shape[0])

    @property
    def d(self) -> int:
        """Width of the vectors."""
        return int(self.matrix.shape[1])

    @property
    def zero_rows(self) -> int:
        """How many rows are all zeros."""
        suspects = self.matrix[self.matrix[:, 0] == 0.0] if self.d else self.matrix
        return int(np.count_nonzero(~suspects.any(axis=1)))

    @property
    def has_zero_rows(self) -> bool:
        """Whether several rows are all zeros, as of tokens that were never trained; one alone may be an origin."""
        return self.zero_rows > 1

    @property
    def is_contiguous(self) -> bool:
        """Whether the numbers are a run of consecutive integers."""
        return self.n == 0 or int(self.numbers[-1] - self.numbers[0]) == self.n - 1

    @property
    def digest(self) -> str:
        """Content digest of the numbers and all rows, 32 hexadecimal digits; the identity used in cache keys."""

        def compute() -> str:
            state = hashlib.blake2b(digest_size=16)
            for array in (self.numbers, self.matrix, self.random_rows, self.string_rows):
                if array is not None:
                    state.update(f"{array.dtype.str}{array.shape}".encode())
                    state.update(np.ascontiguousarray(array).data)
            state.update(" ".join(self.strings).encode())
            if self.origin is not None:
                state.update(self.origin.digest.encode())
            return state.hexdigest()

        return self.memo("digest", compute)

    def memo(self, key: str, compute: Callable[[], T]) -> T:
        """A derived quantity, computed at most once for this representation.

        Parameters
        ----------
        key : str
            Name of the quantity; prefix it with your plugin's name.
        compute : callable
            Called without arguments the first time.
        """
        return self.workspace.memo(key, compute)

    def with_matrix(self, matrix: FloatArray, **provenance: Any) -> Representation:
        """The same numbers with other rows: what nulls and preprocessing return.

        Rows of another width lie in another space, so the string rows do not go with them.
        """
        rows, strings = (self.string_rows, self.strings) if np.shape(matrix)[1:] == (self.d,) else (None, ())
        return replace(
            self, matrix=matrix, provenance={**self.provenance, **provenance}, string_rows=rows, strings=strings
        )

    def permuted(self, order: npt.NDArray[np.int64]) -> Representation:
        """The same numbers with the rows in another order; what is derived of the rows is reindexed.

        Parameters
        ----------
        order : ndarray of int, shape (n,)
            Row ``i`` becomes row ``order[i]``.
        """
        other = self.with_matrix(self.matrix[order])
        object.__setattr__(other, "workspace", Workspace(other.matrix, self.workspace, order))
        return other

    def take(self, rows: npt.NDArray[Any]) -> Representation:
        """The sub-representation of some rows (indices, increasing, or a mask), numbers included."""
        ids = None if self.token_ids is None else self.token_ids[rows]
        origin = None if self.origin is None else self.origin.take(rows)
        return replace(self, matrix=self.matrix[rows], numbers=self.numbers[rows], token_ids=ids, origin=origin)

    def restrict(self, numbers: npt.NDArray[Any]) -> Representation:
        """The rows whose number is in ``numbers``; ``self`` when that is all of them."""
        mask = np.isin(self.numbers, numbers)
        return self if bool(mask.all()) else self.take(mask)


def is_padded(text: str) -> bool:
    """Whether a string is a number with zeros in front, of 2 to 18 digits (as many as a 64-bit integer holds).

    Examples
    --------
    >>> [is_padded(text) for text in ("007", "00", "7", "0", "70", "0x7")]
    [True, True, False, False, False, False]
    """
    return 2 <= len(text) <= LONGEST_STRING and text[0] == "0" and text.isascii() and text.isdigit()


def _string_rows(rows: FloatArray | None, strings: tuple[str, ...], d: int) -> FloatArray | None:
    """The rows, checked against their strings, as a read-only copy."""
    wrong = [text for text in strings if not is_padded(text)]
    if wrong:
        raise SourceError(
            f"{wrong[0]!r} is no number with zeros in front; strings are 2 to {LONGEST_STRING} digits and begin with 0."
        )
    if len(set(strings)) < len(strings):
        raise SourceError(f"{len(strings)} strings, of which {len(set(strings))} differ; give each of them once.")
    if rows is None:
        if strings:
            raise SourceError(f"{len(strings)} strings but no string_rows; give one row for each string.")
        return None
    kept = np.array(rows, dtype=_float_dtype(rows), order="C", copy=True)
    if kept.shape != (len(strings), d):
        raise SourceError(
            f"string_rows have shape {kept.shape}, with {len(strings)} strings and rows of width {d}; "
            f"give ({len(strings)}, {d})."
        )
    bad = ~np.isfinite(kept).all(axis=1)
    if bad.any():
        raise SourceError(
            f"{int(bad.sum())} of {len(strings)} string rows hold NaN or infinity (the first is "
            f"{strings[int(np.argmax(bad))]!r}); mend the file, or leave them out."
        )
    kept.setflags(write=False)
    return kept


def _float_dtype(matrix: npt.ArrayLike) -> npt.DTypeLike:
    """float32 and float64 stay; float16 and integers widen."""
    dtype = np.asarray(matrix).dtype
    if dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        return dtype
    return np.dtype(np.float32) if dtype == np.dtype(np.float16) else np.dtype(np.float64)
