"""Representations without variance, which no convergence metric can compare."""

from __future__ import annotations

from numgeom import Incompatible, MeasurementWarning, Representation


def require_variance(rep: Representation) -> None:
    """Refuse a representation whose rows are all equal up to the rounding of float64.

    Parameters
    ----------
    rep : Representation

    Raises
    ------
    Incompatible
        If there are fewer than two rows, or they do not differ.
    """
    work = rep.workspace
    # All entries together hold at least as much as the largest: rows that plainly vary are not read again.
    if rep.n > 1 and work.energy > 1e-29 * rep.matrix.size * (work.energy + rep.n * float(work.mean @ work.mean)):
        return
    # No entry can hold more than the largest: this bound of the energy about 0 takes no copy of the rows.
    bound = rep.matrix.size * float(max(rep.matrix.max(initial=0.0), -rep.matrix.min(initial=0.0))) ** 2
    if rep.n < 2 or work.energy <= 1e-30 * bound:
        raise Incompatible(
            f"all {rep.n} rows are equal, so there is no shape to compare; check that the source read "
            "trained rows, or give other numbers with --numbers."
        )


def anisotropy(rep: Representation) -> MeasurementWarning | None:
    """The caveat W-ANISO, where the mean vector holds more than 0.3 of the energy of the raw rows."""
    share = rep.workspace.mean_share
    if share <= 0.3:
        return None
    return MeasurementWarning(
        "W-ANISO", f"the mean vector holds {share:.2f} of the energy, and raw cosines depend on it"
    )


def require_aligned(rows_a: int, rows_b: int) -> None:
    """Refuse two sides of different length.

    Raises
    ------
    Incompatible
    """
    if rows_a != rows_b:
        raise Incompatible(
            f"{rows_a} rows against {rows_b}: both sides need the same numbers; restrict both to those they share."
        )
