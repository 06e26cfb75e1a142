"""Leading eigenvectors of a symmetric matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

F64 = npt.NDArray[np.float64]


def leading(matrix: F64, count: int) -> tuple[F64, F64]:
    """The ``count`` largest eigenvalues, falling, and their unit eigenvectors in columns.

    LAPACK's search for some of them may come back empty where many are equal, as for points that are all equally far
    apart; all of them are then computed.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.
    count : int
        At most n.

    Returns
    -------
    values : ndarray, shape (count,)
    vectors : ndarray, shape (n, count)

    Examples
    --------
    >>> values, vectors = leading(np.eye(50) - 1 / 50, 2)
    >>> values.round(12).tolist(), vectors.shape
    ([1.0, 1.0], (50, 2))
    """
    n = len(matrix)
    values, vectors = eigh(matrix, subset_by_index=[n - count, n - 1])
    if values.size < count:
        values, vectors = eigh(matrix)
    return values[::-1][:count], vectors[:, ::-1][:, :count]
