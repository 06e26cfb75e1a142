"""Numbers with zeros in front: near their value, their form or their digits, as planted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Incompatible, Representation
from numgeom.preprocess import preprocess
from numgeom_plugins.geometry.value_or_string import ValueOrString

F64 = npt.NDArray[np.float64]
THREE = tuple(f"{n:03d}" for n in range(100))
RNG = np.random.default_rng(0)
VALUES = RNG.standard_normal((1000, 60))
LETTERS = RNG.standard_normal((11, 60))
MARK = 5.0 * LETTERS[10]
UNRELATED = RNG.standard_normal((100, 60))


def bag(text: str) -> F64:
    """The sum of a vector for each digit, wherever it stands."""
    return np.asarray(LETTERS[[int(letter) for letter in text]].sum(axis=0), dtype=np.float64)


def held(plain: F64, padded: F64, strings: tuple[str, ...] = THREE) -> Representation:
    return Representation(plain, np.arange(len(plain)), string_rows=padded, strings=strings)


def compared(plain: F64, padded: F64) -> dict[str, float]:
    return ValueOrString()(held(plain, padded))


def test_a_code_of_values_puts_007_at_7() -> None:
    found = compared(VALUES, VALUES[:100] + 0.3 * RNG.standard_normal((100, 60)))
    assert found["value_rank"] < 0.001
    assert found["value_first"] == 1.0
    assert found["form_rank"] == pytest.approx(0.5, abs=0.03)
    assert found["digits_rank"] == pytest.approx(0.5, abs=0.05)


def test_a_code_of_digits_puts_007_at_700() -> None:
    found = compared(np.stack([bag(str(n)) for n in range(1000)]), np.stack([bag(text) for text in THREE]))
    assert found["digits_rank"] < 0.02
    assert found["digits_rank"] < found["value_rank"]


def test_a_mark_of_leading_zeros_puts_007_at_its_like() -> None:
    found = compared(VALUES, VALUES[:100] + MARK)
    assert found["form_rank"] < 0.06
    assert found["value_first"] == 0.0


def test_unrelated_rows_rank_in_the_middle() -> None:
    found = compared(VALUES, UNRELATED)
    for name in ("value_rank", "form_rank", "digits_rank"):
        assert found[name] == pytest.approx(0.5, abs=0.1), name
    assert found["value_first"] < 0.05


def test_ranks_by_hand() -> None:
    # "00" and "01" among 0, 1, 10 and one another: for "01" the nearest are 10, then 1.
    rows = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]])
    padded = np.array([[1.0, 0.1], [0.1, 1.0]])
    found = ValueOrString()(Representation(rows, np.array([0, 1, 10]), string_rows=padded, strings=("00", "01")))
    assert found["value_rank"] == pytest.approx((0 + 1 / 3) / 2)
    assert found["form_rank"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found["digits_rank"] == 0.0


def test_strings_are_ranked_among_those_as_long() -> None:
    # "07" is the row of 7 itself, and no candidate for "007": adding strings of two digits changes nothing of it.
    both = held(VALUES, np.vstack([VALUES[:10], VALUES[:100] + MARK]), (*(f"0{n}" for n in range(10)), *THREE))
    alone = [ValueOrString()(held(VALUES, VALUES[:10], both.strings[:10])), compared(VALUES, VALUES[:100] + MARK)]
    assert alone[0]["value_rank"] == 0.0
    for name in ("value_rank", "form_rank", "value_first"):
        assert ValueOrString()(both)[name] == pytest.approx((10 * alone[0][name] + 100 * alone[1][name]) / 110), name


def test_a_string_longer_than_any_number_has_its_value() -> None:
    long = ("0" * 17 + "1", "0" * 17 + "2")
    assert ValueOrString()(held(VALUES, VALUES[1:3], long))["value_rank"] == 0.0


def test_a_row_permutation_is_chance_even_for_a_code_of_values() -> None:
    rep = held(VALUES, VALUES[:100] + 0.3 * RNG.standard_normal((100, 60)))
    orders = np.stack([np.random.default_rng(seed).permutation(1000) for seed in range(5)])
    drawn = ValueOrString().permuted(rep, orders)
    assert drawn["value_rank"].mean() == pytest.approx(0.5, abs=0.05)
    assert drawn["value_first"].max() < 0.05
    slow = ValueOrString()(rep.permuted(orders[0]))
    assert {name: values[0] for name, values in drawn.items()} == pytest.approx(slow)


@pytest.mark.parametrize("step", ["center", "standardize"])
def test_a_step_moves_the_strings_as_it_moves_the_numbers(step: str) -> None:
    far = 50.0 + VALUES
    moved = preprocess(held(far, far[:100]), [step])
    assert moved.string_rows is not None
    np.testing.assert_array_equal(moved.string_rows, moved.matrix[:100])
    assert ValueOrString()(moved)["value_rank"] == 0.0


def test_ranks_of_units_are_those_of_the_rows() -> None:
    rep = held(VALUES, UNRELATED)
    assert ValueOrString()(preprocess(rep, ["unit"])) == pytest.approx(ValueOrString()(rep))


def test_strings_have_no_residuals() -> None:
    left = preprocess(held(VALUES, UNRELATED), ["center", "residual:length"])
    assert (left.string_rows, left.strings) == (None, ())
    with pytest.raises(Incompatible, match="strings such as '000' have no residuals of center, residual:length; leave"):
        ValueOrString()(left)


def test_a_model_without_strings_is_skipped_in_words() -> None:
    with pytest.raises(Incompatible, match="the model has no rows of strings such as '007'; it needs the input or out"):
        ValueOrString()(Representation(VALUES, np.arange(1000)))


def test_one_string_of_a_number_is_too_few() -> None:
    rep = Representation(VALUES[:3], np.array([9, 200, 300]), string_rows=VALUES[:2], strings=("008", "009"))
    with pytest.raises(Incompatible, match="1 of 2 strings such as '008' stand for a number that has a row"):
        ValueOrString()(rep)
