"""How the variance of a cloud is spread over its dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr

from numgeom import Curve, Incompatible, Representation
from numgeom_plugins.geometry.spread import require_spread

STEEP = 100
FEWEST = 4


def variance_spectrum(rep: Representation, share: float = 0.9) -> dict[str, Any]:
    r"""Summaries of the eigenvalues ``l_1 >= l_2 >= ...`` of the centred scatter matrix.

    With ``p_k = l_k / sum(l)``, all free of scale; r is the rank, at most ``min(n - 1, d)``:

    - ``k_90``: fewest components that hold ``share`` of the variance (named after the share), in [1, r];
    - ``participation_ratio``: ``(sum l)^2 / sum l^2``, in [1, r];
    - ``effective_rank``: ``exp(-sum p ln p)``, in [1, r];
    - ``stable_rank``: ``sum l / l_1``, in [1, r];
    - ``pc1_share``: ``p_1``, in (0, 1];
    - ``spectral_slope``: a in ``l_k ~ k^-a``, by least squares of ``ln l_k`` on ``ln k`` over the leading half of the
      rank, at most 100 components; at least 0, and 2 for a random walk; left out below rank 4;
    - ``mp_components``: eigenvalues above the Marchenko-Pastur edge ``s^2 (sqrt(n - 1) + sqrt(d))^2``, s^2 the mean
      variance of an entry: how many components white noise of this shape and energy does not reach, in [0, r].
      Strong components raise s^2, so it errs towards few.

    The curve ``explained`` is the cumulative share of variance against the number of components.

    Read them beside their null at the same n and d: a Gaussian cloud without any structure has
    ``k_90`` = 442, 667, 763 at d = 768, 2048, 4096 and n = 1000, and a participation ratio of about
    ``n d / (n + d)``.

    Parameters
    ----------
    rep : Representation
    share : float, default 0.9
        In (0, 1).

    Returns
    -------
    dict
        Floats, and the curve.

    Raises
    ------
    Incompatible
        If all rows are equal, or ``share`` is not between 0 and 1.

    References
    ----------
    Roy & Vetterli 2007 (effective rank); Marchenko & Pastur 1967 (edge).

    Examples
    --------
    >>> rows = np.vstack([np.eye(3), -np.eye(3)])
    >>> found = variance_spectrum(Representation(rows, np.arange(6)))
    >>> [round(found[name], 9) for name in ("k_90", "participation_ratio", "effective_rank", "pc1_share")]
    [3.0, 3.0, 3.0, 0.333333333]
    """
    if not 0.0 < share < 1.0:
        raise Incompatible(f"variance_spectrum: share={share} must lie between 0 and 1; write for example share=0.9.")
    require_spread(rep, "variance_spectrum")
    values = rep.workspace.spectrum
    total = float(values.sum())
    p = values / total
    # A spectrum that reaches the share exactly, up to rounding, counts as reaching it.
    reached = np.cumsum(p) >= share - 1e-12
    found: dict[str, Any] = {
        f"k_{100.0 * share:g}": float(np.argmax(reached) + 1),
        "participation_ratio": total**2 / float(values @ values),
        "effective_rank": float(np.exp(entr(p).sum())),
        "stable_rank": total / float(values[0]),
        "pc1_share": float(p[0]),
        "mp_components": float(np.count_nonzero(values > _edge(total, rep))),
    }
    rank = int(np.count_nonzero(p > max(rep.n, rep.d) * np.finfo(np.float64).eps * p[0]))
    if rank >= FEWEST:
        leading = p[: min(max(rank // 2, FEWEST), STEEP)]
        place = np.log(np.arange(1.0, len(leading) + 1.0))
        place -= place.mean()
        found["spectral_slope"] = max(0.0, -float(place @ np.log(leading) / (place @ place)))
    held = min(rep.n - 1, rep.d)
    found["explained"] = Curve(
        x=np.arange(1, held + 1),
        y=np.minimum(np.cumsum(p)[:held], 1.0),
        x_label="components",
        y_label="cumulative share of variance",
    )
    return found


def _edge(total: float, rep: Representation) -> float:
    """Upper edge of the Marchenko-Pastur law; a Gaussian surrogate that was narrowed stands for its full width."""
    freedom, width = rep.n - 1, int(rep.provenance.get("width", rep.d))
    return float(total / (freedom * width) * (np.sqrt(freedom) + np.sqrt(width)) ** 2)
