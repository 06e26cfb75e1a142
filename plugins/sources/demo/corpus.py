"""Synthetic number text: short documents in which numbers do what they do in real text.

Numbers are counted, added, compared, priced, dated, measured, grouped and listed. Small and round numbers
are more frequent than others, prices end in 9, 5 or 0, ranges join numbers that lie close together, and
sums are true. Nothing in here knows a model or a tokenizer. Integer arithmetic only, so that one seed
gives one corpus on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from random import Random

from numgeom_plugins.sources.demo.lexicon import (
    ANIMALS,
    EVENTS,
    FOODS,
    GOODS,
    MONTHS,
    PEOPLE,
    PLACES,
    THINGS,
    UNITS,
)

LARGEST = 999
LENGTH = 56  # words and numbers, so that a document fits a context of 64 tokens

Sentence = Callable[[Random, bool], str]


def quantity(rng: Random, largest: int = LARGEST) -> int:
    """A positive integer as counts and measures are distributed in text.

    Every digit length is equally frequent, leading digits fall off, and every third number is round.

    Parameters
    ----------
    rng : random.Random
    largest : int, default 999
        Upper end of the range.

    Returns
    -------
    int
        In ``1..largest``.

    Examples
    --------
    >>> rng = Random(0)
    >>> all(1 <= quantity(rng, 60) <= 60 for _ in range(1000))
    True
    """
    low, high = rng.choice([(1, 9), (10, 99), (100, 999)])
    low, high = (low, min(high, largest)) if low <= largest else (1, largest)
    value = min(rng.randint(low, high), rng.randint(low, high))
    if rng.randrange(3) == 0:
        unit = rng.choice([step for step in (2, 5, 10, 25, 50, 100) if step <= max(value, 2)])
        value = max(1, (value + unit // 2) // unit * unit)
    return min(value, largest)


def anywhere(rng: Random) -> int:
    """An integer of ``0..999``: half of the time uniform, else a :func:`quantity`."""
    return rng.randint(0, LARGEST) if rng.randrange(2) else quantity(rng)


def is_held_out(a: int, b: int) -> bool:
    """Whether the pair is kept out of training: one in sixteen, by a multiplicative hash (Knuth 1973, 6.4).

    Sums written ``a + b`` and counting runs that start at ``a`` with step ``b`` are held out.

    Examples
    --------
    >>> share = sum(is_held_out(a, b) for a in range(200) for b in range(200)) / 40_000
    >>> 0.05 < share < 0.075
    True
    """
    return ((1000 * a + b) * 2654435761 % 2**32) >> 28 == 0


def counting(rng: Random, tight: bool) -> str:
    """A run up or down by a fixed step."""
    while True:
        step = rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 5, 10, 10, 10, 20, 25, 50, 100, 100])
        start = anywhere(rng)
        if rng.randrange(3) == 0:
            start -= start % step
        if not is_held_out(start, step):
            break
    length = rng.randint(6, 24)
    values = range(start, LARGEST + 1, step) if rng.randrange(3) else range(start, -1, -step)
    return (rng.choice([",", " "]) if tight else rng.choice([", ", " "])).join(map(str, values[:length]))


def _addends(rng: Random) -> tuple[int, int]:
    while True:
        a = anywhere(rng)
        b = quantity(rng, rng.choice([9, 20, 99, 99, LARGEST]))
        if a + b <= LARGEST and not is_held_out(a, b):
            return (a, b) if rng.randrange(2) or is_held_out(b, a) else (b, a)


def _equation(tight: bool, *words: object) -> str:
    return ("" if tight else " ").join(map(str, words))


def sums(rng: Random, tight: bool) -> str:
    """True sums and differences."""
    a, b = _addends(rng)
    if rng.randrange(3):
        return _equation(tight, a, "+", b, "=", a + b)
    return _equation(tight, a + b, "-", a, "=", b)


def drills(rng: Random, tight: bool) -> str:
    """One operand held fixed, as in exercise books: ``3 + 4 = 7; 13 + 4 = 17``."""
    a, b = _addends(rng)
    step = rng.choice([1, 1, 10, 10, 100])
    rows = [a + step * i for i in range(4) if a + step * i + b <= LARGEST and not is_held_out(a + step * i, b)]
    return "; ".join(_equation(tight, row, "+", b, "=", row + b) for row in rows)


def products(rng: Random, tight: bool) -> str:
    """A stretch of a multiplication table."""
    b = quantity(rng, 30)
    first = rng.randint(1, 9)
    sign = rng.choice(["*", "times"])
    equals = "is" if sign == "times" else "="
    rows = [a for a in range(first, first + 4) if a * b <= LARGEST]
    return "; ".join(_equation(tight and sign == "*", a, sign, b, equals, a * b) for a in rows)


def negatives(rng: Random, tight: bool) -> str:
    """Differences below zero and temperatures."""
    a, b = quantity(rng, 60), quantity(rng, 60)
    if rng.randrange(2):
        low, high = sorted((a, b))
        return _equation(tight, low, "-", high, "=", low - high if low < high else 0)
    return f"the night was cold, -{a} degrees in {rng.choice(PLACES)}"


def comparisons(rng: Random, tight: bool) -> str:
    """Two numbers, mostly near each other or of one leading digit, put in order."""
    a = anywhere(rng)
    b = anywhere(rng) if rng.randrange(3) == 0 else min(LARGEST, a + quantity(rng, max(9, a // 3)))
    if rng.randrange(2):
        a, b = b, a
    if rng.randrange(2):
        return _equation(tight, a, "<" if a < b else ">" if a > b else "=", b)
    word = "less than" if a < b else "more than" if a > b else "equal to"
    return f"{a} is {word} {b}"


def sorted_lists(rng: Random, tight: bool) -> str:
    """A few numbers in rising order."""
    values = sorted({anywhere(rng) for _ in range(rng.randint(4, 8))})
    return f"in order: {(',' if tight else ', ').join(map(str, values))}"


def neighbours(rng: Random, tight: bool) -> str:
    """What comes after, before and between."""
    n = min(max(anywhere(rng), 1), LARGEST - 1)
    return rng.choice(
        [
            f"after {n} comes {n + 1}",
            f"before {n} comes {n - 1}",
            f"between {n - 1} and {n + 1} lies {n}",
            f"ten more than {n} is {n + 10}" if n + 10 <= LARGEST else f"ten less than {n} is {n - 10}",
            f"the number {n} is {'odd' if n % 2 else 'even'}",
            f"the last digit of {n} is {n % 10}",
            f"{n} to the nearest ten is {min((n + 5) // 10 * 10, 990)}",
        ]
    )


def prices(rng: Random, tight: bool) -> str:
    """Prices, which end in 99, 95, 50, 00 and the like."""
    cents = rng.choice(
        ["99", "99", "99", "95", "95", "50", "50", "00", "49", "90", "75", "25", f"{rng.randrange(100):02}"]
    )
    units = quantity(rng)
    if rng.randrange(3) == 0:
        units = min(LARGEST, units // 10 * 10 + 9)
    goods = rng.choice(GOODS)
    dollars = f"${units}.{cents}" if rng.randrange(4) else f"${units}"
    return rng.choice(
        [
            f"a {goods} costs {dollars}",
            f"{rng.choice(PEOPLE)} paid {dollars} for a {goods}",
            f"sale! {goods} now {dollars}, was ${min(LARGEST, units + quantity(rng, 60))}.{cents}",
        ]
    )


def years(rng: Random, tight: bool) -> str:
    """Years, dates and years of life."""
    year = 2030 - min(rng.randrange(630), rng.randrange(630))
    return rng.choice(
        [
            f"in {year} {rng.choice(EVENTS)} in {rng.choice(PLACES)}",
            f"{rng.choice(PEOPLE)} lived from {year} to {year + rng.randint(30, 90)}",
            f"on {rng.randint(1, 28)} {rng.choice(MONTHS)} {year} {rng.choice(EVENTS)}",
        ]
    )


def measures(rng: Random, tight: bool) -> str:
    """Measured quantities, ages, scores and ranges."""
    a = quantity(rng)
    near = min(LARGEST, a + max(1, quantity(rng, max(3, a // 2))))
    unit, thing, person = rng.choice(UNITS), rng.choice(THINGS), rng.choice(PEOPLE)
    return rng.choice(
        [
            f"the {thing} is {a} {unit} long",
            f"it is {a} {unit} to {rng.choice(PLACES)}",
            f"from {a} to {near} {unit}",
            f"{a}-{near} {unit}" if tight else f"about {a} or {near} {unit}",
            f"{person} is {quantity(rng, 99)} years old",
            f"{person} won {near} to {a}",
            f"{quantity(rng, 100)}% of the {thing}",
            f"page {a} of {near}",
        ]
    )


def counts(rng: Random, tight: bool) -> str:
    """How many of something somebody has."""
    a, b = _addends(rng)
    noun, person = rng.choice(ANIMALS + FOODS), rng.choice(PEOPLE)
    return rng.choice(
        [
            f"{person} has {a} {noun}",
            f"{person} had {a} {noun} and bought {b} more, now there are {a + b}",
            f"there are {a} {noun} near {rng.choice(PLACES)}",
            f"{person} sold {a} of {a + b} {noun}, {b} are left",
            f"between {a} and {min(LARGEST, a + quantity(rng, max(9, a // 4)))} {noun}",
        ]
    )


def large_numbers(rng: Random, tight: bool) -> str:
    """Numbers past 999, with or without a thousands comma."""
    thousands, rest = quantity(rng), rng.choice([0, 0, 500, rng.randrange(1000), rng.randrange(1000)])
    return f"{rng.choice(PLACES)} has {thousands}{',' if rng.randrange(3) else ''}{rest:03} people"


def clocks(rng: Random, tight: bool) -> str:
    """Times of day."""
    minute = rng.choice([0, 15, 30, 45, rng.randrange(0, 60, 5), rng.randrange(60)])
    return f"the train to {rng.choice(PLACES)} leaves at {rng.randint(1, 23)}:{minute:02}"


# Share of the documents that each kind fills.
KINDS: dict[Sentence, int] = {
    counting: 24,
    sums: 16,
    drills: 6,
    products: 5,
    negatives: 2,
    comparisons: 7,
    sorted_lists: 5,
    neighbours: 8,
    prices: 7,
    years: 4,
    measures: 7,
    counts: 6,
    large_numbers: 2,
    clocks: 1,
}


def documents(seed: str, *, without: Collection[Sentence] = (), tight: bool | None = None) -> Iterator[str]:
    """An endless stream of documents, each of one kind of sentence.

    Parameters
    ----------
    seed : str
        Two streams of one seed are equal; streams of two seeds are independent.
    without : collection of functions, optional
        Keys of :data:`KINDS` to leave out.
    tight : bool, optional
        Whether lists and equations are written without spaces; by default in every second document.

    Yields
    ------
    str
        One line of some :data:`LENGTH` words, numbers and signs.

    Examples
    --------
    >>> from itertools import islice
    >>> first, second = (list(islice(documents("a"), 100)) for _ in range(2))
    >>> first == second
    True
    """
    rng = Random(seed)
    kinds = [kind for kind in KINDS if kind not in without]
    weights = [KINDS[kind] for kind in kinds]
    while True:
        kind = rng.choices(kinds, weights)[0]
        style = rng.randrange(2) == 0 if tight is None else tight
        text, length = "", 0
        while length < LENGTH:
            sentence = kind(rng, style)
            text += (" " if text else "") + sentence + "."
            length += _size(sentence)
        yield text


def _size(sentence: str) -> int:
    """Words and signs of a sentence and its full stop; numbers past 999 count as one."""
    signs = sum(not (character.isalnum() or character.isspace()) for character in sentence)
    spread = "".join(character if character.isalnum() else " " for character in sentence)
    return len(spread.split()) + signs + 1
