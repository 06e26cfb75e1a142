"""How far a score would move had other numbers been looked at: the delete-block jackknife.

Blocks of consecutive numbers are left out one at a time. Resampling with replacement is not offered: copies of a
row are each other's nearest neighbours at distance 0 and inflate neighbour, distance and Gram scores (W-BOOT).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.outcome import caveats
from numgeom.representation import Representation
from numgeom.targets import ConvergenceMetric

MOST_BLOCKS = 20
FEWEST_BLOCKS = 4
BLOCK = 10
LEVEL = 0.95

Interval = tuple[float, float] | None


def jackknife_intervals(
    metric: ConvergenceMetric,
    bounds: tuple[float, float],
    reps: Sequence[Representation],
    pairs: Sequence[tuple[int, int]],
    scores: Sequence[float],
) -> list[Interval]:
    """95 % intervals of the scores of ``pairs``, over the numbers that the representations share.

    Parameters
    ----------
    metric : ConvergenceMetric
    bounds : (float, float)
        The range of the metric.
    reps : sequence of Representation
        All on the same numbers.
    pairs : sequence of (int, int)
    scores : sequence of float
        The score of each pair on all numbers.

    Returns
    -------
    list of (low, high) or None
        ``score +- t se`` with ``se^2 = (g - 1) / g sum_j (score_j - mean)^2`` over g blocks of at least 10
        consecutive numbers, g at most 20, and t of g - 1 degrees of freedom; within the bounds.
        None where fewer than 4 blocks exist (n < 40) or a score cannot be computed.

    References
    ----------
    Kuensch 1989 (delete-block jackknife).
    """
    from scipy.special import stdtrit

    n = reps[0].n if reps else 0
    blocks = min(MOST_BLOCKS, n // BLOCK)
    if blocks < FEWEST_BLOCKS:
        return [None] * len(pairs)
    edges = np.linspace(0, n, blocks + 1).astype(int)
    without = np.full((len(pairs), blocks), np.nan)
    with caveats([]):
        for column, (first, last) in enumerate(pairwise(edges)):
            mask = np.ones(n, dtype=bool)
            mask[first:last] = False
            states = {i: _prepared(metric, reps[i], mask) for i in sorted({i for pair in pairs for i in pair})}
            for row, (a, b) in enumerate(pairs):
                if states[a] is not None and states[b] is not None:
                    without[row, column] = _score(metric, states[a], states[b])
    spread = np.sqrt((blocks - 1) / blocks * np.square(without - without.mean(1, keepdims=True)).sum(1))
    half = float(stdtrit(blocks - 1, (1 + LEVEL) / 2)) * spread
    low, high = bounds
    return [
        (max(float(value - width), low), min(float(value + width), high)) if np.isfinite(value + width) else None
        for value, width in zip(scores, half, strict=True)
    ]


def _prepared(metric: ConvergenceMetric, rep: Representation, mask: npt.NDArray[np.bool_]) -> Any:
    """The state of some rows; None where the metric does not apply, as its cell says."""
    try:
        return metric.prepare(rep.take(mask))
    except Exception:
        return None


def _score(metric: ConvergenceMetric, a: Any, b: Any) -> float:
    try:
        return float(metric.score(a, b))
    except Exception:
        return float("nan")
