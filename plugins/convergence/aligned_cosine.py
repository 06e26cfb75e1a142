"""Cosines of the rows of a number in both models after the best rotation of one onto the other."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.convergence.shape import ROUNDING, Factors
from numgeom_plugins.convergence.variance import anisotropy, require_aligned

F64 = npt.NDArray[np.float64]


class AlignedCosine(Factors):
    """Mean cosine of the rows of both models after the best rotation of the centred rows, in [-1, 1].

    Every number counts the same, however far it lies from the centre. Invariant to rotation, isotropic scale
    and translation; d >= n - 1 inflates it as it does Procrustes.

    References
    ----------
    Hamilton, Leskovec & Jurafsky 2016, arXiv:1605.09096 (the peer llm_repsim centres, as here).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = AlignedCosine()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "aligned_cosine"

    def factor(self, rep: Representation) -> F64:
        """The centred rows, at unit norm."""
        return np.asarray(rep.workspace.centred / np.sqrt(rep.workspace.energy), dtype=np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The mean cosine after alignment."""
        require_aligned(len(a), len(b))
        left, _, right = np.linalg.svd(a.T @ b, full_matrices=False)
        return float(np.clip(row_cosines(a @ left, b @ right.T, a, b).mean(), -1.0, 1.0))


class UncentredAlignedCosine(AlignedCosine):
    """Mean cosine of the raw rows of both models after the best rotation, in [-1, 1].

    A common mean is aligned like everything else and dominates; ReSi computes this one.
    Invariant to rotation and isotropic scale, not to translation.

    References
    ----------
    Hamilton, Leskovec & Jurafsky 2016, arXiv:1605.09096; Klabunde et al. 2023, arXiv:2305.06329.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = UncentredAlignedCosine()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "aligned_cosine_uncentred"

    def prepare(self, rep: Representation) -> F64:
        """The rows; W-ANISO where the common mean dominates them."""
        caveat = anisotropy(rep)
        if caveat is not None:
            warnings.warn(caveat, stacklevel=2)
        return super().prepare(rep)

    def factor(self, rep: Representation) -> F64:
        """The rows, their largest entry at 1."""
        return np.asarray(rep.matrix.astype(np.float64) / np.abs(rep.matrix).max(), dtype=np.float64)


def row_cosines(u: F64, v: F64, a: F64, b: F64) -> F64:
    """Cosines of the rows of ``u`` and ``v``, with the lengths of the rows of ``a`` and ``b``.

    Two zero rows have cosine 1, a zero row and another have cosine 0.

    Examples
    --------
    >>> rows = np.array([[3.0, 4.0], [0.0, 0.0]])
    >>> row_cosines(rows, -rows, rows, rows).tolist()
    [-1.0, 1.0]
    """
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    zero = [length <= ROUNDING * length.max() for length in lengths]
    product = lengths[0] * lengths[1]
    cosines = np.divide(np.einsum("ij,ij->i", u, v), product, out=np.zeros_like(product), where=~(zero[0] | zero[1]))
    return np.where(zero[0] & zero[1], 1.0, cosines)
