"""Every caveat that concerns a pair stands in its rows, and in no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import numgeom
from numgeom.outcome import failure

FAMILIES = """
schema = 1

[models.one]
source = "synthetic"
id = "walk?d=40&seed=1"
family = "walks"

[models.two]
source = "synthetic"
id = "walk?d=40&seed=2"
family = "walks"

[models.other]
source = "synthetic"
id = "iid?d=40"
"""


def saved(folder: Path, name: str, rows: npt.NDArray[np.float64]) -> str:
    np.savez(folder / name, numbers=rows, number_values=np.arange(len(rows)))
    return f"{name}=rows:{folder / name}.npz"


def codes(frame: pd.DataFrame, metric: str, a: str, b: str, null: str) -> set[str]:
    row = frame[
        (frame["metric"] == metric) & (frame["model_a"] == a) & (frame["model_b"] == b) & (frame["null"] == null)
    ]
    assert len(row) == 1
    assert row["status"].item() == "ok"
    return set(row["warnings"].item().split("; ")) - {""}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((60, 80))
    double = plain.copy()
    double[5] = double[6]
    models = [
        saved(folder, "plain", plain),
        saved(folder, "double", double),
        saved(folder, "mean", rng.standard_normal((60, 80)) + 3.0),
        saved(folder, "thin", rng.standard_normal((60, 20))),
    ]
    metrics = ["cka_linear", "cka_linear_debiased", "rsa_spearman_cosine", "rsa_spearman_euclidean"]
    return numgeom.compare(models, metrics=metrics, draws=19, cache=False).frame


def test_saturation_is_told_where_either_side_is_wider_than_there_are_numbers(clouds: pd.DataFrame) -> None:
    assert "W-N-LT-D" in codes(clouds, "cka_linear", "plain", "thin", "row_permutation")
    assert "W-N-LT-D" not in codes(clouds, "cka_linear_debiased", "plain", "thin", "row_permutation")
    assert not clouds.loc[clouds["metric"].str.startswith("rsa"), "warnings"].str.contains("W-N-LT-D").any()


def test_duplicates_are_told_for_every_metric_of_their_pairs_only(clouds: pd.DataFrame) -> None:
    has = (clouds["model_a"] == "double") | (clouds["model_b"] == "double")
    assert clouds["warnings"].str.contains("W-DUP").equals(has)


def test_anisotropy_is_told_where_the_metric_sees_raw_cosines(clouds: pd.DataFrame) -> None:
    told = clouds["warnings"].str.contains("W-ANISO")
    assert told.equals(
        (clouds["metric"] == "rsa_spearman_cosine") & clouds[["model_a", "model_b"]].isin(["mean"]).any(axis=1)
    )


def test_order_is_told_beside_the_order_aware_null_unless_it_is_beaten(clouds: pd.DataFrame) -> None:
    assert "W-ORDER" in codes(clouds, "cka_linear_debiased", "mean", "plain", "order_modes")
    assert "W-ORDER" not in codes(clouds, "cka_linear_debiased", "mean", "plain", "row_permutation")
    assert "W-ORDER" not in codes(clouds, "cka_linear_debiased", "double", "plain", "order_modes")


def test_relatives_are_told(tmp_path: Path) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text(FAMILIES)
    frame = numgeom.compare(
        ["one", "two", "other"],
        metrics="cka_linear_debiased",
        numbers="0..59",
        nulls="row_permutation",
        draws=19,
        cache=False,
        registry=registry,
    ).frame
    assert codes(frame, "cka_linear_debiased", "one", "two", "row_permutation") == {"W-FAMILY"}
    assert codes(frame, "cka_linear_debiased", "one", "other", "row_permutation") == set()


def test_one_tokenizer_makes_relatives() -> None:
    frame = numgeom.compare(
        ["a=demo:llama_a", "b=demo:llama_b", "c=demo:llama_bpe"],
        metrics="cka_linear_debiased",
        numbers="0..59",
        nulls="row_permutation",
        draws=19,
        cache=False,
    ).frame
    # No family is known of direct specs: the two share their tokenizer, and the third has its own.
    assert "W-FAMILY" in codes(frame, "cka_linear_debiased", "a", "b", "row_permutation")
    assert "W-FAMILY" not in codes(frame, "cka_linear_debiased", "a", "c", "row_permutation")


def test_another_written_form_than_asked_for_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    models = [saved(tmp_path, name, rng.standard_normal((40, 8))) for name in "ab"]
    frame = numgeom.compare(
        models, metrics="cka_linear_debiased", numbers="0..39@space", nulls="row_permutation", draws=19, cache=False
    ).frame
    assert frame["warnings"].str.contains("W-TOKENFORM").all()


def test_what_the_fit_of_a_space_warns_of_stands_in_its_pairs_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv("NUMGEOM_CACHE", str(tmp_path))
    models = ["a=synthetic:iid?d=64&seed=1", "b=synthetic:iid?d=64&seed=2"]
    options = {"numbers": "0..59", "nulls": "row_permutation", "draws": 19, "metrics": "cka_linear_debiased"}
    study = numgeom.compare(models, reducers="none,pls,tsne", jobs=2, **options)  # type: ignore[arg-type]
    again = numgeom.compare(models, reducers="none,pls,tsne", jobs=1, **options)  # type: ignore[arg-type]
    assert not [one for one in recwarn if issubclass(one.category, numgeom.MeasurementWarning)]
    pairs = study.frame[study.frame["kind"] == "convergence"]
    told = {name: set("; ".join(part["warnings"]).split("; ")) for name, part in pairs.groupby("reducer")}
    assert "W-LABEL-LEAK" in told["pls"]
    assert "W-SEED" in told["tsne"]
    assert not told["none"] & {"W-LABEL-LEAK", "W-SEED"}
    assert "W-SEED" not in told["pls"]
    pd.testing.assert_frame_equal(study.frame, again.frame)
    # The numbers are in both sides of a supervised space: nothing is found there.
    spaces = [table for table in study.tables() if table.kind == "convergence" and "pls" in table.title]
    assert [table.frame["verdict"].item() for table in spaces] == ["none: W-LABEL-LEAK"]


def test_rows_of_zeros_look_untrained(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    whole = rng.standard_normal((40, 12))
    gone = whole.copy()
    gone[[7, 9]] = 0.0
    models = [saved(tmp_path, "whole", whole), saved(tmp_path, "gone", gone)]
    frame = numgeom.compare(models, metrics="mutual_knn_cosine", nulls="none", cache=False).frame
    assert "W-UNTRAINED" in frame["warnings"].item()
    whole[:, 0] = 0.0
    assert not numgeom.Representation(whole, np.arange(40)).has_zero_rows


def test_codes_that_a_refusal_names_are_among_the_warnings(tmp_path: Path) -> None:
    models = ["a=synthetic:walk?d=20&seed=1", "b=synthetic:walk?d=20&seed=2"]
    frame = numgeom.compare(
        models, numbers="0..20,30..60", metrics="spectrum_iou,cka_linear", nulls="phase_randomisation", draws=19,
        cache=False,
    ).frame  # fmt: skip
    refused = frame[frame["reason"].str.contains("W-GAPS")]
    assert len(refused) == 2
    assert refused["warnings"].str.contains("W-GAPS").all()


def test_rows_of_zeros_look_untrained_in_every_space_and_after_the_chain(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    gone = rng.standard_normal((40, 12))
    gone[[7, 9]] = 0.0
    models = [saved(tmp_path, "whole", rng.standard_normal((40, 12))), saved(tmp_path, "gone", gone)]
    options = {"metrics": "mutual_knn_cosine", "nulls": "none", "cache": False}
    spaces = numgeom.compare(models, reducers="none,pca", **options).frame  # type: ignore[arg-type]
    pairs = spaces[spaces["kind"] == "convergence"]
    assert sorted(pairs["reducer"]) == ["none", "pca"]
    assert pairs["warnings"].str.contains("W-UNTRAINED").all()
    centred = numgeom.compare(models, preprocess="center", **options).frame  # type: ignore[arg-type]
    assert "W-UNTRAINED" in centred["warnings"].item()


def test_what_the_fit_warned_of_stands_beside_a_refusal_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    models = [saved(tmp_path, name, rng.standard_normal((60, 12))) for name in "ab"]
    models.append(saved(tmp_path, "flat", np.ones((60, 12))))
    frame = numgeom.compare(
        models, metrics="cka_band_low,cka_linear", nulls="none", reducers="pls,lda", draws=19, cache=False
    ).frame
    pairs = frame[frame["kind"] == "convergence"]
    short = pairs[pairs["reason"].str.contains("needs at least 100")]
    assert set(short["reducer"]) == {"pls", "lda"}
    # The rows of the third model do not vary and have no space; those of the other side were fitted.
    refused = pairs[pairs[["model_a", "model_b"]].isin(["flat"]).any(axis=1)]
    assert len(refused) == 8
    assert (refused["status"] != "ok").all()
    assert pairs["warnings"].str.contains("W-LABEL-LEAK").all()


def test_codes_that_a_foreign_exception_names_are_kept() -> None:
    assert failure(ValueError("the numbers have gaps (W-GAPS)"), "theirs").warnings == ["W-GAPS"]
    assert failure(numgeom.Incompatible("W-N-LT-D"), "theirs").warnings == ["W-N-LT-D"]
    assert failure(ValueError("W-GAPSY"), "theirs").warnings == []


@pytest.mark.parametrize("null", ["row_permutation", "iid_gaussian", "order_modes"])
def test_draws_repeat_no_caveat_on_the_screen(null: str, recwarn: pytest.WarningsRecorder) -> None:
    models = ["a=synthetic:walk?d=40&seed=1", "b=synthetic:walk?d=40&seed=2"]
    frame = numgeom.compare(models, numbers="0..59", metrics="cca_mean", nulls=null, draws=19, cache=False).frame
    assert "W-N-LT-D" in frame["warnings"].item()
    assert not [one for one in recwarn if issubclass(one.category, numgeom.MeasurementWarning)]
