"""Multidimensional scaling: layouts from distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.manifold import smacof
from sklearn.metrics import pairwise_distances
from sklearn.utils.extmath import svd_flip

from numgeom_plugins.reducers.limits import note_rank, require_rows, require_spread

F64 = npt.NDArray[np.float64]


class ClassicalMDS(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal coordinates: the leading eigenvectors of ``-H D^2 H / 2``, times the roots of their eigenvalues.

    With Euclidean distances the result is that of PCA. Other distances (``cosine``, ``cityblock``) may have
    negative eigenvalues: no flat space holds them, and ``negative_share_`` says how much. Unlike scikit-learn's
    class, which gives NaN there, a component without extent is 0 (W-RANK).

    Parameters
    ----------
    n_components : int, default 2
    metric : str, default "euclidean"
        A distance that :func:`sklearn.metrics.pairwise_distances` knows.

    Attributes
    ----------
    eigenvalues_ : ndarray, shape (n,)
        All of them, falling.
    negative_share_ : float
        Sum of the sizes of the negative eigenvalues over that of all, in [0, 1]; 0 for Euclidean distances.

    References
    ----------
    Torgerson 1952; Gower 1966.

    Examples
    --------
    >>> corners = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> layout = ClassicalMDS().fit_transform(corners)
    >>> round(float(np.linalg.norm(layout[1] - layout[2])), 9)
    5.0
    """

    def __init__(self, n_components: int = 2, metric: str = "euclidean") -> None:
        self.n_components = n_components
        self.metric = metric

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal, or more components than rows are asked for.
        """
        apart = _distances("mds_classical", X, self.metric, self.n_components)
        scores, self.eigenvalues_ = _principal_coordinates(apart, self.n_components)
        sizes = np.abs(self.eigenvalues_)
        negative = sizes[self.eigenvalues_ < -len(apart) * np.finfo(np.float64).eps * sizes.max()]
        self.negative_share_ = float(negative.sum() / sizes.sum())
        note_rank("mds_classical", self.eigenvalues_, len(apart), self.n_components)
        return scores


class MetricMDS(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Distances reproduced as well as a flat layout can, by SMACOF from the principal coordinates.

    The start is classical MDS, so that no seed is drawn; scikit-learn's ``smacof`` does the rest.

    Parameters
    ----------
    n_components : int, default 2
    metric : str, default "euclidean"
    max_iter : int, default 300
    eps : float, default 1e-6
        Relative change of stress at which it has converged.

    Attributes
    ----------
    stress_ : float
        Kruskal's stress-1 at the end, in [0, 1].
    n_iter_ : int

    References
    ----------
    Kruskal 1964; de Leeuw 1977 (SMACOF).

    Examples
    --------
    >>> flat = np.random.default_rng(0).normal(size=(30, 2)) @ np.eye(2, 6)
    >>> mds = MetricMDS()
    >>> mds.fit_transform(flat).shape, bool(mds.stress_ < 1e-6)
    ((30, 2), True)
    """

    def __init__(
        self, n_components: int = 2, metric: str = "euclidean", max_iter: int = 300, eps: float = 1e-6
    ) -> None:
        self.n_components = n_components
        self.metric = metric
        self.max_iter = max_iter
        self.eps = eps

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal, or more components than rows are asked for.
        """
        apart = _distances("mds_metric", X, self.metric, self.n_components)
        start, _ = _principal_coordinates(apart, self.n_components)
        layout, self.stress_, self.n_iter_ = smacof(
            apart,
            n_components=self.n_components,
            init=start,
            n_init=1,
            max_iter=self.max_iter,
            eps=self.eps,
            random_state=0,
            return_n_iter=True,
            normalized_stress=True,
        )
        points: F64 = layout
        return points


def _distances(reducer: str, X: npt.ArrayLike, metric: str, n_components: int) -> F64:
    rows = np.asarray(X, dtype=np.float64)
    require_rows(reducer, n_components, rows.shape[0])
    require_spread(reducer, rows)
    if metric in ("euclidean", "cityblock"):
        # A large common mean would cancel in the distances.
        rows = rows - rows.mean(axis=0)
    apart = np.asarray(pairwise_distances(rows, metric=metric), dtype=np.float64)
    return (apart + apart.T) / 2.0


def _principal_coordinates(apart: F64, n_components: int) -> tuple[F64, F64]:
    """Scores, and all eigenvalues; in each column of the scores the largest is positive."""
    products = -0.5 * apart**2
    products -= products.mean(axis=0)
    products -= products.mean(axis=1, keepdims=True)
    values, vectors = eigh(products)
    values, vectors = values[::-1], vectors[:, ::-1][:, :n_components]
    vectors, _ = svd_flip(u=vectors, v=None)
    return vectors * np.sqrt(np.clip(values[:n_components], 0.0, None)), values
