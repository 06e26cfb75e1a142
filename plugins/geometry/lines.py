"""Fourier lines along the numbers: how much of a cloud repeats with a period, and whether it stands out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom.preprocess import log_frequency, preprocess
from numgeom_plugins.geometry.correlation import standardised
from numgeom_plugins.geometry.numerals import column_space
from numgeom_plugins.geometry.pair_sums import PairSums, pair_sums
from numgeom_plugins.geometry.periodogram import (
    lag_sums,
    least_squares_basis,
    primitive,
    product_lag_sums,
    wave_table,
)
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered

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
class _State:
    sums: PairSums
    survey: _Survey
    trend: F64 | None
    rank_trend: F64 | None
    rank_spikes: dict[str, float]


class FourierLines(RowOrderMetric[_State]):
    r"""Power at the periods 2, 5, 10, 4, 20, 100 and the controls 3, 7, 9, 11, beside the power around it.

    With ``F_f = n^(-1/2) sum_i x_i exp(-2 pi i f n_i)`` of the centred rows, the primitive class power of period t is
    ``Psi_t = sum ||F_{l/t}||^2`` over l = 1 .. t-1 prime to t: what repeats every t numbers and in no shorter period.
    The class power of Fu et al. is ``Phi_T = sum Psi_t`` over the divisors t > 1 of T; where T divides n,
    ``Phi_T / n = tr(S_B)``, the scatter of the means of the residue classes.

    - ``share_t``: ``Psi_t / ||Xc||^2``, in [0, 1] where t divides n; iid rows give about ``phi(t) / (n - 1)``;
    - ``spike_t``: mean ``||F||^2`` at the lines of t over the mean of their local medians, each over the frequencies
      up to 10 bins (of one over the span of the numbers) to either side, multiples of 1/100 left out (of 1/20 below a
      span of 200, of 1/10 below 40). At least 0, about 1 for clouds without the line;
    - ``rank_spike_t``: the same of the log merge rank ``r = ln(1 + id)`` alone, and ``residual_share_t``,
      ``residual_spike_t``: the same of the rows after least squares on 1, r, r^2. A BPE vocabulary itself has lines
      at 2, 5, 10 and 100: a spike that is no stronger, or that goes with r, may be inherited from token frequency.
      Left out where neither ids nor counts give a frequency (W-FREQ);
    - ``window_t``: for numbers with gaps, the largest ``|sum exp(-2 pi i f n_i)|^2 / n^2`` over the lines of t, in
      [0, 1]: how much of a constant the sampling itself would put there. Gapped sets are measured by least squares
      on 1, cos, sin (Lomb-Scargle), which is the same power where there are no gaps and t divides n.

    A period t needs a span of 20 numbers, t = 20 one of 40 and t = 100 one of 200. The curve ``spectrum`` holds the
    magnitude ``||F_f||`` over its median against f.

    Parameters
    ----------
    detrend : str
        ``"none"``, or a design of preprocessing whose least-squares fit is taken out of rows and ranks first:
        ``"magnitude"``, ``"length"``, ``"dct20"``.
    counts : path
        A file with one NUMBER,COUNT a line, for ``r = ln(1 + count)`` in place of the merge rank.

    Warns
    -----
    MeasurementWarning
        W-BIN where a decimal period does not divide n (the controls seldom do): its line leaks into others and is
        read at l/t itself. W-GAPS where numbers are missing. W-FREQ without a frequency.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (Phi_T); Zhou et al. 2024, arXiv:2406.03445; Lomb 1976; Scargle 1982. Primitive
    classes (Ramanujan sums) and local medians are ours.

    Examples
    --------
    >>> rows = np.eye(5)[np.arange(100) % 5] + 0.1 * np.random.default_rng(0).standard_normal((100, 5))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     found = FourierLines()(Representation(rows, np.arange(100)))
    >>> found["share_5"] > 0.9, found["spike_5"] > 100, found["spike_2"] < 3
    (True, True, True)
    """

    def __init__(self, detrend: str = "none", counts: str = "") -> None:
        self.detrend = detrend
        self.counts = counts

    def __call__(self, rep: Representation) -> dict[str, Any]:
        """The values of one representation, with its spectrum as a curve.

        Parameters
        ----------
        rep : Representation
            At least 20 numbers.

        Returns
        -------
        dict of str to float or Curve

        Raises
        ------
        Incompatible
            If all rows are equal, or no period can be measured on these numbers.
        """
        state = self.prepare(rep)
        if not rep.is_contiguous:
            text = f"{rep.n} of {_span(rep.numbers)} numbers: spectra by least squares, which see the gaps' own pattern"
            warnings.warn(MeasurementWarning("W-GAPS", text), stacklevel=2)
        else:
            torn = [t for t in state.survey.lines if t in DECIMAL and rep.n % t]
            if torn:
                text = f"{rep.n} numbers are no multiple of the periods {', '.join(map(str, torn))}: their lines leak"
                warnings.warn(MeasurementWarning("W-BIN", text), stacklevel=2)
        if state.rank_trend is None:
            text = "no merge rank and no counts of the numbers: a spike may be inherited from token frequency"
            warnings.warn(MeasurementWarning("W-FREQ", text), stacklevel=2)
        return {**self.measure(state, np.arange(rep.n)), **self.figures(state, rep)}

    def figures(self, state: _State, rep: Representation) -> dict[str, Any]:
        """The spectrum, and for numbers with gaps their sampling window."""
        return {"spectrum": _curves(state)}

    def prepare(self, rep: Representation) -> _State:
        """The Gram, and what the numbers and the token ids make of the frequencies."""
        energy = rep.workspace.energy
        if energy <= 1e-24 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible("fourier_lines: all rows are equal, so there is no spectrum; check the source.")
        numbers = tuple(int(number) for number in rep.numbers)
        survey = _survey(numbers)
        if not survey.lines:
            raise Incompatible(
                f"fourier_lines: no period is measurable on these {rep.n} numbers; give at least 20 that span 20 or "
                "more and take odd and even values, such as 0..99."
            )
        trend = None if self.detrend == "none" else _trend(numbers, self.detrend)
        sums = pair_sums(rep)
        rank = frequency(rep, self.counts)
        if rank is None:
            return _State(sums, survey, trend, None, {})
        series = standardised(rank)[:, None]
        alone = survey.shares(*survey.powers(series @ series.T, None, trend))
        design = np.column_stack([np.ones_like(rank), rank, rank**2])
        basis = column_space(design if trend is None else np.column_stack([trend, design]))
        spikes = {f"rank_{name}": value for name, value in alone.items() if name.startswith("spike")}
        return _State(sums, survey, trend, basis, spikes)

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        survey = state.survey
        gram = state.sums.gram
        lags = 2.0 * state.sums.of(order).lags
        lags[0] = np.trace(gram)
        found = survey.shares(*survey.powers(gram, order, state.trend, lags))
        if state.rank_trend is not None:
            rest = survey.shares(*survey.powers(gram, order, state.rank_trend, lags))
            found |= state.rank_spikes | {f"residual_{name}": value for name, value in rest.items()}
        return found | survey.window


@dataclass(frozen=True, eq=False)
class _Survey:
    """The frequencies that a number set allows: the lines of each period, and what lies beside each line."""

    numbers: I64
    contiguous: bool
    frequencies: F64
    waves: F64
    freedom: I64
    lines: dict[int, list[int]]
    beside: dict[int, list[I64]]
    window: dict[str, float]

    def powers(self, gram: F64, order: I64 | None, basis: F64 | None, lags: F64 | None = None) -> tuple[F64, float]:
        """Explained power at every frequency, both signs together, and the energy; ``basis`` is projected out."""
        if self.contiguous:
            lags = lag_sums(gram, order) if lags is None else lags
            if basis is not None:
                lags = lags - product_lag_sums(basis, _correction(gram, order, basis))
            return self.freedom * (self.waves @ lags), float(lags[0])
        placed = gram if order is None else reordered(gram, order)
        if basis is not None:
            side = _correction(gram, order, basis)
            placed = placed - basis @ side.T - side @ basis.T
        flat = self.waves.reshape(len(gram), -1)
        explained = np.einsum("ij,ij->j", flat, placed @ flat).reshape(2, -1).sum(axis=0)
        return explained, float(np.trace(placed))

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


def _correction(gram: F64, order: I64 | None, basis: F64) -> F64:
    """M with ``P G P = G - Q M' - M Q'`` for the projector ``P = I - Q Q'``."""
    if order is None:
        seen = gram @ basis
    else:
        rows = np.empty_like(basis)
        rows[order] = basis
        seen = (gram @ rows)[order]
    return np.asarray(seen - 0.5 * basis @ (basis.T @ seen), dtype=np.float64)


@lru_cache(maxsize=4)
def _survey(numbers: tuple[int, ...]) -> _Survey:
    values = np.array(numbers, dtype=np.int64)
    span = _span(values)
    contiguous = span == len(values)
    lattice = 100 if span >= 200 else 20 if span >= 40 else 10
    frequencies: list[float] = []
    lines: dict[int, list[int]] = {}
    beside: dict[int, list[I64]] = {}
    for period in DECIMAL + CONTROLS:
        if (period in DECIMAL and lattice % period) or span < 20:
            continue
        wanted = primitive(period)
        near = [_around(float(line), span, lattice) for line in wanted]
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
    return _Survey(values, contiguous, table, waves, freedom, lines, beside, window)


def _around(line: float, span: int, lattice: int) -> list[float]:
    """Frequencies in steps of one bin to either side of a line, those of the decimal lattice left out."""
    steps = np.arange(1, BESIDE + 1) / span
    near = np.concatenate([line - steps[::-1], line + steps])
    near = near[(near > 0.25 / span) & (near <= 0.5 + 1e-12)]
    apart = np.abs(near - np.round(near * lattice) / lattice)
    return [float(f) for f in near[apart > 0.499 / span]]


def _sampling(numbers: I64, frequencies: F64) -> float:
    waves = np.exp(-2j * np.pi * np.outer(frequencies, numbers)).mean(axis=1)
    return float(np.square(np.abs(waves)).max())


def _span(numbers: I64) -> int:
    return int(numbers[-1] - numbers[0]) + 1


@lru_cache(maxsize=4)
def _trend(numbers: tuple[int, ...], design: str) -> F64:
    """An orthonormal basis of what a preprocessing step takes out."""
    eye = Representation(np.eye(len(numbers)), np.array(numbers))
    kept = preprocess(eye, [f"residual:{design}"]).matrix
    values, vectors = np.linalg.eigh(np.eye(len(numbers)) - kept)
    return np.asarray(vectors[:, values > 0.5], dtype=np.float64)


def _curves(state: _State) -> list[Curve]:
    """Magnitude over its median against frequency; beside it the sampling window of numbers with gaps."""
    numbers = state.survey.numbers
    span = _span(numbers)
    count = min(span // 2, 2 * len(numbers))
    frequencies = np.arange(1, count + 1) / span
    axes = ("frequency (1 / number)", "magnitude over its median")
    if state.survey.contiguous:
        explained = wave_table(len(numbers), frequencies) @ lag_sums(state.sums.gram)
    else:
        flat = least_squares_basis(numbers, frequencies).reshape(len(numbers), -1)
        explained = np.einsum("ij,ij->j", flat, state.sums.gram @ flat).reshape(2, -1).sum(axis=0)
    magnitude = np.sqrt(np.clip(explained, 0.0, None))
    middle = max(float(np.median(magnitude)), np.sqrt(ROUNDING / len(numbers)))
    curves = [Curve(x=frequencies, y=magnitude / middle, x_label=axes[0], y_label=axes[1], series="rows")]
    if not state.survey.contiguous:
        window = np.abs(np.exp(-2j * np.pi * np.outer(frequencies, numbers)).mean(axis=1))
        floor = max(float(np.median(window)), np.finfo(np.float64).eps)
        curves.append(
            Curve(x=frequencies, y=window / floor, x_label=axes[0], y_label=axes[1], series="sampling window")
        )
    return curves


def frequency(rep: Representation, counts: str = "") -> F64 | None:
    """The log of how often each number is written, by its merge rank or by counts, ``(n,)``; none where there is none.

    Examples
    --------
    >>> frequency(Representation(np.eye(2), np.arange(2))) is None
    True
    """
    try:
        known = log_frequency(rep, counts)
    except Incompatible:
        if counts:
            raise
        return None
    return None if np.ptp(known) == 0 else known


def class_power(rep: Representation, period: int) -> float:
    """``Phi_T = sum_{l=1}^{T-1} ||F_{l/T}||^2`` of the centred rows of consecutive numbers.

    Parameters
    ----------
    rep : Representation
        Consecutive numbers.
    period : int

    Returns
    -------
    float
        Where ``period`` divides n, n times the trace of the between-class scatter.

    Raises
    ------
    Incompatible
        If the numbers have gaps.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817.

    Examples
    --------
    >>> rep = Representation(np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.arange(4))
    >>> round(class_power(rep, 2), 12)
    4.0
    """
    if not rep.is_contiguous:
        raise Incompatible(
            "class_power needs consecutive numbers and these have gaps (W-GAPS); give a run such as 0..99."
        )
    frequencies = np.arange(1, period) / period
    return float((wave_table(rep.n, frequencies) @ lag_sums(rep.workspace.gram)).sum())
