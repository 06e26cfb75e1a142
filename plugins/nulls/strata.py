"""Row permutations inside strata of the numbers: what the stratum explains is kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom.columns import column_of, read_column

I64 = npt.NDArray[np.int64]

RULES: dict[str, Callable[[I64], I64]] = {
    "digit_length": lambda numbers: np.array([len(str(abs(int(number)))) for number in numbers]),
    "decade": lambda numbers: numbers // 10,
    "last_digit": lambda numbers: np.abs(numbers) % 10,
    "parity": lambda numbers: numbers % 2,
}


def within_digit_length(rep: Representation, rng: np.random.Generator) -> Representation:
    """Rows in a random order among the numbers with as many decimal digits; the sign does not count.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If no two numbers have as many digits.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.array([8, 9, 10, 11]))
    >>> sorted(within_digit_length(rep, np.random.default_rng(0)).matrix[:2, 0].tolist())
    [0.0, 1.0]
    """
    lengths = RULES["digit_length"](rep.numbers)
    return rep.with_matrix(rep.matrix[_shuffled(lengths, rng, "within_digit_length", "have as many digits")])


def within_decade(rep: Representation, rng: np.random.Generator) -> Representation:
    """Rows in a random order inside each decade: the numbers with one value of ``floor(n / 10)``.

    Magnitude is kept to the decade and the last digit is lost. Two smooth curves still agree inside decades,
    so for whole-cloud metrics this certifies less than ``order_modes``; it suits those that look at last digits.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If every number is the only one of its decade.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.array([8, 9, 10, 11]))
    >>> sorted(within_decade(rep, np.random.default_rng(0)).matrix[:2, 0].tolist())
    [0.0, 1.0]
    """
    return rep.with_matrix(rep.matrix[_shuffled(RULES["decade"](rep.numbers), rng, "within_decade", "share a decade")])


def within_last_digit(rep: Representation, rng: np.random.Generator) -> Representation:
    """Rows in a random order among the numbers with one last decimal digit; the sign does not count.

    The last digit, and with it parity and the residue modulo 5, is kept and magnitude is lost.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If no two numbers end in the same digit.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.array([1, 2, 11, 12]))
    >>> sorted(within_last_digit(rep, np.random.default_rng(0)).matrix[::2, 0].tolist())
    [0.0, 2.0]
    """
    digit = RULES["last_digit"](rep.numbers)
    return rep.with_matrix(rep.matrix[_shuffled(digit, rng, "within_last_digit", "end in the same digit")])


def within_stratum(rep: Representation, rng: np.random.Generator, labels: str = "digit_length") -> Representation:
    """Rows in a random order among the numbers that carry one label.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator
    labels : str
        ``digit_length``, ``decade``, ``last_digit``, ``parity``, or a file with one NUMBER,LABEL a line: any
        grouping that might explain an agreement, such as bins of frequency.

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If a number has no label, or every number is the only one of its label.
    SourceError
        If the file cannot be read.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.array([1, 2, 3, 4]))
    >>> sorted(within_stratum(rep, np.random.default_rng(0), labels="parity").matrix[::2, 0].tolist())
    [0.0, 2.0]
    """
    if labels in RULES:
        strata = RULES[labels](rep.numbers)
    else:
        entries = column_of(read_column(labels), rep.numbers, labels)
        strata = np.unique(entries, return_inverse=True)[1]
    return rep.with_matrix(rep.matrix[_shuffled(strata, rng, f"within_stratum(labels={labels})", "share a label")])


def _shuffled(strata: I64, rng: np.random.Generator, name: str, what: str) -> I64:
    """A random order that stays within the strata."""
    order = np.arange(len(strata))
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    if all(rows.size < 2 for rows in members):
        raise Incompatible(
            f"{name} has nothing to shuffle: no two of these {len(strata)} numbers {what}; "
            "use row_permutation, or more numbers."
        )
    for rows in members:
        order[rows] = rng.permutation(rows)
    return order
