"""The engine: one row a planned measurement, nothing lost, nothing computed twice, the same table every time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import numgeom
from numgeom import ConvergenceSpec, Representation
from numgeom.api import Session
from numgeom.errors import NumgeomError, RegistryError, UnknownName
from numgeom.results import COLUMNS

PLUGIN = """
import os, pathlib, warnings
import numpy as np
from numgeom import (ConvergenceSpec, GeometrySpec, Incompatible, MeasurementWarning, NullSpec, ReducerSpec,
                     Representation, SourceSpec, SourceError, hookimpl)

def cloud(model, numbers, *, read, d=6):
    if model.id == "broken":
        raise SourceError("the file is broken; fetch it again.")
    if model.id == "bug":
        raise ZeroDivisionError("a bug in the source")
    values = numbers.array
    if model.id == "odd":
        values = values[values % 2 == 1]
    if model.id == "far":
        values = values + 10_000
    rng = np.random.default_rng(int.from_bytes(model.id.encode(), "big") % 2**32)
    rows = rng.standard_normal((len(values), d)) + np.sin(values)[:, None] * 2
    if model.id == "nan":
        rows[1, 1] = np.nan
    if model.id == "twins":
        rows[2] = rows[0]
    return Representation(rows, values, random_rows=rng.standard_normal((50, d)))

def count(name):
    log = os.environ.get("COUNT_LOG")
    if log:
        with open(log, "a") as file:
            file.write(name + "\\n")

def nearness(a, b):
    count("nearness")
    slow = float(os.environ.get("SLOW", 0))
    if slow:
        import time
        time.sleep(slow)
    return float(-abs(a.matrix.std() - b.matrix.std()))

def failing(a, b):
    if a.matrix[0, 0] > 0:
        raise ValueError("cannot do this pair")
    return 1.0

def not_finite(a, b):
    return float("nan")

def lopsided(a, b):
    return float(a.matrix[0, 0] - b.matrix[1, 1])

def caution(rep):
    warnings.warn(MeasurementWarning("W-GAPS", "as a test"), stacklevel=2)
    return {"first": rep.matrix[0, 0], "second": 2.0}

class First:
    def __init__(self, n_components=2, random_state=None):
        self.n_components = n_components
    def fit_transform(self, X, y=None):
        return X[:, : self.n_components]

def picky(rep, rng):
    if rep.matrix[0, 0] > 0:
        raise Incompatible("picky does not like this one.")
    return rep.with_matrix(rep.matrix[rng.permutation(rep.n)])

@hookimpl
def numgeom_nulls():
    return [NullSpec(name="picky", summary="for tests", target=picky, keeps="something", destroys="something else")]

@hookimpl
def numgeom_sources():
    return [SourceSpec(name="cloud", summary="test clouds", target=cloud, reads=("rows",), params={"d": 6},
                       fingerprint=lambda model: model.id)]

@hookimpl
def numgeom_convergence_metrics():
    common = dict(summary="for tests")
    return [
        ConvergenceSpec(name="nearness", target=nearness, range=(-np.inf, 0), **common),
        ConvergenceSpec(name="failing", target=failing, **common),
        ConvergenceSpec(name="not_finite", target=not_finite, **common),
        ConvergenceSpec(name="lopsided", target=lopsided, symmetric=False, **common),
        ConvergenceSpec(name="same_width", target=nearness, equal_dims=True, **common),
    ]

@hookimpl
def numgeom_geometry_metrics():
    nulls = ("row_permutation", "iid_gaussian")
    return [GeometrySpec(name="caution", summary="for tests", target=caution, nulls=nulls)]

@hookimpl
def numgeom_reducers():
    return [ReducerSpec(name="first", summary="first columns", target=First, params={"n_components": 2}, draws=3)]
"""


@pytest.fixture
def plugin_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "bench.py").write_text(PLUGIN)
    return folder


def compare(plugin_dir: Path, models: list[str], **options: object) -> numgeom.Study:
    settings: dict[str, object] = {"numbers": "0..29", "draws": 19, "plugins_dirs": [plugin_dir], **options}
    return numgeom.compare(models, **settings)  # type: ignore[arg-type]


def test_one_row_a_cell_measure_and_null_with_all_columns(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:b", "cloud:a", "cloud:c"], metrics=["nearness", "cka_linear"])
    frame = study.frame
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 3 * 2 * 2
    assert (frame["model_a"] < frame["model_b"]).all()
    assert frame["value"].notna().all()
    assert set(frame["status"]) == {"ok"}
    assert not frame.duplicated(["metric", "model_a", "model_b", "null"]).any()
    assert frame["q"].between(frame["p"], 1).all()
    assert frame["cell"].str.len().eq(32).all()


def test_an_asymmetric_metric_is_scored_in_both_directions(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="lopsided", nulls="row_permutation")
    assert sorted(zip(study.frame["model_a"], study.frame["model_b"], strict=True)) == [("a", "b"), ("b", "a")]
    table = study.table("lopsided")
    assert table.loc["a", "b"] != table.loc["b", "a"]


def test_the_same_inputs_give_a_byte_identical_table_whatever_the_order_and_workers(
    plugin_dir: Path, tmp_path: Path
) -> None:
    texts = []
    for k, (order, jobs) in enumerate(
        [(["cloud:a", "cloud:b", "cloud:odd"], 1), (["cloud:odd", "cloud:b", "cloud:a"], 2)]
    ):
        study = compare(plugin_dir, order, metrics=["nearness", "procrustes_angular"], cache=False, jobs=jobs)
        study.save(tmp_path / str(k))
        texts.append((tmp_path / str(k) / "results.csv").read_bytes())
    assert texts[0] == texts[1]


def test_wide_clouds_give_one_table_for_any_workers_and_any_cache_history(tmp_path: Path) -> None:
    models = [f"w{k}=synthetic:walk?d=96&seed={k}" for k in range(4)]
    options = {"metrics": "cka_linear,cka_linear_debiased,rsa_spearman_cosine", "numbers": "0..149", "draws": 19}

    def table(name: str, cache: str, chosen: list[str], jobs: int) -> bytes:
        os.environ["NUMGEOM_CACHE"] = str(tmp_path / cache)
        study = numgeom.compare(chosen, jobs=jobs, **options)  # type: ignore[arg-type]
        return (study.save(tmp_path / name) / "results.csv").read_bytes()

    fresh = table("one", "a", models, 1)
    assert table("two", "b", models, 2) == fresh
    table("part", "c", models[:2], 1)
    table("more", "c", models[1:], 2)
    assert table("staged", "c", models, 2) == fresh


def test_a_cache_that_cannot_be_written_costs_nothing_but_the_cache(
    plugin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cells").write_text("in the way")
    monkeypatch.setenv("NUMGEOM_CACHE", str(tmp_path / "cache"))
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness")
    assert set(study.frame["status"]) == {"ok"}
    assert "nothing more is cached" in study.manifest["cache_problem"]


def test_what_is_named_twice_is_measured_once(plugin_dir: Path) -> None:
    study = compare(
        plugin_dir, ["cloud:a", "cloud:b"], metrics=["nearness", "nearness"], nulls=["row_permutation"] * 2,
        numbers=["0..19", "0..19"],
    )  # fmt: skip
    assert len(study.frame) == 1


def test_a_suite_that_measures_nothing_is_refused(plugin_dir: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text("schema = 1\n[suites.empty]\nmodels = ['synthetic:line']\n")
    with pytest.raises(RegistryError, match="'empty' measures nothing"):
        numgeom.run("empty", registry=registry)


def test_a_second_run_computes_nothing_and_a_new_model_only_what_is_new(
    plugin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv("COUNT_LOG", str(log))
    first = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness")
    calls = len(log.read_text().splitlines())
    assert first.manifest["cells"] == {"computed": 2, "cached": 0}
    again = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness")
    assert again.manifest["cells"] == {"computed": 0, "cached": 2}
    assert len(log.read_text().splitlines()) == calls
    pd.testing.assert_frame_equal(first.frame, again.frame)
    more = compare(plugin_dir, ["cloud:a", "cloud:b", "cloud:c"], metrics="nearness")
    assert more.manifest["cells"] == {"computed": 4, "cached": 2}
    old = more.frame[(more.frame["model_a"] == "a") & (more.frame["model_b"] == "b")]
    np.testing.assert_array_equal(old["null_mean"].to_numpy(), first.frame["null_mean"].to_numpy())


@pytest.mark.parametrize(
    "change",
    [{"draws": 29}, {"seed": 1}, {"preprocess": "center"}, {"metrics": "nearness,cka_linear"}, {"numbers": "0..19"}],
)
def test_what_a_number_depends_on_is_in_its_key(plugin_dir: Path, change: dict[str, object]) -> None:
    base: dict[str, object] = {"metrics": "nearness", "nulls": "row_permutation"}
    first = compare(plugin_dir, ["cloud:a", "cloud:b"], **base)
    second = compare(plugin_dir, ["cloud:a", "cloud:b"], **{**base, **change})
    shared = set(first.frame["cell"]) & set(second.frame["cell"])
    assert len(shared) == (1 if "metrics" in change else 0)


def test_an_edited_plugin_file_is_not_served_from_the_cache(plugin_dir: Path) -> None:
    compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", nulls="row_permutation")
    path = plugin_dir / "bench.py"
    path.write_text(path.read_text().replace("return float(-abs(", "return float(-2 * abs("))
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", nulls="row_permutation")
    assert study.manifest["cells"]["computed"] == 1


def test_failures_are_rows_with_reasons_and_the_others_go_on(plugin_dir: Path) -> None:
    models = ["cloud:a", "cloud:b", "cloud:broken", "cloud:bug", "cloud:nan"]
    study = compare(plugin_dir, models, metrics=["nearness", "not_finite"], nulls="row_permutation")
    frame = study.frame
    assert len(frame) == 10 * 2
    sound = frame[frame["status"] == "ok"]
    assert list(zip(sound["model_a"], sound["model_b"], sound["metric"], strict=True)) == [("a", "b", "nearness")]
    assert frame["value"].notna().equals(frame["status"] == "ok")
    reason = dict(zip(frame["model_a"] + frame["model_b"] + frame["metric"], frame["reason"], strict=True))
    assert reason["abrokennearness"] == "broken: the file is broken; fetch it again."
    assert "ZeroDivisionError: a bug in the source" in reason["abugnearness"]
    assert reason["anannearness"].startswith("nan: 1 of 30 rows hold NaN or infinity (numbers 1)")
    assert reason["abnot_finite"] == "not_finite (plugin 'bench') gave nan; type: numgeom check not_finite"


def test_an_exception_of_a_metric_is_that_pairs_row(plugin_dir: Path) -> None:
    study = compare(plugin_dir, [f"cloud:{c}" for c in "abcdef"], metrics="failing", nulls="row_permutation")
    assert set(study.frame["status"]) == {"ok", "error"}
    errors = study.frame[study.frame["status"] == "error"]
    assert set(errors["reason"]) == {"ValueError: cannot do this pair (in plugin 'bench')"}


def test_a_null_that_refuses_one_model_leaves_the_pairs_of_the_others(plugin_dir: Path) -> None:
    study = compare(plugin_dir, [f"cloud:{c}" for c in "abcdef"], metrics="nearness", nulls="picky")
    liked = {c for c in "abcdef" if numgeom.load(f"cloud:{c}", plugins_dirs=[plugin_dir]).matrix[0, 0] <= 0}
    assert 0 < len(liked) < 6
    scored = study.frame[study.frame["status"] == "ok"]
    assert {*scored["model_a"], *scored["model_b"]} == liked
    assert len(scored) == len(liked) * (len(liked) - 1) // 2
    refused = study.frame[study.frame["status"] == "skipped"]
    assert set(refused["reason"]) == {"null picky: picky does not like this one."}


def test_errors_are_not_cached(plugin_dir: Path) -> None:
    for _ in range(2):
        study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="not_finite", nulls="row_permutation")
        assert study.manifest["cells"]["cached"] == 0


def test_models_are_compared_on_the_numbers_that_they_share(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:odd", "cloud:far"], metrics="nearness", nulls="row_permutation")
    n = dict(zip(study.frame["model_a"] + "-" + study.frame["model_b"], study.frame["n"], strict=True))
    assert n == {"a-odd": 15, "a-far": 0, "far-odd": 0}
    refused = study.frame[study.frame["n"] == 0]
    assert set(refused["status"]) == {"skipped"}
    assert "a and far share 0 numbers of 0..29; at least 4 are needed" in refused["reason"].iloc[0]
    label = study.frame.loc[study.frame["n"] == 15, "numbers"].iloc[0]
    assert label.startswith("0..29/15:")
    assert study.manifest["number_sets"][label] == "1..29:2"


def test_caveats_reach_the_warnings_column(plugin_dir: Path) -> None:
    options = {"metrics": "nearness,cka_linear", "numbers": "0..5", "nulls": "row_permutation"}
    study = compare(plugin_dir, ["cloud:a", "cloud:twins"], **options)
    by_metric = dict(zip(study.frame["metric"], study.frame["warnings"], strict=True))
    assert by_metric["nearness"] == "W-DUP"
    assert by_metric["cka_linear"] == "W-DUP; W-N-LT-D"
    found = numgeom.geometry(["cloud:a"], metrics="caution", numbers="0..9", draws=19, plugins_dirs=[plugin_dir])
    assert set(found.frame["warnings"]) == {"W-GAPS"}
    assert list(found.frame["measure"]) == ["first", "first", "second", "second"]
    assert found.table("caution").loc["a", "second"] == 2.0


def test_unequal_widths_are_skipped_where_a_metric_needs_equal_ones(plugin_dir: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text("schema = 1\n[models.wide]\nsource = 'cloud'\nid = 'w'\nparams = {d = 9}\n")
    study = compare(plugin_dir, ["cloud:a", "wide"], metrics="same_width", nulls="row_permutation", registry=registry)
    assert study.frame["reason"].tolist() == ["same_width needs equal widths; they are 6 and 9."]
    assert study.frame["dim_b"].tolist() == [9]


def test_a_third_party_reducer_and_metric_get_controls_and_nulls_for_free(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", reducers="none,first")
    pairs = study.frame[study.frame["kind"] == "convergence"]
    assert set(pairs["reducer"]) == {"none", "first"}
    assert pairs["p"].notna().all()
    judged = study.frame[(study.frame["kind"] == "reduction") & (study.frame["model_a"] == "a")]
    assert set(judged["null"]) == {"random_tokens", "row_permutation"}
    assert "trustworthiness" in set(judged["measure"])
    assert judged["z"].notna().any()
    assert set(study.coordinates["panel"]) == {"numbers", "random_tokens", "row_permutation"}
    assert study.coordinates.groupby(["model", "panel"]).size().eq(30).all()


def test_residual_scores_are_never_held_against_row_permutations(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="cka_linear", preprocess="residual:magnitude")
    by_null = study.frame.set_index("null")
    assert by_null.loc["row_permutation", "status"] == "skipped"
    assert "shared projector" in by_null.loc["row_permutation", "reason"]


def test_unknown_names_are_refused_before_anything_is_read(plugin_dir: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'nearness'"):
        compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearnes")
    with pytest.raises(RegistryError, match="two models are called 'a'"):
        compare(plugin_dir, ["cloud:a", "cloud:a"], metrics="nearness")
    with pytest.raises(RegistryError, match="at least two models"):
        compare(plugin_dir, ["cloud:a"], metrics="nearness")
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", sources="hiden:3", nulls="row_permutation")
    assert "unknown reading of 'cloud' models 'hiden:3'" in study.frame["reason"].iloc[0]


def test_a_table_never_averages_silently(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", nulls="row_permutation,iid_gaussian")
    assert study.table("nearness").loc["b", "a"] == study.frame["value"].iloc[0]
    with pytest.raises(NumgeomError, match="column 'null_mean' of 'nearness' differs between nulls; give null= one of"):
        study.table("nearness", column="null_mean")
    assert np.isfinite(study.table("nearness", column="null_mean", null="iid_gaussian").loc["a", "b"])
    with pytest.raises(UnknownName, match="metric in this study"):
        study.table("nearnes")


def test_a_study_is_saved_and_read_back(plugin_dir: Path, tmp_path: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:b"], metrics="nearness", reducers="none,first")
    back = numgeom.Study.load(study.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(back.frame, study.frame)
    pd.testing.assert_frame_equal(back.coordinates, study.coordinates)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["versions"]["numgeom"] == numgeom.__version__
    assert {plugin["name"] for plugin in manifest["plugins"]} >= {"bench", "convergence"}
    assert len(manifest["registry"]["digest"]) == 32
    assert manifest["representations"][0]["digest"]
    with pytest.raises(NumgeomError, match="give the --out folder of a run"):
        numgeom.Study.load(tmp_path)


def test_a_killed_run_resumes_where_it_was(plugin_dir: Path, tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import numgeom
        numgeom.compare(["cloud:a", "cloud:b", "cloud:c", "cloud:odd", "cloud:d"], metrics="nearness",
                        nulls="row_permutation", numbers="0..29", draws=19, plugins_dirs=[{str(plugin_dir)!r}])
        """
    )
    environment = {**os.environ, "SLOW": "0.05", "COUNT_LOG": str(tmp_path / "log")}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    cells = Path(os.environ["NUMGEOM_CACHE"]) / "cells"
    deadline = time.monotonic() + 60
    while not list(cells.rglob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len(list(cells.rglob("*.json")))
    assert 0 < kept < 10
    models = ["cloud:a", "cloud:b", "cloud:c", "cloud:odd", "cloud:d"]
    study = compare(plugin_dir, models, metrics="nearness", nulls="row_permutation")
    assert study.manifest["cells"] == {"computed": 10 - kept, "cached": kept}
    fresh = compare(plugin_dir, models, metrics="nearness", nulls="row_permutation", cache=False)
    pd.testing.assert_frame_equal(study.frame, fresh.frame)


def test_what_a_null_compares_stands_before_its_excess_whichever_pair_comes_first() -> None:
    models = ["a=rows:/no/such.npz", "b=synthetic:walk?d=9&seed=1", "c=synthetic:walk?d=9&seed=2"]
    study = numgeom.compare(models, numbers="0..59", metrics="cka_linear_debiased", draws=19, cache=False)
    table = next(one.frame for one in study.tables() if one.kind == "convergence")
    assert list(table["verdict"])[:2] == ["error", "error"]
    assert list(table)[:6] == ["a", "b", "n", "value", "lo", "hi"]
    # Shuffled numbers are held against the score itself, which is not said twice.
    beside = [f"row_permutation {name}" for name in ("excess", "z", "p")]
    beside += [f"order_modes {name}" for name in ("value", "excess", "z", "p")]
    assert list(table)[6:] == [*beside, "verdict", "warnings"]


def test_a_plain_function_is_scored_beside_any_null() -> None:
    def agreement(a: Representation, b: Representation, power: int = 1) -> float:
        return float(np.corrcoef(a.workspace.gram.ravel() ** power, b.workspace.gram.ravel() ** power)[0, 1])

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 5))
    near, nulls = rows + rng.standard_normal((60, 5)), ["row_permutation", "order_modes"]
    found = numgeom.score(agreement, rows, near, nulls=nulls, draws=49)
    assert set(found.nulls) == set(nulls)
    assert all(held.p == 0.02 and held.excess > 0.05 and np.isfinite(held.calibrated) for held in found.nulls.values())
    assert numgeom.score(agreement, rows, near, power=2).value == agreement(*map(on_numbers, (rows, near)), power=2)
    card = ConvergenceSpec(name="gap", summary="of means", target=lambda a, b: 1.0, direction="lower_is_closer")
    assert numgeom.score(card, rows, near).direction == "lower_is_closer"
    with pytest.raises(NumgeomError, match="numgeom list metrics"):
        numgeom.score(3, rows, near)  # type: ignore[arg-type]


def on_numbers(rows: Any) -> Representation:
    return Representation(rows, np.arange(len(rows)))


def test_score_on_plain_arrays_is_what_the_engine_computes(plugin_dir: Path) -> None:
    study = compare(plugin_dir, ["cloud:a", "cloud:odd"], metrics="cka_linear_debiased", seed=3)
    session = {"plugins_dirs": [plugin_dir]}
    a, odd = (numgeom.load(f"cloud:{name}", numbers="0..29", **session) for name in ("a", "odd"))
    a = a.restrict(odd.numbers)
    found = numgeom.score(
        "cka_linear_debiased", a.matrix, odd.matrix, numbers=a.numbers, nulls=["row_permutation"], draws=19, seed=3
    )
    row = study.frame[study.frame["null"] == "row_permutation"].iloc[0]
    assert found.value == pytest.approx(row["value"], rel=1e-12)
    assert found.nulls["row_permutation"].mean == pytest.approx(row["null_mean"], rel=1e-9)
    assert found.nulls["row_permutation"].p == row["p"]


def test_a_score_that_is_lost_on_null_draws_has_no_p_value() -> None:
    from numgeom.catalog import Choice
    from numgeom.pairs import score_pairs
    from numgeom.registry import open_catalog

    def only_in_order(a: numgeom.Representation, b: numgeom.Representation) -> float:
        return 1.0 if np.array_equal(a.matrix, b.matrix) else float("nan")

    spec = numgeom.ConvergenceSpec(name="only_in_order", summary="for tests", target=only_in_order)
    rep = numgeom.Representation(np.random.default_rng(0).standard_normal((8, 2)), np.arange(8))
    choice = Choice(spec, {}, "only_in_order", "test", "")
    for name in ("row_permutation", "covariance_gaussian"):
        null = open_catalog().nulls.choose(name)
        (outcome,) = score_pairs(choice, null, [rep, rep], [(0, 1)], draws=19, seed=0)
        assert outcome.status == "error"
        assert "gave no finite score on 19 of 19 null draws" in outcome.reason
        assert outcome.p is None


def test_score_checks_its_input() -> None:
    rows = np.random.default_rng(0).standard_normal((10, 3))
    with pytest.raises(NumgeomError, match="different numbers"):
        numgeom.score("cka_linear", rows, rows[:8])
    with pytest.raises(NumgeomError, match=r"must be an \(n, d\) array"):
        numgeom.score("cka_linear", rows[0], rows[0])
    with pytest.raises(NumgeomError, match="only 3 shared numbers"):
        numgeom.score("cka_linear", rows[:3], rows[:3])
    order = np.random.default_rng(1).permutation(10)
    same = numgeom.score("cka_linear", rows[order], rows[order], numbers=order).value
    assert same == pytest.approx(1.0)


def test_a_session_may_be_opened_once_and_used_often(plugin_dir: Path) -> None:
    session = Session.open(plugins_dirs=[plugin_dir])
    suite = session.compare_suite(["cloud:a", "cloud:b"], metrics=["nearness"], numbers=["0..9"], draws=9)
    assert len(session.run(session.experiment("x", suite)).frame) == 2
