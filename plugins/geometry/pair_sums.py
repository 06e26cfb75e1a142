"""Sums of a Gram over the pairs of one distance, in any row order: made once, whichever metrics ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.geometry.numerals import signed_log
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import reordered

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
LOG_BINS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """The bin of every pair i < j, how many pairs each holds, and how many of them each number is in."""

    of: I64
    counts: I64
    ends: F64


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over pairs i < j of the Gram and of squared distances, by lag of the ranks and by distance of logarithms.

    Attributes
    ----------
    diagonal : ndarray, shape (n,)
        Of the Gram in this order.
    lags, squared_lags : ndarray, shape (n,)
        Entry k is the sum over ``j - i = k``; entry 0 is 0.
    logs, squared_logs : ndarray, shape (bins,)
    """

    diagonal: F64
    lags: F64
    squared_lags: F64
    logs: F64
    squared_logs: F64


class PairSums:
    """The Gram of a representation at unit energy, and its sums over pairs in every row order that was asked for.

    A row permutation asks every metric for the same orders. Kept are some numbers of the size of a row order.

    Examples
    --------
    >>> rep = Representation(np.array([[0.0], [1.0], [3.0]]), np.arange(3))
    >>> found = pair_sums(rep).of(np.array([0, 1, 2]))
    >>> (found.squared_lags * rep.workspace.energy).round(9).tolist()
    [0.0, 5.0, 9.0]
    """

    def __init__(self, gram: F64, numbers: I64) -> None:
        self.gram = gram
        self._logs = log_bins(tuple(numbers.tolist()))
        self._held: dict[bytes, Sums] = {}

    def of(self, order: I64) -> Sums:
        """The sums when row ``order[i]`` belongs to number i."""
        key = order.tobytes()
        if key not in self._held:
            self._held[key] = self._sums(order)
        return self._held[key]

    def _sums(self, order: I64) -> Sums:
        n = len(order)
        seen = pairs(reordered(self.gram, order))
        diagonal = np.diagonal(self.gram)[order]
        lags, logs = binned(lags_of_pairs(n), seen), binned(self._logs.of, seen)
        # |x_i - x_j|^2 = G_ii + G_jj - 2 G_ij; at lag k, G_ii is summed over the first and the last n - k rows.
        along = np.concatenate([[0.0], np.cumsum(diagonal)])
        ends = along[n - np.arange(n)] + along[n] - along[np.arange(n)]
        ends[0] = 0.0
        return Sums(
            diagonal,
            lags,
            np.clip(ends - 2.0 * lags, 0.0, None),
            logs,
            np.clip(self._logs.ends @ diagonal - 2.0 * logs, 0.0, None),
        )


def binned(of: I64, values: F64) -> F64:
    """The sum of the values in each bin.

    Examples
    --------
    >>> binned(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.asarray(np.bincount(of, weights=values), dtype=np.float64)


def pair_sums(rep: Representation) -> PairSums:
    """The sums of a representation, shared by all metrics of it."""
    return rep.memo("geometry.pair_sums", lambda: PairSums(rep.workspace.gram / rep.workspace.energy, rep.numbers))


@lru_cache(maxsize=4)
def log_bins(numbers: tuple[int, ...]) -> Bins:
    """Pairs by ``|ln(1 + i) - ln(1 + j)|`` (signed below 0), in 100 bins of equal width."""
    n = len(numbers)
    scale = signed_log(np.array(numbers, dtype=np.int64))
    apart = pairs(np.abs(scale[:, None] - scale[None, :]))
    of = np.minimum((apart / apart.max() * LOG_BINS).astype(np.int64), LOG_BINS - 1)
    counts = np.bincount(of)
    first, second = np.triu_indices(n, 1)
    ends = np.bincount(np.concatenate([of * n + first, of * n + second]), minlength=counts.size * n)
    return Bins(of, counts, ends.reshape(-1, n).astype(np.float64))


@lru_cache(maxsize=4)
def lags_of_pairs(n: int) -> I64:
    """The lag of every pair, in the order of :func:`pairs`."""
    first, second = np.triu_indices(n, 1)
    return np.asarray(second - first, dtype=np.int64)
