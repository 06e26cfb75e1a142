"""How vocabulary ids follow the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from numgeom import Curve, Incompatible, NumberSet, Tokenizer
from numgeom.numbers import BARE
from numgeom_plugins.probes.caveats import warn_of_dummy_prefix
from numgeom_plugins.probes.pieces import number_pieces

FEWEST = 3


def id_layout(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
    """The ids of single-token numbers, and of the first, second, third, ... piece of longer ones, against n.

    In a vocabulary of byte-pair merges the id is, up to an offset, the order of the merges, so a frequency rank
    in the corpus of the tokenizer: what looks like a number line may be this rank.

    Parameters
    ----------
    tokenizer : Tokenizer
    numbers : NumberSet

    Returns
    -------
    dict
        ``spearman``: rank correlation of id and n over single-token numbers (``None`` for fewer than three);
        ``successive``: share of neighbouring single-token numbers n, n + 1 whose ids are neighbours too;
        ``pieces``: the most pieces of a number; ``piece_k_spearman``: of the id of the k-th piece and n, over
        numbers of several pieces; ``ids``: ``{n: [ids]}`` of every number that can be spelled; ``piece_ids``:
        the same as one curve a piece.

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
    >>> class Vocabulary:
    ...     "One token a number, ids falling."
    ...     name, kind, vocab_size, special_ids, notes = "falling", "example", 100, frozenset(), ()
    ...     def encode(self, text): return (99 - int(text),)
    ...     def encode_number(self, number, template="{n}"): return (99 - number,)
    ...     def token_text(self, token_id): return str(99 - token_id)
    >>> found = id_layout(Vocabulary(), NumberSet.parse("0..9"))
    >>> round(found["spearman"], 12), found["successive"], found["pieces"]
    (-1.0, 1.0, 1)
    """
    if numbers.template == BARE:
        warn_of_dummy_prefix(tokenizer)
    ids = {n: found for n in numbers if (found := number_pieces(tokenizer, n, numbers.template))}
    if not ids:
        raise Incompatible(f"{tokenizer.name} spells none of the numbers in {numbers.template!r}.")
    single = {n: found[0] for n, found in ids.items() if len(found) == 1}
    steps = [abs(single[n + 1] - single[n]) == 1 for n in single if n + 1 in single]
    most = max(map(len, ids.values()))
    by_piece = {
        f"piece_{k + 1}_spearman": _spearman({n: found[k] for n, found in ids.items() if len(found) > max(k, 1)})
        for k in range(most if most > 1 else 0)
    }
    return {
        "spearman": _spearman(single),
        "successive": float(np.mean(steps)) if steps else None,
        "pieces": most,
        **by_piece,
        "ids": {str(n): list(found) for n, found in ids.items()},
        "piece_ids": [_curve(ids, k) for k in range(most)],
    }


def _curve(ids: dict[int, tuple[int, ...]], k: int) -> Curve:
    held = {n: found[k] for n, found in ids.items() if len(found) > k}
    return Curve(
        x=list(held), y=list(held.values()), x_label="number", y_label="token id", series=f"piece {k + 1}", points=True
    )


def _spearman(ids: dict[int, int]) -> float | None:
    if len(ids) < FEWEST or len(set(ids.values())) == 1:
        return None
    return float(spearmanr(list(ids), list(ids.values())).statistic)
