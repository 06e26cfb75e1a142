"""Tokens per number."""

from __future__ import annotations

from typing import Any

from numgeom import Curve, NumberSet, Tokenizer
from numgeom.numbers import BARE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.sources.tokenizers.selection import spells


def token_counts(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    r"""How many tokens each number of the set has.

    With :math:`c(n)` the number of tokens of :math:`n` in the set's form, over the numbers that the
    tokenizer can spell.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet

    Returns
    -------
    dict
        ``count_1``, ``count_2``, ... up to the largest :math:`c`: how many numbers have so many tokens;
        ``fertility``: mean of :math:`c`, at least 1 (``None`` if no number can be spelled);
        ``tokens_per_digit``: all tokens over all digits, the sign not being one;
        ``unknown``: how many numbers the tokenizer cannot spell (they hold an unknown token);
        ``counts``: the list of :math:`c(n)` in the order of the set, ``None`` where unknown; ``tokens``: the
        same as a curve, where there is any.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    References
    ----------
    Singh & Strouse 2024, arXiv:2402.14903

    Examples
    --------
    >>> class Digits:
    ...     "Every character is a token."
    ...     name, kind, vocab_size, special_ids, notes = "digits", "example", 128, frozenset(), ()
    ...     def encode(self, text): return tuple(map(ord, text))
    ...     def encode_number(self, number, template="{n}"): return self.encode(template.format(n=number))
    ...     def token_text(self, token_id): return chr(token_id)
    >>> token_counts(Digits(), NumberSet.parse("5..14"))["count_2"]
    5
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    counts: list[int | None] = []
    tokens = digits = 0
    histogram: dict[int, int] = {}
    for number in numbers:
        ids = tokenizer.encode_number(number, numbers.template)
        if not spells(tokenizer, ids, number):
            counts.append(None)
            continue
        counts.append(len(ids))
        histogram[len(ids)] = histogram.get(len(ids), 0) + 1
        tokens += len(ids)
        digits += len(str(abs(number)))
    spelled = sum(histogram.values())
    return {
        **{f"count_{k}": histogram.get(k, 0) for k in range(1, max(histogram, default=0) + 1)},
        "fertility": tokens / spelled if spelled else None,
        "tokens_per_digit": tokens / digits if digits else None,
        "unknown": len(counts) - spelled,
        "counts": counts,
        **({"tokens": _curve(numbers, counts)} if spelled else {}),
    }


def _curve(numbers: NumberSet, counts: list[int | None]) -> Curve:
    held = {n: count for n, count in zip(numbers, counts, strict=True) if count is not None}
    return Curve(x=list(held), y=list(held.values()), x_label="number", y_label="tokens", points=True)
