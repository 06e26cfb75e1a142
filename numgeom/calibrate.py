"""From draws of a null, or from its exact moments, to p, z, threshold and calibrated score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A verdict needs both: p at most ALPHA, and an excess of at least EFFECT, because a null of high power
# rejects differences too small to mean anything.
ALPHA = 0.05
# A fitted tail says no more than this. That of sign flips says less: modes of real curves are only nearly independent.
SMALLEST_P = 1e-6
SMALLEST_FLIP_P = 1e-4
EFFECT = 0.05

# Below this skewness the gamma distribution is the normal one to the precision of float64.
STRAIGHT = 1e-5

SIGN = {"higher_is_closer": 1.0, "lower_is_closer": -1.0, "two_sided": 1.0}


@dataclass(frozen=True, slots=True)
class Calibration:
    """A score beside its null.

    Attributes
    ----------
    mean, sd : float
        Of the draws (population standard deviation).
    excess : float
        Observed minus mean, turned so that positive means closer than the null.
    z : float
        ``excess / sd``; NaN where the null does not vary.
    p : float
        ``(1 + #{draws at least as close}) / (draws + 1)``.
    tau : float
        The ``1 - alpha`` order statistic of the draws and the observation together.
    calibrated : float
        Share of the way from ``tau`` to the closest possible score, in [0, 1];
        the unclipped excess over ``tau`` (at least 0) where there is no such bound.
    """

    mean: float
    sd: float
    excess: float
    z: float
    p: float
    tau: float
    calibrated: float


def calibrate(
    observed: float,
    draws: npt.ArrayLike,
    *,
    direction: str = "higher_is_closer",
    best: float = 1.0,
    alpha: float = 0.05,
) -> Calibration:
    """Hold an observed score against draws of its null.

    Parameters
    ----------
    observed : float
        The score.
    draws : array_like, shape (K,)
        Scores of the null.
    direction : {"higher_is_closer", "lower_is_closer", "two_sided"}
        Two-sided p counts draws at least as far from their mean as the observation, on either side;
        it has no ``tau`` and no calibrated score.
    best : float
        The score of identical representations; infinite where there is no bound.
    alpha : float
        Level of the threshold ``tau``.

    Returns
    -------
    Calibration

    References
    ----------
    Groeger, Wen & Brbic 2026, arXiv:2602.14486 (tau and the calibrated score).

    Examples
    --------
    >>> calibrate(0.9, [0.1, 0.2, 0.3]).p
    0.25
    """
    sign = SIGN[direction]
    null = sign * np.asarray(draws, dtype=np.float64)
    seen, bound = sign * observed, sign * best
    mean, sd = float(null.mean()), float(null.std())
    # A null that repeats one value up to rounding has no spread to measure in.
    if sd <= 1e-12 * max(1.0, abs(mean)):
        sd = 0.0
    # Draws equal to the observation up to rounding count as equal: the p-value must not hang on the last bit.
    slack = 1e-12 * max(1.0, abs(seen))
    if direction == "two_sided":
        close = int(np.count_nonzero(np.abs(null - mean) >= abs(seen - mean) - slack))
    else:
        close = int(np.count_nonzero(null >= seen - slack))
    p = (1 + close) / (null.size + 1)
    z = (seen - mean) / sd if sd > 0 else float("nan")
    if direction == "two_sided":
        return Calibration(mean, sd, seen - mean, z, p, float("nan"), float("nan"))
    rank = int(np.ceil((1.0 - alpha) * (null.size + 1) - 1e-9)) - 1
    tau = float(np.sort(np.append(null, seen))[rank])
    return Calibration(
        mean=sign * mean,
        sd=sd,
        excess=seen - mean,
        z=z,
        p=p,
        tau=sign * tau,
        calibrated=_beyond(tau, seen, bound),
    )


def calibrate_moments(
    observed: float,
    moments: tuple[float, float, float],
    least: float,
    *,
    direction: str = "higher_is_closer",
    best: float = 1.0,
    alpha: float = 0.05,
) -> Calibration:
    """Hold an observed score against the moments of its null over all row orders or sign flips: no draw is needed.

    The null is taken to follow the Pearson type III distribution (a shifted gamma) with these moments.

    Parameters
    ----------
    observed : float
        The score.
    moments : tuple of float
        Mean, standard deviation and skewness.
    least : float
        The smallest p that is given, such as :func:`least_permutation_p`.
    direction : {"higher_is_closer", "lower_is_closer"}
    best : float
        The score of identical representations; infinite where there is no bound.
    alpha : float
        Level of the threshold ``tau``.

    Returns
    -------
    Calibration
        ``p`` is the upper tail and ``tau`` the ``1 - alpha`` quantile of that distribution. The tail is approximate: a
        p far below 1e-4 says "small", not how small.

    References
    ----------
    Mielke, Berry & Brier 1981 (Pearson type III for permutation statistics); Kazi-Aoual, Hitier, Sabatier &
    Lebreton 1995 (moments); Josse, Pages & Husson 2008 (how well it does for the RV coefficient).

    Examples
    --------
    >>> found = calibrate_moments(0.3, (0.1, 0.1, 0.0), least_permutation_p(100))
    >>> round(found.z, 6), round(found.p, 6)
    (2.0, 0.02275)
    """
    sign = SIGN[direction]
    mean, sd, skewness = sign * moments[0], float(moments[1]), sign * float(moments[2])
    seen, bound = sign * observed, sign * best
    if sd <= 1e-12 * max(1.0, abs(mean)):
        # A null that never varies is met by every order, and beaten by none.
        p = 1.0 if seen <= mean + 1e-12 * max(1.0, abs(seen)) else least
        return Calibration(sign * mean, 0.0, seen - mean, float("nan"), p, sign * mean, _beyond(mean, seen, bound))
    z = (seen - mean) / sd
    p = max(pearson_tail(z, skewness), least)
    tau = mean + sd * pearson_quantile(1.0 - alpha, skewness)
    return Calibration(
        mean=sign * mean, sd=sd, excess=seen - mean, z=z, p=p, tau=sign * tau, calibrated=_beyond(tau, seen, bound)
    )


def of_largest_p(held: Sequence[tuple[Calibration, float]]) -> tuple[Calibration, float]:
    """Of the sides and projections of one comparison the one of largest p, of equals that of smallest z."""
    return max(held, key=lambda one: (one[0].p, -one[0].z if np.isfinite(one[0].z) else 0.0))


def least_permutation_p(n: int) -> float:
    """The smallest p over the orders of n rows: ``1 / n!``, as one of them is the observed one, and at least 1e-6.

    Examples
    --------
    >>> round(least_permutation_p(5), 6), least_permutation_p(1000)
    (0.008333, 1e-06)
    """
    from scipy.special import gammaln

    return max(float(np.exp(-gammaln(n + 1))), SMALLEST_P)


def pearson_tail(z: float, skewness: float) -> float:
    """``P(Z >= z)`` of the Pearson type III distribution of mean 0, variance 1 and this skewness.

    Examples
    --------
    >>> round(pearson_tail(0.0, 2.0), 6), round(pearson_tail(-1.0, 2.0), 6)
    (0.367879, 1.0)
    """
    from scipy.special import gammainc, gammaincc, ndtr

    if abs(skewness) < STRAIGHT:
        return float(ndtr(-z))
    shape = 4.0 / skewness**2
    at = max(shape + np.sign(skewness) * z * np.sqrt(shape), 0.0)
    return float(gammaincc(shape, at) if skewness > 0 else gammainc(shape, at))


def pearson_quantile(level: float, skewness: float) -> float:
    """The value below which the Pearson type III distribution of mean 0 and variance 1 has this share.

    Examples
    --------
    >>> round(pearson_quantile(0.95, 0.0), 4), round(pearson_quantile(0.95, 2.0), 4)
    (1.6449, 1.9957)
    """
    from scipy.special import gammaincinv, ndtri

    if abs(skewness) < STRAIGHT:
        return float(ndtri(level))
    shape = 4.0 / skewness**2
    at = gammaincinv(shape, level if skewness > 0 else 1.0 - level)
    return float(np.sign(skewness) * (at - shape) / np.sqrt(shape))


def _beyond(tau: float, seen: float, bound: float) -> float:
    """Share of the way from the threshold to the bound; the excess over it where there is no bound."""
    above = seen - tau
    if np.isfinite(bound):
        return float(np.clip(above / (bound - tau), 0.0, 1.0)) if bound > tau else 0.0
    return max(above, 0.0)


def passes(p: float | None, excess: float | None) -> bool:
    """Whether a score beats its null: significant, and by enough to matter.

    Examples
    --------
    >>> passes(0.005, 0.3), passes(0.005, 0.01), passes(None, None)
    (True, False, False)
    """
    return p is not None and excess is not None and p <= ALPHA and excess >= EFFECT


def false_discovery_rate(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values.

    Parameters
    ----------
    p : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m,)

    References
    ----------
    Benjamini & Hochberg 1995.

    Examples
    --------
    >>> [round(float(q), 3) for q in false_discovery_rate([0.01, 0.02, 0.5])]
    [0.03, 0.03, 0.5]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)[::-1]
    scaled = values[order] * values.size / np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return adjusted


def westfall_young(
    observed: npt.ArrayLike, draws: npt.ArrayLike, *, direction: str = "higher_is_closer"
) -> npt.NDArray[np.float64]:
    """p-values adjusted for a family of tests whose null draws share their permutations (single-step max-z).

    Every score is standardised by its own draws, and counted against the largest standardised score of each draw.
    That controls the chance of any false rejection in the family, whatever ties the tests together.

    Parameters
    ----------
    observed : array_like, shape (m,)
    draws : array_like, shape (m, K)
        Column k holds the scores of one draw, the same for all tests.
    direction : {"higher_is_closer", "lower_is_closer"}

    Returns
    -------
    ndarray, shape (m,)
        ``(1 + #{draws whose largest z is at least that of the test}) / (K + 1)``; 1 where the draws do not vary.

    References
    ----------
    Westfall & Young 1993.

    Examples
    --------
    >>> westfall_young([9.0, 1.5], [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).tolist()
    [0.25, 0.75]
    """
    sign = SIGN[direction]
    null = sign * np.asarray(draws, dtype=np.float64)
    seen = sign * np.asarray(observed, dtype=np.float64)
    mean, sd = null.mean(axis=1), null.std(axis=1)
    varies = sd > 1e-12 * np.maximum(1.0, np.abs(mean))
    adjusted = np.ones(len(seen))
    if varies.any():
        z = (seen[varies] - mean[varies]) / sd[varies]
        largest = ((null[varies] - mean[varies, None]) / sd[varies, None]).max(axis=0)
        # Draws equal to the observation up to rounding count as equal.
        slack = 1e-12 * np.maximum(1.0, np.abs(z))
        counts = (largest[None, :] >= (z - slack)[:, None]).sum(axis=1)
        adjusted[varies] = (1 + counts) / (null.shape[1] + 1)
    return adjusted
