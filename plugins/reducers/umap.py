"""UMAP that also works on small number sets, and says what it fell back to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import MeasurementWarning
from numgeom_plugins.reducers.limits import lowered, require_components, require_spread, without_unit

with warnings.catch_warnings():
    # Its optional parametric variant wants TensorFlow; numgeom does not use that variant.
    warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
    import umap


class UMAP(umap.UMAP):  # type: ignore[misc]
    """umap-learn's UMAP with ``n_neighbors`` kept below the number of rows.

    The parameters are those of :class:`umap.UMAP`.

    Attributes
    ----------
    n_neighbors_ : int
        The number of neighbours that was used.

    References
    ----------
    McInnes, Healy & Melville 2018, arXiv:1802.03426.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(40, 5))
    >>> UMAP(n_neighbors=10, random_state=0, n_jobs=1).fit_transform(rows).shape
    (40, 2)
    """

    n_neighbors: int

    def fit(self, X: npt.ArrayLike, y: object = None, ensure_all_finite: bool = True, **kwargs: Any) -> UMAP:
        """Lay the rows out, shape ``(n, d)`` to ``embedding_`` of shape ``(n, n_components)``.

        Raises
        ------
        Incompatible
            If all rows are equal, or a principal-component start has too few dimensions.
        """
        rows = np.asarray(X)
        if isinstance(self.init, str) and self.init == "pca":
            require_components("umap", self.n_components, rows.shape)
        require_spread("umap", rows)
        asked = self.n_neighbors
        self.n_neighbors_ = int(lowered("umap", "n_neighbors", asked, rows.shape[0] - 1, "below the number of rows"))
        # UMAP reads its own parameter; the one that the user set comes back whatever happens.
        self.n_neighbors = self.n_neighbors_
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                super().fit(without_unit(rows, self.metric), y, ensure_all_finite, **kwargs)
        finally:
            self.n_neighbors = asked
        for warning in caught:
            if "Spectral initialisation failed" in str(warning.message):
                text = "umap: the spectral start failed and a random one was used; compare several seeds"
                warnings.warn(MeasurementWarning("W-SEED", text), stacklevel=2)
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        return self
