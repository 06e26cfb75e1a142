"""t-SNE that also works on small number sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.manifold import TSNE as SklearnTSNE  # noqa: N811

from numgeom_plugins.reducers.limits import lowered, require_components, require_spread, without_unit


class TSNE(SklearnTSNE):  # type: ignore[misc]
    """scikit-learn's t-SNE with the perplexity kept below a third of the rows.

    A perplexity of ``n / 3`` or more makes every row a neighbour of every other; scikit-learn refuses it
    only from ``n`` on. The parameters are those of :class:`sklearn.manifold.TSNE`.

    Attributes
    ----------
    perplexity_ : float
        The perplexity that was used.

    References
    ----------
    van der Maaten & Hinton 2008.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(40, 5))
    >>> TSNE(perplexity=10, init="pca", max_iter=250, random_state=0).fit_transform(rows).shape
    (40, 2)
    """

    perplexity: float

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> npt.NDArray[Any]:
        """Lay the rows out, shape ``(n, d)`` to ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal, or the principal-component start has too few dimensions.
        """
        rows = np.asarray(X)
        if isinstance(self.init, str) and self.init == "pca":
            require_components("tsne", self.n_components, rows.shape)
        require_spread("tsne", rows)
        asked = self.perplexity
        self.perplexity_ = lowered("tsne", "perplexity", asked, (rows.shape[0] - 1) / 3, "below a third of the rows")
        # scikit-learn reads its own parameter; the one that the user set comes back whatever happens.
        self.perplexity = self.perplexity_
        try:
            layout: npt.NDArray[Any] = super().fit_transform(without_unit(rows, self.metric))
        finally:
            self.perplexity = asked
        return layout
