"""What judges a reduction besides neighbours and distances: seeds, losses, component correlations, the scree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.manifold import trustworthiness

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.component_correlation import component_correlation
from numgeom_plugins.geometry.explained_variance import explained_variance
from numgeom_plugins.geometry.fidelity import fidelity
from numgeom_plugins.geometry.stability import procrustes_similarity
from numgeom_plugins.reducers.svd import UncentredSVD
from numgeom_plugins.reducers.tsne import TSNE

F64 = npt.NDArray[np.float64]


def cloud(n: int = 60, d: int = 8, mean: float = 0.0) -> Representation:
    rows = np.random.default_rng(0).normal(mean, 1.0, (n, d)) * np.linspace(3.0, 1.0, d)
    return Representation(rows, np.arange(n))


def seeded(again: Callable[[int], F64], n: int = 60, **how: object) -> Representation:
    """A reduction by a reducer that draws at random."""
    origin = cloud(n)
    return Representation(again(0), origin.numbers, provenance={"seed": 0, "again": again, **how}, origin=origin)


def layout(seed: int, n: int = 60) -> F64:
    return np.random.default_rng(seed).normal(size=(n, 2))


def test_trustworthiness_is_scikit_learns() -> None:
    origin = cloud()
    points = origin.matrix[:, :2].astype(np.float64)
    found = fidelity(replace(origin, matrix=points, origin=origin), neighbours=7)["trustworthiness"]
    assert found == pytest.approx(trustworthiness(origin.matrix, points, n_neighbors=7), abs=1e-12)


# Seeds


def test_layouts_that_differ_by_turn_mirror_shift_and_scale_are_one() -> None:
    def again(seed: int) -> F64:
        angle = float(seed)
        turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])
        return (1.0 + seed) * layout(7) @ turn + seed

    found = fidelity(seeded(again))
    assert found["seed_procrustes"] == pytest.approx(1.0, abs=1e-12)
    assert found["seed_neighbours"] == 1.0


def test_unrelated_layouts_are_as_alike_as_chance() -> None:
    found = fidelity(seeded(lambda seed: layout(seed, 400), 400))
    assert found["seed_procrustes"] < 0.15
    # Ten of 399 others are neighbours of a row by chance.
    assert found["seed_neighbours"] == pytest.approx(10 / 399, abs=0.01)


def test_stability_is_the_mean_over_all_pairs_of_seeds() -> None:
    layouts = [layout(0), layout(0) + 0.5 * layout(1), layout(2)]
    with pytest.warns(MeasurementWarning, match="W-SEED: stability was read from 3 seeds; 5 or more are wanted"):
        three = fidelity(seeded(layouts.__getitem__), seeds=3)
    pairs = [procrustes_similarity(layouts[i], layouts[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert three["seed_procrustes"] == pytest.approx(np.mean(pairs))


def test_a_control_is_judged_by_two_seeds() -> None:
    asked: list[int] = []

    def again(seed: int) -> F64:
        asked.append(seed)
        return layout(seed)

    fidelity(seeded(again, control=True))
    assert asked == [0, 1]
    asked.clear()
    fidelity(seeded(again))
    assert asked == [0, 1, 2, 3, 4]


def test_a_reducer_that_draws_nothing_has_no_stability() -> None:
    origin = cloud()
    found = fidelity(replace(origin, matrix=layout(0), origin=origin))
    assert not [name for name in found if name.startswith("seed")]
    with pytest.raises(Incompatible, match="fidelity: seeds=1 must be 2 or more; type seeds=5"):
        fidelity(seeded(layout), seeds=1)


def test_the_final_loss_is_reported_where_there_is_one() -> None:
    origin = cloud()
    model = TSNE(perplexity=10, init="pca", max_iter=250, random_state=0)
    points = model.fit_transform(origin.matrix)
    reduction = Representation(points, origin.numbers, provenance={"seed": 0, "fitted": model}, origin=origin)
    assert fidelity(reduction)["kl_divergence"] == model.kl_divergence_ > 0


# Component correlations


def test_uncentred_components_correlate_as_the_formula_says() -> None:
    # Oracle 10 of the notes, on rows with structure: the correlations are those of the means all the same.
    walk = np.random.default_rng(0).normal(size=(300, 50)).cumsum(axis=0) + 20.0
    scores = UncentredSVD(n_components=6).fit_transform(walk)
    found = component_correlation(Representation(scores, np.arange(300)), components=6)
    assert found["largest_r"] > 0.1
    assert found["largest_difference"] < 1e-12
    measured = np.corrcoef(scores.T)
    assert found["r_2_5"] == pytest.approx(measured[1, 4], abs=1e-12)
    assert found["formula_r_2_5"] == pytest.approx(measured[1, 4], abs=1e-12)
    assert sum(name.startswith("formula") for name in found) == 15


def test_centred_components_do_not_correlate() -> None:
    left, values = cloud(mean=3.0).workspace.thin
    found = component_correlation(Representation(left[:, :4] * values[:4], np.arange(60)))
    assert found["largest_r"] < 1e-12


def test_axes_that_are_not_orthogonal_differ_from_the_formula() -> None:
    first = np.arange(60.0) - 29.5
    found = component_correlation(
        Representation(np.column_stack([first, first + 5.0 * layout(0)[:, 0]]), np.arange(60))
    )
    assert found["r_1_2"] > 0.8
    assert abs(found["formula_r_1_2"]) < 0.2
    assert found["largest_difference"] > 0.6


def test_what_component_correlation_refuses() -> None:
    with pytest.raises(Incompatible, match="compares at least two axes; there are 1: reduce to more"):
        component_correlation(Representation(np.arange(9.0)[:, None], np.arange(9)))
    with pytest.raises(Incompatible, match="axis 2 is constant"):
        component_correlation(Representation(np.column_stack([np.arange(9.0), np.ones(9)]), np.arange(9)))


# Explained variance


def test_explained_variance_is_the_spectrum_and_its_sum() -> None:
    rep = cloud(d=8)
    values = np.linalg.svd(rep.matrix - rep.matrix.mean(axis=0), compute_uv=False) ** 2
    found = explained_variance(rep, components=10)
    shares = [found[f"pc_{k}"] for k in range(1, 9)]
    assert shares == pytest.approx(list(values / values.sum()))
    assert found["cumulative_8"] == pytest.approx(1.0)
    assert found["cumulative_3"] == pytest.approx(sum(shares[:3]))
    assert "pc_9" not in found


def test_the_scree_is_drawn_to_a_hundred_components() -> None:
    found = explained_variance(cloud(300, 200), components=3)
    scree = found["scree"]
    assert isinstance(scree, Curve)
    assert np.asarray(scree.y).size == 100
    assert np.all(np.diff(scree.y) <= 0)


def test_explained_variance_refuses_rows_without_any() -> None:
    with pytest.raises(Incompatible, match=r"^explained_variance: all .*rows are equal"):
        explained_variance(Representation(np.ones((9, 3)), np.arange(9)))
    with pytest.raises(Incompatible, match="components=0 must be 1 or more"):
        explained_variance(cloud(), components=0)


def test_a_gaussian_cloud_of_a_thousand_rows_needs_hundreds_of_components() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 768))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explained_variance(Representation(rows, np.arange(1000)), components=500)
    # Oracle 7: 90 % at component 442.
    assert found["cumulative_441"] < 0.9 <= found["cumulative_443"]
