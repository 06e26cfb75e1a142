"""Numbers with zeros in front: near their value, their form or their digits, as planted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.value_or_string import value_or_string

F64 = npt.NDArray[np.float64]
PLAIN, PADDED = np.arange(1000), np.arange(100)
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((1000, 60))
LETTERS = RNG.standard_normal((11, 60))


def bag(text: str) -> F64:
    """The sum of a vector for each digit, wherever it stands."""
    return np.asarray(LETTERS[[int(letter) for letter in text]].sum(axis=0), dtype=np.float64)


def compared(plain: F64, padded: F64) -> dict[str, float]:
    return value_or_string(Representation(plain, PLAIN), Representation(padded, PADDED))


def test_a_code_of_values_puts_007_at_7() -> None:
    found = compared(VALUES, VALUES[:100] + 0.3 * RNG.standard_normal((100, 60)))
    assert found["value_rank"] < 0.001
    assert found["value_first"] == 1.0
    assert found["form_rank"] == pytest.approx(0.5, abs=0.03)
    assert found["digits_rank"] == pytest.approx(0.5, abs=0.05)


def test_a_code_of_digits_puts_007_at_700() -> None:
    found = compared(np.stack([bag(str(n)) for n in PLAIN]), np.stack([bag(f"{n:03d}") for n in PADDED]))
    assert found["digits_rank"] < 0.02
    assert found["digits_rank"] < found["value_rank"]


def test_a_mark_of_leading_zeros_puts_007_at_its_like() -> None:
    found = compared(VALUES, VALUES[:100] + 5.0 * LETTERS[10])
    assert found["form_rank"] < 0.06
    assert found["value_first"] == 0.0


def test_unrelated_rows_rank_in_the_middle() -> None:
    found = compared(VALUES, RNG.standard_normal((100, 60)))
    for name in ("value_rank", "form_rank", "digits_rank"):
        assert found[name] == pytest.approx(0.5, abs=0.1), name
    assert found["value_first"] < 0.05


def test_ranks_by_hand() -> None:
    # "00" and "01" among 0, 1, 10 and one another: for "01" the nearest are 10, then 1.
    plain = Representation(np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]]), np.array([0, 1, 10]))
    padded = Representation(np.array([[1.0, 0.1], [0.1, 1.0]]), np.array([0, 1]))
    found = value_or_string(plain, padded)
    assert found["value_rank"] == pytest.approx((0 + 1 / 3) / 2)
    assert found["form_rank"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["digits_rank"] == 0.0


def test_two_forms_of_one_model_are_needed() -> None:
    some = Representation(VALUES[:10], PADDED[:10])
    with pytest.raises(Incompatible, match="the rows are 60 and 7 wide; give two forms of one model's numbers"):
        value_or_string(some, Representation(VALUES[:10, :7], PADDED[:10]))
    with pytest.raises(Incompatible, match="1 numbers have a row in both forms; it needs 2 or more"):
        value_or_string(some, Representation(VALUES[:3], np.array([9, 20, 30])))
