"""Number sequences with which single dimensions may be correlated: constants and repeats are dropped."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from numgeom import Incompatible
from numgeom_plugins.geometry.correlation import standardised
from numgeom_plugins.geometry.numerals import digit, digit_lengths, magnitude_design, one_hot, places, signed_log

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FARTHEST = 10_000_000
SIGMA = 2.0
PERIODS = (2, 3, 4, 5, 7, 10, 100)
# Sines of whole turns are dust of 1e-13, not a series.
DUST = 1e-9
SAME = 1.0 - 1e-9


def targets(numbers: I64) -> dict[str, F64]:
    """Target sequences at the numbers, centred and of unit length.

    n and ``ln(1 + n)`` (``-ln(1 - n)`` below 0); membership among primes, Fibonacci, triangular and factorial
    numbers, plain and smoothed by a Gaussian of sd 2 along 0, 1, 2, ...; every decimal digit as a value; whether n
    is even; cosine and sine of ``2 pi n / T`` for T = 2, 3, 4, 5, 7, 10, 100, of n itself and not of a
    membership. A sequence that is constant on these numbers is dropped, and so is one that is an affine function of
    an earlier one (2 n of n, the cosine of period 2 of parity): it would be the same test twice.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Between -10 million and 10 million.

    Returns
    -------
    dict of str to ndarray, shape (n,)

    Raises
    ------
    Incompatible
        If a number is larger than 10 million.

    Examples
    --------
    >>> found = targets(np.arange(100))
    >>> "even" in found, "cos_2" in found, "sin_2" in found, "digit_100" in found
    (True, False, False, False)
    """
    return _targets(tuple(int(number) for number in numbers))


@lru_cache(maxsize=2)
def _targets(numbers: tuple[int, ...]) -> dict[str, F64]:
    values = np.array(numbers, dtype=np.int64)
    largest = int(np.abs(values).max())
    if largest > FARTHEST:
        raise Incompatible(
            f"sequences are known up to {FARTHEST:,}, and these numbers reach {largest:,}; give smaller ones."
        )
    given = {"n": values.astype(np.float64), "log": signed_log(values)}
    for name, members in memberships(largest).items():
        given[name] = _at(members, values)
        given[f"{name}_smooth"] = _at(gaussian_filter1d(members, SIGMA), values)
    for place in range(places(values)):
        given[f"digit_{10**place}"] = digit(values, place).astype(np.float64)
    given["even"] = (values % 2 == 0).astype(np.float64)
    for period in PERIODS:
        turn = 2.0 * np.pi * (values % period) / period
        given[f"cos_{period}"], given[f"sin_{period}"] = np.cos(turn), np.sin(turn)
    return distinct(given)


def distinct(series: dict[str, F64]) -> dict[str, F64]:
    """Each series centred and of unit length, without constants and affine copies of earlier ones.

    Examples
    --------
    >>> n = np.arange(5.0)
    >>> list(distinct({"numbers": n, "even": 2 * n, "one": np.ones(5), "square": n**2}))
    ['numbers', 'square']
    """
    found: dict[str, F64] = {}
    for name, values in series.items():
        if np.ptp(values) <= DUST:
            continue
        unit = standardised(values)
        if unit.any() and all(abs(float(unit @ other)) < SAME for other in found.values()):
            found[name] = unit
    return found


def memberships(largest: int) -> dict[str, F64]:
    """Indicators over 0 .. largest of primes, Fibonacci, triangular and factorial numbers.

    Examples
    --------
    >>> {name: np.flatnonzero(held).tolist() for name, held in memberships(8).items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'prime': [2, 3, 5, 7], 'fibonacci': [0, 1, 2, 3, 5, 8], 'triangular': [0, 1, 3, 6], 'factorial': [1, 2, 6]}
    """
    prime = np.ones(largest + 1, dtype=bool)
    prime[:2] = False
    for divisor in range(2, int(largest**0.5) + 1):
        if prime[divisor]:
            prime[divisor**2 :: divisor] = False
    fibonacci, factorial = [0, 1], [1]
    while fibonacci[-1] <= largest:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    while factorial[-1] <= largest:
        factorial.append(factorial[-1] * (len(factorial) + 1))
    triangular = [k * (k + 1) // 2 for k in range(int((2 * largest) ** 0.5) + 2)]
    found = {"prime": prime.astype(np.float64)}
    for name, listed in (("fibonacci", fibonacci), ("triangular", triangular), ("factorial", factorial)):
        found[name] = np.zeros(largest + 1)
        found[name][[member for member in listed if member <= largest]] = 1.0
    return found


def _at(along: F64, values: I64) -> F64:
    """A series over 0, 1, 2, ... at the numbers; 0 below 0."""
    return np.asarray(np.where(values >= 0, along[np.abs(values)], 0.0), dtype=np.float64)


def magnitude_and_length(numbers: I64) -> F64:
    """What partial correlations hold fixed: 1, n, log n, and one column a digit length.

    Examples
    --------
    >>> magnitude_and_length(np.arange(100)).shape
    (100, 5)
    """
    return np.column_stack([magnitude_design(numbers), one_hot(digit_lengths(numbers))])
