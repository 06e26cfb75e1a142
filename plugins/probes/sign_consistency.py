"""Whether a negative number is a sign and the number."""

from __future__ import annotations

from typing import Any

from numgeom import Incompatible, NumberSet, Tokenizer, TokenizerError
from numgeom.numbers import BARE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import inked


def sign_consistency(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    r"""How often :math:`-n` is written as the tokens of a minus sign followed by those of :math:`n`.

    Lone spaces before a number are set aside. With :math:`c` the count of the other tokens, the
    counts match where :math:`c(-n) - c(n) = c(\text{"-"})`; the ids match where the first tokens of
    :math:`-n` have the text "-" and the rest are exactly the tokens of :math:`n`.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Their magnitudes are used, each once, so a set without negatives will do; 0 is left away.

    Returns
    -------
    dict
        ``count_match``, ``ids_match``: fractions in [0, 1]; ``count_matches``, ``ids_matches``: how
        many; ``checked``: of how many; ``sign_tokens``: tokens of "-" alone; ``offenders``: the
        magnitudes where either fails.

    Raises
    ------
    Incompatible
        If the set holds no number but 0.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    Examples
    --------
    >>> class Digits:
    ...     "Every character is a token."
    ...     name, kind, vocab_size, special_ids, notes = "digits", "example", 128, frozenset(), ()
    ...     def encode(self, text): return tuple(map(ord, text))
    ...     def encode_number(self, number, template="{n}"): return self.encode(template.format(n=number))
    ...     def token_text(self, token_id): return chr(token_id)
    >>> found = sign_consistency(Digits(), NumberSet.parse("0..20"))
    >>> found["ids_match"], found["checked"], found["sign_tokens"]
    (1.0, 20, 1)
    """
    magnitudes = sorted({abs(number) for number in numbers if number != 0})
    if not magnitudes:
        raise Incompatible("sign consistency needs a number other than 0 in the set.")
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    sign = len(inked(tokenizer, tokenizer.encode("-")))
    counts = same = 0
    offenders: list[int] = []
    for magnitude in magnitudes:
        try:
            positive = inked(tokenizer, tokenizer.encode_number(magnitude, numbers.template))
            negative = inked(tokenizer, tokenizer.encode_number(-magnitude, numbers.template))
        except TokenizerError:
            # The sign, or the number, is in one token with the template's text.
            offenders.append(magnitude)
            continue
        count_matches = len(negative) - len(positive) == sign
        prefix = _sign_length(tokenizer, negative)
        ids_match = prefix > 0 and negative[prefix:] == positive
        counts += count_matches
        same += ids_match
        if not (count_matches and ids_match):
            offenders.append(magnitude)
    return {
        "count_match": counts / len(magnitudes),
        "ids_match": same / len(magnitudes),
        "count_matches": counts,
        "ids_matches": same,
        "checked": len(magnitudes),
        "sign_tokens": sign,
        "offenders": offenders,
    }


def _sign_length(tokenizer: Tokenizer, ids: tuple[int, ...]) -> int:
    """How many ids spell the minus sign; 0 where it shares a token with a digit."""
    text = ""
    for k, token in enumerate(ids, start=1):
        text += tokenizer.token_text(token)
        if text.strip() == "-":
            return k
        if text.strip():
            return 0
    return 0
