"""What files of word vectors have in common: words one after the other, of which the numbers and a sample are kept."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from numgeom import NumberSet, SourceError
from numgeom.representation import is_padded
from numgeom_plugins.sources.control import MOST_STRINGS

RANDOM_ROWS = 1000
MOST_WIDTH = 8192  # a thousand rows as wide as that are 64 MB


@dataclass(frozen=True, slots=True)
class Entry:
    """One word of a file: where it stands, its token id, its bytes, and what :meth:`WordVectors.vector` needs."""

    position: int
    token_id: int
    word: bytes
    held: Any


class WordVectors(Protocol):
    """A file of word vectors that is gone through once.

    Attributes
    ----------
    path : Path
    unit : str
        What positions count: ``"line"`` or ``"word"``.
    dtype : str
        How the file stores a value.
    notes : list of str
        What should be said of the file; complete after the last entry.
    """

    path: Path
    unit: str
    dtype: str
    notes: list[str]

    def entries(self) -> Iterator[Entry]:
        """All words, one at a time; the file is never in memory."""

    def vector(self, entry: Entry) -> npt.NDArray[Any]:
        """``(d,)``: the vector of an entry."""


@dataclass(slots=True)
class Picked:
    """The vectors of the wanted numbers, of "007" and its like, and of a sample of other words.

    Attributes
    ----------
    numbers : dict of int to (int, int, ndarray)
        Number to position, token id and vector.
    strings : dict of str to ndarray
        Words that are digits with zeros in front, such as "007", to vectors: the first 1,110 of the file.
    sample : list of (int, int, ndarray)
        Position, token id and vector of words without digits, in the order of the file.
    words : int
        How many words the file holds.
    """

    numbers: dict[int, tuple[int, int, npt.NDArray[Any]]] = field(default_factory=dict)
    strings: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sample: list[tuple[int, int, npt.NDArray[Any]]] = field(default_factory=list)
    words: int = 0


def pick(file: WordVectors, numbers: NumberSet, *, seed: int) -> Picked:
    """Go through a file once and keep the numbers, "007" and its like, and a sample of words without digits.

    The sample is a reservoir sample (Vitter 1985).

    Parameters
    ----------
    file : WordVectors
    numbers : NumberSet
        The row of a number is the word ``str(number)``.
    seed : int
        Of the sample.

    Returns
    -------
    Picked

    Raises
    ------
    SourceError
        If the file is malformed or holds a number twice.
    """
    wanted = {str(number).encode(): number for number in numbers}
    picked = Picked()
    draw = random.Random(seed).random
    seen = 0
    for entry in file.entries():
        picked.words += 1
        number = wanted.get(entry.word)
        if number is not None:
            if number in picked.numbers:
                raise SourceError(
                    f"{str(file.path)!r} holds the word {number} twice, in {file.unit}s {picked.numbers[number][0]} "
                    f"and {entry.position}; keep one."
                )
            picked.numbers[number] = (entry.position, entry.token_id, file.vector(entry))
        elif not any(byte in b"0123456789" for byte in entry.word):
            seen += 1
            if len(picked.sample) < RANDOM_ROWS:
                picked.sample.append((entry.position, entry.token_id, file.vector(entry)))
            elif (place := int(draw() * seen)) < RANDOM_ROWS:
                picked.sample[place] = (entry.position, entry.token_id, file.vector(entry))
        elif entry.word.startswith(b"0") and len(picked.strings) < MOST_STRINGS and entry.word.isdigit():
            text = entry.word.decode()
            if is_padded(text) and text not in picked.strings:
                picked.strings[text] = file.vector(entry)
    picked.sample.sort(key=lambda kept: kept[0])
    return picked


def malformed(path: Path, where: str, why: str) -> SourceError:
    """The error of a file of word vectors that breaks off or contradicts itself."""
    return SourceError(f"{str(path)!r}, {where}: {why}; save or download the file again.")
