"""Gromov-Wasserstein: match the rows of two models by their distances alone, without being told which is which."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from numgeom import Representation
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Space:
    """Distances of all pairs of rows, their mean square being 1.

    Attributes
    ----------
    distances : ndarray, shape (n, n)
    key : float
        Orders a pair, so that the solver sees both orders of the arguments as one problem.
    """

    distances: F64
    key: float


class _Transport(ABC):
    def prepare(self, rep: Representation) -> Space:
        """The distances of ``rep``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        distances = rep.workspace.distances
        # 2 n energy is the sum of all squared distances.
        unit = np.asarray(distances / np.sqrt(2.0 * rep.workspace.energy / rep.n), dtype=np.float64)
        return Space(unit, float(np.sum(np.sort(unit, axis=None) ** 3)))

    def score(self, a: Space, b: Space) -> float:
        """The score of the best coupling that was found."""
        require_aligned(len(a.distances), len(b.distances))
        coupling, loss = couple(a, b)
        return self.value(coupling, loss)

    @abstractmethod
    def value(self, coupling: F64, loss: float) -> float:
        """The score of a coupling ``(n, n)`` and its loss."""

    def permuted(self, a: Space, b: Space, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``.

        The problem does not know the order of rows, so that one coupling serves all draws.
        """
        require_aligned(len(a.distances), len(b.distances))
        coupling, loss = couple(a, b)
        return np.array([self.value(coupling[:, order], loss) for order in permutations])


class GromovWasserstein(_Transport):
    """Gromov-Wasserstein distance of the Euclidean distance matrices, in [0, sqrt 2].

    ``min_T sqrt(sum_ijkl (Dx_ik - Dy_jl)^2 T_ij T_kl)`` over couplings with uniform margins; each matrix has mean
    square 1. Rows are not aligned, so that a row permutation changes nothing and is no null of it. The problem is
    not convex: conditional gradients start at the product coupling and at the match of distance profiles, and the
    result is an upper bound. O(n^3) an iteration; a few seconds at n = 300.
    Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Memoli 2011; Peyre, Cuturi & Solomon 2016; Flamary et al. 2021 (POT).
    """

    def value(self, coupling: F64, loss: float) -> float:
        """The root of the loss."""
        return float(np.sqrt(loss))


class MatchingAccuracy(_Transport):
    """Share of the numbers that Gromov-Wasserstein maps onto themselves, in [0, 1].

    The trace of the coupling that ``gromov_wasserstein`` finds, which is told nothing of the numbers: chance is
    1 / n. A symmetric shape (a circle, a line) maps onto itself in several ways and any of them may come out.
    Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Memoli 2011; Alvarez-Melis & Jaakkola 2018, arXiv:1809.00013.
    """

    def value(self, coupling: F64, loss: float) -> float:
        """Mass on the diagonal."""
        return float(np.clip(np.trace(coupling), 0.0, 1.0))


def couple(a: Space, b: Space) -> tuple[F64, float]:
    """The best coupling found from either start, ``(n, n)`` with total 1, and its loss."""
    if a.key > b.key:
        coupling, loss = couple(b, a)
        return np.asarray(coupling.T, dtype=np.float64), loss
    # Loaded by name: POT is an extra, and has no type stubs.
    solve: Any = import_module("ot.gromov").gromov_wasserstein
    n = len(a.distances)
    uniform = np.full(n, 1.0 / n)
    profiles = cdist(np.sort(a.distances, axis=1), np.sort(b.distances, axis=1))
    matched = np.zeros((n, n))
    matched[linear_sum_assignment(profiles)] = 1.0 / n
    found = []
    for start in (matched, np.outer(uniform, uniform)):
        coupling, log = solve(
            a.distances, b.distances, uniform, uniform, "square_loss", symmetric=True, log=True, G0=start, max_iter=500
        )
        found.append((np.asarray(coupling, dtype=np.float64), max(float(log["gw_dist"]), 0.0)))
    coupling, loss = min(found, key=lambda held: held[1])
    return coupling, loss if loss > 1e-14 else 0.0
