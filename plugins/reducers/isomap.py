"""Isomap: distances along the neighbour graph, laid out flat."""

from __future__ import annotations

import re
import warnings

import numpy as np
import numpy.typing as npt
from sklearn.manifold import Isomap as SklearnIsomap

from numgeom import MeasurementWarning
from numgeom_plugins.reducers.limits import lowered, require_found, require_rows, require_spread, without_unit

F64 = npt.NDArray[np.float64]
_PARTS = re.compile(r"connected components .* is (\d+) > 1")


class Isomap(SklearnIsomap):  # type: ignore[misc]
    """scikit-learn's Isomap with ``n_neighbors`` kept below the number of rows.

    A bent curve comes out straight: what is an arch under PCA is a line here if it is one-dimensional. Where the
    neighbour graph falls apart, its parts are joined at their nearest points and W-PARTS is said: distances
    between parts then mean little. The parameters are those of :class:`sklearn.manifold.Isomap`.

    Attributes
    ----------
    n_neighbors_ : int
        The number of neighbours that was used.
    parts_ : int
        Parts of the neighbour graph before they were joined.

    References
    ----------
    Tenenbaum, de Silva & Langford 2000.

    Examples
    --------
    >>> angle = np.linspace(0.0, 3.0, 60)
    >>> arc = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> straight = Isomap(n_neighbors=4, n_components=1, eigen_solver="dense").fit_transform(arc)[:, 0]
    >>> bool(abs(np.corrcoef(straight, angle)[0, 1]) > 0.9999)
    True
    """

    n_neighbors: int

    def fit(self, X: npt.ArrayLike, y: object = None) -> Isomap:
        """Lay the rows out, shape ``(n, d)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal or equally far apart, or more components than rows are asked for.

        Warns
        -----
        MeasurementWarning
            W-CLIP where fewer neighbours were used, W-PARTS where the neighbour graph fell apart.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_rows("isomap", self.n_components, rows.shape[0])
        require_spread("isomap", rows)
        asked = self.n_neighbors
        self.n_neighbors_ = int(lowered("isomap", "n_neighbors", asked, rows.shape[0] - 1, "below the number of rows"))
        self.parts_ = 1
        # scikit-learn reads its own parameter; the one that the user set comes back whatever happens.
        self.n_neighbors = self.n_neighbors_
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                super().fit(without_unit(rows, self.metric))
        finally:
            self.n_neighbors = asked
        require_found("isomap", self.embedding_.shape[1], self.n_components)
        for warning in caught:
            found = _PARTS.search(str(warning.message))
            if found:
                self.parts_ = int(found[1])
        if self.parts_ > 1:
            text = (
                f"isomap: the graph of {self.n_neighbors_} neighbours has {self.parts_} parts, joined at their "
                "nearest points; raise n_neighbors"
            )
            warnings.warn(MeasurementWarning("W-PARTS", text), stacklevel=2)
        return self

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """The layout, shape ``(n, n_components)``; in each column the largest is positive."""
        layout: F64 = np.asarray(self.fit(X).embedding_, dtype=np.float64)
        return layout
