"""Whether the length of a row tells which number it is, and whether frequency tells it better."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.correlation import correlation, first_order_partial, partial_correlation
from numgeom_plugins.geometry.numerals import merge_rank, signed_log
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
# Unit rows that were stored in single precision, or as text, are unit only to so many digits.
UNIT = 1e-5


@dataclass(frozen=True, slots=True)
class Norms:
    """The norms, and what they are correlated with."""

    norms: F64
    linear: F64
    log: F64
    rank: F64 | None


class NormProfile(RowOrderMetric[Norms]):
    """Correlations of the Euclidean norm of a row with n, log n and log merge rank, plain and partial.

    Log is ``ln(1 + n)`` (``-ln(1 - n)`` below 0), merge rank ``ln(1 + id)`` of the number's token. Pearson, all in
    [-1, 1] but the first:

    - ``norm_cv``: sd of the norms divided by their mean, at least 0;
    - ``r_linear``, ``r_log``: with n, with log n;
    - ``partial_linear``: with n given log n; ``partial_log``: with log n given n;
    - ``r_merge_rank``; ``partial_merge_rank``: with merge rank given n and log n; ``partial_log_merge_rank``: with
      log n given merge rank. These three only where the tokens' ids are known.

    A partial correlation is 0 where the variables held fixed leave nothing of one of the two.

    Raises
    ------
    Incompatible
        If all norms agree to five digits, as those of unit rows do.

    Warns
    -----
    MeasurementWarning
        W-FREQ where the tokens' ids are not known.

    References
    ----------
    Yule 1907 (partial correlation). The norm of a word vector follows its frequency: Schakel & Wilson 2015,
    arXiv:1508.02297.

    Examples
    --------
    >>> rows = np.outer(np.log1p(np.arange(30.0)) + 1.0, [0.6, 0.8])
    >>> found = NormProfile()(Representation(rows, np.arange(30), token_ids=np.arange(30)))
    >>> round(found["r_log"], 9), round(found["partial_linear"], 9)
    (1.0, 0.0)
    """

    def prepare(self, rep: Representation) -> Norms:
        """The norms."""
        matrix = rep.matrix.astype(np.float64)
        norms = np.linalg.norm(matrix, axis=1)
        if norms.size == 0 or np.ptp(norms) <= UNIT * float(norms.max()):
            raise Incompatible(
                "norm_profile: all rows are equally long to five digits, so the norm tells nothing of the number; "
                "give rows that are not normalised."
            )
        rank = merge_rank(rep)
        if rank is None:
            text = "the tokens' ids are not known, so norms may follow token frequency alone"
            warnings.warn(MeasurementWarning("W-FREQ", text), stacklevel=4)
        return Norms(norms, rep.numbers.astype(np.float64), signed_log(rep.numbers), rank)

    def measure(self, state: Norms, order: I64) -> dict[str, float]:
        """The correlations for one order of the rows."""
        norms = state.norms[order]
        r_linear, r_log = correlation(norms, state.linear), correlation(norms, state.log)
        between = correlation(state.linear, state.log)
        found = {
            "norm_cv": float(norms.std() / norms.mean()),
            "r_linear": r_linear,
            "r_log": r_log,
            "partial_linear": first_order_partial(r_linear, r_log, between),
            "partial_log": first_order_partial(r_log, r_linear, between),
        }
        if state.rank is not None:
            r_rank = correlation(norms, state.rank)
            magnitude = np.column_stack([state.linear, state.log])
            found["r_merge_rank"] = r_rank
            found["partial_merge_rank"] = partial_correlation(norms, state.rank, magnitude)
            found["partial_log_merge_rank"] = first_order_partial(r_log, r_rank, correlation(state.log, state.rank))
        return found

    def figures(self, state: Norms, rep: Representation) -> dict[str, Curve]:
        """The norm against the number."""
        return {"norms": Curve(x=rep.numbers, y=state.norms, x_label="number", y_label="norm")}
