"""PaCMAP that also works on small number sets; the package ``pacmap`` is an extra."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pacmap

from numgeom_plugins.reducers.limits import lowered, require_components, require_spread, without_unit

F64 = npt.NDArray[np.float64]

# It tells every seeded run that its seed was set.
logging.getLogger("pacmap.pacmap").setLevel(logging.ERROR)


class PaCMAP(pacmap.PaCMAP):  # type: ignore[misc]
    """The pacmap package's PaCMAP from a principal-component start, ``n_neighbors`` kept below the number of rows.

    The parameters are those of ``pacmap.PaCMAP``. A seed makes it single-threaded.

    Attributes
    ----------
    n_neighbors_ : int
        The number of neighbours that was used.

    References
    ----------
    Wang, Huang, Rudin & Shaposhnik 2021, arXiv:2012.04456.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(60, 5))
    >>> PaCMAP(n_neighbors=10, random_state=0).fit_transform(rows).shape
    (60, 2)
    """

    n_neighbors: int

    def fit_transform(self, X: npt.ArrayLike, init: Any = "pca", save_pairs: bool = True) -> F64:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``.

        Raises
        ------
        Incompatible
            If all rows are equal, or the principal-component start has too few dimensions.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_components("pacmap", self.n_components, rows.shape)
        require_spread("pacmap", rows)
        asked = self.n_neighbors
        # Its middle and far pairs are drawn from the rows that are no neighbours.
        most = max(1, (rows.shape[0] - 1) // 4)
        self.n_neighbors_ = int(lowered("pacmap", "n_neighbors", asked, most, "a quarter of the rows"))
        single = without_unit(rows, self.distance).astype(np.float32)
        self.n_neighbors = self.n_neighbors_
        try:
            layout = super().fit_transform(single, init=init, save_pairs=save_pairs)
        finally:
            self.n_neighbors = asked
        return np.asarray(layout, dtype=np.float64)
