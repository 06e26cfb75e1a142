"""Which directions two models use, and how much of their variance lies in each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class EigenspaceOverlap:
    """``||Ux'Uy||_F^2 / max(rank X, rank Y)`` with orthonormal bases of the columns as they are, in [0, 1].

    The share of the larger column space that the other covers; nothing is centred. ReSi divides by the larger
    *width*, which is the rank only while no model is rank-deficient and n >= d: on such rows a model scores
    below 1 with itself. With d >= n every pair of models scores 1. Invariant to every invertible linear map,
    not to translation.

    References
    ----------
    May, Zhang, Dao & Re 2019, arXiv:1909.01264.

    Examples
    --------
    >>> metric = EigenspaceOverlap()
    >>> a = metric.prepare(Representation(np.eye(4)[:, :2], np.arange(4)))
    >>> b = metric.prepare(Representation(np.eye(4)[:, 1:3], np.arange(4)))
    >>> metric.score(a, b)
    0.5
    """

    def prepare(self, rep: Representation) -> F64:
        """An orthonormal basis of the columns, ``(n, rank)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        left, values, _ = np.linalg.svd(rep.matrix.astype(np.float64), full_matrices=False)
        return np.asarray(left[:, values > max(rep.n, rep.d) * np.finfo(np.float64).eps * values[0]], dtype=np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The overlap."""
        require_aligned(len(a), len(b))
        return float(np.clip(np.square(a.T @ b).sum() / max(a.shape[1], b.shape[1]), 0.0, 1.0))

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.score(a, b[order]) for order in permutations])


class EigenspectrumDistance:
    """Euclidean distance of the explained-variance ratios, largest first, in [0, sqrt 2].

    Compares how variance is spread over components, not which numbers lie where: rows need not be aligned, and
    a row permutation changes nothing, so its null is another model's spectrum, not a permutation.
    Invariant to rotation, isotropic scale and translation.

    References
    ----------
    The measure "eigenspectrum" of platonic-universe.

    Examples
    --------
    >>> metric = EigenspectrumDistance()
    >>> a = metric.prepare(Representation(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.arange(2)))
    >>> metric.score(a, a)
    0.0
    """

    def prepare(self, rep: Representation) -> F64:
        """Shares of the variance, falling, ``(n,)``: zeros after the rank.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        shares = rep.workspace.spectrum[: rep.n] / rep.workspace.energy
        return np.pad(shares, (0, rep.n - len(shares)))

    def score(self, a: F64, b: F64) -> float:
        """The distance."""
        require_aligned(len(a), len(b))
        return float(np.linalg.norm(a - b))

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.full(len(permutations), self.score(a, b))
