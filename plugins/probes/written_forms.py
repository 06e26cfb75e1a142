"""Tokens per number in every way of writing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgeom import NumberSet, Tokenizer
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import inked

FORMS: dict[str, Callable[[int], str]] = {
    "bare": str,
    "space": " {}".format,
    "negative": "-{}".format,
    "commas": "{:,}".format,
    "padded": "{:04d}".format,
    "decimal": "{}.0".format,
}


def written_forms(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """Mean tokens per number: bare, after a space, negative, with grouping commas, padded with zeros, with a decimal.

    Every form is encoded as running text. Lone white-space pieces before it, a dummy prefix too, are not counted.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Magnitudes, each once; the set's own form is not used. Zeros pad to four digits.

    Returns
    -------
    dict
        ``bare``, ``space``, ``negative``, ``commas``, ``padded``, ``decimal``: tokens per number, at least 1;
        ``counts``: the list of counts of each form, in the order of the magnitudes.

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
    >>> found = written_forms(Digits(), NumberSet.parse("1000..1009"))
    >>> found["bare"], found["space"], found["commas"], found["padded"], found["decimal"]
    (4.0, 4.0, 5.0, 4.0, 6.0)
    """
    warn_of_dummy_prefix(tokenizer)
    magnitudes = sorted({abs(number) for number in numbers})
    counts = {
        name: [len(inked(tokenizer, tokenizer.encode(write(n)))) for n in magnitudes] for name, write in FORMS.items()
    }
    return {**{name: float(np.mean(held)) for name, held in counts.items()}, "counts": counts}
