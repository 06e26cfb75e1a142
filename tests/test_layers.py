"""Layers in studies: which are planned, how they are named and ordered, and what the heat map shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import numgeom
from numgeom import ModelSpec, NumberSet, NumgeomError, Representation, SourceSpec, Study, Table
from numgeom.api import Session
from numgeom.catalog import Catalog
from numgeom.cli import app
from numgeom.loading import Loader
from numgeom.plan import plan, representation_ids
from numgeom.plugins import LoadReport, Provided
from numgeom.registry import make_suite, open_catalog
from numgeom.results import long_table
from numgeom.store import Store
from numgeom_plugins.renderers import heatmap as renderer

LLAMA = ModelSpec(name="a", source="demo", id="llama_a")  # two blocks
NEOX = ModelSpec(name="b", source="demo", id="neox_a")  # three
NUMBERS = "0..29"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return open_catalog()


def message(call: Callable[[], object]) -> str:
    with pytest.raises(NumgeomError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(catalog: Catalog, text: str, model: ModelSpec = LLAMA) -> list[str]:
    return [one.name for one in catalog.readings(model, text)]


# What a reading means


def test_selections_of_layers(catalog: Catalog) -> None:
    assert names(catalog, "hidden:1") == ["hidden:1"]
    assert names(catalog, "hidden:all") == ["hidden:0", "hidden:1", "hidden:2"]
    assert names(catalog, "hidden:all", NEOX) == [f"hidden:{k}" for k in range(4)]
    assert names(catalog, "hidden:0..2") == names(catalog, "hidden:0,1,2") == names(catalog, "hidden:all")
    assert names(catalog, "hidden:0..12:4") == ["hidden:0", "hidden:4", "hidden:8", "hidden:12"]
    assert names(catalog, "hidden:all(block=before)") == ["hidden:1(block=before)", "hidden:2(block=before)"]
    assert names(catalog, "input") == names(catalog, "default") == ["input"]


def test_parameters_in_parentheses_are_part_of_the_name(catalog: Catalog) -> None:
    one = catalog.reading(LLAMA, "hidden:2(dtype=float64, batch=8)")
    assert one.name == "hidden:2(batch=8, dtype=float64)"
    assert (one.read, one.head) == ("hidden:2", "hidden:")
    assert (one.params["batch"], one.params["dtype"], one.params["block"]) == (8, "float64", "after")
    assert catalog.reading(LLAMA, "hidden:2(dtype=float32)").name == "hidden:2"
    assert catalog.reading(LLAMA, "hidden:2(templates=({n})|{n}+)").params["templates"] == "({n})|{n}+"


def test_parameters_come_from_card_registry_model_and_reading_in_that_order(catalog: Catalog) -> None:
    mine = Catalog(catalog.report, {"hidden": {"batch": 2, "block": "before", "dtype": "float64"}})
    own = ModelSpec(name="a", source="demo", id="llama_a", params={"block": "after", "dtype": "bfloat16"})
    params = mine.reading(own, "hidden:1(dtype=float16)").params
    assert (params["batch"], params["block"], params["dtype"]) == (2, "after", "float16")


def test_a_models_parameter_may_be_meant_for_another_source(catalog: Catalog) -> None:
    model = ModelSpec(name="m", source="checkpoint", id="x", params={"tensor": "wte.weight", "device": "cpu"})
    assert catalog.reading(model, "input").params == {"tensor": "wte.weight"}
    assert catalog.reading(model, "hidden:1").params["device"] == "cpu"
    wrong = ModelSpec(name="m", source="checkpoint", id="x", params={"tensro": "wte.weight"})
    assert "unknown parameter of source 'checkpoint' 'tensro'; did you mean 'tensor'" in message(
        lambda: catalog.reading(wrong, "hidden:1")
    )


def test_faults_of_readings(catalog: Catalog) -> None:
    assert "Say which: hidden:6, hidden:0..12 or hidden:all" in message(lambda: names(catalog, "hidden"))
    assert "unknown reading of 'demo' models 'hiden:1'" in message(lambda: names(catalog, "hiden:1"))
    assert "unknown parameter of source 'hidden' 'layer'" in message(lambda: names(catalog, "hidden:1(layer=2)"))
    assert "must be written key=value" in message(lambda: names(catalog, "hidden:1(float64)"))
    rows = ModelSpec(name="r", source="rows", id="r.npz")
    assert "unknown reading of 'rows' models 'hidden:1'" in message(lambda: catalog.readings(rows, "hidden:1"))


def test_layers_are_entered_into_the_sources_that_have_some(catalog: Catalog) -> None:
    assert catalog.with_layers(["input", "hidden"], "all") == ["input", "hidden:all"]
    assert catalog.with_layers(["hidden(dtype=float64)"], "0..2") == ["hidden:0..2(dtype=float64)"]
    text = message(lambda: catalog.with_layers(["default"], "all"))
    assert text == "default has no layers to choose; for layers all type --source hidden."
    assert "write all, 0..12, 0..32:4 or 0,4,8" in message(lambda: catalog.with_layers(["hidden"], "top"))


# What is planned


def cells(models: list[str], **options: Any) -> list[tuple[str, str]]:
    session = Session.open(cache=False)
    suite = make_suite(
        models=models, numbers=[NUMBERS], convergence=["cka_linear_debiased"], nulls=["row_permutation"], **options
    )
    found = plan(session.experiment("t", suite), session.catalog)
    return [(f"{c.a.model.name}/{c.a.source}", f"{c.b.model.name}/{c.b.source}") for c in found if c.b]


def test_layers_of_two_models_are_paired_across_them_only() -> None:
    pairs = cells(["a=demo:llama_a", "b=demo:neox_a"], sources=["hidden:all"])
    assert pairs == [(f"a/hidden:{i}", f"b/hidden:{j}") for i in range(3) for j in range(4)]


def test_layers_of_one_model_are_paired_with_one_another() -> None:
    pairs = cells(["a=demo:llama_a"], sources=["hidden:all"])
    assert pairs == [("a/hidden:0", "a/hidden:1"), ("a/hidden:0", "a/hidden:2"), ("a/hidden:1", "a/hidden:2")]
    text = message(lambda: cells(["a=demo:llama_a"], sources=["hidden:1"]))
    assert "needs at least two models, or two readings of one" in text


def test_readings_that_are_no_layers_are_paired_as_before() -> None:
    pairs = cells(["a=demo:neox_a", "b=demo:neox_a"], sources=["input", "output"])
    assert ("a/input", "a/output") in pairs
    mixed = cells(["a=demo:llama_a", "b=demo:neox_a"], sources=["input", "hidden:1"])
    assert ("a/hidden:1", "a/input") not in mixed
    assert {("a/hidden:1", "b/input"), ("a/input", "b/hidden:1"), ("a/input", "b/input")} <= set(mixed)


def test_layer_ten_comes_after_layer_two() -> None:
    session = Session.open(cache=False)
    suite = make_suite(
        models=["a=demo:llama_a"], numbers=[NUMBERS], sources=["hidden:0..11"], geometry=["distance_order"]
    )
    found = representation_ids(session.experiment("t", suite), NumberSet.parse(NUMBERS), session.catalog)
    assert [one.source for one in found] == [f"hidden:{k}" for k in range(12)]


def test_a_model_without_the_layer_is_a_row_with_its_reason() -> None:
    study = numgeom.compare(
        ["a=demo:llama_a", "b=demo:neox_a"],
        sources="hidden",
        layers="2..3",
        numbers=NUMBERS,
        metrics="cka_linear_debiased",
        nulls="row_permutation",
        draws=9,
        cache=False,
    )
    assert study.frame["status"].tolist().count("ok") == 2
    (reason,) = set(study.failures["reason"])
    assert reason.startswith("a: hidden:3 is not in a, which has hidden:0 to hidden:2")


@pytest.mark.parametrize("layers", ["all", [0, 1, 2], range(3), "0..2"])
def test_the_python_face_takes_layers(layers: Any) -> None:
    study = numgeom.compare(
        "a=demo:llama_a", sources="hidden", layers=layers, numbers=NUMBERS, metrics="cka_linear", nulls="none", draws=9
    )
    assert len(study.frame) == 3
    table = study.table("cka_linear")
    assert list(table.index) == ["a/hidden:0", "a/hidden:1", "a/hidden:2"]


def test_loading_several_layers_at_once_is_refused() -> None:
    text = message(lambda: numgeom.load("demo:llama_a", source="hidden:all", numbers=NUMBERS, cache=False))
    assert text == "source 'hidden:all' is 3 readings; load one, as in 'hidden:2'."


def test_the_command_line_draws_layers_against_layers(tmp_path: Path) -> None:
    typed = f"compare a=demo:llama_a b=demo:neox_a --source hidden --layers all --numbers {NUMBERS}"
    options = f"--metrics cka_linear_debiased --draws 19 --jobs 1 --out {tmp_path}"
    done = CliRunner().invoke(app, [*typed.split(), *options.split()])
    assert done.exit_code == 0, done.output
    assert "a/hidden:2" in done.output
    assert [path.name for path in (tmp_path / "tables").glob("matrix*.png")]
    refused = CliRunner().invoke(app, ["geometry", "demo:llama_a", "--layers", "all"])
    assert "has no layers to choose" in str(refused.exception)


# Sources of third parties


class Ladder:
    """A source of its own layers, which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
        raise numgeom.SourceError(f"{read} is not there; write step:0 to step:2.")

    def readings(self, model: ModelSpec) -> list[str]:
        return ["step:0", "step:1", "step:2"]

    def read_many(
        self, model: ModelSpec, numbers: NumberSet, *, reads: list[str], progress: Callable[[str, int, int], None]
    ) -> Iterable[tuple[str, Mapping[str, Any], Representation]]:
        self.asked.append(reads)
        progress("climbing", 1, 1)
        if "step:1" in reads and model.id == "broken":
            raise RuntimeError("the ladder broke")
        for read in reads:
            if read in self.readings(model):
                rows = np.random.default_rng(int(read[-1])).standard_normal((len(numbers), 4))
                yield read, {}, Representation(rows, numbers.array)


def loader(ladder: Ladder, reads: list[str], where: str = "whole") -> tuple[Loader, list[Any], list[str]]:
    card = SourceSpec(name="ladder", summary="steps", target=ladder, schemes=("demo",), reads=("step:{}",))
    report = open_catalog().report
    mine = LoadReport(report.plugins, [*report.provided, Provided(card, "mine", "1")], report.conflicts)
    session = Session.open(cache=False)
    catalog = Catalog(mine)
    suite = make_suite(models=["demo:llama_a"], numbers=[NUMBERS], sources=reads, geometry=["distance_order"])
    session = Session(session.registry, catalog, session.engine)
    experiment = session.experiment("t", suite)
    said: list[str] = []
    found = Loader(catalog, Store(None), experiment, lambda what, done, total: said.append(what))
    ids = representation_ids(experiment, NumberSet.parse(NUMBERS), catalog)
    return found, [one if where == "whole" else _renamed(one, where) for one in ids], said


def _renamed(one: Any, where: str) -> Any:
    from dataclasses import replace

    return replace(one, model=replace(one.model, id=where))


def test_a_source_that_reads_many_is_asked_once() -> None:
    ladder = Ladder()
    found, ids, said = loader(ladder, ["step:all"])
    reps = [found.representation(one) for one in ids]
    assert ladder.asked == [["step:0", "step:1", "step:2"]]
    assert len({rep.digest for rep in reps}) == 3
    assert said == ["climbing"]


def test_what_stops_one_layer_stops_all_without_another_try() -> None:
    ladder = Ladder()
    found, ids, _ = loader(ladder, ["step:all"], "broken")
    for one in ids:
        assert "llama_a: RuntimeError: the ladder broke" in message(lambda one=one: found.representation(one))
    assert len(ladder.asked) == 1


def test_what_is_not_there_is_asked_for_alone_and_says_so() -> None:
    found, ids, _ = loader(Ladder(), ["step:1,7"])
    assert [one.source for one in ids] == ["step:1", "step:7"]
    assert found.representation(ids[0]).d == 4
    assert "step:7 is not there; write step:0 to step:2" in message(lambda: found.representation(ids[1]))


# The heat map


def matrix(pairs: Iterable[tuple[str, str]], *, both: bool = True) -> Table:
    rows = []
    for a, b in pairs:
        value = float(len(a) + 2 * len(b)) / 100
        for x, y in [(a, b), (b, a)] if both else [(a, b)]:
            rows.append({"panel": "value", "model_a": x, "model_b": y, "value": value, "p": np.nan, "n": 9})
    frame = pd.DataFrame(rows).assign(status="ok")
    return Table("m", "convergence_matrix", "m", frame)


def test_the_grid_has_one_models_layers_beside_the_others() -> None:
    # As a table sorted by text would have them.
    a, b = [f"a/hidden:{k}" for k in (0, 1, 10, 11, 2)], ["b/hidden:0", "b/hidden:1"]
    grid = renderer._grid(matrix((x, y) for x in a for y in b).frame)
    assert grid.row_names == ["0", "1", "2", "10", "11"]
    assert (grid.columns, grid.upwards) == (b, True)
    assert (grid.row_title, grid.column_title) == ("a hidden layer", "b hidden layer")


def test_one_models_layers_stand_against_themselves() -> None:
    a = [f"a/hidden:{k}(dtype=float64)" for k in (0, 10, 2)]
    grid = renderer._grid(matrix((x, y) for i, x in enumerate(a) for y in a[i + 1 :]).frame)
    assert grid.row_names == grid.column_names == ["0", "2", "10"]
    assert grid.row_title == "a hidden(dtype=float64) layer"


def test_what_is_not_layers_against_layers_stays_a_square() -> None:
    three = [f"{model}/hidden:{k}" for model in "abc" for k in (10, 2)]
    grid = renderer._grid(matrix((x, y) for x in three for y in three if x[0] < y[0]).frame)
    assert grid.rows == grid.columns
    assert grid.rows[:2] == ["a/hidden:2", "a/hidden:10"]
    assert not grid.upwards
    mixed = renderer._grid(matrix([("a/hidden:1", "b"), ("a/hidden:2", "b")]).frame)
    assert mixed.rows == ["a/hidden:1", "a/hidden:2", "b"]
    one_way = renderer._grid(matrix([("a/hidden:1", "b/hidden:1")], both=False).frame)
    assert one_way.upwards
    frame = matrix([("a/hidden:1", "b/hidden:1")]).frame
    frame.loc[1, "value"] = 0.9  # not the same in both directions
    assert not renderer._grid(frame).upwards


def test_the_picture_holds_every_score_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    kept = Figure.savefig

    def keep(self: Figure, *args: Any, **options: Any) -> None:
        drawn.append(self)
        kept(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    pairs = [(f"a/hidden:{i}", f"long/hidden:{j}") for i in range(2) for j in range(11)]
    renderer.heatmap(matrix(pairs), tmp_path / "m.png")
    (ax,) = drawn[0].axes[:1]
    assert len([text for text in ax.texts if text.get_text()]) == 22
    assert [label.get_text() for label in ax.get_xticklabels()] == [str(j) for j in range(11)]
    low, high = ax.get_ylim()
    assert low < high  # layer 0 is at the bottom
    many = [(f"a/hidden:{i}", f"b/hidden:{j}") for i in range(30) for j in range(30)]
    renderer.heatmap(matrix(many), tmp_path / "n.png")
    assert not any(text.get_text() for text in drawn[1].axes[0].texts)


def test_layers_stand_in_their_own_order_in_every_table() -> None:
    rows = [
        {"kind": "geometry", "metric": "m", "measure": "value", "model_a": "a", "source_a": f"hidden:{k}", "value": k}
        for k in (10, 2, 1)
    ]
    frame = long_table([{**row, "status": "ok", "numbers": "0..9", "n": 10} for row in rows])
    assert frame["source_a"].tolist() == ["hidden:1", "hidden:2", "hidden:10"]
    assert list(Study(frame).table("m").index) == ["a/hidden:1", "a/hidden:2", "a/hidden:10"]


def test_the_best_layers_stand_beside_the_best_of_every_draw_by_default() -> None:
    study = numgeom.compare(
        ["demo:llama_a", "demo:neox_a"], numbers="0..29", sources="hidden", layers="0,1",
        metrics="cka_linear_debiased", draws=19, cache=False,
    )  # fmt: skip
    assert set(study.frame["null"]) == {"row_permutation_drawn", "order_modes"}
    best = study.layers("cka_linear_debiased")
    assert best["p"].notna().all()
    assert not best["warnings"].str.contains("W-MULT").any()
