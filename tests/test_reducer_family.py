"""The reducers beyond PCA, t-SNE and UMAP: known answers, real rows, and what they refuse."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from numgeom import Incompatible, MeasurementWarning, ReducerSpec
from numgeom_plugins.reducers import numgeom_reducers
from numgeom_plugins.reducers.fast_ica import FastICA
from numgeom_plugins.reducers.isomap import Isomap
from numgeom_plugins.reducers.kernel_pca import KernelPCA
from numgeom_plugins.reducers.limits import require_found
from numgeom_plugins.reducers.mds import ClassicalMDS, MetricMDS
from numgeom_plugins.reducers.pca import PCA
from numgeom_plugins.reducers.spectral import SpectralEmbedding
from numgeom_plugins.reducers.supervised import LDA, PLS, digit_classes

F64 = npt.NDArray[np.float64]
CARDS: dict[str, ReducerSpec] = {card.name: card for card in numgeom_reducers()}
ALWAYS = [card for card in CARDS.values() if not card.missing_packages() and card.name != "umap"]


def reduced(card: ReducerSpec, rows: F64, **params: object) -> F64:
    """What the engine does with a card."""
    target, full = card.load(), card.with_params(params)
    if "random_state" in inspect.signature(target).parameters:
        full["random_state"] = 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="W-LABEL-LEAK", category=MeasurementWarning)
        model = target(**full)
        points = model.fit_transform(rows, np.arange(len(rows))) if card.supervised else model.fit_transform(rows)
    return np.asarray(points, dtype=np.float64)


def cloud(n: int = 60, d: int = 8, seed: int = 0) -> F64:
    return np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(3.0, 1.0, d)


def walk(n: int = 120, d: int = 800) -> F64:
    return np.random.default_rng(0).normal(size=(n, d)).cumsum(axis=0)


def apart(rows: F64) -> F64:
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)


@pytest.mark.parametrize("card", ALWAYS, ids=lambda card: card.name)
def test_every_reducer_stands_beside_the_same_controls(card: ReducerSpec) -> None:
    assert card.nulls == ("random_tokens", "row_permutation", "smooth_surrogate", "iid_gaussian")
    assert 3 <= card.draws <= 5


# The gradient descent of t-SNE is chaotic: rounding moves it.
@pytest.mark.parametrize("card", [card for card in ALWAYS if card.name != "tsne"], ids=lambda card: card.name)
def test_layouts_do_not_depend_on_the_unit(card: ReducerSpec) -> None:
    rows = cloud()
    once, again = reduced(card, rows), reduced(card, 1000.0 * rows)
    assert np.abs(np.corrcoef(once.T, again.T)[[0, 1], [2, 3]]).min() > 1 - 1e-6


@pytest.mark.parametrize("name", ["kernel_pca", "mds_classical", "isomap", "spectral_embedding", "pls", "lda"])
def test_the_largest_score_of_an_axis_of_a_layout_is_positive(name: str) -> None:
    for seed in range(4):
        for axis in reduced(CARDS[name], cloud(seed=seed)).T:
            assert axis[np.abs(axis).argmax()] > 0


def test_classical_scaling_of_euclidean_distances_is_pca() -> None:
    rows = cloud()
    mine, theirs = ClassicalMDS(n_components=3).fit_transform(rows), PCA(n_components=3).fit_transform(rows)
    np.testing.assert_allclose(np.abs(mine), np.abs(theirs), atol=1e-9)


def test_classical_scaling_says_how_far_a_distance_is_from_flat() -> None:
    rows = cloud()
    flat, bent = ClassicalMDS(), ClassicalMDS(metric="cityblock")
    flat.fit_transform(rows)
    bent.fit_transform(rows)
    assert flat.negative_share_ == 0.0 < bent.negative_share_ < 0.5


def test_a_component_without_extent_is_zero_and_said() -> None:
    with pytest.warns(MeasurementWarning, match="W-RANK: mds_classical: 1 components have extent"):
        layout = ClassicalMDS().fit_transform(np.outer(np.arange(9.0), [1.0, 2.0]))
    np.testing.assert_allclose(layout[:, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(np.ptp(layout[:, 0]), 8.0 * np.sqrt(5.0))


def test_metric_scaling_has_less_stress_than_its_start() -> None:
    rows = cloud(d=20)
    mds = MetricMDS()
    layout = mds.fit_transform(rows)
    start = ClassicalMDS().fit_transform(rows)

    def stress(points: F64) -> float:
        far, near = apart(rows), apart(points)
        return float(((far - near) ** 2).sum())

    assert stress(layout) < 0.5 * stress(start)
    assert mds.stress_ == pytest.approx(np.sqrt(stress(layout) / (apart(layout) ** 2).sum()), rel=0.01)


def test_isomap_straightens_the_arch_of_a_walk() -> None:
    rank = np.arange(120)
    arch, straight = PCA(n_components=2).fit_transform(walk()), reduced(CARDS["isomap"], walk())
    bend = [np.corrcoef(points[:, 1], (rank - rank.mean()) ** 2)[0, 1] ** 2 for points in (arch, straight)]
    reach = [points[:, 1].std() / points[:, 0].std() for points in (arch, straight)]
    assert bend[0] > 0.9
    assert np.corrcoef(straight[:, 0], rank)[0, 1] ** 2 > 0.999
    assert reach[1] < 0.2 < reach[0]


def test_parts_of_a_graph_are_joined_and_said() -> None:
    rows = np.vstack([cloud(30), cloud(30) + 1000.0])
    for model, found in ((Isomap(n_neighbors=5), "isomap"), (SpectralEmbedding(n_neighbors=5), "spectral_embedding")):
        with pytest.warns(MeasurementWarning, match=f"W-PARTS: {found}: the graph of 5 neighbours has 2 parts"):
            assert np.isfinite(model.fit_transform(rows)).all()
        assert model.parts_ == 2


def test_neighbours_are_lowered_and_given_back() -> None:
    for model in (Isomap(n_neighbors=10), SpectralEmbedding(n_neighbors=10)):
        with pytest.warns(MeasurementWarning, match="W-CLIP: .* n_neighbors lowered from 10 to 7 "):
            model.fit_transform(cloud(8))
        assert (model.n_neighbors, model.n_neighbors_) == (10, 7)


def test_eigenmaps_of_a_path_are_cosines() -> None:
    # On the graph of a line the slowest functions of the Laplacian are the cosines of the rank, up to the ends.
    found = SpectralEmbedding(n_components=2, n_neighbors=2).fit_transform(np.arange(200.0)[:, None])
    rank = np.arange(200) + 0.5
    for k in (1, 2):
        assert abs(np.corrcoef(found[:, k - 1], np.cos(k * np.pi * rank / 200))[0, 1]) > 0.999


def test_eigenvalues_of_the_graph_rise_from_above_zero() -> None:
    model = SpectralEmbedding(n_components=4)
    model.fit_transform(cloud())
    assert np.all(np.diff(model.eigenvalues_) >= 0)
    assert model.eigenvalues_[0] > 1e-6


def test_kernel_pca_with_a_linear_kernel_is_pca() -> None:
    rows = cloud() + 7.0
    mine = KernelPCA(n_components=2, kernel="linear").fit_transform(rows)
    np.testing.assert_allclose(np.abs(mine), np.abs(PCA(n_components=2).fit_transform(rows)), atol=1e-8)


def test_the_width_of_the_kernel_is_the_median_distance() -> None:
    rows = cloud()
    model = KernelPCA(n_components=2).fit(rows)
    median = np.median(apart(rows)[np.triu_indices(60, 1)] ** 2)
    assert model.gamma_ == pytest.approx(0.5 / median)
    assert KernelPCA(n_components=2, gamma=0.25).fit(rows).gamma_ == 0.25
    # A cloud of copies has the median 0.
    assert np.isfinite(KernelPCA(n_components=2).fit(np.vstack([np.zeros((40, 3)), cloud(5, 3)])).gamma_)


def test_a_solver_that_comes_back_empty_is_one_line() -> None:
    # LAPACK's search for a few of many equal eigenvalues may: the points of a simplex, say.
    with pytest.raises(Incompatible, match="kernel_pca: the rows are all equally far apart, so no axis stands out"):
        require_found("kernel_pca", 0, 2)


def test_ica_finds_sources_whatever_the_seed_and_orders_them() -> None:
    rng = np.random.default_rng(0)
    sources = np.column_stack([rng.uniform(-1, 1, 3000), rng.laplace(size=3000)])
    mixed = sources @ rng.normal(size=(2, 2))
    for seed in range(3):
        found = FastICA(2, whiten="unit-variance", random_state=seed).fit_transform(mixed)
        # The heavy tails of the Laplacian are the larger excess kurtosis: 3 against -1.2.
        assert abs(np.corrcoef(found[:, 0], sources[:, 1])[0, 1]) > 0.98
        assert abs(np.corrcoef(found[:, 1], sources[:, 0])[0, 1]) > 0.98


def test_ica_needs_as_many_dimensions_as_components() -> None:
    with pytest.raises(Incompatible, match=r"^fast_ica: the rows have rank 1, below 2 components; ask fewer\.$"):
        reduced(CARDS["fast_ica"], np.outer(np.arange(30.0), np.ones(4)))


def test_a_random_projection_keeps_distances_on_average_only() -> None:
    rows = cloud(60, 3000)
    upper = np.triu_indices(60, 1)
    many, two = (reduced(CARDS["random_projection"], rows, n_components=k) for k in (2000, 2))
    kept = [(apart(points) / (apart(rows) + np.eye(60)))[upper] for points in (many, two)]
    assert abs(kept[0] - 1.0).max() < 0.1
    assert kept[1].std() > 0.3


@pytest.mark.parametrize("model", [PLS(), LDA()], ids=["pls", "lda"])
def test_supervised_reducers_find_what_they_are_told_in_noise_and_say_so(model: PLS | LDA) -> None:
    noise, numbers = np.random.default_rng(0).normal(size=(100, 400)), np.arange(100)
    with pytest.warns(MeasurementWarning, match="W-LABEL-LEAK: .* was told the numbers: what it shows is no discovery"):
        found = model.fit_transform(noise, numbers)
    axis = found[:, 0]
    if isinstance(model, PLS):
        assert abs(np.corrcoef(axis, numbers)[0, 1]) > 0.9
    else:
        means = np.array([axis[numbers % 10 == digit].mean() for digit in range(10)])
        assert means.var() / axis.var() > 0.6


def test_pls_of_a_line_says_that_one_component_is_enough() -> None:
    line = np.outer(np.arange(30.0), [1.0, 2.0, 3.0])
    with pytest.warns(MeasurementWarning) as caught:
        scores = PLS().fit_transform(line, np.arange(30))
    assert any("W-RANK: pls: 1 components account for the numbers" in str(one.message) for one in caught)
    assert abs(np.corrcoef(scores[:, 0], np.arange(30))[0, 1]) == pytest.approx(1.0)


def test_lda_separates_planted_digits_that_pca_does_not_show() -> None:
    numbers = np.arange(200)
    rng = np.random.default_rng(0)
    rows = np.pad(5.0 * walk(200, 3), ((0, 0), (0, 17))) + rng.normal(size=(10, 20))[numbers % 10]
    rows += 0.3 * rng.normal(size=rows.shape)
    model = LDA(n_components=3)
    with pytest.warns(MeasurementWarning, match="W-LABEL-LEAK"):
        found = model.fit_transform(rows, numbers)

    def between_over_within(points: F64) -> float:
        means = np.stack([points[numbers % 10 == digit].mean(axis=0) for digit in range(10)])
        return float(means.var(axis=0).sum() / (points - means[numbers % 10]).var(axis=0).sum())

    assert between_over_within(found) > 5.0
    assert between_over_within(PCA(n_components=3).fit_transform(rows)) < 0.1
    assert 0.0 < model.explained_variance_ratio_.sum() <= 1.0


def test_digit_classes_and_what_lda_refuses() -> None:
    assert digit_classes(np.array([7, 42, -305]), "hundreds_digit").tolist() == [0, 0, 3]
    assert digit_classes(np.array([7, 42, -305]), "digit_length").tolist() == [1, 2, 3]
    with pytest.raises(Incompatible, match="lda: classes='parity' is not known; write one of last_digit"):
        LDA(classes="parity").fit_transform(cloud(), np.arange(60))
    with pytest.raises(Incompatible, match="60 numbers have 2 classes of digit_length; 2 axes need at least 3"):
        LDA(classes="digit_length").fit_transform(cloud(), np.arange(60))


def test_too_many_components_are_one_line() -> None:
    for name in ("kernel_pca", "mds_classical", "mds_metric", "isomap", "spectral_embedding"):
        with pytest.raises(Incompatible, match=rf"^{name}: n_components=70 is more than these rows can fill; set "):
            reduced(CARDS[name], cloud(), n_components=70)
    for name in ("pca", "fast_ica", "pls"):
        with pytest.raises(
            Incompatible, match=rf"^{name}: n_components=9 is more than .* have; set n_components to 8 "
        ):
            reduced(CARDS[name], cloud(), n_components=9)


def test_rows_that_are_all_equal_are_one_line() -> None:
    for card in ALWAYS:
        if card.name in ("pca", "svd_uncentred", "random_projection"):
            continue
        with pytest.raises(Incompatible, match=f"{card.name}: all 20 rows are the same point"):
            reduced(card, np.ones((20, 5)))


@pytest.mark.parametrize("name", ["mds_metric", "isomap", "spectral_embedding", "kernel_pca"])
def test_real_numbers_are_smooth_where_shuffled_ones_are_not(shared: Path, name: str) -> None:
    stored = load_file(shared / "data" / "embeddings" / "nlpl_bnc_skipgram_300d.safetensors")
    order = np.argsort(stored["number_values"])
    layout = reduced(CARDS[name], stored["numbers"][order].astype(np.float64))

    def roughness(points: F64) -> float:
        return float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean())

    rng = np.random.default_rng(0)
    assert roughness(layout) < 0.7 * min(roughness(layout[rng.permutation(len(layout))]) for _ in range(19))


@pytest.mark.parametrize("name", ["pacmap", "phate"])
def test_extras_keep_clusters_seed_and_limits(name: str) -> None:
    pytest.importorskip(name, reason=f"the extra {name} is not installed")
    label = np.repeat(np.arange(3), 20)
    rows = np.random.default_rng(0).normal(size=(60, 6)) + 40.0 * np.eye(3, 6)[label]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="W-PARTS", category=MeasurementWarning)
        layout, again = reduced(CARDS[name], rows), reduced(CARDS[name], rows)
    np.testing.assert_array_equal(layout, again)
    distances = apart(layout)
    np.fill_diagonal(distances, np.inf)
    assert np.array_equal(label[distances.argmin(axis=1)], label)
    with pytest.raises(Incompatible, match=f"{name}: all 20 rows are the same point"):
        reduced(CARDS[name], np.ones((20, 5)))
    with pytest.warns(MeasurementWarning, match=f"W-CLIP: {name}: .* lowered from "):
        assert np.isfinite(reduced(CARDS[name], cloud(8))).all()


@pytest.mark.parametrize("name", ["pacmap", "phate"])
def test_a_missing_extra_says_what_to_type(name: str) -> None:
    if not CARDS[name].missing_packages():
        pytest.skip(f"{name} is installed")
    with pytest.raises(Exception, match=f"reducer '{name}' needs {name}; type: pip install {name}"):
        CARDS[name].load()
