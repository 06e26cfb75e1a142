"""Dimension beside its null, parallel analysis, intrinsic dimension, hubs and the gates."""

from __future__ import annotations

import numpy as np
import pytest

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.testing import clouds
from numgeom_plugins.geometry.intrinsic_dimension import intrinsic_dimension
from numgeom_plugins.geometry.isotropy import isotropy
from numgeom_plugins.geometry.parallel_analysis import parallel_analysis
from numgeom_plugins.geometry.spectrum import variance_spectrum
from numgeom_plugins.nulls.gaussian import iid_gaussian


def noisy_walk(n: int, d: int, snr: float, seed: int = 0) -> Representation:
    """A random walk plus white noise at a ratio of their energies."""
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal((n, d)).cumsum(axis=0)
    walk -= walk.mean(axis=0)
    noise = rng.standard_normal((n, d))
    return Representation(walk * np.sqrt(snr * n * d) / np.linalg.norm(walk) + noise, np.arange(n))


# Spectrum: oracles 6, 7 and 9


@pytest.mark.parametrize(("d", "k_90", "participation"), [(768, 442, 434), (2048, 667, 671), (4096, 763, 803)])
def test_a_gaussian_surrogate_has_the_dimensions_of_the_full_cloud(d: int, k_90: int, participation: int) -> None:
    # The surrogate is its Bartlett factor: 1000 columns stand for 4096.
    seen = Representation(np.eye(1000, d), np.arange(1000))
    found = variance_spectrum(iid_gaussian(seen, np.random.default_rng(0)))
    assert found["k_90"] == pytest.approx(k_90, abs=2)
    assert found["participation_ratio"] == pytest.approx(participation, rel=0.01)
    assert found["mp_components"] <= 1.0


def test_many_components_are_no_low_dimension_once_beside_their_null() -> None:
    # "600 of 4096 components hold 90 %, so the numbers are low-dimensional": so do a walk and some noise.
    found = variance_spectrum(noisy_walk(1000, 1024, snr=3.5))
    null = variance_spectrum(iid_gaussian(noisy_walk(1000, 1024, snr=3.5), np.random.default_rng(1)))
    assert 200 < found["k_90"] < null["k_90"] < 550
    assert found["pc1_share"] > 0.3 > 0.01 > null["pc1_share"]
    assert found["participation_ratio"] < 10 < 400 < null["participation_ratio"]


def test_slope_of_a_walk_and_of_a_power_law() -> None:
    assert variance_spectrum(clouds.walk(1000, 4000))["spectral_slope"] == pytest.approx(2.0, abs=0.05)
    lengths = np.arange(1.0, 81.0) ** -0.75
    cloud = Representation(np.vstack([np.diag(lengths), -np.diag(lengths)]), np.arange(160))
    assert variance_spectrum(cloud)["spectral_slope"] == pytest.approx(1.5)


def test_components_above_the_marchenko_pastur_edge_are_the_planted_ones() -> None:
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 200)) * 0.5
    found = variance_spectrum(Representation(plane + rng.standard_normal((400, 200)), np.arange(400)))
    assert found["mp_components"] == 3.0


# Parallel analysis


def test_parallel_analysis_counts_planted_components_and_none_in_noise() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((150, 300))
    planted = noise + 0.8 * rng.standard_normal((150, 4)) @ rng.standard_normal((4, 300))
    assert parallel_analysis(Representation(planted, np.arange(150)))["components"] == 4.0
    assert parallel_analysis(Representation(noise, np.arange(150))) == {"components": 0.0, "share": 0.0}


def test_unequal_columns_alone_are_no_component() -> None:
    # The eigenvalue of a column that is ten times the others is what shuffling keeps.
    scale = np.where(np.arange(40) == 0, 10.0, 1.0)
    rows = np.random.default_rng(2).standard_normal((200, 40)) * scale
    found = Representation(rows, np.arange(200))
    assert variance_spectrum(found)["mp_components"] > 0.0
    assert parallel_analysis(found)["components"] == 0.0


def test_parallel_analysis_is_that_of_any_order_of_the_columns() -> None:
    rep = noisy_walk(60, 30, snr=1.0)
    turned = rep.with_matrix(rep.matrix[:, np.random.default_rng(0).permutation(30)])
    assert parallel_analysis(turned) == pytest.approx(parallel_analysis(rep), rel=1e-12)
    assert parallel_analysis(rep, seed=1)["components"] == parallel_analysis(rep)["components"]


def test_parallel_analysis_needs_draws_for_its_percentile() -> None:
    with pytest.raises(Incompatible, match="draws=9 have no 95th percentile; write draws=19 or more"):
        parallel_analysis(clouds.gaussian(), draws=9)


# Intrinsic dimension


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_dimension_of_a_flat_sheet_in_a_wide_space(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    rows = rng.uniform(size=(1500, dimension)) @ rng.standard_normal((dimension, 60))
    found = intrinsic_dimension(Representation(rows, np.arange(1500)))
    for name in ("twonn", "twonn_trimmed", "mle_10", "mle_20"):
        assert found[name] == pytest.approx(dimension, rel=0.15), name


def test_twonn_is_the_formula() -> None:
    rep = clouds.gaussian(30, 4)
    apart = np.sort(rep.workspace.distances, axis=1)
    logs = np.sort(np.log(apart[:, 2] / apart[:, 1]))
    found = intrinsic_dimension(rep)
    assert found["twonn"] == pytest.approx(30 / logs.sum())
    assert found["twonn_trimmed"] == pytest.approx(27 / (logs[:27].sum() + 3 * logs[26]))
    ratios = [np.log(apart[:, 10] / apart[:, j]) for j in range(1, 10)]
    assert found["mle_10"] == pytest.approx(1.0 / np.mean(ratios))


def patch_dimensions(rep: Representation) -> dict[str, float]:
    return {name: value for name, value in intrinsic_dimension(rep).items() if name == "local_pca_20"}


@pytest.mark.parametrize("dimension", [1, 2, 5, 10])
def test_local_pca_finds_the_dimension_of_a_gaussian_in_a_wide_space(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    rows = rng.standard_normal((1000, dimension)) @ np.linalg.qr(rng.standard_normal((400, dimension)))[0].T
    assert patch_dimensions(Representation(rows, np.arange(1000)))["local_pca_20"] == pytest.approx(dimension, rel=0.05)


def test_local_pca_of_a_plane_and_of_a_circle() -> None:
    rng = np.random.default_rng(0)
    plane = rng.uniform(size=(800, 2)) @ rng.standard_normal((2, 50))
    angle = rng.uniform(0.0, 2.0 * np.pi, size=800)
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) @ rng.standard_normal((2, 50))
    for rows, dimension in ((plane, 2.0), (circle, 1.0)):
        found = patch_dimensions(Representation(rows, np.arange(800)))
        assert found["local_pca_20"] == pytest.approx(dimension, rel=0.05)


def test_local_pca_is_the_unbiased_participation_ratio_of_the_patches() -> None:
    rep = clouds.gaussian(60, 7)
    within, between = [], []
    for row in rep.workspace.distances:
        patch = rep.matrix[np.argsort(row)[1:21]]
        values = np.linalg.eigvalsh(np.cov(patch.T))
        share = values / values.sum()
        squared = 19.0**2 / (18.0 * 21.0) * (float(share @ share) - 1.0 / 19.0)
        between.append(squared)
        within.append(1.0 - 2.0 / 19.0 * squared)
    expected = np.mean(within) / np.mean(between)
    assert patch_dimensions(rep)["local_pca_20"] == pytest.approx(expected)


def test_copies_do_not_lower_the_dimension() -> None:
    rep = clouds.gaussian(60, 8)
    twice = Representation(np.vstack([rep.matrix, rep.matrix[:20]]), np.arange(80))
    assert intrinsic_dimension(twice) == pytest.approx(intrinsic_dimension(rep))


def test_hubs_come_with_dimension_and_not_with_numbers() -> None:
    flat, wide = clouds.gaussian(500, 2), clouds.gaussian(500, 300)
    assert intrinsic_dimension(flat)["hubness_skew"] < 0.5
    assert intrinsic_dimension(wide)["hubness_skew"] > 3.0


def test_a_lattice_and_a_handful_are_refused() -> None:
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    with pytest.raises(Incompatible, match=r"two nearest neighbours are equally far .* \(a lattice\)"):
        intrinsic_dimension(Representation(grid, np.arange(64)))
    with pytest.raises(Incompatible, match="only 3 rows are distinct; it needs 5"):
        intrinsic_dimension(Representation(np.eye(3)[np.arange(9) % 3], np.arange(9)))
    few = intrinsic_dimension(clouds.gaussian(15, 4))
    assert "mle_20" not in few
    assert "local_pca_20" not in few


# Gates


def test_isoscore_of_even_and_of_flat_clouds() -> None:
    even = isotropy(Representation(np.vstack([np.eye(5), -np.eye(5)]), np.arange(10)))
    assert (even["isoscore"], even["least_singular_value"]) == (pytest.approx(1.0), pytest.approx(1.0))
    with pytest.warns(MeasurementWarning, match="W-UNTRAINED"):
        flat = isotropy(Representation(np.outer([-2.0, -1.0, 0.0, 1.0, 2.5], [1.0, 2.0, 0.0]), np.arange(5)))
    assert flat["isoscore"] == pytest.approx(0.0, abs=1e-12)
    assert flat["least_singular_value"] == 0.0


def test_untrained_rows_are_counted_and_warned_of() -> None:
    rows = np.array(clouds.gaussian(40, 6).matrix)
    rows[3] = 0.0
    rows[10:16] = rows[9] * (1.0 + 1e-7 * np.arange(6)[:, None])
    rep = Representation(rows, np.arange(40))
    with pytest.warns(MeasurementWarning, match="W-UNTRAINED: 1 rows are zero and 6 point where an earlier one does"):
        found = isotropy(rep)
    assert found["zero_rows"] == 1.0
    assert found["near_duplicate_rows"] == 6.0


def test_a_common_mean_is_warned_of() -> None:
    rep = Representation(clouds.gaussian(40, 6).matrix + 5.0, np.arange(40))
    with pytest.warns(MeasurementWarning, match="W-ANISO"):
        found = isotropy(rep)
    assert found["mean_share"] > 0.9
    with pytest.raises(Incompatible, match="4 rows of width 1 lie on a line"):
        isotropy(Representation(np.arange(4.0)[:, None], np.arange(4)))
