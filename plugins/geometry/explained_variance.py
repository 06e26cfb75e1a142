"""The variance of each principal component: the scree and its sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgeom import Curve, Incompatible, Representation
from numgeom_plugins.geometry.spread import require_spread

DRAWN = 100


def explained_variance(rep: Representation, components: int = 10) -> dict[str, Any]:
    """Share of the variance in each leading principal component, and in all up to it.

    - ``pc_k``: share of component k, in [0, 1]; ``cumulative_k``: sum of the first k shares.

    The curve ``scree`` holds the shares of the first 100; the sum of all of them is the curve of
    ``variance_spectrum``. Read them beside the Gaussian cloud of the same n and d: with n rows no more than n - 1
    components exist, and noise falls as well.

    Parameters
    ----------
    rep : Representation
    components : int, default 10
        At least 1; no more than ``min(n - 1, d)`` are given.

    Returns
    -------
    dict of str to float or Curve

    Raises
    ------
    Incompatible
        If all rows are equal, or ``components`` is below 1.

    References
    ----------
    Pearson 1901; Cattell 1966 (scree).

    Examples
    --------
    >>> found = explained_variance(Representation(np.vstack([np.eye(3), -np.eye(3)]), np.arange(6)))
    >>> round(found["pc_1"], 6), round(found["cumulative_3"], 6)
    (0.333333, 1.0)
    """
    if components < 1:
        raise Incompatible(f"explained_variance: components={components} must be 1 or more; type components=10.")
    require_spread(rep, "explained_variance")
    most = min(rep.n - 1, rep.d)
    shares = rep.workspace.spectrum[:most] / rep.workspace.spectrum.sum()
    sums = np.minimum(np.cumsum(shares), 1.0)
    kept = range(min(components, most))
    place = np.arange(1, min(most, DRAWN) + 1)
    return {
        **{f"pc_{k + 1}": float(shares[k]) for k in kept},
        **{f"cumulative_{k + 1}": float(sums[k]) for k in kept},
        "scree": Curve(x=place, y=shares[:DRAWN], x_label="component", y_label="share of variance"),
    }
