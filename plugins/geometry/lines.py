"""Fourier lines along the numbers: how much of a cloud repeats with a period, and whether it stands out."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom.preprocess import log_frequency, preprocess
from numgeom_plugins.geometry.correlation import standardised
from numgeom_plugins.geometry.line_survey import (
    DECIMAL,
    ROUNDING,
    Survey,
    detrended_lags,
    placed,
    span_of,
    survey,
)
from numgeom_plugins.geometry.numerals import column_space
from numgeom_plugins.geometry.pair_sums import PairSums, pair_sums
from numgeom_plugins.geometry.periodogram import lag_sums, least_squares_basis, wave_table
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.tapers import hann, multitaper

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

WINDOWS = ("none", "hann")
DETRENDED = re.compile("none|magnitude|length|dct[0-9]+")
FEWEST_TAPERS = 3


@dataclass(frozen=True, eq=False)
class _State:
    sums: PairSums
    survey: Survey
    window: F64 | None
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

    A period t needs a span of 20 numbers, t = 20 one of 40 and t = 100 one of 200; twice as many under a window. The
    curve ``spectrum`` holds the magnitude ``||F_f||`` over its median against f.

    Parameters
    ----------
    detrend : str
        ``"none"``, or what is taken out of rows and ranks by least squares first: ``"magnitude"`` (1, n and log n),
        ``"length"`` (the number of digits), ``"dct20"`` (the first 20 cosines, or any number of them).
    window : {"none", "hann"}
        ``"hann"``: rows are weighted by ``1 - cos(2 pi (i + 1/2) / n)`` first, so that lines off the bins and trends
        leak little. Its mean is 1: the power of a line stays as it is, that of noise is 1.5 times as large.
    tapers : int
        K of 3 or more adds the curves ``multitaper``: the mean power under K sine tapers with its 95 % interval, in
        units of white noise of the same energy. The interval is Student's, K - 1 degrees of freedom, around the
        jackknifed logarithm. A line is as wide as ``(K + 1) / n`` in it.
    counts : path
        A file with one NUMBER,COUNT a line, for ``r = ln(1 + count)`` in place of the merge rank.

    Warns
    -----
    MeasurementWarning
        W-BIN where a decimal period does not divide n (the controls seldom do): its line leaks into others and is
        read at l/t itself. W-GAPS where numbers are missing. W-FREQ without a frequency.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (Phi_T); Zhou et al. 2024, arXiv:2406.03445; Lomb 1976; Scargle 1982; Harris 1978
    (window); Riedel & Sidorenko 1995 (sine tapers); Thomson & Chave 1991 (jackknife). Primitive classes (Ramanujan
    sums) and local medians are ours.

    Examples
    --------
    >>> rows = np.eye(5)[np.arange(100) % 5] + 0.1 * np.random.default_rng(0).standard_normal((100, 5))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     found = FourierLines()(Representation(rows, np.arange(100)))
    >>> found["share_5"] > 0.9, found["spike_5"] > 100, found["spike_2"] < 3
    (True, True, True)
    """

    def __init__(self, detrend: str = "none", counts: str = "", window: str = "none", tapers: int = 0) -> None:
        if not DETRENDED.fullmatch(detrend):
            raise Incompatible(
                f"fourier_lines: detrend={detrend!r} is none of none, magnitude, length, dctK (K cosines); "
                "type detrend=magnitude or detrend=dct20."
            )
        if window not in WINDOWS:
            raise Incompatible(f"fourier_lines: window={window!r} is none of {', '.join(WINDOWS)}; type window=hann.")
        if tapers and tapers < FEWEST_TAPERS:
            raise Incompatible(
                f"fourier_lines: tapers={tapers} must be 0 (none) or at least {FEWEST_TAPERS}; type tapers=8."
            )
        self.detrend = detrend
        self.counts = counts
        self.window = window
        self.tapers = tapers

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
            text = (
                f"{rep.n} of {span_of(rep.numbers)} numbers: spectra by least squares, which see the gaps' own pattern"
            )
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
        """The spectrum, for numbers with gaps their sampling window, and the multitaper estimate if it is asked for."""
        found = {"spectrum": _curves(state)}
        if self.tapers:
            frequencies = np.arange(1, rep.n // 2 + 1) / rep.n
            bands = multitaper(placed(state.sums.gram, None, state.trend), self.tapers, frequencies)
            found["multitaper"] = [
                Curve(
                    x=frequencies,
                    y=y,
                    x_label="frequency (1 / number)",
                    y_label="power over that of white noise",
                    series=name,
                )
                for name, y in bands.items()
            ]
        return found

    def prepare(self, rep: Representation) -> _State:
        """The Gram, and what the numbers and the token ids make of the frequencies."""
        energy = rep.workspace.energy
        if energy <= 1e-24 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible("fourier_lines: all rows are equal, so there is no spectrum; check the source.")
        if not rep.is_contiguous and (self.window != "none" or self.tapers):
            raise Incompatible(
                "fourier_lines: windows and tapers need consecutive numbers and these have gaps (W-GAPS); give a run "
                "such as 0..499, or type window=none,tapers=0."
            )
        if 4 * self.tapers > rep.n:
            raise Incompatible(
                f"fourier_lines: tapers={self.tapers} are more than a quarter of {rep.n} numbers; type "
                f"tapers={max(FEWEST_TAPERS, rep.n // 8)}."
            )
        numbers = tuple(int(number) for number in rep.numbers)
        window = None if self.window == "none" else hann(rep.n)
        found = survey(numbers, window is not None)
        if not found.lines:
            raise Incompatible(
                f"fourier_lines: no period is measurable on these {rep.n} numbers; give at least 20 that span 20 or "
                "more and take odd and even values, such as 0..99."
            )
        trend = None if self.detrend == "none" else _trend(numbers, self.detrend)
        sums = pair_sums(rep)
        rank = frequency(rep, self.counts)
        if rank is None:
            return _State(sums, found, window, trend, None, {})
        series = standardised(rank)[:, None]
        alone = found.shares(*found.powers(series @ series.T, None, trend, window=window))
        design = np.column_stack([np.ones_like(rank), rank, rank**2])
        basis = column_space(design if trend is None else np.column_stack([trend, design]))
        spikes = {f"rank_{name}": value for name, value in alone.items() if name.startswith("spike")}
        return _State(sums, found, window, trend, basis, spikes)

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        at, gram = state.survey, state.sums.gram
        lags = 2.0 * state.sums.of(order).lags
        lags[0] = np.trace(gram)
        found = at.shares(*at.powers(gram, order, state.trend, lags=lags, window=state.window))
        if state.rank_trend is not None:
            rest = at.shares(*at.powers(gram, order, state.rank_trend, lags=lags, window=state.window))
            found |= state.rank_spikes | {f"residual_{name}": value for name, value in rest.items()}
        return found | at.window


@lru_cache(maxsize=4)
def _trend(numbers: tuple[int, ...], design: str) -> F64:
    """An orthonormal basis of what a preprocessing step takes out."""
    eye = Representation(np.eye(len(numbers)), np.array(numbers))
    kept = preprocess(eye, [f"residual:{design}"]).matrix
    values, vectors = np.linalg.eigh(np.eye(len(numbers)) - kept)
    return np.asarray(vectors[:, values > 0.5], dtype=np.float64)


def _curves(state: _State) -> list[Curve]:
    """Magnitude over its median against frequency; beside it the sampling window of numbers with gaps."""
    numbers, gram = state.survey.numbers, state.sums.gram
    span = span_of(numbers)
    count = min(span // 2, 2 * len(numbers))
    frequencies = np.arange(1, count + 1) / span
    axes = ("frequency (1 / number)", "magnitude over its median")
    if state.window is not None:
        weighted = placed(gram, None, state.trend) * np.outer(state.window, state.window)
        explained = wave_table(len(numbers), frequencies) @ lag_sums(weighted)
    elif state.survey.contiguous:
        explained = wave_table(len(numbers), frequencies) @ detrended_lags(gram, None, state.trend)
    else:
        flat = least_squares_basis(numbers, frequencies).reshape(len(numbers), -1)
        seen = placed(gram, None, state.trend) @ flat
        explained = np.einsum("ij,ij->j", flat, seen).reshape(2, -1).sum(axis=0)
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
