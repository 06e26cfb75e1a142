"""How much of the similarity of two numbers depends on their distance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import in_rows
from numgeom_plugins.geometry.line_survey import placed
from numgeom_plugins.geometry.numerals import column_space, magnitude_design
from numgeom_plugins.geometry.pair_sums import PairSums, binned, lags_of_pairs, log_bins, pair_sums
from numgeom_plugins.geometry.periodogram import product_lag_sums
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ROUNDING = 1e-12
# A residual of less energy than this share is not told by subtraction.
CANCELLED = 1e-8


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and energy about it of a quantity over all pairs: the same in any order of the rows."""

    mean: float
    energy: float


@dataclass(frozen=True, slots=True)
class Diagonals:
    """Sums over pairs in any order, spreads of Gram and squared distances, pairs by distance, a basis of magnitude.

    ``linear`` holds the place of every pair's distance among those that occur; nothing for numbers without gaps,
    whose distances are those of the ranks.
    """

    sums: PairSums
    gram: Spread
    squared: Spread
    linear: I64 | None
    linear_counts: I64
    log_counts: I64
    basis: F64
    energy: float


class ToeplitzFraction(RowOrderMetric[Diagonals]):
    r"""The share of the variation between pairs that their distance on the number line explains.

    ``tau = 1 - sum (S_ij - g(i, j))^2 / sum (S_ij - m)^2`` over all pairs i < j, with g the mean of S over the pairs of
    one distance and m that over all pairs; all in [0, 1]:

    - ``tau_linear``: S the centred Gram, distance ``|i - j|``;
    - ``tau_residual``: the same after every column is residualised on 1, n and log n; 0 where that leaves nothing;
    - ``variogram_linear``, ``variogram_log``: S the squared distances of the rows, distance ``|i - j|``, and
      ``|ln(1 + i) - ln(1 + j)|`` (signed below 0) in 100 bins of equal width. On these a random walk in n, in log n,
      has 1 up to sampling. Numbers are dense at the far end of a logarithmic axis, and a Gram centred on their mean is
      not translation-symmetric there even where the rows are; their distances are.

    Unrelated rows have about the number of distances divided by that of pairs, 2 / n. A high value says that
    similarity is translation-symmetric. Its eigenvectors are then sines, and arches, horseshoes and low-frequency
    circles follow without any arithmetic. The diagonal is left out: it is far above m for any noisy cloud, and
    would make noise look symmetric.

    Raises
    ------
    Incompatible
        If there are fewer than 5 numbers, or all rows are equal or equally far apart.

    References
    ----------
    Karkada et al. 2026, arXiv:2602.15029 (translation symmetry); the fraction is ours.

    Examples
    --------
    >>> angle = 2 * np.pi * np.arange(40) / 40
    >>> circle = Representation(np.column_stack([np.cos(angle), np.sin(angle)]), np.arange(40))
    >>> round(ToeplitzFraction()(circle)["tau_linear"], 9)
    1.0
    """

    def prepare(self, rep: Representation) -> Diagonals:
        """The Gram and the bin of every pair."""
        if rep.n < 5:
            raise Incompatible(f"toeplitz_fraction: {rep.n} numbers are too few; it needs 5, give more with --numbers.")
        require_spread(rep, "toeplitz_fraction")
        sums = pair_sums(rep)
        seen = pairs(sums.gram)
        if np.ptp(seen) <= ROUNDING:
            raise Incompatible(
                "toeplitz_fraction: all rows are equally far apart, so no similarity varies with distance; "
                "use other numbers or rows."
            )
        linear = None
        counts = np.concatenate([[0], np.arange(rep.n - 1, 0, -1)])
        if not rep.is_contiguous:
            _, linear = np.unique(pairs(np.abs(rep.numbers[:, None] - rep.numbers[None, :])), return_inverse=True)
            counts = np.bincount(linear)
        return Diagonals(
            sums=sums,
            gram=_spread(seen),
            squared=_spread(pairs(rep.workspace.squared_distances / rep.workspace.energy)),
            linear=linear,
            linear_counts=counts,
            log_counts=log_bins(tuple(rep.numbers.tolist())).counts,
            basis=column_space(magnitude_design(rep.numbers)),
            energy=float(np.vdot(sums.gram, sums.gram)),
        )

    def measure(self, state: Diagonals, order: I64) -> dict[str, float]:
        """The fractions for one order of the rows."""
        sums, counts = state.sums.of(order), state.linear_counts
        lags, squared = sums.lags, sums.squared_lags
        if state.linear is not None:
            seen = pairs(reordered(state.sums.gram, order))
            lags = binned(state.linear, seen)
            squared = binned(state.linear, pairs(np.add.outer(sums.diagonal, sums.diagonal)) - 2.0 * seen)
        return {
            "tau_linear": _explained(lags, counts, state.gram),
            "variogram_linear": _explained(squared, counts, state.squared),
            "variogram_log": _explained(sums.squared_logs, state.log_counts, state.squared),
            "tau_residual": self._residual(state, order),
        }

    def _residual(self, state: Diagonals, order: I64) -> float:
        """What distance explains of the Gram residualised on magnitude."""
        # With P = I - BB', PGP = G - B M' - M B' for M = G B - B (B'G B) / 2.
        basis, sums = state.basis, state.sums.of(order)
        seen = (state.sums.gram @ in_rows(basis, order))[order]
        inner = basis.T @ seen
        side = seen - 0.5 * basis @ inner
        diagonal = sums.diagonal - 2.0 * np.einsum("ij,ij->i", basis, side)
        if diagonal.sum() <= ROUNDING:
            return 0.0
        whole = state.energy - 2.0 * float(np.vdot(seen, seen)) + float(np.vdot(inner, inner))
        if state.linear is None and whole > CANCELLED * state.energy:
            lags = sums.lags - product_lag_sums(basis, side) / 2.0
            lags[0] = 0.0
            mean = float(lags.sum() / state.linear_counts.sum())
            energy = (whole - float(diagonal @ diagonal)) / 2.0 - mean * float(lags.sum())
            return _explained(lags, state.linear_counts, Spread(mean, energy))
        left = pairs(placed(state.sums.gram, order, basis))
        lag = lags_of_pairs(order.size) if state.linear is None else state.linear
        return _explained(binned(lag, left), state.linear_counts, _spread(left))


def _spread(values: F64) -> Spread:
    mean = float(values.mean())
    return Spread(mean, float(np.square(values - mean).sum()))


def _explained(sums: F64, counts: I64, spread: Spread) -> float:
    """Between-bin share of the energy about the mean; 0 where there is no more than rounding."""
    if spread.energy <= ROUNDING**2:
        return 0.0
    held = sums - spread.mean * counts
    return float(np.clip((held**2 / np.maximum(counts, 1)).sum() / spread.energy, 0.0, 1.0))
