"""Convergence metrics: known answers, declared invariances, exact nulls, real rows, faults."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from scipy.spatial.distance import cdist, pdist
from scipy.stats import pearsonr, spearmanr

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.targets import make_metric
from numgeom_plugins.convergence.core_cards import cards
from numgeom_plugins.convergence.moments import features, permutation_moments
from numgeom_plugins.convergence.procrustes import nuclear_norm
from numgeom_plugins.convergence.ranks import average_ranks
from numgeom_plugins.nulls.order_modes import OrderModes

F64 = npt.NDArray[np.float64]

# Caveats of the measured rows are no errors of the code; the test of the caveat looks for them itself.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS = {spec.name: spec for spec in cards()}
COHERENCE = ("order_mode_coherence_n", "order_mode_coherence_log")
TRACE = (
    "cka_linear",
    "cka_linear_debiased",
    "rsa_spearman_euclidean",
    "rsa_spearman_cosine",
    "rsa_pearson_euclidean",
    "rsa_pearson_cosine",
)
PERMUTED = (
    *TRACE,
    "procrustes_angular",
    "procrustes_distance",
    "mutual_knn_cosine",
    "mutual_knn_euclidean",
)
FLIPPED = ("cka_linear", "cka_linear_debiased", "procrustes_angular", "procrustes_distance", *COHERENCE)


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers))


def metric(name: str, **params: Any) -> Any:
    return make_metric(SPECS[name], params)


def score(name: str, x: npt.ArrayLike | Representation, y: npt.ArrayLike | Representation, **params: Any) -> float:
    chosen = metric(name, **params)
    a, b = (chosen.prepare(v if isinstance(v, Representation) else rep(v)) for v in (x, y))
    return float(chosen.score(a, b))


def clouds(seed: int, n: int = 40, d: int = 12, e: int = 20, shared: float = 1.0) -> tuple[F64, F64]:
    """Two clouds through different maps of one latent, with noise."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, 5))
    x = shared * latent @ rng.standard_normal((5, d)) + rng.standard_normal((n, d))
    y = shared * latent @ rng.standard_normal((5, e)) + rng.standard_normal((n, e))
    return x, y


def rotation(rng: np.random.Generator, d: int) -> F64:
    return np.asarray(np.linalg.qr(rng.standard_normal((d, d)))[0])


def all_orders(n: int) -> npt.NDArray[np.int64]:
    return np.array(list(itertools.permutations(range(n))))


# --- known answers -------------------------------------------------------------------------------------------------


def test_biased_cka_of_unrelated_gaussians_follows_its_formula_and_debiased_is_zero() -> None:
    n, d = 1000, 768
    rng = np.random.default_rng(0)
    x, y = rep(rng.standard_normal((n, d))), rep(rng.standard_normal((n, d)))
    assert score("cka_linear", x, y) == pytest.approx(math.sqrt(d * d / ((d + n) * (d + n))), abs=0.002)
    assert score("cka_linear", x, y) == pytest.approx(0.435, abs=0.002)
    assert abs(score("cka_linear_debiased", x, y)) < 0.005


def test_biased_cka_formula_holds_for_unequal_widths() -> None:
    n, d, e = 300, 1024, 256
    rng = np.random.default_rng(1)
    x, y = rep(rng.standard_normal((n, d))), rep(rng.standard_normal((n, e)))
    assert score("cka_linear", x, y) == pytest.approx(math.sqrt(d * e / ((d + n) * (e + n))), abs=0.01)
    debiased = metric("cka_linear_debiased")
    _, sd, _ = debiased.null_moments(debiased.prepare(x), debiased.prepare(y))
    assert abs(score("cka_linear_debiased", x, y)) < 4 * sd < 0.03


def test_biased_cka_is_the_feature_form() -> None:
    for d, e in ((5, 8), (80, 60)):
        x, y = clouds(0, d=d, e=e)
        x, y = x - x.mean(0), y - y.mean(0)
        feature = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
        assert score("cka_linear", x, y) == pytest.approx(feature, abs=1e-12)


def test_debiased_cka_is_the_u_statistic_of_song() -> None:
    x, y = clouds(1)
    n = len(x)

    def hsic(k: F64, m: F64) -> float:
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2.0 / (n - 2) * (k @ m).sum()
        return float(total / (n * (n - 3)))

    # The raw Gram, not the centred one: the U-statistic centres by itself.
    k, m = x @ x.T, y @ y.T
    assert score("cka_linear_debiased", x, y) == pytest.approx(
        hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m)), abs=1e-12
    )


def test_debiased_cka_numerator_is_unbiased_under_permutation() -> None:
    x, y = clouds(2, n=7)
    chosen = metric("cka_linear_debiased")
    values = chosen.permuted(chosen.prepare(rep(x)), chosen.prepare(rep(y)), all_orders(7))
    assert values.mean() == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(("d", "e"), [(3, 3), (6, 9), (90, 70), (4, 120)])
def test_procrustes_is_the_nuclear_norm(d: int, e: int) -> None:
    x, y = clouds(3, d=d, e=e)
    a, b = x - x.mean(0), y - y.mean(0)
    cosine = np.linalg.norm(a.T @ b, "nuc") / (np.linalg.norm(a) * np.linalg.norm(b))
    assert math.cos(score("procrustes_angular", x, y)) == pytest.approx(cosine, abs=1e-12)
    assert score("procrustes_distance", x, y) == pytest.approx(math.sqrt(2 - 2 * cosine), abs=1e-12)


def test_procrustes_resolves_angles_far_below_the_rounding_of_a_cosine() -> None:
    x = np.random.default_rng(4).standard_normal((50, 8))
    x -= x.mean(0)
    offset = np.random.default_rng(5).standard_normal(x.shape)
    offset -= offset.mean(0)
    # No rotation and no scale undoes an offset across the columns of x.
    offset -= x @ np.linalg.solve(x.T @ x, x.T @ offset)
    for size in (1e-5, 1e-7, 1e-9):
        angle = size * np.linalg.norm(offset) / np.linalg.norm(x)
        for width in (8, 12):
            turned = (x + size * offset) @ rotation(np.random.default_rng(6), width)[:8]
            assert score("procrustes_angular", x, turned) == pytest.approx(angle, rel=1e-4)
            assert score("procrustes_angular", turned, x) == pytest.approx(angle, rel=1e-4)


def test_procrustes_is_a_metric_on_three_shapes() -> None:
    x, y = clouds(6)
    z = clouds(7)[0]
    for name in ("procrustes_angular", "procrustes_distance"):
        ab, bc, ac = score(name, x, y), score(name, y, z), score(name, x, z)
        assert ac <= ab + bc
        assert score(name, y, x) == pytest.approx(ab, abs=1e-12)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_rsa_is_scipy_on_pdist(distance: Literal["euclidean", "cosine"]) -> None:
    x, y = clouds(8, d=6, e=90)
    u, v = pdist(x, distance), pdist(y, distance)
    assert score(f"rsa_spearman_{distance}", x, y) == pytest.approx(spearmanr(u, v).statistic, abs=1e-12)
    assert score(f"rsa_pearson_{distance}", x, y) == pytest.approx(pearsonr(u, v).statistic, abs=1e-12)


def test_spearman_gives_tied_distances_their_average_rank() -> None:
    # Integer grids: distances tie in mathematics, and pdist of small integers computes the ties exactly.
    rng = np.random.default_rng(9)
    x, y = rng.integers(0, 3, (30, 2)).astype(float), rng.integers(0, 3, (30, 2)).astype(float)
    expected = spearmanr(pdist(x, "sqeuclidean"), pdist(y, "sqeuclidean")).statistic
    assert score("rsa_spearman_euclidean", x, y) == pytest.approx(expected, abs=1e-12)


def test_rsa_of_an_exact_code_with_its_rotation_is_one_although_rounding_breaks_its_ties() -> None:
    code = np.eye(10)[np.arange(60) % 10] + 2.0 * np.eye(10)[np.arange(60) // 10]
    turned = 3.0 * code @ rotation(np.random.default_rng(10), 10) + 0.0
    for name in ("rsa_spearman_euclidean", "rsa_spearman_cosine", "mutual_knn_cosine", "mutual_knn_euclidean"):
        assert score(name, code, turned) == pytest.approx(1.0, abs=1e-12), name


def test_average_ranks_without_tolerance_are_those_of_scipy() -> None:
    from scipy.stats import rankdata

    values = np.random.default_rng(11).integers(0, 20, 200).astype(float)
    np.testing.assert_array_equal(average_ranks(values, 0.0) + 1.0, rankdata(values))


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_mutual_knn_is_the_mean_overlap_of_neighbour_sets(distance: Literal["euclidean", "cosine"]) -> None:
    x, y = clouds(12, d=6, e=90)
    k = 7
    shares: list[float] = []
    for a, b in zip(cdist(x, x, distance), cdist(y, y, distance), strict=True):
        i = len(shares)
        near = [set([j for j in np.argsort(row) if j != i][:k]) for row in (a, b)]
        shares.append(len(near[0] & near[1]) / k)
    assert score(f"mutual_knn_{distance}", x, y, k=k) == pytest.approx(np.mean(shares), abs=1e-12)


def test_mutual_knn_under_permutation_expects_k_over_n_minus_one() -> None:
    x, y = clouds(13, n=7)
    chosen = metric("mutual_knn_cosine", k=2)
    values = chosen.permuted(chosen.prepare(rep(x)), chosen.prepare(rep(y)), all_orders(7))
    assert values.mean() == pytest.approx(2 / 6, abs=1e-14)


def test_neighbours_that_tie_are_taken_in_row_order() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [9.0, 9.0]])
    state = metric("mutual_knn_euclidean", k=1).prepare(rep(square))
    assert state.index[:4, 0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("name", SPECS)
def test_a_representation_agrees_perfectly_with_itself_and_with_its_rotation(name: str) -> None:
    x = clouds(14)[0]
    turned = x @ rotation(np.random.default_rng(15), x.shape[1])
    assert score(name, x, x) == pytest.approx(SPECS[name].best, abs=1e-7)
    assert score(name, x, turned) == pytest.approx(SPECS[name].best, abs=1e-7)


@pytest.mark.parametrize("name", SPECS)
def test_scores_of_unrelated_clouds_are_far_from_best_and_symmetric(name: str) -> None:
    x, y = clouds(16, n=60, shared=0.0)
    value = score(name, x, y)
    low, high = SPECS[name].range
    assert low <= value <= high
    assert abs(value - SPECS[name].best) > 0.3
    assert score(name, y, x) == pytest.approx(value, abs=1e-12)


# --- declared invariances ------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3), narrow=st.booleans())
@pytest.mark.parametrize("name", SPECS)
def test_declared_invariances_hold(name: str, seed: int, scale: float, narrow: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = clouds(seed, n=34, d=4 if narrow else 60, e=7)
    changes = {
        "orthogonal": lambda: y @ rotation(rng, y.shape[1]),
        "scale": lambda: scale * y,
        "translation": lambda: y + 5.0 * rng.standard_normal(y.shape[1]),
        "permutation": lambda: y[:, rng.permutation(y.shape[1])],
    }
    assert SPECS[name].invariant_to <= set(changes)
    for change in sorted(SPECS[name].invariant_to):
        assert score(name, x, changes[change]()) == pytest.approx(score(name, x, y), abs=1e-9), change


@pytest.mark.parametrize("name", [name for name in SPECS if "cosine" in name])
def test_cosine_metrics_change_under_translation(name: str) -> None:
    x, y = clouds(17)
    assert "translation" not in SPECS[name].invariant_to
    assert abs(score(name, x, y + 5.0) - score(name, x, y)) > 0.01


def test_a_large_common_mean_in_float32_does_no_harm() -> None:
    x, y = clouds(18, n=200, d=300, e=300)
    x32, y32 = (x + 50.0).astype(np.float32), (y + 50.0).astype(np.float32)
    for name in ("cka_linear", "cka_linear_debiased", "procrustes_angular", "rsa_spearman_euclidean"):
        exact = score(name, x32.astype(np.float64) - 50.0, y32.astype(np.float64) - 50.0)
        assert score(name, x32, y32) == pytest.approx(exact, abs=1e-10)
    assert score("cka_linear_debiased", x32, x32) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("size", [1e-120, 1e120])
def test_tiny_and_huge_rows_neither_vanish_nor_overflow(size: float) -> None:
    x, y = clouds(19)
    for name in ("cka_linear", "cka_linear_debiased", "rsa_pearson_euclidean", "procrustes_angular"):
        assert score(name, size * x, y) == pytest.approx(score(name, x, y), abs=1e-9)


# --- fast paths give the same answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PERMUTED)
@pytest.mark.parametrize("d", [6, 150])
def test_permuted_equals_preparing_the_permuted_rows(name: str, d: int) -> None:
    x, y = clouds(20, n=80, d=d, e=d + 3)
    y = y - 3.0 * y.mean(0)
    chosen = metric(name)
    rng = np.random.default_rng(21)
    orders = np.array([rng.permutation(80) for _ in range(6)])
    a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
    slow = [chosen.score(a, chosen.prepare(rep(y[order]))) for order in orders]
    np.testing.assert_allclose(chosen.permuted(a, b, orders), slow, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", PERMUTED)
def test_the_identity_permutation_gives_the_score(name: str) -> None:
    x, y = clouds(22, n=65)
    chosen = metric(name)
    a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
    assert chosen.permuted(a, b, np.arange(65)[None, :])[0] == pytest.approx(chosen.score(a, b), abs=1e-12)
    assert chosen.permuted(a, b, np.empty((0, 65), dtype=np.int64)).shape == (0,)


@pytest.mark.parametrize("name", [*TRACE, *COHERENCE])
def test_score_matrix_equals_the_scores_of_all_pairs(name: str) -> None:
    chosen = metric(name)
    states = [chosen.prepare(rep(v - v.mean(0))) for v in (*clouds(23, n=70), *clouds(24, n=70, d=200))]
    table = chosen.score_matrix(states)
    slow = [[chosen.score(a, b) for b in states] for a in states]
    np.testing.assert_allclose(table, slow, atol=1e-12)


# --- the permutation null in closed form ---------------------------------------------------------------------------


def symmetric(rng: np.random.Generator, n: int, kind: str) -> F64:
    a = rng.standard_exponential((n, n))
    a = a + a.T
    if kind == "no diagonal":
        np.fill_diagonal(a, 0.0)
    if kind == "double-centred":
        h = np.eye(n) - 1.0 / n
        a = h @ a @ h
    return a


@pytest.mark.parametrize("kind", ["general", "no diagonal", "double-centred"])
@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_moments_are_those_of_all_permutations(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    a, b = symmetric(rng, n, kind), symmetric(rng, n, kind)
    values = np.array([np.vdot(a, b[np.ix_(order, order)]) for order in all_orders(n)])
    mean, sd, skewness = permutation_moments(features(a), features(b))
    assert mean == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
    assert sd == pytest.approx(values.std(), rel=1e-10)
    assert skewness == pytest.approx(((values - values.mean()) ** 3).mean() / values.std() ** 3, abs=1e-9)


def test_moments_of_a_double_centred_pair_are_those_of_kazi_aoual() -> None:
    x, y = clouds(27, n=25)
    k, m = (v @ v.T for v in (x - x.mean(0), y - y.mean(0)))
    n = 25

    def parts(a: F64) -> tuple[float, float, float]:
        return float(np.trace(a)), float(np.vdot(a, a)), float(np.square(np.diag(a)).sum())

    (t, t2, s2), (u, u2, v2) = parts(k), parts(m)
    variance = 2 * ((n - 1) * t2 - t**2) * ((n - 1) * u2 - u**2) / ((n - 1) ** 2 * (n + 1) * (n - 2))
    left, right = (n * (n + 1) * s - (n - 1) * (q**2 + 2 * q2) for s, q, q2 in ((s2, t, t2), (v2, u, u2)))
    variance += left * right / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    mean, sd, _ = permutation_moments(features(k), features(m))
    assert mean == pytest.approx(t * u / (n - 1), rel=1e-12)
    assert sd == pytest.approx(math.sqrt(variance), rel=1e-10)


@pytest.mark.parametrize("name", TRACE)
def test_null_moments_agree_with_exhaustive_enumeration(name: str) -> None:
    x, y = clouds(28, n=7, d=3, e=9)
    chosen = metric(name)
    a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
    values = chosen.permuted(a, b, all_orders(7))
    mean, sd, skewness = chosen.null_moments(a, b)
    assert mean == pytest.approx(values.mean(), abs=1e-12)
    assert sd == pytest.approx(values.std(), abs=1e-12)
    assert skewness == pytest.approx(((values - values.mean()) ** 3).mean() / values.std() ** 3, abs=1e-8)


@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased"])
def test_null_moments_agree_with_twenty_thousand_draws(name: str) -> None:
    x, y = clouds(29, n=30, d=4, e=40)
    chosen = metric(name)
    a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
    rng = np.random.default_rng(30)
    values = chosen.permuted(a, b, rng.permuted(np.tile(np.arange(30), (20_000, 1)), axis=1))
    mean, sd, skewness = chosen.null_moments(a, b)
    assert values.mean() == pytest.approx(mean, abs=5 * sd / math.sqrt(20_000))
    assert values.std() == pytest.approx(sd, rel=0.04)
    assert ((values - values.mean()) ** 3).mean() / values.std() ** 3 == pytest.approx(skewness, abs=0.15)


def test_a_statistic_that_no_permutation_changes_has_no_spread() -> None:
    centring = np.eye(6) - 1.0 / 6
    assert permutation_moments(features(centring), features(np.diag(np.arange(6.0))))[1:] == (0.0, 0.0)


# --- real rows -----------------------------------------------------------------------------------------------------


def rows(shared: Path, name: str, below: int = 1000) -> Representation:
    held = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
    keep = held["number_values"] < below
    return Representation(held["numbers"][keep], held["number_values"][keep])


def pair(shared: Path, a: str, b: str, below: int = 1000) -> tuple[Representation, Representation]:
    left, right = rows(shared, a, below), rows(shared, b, below)
    return left.restrict(right.numbers), right.restrict(left.numbers)


@pytest.mark.parametrize(
    ("a", "b", "n", "rho"),
    [
        ("all_minilm_l6_v2", "nlpl_bnc_skipgram_300d", 100, 0.666),
        ("all_minilm_l6_v2", "glove_6b_50d_top2444", 47, 0.776),
        ("nlpl_bnc_skipgram_300d", "glove_cc_spacy_md_cosine_0_2100", 100, 0.754),
        ("imdb_sentiment_16d_run_a", "imdb_sentiment_16d_run_b", 56, 0.219),
        ("all_minilm_l6_v2", "imdb_sentiment_16d_run_a", 56, 0.020),
    ],
)
def test_cosine_rsa_of_real_rows_is_that_of_scipy_and_of_the_data_notes(
    shared: Path, a: str, b: str, n: int, rho: float
) -> None:
    x, y = pair(shared, a, b)
    assert x.n == n
    u, v = (pdist(side.matrix.astype(np.float64), "cosine") for side in (x, y))
    independent = spearmanr(u, v).statistic
    # Rounding noise between exact duplicates is a tie for us and an order for scipy.
    slack = 1e-9 if not (x.workspace.duplicate_rows or y.workspace.duplicate_rows) else 1e-4
    assert score("rsa_spearman_cosine", x, y) == pytest.approx(independent, abs=slack)
    assert score("rsa_spearman_cosine", x, y) == pytest.approx(rho, abs=0.0006)


def test_number_tokens_and_positions_agree_by_debiased_cka_far_beyond_row_permutation(shared: Path) -> None:
    x, y = pair(shared, "all_minilm_l6_v2", "all_minilm_l6_v2_positions")
    chosen = metric("cka_linear_debiased")
    a, b = chosen.prepare(x), chosen.prepare(y)
    mean, sd, _ = chosen.null_moments(a, b)
    assert chosen.score(a, b) == pytest.approx(0.290, abs=0.0006)
    assert (chosen.score(a, b) - mean) / sd > 50


@pytest.mark.parametrize(
    ("a", "b", "values"),
    [
        ("all_minilm_l6_v2", "nlpl_bnc_skipgram_300d", (0.165, 0.199)),
        ("nlpl_bnc_skipgram_300d", "glove_cc_spacy_md_cosine_0_2100", (0.353, 0.369)),
        ("all_minilm_l6_v2", "glove_6b_50d_top2444", (0.321, 0.291)),
        ("all_minilm_l6_v2", "all_minilm_l6_v2_positions", (0.033, 0.035)),
        ("imdb_sentiment_16d_run_a", "imdb_sentiment_16d_run_b", (0.479, 0.462)),
    ],
)
def test_order_mode_coherence_of_real_rows(shared: Path, a: str, b: str, values: tuple[float, float]) -> None:
    x, y = pair(shared, a, b)
    for q, value in zip((0, 20), values, strict=True):
        assert score("order_mode_coherence_n", x, y, q=q) == pytest.approx(value, abs=0.0006)


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_equal_rows_are_refused(name: str) -> None:
    with pytest.raises(Incompatible, match=r"all 40 rows are equal.*--numbers") as refused:
        metric(name).prepare(rep(np.tile(np.array([0.1, 0.2, 0.3]), (40, 1))))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"cka_linear", "procrustes_angular", "procrustes_distance"}))
def test_rows_that_are_all_equally_far_apart_are_refused(name: str) -> None:
    with pytest.raises(Incompatible, match=f"{name} has nothing to compare"):
        score(name, np.eye(40), np.eye(40))


def test_k_that_does_not_fit_is_refused_with_what_fits() -> None:
    digits = np.random.default_rng(31).standard_normal((10, 4))
    message = r"k=10 does not fit 10 numbers; k must be 1 to 9: type mutual_knn_cosine\(k=1\)"
    with pytest.raises(Incompatible, match=message):
        metric("mutual_knn_cosine").prepare(rep(digits))
    with pytest.raises(Incompatible, match=r"k must be 1 to 9"):
        metric("mutual_knn_cosine", k=0).prepare(rep(digits))
    assert score("mutual_knn_cosine", digits, digits, k=9) == 1.0


def test_debiased_cka_of_three_numbers_is_refused() -> None:
    with pytest.raises(Incompatible, match="at least 4 numbers; these are 3"):
        metric("cka_linear_debiased").prepare(rep(np.eye(3)))


@pytest.mark.parametrize("name", SPECS)
def test_sides_of_different_length_are_refused(name: str) -> None:
    chosen = metric(name)
    x, y = clouds(32, n=40)
    with pytest.raises(Incompatible, match="both sides need the same numbers"):
        chosen.score(chosen.prepare(rep(x)), chosen.prepare(rep(y[:35])))


def test_coherence_says_how_many_numbers_it_needs() -> None:
    with pytest.raises(Incompatible, match=r"q=20 need at least 29 numbers .*; these are 10"):
        metric("order_mode_coherence_n").prepare(rep(np.random.default_rng(33).standard_normal((10, 4))))


@pytest.mark.parametrize("name", [name for name in SPECS if "cosine" in name])
def test_cosine_metrics_warn_where_the_mean_dominates(name: str) -> None:
    x = clouds(34)[0]
    with pytest.warns(MeasurementWarning, match="W-ANISO: the mean vector holds 0"):
        metric(name).prepare(rep(x + 10.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric(name).prepare(rep(x - x.mean(0)))


def test_announcing_the_metrics_imports_nothing_heavy() -> None:
    code = (
        "import sys, numgeom_plugins.convergence as c, numgeom_plugins.nulls as n\n"
        "list(c.numgeom_convergence_metrics()), list(n.numgeom_nulls())\n"
        "print(sorted(set(sys.modules) & {'torch', 'sklearn', 'scipy', 'umap', 'matplotlib', 'pandas'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["noise", "walk", "low rank", "zero", "few rows"])
@pytest.mark.parametrize("shape", [(230, 260), (260, 230)])
def test_the_nuclear_norm_is_the_sum_of_singular_values(kind: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(29)
    a, b = rng.standard_normal((400, shape[0])), rng.standard_normal((400, shape[1]))
    if kind == "walk":
        a, b = a.cumsum(axis=0), b.cumsum(axis=0)
    elif kind == "low rank":
        a[:, 5:] = 0.0
    elif kind == "zero":
        a[:] = 0.0
    elif kind == "few rows":
        a, b = a[:210], b[:210]
    expected = float(np.linalg.svd(a.T @ b, compute_uv=False).sum())
    assert nuclear_norm(a.T @ b, len(a)) == pytest.approx(expected, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("d", [6, 200])
@pytest.mark.parametrize("basis", ["n", "log"])
def test_row_norms_of_a_residual_are_those_of_its_rows(basis: str, d: int) -> None:
    view = OrderModes(q=20, bases=basis).views(rep(clouds(30, n=60, d=d, e=d)[0]))[0]
    found, rows = view.squared_norms, view.observed.matrix
    assert found is not None
    scale = np.linalg.norm(view.coefficients @ view.coefficients.T)
    np.testing.assert_allclose(found, np.square(rows).sum(axis=1) / scale, rtol=1e-9, atol=1e-12)
    smooth = np.cos(np.pi * (np.arange(60.0)[:, None] + 0.5) / 60) + 1e-5 * clouds(31, n=60, d=d, e=d)[0]
    if basis == "n":
        assert OrderModes(q=20, bases="n").views(rep(smooth))[0].squared_norms is None
