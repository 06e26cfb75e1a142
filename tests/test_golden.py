"""Parity with what the peers' own code returns on the golden inputs, and with their permutation nulls."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.distance import cdist, pdist

from numgeom import Incompatible, Representation
from numgeom.calibrate import calibrate
from numgeom.targets import make_metric
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.convergence.neighbours import neighbours

F64 = npt.NDArray[np.float64]

# Caveats of the golden inputs are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS = {card.name: card for card in numgeom_convergence_metrics()}
CASES = ("a_gaussian", "b_rot_scale_shift", "c_helix", "d_wide", "e_degenerate", "f_fourier")
MAP: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "golden_map.toml").read_text())
OFFERED = [quantity for quantity, entry in MAP.items() if "metric" in entry]
TRANSFORMS: dict[str, Callable[[float], float]] = {
    "cos": math.cos,
    "one_minus": lambda value: 1.0 - value,
    "square": lambda value: value**2,
    "sqrt": math.sqrt,
}


class Golden:
    """The golden files, read once."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "inputs.npz") as held:
            self.inputs = {name: held[name] for name in held.files}
        self.metrics = json.loads((folder / "metrics.json").read_text())
        self.reps: dict[str, tuple[Representation, Representation]] = {}

    def sides(self, case: str) -> tuple[Representation, Representation]:
        if case not in self.reps:
            x, y = (self.inputs[f"{case}_{side}"] for side in "XY")
            numbers = np.arange(len(x))
            self.reps[case] = Representation(x, numbers), Representation(y, numbers)
        return self.reps[case]

    def permutations(self, case: str) -> npt.NDArray[np.int64]:
        return np.asarray(self.inputs[f"{case}_perms"], dtype=np.int64)


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden")


def ours(golden: Golden, case: str, quantity: str, params: Mapping[str, Any]) -> float:
    """Our value in the peers' dress, at the parameters of the map and those given."""
    entry = MAP[quantity]
    spec = SPECS[entry["metric"]]
    full = spec.with_params({**entry.get("params", {}), **params})
    metric = make_metric(spec, full)
    a, b = golden.sides(case)
    value = float(metric.score(metric.prepare(a), metric.prepare(b)))
    return float(TRANSFORMS[entry["transform"]](value)) if "transform" in entry else value


def records(golden: Golden, case: str, quantity: str) -> list[Mapping[str, Any]]:
    return [
        record
        for record in golden.metrics["records"]
        if record["case"] == case and record["quantity"] == quantity and record["canonical_value"] is not None
    ]


def exception(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the map says of an entry that does not hold our value to 1e-8, or nothing."""
    for other in MAP[record["quantity"]].get("others", []):
        fits = other["peer"] in (record["peer"], "*") and other.get("variant", "") in record["variant"]
        if fits and record["case"] in other.get("cases", CASES):
            found: Mapping[str, Any] = other
            return found
    return {}


def tolerance(record: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How near an entry must be to our value; relative above 1."""
    ordinary = 1e-5 if "float32" in (record.get("flags") or []) else 1e-8
    return float(other.get("within", ordinary)) * max(1.0, abs(float(record["canonical_value"])))


# --- every quantity of every peer ----------------------------------------------------------------------------------


def test_the_map_names_every_quantity_and_nothing_else(golden: Golden) -> None:
    assert set(MAP) == {record["quantity"] for record in golden.metrics["records"]}


def test_every_table_of_the_map_offers_a_metric_or_says_why_not() -> None:
    for quantity, entry in MAP.items():
        assert ("metric" in entry) != ("reason" in entry), quantity
        allowed = {"metric", "params", "transform", "others"} if "metric" in entry else {"reason"}
        assert set(entry) <= allowed, quantity
        assert len(entry.get("reason", "x" * 40)) >= 40, quantity
        for other in entry.get("others", []):
            assert other["reason"], quantity
            assert set(other) <= {"peer", "variant", "cases", "params", "within", "reason"}, quantity
            assert set(other.get("cases", [])) <= set(CASES), quantity


@pytest.mark.parametrize("quantity", OFFERED)
def test_our_value_is_that_of_every_peer(golden: Golden, quantity: str) -> None:
    exact, seen = 0, []
    for case in CASES:
        values: dict[str, float] = {}
        for record in records(golden, case, quantity):
            if "stochastic" in (record.get("flags") or []):
                continue
            other = exception(record)
            seen.append(other)
            wanted = other.get("params", {})
            key = json.dumps(wanted)
            label = f"{case}, {record['peer']}: {record['variant']}"
            try:
                values.setdefault(key, ours(golden, case, quantity, wanted))
            except Incompatible:
                assert other, label
                continue
            gap = abs(values[key] - record["canonical_value"])
            if other and "within" not in other and "params" not in other:
                assert gap > 1e-6, f"{label}: it is our value, so the map must not call it another number"
                continue
            assert gap <= tolerance(record, other), f"{label}: {values[key]!r} and {record['canonical_value']!r}"
            exact += gap <= 1e-5 * max(1.0, abs(record["canonical_value"]))
    # Where a quantity has a single peer, at least some case must be exact for us to call it offered.
    assert exact >= 3
    for other in MAP[quantity].get("others", []):
        assert other in seen, f"no entry of {quantity} is {other['peer']} {other.get('variant', '')}"


@pytest.mark.parametrize("quantity", OFFERED)
def test_our_value_is_the_consensus(golden: Golden, quantity: str) -> None:
    """Where two implementations agree, and no tie or rank deficiency lets them agree on something else."""
    for entry in golden.metrics["agreement"]:
        if entry["quantity"] != quantity or entry["consensus"] is None or entry["case"] == "e_degenerate":
            continue
        wanted: Mapping[str, Any] = {}
        agreed = [
            r for r in records(golden, entry["case"], quantity) if abs(r["canonical_value"] - entry["consensus"]) < 1e-6
        ]
        # All that agree may share a parameter that is not our default, such as a ridge.
        held = [exception(record).get("params") for record in agreed]
        if held and all(params is not None for params in held):
            wanted = held[0] or {}
        value = ours(golden, entry["case"], quantity, wanted)
        scale = max(1.0, abs(entry["consensus"]))
        slack = 3e-6 if quantity.startswith("cknna") else 1e-6
        assert value == pytest.approx(entry["consensus"], abs=slack * scale), entry["case"]


@pytest.mark.parametrize("case", CASES)
def test_every_dress_of_procrustes_is_one_number(golden: Golden, case: str) -> None:
    x, y = golden.sides(case)
    size = math.sqrt(x.workspace.energy + y.workspace.energy)
    dresses = {
        "OrthogonalProcrustesCenteredAndNormalized": ("procrustes_distance", 1.0),
        "LinearMetric alpha=1 angular": ("procrustes_angular", 1.0),
        "LinearMetric alpha=1 euclidean (not normalised)": ("procrustes_size_and_shape", size),
        "ProcrustesSizeAndShapeDistance": ("procrustes_size_and_shape", size),
    }
    compared = 0
    for record in records(golden, case, "procrustes.cosine.centered"):
        if record["variant"] in dresses:
            name, scale = dresses[record["variant"]]
            metric = make_metric(SPECS[name], {})
            value = metric.score(metric.prepare(x), metric.prepare(y))
            # On an exact similarity transform the peers' 2 - 2 cos is rounding: 1e-8 where ours is 1e-15.
            assert value == pytest.approx(record["value"], abs=1e-7 * scale), record["variant"]
            compared += 1
    assert compared == 4


@pytest.mark.parametrize("case", ["b_rot_scale_shift", "d_wide", "f_fourier"])
def test_the_discrepancy_of_the_peer_lies_between_the_two_readings_of_its_median(golden: Golden, case: str) -> None:
    x, y = (rep.matrix for rep in golden.sides(case))
    pooled = np.concatenate([x, y])
    value = [record["canonical_value"] for record in records(golden, case, "mmd.rbf.median")]

    def discrepancy(median: float) -> float:
        kxx, kyy, kxy = (
            np.exp(-cdist(u, v, "sqeuclidean") / (2.0 * median**2)).mean() for u, v in ((x, x), (y, y), (x, y))
        )
        return float(np.sqrt(kxx + kyy - 2.0 * kxy))

    different, all_pairs = (discrepancy(float(np.median(d))) for d in (pdist(pooled), cdist(pooled, pooled)))
    metric = make_metric(SPECS["mmd_rbf"], {})
    a, b = golden.sides(case)
    assert metric.score(metric.prepare(a), metric.prepare(b)) == pytest.approx(different, abs=1e-12)
    assert min(different, all_pairs) < value[0] < max(different, all_pairs)


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
