"""Number sets read, print and refuse what they should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numgeom.errors import NumberSetError
from numgeom.numbers import NumberSet, format_values, runs


@pytest.mark.parametrize(
    ("text", "size", "spec"),
    [
        ("0..999", 1000, "0..999"),
        ("-1000..1000", 2001, "-1000..1000"),
        ("0..9,20..100:20@space", 15, "0..9,20..100:20@space"),
        ("5,3,4", 3, "3..5"),
        ("7", 1, "7"),
        ("0..9@={n}", 10, "0..9@={n}"),
        ("0..9@bare", 10, "0..9"),
    ],
)
def test_text_is_read_and_printed(text: str, size: int, spec: str) -> None:
    numbers = NumberSet.parse(text)
    assert (len(numbers), numbers.spec) == (size, spec)


@given(st.sets(st.integers(-3000, 3000), min_size=1, max_size=60))
def test_printing_and_reading_are_inverse(values: set[int]) -> None:
    ordered = tuple(sorted(values))
    assert NumberSet.parse(format_values(ordered)).values == ordered


@given(st.sets(st.integers(-50, 50)))
def test_runs_cover_the_set_exactly(values: set[int]) -> None:
    covered = [v for first, last in runs(values) for v in range(first, last + 1)]
    assert covered == sorted(values)
    assert all(b[0] > a[1] + 1 for a, b in zip(runs(values), runs(values)[1:], strict=False))


def test_forms_write_numbers() -> None:
    assert NumberSet.parse("0..9@space").text(-5) == " -5"
    assert NumberSet.parse("0..9@x{n}=").text(7) == "x7="


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0-999", "write for example 0..999"),
        ("", "write for example"),
        ("9..0", "is empty"),
        ("0..9:0", "is empty"),
        ("0..9@spaced", "write @bare, @space or a template"),
        ("0..99999999", "more than a million"),
        ("0..9@{n}{n}", "exactly once"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(NumberSetError, match=says) as caught:
        NumberSet.parse(text)
    assert "\n" not in str(caught.value)


def test_a_partial_set_is_labelled_with_count_and_digest() -> None:
    numbers = NumberSet.parse("0..9")
    assert numbers.label(range(10)) == "0..9"
    assert numbers.label([1, 2, 3]).startswith("0..9/3:")
    assert numbers.label([1, 2, 3]) != numbers.label([1, 2, 4])
