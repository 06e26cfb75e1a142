"""What the measures of shape say of real rows, beside their nulls: order, digits, frequency and their absence."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import numgeom
from numgeom import MeasurementWarning

DRAWS = 99
FLOOR = 1 / (DRAWS + 1)


@cache
def table(shared: Path, name: str, metric: str) -> Any:
    """The long rows of one metric of one file, by measure (and null, where there are several)."""
    spec = f"{name}=rows:{shared / 'data' / 'embeddings' / name}.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        frame = numgeom.geometry([spec], metrics=[metric], numbers="0..999", draws=DRAWS, seed=1).frame
    return frame.set_index("measure")


def test_positions_are_the_positive_control_for_order(shared: Path) -> None:
    name = "all_minilm_l6_v2_positions"
    cosine, steps = table(shared, name, "successive_cosine"), table(shared, name, "consecutive_distance")
    assert cosine.loc["centred_mean", "value"] == pytest.approx(0.830, abs=0.001)
    assert cosine.loc["centred_mean", "z"] > 30
    # A finely sampled curve turns little; unrelated rows turn by -.5.
    assert steps.loc["turning_cosine", "value"] > 0.35
    assert steps.loc["turning_cosine", "null_mean"] == pytest.approx(-0.5, abs=0.02)
    assert steps.loc["step_ratio", "value"] < 0.45
    # Order, and no digits.
    assert abs(steps.loc["rollover_contrast", "value"]) < 0.005
    assert table(shared, name, "parallelism").loc["step_1", "value"] < 0.0


def test_byte_level_digits_are_alike_and_not_ordered(shared: Path) -> None:
    for name in ("stories260k", "rwkv_tiny_6v0_3m_bytes"):
        cosine = table(shared, name, "successive_cosine")
        assert cosine.loc["random_pair_mean", "value"] > cosine.loc["random_token_mean", "value"] + 0.4
        assert abs(cosine.loc["centred_mean", "value"]) < 0.05
        steps = table(shared, name, "consecutive_distance")
        assert steps.loc["turning_cosine", "value"] < -0.4
    assert table(shared, "stories260k", "successive_cosine").loc["centred_mean", "p"] > 0.05


def test_number_tokens_know_their_digits(shared: Path) -> None:
    name = "all_minilm_l6_v2"
    profile = table(shared, name, "similarity_profile")
    assert profile.loc["last_digit_contrast", "value"] == pytest.approx(0.068, abs=0.001)
    assert profile.loc["last_digit_contrast", "p"] == FLOOR
    assert table(shared, name, "parallelism").loc["step_1", "p"] == FLOOR
    clusters = table(shared, name, "digit_clusters")
    within = clusters[clusters["null"] == "within_digit_length"]
    assert within.loc["knn10_last_digit", "value"] == pytest.approx(0.130, abs=0.001)
    assert within.loc["knn10_last_digit", "p"] == FLOOR
    model = table(shared, name, "digit_model")
    assert model.loc["additive_r2_oof", "value"] == pytest.approx(0.175, abs=0.001)
    assert model.loc["additive_r2_oof", "null_mean"] < 0.0


def test_distances_follow_the_logarithm_before_the_line_and_the_string(shared: Path) -> None:
    found = table(shared, "all_minilm_l6_v2", "distance_commonality")
    assert found.loc["unique_log", "value"] == pytest.approx(0.328, abs=0.001)
    assert found.loc["unique_levenshtein", "value"] == pytest.approx(0.005, abs=0.001)
    # Small, and yet beyond chance: the pairs are many.
    assert found.loc["unique_levenshtein", "p"] == FLOOR
    assert found.loc["all_unique_frequency", "value"] > found.loc["all_unique_log", "value"]


def test_norms_follow_frequency(shared: Path) -> None:
    found = table(shared, "all_minilm_l6_v2", "norm_profile")
    assert found.loc["r_log", "value"] == pytest.approx(-0.486, abs=0.001)
    assert found.loc["r_merge_rank", "value"] == pytest.approx(-0.687, abs=0.001)
    # With merge rank held fixed the sign turns: small numbers are long because they are frequent.
    assert found.loc["partial_log_merge_rank", "value"] > 0.2


def test_dimension_stands_beside_its_null(shared: Path) -> None:
    found = table(shared, "all_minilm_l6_v2", "variance_spectrum")
    assert found.loc["k_90", "value"] == 139.0
    assert 200 < found.loc["k_90", "null_mean"] < 260
    assert found.loc["k_90", "null"] == "iid_gaussian"


def test_no_dimension_of_minilm_is_a_detector(shared: Path) -> None:
    found = table(shared, "all_minilm_l6_v2", "sequence_discoveries")
    assert found.loc["fdr_share", "value"] > 0.1
    assert found.loc["partial_fdr_share", "value"] < found.loc["fdr_share", "value"] / 3
    for name in ("fdr_share", "partial_fdr_share"):
        assert found.loc[f"rotated_{name}", "value"] == pytest.approx(found.loc[name, "value"], abs=0.02)


def test_shared_vectors_of_a_pruned_table_are_reported(shared: Path) -> None:
    name = "glove_cc_spacy_md_cosine_0_2100"
    gates = table(shared, name, "isotropy")
    assert gates.loc["duplicate_rows", "value"] > 400
    assert "W-UNTRAINED" in gates.loc["duplicate_rows", "warnings"]
    assert abs(table(shared, name, "parallelism").loc["step_1", "value"]) < 0.05


def test_weak_embeddings_have_nothing_to_show(shared: Path) -> None:
    name = "imdb_sentiment_16d_run_a"
    assert table(shared, name, "similarity_profile").loc["lag_1", "p"] > 0.05
    assert table(shared, name, "distance_order").loc["spearman_log", "p"] > 0.05
    assert table(shared, name, "scaling_exponent").loc["oof_linear", "value"] < 0.0
    assert table(shared, name, "sequence_discoveries").loc["fdr_share", "value"] == 0.0
