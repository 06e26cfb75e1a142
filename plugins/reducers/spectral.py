"""Laplacian eigenmaps of the neighbour graph, solved exactly."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components, laplacian
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neighbors import kneighbors_graph
from sklearn.utils.extmath import svd_flip

from numgeom import MeasurementWarning
from numgeom_plugins.reducers.limits import lowered, require_rows, require_spread

F64 = npt.NDArray[np.float64]


class SpectralEmbedding(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The slowest functions on the neighbour graph: eigenvectors of its normalised Laplacian after the constant one.

    scikit-learn's class of this name solves by iteration from a random start, which a graph in several parts
    leaves undetermined; at some thousand rows the dense solution is exact and as fast. Columns have unit length
    under the degrees of the graph, as there.

    Parameters
    ----------
    n_components : int, default 2
    n_neighbors : int, default 10
        Of the graph; a pair is joined by 1 if each is a neighbour of the other, by 1/2 if only one is.

    Attributes
    ----------
    eigenvalues_ : ndarray, shape (n_components,)
        Rising, in [0, 2].
    n_neighbors_ : int
        The number of neighbours that was used.
    parts_ : int
        Parts of the graph. With more than one, the first components only say which part a row is in (W-PARTS).

    References
    ----------
    Belkin & Niyogi 2003.

    Examples
    --------
    >>> line = np.arange(50.0)[:, None]
    >>> slow = SpectralEmbedding(n_neighbors=4).fit_transform(line)
    >>> bool(np.all(np.diff(slow[:, 0]) > 0) or np.all(np.diff(slow[:, 0]) < 0))
    True
    """

    def __init__(self, n_components: int = 2, n_neighbors: int = 10) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal, or there are not more rows than components.

        Warns
        -----
        MeasurementWarning
            W-CLIP where fewer neighbours were used, W-PARTS where the neighbour graph fell apart.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_rows("spectral_embedding", self.n_components, rows.shape[0] - 1)
        require_spread("spectral_embedding", rows)
        most = rows.shape[0] - 1
        self.n_neighbors_ = int(
            lowered("spectral_embedding", "n_neighbors", self.n_neighbors, most, "below the number of rows")
        )
        graph = kneighbors_graph(rows - rows.mean(axis=0), self.n_neighbors_, include_self=False)
        graph = 0.5 * (graph + graph.T)
        self.parts_ = int(connected_components(graph, directed=False)[0])
        if self.parts_ > 1:
            text = (
                f"spectral_embedding: the graph of {self.n_neighbors_} neighbours has {self.parts_} parts, and the "
                "first components only tell them apart; raise n_neighbors"
            )
            warnings.warn(MeasurementWarning("W-PARTS", text), stacklevel=2)
        matrix, root_degrees = laplacian(graph.toarray(), normed=True, return_diag=True)
        # All of them: LAPACK's search for a few may come back empty where many are equal.
        values, vectors = eigh(np.asarray(matrix, dtype=np.float64))
        self.eigenvalues_ = np.clip(values[1 : self.n_components + 1], 0.0, 2.0)
        layout, _ = svd_flip(u=vectors[:, 1 : self.n_components + 1] / root_degrees[:, None], v=None)
        points: F64 = layout
        return points
