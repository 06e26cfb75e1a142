"""The frequencies that a number set allows, and the power of a cloud at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from numgeom_plugins.geometry.hold_out import in_rows
from numgeom_plugins.geometry.periodogram import (
    lag_sums,
    least_squares_basis,
    primitive,
    product_lag_sums,
    wave_table,
)
from numgeom_plugins.geometry.row_order import reordered

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

DECIMAL = (2, 5, 10, 4, 20, 100)
CONTROLS = (3, 7, 9, 11)
# The background of a line is read in so many bins on either side.
BESIDE = 10
# Fewest frequencies beside a line whose median is taken.
FEWEST = 4
# Power below this share of the mean power is rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Survey:
    """The frequencies that a number set allows: the lines of each period, and what lies beside each line.

    Attributes
    ----------
    numbers : ndarray of int, shape (n,)
    contiguous : bool
    frequencies : ndarray, shape (m,)
    waves : ndarray
        Cosines that take lag sums to powers, or orthonormal waves of numbers with gaps.
    freedom : ndarray of int, shape (m,)
        Waves at each frequency: 2, and 1 at 1/2.
    lines : dict
        By period, the places of its lines among the frequencies.
    beside : dict
        By period, for each line the places of those beside it.
    window : dict of str to float
        ``window_t`` of numbers with gaps.
    """

    numbers: I64
    contiguous: bool
    frequencies: F64
    waves: F64
    freedom: I64
    lines: dict[int, list[int]]
    beside: dict[int, list[I64]]
    window: dict[str, float]

    def powers(
        self,
        gram: F64,
        order: I64 | None,
        basis: F64 | None,
        *,
        lags: F64 | None = None,
        window: F64 | None = None,
    ) -> tuple[F64, float]:
        """Explained power at every frequency, both signs together, and the energy.

        Parameters
        ----------
        gram : ndarray, shape (n, n)
        order : ndarray of int, shape (n,), optional
            Row ``order[i]`` belongs to number i.
        basis : ndarray, shape (n, q), optional
            What is projected out.
        lags : ndarray, shape (n,), optional
            The lag sums of the Gram in this order, if they are known.
        window : ndarray, shape (n,), optional
            Weights of the rows of numbers without gaps, after the projection.
        """
        if self.contiguous:
            if window is None:
                lags = detrended_lags(gram, order, basis, lags)
                return self.freedom * (self.waves @ lags), float(lags[0])
            seen = placed(gram, order, basis)
            return self.freedom * (self.waves @ lag_sums(seen * np.outer(window, window))), float(np.trace(seen))
        seen = placed(gram, order, basis)
        flat = self.waves.reshape(len(gram), -1)
        explained = np.einsum("ij,ij->j", flat, seen @ flat).reshape(2, -1).sum(axis=0)
        return explained, float(np.trace(seen))

    def shares(self, explained: F64, energy: float) -> dict[str, float]:
        """``share_t`` and ``spike_t`` of every period."""
        floor = ROUNDING * max(energy, np.finfo(np.float64).tiny) / len(self.numbers)
        each = np.clip(explained, 0.0, None) / self.freedom
        each[each <= floor] = 0.0
        found = {}
        for period, places in self.lines.items():
            line = each[places]
            whole = float((line * self.freedom[places]).sum())
            found[f"share_{period}"] = whole / energy if energy > 0 else 0.0
            around = np.mean([np.median(each[near]) for near in self.beside[period]])
            found[f"spike_{period}"] = float(line.mean() / max(around, floor))
        return found


def detrended_lags(gram: F64, order: I64 | None, basis: F64 | None, lags: F64 | None = None) -> F64:
    """Lag sums of a Gram in a row order with a basis projected out of it, ``(n,)``."""
    lags = lag_sums(gram, order) if lags is None else lags
    return lags if basis is None else lags - product_lag_sums(basis, _correction(gram, order, basis))


def placed(gram: F64, order: I64 | None, basis: F64 | None) -> F64:
    """A Gram in a row order with a basis projected out of it, ``(n, n)``."""
    seen = gram if order is None else reordered(gram, order)
    if basis is not None:
        side = _correction(gram, order, basis)
        seen = seen - basis @ side.T - side @ basis.T
    return seen


def _correction(gram: F64, order: I64 | None, basis: F64) -> F64:
    """M with ``P G P = G - Q M' - M Q'`` for the projector ``P = I - Q Q'``."""
    seen = gram @ basis if order is None else (gram @ in_rows(basis, order))[order]
    return np.asarray(seen - 0.5 * basis @ (basis.T @ seen), dtype=np.float64)


@lru_cache(maxsize=4)
def survey(numbers: tuple[int, ...], windowed: bool = False) -> Survey:
    """The frequencies that numbers allow; kept between calls, as every draw of a null has the same numbers.

    Under a window a line reaches into the bins beside it, which are then passed over.
    """
    values = np.array(numbers, dtype=np.int64)
    span = span_of(values)
    contiguous = span == len(values)
    # Beside a line under a window lie bins that are twice as far from the lattice.
    wide = 2 if windowed else 1
    lattice = 100 if span >= 200 * wide else 20 if span >= 40 * wide else 10
    frequencies: list[float] = []
    lines: dict[int, list[int]] = {}
    beside: dict[int, list[I64]] = {}
    for period in DECIMAL + CONTROLS:
        if (period in DECIMAL and lattice % period) or span < 20 * wide:
            continue
        wanted = primitive(period)
        near = [_around(float(line), span, lattice, 1.499 if windowed else 0.499) for line in wanted]
        if min(len(one) for one in near) < FEWEST:
            continue
        lines[period], beside[period] = [], []
        for line, around in zip(wanted, near, strict=True):
            first = len(frequencies)
            frequencies += [float(line), *around]
            lines[period].append(first)
            beside[period].append(np.arange(first + 1, len(frequencies)))
    table = np.array(frequencies)
    if contiguous:
        waves = wave_table(len(values), table)
        freedom = np.where(np.abs(table - 0.5) < 1e-12, 1, 2)
    else:
        basis = least_squares_basis(values, table)
        freedom = np.asarray((np.abs(basis).max(axis=0) > 0).sum(axis=0), dtype=np.int64)
        waves = basis
        whole = {period for period, places in lines.items() if freedom[places].all()}
        lines = {period: places for period, places in lines.items() if period in whole}
        beside = {period: [one[freedom[one] > 0] for one in beside[period]] for period in lines}
        freedom = np.maximum(freedom, 1)
    window = {} if contiguous else {f"window_{t}": _sampling(values, primitive(t)) for t in lines}
    return Survey(values, contiguous, table, waves, freedom, lines, beside, window)


def _around(line: float, span: int, lattice: int, reach: float) -> list[float]:
    """Frequencies in steps of one bin to either side of a line, without those within reach of the decimal lattice."""
    steps = np.arange(1, BESIDE + 1) / span
    near = np.concatenate([line - steps[::-1], line + steps])
    near = near[(near > 0.25 / span) & (near <= 0.5 + 1e-12)]
    apart = np.abs(near - np.round(near * lattice) / lattice)
    return [float(f) for f in near[apart > reach / span]]


def _sampling(numbers: I64, frequencies: F64) -> float:
    waves = np.exp(-2j * np.pi * np.outer(frequencies, numbers)).mean(axis=1)
    return float(np.square(np.abs(waves)).max())


def span_of(numbers: I64) -> int:
    """How many numbers there are from the first to the last."""
    return int(numbers[-1] - numbers[0]) + 1
