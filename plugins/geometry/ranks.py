"""Rank correlation in the form that shares ranks between several comparisons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import squareform

from numgeom import Incompatible
from numgeom_plugins.convergence.ranks import average_ranks

F64 = npt.NDArray[np.float64]
ROUNDING = 1e-12


def unit_ranks(values: npt.ArrayLike, what: str) -> F64:
    """Mid-ranks, centred and of unit length: the dot product of two such vectors is Spearman's rho.

    Neighbours in sorted order that are closer than 1e-12 of the largest value are ties, so that rounding makes
    no order.

    Parameters
    ----------
    values : array_like, shape (m,)
    what : str
        Name of the values, for the message.

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    Incompatible
        If all values are tied.

    References
    ----------
    Spearman 1904.

    Examples
    --------
    >>> a, b = unit_ranks([1.0, 5.0, 9.0], "a"), unit_ranks([2.0, 3.0, 70.0], "b")
    >>> round(float(a @ b), 12)
    1.0
    """
    given = np.asarray(values, dtype=np.float64)
    ranks = average_ranks(given, ROUNDING * float(np.abs(given).max(initial=0.0)))
    centred = ranks - ranks.mean()
    length = float(np.linalg.norm(centred))
    if length == 0.0:
        raise Incompatible(f"{what} are all equal: there is no order to correlate with; use other numbers or rows.")
    unit: F64 = centred / length
    return unit


def pairs(square: F64) -> F64:
    """Take the upper triangle of an ``(n, n)`` matrix without its diagonal, row by row.

    Examples
    --------
    >>> pairs(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1.0]
    """
    upper: F64 = squareform(square, checks=False)
    return upper
