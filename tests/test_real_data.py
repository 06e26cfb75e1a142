"""The main job on real rows: what agrees, what is only ordered, what is nothing; and it agrees with scipy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

import numgeom

ROWS = ("nlpl_bnc_skipgram_300d", "glove_6b_50d_top2444", "glove_cc_spacy_md_cosine_0_2100")


@pytest.fixture(scope="module")
def models(shared: Path) -> dict[str, str]:
    embeddings = shared / "data" / "embeddings"
    found = {name: f"{name}=rows:{embeddings / name}.safetensors" for name in ROWS}
    found["minilm"] = f"minilm={shared / 'data' / 'checkpoints' / 'all-MiniLM-L6-v2'}"
    found["positions"] = f"positions=rows:{embeddings / 'all_minilm_l6_v2_positions'}.safetensors"
    found["imdb"] = f"imdb=rows:{embeddings / 'imdb_sentiment_16d_run_a'}.safetensors"
    return found


def rows(shared: Path, name: str) -> dict[int, np.ndarray]:
    held = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
    return dict(zip(held["number_values"].tolist(), held["numbers"].astype(float), strict=True))


def test_cosine_rsa_is_what_scipy_computes(shared: Path, models: dict[str, str]) -> None:
    study = numgeom.compare(
        [models["minilm"], *(models[name] for name in ROWS)], metrics="rsa_spearman_cosine", draws=19, cache=False
    )
    table = study.table("rsa_spearman_cosine")
    files = {name: rows(shared, name) for name in ROWS} | {"minilm": rows(shared, "all_minilm_l6_v2")}
    published = {
        ("minilm", ROWS[0]): (0.666, 100),
        ("minilm", ROWS[1]): (0.776, 47),
        (ROWS[0], ROWS[2]): (0.754, 100),
    }
    for (a, b), (rho, n) in published.items():
        shared_numbers = sorted(v for v in files[a].keys() & files[b].keys() if v < 1000)
        assert len(shared_numbers) == n
        distances = [pdist(np.array([files[one][v] for v in shared_numbers]), "cosine") for one in (a, b)]
        independent = spearmanr(*distances).statistic
        assert independent == pytest.approx(rho, abs=5e-4)
        # Distances that tie up to rounding are ties in ours and noise in scipy's ranks.
        assert table.loc[a, b] == pytest.approx(independent, abs=2e-5)
        both = study.frame["model_a"].isin([a, b]) & study.frame["model_b"].isin([a, b])
        assert set(study.frame.loc[both, "n"]) == {n}


def test_a_position_table_looks_convergent_and_is_found_out(models: dict[str, str]) -> None:
    study = numgeom.compare(
        [models["minilm"], models["positions"]], metrics="cka_linear_debiased", draws=199, cache=False
    )
    by_null = study.frame.set_index("null")
    assert by_null["value"].iloc[0] == pytest.approx(0.290, abs=1e-3)
    # In closed form, without draws.
    assert by_null.loc["row_permutation", "p"] == 1e-6
    assert by_null.loc["row_permutation", "excess"] > 0.25
    assert by_null.loc["order_modes", "p"] > 0.2
    assert by_null.loc["order_modes", "excess"] < 0.02
    assert "W-ORDER" in by_null.loc["order_modes", "warnings"]
    (table,) = [one for one in study.tables() if one.kind == "convergence"]
    assert table.frame["verdict"].tolist() == ["beyond chance only"]


def test_number_tokens_of_different_models_agree_beyond_order(models: dict[str, str]) -> None:
    study = numgeom.compare(
        [models["minilm"], models[ROWS[0]]], metrics="cka_linear_debiased,mutual_knn_cosine", draws=199, cache=False
    )
    assert set(study.frame["p"][study.frame["draws"] > 0]) == {0.005}
    assert (study.frame["p"][study.frame["draws"] == 0] == 1e-6).all()
    assert (study.frame["excess"] > 0.05).all()
    assert not study.frame["warnings"].str.contains("W-ORDER").any()


def test_a_sentiment_classifier_shares_nothing_with_minilm(models: dict[str, str]) -> None:
    metrics = "cka_linear_debiased,procrustes_angular,rsa_spearman_cosine,mutual_knn_cosine"
    study = numgeom.compare([models["minilm"], models["imdb"]], metrics=metrics, draws=199, cache=False)
    assert (study.frame["p"] > 0.05).all()
    tables = [one for one in study.tables() if one.kind == "convergence"]
    assert {one.frame["verdict"].iloc[0] for one in tables} == {"not beyond chance"}


def test_many_equal_rows_are_flagged(models: dict[str, str]) -> None:
    study = numgeom.compare(
        [models["minilm"], models[ROWS[2]]], metrics="mutual_knn_cosine", nulls="row_permutation", draws=19, cache=False
    )
    assert "W-DUP" in study.frame["warnings"].iloc[0]


def test_byte_level_digits_are_too_few_for_order_modes_and_say_so(shared: Path) -> None:
    embeddings = shared / "data" / "embeddings"
    pair = [f"rows:{embeddings / name}.safetensors" for name in ("rwkv_tiny_4v0_660k_bytes", "rwkv_tiny_6v0_3m_bytes")]
    by_null = numgeom.compare(pair, metrics="cka_linear_debiased", draws=19, cache=False).frame.set_index("null")
    assert by_null.loc["row_permutation", "status"] == "ok"
    assert by_null.loc["order_modes", "status"] == "skipped"
    assert "order_modes(q=1)" in by_null.loc["order_modes", "reason"]


def test_the_tokenizer_table_equals_the_coverage_files(shared: Path) -> None:
    folders = sorted((shared / "data" / "tokenizers").iterdir())
    study = numgeom.probe([f"{f.name}=tokenizer:{f}" for f in folders], numbers="0..999", cache=False)
    assert set(study.frame["status"]) <= {"ok", "skipped"}
    sizes = study.table("single_tokens")["size"]
    first = study.table("smallest_multi_token")
    for folder in folders:
        known = json.loads((folder / "coverage.json").read_text())
        assert sizes[folder.name] == known["n_bare_0_999"]
        assert first.loc[folder.name, "bare"] == known["smallest_multi_token_bare"]
        assert first.loc[folder.name, "space"] == known["smallest_multi_token_space"]
        found = study.probes[folder.name]["0..999"]["single_tokens"]["runs"]
        below = [[a, min(b, 999)] for a, b in known["bare_single_token_ranges"] if a < 1000]
        assert [list(run) for run in found] == below
