"""Canonical correlations and what is made of them: CCA, SVCCA, PWCCA and GULP.

All of it works on thin factors: left singular vectors ``(n, r)`` and singular values of the centred rows,
r their numerical rank. Canonical correlations are the singular values of ``Ua'Ub``; with d >= n - 1 the
columns of every model span all centred directions and each of them is 1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.convergence.thin_factor import thin_factor
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Span:
    """The directions in which a model varies.

    Attributes
    ----------
    left : ndarray, shape (n, r)
        Orthonormal columns, each scaled by ``shrink``.
    values : ndarray, shape (r,)
        Singular values, falling.
    rank : int
        How many correlations the model can have.
    full : bool
        Whether the columns span all centred directions, or W-N-LT-D is known from the widths.
    rows : ndarray, shape (n, min(n, d)), optional
        The centred rows, where loadings are asked for.
    """

    left: F64
    values: F64
    rank: int
    full: bool
    rows: F64 | None = None


class CCA:
    """Mean canonical correlation, in [0, 1]; over ``min(rank X, rank Y)`` of them.

    With d >= n - 1 it is 1 for any two models: reduce first (SVCCA), or use debiased CKA. Where both ranks
    together exceed n - 1, some correlations are 1 by counting alone (W-N-LT-D).
    Peers agree where both models have full column rank and n > d. Beyond, they refuse, average with zeros over
    the columns (Aristotelian, sim_metric), or divide by the rank of uncentred rows (repsim). Aristotelian adds
    1e-6 to the covariances (``ridge``); pyrcca returns 0.01 for an exact similarity transform.
    Invariant to every invertible linear map and to translation (with ``ridge=0``).

    Parameters
    ----------
    ridge : float
        Added to the diagonal of the covariances (divided by n - 1), in squared units of the rows.

    References
    ----------
    Hotelling 1936; Raghu, Gilmer, Yosinski & Sohl-Dickstein 2017, arXiv:1706.05806.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 2))
    >>> metric = CCA()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(rows @ np.array([[2.0, 1.0], [0.0, 1.0]]), np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name: ClassVar[str] = "cca_mean"

    def __init__(self, ridge: float = 0.0) -> None:
        if not 0.0 <= ridge < np.inf:
            raise Incompatible(f"{self.name} needs ridge of at least 0; it is {ridge}: type {self.name}(ridge=0).")
        self.ridge = float(ridge)

    def prepare(self, rep: Representation) -> Span:
        """The directions of ``rep``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        left, values = self.truncated(*thin_factor(rep))
        shrink = values / np.sqrt(values**2 + (rep.n - 1) * self.ridge)
        return Span(np.asarray(left * shrink), values, len(values), rep.n - 1 <= rep.d)

    def truncated(self, left: F64, values: F64) -> tuple[F64, F64]:
        """The directions that are compared: all."""
        return left, values

    def score(self, a: Span, b: Span) -> float:
        """The mean correlation; W-N-LT-D where some are 1 by counting."""
        require_aligned(len(a.left), len(b.left))
        forced = a.rank + b.rank - (len(a.left) - 1)
        if forced > 0 and not (a.full or b.full):
            text = (
                f"ranks {a.rank} and {b.rank} of {len(a.left)} centred rows: {forced} canonical correlations must be 1"
            )
            warnings.warn(MeasurementWarning("W-N-LT-D", text), stacklevel=2)
        return self.value(a, b)

    def value(self, a: Span, b: Span) -> float:
        """The mean correlation."""
        return float(self.correlations(a, b).mean())

    def correlations(self, a: Span, b: Span) -> F64:
        """Canonical correlations, falling, ``(min(rank, rank),)``."""
        return np.asarray(np.clip(np.linalg.svd(a.left.T @ b.left, compute_uv=False), 0.0, 1.0), dtype=np.float64)

    def permuted(self, a: Span, b: Span, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.value(a, replace(b, left=b.left[order])) for order in permutations])


class SquaredCCA(CCA):
    """Mean squared canonical correlation (Yanai), in [0, 1]; over ``min(rank X, rank Y)`` of them.

    See :class:`CCA` for where peers differ, and for d >= n - 1. Invariant to every invertible linear map and
    to translation (with ``ridge=0``).

    Parameters
    ----------
    ridge : float
        Added to the diagonal of the covariances (divided by n - 1), in squared units of the rows.

    References
    ----------
    Yanai 1974; Kornblith, Norouzi, Lee & Hinton 2019, arXiv:1905.00414.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 2))
    >>> metric = SquaredCCA()
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cca_mean_squared"

    def value(self, a: Span, b: Span) -> float:
        """The mean squared correlation."""
        return float(np.square(self.correlations(a, b)).mean())


class SVCCA(CCA):
    """Mean canonical correlation of the principal components that hold a share of the variance, in [0, 1].

    Peers of this name give six numbers. ReSi compares a cumulative *fraction* with 0.99 times the *total*
    variance, so it keeps one component as soon as the total exceeds 1.01; repsim truncates the flat spectrum of
    an orthonormal basis; contrasim truncates nothing; rtd sums singular values instead of variances and centres
    the wrong axis. Invariant to rotation, isotropic scale and translation, not to linear maps.

    Parameters
    ----------
    variance : float
        The share kept, in (0, 1].
    ridge : float
        Added to the diagonal of the covariances (divided by n - 1); platonic-universe adds 1e-8, Aristotelian 1e-6.

    References
    ----------
    Raghu, Gilmer, Yosinski & Sohl-Dickstein 2017, arXiv:1706.05806.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = SVCCA()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "svcca"

    def __init__(self, variance: float = 0.99, ridge: float = 0.0) -> None:
        super().__init__(ridge)
        if not 0.0 < variance <= 1.0:
            raise Incompatible(
                f"{self.name} needs variance in (0, 1]; it is {variance}: type {self.name}(variance=0.99)."
            )
        self.variance = float(variance)

    def truncated(self, left: F64, values: F64) -> tuple[F64, F64]:
        """The fewest leading directions that hold the share."""
        held = np.cumsum((values / values[0]) ** 2)
        # Components of equal variance must not fall off the end by the rounding of the sum.
        keep = int(np.searchsorted(held, self.variance * held[-1] * (1.0 - 1e-12))) + 1
        return left[:, :keep], values[:keep]


class FixedSVCCA(CCA):
    """Mean canonical correlation of the first k principal components, in [0, 1].

    Where a model has fewer, they are all taken (W-RANK); Aristotelian averages over k all the same.
    platonic-rep standardises columns, drops the variances and adds noise: another number at each call.
    Invariant to rotation, isotropic scale and translation (with ``ridge=0``).

    Parameters
    ----------
    k : int
        Components kept, at least 1.
    ridge : float
        Added to the diagonal of the covariances (divided by n - 1); Aristotelian adds 1e-6.

    References
    ----------
    Raghu, Gilmer, Yosinski & Sohl-Dickstein 2017, arXiv:1706.05806; Huh et al. 2024, arXiv:2405.07987 (k = 10).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = FixedSVCCA(k=2)
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "svcca_fixed"

    def __init__(self, k: int = 10, ridge: float = 0.0) -> None:
        super().__init__(ridge)
        if k < 1:
            raise Incompatible(f"{self.name} needs k of at least 1; it is {k}: type {self.name}(k=10).")
        self.k = int(k)

    def truncated(self, left: F64, values: F64) -> tuple[F64, F64]:
        """The first k directions; W-RANK where there are fewer."""
        if len(values) < self.k:
            warnings.warn(
                MeasurementWarning("W-RANK", f"{self.k} components asked for; rank {len(values)}"), stacklevel=2
            )
        return left[:, : self.k], values[: self.k]


class PWCCA(CCA):
    """Canonical correlations weighted by how much of the first model they carry, in [0, 1]; not symmetric.

    ``sum_i w_i rho_i / sum_i w_i`` with ``w_i = sum_j |<h_i, x_j>|``, h_i the canonical variates of the first
    model (orthonormal) and x_j its centred columns. sim_metric and (both directions averaged) repsim agree;
    google's code and its copies in ReSi, rtd and contrasim leave out an inverse square root when they project;
    platonic-universe weighs by variances of whitened variates, which are all 1; Aristotelian weighs by the
    variates themselves. Where several correlations are equal their variates are any rotation of one another and
    the weights, sums of absolute values, depend on it.
    Invariant to isotropic scale, a permutation of columns and translation; of the second model to every
    invertible linear map.

    References
    ----------
    Morcos, Raghu & Bengio 2018, arXiv:1806.05759.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = PWCCA()
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "pwcca"

    def __init__(self) -> None:
        super().__init__()

    def prepare(self, rep: Representation) -> Span:
        """The directions of ``rep``, and its centred rows.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        return replace(super().prepare(rep), rows=rep.workspace.centred)

    def value(self, a: Span, b: Span) -> float:
        """The weighted mean correlation."""
        assert a.rows is not None
        left, values, _ = np.linalg.svd(a.left.T @ b.left, full_matrices=False)
        weights = np.abs((a.left @ left).T @ a.rows).sum(axis=1)
        return float(np.clip(weights @ np.clip(values, 0.0, 1.0) / weights.sum(), 0.0, 1.0))


class MeanPWCCA(PWCCA):
    """PWCCA averaged over both directions, in [0, 1].

    Invariant to isotropic scale, a permutation of columns and translation.

    References
    ----------
    Morcos, Raghu & Bengio 2018, arXiv:1806.05759.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = MeanPWCCA()
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "pwcca_both_directions"

    def value(self, a: Span, b: Span) -> float:
        """The mean of both directions."""
        return 0.5 * (super().value(a, b) + super().value(b, a))

    def permuted(self, a: Span, b: Span, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        assert b.rows is not None
        turned = (replace(b, left=b.left[order], rows=b.rows[order]) for order in permutations)
        return np.array([self.value(a, other) for other in turned])


class GULP:
    """Distance of what ridge regression can predict from either model, in [0, inf).

    ``||P_a - P_b||_F`` with the hat matrices ``P = Xc (Xc'Xc + n lambda I)^-1 Xc'`` of rows whose mean squared
    norm is 1: the square is ``tr (S_x S)^2 + tr (S_y S)^2 - 2 tr(...)`` of the paper, which ReSi returns; on
    rank-deficient rows at lambda = 0, where inverses do not exist, ReSi's value turns negative.
    Invariant to rotation, isotropic scale and translation; at ``ridge=0`` to every invertible linear map, and
    then 0 for any two models with d >= n - 1.

    Parameters
    ----------
    ridge : float
        lambda, at least 0.

    References
    ----------
    Boix-Adsera, Lawrence, Stepaniants & Rigollet 2022, arXiv:2210.06545.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = GULP(ridge=0.0)
    >>> a = metric.prepare(Representation(np.array([[1.0], [-1.0], [0.0]]), np.arange(3)))
    >>> b = metric.prepare(Representation(np.array([[1.0], [1.0], [-2.0]]), np.arange(3)))
    >>> round(metric.score(a, b) ** 2, 12)
    2.0
    """

    name: ClassVar[str] = "gulp"

    def __init__(self, ridge: float = 0.01) -> None:
        if not 0.0 <= ridge < np.inf:
            raise Incompatible(f"{self.name} needs ridge of at least 0; it is {ridge}: type {self.name}(ridge=0.01).")
        self.ridge = float(ridge)

    def prepare(self, rep: Representation) -> F64:
        """The hat matrix, ``(n, n)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        left, values = thin_factor(rep)
        share = (values / values[0]) ** 2
        share /= share.sum()
        return np.asarray((left * (share / (share + self.ridge))) @ left.T, dtype=np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The distance."""
        require_aligned(len(a), len(b))
        return float(np.linalg.norm(a - b))

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.score(a, b[order].take(order, axis=1)) for order in permutations])
