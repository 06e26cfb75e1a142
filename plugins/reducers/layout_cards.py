"""Cards of the layouts: maps from distances and neighbours, with no axes in the space of the rows."""

from __future__ import annotations

from numgeom import ReducerSpec
from numgeom_plugins.reducers.controls import CONTROLS

_HERE = "numgeom_plugins.reducers"


def cards() -> list[ReducerSpec]:
    """The cards of this module."""
    return [*_spectral(), *_iterative(), *_extras()]


def _spectral() -> list[ReducerSpec]:
    """Solved by one eigendecomposition."""
    return [
        ReducerSpec(
            name="kernel_pca",
            summary="Principal components under a Gaussian kernel as wide as the median distance",
            reference="Scholkopf, Smola & Muller 1998; scikit-learn KernelPCA",
            target=f"{_HERE}.kernel_pca:KernelPCA",
            params={
                "n_components": 2,
                "kernel": "rbf",
                "gamma": "median",
                "degree": 3.0,
                "coef0": 1.0,
                "eigen_solver": "dense",
            },
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="mds_classical",
            summary="Principal coordinates of a distance; those of Euclidean distance are the principal components",
            reference="Torgerson 1952; Gower 1966",
            target=f"{_HERE}.mds:ClassicalMDS",
            params={"n_components": 2, "metric": "euclidean"},
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="isomap",
            summary="Principal coordinates of the distance along the neighbour graph; straightens an arch",
            reference="Tenenbaum, de Silva & Langford 2000; scikit-learn Isomap",
            target=f"{_HERE}.isomap:Isomap",
            params={
                "n_components": 2,
                "n_neighbors": 10,
                "metric": "minkowski",
                "p": 2.0,
                "eigen_solver": "dense",
                "path_method": "D",
            },
            nulls=CONTROLS,
            draws=5,
        ),
        ReducerSpec(
            name="spectral_embedding",
            summary="Laplacian eigenmaps: the slowest functions on the neighbour graph",
            reference="Belkin & Niyogi 2003",
            target=f"{_HERE}.spectral:SpectralEmbedding",
            params={"n_components": 2, "n_neighbors": 10},
            nulls=CONTROLS,
            draws=5,
        ),
    ]


def _iterative() -> list[ReducerSpec]:
    """Improved step by step from a start."""
    return [
        ReducerSpec(
            name="mds_metric",
            summary="Distances reproduced as well as a flat layout can, by SMACOF from the principal coordinates",
            reference="Kruskal 1964; de Leeuw 1977; scikit-learn smacof",
            target=f"{_HERE}.mds:MetricMDS",
            params={"n_components": 2, "metric": "euclidean", "max_iter": 300, "eps": 1e-6},
            nulls=CONTROLS,
            draws=3,
        ),
        ReducerSpec(
            name="tsne",
            summary="t-SNE from a principal-component start; keeps near neighbours, not distances",
            reference="van der Maaten & Hinton 2008; Kobak & Berens 2019 (start)",
            target=f"{_HERE}.tsne:TSNE",
            version=2,
            params={
                "n_components": 2,
                "perplexity": 30.0,
                "early_exaggeration": 12.0,
                "learning_rate": "auto",
                "max_iter": 1000,
                "metric": "euclidean",
                "init": "pca",
            },
            deterministic=False,
            nulls=CONTROLS,
            draws=3,
        ),
        ReducerSpec(
            name="umap",
            summary="UMAP from a principal-component start; keeps the neighbour graph, not distances",
            reference="McInnes, Healy & Melville 2018, arXiv:1802.03426; Kobak & Linderman 2021 (start)",
            target=f"{_HERE}.umap:UMAP",
            version=2,
            params={
                "n_components": 2,
                "n_neighbors": 15,
                "min_dist": 0.1,
                "spread": 1.0,
                "local_connectivity": 1.0,
                "metric": "euclidean",
                "init": "pca",
                # A seeded run is single-threaded anyway; saying so spares UMAP's warning about it.
                "n_jobs": 1,
            },
            deterministic=False,
            nulls=CONTROLS,
            draws=3,
        ),
    ]


def _extras() -> list[ReducerSpec]:
    """From packages that numgeom does not bring along."""
    return [
        ReducerSpec(
            name="pacmap",
            summary="PaCMAP from a principal-component start; near, middle and far pairs",
            reference="Wang, Huang, Rudin & Shaposhnik 2021, arXiv:2012.04456",
            target=f"{_HERE}.pacmap:PaCMAP",
            requires=("pacmap",),
            params={
                "n_components": 2,
                "n_neighbors": 10,
                "MN_ratio": 0.5,
                "FP_ratio": 2.0,
                "distance": "euclidean",
                "lr": 1.0,
            },
            deterministic=False,
            nulls=CONTROLS,
            draws=3,
        ),
        ReducerSpec(
            name="phate",
            summary="PHATE: metric scaling of the diffusion potential on the neighbour graph",
            reference="Moon et al. 2019",
            target=f"{_HERE}.phate:PHATE",
            requires=("phate",),
            params={
                "n_components": 2,
                "knn": 5,
                "decay": 40,
                "t": "auto",
                "gamma": 1.0,
                # Its default solver, stochastic gradients, does not converge on small sets.
                "mds_solver": "smacof",
                "n_jobs": 1,
                "verbose": 0,
            },
            deterministic=False,
            nulls=CONTROLS,
            draws=3,
        ),
    ]
