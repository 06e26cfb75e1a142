"""How reductions run: seeds, fitted transformers, renumbered controls, verdicts in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import numgeom
from numgeom.catalog import Catalog, Choice
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.singles import reduce, reduce_and_judge
from numgeom.specs import NullSpec, ReducerSpec


def walk(n: int = 60, d: int = 80) -> Representation:
    rng = np.random.default_rng(0)
    return Representation(rng.normal(size=(n, d)).cumsum(axis=0), np.arange(n), random_rows=rng.normal(size=(n, d)))


def controls(reducer: Choice[ReducerSpec], catalog: Catalog) -> list[Choice[NullSpec] | None]:
    return [catalog.nulls.choose(name) for name in reducer.spec.nulls]


def test_a_reducer_that_draws_can_be_asked_again() -> None:
    reducer = open_catalog().reducers.choose("random_projection")
    made = reduce(reducer, walk(), 3)
    again = made.provenance["again"]
    np.testing.assert_array_equal(again(3), made.matrix)
    assert np.abs(again(4) - made.matrix).max() > 0.1
    assert "again" not in reduce(open_catalog().reducers.choose("pca"), walk(), 3).provenance
    assert made.provenance["fitted"].components_.shape == (2, 80)


def test_shuffled_labels_renumber_the_reduction_and_a_supervised_one_is_made_again() -> None:
    catalog, rep = open_catalog(), walk()
    judged = [catalog.geometry.choose("fidelity")]
    for name, same in (("random_projection", True), ("pls", False)):
        reducer = catalog.reducers.choose(name)
        found = reduce_and_judge(reducer, judged, controls(reducer, catalog), rep, draws=2, seed=0)
        own, shuffled = (found.coordinates[panel] for panel in ("numbers", "row_permutation"))
        assert shuffled["labelled"]
        assert (sorted(own["x"]) == sorted(shuffled["x"])) is same


def test_a_smooth_curve_keeps_its_numbers_in_pictures_and_noise_has_none() -> None:
    catalog, rep = open_catalog(), walk()
    reducer = catalog.reducers.choose("pca")
    found = reduce_and_judge(
        reducer, [catalog.geometry.choose("arch_verdict")], controls(reducer, catalog), rep, draws=2, seed=0
    )
    labelled = {panel: points["labelled"] for panel, points in found.coordinates.items()}
    assert labelled == {
        "numbers": True,
        "random_tokens": False,
        "row_permutation": True,
        "smooth_surrogate": True,
        "iid_gaussian": False,
    }


@pytest.mark.parametrize("reducer", ["pca", "svd_uncentred(n_components=3)"])
def test_a_verdict_is_written_as_its_word_in_tables_and_under_pictures(reducer: str) -> None:
    study = numgeom.geometry(
        ["walk=synthetic:walk?d=300"], metrics=["arch"], reducers=[reducer], numbers="0..79", draws=9
    )
    tables = {table.name.partition("__0..")[0]: table for table in study.tables()}
    name = reducer.partition("(")[0]
    for stem in ("geometry__arch", f"reduction__{name}__arch_verdict"):
        frame = tables[stem].frame
        assert frame.loc[frame["row"] == "value", "arch_explained"].tolist() == ["yes"]
        means = frame.loc[frame["row"] == "row_permutation mean", "arch_explained"]
        assert pd.to_numeric(means).between(0.0, 1.0).all()
    (picture,) = (table for table in study.tables() if table.kind == "coordinates")
    assert picture.notes[0] == "arch explained: yes"
    assert any(note.startswith("fidelity: trustworthiness ") for note in picture.notes)
