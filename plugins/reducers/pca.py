"""Principal components, refused in one line where there are not enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811

from numgeom_plugins.reducers.limits import require_components

F64 = npt.NDArray[np.float64]


class PCA(SklearnPCA):  # type: ignore[misc]
    """scikit-learn's PCA; the parameters are those of :class:`sklearn.decomposition.PCA`.

    In each component the loading of largest size is positive.

    References
    ----------
    Pearson 1901.

    Examples
    --------
    >>> PCA(n_components=1).fit_transform(np.array([[0.0, 1.0], [2.0, 1.0]])).round(12).ravel().tolist()
    [-1.0, 1.0]
    """

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """The scores, shape ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If ``n_components`` exceeds ``min(n, d)``.
        """
        rows = np.asarray(X)
        if isinstance(self.n_components, int):
            require_components("pca", self.n_components, rows.shape)
        scores: F64 = super().fit_transform(X)
        return scores
