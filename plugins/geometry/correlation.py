"""Pearson correlation, and what is left of it once other variables are held fixed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom_plugins.geometry.numerals import column_space

F64 = npt.NDArray[np.float64]

# A residual this small, relative to what it is the residual of, is rounding.
ROUNDING = 1e-9


def standardised(values: F64) -> F64:
    """Values minus their mean, at unit length; zero where they are constant but for rounding.

    Examples
    --------
    >>> standardised(np.array([1.0, 3.0])).round(3).tolist(), standardised(np.array([2.0, 2.0])).tolist()
    ([-0.707, 0.707], [0.0, 0.0])
    """
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    if length <= ROUNDING * float(np.linalg.norm(values)) or length == 0.0:
        return np.zeros_like(centred)
    return np.asarray(centred / length, dtype=np.float64)


def correlation(x: F64, y: F64) -> float:
    """Pearson's r in [-1, 1]; 0 where one of the two is constant."""
    return float(np.clip(standardised(x) @ standardised(y), -1.0, 1.0))


def partial_correlation(x: F64, y: F64, given: F64) -> float:
    """Correlation of the residuals of x and y on the columns ``given``, in [-1, 1].

    It is 0 where one of the two leaves no residual: then nothing of it is left to correlate.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
    given : ndarray, shape (n, k)
        A column of ones is added.

    Returns
    -------
    float

    Examples
    --------
    >>> n = np.arange(50.0)
    >>> round(partial_correlation(n**2, np.sqrt(n), n[:, None]), 3)
    -0.861
    >>> partial_correlation(3.0 * n, np.sqrt(n), n[:, None])
    0.0
    """
    basis = column_space(np.column_stack([np.ones(len(x)), given]))
    kept = []
    for values in (x, y):
        residual = values - basis @ (basis.T @ values)
        size = float(np.linalg.norm(residual))
        if size <= ROUNDING * float(np.linalg.norm(values)):
            return 0.0
        kept.append(residual / size)
    return float(np.clip(kept[0] @ kept[1], -1.0, 1.0))


def first_order_partial(r_xy: float, r_xz: float, r_yz: float) -> float:
    """Partial correlation of x and y given one z, from the three correlations; 0 where z determines x or y.

    References
    ----------
    Yule 1907.

    Examples
    --------
    >>> round(first_order_partial(0.37430, -0.67287, -0.554), 2)
    0.0
    """
    left = (1.0 - r_xz**2) * (1.0 - r_yz**2)
    if left <= ROUNDING**2:
        return 0.0
    return float(np.clip((r_xy - r_xz * r_yz) / np.sqrt(left), -1.0, 1.0))
