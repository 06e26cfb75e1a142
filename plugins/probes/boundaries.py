"""Where token boundaries fall within numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from numgeom import Incompatible, NumberSet, Tokenizer
from numgeom.numbers import BARE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import piece_lengths


def boundaries(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    r"""The probability of a token boundary at each place from the right, and how much it varies between numbers.

    For numbers of m digits, ``boundary_m_j`` is the share that are cut between the j-th and the (j+1)-th
    digit from the right. With :math:`p_m(c)` the share of the numbers of m digits that are cut in pattern c,
    the entropy :math:`-\sum_c p_m(c) \log_2 p_m(c)` is averaged over the numbers: 0 where the length alone says
    how a number is cut.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet

    Returns
    -------
    dict
        ``entropy``: bits, at least 0; ``cut``: share of the numbers that are cut at all; ``boundary_m_j``: in
        [0, 1], for every m of at least two digits in the set; ``patterns``: how often each pattern of piece
        lengths occurs, by number of digits.

    Raises
    ------
    Incompatible
        If the tokenizer spells none of the numbers.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    Examples
    --------
    >>> class Chunks:
    ...     "Three digits a token, from the left."
    ...     name, kind, vocab_size, special_ids, notes = "chunks", "example", 1000, frozenset(), ()
    ...     def encode(self, text): return tuple(text[i:i + 3] for i in range(0, len(text), 3))
    ...     def encode_number(self, number, template="{n}"): return self.encode(str(number))
    ...     def token_text(self, token_id): return token_id
    >>> found = boundaries(Chunks(), NumberSet.parse("1000..1099"))
    >>> found["boundary_4_1"], found["boundary_4_3"], found["entropy"]
    (1.0, 0.0, 0.0)
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    patterns: dict[int, Counter[tuple[int, ...]]] = {}
    for number in {abs(number) for number in numbers}:
        lengths = piece_lengths(tokenizer, number, numbers.template)
        if lengths is not None:
            patterns.setdefault(len(str(number)), Counter())[lengths] += 1
    spelled = sum(count.total() for count in patterns.values())
    if not spelled:
        raise Incompatible(f"{tokenizer.name} spells none of the numbers in {numbers.template!r}.")
    found: dict[str, Any] = {
        "entropy": sum(count.total() * _entropy(count.values()) for count in patterns.values()) / spelled,
        "cut": sum(times for count in patterns.values() for cut, times in count.items() if len(cut) > 1) / spelled,
    }
    for m, count in sorted(patterns.items()):
        for j in range(1, m):
            cut_here = sum(times for cut, times in count.items() if j in np.cumsum(cut[::-1])[:-1])
            found[f"boundary_{m}_{j}"] = cut_here / count.total()
    found["patterns"] = {
        str(m): {"+".join(map(str, cut)): times for cut, times in count.most_common()}
        for m, count in sorted(patterns.items())
    }
    return found


def _entropy(counts: Iterable[int]) -> float:
    shares = np.array(list(counts), dtype=np.float64)
    shares /= shares.sum()
    return float(abs((shares * np.log2(shares)).sum()))
