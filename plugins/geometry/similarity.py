"""All-to-all similarity as a function of the lag, and what digits add to it at one lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, Representation, Square
from numgeom_plugins.geometry.numerals import digit_lengths
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered
from numgeom_plugins.geometry.spread import require_spread
from numgeom_plugins.geometry.succession import centred_cosines

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
LAGS = (1, 2, 5, 10, 20, 50, 100, 200)
# A larger square is no picture any more.
MOST_DRAWN = 200


@dataclass(frozen=True, slots=True)
class LagTable:
    """The cosines with, for every pair, a cell: its lag, and whether both numbers have as many digits."""

    cosines: F64
    cells: I64
    counts: F64
    lags: I64


class SimilarityProfile(RowOrderMetric[LagTable]):
    r"""The lag profile of the cosines of centred rows, and two digit contrasts at matched lags.

    With ``g(k)`` the mean cosine of all pairs ``|i - j| = k``:

    - ``lag_1``, ``lag_2``, ``lag_5``, ..., ``lag_200``: g at those lags that occur, in [-1, 1];
    - ``last_digit_contrast``: mean over the multiples L of 10 of ``g(L) - (g(L - 1) + g(L + 1)) / 2``, weighted by
      the pairs at L; in [-2, 2]. Non-negative numbers end in the same digit exactly when their lag is a multiple
      of 10, so the contrast at a lag is that with its two neighbours: a smooth profile gives about 0;
    - ``length_contrast``: mean cosine of pairs with as many digits minus that of other pairs at the same lag,
      averaged over lags with weights ``ab / (a + b)`` for a and b pairs; in [-2, 2].

    A contrast is left out where the numbers have no pairs for it. On a curve with a trend the length contrast is not
    0, because pairs across a boundary lie elsewhere on it than the others: put ``synthetic:walk`` beside the model.

    The curve ``lag_profile`` is g at every lag; the square ``cosines`` holds the raw cosines of at most 200 numbers.

    Raises
    ------
    Incompatible
        If all rows are equal, or the numbers have neither a lag of the profile nor a contrast.

    References
    ----------
    Definitions ours; the profile is the correlogram of geostatistics (Matheron 1963).

    Examples
    --------
    >>> angle = 2 * np.pi * np.arange(60) / 10
    >>> circle = Representation(np.column_stack([np.cos(angle), np.sin(angle)]), np.arange(60))
    >>> found = SimilarityProfile()(circle)
    >>> round(found["lag_5"], 9), round(found["last_digit_contrast"], 9)
    (-1.0, 0.190983006)
    """

    def prepare(self, rep: Representation) -> LagTable:
        """The cosines, and the lag and the kind of every pair."""
        require_spread(rep, "similarity_profile")
        lags, place = np.unique(pairs(np.abs(rep.numbers[:, None] - rep.numbers[None, :])), return_inverse=True)
        lengths = digit_lengths(rep.numbers)
        alike = pairs((lengths[:, None] == lengths[None, :]).astype(np.float64)).astype(np.int64)
        cells = 2 * place + alike
        counts = np.bincount(cells, minlength=2 * lags.size).reshape(-1, 2).astype(np.float64)
        return LagTable(centred_cosines(rep), cells, counts, lags.astype(np.int64))

    def measure(self, state: LagTable, order: I64) -> dict[str, float]:
        """The profile and the contrasts."""
        seen = pairs(reordered(state.cosines, order))
        sums = np.bincount(state.cells, weights=seen, minlength=2 * state.lags.size).reshape(-1, 2)
        count = state.counts.sum(axis=1)
        profile = dict(zip(state.lags.tolist(), sums.sum(axis=1) / count, strict=True))
        found = {f"lag_{lag}": float(profile[lag]) for lag in LAGS if lag in profile}
        tens = [lag for lag in profile if lag % 10 == 0 and lag - 1 in profile and lag + 1 in profile]
        if tens:
            weight = count[np.searchsorted(state.lags, tens)]
            step = [profile[lag] - (profile[lag - 1] + profile[lag + 1]) / 2.0 for lag in tens]
            found["last_digit_contrast"] = float(np.average(step, weights=weight))
        both = (state.counts > 0).all(axis=1)
        if both.any():
            other, same = state.counts[both].T
            means = sums[both] / state.counts[both]
            found["length_contrast"] = float(
                np.average(means[:, 1] - means[:, 0], weights=other * same / (other + same))
            )
        if not found:
            raise Incompatible(
                "similarity_profile: no two of the numbers are 1, 2, 5, 10, 20, 50, 100 or 200 apart; "
                "choose numbers such as 0..99."
            )
        return found

    def figures(self, state: LagTable, rep: Representation) -> dict[str, Curve | Square]:
        """The profile at every lag, and the raw cosines of a small set."""
        sums = np.bincount(state.cells, weights=pairs(state.cosines), minlength=2 * state.lags.size).reshape(-1, 2)
        mean = sums.sum(axis=1) / state.counts.sum(axis=1)
        found: dict[str, Curve | Square] = {
            "lag_profile": Curve(x=state.lags, y=mean, x_label="lag", y_label="mean cosine of centred rows")
        }
        if rep.n <= MOST_DRAWN:
            found["cosines"] = Square(labels=rep.numbers, values=rep.workspace.cosines, label="cosine of raw rows")
        return found
