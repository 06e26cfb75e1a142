"""Gates: what must be known of a cloud before any other measure of it is believed."""

from __future__ import annotations

import warnings

import numpy as np

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.spread import require_spread

NEAR = 0.9999
ANISOTROPIC = 0.3


def isotropy(rep: Representation) -> dict[str, float]:
    """Zero, duplicate and near-duplicate rows, common direction, and how evenly the axes are used.

    - ``zero_rows``, ``duplicate_rows``: how many rows are 0, and how many copy an earlier one, at least 0;
    - ``near_duplicate_rows``: how many rows have a cosine above 0.9999 with an earlier one (untrained tokens of large
      vocabularies do), copies included, at least 0;
    - ``mean_cosine``: over all pairs of raw rows, in [-1, 1];
    - ``mean_share``: share of the mean vector in the energy, in [0, 1];
    - ``isoscore``: ``(PR - 1) / (r - 1)``, PR the participation ratio of the covariance and r the largest rank that
      rows of this shape can have, ``min(n - 1, d)``, in [0, 1]; IsoScore itself divides by d - 1, which n rows cannot
      reach for d >= n;
    - ``least_singular_value``: r-th singular value of the centred rows divided by the first, in [0, 1]; 0 where the
      rank is below r.

    Parameters
    ----------
    rep : Representation
        At least 3 numbers.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If all rows are equal, or a cloud of this shape cannot have rank 2.

    Warns
    -----
    MeasurementWarning
        W-ANISO where the mean vector holds more than 30 % of the energy; W-UNTRAINED where at least 10 % of the rows
        are zero or near-duplicates.

    References
    ----------
    Rudman, Gillman, Rayne & Eickhoff 2022, arXiv:2108.07344 (IsoScore); Mu & Viswanath 2018, arXiv:1702.01417.

    Examples
    --------
    >>> found = isotropy(Representation(np.vstack([np.eye(3), -np.eye(3)]), np.arange(6)))
    >>> round(found["isoscore"], 9), found["mean_share"], found["duplicate_rows"]
    (1.0, 0.0, 0.0)
    """
    require_spread(rep, "isotropy")
    work = rep.workspace
    rank = min(rep.n - 1, rep.d)
    if rank < 2:
        raise Incompatible(
            f"isotropy: {rep.n} rows of width {rep.d} lie on a line whatever they are; give at least 3 numbers of a "
            "model that is wider than 1."
        )
    zero = rep.zero_rows
    near = int(np.tril(work.cosines > NEAR, -1).any(axis=1).sum())
    if work.mean_share > ANISOTROPIC:
        text = f"the mean vector holds {work.mean_share:.0%} of the energy: raw cosines are high whatever the rows are"
        warnings.warn(MeasurementWarning("W-ANISO", text), stacklevel=2)
    if zero + near >= 0.1 * rep.n:
        text = f"{zero} rows are zero and {near} point where an earlier one does: these tokens may be untrained"
        warnings.warn(MeasurementWarning("W-UNTRAINED", text), stacklevel=2)
    values = work.spectrum
    participation = float(values.sum()) ** 2 / float(values @ values)
    floor = max(rep.n, rep.d) * np.finfo(np.float64).eps * float(values[0])
    least = float(values[rank - 1])
    return {
        "zero_rows": float(zero),
        "duplicate_rows": float(work.duplicate_rows),
        "near_duplicate_rows": float(near),
        "mean_cosine": float(pairs(work.cosines).mean()),
        "mean_share": work.mean_share,
        "isoscore": float(np.clip((participation - 1.0) / (rank - 1), 0.0, 1.0)),
        "least_singular_value": float(np.sqrt(least / values[0])) if least > floor else 0.0,
    }
