"""Kernel PCA whose kernel has the width of the cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import KernelPCA as SklearnKernelPCA
from sklearn.metrics import euclidean_distances

from numgeom import Incompatible
from numgeom_plugins.reducers.limits import note_rank, require_found, require_rows, require_spread

F64 = npt.NDArray[np.float64]


class KernelPCA(SklearnKernelPCA):  # type: ignore[misc]
    """scikit-learn's kernel PCA; ``gamma="median"`` sets the width of the kernel from the cloud.

    With gamma = 1 / (2 m^2), m the median distance between two rows, the Gaussian kernel does not depend on the
    unit of the rows; scikit-learn's default, 1 / d, does. The other parameters are those of
    :class:`sklearn.decomposition.KernelPCA`.

    Parameters
    ----------
    gamma : "median", float or None, default "median"
        ``None`` is scikit-learn's own 1 / d.

    Attributes
    ----------
    gamma_ : float
        What was used.
    eigenvalues_ : ndarray, shape (n_components,)
        Of the centred kernel, falling.

    References
    ----------
    Scholkopf, Smola & Muller 1998; Garreau, Jitkrittum & Kanagawa 2018, arXiv:1707.07269 (median heuristic).

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(40, 5))
    >>> once = KernelPCA(n_components=2, kernel="rbf").fit_transform(rows)
    >>> bool(np.allclose(once, KernelPCA(n_components=2, kernel="rbf").fit_transform(1000.0 * rows)))
    True
    """

    gamma: Any

    def __init__(
        self,
        n_components: int = 2,
        *,
        kernel: str = "rbf",
        gamma: Any = "median",
        degree: float = 3,
        coef0: float = 1,
        eigen_solver: str = "dense",
    ) -> None:
        super().__init__(
            n_components, kernel=kernel, gamma=gamma, degree=degree, coef0=coef0, eigen_solver=eigen_solver
        )

    def fit(self, X: npt.ArrayLike, y: object = None) -> KernelPCA:
        """Find the components of ``X``, shape ``(n, d)``; ``y`` is ignored.

        Raises
        ------
        Incompatible
            If all rows are equal or equally far apart, more components than rows are asked for, or the kernel gives
            no number.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_rows("kernel_pca", self.n_components, rows.shape[0])
        require_spread("kernel_pca", rows)
        asked = self.gamma
        if isinstance(asked, str):
            if asked != "median":
                raise Incompatible(f"kernel_pca: gamma is a number, None or 'median', not {asked!r}.")
            squared = euclidean_distances(rows - rows.mean(axis=0), squared=True)[np.triu_indices(len(rows), 1)]
            # Half of the rows may be copies of one another: then the mean says how large the cloud is.
            self.gamma_ = 0.5 / float(np.median(squared) or squared.mean())
        else:
            self.gamma_ = asked
        # scikit-learn reads its own parameter; the one that the user set comes back whatever happens.
        self.gamma = self.gamma_
        try:
            super().fit(rows)
        except ValueError as error:
            raise Incompatible(f"kernel_pca: {' '.join(str(error).split())}") from error
        finally:
            self.gamma = asked
        require_found("kernel_pca", self.eigenvalues_.size, self.n_components)
        note_rank("kernel_pca", self.eigenvalues_, rows.shape[0], self.n_components)
        return self

    def fit_transform(self, X: npt.ArrayLike, y: object = None) -> F64:
        """The scores, shape ``(n, n_components)``; in each column the largest is positive."""
        self.fit(X)
        scores: F64 = self.eigenvectors_ * np.sqrt(np.clip(self.eigenvalues_, 0.0, None))
        return scores
