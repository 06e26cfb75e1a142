"""Geometry metrics of one representation: shared draws, reindexed derivations, failures that stay alone."""

from __future__ import annotations

import numpy as np
import pytest

from numgeom import Curve, Representation
from numgeom.catalog import Choice
from numgeom.jobs import Job
from numgeom.registry import open_catalog
from numgeom.seeds import generators
from numgeom.shape_jobs import hand_over, shape_jobs
from numgeom.single_draws import shape_key
from numgeom.singles import measure, measure_beside
from numgeom.specs import GeometrySpec, NullSpec

DERIVED = ("centred", "gram", "energy", "mean_share", "spectrum", "squared_distances", "distances", "cosines")


def cloud(n: int = 12, d: int = 5) -> Representation:
    return Representation(np.random.default_rng(3).standard_normal((n, d)) + 2.0, np.arange(n))


def shuffled(rep: Representation, rng: np.random.Generator) -> Representation:
    return rep.permuted(rng.permutation(rep.n))


def first_step(rep: Representation) -> dict[str, float]:
    return {"step": rep.workspace.distances[0, 1], "span": rep.workspace.distances.max()}


def first_row(rep: Representation) -> float:
    return float(rep.matrix[0, 0])


def profile(rep: Representation) -> dict[str, object]:
    steps = np.diag(rep.workspace.distances, 1)
    return {"mean": steps.mean(), "steps": Curve(x=rep.numbers[1:], y=steps, x_label="n", y_label="distance")}


def fails_on_draws(rep: Representation) -> float:
    if rep.matrix[0, 0] != cloud().matrix[0, 0]:
        raise ZeroDivisionError("only on draws")
    return 1.0


def metric(function: object, name: str) -> Choice[GeometrySpec]:
    return Choice(GeometrySpec(name=name, summary="for this test", target=function), {}, name, "test", "0")


NULL = Choice(
    NullSpec(name="shuffled", summary="rows", target=shuffled, keeps="rows", destroys="order", permutes_rows=True),
    {},
    "shuffled",
    "test",
    "0",
)


@pytest.mark.parametrize("name", DERIVED)
def test_a_permuted_representation_derives_what_its_rows_give(name: str) -> None:
    rep, order = cloud(), np.random.default_rng(0).permutation(12)
    fresh = Representation(rep.matrix[order], rep.numbers)
    assert np.allclose(getattr(rep.permuted(order).workspace, name), getattr(fresh.workspace, name), atol=1e-12)


def test_the_thin_factor_of_permuted_rows_is_reindexed() -> None:
    rep, order = cloud(), np.random.default_rng(0).permutation(12)
    left, values = rep.permuted(order).workspace.thin
    assert np.allclose(left * values @ (left * values).T, rep.workspace.gram[np.ix_(order, order)])


def test_metrics_measured_together_are_those_measured_alone() -> None:
    metrics = [metric(first_step, "first_step"), metric(first_row, "first_row")]
    together = measure(metrics, NULL, cloud(), draws=7, seed=1).outcomes
    alone = {m.label: measure([m], NULL, cloud(), draws=7, seed=1).outcomes[m.label] for m in metrics}
    assert {k: [o.as_dict() for o in v] for k, v in together.items()} == {
        k: [o.as_dict() for o in v] for k, v in alone.items()
    }


def test_a_metric_that_fails_on_a_draw_keeps_its_value_and_leaves_the_others_alone() -> None:
    measured = measure([metric(fails_on_draws, "fragile"), metric(first_step, "sound")], NULL, cloud(), draws=5, seed=1)
    found = measured.outcomes
    assert found["fragile"][0].status == "error"
    assert found["fragile"][0].reason is not None
    assert "null shuffled" in found["fragile"][0].reason
    assert "only on draws" in found["fragile"][0].reason
    assert [outcome.status for outcome in found["sound"]] == ["ok", "ok"]


def test_a_curve_stands_beside_the_mean_and_the_spread_of_its_null() -> None:
    figures = measure([metric(profile, "profile")], NULL, cloud(), draws=50, seed=1).figures["profile"]
    observed, null = figures
    assert (observed["figure"], observed["null"], null["null"]) == ("steps", "", "shuffled")
    assert observed["y"] == np.diag(cloud().workspace.distances, 1).tolist()
    apart = cloud().workspace.distances[np.triu_indices(12, 1)]
    # Every step of a shuffled cloud is a random distance.
    assert np.mean(null["y"]) == pytest.approx(apart.mean(), rel=0.05)
    assert np.mean(null["sd"]) == pytest.approx(apart.std(), rel=0.2)


def test_a_curve_that_is_not_finite_is_an_error_row() -> None:
    def broken(rep: Representation) -> dict[str, object]:
        return {"mean": 1.0, "steps": Curve(x=[0.0], y=[np.nan], x_label="n", y_label="distance")}

    (outcome,) = measure([metric(broken, "broken")], None, cloud(), draws=0, seed=1).outcomes["broken"]
    assert outcome.status == "error"
    assert "finite x and y" in outcome.reason


def test_draws_of_one_shape_are_the_same_for_models_of_any_scale() -> None:
    catalog = open_catalog()
    metric = catalog.geometry.choose("variance_spectrum")
    null = catalog.nulls.choose("iid_gaussian")
    other = Representation(1000.0 * np.random.default_rng(9).standard_normal((12, 5)), np.arange(12))
    one, two = (measure([metric], null, rep, draws=9, seed=4).outcomes[metric.label] for rep in (cloud(), other))
    assert [outcome.null_mean for outcome in one] == [outcome.null_mean for outcome in two]
    assert one[0].value != two[0].value
    # What is shared is what each would have drawn, but for rounding.
    drawn = [null.spec.load()(cloud(), rng) for rng in generators(4, null.label, cloud().numbers, 9)]
    alone = np.mean([metric.spec.load()(rep)["participation_ratio"] for rep in drawn])
    (held,) = [outcome for outcome in one if outcome.measure == "participation_ratio"]
    assert held.null_mean == pytest.approx(alone)


def test_draws_of_a_shape_are_made_once_in_parts_and_change_nothing() -> None:
    catalog = open_catalog()
    null = catalog.nulls.choose("iid_gaussian")
    metrics = [catalog.geometry.choose(name) for name in ("variance_spectrum", "intrinsic_dimension")]
    reps = [Representation(np.random.default_rng(k).standard_normal((30, 40)), np.arange(30)) for k in range(3)]
    alone = [measure(metrics, null, rep, draws=7, seed=1) for rep in reps]
    for workers in (1, 3):
        jobs = [Job([], measure_beside, ([(null, metrics)], rep), {"draws": 7, "seed": 1}, "", [rep]) for rep in reps]
        shapes = shape_jobs(jobs, workers)
        assert [job.options["ends"] for job in shapes] == ([(0, 7)] if workers == 1 else [(0, 2), (2, 4), (4, 7)])
        # As workers do, the last one first.
        hand_over([(job, job.call(*job.arguments, **job.options)) for job in reversed(shapes)], jobs)
        for job, expected in zip(jobs, alone, strict=True):
            assert list(job.options["known"]) == [shape_key(null, job.reps[0])]
            found = job.call(*job.arguments, **job.options)["iid_gaussian"]
            assert found.outcomes == expected.outcomes
            assert found.figures == expected.figures


def test_no_draws_are_of_a_shape_after_preprocessing_or_beside_another_null() -> None:
    catalog = open_catalog()
    metrics = [catalog.geometry.choose("variance_spectrum")]
    rep = cloud()
    chained = Representation(rep.matrix, rep.numbers, provenance={"preprocess": ("center",)})
    for null, one in (("row_permutation", rep), ("iid_gaussian", chained)):
        groups = [(catalog.nulls.choose(null), metrics), (None, metrics)]
        job = Job([], measure_beside, (groups, one), {"draws": 3, "seed": 0}, "", [one])
        assert shape_jobs([job], 2) == []
