"""Whether "007" lies near "7" (its value), near "001" to "009" (its form) or near "700" (its digits)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation

F64 = npt.NDArray[np.float64]


def value_or_string(plain: Representation, padded: Representation) -> dict[str, float]:
    """Where a number written with zeros in front lies among numbers written without, and among its like.

    For every number of ``padded``, written in W digits (W that of its longest number plus one, so 0..9 as "00" to "09"
    and 0..99 as "000" to "099"), the candidates are all plain numbers of at most W digits and all the other padded
    ones, ranked by cosine. Ranks are shares of the candidates that are nearer, in [0, 1]; unrelated rows give about
    0.5:

    - ``value_rank``: of the same number without zeros ("7" for "007");
    - ``form_rank``: mean over the other padded numbers ("001" for "007");
    - ``digits_rank``: mean over the plain numbers of W digits that are the same digits in another order ("700" for
      "007"); over the numbers that have one in the set, and left out where none has;
    - ``value_first``: share of the numbers for which the plain number is nearer than any other padded one, in [0, 1].

    Parameters
    ----------
    plain : Representation
        Numbers in their usual form, of one model.
    padded : Representation
        The same model's rows of the strings with zeros in front, by value; non-negative numbers.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If the widths differ, fewer than two padded numbers also have a plain row, or one is negative.

    References
    ----------
    Definition ours.

    Examples
    --------
    >>> numbers = Representation(np.random.default_rng(0).normal(size=(100, 20)), np.arange(100))
    >>> by_value = Representation(numbers.matrix[:10] * 1.01, np.arange(10))
    >>> found = value_or_string(numbers, by_value)
    >>> found["value_rank"], found["value_first"]
    (0.0, 1.0)
    """
    shared = np.intersect1d(plain.numbers, padded.numbers)
    if plain.d != padded.d:
        raise Incompatible(
            f"value_or_string: the rows are {plain.d} and {padded.d} wide; give two forms of one model's numbers."
        )
    if shared.size < 2 or int(padded.numbers[0]) < 0:
        raise Incompatible(
            f"value_or_string: {shared.size} numbers have a row in both forms; it needs 2 or more, none below 0."
        )
    width = len(str(int(padded.numbers[-1]))) + 1
    usual = plain.restrict(np.arange(10**width))
    rows = _unit(np.vstack([usual.matrix, padded.matrix]).astype(np.float64))
    cosines = rows[usual.n :] @ rows.T
    sorted_digits = ["".join(sorted(str(number))) for number in usual.numbers]
    value, form, digits, first = [], [], [], []
    for k, number in enumerate(padded.numbers.tolist()):
        if number not in shared:
            continue
        others = np.delete(cosines[k], usual.n + k)
        at = int(np.searchsorted(usual.numbers, number))
        like = others[usual.n :]
        value.append(_nearer(others, others[at : at + 1]))
        form.append(_nearer(others, like))
        first.append(float(others[at] > like.max()))
        spelled = "".join(sorted(str(number).zfill(width)))
        same = [place for place, held in enumerate(sorted_digits) if held == spelled]
        if same:
            digits.append(_nearer(others, others[same]))
    found = {
        "value_rank": float(np.mean(value)),
        "form_rank": float(np.mean(form)),
        "value_first": float(np.mean(first)),
    }
    return {**found, "digits_rank": float(np.mean(digits))} if digits else found


def _nearer(candidates: F64, chosen: F64) -> float:
    """Mean share of the other candidates that are nearer than the chosen ones; a tie is half nearer."""
    above = (candidates[None, :] > chosen[:, None]).sum(axis=1)
    ties = (candidates[None, :] == chosen[:, None]).sum(axis=1) - 1
    return float(((above + ties / 2.0) / (candidates.size - 1)).mean())


def _unit(rows: F64) -> F64:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0), dtype=np.float64)
