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
    places = np.arange(values.size, dtype=np.float64)
    gaps = np.diff(values[order])
    # Most gaps are wide: only those that the largest rounding error could close are looked at one by one.
    near = np.flatnonzero(gaps <= np.max(tolerance, initial=0.0))
    allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), values.shape)
    tied = near[gaps[near] <= np.maximum(allowed[order[near]], allowed[order[near + 1]])]
    if tied.size:
        # Runs of successive ties, from their first place to their last.
        first = tied[np.diff(tied, prepend=-2) > 1]
        last = tied[np.diff(tied, append=values.size + 1) > 1] + 1
        counts = last - first + 1
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places[np.repeat(first, counts) + within] = np.repeat((first + last) / 2.0, counts)
    ranks = np.empty(values.size)
    ranks[order] = places
    return ranks
