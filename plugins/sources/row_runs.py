"""Which rows to read together: a cost model of requests against bytes, for files here and far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Run = tuple[int, int]
MOST_RUNS = 960  # requests for the rows of one tensor that a server is asked
MOST_WASTE = 0.4  # unwanted rows that may come along, as a share of the wanted ones


@dataclass(frozen=True, slots=True)
class Link:
    """What a connection to a server costs, as measured.

    Parameters
    ----------
    latency : float
        Seconds from a request to the first byte of its answer.
    bandwidth : float
        Bytes a second of all connections together.
    connections : int
        How many requests are under way at once.
    overhead : float
        Seconds that each request keeps this process busy.
    """

    latency: float
    bandwidth: float
    connections: int
    overhead: float = 0.0

    @property
    def break_even(self) -> float:
        """Bytes that take as long as one request more: ``(latency / connections + overhead) * bandwidth``.

        ``r`` requests of ``b`` bytes in all take ``r * (latency / connections + overhead) + b / bandwidth``
        seconds, so reading across a gap of fewer bytes is the faster way.

        Examples
        --------
        >>> Link(latency=0.05, bandwidth=16e6, connections=16).break_even
        50000.0
        """
        return (self.latency / self.connections + self.overhead) * self.bandwidth


def row_runs(
    rows: npt.NDArray[np.int64],
    *,
    most_gap: float,
    longest: int,
    most_runs: int | None = None,
    most_waste: float | None = None,
) -> list[Run]:
    """Runs of rows that one read brings together.

    The smallest gaps are read across first: all up to ``most_gap``, then more of them until there are at most
    ``most_runs`` runs, but never more unwanted rows than ``most_waste``.

    Parameters
    ----------
    rows : ndarray of int, shape (k,)
        Strictly increasing row indices.
    most_gap : float
        Unwanted rows between two wanted ones that are worth reading rather than asking twice.
    longest : int
        Rows of one run; longer ones are cut.
    most_runs : int, optional
        How many runs there should be at most, cut ones aside.
    most_waste : float, optional
        How many unwanted rows there may be in all.

    Returns
    -------
    list of (int, int)
        First row and the row after the last, rising.

    Examples
    --------
    >>> row_runs(np.array([1, 2, 5, 40]), most_gap=2, longest=100)
    [(1, 6), (40, 41)]
    >>> row_runs(np.array([1, 2, 5, 40]), most_gap=0, longest=100, most_runs=1, most_waste=10)
    [(1, 6), (40, 41)]
    """
    if not rows.size:
        return []
    gaps = np.diff(rows) - 1
    order = np.argsort(gaps, kind="stable")
    joins = int(np.searchsorted(gaps[order], most_gap, side="right"))
    if most_runs is not None:
        joins = max(joins, rows.size - most_runs)
    if most_waste is not None:
        joins = min(joins, int(np.searchsorted(np.cumsum(gaps[order]), most_waste, side="right")))
    apart = np.ones(gaps.size, dtype=bool)
    apart[order[:joins]] = False
    ends = np.flatnonzero(apart)
    starts = rows[np.concatenate([[0], ends + 1])].tolist()
    stops = (rows[np.concatenate([ends, [rows.size - 1]])] + 1).tolist()
    return [
        (first, min(first + longest, stop))
        for start, stop in zip(starts, stops, strict=True)
        for first in range(start, stop, longest)
    ]
