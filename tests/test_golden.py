"""Parity with what the peers' own code returns on the golden inputs, and with their permutation nulls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Representation
from numgeom.calibrate import calibrate
from numgeom.specs import make_metric
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.convergence.neighbours import neighbours

F64 = npt.NDArray[np.float64]

# Caveats of the golden inputs are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS = {spec.name: spec for spec in numgeom_convergence_metrics()}
CASES = ("a_gaussian", "b_rot_scale_shift", "c_helix", "d_wide", "e_degenerate", "f_fourier")

# Which of our metrics is which of the peers' quantities; Procrustes is compared as the cosine of our angle.
QUANTITIES = {
    "cka.linear.biased": "cka_linear",
    "cka.linear.debiased": "cka_linear_debiased",
    "procrustes.cosine.centered": "procrustes_angular",
    "rsa.euclidean.spearman": "rsa_spearman_euclidean",
    "rsa.euclidean.pearson": "rsa_pearson_euclidean",
    "rsa.cosine.spearman": "rsa_spearman_cosine",
    "rsa.cosine.pearson": "rsa_pearson_cosine",
    **{f"knn.overlap.cosine.k={k}": "mutual_knn_cosine" for k in (5, 10, 20)},
}

# Entries that are not the quantity to 1e-8, each for a reason of its own.
LOOSE = {
    "platonic-rep": 1e-6,  # adds 1e-6 to a denominator; its neighbour scores are float32
    "simrepo:unsupervised_analysis": 1e-6,  # float32
    "simrepo:nn_similarity_index": 1e-6,  # float32
    "aristotelian": 1e-4,  # adds 1e-6 to denominators; float32 ranks
}


class Golden:
    """The golden files, read once."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "inputs.npz") as held:
            self.inputs = {name: held[name] for name in held.files}
        self.metrics = json.loads((folder / "metrics.json").read_text())

    def sides(self, case: str) -> tuple[Representation, Representation]:
        x, y = (self.inputs[f"{case}_{side}"] for side in "XY")
        return tuple(Representation(v, np.arange(len(v))) for v in (x, y))  # type: ignore[return-value]

    def permutations(self, case: str) -> npt.NDArray[np.int64]:
        return np.asarray(self.inputs[f"{case}_perms"], dtype=np.int64)


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden")


def ours(golden: Golden, case: str, quantity: str, **params: Any) -> float:
    """Our value in the peers' dress."""
    metric = make_metric(SPECS[QUANTITIES[quantity]], params)
    a, b = golden.sides(case)
    value = metric.score(metric.prepare(a), metric.prepare(b))
    return float(np.cos(value)) if quantity.startswith("procrustes") else value


def records(golden: Golden, case: str, quantity: str) -> list[Mapping[str, Any]]:
    found = [
        record
        for record in golden.metrics["records"]
        if record["case"] == case and record["quantity"] == quantity and record["canonical_value"] is not None
    ]
    assert found, f"no golden record of {quantity} for {case}"
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("quantity", [name for name in QUANTITIES if not name.startswith("knn")])
def test_our_value_is_that_of_every_peer(golden: Golden, case: str, quantity: str) -> None:
    value = ours(golden, case, quantity)
    for record in records(golden, case, quantity):
        flags = record.get("flags") or []
        if "stochastic_if_n>=182" in flags and len(golden.inputs[f"{case}_X"]) >= 182:
            continue
        tolerance = LOOSE.get(record["peer"], 1e-8)
        if quantity.endswith("spearman") and case == "e_degenerate":
            # Duplicate rows tie: peers rank the rounding noise between them and differ from one another by 4e-7.
            tolerance = max(tolerance, 1e-6)
        label = f"{record['peer']}: {record['variant']}"
        assert value == pytest.approx(record["canonical_value"], abs=tolerance), label


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("quantity", [name for name in QUANTITIES if not name.startswith("knn")])
def test_our_value_is_the_consensus(golden: Golden, case: str, quantity: str) -> None:
    consensus = [
        entry["consensus"]
        for entry in golden.metrics["agreement"]
        if entry["case"] == case and entry["quantity"] == quantity
    ]
    assert len(consensus) == 1
    # Entries within 1e-6 of one another agree, and the consensus is one of them.
    assert ours(golden, case, quantity) == pytest.approx(consensus[0], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [5, 10, 20])
def test_our_mutual_neighbours_are_those_of_every_peer(golden: Golden, case: str, k: int) -> None:
    quantity = f"knn.overlap.cosine.k={k}"
    value = ours(golden, case, quantity, k=k)
    for record in records(golden, case, quantity):
        # Exact duplicates make the k-th neighbour ambiguous: peers differ by up to 0.01 there.
        tolerance = 0.01 if case == "e_degenerate" else 1e-6 if record["peer"] == "platonic-rep" else 1e-12
        assert value == pytest.approx(record["canonical_value"], abs=tolerance), record["peer"]


@pytest.mark.parametrize("case", [case for case in CASES if case != "e_degenerate"])
@pytest.mark.parametrize("k", [5, 10, 20])
def test_our_euclidean_neighbour_sets_give_the_jaccard_of_resi(golden: Golden, case: str, k: int) -> None:
    metric = make_metric(SPECS["mutual_knn_euclidean"], {"k": k})
    a, b = (metric.prepare(rep) for rep in golden.sides(case))
    common = np.take_along_axis(b.member, a.index, axis=1).sum(axis=1)
    jaccard = np.mean(common / (2 * k - common))
    for record in records(golden, case, f"knn.jaccard.euclidean.k={k}"):
        assert jaccard == pytest.approx(record["canonical_value"], abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_procrustes_distance_is_that_of_ding(golden: Golden, case: str) -> None:
    metric = make_metric(SPECS["procrustes_distance"], {})
    a, b = (metric.prepare(rep) for rep in golden.sides(case))
    compared = [
        record
        for record in records(golden, case, "procrustes.cosine.centered")
        if record["variant"] == "OrthogonalProcrustesCenteredAndNormalized"
    ]
    assert compared
    for record in compared:
        # On an exact similarity transform the peer's 2 - 2 cos is rounding: 1e-8 where ours is 1e-15.
        assert metric.score(a, b) == pytest.approx(record["value"], abs=1e-7)


# --- permutation nulls ---------------------------------------------------------------------------------------------


def null(golden: Golden, case: str, metric_name: str) -> tuple[float, F64]:
    """Our observed value and our draws on the stored permutations, in the peer's dress."""
    a, b = golden.sides(case)
    orders = golden.permutations(case)
    if metric_name == "mutual_knn":
        # The peer ranks by inner product: our sets and our relabelling on its similarities.
        knn = make_metric(SPECS["mutual_knn_cosine"], {"k": 10})
        sets = [neighbours(rep.matrix @ rep.matrix.T, np.full(rep.n, 1e-12), 10) for rep in (a, b)]
        return knn.score(*sets), knn.permuted(*sets, orders)  # type: ignore[attr-defined]
    name = {"cka_linear": "cka_linear", "cka_unbiased": "cka_linear_debiased", "procrustes": "procrustes_angular"}
    metric = make_metric(SPECS[name[metric_name]], {})
    states = metric.prepare(a), metric.prepare(b)
    value, draws = metric.score(*states), metric.permuted(*states, orders)  # type: ignore[attr-defined]
    if metric_name != "procrustes":
        return value, draws
    # The peer gives 1 - ||Xc Q - Yc|| / ||Yc||, neither normalised nor symmetric.
    ratio = np.sqrt(a.workspace.energy / b.workspace.energy)
    dressed = 1.0 - np.sqrt(np.clip(1.0 + ratio**2 - 2.0 * ratio * np.cos(np.append(draws, value)), 0.0, None))
    return float(dressed[-1]), dressed[:-1]


# The peer adds 1e-6 to denominators and returns neighbour scores in float32.
NULL_TOLERANCE = {"cka_linear": 1e-9, "cka_unbiased": 1e-8, "procrustes": 1e-6, "mutual_knn": 1e-7}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("metric_name", NULL_TOLERANCE)
def test_our_permutation_null_is_that_of_the_peer(golden: Golden, case: str, metric_name: str) -> None:
    ambiguous = (case, metric_name) == ("e_degenerate", "mutual_knn")
    # Duplicates: position decides between ties, and the peer ranks the permuted rows anew.
    tolerance = 0.02 if ambiguous else NULL_TOLERANCE[metric_name]
    value, draws = null(golden, case, metric_name)
    found = [r for r in golden.metrics["calibration"] if (r["case"], r["metric"]) == (case, metric_name)]
    assert {(r["K"], r["alpha"]) for r in found} == {(99, 0.05), (200, 0.05), (200, 0.01)}
    for record in found:
        held = calibrate(value, draws[: record["K"]], direction="higher_is_closer", best=1.0, alpha=record["alpha"])
        assert value == pytest.approx(record["raw"], abs=tolerance)
        np.testing.assert_allclose(draws[:5], record["null_first5"], atol=tolerance, rtol=0)
        assert draws[: record["K"]].max() == pytest.approx(record["null_max"], abs=tolerance)
        assert held.mean == pytest.approx(record["null_mean"], abs=tolerance)
        assert held.sd == pytest.approx(record["null_std_population"], abs=tolerance)
        assert held.excess == pytest.approx(record["raw"] - record["null_mean"], abs=2 * tolerance)
        assert held.tau == pytest.approx(record["tau"], abs=tolerance)
        assert held.calibrated == pytest.approx(record["calibrated"], abs=5 * tolerance)
        if not ambiguous:
            # A draw equal to the observation counts, and in float32 the peer may miss it.
            equal = np.count_nonzero(np.abs(draws[: record["K"]] - value) < 1e-9)
            assert 0 <= held.p - record["p_value"] + 1e-12 <= equal / (record["K"] + 1) + 2e-12
            assert held.z == pytest.approx(record["z"], rel=1e-4)
