"""The numbers that are one token."""

from __future__ import annotations

from typing import Any

from numgeom import NumberSet, Tokenizer
from numgeom.numbers import BARE, SPACE, runs
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.sources.tokenizers.selection import digit_strings, number_token_ids


def single_tokens(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """The numbers of the set that are one token in the set's form, and how they lie.

    A token is a number only if its text is exactly the digits (or one space and the digits), so an
    unknown token never counts.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet

    Returns
    -------
    dict
        ``size``: how many; ``first_multi``: the smallest number of the set, not negative, that is
        not one token; ``longest_run_first``, ``longest_run_last``, ``longest_run_length``: the
        longest run of consecutive integers, the first of equals; ``n_holes``: numbers of the set
        between the first and the last that are not one token; ``digits_1``, ``digits_2``,
        ``digits_3``, ``digits_4_plus``: how many by number of digits; ``non_canonical``: how many
        digit strings with a leading zero ("00", "007") the vocabulary holds in the same form;
        ``runs``: inclusive pairs; ``holes``: a list. ``None`` means that there is none.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    Examples
    --------
    >>> class Pairs:
    ...     "Numbers below 100 are one token each, but for 42."
    ...     name, kind, vocab_size, special_ids, notes = "pairs", "example", 100, frozenset(), ()
    ...     def encode(self, text): return self.encode_number(int(text))
    ...     def encode_number(self, number, template="{n}"):
    ...         return divmod(number, 10) if number == 42 or number > 99 else (number,)
    ...     def token_text(self, token_id): return str(token_id)
    >>> found = single_tokens(Pairs(), NumberSet.parse("0..120"))
    >>> found["size"], found["first_multi"], found["longest_run_first"], found["runs"], found["holes"]
    (99, 42, 43, [[0, 41], [43, 99]], [42])
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    values = [int(value) for value in number_token_ids(tokenizer, numbers)[0]]
    single = set(values)
    blocks = runs(values)
    longest = max(blocks, key=lambda block: block[1] - block[0], default=None)
    holes = [n for n in numbers if n not in single and values and values[0] < n < values[-1]]
    strings = digit_strings(tokenizer, space=numbers.template == SPACE)
    digits = [min(len(str(abs(value))), 4) for value in values]
    return {
        "size": len(values),
        "first_multi": next((n for n in numbers if n >= 0 and n not in single), None),
        "longest_run_first": longest[0] if longest else None,
        "longest_run_last": longest[1] if longest else None,
        "longest_run_length": longest[1] - longest[0] + 1 if longest else 0,
        "n_holes": len(holes),
        "digits_1": digits.count(1),
        "digits_2": digits.count(2),
        "digits_3": digits.count(3),
        "digits_4_plus": digits.count(4),
        "non_canonical": sum(len(text) > 1 and text[0] == "0" for text in strings),
        "runs": [list(block) for block in blocks],
        "holes": holes,
    }
