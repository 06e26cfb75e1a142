"""The further convergence metrics: declared properties over the whole catalogue, known answers, faults."""

from __future__ import annotations

import itertools
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.linear_model import RidgeCV

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.errors import PluginError
from numgeom.specs import ConvergenceSpec
from numgeom.targets import make_metric
from numgeom_plugins.convergence import FAMILIES, core_cards, numeric_cards, numgeom_convergence_metrics
from numgeom_plugins.convergence.predictivity import STRENGTHS

F64 = npt.NDArray[np.float64]

# Caveats of the measured rows are no errors of the code; the tests of caveats look for them themselves.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

NEW = {card.name: card for family in FAMILIES if family not in (core_cards, numeric_cards) for card in family.cards()}
SPECS = {card.name: card for card in numgeom_convergence_metrics()}
# A model need not score best with itself: nearest by inner product is not mutual, and a fixed penalty shrinks.
OWN_IS_NOT_BEST = {"cycle_knn_inner_product", "ridge_predictivity_in_sample"}


def rep(rows: npt.ArrayLike) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)))


def metric(name: str, **params: Any) -> Any:
    if SPECS[name].missing_packages():
        pytest.importorskip("ot", reason="the extra for Gromov-Wasserstein is not installed")
    return make_metric(SPECS[name], params)


def score(name: str, x: npt.ArrayLike | Representation, y: npt.ArrayLike | Representation, **params: Any) -> float:
    chosen = metric(name, **params)
    a, b = (chosen.prepare(v if isinstance(v, Representation) else rep(v)) for v in (x, y))
    return float(chosen.score(a, b))


def clouds(seed: int, n: int = 40, d: int = 6, e: int = 9, noise: float = 0.5) -> tuple[F64, F64]:
    """Two skewed clouds through different maps of one latent, with noise and a common mean."""
    rng = np.random.default_rng(seed)
    latent = rng.exponential(size=(n, 4))
    x = latent @ rng.standard_normal((4, d)) + noise * rng.standard_normal((n, d))
    y = latent @ rng.standard_normal((4, e)) + noise * rng.standard_normal((n, e))
    return x + 0.3, y - 0.2


def pair(spec: ConvergenceSpec, seed: int, n: int = 40, d: int = 6) -> tuple[F64, F64]:
    return clouds(seed, n, d, d if spec.equal_dims else d + 3)


def rotation(rng: np.random.Generator, d: int) -> F64:
    return np.asarray(np.linalg.qr(rng.standard_normal((d, d)))[0])


def centred(x: F64) -> F64:
    return np.asarray(x - x.mean(axis=0))


# --- what the cards declare ----------------------------------------------------------------------------------------


def test_the_catalogue_holds_every_family_once() -> None:
    assert len(SPECS) == len(list(numgeom_convergence_metrics()))
    assert len(NEW) >= 90
    assert all(card.reference for card in NEW.values())
    assert not any(card.default for card in NEW.values())


@pytest.mark.parametrize("name", NEW)
def test_a_model_is_closest_to_itself(name: str) -> None:
    spec, x = NEW[name], clouds(0)[0]
    own = score(name, x, x)
    if math.isfinite(spec.best) and name not in OWN_IS_NOT_BEST:
        assert own == pytest.approx(spec.best, abs=1e-7)
    if name not in OWN_IS_NOT_BEST:
        for seed in range(3):
            other = score(name, x, x[np.random.default_rng(seed).permutation(len(x))])
            lead = own - other if spec.direction == "higher_is_closer" else other - own
            assert lead >= -1e-9 * max(1.0, abs(own))


@pytest.mark.parametrize("name", NEW)
def test_scores_lie_in_the_declared_range_and_are_symmetric_as_declared(name: str) -> None:
    spec = NEW[name]
    for n, d in ((40, 6), (30, 50)):
        x, y = pair(spec, 1, n, d)
        forth, back = score(name, x, y), score(name, y, x)
        assert spec.range[0] <= forth <= spec.range[1]
        if spec.symmetric:
            assert back == pytest.approx(forth, abs=1e-9 * max(1.0, abs(forth)))
    if not spec.symmetric:
        pairs = [pair(spec, seed) for seed in (2, 3, 4)]
        assert max(abs(score(name, x, y) - score(name, y, x)) for x, y in pairs) > 1e-6


@pytest.mark.parametrize("name", NEW)
def test_little_noise_is_closer_than_much(name: str) -> None:
    spec, x = NEW[name], centred(clouds(3)[0])
    rng = np.random.default_rng(4)
    noise, size = rng.standard_normal(x.shape), np.linalg.norm(x)
    near, far = (centred(x + level * noise) for level in (0.02, 3.0))
    # At the size of the model, so that unnormalised products see the agreement and not the noise.
    near, far = (size * v / np.linalg.norm(v) + 0.4 for v in (near, far))
    gain = score(name, x + 0.4, near) - score(name, x + 0.4, far)
    if name in {"cycle_knn_inner_product", "concentricity_difference", "magnitude_difference", "uniformity_difference"}:
        assert math.isfinite(gain)
    else:
        assert gain > 0 if spec.direction == "higher_is_closer" else gain < 0


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", NEW)
def test_declared_invariances_hold_and_no_others(name: str, wide: bool) -> None:
    spec = NEW[name]
    x, y = pair(spec, 5, 34, 45 if wide else 12)
    rng = np.random.default_rng(6)
    d = y.shape[1]
    mixing = rotation(rng, d) * np.geomspace(0.5, 4.0, d) @ rotation(rng, d)
    changes: dict[str, Callable[[F64], F64]] = {
        "orthogonal": lambda v: v @ rotation(np.random.default_rng(7), v.shape[1]),
        "scale": lambda v: 2.7 * v,
        "translation": lambda v: v + np.linspace(-4.0, 9.0, v.shape[1]),
        "permutation": lambda v: np.roll(v, 1, axis=1),
    }
    params = {"k": 3} if "knn" in name else {}
    before = score(name, x, y, **params)
    slack = 1e-8 * max(1.0, abs(before))
    for change, apply in changes.items():
        scores = score(name, x, apply(y), **params), score(name, apply(x), y, **params)
        moved = max(abs(value - before) for value in scores)
        if change in spec.invariant_to:
            assert moved <= slack, change
        elif not wide:
            assert moved > slack, f"{change} should be declared"
    if "linear" in spec.invariant_to:
        assert score(name, x, y @ mixing, **params) == pytest.approx(before, abs=1e-7)
    elif not wide:
        turned = x @ rotation(rng, 12) * np.geomspace(0.5, 4.0, 12) @ rotation(rng, 12)
        scores = score(name, x, y @ mixing, **params), score(name, turned, y, **params)
        assert max(abs(value - before) for value in scores) > slack


@pytest.mark.parametrize("name", [name for name, card in NEW.items() if card.is_distance])
def test_distances_obey_the_triangle_inequality(name: str) -> None:
    x, y = clouds(8, e=6)
    z = clouds(9)[0]
    sized = [centred(v) / np.linalg.norm(centred(v)) + 0.01 for v in (x, y, z)]
    points = [*sized, sized[0] + sized[1], np.hstack([sized[0], sized[2]])]
    chosen = metric(name)
    states = [chosen.prepare(rep(v)) for v in points]
    table = np.array([[chosen.score(a, b) for b in states] for a in states])
    for i, j, k in itertools.permutations(range(len(points)), 3):
        assert table[i, k] <= table[i, j] + table[j, k] + 1e-9
    assert np.abs(np.diag(table)).max() < 1e-7


@pytest.mark.parametrize("name", [name for name, card in NEW.items() if hasattr(card.load(), "permuted")])
def test_permuted_equals_preparing_the_permuted_rows(name: str) -> None:
    spec = NEW[name]
    chosen = metric(name)
    for d in (5, 33):
        x, y = pair(spec, 10, 30, d)
        a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
        orders = np.stack([np.arange(30), *(np.random.default_rng(k).permutation(30) for k in range(3))])
        slow = np.array([chosen.score(a, chosen.prepare(rep(y[order]))) for order in orders])
        np.testing.assert_allclose(chosen.permuted(a, b, orders), slow, rtol=1e-8, atol=1e-9)
        assert chosen.permuted(a, b, orders[:0]).shape == (0,)


@pytest.mark.parametrize("name", NEW)
def test_matrices_and_moments_are_those_of_single_scores(name: str) -> None:
    chosen = metric(name)
    if hasattr(chosen, "score_matrix"):
        states = [chosen.prepare(rep(v)) for v in (*clouds(11), *clouds(12, d=60))]
        slow = [[chosen.score(a, b) for b in states] for a in states]
        np.testing.assert_allclose(chosen.score_matrix(states), slow, rtol=1e-10, atol=1e-12)
    if hasattr(chosen, "null_moments"):
        x, y = clouds(13, n=6)
        a, b = chosen.prepare(rep(x)), chosen.prepare(rep(y))
        if chosen.permuted(a, b, np.arange(6)[None, :]).size:
            values = chosen.permuted(a, b, np.array(list(itertools.permutations(range(6)))))
            mean, sd, skewness = chosen.null_moments(a, b)
            assert mean == pytest.approx(values.mean(), abs=1e-10 * max(1.0, abs(values).max()))
            assert sd == pytest.approx(values.std(), rel=1e-8)
            assert skewness == pytest.approx(((values - values.mean()) ** 3).mean() / values.std() ** 3, abs=1e-6)


@pytest.mark.parametrize("name", NEW)
def test_equal_rows_and_sides_of_different_length_are_refused_in_one_line(name: str) -> None:
    chosen = metric(name)
    with pytest.raises(Incompatible, match=r"all 40 rows are equal.*--numbers") as refused:
        chosen.prepare(rep(np.tile(np.array([0.1, 0.2, 0.3, 0.4]), (40, 1))))
    assert "\n" not in str(refused.value)
    x, y = clouds(14, n=40, e=6)
    with pytest.raises(Incompatible, match="both sides need the same numbers"):
        chosen.score(chosen.prepare(rep(x)), chosen.prepare(rep(y[:35])))


@pytest.mark.parametrize("name", NEW)
def test_prepared_states_travel_to_other_processes(name: str) -> None:
    spec = NEW[name]
    x, y = pair(spec, 15)
    chosen = metric(name)
    copy = pickle.loads(pickle.dumps(chosen))
    a, b = (pickle.loads(pickle.dumps(chosen.prepare(rep(v)))) for v in (x, y))
    assert copy.score(a, b) == score(name, x, y)


@pytest.mark.parametrize("name", sorted(n for n, card in NEW.items() if "k" in card.params and n != "svcca_fixed"))
def test_neighbour_metrics_say_which_k_fits(name: str) -> None:
    digits = np.random.default_rng(16).standard_normal((10, 4))
    with pytest.raises(Incompatible, match=rf"k=10 does not fit 10 numbers; k must be 1 to 9: type {name}\(k=1\)"):
        metric(name).prepare(rep(digits))
    assert math.isfinite(score(name, digits, digits, k=9))


# --- kernels -------------------------------------------------------------------------------------------------------


def test_hsic_is_the_trace_and_the_u_statistic() -> None:
    x, y = clouds(17, n=20)
    n = len(x)
    k, m = x @ x.T, y @ y.T
    h = np.eye(n) - 1.0 / n
    assert score("hsic_linear_biased", x, y) == pytest.approx(np.trace(k @ h @ m @ h) / (n - 1) ** 2, rel=1e-10)
    k0, m0 = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    song = np.trace(k0 @ m0) + k0.sum() * m0.sum() / ((n - 1) * (n - 2)) - 2.0 / (n - 2) * (k0 @ m0).sum()
    assert score("hsic_linear_unbiased", x, y) == pytest.approx(song / (n * (n - 3)), rel=1e-9)
    kc, mc = h @ k @ h, h @ m @ h
    off = sum(kc[i, j] * mc[i, j] for i, j in itertools.combinations(range(n), 2))
    assert score("hsic_linear_lange", x, y) == pytest.approx(2.0 * off / (n * (n - 3)), rel=1e-9)


def test_shared_dimensions_of_a_model_with_itself_are_its_participation_ratio() -> None:
    x, y = clouds(18)
    ratios = [np.linalg.eigvalsh(np.cov(v.T)) for v in (x, y)]
    ratio = [float(v.sum() ** 2 / (v**2).sum()) for v in ratios]
    assert score("effective_shared_dimensions", x, x) == pytest.approx(ratio[0], rel=1e-10)
    expected = score("cka_linear", x, y) * math.sqrt(ratio[0] * ratio[1])
    assert score("effective_shared_dimensions", x, y) == pytest.approx(expected, rel=1e-10)


def test_gaussian_cka_with_a_wide_bandwidth_is_linear_cka() -> None:
    x, y = clouds(19)
    for name in ("cka_rbf_fixed", "cka_rbf_fixed_debiased"):
        linear = "cka_linear_debiased" if name.endswith("debiased") else "cka_linear"
        assert score(name, x, y, sigma=1e4) == pytest.approx(score(linear, x, y), abs=1e-5)


@pytest.mark.parametrize("name", ["cka_rbf_median_debiased", "distance_correlation_debiased"])
def test_debiased_metrics_of_unrelated_wide_clouds_are_near_zero_where_biased_ones_are_not(name: str) -> None:
    rng = np.random.default_rng(20)
    x, y = rng.standard_normal((60, 400)), rng.standard_normal((60, 500))
    assert abs(score(name, x, y)) < 0.06
    assert score("cka_rbf_median", x, y) > 0.5
    assert score("distance_correlation", x, y) > 0.8
    # Without its diagonal a centred Gram keeps the level that centring took from the diagonal.
    assert 0.1 < score("cka_linear_lange", x, y) < score("cka_linear", x, y)


def test_distance_correlation_is_that_of_szekely() -> None:
    x, y = clouds(21, n=25)
    n = len(x)
    a, b = squareform(pdist(x)), squareform(pdist(y))
    h = np.eye(n) - 1.0 / n
    ac, bc = h @ a @ h, h @ b @ h
    expected = math.sqrt((ac * bc).sum() / math.sqrt((ac**2).sum() * (bc**2).sum()))
    assert score("distance_correlation", x, y) == pytest.approx(expected, abs=1e-12)


# --- RSA -----------------------------------------------------------------------------------------------------------


def test_comparisons_of_distance_matrices_are_those_of_scipy() -> None:
    x, y = clouds(22)
    for rdm in ("correlation", "cosine", "euclidean", "sqeuclidean"):
        u, v = (pdist(side, rdm) for side in (x, y))
        expected = {
            "pearson": pearsonr(u, v).statistic,
            "spearman": spearmanr(u, v).statistic,
            "kendall": kendalltau(u, v).statistic,
            "tau_a": kendalltau(u, v).statistic,
            "rho_a": spearmanr(u, v).statistic,
            "cosine": u @ v / np.linalg.norm(u) / np.linalg.norm(v),
        }
        for comparison, value in expected.items():
            name = f"rsa_{comparison}_{rdm}"
            if name in SPECS:
                assert score(name, x, y) == pytest.approx(value, abs=1e-9), name


def test_the_whitened_comparison_is_the_inverse_covariance_of_distances_that_share_a_row() -> None:
    """Diedrichsen et al. 2021: for equal noise, cov(d_ij, d_kl) is the squared overlap of the two contrasts."""
    x, y = clouds(23, n=9)
    contrasts = np.array([np.eye(9)[i] - np.eye(9)[j] for i, j in itertools.combinations(range(9), 2)])
    inverse = np.linalg.inv((contrasts @ contrasts.T) ** 2)
    u, v = (1.0 - np.asarray(np.corrcoef(side))[np.triu_indices(9, 1)] for side in (x, y))
    cosine = u @ inverse @ v / math.sqrt((u @ inverse @ u) * (v @ inverse @ v))
    assert score("rsa_whitened_cosine_correlation", x, y) == pytest.approx(cosine, abs=1e-10)
    # The Pearson form takes out the mean after whitening: the projection on what equal distances become.
    level = np.ones(len(u))
    u, v = (w - (level @ inverse @ w) / (level @ inverse @ level) for w in (u, v))
    pearson = u @ inverse @ v / math.sqrt((u @ inverse @ u) * (v @ inverse @ v))
    assert score("rsa_whitened_pearson_correlation", x, y) == pytest.approx(pearson, abs=1e-10)


def test_tau_a_and_rho_a_pay_for_ties_and_tau_b_does_not() -> None:
    grid = np.array(list(itertools.product(range(4), range(4))), dtype=np.float64)
    assert score("rsa_kendall_euclidean", grid, grid) == pytest.approx(1.0)
    u = pdist(grid)
    signs = np.sign(u[:, None] - u[None, :])
    share = float((signs**2).sum() / (len(u) * (len(u) - 1)))
    assert score("rsa_tau_a_euclidean", grid, grid) == pytest.approx(share, abs=1e-12)
    assert 0.9 < score("rsa_rho_a_euclidean", grid, grid) < 1.0


def test_bures_distance_is_that_of_the_kernels() -> None:
    x, y = clouds(24, n=15)
    k, m = (centred(v) @ centred(v).T for v in (x, y))
    root = np.real(sqrtm(k + 1e-12 * np.eye(15)))
    fidelity = float(np.sqrt(np.clip(np.linalg.eigvalsh(root @ m @ root), 0.0, None)).sum())
    squared = np.trace(k) + np.trace(m) - 2.0 * fidelity
    assert score("procrustes_size_and_shape", x, y) ** 2 == pytest.approx(squared, rel=1e-4)
    ratio = score("rsa_bures_distance_sqeuclidean", 2.0 * x, 2.0 * y) / score("rsa_bures_distance_sqeuclidean", x, y)
    assert ratio == pytest.approx(2.0)


def test_the_width_of_narrowed_rows_is_their_true_one() -> None:
    x, y = clouds(25, n=12, d=40, e=60)
    narrowed = [
        rep(v).with_matrix(np.asarray(np.linalg.qr(v.T, mode="r")).T, width=v.shape[1])  # the same Gram in 12 columns
        for v in (x, y)
    ]
    name = "rsa_bures_distance_sqeuclidean"
    assert score(name, *narrowed) == pytest.approx(score(name, x, y), rel=1e-9)


# --- canonical correlations ----------------------------------------------------------------------------------------


def test_with_no_more_numbers_than_columns_every_canonical_correlation_is_one() -> None:
    rng = np.random.default_rng(26)
    x, y = rng.standard_normal((30, 40)), rng.standard_normal((30, 29))
    for name in ("cca_mean", "cca_mean_squared", "pwcca", "linear_predictivity_in_sample"):
        assert NEW[name].saturates
        assert score(name, x, y) == pytest.approx(1.0, abs=1e-9)
    assert score("shape_metric_angular_whitened", x, y) == pytest.approx(0.0, abs=1e-6)
    assert score("gulp", x, y, ridge=0.0) == pytest.approx(0.0, abs=1e-6)
    assert score("svcca_fixed", x, y, k=5) < 0.7


def test_ranks_that_meet_are_named_where_the_widths_alone_do_not_say_it() -> None:
    rng = np.random.default_rng(27)
    x, y = rng.standard_normal((30, 20)), rng.standard_normal((30, 15))
    with pytest.warns(
        MeasurementWarning, match=r"W-N-LT-D: ranks 20 and 15 of 30 .*: 6 canonical correlations must be 1"
    ):
        value = score("cca_mean", x, y)
    assert value > 6 / 15
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score("cca_mean", x[:, :10], y)


def test_svcca_keeps_what_holds_the_variance() -> None:
    rng = np.random.default_rng(28)
    strong, weak = rng.standard_normal((50, 3)), 0.01 * rng.standard_normal((50, 7))
    x = np.hstack([strong, weak])
    y = np.hstack([strong @ rotation(rng, 3), 0.01 * rng.standard_normal((50, 5))])
    assert score("svcca", x, y, variance=0.99) > 0.999
    assert score("cca_mean", x, y) < 0.9
    assert score("svcca", x, y, variance=1.0) == pytest.approx(score("cca_mean", x, y), abs=1e-12)
    with pytest.warns(MeasurementWarning, match="W-RANK: 20 components asked for; rank 10"):
        score("svcca_fixed", x, x, k=20)


def test_pwcca_of_orthogonal_columns_weighs_by_their_size() -> None:
    basis = np.linalg.qr(centred(np.random.default_rng(29).standard_normal((40, 3))))[0]
    x = basis[:, :2] * np.array([3.0, 1.0])
    y = np.column_stack([basis[:, 0], 0.6 * basis[:, 1] + 0.8 * basis[:, 2]])
    assert score("pwcca", x, y) == pytest.approx((3.0 * 1.0 + 1.0 * 0.6) / 4.0, abs=1e-9)
    both = score("pwcca", x, y) + score("pwcca", y, x)
    assert score("pwcca_both_directions", x, y) == pytest.approx(both / 2.0, abs=1e-12)


def test_gulp_is_the_formula_of_the_paper() -> None:
    x, y = (centred(v) for v in clouds(30))
    x, y = (v / math.sqrt(np.square(v).sum() / len(v)) for v in (x, y))
    n, ridge = len(x), 0.1
    sx, sy, sxy = x.T @ x / n, y.T @ y / n, x.T @ y / n
    ix, iy = (np.linalg.inv(s + ridge * np.eye(len(s))) for s in (sx, sy))
    squared = np.trace(ix @ sx @ ix @ sx) + np.trace(iy @ sy @ iy @ sy) - 2.0 * np.trace(ix @ sxy @ iy @ sxy.T)
    assert score("gulp", x, y, ridge=ridge) ** 2 == pytest.approx(squared, rel=1e-9)


def test_the_ends_of_partial_whitening_are_procrustes_and_cca() -> None:
    x, y = clouds(31)
    assert score("shape_metric_angular", x, y, alpha=1.0) == pytest.approx(score("procrustes_angular", x, y), abs=1e-9)
    cosine = score("cca_mean", x, y) * 6 / math.sqrt(6 * 9)
    assert score("shape_metric_angular_whitened", x, y) == pytest.approx(math.acos(cosine), abs=1e-9)


# --- neighbours ----------------------------------------------------------------------------------------------------


def lists(rows: F64, k: int, by: str) -> list[list[int]]:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True) if by == "cosine" else rows
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    return [[int(j) for j in row] for row in np.argsort(-near, axis=1)[:, :k]]


def longest(a: list[int], b: list[int]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest(a[1:], b[1:])
    return max(longest(a[1:], b), longest(a, b[1:]))


def edits(a: list[int], b: list[int]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b[1:]) + (a[0] != b[0]), 1 + edits(a[1:], b), 1 + edits(a, b[1:]))


def test_ordered_neighbour_metrics_are_their_recursive_definitions() -> None:
    x, y = clouds(32, n=25)
    pairs = list(zip(lists(x, 4, "inner"), lists(y, 4, "inner"), strict=True))
    assert score("lcs_knn_inner_product", x, y, k=4) == pytest.approx(np.mean([longest(a, b) / 4 for a, b in pairs]))
    assert score("edit_knn_inner_product", x, y, k=4) == pytest.approx(np.mean([1 - edits(a, b) / 4 for a, b in pairs]))
    values = []
    for a, b in zip(lists(x, 4, "cosine"), lists(y, 4, "cosine"), strict=True):
        shared = [(a.index(j) + 1, b.index(j) + 1) for j in a if j in b]
        best = sum(1.0 / i for i in range(1, len(shared) + 1)) or 1.0
        values.append(sum(2.0 / ((1 + abs(r - s)) * (r + s)) for r, s in shared) / best)
    assert score("rank_knn_cosine", x, y, k=4) == pytest.approx(np.mean(values))


def test_cycles_lead_from_the_second_model_back_through_the_first() -> None:
    x, y = clouds(33, n=25)
    first, second = lists(x, 2, "inner"), lists(y, 2, "inner")
    back = [any(i in first[j] for j in second[i]) for i in range(25)]
    assert score("cycle_knn_inner_product", x, y, k=2) == pytest.approx(np.mean(back))


def test_cknna_over_all_neighbours_is_debiased_cka() -> None:
    x, y = clouds(34)
    assert score("cknna_inner_product", x, y, k=39) == pytest.approx(score("cka_linear_debiased", x, y), abs=1e-9)


def test_jaccard_follows_from_the_shared_counts() -> None:
    x = np.random.default_rng(35).standard_normal((12, 3))
    y = x[:, ::-1] + np.array([0.0, 5.0, 0.0])
    assert score("jaccard_knn_euclidean", x, y, k=3) == 1.0
    rng = np.random.default_rng(36)
    a, b = rng.standard_normal((12, 3)), rng.standard_normal((12, 3))
    shared = [len(set(p) & set(q)) for p, q in zip(lists(a, 3, "cosine"), lists(b, 3, "cosine"), strict=True)]
    assert score("jaccard_knn_cosine", a, b, k=3) == pytest.approx(np.mean([m / (6 - m) for m in shared]))


def test_clipping_takes_the_say_from_outlying_entries() -> None:
    x = np.random.default_rng(37).standard_normal((60, 20))
    spoiled = x.copy()
    spoiled[:, 0] += 80.0 * (np.arange(60) % 2)
    clipped = score("mutual_knn_clipped", x, spoiled)
    assert clipped > score("mutual_knn_cosine", x, spoiled) + 0.1
    assert score("mutual_knn_clipped", x, x, quantile=1.0) == 1.0


# --- columns, maps, distributions ----------------------------------------------------------------------------------


def test_matching_finds_permuted_columns_and_pads_the_narrower_side() -> None:
    x = np.random.default_rng(38).standard_normal((20, 5))
    shuffled = x[:, [3, 0, 4, 1, 2]]
    assert score("permutation_procrustes", x, shuffled) == 0.0
    assert score("correlation_match_hard", x, 3.0 * shuffled + 1.0) == pytest.approx(1.0, abs=1e-12)
    assert score("permutation_procrustes", x, x[:, :4]) == pytest.approx(np.linalg.norm(x[:, 4]))
    assert score("correlation_match_hard", x, -x) < 0.9


def test_metrics_of_shared_axes_refuse_unequal_widths_and_name_another() -> None:
    x, y = clouds(39)
    for name in ("rowwise_cosine", "tucker_congruence", "mmd_rbf"):
        assert NEW[name].equal_dims
        with pytest.raises(Incompatible, match=r"same axes on both sides; the widths are 6 and 9: use "):
            score(name, x, y)


def test_constant_columns_take_no_part() -> None:
    x, y = clouds(40)
    flat = np.hstack([x, np.full((40, 3), 7.0)])
    for name in ("correlation_match_hard", "correlation_match_soft"):
        assert score(name, flat, y) == pytest.approx(score(name, x, y), abs=1e-12)
    assert score("ridge_predictivity_in_sample", y, flat) == pytest.approx(score("ridge_predictivity_in_sample", y, x))


def test_frechet_distance_is_that_of_the_covariances() -> None:
    x, y = clouds(41, e=6)
    cx, cy = np.cov(x.T), np.cov(y.T)
    shift = float(np.square(x.mean(0) - y.mean(0)).sum())
    expected = shift + np.trace(cx + cy - 2.0 * np.real(sqrtm(np.real(sqrtm(cx)) @ cy @ np.real(sqrtm(cx)))))
    assert score("frechet_distance", x, y) ** 2 == pytest.approx(expected, rel=1e-6)
    assert score("frechet_distance", x, x + np.eye(6)[0] * 2.0) == pytest.approx(2.0)
    assert score("frechet_distance", x, x[::-1]) == pytest.approx(0.0, abs=1e-6)


def test_in_sample_predictivity_is_the_r2_of_least_squares() -> None:
    x, y = clouds(42)
    fitted = centred(x) @ np.linalg.lstsq(centred(x), centred(y), rcond=None)[0]
    expected = 1.0 - np.square(centred(y) - fitted).sum() / np.square(centred(y)).sum()
    assert score("linear_predictivity_in_sample", x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("d", [6, 70])
def test_out_of_fold_predictivity_is_that_of_scikit_learn(d: int) -> None:
    x, y = clouds(43, n=50, d=d)
    wrong = total = 0.0
    for held in np.array_split(np.random.default_rng(0).permutation(50), 5):
        train = np.setdiff1d(np.arange(50), held)
        values = np.linalg.svd(centred(x[train]), compute_uv=False)
        energy = values[values > 1e-10 * values[0]] ** 2
        model = RidgeCV(alphas=STRENGTHS * energy.mean()).fit(x[train], y[train])
        wrong += float(np.square(y[held] - model.predict(x[held])).sum())
        total += float(np.square(y[held] - y[train].mean(0)).sum())
    assert score("linear_predictivity", x, y) == pytest.approx(1.0 - wrong / total, abs=1e-6)


def test_out_of_fold_predictivity_of_unrelated_wide_clouds_does_not_saturate() -> None:
    rng = np.random.default_rng(44)
    x, y = rng.standard_normal((60, 200)), rng.standard_normal((60, 5))
    assert score("linear_predictivity_in_sample", x, y) == pytest.approx(1.0)
    assert score("linear_predictivity", x, y) < 0.05


def test_smoothness_predicts_less_under_blocks_than_under_random_folds() -> None:
    rng = np.random.default_rng(45)
    x, y = (np.cumsum(rng.standard_normal((200, 40)), axis=0) for _ in range(2))
    assert score("linear_predictivity", x, y) > 0.8
    assert score("linear_predictivity_blocks", x, y) < score("linear_predictivity", x, y) - 0.2


def test_folds_that_do_not_fit_are_refused_with_what_fits() -> None:
    x = clouds(46, n=8)[0]
    message = r"folds=5 does not fit 8 numbers; folds must be 2 to 4: type linear_predictivity\(folds=2\)"
    with pytest.raises(Incompatible, match=message):
        metric("linear_predictivity").prepare(rep(x))


def test_gromov_wasserstein_recovers_a_permutation_of_the_rows() -> None:
    x = clouds(47, n=30)[0]
    rng = np.random.default_rng(48)
    order = rng.permutation(30)
    turned = 3.0 * x[order] @ rotation(rng, 6) + 1.0
    assert score("gromov_wasserstein", x, turned) == pytest.approx(0.0, abs=1e-6)
    assert score("gromov_wasserstein_matching", x, turned) == pytest.approx(np.mean(order == np.arange(30)))
    assert score("gromov_wasserstein_matching", x, turned[np.argsort(order)]) == pytest.approx(1.0)


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("cka_rbf_fixed", {"sigma": 0.0}, r"sigma above 0; it is 0.0: type cka_rbf_fixed\(sigma=1\)"),
        ("cka_rbf_median", {"fraction": -1.0}, r"fraction above 0"),
        ("cka_rbf_median_all_pairs", {"median": "upper"}, r'median="linear" or median="lower"'),
        ("cca_mean", {"ridge": -1.0}, r"ridge of at least 0"),
        ("svcca", {"variance": 0.0}, r"variance in \(0, 1\]; it is 0.0: type svcca\(variance=0.99\)"),
        ("svcca_fixed", {"k": 0}, r"k of at least 1"),
        ("gulp", {"ridge": -0.1}, r"type gulp\(ridge=0.01\)"),
        ("shape_metric_angular", {"alpha": 2.0}, r"alpha from 0 to 1"),
        ("shape_metric_angular", {"whitening": "zca"}, r'whitening="covariance" or whitening="scatter"'),
        ("mutual_knn_clipped", {"quantile": 0.0}, r"quantile in \(0, 1\]"),
        ("ridge_predictivity_in_sample", {"alpha": 0.0}, r"alpha above 0"),
    ],
)
def test_parameters_out_of_range_are_refused_with_what_is_allowed(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        metric(name, **params)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [n for n in NEW if n.endswith(("_debiased", "_lange", "_unbiased")) or "cknna" in n])
def test_estimates_that_need_four_numbers_say_so(name: str) -> None:
    params = {"k": 2} if "k" in NEW[name].params else {}
    with pytest.raises(Incompatible, match="at least 4 numbers; these are 3"):
        metric(name, **params).prepare(rep(np.random.default_rng(49).standard_normal((3, 5))))


def test_kernels_that_see_no_pair_or_every_pair_alike_are_refused() -> None:
    x = clouds(50)[0]
    for size in (1e-9, 1e6):
        with pytest.raises(Incompatible, match="the kernel does not tell one pair of rows from another"):
            metric("cka_rbf_fixed_debiased").prepare(rep(size * x))
    with pytest.raises(Incompatible, match="finds no bandwidth"):
        metric("cka_rbf_median").prepare(rep(np.repeat(np.eye(2), [38, 2], axis=0)))


def test_correlation_distances_need_three_columns() -> None:
    x = clouds(51)[0][:, :2]
    for name in ("rsa_pearson_correlation", "rsa_kendall_correlation", "rsa_bures_correlation"):
        with pytest.raises(Incompatible, match=r"at least 3 columns; (these|these rows) have 2"):
            metric(name).prepare(rep(x))


@pytest.mark.parametrize("name", ["mutual_knn_inner_product", "cknna_inner_product", "rsa_kendall_cosine"])
def test_metrics_of_raw_rows_warn_where_the_mean_dominates(name: str) -> None:
    x = clouds(52)[0]
    with pytest.warns(MeasurementWarning, match="W-ANISO: the mean vector holds 0"):
        metric(name).prepare(rep(x + 10.0))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginError, match="'gromov_wasserstein' needs POT; type: pip install POT"):
        NEW["gromov_wasserstein"].load()
