"""Metrics that are an inner product ``<A, B>`` of two symmetric matrices, not divided by their norms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numgeom import Representation
from numgeom_plugins.convergence.trace import F64, I64, TraceMetric, UnitMatrix
from numgeom_plugins.convergence.variance import require_variance


@dataclass(eq=False)
class SizedMatrix(UnitMatrix):
    """A matrix as its direction (Frobenius norm 1) and its size.

    Attributes
    ----------
    size : float
        Frobenius norm of the matrix itself.
    """

    size: float = 1.0


class InnerProduct(TraceMetric):
    """``<A, B>``, by the machinery of correlations: both norms do not depend on the order of rows."""

    @abstractmethod
    def matrix(self, rep: Representation) -> F64:
        """The symmetric matrix, at its true scale, as a new array."""

    def prepare(self, rep: Representation) -> SizedMatrix:
        """Direction and size of the matrix of ``rep``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """

        def derive() -> SizedMatrix:
            require_variance(rep)
            matrix = self.matrix(rep)
            size = float(np.linalg.norm(matrix))
            if size > 0.0:
                matrix /= size
            matrix.setflags(write=False)
            return SizedMatrix(matrix, size)

        return rep.memo(f"convergence.{self.key}", derive)

    def score(self, a: Any, b: Any) -> float:
        """The inner product."""
        return float(a.size * b.size * super().score(a, b))

    def score_matrix(self, states: Sequence[Any]) -> F64:
        """All pairs, ``(m, m)``."""
        sizes = np.array([state.size for state in states])
        return np.asarray(np.outer(sizes, sizes) * super().score_matrix(states), dtype=np.float64)

    def permuted(self, a: Any, b: Any, permutations: I64) -> F64:
        """Inner products with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.asarray(a.size * b.size * super().permuted(a, b, permutations), dtype=np.float64)

    def null_moments(self, a: Any, b: Any) -> tuple[float, float, float]:
        """Exact mean, standard deviation and skewness of the row-permutation null."""
        mean, sd, skewness = super().null_moments(a, b)
        return a.size * b.size * mean, a.size * b.size * sd, skewness
