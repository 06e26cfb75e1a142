"""More ways to compare the neighbour sets of a number: other similarities and other counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.neighbours import ROUNDING, CosineMutualKNN, EuclideanMutualKNN, Neighbours
from numgeom_plugins.convergence.variance import require_aligned

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def inner_products(rep: Representation) -> tuple[F64, F64]:
    """Inner products of the raw rows over the largest squared norm, and their rounding errors.

    Returns
    -------
    products : ndarray, shape (n, n)
    tolerance : ndarray, shape (n,)

    Examples
    --------
    >>> inner_products(Representation(np.array([[2.0], [1.0]]), np.arange(2)))[0].tolist()
    [[1.0, 0.5], [0.5, 0.25]]
    """
    rows = rep.matrix.astype(np.float64) / np.abs(rep.matrix).max()
    norms = np.linalg.norm(rows, axis=1)
    largest = float(norms.max())
    return (rows / largest) @ (rows / largest).T, ROUNDING * norms / largest


class InnerProductMutualKNN(CosineMutualKNN):
    """``mean_i |A_k(i) & B_k(i)| / k`` of the k rows of largest inner product, in [0, 1].

    Rows with long vectors are neighbours of all others, and a common mean decides; platonic-rep and
    Aristotelian rank like this whatever they are given. Under a random permutation the expectation is exactly
    ``k / (n - 1)``. Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = InnerProductMutualKNN(k=2)
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(6)))
    >>> metric.score(a, b)
    1.0
    """

    name = "mutual_knn_inner_product"

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Inner products of the raw rows."""
        return inner_products(rep)


class ClippedMutualKNN(CosineMutualKNN):
    """Mutual nearest neighbours as in the platonic representation hypothesis, in [0, 1].

    Entries are clipped at a quantile of all absolute entries (outlying coordinates decide cosines otherwise),
    then the k nearest rows by cosine are compared. The maximum over layers of the paper is not taken.
    Invariant to isotropic scale and a permutation of columns only.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.
    quantile : float
        In (0, 1].

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987 (k = 10, quantile 0.95).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = ClippedMutualKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "mutual_knn_clipped"

    def __init__(self, k: int = 10, quantile: float = 0.95) -> None:
        super().__init__(k)
        if not 0.0 < quantile <= 1.0:
            raise Incompatible(
                f"{self.name} needs quantile in (0, 1]; it is {quantile}: type {self.name}(quantile=0.95)."
            )
        self.quantile = float(quantile)

    def prepare(self, rep: Representation) -> Neighbours:
        """The neighbour sets of ``rep``; W-ANISO where the common mean dominates its cosines."""
        # What is kept with a representation is named by metric and k alone, so a copy holds those of this quantile.
        return super().prepare(rep.with_matrix(rep.matrix))

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Cosines of the clipped rows."""
        rows = rep.matrix.astype(np.float64)
        entries = np.sort(np.abs(rows), axis=None)
        limit = entries[min(int(self.quantile * entries.size), entries.size - 1)]
        clipped = rep.with_matrix(np.clip(rows, -limit, limit))
        return clipped.workspace.cosines, np.full(rep.n, ROUNDING)


class _Jaccard:
    """Neighbour sets compared by their Jaccard index, whatever makes a neighbour near."""

    k: int

    def score(self, a: Neighbours, b: Neighbours) -> float:
        """Mean Jaccard index of the neighbour sets."""
        require_aligned(len(a.index), len(b.index))
        return self._mean(np.take_along_axis(b.member, a.index, axis=1).sum(axis=1))

    def permuted(self, a: Neighbours, b: Neighbours, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.index), len(b.index))
        return np.array([self._mean(b.member[order[:, None], order[a.index]].sum(axis=1)) for order in permutations])

    def _mean(self, common: I64) -> float:
        return float((common / (2.0 * self.k - common)).mean())


class CosineJaccardKNN(_Jaccard, CosineMutualKNN):
    """``mean_i |A_k(i) & B_k(i)| / |A_k(i) | B_k(i)|`` of the k nearest rows by cosine, in [0, 1].

    ReSi drops the first neighbour blindly, so that an exact copy can stand for the row itself.
    Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Schumacher et al. 2021, arXiv:2005.10039; Klabunde et al. 2023, arXiv:2305.06329.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = CosineJaccardKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "jaccard_knn_cosine"


class EuclideanJaccardKNN(_Jaccard, EuclideanMutualKNN):
    """``mean_i |A_k(i) & B_k(i)| / |A_k(i) | B_k(i)|`` of the k nearest rows by Euclidean distance, in [0, 1].

    Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Schumacher et al. 2021, arXiv:2005.10039; Klabunde et al. 2023, arXiv:2305.06329.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = EuclideanJaccardKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "jaccard_knn_euclidean"


class CycleKNN(InnerProductMutualKNN):
    """Share of rows i that come back: some neighbour j of i in the second model has i as neighbour in the first.

    By inner product, in [0, 1]; not symmetric, and 1 for most models once k is large: chance is about
    ``1 - (1 - k / (n - 1))^k``. Not a measure of agreement to rely on: a model need not score best with itself,
    because nearest by inner product is not mutual (a long row is near to all others).
    Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987 (code).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = CycleKNN(k=5)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "cycle_knn_inner_product"

    def score(self, a: Neighbours, b: Neighbours) -> float:
        """The share of rows that come back."""
        require_aligned(len(a.index), len(b.index))
        return float(self.permuted(a, b, np.arange(len(a.index), dtype=np.int64)[None, :])[0])

    def permuted(self, a: Neighbours, b: Neighbours, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.index), len(b.index))
        values = np.empty(len(permutations))
        for draw, order in enumerate(permutations):
            # Row j of the table holds the rows i to which j leads back in a.
            back = b.member[order[a.index], order[:, None]]
            values[draw] = len(np.unique(a.index[back])) / len(a.index)
        return values
