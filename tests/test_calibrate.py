"""p, z, tau and the calibrated score do what their definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstest

from numgeom.calibrate import calibrate, false_discovery_rate, passes


def test_hand_computed_case() -> None:
    found = calibrate(0.9, np.linspace(0.0, 0.5, 99), alpha=0.05)
    assert found.p == 0.01
    assert found.mean == pytest.approx(0.25)
    # Of 100 sorted values the 95th: the 95th of the draws.
    assert found.tau == pytest.approx(np.linspace(0.0, 0.5, 99)[94])
    assert found.calibrated == pytest.approx((0.9 - found.tau) / (1 - found.tau))


def test_lower_is_closer_turns_everything_round() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=199)
    up = calibrate(2.0, draws, best=5.0)
    down = calibrate(-2.0, -draws, direction="lower_is_closer", best=-5.0)
    assert (up.p, up.excess, up.z, up.calibrated) == pytest.approx((down.p, down.excess, down.z, down.calibrated))
    assert down.mean == pytest.approx(-up.mean)


def test_two_sided_counts_both_tails() -> None:
    assert calibrate(-3.0, np.arange(-2, 3), direction="two_sided").p == pytest.approx(1 / 6)
    assert calibrate(-2.0, np.arange(-2, 3), direction="two_sided").p == pytest.approx(3 / 6)


def test_a_null_without_spread_has_no_z_and_p_one() -> None:
    found = calibrate(0.3, np.full(50, 0.3))
    assert np.isnan(found.z)
    assert found.p == 1.0
    assert found.calibrated == 0.0


def test_without_a_bound_the_calibrated_score_is_the_excess_over_tau() -> None:
    found = calibrate(10.0, np.arange(99.0) / 99, best=np.inf)
    assert found.calibrated == pytest.approx(10.0 - found.tau)


def test_p_is_uniform_and_calibrated_scores_are_mostly_zero_under_the_null() -> None:
    rng = np.random.default_rng(1)
    found = [calibrate(draws[0], draws[1:]) for draws in rng.normal(size=(400, 100))]
    assert kstest([one.p for one in found], "uniform").pvalue > 0.01
    assert np.mean([one.calibrated == 0 for one in found]) >= 0.93


def test_false_discovery_rate_matches_scipy() -> None:
    p = np.random.default_rng(2).uniform(size=37) ** 2
    np.testing.assert_allclose(false_discovery_rate(p), false_discovery_control(p), rtol=1e-12)


def test_a_verdict_needs_significance_and_size() -> None:
    assert passes(0.05, 0.05)
    assert not passes(0.051, 0.5)
    assert not passes(0.001, 0.049)
