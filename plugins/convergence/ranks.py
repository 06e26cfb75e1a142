"""Average ranks in which values that differ by rounding only are ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def average_ranks(values: F64, tolerance: F64 | float) -> F64:
    """Ranks from 0, ties at their average.

    Distances of exact codes (one-hot digits, lattices, duplicate rows) tie in mathematics but not in
    floating point; ranking their rounding noise would make the score of a cloud with its own rotation
    fall below 1. So neighbours in sorted order closer than ``tolerance`` are one tie.

    Parameters
    ----------
    values : ndarray, shape (m,)
    tolerance : float or ndarray, shape (m,)
        Rounding error of each value, at least.

    Returns
    -------
    ndarray, shape (m,)

    Examples
    --------
    >>> average_ranks(np.array([0.3, 0.1 + 0.2, 0.1]), 1e-12)
    array([1.5, 1.5, 0. ])
    """
    order = np.argsort(values)
    allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), values.shape)[order]
    apart = np.diff(values[order]) > np.maximum(allowed[1:], allowed[:-1])
    starts = np.concatenate(([0], np.flatnonzero(apart) + 1))
    counts = np.diff(np.append(starts, values.size))
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(starts + (counts - 1) / 2.0, counts)
    return ranks
