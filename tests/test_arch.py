"""The arch test: a walk is explained, planted codes are not; what its parts measure; what it refuses."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.arch import Arch, components, geodesic_coordinate, r_squared
from numgeom_plugins.geometry.arch_verdict import arch_verdict
from numgeom_plugins.geometry.leading import leading
from numgeom_plugins.geometry.smoothness import line_of_a_curve, log_modes, rank_modes, saturation

F64 = npt.NDArray[np.float64]
N = 200


def rep(rows: F64) -> Representation:
    return Representation(rows, np.arange(len(rows)))


def walk(n: int = N, d: int = 1000, seed: int = 0) -> F64:
    return np.random.default_rng(seed).normal(size=(n, d)).cumsum(axis=0) / np.sqrt(n)


def noise(n: int = N, d: int = 1000) -> F64:
    return np.random.default_rng(9).normal(size=(n, d))


def direction(d: int = 1000, seed: int = 5) -> F64:
    return np.random.default_rng(seed).normal(size=d)


def log_walk(n: int = N, d: int = 1000) -> F64:
    steps = np.sqrt(np.diff(np.log1p(np.arange(n)), prepend=0.0))
    return (steps[:, None] * noise(n, d)).cumsum(axis=0)


def helix(n: int = 1000) -> F64:
    t = np.arange(n)
    waves = [wave(2 * np.pi * t / period) for period in (2, 5, 10, 100) for wave in (np.cos, np.sin)]
    return np.column_stack([t / 100, *waves]) @ np.linalg.qr(noise(40, 9))[0].T + 1e-6 * noise(n, 40)


def digits(n: int = 1000) -> F64:
    return np.hstack([np.eye(10)[np.arange(n) // place % 10] for place in (1, 10, 100)]) @ noise(30, 200)


def measured(rows: F64) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        found = Arch()(rep(rows))
    return {name: value for name, value in found.items() if isinstance(value, float)}


def pca(cloud: Representation, k: int = 2) -> Representation:
    left, values = cloud.workspace.thin
    return replace(cloud, matrix=left[:, :k] * values[:k], origin=cloud)


def judged(cloud: Representation, layout: F64 | None = None) -> dict[str, float]:
    reduction = pca(cloud) if layout is None else replace(cloud, matrix=layout, origin=cloud)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        return arch_verdict(reduction)


def test_a_walk_of_a_thousand_numbers_is_explained() -> None:
    # Oracle 9 of the notes.
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        found = Arch()(rep(walk(1000, 4000)))
    assert found["pc1_order_r2"] == pytest.approx(0.9855, abs=0.003)
    assert 0.59 < found["pc1_share"] < 0.62
    assert found["pc2_quadratic_r2"] > 0.99
    assert found["cosine_1"] > 0.999
    assert found["eigenvalue_decay"] == pytest.approx(2.0, abs=0.05)
    assert found["smooth_share"] > 0.99
    assert found["geodesic_order_r2"] > 0.999
    assert found["saturation_length"] > 1.0
    assert found["expected_order_r2"] == pytest.approx(0.985, abs=0.003)
    assert found["arch_explained"] == 1.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [64, 512])
def test_every_walk_is_explained(seed: int, d: int) -> None:
    assert measured(walk(300, d, seed))["arch_explained"] == 1.0


def test_a_walk_under_noise_is_still_explained() -> None:
    found = measured(walk() + 0.3 * noise())
    assert found["arch_explained"] == 1.0
    assert found["nugget_share"] > 0.1


def test_a_walk_over_the_logarithm_is_explained_by_its_own_modes() -> None:
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        found = Arch()(rep(log_walk()))
    assert found["cosine_mean"] < 0.5 < 0.95 < found["log_mode_mean"]
    assert found["arch_explained"] == 1.0


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        pytest.param(noise(), 0.0, id="noise"),
        pytest.param(digits(), 0.0, id="digits"),
        pytest.param(np.outer(np.arange(N) / N, direction()) + 0.1 * noise(), 0.5, id="a line under noise"),
        pytest.param(walk() + np.outer(np.arange(N) / N, 5.0 * direction()), 0.5, id="a walk along a line"),
        pytest.param(helix(), 0.5, id="a helix, whose axis is a line"),
        pytest.param(walk() + 0.5 * noise(10)[np.arange(N) % 10], 0.5, id="a walk with a digit code"),
    ],
)
def test_what_is_not_explained(rows: F64, verdict: float) -> None:
    assert measured(rows)["arch_explained"] == verdict  # W-ARCH may come with a line: the bend is there


def test_a_line_is_straighter_than_any_curve() -> None:
    found = measured(walk() + np.outer(np.arange(N) / N, 5.0 * direction()))
    assert found["pc1_order_r2"] > 0.999 > found["expected_order_r2"] + 0.01


def test_permuted_is_measured_again() -> None:
    cloud = rep(walk(60, 100))
    orders = np.stack([np.random.default_rng(seed).permutation(60) for seed in range(3)])
    fast = Arch().permuted(cloud, orders)
    for k, order in enumerate(orders):
        slow = measured(cloud.matrix[order])
        # The eigenvectors of both differ by rounding, the places of the rows by the order.
        assert {name: values[k] for name, values in fast.items()} == pytest.approx(slow, abs=1e-8)


def test_shuffled_labels_leave_no_arch() -> None:
    found = measured(walk()[np.random.default_rng(0).permutation(N)])
    assert found["arch_explained"] == 0.0
    assert found["smooth_share"] < 0.2
    assert found["pc2_quadratic_r2"] > 0.9  # the cloud is as bent as before


# The parts


def test_modes_are_orthonormal_and_mean_free() -> None:
    for modes in (rank_modes(50), log_modes(tuple(range(50)))):
        np.testing.assert_allclose(modes.T @ modes, np.eye(6), atol=1e-10)
        np.testing.assert_allclose(modes.sum(axis=0), 0.0, atol=1e-10)


def test_saturation_is_recovered_with_its_nugget() -> None:
    apart = np.abs(np.subtract.outer(np.arange(300), np.arange(300)))
    for length, nugget in ((0.05, 0.0), (0.3, 0.5)):
        squared = (nugget + (1.0 - nugget) * (1.0 - np.exp(-apart / (300 * length)))) * (1.0 - np.eye(300))
        fit = saturation(squared[0, 1:])
        assert fit.length == pytest.approx(length, rel=0.05)
        assert fit.nugget_share == pytest.approx(nugget / squared[np.triu_indices(300, 1)].mean(), abs=0.02)
        assert fit.r2 > 0.999


def test_a_straight_profile_does_not_saturate_and_a_flat_one_does_not_rise() -> None:
    straight = saturation(np.arange(1.0, 100.0))
    assert straight.length == 10.0
    assert straight.r2 > 0.999
    flat = saturation(np.ones(99))
    assert (flat.length, flat.nugget_share, flat.r2) == (0.0, 1.0, 0.0)


def test_the_expected_line_is_that_of_drawn_curves() -> None:
    length = 40
    kernel = np.exp(-np.abs(np.subtract.outer(np.arange(N), np.arange(N))) / length)
    curve = np.linalg.cholesky(kernel) @ noise(N, 20000)
    found = measured(curve)
    assert found["saturation_length"] == pytest.approx(length / N, rel=0.1)
    assert found["pc1_order_r2"] == pytest.approx(line_of_a_curve(N, length / N), abs=0.01)
    assert line_of_a_curve(N, 0.1) < line_of_a_curve(N, 1.0) < line_of_a_curve(N, 10.0) < 96 / np.pi**4 + 1e-3


def test_geodesics_unroll_a_spiral_that_pca_does_not() -> None:
    angle = np.linspace(2.0, 20.0, 400)
    spiral = np.column_stack([angle * np.cos(angle), angle * np.sin(angle)])
    cloud = rep(spiral)
    length = np.append(0.0, np.linalg.norm(np.diff(spiral, axis=0), axis=1).cumsum())
    along = geodesic_coordinate(cloud.workspace.distances, 4)
    assert r_squared(along, length[:, None]) > 0.999
    assert r_squared(cloud.workspace.thin[0][:, 0], length[:, None]) < 0.1


def test_copies_of_rows_do_not_cut_the_graph() -> None:
    line = np.repeat(np.arange(30.0), 4)[:, None]
    along = geodesic_coordinate(rep(line).workspace.distances, 3)
    assert r_squared(along, line) > 0.999


def test_leading_eigenvectors_are_found_where_all_are_equal() -> None:
    for n in (10, 50, 200):
        values, vectors = leading(np.eye(n) - 1.0 / n, 3)
        np.testing.assert_allclose(values, 1.0)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-10)


# The verdict on a reduction


def test_the_picture_of_a_walk_is_explained_however_it_is_turned() -> None:
    cloud = rep(walk())
    found = judged(cloud)
    assert found["arch_explained"] == 1.0
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = judged(cloud, 3.0 * pca(cloud).matrix @ turn + 7.0)
    assert turned == pytest.approx(found, abs=1e-9)


def test_a_straightened_walk_is_only_partly_an_arch() -> None:
    cloud = rep(walk())
    straight = np.column_stack([np.arange(N), 0.01 * noise(N, 1)[:, 0]])
    found = judged(cloud, straight)
    assert found["axis1_order_r2"] > 0.999 > found["expected_order_r2"]
    assert found["axis2_quadratic_r2"] < 0.1
    assert found["arch_explained"] == 0.5


def test_pictures_without_order_are_not_explained() -> None:
    for rows in (noise(), digits()):
        assert judged(rep(rows))["arch_explained"] == 0.0


def test_one_axis_is_no_arch_but_may_be_smooth() -> None:
    cloud = rep(walk())
    found = judged(cloud, pca(cloud, 1).matrix)
    assert (found["axis2_quadratic_r2"], found["axis2_cosine_r2"]) == (0.0, 0.0)
    assert found["arch_explained"] == 0.5


def test_the_picture_of_an_exact_line_is_judged_too() -> None:
    # Its cloud has rank 1: the metric of the cloud refuses it, the verdict of a picture does not need more.
    found = judged(rep(np.outer(np.arange(50.0), np.ones(6))))
    assert found["axis1_order_r2"] == pytest.approx(1.0)
    assert found["arch_explained"] == 0.5


def test_the_verdict_warns_on_an_arch_only() -> None:
    with pytest.warns(MeasurementWarning, match="W-ARCH: the picture is what any smooth curve gives"):
        arch_verdict(pca(rep(walk())))
    arch_verdict(pca(rep(noise())))  # a warning would be an error here


def test_what_the_tests_refuse() -> None:
    with pytest.raises(Incompatible, match="arch_verdict judges a reduction; ask for it together with a reducer"):
        arch_verdict(rep(walk()))
    with pytest.raises(Incompatible, match=r"arch_verdict: all .*rows are equal"):
        judged(rep(walk()), np.zeros((N, 2)))
    with pytest.raises(Incompatible, match="the rows have rank below 4"):
        components(rep(np.outer(np.arange(20.0), np.ones(5))))


def test_real_numbers_are_smooth_in_part_and_no_arch(shared: Path) -> None:
    stored = load_file(shared / "data" / "embeddings" / "nlpl_bnc_skipgram_300d.safetensors")
    order = np.argsort(stored["number_values"])
    cloud = Representation(stored["numbers"][order], stored["number_values"][order])
    found = judged(cloud)
    assert found["arch_explained"] in (0.0, 0.5)
    assert found["axis2_quadratic_r2"] < 0.8
