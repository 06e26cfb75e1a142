"""Representational similarity analysis: correlate the pairwise distances of two models."""

from __future__ import annotations

import warnings
from abc import abstractmethod

import numpy as np
from scipy.spatial.distance import squareform

from numgeom import Representation
from numgeom_plugins.convergence.ranks import average_ranks
from numgeom_plugins.convergence.trace import F64, TraceMetric, UnitMatrix, no_contrast
from numgeom_plugins.convergence.variance import anisotropy

# Rounding of a cosine, and of a squared distance relative to the squared norms of its two rows.
ROUNDING = 1e-12


class _RSA(TraceMetric):
    """Correlation of the upper triangles of two distance matrices.

    Both triangles of a symmetric matrix with zero diagonal double every sum, so the correlation of the
    upper triangles is that of the whole matrices.
    """

    def matrix(self, rep: Representation) -> F64:
        """The centred distances (or their ranks), with a zero diagonal."""
        matrix = self.distances(rep)
        n = len(matrix)
        scale = float(matrix.max(initial=0.0))
        # The diagonal is 0, so that the sum is that of both triangles.
        matrix -= matrix.sum() / (n * (n - 1))
        np.fill_diagonal(matrix, 0.0)
        if np.linalg.norm(matrix) <= ROUNDING * scale * n:
            raise no_contrast(self.name, "all pairs of rows are equally far apart")
        return matrix

    @abstractmethod
    def distances(self, rep: Representation) -> F64:
        """Distances or their ranks, ``(n, n)``, not negative and with a zero diagonal, as a new array."""


class SpearmanEuclideanRSA(_RSA):
    """Spearman correlation of the Euclidean distances of all pairs, in [-1, 1].

    Ties get their average rank, and distances that differ by rounding only are ties. Peers that differ: Aristotelian
    takes 8192 random pairs of rows from 182 numbers on, and ranks in float32; others order the rounding noise of
    exact copies. Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = SpearmanEuclideanRSA()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "rsa_spearman_euclidean"

    def distances(self, rep: Representation) -> F64:
        """Ranks of the squared distances: squaring keeps the order, and its rounding error is known."""
        work = rep.workspace
        norms = np.diagonal(work.gram)
        scale = squareform(norms[:, None] + norms[None, :], checks=False)
        return _ranked(squareform(work.squared_distances, checks=False), ROUNDING * scale)


class PearsonEuclideanRSA(_RSA):
    """Pearson correlation of the Euclidean distances of all pairs, in [-1, 1].

    Peers that differ: what rsatoolbox calls Euclidean is squared, ``rsa_pearson_sqeuclidean``. Invariant to rotation,
    isotropic scale and translation.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = PearsonEuclideanRSA()
    >>> state = metric.prepare(Representation(np.array([[0.0], [1.0], [3.0]]), np.arange(3)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "rsa_pearson_euclidean"

    def distances(self, rep: Representation) -> F64:
        """Euclidean distances, relative to the root of the energy."""
        found = rep.workspace.squared_distances / rep.workspace.energy
        return np.asarray(np.sqrt(found, out=found), dtype=np.float64)


class _Cosine(_RSA):
    def prepare(self, rep: Representation) -> UnitMatrix:
        """The matrix of ``rep`` at unit norm; W-ANISO where the common mean dominates its cosines."""
        caveat = anisotropy(rep)
        if caveat is not None:
            warnings.warn(caveat, stacklevel=2)
        return super().prepare(rep)


class SpearmanCosineRSA(_Cosine):
    """Spearman correlation of the cosine distances of all pairs of raw rows, in [-1, 1].

    Invariant to rotation and isotropic scale, not to translation. A zero row has cosine 0 with all others.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = SpearmanCosineRSA()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(-2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "rsa_spearman_cosine"

    def distances(self, rep: Representation) -> F64:
        """Ranks of the cosine distances."""
        return _ranked(1.0 - squareform(rep.workspace.cosines, checks=False), ROUNDING)


class PearsonCosineRSA(_Cosine):
    """Pearson correlation of the cosine distances of all pairs of raw rows, in [-1, 1].

    Invariant to rotation and isotropic scale, not to translation. A zero row has cosine 0 with all others.

    References
    ----------
    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = PearsonCosineRSA()
    >>> state = metric.prepare(Representation(np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]]), np.arange(3)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "rsa_pearson_cosine"

    def distances(self, rep: Representation) -> F64:
        """Cosine distances."""
        found = 1.0 - rep.workspace.cosines
        np.fill_diagonal(found, 0.0)
        return np.asarray(found, dtype=np.float64)


def _ranked(values: F64, tolerance: F64 | float) -> F64:
    """Average ranks of an upper triangle as a whole matrix."""
    matrix: F64 = squareform(average_ranks(values, tolerance), checks=False)
    return matrix
