"""How the numbers are spaced along the first principal component: linearly, logarithmically, or by a power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, Representation
from numgeom_plugins.geometry.correlation import standardised
from numgeom_plugins.geometry.principal_axis import principal_axis
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
LOWEST, HIGHEST, STEP = -1.0, 3.0, 0.01
FOLDS = 10
CHI2_95 = 3.841458820694124
LINEAR, LOG = 1.0, 0.0


@dataclass(frozen=True, slots=True)
class Spacings:
    """The axis, and the exponents with the transformed numbers of each, ``(exponents, n)``."""

    axis: F64
    exponents: F64
    curves: F64
    folds: I64


class ScalingExponent(RowOrderMetric[Spacings]):
    r"""Least-squares fits of PC1 by ``a + b n``, ``a + b ln(n + 1)`` and ``a + b ((n + 1)^beta - 1) / beta``.

    The third has the first two as its cases beta = 1 and beta -> 0 (Box-Cox), so beta names the spacing: 1 linear,
    between 0 and 1 compressed, 0 logarithmic.

    - ``r2_linear``, ``r2_log``, ``r2_power``: in-sample R2, in [0, 1];
    - ``oof_linear``, ``oof_log``, ``oof_power``: R2 of numbers left out (10 random folds, the same for all; beta is
      fitted inside each fold), at most 1;
    - ``aic_log``, ``aic_power``: Akaike's criterion minus that of the line, unbounded; below 0 where the model fits
      better than its parameters cost;
    - ``beta``: the best exponent in [-1, 3], to 0.01;
    - ``beta_low``, ``beta_high``: its 95 % interval by profile likelihood, with the effective number of
      observations ``n (1 - r) / (1 + r)``, r the lag-1 autocorrelation of the residuals.

    An R2 near 1 is no number line by itself: PC1 of any smooth curve, a random walk for one, is half a cosine, and
    ``r2_linear`` = 96 / pi^4 = 0.9855 is what smoothness alone gives. Put ``synthetic:walk`` of the same width beside
    the model.

    Raises
    ------
    Incompatible
        If a number is below 0, fewer than 10 are given, or all rows are equal.

    References
    ----------
    AlquBoj et al. 2025, arXiv:2502.16147 (scaling); Box & Cox 1964; Antognini & Sohl-Dickstein 2018 (the walk).

    Examples
    --------
    >>> root = Representation(np.sqrt(np.arange(100.0) + 1.0)[:, None], np.arange(100))
    >>> found = ScalingExponent()(root)
    >>> round(found["beta"], 2), round(found["r2_power"], 9)
    (0.5, 1.0)
    """

    def prepare(self, rep: Representation) -> Spacings:
        """PC1 and the transformed numbers."""
        if rep.n < FOLDS or int(rep.numbers[0]) < 0:
            raise Incompatible(
                f"scaling_exponent needs at least {FOLDS} numbers of 0 or more, as powers and logarithms do; "
                f"these are {rep.n} from {rep.numbers[0] if rep.n else 'none'}. Write for example --numbers 0..999."
            )
        require_spread(rep, "scaling_exponent")
        exponents = np.round(np.arange(LOWEST, HIGHEST + STEP / 2, STEP), 10)
        log = np.log1p(rep.numbers.astype(np.float64))
        curves = np.stack([np.expm1(beta * log) / beta if beta != LOG else log for beta in exponents])
        folds = np.random.default_rng(0).permutation(rep.n) % FOLDS
        return Spacings(principal_axis(rep), exponents, curves, folds)

    def measure(self, state: Spacings, order: I64) -> dict[str, float]:
        """The fits for one order of the rows."""
        return {name: float(values[0]) for name, values in _fits(state, order[None, :]).items()}

    def permuted(self, rep: Representation, permutations: I64) -> dict[str, F64]:
        """The fits for each order of the rows; all orders share one product with the transformed numbers."""
        return _fits(self.prepare(rep), permutations)

    def figures(self, state: Spacings, rep: Representation) -> dict[str, Curve]:
        """PC1 against the number."""
        return {"pc1": Curve(x=rep.numbers, y=state.axis, x_label="number", y_label="PC1 score (unit length)")}


def _fits(state: Spacings, orders: I64) -> dict[str, F64]:
    axes = state.axis[orders].T
    n, draws = axes.shape
    every = np.arange(draws)
    misfit, _, _ = _least_squares(axes, state.curves)
    total = np.square(axes - axes.mean(axis=0)).sum(axis=0)
    line, log = (int(np.flatnonzero(state.exponents == beta)[0]) for beta in (LINEAR, LOG))
    best = misfit.argmin(axis=0)
    chosen = {"linear": np.full(draws, line), "log": np.full(draws, log), "power": best}
    found = {f"r2_{name}": np.clip(1.0 - misfit[k, every] / total, 0.0, 1.0) for name, k in chosen.items()}
    found |= _out_of_fold(axes, state, line, log)
    # An exact fit would have an infinite likelihood; rounding is where it ends.
    likelihood = n * np.log(np.maximum(misfit, n * np.finfo(np.float64).eps * total))
    found["aic_log"] = likelihood[log] - likelihood[line]
    found["aic_power"] = likelihood[best, every] - likelihood[line] + 2.0
    found["beta"] = state.exponents[best]
    effective = np.array([_effective_share(axes[:, k], state.curves[best[k]]) for k in every])
    inside = effective * (likelihood - likelihood[best, every]) <= CHI2_95
    found["beta_low"] = state.exponents[inside.argmax(axis=0)]
    found["beta_high"] = state.exponents[::-1][inside[::-1].argmax(axis=0)]
    return found


def _least_squares(axes: F64, curves: F64) -> tuple[F64, F64, F64]:
    """Residual sum of squares, intercept and slope of every axis on every curve, each ``(curves, axes)``."""
    means = curves.mean(axis=1)[:, None]
    centred = curves - means
    energy = np.einsum("ij,ij->i", centred, centred)[:, None]
    level = axes.mean(axis=0)
    target = axes - level
    along = centred @ target
    slope = np.divide(along, energy, out=np.zeros_like(along), where=energy > 0)
    misfit = np.clip(np.einsum("ij,ij->j", target, target) - slope * along, 0.0, None)
    return misfit, level - slope * means, slope


def _out_of_fold(axes: F64, state: Spacings, line: int, log: int) -> dict[str, F64]:
    """Out-of-fold R2; the baseline of each fold is the mean of its training part."""
    draws = axes.shape[1]
    every = np.arange(draws)
    errors = {name: np.zeros(draws) for name in ("linear", "log", "power")}
    total = np.zeros(draws)
    for fold in range(FOLDS):
        out = state.folds == fold
        misfit, intercept, slope = _least_squares(axes[~out], state.curves[:, ~out])
        for name, k in (("linear", line), ("log", log), ("power", misfit.argmin(axis=0))):
            at = np.broadcast_to(k, draws)
            fitted = intercept[at, every] + slope[at, every] * state.curves[at][:, out].T
            errors[name] += np.square(axes[out] - fitted).sum(axis=0)
        total += np.square(axes[out] - axes[~out].mean(axis=0)).sum(axis=0)
    return {f"oof_{name}": 1.0 - error / total for name, error in errors.items()}


def _effective_share(axis: F64, curve: F64) -> float:
    """``(1 - r) / (1 + r)`` of the residuals of the best fit, at most 1; 1 / n where they hardly change sign."""
    target, basis = standardised(axis), standardised(curve)
    residual = target - basis * (basis @ target)
    energy = float(residual @ residual)
    if energy <= 1e-18:
        return 1.0
    r = float(residual[1:] @ residual[:-1]) / energy
    return float(np.clip((1.0 - r) / (1.0 + r), 1.0 / axis.size, 1.0)) if r > -1.0 else 1.0
