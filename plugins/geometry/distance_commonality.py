"""What each notion of distance between numbers adds to the others in explaining the distances between rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import squareform

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.correlation import standardised
from numgeom_plugins.geometry.numerals import merge_rank, signed_log
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.reference import levenshtein
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
PAIR = ("log", "levenshtein")


@dataclass(frozen=True, slots=True)
class Regression:
    """Standardised row distances as a square, predictors over all pairs, and the correlations among these."""

    apart: F64
    predictors: dict[str, F64]
    among: F64


class DistanceCommonality(RowOrderMetric[Regression]):
    r"""Shares of the variance of Euclidean row distances that value, string and frequency distances explain.

    Least squares over all pairs on standardised predictors: ``log`` is ``|ln(1 + i) - ln(1 + j)|`` (signed below 0),
    ``levenshtein`` that of the written numbers, ``linear`` is ``|i - j|``, ``frequency`` the difference of log merge
    ranks, where the tokens' ids are known.

    - ``r2_log``, ``r2_levenshtein``, ``r2_log_levenshtein``: R2 of each alone and of both, in [0, 1];
    - ``unique_log``, ``unique_levenshtein``: what each adds to the other, in [0, 1];
    - ``common``: ``r2_log + r2_levenshtein - r2_log_levenshtein``, what both explain alike, in [-1, 1] (below 0 where
      one suppresses the other);
    - ``r2_all``: R2 of all predictors; ``all_unique_log``, ``all_unique_levenshtein``, ``all_unique_linear``,
      ``all_unique_frequency``: what each adds to all the others, in [0, 1].

    The predictors go together by construction, so only the unique parts tell them apart. A predictor that is the
    same for all pairs is left out, with what is made of it. Pairs are not independent: read the values beside the
    row-permutation null.

    Raises
    ------
    Incompatible
        If all rows are equally far apart, or fewer than two predictors vary.

    Warns
    -----
    MeasurementWarning
        W-FREQ where the tokens' ids are not known, so that frequency cannot be held fixed.

    References
    ----------
    Marjieh et al. 2025, arXiv:2502.01540; Newton & Spurrell 1967 (commonality analysis).

    Examples
    --------
    >>> rows = np.log1p(np.arange(40.0))[:, None]
    >>> line = Representation(rows, np.arange(40), token_ids=np.arange(40))
    >>> found = DistanceCommonality()(line)
    >>> round(found["r2_log"], 9), round(found["unique_levenshtein"], 9) + 0.0
    (1.0, 0.0)
    """

    def prepare(self, rep: Representation) -> Regression:
        """Distances and predictors."""
        apart = standardised(pairs(rep.workspace.distances))
        if not apart.any():
            raise Incompatible(
                "distance_commonality: all rows are equally far apart, so there is no variance to explain; "
                "use other numbers or rows."
            )
        rank = merge_rank(rep)
        if rank is None:
            text = "the tokens' ids are not known, so what token frequency explains cannot be told apart"
            warnings.warn(MeasurementWarning("W-FREQ", text), stacklevel=4)
        axes = {"log": signed_log(rep.numbers), "linear": rep.numbers.astype(np.float64), "frequency": rank}
        squares = {name: np.abs(axis[:, None] - axis[None, :]) for name, axis in axes.items() if axis is not None}
        squares["levenshtein"] = levenshtein([str(number) for number in rep.numbers])
        found = {name: standardised(pairs(square)) for name, square in squares.items()}
        varied = {name: values for name, values in found.items() if values.any()}
        if len(varied) < 2:
            raise Incompatible("distance_commonality: fewer than two notions of distance vary; give more numbers.")
        whole = np.stack(list(varied.values()))

        return Regression(squareform(apart), varied, whole @ whole.T)

    def measure(self, state: Regression, order: I64) -> dict[str, float]:
        """The shares for one order of the rows."""
        names = list(state.predictors)
        apart = pairs(reordered(state.apart, order))
        along = np.array([state.predictors[name] @ apart for name in names])

        def explained(chosen: list[str]) -> float:
            at = [names.index(name) for name in chosen]
            weights = np.linalg.pinv(state.among[np.ix_(at, at)], rcond=1e-10, hermitian=True) @ along[at]
            return float(np.clip(weights @ along[at], 0.0, 1.0))

        found = {f"r2_{name}": explained([name]) for name in PAIR if name in names}
        if len(found) == len(PAIR):
            both = explained(list(PAIR))
            found["r2_log_levenshtein"] = both
            found["unique_log"] = max(0.0, both - found["r2_levenshtein"])
            found["unique_levenshtein"] = max(0.0, both - found["r2_log"])
            found["common"] = found["r2_log"] + found["r2_levenshtein"] - both
        found["r2_all"] = explained(names)
        for name in names:
            found[f"all_unique_{name}"] = max(0.0, found["r2_all"] - explained([one for one in names if one != name]))
        return found
