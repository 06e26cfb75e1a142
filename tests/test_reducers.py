"""Reducers: exact answers first, then real rows, then what a user can get wrong."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from numgeom import Incompatible, MeasurementWarning, ReducerSpec
from numgeom_plugins.reducers import numgeom_reducers
from numgeom_plugins.reducers.svd import UncentredSVD
from numgeom_plugins.reducers.tsne import TSNE

F64 = npt.NDArray[np.float64]
CARDS: dict[str, ReducerSpec] = {card.name: card for card in numgeom_reducers()}


def reduced(name: str, rows: F64, **params: object) -> F64:
    """What the engine does with a card."""
    target, full = CARDS[name].load(), CARDS[name].with_params(params)
    if "random_state" in inspect.signature(target).parameters:
        full["random_state"] = 0
    return np.asarray(target(**full).fit_transform(rows), dtype=np.float64)


def cloud(n: int = 60, d: int = 8, mean: float = 0.0, seed: int = 0) -> F64:
    return np.random.default_rng(seed).normal(mean, 1.0, (n, d)) * np.linspace(3.0, 1.0, d)


def three_clusters(seed: int = 0) -> tuple[F64, npt.NDArray[np.int64]]:
    label = np.repeat(np.arange(3), 15)
    return np.random.default_rng(seed).normal(size=(45, 6)) + 40.0 * np.eye(3, 6)[label], label


def neighbours_share_label(layout: F64, label: npt.NDArray[np.int64]) -> float:
    distances = np.linalg.norm(layout[:, None] - layout[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((label[distances.argmin(axis=1)] == label).mean())


def test_listing_the_cards_imports_no_heavy_package() -> None:
    code = (
        "import sys, numgeom_plugins.reducers as r; list(r.numgeom_reducers());"
        "print([m for m in ('sklearn', 'umap', 'scipy', 'matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cards_say_what_their_classes_take() -> None:
    for card in CARDS.values():
        if card.name == "umap" or card.missing_packages():
            continue  # importing umap takes seconds; its own test does, and so do those of the extras
        assert set(card.params) <= set(inspect.signature(card.load()).parameters), card.name


def test_pca_of_a_plane_keeps_every_distance() -> None:
    flat = cloud(d=2)
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 2)))[0]
    scores = reduced("pca", flat @ basis.T + 5.0)
    before = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    after = np.linalg.norm(scores[:, None] - scores[None], axis=2)
    np.testing.assert_allclose(after, before, atol=1e-10)


@pytest.mark.parametrize("name", ["pca", "svd_uncentred"])
def test_largest_loading_is_positive(name: str) -> None:
    for seed in range(5):
        model = CARDS[name].load()(**CARDS[name].params).fit(cloud(seed=seed))
        for loading in model.components_:
            assert loading[np.abs(loading).argmax()] > 0


@pytest.mark.parametrize("name", ["pca", "svd_uncentred"])
def test_linear_reducers_follow_the_rows(name: str) -> None:
    rows, order = cloud(mean=2.0), np.random.default_rng(3).permutation(60)
    np.testing.assert_allclose(reduced(name, rows[order]), reduced(name, rows)[order], atol=1e-9)


def test_uncentred_svd_is_pca_once_the_mean_is_gone() -> None:
    rows = cloud(mean=2.0)
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(reduced("svd_uncentred", centred), reduced("pca", rows), atol=1e-9)
    assert not np.allclose(reduced("svd_uncentred", rows), reduced("pca", rows), atol=0.1)


def test_uncentred_scores_are_orthogonal_and_project_the_rows() -> None:
    rows = cloud(mean=2.0)
    model = UncentredSVD(n_components=5)
    scores = model.fit_transform(rows)
    np.testing.assert_allclose(scores.T @ scores, np.diag(model.singular_values_**2), atol=1e-8)
    np.testing.assert_allclose(model.transform(rows), scores, atol=1e-10)
    np.testing.assert_allclose(model.score_means_, scores.mean(axis=0), atol=1e-12)


def test_all_directions_together_hold_all_energy() -> None:
    model = UncentredSVD(n_components=8).fit(cloud(mean=2.0))
    assert model.energy_share_.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all(np.diff(model.energy_share_) <= 0)


def test_mean_share_of_a_common_mean() -> None:
    rows = np.full((10, 4), 3.0)
    rows[0, 0] += 1e-9
    assert UncentredSVD(1).fit(rows).mean_share_ == pytest.approx(1.0)
    symmetric = np.vstack([np.eye(4), -np.eye(4)])
    assert UncentredSVD(1).fit(symmetric).mean_share_ == 0.0


def test_score_correlation_needs_the_means_only() -> None:
    model = UncentredSVD(n_components=6)
    scores = model.fit_transform(cloud(n=200, d=12, mean=1.5))
    measured = np.corrcoef(scores.T)
    np.testing.assert_allclose(model.score_correlation(), measured, atol=1e-13)
    assert np.abs(measured - np.eye(6)).max() > 0.05


def test_uncentred_svd_keeps_scikit_learns_rules() -> None:
    with warnings.catch_warnings():
        # The suite of checks fits clouds of rank one, and warns of the ones that it skips.
        warnings.simplefilter("ignore")
        results = check_estimator(UncentredSVD(n_components=1), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) > 30


def test_missing_rank_is_said() -> None:
    line = np.outer(np.arange(1.0, 9.0), [1.0, 2.0, 3.0])
    with pytest.warns(MeasurementWarning, match="W-RANK: the rows have rank 1, below n_components=2"):
        scores = reduced("svd_uncentred", line)
    np.testing.assert_allclose(scores[:, 1], 0.0, atol=1e-12)


def test_too_many_components_is_one_line() -> None:
    with pytest.raises(Incompatible, match=r"^svd_uncentred: n_components=9 .* set n_components to 8 or less\.$"):
        reduced("svd_uncentred", cloud(), n_components=9)


def test_tsne_keeps_clusters_and_its_seed() -> None:
    rows, label = three_clusters()
    layout = reduced("tsne", rows, perplexity=10.0)
    assert neighbours_share_label(layout, label) == 1.0
    np.testing.assert_array_equal(layout, reduced("tsne", rows, perplexity=10.0))


def test_tsne_lowers_perplexity_on_small_sets_and_gives_it_back() -> None:
    model = TSNE(perplexity=30.0, init="pca", max_iter=250, random_state=0)
    with pytest.warns(MeasurementWarning, match="W-CLIP: tsne: perplexity lowered from 30 to 3 "):
        layout = model.fit_transform(cloud(n=10))
    assert layout.shape == (10, 2)
    assert np.isfinite(layout).all()
    assert (model.perplexity, model.perplexity_) == (30.0, 3.0)
    assert clone(model).perplexity == 30.0


def test_tsne_says_nothing_where_the_set_is_large_enough() -> None:
    model = TSNE(perplexity=30.0, init="pca", max_iter=250, random_state=0)
    model.fit_transform(cloud(n=92))
    assert model.perplexity_ == 30.0


def test_tsne_refuses_what_it_cannot_lay_out() -> None:
    with pytest.raises(Incompatible, match="all 20 rows are the same point"):
        reduced("tsne", np.ones((20, 5)))
    with pytest.raises(Incompatible, match="n_components=2 is more than 20 rows of width 1 have"):
        reduced("tsne", cloud(n=20, d=1))


def test_tsne_does_not_depend_on_the_unit_of_the_rows() -> None:
    # Distances of 1e-30 underflow when squared, and scikit-learn's tree of points then never ends.
    rows, label = three_clusters()
    layout = reduced("tsne", 1e-30 * rows, perplexity=10.0)
    assert neighbours_share_label(layout, label) == 1.0
    assert reduced("tsne", 1e-30 * rows, perplexity=10.0, metric="cosine").shape == (45, 2)


def test_umap_is_umap_and_keeps_its_seed_clusters_and_limits(shared: Path) -> None:
    # One test, because its first layout compiles for several seconds in each process.
    target = CARDS["umap"].load()
    import umap

    assert issubclass(target, umap.UMAP)
    assert set(CARDS["umap"].params) <= set(inspect.signature(target).parameters)

    rows, label = three_clusters()
    layout = reduced("umap", rows)
    assert neighbours_share_label(layout, label) == 1.0
    np.testing.assert_array_equal(layout, reduced("umap", rows))

    model = target(n_neighbors=15, random_state=0, n_jobs=1)
    with pytest.warns(MeasurementWarning, match="W-CLIP: umap: n_neighbors lowered from 15 to 9 "):
        layout = model.fit_transform(cloud(n=10))
    assert np.isfinite(layout).all()
    assert (model.n_neighbors, model.n_neighbors_) == (15, 9)

    with pytest.raises(Incompatible, match="all 20 rows are the same point"):
        reduced("umap", np.ones((20, 5)))
    with pytest.raises(Incompatible, match="n_components=2 is more than 20 rows of width 1 have"):
        reduced("umap", cloud(n=20, d=1), init="pca")

    # The mean and the unit of a cloud are none of its shape.
    far = reduced("umap", 1e-9 * rows + 1e-4)
    assert neighbours_share_label(far, label) == 1.0

    # Hundreds of these numbers share one vector: the neighbour graph has no usable spectrum.
    stored = load_file(shared / "data" / "embeddings" / "glove_cc_spacy_md_cosine_0_2100.safetensors")
    with pytest.warns(MeasurementWarning, match="W-SEED: umap: the spectral start failed"):
        assert np.isfinite(reduced("umap", stored["numbers"][:1000].astype(np.float64), init="spectral")).all()


@pytest.mark.parametrize("name", ["pca", "svd_uncentred", "tsne"])
def test_real_numbers_are_ordered_where_shuffled_ones_are_not(shared: Path, name: str) -> None:
    stored = load_file(shared / "data" / "embeddings" / "nlpl_bnc_skipgram_300d.safetensors")
    order = np.argsort(stored["number_values"])
    layout = reduced(name, stored["numbers"][order].astype(np.float64))

    def roughness(points: F64) -> float:
        return float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())

    rng = np.random.default_rng(0)
    shuffled = [roughness(layout[rng.permutation(len(layout))]) for _ in range(19)]
    assert roughness(layout) < 0.6 * min(shuffled)
