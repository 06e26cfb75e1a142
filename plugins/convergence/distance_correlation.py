"""Distance correlation: what centred Euclidean distances have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numgeom import Representation
from numgeom_plugins.convergence.centring import double_centred, u_centred
from numgeom_plugins.convergence.hsic import require_contrast, require_four
from numgeom_plugins.convergence.trace import F64, I64, TraceMetric, UnitMatrix


class _SquaredDistanceCorrelation(TraceMetric):
    name = "distance_correlation"
    lowest = 0.0

    def matrix(self, rep: Representation) -> F64:
        """The double-centred distances."""
        return double_centred(rep.workspace.distances / np.sqrt(rep.workspace.energy))


class DistanceCorrelation:
    """The root of the biased squared distance correlation, in [0, 1].

    Like biased CKA it is far from 0 for unrelated clouds of large width: use the bias-corrected one, or its
    null. Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Szekely, Rizzo & Bakirov 2007, arXiv:0803.4101.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = DistanceCorrelation()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    def __init__(self) -> None:
        self._squared = _SquaredDistanceCorrelation()

    def prepare(self, rep: Representation) -> UnitMatrix:
        """The double-centred distances at unit norm.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        return self._squared.prepare(rep)

    def score(self, a: UnitMatrix, b: UnitMatrix) -> float:
        """The distance correlation."""
        return float(np.sqrt(self._squared.score(a, b)))

    def score_matrix(self, states: Sequence[UnitMatrix]) -> F64:
        """All pairs, ``(m, m)``."""
        return np.asarray(np.sqrt(self._squared.score_matrix(states)), dtype=np.float64)

    def permuted(self, a: UnitMatrix, b: UnitMatrix, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.asarray(np.sqrt(self._squared.permuted(a, b, permutations)), dtype=np.float64)


class DebiasedDistanceCorrelation(TraceMetric):
    """Bias-corrected squared distance correlation, in [-1, 1]: about 0 for unrelated clouds at any width.

    The cosine of the U-centred distances, on the scale of a squared correlation and therefore without a root.
    Invariant to rotation, isotropic scale and translation; n >= 4.

    References
    ----------
    Szekely & Rizzo 2013, Journal of Multivariate Analysis 117; 2014, arXiv:1310.2926.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = DebiasedDistanceCorrelation()
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "distance_correlation_debiased"

    def matrix(self, rep: Representation) -> F64:
        """The U-centred distances."""
        require_four(self.name, rep)
        distances = rep.workspace.distances / np.sqrt(rep.workspace.energy)
        return require_contrast(self.name, u_centred(distances), float(np.linalg.norm(distances)))
