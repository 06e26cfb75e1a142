"""Distances of shapes after the best rotation: with size, without centring, and after partial whitening."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.dissimilarity import standardised
from numgeom_plugins.convergence.procrustes import AngularProcrustes, narrow
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# A distance below this share of the two sizes is rounding.
ROUNDING = 1e-12
# Below this, |A|^2 + |B|^2 - 2 ||A'B||_* has lost half of its digits or more.
NEAR = 1e-4

_ANGLE = AngularProcrustes()


class Factors(ABC):
    """A metric on factors F of a kernel F F', which is all that a rotation leaves."""

    name: ClassVar[str]

    @abstractmethod
    def factor(self, rep: Representation) -> F64:
        """A factor with n rows."""

    def prepare(self, rep: Representation) -> F64:
        """The factor, ``(n, min(n, d))``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return narrow(np.asarray(self.factor(rep), dtype=np.float64))

    @abstractmethod
    def score(self, a: F64, b: F64) -> float:
        """The score of two factors."""

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.score(a, b[order]) for order in permutations])


class _Angle(Factors):
    def prepare(self, rep: Representation) -> F64:
        """The factor at unit Frobenius norm, ``(n, min(n, d))``.

        Raises
        ------
        Incompatible
            If the rows do not vary, or the factor is zero.
        """
        factor = super().prepare(rep)
        size = float(np.linalg.norm(factor))
        if not size > 0.0:
            raise Incompatible(f"{self.name} has nothing to compare: every row is constant; use another metric.")
        return factor / size

    def score(self, a: F64, b: F64) -> float:
        """The angle."""
        return _ANGLE.score(a, b)


class UncentredAngularProcrustes(_Angle):
    """``arccos ||A'B||_*`` of the rows as they are, at unit norm, in [0, pi/2] radians.

    A common mean counts as shape: use ``procrustes_angular`` unless the origin means something.
    Invariant to rotation and isotropic scale, not to translation.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = UncentredAngularProcrustes()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(6)))
    >>> metric.score(a, b) < 1e-12
    True
    """

    name = "procrustes_angular_uncentred"

    def factor(self, rep: Representation) -> F64:
        """The rows."""
        largest = float(np.abs(rep.matrix).max())
        return np.asarray(rep.matrix.astype(np.float64) / largest, dtype=np.float64)


class ShapeMetric(_Angle):
    """Angle of the rows after partial whitening, in [0, pi/2]: ``Xc (alpha I + (1 - alpha) C^(-1/2))``.

    alpha = 1 is ``procrustes_angular``, alpha = 0 is ``arccos`` of a mean of canonical correlations; between
    them the result depends on the size of the rows, because alpha weighs 1 against a standard deviation.
    C is the covariance (divided by n), as in wrongu-repsim; the peer netrep takes the scatter ``Xc'Xc``, so that
    its weight also depends on n: ``whitening="scatter"``. Invariant to rotation and translation, not to scale
    (alpha = 0: to every invertible linear map; it saturates as CCA does).

    Parameters
    ----------
    alpha : float
        From 0 (whitened) to 1 (as it is).
    whitening : {"covariance", "scatter"}

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = ShapeMetric(alpha=0.5)
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - rows, np.arange(6)))
    >>> metric.score(a, b) < 1e-12
    True
    """

    name = "shape_metric_angular"

    def __init__(self, alpha: float = 0.5, whitening: Literal["covariance", "scatter"] = "covariance") -> None:
        if not 0.0 <= alpha <= 1.0:
            raise Incompatible(f"{self.name} needs alpha from 0 to 1; it is {alpha}: type {self.name}(alpha=0.5).")
        if whitening not in ("covariance", "scatter"):
            raise Incompatible(
                f'{self.name} knows no whitening={whitening!r}; type whitening="covariance" or whitening="scatter".'
            )
        self.alpha = float(alpha)
        self.whitening = whitening

    def factor(self, rep: Representation) -> F64:
        """Left singular vectors times the partly whitened singular values."""
        left, values = rep.workspace.thin
        unit = np.sqrt(rep.n) if self.whitening == "covariance" else 1.0
        return np.asarray(left * (self.alpha * values + (1.0 - self.alpha) * unit), dtype=np.float64)


class WhitenedShapeMetric(ShapeMetric):
    """Angle of the whitened rows, in [0, pi/2]: ``arccos`` of the sum of canonical correlations over a mean rank.

    Invariant to every invertible linear map and translation. With d >= n - 1 every pair of clouds is at 0.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739 (alpha = 0).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 2))
    >>> metric = WhitenedShapeMetric()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(rows @ np.array([[2.0, 1.0], [0.0, 1.0]]), np.arange(6)))
    >>> metric.score(a, b) < 1e-9
    True
    """

    name = "shape_metric_angular_whitened"

    def __init__(self) -> None:
        super().__init__(alpha=0.0)


class _Chord(Factors):
    def score(self, a: F64, b: F64) -> float:
        """``min_Q ||A Q - B||_F``."""
        return chord(a, b)


class SizeAndShape(_Chord):
    """``min_Q ||Xc Q - Yc||_F``, the Procrustes distance of centred rows that keep their size, in [0, inf).

    Equally the Bures distance of the centred Grams. In the units of the rows. Invariant to rotation and
    translation, not to scale: models of another size are far apart whatever their shape. Peers of this name
    differ: some return its square, and Aristotelian returns ``1 - distance / ||Yc||``, which is neither
    symmetric nor free of scale; see ``procrustes_distance`` for shapes at unit size.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739; Klabunde et al. 2023, arXiv:2305.06329.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = SizeAndShape()
    >>> a = metric.prepare(Representation(np.array([[1.0], [-1.0]]), np.arange(2)))
    >>> b = metric.prepare(Representation(np.array([[-2.0], [2.0]]), np.arange(2)))
    >>> round(metric.score(a, b) ** 2, 12)
    2.0
    """

    name = "procrustes_size_and_shape"

    def factor(self, rep: Representation) -> F64:
        """The centred rows."""
        return rep.workspace.centred


class SquaredEuclideanBures(_Chord):
    """Bures distance of the kernels of squared distances per column, in [0, inf).

    As ``procrustes_size_and_shape`` of rows divided by the root of their width; rsatoolbox
    (``bures_metric`` of "euclidean" RDMs) returns its square. Invariant to rotation and translation.

    References
    ----------
    Harvey, Larsen & Williams 2024, arXiv:2311.11436.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = SquaredEuclideanBures()
    >>> a = metric.prepare(Representation(np.array([[1.0], [-1.0]]), np.arange(2)))
    >>> b = metric.prepare(Representation(np.array([[2.0], [-2.0]]), np.arange(2)))
    >>> round(metric.score(a, b) ** 2, 12)
    2.0
    """

    name = "rsa_bures_distance_sqeuclidean"

    def factor(self, rep: Representation) -> F64:
        """The centred rows over the root of the width (the true one, where the rows were narrowed)."""
        return np.asarray(rep.workspace.centred / np.sqrt(float(rep.provenance.get("width", rep.d))), dtype=np.float64)


class CorrelationBuresDistance(_Chord):
    """Bures distance of the double-centred correlation RDMs, in [0, inf).

    rsatoolbox (``bures_metric``) returns its square. Each row is standardised over its columns first, then the
    columns are centred. Invariant to isotropic scale and to a permutation of columns only.

    References
    ----------
    Harvey, Larsen & Williams 2024, arXiv:2311.11436.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = CorrelationBuresDistance()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(2.0 * rows, np.arange(6)))
    >>> metric.score(a, b)
    0.0
    """

    name = "rsa_bures_distance_correlation"

    def factor(self, rep: Representation) -> F64:
        """Standardised rows, columns centred, over the root of two (a distance is half a kernel)."""
        return correlation_factor(self.name, rep)


class CorrelationBures(_Angle):
    """Bures similarity (fidelity) of the double-centred correlation RDMs, in [0, 1].

    The cosine of the Procrustes angle between the standardised rows. Invariant to isotropic scale and to a
    permutation of columns only.

    References
    ----------
    Harvey, Larsen & Williams 2024, arXiv:2311.11436.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = CorrelationBures()
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "rsa_bures_correlation"

    def factor(self, rep: Representation) -> F64:
        """Standardised rows, columns centred."""
        return correlation_factor(self.name, rep)

    def score(self, a: F64, b: F64) -> float:
        """The cosine."""
        return float(np.cos(super().score(a, b)))


def correlation_factor(metric: str, rep: Representation) -> F64:
    """A factor of the double-centred correlation RDM, ``(n, d)``.

    Raises
    ------
    Incompatible
        If there are fewer than three columns, or all rows point in one direction.
    """
    if rep.d < 3:
        raise Incompatible(f"{metric} needs at least 3 columns; these rows have {rep.d}: use procrustes_angular.")
    rows = standardised(rep.matrix.astype(np.float64))
    rows -= rows.mean(axis=0)
    if np.linalg.norm(rows) <= ROUNDING * np.sqrt(rep.n):
        raise Incompatible(
            f"{metric} has nothing to compare: all rows have one direction; use another metric or more numbers."
        )
    return np.asarray(rows / np.sqrt(2.0), dtype=np.float64)


def chord(a: F64, b: F64) -> float:
    """``min_Q ||A Q - B||_F`` over rotations, the narrower side being padded with zero columns.

    Parameters
    ----------
    a : ndarray, shape (n, d)
    b : ndarray, shape (n, e)

    Returns
    -------
    float
        Exactly 0 where it is below the rounding error of the sizes.

    Examples
    --------
    >>> round(chord(np.eye(2), 2.0 * np.eye(2)[::-1]) ** 2, 12)
    2.0
    """
    require_aligned(len(a), len(b))
    if a.shape[1] > b.shape[1]:
        a, b = b, a
    sizes = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    left, values, right = np.linalg.svd(a.T @ b, full_matrices=False)
    total = sizes[0] ** 2 + sizes[1] ** 2
    squared = total - 2.0 * float(values.sum())
    # The narrower side is turned, because only then does Q keep its length.
    found = float(np.linalg.norm(a @ (left @ right) - b)) if squared < NEAR * total else float(np.sqrt(squared))
    return found if found > ROUNDING * sum(sizes) else 0.0
