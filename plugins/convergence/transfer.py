"""Transfer: whether a map between two models, learned from some numbers, finds the others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Cosines that differ by no more than this tie, and a tie counts for the right number.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Scored:
    """One model, ready to be mapped.

    Attributes
    ----------
    rows : ndarray, shape (n, c)
        Leading principal component scores at unit energy.
    numbers : ndarray of int, shape (n,)
    """

    rows: F64
    numbers: I64


class _Transfer(ABC):
    name: ClassVar[str]
    highest: ClassVar[float] = 1.0

    def __init__(self, components: int = 100, folds: int = 10, seed: int = 0) -> None:
        if components < 1 or folds < 2:
            raise Incompatible(
                f"{self.name} needs components of 1 or more and at least 2 folds; got components={components}, "
                f"folds={folds}. Type {self.name}(folds=10)."
            )
        self.components = components
        self.folds = folds
        self.seed = seed

    def prepare(self, rep: Representation) -> Scored:
        """Leading principal component scores at unit energy, with their numbers.

        Raises
        ------
        Incompatible
            If there are fewer numbers than folds or fewer than 10, or the rows do not vary.
        """
        if rep.n < max(self.folds, 10):
            raise Incompatible(
                f"{self.name} with {self.folds} folds needs at least {max(self.folds, 10)} numbers; these are {rep.n}."
            )

        def derive() -> Scored:
            require_variance(rep)
            left, values = rep.workspace.thin
            # At most half of the numbers that a map is learned from, so that the map is determined.
            count = min(self.components, (rep.n - -(-rep.n // self.folds)) // 2, len(values))
            scores = left[:, :count] * values[:count]
            return Scored(np.asarray(scores / np.linalg.norm(scores), dtype=np.float64), rep.numbers)

        return rep.memo(f"convergence.transfer.{self.components}.{self.folds}", derive)

    def score(self, a: Scored, b: Scored) -> float:
        """The mean over both directions."""
        require_aligned(len(a.rows), len(b.rows))
        ranks, nearest = self.look_up(a.rows, b.rows)
        return float(np.clip(self.summary(ranks, a.numbers, nearest), 0.0, self.highest))

    def look_up(self, a: F64, b: F64) -> tuple[I64, I64]:
        """How each number is found when its row is held out, from a to b and from b to a.

        Parameters
        ----------
        a, b : ndarray, shape (n, c)

        Returns
        -------
        ranks : ndarray of int, shape (2, n)
            Of the right row among all n.
        nearest : ndarray of int, shape (2, n)
            The row that is found first: the right one where its rank is 1.
        """
        n = len(a)
        ranks = np.empty((2, n), dtype=np.int64)
        nearest = np.empty((2, n), dtype=np.int64)
        for held in np.array_split(np.random.default_rng(self.seed).permutation(n), self.folds):
            train = np.setdiff1d(np.arange(n), held)
            left, _, right = np.linalg.svd(a[train].T @ b[train], full_matrices=False)
            # The map from a to b is left @ right, and from b to a its transpose: both are compared half-way.
            into, back = a @ left, b @ right.T
            ranks[0, held], nearest[0, held] = _find(into[held], _scaled(back, b), held)
            ranks[1, held], nearest[1, held] = _find(back[held], _scaled(into, a), held)
        return ranks, nearest

    @abstractmethod
    def summary(self, ranks: I64, numbers: I64, nearest: I64) -> float:
        """The score of these ranks and of these rows found first."""


class TransferTop1(_Transfer):
    """Share of numbers found first when they were held out of the learned map, in [0, 1].

    Both models are reduced to their leading principal components. In each of the folds an orthogonal map is
    fitted to the other numbers (orthogonal Procrustes), the held-out rows are mapped, and every one of them looks
    for its number among all n by cosine. The score is the mean of both directions, so it is symmetric; the
    components do not know the other model, so nothing leaks. Chance is about 1/n. A number whose row is an exact
    copy of another is found with it. Two unrelated smooth curves are found far above chance too: hold it against
    ``order_modes``. Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    components : int
        At most so many principal components a model, and at most half of the numbers learned from.
    folds : int
        Of a partition of the numbers at random; n folds leave out one number at a time.
    seed : int
        Of the partition.

    References
    ----------
    Schonemann 1966 (orthogonal Procrustes); Conneau et al. 2018, arXiv:1710.04087 (retrieval after alignment).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((40, 5))
    >>> metric = TransferTop1()
    >>> a = metric.prepare(Representation(rows, np.arange(40)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows[:, ::-1], np.arange(40)))
    >>> metric.score(a, b)
    1.0
    """

    name = "transfer_top1"

    def summary(self, ranks: I64, numbers: I64, nearest: I64) -> float:
        """Share of rank 1."""
        return float((ranks == 1).mean())


class TransferMRR(_Transfer):
    """Mean reciprocal rank at which held-out numbers are found, in (0, 1].

    As :class:`TransferTop1`, with the mean of one over the rank instead of the share of rank 1; chance is the
    mean of ``1/1, 1/2, ..., 1/n``, about ``(ln n + 0.58) / n``.

    Parameters
    ----------
    components, folds, seed : int
        As there.

    References
    ----------
    Schonemann 1966 (orthogonal Procrustes); Conneau et al. 2018, arXiv:1710.04087 (retrieval after alignment).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((40, 5))
    >>> metric = TransferMRR()
    >>> state = metric.prepare(Representation(rows, np.arange(40)))
    >>> metric.score(state, state)
    1.0
    """

    name = "transfer_mrr"

    def summary(self, ranks: I64, numbers: I64, nearest: I64) -> float:
        """Mean of one over the rank."""
        return float((1.0 / ranks).mean())


class TransferValueError(_Transfer):
    """Mean distance in value between a held-out number and the one found in its place, ``mean |m - n|``, from 0.

    As :class:`TransferTop1`, with how far off the find is instead of whether it is right: near misses count as near.
    Any two smooth curves miss by little, so hold it against ``order_modes``, or against ``smooth_surrogate`` for
    what order alone would give.

    Parameters
    ----------
    components, folds, seed : int
        As there.

    References
    ----------
    Schonemann 1966 (orthogonal Procrustes); Conneau et al. 2018, arXiv:1710.04087 (retrieval after alignment).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((40, 5))
    >>> metric = TransferValueError()
    >>> state = metric.prepare(Representation(rows, np.arange(40)))
    >>> metric.score(state, state)
    0.0
    """

    name = "transfer_value_error"
    highest = np.inf

    def summary(self, ranks: I64, numbers: I64, nearest: I64) -> float:
        """Mean distance in value."""
        return float(np.abs(numbers[nearest] - numbers).mean())


class TransferDigitError(_Transfer):
    """Mean number of decimal digits in which a held-out number and the one found in its place differ, from 0.

    As :class:`TransferValueError`, with both numbers written with leading zeros to one length and compared place by
    place: 305 for 905 is one digit off, 300 for 299 is three. The sign does not count.

    Parameters
    ----------
    components, folds, seed : int
        As there.

    References
    ----------
    Schonemann 1966 (orthogonal Procrustes); Levy & Geva 2024, arXiv:2410.11781 (errors by digit).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((40, 5))
    >>> metric = TransferDigitError()
    >>> state = metric.prepare(Representation(rows, np.arange(40)))
    >>> metric.score(state, state)
    0.0
    """

    name = "transfer_digit_error"
    highest = np.inf

    def summary(self, ranks: I64, numbers: I64, nearest: I64) -> float:
        """Mean number of digits that differ."""
        places = 10 ** np.arange(len(str(int(np.abs(numbers).max()))))
        digits = np.abs(numbers)[:, None] // places % 10
        return float((digits[nearest] != digits).sum(axis=-1).mean())


def _scaled(rows: F64, by: F64) -> F64:
    """Rows over the lengths of ``by``; 0 where that is 0."""
    norms = np.linalg.norm(by, axis=1, keepdims=True)
    scaled: F64 = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return scaled


def _find(queries: F64, targets: F64, right: I64) -> tuple[I64, I64]:
    """The rank of each query's right row of ``targets``, and the row found first."""
    cosines = _scaled(queries, queries) @ targets.T
    own = cosines[np.arange(len(right)), right]
    ranks = 1 + (cosines > own[:, None] + ROUNDING).sum(axis=1)
    first = np.where(ranks == 1, right, cosines.argmax(axis=1))
    return np.asarray(ranks, dtype=np.int64), np.asarray(first, dtype=np.int64)
