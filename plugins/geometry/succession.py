"""Whether a number looks like its successor."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, Representation

F64 = npt.NDArray[np.float64]
FAR = 100
ANISOTROPIC = 0.3


def successive_cosine(rep: Representation, lag: int = 1) -> dict[str, float]:
    """Cosine of ``x_n`` and ``x_{n+lag}`` over all n for which both are in the set, and what to hold it against.

    All in [-1, 1] but the last; ``raw`` of the rows as they are, ``centred`` of the rows minus their mean:

    - ``raw_mean``, ``raw_sd``, ``centred_mean``, ``centred_sd``: over those pairs (population sd, in [0, 1]);
    - ``random_pair_mean``, ``centred_random_pair_mean``: over all distinct pairs of numbers;
    - ``random_token_mean``: raw, over all distinct pairs of the model's random tokens; only where it has them;
    - ``effect_size``: ``raw_mean`` minus the mean raw cosine of far pairs, divided by the sd of the far pairs
      (Glass's delta, unbounded); far means ``|i - j| > 100``, or more than half the span of a set that spans
      less than 200. It is left out where far pairs do not vary.

    Cosines are not translation-invariant: a common mean lifts every raw cosine, which is why the raw mean
    alone says nothing.

    Parameters
    ----------
    rep : Representation
    lag : int, default 1

    Returns
    -------
    dict of str to float

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
    >>> round(successive_cosine(circle, lag=2)["raw_mean"], 12) + 0.0
    0.0
    """
    if lag < 1:
        raise Incompatible(f"successive_cosine: lag={lag} must be 1 or more; write for example lag=1.")
    numbers, work = rep.numbers, rep.workspace
    _, first, second = np.intersect1d(numbers, numbers - lag, assume_unique=True, return_indices=True)
    if first.size == 0:
        raise Incompatible(
            f"successive_cosine: no two of the {rep.n} numbers are {lag} apart; "
            "choose numbers that have successors, such as 0..99, or another lag."
        )
    if work.energy == 0.0:
        raise Incompatible("successive_cosine: all rows are equal, so every cosine is the same.")
    if work.mean_share > ANISOTROPIC:
        text = f"the mean vector holds {work.mean_share:.0%} of the energy: raw cosines are high whatever the rows are"
        warnings.warn(MeasurementWarning("W-ANISO", text), stacklevel=2)
    raw = work.cosines
    centred = _centred_cosines(rep)
    near_raw, near_centred = raw[first, second], centred[first, second]
    found = {
        "raw_mean": float(near_raw.mean()),
        "raw_sd": float(near_raw.std()),
        "centred_mean": float(near_centred.mean()),
        "centred_sd": float(near_centred.std()),
        "random_pair_mean": _mean_pair(raw),
        "centred_random_pair_mean": _mean_pair(centred),
    }
    if rep.random_rows is not None and rep.random_rows.shape[0] > 1:
        found["random_token_mean"] = _mean_cosine(rep.random_rows)
    gaps = np.abs(numbers[:, None] - numbers[None, :])
    span = int(numbers[-1] - numbers[0])
    far = raw[np.triu(gaps > (FAR if span >= 2 * FAR else span / 2), 1)]
    if far.std() > 1e-12:
        found["effect_size"] = (found["raw_mean"] - float(far.mean())) / float(far.std())
    return found


def _centred_cosines(rep: Representation) -> F64:
    """``(n, n)`` cosines of the centred rows; a row at the mean has cosine 0 with all others."""
    gram = rep.workspace.gram
    norms = np.sqrt(np.diagonal(gram))
    scale = np.outer(norms, norms)
    cosines: F64 = np.divide(gram, scale, out=np.zeros_like(gram), where=scale > 0)
    return np.clip(cosines, -1.0, 1.0)


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
