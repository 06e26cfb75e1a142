"""The random tokens that a model's numbers are held against, drawn so that a server is asked few enough times."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from numgeom import Tokenizer
from numgeom_plugins.sources.row_runs import MOST_RUNS, MOST_WASTE, row_runs

COUNT = 1000
SEED = 0
LONGEST_RUN = 16


def control_ids(tokenizer: Tokenizer, ids: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.int64]:
    """Random vocabulary ids that are no numbers, drawn as short runs of neighbours (a cluster sample).

    A thousand lone tokens would be a thousand requests to a server, beside those for the numbers. So the ids that
    may be drawn, sorted, are cut into runs of :func:`run_length` from a random beginning (the end of the vocabulary
    continues at its beginning), and runs are drawn without replacement: every id is as likely as any other. Where
    neighbours are alike, as in a vocabulary sorted by frequency, such a sample says less than as many lone tokens.

    Parameters
    ----------
    tokenizer : Tokenizer
    ids : ndarray of int
        Of the numbers; never drawn.
    rows : int
        Of the tensor: ids added to the tokenizer after training may have no row, and are not drawn either.

    Returns
    -------
    ndarray of int, shape (at most 1000,)
        Sorted.
    """
    from numgeom_plugins.sources.tokenizers import random_token_ids

    rowless = np.arange(rows, max(rows, tokenizer.vocab_size))
    # A draw of as many as there are is every id that may be drawn.
    allowed = random_token_ids(tokenizer, np.concatenate([ids, rowless]), count=max(1, tokenizer.vocab_size))
    if allowed.size <= COUNT:
        return allowed
    length = run_length(ids)
    rng = np.random.default_rng(SEED)
    runs = np.roll(allowed, -int(rng.integers(allowed.size)))
    runs = runs[: allowed.size // length * length].reshape(-1, length)
    drawn = rng.choice(len(runs), size=min(len(runs), math.ceil(COUNT / length)), replace=False)
    return np.sort(runs[drawn].ravel()[:COUNT])


def run_length(ids: npt.NDArray[np.int64]) -> int:
    """How many neighbours are drawn together: as few as leave enough requests for the numbers' own rows.

    Parameters
    ----------
    ids : ndarray of int
        Of the numbers.

    Returns
    -------
    int
        2 where the numbers lie together, 16 where each lies alone.

    Examples
    --------
    >>> run_length(np.arange(1000)), run_length(97 * np.arange(1000))
    (2, 16)
    """
    wanted = np.unique(ids)
    waste = MOST_WASTE * (wanted.size + COUNT)
    own = row_runs(wanted, most_gap=0, longest=max(1, int(wanted.max(initial=0))), most_runs=1, most_waste=waste)
    left = max(1, MOST_RUNS - len(own))
    return min(LONGEST_RUN, 1 << (math.ceil(COUNT / left) - 1).bit_length())
