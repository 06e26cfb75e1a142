"""Whether a number looks like its successor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FAR = 100
ANISOTROPIC = 0.3
CONSTANT = 1e-12


@dataclass(frozen=True, slots=True)
class Cosines:
    """All-pairs cosines of one representation, which pairs are near and far, and what no order changes."""

    versions: Mapping[str, F64]
    near: tuple[I64, I64]
    far: tuple[I64, I64]
    spread: float
    fixed: Mapping[str, float]


class SuccessiveCosine(RowOrderMetric[Cosines]):
    """Cosine of ``x_n`` and ``x_{n+lag}`` over all n for which both are in the set, and what to hold it against.

    All in [-1, 1] but the last; ``raw`` of the rows as they are, ``centred`` of the rows minus their mean,
    ``vocabulary`` of the rows minus the mean of the vocabulary, which the model's random tokens stand for; that
    version only where there are such tokens:

    - ``raw_mean``, ``raw_sd``, ``centred_mean``, ``centred_sd``, ``vocabulary_mean``, ``vocabulary_sd``: over those
      pairs (population sd, in [0, 1]);
    - ``random_pair_mean``, ``centred_random_pair_mean``, ``vocabulary_random_pair_mean``: over all distinct pairs
      of numbers;
    - ``random_token_mean``: raw, over all distinct pairs of the model's random tokens; only where it has them;
    - ``effect_size``: ``raw_mean`` minus the mean raw cosine of far pairs, divided by the sd of the far pairs
      (Glass's delta, unbounded); far means ``|i - j| > 100``, or more than half the span of a set that spans
      less than 200. It is left out where raw cosines do not vary; where those of the far pairs alone do not, the
      sd is that of all pairs.

    Cosines are not translation-invariant: a common mean lifts every raw cosine, which is why the raw mean
    alone says nothing.

    Parameters
    ----------
    lag : int, default 1

    Raises
    ------
    Incompatible
        If ``lag`` is below 1, no two numbers are ``lag`` apart, or all rows are equal.

    Warns
    -----
    MeasurementWarning
        W-ANISO where the mean vector holds more than 30 % of the energy.

    References
    ----------
    Ethayarajh 2019, arXiv:1909.00512 (anisotropy baseline); Glass 1976 (effect size).

    Examples
    --------
    >>> angle = np.arange(8) * np.pi / 4
    >>> circle = Representation(np.column_stack([np.cos(angle), np.sin(angle)]), np.arange(8))
    >>> round(SuccessiveCosine(lag=2)(circle)["raw_mean"], 12) + 0.0
    0.0
    """

    def __init__(self, lag: int = 1) -> None:
        if lag < 1:
            raise Incompatible(f"successive_cosine: lag={lag} must be 1 or more; write for example lag=1.")
        self.lag = lag

    def prepare(self, rep: Representation) -> Cosines:
        """The cosines, and which pairs are near and far."""
        numbers, work = rep.numbers, rep.workspace
        _, first, second = np.intersect1d(numbers, numbers - self.lag, assume_unique=True, return_indices=True)
        if first.size == 0:
            raise Incompatible(
                f"successive_cosine: no two of the {rep.n} numbers are {self.lag} apart; "
                "choose numbers that have successors, such as 0..99, or another lag."
            )
        require_spread(rep, "successive_cosine")
        if work.mean_share > ANISOTROPIC:
            text = (
                f"the mean vector holds {work.mean_share:.0%} of the energy: raw cosines are high whatever the rows are"
            )
            warnings.warn(MeasurementWarning("W-ANISO", text), stacklevel=4)
        versions = {"raw": work.cosines, "centred": centred_cosines(rep)}
        if rep.random_rows is not None and rep.random_rows.shape[0] > 1:
            versions["vocabulary"] = _cosines_about(rep, rep.random_rows.mean(axis=0, dtype=np.float64))
        fixed = {
            ("" if name == "raw" else f"{name}_") + "random_pair_mean": _mean_pair(cosines)
            for name, cosines in versions.items()
        }
        if rep.random_rows is not None and rep.random_rows.shape[0] > 1:
            fixed["random_token_mean"] = _mean_cosine(rep.random_rows)
        gaps = np.abs(numbers[:, None] - numbers[None, :])
        span = int(numbers[-1] - numbers[0])
        far = np.nonzero(np.triu(gaps > (FAR if span >= 2 * FAR else span / 2), 1))
        return Cosines(versions, (first, second), (far[0], far[1]), float(pairs(work.cosines).std()), fixed)

    def measure(self, state: Cosines, order: I64) -> dict[str, float]:
        """The cosines of near pairs, beside those of far ones."""
        found = dict(state.fixed)
        first, second = order[state.near[0]], order[state.near[1]]
        for name, cosines in state.versions.items():
            near = cosines[first, second]
            found[f"{name}_mean"] = float(near.mean())
            found[f"{name}_sd"] = float(near.std())
        if state.spread > CONSTANT:
            far = state.versions["raw"][order[state.far[0]], order[state.far[1]]]
            spread = float(far.std())
            unit = spread if spread > CONSTANT else state.spread
            found["effect_size"] = (found["raw_mean"] - float(far.mean())) / unit
        return found

    def figures(self, state: Cosines, rep: Representation) -> dict[str, list[Curve]]:
        """The cosine with the successor along the numbers, in each version."""
        first, second = state.near
        label = f"cosine with n + {self.lag}"
        return {
            "successive": [
                Curve(x=rep.numbers[first], y=cosines[first, second], x_label="n", y_label=label, series=name)
                for name, cosines in state.versions.items()
            ]
        }


def centred_cosines(rep: Representation) -> F64:
    """``(n, n)`` cosines of the centred rows; a row at the mean has cosine 0 with all others.

    Parameters
    ----------
    rep : Representation

    Returns
    -------
    ndarray, shape (n, n)
        Read-only: it is kept with the representation.
    """
    return rep.memo("geometry.centred_cosines", lambda: _normalised(rep.workspace.gram))


def _cosines_about(rep: Representation, origin: F64) -> F64:
    """Cosines of the rows seen from another origin."""
    step = rep.matrix.mean(axis=0, dtype=np.float64) - origin
    along = rep.workspace.centred @ step
    return _normalised(rep.workspace.gram + along[:, None] + along[None, :] + float(step @ step))


def _normalised(gram: F64) -> F64:
    norms = np.sqrt(np.clip(np.diagonal(gram), 0.0, None))
    scale = np.outer(norms, norms)
    return np.asarray(
        np.clip(np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0), -1.0, 1.0), dtype=np.float64
    )


def _mean_pair(square: F64) -> float:
    """Mean of the entries off the diagonal."""
    n = square.shape[0]
    return float((square.sum() - np.trace(square)) / (n * (n - 1)))


def _mean_cosine(matrix: npt.NDArray[np.floating]) -> float:
    """Mean cosine of all distinct pairs of rows, through the sum vector: nothing ``(m, m)`` is made."""
    rows = matrix.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    total = unit.sum(axis=0)
    m = rows.shape[0]
    return float((total @ total - np.count_nonzero(norms)) / (m * (m - 1)))
