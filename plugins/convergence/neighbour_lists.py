"""Neighbours of a number with their order, and with their distances."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.convergence.neighbourhoods import inner_products
from numgeom_plugins.convergence.neighbours import ROUNDING, CosineMutualKNN, Neighbours
from numgeom_plugins.convergence.variance import require_aligned

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """The k nearest neighbours of every row, nearest first.

    Attributes
    ----------
    index : ndarray of int, shape (n, k)
    """

    index: I64


class _Ranked(CosineMutualKNN):
    """Neighbour lists by cosine, compared with their order."""

    def prepare(self, rep: Representation) -> Ranked:  # type: ignore[override]
        """The neighbour lists of ``rep``; W-ANISO where the common mean dominates.

        Raises
        ------
        Incompatible
            If ``k`` does not suit the number of rows, or all rows are equally near.
        """
        return Ranked(nearest_first(super().prepare(rep), *self.closeness(rep)))

    def score(self, a: Ranked, b: Ranked) -> float:  # type: ignore[override]
        """Mean agreement of the lists of each row."""
        require_aligned(len(a.index), len(b.index))
        return float(self.agreement(a.index[:, :, None] == b.index[:, None, :]).mean())

    def permuted(self, a: Ranked, b: Ranked, permutations: I64) -> F64:  # type: ignore[override]
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.index), len(b.index))
        back = np.argsort(permutations, axis=1)
        lists = (place[b.index[order]] for order, place in zip(permutations, back, strict=True))
        return np.array([self.agreement(a.index[:, :, None] == held[:, None, :]).mean() for held in lists])

    @abstractmethod
    def agreement(self, same: npt.NDArray[np.bool_]) -> F64:
        """Agreement of each row, ``(n,)``, where ``same[i, r, s]`` says that places r and s hold one neighbour."""


class RankKNN(_Ranked):
    """Rank similarity of the k nearest rows by cosine, in [0, 1].

    A shared neighbour at ranks r and s counts ``2 / ((1 + |r - s|) (r + s))``; the sum is divided by the best
    that so many shared neighbours could give, ``1 + 1/2 + ... + 1/m``. Rows without shared neighbours count 0.
    Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Wang, Hamilton & Leskovec 2019; Klabunde et al. 2024, arXiv:2408.00531 (ReSi).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = RankKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "rank_knn_cosine"

    def agreement(self, same: npt.NDArray[np.bool_]) -> F64:
        """Weighted count of shared neighbours over its maximum."""
        ranks = np.arange(1, self.k + 1, dtype=np.float64)
        weights = 2.0 / ((1.0 + np.abs(ranks[:, None] - ranks)) * (ranks[:, None] + ranks))
        best = np.concatenate(([1.0], np.cumsum(1.0 / ranks)))
        return np.asarray(np.einsum("irs,rs->i", same, weights) / best[same.sum(axis=(1, 2))], dtype=np.float64)


class LCSLength(_Ranked):
    """Mean length of the longest common subsequence of the neighbour lists by inner product, in [0, k].

    As platonic-rep gives it; over k it is ``lcs_knn_inner_product``. Invariant to rotation and isotropic scale.

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
    >>> metric = LCSLength(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    2.0
    """

    name = "lcs_knn_length_inner_product"

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Inner products of the raw rows."""
        return inner_products(rep)

    def agreement(self, same: npt.NDArray[np.bool_]) -> F64:
        """Length of the longest common subsequence."""
        n, k, _ = same.shape
        longest = np.zeros((k + 1, k + 1, n), dtype=np.int64)
        for r in range(k):
            for s in range(k):
                skipped = np.maximum(longest[r, s + 1], longest[r + 1, s])
                longest[r + 1, s + 1] = np.where(same[:, r, s], longest[r, s] + 1, skipped)
        return np.asarray(longest[k, k], dtype=np.float64)


class LCSKNN(LCSLength):
    """Mean length of the longest common subsequence of the neighbour lists by inner product, over k, in [0, 1].

    platonic-rep returns the length itself, ``lcs_knn_length_inner_product``. Invariant to rotation and isotropic scale.

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
    >>> metric = LCSKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "lcs_knn_inner_product"

    def agreement(self, same: npt.NDArray[np.bool_]) -> F64:
        """Length of the longest common subsequence over k."""
        return super().agreement(same) / self.k


class EditKNN(LCSKNN):
    """``1 -`` mean Levenshtein distance of the neighbour lists by inner product over k, in [0, 1].

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
    >>> metric = EditKNN(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> metric.score(state, state)
    1.0
    """

    name = "edit_knn_inner_product"

    def agreement(self, same: npt.NDArray[np.bool_]) -> F64:
        """One minus the edit distance over k."""
        n, k, _ = same.shape
        edits = np.zeros((k + 1, k + 1, n), dtype=np.int64)
        edits[:, 0] = edits[0] = np.arange(k + 1)[:, None]
        for r in range(k):
            for s in range(k):
                replaced = edits[r, s] + ~same[:, r, s]
                edits[r + 1, s + 1] = np.minimum(replaced, 1 + np.minimum(edits[r, s + 1], edits[r + 1, s]))
        return np.asarray(1.0 - edits[k, k] / k, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Profiles:
    """Neighbour sets, and the distances to all rows.

    Attributes
    ----------
    member : ndarray of bool, shape (n, n)
    distances : ndarray, shape (n, n)
    """

    member: npt.NDArray[np.bool_]
    distances: F64


class SecondOrderCosine(CosineMutualKNN):
    """Mean cosine of the profiles of cosine distances to all neighbours in either model, in [0, 1].

    For each row the vectors hold its distances to the union of both sets of k neighbours. Distances are
    positive, so unrelated clouds score near .9: read it beside its null. Where both profiles are zero (copies
    only) they agree. Invariant to rotation and isotropic scale, not to translation.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Hamilton, Leskovec & Jurafsky 2016, arXiv:1606.02821; Klabunde et al. 2024, arXiv:2408.00531 (ReSi).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = SecondOrderCosine(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "second_order_cosine"

    def prepare(self, rep: Representation) -> Profiles:  # type: ignore[override]
        """Neighbour sets and cosine distances of ``rep``; W-ANISO where the common mean dominates.

        Raises
        ------
        Incompatible
            If ``k`` does not suit the number of rows, or all rows are equally near.
        """
        distances = 1.0 - rep.workspace.cosines
        distances[distances < ROUNDING] = 0.0
        return Profiles(super().prepare(rep).member, distances)

    def score(self, a: Profiles, b: Profiles) -> float:  # type: ignore[override]
        """Mean cosine of the profiles."""
        require_aligned(len(a.member), len(b.member))
        return _profile_cosine(a, b.member, b.distances)

    def permuted(self, a: Profiles, b: Profiles, permutations: I64) -> F64:  # type: ignore[override]
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.member), len(b.member))
        held = ((b.member[p].take(p, axis=1), b.distances[p].take(p, axis=1)) for p in permutations)
        return np.array([_profile_cosine(a, member, distances) for member, distances in held])


def _profile_cosine(a: Profiles, member: npt.NDArray[np.bool_], distances: F64) -> float:
    union = a.member | member
    left, right = np.where(union, a.distances, 0.0), np.where(union, distances, 0.0)
    sizes = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    product = sizes[0] * sizes[1]
    cosines = np.divide(np.einsum("ij,ij->i", left, right), product, out=np.zeros_like(product), where=product > 0)
    agreed = np.where((sizes[0] == 0) & (sizes[1] == 0), 1.0, cosines)
    return float(np.clip(agreed.mean(), 0.0, 1.0))


def nearest_first(sets: Neighbours, closeness: F64, tolerance: F64) -> I64:
    """The members of each set, nearest first, in row order where they tie up to rounding.

    Parameters
    ----------
    sets : Neighbours
    closeness : ndarray, shape (n, n)
    tolerance : ndarray, shape (n,)

    Returns
    -------
    ndarray of int, shape (n, k)

    Examples
    --------
    >>> near = np.array([[9.0, 1.0, 2.0], [1.0, 9.0, 1.0], [2.0, 1.0, 9.0]])
    >>> from numgeom_plugins.convergence.neighbours import neighbours
    >>> nearest_first(neighbours(near, np.zeros(3), 2), near, np.zeros(3)).tolist()
    [[2, 1], [0, 2], [0, 1]]
    """
    n = len(closeness)
    values = np.take_along_axis(closeness, sets.index, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    index, values = np.take_along_axis(sets.index, order, axis=1), np.take_along_axis(values, order, axis=1)
    steps = np.diff(values, axis=1, prepend=values[:, :1]) < -tolerance[:, None]
    places = np.cumsum(steps, axis=1) * n + index
    return np.asarray(np.take_along_axis(index, np.argsort(places, axis=1), axis=1), dtype=np.int64)
