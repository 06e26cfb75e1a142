"""The uncentred singular value decomposition: what PCA would be if the mean were left in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.extmath import svd_flip
from sklearn.utils.validation import check_is_fitted, validate_data

from numgeom import MeasurementWarning
from numgeom_plugins.reducers.limits import require_components

F64 = npt.NDArray[np.float64]


class UncentredSVD(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scores ``U S`` of the thin singular value decomposition of the rows as they are.

    Not scikit-learn's ``TruncatedSVD``: that one is randomised by default, so that its scores depend on a
    seed and on the decay of the spectrum, and its exact solver cannot return all ``min(n, d)`` directions.

    Without centring the first direction is mostly the mean vector: read :attr:`mean_share_` before any
    picture. Scores are orthogonal but not mean-free, so their Pearson correlations are a function of the
    means only (:meth:`score_correlation`), not structure.

    Parameters
    ----------
    n_components : int, default 2
        Directions kept, at most ``min(n, d)``.

    Attributes
    ----------
    components_ : ndarray, shape (n_components, d)
        Right singular vectors; in each the loading of largest size is positive.
    singular_values_ : ndarray, shape (n_components,)
        Falling, in the unit of the rows.
    energy_share_ : ndarray, shape (n_components,)
        Share of ``||X||_F^2`` along each direction, in [0, 1].
    mean_share_ : float
        Share of the mean vector in it, ``n ||mu||^2 / ||X||_F^2`` in [0, 1].
    score_means_ : ndarray, shape (n_components,)
        Column means of the scores.
    n_rows_ : int
        Rows that were fitted.

    References
    ----------
    Eckart & Young 1936.

    Examples
    --------
    >>> rows = np.array([[3.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    >>> svd = UncentredSVD(n_components=2).fit(rows)
    >>> svd.singular_values_.tolist()
    [5.0, 1.0]
    """

    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def fit(self, X: npt.ArrayLike, y: object = None) -> UncentredSVD:
        """Find the directions of ``X``, shape ``(n, d)``; ``y`` is ignored."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """Find the directions and return the scores, shape ``(n, n_components)``.

        Raises
        ------
        Incompatible
            If ``n_components`` exceeds ``min(n, d)``.
        """
        rows: F64 = validate_data(self, X, dtype=np.float64)
        require_components("svd_uncentred", self.n_components, rows.shape)
        left, values, right = np.linalg.svd(rows, full_matrices=False)
        left, right = svd_flip(left, right, u_based_decision=False)
        kept = slice(self.n_components)
        rank = int(np.count_nonzero(values > max(rows.shape) * np.finfo(np.float64).eps * values[0]))
        if rank < self.n_components:
            warnings.warn(
                MeasurementWarning("W-RANK", f"the rows have rank {rank}, below n_components={self.n_components}"),
                stacklevel=2,
            )
        energy = float(values @ values)
        mean = rows.mean(axis=0)
        self.components_ = right[kept]
        self.singular_values_ = values[kept]
        self.energy_share_ = values[kept] ** 2 / energy if energy > 0 else np.zeros(self.n_components)
        self.mean_share_ = rows.shape[0] * float(mean @ mean) / energy if energy > 0 else 0.0
        self.score_means_ = self.components_ @ mean
        self.n_rows_ = rows.shape[0]
        self._n_features_out = self.n_components
        scores: F64 = left[:, kept] * values[kept]
        return scores

    def transform(self, X: npt.ArrayLike) -> F64:
        """Scores of other rows of the same width along the directions found, shape ``(m, n_components)``."""
        check_is_fitted(self)
        rows: F64 = validate_data(self, X, dtype=np.float64, reset=False)
        scores: F64 = rows @ self.components_.T
        return scores

    def score_correlation(self) -> F64:
        """Pearson correlation of the score columns, from means and singular values alone.

        ``r_ij = -n m_i m_j / sqrt((s_i^2 - n m_i^2)(s_j^2 - n m_j^2))`` for ``i != j``; it holds whatever the
        rows are, so a correlation map of uncentred components shows the mean and nothing else.

        Returns
        -------
        ndarray, shape (n_components, n_components)
            In [-1, 1], with a unit diagonal.

        Examples
        --------
        >>> rows = np.random.default_rng(0).normal(1.0, 1.0, (50, 6))
        >>> svd = UncentredSVD(3)
        >>> scores = svd.fit_transform(rows)
        >>> bool(np.allclose(svd.score_correlation(), np.corrcoef(scores.T)))
        True
        """
        check_is_fitted(self)
        n, means = self.n_rows_, self.score_means_
        spread = np.sqrt(self.singular_values_**2 - n * means**2)
        correlation: F64 = -n * np.outer(means, means) / np.outer(spread, spread)
        np.fill_diagonal(correlation, 1.0)
        return correlation

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
