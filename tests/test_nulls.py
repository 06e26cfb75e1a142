"""Nulls: what they keep and destroy, their size and power, real rows, faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from scipy.stats import chi2, ks_2samp, kstest

from numgeom import Incompatible, NullSpec, Representation
from numgeom.calibrate import calibrate
from numgeom.targets import NullView, draw_permutations, make_metric, null_views
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.nulls import numgeom_nulls
from numgeom_plugins.nulls.order_basis import order_basis
from numgeom_plugins.nulls.order_modes import OrderModes

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Caveats of the measured rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS: dict[str, NullSpec] = {spec.name: spec for spec in numgeom_nulls()}
METRICS = {spec.name: spec for spec in numgeom_convergence_metrics()}
GAPS = np.array([-40, -7, -1, 0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 40, 41, 60, 99, 100, 101, 250, 251, 252, 999, 1000])


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None, **more: Any) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers), **more)


def cloud(n: int, d: int, seed: int = 0, **more: Any) -> Representation:
    return rep(np.random.default_rng(seed).standard_normal((n, d)), **more)


def tokens(n: int, spare: int) -> Representation:
    """A cloud with all that a null may ask for: rows that are no numbers, and the ids of both."""
    ids = 1000 + np.random.default_rng(1).permutation(n + spare)
    rows = np.random.default_rng(1).standard_normal((spare, 6))
    return cloud(n, 6, random_rows=rows, token_ids=ids[:n], provenance={"random_token_ids": ids[n:].tolist()})


def draw(name: str, of: Representation, seed: int = 0, **params: Any) -> Representation:
    return null_views(SPECS[name], params, of)[0].draw(np.random.default_rng(seed))


def orders(name: str, numbers: I64, draws: int, **params: Any) -> I64:
    return draw_permutations(SPECS[name], params, numbers, np.random.default_rng(0).spawn(draws))


# --- all nulls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_a_draw_keeps_the_numbers_and_depends_on_the_generator_only(name: str) -> None:
    of = tokens(100, 160)
    first, again, other = draw(name, of, 1), draw(name, of, 1), draw(name, of, 2)
    np.testing.assert_array_equal(first.numbers, of.numbers)
    np.testing.assert_array_equal(first.matrix, again.matrix)
    assert not np.array_equal(first.matrix, other.matrix)
    assert not np.array_equal(first.matrix, of.matrix)


@pytest.mark.parametrize("name", SPECS)
def test_every_null_gives_views_of_the_protocol(name: str) -> None:
    of = tokens(40, 60)
    for view in null_views(SPECS[name], {}, of):
        assert isinstance(view, NullView)
        assert view.observed.n == 40


# --- permutations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.permutes_rows])
def test_permuting_nulls_return_the_same_rows_reordered(name: str) -> None:
    of = cloud(40, 3)
    drawn = draw(name, of, 3)
    assert sorted(map(tuple, drawn.matrix.tolist())) == sorted(map(tuple, of.matrix.tolist()))
    for order in orders(name, of.numbers, 5):
        assert sorted(order.tolist()) == list(range(40))


def test_row_permutations_are_uniform() -> None:
    found = orders("row_permutation", np.arange(4), 4800)
    _, counts = np.unique(found @ np.array([64, 16, 4, 1]), return_counts=True)
    assert counts.size == 24
    assert np.square(counts - 200.0).sum() / 200.0 < chi2.ppf(0.999, 23)


def test_within_digit_length_stays_within_and_moves_everything_it_can() -> None:
    numbers = np.array([-12, -5, 0, 3, 7, 10, 55, 99, 100, 512, 1000])
    lengths = np.array([len(str(abs(int(v)))) for v in numbers])
    found = orders("within_digit_length", numbers, 200)
    for order in found:
        np.testing.assert_array_equal(lengths[order], lengths)
    for row in range(len(numbers)):
        assert set(found[:, row]) == set(np.flatnonzero(lengths == lengths[row]))


def test_blocks_move_whole_and_are_decades_of_value() -> None:
    numbers = np.array([3, 4, 10, 11, 12, 29, 30, 31])
    blocks = [[0, 1], [2, 3, 4], [5], [6, 7]]
    seen = set()
    for order in orders("block_permutation", numbers, 300).tolist():
        at, first = 0, []
        while at < len(order):
            block = next(block for block in blocks if block[0] == order[at])
            assert order[at : at + len(block)] == block
            first.append(order[at])
            at += len(block)
        seen.add(tuple(first))
    assert len(seen) == 24


def test_permutation_p_is_uniform_where_nothing_is_shared() -> None:
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    p, calibrated = [], []
    for seed in range(200):
        a, b = cloud(20, 5, seed), cloud(20, 30, 10_000 + seed)
        states = metric.prepare(a), metric.prepare(b)
        found = draw_permutations(SPECS["row_permutation"], {}, a.numbers, np.random.default_rng(seed).spawn(99))
        held = calibrate(metric.score(*states), metric.permuted(*states, found), best=1.0)
        p.append(held.p)
        calibrated.append(held.calibrated)
    assert kstest(np.array(p) - 0.005, "uniform").pvalue > 0.01
    assert np.mean(np.array(calibrated) == 0.0) >= 0.90


# --- Gaussian clouds and random tokens -----------------------------------------------------------------------------


def test_iid_gaussian_keeps_the_mean_column_variance() -> None:
    of = rep(7.0 + np.random.default_rng(0).standard_normal((400, 50)) * np.linspace(0.5, 3.0, 50))
    drawn = draw("iid_gaussian", of)
    assert drawn.matrix.shape == (400, 50)
    assert drawn.matrix.var() == pytest.approx(of.matrix.var(axis=0).mean(), rel=0.03)
    assert kstest(drawn.matrix[:, 0] / drawn.matrix[:, 0].std(), "norm").pvalue > 0.001


def test_narrow_gaussian_has_the_gram_distribution_of_the_wide_one() -> None:
    n, d, draws = 5, 30, 3000
    of = cloud(n, d)
    scale = of.workspace.energy / (n * d)
    rng = np.random.default_rng(1)
    narrow, wide = (
        np.array([(m := view.draw(rng).matrix) @ m.T for _ in range(draws)]) / scale
        for view in (null_views(SPECS["iid_gaussian"], {"narrow": choice}, of)[0] for choice in (True, False))
    )
    # Wishart: E G = d I, var G_ii = 2d, var G_ij = d.
    np.testing.assert_allclose(narrow.mean(axis=0), d * np.eye(n), atol=5 * np.sqrt(2 * d / draws))
    np.testing.assert_allclose(narrow.var(axis=0), d * (1 + np.eye(n)), rtol=0.12)
    for statistic in (np.linalg.det, lambda g: g[:, 0, 4], lambda g: g[:, 4, 4], lambda g: np.square(g).sum((1, 2))):
        assert ks_2samp(statistic(narrow), statistic(wide)).pvalue > 0.001


def test_a_narrow_gaussian_stands_for_the_width_of_what_it_replaces() -> None:
    assert draw("iid_gaussian", cloud(30, 900)).d == 30
    # A representation that was itself narrowed says how wide it was.
    narrowed = rep(np.random.default_rng(0).standard_normal((30, 30)), provenance={"width": 900})
    gram = draw("iid_gaussian", narrowed).workspace.gram
    off = gram[~np.eye(30, dtype=bool)]
    assert off.std() / np.diagonal(gram).mean() == pytest.approx(1 / np.sqrt(900), rel=0.15)


def test_biased_cka_of_narrow_gaussians_is_that_of_wide_ones() -> None:
    n, d = 60, 700
    metric: Any = make_metric(METRICS["cka_linear"], {})
    a, b = (metric.prepare(draw("iid_gaussian", cloud(n, d), seed)) for seed in (1, 2))
    assert metric.score(a, b) == pytest.approx(d / (d + n), abs=0.01)


def test_covariance_gaussian_keeps_mean_and_covariance_of_a_rank_deficient_cloud() -> None:
    rng = np.random.default_rng(0)
    of = rep(5.0 + rng.standard_normal((4000, 2)) @ np.array([[2.0, 1.0, 0.0], [0.0, 1.0, -1.0]]))
    drawn = draw("covariance_gaussian", of)
    np.testing.assert_allclose(drawn.matrix.mean(axis=0), of.matrix.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.matrix.T), np.cov(of.matrix.T), atol=0.35)
    assert np.linalg.matrix_rank(drawn.workspace.centred) == 2


def test_covariance_gaussian_destroys_the_rows() -> None:
    of = cloud(200, 3)
    drawn = draw("covariance_gaussian", of)
    assert np.abs(np.corrcoef(of.matrix.T, drawn.matrix.T)[:3, 3:]).max() < 0.25


def test_random_tokens_draws_rows_without_replacement() -> None:
    of = cloud(8, 2, random_rows=np.arange(24, dtype=np.float32).reshape(12, 2))
    drawn = draw("random_tokens", of)
    assert drawn.matrix.dtype == np.float32
    assert len({tuple(row) for row in drawn.matrix.tolist()}) == 8
    assert {tuple(row) for row in drawn.matrix.tolist()} <= {tuple(row) for row in of.random_rows.tolist()}  # type: ignore[union-attr]


# --- order modes: the views ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [np.arange(60), np.unique(np.random.default_rng(0).integers(-9, 400, 60))])
def test_the_residual_is_the_cloud_without_its_smoothest_modes(numbers: I64) -> None:
    of = rep(9.0 + np.random.default_rng(1).standard_normal((len(numbers), 7)), numbers)
    views = OrderModes(q=20).views(of)
    assert [view.name for view in views] == ["n", "log"]
    for view in views:
        smooth = order_basis(tuple(numbers.tolist()), view.name)[:, :20]
        expected = of.workspace.centred - smooth @ (smooth.T @ of.workspace.centred)
        np.testing.assert_allclose(view.observed.matrix, expected, atol=1e-10)
        np.testing.assert_allclose(view.basis @ view.coefficients, expected, atol=1e-10)
        assert view.basis.shape == (len(numbers), len(numbers) - 21)


def test_without_dropping_the_residual_is_the_centred_cloud() -> None:
    of = cloud(30, 50)
    for view in OrderModes(q=0).views(of):
        np.testing.assert_allclose(view.observed.matrix, of.workspace.centred, atol=1e-11)


def test_flips_keep_the_power_of_every_mode_and_change_their_signs_only() -> None:
    of = cloud(45, 6)
    for view in OrderModes(q=10).views(of):
        drawn = view.draw(np.random.default_rng(5))
        modes = view.basis.T @ drawn.matrix
        signs = view.signs(np.random.default_rng(5))
        assert set(signs.tolist()) == {-1.0, 1.0}
        np.testing.assert_allclose(modes, signs[:, None] * view.coefficients, atol=1e-12)
        np.testing.assert_allclose(np.square(modes).sum(1), np.square(view.coefficients).sum(1), rtol=1e-10)
        # Nothing leaks back into what was dropped, and the mean stays 0.
        np.testing.assert_allclose(order_basis(tuple(range(45)), view.name)[:, :10].T @ drawn.matrix, 0, atol=1e-12)
        np.testing.assert_allclose(drawn.matrix.mean(axis=0), 0, atol=1e-13)


def test_signs_are_fair_and_independent() -> None:
    view = OrderModes(q=0, bases="n").views(cloud(21, 2))[0]
    rng = np.random.default_rng(0)
    signs = np.array([view.signs(rng) for _ in range(4000)])
    assert np.abs(signs.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert np.abs(np.corrcoef(signs.T) - np.eye(20)).max() < 5 / np.sqrt(4000)


# --- order modes: size and power -----------------------------------------------------------------------------------


def walk(rng: np.random.Generator, n: int, d: int, noise: float, code: float = 0.0) -> Representation:
    """A random walk of unit mean row energy, white noise, and a mod-10 class code in directions of its own."""
    path = rng.standard_normal((n, d)).cumsum(axis=0)
    path -= path.mean(axis=0)
    rows = path / np.sqrt(np.square(path).sum() / n)
    rows = rows + noise * rng.standard_normal((n, d)) / np.sqrt(d)
    return rep(rows + code * (rng.standard_normal((10, d)) / np.sqrt(d))[np.arange(n) % 10])


def order_p(metric_name: str, a: Representation, b: Representation, draws: int, seed: int) -> tuple[float, float]:
    """The larger p over both bases and both sides, and the excess beside it."""
    metric: Any = make_metric(METRICS[metric_name], {})
    rng = np.random.default_rng(seed)
    held = []
    for x, y in zip(OrderModes().views(a), OrderModes().views(b), strict=True):
        observed = metric.score(metric.prepare(x.observed), metric.prepare(y.observed))
        for left, right in ((x, y), (y, x)):
            signs = np.stack([left.signs(rng) for _ in range(draws)])
            values = metric.flipped(left, right, signs)
            held.append(
                calibrate(observed, values, direction=METRICS[metric_name].direction, best=METRICS[metric_name].best)
            )
    worst = max(held, key=lambda one: one.p)
    return worst.p, worst.excess


@pytest.mark.parametrize("noise", [0.5, 1.4])
def test_size_of_order_modes_on_independent_walks(noise: float) -> None:
    rng = np.random.default_rng(int(10 * noise))
    p = [
        order_p("cka_linear_debiased", walk(rng, 110, 64, noise), walk(rng, 110, 64, noise), 39, seed)[0]
        for seed in range(40)
    ]
    # At level .05 forty true nulls reject 2 times on average, and 7 times or more once in 300 runs.
    assert sum(value <= 0.05 for value in p) <= 6


def test_row_permutation_rejects_every_pair_of_those_walks() -> None:
    rng = np.random.default_rng(5)
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    for _ in range(10):
        a, b = (metric.prepare(walk(rng, 110, 64, 0.5)) for _ in range(2))
        mean, sd, _ = metric.null_moments(a, b)
        assert (metric.score(a, b) - mean) / sd > 10


@pytest.mark.parametrize("metric_name", ["cka_linear_debiased", "order_mode_coherence_n"])
def test_power_of_order_modes_on_a_planted_digit_code(metric_name: str) -> None:
    rng = np.random.default_rng(6)
    found = [
        order_p(metric_name, walk(rng, 120, 64, 0.3, code=0.4), walk(rng, 120, 64, 0.3, code=0.4), 39, seed)
        for seed in range(12)
    ]
    assert sum(p <= 0.05 and excess >= 0.05 for p, excess in found) >= 11


# --- real rows (order modes on them: test_anchors_order_modes) -----------------------------------------------------


def rows(shared: Path, name: str) -> Representation:
    held = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
    keep = held["number_values"] < 1000
    return Representation(held["numbers"][keep], held["number_values"][keep], random_rows=held.get("random"))


def test_random_tokens_of_a_real_vocabulary_are_not_ordered(shared: Path) -> None:
    tokens = rows(shared, "all_minilm_l6_v2")
    drawn = draw("random_tokens", tokens)
    successive = [np.diagonal(of.workspace.cosines, 1).mean() for of in (tokens, drawn)]
    assert successive[0] == pytest.approx(0.55, abs=0.05)
    assert abs(successive[1]) < 0.1


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "of", "params", "message"),
    [
        ("random_tokens", cloud(9, 2), {}, r"this source gives none; use iid_gaussian"),
        ("random_tokens", cloud(9, 2, random_rows=np.eye(4, 2)), {}, r"needs 9 rows .* has 4; give at most 4 numbers"),
        ("within_digit_length", rep(np.eye(3), [1, 20, 300]), {}, r"no two of these 3 numbers have as many digits"),
        ("block_permutation", cloud(9, 2), {}, r"block_permutation\(block=10\) has one block only"),
        ("block_permutation", cloud(9, 2), {"block": 0}, r"at least 1; got block=0"),
        (
            "order_modes",
            cloud(28, 2),
            {},
            r"q=20 need at least 29 numbers .* are 28; lower q to 19.*order_modes\(q=19\)",
        ),
        ("order_modes", cloud(10, 2), {}, r"these are 10; lower q to 1 or less: order_modes\(q=1\)"),
        ("order_modes", cloud(9, 2), {}, r"these are 9; lower q: order_modes\(q=0\)"),
        ("order_modes", cloud(5, 2), {}, r"these are 5; give at least 9 numbers and order_modes\(q=0\)"),
        ("order_modes", cloud(40, 2), {"q": -1}, r"cannot drop q=-1 modes; type order_modes\(q=20\)"),
        ("order_modes", cloud(40, 2), {"bases": ("n", "sqrt")}, r"bases n and log, not sqrt"),
        ("order_modes", rep(np.cos(np.pi * (np.arange(40.0)[:, None] + 0.5) / 40)), {}, r"no residual to compare"),
        ("order_modes", rep(np.full((40, 2), 0.1)), {}, r"no residual to compare"),
    ],
)
def test_a_null_that_does_not_apply_says_why_in_one_line(
    name: str, of: Representation, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        draw(name, of, **params)
    assert "\n" not in str(refused.value)


def test_order_modes_takes_the_fewest_numbers_that_its_message_names() -> None:
    assert [view.basis.shape for view in OrderModes(q=20).views(cloud(29, 2))] == [(29, 8)] * 2
    assert [view.basis.shape for view in OrderModes(q=0).views(cloud(9, 2))] == [(9, 8)] * 2
