"""Linear predictivity: how much of the second model a linear map of the first explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.procrustes import narrow
from numgeom_plugins.convergence.variance import require_aligned, require_variance

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Ridge strengths that are tried, relative to the mean eigenvalue of the training rows.
STRENGTHS = np.logspace(-6, 4, 11)


@dataclass(frozen=True, eq=False)
class Rows:
    """What predicts and what is predicted.

    Attributes
    ----------
    left : ndarray, shape (n, r)
        Orthonormal basis of the columns.
    rows : ndarray, shape (n, d)
        Centred.
    """

    left: F64
    rows: F64


class InSamplePredictivity:
    """In-sample R2 of ordinary least squares, second model from the first, in [0, 1]; not symmetric.

    Pooled over all columns: ``||Ux' Yc||_F^2 / ||Yc||_F^2``. It is 1 for any two models with d >= n - 1 and
    grows by about d / n in all others: use ``linear_predictivity``. ReSi scores the other direction, X from Y.
    Invariant to rotation, isotropic scale and translation of both, and to every linear map of the first.

    Parameters
    ----------
    reverse : bool
        Predict the first model from the second, as ReSi does.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton 2019, arXiv:1905.00414.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((8, 3))
    >>> metric = InSamplePredictivity()
    >>> a = metric.prepare(Representation(rows, np.arange(8)))
    >>> b = metric.prepare(Representation(rows[:, :1], np.arange(8)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    def __init__(self, reverse: bool = False) -> None:
        self.reverse = reverse

    def prepare(self, rep: Representation) -> Rows:
        """Basis and rows, neither wider than n.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return Rows(rep.workspace.thin[0], narrow(rep.workspace.centred) / np.sqrt(rep.workspace.energy))

    def score(self, a: Rows, b: Rows) -> float:
        """Explained share of the variance of ``b``, or of ``a``."""
        require_aligned(len(a.left), len(b.left))
        given, predicted = (b.left, a.rows) if self.reverse else (a.left, b.rows)
        return float(np.clip(np.square(given.T @ predicted).sum(), 0.0, 1.0))

    def permuted(self, a: Rows, b: Rows, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.left), len(b.left))
        fixed, moved = (a.rows, b.left) if self.reverse else (a.left, b.rows)
        values = [np.square(fixed.T @ moved[order]).sum() for order in permutations]
        return np.clip(np.array(values, dtype=np.float64), 0.0, 1.0)


class InSampleRidge:
    """In-sample R2 of ridge regression with a fixed penalty, second model from the first; at most 1, not symmetric.

    The mean over columns of the second model, each weighing the same. The penalty is in squared units of the
    first model, and the result is optimistic as every in-sample R2: kept to compare with platonic-universe.
    Invariant to rotation and translation of the first, to translation and the scales of columns of the second.

    Parameters
    ----------
    alpha : float
        Penalty, above 0.

    References
    ----------
    Hoerl & Kennard 1970.

    Examples
    --------
    >>> rows = np.array([[1.0], [-1.0]])
    >>> metric = InSampleRidge(alpha=2.0)
    >>> state = metric.prepare(Representation(rows, np.arange(2)))
    >>> round(metric.score(state, state), 12)
    0.75
    """

    name: ClassVar[str] = "ridge_predictivity_in_sample"

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0.0 < alpha < np.inf:
            raise Incompatible(f"{self.name} needs alpha above 0; it is {alpha}: type {self.name}(alpha=1).")
        self.alpha = float(alpha)

    def prepare(self, rep: Representation) -> Rows:
        """Left singular vectors shrunk by the penalty, and the standardised columns that vary.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        left, values = rep.workspace.thin
        # One minus the squared factor of the residual, so that a sum of squares is the explained share.
        kept = 1.0 - (self.alpha / (values**2 + self.alpha)) ** 2
        centred = rep.workspace.centred
        sizes = np.linalg.norm(centred, axis=0)
        varies = sizes > 1e-12 * (np.abs(rep.matrix).max(axis=0) * np.sqrt(rep.n))
        return Rows(np.asarray(left * np.sqrt(kept)), centred[:, varies] / sizes[varies])

    def score(self, a: Rows, b: Rows) -> float:
        """Mean explained share over the columns of ``b``."""
        require_aligned(len(a.left), len(b.left))
        return float(np.clip(np.square(a.left.T @ b.rows).sum() / b.rows.shape[1], 0.0, 1.0))

    def permuted(self, a: Rows, b: Rows, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.left), len(b.left))
        values = [np.square(a.left.T @ b.rows[order]).sum() / b.rows.shape[1] for order in permutations]
        return np.clip(np.array(values, dtype=np.float64), 0.0, 1.0)


class Predictivity:
    """Out-of-fold R2 of ridge regression, second model from the first, in (-inf, 1]; not symmetric.

    Folds are drawn at random once a seed; in each the penalty is chosen by leave-one-out error among the
    training rows, and R2 is pooled over folds and columns: 1 - SSE / SST with SST about the training mean.
    Below 0 the training mean predicts better. A model of d >= n - 1 does not predict itself perfectly: a row that
    is held out reaches outside the span of the others. Under random folds the neighbours n - 1 and n + 1 of a held-out
    number are in training, so that smoothness in n alone scores; see ``linear_predictivity_blocks``.
    Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    folds : int
        From 2 to n / 2.
    seed : int
        Of the folds.

    References
    ----------
    Yamins et al. 2014 (linear predictivity); Schrimpf et al. 2018.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((30, 3))
    >>> metric = Predictivity()
    >>> a = metric.prepare(Representation(rows, np.arange(30)))
    >>> b = metric.prepare(Representation(rows @ np.ones((3, 2)), np.arange(30)))
    >>> metric.score(a, b) > 0.9999
    True
    """

    name: ClassVar[str] = "linear_predictivity"

    def __init__(self, folds: int = 5, seed: int = 0) -> None:
        self.folds = folds
        self.seed = seed

    def prepare(self, rep: Representation) -> F64:
        """Centred rows at unit energy, no wider than n.

        Raises
        ------
        Incompatible
            If the rows do not vary, or the folds do not suit their number.
        """
        if not 2 <= self.folds <= rep.n // 2:
            raise Incompatible(
                f"{self.name} with folds={self.folds} does not fit {rep.n} numbers; folds must be 2 to {rep.n // 2}: "
                f"type {self.name}(folds=2)."
            )
        require_variance(rep)
        return np.asarray(narrow(rep.workspace.centred) / np.sqrt(rep.workspace.energy), dtype=np.float64)

    def order(self, n: int) -> I64:
        """The rows in the order in which they are cut into folds."""
        return np.random.default_rng(self.seed).permutation(n)

    def score(self, a: F64, b: F64) -> float:
        """Pooled out-of-fold R2 of ``b`` from ``a``."""
        require_aligned(len(a), len(b))
        wrong = total = 0.0
        for held in np.array_split(self.order(len(a)), self.folds):
            train = np.setdiff1d(np.arange(len(a)), held)
            predicted, mean = _ridge(a[train], b[train], a[held])
            wrong += float(np.square(b[held] - predicted).sum())
            total += float(np.square(b[held] - mean).sum())
        if not total > 0.0:
            raise Incompatible(f"{self.name} has nothing to predict: the held-out rows do not vary; use fewer folds.")
        return 1.0 - wrong / total


class BlockPredictivity(Predictivity):
    """Out-of-fold R2 of ridge regression with folds of consecutive numbers, in (-inf, 1]; not symmetric.

    As :class:`Predictivity`, but most held-out numbers have no neighbour in training, so that smoothness in n helps
    less and maps must carry over to another range. It still helps: two independent random walks score .5 (n = 200,
    d = 40) where random folds give .9; hold the score against an order-aware null.
    Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    folds : int
        From 2 to n / 2.

    References
    ----------
    Roberts et al. 2017, Ecography 40 (block cross-validation).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((30, 3))
    >>> metric = BlockPredictivity()
    >>> state = metric.prepare(Representation(rows, np.arange(30)))
    >>> metric.score(state, state) > 0.9999
    True
    """

    name = "linear_predictivity_blocks"

    def __init__(self, folds: int = 5) -> None:
        super().__init__(folds)

    def order(self, n: int) -> I64:
        """The rows as they are."""
        return np.arange(n, dtype=np.int64)


def _ridge(rows: F64, targets: F64, held: F64) -> tuple[F64, F64]:
    """Predictions for ``held`` at the penalty with the least leave-one-out error, and the mean of the targets.

    With ``K = U diag(e) U'`` of the centred training rows and c the shrinkage ``e / (e + penalty)``, the hat
    matrix is ``U diag(c) U' + 11'/n``, and a leave-one-out residual is a residual over one minus its diagonal.
    """
    n = len(rows)
    centre, mean = rows.mean(axis=0), targets.mean(axis=0)
    x, y = rows - centre, targets - mean
    left, values, right = np.linalg.svd(x, full_matrices=False)
    keep = values > 1e-12 * max(values[0], 1e-300)
    left, values, right = left[:, keep], values[keep], right[keep]
    if not values.size:
        return np.broadcast_to(mean, (len(held), len(mean))), mean
    inside, energy = left.T @ y, values**2
    best = np.inf
    chosen = energy
    for penalty in STRENGTHS * energy.mean():
        shrink = energy / (energy + penalty)
        leverage = 1.0 / n + np.square(left) @ shrink
        residual = y - left @ (shrink[:, None] * inside)
        error = float(np.square(residual / np.maximum(1.0 - leverage, 1e-12)[:, None]).sum())
        if error < best:
            best, chosen = error, energy + penalty
    weights = (values / chosen)[:, None] * inside
    return np.asarray(mean + (held - centre) @ right.T @ weights, dtype=np.float64), mean
