"""Scores that belong together: adjusted p-values, the best of many layers, one null at several settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import numgeom
from numgeom.calibrate import calibrate, westfall_young
from numgeom.errors import NumgeomError, UnknownName
from numgeom.registry import open_catalog
from numgeom.seeds import generators
from numgeom.targets import draw_permutations, make_metric

MODELS = ["synthetic:line", "synthetic:walk", "synthetic:iid", "other=synthetic:iid?seed=5"]


def compare(*models: str, **options: object) -> numgeom.Study:
    settings = {"metrics": "cka_linear", "numbers": "0..39", "nulls": "row_permutation_drawn", "draws": 99, **options}
    return numgeom.compare(models or MODELS, cache=False, **settings)  # type: ignore[arg-type]


# --- many tests ----------------------------------------------------------------------------------------------------


def test_one_test_is_not_adjusted() -> None:
    draws = np.random.default_rng(0).normal(size=99)
    assert westfall_young([2.0], [draws])[0] == calibrate(2.0, draws, best=np.inf).p


def test_adjusted_p_of_two_copies_of_a_test_is_that_of_one_and_of_independent_ones_is_that_of_sidak() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(1, 20_000))
    seen = float(np.quantile(draws, 0.99))
    assert westfall_young([seen] * 5, np.repeat(draws, 5, axis=0)) == pytest.approx([0.01] * 5, abs=0.001)
    independent = rng.normal(size=(5, 20_000))
    assert westfall_young([2.326] * 5, independent) == pytest.approx([1 - 0.99**5] * 5, abs=0.006)


def test_the_family_is_protected_under_the_null() -> None:
    rng = np.random.default_rng(2)
    tables = rng.normal(size=(400, 1, 100)) * 0.8 + rng.normal(size=(400, 6, 100)) * 0.6
    rejected = [westfall_young(table[:, 0], table[:, 1:]).min() <= 0.05 for table in tables]
    assert np.mean(rejected) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 400)


def test_lower_is_closer_and_draws_that_do_not_vary() -> None:
    draws = np.vstack([np.arange(9.0), np.ones(9)])
    assert westfall_young([-5.0, 1.0], draws, direction="lower_is_closer").tolist() == [0.1, 1.0]


def test_a_study_adjusts_over_each_table() -> None:
    study = compare(metrics="cka_linear,procrustes_angular")
    adjusted = study.adjusted()
    assert (adjusted >= study.frame["p"] - 1e-12).all()
    for _, rows in study.frame.groupby("metric"):
        draws = np.stack([study.draws[cell] for cell in rows["cell"]])
        found = westfall_young(rows["value"], draws, direction=str(rows["direction"].iloc[0]))
        np.testing.assert_array_equal(adjusted[rows.index], found)
    pd.testing.assert_series_equal(
        study.adjusted("benjamini_hochberg"), study.frame["q"].rename("adjusted"), check_dtype=False
    )
    table = next(one for one in study.tables() if one.name == "adjusted__row_permutation_drawn")
    assert len(table.frame) == 12
    np.testing.assert_array_equal(table.frame["p_westfall_young"], adjusted)


def test_a_closed_form_has_no_draws_to_adjust_by_and_says_what_to_type() -> None:
    study = compare(nulls="row_permutation")
    with pytest.raises(NumgeomError, match="compare with nulls='row_permutation_drawn'"):
        study.adjusted()
    with pytest.raises(UnknownName, match="method of adjusting 'bonferoni'"):
        study.adjusted("bonferoni")
    with pytest.raises(UnknownName, match="null in this study"):
        study.adjusted(null="order_modes")


def test_draws_are_kept_in_the_cache_and_on_disk(tmp_path: Path) -> None:
    options = {"metrics": "cka_linear", "numbers": "0..29", "nulls": "row_permutation_drawn", "draws": 49}
    first = numgeom.compare(MODELS, **options)  # type: ignore[arg-type]
    again = numgeom.compare(MODELS, **options)  # type: ignore[arg-type]
    assert again.manifest["cells"] == {"computed": 0, "cached": 6}
    back = numgeom.Study.load(again.save(tmp_path / "study"))
    assert set(back.draws) == set(first.frame["cell"])
    for cell, draws in first.draws.items():
        np.testing.assert_array_equal(again.draws[cell], draws)
        np.testing.assert_array_equal(back.draws[cell], draws)


def test_all_pairs_and_metrics_share_their_permutations() -> None:
    study = compare(metrics="cka_linear,cka_linear_debiased")
    null = open_catalog().nulls.choose("row_permutation_drawn")
    numbers = np.arange(40)
    orders = draw_permutations(null.spec, {}, numbers, generators(0, null.label, numbers, 99))
    for _, row in study.frame.iterrows():
        metric: object = make_metric(open_catalog().convergence.get(row["metric"]), {})
        a, b = (
            metric.prepare(numgeom.load(f"synthetic:{name}" if name != "other" else MODELS[3], numbers="0..39"))  # type: ignore[attr-defined]
            for name in (row["model_a"], row["model_b"])
        )
        np.testing.assert_allclose(study.draws[row["cell"]], metric.permuted(a, b, orders), atol=1e-12)  # type: ignore[attr-defined]


# --- layers --------------------------------------------------------------------------------------------------------


def layered(nulls: str = "row_permutation_drawn", shared: float = 0.0) -> numgeom.Study:
    """Two models of three layers, of which one pair may share something."""
    study = compare("a=synthetic:iid?seed=1", "b=synthetic:iid?seed=2", nulls=nulls)
    frames, draws = [], {}
    rng = np.random.default_rng(9)
    names = [(f"hidden:{i}", f"hidden:{j}") for i in range(3) for j in range(3)]
    common = rng.normal(size=99)
    for k, (a, b) in enumerate(names):
        row = study.frame.assign(source_a=a, source_b=b, cell=f"{k:032d}")
        drawn = 0.3 + 0.02 * common + 0.02 * rng.normal(size=99)
        row["value"] = 0.3 + (shared if k == 7 else 0.001 * k)
        frames.append(row)
        if study.draws:
            draws[f"{k:032d}"] = drawn
    return numgeom.Study(pd.concat(frames, ignore_index=True), {"closest": {"cka_linear": 1.0}}, draws=draws)


def test_the_best_layers_are_held_against_the_best_of_every_draw() -> None:
    study = layered(shared=0.3)
    best = study.layers("cka_linear").iloc[0]
    assert (best["source_a"], best["source_b"], best["searched"]) == ("hidden:2", "hidden:1", 9)
    largest = np.max(list(study.draws.values()), axis=0)
    found = calibrate(0.6, largest)
    assert (best["p"], best["null_mean"], best["calibrated"]) == (found.p, found.mean, found.calibrated)
    assert best["null_mean"] > 0.32
    assert best["p"] == 0.01
    assert best["warnings"] == ""


def test_a_maximum_over_noise_is_nothing_once_it_is_held_against_maxima() -> None:
    study = layered()
    assert study.layers("cka_linear")["p"].iloc[0] > 0.2
    alone = [calibrate(row["value"], study.draws[row["cell"]]).p for _, row in study.frame.iterrows()]
    assert min(alone) < study.layers("cka_linear")["p"].iloc[0]


def test_a_maximum_without_draws_is_marked() -> None:
    best = layered(nulls="row_permutation").layers("cka_linear").iloc[0]
    assert best["warnings"] == "W-MULT"
    assert np.isnan(best["p"])
    table = next(one for one in layered(nulls="row_permutation").tables() if one.name == "layers__cka_linear")
    assert "W-MULT" in table.notes[0]


def test_one_reading_a_model_has_no_layers_to_search() -> None:
    with pytest.raises(NumgeomError, match="sources='hidden', layers='all'"):
        compare().layers("cka_linear")
    with pytest.raises(UnknownName, match="metric in this study"):
        compare().layers("cka_liner")


# --- ladder --------------------------------------------------------------------------------------------------------


def test_one_command_reports_order_modes_at_several_q() -> None:
    nulls = ["order_modes(q=0)", "order_modes(q=10)", "order_modes", "order_modes(q=25)"]
    study = compare("synthetic:line", "synthetic:walk", nulls=nulls, numbers="0..59")
    steps = study.ladder("cka_linear")
    assert list(steps["null"]) == nulls
    assert steps["p"].notna().all()
    assert steps["null_value"].nunique() == 4
    with pytest.raises(UnknownName, match="null of 'cka_linear'"):
        study.ladder("cka_linear", null="row_permutation")


def test_rows_of_single_models_beside_the_same_null_are_not_of_the_family() -> None:
    study = compare(reducers="none,pca", metrics="procrustes_angular", nulls="row_permutation", draws=19)
    kinds = study.frame[study.frame["null"] == "row_permutation"]["kind"]
    assert set(kinds) == {"convergence", "reduction"}
    names = [table.name for table in study.tables()]
    assert "adjusted__row_permutation" in names
    assert len(study.adjusted(null="row_permutation")) == 12
