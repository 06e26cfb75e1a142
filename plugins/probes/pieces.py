"""The pieces in which a tokenizer writes a number, white space set aside."""

from __future__ import annotations

from numgeom import Tokenizer, TokenizerError
from numgeom.numbers import BARE


def inked(tokenizer: Tokenizer, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The ids from the first on that is more than white space."""
    first = next((k for k, token in enumerate(ids) if tokenizer.token_text(token).strip()), len(ids))
    return ids[first:]


def number_pieces(tokenizer: Tokenizer, number: int, template: str = BARE) -> tuple[int, ...] | None:
    """The ids of a number in a template, or None where they are not exactly its digits."""
    try:
        ids = inked(tokenizer, tokenizer.encode_number(number, template))
    except TokenizerError:
        return None
    text = "".join(tokenizer.token_text(token) for token in ids).strip()
    return ids if text == str(number) else None


def piece_lengths(tokenizer: Tokenizer, number: int, template: str = BARE) -> tuple[int, ...] | None:
    """How many digits each piece of a number has, from the left; None where its pieces are not its digits."""
    ids = number_pieces(tokenizer, number, template)
    return None if ids is None else tuple(len(tokenizer.token_text(token).strip()) for token in ids)
