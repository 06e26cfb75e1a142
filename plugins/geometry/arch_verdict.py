"""Whether smoothness alone explains a picture: the arch test of a reduction."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.arch import (
    STRAIGHTER,
    explained,
    fit_modes,
    geodesic,
    is_arch,
    mean_squared,
    r_squared,
)
from numgeom_plugins.geometry.pair_sums import pair_sums
from numgeom_plugins.geometry.smoothness import line_of_a_curve, saturation
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]


def arch_verdict(rep: Representation) -> dict[str, float]:
    """Hold the axes of a reduction, and the cloud behind it, against what a curve without further structure draws.

    The picture is turned to its own principal axes first, so that the turn of a layout does not matter.

    - ``arch_explained``: 1 (yes), 0.5 (partly), 0 (no). Yes: the axes are an arch (see Warns), at least 0.8 of their
      variance lies in the first four modes of a curve, and the first axis is not straighter than a curve makes it.
      Partly: that but for a straighter axis, or at least half of the variance in those modes. The thresholds are
      ours;
    - ``axis2_quadratic_r2``: R2 of the second axis on 1, the first and its square; 0 if there is no second;
    - ``axis1_cosine_r2``, ``axis2_cosine_r2``: R2 of each with ``cos(k pi (t + 1/2) / n)``, t the rank of the number,
      or with the mode k of a random walk over ``ln(n + 1)`` if that is more on the smaller of the two;
    - ``smooth_share``: share of the variance of the picture in the span of the first four such modes;
    - ``axis1_order_r2``: R2 of the first axis with the rank; ``expected_order_r2``: of PC1 of a curve with the
      saturation length of the cloud, by smoothness alone;
    - of the cloud: ``saturation_length`` and ``geodesic_order_r2`` as the metric ``arch`` has them.

    Its control ``smooth_surrogate`` gives the same of curves drawn with the lag profile of the cloud.

    Parameters
    ----------
    rep : Representation
        A reduction of at least 10 numbers; its ``origin`` is the cloud that was reduced.

    Returns
    -------
    dict of str to float
        R2 and shares in [0, 1].

    Raises
    ------
    Incompatible
        If ``rep`` is no reduction, or all of its points or those of its origin are equal.

    Warns
    -----
    MeasurementWarning
        W-ARCH where ``axis2_quadratic_r2``, ``axis1_cosine_r2`` and ``axis2_cosine_r2`` are all at least 0.8.

    References
    ----------
    Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Podani & Miklos 2002; Antognini & Sohl-Dickstein 2018. The verdict
    is ours.

    Examples
    --------
    >>> walk = Representation(np.random.default_rng(0).normal(size=(100, 900)).cumsum(axis=0), np.arange(100))
    >>> left, values = walk.workspace.thin
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     arch_verdict(Representation(left[:, :2] * values[:2], walk.numbers, origin=walk))["arch_explained"]
    1.0
    """
    if rep.origin is None:
        raise Incompatible("arch_verdict judges a reduction; ask for it together with a reducer, such as pca.")
    origin = rep.origin
    for one in (origin, rep):
        require_spread(one, "arch_verdict")
    axes, lengths = rep.workspace.thin
    fit = fit_modes(axes, lengths**2, rep.numbers)
    curve = origin.memo("geometry.saturation", lambda: saturation(mean_squared(pair_sums(origin), np.arange(origin.n))))
    expected = line_of_a_curve(rep.n, curve.length)
    rank = np.arange(rep.n, dtype=np.float64)[:, None]
    order = r_squared(axes[:, 0], rank)
    if is_arch(fit):
        text = "the picture is what any smooth curve gives: a line along its first axis and a bend on its second"
        warnings.warn(MeasurementWarning("W-ARCH", text), stacklevel=2)
    pair = max((fit.cosines[:2], fit.logs[:2]), key=lambda match: float(match.min()))
    return {
        "arch_explained": explained(fit, straighter=order > expected + STRAIGHTER),
        "axis2_quadratic_r2": fit.quadratic,
        "axis1_cosine_r2": float(pair[0]),
        "axis2_cosine_r2": float(pair[1]) if pair.size > 1 else 0.0,
        "smooth_share": fit.share,
        "axis1_order_r2": order,
        "expected_order_r2": expected,
        "saturation_length": curve.length,
        "geodesic_order_r2": r_squared(geodesic(origin), rank),
    }
