"""The permutation null in closed form: as good as draws, in every table, at no draw."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import pearson3

import numgeom
from numgeom import Representation
from numgeom.calibrate import calibrate, calibrate_moments, least_permutation_p, pearson_quantile, pearson_tail
from numgeom.draws import FEWEST_FOR_MOMENTS
from numgeom.registry import open_catalog
from numgeom.targets import make_metric

F64 = npt.NDArray[np.float64]
MODELS = ["synthetic:line", "synthetic:walk", "synthetic:iid"]


@pytest.mark.parametrize("skewness", [-2.0, -0.3, 1e-3, 0.7, 3.0])
def test_the_tail_and_the_quantile_are_those_of_scipy(skewness: float) -> None:
    z = np.linspace(-3, 6, 40)
    np.testing.assert_allclose([pearson_tail(x, skewness) for x in z], pearson3.sf(z, skewness), rtol=1e-7, atol=1e-12)
    assert pearson_quantile(0.95, skewness) == pytest.approx(pearson3.ppf(0.95, skewness), rel=1e-8)


def test_a_null_without_skewness_is_normal_and_the_limit_is_smooth() -> None:
    assert pearson_tail(1.6448536269514722, 0.0) == pytest.approx(0.05, rel=1e-12)
    for z in (-2.0, 0.5, 3.0):
        assert pearson_tail(z, 0.9e-5) == pytest.approx(pearson_tail(z, 1.1e-5), rel=1e-4)
        assert pearson_tail(z, -0.9e-5) == pytest.approx(pearson_tail(z, 0.0), rel=1e-4)


def test_lower_is_closer_turns_everything_round() -> None:
    up = calibrate_moments(0.4, (0.1, 0.1, 0.5), least_permutation_p(50), best=1.0)
    down = calibrate_moments(-0.4, (-0.1, 0.1, -0.5), least_permutation_p(50), direction="lower_is_closer", best=-1.0)
    assert (up.p, up.z, up.excess, up.calibrated) == pytest.approx((down.p, down.z, down.excess, down.calibrated))
    assert down.tau == pytest.approx(-up.tau)


def test_p_is_never_below_the_share_of_one_order() -> None:
    assert calibrate_moments(1.0, (0.0, 0.01, 0.0), least_permutation_p(5)).p == pytest.approx(1 / math.factorial(5))
    assert calibrate_moments(1.0, (0.0, 1e-4, 0.0), least_permutation_p(1000)).p > 0.0


def test_a_null_without_spread_has_no_z() -> None:
    met = calibrate_moments(0.3, (0.3, 0.0, 0.0), least_permutation_p(30))
    assert np.isnan(met.z)
    assert met.p == 1.0
    assert met.calibrated == 0.0
    assert calibrate_moments(0.4, (0.3, 0.0, 0.0), least_permutation_p(30)).p == 1e-6
    assert calibrate_moments(0.4, (0.3, 0.0, 0.0), least_permutation_p(5)).p == pytest.approx(1 / 120)


def pair(kind: str, n: int = 60) -> list[Representation]:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(2):
        rows = rng.standard_normal((n, 12))
        found.append(Representation(rows.cumsum(axis=0) if kind == "walk" else rows, np.arange(n)))
    return found


@pytest.mark.parametrize("kind", ["iid", "walk"])
@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased", "rsa_spearman_euclidean"])
def test_level_tau_and_p_agree_with_twenty_thousand_draws(name: str, kind: str) -> None:
    metric: object = make_metric(open_catalog().convergence.get(name), {})
    a, b = (metric.prepare(rep) for rep in pair(kind))  # type: ignore[attr-defined]
    orders = np.random.default_rng(4).permuted(np.tile(np.arange(60), (20_000, 1)), axis=1)
    draws = metric.permuted(a, b, orders)  # type: ignore[attr-defined]
    moments = metric.null_moments(a, b)  # type: ignore[attr-defined]
    for level in (0.5, 0.1, 0.05, 0.01):
        seen = float(np.quantile(draws, 1 - level))
        exact, drawn = calibrate_moments(seen, moments, least_permutation_p(60)), calibrate(seen, draws)
        assert exact.p == pytest.approx(level, rel=0.25)
        assert exact.z == pytest.approx(drawn.z, abs=0.1)
        assert exact.tau == pytest.approx(drawn.tau, abs=0.1 * exact.sd)


def test_under_the_null_p_is_uniform_to_the_eye_of_a_level() -> None:
    metric: object = make_metric(open_catalog().convergence.get("cka_linear_debiased"), {})
    rng = np.random.default_rng(5)
    found = []
    for _ in range(400):
        a, b = (metric.prepare(Representation(rng.standard_normal((30, 6)), np.arange(30))) for _ in range(2))  # type: ignore[attr-defined]
        found.append(calibrate_moments(metric.score(a, b), metric.null_moments(a, b), least_permutation_p(30)).p)  # type: ignore[attr-defined]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 400))


def test_a_table_shows_by_draws_of_zero_that_its_p_needed_none() -> None:
    options = {"metrics": "cka_linear,procrustes_angular", "numbers": "0..59", "draws": 199, "cache": False}
    exact = numgeom.compare(MODELS, nulls="row_permutation", **options).frame  # type: ignore[arg-type]
    drawn = numgeom.compare(MODELS, nulls="row_permutation_drawn", **options).frame  # type: ignore[arg-type]
    assert exact[exact["metric"] == "cka_linear"]["draws"].eq(0).all()
    assert exact[exact["metric"] == "procrustes_angular"]["draws"].eq(199).all()
    assert drawn["draws"].eq(199).all()
    both = exact[exact["metric"] == "cka_linear"], drawn[drawn["metric"] == "cka_linear"]
    np.testing.assert_array_equal(both[0]["value"], both[1]["value"])
    np.testing.assert_allclose(both[0]["null_mean"], both[1]["null_mean"], atol=5 * both[1]["null_sd"].max() / 14)
    assert both[0]["p"].min() == 1e-6  # the smallest that a fitted tail is taken at its word for
    assert both[1]["p"].min() == 1 / 200


def test_score_of_arrays_uses_the_closed_form_too() -> None:
    rng = np.random.default_rng(6)
    X, Y = rng.standard_normal((40, 5)), rng.standard_normal((40, 9))
    exact = numgeom.score("cka_linear", X, Y, nulls="row_permutation", draws=1)
    again = numgeom.score("cka_linear", X, Y, nulls="row_permutation", draws=999, seed=7)
    assert exact.nulls == again.nulls
    drawn = numgeom.score("cka_linear", X, Y, nulls="row_permutation_drawn", draws=999)
    held, other = exact.nulls["row_permutation"], drawn.nulls["row_permutation_drawn"]
    assert held.mean == pytest.approx(other.mean, abs=0.15 * other.sd)
    assert held.p == pytest.approx(other.p, abs=0.05)


def test_few_numbers_are_drawn_because_their_null_is_coarse() -> None:
    options = {"metrics": "cka_linear", "nulls": "row_permutation", "draws": 19, "cache": False}
    few = numgeom.compare(MODELS, numbers=f"0..{FEWEST_FOR_MOMENTS - 2}", **options).frame  # type: ignore[arg-type]
    enough = numgeom.compare(MODELS, numbers=f"0..{FEWEST_FOR_MOMENTS - 1}", **options).frame  # type: ignore[arg-type]
    assert few["draws"].eq(19).all()
    assert enough["draws"].eq(0).all()
