"""How far a score would move had other numbers been looked at: the delete-block jackknife.

Blocks of consecutive numbers are left out one at a time. Resampling with replacement is not offered: copies of a
row are each other's nearest neighbours at distance 0 and inflate neighbour, distance and Gram scores (W-BOOT).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.outcome import caveats
from numgeom.representation import Representation
from numgeom.targets import ConvergenceMetric
from numgeom.workspace import Workspace

F64 = npt.NDArray[np.float64]

MOST_BLOCKS = 20
FEWEST_BLOCKS = 4
BLOCK = 10
LEVEL = 0.95

# With less than this share of the energy left, inner products of the rest are not read off those of the whole.
ENERGY_LEFT = 1e-4

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
    blocks = block_count(reps[0].n if reps else 0)
    return intervals(leave_out(metric, reps, pairs, range(blocks)), scores, bounds)


def block_count(n: int) -> int:
    """How many blocks of ``n`` numbers are left out in turn; 0 where there are too few for an interval.

    Examples
    --------
    >>> block_count(1000), block_count(60), block_count(39)
    (20, 6, 0)
    """
    blocks = min(MOST_BLOCKS, n // BLOCK)
    return blocks if blocks >= FEWEST_BLOCKS else 0


def leave_out(
    metric: ConvergenceMetric,
    reps: Sequence[Representation],
    pairs: Sequence[tuple[int, int]],
    blocks: range,
    *,
    turned: bool = False,
) -> F64:
    """Scores of ``pairs`` without each of some blocks, ``(pairs, blocks)``; NaN where there is none.

    With ``turned``, rows wider than they are many may be turned onto fewer columns first, as suits a metric that
    sees nothing but inner products.
    """
    n = reps[0].n if reps else 0
    edges = np.linspace(0, n, block_count(n) + 1).astype(int)
    without = np.full((len(pairs), len(blocks)), np.nan)
    with caveats([]):
        for column, block in enumerate(blocks):
            mask = np.ones(n, dtype=bool)
            mask[edges[block] : edges[block + 1]] = False
            states = {i: _prepared(metric, reps[i], mask, turned) for i in sorted({i for pair in pairs for i in pair})}
            for row, (a, b) in enumerate(pairs):
                if states[a] is not None and states[b] is not None:
                    without[row, column] = _score(metric, states[a], states[b])
    return without


def intervals(without: F64, scores: Sequence[float], bounds: tuple[float, float]) -> list[Interval]:
    """The intervals that scores without each block give; see :func:`jackknife_intervals`."""
    from scipy.special import stdtrit

    blocks = without.shape[1]
    if blocks < FEWEST_BLOCKS:
        return [None] * len(without)
    spread = np.sqrt((blocks - 1) / blocks * np.square(without - without.mean(1, keepdims=True)).sum(1))
    half = float(stdtrit(blocks - 1, (1 + LEVEL) / 2)) * spread
    low, high = bounds
    return [
        (max(float(value - width), low), min(float(value + width), high)) if np.isfinite(value + width) else None
        for value, width in zip(scores, half, strict=True)
    ]


class _Rest(Workspace):
    """What is left of a representation's derived quantities without one block of rows.

    Distances and cosines of the rows that stay do not change; their Gram is that of the whole, centred anew.
    """

    def __init__(self, matrix: npt.NDArray[Any], whole: Workspace, mask: npt.NDArray[np.bool_], turned: bool) -> None:
        super().__init__(matrix)
        self._whole = whole
        self._turned = turned
        self._kept = np.flatnonzero(mask)

    def _square(self, whole: F64) -> F64:
        kept = self._kept
        first = int(np.searchsorted(kept - np.arange(len(kept)), 0, side="right"))
        last = first + len(whole) - len(kept)
        found = np.empty((len(kept), len(kept)))
        for rows, own in ((slice(first), slice(first)), (slice(last, None), slice(first, None))):
            found[own, :first] = whole[rows, :first]
            found[own, first:] = whole[rows, last:]
        return found

    @property
    def centred(self) -> F64:
        """``(n, d)`` rows minus their mean; or ``(n, n + block)`` ones with the same inner products."""

        def compute() -> F64:
            rows = _factor(self._whole)[self._kept] if self._turned else self._matrix.astype(np.float64)
            rows -= rows.mean(axis=0)
            return rows

        return self.memo("centred", compute)

    @property
    def gram(self) -> F64:
        """``(n, n)``: inner products of the centred rows."""

        def compute() -> F64:
            gram = self._square(self._whole.gram)
            means = gram.mean(axis=0)
            gram -= means
            gram -= (means - means.mean())[:, None]
            if float(np.trace(gram)) < ENERGY_LEFT * self._whole.energy:
                return self.centred @ self.centred.T
            return gram

        return self.memo("gram", compute)

    @property
    def energy(self) -> float:
        """Squared Frobenius norm of the centred rows."""
        return self.memo("energy", lambda: float(np.trace(self.gram)))

    @property
    def squared_distances(self) -> F64:
        """``(n, n)``: squared Euclidean distances."""
        return self.memo("squared_distances", lambda: self._square(self._whole.squared_distances))

    @property
    def distances(self) -> F64:
        """``(n, n)``: Euclidean distances."""
        return self.memo("distances", lambda: self._square(self._whole.distances))

    @property
    def cosines(self) -> F64:
        """``(n, n)``: cosine similarities of the raw rows."""
        return self.memo("cosines", lambda: self._square(self._whole.cosines))


def _factor(whole: Workspace) -> F64:
    """Square rows with the inner products of the centred ones: ``X' = QR`` gives ``XX' = R'R``."""

    def derive() -> F64:
        factor = np.asarray(np.linalg.qr(whole.centred.T, mode="r"), dtype=np.float64)
        return np.ascontiguousarray(factor.T)

    return whole.memo("intervals.factor", derive)


def _prepared(metric: ConvergenceMetric, rep: Representation, mask: npt.NDArray[np.bool_], turned: bool) -> Any:
    """The state of some rows; None where the metric does not apply, as its cell says."""
    rest = rep.take(mask)
    object.__setattr__(rest, "workspace", _Rest(rest.matrix, rep.workspace, mask, turned and rep.d > rep.n))
    try:
        return metric.prepare(rest)
    except Exception:
        return None


def _score(metric: ConvergenceMetric, a: Any, b: Any) -> float:
    try:
        return float(metric.score(a, b))
    except Exception:
        return float("nan")
