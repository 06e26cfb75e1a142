"""How much of the similarity of two numbers depends on their distance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.numerals import column_space, magnitude_design, signed_log
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
LOG_BINS = 100
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Bins:
    """The bin of every pair, and how many pairs each holds (at least 1, for the division)."""

    of: I64
    counts: I64


@dataclass(frozen=True, slots=True)
class Diagonals:
    """Gram and squared distances at unit energy, the bins of the pairs on each axis, and a basis of magnitude.

    Mean and energy over all pairs are the same in any order of the rows; the squared distances have mean 0.
    """

    gram: F64
    mean: float
    gram_energy: float
    squared: F64
    squared_energy: float
    linear: Bins
    log: Bins
    basis: F64


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
        gram = rep.workspace.gram / rep.workspace.energy
        seen = pairs(gram)
        if np.ptp(seen) <= ROUNDING:
            raise Incompatible(
                "toeplitz_fraction: all rows are equally far apart, so no similarity varies with distance; "
                "use other numbers or rows."
            )
        _, linear = np.unique(pairs(np.abs(rep.numbers[:, None] - rep.numbers[None, :])), return_inverse=True)
        scale = signed_log(rep.numbers)
        apart = pairs(np.abs(scale[:, None] - scale[None, :]))
        log = np.minimum((apart / apart.max() * LOG_BINS).astype(np.int64), LOG_BINS - 1)
        linear_bins, log_bins = (Bins(of, np.maximum(np.bincount(of), 1)) for of in (linear.astype(np.int64), log))
        squared = rep.workspace.squared_distances / rep.workspace.energy
        squared = squared - pairs(squared).mean()
        apart = pairs(squared)
        return Diagonals(
            gram=gram,
            mean=float(seen.mean()),
            gram_energy=float(np.square(seen - seen.mean()).sum()),
            squared=squared,
            squared_energy=float(apart @ apart),
            linear=linear_bins,
            log=log_bins,
            basis=column_space(magnitude_design(rep.numbers)),
        )

    def measure(self, state: Diagonals, order: I64) -> dict[str, float]:
        """The fractions for one order of the rows."""
        gram = reordered(state.gram, order)
        squared = pairs(reordered(state.squared, order))
        # (I - BB') G (I - BB') = G - B D - D'B' with D = B'G - (B'G B) B' / 2.
        along = state.basis.T @ gram
        along -= (along @ state.basis) @ state.basis.T / 2.0
        residual = gram - np.hstack([state.basis, along.T]) @ np.vstack([along, state.basis.T])
        left = pairs(residual) if np.trace(residual) > ROUNDING else np.zeros(squared.size)
        left -= left.mean()
        return {
            "tau_linear": _explained(pairs(gram) - state.mean, state.linear, state.gram_energy),
            "variogram_linear": _explained(squared, state.linear, state.squared_energy),
            "variogram_log": _explained(squared, state.log, state.squared_energy),
            "tau_residual": _explained(left, state.linear, float(left @ left)),
        }


def _explained(deviation: F64, bins: Bins, energy: float) -> float:
    """Between-bin share of the energy of deviations from their mean; 0 where there is no more than rounding."""
    if energy <= ROUNDING**2:
        return 0.0
    sums = np.bincount(bins.of, weights=deviation)
    return float(np.clip((sums**2 / bins.counts).sum() / energy, 0.0, 1.0))
