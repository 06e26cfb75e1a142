"""By which rule a tokenizer cuts numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgeom import Incompatible, NumberSet, Tokenizer
from numgeom.numbers import BARE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import piece_lengths

LONGEST = 12
REGULAR = 0.95
BYTES = 256


def scheme(tokenizer: Tokenizer, numbers: NumberSet, *, samples: int = 50, seed: int = 0) -> dict[str, Any]:
    r"""How numbers of 1 to 12 digits are cut: digit by digit, in chunks from the left or from the right, or neither.

    Random numbers of every length m are written in the set's form. A number fits *digit* if every piece is
    one digit; *left k* if its pieces are k, k, ..., rest from the left; *right k* if they are rest, k, ..., k.
    k is the longest piece seen. Numbers that fit trivially are left out of a share: those of one digit out of the
    first, those of at most k digits out of the others.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet
        Only its form (bare, spaced, template) is used.
    samples : int, default 50
        Numbers of each length.
    seed : int, default 0
        Of the random numbers.

    Returns
    -------
    dict
        ``fit``: the largest of the three shares, in [0, 1]; ``digit``, ``left``, ``right``: the shares;
        ``chunk``: k; ``right_aligned``: share of the token boundaries that lie at a multiple of k digits from
        the right (``None`` where there is none); ``unknown``: share that cannot be spelled; ``scheme``: the name
        in words: ``digit``, ``byte``, ``chunk-3 left to right``, ``chunk-3 right to left``, ``whole number`` or
        ``irregular`` (no share reaches .95).

    Raises
    ------
    Incompatible
        If the tokenizer spells none of the samples.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    References
    ----------
    Singh & Strouse 2024, arXiv:2402.14903

    Examples
    --------
    >>> class Chunks:
    ...     "Three digits a token, from the left."
    ...     name, kind, vocab_size, special_ids, notes = "chunks", "example", 1000, frozenset(), ()
    ...     def encode(self, text): return tuple(text[i:i + 3] for i in range(0, len(text), 3))
    ...     def encode_number(self, number, template="{n}"): return self.encode(str(number))
    ...     def token_text(self, token_id): return token_id
    >>> found = scheme(Chunks(), NumberSet.parse("0..9"))
    >>> found["scheme"], found["fit"]
    ('chunk-3 left to right', 1.0)
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    rng = np.random.default_rng(seed)
    drawn = [
        int(rng.integers(10 ** (m - 1) if m > 1 else 0, 10**m)) for m in range(1, LONGEST + 1) for _ in range(samples)
    ]
    cuts = [piece_lengths(tokenizer, number, numbers.template) for number in drawn]
    spelled = [cut for cut in cuts if cut is not None]
    if not spelled:
        raise Incompatible(f"{tokenizer.name} spells no number of 1 to {LONGEST} digits in {numbers.template!r}.")
    chunk = max(max(cut) for cut in spelled)
    telling = [cut for cut in spelled if sum(cut) > chunk]
    left = _share([_from_left(cut, chunk) for cut in telling])
    right = _share([_from_left(cut[::-1], chunk) for cut in telling])
    digit = _share([max(cut) == 1 for cut in spelled if sum(cut) > 1])
    ends = [end for cut in telling for end in np.cumsum(cut[::-1])[:-1].tolist()]
    fit = max(digit, left, right)
    return {
        "fit": fit,
        "digit": digit,
        "left": left,
        "right": right,
        "chunk": chunk,
        "right_aligned": _share([end % chunk == 0 for end in ends]) if ends else None,
        "unknown": 1.0 - len(spelled) / len(cuts),
        "scheme": _name(tokenizer, digit, left, right, chunk),
    }


def _name(tokenizer: Tokenizer, digit: float, left: float, right: float, chunk: int) -> str:
    if digit >= REGULAR:
        return "byte" if tokenizer.vocab_size - len(tokenizer.special_ids) <= BYTES else "digit"
    if chunk >= LONGEST:
        return "whole number"
    if max(left, right) < REGULAR:
        return "irregular"
    return f"chunk-{chunk} {'left to right' if left >= right else 'right to left'}"


def _from_left(cut: tuple[int, ...], chunk: int) -> bool:
    return all(length == chunk for length in cut[:-1])


def _share(fits: list[bool]) -> float:
    return sum(fits) / len(fits) if fits else 0.0
