"""Series and squares: from a metric to the study, its files, its tables and its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import numgeom
from numgeom import Curve, Square, Study, Table
from numgeom.errors import PluginError
from numgeom.figures import COLUMNS, entries, split
from numgeom_plugins.renderers.curves import curves
from numgeom_plugins.renderers.squares import squares

LINE = Curve(x=[0, 1, 2], y=[1.0, 2.0, 4.0], x_label="lag", y_label="cosine")


def test_values_and_figures_of_a_metric_are_told_apart() -> None:
    square = Square(labels=[1, 2], values=np.eye(2), label="cosine")
    plain, figures = split({"mean": 0.5, "profile": LINE, "all": square, "list": [1, 2], "two": [LINE, LINE]})
    assert plain == {"mean": 0.5, "list": [1, 2]}
    assert {name: len(several) for name, several in figures.items()} == {"profile": 1, "all": 1, "two": 2}


def test_the_null_of_a_curve_is_the_mean_and_sd_of_its_draws() -> None:
    draws = [{"profile": [Curve(x=[0, 1, 2], y=[k, 0.0, 1.0], x_label="", y_label="")]} for k in (1.0, 3.0)]
    _, null = entries({"profile": [LINE]}, "walks", draws)
    assert (null["null"], null["y"], null["sd"]) == ("walks", [2.0, 0.0, 1.0], [1.0, 0.0, 0.0])


@pytest.mark.parametrize("y", [[1.0, 2.0], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0]])
def test_a_curve_is_finite_and_as_long_as_its_axis(y: list[float]) -> None:
    with pytest.raises(PluginError, match="finite x and y of one length"):
        Curve(x=[0, 1, 2], y=y, x_label="lag", y_label="cosine")


def test_a_square_has_a_value_for_every_pair() -> None:
    with pytest.raises(PluginError, match="a square of 3 labels"):
        Square(labels=[1, 2, 3], values=np.eye(2), label="cosine")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return numgeom.probe(["demo:llama_a", "demo:llama_bpe"], probes=["token_counts", "id_layout"], numbers="0..300")


def test_a_study_keeps_the_series_of_every_model(study: Study) -> None:
    assert tuple(study.figures.columns) == COLUMNS
    counts = study.figures[study.figures["figure"] == "tokens"]
    assert set(counts["model"]) == {"llama_a", "llama_bpe"}
    one = counts[counts["model"] == "llama_bpe"]
    recorded = study.probes["llama_bpe"]["0..300"]["token_counts"]["counts"]
    assert one["y"].tolist() == recorded


def test_series_survive_saving_and_loading(study: Study, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(Study.load(study.save(tmp_path)).figures, study.figures)


def test_a_second_run_from_the_cache_has_the_same_series(study: Study) -> None:
    again = numgeom.probe(["demo:llama_a", "demo:llama_bpe"], probes=["token_counts", "id_layout"], numbers="0..300")
    pd.testing.assert_frame_equal(again.figures, study.figures)


def test_every_figure_is_a_table_of_its_own_and_a_picture_of_the_report(study: Study, tmp_path: Path) -> None:
    tables = [table for table in study.tables() if table.kind == "curves"]
    assert [table.title.split(",")[0] for table in tables] == ["id_layout: piece_ids", "token_counts: tokens"]
    page = study.report(tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(tables)


@pytest.mark.parametrize(("draw", "kind"), [(curves, "curves"), (squares, "squares")])
def test_an_empty_figure_is_refused_in_words(draw: object, kind: str, tmp_path: Path) -> None:
    assert callable(draw)
    with pytest.raises(numgeom.Incompatible, match="to draw"):
        draw(Table("empty", kind, "Empty", pd.DataFrame()), tmp_path / "empty.png")


def test_a_fingerprint_has_one_row_a_model_over_all_metrics(tmp_path: Path) -> None:
    study = numgeom.geometry(
        ["synthetic:line", "synthetic:iid"], numbers="0..39", metrics=["isotropy", "distance_order"], draws=19
    )
    (table,) = [one for one in study.tables() if one.kind == "fingerprint"]
    assert table.frame["model"].tolist() == ["iid", "line"]
    line = table.frame.set_index("model").loc["line"]
    rows = study.frame[(study.frame["model_a"] == "line") & (study.frame["measure"] == "spearman_linear")]
    assert line["distance_order.spearman_linear"] == rows["value"].iloc[0]
    assert line["distance_order.spearman_linear z row_permutation"] == rows["z"].iloc[0]
    assert "isotropy.mean_cosine" in table.frame
