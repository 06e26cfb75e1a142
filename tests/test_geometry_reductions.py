"""Fidelity of a reduction: known answers first, then real rows, then what a user can get wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from scipy.optimize import minimize_scalar
from scipy.stats import ortho_group

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.fidelity import fidelity

F64 = npt.NDArray[np.float64]


def gaussian(n: int, d: int, seed: int = 0) -> Representation:
    return Representation(np.random.default_rng(seed).normal(size=(n, d)), np.arange(n))


def walk(n: int, d: int, seed: int = 0) -> Representation:
    return Representation(np.random.default_rng(seed).normal(size=(n, d)).cumsum(axis=0), np.arange(n))


def reduction(origin: Representation, layout: npt.ArrayLike) -> Representation:
    return Representation(np.asarray(layout), origin.numbers, origin=origin)


def test_an_exact_copy_keeps_everything() -> None:
    origin = gaussian(80, 5)
    found = fidelity(reduction(origin, 3.0 * origin.matrix @ ortho_group.rvs(5, random_state=0) + 7.0))
    assert found["trustworthiness"] == found["continuity"] == found["rnx_auc"] == 1.0
    assert found["shepard_spearman"] == pytest.approx(1.0)
    assert found["stress_1"] == pytest.approx(0.0, abs=1e-7)


def test_a_random_layout_keeps_nothing() -> None:
    found = fidelity(reduction(gaussian(400, 30), gaussian(400, 2, seed=1).matrix))
    assert abs(found["rnx_auc"]) < 0.03
    assert abs(found["shepard_spearman"]) < 0.03
    assert found["trustworthiness"] == pytest.approx(0.5, abs=0.03)
    assert found["continuity"] == pytest.approx(0.5, abs=0.03)
    assert found["path_smoothness"] == pytest.approx(1.0, abs=0.1)


def test_rnx_auc_counts_shared_neighbours() -> None:
    origin = gaussian(14, 6)
    layout = origin.matrix[:, :2]

    def neighbours(rows: F64, i: int, k: int) -> set[int]:
        return set(np.argsort(np.linalg.norm(rows - rows[i], axis=1))[1 : k + 1].tolist())

    area = weight = 0.0
    for k in range(1, 13):
        shared = [len(neighbours(origin.matrix, i, k) & neighbours(layout, i, k)) for i in range(14)]
        q = np.mean(shared) / k
        area += (13 * q - k) / (13 - k) / k
        weight += 1 / k
    assert fidelity(reduction(origin, layout), neighbours=3)["rnx_auc"] == pytest.approx(area / weight, abs=1e-12)


def test_trustworthiness_and_continuity_see_opposite_faults() -> None:
    # Folding a line puts strangers side by side; cutting it in two takes neighbours apart.
    origin = Representation(np.column_stack([np.arange(60.0), np.zeros(60)]), np.arange(60))
    folded = fidelity(reduction(origin, np.abs(np.arange(60.0) - 29.7)[:, None]))
    cut = fidelity(reduction(origin, np.arange(60.0)[:, None] + 1000.0 * (np.arange(60)[:, None] >= 30)))
    assert folded["trustworthiness"] < 0.9 < folded["continuity"]
    assert cut["continuity"] < cut["trustworthiness"]


def test_stress_is_that_of_the_best_scale() -> None:
    origin = gaussian(30, 6)
    layout = origin.matrix[:, :2] * [1.0, 3.0]
    upper = np.triu_indices(30, 1)
    far = np.linalg.norm(origin.matrix[:, None] - origin.matrix[None], axis=2)[upper]
    near = np.linalg.norm(layout[:, None] - layout[None], axis=2)[upper]
    best = minimize_scalar(lambda b: float(np.sqrt(((near - b * far) ** 2).sum() / (near**2).sum()))).fun
    found = fidelity(reduction(origin, layout))["stress_1"]
    assert found == pytest.approx(best, abs=1e-9)
    assert fidelity(reduction(origin, 1e6 * layout))["stress_1"] == pytest.approx(found, abs=1e-12)


def test_order_is_found_on_any_axis_in_either_direction() -> None:
    layout = np.column_stack([np.random.default_rng(0).normal(size=50), -np.arange(50.0), np.zeros(50)])
    assert fidelity(reduction(gaussian(50, 5), layout))["order_spearman"] == pytest.approx(1.0)


def test_path_of_a_line() -> None:
    # Mean distance of all pairs of n points one apart is (n + 1) / 3.
    found = fidelity(reduction(gaussian(50, 5), np.arange(50.0)[:, None]))
    assert found["path_smoothness"] == pytest.approx(3 / 51)


def test_shuffled_labels_change_the_order_and_not_the_picture() -> None:
    origin = walk(120, 40)
    left, values = origin.workspace.thin
    order = np.random.default_rng(0).permutation(120)
    kept = fidelity(reduction(origin, left[:, :2] * values[:2]))
    lost = fidelity(reduction(origin.with_matrix(origin.matrix[order]), (left[:, :2] * values[:2])[order]))
    for name in ("trustworthiness", "continuity", "rnx_auc", "shepard_spearman", "stress_1"):
        assert lost[name] == pytest.approx(kept[name], abs=1e-9), name
    assert lost["order_spearman"] < 0.3 < kept["order_spearman"]
    assert kept["path_smoothness"] < 0.3 < 0.8 < lost["path_smoothness"]


def test_small_sets_lower_the_neighbourhood() -> None:
    origin = gaussian(9, 5)
    with pytest.warns(MeasurementWarning, match="W-CLIP: fidelity: neighbours lowered from 10 to 4 "):
        found = fidelity(reduction(origin, origin.matrix))
    assert found["trustworthiness"] == 1.0


def test_duplicate_rows_are_warned_of() -> None:
    matrix = gaussian(40, 5).matrix.copy()
    matrix[7] = matrix[3]
    origin = Representation(matrix, np.arange(40))
    with pytest.warns(MeasurementWarning, match="W-DUP: 1 duplicate rows before the reduction"):
        fidelity(reduction(origin, gaussian(40, 2).matrix))


def test_fidelity_refuses_what_is_no_reduction() -> None:
    origin = gaussian(30, 5)
    with pytest.raises(Incompatible, match="fidelity judges a reduction; ask for it together with a reducer"):
        fidelity(origin)
    with pytest.raises(Incompatible, match="all points of the reduction coincide"):
        fidelity(reduction(origin, np.zeros((30, 2))))
    with pytest.raises(Incompatible, match="neighbours=0 must be 1 or more"):
        fidelity(reduction(origin, origin.matrix), neighbours=0)


def test_reduction_of_real_rows_keeps_neighbours_above_a_random_one(shared: Path) -> None:
    stored = load_file(shared / "data" / "embeddings" / "nlpl_bnc_skipgram_300d.safetensors")
    order = np.argsort(stored["number_values"])
    rep = Representation(stored["numbers"][order], stored["number_values"][order])
    left, values = rep.workspace.thin
    kept = fidelity(reduction(rep, left[:, :2] * values[:2]))
    lost = fidelity(replace(rep, matrix=gaussian(rep.n, 2).matrix, origin=rep))
    assert kept["rnx_auc"] > 0.3 > 0.05 > lost["rnx_auc"]
    assert kept["order_spearman"] > 0.7
    assert kept["path_smoothness"] < 0.3
