"""The periods of the token ids themselves: what a model may inherit from its tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgeom import Curve, Incompatible, NumberSet, Tokenizer
from numgeom.numbers import BARE, runs
from numgeom_plugins.geometry.periodogram import MERGE_RANK_PERIODS, merge_rank_spectrum
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.sources.tokenizers.selection import number_token_ids


def merge_ranks(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """How far the merge ranks of single-token numbers stand out at periods 2, 5, 10 and 100, before any model.

    Ids of a vocabulary of merges follow the frequency of the tokens in the tokenizer's corpus. On the longest run
    of single-token numbers, cut to a multiple of 100 (of 10 where it is shorter), the Fourier magnitude of
    log(id + 1) is divided by its median: see :func:`numgeom_plugins.geometry.periodogram.merge_rank_spectrum`. A
    Fourier line of an embedding has to beat this.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet

    Returns
    -------
    dict
        ``spike_2``, ``spike_5``, ``spike_10``, ``spike_100``: at least 0, about 1 for noise; ``from``, ``to``: the
        run; ``spectrum``: the magnitude over its median as a curve over the frequency.

    Raises
    ------
    Incompatible
        If no 20 successive numbers of the set are one token each.

    Warns
    -----
    MeasurementWarning
        W-TOKENFORM where the tokenizer's own dummy prefix was left away.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (token frequency alone has lines at 2, 5 and 10); the merge rank is ours.

    Examples
    --------
    >>> class Tens:
    ...     "Ids by value, but the tens come first."
    ...     name, kind, vocab_size, special_ids, notes = "tens", "example", 2000, frozenset(), ()
    ...     def encode(self, text): return (int(text) // 10 if int(text) % 10 == 0 else 1000 + int(text),)
    ...     def encode_number(self, number, template="{n}"): return self.encode(str(number))
    ...     def token_text(self, token_id): return str(token_id - 1000 if token_id >= 1000 else 10 * token_id)
    >>> merge_ranks(Tens(), NumberSet.parse("0..199"))["spike_10"] > 5
    True
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    values, ids = number_token_ids(tokenizer, numbers)
    blocks = runs(values.tolist())
    first, last = max(blocks, key=lambda block: block[1] - block[0], default=(0, -1))
    length = last - first + 1
    length -= length % (100 if length >= 100 else 10)
    if length < 20:
        raise Incompatible(
            f"no 20 successive numbers of {numbers.spec} are one token each in {tokenizer.name}; "
            "see the probe single_tokens for its runs."
        )
    start = int(np.searchsorted(values, first))
    held = ids[start : start + length]
    spikes = merge_rank_spectrum(held, values[start : start + length])
    series = np.log(held + 1.0)
    magnitude = np.abs(np.fft.rfft(series - series.mean()))[1:]
    return {
        **{f"spike_{period}": spikes.get(f"spike_{period}") for period in MERGE_RANK_PERIODS},
        "from": first,
        "to": first + length - 1,
        "spectrum": Curve(
            x=np.arange(1, magnitude.size + 1) / length,
            y=magnitude / np.median(magnitude),
            x_label="frequency (1 / period)",
            y_label="magnitude / median",
        ),
    }
