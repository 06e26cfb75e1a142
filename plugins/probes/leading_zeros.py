"""Digit strings that are one token, those with leading zeros among them."""

from __future__ import annotations

from typing import Any

from numgeom import NumberSet, Tokenizer
from numgeom.numbers import SPACE
from numgeom_plugins.sources.tokenizers.selection import digit_strings

LONGEST = 4


def leading_zeros(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """How many digit strings of each length the vocabulary holds, and how many of them begin with a needless zero.

    ``7``, ``07`` and ``007`` have one value and three texts: where a vocabulary holds them all, they tell whether a
    model represents the value or the string.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Only its form is used: bare, or after a space.

    Returns
    -------
    dict
        ``strings_1`` to ``strings_4``: digit strings of that length; ``longer``: of more than four digits;
        ``padded``: those with a needless leading zero; ``strings``: the padded ones and their ids.

    Examples
    --------
    >>> class Two:
    ...     "Every string of at most two digits."
    ...     name, kind, vocab_size, special_ids, notes = "two", "example", 110, frozenset(), ()
    ...     def encode(self, text): return tuple(self._id(text[k:k + 2]) for k in range(0, len(text), 2))
    ...     def _id(self, text): return int(text) + (10 if len(text) == 2 else 0)
    ...     def encode_number(self, number, template="{n}"): return self.encode(str(number))
    ...     def token_text(self, token_id): return str(token_id) if token_id < 10 else f"{token_id - 10:02d}"
    >>> found = leading_zeros(Two(), NumberSet.parse("0..9"))
    >>> found["strings_2"], found["padded"]
    (100, 10)
    """
    strings = digit_strings(tokenizer, space=numbers.template == SPACE)
    lengths = [len(text) for text in strings]
    padded = {text: token for text, token in strings.items() if len(text) > 1 and text[0] == "0"}
    return {
        **{f"strings_{length}": lengths.count(length) for length in range(1, LONGEST + 1)},
        "longer": sum(length > LONGEST for length in lengths),
        "padded": len(padded),
        "strings": padded,
    }
