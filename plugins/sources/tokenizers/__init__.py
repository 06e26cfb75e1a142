"""Tokenizers: one small class a file format, all of them a :class:`numgeom.Tokenizer`."""

from __future__ import annotations

from numgeom_plugins.sources.tokenizers.files import find_tokenizer, fingerprint, load_tokenizer, open_tokenizer
from numgeom_plugins.sources.tokenizers.selection import (
    digit_strings,
    is_number,
    no_number,
    number_token_ids,
    random_token_ids,
    vocabulary_digest,
)

__all__ = [
    "digit_strings",
    "find_tokenizer",
    "fingerprint",
    "is_number",
    "load_tokenizer",
    "no_number",
    "number_token_ids",
    "open_tokenizer",
    "random_token_ids",
    "vocabulary_digest",
]
