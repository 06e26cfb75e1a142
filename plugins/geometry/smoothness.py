"""What smoothness alone draws: the modes of a curve along the numbers, and the curve of distance against lag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from numgeom_plugins.geometry.leading import leading
from numgeom_plugins.geometry.numerals import signed_log

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MODES = 6
# Lengths of saturation that are tried, in numbers: up to ten times the set, where the curve is a straight line.
SHORTEST, LONGEST, LENGTHS = 0.5, 10.0, 241
# Points on which the kernel of a curve is solved: its leading mode needs no more.
POINTS = 200


def rank_modes(n: int) -> F64:
    """``(n, MODES)``: ``cos(k pi (t + 1/2) / n)``, k = 1, 2, ..., each of unit length; fewer for n below 7.

    They are the principal components of a random walk over ranks.

    Examples
    --------
    >>> modes = rank_modes(50)
    >>> bool(np.allclose(modes.T @ modes, np.eye(6)))
    True
    """
    k = np.arange(1, min(MODES, n - 1) + 1)
    waves = np.cos(np.pi * np.outer(np.arange(n) + 0.5, k) / n)
    return np.asarray(waves / np.linalg.norm(waves, axis=0), dtype=np.float64)


@lru_cache(maxsize=4)
def log_modes(numbers: tuple[int, ...]) -> F64:
    """``(n, MODES)``: the principal components of a random walk over ``ln(n + 1)`` (``-ln(1 - n)`` below 0).

    Not cosines of the logarithm: numbers are not evenly spaced there, and the walk's components know it.

    Examples
    --------
    >>> log_modes(tuple(range(50))).shape
    (50, 6)
    """
    at = signed_log(np.array(numbers, dtype=np.int64))
    kernel = -np.abs(at[:, None] - at[None, :]) / 2.0
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    n = len(numbers)
    return leading(kernel, min(MODES, n - 1))[1]


@dataclass(frozen=True, slots=True)
class Saturation:
    """The fit ``D(k) = nugget + rise (1 - exp(-k / L))`` of the mean squared distance at lag k.

    Attributes
    ----------
    length : float
        ``L / n``; at most 10, which is a straight line: nothing saturates. 0 where nothing rises.
    nugget_share : float
        The nugget over the mean squared distance of all pairs, in [0, 1]: distance that is there at once.
    r2 : float
        Weighted R2 of the fit, in [0, 1].
    profile : ndarray, shape (n - 1,)
        The fitted curve over the mean squared distance of all pairs.
    """

    length: float
    nugget_share: float
    r2: float
    profile: F64


def saturation(means: F64) -> Saturation:
    """Fit the curve of distance against lag, every pair with one weight.

    Parameters
    ----------
    means : ndarray, shape (n - 1,)
        Mean squared distance at lags 1 .. n - 1.

    Examples
    --------
    >>> fit = saturation(3.0 * (1.0 - np.exp(-np.arange(1, 100) / 20.0)))
    >>> round(fit.length, 2), round(fit.nugget_share, 2), round(fit.r2, 3)
    (0.2, 0.01, 1.0)
    """
    n = len(means) + 1
    weights = np.arange(n - 1, 0, -1, dtype=np.float64)
    weights /= weights.sum()
    lengths, curves, centre, spread = _curves(n)
    level = float(weights @ means)
    total = float(weights @ (means - level) ** 2)
    flat = Saturation(0.0, 1.0, 0.0, np.ones(n - 1))
    if total <= 1e-24 * level**2:
        return flat
    across = curves @ (weights * means)
    rise = np.clip((across - centre * level) / spread, 0.0, None)
    nugget = level - rise * centre
    # Where the free fit would start below 0 it starts at 0.
    through = nugget < 0.0
    rise[through] = (across / (spread + centre**2))[through]
    nugget[through] = 0.0
    misfit = ((means - nugget[:, None] - rise[:, None] * curves) ** 2) @ weights
    best = int(np.argmin(misfit))
    if rise[best] <= 0.0:
        return flat
    profile = (nugget[best] + rise[best] * curves[best]) / level
    r2 = float(np.clip(1.0 - misfit[best] / total, 0.0, 1.0))
    return Saturation(float(lengths[best]), float(min(1.0, nugget[best] / level)), r2, profile)


@lru_cache(maxsize=1024)
def line_of_a_curve(n: int, length: float) -> float:
    """R2 of PC1 against the rank that a curve of saturation length ``length`` (a share of n) has by smoothness alone.

    The kernel ``exp(-|s - t| / L)``, with many dimensions; a nugget does not change its components. The limit of a
    long length is the random walk, 96 / pi^4.

    Examples
    --------
    >>> round(line_of_a_curve(1000, 10.0), 3), round(96 / np.pi**4, 4)
    (0.984, 0.9855)
    """
    points = min(n, POINTS)
    rank = np.arange(points)
    kernel = np.exp(-np.abs(rank[:, None] - rank[None, :]) / max(length * points, 1e-6))
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    first = leading(kernel, 1)[1][:, 0]
    return float(np.corrcoef(first, rank)[0, 1] ** 2)


@lru_cache(maxsize=4)
def _curves(n: int) -> tuple[F64, F64, F64, F64]:
    """Lengths as shares of n; ``1 - exp(-k / L)`` at every lag, ``(LENGTHS, n - 1)``; its mean, variance over pairs."""
    lengths = np.geomspace(SHORTEST, LONGEST * n, LENGTHS)
    curves = 1.0 - np.exp(-np.arange(1, n) / lengths[:, None])
    weights = np.arange(n - 1, 0, -1) / (n * (n - 1) / 2)
    centre = curves @ weights
    return lengths / n, curves, centre, (curves**2) @ weights - centre**2
