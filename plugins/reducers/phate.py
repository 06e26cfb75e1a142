"""PHATE that also works on small number sets; the package ``phate`` is an extra."""

from __future__ import annotations

import re
import warnings

import numpy as np
import numpy.typing as npt
import phate

from numgeom import MeasurementWarning
from numgeom_plugins.reducers.limits import lowered, require_components, require_spread, without_unit

F64 = npt.NDArray[np.float64]
_PARTS = re.compile(r"disconnected with (\d+) connected components")


class PHATE(phate.PHATE):  # type: ignore[misc]
    """The phate package's PHATE with ``knn`` kept below half the rows.

    The parameters are those of ``phate.PHATE``.

    Attributes
    ----------
    knn_ : int
        The number of neighbours that was used.

    References
    ----------
    Moon et al. 2019.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(60, 5))
    >>> PHATE(random_state=0, verbose=0).fit_transform(rows).shape
    (60, 2)
    """

    knn: int

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal, or the rows have too few dimensions.

        Warns
        -----
        MeasurementWarning
            W-CLIP where fewer neighbours were used, W-PARTS where the neighbour graph fell apart.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_components("phate", self.n_components, rows.shape)
        require_spread("phate", rows)
        asked = self.knn
        self.knn_ = int(lowered("phate", "knn", asked, max(1, (rows.shape[0] - 1) // 2), "half of the rows"))
        self.knn = self.knn_
        try:
            # Copies among the rows make it divide by zero on the way, hundreds of times; the engine says W-DUP.
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                layout = super().fit_transform(without_unit(rows, self.knn_dist))
        finally:
            self.knn = asked
        for parts in {found[1] for warning in caught if (found := _PARTS.search(str(warning.message)))}:
            text = f"phate: the graph of {self.knn_} neighbours has {parts} parts; raise knn"
            warnings.warn(MeasurementWarning("W-PARTS", text), stacklevel=2)
        return np.asarray(layout, dtype=np.float64)
