"""CKNNA: kernel alignment restricted to pairs of rows that are neighbours in both models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.hsic import require_four
from numgeom_plugins.convergence.neighbourhoods import inner_products
from numgeom_plugins.convergence.neighbours import ROUNDING, neighbours
from numgeom_plugins.convergence.trace import no_contrast
from numgeom_plugins.convergence.variance import anisotropy, require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LocalKernel:
    """A kernel, and which rows are neighbours.

    Attributes
    ----------
    kernel : ndarray, shape (n, n)
    member : ndarray of bool, shape (n, n)
    own : float
        The root of the alignment of the kernel with itself.
    """

    kernel: F64
    member: npt.NDArray[np.bool_]
    own: float


class CKNNA:
    """Unbiased HSIC of the kernels masked to common neighbours, over the roots of that of each with itself.

    The kernel is the inner product of the raw rows, and so are the neighbours. As in the authors' code the
    masked kernels are not symmetric and one is transposed in the product, so only pairs that choose one
    another count in its first term. About [0, 1], 1 for X = Y; no bound holds in general, because the mask of
    a pair is not that of a model with itself. platonic-rep and Aristotelian add 1e-6 to the denominator.
    Invariant to rotation and isotropic scale, not to translation; n >= 4.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1; n - 1 is debiased CKA.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = CKNNA(k=4)
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name: ClassVar[str] = "cknna_inner_product"

    def __init__(self, k: int = 10) -> None:
        self.k = k

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """The kernel, and the rounding errors of its rows."""
        return inner_products(rep)

    def prepare(self, rep: Representation) -> LocalKernel:
        """Kernel and neighbours of ``rep``; W-ANISO where the common mean dominates.

        Raises
        ------
        Incompatible
            If ``k`` does not suit the number of rows, or the masked kernel has no positive self-alignment.
        """
        require_four(self.name, rep)
        if not 1 <= self.k < rep.n:
            raise Incompatible(
                f"{self.name} with k={self.k} does not fit {rep.n} numbers; k must be 1 to {rep.n - 1}: "
                f"type {self.name}(k={min(max(1, rep.n // 10), 10)})."
            )
        require_variance(rep)
        caveat = anisotropy(rep)
        if caveat is not None:
            warnings.warn(caveat, stacklevel=2)
        kernel, tolerance = self.closeness(rep)
        member = self.members(kernel, tolerance)
        masked = np.where(member, kernel, 0.0)
        own = self.alignment(masked, masked)
        if not own > 1e-12 * float(np.vdot(masked, masked)):
            raise no_contrast(self.name, f"with k={self.k} the masked kernel is not aligned with itself")
        return LocalKernel(kernel, member, float(np.sqrt(own)))

    def members(self, kernel: F64, tolerance: F64) -> npt.NDArray[np.bool_]:
        """Which rows are neighbours, ``(n, n)``."""
        return neighbours(kernel, tolerance, self.k).member

    def alignment(self, a: F64, b: F64) -> float:
        """Unbiased HSIC times ``n (n - 3)``, for kernels that need not be symmetric."""
        n = len(a)
        a, b = a.copy(), b.copy()
        np.fill_diagonal(a, 0.0)
        np.fill_diagonal(b, 0.0)
        mixed = float(a.sum(axis=0) @ b.sum(axis=1))
        return float(np.vdot(a, b.T)) + float(a.sum()) * float(b.sum()) / ((n - 1) * (n - 2)) - 2.0 * mixed / (n - 2)

    def score(self, a: LocalKernel, b: LocalKernel) -> float:
        """The alignment over common neighbours."""
        require_aligned(len(a.kernel), len(b.kernel))
        return self._score(a, b.kernel, b.member, b.own)

    def permuted(self, a: LocalKernel, b: LocalKernel, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.kernel), len(b.kernel))
        held = ((b.kernel[p].take(p, axis=1), b.member[p].take(p, axis=1)) for p in permutations)
        return np.array([self._score(a, kernel, member, b.own) for kernel, member in held])

    def _score(self, a: LocalKernel, kernel: F64, member: npt.NDArray[np.bool_], own: float) -> float:
        both = a.member & member
        return self.alignment(np.where(both, a.kernel, 0.0), np.where(both, kernel, 0.0)) / (a.own * own)


class CosineCKNNA(CKNNA):
    """CKNNA of the cosines of the rows: as :class:`CKNNA`, every row at unit length first.

    About [0, 1]. Invariant to rotation and isotropic scale, not to translation; n >= 4.

    Parameters
    ----------
    k : int
        Neighbours of a row, from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987 (the paper's rows have unit length).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = CosineCKNNA(k=4)
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cknna_cosine"

    def closeness(self, rep: Representation) -> tuple[F64, F64]:
        """Cosines of the raw rows."""
        return rep.workspace.cosines, np.full(rep.n, ROUNDING)


class BiasedCKNNA(CKNNA):
    """CKNNA with biased HSIC, where a row may be its own neighbour: Aristotelian's default.

    Not 0 for unrelated clouds: the diagonal is shared by all models. About [0, 1].
    Invariant to rotation and isotropic scale, not to translation; n >= 4.

    Parameters
    ----------
    k : int
        Rows of largest inner product, the row itself among them as a rule; from 1 to n - 1.

    References
    ----------
    Huh, Cheung, Wang & Isola 2024, arXiv:2405.07987; Groeger, Wen & Brbic 2026, arXiv:2602.14486.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = BiasedCKNNA(k=4)
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cknna_inner_product_biased"

    def members(self, kernel: F64, tolerance: F64) -> npt.NDArray[np.bool_]:
        """The k largest entries of each row, the diagonal included, ties in row order."""
        edge = -np.partition(-kernel, self.k - 1, axis=1)[:, self.k - 1 : self.k]
        member = kernel > edge + tolerance[:, None]
        tied = ~member & (kernel >= edge - tolerance[:, None])
        missing = self.k - member.sum(axis=1, keepdims=True)
        return np.asarray(member | (tied & (np.cumsum(tied, axis=1) <= missing)))

    def alignment(self, a: F64, b: F64) -> float:
        """``tr(a H b H)``, for kernels that need not be symmetric."""
        a = a - a.mean(axis=0) - a.mean(axis=1)[:, None] + a.mean()
        return float(np.vdot(a, b.T))
