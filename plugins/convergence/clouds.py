"""Distances of two clouds as distributions: rows need not be aligned, axes must be the same."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist, pdist

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.shape import chord
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class _Cloud(ABC):
    def prepare(self, rep: Representation) -> F64:
        """The rows.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return rep.matrix.astype(np.float64)

    @abstractmethod
    def score(self, a: F64, b: F64) -> float:
        """The score of two prepared clouds."""

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """The score itself, ``(draws,)``: a cloud has no row order, and this null says nothing."""
        return np.full(len(permutations), self.score(a, b))


class FrechetDistance(_Cloud):
    """Frechet (2-Wasserstein) distance of the Gaussians with the means and covariances of both clouds, in [0, inf).

    ``sqrt(||mu_x - mu_y||^2 + tr(Cx + Cy - 2 (Cx^1/2 Cy Cx^1/2)^1/2))``, covariances over n - 1; the square is the
    FID. In the units of the rows. The narrower cloud is padded with zero columns, which means little unless the
    models share their axes. Not invariant to anything but the order of rows.

    References
    ----------
    Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = FrechetDistance()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(rows + np.array([3.0, 4.0, 0.0]), np.arange(8)))
    >>> round(metric.score(a, b), 12)
    5.0
    """

    def score(self, a: F64, b: F64) -> float:
        """The distance."""
        require_aligned(len(a), len(b))
        width = max(a.shape[1], b.shape[1])
        left, right = (np.pad(v, ((0, 0), (0, width - v.shape[1]))) for v in (a, b))
        shift = float(np.linalg.norm(left.mean(axis=0) - right.mean(axis=0)))
        # Rotations of the rows of one cloud leave its covariance, and the best one gives the second term.
        factors = (_tall(v - v.mean(axis=0)) for v in (left, right))
        spread = chord(*factors) / np.sqrt(len(a) - 1)
        return float(np.hypot(shift, spread))


def _tall(rows: F64) -> F64:
    """``(d, min(n, d))``: columns with the covariance of the rows."""
    if rows.shape[0] > rows.shape[1]:
        rows = np.asarray(np.linalg.qr(rows, mode="r"), dtype=np.float64)
    return rows.T


class GaussianMMD(_Cloud):
    """Maximum mean discrepancy of a Gaussian kernel at the pooled median distance, in [0, sqrt 2].

    The root of ``mean Kxx + mean Kyy - 2 mean Kxy``, diagonals included (biased). Both models must have the same
    axes. platonic-universe means the same bandwidth, but counts the rounding noise on the diagonal of its
    distances as distances. Not invariant to anything but the order of rows.

    References
    ----------
    Gretton, Borgwardt, Rasch, Scholkopf & Smola 2012.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = GaussianMMD()
    >>> state = metric.prepare(Representation(rows, np.arange(8)))
    >>> metric.score(state, state)
    0.0
    """

    def score(self, a: F64, b: F64) -> float:
        """The discrepancy."""
        require_aligned(len(a), len(b))
        if a.shape[1] != b.shape[1]:
            raise Incompatible(
                f"mmd_rbf needs the same axes on both sides; the widths are {a.shape[1]} and {b.shape[1]}: "
                "use cka_rbf_median_debiased."
            )
        both = np.concatenate([a, b])
        median = float(np.median(pdist(both)))
        if not median > 0.0:
            raise Incompatible(
                "mmd_rbf finds no bandwidth: half of the distances or more are 0; drop the duplicate rows."
            )
        within = [np.exp(-0.5 * (cdist(v, v) / median) ** 2).mean() for v in (a, b)]
        between = np.exp(-0.5 * (cdist(a, b) / median) ** 2).mean()
        squared = float(within[0] + within[1] - 2.0 * between)
        return float(np.sqrt(squared)) if squared > 1e-15 else 0.0
