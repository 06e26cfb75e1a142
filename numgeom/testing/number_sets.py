"""What follows from the card of a number set."""

from __future__ import annotations

from collections.abc import Iterator

from numgeom.numbers import NumberSet
from numgeom.specs import NumberSetSpec
from numgeom.testing.check import Check, require


def number_set_checks(spec: NumberSetSpec) -> Iterator[Check]:
    """Every check that the card of a number set gives rise to."""
    yield Check("parses", "target", lambda: _parses(spec), spec)


def _parses(spec: NumberSetSpec) -> str:
    numbers = NumberSet.parse(spec.load())
    require(len(numbers) > 0, "it holds no number")
    require(NumberSet.parse(numbers.spec) == numbers, f"{numbers.spec!r} does not read back as the same set")
    return f"{len(numbers)} numbers: {numbers.spec}"
