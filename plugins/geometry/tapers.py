"""Weights of a run of numbers before its spectrum: a window against leakage, and tapers for an interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from numgeom_plugins.geometry.periodogram import lag_sums, wave_table

F64 = npt.NDArray[np.float64]

LEVEL = 0.95


def hann(n: int) -> F64:
    """The Hann window of mean 1, ``1 - cos(2 pi (i + 1/2) / n)``, ``(n,)``: the power of a line stays what it is.

    References
    ----------
    Harris 1978.

    Examples
    --------
    >>> hann(4).round(3).tolist()
    [0.293, 1.707, 1.707, 0.293]
    """
    return np.asarray(1.0 - np.cos(2.0 * np.pi * (np.arange(n) + 0.5) / n), dtype=np.float64)


def sine_tapers(n: int, count: int) -> F64:
    """Orthonormal tapers ``sqrt(2 / (n + 1)) sin(pi k (i + 1) / (n + 1))``, k = 1 .. count, ``(count, n)``.

    References
    ----------
    Riedel & Sidorenko 1995.

    Examples
    --------
    >>> tapers = sine_tapers(50, 3)
    >>> bool(np.allclose(tapers @ tapers.T, np.eye(3)))
    True
    """
    angles = np.pi * np.outer(np.arange(1, count + 1), np.arange(1, n + 1)) / (n + 1)
    return np.asarray(np.sqrt(2.0 / (n + 1)) * np.sin(angles), dtype=np.float64)


def multitaper(gram: F64, count: int, frequencies: F64) -> dict[str, F64]:
    """The power of the rows at each frequency as the mean over sine tapers, with its interval.

    Parameters
    ----------
    gram : ndarray, shape (n, n)
        Of the rows of consecutive numbers.
    count : int
        Tapers, at least 2.
    frequencies : ndarray, shape (m,)

    Returns
    -------
    dict of str to ndarray, shape (m,)
        ``estimate``, ``low`` and ``high``, in units of white noise with the energy of the rows. The interval holds
        with probability .95: Student's around the logarithm, its error by leaving out one taper at a time. Columns
        may go together in any way.

    References
    ----------
    Riedel & Sidorenko 1995; Thomson & Chave 1991 (jackknife over tapers).

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((200, 3))
    >>> found = multitaper(rows @ rows.T, 8, np.array([0.1, 0.25]))
    >>> bool((found["low"] < 1.0).all() and (found["high"] > 1.0).all())
    True
    """
    n = len(gram)
    waves = wave_table(n, frequencies) * n**2 / np.trace(gram)
    each = np.stack([waves @ lag_sums(gram * np.outer(taper, taper)) for taper in sine_tapers(n, count)])
    each = np.maximum(each, np.finfo(np.float64).tiny)
    whole = each.sum(axis=0)
    without = np.log((whole - each) / (count - 1))
    error = np.sqrt((count - 1) * without.var(axis=0))
    reach = np.exp(stdtrit(count - 1, 0.5 + LEVEL / 2.0) * error)
    estimate = whole / count
    return {"estimate": estimate, "low": estimate / reach, "high": estimate * reach}
