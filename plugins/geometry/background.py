"""Fourier lines against a fitted smooth background: what is left of a spike once smoothness has had its share."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, polygamma

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.line_survey import CONTROLS, DECIMAL
from numgeom_plugins.geometry.periodogram import lag_sums, power, primitive

F64 = npt.NDArray[np.float64]

FEWEST = 200
LENGTHS = (2.0, 20.0, 200.0)
STEPS = 40
# Residuals beyond this many robust standard deviations lose weight (Huber 1964).
HUBER = 1.345


def spectral_background(rep: Representation, draws: int = 199, seed: int = 0) -> dict[str, float]:
    r"""Excess of each period's lines over a Lorentzian-lattice background with a white floor, with its p.

    Rows whose similarity falls exponentially with the distance of their numbers, ``exp(-|i - j| / l)``, have on a
    ring of n the expected periodogram ``L(k) = s (1 - q^2) / (1 - 2 q cos(2 pi k / n) + q^2)``, ``q = exp(-1 / l)``;
    a random walk is its limit of large l. ``L + c`` is fitted to the log periodogram by robust least squares (Huber)
    on the bins that are no multiple of n/100. Around the fit powers scatter like a Gamma variable whose shape, the
    number of independent columns, is read off the scatter of the fitted bins. For every period t that divides n:

    - ``excess_t``: sum of ``P - L`` over the lines of t, over the sum of L over all bins; 0 without a line;
    - ``ratio_t``: sum of P over the sum of L at the lines of t; 1 without a line;
    - ``p_t``: share of ``draws`` periodograms, drawn from the fit and fitted again, with as large an excess, in
      (0, 1];
    - ``length``: l of the fit, at most n (a walk cannot be told from a longer one); ``white_share``: share of c in
      the sum of the fit, in [0, 1].

    Parameters
    ----------
    rep : Representation
        At least 200 consecutive numbers.
    draws : int
        Of the parametric bootstrap.
    seed : int

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If there are fewer than 200 numbers, all rows are equal, or there is no power between the lines.

    Warns
    -----
    MeasurementWarning
        W-BIN where a decimal period does not divide n: it is left out.

    References
    ----------
    Karkada et al. 2026, arXiv:2602.15029 (Lorentzian mode amplitudes); Huber 1964. Fit and test are ours.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> walk = rng.standard_normal((200, 50)).cumsum(axis=0) + 2.0 * rng.standard_normal((200, 50))
    >>> coded = walk + 4.0 * rng.standard_normal((5, 50))[np.arange(200) % 5]
    >>> found = spectral_background(Representation(coded, np.arange(200)), draws=99)
    >>> found["p_5"], found["p_2"] > 0.05, found["ratio_5"] > 5
    (0.01, True, True)
    """
    if not rep.is_contiguous or rep.n < FEWEST:
        raise Incompatible(
            f"spectral_background needs at least {FEWEST} consecutive numbers; these are {rep.n}"
            f"{'' if rep.is_contiguous else ' with gaps (W-GAPS)'}. Give a run such as 0..999."
        )
    if draws < 19:
        raise Incompatible(f"spectral_background: draws={draws} gives no p of .05; write at least draws=19.")
    n = rep.n
    torn = [period for period in DECIMAL if n % period]
    if torn:
        text = f"{n} numbers are no multiple of the periods {', '.join(map(str, torn))}: they are left out"
        warnings.warn(MeasurementWarning("W-BIN", text), stacklevel=2)
    bins = np.arange(1, n // 2 + 1)
    seen = power(lag_sums(rep.workspace.gram), bins / n)
    between = np.abs(bins / n * 100 - np.round(bins / n * 100)) > 1e-9
    floor = 1e-9 * rep.workspace.energy / n
    if rep.workspace.energy == 0.0 or np.median(seen[between]) <= floor:
        raise Incompatible("spectral_background: no power between the lines, so there is no background to fit.")
    seen = np.maximum(seen, floor)
    fit = _Fit(2.0 * np.pi * bins / n, between)
    parameters, scatter = fit(seen[None, :], None)
    shape = _gamma_shape(scatter[0])
    # The fit is one of log power, whose mean lies this far below the log of the mean.
    bias = float(np.log(shape) - digamma(shape))
    classes = {t: np.round(primitive(t) * n).astype(np.int64) - 1 for t in DECIMAL + CONTROLS if n % t == 0}
    level = fit.level(parameters)[0] * np.exp(bias)
    weight = np.where(2 * bins == n, 1.0, 2.0)
    rng = np.random.default_rng(seed)
    drawn = level * rng.gamma(shape * weight / 2.0, 1.0 / (shape * weight / 2.0), size=(draws, len(bins)))
    again = fit.level(fit(np.maximum(drawn, floor), parameters)[0]) * np.exp(bias)
    found = {}
    for period, places in classes.items():
        of, against = (weight * seen)[places].sum(), (weight * level)[places].sum()
        excess = (of - against) / (weight * level).sum()
        null = (weight * (drawn - again))[:, places].sum(axis=1) / (weight * again).sum(axis=1)
        found[f"excess_{period}"] = float(excess)
        found[f"ratio_{period}"] = float(of / against)
        found[f"p_{period}"] = float((1 + np.count_nonzero(null >= excess)) / (draws + 1))
    found["length"] = float(min(1.0 / (2.0 * np.arcsinh(np.exp(parameters[0, 1] / 2.0) / 2.0)), n))
    found["white_share"] = float(np.exp(parameters[0, 2] + bias) * weight.sum() / (weight * level).sum())
    return found


class _Fit:
    """Robust fits of ``log(exp(a) / (exp(b) + 2 - 2 cos w) + exp(c))`` to the logs of many periodograms at once."""

    def __init__(self, angles: F64, between: npt.NDArray[np.bool_]) -> None:
        self._ring = 2.0 - 2.0 * np.cos(angles)
        self._between = between

    def __call__(self, powers: F64, start: F64 | None) -> tuple[F64, F64]:
        """Parameters, ``(draws, 3)``, and the robust standard deviation of the log residuals, ``(draws,)``."""
        logs = np.log(powers[:, self._between])
        if start is not None:
            return self._descend(logs, np.repeat(start, len(logs), axis=0))
        best, scatter = self._descend(logs, self._guess(logs, LENGTHS[0]))
        for length in LENGTHS[1:]:
            other, spread = self._descend(logs, self._guess(logs, length))
            better = spread < scatter
            best, scatter = np.where(better[:, None], other, best), np.where(better, spread, scatter)
        return best, scatter

    def level(self, parameters: F64) -> F64:
        """The fitted background at all bins, ``(draws, bins)``."""
        return np.asarray(np.exp(self._log(parameters, self._ring)[0]), dtype=np.float64)

    def _guess(self, logs: F64, length: float) -> F64:
        ring = self._ring[self._between]
        low = logs[:, : max(3, logs.shape[1] // 20)].mean(axis=1)
        at = ring[: max(3, logs.shape[1] // 20)].mean()
        b = np.full(len(logs), 2.0 * np.log(2.0 * np.sinh(0.5 / length)))
        return np.column_stack([low + np.log(np.exp(b) + at), b, np.median(logs, axis=1) - 0.7])

    def _log(self, parameters: F64, ring: F64) -> tuple[F64, F64]:
        """Log level and its derivatives, ``(draws, bins)`` and ``(3, draws, bins)``."""
        a, b, c = np.exp(parameters.T)[:, :, None]
        hump = a / (b + ring)
        level = hump + c
        slopes = np.stack([hump / level, -hump * b / ((b + ring) * level), c / level])
        return np.log(level), slopes

    def _descend(self, logs: F64, parameters: F64) -> tuple[F64, F64]:
        """Levenberg-Marquardt on Huber weights, all rows of ``logs`` side by side."""
        ring = self._ring[self._between]
        top = logs.max(axis=1)
        damping = np.full(len(logs), 1e-2)
        value, slopes = self._log(parameters, ring)
        scale = _spread(logs - value)
        cost = _huber(logs - value, scale)
        for _ in range(STEPS):
            residual = logs - value
            weight = np.minimum(1.0, HUBER * scale[:, None] / np.maximum(np.abs(residual), 1e-300))
            normal = np.einsum("imk,jmk,mk->mij", slopes, slopes, weight)
            pull = np.einsum("imk,mk->mi", slopes, weight * residual)
            ridge = damping[:, None] * (np.einsum("mii->mi", normal) + 1e-9 * logs.shape[1])
            step = np.linalg.solve(normal + np.einsum("mi,ij->mij", ridge, np.eye(3)), pull[:, :, None])[:, :, 0]
            tried = parameters + np.clip(step, -2.0, 2.0)
            # Beyond these the parameter no longer moves the fit: a walk, and no floor at all.
            tried[:, 1] = np.clip(tried[:, 1], 2.0 * np.log(0.1 * np.sqrt(ring[0])), 6.0)
            tried[:, 2] = np.maximum(tried[:, 2], top - 40.0)
            held, turned = self._log(tried, ring)
            price = _huber(logs - held, scale)
            better = price < cost
            parameters = np.where(better[:, None], tried, parameters)
            value = np.where(better[:, None], held, value)
            slopes = np.where(better[None, :, None], turned, slopes)
            damping = np.where(better, damping / 5.0, damping * 5.0)
            if not better.any() and damping.min() > 1e6:
                break
            scale = np.where(better, _spread(logs - value), scale)
            cost = _huber(logs - value, scale)
        return parameters, scale


def _spread(residuals: F64) -> F64:
    """Normal-consistent median absolute deviation of each row."""
    return np.maximum(1.4826 * np.median(np.abs(residuals), axis=1), 1e-6)


def _huber(residuals: F64, scale: F64) -> F64:
    size = np.abs(residuals) / scale[:, None]
    return np.asarray(np.where(size <= HUBER, 0.5 * size**2, HUBER * (size - 0.5 * HUBER)).sum(axis=1))


def _gamma_shape(spread: float) -> float:
    """The shape of a Gamma variable whose logarithm has this standard deviation: trigamma inverted by bisection."""
    low, high = np.log(0.05), np.log(1e9)
    for _ in range(80):
        middle = 0.5 * (low + high)
        if polygamma(1, np.exp(middle)) > spread**2:
            low = middle
        else:
            high = middle
    return float(np.exp(0.5 * (low + high)))
