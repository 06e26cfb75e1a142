"""Probes of what a row says of its number: exact identities, oracles with known answers, plants, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from number_plants import F64, coded, digits, gaussian, measured, rep, walk
from safetensors.numpy import load_file
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import Ridge as SklearnRidge

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry import logistic
from numgeom_plugins.geometry.attributes import AttributeProbe, attributes
from numgeom_plugins.geometry.circular_digits import CircularDigitProbe
from numgeom_plugins.geometry.fisher import FisherGeometry
from numgeom_plugins.geometry.helix import HelixFit
from numgeom_plugins.geometry.hold_out import PENALTIES, block_folds, kappa, random_folds, ridge
from numgeom_plugins.geometry.lines import class_power
from numgeom_plugins.geometry.residue_circle import ResidueCircle
from numgeom_plugins.geometry.residues import ModularProbe
from numgeom_plugins.geometry.sinusoidal_probe import SinusoidalProbe
from numgeom_plugins.geometry.value_probe import ValueProbe

# The engine


@pytest.mark.parametrize(("n", "d"), [(60, 8), (40, 100)])
def test_held_out_predictions_are_those_of_a_fit_to_the_others(n: int, d: int) -> None:
    cloud, targets = rep(walk(n, d) + gaussian(n, d, 3)), gaussian(n, 2, 5)
    engine = ridge(cloud, "test")
    residuals, (penalty,) = engine.fit(targets, [2])
    for folds in (random_folds(np.zeros(n), 5, 0), block_folds(n, 7)):
        predicted, mean = engine.predict(targets, residuals, penalty, folds)
        for fold in range(folds.max() + 1):
            held = folds == fold
            # The intercept is free and the columns are those of all rows, as in the engine.
            model = SklearnRidge(alpha=PENALTIES[penalty] * engine.powers.mean(), solver="svd")
            model.fit(cloud.workspace.centred[~held], targets[~held])
            np.testing.assert_allclose(
                predicted[held], model.predict(cloud.workspace.centred[held]), rtol=1e-5, atol=1e-7
            )
            np.testing.assert_allclose(mean[held], np.tile(targets[~held].mean(axis=0), (held.sum(), 1)))


def test_numbers_that_are_only_learned_from_are_not_predicted() -> None:
    engine, targets = ridge(rep(walk(30, 4)), "test"), gaussian(30, 1)
    residuals, (penalty,) = engine.fit(targets, [1])
    folds = np.where(np.arange(30) < 20, -1, 0)
    predicted, _ = engine.predict(targets, residuals, penalty, folds)
    assert (predicted[:20] == 0).all()
    assert (predicted[20:] != 0).all()


def test_kappa_of_known_tables() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    assert kappa(labels, labels) == 1.0
    assert kappa(labels, np.zeros(6, dtype=np.int64)) == 0.0
    assert kappa(labels, np.roll(labels, 2)) == pytest.approx(-0.5)


def test_random_folds_have_as_many_of_each_label() -> None:
    labels = np.arange(100) % 7
    folds = random_folds(labels, 5, 1)
    counts = np.array([[np.sum((labels == r) & (folds == f)) for f in range(5)] for r in range(7)])
    assert np.ptp(counts, axis=1).max() <= 1
    assert np.ptp(np.bincount(folds)) == 0


# Residues


def test_kappa_of_a_clustered_code_is_one() -> None:
    found = measured(ModularProbe(), rep(coded(10, 1000, 64) + 1e-3 * gaussian(1000, 64)))
    for period in (2, 5, 10):
        assert found[f"random_{period}"] == found[f"block_{period}"] == 1.0
        assert found[f"selectivity_{period}"] > 0.5
    assert abs(found["block_7"]) < 0.1


def test_kappa_of_noise_is_zero_and_of_a_walk_negative_under_random_folds_only() -> None:
    noise = [measured(ModularProbe(), rep(gaussian(1000, 256, seed))) for seed in range(3)]
    curve = [measured(ModularProbe(), rep(walk(1000, 256, seed))) for seed in range(3)]
    for period in (2, 3, 4, 5, 7, 10):
        assert abs(np.mean([found[f"random_{period}"] for found in noise])) < 0.05
    for period in (2, 3, 4, 5):
        assert all(found[f"random_{period}"] < -0.1 for found in curve)
        assert all(abs(found[f"block_{period}"]) < 0.03 for found in curve)


def test_a_walk_warns_of_its_negative_kappa_and_noise_does_not() -> None:
    with pytest.warns(MeasurementWarning, match=r"W-NEGKAPPA|below chance at T = 2, 3, 4, 5"):
        ModularProbe()(rep(walk(500, 100)))
    ModularProbe()(rep(gaussian(500, 100)))


def test_a_staircase_of_the_tens_hides_the_digit_on_its_own_axis_only() -> None:
    n = np.arange(400)
    step = 20.0 * (n // 10)[:, None]
    code = gaussian(10, 10, 1)[n % 10]
    hidden = measured(ModularProbe(), rep((n % 10)[:, None] + step))
    apart = measured(ModularProbe(), rep(np.hstack([code, step])))
    assert all(abs(hidden[f"block_{t}"]) < 0.05 for t in (2, 5, 10))
    assert all(apart[f"block_{t}"] > 0.95 for t in (2, 5, 10))
    assert class_power(rep(np.hstack([code, step])), 10) == pytest.approx(class_power(rep(code), 10), rel=1e-6)


def test_a_probe_that_knows_types_by_heart_is_not_selective() -> None:
    found = measured(ModularProbe(), rep(coded(100, 1000, 300) + 0.01 * gaussian(1000, 300)))
    assert found["random_10"] == 1.0
    assert abs(found["selectivity_10"]) < 0.05


def test_probes_without_rows_know_what_rank_and_magnitude_know() -> None:
    ids = np.where(np.arange(200) % 2 == 0, 10, 1000) + np.arange(200)
    found = measured(ModularProbe(), rep(gaussian(200, 10), token_ids=ids))
    assert found["rank_2"] > 0.9
    assert abs(found["magnitude_2"]) < 0.2


def test_a_random_projection_keeps_a_strong_code_and_levels_the_width() -> None:
    wide = rep(coded(5, 300, 600) + 0.3 * gaussian(300, 600))
    assert measured(ModularProbe(components=64), wide)["random_5"] > 0.95
    assert measured(ModularProbe(components=2), wide)["random_5"] < 0.95


def test_the_logistic_probe_agrees_on_a_clear_code_and_on_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "STRENGTHS", (1.0,))
    found = measured(ModularProbe(classifier="logistic"), rep(coded(2, 20, 3) + 0.1 * gaussian(20, 3)))
    assert found["random_2"] == found["block_2"] == 1.0
    assert found["random_3"] < 0.5


def test_logistic_regression_sees_residues_along_one_axis_that_mask_one_another_in_ridge() -> None:
    labels = np.arange(60) % 4
    rows = labels[:, None] + 0.1 * gaussian(60, 1)
    assert kappa(labels, logistic.logistic_decisions(rows, labels, random_folds(labels, 5, 0))) > 0.9
    assert measured(ModularProbe(), rep(rows))["random_4"] < 0.7


def test_attributes_of_known_numbers() -> None:
    found = attributes(np.arange(1000))
    assert found["digit_sum"].min() > 0
    assert found["prime"].sum() == 168
    assert found["hundreds"][734] == 7


def test_digits_are_told_and_primes_are_not() -> None:
    found = measured(AttributeProbe(), rep(digits(1000, 64) + 0.1 * gaussian(1000, 64)))
    for name in ("units", "tens", "hundreds", "multiple_5", "multiple_10", "multiple_100"):
        assert found[f"random_{name}"] == 1.0
    assert found["random_prime"] < 0.5
    assert "block_hundreds" not in found


def test_a_walk_knows_its_hundreds_and_not_its_units() -> None:
    found = measured(AttributeProbe(), rep(walk(1000, 100)))
    assert found["random_hundreds"] > 0.9
    assert found["random_units"] < 0.05


# Fisher geometry


def test_fisher_eigenvalues_are_those_of_the_definition() -> None:
    cloud = rep(coded(5, 100, 8) + gaussian(100, 8, 2))
    found = FisherGeometry(components=8)(cloud)
    rows, labels = cloud.workspace.centred, np.arange(100) % 5
    means = np.stack([rows[labels == r].mean(axis=0) for r in range(5)])
    between = means.T @ means / 5
    within = sum((rows[labels == r] - means[r]).T @ (rows[labels == r] - means[r]) for r in range(5)) / 100
    assert found["lambda_max_5"] == pytest.approx(eigh(between, within, eigvals_only=True)[-1], rel=1e-9)
    assert found["trace_ratio_5"] == pytest.approx(np.trace(between) / np.trace(within), rel=1e-9)
    assert found["condition_5"] == pytest.approx(np.linalg.cond(within), rel=1e-9)
    assert np.trace(between) == pytest.approx(class_power(cloud, 5) / 100, rel=1e-9)


@pytest.mark.parametrize("rows", [walk(400, 300), gaussian(400, 300), coded(10, 400, 300) + gaussian(400, 300)])
def test_the_largest_fisher_eigenvalue_lies_within_its_bounds(rows: F64) -> None:
    found = FisherGeometry()(rep(rows))
    for period in (2, 5, 10, 3, 7):
        assert found[f"lower_{period}"] <= found[f"lambda_max_{period}"] * (1 + 1e-9)
        assert found[f"lambda_max_{period}"] <= found[f"upper_{period}"] * (1 + 1e-9)
    assert found["components"] == 64.0


def test_the_cross_validated_trace_ratio_is_not_inflated_by_noise() -> None:
    found = [FisherGeometry()(rep(gaussian(200, 500, seed))) for seed in range(12)]
    plain, held = (np.mean([one[f"trace_ratio{name}_10"] for one in found]) for name in ("", "_cv"))
    assert plain > 0.03
    assert abs(held) < 0.01


def test_fisher_curves_over_r_pass_through_the_values_and_keep_their_bounds() -> None:
    cloud = rep(coded(5, 400, 300) + gaussian(400, 300))
    found = FisherGeometry()(cloud)
    largest = {curve.series: curve for curve in found["lambda_max"]}
    bounds = {curve.series: curve for curve in found["bounds"]}
    held = {curve.series: curve for curve in found["trace_ratio_cv"]}
    for period in (2, 5, 10, 3, 7):
        one = largest[f"T = {period}"]
        assert one.x.tolist() == [1, 2, 4, 8, 16, 32, 64, 128, 200]
        assert (bounds[f"T = {period}, lower"].y <= one.y * (1 + 1e-9)).all()
        assert (one.y <= bounds[f"T = {period}, upper"].y * (1 + 1e-9)).all()
        assert (np.diff(one.y) >= -1e-9 * one.y[1:]).all()
        at = one.x.tolist().index(64)
        assert one.y[at] == found[f"lambda_max_{period}"]
        assert held[f"T = {period}"].y[at] == found[f"trace_ratio_cv_{period}"]
        for r in (16, 200):
            alone = FisherGeometry(components=r)(cloud)
            assert one.y[one.x.tolist().index(r)] == alone[f"lambda_max_{period}"]


def test_ledoit_wolf_shrinks_as_much_as_scikit_learn_and_keeps_the_trace() -> None:
    cloud = rep(coded(5, 100, 60) + gaussian(100, 60, 2))
    found = FisherGeometry(components=60, shrinkage="ledoit_wolf")(cloud)
    plain = FisherGeometry(components=60)(cloud)
    rows, labels = cloud.workspace.centred, np.arange(100) % 5
    inside = rows - np.stack([rows[labels == r].mean(axis=0) for r in range(5)])[labels]
    within, amount = ledoit_wolf(inside, assume_centered=True)
    assert found["shrinkage_5"] == pytest.approx(amount, rel=1e-9)
    assert 0.0 < amount < 1.0
    assert found["condition_5"] == pytest.approx(np.linalg.cond(within), rel=1e-9)
    assert found["trace_ratio_5"] == pytest.approx(plain["trace_ratio_5"], rel=1e-9)
    assert found["lambda_max_5"] < plain["lambda_max_5"]
    for period in (2, 5, 10, 3, 7):
        assert found[f"lower_{period}"] <= found[f"lambda_max_{period}"] * (1 + 1e-9)
        assert found[f"lambda_max_{period}"] <= found[f"upper_{period}"] * (1 + 1e-9)


def test_fisher_geometry_refuses_other_parameters() -> None:
    with pytest.raises(Incompatible, match=r"components=-1 must be 0 .* or more; type components=64"):
        FisherGeometry(components=-1)
    with pytest.raises(Incompatible, match="shrinkage none and ledoit_wolf, not 'oas'; type shrinkage=ledoit_wolf"):
        FisherGeometry(shrinkage="oas")


# Real rows


def test_real_number_tokens_know_their_last_digit_and_positions_do_not(shared: Path) -> None:
    found = {}
    for name in ("all_minilm_l6_v2_positions", "all_minilm_l6_v2"):
        stored = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
        at = np.flatnonzero(stored["number_values"] < 340)
        order = at[np.argsort(stored["number_values"][at])]
        found[name] = measured(ModularProbe(), Representation(stored["numbers"][order], stored["number_values"][order]))
    positions, tokens = found.values()
    assert all(tokens[f"block_{t}"] > 0.3 and tokens[f"selectivity_{t}"] > 0.3 for t in (2, 5, 10))
    assert abs(tokens["block_7"]) < 0.1
    assert abs(positions["block_10"]) < 0.1


# What goes wrong


def test_probes_refuse_what_they_cannot_measure() -> None:
    flat, few = rep(np.ones((60, 3))), rep(gaussian(12, 3))
    for metric in (
        ModularProbe(),
        AttributeProbe(),
        FisherGeometry(),
        CircularDigitProbe(),
        ValueProbe(),
        SinusoidalProbe(),
    ):
        with pytest.raises(Incompatible, match="all rows are equal"):
            metric(flat)
    for other in (HelixFit(), ResidueCircle(period=3)):
        with pytest.raises(Incompatible, match="all rows are equal"):
            other(flat)
    with pytest.raises(Incompatible, match="value_probe needs at least 20 numbers; these are 12"):
        ValueProbe()(few)
    with pytest.raises(Incompatible, match="circular_digit_probe needs at least 20 numbers"):
        CircularDigitProbe()(few)
    with pytest.raises(Incompatible, match="with 20 folds needs at least 40 numbers; these are 12"):
        SinusoidalProbe()(few)
    with pytest.raises(Incompatible, match="helix_fit needs at least 20 numbers"):
        HelixFit()(few)
    with pytest.raises(
        Incompatible, match="residue_circle needs 5 numbers of every residue mod 10; of one there are 1"
    ):
        ResidueCircle()(few)
    even = Representation(gaussian(30, 3), np.arange(0, 60, 2))
    with pytest.raises(Incompatible, match="modular_probe needs 5 numbers of every residue"):
        ModularProbe()(even.take(np.arange(8)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ModularProbe(classifier="svm"), "classifiers ridge and logistic, not 'svm'"),
        (lambda: ModularProbe(components=-1), "components=-1 must be 0"),
        (lambda: ResidueCircle(period=2), "period=2 has no circle"),
        (lambda: SinusoidalProbe(folds=1), "width and folds of 2 or more"),
    ],
)
def test_wrong_parameters_are_named(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(Incompatible, match=said):
        make()
