"""Helix, circles, digits and values: oracles with known answers, and a matrix of plant by metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from number_plants import F64, coded, digits, gaussian, helix, measured, rep, walk

from numgeom_plugins.geometry.attributes import AttributeProbe
from numgeom_plugins.geometry.circular_digits import CircularDigitProbe
from numgeom_plugins.geometry.helix import PERIODS, HelixFit, designs
from numgeom_plugins.geometry.hold_out import random_folds
from numgeom_plugins.geometry.residue_circle import ResidueCircle
from numgeom_plugins.geometry.residues import ModularProbe
from numgeom_plugins.geometry.sinusoidal_probe import SinusoidalProbe, sinusoids
from numgeom_plugins.geometry.value_probe import ValueProbe

# The helix


def test_a_helix_is_fitted_exactly_and_its_radii_recovered() -> None:
    radii = (0.5, 1.0, 2.0, 3.0)
    rows = helix(300, radii=radii)
    found = HelixFit()(rep(rows))
    assert found["r2_in_helix"] == pytest.approx(1.0, abs=1e-9)
    assert found["r2_cv_helix"] == pytest.approx(1.0, abs=1e-9)
    spread = np.sqrt(np.square(rows - rows.mean(axis=0)).sum() / 300)
    assert [found[f"amplitude_{t}"] * spread for t in PERIODS] == pytest.approx(radii, rel=1e-9)
    assert found["periodic_cv"] > 0.3


def test_the_helix_has_no_sine_of_period_two() -> None:
    assert designs(np.arange(100))["helix"].shape[1] == 1 + 8
    assert np.linalg.matrix_rank(designs(np.arange(100))["helix"]) == 9


def test_a_walk_looks_like_a_helix_and_its_short_periods_add_nothing() -> None:
    found = [HelixFit()(rep(walk(100, 2048, seed))) for seed in range(5)]
    mean = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    assert mean["r2_in_helix"] == pytest.approx(0.83, abs=0.03)
    assert mean["r2_cv_helix"] == pytest.approx(0.80, abs=0.03)
    assert mean["r2_in_poly"] == pytest.approx(0.92, abs=0.02)
    assert mean["r2_cv_poly"] == pytest.approx(0.90, abs=0.02)
    assert abs(mean["periodic_cv"]) < 0.01
    noise = HelixFit()(rep(gaussian(100, 2048)))
    assert noise["r2_in_helix"] == pytest.approx(8 / 99, abs=0.01)
    assert noise["r2_cv_helix"] == pytest.approx(-0.11, abs=0.03)


@pytest.mark.parametrize("model", ["log", "poly", "digits", "dct", "spline"])
def test_each_model_explains_its_own_curve(model: str) -> None:
    columns = designs(np.arange(200))[model]
    found = HelixFit()(rep(columns @ gaussian(columns.shape[1], 40)))
    assert found[f"r2_in_{model}"] == pytest.approx(1.0, abs=1e-9)
    assert found[f"r2_cv_{model}"] == pytest.approx(1.0, abs=1e-6)


def test_held_out_r2_is_that_of_refitting() -> None:
    cloud = rep(walk(60, 10))
    rows, design = cloud.workspace.centred, designs(cloud.numbers)["poly"]
    folds = random_folds(np.zeros(60), 10, 0)
    misses = 0.0
    for fold in range(10):
        held = folds == fold
        fit = np.linalg.lstsq(design[~held], rows[~held], rcond=None)[0]
        misses += np.square(rows[held] - design[held] @ fit).sum()
    assert HelixFit()(cloud)["r2_cv_poly"] == pytest.approx(1 - misses / cloud.workspace.energy, rel=1e-8)


# Circles


@pytest.mark.parametrize("period", [5, 10, 12])
def test_a_noisy_circle_is_round_and_in_order(period: int) -> None:
    angles = 2 * np.pi * np.arange(600) / period
    rows = np.column_stack([np.cos(angles), np.sin(angles)]) @ gaussian(2, 100) + 0.5 * gaussian(600, 100, 1)
    found = ResidueCircle(period=period)(rep(rows))
    assert found["order_accuracy"] == 1.0
    assert found["radius_variation"] < 0.02
    assert found["harmonic_1"] > 0.95


def test_unrelated_class_means_are_a_polygon_of_all_harmonics() -> None:
    found = ResidueCircle()(rep(coded(10, 500, 3000) + 0.1 * gaussian(500, 3000)))
    assert [found[f"harmonic_{turns}"] for turns in range(1, 6)] == pytest.approx([2 / 9] * 4 + [1 / 9], abs=0.02)


def test_noise_is_no_circle_and_its_order_is_chance() -> None:
    found = [ResidueCircle()(rep(gaussian(500, 200, seed))) for seed in range(5)]
    assert np.mean([one["order_accuracy"] for one in found]) < 0.2
    assert np.mean([one["separability"] for one in found]) < 0.05


def test_a_circle_cannot_be_separated_and_a_product_can() -> None:
    values = np.arange(1000)
    angles = 2 * np.pi * values / 100
    circle = ResidueCircle(period=100)(rep(np.column_stack([np.cos(angles), np.sin(angles)])))
    grid = ResidueCircle(period=4)(
        rep(np.column_stack([values % 4 // 2, (values + 1) % 4 // 2]) + 0.4 * gaussian(1000, 2))
    )
    assert circle["separability"] > 0.3 > 0.15 > grid["separability"]


# Digits on circles


def test_exact_digit_circles_are_decoded_in_their_base_only() -> None:
    values = np.arange(1000)
    angles = 2 * np.pi * np.column_stack([values // 10**k % 10 for k in range(3)]) / 10
    rows = np.hstack([np.cos(angles), np.sin(angles)]) @ gaussian(6, 50)
    found = CircularDigitProbe()(rep(rows))
    assert found["exact_10"] == found["units_10"] == found["hundreds_10"] == 1.0
    assert found["exact_11"] < 0.02
    assert found["exact_shuffled_10"] < 0.1


def test_a_direction_for_each_digit_is_no_circle_and_the_shuffled_control_says_so() -> None:
    found = CircularDigitProbe()(rep(digits(1000, 64)))
    assert found["exact_10"] == found["exact_shuffled_10"] == 1.0


# Values


def test_a_line_gives_values_on_every_split() -> None:
    found = ValueProbe()(rep(np.arange(200.0)[:, None] * gaussian(1, 20) + 0.01 * gaussian(200, 20)))
    for split in ("random", "block", "beyond"):
        assert found[f"linear_{split}_exact"] == 1.0
        assert found[f"linear_{split}_r2"] > 0.999
    assert found["log_beyond_r2"] < found["linear_beyond_r2"]


def test_the_log_is_undone_by_expm1() -> None:
    found = ValueProbe()(rep(np.log1p(np.arange(300.0))[:, None] * gaussian(1, 5)))
    assert found["log_random_exact"] == found["log_block_exact"] == 1.0
    assert found["log_random_mae"] < 0.1


def test_a_walk_interpolates_and_does_not_extrapolate() -> None:
    found = ValueProbe()(rep(walk(300, 60)))
    assert found["linear_random_r2"] > 0.98
    assert found["linear_beyond_r2"] < 0.0
    noise = ValueProbe()(rep(gaussian(300, 600)))
    assert noise["linear_random_r2"] < 0.05
    assert noise["linear_random_exact"] < 0.05


def test_rows_from_the_table_are_found_exactly_and_noise_by_chance() -> None:
    table = sinusoids(np.arange(500), 64) @ gaussian(64, 200)
    assert SinusoidalProbe()(rep(table + 0.1 * gaussian(500, 200)))["exact"] > 0.95
    assert SinusoidalProbe()(rep(gaussian(500, 200)))["exact"] < 0.02


def test_a_line_is_read_as_well_as_its_noise_allows() -> None:
    rows = np.arange(500.0)[:, None] * np.ones((1, 1)) + gaussian(500, 1) * 0.45
    wide = np.hstack([rows, 0.01 * gaussian(500, 50, 2)])
    found = SinusoidalProbe()(rep(wide))
    # A Gaussian error of .45 rounds to the right number in 73 % of cases.
    assert found["exact"] == pytest.approx(0.73, abs=0.1)
    assert found["within_1"] > 0.95


# Plant by metric


PLANTS: dict[str, Callable[[], F64]] = {
    "iid": lambda: gaussian(400, 100),
    "walk": lambda: walk(400, 100),
    "line": lambda: np.arange(400.0)[:, None] / 20 * gaussian(1, 100) + gaussian(400, 100, 2),
    "digits": lambda: digits(400, 100) + 0.3 * gaussian(400, 100, 2),
    "mod 5": lambda: coded(5, 400, 100) + gaussian(400, 100, 2),
    "helix": lambda: helix(400, 100) + 0.02 * gaussian(400, 100, 2),
}
SEEN: dict[str, tuple[Callable[[], Any], Callable[[dict[str, float]], bool], set[str]]] = {
    "kappa mod 5": (ModularProbe, lambda found: found["block_5"] > 0.3, {"digits", "mod 5", "helix"}),
    "kappa mod 7": (ModularProbe, lambda found: found["block_7"] > 0.3, set()),
    "periodic part": (HelixFit, lambda found: found["periodic_cv"] > 0.02, {"digits", "mod 5", "helix"}),
    "units": (AttributeProbe, lambda found: found["block_units"] > 0.5, {"digits", "helix"}),
    "value beyond": (ValueProbe, lambda found: found["linear_beyond_r2"] > 0.5, {"line", "helix"}),
    "circle of ten": (
        ResidueCircle,
        lambda found: found["order_accuracy"] > 0.9 and found["harmonic_1"] > 0.3,
        {"helix"},
    ),
    "base 10": (CircularDigitProbe, lambda found: found["exact_10"] > 0.9, {"digits", "helix"}),
}


@pytest.mark.parametrize("metric", SEEN)
def test_a_metric_sees_its_plants_and_is_quiet_on_the_rest(metric: str) -> None:
    make, sees, plants = SEEN[metric]
    assert {name for name, plant in PLANTS.items() if sees(measured(make(), rep(plant())))} == plants
