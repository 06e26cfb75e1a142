"""Circular digit probes: whether digits in a base lie on circles that a linear map finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import Ridge, Task, answers, random_folds, ridge
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

BASES = (*range(2, 15), 100)
PLACES = ("units", "tens", "hundreds", "thousands")
FOLDS = 10


@dataclass(frozen=True, eq=False)
class _Code:
    name: str
    base: int
    digits: I64
    on_circle: I64


@dataclass(frozen=True, eq=False)
class _State:
    engine: Ridge
    codes: list[_Code]
    tasks: list[Task]


class CircularDigitProbe(RowOrderMetric[_State]):
    r"""Share of held-out numbers whose digits are read off circles, for the bases 2 .. 14 and 100.

    One linear map takes a row to ``(cos 2 pi t / b, sin 2 pi t / b)`` for every digit t in base b, and the digit is
    ``round(angle b / 2 pi) mod b``. The map is ridge regression (the objective of Levy & Geva in closed form) on the
    other nine of 10 random folds. Only places at which the numbers differ have a circle: leading zeros of all
    numbers would be free points.

    - ``exact_b``: share of numbers with all digits right, in [0, 1];
    - ``digits_b``: share of digits right;
    - ``units_10``, ``tens_10``, ``hundreds_10``: share right at a place in base 10;
    - ``exact_shuffled_10``, ``digits_shuffled_10``: the digits of base 10 dealt onto the circle in a random order.
      As high as ``exact_10`` where the rows have a direction for each digit rather than a circle.

    Chance is 1/b a digit. A base is confounded with the tokenizer (chunks of three digits) and with smoothness: the
    leading digit of any base is magnitude.

    Parameters
    ----------
    seed : int
        Of folds and shuffled digits.

    References
    ----------
    Levy & Geva 2025, arXiv:2410.11781.

    Examples
    --------
    >>> n = np.arange(100)
    >>> angles = 2 * np.pi * np.column_stack([n % 10, n // 10]) / 10
    >>> rep = Representation(np.hstack([np.cos(angles), np.sin(angles)]), n)
    >>> found = CircularDigitProbe()(rep)
    >>> found["exact_10"], found["exact_11"] < 0.1
    (1.0, True)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def prepare(self, rep: Representation) -> _State:
        """The engine, and the digits in every base with their places on the circle."""
        if rep.n < 2 * FOLDS:
            raise Incompatible(
                f"circular_digit_probe needs at least {2 * FOLDS} numbers; these are {rep.n}. Give more with --numbers."
            )
        engine = ridge(rep, "circular_digit_probe")
        folds = (random_folds(np.zeros(rep.n), FOLDS, self.seed),)
        codes = []
        for base in BASES:
            digits = _digits(rep.numbers, base)
            codes.append(_Code(f"{base}", base, digits, digits))
        deal = np.random.default_rng(self.seed).permutation(10)
        tens = _digits(rep.numbers, 10)
        codes.append(_Code("shuffled_10", 10, tens, deal[tens]))
        return _State(engine, codes, [Task(_circles(code.on_circle, code.base), folds) for code in codes])

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        found = {}
        for code, ((predicted, _),) in zip(state.codes, answers(state.engine, state.tasks, order), strict=True):
            half = code.digits.shape[1]
            angle = np.arctan2(predicted[:, half:], predicted[:, :half])
            read = np.round(angle * code.base / (2.0 * np.pi)).astype(np.int64) % code.base
            right = read == code.on_circle
            found[f"exact_{code.name}"] = float(right.all(axis=1).mean())
            found[f"digits_{code.name}"] = float(right.mean())
            if code.name == "10":
                found |= {f"{PLACES[i]}_10": float(right[:, i].mean()) for i in range(min(half, len(PLACES)))}
        return found


def _digits(numbers: I64, base: int) -> I64:
    """Digits of ``|n|`` from the right, ``(n, places)``, at the places where the numbers differ or below one."""
    left = np.abs(numbers)
    columns: list[I64] = []
    while left.any() or not columns:
        columns.append(left % base)
        left = left // base
    last = max([place for place, column in enumerate(columns) if np.ptp(column) > 0], default=0)
    return np.column_stack(columns[: last + 1])


def _circles(digits: I64, base: int) -> F64:
    """Cosines, then sines, of every digit's angle, ``(n, 2 places)``."""
    angles = 2.0 * np.pi * digits / base
    return np.hstack([np.cos(angles), np.sin(angles)])
