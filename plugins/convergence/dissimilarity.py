"""Dissimilarities of all pairs of rows, as upper triangles, with their rounding errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import squareform

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.variance import anisotropy

F64 = npt.NDArray[np.float64]

# Rounding of a cosine, and of a squared distance relative to the squared norms of its two rows.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Dissimilarity:
    """One way to say how far apart two rows are.

    Attributes
    ----------
    name : str
        As it stands in the names of metrics.
    words : str
        As it stands in their descriptions.
    of : callable
        ``Representation -> (n (n - 1) / 2,)``, row by row.
    rounding : callable
        The rounding error of each, of the same shape or a scalar.
    """

    name: str
    words: str
    of: Callable[[Representation], F64]
    rounding: Callable[[Representation], F64 | float]


def upper(matrix: F64) -> F64:
    """The upper triangle without the diagonal, row by row, as a new array.

    Examples
    --------
    >>> upper(np.array([[0.0, 2.0], [2.0, 0.0]])).tolist()
    [2.0]
    """
    return np.asarray(squareform(matrix, checks=False), dtype=np.float64)


def standardised(rows: F64) -> F64:
    """Every row minus its own mean, at unit length; a constant row becomes zero.

    Parameters
    ----------
    rows : ndarray, shape (n, d)

    Returns
    -------
    ndarray, shape (n, d)

    Examples
    --------
    >>> standardised(np.array([[1.0, 3.0], [5.0, 5.0]])).round(3).tolist()
    [[-0.707, 0.707], [0.0, 0.0]]
    """
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    found = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    # A constant row is left with the rounding of its mean, which is no direction.
    return np.asarray(
        np.divide(found, lengths, out=np.zeros_like(found), where=lengths > ROUNDING * sizes), dtype=np.float64
    )


def correlations(rep: Representation, *, centred: bool = False) -> F64:
    """Pearson correlations of all pairs of rows over the columns, ``(n, n)``; a constant row has 0 with all others.

    Parameters
    ----------
    rep : Representation
    centred : bool
        Whether the mean row is taken out first.

    Raises
    ------
    Incompatible
        If there are fewer than three columns, where a correlation is 1 or -1.
    """
    if rep.d < 3:
        raise Incompatible(
            f"correlation distances need at least 3 columns; these rows have {rep.d}: use a euclidean metric."
        )

    def derive() -> F64:
        rows = standardised(rep.workspace.centred if centred else rep.matrix.astype(np.float64))
        return np.asarray(np.clip(rows @ rows.T, -1.0, 1.0), dtype=np.float64)

    return rep.memo(f"convergence.correlations.{centred}", derive)


def _cosine(rep: Representation) -> F64:
    caveat = anisotropy(rep)
    if caveat is not None:
        warnings.warn(caveat, stacklevel=2)
    return 1.0 - upper(rep.workspace.cosines)


def _squared_rounding(rep: Representation) -> F64:
    norms = np.diagonal(rep.workspace.gram)
    return ROUNDING * upper(norms[:, None] + norms[None, :]) / rep.workspace.energy


def _rounding(rep: Representation) -> F64:
    """Rounding errors of distances: a squared distance q with error e has a root with error sqrt(q + e) - sqrt(q)."""
    distances, error = upper(rep.workspace.distances) / np.sqrt(rep.workspace.energy), _squared_rounding(rep)
    return np.asarray(error / (np.sqrt(distances**2 + error) + distances), dtype=np.float64)


def _gaussian(rep: Representation) -> F64:
    squared = rep.workspace.squared_distances
    return np.asarray(1.0 - np.exp(-upper(squared) / squared.mean()), dtype=np.float64)


# Relative to the energy of the cloud, so that neither tiny nor huge rows leave the range of float64.
SQUARED_EUCLIDEAN = Dissimilarity(
    "sqeuclidean",
    "squared Euclidean distances",
    lambda rep: upper(rep.workspace.squared_distances) / rep.workspace.energy,
    _squared_rounding,
)
EUCLIDEAN = Dissimilarity(
    "euclidean",
    "Euclidean distances",
    lambda rep: upper(rep.workspace.distances) / np.sqrt(rep.workspace.energy),
    _rounding,
)
COSINE = Dissimilarity("cosine", "cosine distances of the raw rows", _cosine, lambda rep: ROUNDING)
CORRELATION = Dissimilarity(
    "correlation",
    "correlation distances (1 - Pearson over the columns) of the raw rows",
    lambda rep: 1.0 - upper(correlations(rep)),
    lambda rep: ROUNDING,
)
CENTRED_CORRELATION = Dissimilarity(
    "correlation_centred",
    "correlation distances (1 - Pearson over the columns) of the rows minus the mean row",
    lambda rep: 1.0 - upper(correlations(rep, centred=True)),
    lambda rep: ROUNDING,
)
GAUSSIAN = Dissimilarity(
    "gaussian",
    "Gaussian distances, 1 - exp(-D^2 / mean D^2) with the zero diagonal in the mean",
    _gaussian,
    lambda rep: ROUNDING,
)
