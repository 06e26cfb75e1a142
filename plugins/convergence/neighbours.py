"""Mutual nearest neighbours: whether a number has the same neighbours in both models."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.trace import no_contrast
from numgeom_plugins.convergence.variance import anisotropy, require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Rounding of a cosine, and of a squared distance relative to the squared norms of its two rows.
ROUNDING = 1e-12
# Permutations taken at a time, so that memory stays at a few (n, k) tables.
BATCH = 32


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest neighbours of every row.

    Attributes
    ----------
    index : ndarray of int, shape (n, k)
    member : ndarray of bool, shape (n, n)
        Whether column j is a neighbour of row i.
    """

    index: I64
    member: npt.NDArray[np.bool_]


class _MutualKNN(ABC):
    name: ClassVar[str]

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def prepare(self, rep: Representation) -> Neighbours:
        """The neighbour sets of ``rep``.

        Raises
        ------
        Incompatible
            If ``k`` does not suit the number of rows, or all rows are equally near.
        """
        if not 1 <= self.k < rep.n:
            raise Incompatible(
                f"{self.name} with k={self.k} does not fit {rep.n} numbers; k must be 1 to {rep.n - 1}: "
                f"type {self.name}(k={min(max(1, rep.n // 10), 10)})."
            )

        def derive() -> Neighbours:
            require_variance(rep)
            closeness, tolerance = self.closeness(rep)
            if rep.n > 2 and not _differ(closeness, float(tolerance.max())):
                raise no_contrast(self.name, "all rows are equally near one another")
            return neighbours(closeness, tolerance, self.k)

        return rep.memo(f"convergence.{self.name}.{self.k}", derive)

    def score(self, a: Neighbours, b: Neighbours) -> float:
        """Mean share of common neighbours."""
        require_aligned(len(a.index), len(b.index))
        return float(np.take_along_axis(b.member, a.index, axis=1).mean())

    def permuted(self, a: Neighbours, b: Neighbours, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``.

        Neighbour sets are relabelled: j is a neighbour of i when ``p(j)`` was one of ``p(i)``. Where
        neighbours tie, position decides, so ranking the permuted rows anew can differ.
        """
        n = len(a.index)
        require_aligned(n, len(b.index))
        member = b.member.ravel()
        values = [
            member.take(batch[:, :, None] * n + batch[:, a.index]).mean(axis=(1, 2))
            for batch in np.array_split(permutations, max(1, -(-len(permutations) // BATCH)))
        ]
        return np.concatenate(values)

    @abstractmethod
    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Similarities ``(n, n)``, and the rounding error of those of each row, ``(n,)``."""


class CosineMutualKNN(_MutualKNN):
    """``mean_i |A_k(i) & B_k(i)| / k`` of the k nearest rows by cosine, in [0, 1].

    Under a random permutation the expectation is exactly ``k / (n - 1)``. Neighbours that tie up to
    rounding are taken in row order. Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987 (k = 10).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = CosineMutualKNN(k=2)
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(6)))
    >>> metric.score(a, b)
    1.0
    """

    name = "mutual_knn_cosine"

    def prepare(self, rep: Representation) -> Neighbours:
        """The neighbour sets of ``rep``; W-ANISO where the common mean dominates its cosines."""
        found = super().prepare(rep)
        caveat = anisotropy(rep)
        if caveat is not None:
            warnings.warn(caveat, stacklevel=2)
        return found

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Cosines of the raw rows."""
        return rep.workspace.cosines, np.full(rep.n, ROUNDING)


class EuclideanMutualKNN(_MutualKNN):
    """``mean_i |A_k(i) & B_k(i)| / k`` of the k nearest rows by Euclidean distance, in [0, 1].

    Under a random permutation the expectation is exactly ``k / (n - 1)``. Neighbours that tie up to
    rounding are taken in row order. Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987 (by inner product there).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = EuclideanMutualKNN(k=2)
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> metric.score(a, b)
    1.0
    """

    name = "mutual_knn_euclidean"

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Squared distances, negated: squaring keeps the order, and its rounding error is known."""
        squared = rep.workspace.squared_distances
        norms = np.diagonal(rep.workspace.gram)
        return -squared, ROUNDING * (norms + norms.mean())


def neighbours(closeness: F64, tolerance: F64, k: int) -> Neighbours:
    """The k closest other rows of every row, ties taken in row order.

    Parameters
    ----------
    closeness : ndarray, shape (n, n)
        Larger is closer; the diagonal is ignored.
    tolerance : ndarray, shape (n,)
        Values of a row that differ by no more than this tie.
    k : int
        From 1 to n - 1.

    Returns
    -------
    Neighbours

    Examples
    --------
    >>> same = np.ones((4, 4))
    >>> neighbours(same, np.zeros(4), 2).index.tolist()
    [[1, 2], [0, 2], [0, 1], [0, 1]]
    """
    n = len(closeness)
    values = closeness.copy()
    np.fill_diagonal(values, -np.inf)
    edge = np.partition(values, n - k, axis=1)[:, n - k : n - k + 1]
    member = values >= edge - tolerance[:, None]
    if np.count_nonzero(member) > n * k:
        # Some rows tie at their edge.
        within = values > edge + tolerance[:, None]
        tied = member & ~within
        missing = k - within.sum(axis=1, keepdims=True)
        member = within | (tied & (np.cumsum(tied, axis=1) <= missing))
    return Neighbours((np.flatnonzero(member) % n).reshape(n, k), member)


def _differ(closeness: F64, tolerance: float) -> bool:
    """Whether values off the diagonal differ by more than ``tolerance``; the first row mostly shows it."""
    if np.ptp(closeness[0, 1:]) > tolerance:
        return True
    values = closeness[~np.eye(len(closeness), dtype=bool)]
    return bool(np.ptp(values) > tolerance)
