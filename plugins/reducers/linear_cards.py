"""Cards of the linear reducers: axes in the space of the rows."""

from __future__ import annotations

from numgeom import ReducerSpec
from numgeom_plugins.reducers.controls import CONTROLS

_HERE = "numgeom_plugins.reducers"


def cards() -> list[ReducerSpec]:
    """The cards of this module."""
    return [
        ReducerSpec(
            name="pca",
            summary="Principal components of the centred rows, by the full singular value decomposition",
            reference="Pearson 1901; scikit-learn PCA",
            target=f"{_HERE}.pca:PCA",
            params={"n_components": 2, "whiten": False, "svd_solver": "full"},
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="svd_uncentred",
            summary="Leading singular directions of the rows as they are, the common mean left in",
            reference="Eckart & Young 1936",
            target=f"{_HERE}.svd:UncentredSVD",
            params={"n_components": 2},
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="fast_ica",
            summary="Independent components: the plane of the leading principal components, whitened and rotated",
            reference="Hyvarinen & Oja 2000; scikit-learn FastICA",
            target=f"{_HERE}.fast_ica:FastICA",
            params={
                "n_components": 2,
                "algorithm": "parallel",
                "whiten": "unit-variance",
                "fun": "logcosh",
                "max_iter": 500,
                "tol": 1e-4,
                "whiten_solver": "svd",
            },
            deterministic=False,
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="random_projection",
            summary="Two random Gaussian directions: the control of every other reducer",
            reference="Johnson & Lindenstrauss 1984; scikit-learn GaussianRandomProjection",
            target="sklearn.random_projection:GaussianRandomProjection",
            params={"n_components": 2},
            deterministic=False,
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="pls",
            summary="Partial least squares on the numbers: supervised, it was told what to find",
            reference="Wold 1966; scikit-learn PLSRegression",
            target=f"{_HERE}.supervised:PLS",
            params={"n_components": 2, "scale": False},
            supervised=True,
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="lda",
            summary="Linear discriminants of a digit: supervised, it was told what to find",
            reference="Fisher 1936; Ledoit & Wolf 2004; scikit-learn LinearDiscriminantAnalysis",
            target=f"{_HERE}.supervised:LDA",
            params={"n_components": 2, "classes": "last_digit"},
            supervised=True,
            nulls=CONTROLS,
            draws=3,
        ),
    ]
