"""Rows that are equal but for rounding: all of them, or some."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation

F64 = npt.NDArray[np.float64]

# A spread of 1e-14 of the rows' own length is the rounding of their mean.
ROUNDING = 1e-28
# Rows apart by at most 1e-5 of their distance from the centre are copies, as in Workspace.duplicate_rows.
COPY = 1e-10


def require_spread(rep: Representation, metric: str) -> None:
    """Refuse rows without variance.

    Parameters
    ----------
    rep : Representation
    metric : str
        Name of the metric, for the message.

    Raises
    ------
    Incompatible
        If all rows are equal up to the rounding of their mean.

    Examples
    --------
    >>> require_spread(Representation(np.eye(4), np.arange(4)), "my_metric")
    """
    mean = rep.workspace.mean
    energy = rep.workspace.energy
    if energy <= ROUNDING * (rep.n * float(mean @ mean) + energy):
        raise Incompatible(
            f"{metric}: all rows are equal, so there is nothing to measure; "
            "check that the source read trained rows, or give other numbers with --numbers."
        )


def squared_between_distinct(rep: Representation) -> F64:
    """Squared distances at unit energy, exactly 0 between copies: a difference of copies has no direction.

    Parameters
    ----------
    rep : Representation

    Returns
    -------
    ndarray, shape (n, n)
        Read-only: it is kept with the representation.

    Examples
    --------
    >>> squared_between_distinct(Representation(np.array([[0.0], [2.0], [2.0 + 1e-9]]), np.arange(3)))[1, 2]
    np.float64(0.0)
    """

    def compute() -> F64:
        work = rep.workspace
        if work.duplicate_rows == 0:
            return np.asarray(work.squared_distances / work.energy, dtype=np.float64)
        norms = np.diagonal(work.gram)
        copies = work.squared_distances <= COPY * (norms[:, None] + norms[None, :])
        return np.asarray(np.where(copies, 0.0, work.squared_distances / work.energy), dtype=np.float64)

    return rep.memo("geometry.squared_between_distinct", compute)
