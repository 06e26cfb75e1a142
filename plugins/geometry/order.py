"""Whether distance between rows follows distance between values, or between the strings that write them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import squareform

from numgeom import Representation
from numgeom_plugins.geometry.numerals import digit_lengths, hamming
from numgeom_plugins.geometry.ranks import pairs, unit_ranks
from numgeom_plugins.geometry.reference import levenshtein
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FEWEST = 4
NAMES = {"": "distance_order: Euclidean distances", "cosine_": "distance_order: cosine distances"}


@dataclass(frozen=True, slots=True)
class RankedDistances:
    """Row distances of each kind with their ranks over all rows, and the ranks of the distances of the numbers."""

    apart: dict[str, F64]
    ranks: dict[str, F64]
    scales: dict[str, tuple[I64, F64]]


class DistanceOrder(RowOrderMetric[RankedDistances]):
    """Spearman correlation, over all pairs of numbers, of row distance with distances of the numbers.

    All in [-1, 1]; 0 is what shuffled labels give. Pairs are not independent: the p-value is that of the
    row-permutation null (Mantel's test), never the asymptotic one of the correlation.

    - ``spearman_linear``: Euclidean distance with ``|i - j|``;
    - ``spearman_log``: with ``|ln(1 + i) - ln(1 + j)|``, over numbers of at least 0;
    - ``spearman_levenshtein``: with the Levenshtein distance of the written numbers;
    - ``spearman_digit_length``: with the difference of their numbers of digits;
    - ``spearman_hamming``: with the number of places at which the zero-padded digits (and signs) differ;
    - ``cosine_spearman_linear`` and so on: the same with one minus the cosine of the raw rows.

    The distances of the numbers go with one another by construction; what each adds is told by
    ``distance_commonality``. The ``log`` measures are left out where fewer than four numbers are at least 0, any
    scale on which all pairs are equally far (the digits of 0..9), and the ``cosine`` measures where all cosines
    are equal, as those of rows of width 1 are.

    Raises
    ------
    Incompatible
        If all Euclidean distances are equal.

    References
    ----------
    Mantel 1967; Marjieh et al. 2025, arXiv:2502.01540 (logarithm and Levenshtein; the ``1 +`` is ours).

    Examples
    --------
    >>> line = Representation(np.arange(6.0)[:, None] + 1.0, np.arange(6))
    >>> round(DistanceOrder()(line)["spearman_linear"], 12)
    1.0
    """

    def prepare(self, rep: Representation) -> RankedDistances:
        """Distances and their ranks."""
        apart = {"": rep.workspace.distances, "cosine_": 1.0 - rep.workspace.cosines}
        if np.ptp(pairs(apart["cosine_"])) <= 1e-12:
            del apart["cosine_"]
        ranks = {kind: squareform(unit_ranks(pairs(square), NAMES[kind])) for kind, square in apart.items()}
        return RankedDistances(apart, ranks, _value_ranks(tuple(rep.numbers.tolist())))

    def measure(self, state: RankedDistances, order: I64) -> dict[str, float]:
        """The correlations; only where a scale leaves numbers out are the row distances ranked again."""
        found: dict[str, float] = {}
        for kind, ranks in state.ranks.items():
            shuffled = pairs(reordered(ranks, order))
            for scale, (used, gaps) in state.scales.items():
                if used.size < order.size:
                    part = unit_ranks(pairs(reordered(state.apart[kind], order[used])), NAMES[kind])
                else:
                    part = shuffled
                found[f"{kind}spearman_{scale}"] = float(np.clip(part @ gaps, -1.0, 1.0))
        return found


@lru_cache(maxsize=2)
def _value_ranks(numbers: tuple[int, ...]) -> dict[str, tuple[I64, F64]]:
    """For each scale, the rows that have it and the ranks of their distances.

    Kept between calls: every draw of a null has the same numbers.
    """
    values = np.array(numbers, dtype=np.int64)
    everyone, counted = np.arange(values.size), np.flatnonzero(values >= 0)
    lengths = digit_lengths(values).astype(np.float64)
    scales = {"linear": (everyone, _apart(values.astype(np.float64)))}
    if counted.size >= FEWEST:
        scales["log"] = (counted, _apart(np.log1p(values[counted])))
    scales["levenshtein"] = (everyone, levenshtein([str(number) for number in numbers]))
    scales["digit_length"] = (everyone, _apart(lengths))
    scales["hamming"] = (everyone, hamming(values))
    return {
        name: (rows, unit_ranks(pairs(apart), "distance_order: value distances"))
        for name, (rows, apart) in scales.items()
        if name == "linear" or np.ptp(pairs(apart)) > 0
    }


def _apart(axis: F64) -> F64:
    """Distances of all pairs along one axis."""
    return np.asarray(np.abs(axis[:, None] - axis[None, :]), dtype=np.float64)
