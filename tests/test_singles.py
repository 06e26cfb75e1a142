"""Geometry metrics of one representation: shared draws, reindexed derivations, failures that stay alone."""

from __future__ import annotations

import numpy as np
import pytest

from numgeom import Representation
from numgeom.catalog import Choice
from numgeom.singles import measure
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
    together = measure(metrics, NULL, cloud(), draws=7, seed=1)
    alone = {m.label: measure([m], NULL, cloud(), draws=7, seed=1)[m.label] for m in metrics}
    assert {k: [o.as_dict() for o in v] for k, v in together.items()} == {
        k: [o.as_dict() for o in v] for k, v in alone.items()
    }


def test_a_metric_that_fails_on_a_draw_keeps_its_value_and_leaves_the_others_alone() -> None:
    found = measure([metric(fails_on_draws, "fragile"), metric(first_step, "sound")], NULL, cloud(), draws=5, seed=1)
    assert found["fragile"][0].status == "error"
    assert found["fragile"][0].reason is not None
    assert "null shuffled" in found["fragile"][0].reason
    assert "only on draws" in found["fragile"][0].reason
    assert [outcome.status for outcome in found["sound"]] == ["ok", "ok"]
