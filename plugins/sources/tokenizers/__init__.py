"""Tokenizers: one small class a file format, all of them a :class:`numgeom.Tokenizer`."""

from __future__ import annotations

from numgeom_plugins.sources.tokenizers.files import find_tokenizer, fingerprint, load_tokenizer, open_tokenizer
from numgeom_plugins.sources.tokenizers.selection import is_number, number_token_ids, random_token_ids

__all__ = [
    "find_tokenizer",
    "fingerprint",
    "is_number",
    "load_tokenizer",
    "number_token_ids",
    "open_tokenizer",
    "random_token_ids",
]
