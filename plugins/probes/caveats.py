"""The caveat that probes attach where a tokenizer adds to a number what nobody wrote."""

from __future__ import annotations

import warnings

from numgeom import MeasurementWarning, Tokenizer
from numgeom_plugins.sources.tokenizers.selection import has_dummy_prefix


def warn_of_dummy_prefix(tokenizer: Tokenizer) -> None:
    """Emit W-TOKENFORM where the tokenizer itself puts a space before a bare number."""
    if has_dummy_prefix(tokenizer):
        warnings.warn(
            MeasurementWarning(
                "W-TOKENFORM",
                f"{tokenizer.name} puts a dummy prefix before any text; bare numbers are written without it here",
            ),
            stacklevel=3,
        )
