"""Whether "007" lies near "7" (its value), near "001" to "009" (its form) or near "700" (its digits)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom.preprocess import leaves_residuals
from numgeom_plugins.convergence.ranks import average_ranks
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ROUNDING = 1e-12
FEWEST = 2
# Every integer of 64 bits has fewer digits than this.
ALL_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Width:
    """The strings of one length, and the numbers that they are held against.

    Attributes
    ----------
    plain : ndarray, shape (k, n)
        Cosines of the strings with all rows.
    padded : ndarray, shape (k, k)
        With one another, that of a string with itself below any other.
    usual : slice
        Positions of the numbers from 0 with at most as many digits.
    ranked : tuple of (int, int, list of int)
        Of every string whose number is there: its position, that of the number, and those of the same digits in
        another order.
    shares : ndarray or None
        Of all candidates where their order is no matter, since every number is one.
    """

    plain: F64
    padded: F64
    usual: slice
    ranked: Sequence[tuple[int, int, list[int]]]
    shares: F64 | None


class ValueOrString(RowOrderMetric[list[Width]]):
    """Where a number written with zeros in front lies among numbers written without, and among its like.

    For every such string with W digits, one vocabulary entry by itself ("07", "007"), the candidates are all numbers
    from 0 with at most W digits and all other strings with W digits and zeros in front, ranked by cosine. Ranks are
    shares of the other candidates that are nearer, in [0, 1], a tie being half nearer; unrelated rows give about 0.5.
    Means over all strings whose number has a row:

    - ``value_rank``: of the same number without zeros ("7" for "007");
    - ``form_rank``: mean over the other strings ("001" for "007");
    - ``digits_rank``: mean over the numbers of W digits that are the same digits in another order ("700" for
      "007"); over the strings that have one in the set, and left out where none has;
    - ``value_first``: share of the strings for which the plain number is nearer than any other string, in [0, 1].

    Cosines are of the rows as they are: a common mean lifts them all alike, but moves ranks. Rows that went through
    ``center``, ``unit`` or ``standardize`` are ranked with the strings moved by the same mean and spread.

    Raises
    ------
    Incompatible
        If the model has no such strings, or fewer than two of them of one length stand for a number of the set; if the
        rows are residuals, which strings do not have; if all rows are equal.

    References
    ----------
    Definition ours.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(100, 20))
    >>> strings = tuple(f"0{digit}" for digit in range(10))
    >>> by_value = Representation(rows, np.arange(100), string_rows=1.01 * rows[:10], strings=strings)
    >>> found = ValueOrString()(by_value)
    >>> found["value_rank"], found["value_first"]
    (0.0, 1.0)
    """

    def prepare(self, rep: Representation) -> list[Width]:
        """The cosines of the strings, by their length."""
        if rep.string_rows is None or not len(rep.string_rows):
            raise _without_strings(rep)
        require_spread(rep, "value_or_string")
        rows, strings = _unit(rep.matrix), _unit(rep.string_rows)
        lengths = [len(text) for text in rep.strings]
        found = [
            _width(rep.numbers, rows, [text for text in rep.strings if len(text) == length], strings[at], length)
            for length in sorted(set(lengths))
            if len(at := np.flatnonzero(np.asarray(lengths) == length)) >= FEWEST
        ]
        count = sum(len(width.ranked) for width in found)
        if count < FEWEST:
            raise Incompatible(
                f"value_or_string: {count} of {len(rep.strings)} strings such as {rep.strings[0]!r} stand for a number "
                f"that has a row, with others as long; it needs {FEWEST}: give more numbers, such as 0..999."
            )
        return found

    def measure(self, state: list[Width], order: I64) -> dict[str, float]:
        """The ranks when row ``order[i]`` belongs to number i."""
        value, form, digits, first = [], [], [], []
        for width in state:
            k = len(width.padded)
            if width.shares is not None:
                shares = np.hstack([width.shares[:, order[width.usual]], width.shares[:, -k:]])
            else:
                shares = _shares(np.hstack([width.plain[:, order[width.usual]], width.padded]))
            for row, at, same in width.ranked:
                like = np.delete(shares[row, -k:], row)
                value.append(shares[row, at])
                form.append(like.mean())
                first.append(shares[row, at] < like.min())
                if same:
                    digits.append(shares[row, same].mean())
        found = {
            "value_rank": float(np.mean(value)),
            "form_rank": float(np.mean(form)),
            "value_first": float(np.mean(first)),
        }
        return {**found, "digits_rank": float(np.mean(digits))} if digits else found


def _width(numbers: I64, rows: F64, strings: Sequence[str], string_rows: F64, length: int) -> Width:
    below = numbers.size if length >= ALL_DIGITS else int(np.searchsorted(numbers, 10**length))
    usual = slice(int(np.searchsorted(numbers, 0)), below)
    position = {number: place for place, number in enumerate(numbers[usual].tolist())}
    by_digits: dict[str, list[int]] = {}
    for number, place in position.items():
        by_digits.setdefault("".join(sorted(str(number))), []).append(place)
    ranked = [
        (row, position[int(text)], by_digits.get("".join(sorted(text)), []))
        for row, text in enumerate(strings)
        if int(text) in position
    ]
    plain, padded = string_rows @ rows.T, string_rows @ string_rows.T
    np.fill_diagonal(padded, -np.inf)
    shares = _shares(np.hstack([plain, padded])) if len(position) == numbers.size else None
    return Width(plain, padded, usual, ranked, shares)


def _shares(cosines: F64) -> F64:
    """Share of the other candidates that are nearer than each, row by row; the last of all is the string itself."""
    farther = np.stack([average_ranks(-row, ROUNDING) for row in cosines])
    return np.asarray(farther / max(1, cosines.shape[1] - 2), dtype=np.float64)


def _without_strings(rep: Representation) -> Incompatible:
    chain = rep.provenance.get("preprocess", ())
    if leaves_residuals(chain) and rep.origin is not None and rep.origin.string_rows is not None:
        return Incompatible(
            f"value_or_string: strings such as {rep.origin.strings[0]!r} have no residuals of {', '.join(chain)}; "
            "leave the residual steps out."
        )
    return Incompatible(
        "value_or_string: the model has no rows of strings such as '007'; it needs the input or output embedding of a "
        "vocabulary in which they are one entry each (numgeom probe counts them)."
    )


def _unit(rows: npt.NDArray[np.floating]) -> F64:
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0), dtype=np.float64)
