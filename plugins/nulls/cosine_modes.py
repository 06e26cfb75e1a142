"""The modes in n of consecutive numbers, without their basis: by cosine transforms.

The modes of a walk are ``V[t, k] = s_k sqrt(2 / n) cos(pi k (t + 1/2) / n)`` for k = 1 .. n - 1, with signs ``s_k``; a
stationary curve turns the first of them among themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom_plugins.nulls.order_basis import WALK, basis_turn, order_basis, turned

F64 = npt.NDArray[np.float64]


def modes_by_cosines(rows: F64, numbers: tuple[int, ...], length: float) -> F64:
    """``V'X``.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        X.
    numbers : tuple of int, length n
    length : float
        Of a stationary curve, or infinite.

    Returns
    -------
    ndarray, shape (n - 1, d)

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 2))
    >>> modes = modes_by_cosines(rows, tuple(range(6)), WALK)
    >>> bool(np.allclose(modes, order_basis(tuple(range(6)), "n").T @ rows))
    True
    """
    from scipy.fft import dct

    modes: F64 = dct(rows, axis=0, norm="ortho")[1:]
    modes *= _signs(numbers)[:, None]
    if length != WALK:
        turn = basis_turn(numbers, "n", length)
        modes[: len(turn)] = turn.T @ modes[: len(turn)]
    return modes


def rows_by_cosines(coefficients: F64, numbers: tuple[int, ...], length: float) -> F64:
    """``V C`` for the last modes: the inverse of :func:`modes_by_cosines`.

    Parameters
    ----------
    coefficients : ndarray, shape (m, d)
        C, of the last m modes.
    numbers : tuple of int, length n
    length : float

    Returns
    -------
    ndarray, shape (n, d)

    Examples
    --------
    >>> coefficients = np.random.default_rng(0).standard_normal((3, 2))
    >>> rows = rows_by_cosines(coefficients, tuple(range(6)), WALK)
    >>> bool(np.allclose(rows, order_basis(tuple(range(6)), "n")[:, 2:] @ coefficients))
    True
    """
    from scipy.fft import idct

    every = np.zeros((len(numbers), coefficients.shape[1]))
    every[len(numbers) - len(coefficients) :] = coefficients
    modes = every[1:]
    if length != WALK:
        turn = basis_turn(numbers, "n", length)
        modes[: len(turn)] = turn @ modes[: len(turn)]
    modes *= _signs(numbers)[:, None]
    return np.asarray(idct(every, axis=0, norm="ortho", overwrite_x=True), dtype=np.float64)


def gram_by_cosines(gram: F64, numbers: tuple[int, ...], length: float) -> F64:
    """``V'GV``.

    Parameters
    ----------
    gram : ndarray, shape (n, n)
        G, symmetric.
    numbers : tuple of int, length n
    length : float

    Returns
    -------
    ndarray, shape (n - 1, n - 1)

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 2))
    >>> modes = modes_by_cosines(rows, tuple(range(6)), 2.0)
    >>> bool(np.allclose(gram_by_cosines(rows @ rows.T, tuple(range(6)), 2.0), modes @ modes.T))
    True
    """
    from scipy.fft import dct

    half = dct(gram, axis=1, norm="ortho")
    found: F64 = dct(np.ascontiguousarray(half.T), axis=1, norm="ortho", overwrite_x=True)[1:, 1:]
    signs = _signs(numbers)
    found *= signs
    found *= signs[:, None]
    return _of_length(found, numbers, length)


def weighted_by_cosines(weights: F64, numbers: tuple[int, ...], length: float) -> F64:
    """``V' diag(w) V``, without a product of two large matrices.

    A product of two cosines is the sum of two: with C the cosine transform of the weights, the entry (j, k) for a walk
    is ``s_j s_k (C[|j - k|] + C[j + k]) / n``.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        w.
    numbers : tuple of int, length n
    length : float

    Returns
    -------
    ndarray, shape (n - 1, n - 1)

    Examples
    --------
    >>> basis, weights = order_basis(tuple(range(6)), "n"), np.arange(6.0)
    >>> found = weighted_by_cosines(weights, tuple(range(6)), WALK)
    >>> bool(np.allclose(found, basis.T @ (weights[:, None] * basis)))
    True
    """
    from scipy.fft import dct

    n, signs = len(numbers), _signs(numbers)
    first = dct(weights) / (2.0 * n)
    # cos(pi (2n - r) (t + 1/2) / n) = -cos(pi r (t + 1/2) / n), and 0 at r = n.
    beyond = np.concatenate([first, [0.0], -first[:0:-1]])
    windows = np.lib.stride_tricks.sliding_window_view
    found: F64 = windows(np.concatenate([first[n - 2 : 0 : -1], first[: n - 1]]), n - 1)[::-1] + windows(
        beyond[2:-1], n - 1
    )
    found *= signs
    found *= signs[:, None]
    return _of_length(found, numbers, length)


def _of_length(matrix: F64, numbers: tuple[int, ...], length: float) -> F64:
    """A matrix of the modes of a walk in those of a stationary curve, in place."""
    return matrix if length == WALK else turned(matrix, basis_turn(numbers, "n", length))


def _signs(numbers: tuple[int, ...]) -> F64:
    """Every cosine is positive at the first number; those modes of an order basis that are not are -1."""
    return np.asarray(np.sign(order_basis(numbers, "n")[0]), dtype=np.float64)
