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


def require_rows(reducer: str, n_components: int, n: int) -> None:
    """Refuse more components than a layout of ``n`` rows can have, whatever their width.

    Raises
    ------
    Incompatible
        If ``n_components`` exceeds ``n``.

    Examples
    --------
    >>> require_rows("isomap", 2, 10)
    """
    if n_components > n:
        raise Incompatible(
            f"{reducer}: n_components={n_components} is more than these rows can fill; set n_components to {n} or less."
        )


def require_found(reducer: str, found: int, n_components: int) -> None:
    """Refuse what a solver could not tell apart: it may give no axis at all where all are equally good.

    Raises
    ------
    Incompatible
        If fewer than ``n_components`` axes were found.

    Examples
    --------
    >>> require_found("isomap", 2, 2)
    """
    if found < n_components:
        raise Incompatible(
            f"{reducer}: the rows are all equally far apart, so no axis stands out; use other numbers or rows."
        )


def without_unit(rows: npt.NDArray[Any], metric: Any) -> npt.NDArray[Any]:
    """The rows without mean and unit where distances do not depend on the one and layouts not on the other.

    Libraries that compute in single precision, or square what they get, lose clouds that are tiny or far from 0.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
    metric : str or callable
        What the reducer measures distance by; unknown ones leave the rows as they are.

    Examples
    --------
    >>> without_unit(np.array([[1e-30], [3e-30]]), "euclidean").round(12).tolist()
    [[-1.0], [1.0]]
    """
    values = np.asarray(rows, dtype=np.float64)
    if metric in ("euclidean", "sqeuclidean", "manhattan", "cityblock", "l1", "l2", "chebyshev", "minkowski"):
        values = values - values.mean(axis=0)
    elif metric not in ("cosine", "correlation"):
        return values
    largest = float(np.abs(values).max(initial=0.0))
    return values / largest if largest > 0 else values


def note_rank(reducer: str, eigenvalues: npt.NDArray[np.float64], n: int, n_components: int) -> None:
    """Say W-RANK where fewer of the falling ``eigenvalues`` than ``n_components`` are more than rounding.

    Examples
    --------
    >>> note_rank("mds_classical", np.array([2.0, 1.0, 0.0]), 3, 2)
    """
    rank = int(np.count_nonzero(eigenvalues > n * np.finfo(np.float64).eps * abs(eigenvalues[0])))
    if rank < n_components:
        text = f"{reducer}: {rank} components have extent, below n_components={n_components}"
        warnings.warn(MeasurementWarning("W-RANK", text), stacklevel=3)


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
