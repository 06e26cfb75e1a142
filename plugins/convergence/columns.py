"""Metrics that compare columns: they ask for the same axes, or match them one by one.

Matching costs a ``(d, d')`` table and an assignment, which no smaller factor can replace: axes are what is compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.aligned_cosine import row_cosines
from numgeom_plugins.convergence.shape import ROUNDING
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class _Columns(ABC):
    name: ClassVar[str]

    def prepare(self, rep: Representation) -> F64:
        """The rows over their largest entry, ``(n, d)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return np.asarray(rep.matrix.astype(np.float64) / np.abs(rep.matrix).max(), dtype=np.float64)

    @abstractmethod
    def score(self, a: F64, b: F64) -> float:
        """The score of two prepared sides."""

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.score(a, b[order]) for order in permutations])


class _Standardised(_Columns):
    def prepare(self, rep: Representation) -> F64:
        """The columns that vary, centred and at unit length, ``(n, columns)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        centred = rep.workspace.centred
        sizes = np.linalg.norm(centred, axis=0)
        varies = sizes > ROUNDING * np.abs(rep.matrix).max(axis=0) * np.sqrt(rep.n)
        return np.asarray(centred[:, varies] / sizes[varies], dtype=np.float64)


class HardCorrelationMatch(_Standardised):
    """Mean correlation of matched columns, each used once, under the best matching, in [-1, 1].

    The matching maximises the sum of signed correlations; ``min(d, d')`` pairs are made, and constant columns
    take no part. With few numbers large correlations come about by chance: read it beside its null.
    Invariant to a permutation of columns, isotropic scale and translation; not to rotation.

    References
    ----------
    Li, Yosinski, Clune, Lipson & Hopcroft 2015, arXiv:1511.07543.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = HardCorrelationMatch()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(5.0 + rows[:, ::-1], np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "correlation_match_hard"

    def score(self, a: F64, b: F64) -> float:
        """Mean correlation over the matching."""
        require_aligned(len(a), len(b))
        table = a.T @ b
        return float(np.clip(table[linear_sum_assignment(table, maximize=True)].mean(), -1.0, 1.0))


class SoftCorrelationMatch(_Standardised):
    """Mean correlation of each column with its best partner, averaged over both directions, in [-1, 1].

    Columns may be used more than once; constant ones take no part. Invariant to a permutation of columns,
    isotropic scale and translation; not to rotation.

    References
    ----------
    Li, Yosinski, Clune, Lipson & Hopcroft 2015, arXiv:1511.07543; Khosla & Williams 2024, arXiv:2311.09466.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = SoftCorrelationMatch()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(5.0 + rows[:, ::-1], np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "correlation_match_soft"

    def score(self, a: F64, b: F64) -> float:
        """Mean of the largest correlations of both sides."""
        require_aligned(len(a), len(b))
        table = a.T @ b
        return float(np.clip(0.5 * (table.max(axis=0).mean() + table.max(axis=1).mean()), -1.0, 1.0))


class _Matched(_Columns):
    def residual(self, a: F64, b: F64) -> float:
        """``min_P ||A P - B||_F`` over permutations of columns, the narrower side padded with zero columns."""
        require_aligned(len(a), len(b))
        width = max(a.shape[1], b.shape[1])
        left, right = (np.pad(v, ((0, 0), (0, width - v.shape[1]))) for v in (a, b))
        rows, columns = linear_sum_assignment(left.T @ right, maximize=True)
        return float(np.linalg.norm(left[:, rows] - right[:, columns]))


class PermutationAngle(_Matched):
    """Angle of the centred rows at unit norm after the best permutation of columns, in [0, pi] radians.

    A true metric; the narrower model is padded with zero columns. Invariant to a permutation of columns,
    isotropic scale and translation; not to rotation.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = PermutationAngle()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(5.0 + 2.0 * rows[:, ::-1], np.arange(8)))
    >>> metric.score(a, b) < 1e-12
    True
    """

    name = "permutation_procrustes_angular"

    def prepare(self, rep: Representation) -> F64:
        """The centred rows at unit norm.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return np.asarray(rep.workspace.centred / np.sqrt(rep.workspace.energy), dtype=np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The angle under which the residual is seen."""
        return float(2.0 * np.arcsin(min(self.residual(a, b) / 2.0, 1.0)))


class PermutationDistance(_Matched):
    """``min_P ||X P - Y||_F`` over permutations of columns, of the rows as they are, in [0, inf).

    Neither centred nor normalised, in the units of the rows, as in ReSi and netrep. A true metric; invariant to
    a permutation of columns only.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = PermutationDistance()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(rows[:, ::-1], np.arange(8)))
    >>> metric.score(a, b)
    0.0
    """

    name = "permutation_procrustes"

    def prepare(self, rep: Representation) -> F64:
        """The rows.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return rep.matrix.astype(np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The residual."""
        return self.residual(a, b)


class _SameAxes(_Columns):
    def pair(self, a: F64, b: F64) -> None:
        """Refuse sides of unequal width or length.

        Raises
        ------
        Incompatible
        """
        require_aligned(len(a), len(b))
        if a.shape[1] != b.shape[1]:
            raise Incompatible(
                f"{self.name} needs the same axes on both sides; the widths are {a.shape[1]} and {b.shape[1]}: "
                "use aligned_cosine or procrustes_angular."
            )


class RowwiseCosine(_SameAxes):
    """Mean cosine of the raw rows of a number in both models, in [-1, 1], without any alignment.

    For models that share their axes: checkpoints of one run, a model and its fine-tuned self. About 0 for others,
    however similar. Invariant to isotropic scale only.

    References
    ----------
    Hamilton, Leskovec & Jurafsky 2016, arXiv:1605.09096.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = RowwiseCosine()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(2.0 * rows, np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "rowwise_cosine"

    def score(self, a: F64, b: F64) -> float:
        """The mean cosine."""
        self.pair(a, b)
        return float(np.clip(row_cosines(a, b, a, b).mean(), -1.0, 1.0))


class TuckerCongruence(_SameAxes):
    """Mean absolute cosine of each raw column with the same column of the other model, in [0, 1].

    For models that share their axes up to sign. Columns are not centred. Invariant to isotropic scale only.

    References
    ----------
    Tucker 1951; Lorenzo-Seva & ten Berge 2006.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = TuckerCongruence()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "tucker_congruence"

    def score(self, a: F64, b: F64) -> float:
        """The mean congruence."""
        self.pair(a, b)
        return float(np.clip(np.abs(row_cosines(a.T, b.T, a.T, b.T)).mean(), 0.0, 1.0))
