"""Whether a number has the same tokens wherever it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgeom import Incompatible, NumberSet, Tokenizer
from numgeom.numbers import BARE, SPACE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import number_pieces

CONTEXTS = {
    "bare": BARE,
    "space": SPACE,
    "newline": "\n{n}",
    "equals": "={n}",
    "parenthesis": "({n}",
    "dollar": "${n}",
    "minus": "-{n}",
}


def contexts(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """The share of numbers with the same ids after a space, a line break, ``=``, ``(``, ``$`` and ``-`` as bare.

    A lone space before the number is no part of it: where a tokenizer splits spaces off, the spaced number has
    the ids of the bare one. A number that shares a token with the sign before it agrees with no other form.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Magnitudes, each once; the set's own form is not used.

    Returns
    -------
    dict
        ``space``, ``newline``, ``equals``, ``parenthesis``, ``dollar``, ``minus``: agreement with the bare
        form, in [0, 1]; ``stable``: share of the numbers with the same ids in all seven forms; ``forms`` and
        ``agreement``: the names and the square matrix of all forms against all.

    Raises
    ------
    Incompatible
        If the tokenizer spells none of the numbers bare.

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
    ...     def encode_number(self, number, template="{n}"): return self.encode(str(number))
    ...     def token_text(self, token_id): return chr(token_id)
    >>> contexts(Digits(), NumberSet.parse("0..20"))["stable"]
    1.0
    """
    warn_of_dummy_prefix(tokenizer)
    magnitudes = sorted({abs(number) for number in numbers})
    written = {name: [number_pieces(tokenizer, n, form) for n in magnitudes] for name, form in CONTEXTS.items()}
    if not any(ids is not None for ids in written["bare"]):
        raise Incompatible(f"{tokenizer.name} spells none of the numbers with nothing before them.")
    agreement = np.array(
        [
            [np.mean([x is not None and x == y for x, y in zip(one, other, strict=True)]) for other in written.values()]
            for one in written.values()
        ]
    )
    forms = list(CONTEXTS)
    stable = [ids[0] is not None and len(set(ids)) == 1 for ids in zip(*written.values(), strict=True)]
    return {
        **{name: float(agreement[0, k]) for k, name in enumerate(forms) if name != "bare"},
        "stable": float(np.mean(stable)),
        "forms": forms,
        "agreement": agreement.tolist(),
    }
