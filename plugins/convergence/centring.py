"""Centred forms of a symmetric matrix with one row and one column for each number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


def double_centred(matrix: F64) -> F64:
    """``H K H``: zero row sums.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.

    Returns
    -------
    ndarray, shape (n, n)
        A new array.

    Examples
    --------
    >>> double_centred(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [[-0.5, 0.5], [0.5, -0.5]]
    """
    means = matrix.mean(axis=0)
    return np.asarray(matrix - means[:, None] - means[None, :] + means.mean(), dtype=np.float64)


def u_centred(matrix: F64) -> F64:
    """Zero diagonal and zero row sums; ``<K*, L*> / (n (n - 3))`` is then the unbiased HSIC.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric, n >= 4; its diagonal is ignored.

    Returns
    -------
    ndarray, shape (n, n)
        A new array.

    References
    ----------
    Song, Smola, Gretton, Bedo & Borgwardt 2012; Szekely & Rizzo 2014, arXiv:1310.2926.

    Examples
    --------
    >>> u_centred(np.ones((4, 4))).any()
    np.False_
    """
    n = len(matrix)
    found = without_diagonal(matrix)
    # A common level changes nothing; removed first, it cannot drown what is left of nearly constant kernels.
    found -= found.sum() / (n * (n - 1))
    np.fill_diagonal(found, 0.0)
    sums = found.sum(axis=1)
    found -= (sums[:, None] + sums[None, :]) / (n - 2)
    found += sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(found, 0.0)
    return found


def without_diagonal(matrix: F64) -> F64:
    """A copy with zeros on the diagonal.

    Examples
    --------
    >>> without_diagonal(np.ones((2, 2))).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    found = np.array(matrix, dtype=np.float64)
    np.fill_diagonal(found, 0.0)
    return found
