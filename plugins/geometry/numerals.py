"""What a number is as a string of decimal digits, and as a magnitude."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Representation

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def digit_lengths(numbers: I64) -> I64:
    """How many decimal digits each number has; the sign does not count.

    Examples
    --------
    >>> digit_lengths(np.array([-10, 0, 9, 100])).tolist()
    [2, 1, 1, 3]
    """
    return np.array([len(str(abs(int(number)))) for number in numbers], dtype=np.int64)


def digit(numbers: I64, place: int) -> I64:
    """The decimal digit at a place from the right, 0 where the number is shorter.

    Examples
    --------
    >>> digit(np.array([7, 42, 305]), 1).tolist()
    [0, 4, 0]
    """
    return np.asarray(np.abs(numbers) // 10**place % 10, dtype=np.int64)


def places(numbers: I64) -> int:
    """How many digits the longest number has.

    Examples
    --------
    >>> places(np.array([7, 305]))
    3
    """
    return int(digit_lengths(numbers).max())


def padded(numbers: I64) -> I64:
    """Sign and digits with zeros in front, ``(n, 1 + places)``.

    Examples
    --------
    >>> padded(np.array([-7, 42])).tolist()
    [[1, 0, 7], [0, 4, 2]]
    """
    width = places(numbers)
    return np.column_stack([numbers < 0, *(digit(numbers, place) for place in reversed(range(width)))]).astype(np.int64)


def hamming(numbers: I64) -> F64:
    """At how many places the zero-padded digits (and signs) of each pair differ, ``(n, n)``.

    Examples
    --------
    >>> hamming(np.array([9, 10, 19])).tolist()
    [[0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    written = padded(numbers)
    differ = [column[:, None] != column[None, :] for column in written.T]
    return np.asarray(np.sum(differ, axis=0, dtype=np.float64), dtype=np.float64)


def signed_log(numbers: I64) -> F64:
    """``ln(1 + n)``, and ``-ln(1 - n)`` below 0.

    Examples
    --------
    >>> signed_log(np.array([0, 1, -1])).round(3).tolist()
    [0.0, 0.693, -0.693]
    """
    return np.asarray(np.sign(numbers) * np.log1p(np.abs(numbers)), dtype=np.float64)


def merge_rank(rep: Representation) -> F64 | None:
    """``ln(1 + id)`` of each number's token: in a byte-pair vocabulary a frequency rank; ``None`` without ids.

    Examples
    --------
    >>> merge_rank(Representation(np.eye(2), np.arange(2), token_ids=np.array([0, 1]))).round(3).tolist()
    [0.0, 0.693]
    """
    if rep.token_ids is None:
        return None
    return np.asarray(np.log1p(np.asarray(rep.token_ids, dtype=np.float64)), dtype=np.float64)


def magnitude_design(numbers: I64) -> F64:
    """The columns 1, n and signed log: what magnitude alone can explain."""
    return np.column_stack([np.ones(len(numbers)), numbers.astype(np.float64), signed_log(numbers)])


def one_hot(labels: npt.NDArray[np.generic]) -> F64:
    """One column a distinct label, ``(n, classes)``.

    Examples
    --------
    >>> one_hot(np.array([3, 5, 3])).tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    return np.asarray(labels[:, None] == np.unique(labels)[None, :], dtype=np.float64)


def column_space(design: F64) -> F64:
    """An orthonormal basis of the design's columns, ``(n, rank)``; dependent and zero columns are allowed.

    Examples
    --------
    >>> column_space(np.array([[1.0, 2.0], [1.0, 2.0]])).shape
    (2, 1)
    """
    norms = np.linalg.norm(design, axis=0)
    scaled = design[:, norms > 0] / norms[norms > 0]
    if scaled.shape[1] == 0:
        return np.zeros((len(design), 0))
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(left[:, values > 1e-10 * values[0]], dtype=np.float64)
