"""Correlations of single dimensions with number sequences: the defects of the seeds, each shown to be gone."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import pearsonr, t

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.testing import clouds
from numgeom_plugins.geometry.correlation import correlation, first_order_partial, partial_correlation
from numgeom_plugins.geometry.sequence_correlation import (
    SequenceCorrelation,
    _p_values,
    _rotated,
    sequence_discoveries,
)
from numgeom_plugins.geometry.sequences import magnitude_and_length, memberships, targets

F64 = npt.NDArray[np.float64]
N = np.arange(1000)
found_in = SequenceCorrelation()


def smoothed(name: str) -> F64:
    return targets(N)[f"{name}_smooth"]


# Partial correlation: oracle 17


@pytest.mark.parametrize(("name", "r"), [("fibonacci", -0.554), ("prime", -0.351), ("triangular", -0.522)])
def test_smoothed_sequences_follow_the_logarithm(name: str, r: float) -> None:
    assert correlation(smoothed(name), np.log10(N + 1.0)) == pytest.approx(r, abs=0.0005)


def test_the_fibonacci_dimension_of_olmo_is_its_logarithm() -> None:
    # Thesis: dimension 514 has r = +.37430 with Fibonacci and -.67287 with the logarithm.
    r_log = correlation(smoothed("fibonacci"), np.log10(N + 1.0))
    assert r_log * -0.67287 == pytest.approx(0.373, abs=0.001)
    assert first_order_partial(0.37430, -0.67287, r_log) == pytest.approx(0.002, abs=0.0005)
    # Dimension 1929 of Llama: the partial is not zero.
    assert first_order_partial(-0.536, 0.698, r_log) == pytest.approx(-0.250, abs=0.002)


def test_partial_correlation_is_that_of_residuals_and_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    x, y, z = rng.standard_normal((3, 60))
    y += z
    design = np.column_stack([np.ones(60), z])
    residuals = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    expected = pearsonr(*residuals).statistic
    assert partial_correlation(x, y, z[:, None]) == pytest.approx(expected)
    assert first_order_partial(correlation(x, y), correlation(x, z), correlation(y, z)) == pytest.approx(expected)
    assert first_order_partial(1.0, 1.0, 0.3) == 0.0


def test_magnitude_alone_gives_r_with_fibonacci_and_no_partial() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((2, 40))
    rows = np.column_stack([N, np.log1p(N)]) / [1000.0, 7.0] @ weights
    found = found_in(Representation(rows, N))
    assert found["r_fibonacci_smooth"] > 0.5
    assert found["r_prime_smooth"] > 0.3
    assert found["partial_max"] == 0.0
    noisy = found_in(Representation(rows + 0.05 * rng.standard_normal(rows.shape), N))
    assert noisy["r_fibonacci_smooth"] > 0.5
    # What is left is the maximum over 40 columns of noise.
    assert noisy["partial_fibonacci_smooth"] < 4.0 / math.sqrt(1000)


def test_a_planted_sequence_keeps_its_partial() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((1000, 60)) * math.sqrt(1 / 1000) + np.log1p(N)[:, None] / 200
    rows[:, 7] += 0.5 * smoothed("prime")
    found = found_in(Representation(rows, N))
    assert found["partial_prime_smooth"] > 0.35
    assert found["partial_max"] == found["partial_prime_smooth"]


def test_correlations_by_hand() -> None:
    rep = clouds.walk(60, 9)
    numbers = rep.numbers
    found = found_in(rep)
    design = magnitude_and_length(numbers)
    even = (numbers % 2 == 0).astype(float)

    def residual(v: F64) -> F64:
        return v - design @ np.linalg.lstsq(design, v, rcond=None)[0]

    assert found["r_even"] == pytest.approx(max(abs(correlation(c, even)) for c in rep.matrix.T))
    partials = [abs(correlation(residual(c), residual(even))) for c in rep.matrix.T]
    assert found["partial_even"] == pytest.approx(max(partials))


# Sequences


def test_even_numbers_as_twice_the_numbers_are_dropped() -> None:
    # "even" = 2n stood beside "numbers" with the same r in the table of the thesis.
    names = list(targets(N))
    assert names[:2] == ["n", "log"]
    assert "even" in names
    assert "cos_2" not in names
    assert max(abs(float(a @ b)) for i, a in enumerate(targets(N).values()) for b in list(targets(N).values())[:i]) < 1


def test_constants_and_dust_are_dropped() -> None:
    # A cosine of period 1 is constant and a sine of whole turns is rounding: r with them is noise.
    assert "sin_2" not in targets(N)
    assert not any(name in ("digit_10", "factorial") for name in targets(np.arange(7, 10)))
    assert "even" not in targets(np.arange(0, 100, 2))


def test_period_targets_are_of_the_number_itself() -> None:
    # embanalysis took the cosine of membership times position, and non-members became cos 0 = 1.
    angle = 2.0 * np.pi * N / 10
    assert correlation(targets(N)["cos_10"], np.cos(angle)) == pytest.approx(1.0)
    assert abs(correlation(targets(N)["cos_10"], memberships(999)["prime"])) < 0.3
    circle = Representation(np.column_stack([np.cos(angle), np.sin(angle)]), N)
    assert found_in(circle)["partial_cos_10"] == pytest.approx(1.0)


def test_members_are_what_they_are_called() -> None:
    held = {name: np.flatnonzero(series).tolist() for name, series in memberships(130).items()}
    assert held["prime"] == [p for p in range(2, 131) if all(p % k for k in range(2, p))]
    assert held["fibonacci"] == [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
    assert held["triangular"] == [k * (k + 1) // 2 for k in range(16)]
    assert held["factorial"] == [1, 2, 6, 24, 120]


def test_negative_numbers_are_members_of_nothing() -> None:
    found = targets(np.arange(-20, 21))
    assert found["prime"][:20].max() == found["prime"].min()
    assert correlation(found["log"], np.arange(-20.0, 21.0)) > 0.9
    with pytest.raises(Incompatible, match="known up to 10,000,000, and these numbers reach 20,000,000"):
        targets(np.array([0, 20_000_000]))


# Discoveries


def test_white_noise_has_naive_findings_and_no_discoveries() -> None:
    found = sequence_discoveries(clouds.gaussian(100, 300))
    assert found["naive_share"] > 0.02
    assert max(found["fdr_share"], found["partial_fdr_share"]) < 0.001
    assert found["effective_share"] > 0.8


def test_a_random_walk_is_what_naive_tables_call_structure() -> None:
    # p-values of 1e-133 ignored that neighbours are alike; a walk that knows no numbers has |r| > .2 almost anywhere.
    with pytest.warns(MeasurementWarning, match="W-AUTOCORR"):
        found = sequence_discoveries(clouds.walk(1000, 200))
    assert found["naive_share"] > 0.1
    assert found["r_max"] > 0.8


def test_a_privileged_axis_is_lost_by_rotation_and_a_spread_code_is_not() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 120))
    even = np.where(np.arange(400) % 2, -1.0, 1.0)
    detector = rows.copy()
    detector[:, 5] += 3.0 * even
    spread = rows + np.outer(even, rng.standard_normal(120)) * 3.0 / math.sqrt(120)
    one, many = (sequence_discoveries(Representation(m, np.arange(400))) for m in (detector, spread))
    assert one["partial_max"] > 0.9 > one["rotated_partial_max"] + 0.2
    assert many["partial_max"] < many["rotated_partial_max"] + 0.15


def test_rotation_keeps_the_cloud() -> None:
    for rep in (clouds.skewed(40, 90), clouds.skewed(90, 40)):
        turned = _rotated(rep, 0)
        np.testing.assert_allclose(turned @ turned.T, rep.workspace.gram, atol=1e-9 * rep.workspace.energy)
        assert np.abs(turned - rep.workspace.centred).max() > 0.1


def test_p_values_are_students() -> None:
    r, effective = np.array([0.3, -0.6]), np.array([40.0, 12.5])
    expected = [2 * t.sf(abs(x) * math.sqrt(f / (1 - x * x)), f) for x, f in zip(r, effective - 5.0, strict=True)]
    assert _p_values(r, effective, 3) == pytest.approx(expected)
    assert _p_values(np.array([1.0]), np.array([5.0]), 3).tolist() == [1.0]
