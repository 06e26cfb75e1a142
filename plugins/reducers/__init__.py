"""Reducers: scikit-learn transformers that bring ``(n, d)`` rows to ``(n, k)`` for looking at.

None of their pictures is a result by itself: the engine draws the same reduction of random tokens and of
the same rows under shuffled labels beside it, and the geometry metric ``fidelity`` says what it kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import ReducerSpec, hookimpl


@hookimpl
def numgeom_reducers() -> Iterable[ReducerSpec]:
    """Two exact linear reducers, and the two neighbour layouts that the field uses."""
    return [
        ReducerSpec(
            name="pca",
            summary="Principal components of the centred rows, by the full singular value decomposition",
            reference="Pearson 1901; scikit-learn PCA",
            target="sklearn.decomposition:PCA",
            params={"n_components": 2, "whiten": False, "svd_solver": "full"},
            draws=5,
        ),
        ReducerSpec(
            name="svd_uncentred",
            summary="Leading singular directions of the rows as they are, the common mean left in",
            reference="Eckart & Young 1936",
            target="numgeom_plugins.reducers.svd:UncentredSVD",
            params={"n_components": 2},
            draws=5,
        ),
        ReducerSpec(
            name="tsne",
            summary="t-SNE from a principal-component start; keeps near neighbours, not distances",
            reference="van der Maaten & Hinton 2008; Kobak & Berens 2019 (start)",
            target="numgeom_plugins.reducers.tsne:TSNE",
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
            draws=5,
        ),
        ReducerSpec(
            name="umap",
            summary="UMAP from a spectral start; keeps the neighbour graph, not distances",
            reference="McInnes, Healy & Melville 2018, arXiv:1802.03426",
            target="numgeom_plugins.reducers.umap:UMAP",
            params={
                "n_components": 2,
                "n_neighbors": 15,
                "min_dist": 0.1,
                "spread": 1.0,
                "metric": "euclidean",
                "init": "spectral",
                # A seeded run is single-threaded anyway; saying so spares UMAP's warning about it.
                "n_jobs": 1,
            },
            deterministic=False,
            draws=5,
        ),
    ]
