"""Procrustes distances: what is left between two shapes after the best rotation."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.convergence.modes import Modes, key_of, rows_of
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Below this, 2 - 2 cos has lost half of its digits or more, and the distance is computed from the rows.
NEAR = 1e-4
# Up to this size singular values cost too little to look for another way.
LARGE = 200


class _Procrustes(ABC):
    """Nuclear norm of ``A'B``, with A and B factors of unit norm that have the Grams of the centred rows."""

    def prepare(self, rep: Representation) -> F64:
        """A factor ``(n, d)``, or ``(n, n - 1)`` where d > n, of the centred Gram, at unit Frobenius norm.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return _factor(rep)

    def score(self, a: F64, b: F64) -> float:
        """The distance of two prepared factors."""
        require_aligned(len(a), len(b))
        cosine = nuclear_norm(a.T @ b, len(a))
        return self.from_chord(_chord(a, b) if 1.0 - cosine < NEAR else float(np.sqrt(2.0 - 2.0 * cosine)))

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a), len(b))
        return np.array([self.score(a, b[order]) for order in permutations])

    def flipped(self, a: Modes, b: Modes, signs: F64) -> F64:
        """Scores of the residual of ``a`` with its modes flipped, against the residual of ``b`` as it is.

        The modes are orthonormal and centred, so the coefficients can stand for the rows.

        Parameters
        ----------
        a, b : Modes
            Views on one basis.
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        left, right = _mode_factor(a), _mode_factor(b)
        return np.array([self.score(left * s[:, None], right) for s in signs])

    @abstractmethod
    def from_chord(self, chord: float) -> float:
        """The score, given the Euclidean distance of the aligned unit shapes, in [0, sqrt 2]."""


class AngularProcrustes(_Procrustes):
    """``arccos ||A'B||_*`` of the centred, normalised rows: a metric on shapes, in [0, pi/2] radians.

    Widths may differ. Peers that differ: nnsrm_neurips18 hands over transposed matrices and so rotates numbers into one
    another; modelsym gives a rotated copy .63, not 1. Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman 2021, arXiv:2110.14739.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = AngularProcrustes()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> metric.score(a, b) < 1e-12
    True
    """

    def from_chord(self, chord: float) -> float:
        """The angle under which the chord is seen."""
        return float(np.clip(2.0 * np.arcsin(min(chord, 2.0) / 2.0), 0.0, np.pi / 2))


class ProcrustesDistance(_Procrustes):
    """``sqrt(2 - 2 ||A'B||_*)`` of the centred, normalised rows, in [0, sqrt 2].

    Widths may differ. Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Ding, Denain & Steinhardt 2021, arXiv:2108.01661.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = ProcrustesDistance()
    >>> a = metric.prepare(Representation(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]), np.arange(3)))
    >>> b = metric.prepare(Representation(np.array([[1.0], [1.0], [-2.0]]), np.arange(3)))
    >>> round(metric.score(a, b) ** 2, 12)
    2.0
    """

    def from_chord(self, chord: float) -> float:
        """The chord itself."""
        return float(np.clip(chord, 0.0, np.sqrt(2.0)))


def nuclear_norm(matrix: F64, rank: int) -> float:
    """Sum of the singular values of a matrix of at most this rank.

    Of a large matrix they are the roots of the eigenvalues of its Gram, at 40 % of the cost, unless rounding could
    show: an eigenvalue w is wrong by about ``eps w_1``, its root by ``eps w_1 / (2 sqrt(w))``.

    Parameters
    ----------
    matrix : ndarray, shape (p, q)
    rank : int

    Returns
    -------
    float
        Right to 1e-10 of itself.

    Examples
    --------
    >>> round(nuclear_norm(np.diag([3.0, 4.0]), 2), 12)
    7.0
    """
    if min(matrix.shape) > LARGE:
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        values = np.linalg.eigvalsh(gram)[-rank:]
        if values[0] > 0.0:
            roots = np.sqrt(values)
            rounding = 8.0 * np.finfo(np.float64).eps * float(values[-1]) * float((0.5 / roots).sum())
            if rounding <= 1e-10 * float(roots.sum()):
                return float(roots.sum())
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def narrow(rows: F64) -> F64:
    """``(n, min(n, d))`` rows with the same inner products.

    ``X' = QR`` gives ``XX' = R'R``; unlike a singular value decomposition this needs no right vectors,
    and it drops nothing.
    """
    if rows.shape[1] <= rows.shape[0]:
        return rows
    factor = np.asarray(np.linalg.qr(rows.T, mode="r"), dtype=np.float64)
    return np.ascontiguousarray(factor.T)


def _mode_factor(view: Modes) -> F64:
    """A factor of the mode Gram, at unit norm: the modes of a factor of the Gram, so that only that is made narrow."""

    def derive() -> F64:
        factor = view.basis.T @ _factor(rows_of(view))
        return np.asarray(factor / np.linalg.norm(factor), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_factor.{key_of(view)}", derive)


def _factor(rep: Representation) -> F64:
    """A factor ``(n, d)``, or ``(n, n - 1)`` where d > n, of the centred Gram, at unit norm."""

    def derive() -> F64:
        factor = narrow(rep.workspace.centred)
        if rep.d > rep.n > 1:
            # Centred rows have rank n - 1: the last column of their triangular factor holds nothing.
            factor = factor[:, :-1]
        return np.asarray(factor / np.sqrt(rep.workspace.energy), dtype=np.float64)

    return rep.memo("convergence.procrustes", derive)


def _chord(a: F64, b: F64) -> float:
    """``min_Q ||A Q - B||_F``, from the rows."""
    if a.shape[1] > b.shape[1]:
        a, b = b, a
    # The narrower side is turned, because only then does Q keep its length.
    left, _, right = np.linalg.svd(a.T @ b, full_matrices=False)
    return float(np.linalg.norm(a @ (left @ right) - b))
