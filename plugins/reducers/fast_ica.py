"""Independent components, in an order and with signs that do not depend on the seed."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.stats import kurtosis
from sklearn.decomposition import FastICA as SklearnFastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import svd_flip

from numgeom import Incompatible, MeasurementWarning
from numgeom_plugins.reducers.limits import require_components, require_spread

F64 = npt.NDArray[np.float64]


class FastICA(SklearnFastICA):  # type: ignore[misc]
    """scikit-learn's FastICA; components ordered by the size of their excess kurtosis, the largest score positive.

    It first whitens the leading ``n_components`` principal components, and then only rotates them: with two
    components the picture is the plane of PC1 and PC2 with equal variances. The parameters are those of
    :class:`sklearn.decomposition.FastICA`; ``transform`` and ``components_`` have scikit-learn's own order.

    Attributes
    ----------
    n_iter_ : int

    References
    ----------
    Hyvarinen & Oja 2000.

    Examples
    --------
    >>> hidden = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 2))
    >>> mixed = hidden @ np.array([[1.0, 0.5], [0.3, 1.0]])
    >>> found = FastICA(2, whiten="unit-variance", random_state=0).fit_transform(mixed)
    >>> match = np.abs(np.corrcoef(hidden.T, found.T))[:2, 2:]
    >>> bool((match.max(axis=1) > 0.99).all())
    True
    """

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """The components, shape ``(n, n_components)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If the rows have fewer dimensions than components are asked for.

        Warns
        -----
        MeasurementWarning
            W-SEED where it did not converge: another seed may give another rotation.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_components("fast_ica", self.n_components, rows.shape)
        require_spread("fast_ica", rows)
        centred = rows - rows.mean(axis=0)
        values = np.linalg.svd(centred, compute_uv=False)
        rank = int(np.count_nonzero(values > max(rows.shape) * np.finfo(np.float64).eps * values[0]))
        if rank < self.n_components:
            raise Incompatible(f"fast_ica: the rows have rank {rank}, below {self.n_components} components; ask fewer.")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # The unit of the rows is taken out: the search works on whitened rows and their scale only costs digits.
            sources: F64 = super().fit_transform(centred / values[0])
        for warning in caught:
            if issubclass(warning.category, ConvergenceWarning):
                text = "fast_ica: no convergence: another seed may give another rotation; raise max_iter"
                warnings.warn(MeasurementWarning("W-SEED", text), stacklevel=2)
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        order = np.argsort(-np.abs(kurtosis(sources, axis=0)), kind="stable")
        ordered, _ = svd_flip(u=sources[:, order], v=None)
        return np.asarray(ordered, dtype=np.float64)
