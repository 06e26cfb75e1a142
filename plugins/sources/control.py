"""What numbers are held against: random tokens, drawn so that a server is asked few enough times, and "007"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import NumberSet, Tokenizer
from numgeom.numbers import SPACE
from numgeom.representation import is_padded
from numgeom_plugins.sources.row_runs import MOST_RUNS, MOST_WASTE, row_runs

COUNT = 1000
MOST_STRINGS = 1110  # as many as there are strings of up to three digits
STRING_RUNS = 30  # requests that strings may always add, where the numbers and random tokens take them all
SEED = 0
LONGEST_RUN = 16


@dataclass(frozen=True, slots=True)
class Control:
    """The vocabulary entries that are read beside the numbers.

    Attributes
    ----------
    random_ids : ndarray of int, shape (r,)
    strings : mapping of str to int
        Digits with zeros in front, to token id: by length, then by value, as many as a server is asked for.
    string_count : int
        How many there are in the vocabulary.
    """

    random_ids: npt.NDArray[np.int64]
    strings: Mapping[str, int]
    string_count: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, numbers: NumberSet, ids: npt.NDArray[np.int64], rows: int) -> Control:
        """What there is of both in a vocabulary.

        Parameters
        ----------
        tokenizer : Tokenizer
        numbers : NumberSet
            Its form is that of the strings.
        ids : ndarray of int
            Of the numbers.
        rows : int
            Of the tensor.
        """
        drawn, found = control_ids(tokenizer, ids, rows), padded_strings(tokenizer, numbers, rows)
        asked = np.concatenate([ids, drawn])
        most = max(MOST_RUNS, _requests(asked) + STRING_RUNS)
        tokens = np.fromiter(found.values(), dtype=np.int64)
        fit = next(k for k in range(len(found), -1, -1) if _requests(np.concatenate([asked, tokens[:k]])) <= most)
        return cls(drawn, dict(islice(found.items(), fit)), len(found))

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """``(r + s,)``: of the random tokens, then of the strings."""
        return np.concatenate([self.random_ids, np.fromiter(self.strings.values(), dtype=np.int64)])

    def fields(self, rows: npt.NDArray[Any], notes: list[str]) -> tuple[dict[str, Any], list[int]]:
        """The fields of a representation, and the ids of its random rows; rows that are not finite are left out.

        Parameters
        ----------
        rows : ndarray, shape (r + s, d)
            In the order of ``ids``.
        notes : list of str
            Where it is said what was left out.
        """
        whole, count = np.isfinite(rows).all(axis=1), len(self.random_ids)
        for what, kept in (("random", whole[:count]), ("string", whole[count:])):
            if not kept.all():
                notes.append(f"{int((~kept).sum())} {what} rows with NaN or infinity left out")
        strings = tuple(text for text, kept in zip(self.strings, whole[count:], strict=True) if kept)
        fields = {
            "random_rows": rows[:count][whole[:count]] if whole[:count].any() else None,
            "string_rows": rows[count:][whole[count:]] if strings else None,
            "strings": strings,
        }
        return fields, self.random_ids[whole[:count]].tolist()


def padded_strings(tokenizer: Tokenizer, numbers: NumberSet, rows: int) -> dict[str, int]:
    """Strings of digits with zeros in front that are one vocabulary entry, such as "007": the same value, another text.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Of its form: with one space before the digits where the set has one.
    rows : int
        Of the tensor; ids beyond are left out.

    Returns
    -------
    dict of str to int
        Digits to token id, by length, then by value; the first 1,110 where there are more.

    Examples
    --------
    >>> from numgeom.testing.tokenizer import FakeTokenizer
    >>> padded_strings(FakeTokenizer(single=[12]), NumberSet.parse("0..9"), 100)
    {}
    """
    from numgeom_plugins.sources.tokenizers import digit_strings

    found = digit_strings(tokenizer, space=numbers.template == SPACE).items()
    return dict(islice(((text, token) for text, token in found if is_padded(text) and token < rows), MOST_STRINGS))


def control_ids(tokenizer: Tokenizer, ids: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    """Random vocabulary ids that are no numbers, drawn as short runs of neighbours (a cluster sample).

    A thousand lone tokens would be a thousand requests to a server, beside those for the numbers. So the ids that
    may be drawn, sorted, are cut into runs of :func:`run_length` from a random beginning (the end of the vocabulary
    continues at its beginning), and runs are drawn without replacement: every id is as likely as any other. Where
    neighbours are alike, as in a vocabulary sorted by frequency, such a sample says less than as many lone tokens.

    Parameters
    ----------
    tokenizer : Tokenizer
    ids : ndarray of int
        Of the numbers; never drawn.
    rows : int
        Of the tensor: ids added to the tokenizer after training may have no row, and are not drawn either.

    Returns
    -------
    ndarray of int, shape (at most 1000,)
        Sorted.
    """
    from numgeom_plugins.sources.tokenizers import random_token_ids

    rowless = np.arange(rows, max(rows, tokenizer.vocab_size))
    # A draw of as many as there are is every id that may be drawn.
    allowed = random_token_ids(tokenizer, np.concatenate([ids, rowless]), count=max(1, tokenizer.vocab_size))
    if allowed.size <= COUNT:
        return allowed
    length = run_length(ids)
    rng = np.random.default_rng(SEED)
    runs = np.roll(allowed, -int(rng.integers(allowed.size)))
    runs = runs[: allowed.size // length * length].reshape(-1, length)
    drawn = rng.choice(len(runs), size=min(len(runs), math.ceil(COUNT / length)), replace=False)
    return np.sort(runs[drawn].ravel()[:COUNT])


def run_length(ids: npt.NDArray[np.int64]) -> int:
    """How many neighbours are drawn together: as few as leave enough requests for the numbers' own rows.

    Parameters
    ----------
    ids : ndarray of int
        Of the numbers.

    Returns
    -------
    int
        2 where the numbers lie together, 16 where each lies alone.

    Examples
    --------
    >>> run_length(np.arange(1000)), run_length(97 * np.arange(1000))
    (2, 16)
    """
    wanted = np.unique(ids)
    waste = MOST_WASTE * (wanted.size + COUNT)
    own = row_runs(wanted, most_gap=0, longest=max(1, int(wanted.max(initial=0))), most_runs=1, most_waste=waste)
    left = max(1, MOST_RUNS - len(own))
    return min(LONGEST_RUN, 1 << (math.ceil(COUNT / left) - 1).bit_length())


def _requests(ids: npt.NDArray[np.int64]) -> int:
    """How many requests a server is asked for rows at most, whatever the connection."""
    rows = np.unique(ids)
    longest = max(1, int(rows.max(initial=0)) + 1)
    return len(row_runs(rows, most_gap=0, longest=longest, most_runs=MOST_RUNS, most_waste=MOST_WASTE * rows.size))
