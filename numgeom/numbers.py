"""Number sets: ordered integers together with the way in which they are written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from numgeom.errors import NumberSetError

BARE = "{n}"
SPACE = " {n}"
FORMS = {"bare": BARE, "space": SPACE}
MOST_NUMBERS = 1_000_000

_RANGE = re.compile(r"^(-?\d+)(?:\.\.(-?\d+)(?::(\d+))?)?$")


@dataclass(frozen=True, slots=True)
class NumberSet:
    """An ordered set of distinct integers and the template in which they are written.

    Parameters
    ----------
    values : tuple of int
        Strictly increasing integers.
    template : str, default ``"{n}"``
        How a number is written: ``"{n}"`` bare, ``" {n}"`` with a leading space, or any text
        holding ``{n}`` once.

    Examples
    --------
    >>> numbers = NumberSet.parse("0..9,20..100:20@space")
    >>> len(numbers), numbers.spec, numbers.text(7)
    (15, '0..9,20..100:20@space', ' 7')
    """

    values: tuple[int, ...]
    template: str = BARE

    def __post_init__(self) -> None:
        if any(b <= a for a, b in zip(self.values, self.values[1:], strict=False)):
            raise NumberSetError("a number set must be strictly increasing; sort it and drop repeats.")
        if self.template.count("{n}") != 1:
            raise NumberSetError(
                f"template {self.template!r} must hold {{n}} exactly once, as in ' {{n}}' or '={{n}}'."
            )

    @classmethod
    def parse(cls, text: str) -> NumberSet:
        """Read ``0..999``, ``-5..5``, ``0..100:10``, ``1,2,5..9``, each with an optional ``@form``.

        Parameters
        ----------
        text : str
            Comma-separated integers and inclusive ranges; then optionally ``@bare``, ``@space`` or
            ``@`` followed by a template holding ``{n}``.

        Returns
        -------
        NumberSet

        Raises
        ------
        NumberSetError
            If the text is not of that form, is empty, or holds more than a million numbers.
        """
        body, at, form = text.partition("@")
        if at and form not in FORMS and "{n}" not in form:
            raise NumberSetError(
                f"number form {form!r} in {text!r} is not known; write @bare, @space or a template like @={{n}}."
            )
        values: set[int] = set()
        for part in body.split(","):
            match = _RANGE.match(part.strip())
            if match is None:
                raise NumberSetError(
                    f"number set {text!r} is not understood at {part.strip()!r}; "
                    "write for example 0..999, 0..100:10 or 1,2,5..9, with @space for a leading space."
                )
            first = int(match[1])
            last = int(match[2]) if match[2] is not None else first
            step = int(match[3]) if match[3] is not None else 1
            if step < 1 or last < first:
                raise NumberSetError(f"range {part.strip()!r} in {text!r} is empty; write LOW..HIGH or LOW..HIGH:STEP.")
            if (last - first) // step >= MOST_NUMBERS:
                raise NumberSetError(f"range {part.strip()!r} in {text!r} holds more than a million numbers.")
            values.update(range(first, last + 1, step))
        return cls(tuple(sorted(values)), FORMS.get(form, form) if at else BARE)

    @property
    def form(self) -> str:
        """``"bare"``, ``"space"`` or the template itself."""
        return next((name for name, template in FORMS.items() if template == self.template), self.template)

    @property
    def spec(self) -> str:
        """The canonical text of the set; :meth:`parse` reads it back."""
        at = "" if self.template == BARE else f"@{self.form}"
        return _written(self.values) + at

    @property
    def is_contiguous(self) -> bool:
        """Whether the values are a run of consecutive integers."""
        return len(self.values) == 0 or self.values[-1] - self.values[0] == len(self.values) - 1

    @property
    def array(self) -> npt.NDArray[np.int64]:
        """The values as an ``(n,)`` array."""
        return np.asarray(self.values, dtype=np.int64)

    def text(self, number: int) -> str:
        """``number`` as this set writes it."""
        return self.template.replace("{n}", str(number))

    def label(self, actual: Iterable[int]) -> str:
        """A short name of the part of this set that a model really has.

        The set's own :attr:`spec` when it is whole; otherwise that with the count and a digest of
        the values, so that two rows with one label were measured on one set.
        """
        have = tuple(int(v) for v in actual)
        if have == self.values:
            return self.spec
        digest = hashlib.blake2b(repr(have).encode(), digest_size=3).hexdigest()
        return f"{self.spec}/{len(have)}:{digest}"

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)


def runs(values: Iterable[int]) -> list[tuple[int, int]]:
    """Maximal runs of consecutive integers, as inclusive ``(first, last)`` pairs.

    Examples
    --------
    >>> runs([0, 1, 2, 5, 7, 8])
    [(0, 2), (5, 5), (7, 8)]
    """
    found: list[tuple[int, int]] = []
    for value in sorted(values):
        if found and value == found[-1][1] + 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return found


@lru_cache(maxsize=8)
def _written(values: tuple[int, ...]) -> str:
    """Kept between calls: every cell of a study names its number set."""
    return format_values(values)


def format_values(values: Iterable[int]) -> str:
    """Integers as ranges; an evenly stepped run of four or more is written ``LOW..HIGH:STEP``.

    Examples
    --------
    >>> format_values([0, 1, 2, 10, 20, 30, 40])
    '0..2,10..40:10'
    """
    ordered = sorted(values)
    parts: list[str] = []
    start = 0
    while start < len(ordered):
        end = start
        step = ordered[start + 1] - ordered[start] if start + 1 < len(ordered) else 1
        while end + 1 < len(ordered) and ordered[end + 1] - ordered[end] == step:
            end += 1
        count = end - start + 1
        if step == 1 and count >= 2:
            parts.append(f"{ordered[start]}..{ordered[end]}")
        elif count >= 4:
            parts.append(f"{ordered[start]}..{ordered[end]}:{step}")
        else:
            # A stepped pair or triple is shorter as single values; the last may open the next run.
            end = start
            parts.append(str(ordered[start]))
        start = end + 1
    return ",".join(parts)
