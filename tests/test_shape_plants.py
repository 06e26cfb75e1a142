"""Planted truth: every measure finds the plant that it is for, and stays quiet on the others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import GeometrySpec, MeasurementWarning, Representation
from numgeom.figures import split
from numgeom.targets import make_geometry
from numgeom_plugins.geometry import core_cards, shape_cards

F64 = npt.NDArray[np.float64]
CARDS: dict[str, GeometrySpec] = {card.name: card for card in [*core_cards.cards(), *shape_cards.cards()]}
SIZE, WIDTH = 300, 200
N = np.arange(SIZE)


def spread(points: F64, noise: float = 0.05) -> F64:
    """Points on random axes of a wide space, with a little white noise."""
    rng = np.random.default_rng(7)
    points = (points - points.mean(axis=0)) / np.linalg.norm(points - points.mean(axis=0)) * np.sqrt(SIZE)
    rows = points @ np.linalg.qr(rng.standard_normal((WIDTH, points.shape[1]))).Q.T
    return np.asarray(rows + noise * rng.standard_normal((SIZE, WIDTH)) / np.sqrt(WIDTH) * 10, dtype=np.float64)


def circles(*periods: float) -> F64:
    angle = 2 * np.pi * np.outer(N, 1.0 / np.array(periods))
    return np.hstack([np.cos(angle), np.sin(angle)])


def digits() -> F64:
    rng = np.random.default_rng(8)
    return np.asarray(sum(rng.standard_normal((10, 40))[N // 10**place % 10] for place in range(3)), dtype=np.float64)


@cache
def plant(name: str) -> Representation:
    rng = np.random.default_rng(3)
    made: Mapping[str, F64] = {
        "line": spread(N[:, None].astype(float)),
        "log_line": spread(np.log1p(N)[:, None]),
        "helix": spread(np.column_stack([N / 100.0, circles(2, 5, 10, 100)])),
        "digit_code": spread(digits()),
        "mod_7": spread(np.eye(7)[N % 7]),
        "walk": rng.standard_normal((SIZE, WIDTH)).cumsum(axis=0),
        "iid": rng.standard_normal((SIZE, WIDTH)),
        "duplicates": rng.standard_normal((SIZE // 3, WIDTH))[N // 3],
    }
    return Representation(made[name], N, token_ids=rng.permutation(5000)[:SIZE])


@cache
def measured(metric: str, name: str) -> Mapping[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        found: Mapping[str, float] = split(make_geometry(CARDS[metric], {})(plant(name)))[0]
    return found


# metric, measure, plants that it must find with their least value, the most that it may say of all others.
MATRIX = [
    (
        "successive_cosine",
        "centred_mean",
        {"walk": 0.95, "duplicates": 0.6, "line": 0.5, "log_line": 0.5, "digit_code": 0.4, "helix": 0.25},
        0.05,
    ),
    ("distance_order", "spearman_linear", {"line": 0.95, "walk": 0.95, "log_line": 0.7}, 0.5),
    ("distance_order", "spearman_log", {"log_line": 0.95, "line": 0.7, "walk": 0.7}, 0.45),
    ("distance_order", "spearman_hamming", {"digit_code": 0.65}, 0.6),
    ("distance_commonality", "unique_levenshtein", {"digit_code": 0.3}, 0.2),
    ("distance_commonality", "all_unique_log", {"log_line": 0.4}, 0.01),
    ("similarity_profile", "last_digit_contrast", {"helix": 0.4, "digit_code": 0.25}, 0.01),
    ("toeplitz_fraction", "tau_residual", {"helix": 0.9, "mod_7": 0.9, "walk": 0.6, "digit_code": 0.35}, 0.35),
    ("toeplitz_fraction", "variogram_linear", {"line": 0.95, "walk": 0.95, "helix": 0.9, "mod_7": 0.9}, 0.45),
    ("scaling_exponent", "r2_log", {"log_line": 0.99}, 0.8),
    ("scaling_exponent", "r2_linear", {"line": 0.99, "walk": 0.95}, 0.8),
    ("consecutive_distance", "turning_cosine", {"walk": -0.05, "duplicates": -0.01}, -0.4),
    ("consecutive_distance", "rollover_contrast", {"digit_code": 0.1}, 0.02),
    ("parallelism", "step_1", {"helix": 0.6, "digit_code": 0.6}, 0.05),
    ("parallelism", "step_10", {"digit_code": 0.6, "helix": 0.1}, 0.05),
    ("digit_clusters", "knn10_last_digit", {"helix": 0.8, "digit_code": 0.5}, 0.02),
    ("digit_clusters", "r2_last_digit", {"helix": 0.4, "digit_code": 0.3}, 0.05),
    (
        "digit_model",
        "additive_r2_oof",
        {"digit_code": 0.75, "helix": 0.75, "line": 0.7, "log_line": 0.7, "walk": 0.7},
        0.01,
    ),
    ("digit_model", "share_units", {"helix": 0.4, "digit_code": 0.3}, 0.05),
    ("sequence_correlation", "partial_cos_7", {"mod_7": 0.8}, 0.25),
    ("sequence_correlation", "partial_cos_10", {"helix": 0.7, "digit_code": 0.6}, 0.36),
    ("sequence_correlation", "partial_prime_smooth", {}, 0.36),
    ("isotropy", "duplicate_rows", {"duplicates": 199.0}, 0.0),
    ("isotropy", "isoscore", {"iid": 0.55, "duplicates": 0.3}, 0.1),
    ("intrinsic_dimension", "hubness_skew", {"iid": 2.5, "log_line": 1.5, "duplicates": 1.5}, 1.3),
    ("variance_spectrum", "pc1_share", {"line": 0.75, "log_line": 0.75, "walk": 0.5}, 0.2),
    ("parallel_analysis", "components", {"duplicates": 50.0, "digit_code": 10.0, "helix": 7.0}, 6.0),
    ("norm_profile", "r_merge_rank", {}, 0.15),
]


@pytest.mark.parametrize(("metric", "measure", "finds", "most"), MATRIX, ids=lambda value: str(value)[:24])
def test_plants(metric: str, measure: str, finds: dict[str, float], most: float) -> None:
    for name in ("line", "log_line", "helix", "digit_code", "mod_7", "walk", "iid", "duplicates"):
        value = measured(metric, name)[measure]
        if name in finds:
            assert value > finds[name], f"{measure} of {name}"
        else:
            assert value <= most, f"{measure} of {name}"
