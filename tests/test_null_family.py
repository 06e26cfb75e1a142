"""Nulls of strata, of series, of smooth curves and of norms: mathematics, real rows, faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from numgeom import Incompatible, NullSpec, Representation, score
from numgeom.catalog import Choice
from numgeom.pairs import score_pairs
from numgeom.scorer import narrow
from numgeom.targets import draw_permutations, make_metric, null_views
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.nulls import numgeom_nulls
from numgeom_plugins.nulls.smooth import SmoothSurrogate

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Caveats of the measured rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS: dict[str, NullSpec] = {spec.name: spec for spec in numgeom_nulls()}
METRICS = {spec.name: spec for spec in numgeom_convergence_metrics()}


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None, **more: Any) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers), **more)


def cloud(n: int, d: int, seed: int = 0, **more: Any) -> Representation:
    return rep(np.random.default_rng(seed).standard_normal((n, d)), **more)


def draw(name: str, of: Representation, seed: int = 0, **params: Any) -> Representation:
    return null_views(SPECS[name], params, of)[0].draw(np.random.default_rng(seed))


def orders(name: str, numbers: I64, draws: int) -> I64:
    return draw_permutations(SPECS[name], {}, numbers, np.random.default_rng(0).spawn(draws))


def curve(seed: int, n: int = 150, d: int = 256, noise: float = 0.5, code: float = 0.0) -> Representation:
    """A random walk of unit mean row energy, white noise, and a mod-10 class code in directions of its own."""
    rng = np.random.default_rng(seed)
    path = rng.standard_normal((n, d)).cumsum(axis=0)
    path -= path.mean(axis=0)
    rows = path / np.sqrt(np.square(path).sum() / n) + noise * rng.standard_normal((n, d)) / np.sqrt(d)
    return rep(rows + code * (rng.standard_normal((10, d)) / np.sqrt(d))[np.arange(n) % 10])


@pytest.mark.parametrize("name", SPECS)
def test_every_null_says_what_it_keeps_and_destroys(name: str) -> None:
    assert SPECS[name].keeps.strip()
    assert SPECS[name].destroys.strip()


# --- strata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "strata"),
    [
        ("within_decade", [-2, -1, 0, 0, 0, 1, 1, 9, 9, 10]),
        ("within_last_digit", [2, 5, 2, 5, 3, 2, 5, 2, 3, 5]),
    ],
)
def test_strata_are_kept_and_everything_inside_moves(name: str, strata: list[int]) -> None:
    numbers = np.array([-12, -5, 2, 5, 3, 12, 15, 92, 93, 105])
    numbers, label = np.sort(numbers), np.array(strata)[np.argsort(numbers)]
    found = orders(name, numbers, 300)
    for order in found:
        np.testing.assert_array_equal(label[order], label)
    for row in range(len(numbers)):
        assert set(found[:, row]) == set(np.flatnonzero(label == label[row]))


def test_what_the_stratum_explains_is_not_rejected_and_what_it_does_not_is() -> None:
    rng = np.random.default_rng(0)
    numbers = np.arange(100)
    by_digit, by_decade = ([rng.standard_normal((10, 40)) for _ in range(2)] for _ in range(2))
    for label, codes, keeps, destroys in (
        (numbers % 10, by_digit, "within_last_digit", "within_decade"),
        (numbers // 10, by_decade, "within_decade", "within_last_digit"),
    ):
        sides = [code[label] + 0.5 * rng.standard_normal((100, 40)) for code in codes]
        held = score("cka_linear_debiased", *sides, nulls=[keeps, destroys], draws=99).nulls
        assert held[keeps].p > 0.05
        assert abs(held[keeps].excess) < 0.05
        assert held[destroys].p == 0.01
        assert held[destroys].excess > 0.5


# --- series --------------------------------------------------------------------------------------------------------


def test_shifts_are_rotations_of_the_row_order_and_uniform() -> None:
    found = orders("circular_shift", np.arange(7, 17), 4000)
    np.testing.assert_array_equal(found, (np.arange(10) + found[:, :1]) % 10)
    counts = np.bincount(found[:, 0], minlength=10)
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400)


def test_a_shift_by_its_period_leaves_a_code_as_it_was() -> None:
    code = np.random.default_rng(0).standard_normal((10, 8))[np.arange(100) % 10]
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    state = metric.prepare(rep(code))
    shifted = metric.prepare(rep(np.roll(code, 30, axis=0)))
    assert metric.score(state, shifted) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("n", [60, 61])
def test_random_phases_keep_power_and_cross_spectra(n: int) -> None:
    of = rep(3.0 + np.random.default_rng(0).standard_normal((n, 4)).cumsum(axis=0))
    drawn = draw("phase_randomisation", of, 5)
    before, after = (np.fft.fft(one.matrix, axis=0) for one in (of, drawn))
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
    cross = [np.einsum("ki,kj->kij", one, one.conj()) for one in (before, after)]
    np.testing.assert_allclose(cross[1], cross[0], atol=1e-7)
    np.testing.assert_allclose(drawn.matrix.mean(axis=0), of.matrix.mean(axis=0), atol=1e-12)
    assert np.abs(drawn.matrix - of.matrix).max() > 0.5


def test_random_phases_are_uniform_and_hermitian() -> None:
    of = cloud(8, 1)
    rng = np.random.default_rng(0)
    view = null_views(SPECS["phase_randomisation"], {}, of)[0]
    turned = np.array([np.fft.rfft(view.draw(rng).matrix[:, 0]) for _ in range(4000)])
    phase = turned / np.fft.rfft(of.matrix[:, 0])
    np.testing.assert_allclose(phase[:, 0], 1.0, atol=1e-12)
    assert np.abs(phase[:, 1:].mean(axis=0)).max() < 5 / np.sqrt(4000)
    np.testing.assert_allclose(np.abs(phase[:, 4].real), 1.0, atol=1e-10)


@pytest.mark.parametrize("name", ["circular_shift", "phase_randomisation"])
def test_series_nulls_reject_unrelated_curves_with_a_trend(name: str) -> None:
    # The reason why they are for series without trend only (science of the null family, measured table).
    p = [
        score("cka_linear_debiased", curve(seed), curve(100 + seed), nulls=name, draws=39).nulls[name].p
        for seed in range(5)
    ]
    assert max(p) <= 0.1


@pytest.mark.parametrize("name", ["circular_shift", "phase_randomisation"])
def test_series_nulls_have_size_on_stationary_noise(name: str) -> None:
    p = [
        score("cka_linear_debiased", cloud(40, 20, seed), cloud(40, 20, 500 + seed), nulls=name, draws=19).nulls[name].p
        for seed in range(60)
    ]
    # At level .05, sixty true nulls of one side, and the larger p of two sides: at most 3 on average.
    assert sum(value <= 0.05 for value in p) <= 9


# --- smooth surrogates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [64, 512])
@pytest.mark.parametrize(("noise", "share"), [(0.0, 1.0), (0.5, 0.8), (1.4, 0.34)])
def test_the_nugget_is_split_off_a_walk(d: int, noise: float, share: float) -> None:
    # White noise of variance s^2 beside a curve of unit energy: the smooth part holds 1 / (1 + s^2).
    view = SmoothSurrogate().views(curve(3, d=d, noise=noise))[0]
    assert view.smooth_share == pytest.approx(share, abs=0.06)


def test_surrogates_have_the_lag_profile_energy_and_mean_of_the_rows() -> None:
    of = curve(1, n=120, d=300)
    of = of.with_matrix(of.matrix + 0.3)
    view = SmoothSurrogate().views(of)[0]
    rng = np.random.default_rng(0)
    drawn = [view.draw(rng) for _ in range(40)]

    def profile(one: Representation) -> F64:
        return np.array([np.diagonal(one.workspace.gram, lag).mean() for lag in (0, 1, 2, 5, 10, 30, 60)])

    seen = np.array([profile(one) for one in drawn])
    assert np.abs(seen.mean(axis=0) - profile(of)).max() < 0.06 * profile(of)[0]
    assert np.mean([one.workspace.energy for one in drawn]) == pytest.approx(of.workspace.energy, rel=0.03)
    np.testing.assert_allclose(drawn[0].matrix.mean(axis=0), of.matrix.mean(axis=0), atol=1e-12)


def test_a_narrowed_side_gets_surrogates_of_its_true_width() -> None:
    of = curve(2, n=60, d=500)
    of = of.with_matrix(of.matrix + 0.2)
    small = narrow(of, METRICS["cka_linear_debiased"])
    assert small.matrix.shape == (60, 60)
    rng = np.random.default_rng(0)
    grams = []
    for one in (of, small):
        view = SmoothSurrogate().views(one)[0]
        drawn = [view.draw(rng) for _ in range(300)]
        assert drawn[0].matrix.shape == one.matrix.shape
        grams.append(np.array([x.matrix @ x.matrix.T for x in drawn]))
    wide, thin = grams
    scale = np.trace(wide.mean(axis=0)) / 60
    np.testing.assert_allclose(thin.mean(axis=0), wide.mean(axis=0), atol=0.05 * scale)
    np.testing.assert_allclose(thin.std(axis=0), wide.std(axis=0), atol=0.02 * scale)


def test_order_alone_is_the_expected_score_of_unrelated_curves() -> None:
    # Debiased CKA is .7 to .9 between unrelated walks; as an effect, nothing is left beyond order.
    for seed in range(4):
        held = score("cka_linear_debiased", curve(seed), curve(50 + seed), nulls="smooth_surrogate", draws=19)
        assert held.value > 0.6
        assert abs(held.nulls["smooth_surrogate"].excess) < 0.08


def test_log_spaced_curves_are_imitated_in_the_logarithm() -> None:
    t = np.log1p(np.arange(300))
    steps = np.random.default_rng(0).standard_normal((300, 400)) * np.sqrt(np.diff(t, prepend=0.0))[:, None]
    of = rep(steps.cumsum(axis=0))
    assert SmoothSurrogate(index="log").views(of)[0].kernel == "walk"
    with pytest.raises(Incompatible, match=r"try smooth_surrogate\(index=log\)"):
        SmoothSurrogate(index="n").views(of)


def test_gaps_are_taken_by_their_width() -> None:
    numbers = np.unique(np.random.default_rng(1).integers(0, 400, 150))
    full = curve(4, n=401, d=200, noise=0.5)
    view = SmoothSurrogate().views(full.take(numbers))[0]
    assert view.smooth_share == pytest.approx(0.8, abs=0.07)


def test_rows_that_no_smooth_curve_resembles_are_refused_for_their_pairs_only() -> None:
    coded, plain, other = curve(5, code=1.0), curve(6), curve(7)
    with pytest.raises(Incompatible, match=r"no curve of independent columns .* looks like these rows: .*order_modes"):
        SmoothSurrogate().views(coded)
    chosen: Any = METRICS["cka_linear_debiased"], SPECS["smooth_surrogate"]
    metric, null = (Choice(spec, dict(spec.params), spec.name, "ours", "1") for spec in chosen)
    found = score_pairs(metric, null, [coded, plain, other], [(0, 1), (1, 2)], draws=9, seed=0)
    assert [one.status for one in found] == ["skipped", "ok"]


# --- norm-matched random tokens ------------------------------------------------------------------------------------


def test_matched_tokens_have_the_norms_of_their_numbers_and_none_is_used_twice() -> None:
    rng = np.random.default_rng(0)
    norms = np.exp(0.5 * rng.standard_normal(30))
    rows = rng.standard_normal((30, 8))
    rows *= (norms / np.linalg.norm(rows, axis=1))[:, None]
    spare = rng.standard_normal((600, 8)) * np.exp(0.5 * rng.standard_normal(600))[:, None] / 2.8
    of = rep(rows, random_rows=spare)
    first, second = draw("random_tokens_norm_matched", of, 0), draw("random_tokens_norm_matched", of, 1)
    for drawn in (first, second):
        assert np.abs(np.log(np.linalg.norm(drawn.matrix, axis=1) / norms)).mean() < 0.02
        found = {tuple(row) for row in drawn.matrix.tolist()}
        assert len(found) == 30
        assert found <= {tuple(row) for row in spare.tolist()}
    assert 0 < np.mean(np.all(first.matrix == second.matrix, axis=1)) < 1
    unmatched = draw("random_tokens", of)
    assert np.abs(np.log(np.linalg.norm(unmatched.matrix, axis=1) / norms)).mean() > 0.2


def test_the_matching_is_the_least_total_mismatch() -> None:
    # Greedy from the first number would give 2.0 to 1.9 and leave 1.0 for 2.1.
    spare = np.diag([2.0, 1.0])
    rows = np.array([[1.9, 0.0], [2.1, 0.0]])
    of = rep(rows, random_rows=np.vstack([spare, 9 * np.eye(2)]))
    view = null_views(SPECS["random_tokens_norm_matched"], {"tolerance": 1.0}, of)[0]
    drawn = [np.linalg.norm(view.draw(np.random.default_rng(seed)).matrix, axis=1).tolist() for seed in range(30)]
    assert [1.0, 2.0] in drawn
    assert [2.0, 1.0] not in drawn


def test_real_tokens_are_matched_on_their_norms(shared: Path) -> None:
    held = load_file(shared / "data" / "embeddings" / "all_minilm_l6_v2.safetensors")
    keep = held["number_values"] < 100
    of = Representation(held["numbers"][keep], held["number_values"][keep], random_rows=held["random"])
    norms = np.linalg.norm(of.matrix, axis=1)
    apart = {
        name: np.abs(np.log(np.linalg.norm(draw(name, of, 3, **params).matrix, axis=1) / norms)).mean()
        for name, params in (("random_tokens", {}), ("random_tokens_norm_matched", {"tolerance": 0.5}))
    }
    assert apart["random_tokens_norm_matched"] < 0.6 * apart["random_tokens"]


# --- faults --------------------------------------------------------------------------------------------------------

GAPS = rep(np.eye(4), [1, 2, 4, 5])


@pytest.mark.parametrize(
    ("name", "of", "params", "message"),
    [
        ("within_decade", rep(np.eye(3), [1, 20, 300]), {}, r"no two of these 3 numbers share a decade; use row_perm"),
        ("within_last_digit", cloud(9, 2), {}, r"no two of these 9 numbers end in the same digit; use row_perm"),
        ("circular_shift", GAPS, {}, r"circular_shift needs consecutive numbers, and these 4 have gaps .*0\.\.99"),
        ("phase_randomisation", GAPS, {}, r"phase_randomisation needs consecutive numbers.* use order_modes"),
        ("smooth_surrogate", cloud(9, 2), {}, r"at least 10 numbers .* these are 9"),
        ("smooth_surrogate", cloud(40, 2), {"index": "sqrt"}, r"indices n and log, not sqrt; type index=n"),
        ("smooth_surrogate", rep(np.full((40, 2), 0.1)), {}, r"all 40 rows are equal"),
        ("random_tokens_norm_matched", cloud(9, 2), {}, r"this source gives none; use iid_gaussian"),
        (
            "random_tokens_norm_matched",
            cloud(9, 2, random_rows=np.eye(9, 2)),
            {},
            r"more than 9 non-zero rows .* has 2; give fewer numbers",
        ),
        (
            "random_tokens_norm_matched",
            cloud(9, 2, random_rows=1e3 * np.random.default_rng(0).standard_normal((40, 2))),
            {},
            r"miss those of the numbers by \d\.\d+ .* tolerance=0\.1; use random_tokens, or raise",
        ),
        (
            "random_tokens_norm_matched",
            rep(np.diag([0.0, 1.0]), random_rows=np.ones((9, 2))),
            {},
            r"cannot match a number row of zeros",
        ),
    ],
)
def test_a_null_that_does_not_apply_says_why_in_one_line(
    name: str, of: Representation, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        draw(name, of, **params)
    assert "\n" not in str(refused.value)
