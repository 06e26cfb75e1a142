"""The dimension of a cloud as its nearest neighbours see it, and hubs, the mark of a high one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import skew

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.spread import require_spread, squared_between_distinct

F64 = npt.NDArray[np.float64]
SIZES = (10, 20)
HUB = 10
TRIMMED = 0.1
PATCH = 20
FLAT = 1e-12


def intrinsic_dimension(rep: Representation) -> dict[str, float]:
    r"""Dimension from ratios of neighbour distances, over the distinct rows; every value is above 0 but the last.

    With ``r_j`` the distance from a row to its j-th neighbour:

    - ``twonn``: ``N / sum ln(r_2 / r_1)``, the maximum-likelihood form;
    - ``twonn_trimmed``: the same with the largest 10 % of the ratios taken as censored at the 90th percentile,
      which outliers do not move: ``m / (sum of the m smallest logs + (N - m) ln mu_m)``;
    - ``mle_10``, ``mle_20``: ``1 / mean over rows and j < k of ln(r_k / r_j)`` for k = 10 and 20;
    - ``local_pca_20``: participation ratio ``(tr C)^2 / tr C^2`` of the covariance C of the 20 nearest rows, the mean
      over rows, both traces without the bias that so few rows give them: how many directions a small patch fills;
    - ``hubness_skew``: skewness of how often a row is among the 10 nearest of others; unbounded, about 0 in low
      dimension and large in high dimension, noise included.

    A measure is left out where there are fewer distinct rows than its neighbourhood and one more, and ``local_pca_20``
    where the rows of all patches are equally far apart. Distances of neighbours estimate high-dimensional clouds of a
    thousand rows far too low, and a patch of those rows is no patch but the whole cloud, so read every value beside
    the Gaussian null of the same n and d. The lattice of a plain number line has equal nearest distances and no
    meaningful ``twonn``.

    Parameters
    ----------
    rep : Representation

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If fewer than 5 rows are distinct, or all nearest distances are equal.

    References
    ----------
    Facco et al. 2017 (TwoNN); Levina & Bickel 2004, MacKay & Ghahramani 2005 (their mean of inverses); Fukunaga &
    Olsen 1971 (local PCA), Bai & Saranadasa 1996 (unbiased traces); the participation ratio of patches is ours;
    Radovanovic, Nanopoulos & Ivanovic 2010 (hubness).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sheet = rng.uniform(size=(800, 2)) @ rng.normal(size=(2, 30))
    >>> found = intrinsic_dimension(Representation(sheet, np.arange(800)))
    >>> round(found["mle_20"]), round(found["twonn"]), round(found["local_pca_20"])
    (2, 2, 2)
    """
    require_spread(rep, "intrinsic_dimension")
    apart = _distinct(rep)
    n = len(apart)
    if n < 5:
        raise Incompatible(f"intrinsic_dimension: only {n} rows are distinct; it needs 5, give more with --numbers.")
    most = min(max(*SIZES, HUB), n - 2)
    others = apart.copy()
    np.fill_diagonal(others, np.inf)
    nearest = np.argpartition(others, most, axis=1)[:, :most]
    near = np.sqrt(np.take_along_axis(others, nearest, axis=1))
    order = np.argsort(near, axis=1, kind="stable")
    nearest, near = np.take_along_axis(nearest, order, axis=1), np.take_along_axis(near, order, axis=1)
    logs = np.log(near)
    ratio = np.sort(logs[:, 1] - logs[:, 0])
    kept = n - int(TRIMMED * n)
    whole, censored = float(ratio.sum()), float(ratio[:kept].sum() + (n - kept) * ratio[kept - 1])
    # All nearest distances equal up to rounding: a lattice, of which the ratios say nothing.
    if censored <= 1e-9 * n:
        raise Incompatible(
            "intrinsic_dimension: the two nearest neighbours are equally far for 90 % of the rows or more (a lattice), "
            "so their ratio says nothing; use variance_spectrum."
        )
    found = {"twonn": n / whole, "twonn_trimmed": kept / censored}
    for k in SIZES:
        if k <= most:
            spacing = float((logs[:, k - 1 : k] - logs[:, : k - 1]).mean())
            found[f"mle_{k}"] = 1.0 / spacing
    if most >= PATCH:
        focus = _focus(apart, nearest[:, :PATCH])
        if focus > FLAT:
            # (tr C)^2 exceeds its unbiased estimate by 2 tr C^2 / (k - 1).
            found[f"local_pca_{PATCH}"] = 1.0 / focus - 2.0 / (PATCH - 1)
    if most >= HUB:
        degree = np.bincount(nearest[:, :HUB].ravel(), minlength=n).astype(np.float64)
        found["hubness_skew"] = float(skew(degree)) if np.ptp(degree) > 0 else 0.0
    return found


def _distinct(rep: Representation) -> F64:
    """Squared distances among the rows without copies of earlier ones."""
    apart = squared_between_distinct(rep)
    if not rep.workspace.duplicate_rows:
        return apart
    kept = ~np.tril(apart == 0.0, -1).any(axis=1)
    return np.asarray(apart[np.ix_(kept, kept)], dtype=np.float64)


def _focus(apart: F64, patches: npt.NDArray[np.int64]) -> float:
    """``tr C^2 / (tr C)^2``, tr C^2 without bias, mean over patches ``(rows, k)`` of places, from squared distances."""
    k = patches.shape[1]
    within = apart.ravel().take(patches[:, :, None] * len(apart) + patches[:, None, :])
    sums = within.sum(axis=2)
    total = sums.sum(axis=1)
    # B = -HDH/2 is the centred Gram of a patch: tr B = sum D / 2k, and ||B||^2 needs D and its row sums alone.
    squares = (np.square(within).sum(axis=(1, 2)) - 2.0 * np.square(sums).sum(axis=1) / k + (total / k) ** 2) / 4.0
    share = float((squares / (total / (2.0 * k)) ** 2).mean())
    return float((k - 1) ** 2 / ((k - 2) * (k + 1)) * (share - 1.0 / (k - 1)))
