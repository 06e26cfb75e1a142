"""Which vocabulary ids are numbers, and which may stand for anything but numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from numgeom import NumberSet, SourceError, Tokenizer, TokenizerError
from numgeom.numbers import BARE, FORMS, SPACE

IntArray = npt.NDArray[np.int64]
DIGESTED_IDS = 1000


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


def digit_strings(tokenizer: Tokenizer, *, space: bool = False) -> Mapping[str, int]:
    """Every string of decimal digits that is one vocabulary entry, ``"007"`` as well as ``"7"``.

    Strings with leading zeros are a control set: the same value, another text (science.md section 2.4). Special ids
    never count. Tokenizers that drop spaces (BERT, CLIP) also hold pieces for the inside of words with the same
    text; there a string counts only if the tokenizer itself gives that one token for it.

    Parameters
    ----------
    tokenizer : Tokenizer
    space : bool, default False
        Entries with one space before the digits instead; the space is no part of the strings. A tokenizer that drops
        spaces has none but the bare ones.

    Returns
    -------
    mapping of str to int
        Digits to token id, by length, then by value.

    Examples
    --------
    >>> from numgeom.testing.tokenizer import FakeTokenizer
    >>> list(digit_strings(FakeTokenizer(single=[12, 13])))
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '12', '13']
    """
    dropped = drops_spaces(tokenizer)
    before = " " if space and not dropped else ""
    found: dict[str, int] = {}
    for token in range(tokenizer.vocab_size):
        if token in tokenizer.special_ids:
            continue
        text = _text(tokenizer, token)
        digits = text.removeprefix(before)
        if text != before + digits or not (digits.isascii() and digits.isdigit()):
            continue
        if not dropped or tokenizer.encode(digits) == (token,):
            found.setdefault(digits, token)
    return dict(sorted(found.items(), key=lambda entry: (len(entry[0]), entry[0])))


def vocabulary_digest(tokenizer: Tokenizer) -> str:
    """One value for one vocabulary, whatever file it came from: the texts of a thousand ids, evenly spaced.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> from numgeom.testing.tokenizer import FakeTokenizer
    >>> vocabulary_digest(FakeTokenizer()) == vocabulary_digest(FakeTokenizer(single=range(999)))
    False
    """
    state = hashlib.blake2b(digest_size=16)
    count = tokenizer.vocab_size
    for token in np.unique(np.linspace(0, max(count - 1, 0), min(count, DIGESTED_IDS)).astype(np.int64)).tolist():
        state.update(f"{token}\0{_text(tokenizer, token)}\0".encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def no_number(tokenizer: Tokenizer, numbers: NumberSet) -> SourceError:
    """Why no number has a row: one of them written out, and the form that would do."""
    example = 7 if 7 in numbers.values else numbers.values[0]
    count = len(tokenizer.encode_number(example, numbers.template))
    other = next(
        (
            form
            for form, template in FORMS.items()
            if template != numbers.template and len(number_token_ids(tokenizer, NumberSet(numbers.values, template))[0])
        ),
        "",
    )
    advice = (
        f"type --numbers '{numbers.spec.partition('@')[0]}@{other}' for the {other} form"
        if other
        else "choose numbers that are one token with --numbers (numgeom probe lists them)"
    )
    return SourceError(
        f"no number of {numbers.spec} is one token of {tokenizer.name}: {numbers.text(example)!r} takes {count}; "
        f"{advice}."
    )


def _text(tokenizer: Tokenizer, token: int) -> str:
    """The text of an id; empty for one that the vocabulary skips."""
    try:
        return tokenizer.token_text(token)
    except TokenizerError:
        return ""
