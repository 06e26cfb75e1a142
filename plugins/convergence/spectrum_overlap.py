"""Whether two models put their power at the same frequencies along the numbers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.convergence.variance import require_aligned, require_variance
from numgeom_plugins.geometry.periodogram import lag_sums, power

I64 = npt.NDArray[np.int64]

# Power below this share of the mean power is rounding, and its place among the largest an accident.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class _Spectrum:
    rep: Representation
    strongest: frozenset[int]


class SpectrumIoU:
    r"""Intersection over union of the frequencies with most power in two models, in [0, 1].

    The power at k/n, k = 1 .. n/2, is ``||F_k||^2``, summed over the columns of the centred rows. A frequency whose
    power is rounding (below 1e-9 of the mean) is not counted. Two random sets of an eighth score about .07.

    Low frequencies and multiples of n/100 lead in *any* smooth signal with a decimal part, the merge ranks of a
    tokenizer among them: a score near 1 says little, and row permutation is no yardstick. Hold it against
    ``smooth_surrogate``, for what order alone gives, and against token frequency alone. Invariant to rotation,
    isotropic scale and translation of either side.

    Parameters
    ----------
    top : int
        K; 0 for an eighth of the frequencies, which is the 63 of Stefanik et al. at n = 1000. More than a quarter is
        lowered to that (W-CLIP).

    References
    ----------
    Stefanik et al. 2025, arXiv:2510.26285.

    Examples
    --------
    >>> n = np.arange(200)
    >>> wave = lambda period: np.cos(2 * np.pi * n / period)
    >>> a = Representation(np.column_stack([wave(10), wave(5)]), n)
    >>> b = Representation(np.column_stack([3 * wave(10), wave(2)]), n)
    >>> metric = SpectrumIoU(top=2)
    >>> round(metric.score(metric.prepare(a), metric.prepare(b)), 3)
    0.333
    """

    def __init__(self, top: int = 0) -> None:
        if top < 0:
            raise Incompatible(f"spectrum_iou: top={top} must be 0 (an eighth) or more; write for example top=63.")
        self.top = top

    def prepare(self, rep: Representation) -> _Spectrum:
        """The frequencies with most power.

        Raises
        ------
        Incompatible
            If the numbers have gaps or the rows do not vary.
        """
        if not rep.is_contiguous:
            raise Incompatible(
                "spectrum_iou needs consecutive numbers and the shared ones have gaps (W-GAPS); give a run as 0..99."
            )
        require_variance(rep)
        most = max(1, rep.n // 2 // 4)
        if self.top > most:
            text = (
                f"spectrum_iou: top lowered from {self.top} to {most}, a quarter of the frequencies of {rep.n} numbers"
            )
            warnings.warn(MeasurementWarning("W-CLIP", text), stacklevel=2)
        return rep.memo(f"convergence.spectrum_iou.{self.top}", lambda: _Spectrum(rep, self._strongest(rep, None)))

    def score(self, a: _Spectrum, b: _Spectrum) -> float:
        """The overlap of the two sets."""
        require_aligned(a.rep.n, b.rep.n)
        return _overlap(a.strongest, b.strongest)

    def permuted(self, a: _Spectrum, b: _Spectrum, permutations: I64) -> npt.NDArray[np.float64]:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(a.rep.n, b.rep.n)
        return np.array([_overlap(a.strongest, self._strongest(b.rep, order)) for order in permutations])

    def _strongest(self, rep: Representation, order: I64 | None) -> frozenset[int]:
        count = rep.n // 2
        seen = power(lag_sums(rep.workspace.gram, order), np.arange(1, count + 1) / rep.n)
        wanted = min(self.top or -(-count // 8), max(1, count // 4))
        leading = np.argsort(-seen, kind="stable")[:wanted]
        floor = ROUNDING * rep.workspace.energy / rep.n
        return frozenset(int(k) for k in leading if seen[k] > floor)


def _overlap(a: frozenset[int], b: frozenset[int]) -> float:
    union = len(a | b)
    return len(a & b) / union if union else 0.0
