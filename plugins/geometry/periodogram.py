"""Power at a frequency along the numbers: from lag sums for a run of numbers, by least squares for numbers with gaps.

Only numpy is imported, so that a tokenizer probe may use the spectrum of its merge ranks.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MERGE_RANK_PERIODS = (2, 5, 10, 100)


def lag_sums(gram: F64, order: I64 | None = None) -> F64:
    """Sums of a symmetric matrix along its diagonals, both sides together.

    Of the Gram of a run of numbers they hold its whole periodogram (Wiener-Khinchin).

    Parameters
    ----------
    gram : ndarray, shape (n, n)
        Symmetric.
    order : ndarray of int, shape (n,), optional
        Row ``order[i]`` stands at place ``i``.

    Returns
    -------
    ndarray, shape (n,)
        Entry l is the sum of ``G_ij`` over ``|i - j| = l``.

    Examples
    --------
    >>> lag_sums(np.array([[1.0, 2.0], [2.0, 5.0]])).tolist()
    [6.0, 4.0]
    """
    n = len(gram)
    place = np.arange(n)
    if order is not None:
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
    apart = np.abs(place[:, None] - place[None, :])
    return np.asarray(np.bincount(apart.ravel(), weights=gram.ravel(), minlength=n), dtype=np.float64)


def product_lag_sums(left: F64, right: F64) -> F64:
    """The lag sums of ``L R' + R L'``, without making that matrix.

    Parameters
    ----------
    left, right : ndarray, shape (n, q)

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> a, b = np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
    >>> product_lag_sums(a, b).tolist() == lag_sums(a @ b.T + b @ a.T).tolist()
    True
    """
    n = len(left)
    total = np.zeros(2 * n - 1)
    for a, b in zip(left.T, right.T, strict=True):
        total += np.correlate(a, b, mode="full")
    both = 2.0 * (total[n - 1 :] + total[n - 1 :: -1])
    both[0] /= 2.0
    return both


def power(lags: F64, frequencies: F64) -> F64:
    """``||F_f||^2`` with ``F_f = n^(-1/2) sum_i x_i exp(-2 pi i f i)``, from the lag sums of the centred Gram.

    Exact at any frequency. Over the frequencies k/n, k = 1 .. n - 1, it adds up to ``||Xc||_F^2`` (Parseval).

    Parameters
    ----------
    lags : ndarray, shape (n,)
    frequencies : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (m,)

    Examples
    --------
    >>> x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    >>> power(lag_sums(x @ x.T), np.array([0.25, 0.5])).round(12).tolist()
    [0.0, 4.0]
    """
    return wave_table(len(lags), frequencies) @ lags


def wave_table(n: int, frequencies: F64) -> F64:
    """The ``(m, n)`` cosines that take lag sums to powers."""
    table: F64 = np.cos(2.0 * np.pi * np.outer(frequencies, np.arange(n))) / n
    return table


def least_squares_basis(numbers: I64, frequencies: F64) -> F64:
    """Orthonormal cosine and sine of every frequency over the numbers, the mean taken out, ``(n, 2, m)``.

    The power by least squares (Lomb-Scargle) is ``trace(B_f' G B_f)``, the sum of squares that the wave explains.
    For a run of n numbers and a frequency k/n it is ``2 ||F_f||^2``, at 1/2 ``||F_f||^2``. The second column is 0
    where the sine is.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
    frequencies : ndarray, shape (m,)

    References
    ----------
    Lomb 1976; Scargle 1982.

    Examples
    --------
    >>> basis = least_squares_basis(np.array([0, 1, 3, 4, 6]), np.array([0.3, 0.5]))
    >>> basis.shape, np.abs(basis[:, 1, 1]).max()
    ((5, 2, 2), np.float64(0.0))
    """
    angles = 2.0 * np.pi * np.outer(numbers.astype(np.float64), frequencies)
    first, second = np.cos(angles), np.sin(angles)
    full = np.sqrt(len(numbers))
    first = _unit(first - first.mean(axis=0), full)
    second -= second.mean(axis=0)
    second -= first * np.einsum("nm,nm->m", first, second)
    return np.stack([first, _unit(second, full)], axis=1)


def _unit(columns: F64, full: float) -> F64:
    size = np.linalg.norm(columns, axis=0)
    keep = size > 1e-6 * full
    unit: F64 = np.where(keep, columns / np.where(keep, size, 1.0), 0.0)
    return unit


def primitive(period: int) -> F64:
    """The frequencies l / T up to 1/2 with l prime to T: the lines of period T and of no shorter one.

    Examples
    --------
    >>> primitive(10).tolist(), primitive(2).tolist()
    ([0.1, 0.3], [0.5])
    """
    return np.array([k / period for k in range(1, period // 2 + 1) if gcd(k, period) == 1])


def merge_rank_spectrum(
    ids: npt.ArrayLike, numbers: npt.ArrayLike, periods: tuple[int, ...] = MERGE_RANK_PERIODS
) -> dict[str, float]:
    """How far the merge ranks of the number tokens stand out at periods 2, 5, 10 and 100.

    In a BPE vocabulary the id follows the order of merges, which is an order of frequency. With
    ``y = log(id + 1)``, centred, ``spike_T`` is the magnitude of its Fourier transform at frequency 1/T over the
    median magnitude over k/n, k = 1 .. n/2: at least 0, about 1 for noise. A line of a model's embedding that is
    no stronger may be inherited from the tokenizer.

    Parameters
    ----------
    ids : array_like of int, shape (n,)
    numbers : array_like of int, shape (n,)
        A run of consecutive integers.
    periods : tuple of int
        Those longer than n are left out.

    Returns
    -------
    dict of str to float
        ``spike_T``. A period that does not divide n is taken at 1/T itself, between two bins.

    Raises
    ------
    Incompatible
        If there are fewer than 20 numbers, they have gaps, or the ids are all equal.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (token frequency alone has lines at 2, 5 and 10); the merge rank is ours.

    Examples
    --------
    >>> ids = 1000 - 500 * (np.arange(90) % 10 == 0) + np.random.default_rng(0).integers(50, size=90)
    >>> found = merge_rank_spectrum(ids, np.arange(90), periods=(2, 3))
    >>> found["spike_2"] > 10, found["spike_3"] < 3
    (True, True)
    """
    values = np.asarray(numbers, dtype=np.int64)
    if values.size < 20 or np.any(np.diff(values) != 1):
        raise Incompatible(
            "the merge-rank spectrum needs a run of at least 20 consecutive numbers that are one token each; "
            "give one such as 0..499."
        )
    series = np.log(np.asarray(ids, dtype=np.float64) + 1.0)
    series -= series.mean()
    magnitude = np.abs(np.fft.rfft(series))[1:]
    middle = float(np.median(magnitude))
    if middle <= 1e-12 * np.sqrt(values.size):
        raise Incompatible("the merge-rank spectrum is empty: all token ids are equal.")
    place = np.arange(values.size)
    return {
        f"spike_{period}": float(np.abs(np.exp(-2j * np.pi * place / period) @ series)) / middle
        for period in periods
        if period <= values.size
    }
