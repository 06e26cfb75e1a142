"""How the variance of a cloud is spread over its dimensions."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from numgeom import Incompatible, Representation


def variance_spectrum(rep: Representation, share: float = 0.9) -> dict[str, float]:
    r"""Summaries of the eigenvalues ``l_1 >= l_2 >= ...`` of the centred scatter matrix.

    With ``p_k = l_k / sum(l)``, all free of scale; r is the rank, at most ``min(n - 1, d)``:

    - ``k_90``: fewest components that hold ``share`` of the variance (named after the share), in [1, r];
    - ``participation_ratio``: ``(sum l)^2 / sum l^2``, in [1, r];
    - ``effective_rank``: ``exp(-sum p ln p)``, in [1, r];
    - ``stable_rank``: ``sum l / l_1``, in [1, r];
    - ``pc1_share``: ``p_1``, in (0, 1].

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
    dict of str to float

    Raises
    ------
    Incompatible
        If all rows are equal, or ``share`` is not between 0 and 1.

    References
    ----------
    Roy & Vetterli 2007 (effective rank).

    Examples
    --------
    >>> rows = np.vstack([np.eye(3), -np.eye(3)])
    >>> {name: round(value, 9) for name, value in variance_spectrum(Representation(rows, np.arange(6))).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'k_90': 3.0, 'participation_ratio': 3.0, 'effective_rank': 3.0, 'stable_rank': 3.0,
     'pc1_share': 0.333333333}
    """
    if not 0.0 < share < 1.0:
        raise Incompatible(f"variance_spectrum: share={share} must lie between 0 and 1; write for example share=0.9.")
    values = rep.workspace.spectrum
    total = float(values.sum())
    if total == 0.0:
        raise Incompatible("variance_spectrum: all rows are equal, so there is no variance to share out.")
    p = values / total
    # A spectrum that reaches the share exactly, up to rounding, counts as reaching it.
    reached = np.cumsum(p) >= share - 1e-12
    return {
        f"k_{100.0 * share:g}": float(np.argmax(reached) + 1),
        "participation_ratio": total**2 / float(values @ values),
        "effective_rank": float(np.exp(entr(p).sum())),
        "stable_rank": total / float(values[0]),
        "pc1_share": float(p[0]),
    }
