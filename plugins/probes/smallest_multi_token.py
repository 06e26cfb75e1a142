"""The smallest number of more than one token."""

from __future__ import annotations

from numgeom import NumberSet, Tokenizer
from numgeom.numbers import BARE, SPACE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.sources.tokenizers.selection import is_number


def smallest_multi_token(tokenizer: Tokenizer, numbers: NumberSet, *, limit: int = 10_000) -> dict[str, int | None]:
    """The smallest integer from 0 that is not one token, in three forms.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Not used: the search always begins at 0, whatever the set.
    limit : int, default 10000
        The search ends before this number.

    Returns
    -------
    dict
        ``bare``: digits with nothing before them; ``space``: after one space, as in running text;
        ``strict``: what the tokenizer itself returns for the digits, its dummy prefix included.
        ``None`` where every number below ``limit`` is one token.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer has a dummy prefix, so that ``strict`` is not ``bare``.

    Examples
    --------
    >>> class Chunks:
    ...     "Three digits a token, a leading space apart from them."
    ...     name, kind, vocab_size, special_ids, notes = "chunks", "example", 1000, frozenset(), ()
    ...     def encode(self, text): return tuple(text[i:i + 3] for i in range(0, len(text), 3))
    ...     def encode_number(self, number, template="{n}"):
    ...         return ((" ",) if template == " {n}" else ()) + self.encode(str(number))
    ...     def token_text(self, token_id): return token_id
    >>> smallest_multi_token(Chunks(), NumberSet.parse("0..9"))
    {'bare': 1000, 'space': 0, 'strict': 1000}
    """
    warn_of_dummy_prefix(tokenizer)

    def strict(number: int) -> bool:
        # The dummy prefix may be the token's own space ("▁5"): both texts are the number.
        ids = tokenizer.encode(str(number))
        return len(ids) == 1 and tokenizer.token_text(ids[0]).removeprefix(" ") == str(number)

    def written(number: int, template: str) -> bool:
        return is_number(tokenizer, tokenizer.encode_number(number, template), number, template)

    return {
        "bare": next((n for n in range(limit) if not written(n, BARE)), None),
        "space": next((n for n in range(limit) if not written(n, SPACE)), None),
        "strict": next((n for n in range(limit) if not strict(n)), None),
    }
