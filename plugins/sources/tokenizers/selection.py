"""Which vocabulary ids are numbers, and which may stand for anything but numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from numgeom import NumberSet, Tokenizer, TokenizerError
from numgeom.numbers import BARE, SPACE

IntArray = npt.NDArray[np.int64]


def is_number(tokenizer: Tokenizer, ids: tuple[int, ...], number: int, template: str = BARE) -> bool:
    """Whether ``ids`` is one token and its text is ``number`` in the form of ``template``.

    That is exactly the digits in the bare form, and one space and the digits in the spaced form;
    tokenizers that drop spaces have no other spaced form than the digits. In any other template
    both are the number. An unknown token spells nothing, so it never counts.

    Parameters
    ----------
    tokenizer : Tokenizer
    ids : tuple of int
        What ``tokenizer.encode_number(number, template)`` gave.
    number : int
    template : str, default ``"{n}"``

    Returns
    -------
    bool
    """
    if len(ids) != 1:
        return False
    text, digits = tokenizer.token_text(ids[0]), str(number)
    if text == digits:
        return template != SPACE or drops_spaces(tokenizer)
    return template != BARE and text == f" {digits}"


def spells(tokenizer: Tokenizer, ids: tuple[int, ...], number: int) -> bool:
    """Whether the texts of ``ids`` together are the digits, a space before them set aside."""
    return "".join(tokenizer.token_text(token) for token in ids).removeprefix(" ") == str(number)


def drops_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a number after a space has the ids of a bare number, as in BERT and CLIP."""
    return tokenizer.encode_number(5, SPACE) == tokenizer.encode_number(5, BARE)


def has_dummy_prefix(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer itself puts something before a number, as SentencePiece does."""
    return tokenizer.encode("5") != tokenizer.encode_number(5, BARE)


def number_token_ids(tokenizer: Tokenizer, numbers: NumberSet) -> tuple[IntArray, IntArray]:
    """The numbers of a set that are one token in the set's form, with their ids.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        A number that shares its token with the text of a template is not one token.

    Returns
    -------
    values : ndarray of int, shape (n,)
        Strictly increasing.
    ids : ndarray of int, shape (n,)
    """
    values: list[int] = []
    ids: list[int] = []
    for number in numbers:
        try:
            found = tokenizer.encode_number(number, numbers.template)
        except TokenizerError:
            continue
        if is_number(tokenizer, found, number, numbers.template):
            values.append(number)
            ids.append(found[0])
    return np.asarray(values, dtype=np.int64), np.asarray(ids, dtype=np.int64)


def random_token_ids(tokenizer: Tokenizer, exclude: Iterable[int], count: int = 1000, seed: int = 0) -> IntArray:
    """Random vocabulary ids that are no numbers: a model's own control.

    Drawn without replacement from the ids that are not special, added, unused or byte-fallback, are
    not excluded, and whose text is not a string of digits of any script, "007" included.

    Parameters
    ----------
    tokenizer : Tokenizer
    exclude : iterable of int
        Ids that are never drawn, such as those of the numbers.
    count : int, default 1000
        How many; all there are where the vocabulary is smaller.
    seed : int, default 0

    Returns
    -------
    ndarray of int, shape (at most count,)
        Sorted.
    """
    barred = tokenizer.special_ids.union(int(token) for token in exclude)
    allowed = [
        token
        for token in range(tokenizer.vocab_size)
        if token not in barred and not tokenizer.token_text(token).strip().isdigit()
    ]
    drawn = np.random.default_rng(seed).choice(
        np.asarray(allowed, dtype=np.int64), size=min(count, len(allowed)), replace=False
    )
    return np.sort(drawn)
