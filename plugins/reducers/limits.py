"""What the size of a cloud allows a reducer to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning


def require_components(reducer: str, n_components: int, shape: tuple[int, int]) -> None:
    """Refuse more components than an ``(n, d)`` cloud can have.

    Raises
    ------
    Incompatible
        If ``n_components`` exceeds ``min(n, d)``.

    Examples
    --------
    >>> require_components("svd_uncentred", 2, (10, 64))
    """
    if n_components > min(shape):
        raise Incompatible(
            f"{reducer}: n_components={n_components} is more than {shape[0]} rows of width {shape[1]} have; "
            f"set n_components to {min(shape)} or less."
        )


def require_spread(reducer: str, rows: npt.NDArray[Any]) -> None:
    """Refuse a cloud whose rows are all the same.

    Raises
    ------
    Incompatible
        If every row equals the first.

    Examples
    --------
    >>> require_spread("tsne", np.eye(3))
    """
    if not np.any(rows != rows[:1]):
        raise Incompatible(f"{reducer}: all {rows.shape[0]} rows are the same point; there is nothing to lay out.")


def lowered(reducer: str, parameter: str, value: float, limit: float, rule: str) -> float:
    """``value``, or ``limit`` with a W-CLIP warning where the cloud is too small for ``value``.

    Parameters
    ----------
    reducer, parameter : str
        Names for the warning.
    value, limit : float
        What was asked and the most that this cloud allows.
    rule : str
        The limit in words.

    Examples
    --------
    >>> lowered("tsne", "perplexity", 30.0, 333.0, "below n / 3")
    30.0
    """
    if value <= limit:
        return value
    warnings.warn(
        MeasurementWarning("W-CLIP", f"{reducer}: {parameter} lowered from {value:g} to {limit:g} ({rule})"),
        stacklevel=3,
    )
    return limit
