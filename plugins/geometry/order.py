"""Whether distance between rows follows distance between values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import squareform

from numgeom import Representation
from numgeom_plugins.geometry.ranks import pairs, unit_ranks

F64 = npt.NDArray[np.float64]
FEWEST = 4
NAMES = {"": "distance_order: Euclidean distances", "cosine_": "distance_order: cosine distances"}


class DistanceOrder:
    """Spearman correlation, over all pairs of numbers, of row distance with value distance.

    All in [-1, 1]; 0 is what shuffled labels give. Pairs are not independent: the p-value is that of the
    row-permutation null (Mantel's test), never the asymptotic one of the correlation.

    - ``spearman_linear``: Euclidean distance with ``|i - j|``;
    - ``spearman_log``: Euclidean distance with ``|ln(1 + i) - ln(1 + j)|``, over numbers of at least 0;
    - ``cosine_spearman_linear``, ``cosine_spearman_log``: the same with one minus the cosine of the raw rows.

    The two ``log`` measures are left out where fewer than four numbers are at least 0, the two ``cosine`` ones
    where all cosines are equal, as those of rows of width 1 are.

    References
    ----------
    Mantel 1967; Marjieh et al. 2025, arXiv:2502.01540 (logarithmic distance; the ``1 +`` is ours).

    Examples
    --------
    >>> line = Representation(np.arange(6.0)[:, None] + 1.0, np.arange(6))
    >>> round(DistanceOrder()(line)["spearman_linear"], 12)
    1.0
    """

    def __call__(self, rep: Representation) -> dict[str, float]:
        """The correlations of one representation.

        Parameters
        ----------
        rep : Representation

        Returns
        -------
        dict of str to float

        Raises
        ------
        Incompatible
            If all Euclidean distances are equal.
        """
        ranks = _row_ranks(rep)
        return {
            f"{kind}spearman_{scale}": float(np.clip(ranks[kind, scale] @ gaps, -1.0, 1.0))
            for kind, scale, gaps in _compared(rep)
            if (kind, scale) in ranks
        }

    def permuted(self, rep: Representation, permutations: npt.NDArray[np.int64]) -> dict[str, F64]:
        """The correlations with the rows in each order, ``(draws,)`` a measure.

        A row order reindexes the ranks of the row distances; only where a scale leaves numbers out do other
        rows come into play, and everything is ranked again.

        Parameters
        ----------
        rep : Representation
        permutations : ndarray of int, shape (draws, n)

        Returns
        -------
        dict of str to ndarray, shape (draws,)
        """
        if any(used.size < rep.n for used, _ in _value_ranks(tuple(rep.numbers.tolist())).values()):
            drawn = [self(rep.with_matrix(rep.matrix[order])) for order in permutations]
            return {name: np.array([values[name] for values in drawn]) for name in drawn[0]}
        ranks = {key: squareform(values) for key, values in _row_ranks(rep).items()}
        compared = [
            (kind, scale, squareform(gaps) / 2) for kind, scale, gaps in _compared(rep) if (kind, scale) in ranks
        ]
        found = {f"{kind}spearman_{scale}": np.empty(len(permutations)) for kind, scale, _ in compared}
        for k, order in enumerate(permutations):
            at = np.ix_(order, order)
            shuffled = {kind: values[at] for (kind, scale), values in ranks.items() if scale == "linear"}
            for kind, scale, gaps in compared:
                found[f"{kind}spearman_{scale}"][k] = np.clip(np.vdot(shuffled[kind], gaps), -1.0, 1.0)
        return found


def _compared(rep: Representation) -> list[tuple[str, str, F64]]:
    """Every (kind of row distance, scale of value distance) with the value ranks of that scale."""
    scales = _value_ranks(tuple(rep.numbers.tolist()))
    return [(kind, scale, gaps) for kind in NAMES for scale, (_, gaps) in scales.items()]


def _row_ranks(rep: Representation) -> dict[tuple[str, str], F64]:
    """The ranks of each kind of row distance over the rows of each scale; one vector where those are all rows."""
    found: dict[tuple[str, str], F64] = {}
    for kind, apart in (("", rep.workspace.distances), ("cosine_", 1.0 - rep.workspace.cosines)):
        if kind and np.ptp(pairs(apart)) <= 1e-12:
            continue
        whole = unit_ranks(pairs(apart), NAMES[kind])
        for scale, (used, _) in _value_ranks(tuple(rep.numbers.tolist())).items():
            part = whole if used.size == rep.n else unit_ranks(pairs(apart[np.ix_(used, used)]), NAMES[kind])
            found[kind, scale] = part
    return found


@lru_cache(maxsize=2)
def _value_ranks(numbers: tuple[int, ...]) -> dict[str, tuple[npt.NDArray[np.int64], F64]]:
    """For each scale, the rows that have it and the ranks of their value distances.

    Kept between calls: every draw of a null has the same numbers.
    """
    values = np.array(numbers, dtype=np.int64)
    counted = np.flatnonzero(values >= 0)
    scales = {"linear": (np.arange(values.size), values.astype(np.float64))}
    if counted.size >= FEWEST:
        scales["log"] = (counted, np.log1p(values[counted]))
    return {
        name: (rows, unit_ranks(pairs(np.abs(axis[:, None] - axis[None, :])), "distance_order: value distances"))
        for name, (rows, axis) in scales.items()
    }
