"""Differences of single numbers that describe each model, and of whole distance matrices."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.convergence.aligned_cosine import row_cosines
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class _Difference(ABC):
    """``|f(X) - f(Y)|`` of a descriptor f that knows no order of rows."""

    def prepare(self, rep: Representation) -> tuple[float, int]:
        """The descriptor, and the number of rows.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return self.descriptor(rep), rep.n

    @abstractmethod
    def descriptor(self, rep: Representation) -> float:
        """One number."""

    def score(self, a: tuple[float, int], b: tuple[float, int]) -> float:
        """The absolute difference."""
        require_aligned(a[1], b[1])
        return abs(a[0] - b[0])

    def permuted(self, a: tuple[float, int], b: tuple[float, int], permutations: I64) -> F64:
        """The score itself, ``(draws,)``: the order of rows plays no part, and this null says nothing."""
        return np.full(len(permutations), self.score(a, b))


class MagnitudeDifference(_Difference):
    """Difference of the lengths of the mean rows, in [0, inf), in the units of the rows.

    0 does not mean that models agree: it compares one number of each. Invariant to rotation.

    References
    ----------
    Klabunde, Schumacher, Strohmaier & Lemmerich 2023, arXiv:2305.06329.

    Examples
    --------
    >>> metric = MagnitudeDifference()
    >>> a = metric.prepare(Representation(np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]), np.arange(3)))
    >>> b = metric.prepare(Representation(np.array([[1.0], [-1.0], [0.0]]), np.arange(3)))
    >>> round(metric.score(a, b), 12)
    3.333333333333
    """

    def descriptor(self, rep: Representation) -> float:
        """Length of the mean row."""
        return float(np.linalg.norm(rep.workspace.mean))


class ConcentricityDifference(_Difference):
    """Difference of the mean cosines of the rows with their mean row, in [0, 2].

    How much of a narrow cone each model is. Invariant to rotation and isotropic scale, not to translation.

    References
    ----------
    Klabunde, Schumacher, Strohmaier & Lemmerich 2023, arXiv:2305.06329.

    Examples
    --------
    >>> metric = ConcentricityDifference()
    >>> a = metric.prepare(Representation(np.array([[1.0, 0.0], [2.0, 0.0]]), np.arange(2)))
    >>> metric.score(a, a)
    0.0
    """

    def descriptor(self, rep: Representation) -> float:
        """Mean cosine with the mean row; a zero row or mean has cosine 0."""
        rows = rep.matrix.astype(np.float64) / np.abs(rep.matrix).max()
        mean = np.broadcast_to(rows.mean(axis=0), rows.shape)
        length = float(np.linalg.norm(mean[0]))
        return float(row_cosines(rows, mean, rows, mean).mean()) if length > 1e-15 * np.sqrt(rep.n) else 0.0


class UniformityDifference(_Difference):
    """Difference of the uniformities ``log mean_ij exp(-t D_ij^2)``, i = j included, in [0, inf).

    On rows of unit length, as in the source, uniformity says how evenly they cover the sphere. Here it is taken
    of the rows as they are (as in ReSi): with large rows every model is at log(1/n) and every difference 0.
    Invariant to rotation and translation.

    Parameters
    ----------
    t : float
        In inverse squared units of the rows.

    References
    ----------
    Wang & Isola 2020, arXiv:2005.10242; Klabunde et al. 2023, arXiv:2305.06329.

    Examples
    --------
    >>> metric = UniformityDifference()
    >>> a = metric.prepare(Representation(np.array([[0.0], [1.0]]), np.arange(2)))
    >>> metric.score(a, a)
    0.0
    """

    def __init__(self, t: float = 2.0) -> None:
        self.t = float(t)

    def descriptor(self, rep: Representation) -> float:
        """Log of the mean Gaussian potential."""
        return float(np.log(np.exp(-self.t * rep.workspace.squared_distances).mean()))


class _MatrixNorm(ABC):
    def prepare(self, rep: Representation) -> F64:
        """Euclidean distances, ``(n, n)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return rep.workspace.distances

    @abstractmethod
    def norm(self, difference: F64) -> float:
        """Norm of a symmetric matrix."""

    def score(self, a: F64, b: F64) -> float:
        """Norm of the difference."""
        require_aligned(len(a), len(b))
        return self.norm(a - b)

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a), len(b))
        return np.array([self.norm(a - b[order].take(order, axis=1)) for order in permutations])


class SpectralNormDifference(_MatrixNorm):
    """Spectral norm of the difference of the Euclidean distance matrices, in [0, inf).

    In the units of the rows; a true metric on shapes with their size. Invariant to rotation and translation.

    References
    ----------
    Klabunde et al. 2024, arXiv:2408.00531 (ReSi, RSM norm difference).

    Examples
    --------
    >>> metric = SpectralNormDifference()
    >>> a = metric.prepare(Representation(np.array([[0.0], [1.0]]), np.arange(2)))
    >>> b = metric.prepare(Representation(np.array([[0.0], [3.0]]), np.arange(2)))
    >>> round(metric.score(a, b), 12)
    2.0
    """

    def norm(self, difference: F64) -> float:
        """Largest absolute eigenvalue."""
        return float(np.abs(np.linalg.eigvalsh(difference)).max())


class FrobeniusNormDifference(_MatrixNorm):
    """Frobenius norm of the difference of the Euclidean distance matrices, in [0, inf).

    In the units of the rows; a true metric on shapes with their size. Invariant to rotation and translation.

    References
    ----------
    Yin & Shen 2018, arXiv:1812.04224; Klabunde et al. 2023, arXiv:2305.06329 (RSM norm difference).

    Examples
    --------
    >>> metric = FrobeniusNormDifference()
    >>> a = metric.prepare(Representation(np.array([[0.0], [1.0]]), np.arange(2)))
    >>> b = metric.prepare(Representation(np.array([[0.0], [3.0]]), np.arange(2)))
    >>> round(metric.score(a, b) ** 2, 12)
    8.0
    """

    def norm(self, difference: F64) -> float:
        """Root of the sum of squares."""
        return float(np.linalg.norm(difference))
