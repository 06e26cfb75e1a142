"""From draws of a null to p, z, threshold and calibrated score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A verdict needs both: p at most ALPHA, and an excess of at least EFFECT, because a null of high power
# rejects differences too small to mean anything.
ALPHA = 0.05
EFFECT = 0.05

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
    above = seen - tau
    if np.isfinite(bound):
        calibrated = float(np.clip(above / (bound - tau), 0.0, 1.0)) if bound > tau else 0.0
    else:
        calibrated = max(above, 0.0)
    return Calibration(
        mean=sign * mean,
        sd=sd,
        excess=seen - mean,
        z=z,
        p=p,
        tau=sign * tau,
        calibrated=calibrated,
    )


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
