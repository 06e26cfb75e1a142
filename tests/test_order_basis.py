"""Order bases: the modes of walks and of stationary curves, and which of them a model is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Representation
from numgeom.preprocess import preprocess
from numgeom.registry import open_catalog
from numgeom.targets import make_metric, null_views
from numgeom_plugins.convergence.centring import u_centred
from numgeom_plugins.convergence.modes import gram_in, mode_gram, weighted
from numgeom_plugins.nulls.order_basis import (
    TURNED,
    WALK,
    StationaryCurves,
    index_of,
    order_basis,
    stationary_curves,
    stationary_kernel,
)
from numgeom_plugins.nulls.order_modes import OrderModes, OrderModesView, fitted_length

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CATALOG = open_catalog()
GAPS = np.array([-40, -7, -1, 0, 1, 2, 3, 5, 8, 9, 10, 11, 12, 13, 40, 41, 60, 99, 100, 101, 250, 251, 252, 999, 1000])


def covariance(numbers: I64, length: float, snr: float = 4.0) -> F64:
    """Of a centred stationary curve at unit mean energy a row, with white noise."""
    kernel = np.exp(-np.abs(np.subtract.outer(numbers, numbers)) / length)
    kernel = kernel - kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    return np.asarray(kernel / (np.trace(kernel) / len(numbers)) + np.eye(len(numbers)) / snr)


def curve(seed: int, numbers: I64, length: float, d: int = 1024) -> Representation:
    """A stationary curve with noise, or a random walk."""
    rng = np.random.default_rng(seed)
    if length == WALK:
        steps = rng.standard_normal((len(numbers), d)) * np.sqrt(np.diff(numbers, prepend=numbers[0] - 1))[:, None]
        rows = steps.cumsum(axis=0)
        rows += 0.5 * rows.std() * rng.standard_normal(rows.shape)
    else:
        rows = np.linalg.cholesky(covariance(numbers, length)) @ rng.standard_normal((len(numbers), d))
    return Representation(rows, numbers)


def rejection(numbers: I64, length: float, basis: F64, d: int) -> float:
    """The z that debiased CKA expects of two unrelated curves, by what ties their modes on average."""
    modes = basis.T @ covariance(numbers, length) @ basis
    power = np.diagonal(modes)
    ties = np.square(modes - np.diag(power)).sum()
    return float(d * ties / np.sqrt(2.0 * (np.square(power).sum() ** 2 - (power**4).sum())))


# --- walks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 17, -20])
def test_modes_of_consecutive_numbers_are_the_cosines(first: int) -> None:
    n = 50
    basis = order_basis(tuple(range(first, first + n)), "n")
    cosines = np.sqrt(2 / n) * np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(1, n)) / n)
    np.testing.assert_allclose(np.abs(basis.T @ cosines), np.eye(n - 1), atol=1e-10)


@pytest.mark.parametrize("name", ["n", "log"])
@pytest.mark.parametrize("numbers", [np.arange(40), GAPS])
def test_modes_are_eigenvectors_of_the_centred_walk_kernel_by_falling_eigenvalue(name: str, numbers: I64) -> None:
    n = len(numbers)
    t = numbers - numbers.min() if name == "n" else np.sign(numbers) * np.log1p(np.abs(numbers))
    t = t - t.min()
    centring = np.eye(n) - 1.0 / n
    kernel = centring @ np.minimum.outer(t, t) @ centring
    basis = order_basis(tuple(numbers.tolist()), name)
    values = np.diagonal(basis.T @ kernel @ basis)
    np.testing.assert_allclose(kernel @ basis, basis * values, atol=1e-9 * values.max())
    assert np.all(np.diff(values) < 0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(n - 1), atol=1e-11)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-11)


@pytest.mark.parametrize("name", ["n", "log"])
def test_shifting_the_index_changes_no_mode(name: str) -> None:
    t = np.sort(np.random.default_rng(0).uniform(0, 9, 30))
    centring = np.eye(30) - 1.0 / 30
    here, there = (centring @ np.minimum.outer(t + c, t + c) @ centring for c in (0.0, 5.0))
    np.testing.assert_allclose(here, there, atol=1e-12)
    if name == "n":
        np.testing.assert_allclose(order_basis((1, 2, 5, 9), "n"), order_basis((-3, -2, 1, 5), "n"), atol=1e-12)


def test_modes_of_a_random_walk_are_uncorrelated_with_falling_power() -> None:
    rng = np.random.default_rng(0)
    gaps = np.diff(GAPS)
    steps = rng.standard_normal((20_000, len(gaps))) * np.sqrt(gaps)
    walks = np.concatenate([np.zeros((20_000, 1)), steps.cumsum(axis=1)], axis=1)
    modes = walks @ order_basis(tuple(GAPS.tolist()), "n")
    correlation: F64 = np.asarray(np.corrcoef(modes.T))
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / np.sqrt(20_000)
    assert np.all(np.diff(modes.var(axis=0)[:8]) < 0)


# --- stationary curves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0.01, 3.0, 1e4])
@pytest.mark.parametrize("name", ["n", "log"])
def test_the_kernel_in_modes_is_that_of_the_exponential(name: str, length: float) -> None:
    index = index_of(GAPS, name)
    modes = np.random.default_rng(0).standard_normal((len(GAPS), 7))
    dense = modes.T @ np.exp(-np.abs(np.subtract.outer(index, index)) / length) @ modes
    np.testing.assert_allclose(stationary_kernel(index, modes, length), dense, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("numbers", [np.arange(60), GAPS])
def test_modes_of_a_stationary_curve_are_its_principal_components(numbers: I64) -> None:
    basis = order_basis(tuple(numbers.tolist()), "n", 7.0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(len(numbers) - 1), atol=1e-11)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-11)
    modes = basis.T @ covariance(numbers, 7.0) @ basis
    np.testing.assert_allclose(modes, np.diag(np.diagonal(modes)), atol=1e-8)
    assert np.all(np.diff(np.diagonal(modes)) < 0)


def test_a_long_curve_has_the_modes_of_a_walk_and_a_short_one_keeps_those_beyond_the_turned() -> None:
    numbers = tuple(range(TURNED + 20))
    walk = order_basis(numbers, "n")
    np.testing.assert_allclose(order_basis(numbers, "n", 1e9), walk, atol=1e-5)
    turned = order_basis(numbers, "n", 3.0)
    np.testing.assert_array_equal(turned[:, TURNED:], walk[:, TURNED:])
    assert np.abs(turned[:, :TURNED] - walk[:, :TURNED]).max() > 0.01


@pytest.mark.parametrize("n", [300, 1000])
def test_between_two_lengths_of_the_grid_nothing_is_left_that_rejects(n: int) -> None:
    # A rejection at level .05 needs z = 1.6; a mean of .35 makes .05 about .09, and the cosines of a walk have up to 4.
    numbers = np.arange(n)
    lengths = stationary_curves(tuple(range(n)), "n", 20).lengths
    for shorter, longer in zip(lengths[:-1:3], lengths[1::3], strict=False):
        true = np.sqrt(shorter * longer)
        for near in (shorter, longer):
            assert rejection(numbers, true, order_basis(tuple(range(n)), "n", near)[:, 20:], 4096) < 0.35
    walk = order_basis(tuple(range(n)), "n")[:, 20:]
    assert max(rejection(numbers, length, walk, 4096) for length in lengths) > 2.5


@pytest.mark.parametrize(("n", "length"), [(300, 3.0), (300, 9.0), (1000, 9.0), (1000, 33.0)])
def test_the_length_of_a_curve_is_found(n: int, length: float) -> None:
    found = [fitted_length(curve(seed, np.arange(n), length, 4096), 20) for seed in range(3)]
    assert all(length / 1.7 < one < length * 1.7 for one in found)


def test_a_walk_and_a_cloud_keep_the_modes_of_a_walk() -> None:
    found = [fitted_length(curve(seed, np.arange(300), WALK), 20) for seed in range(10)]
    found += [fitted_length(Representation(np.random.default_rng(k).standard_normal((300, 64)), np.arange(300)), 20)
              for k in range(10)]  # fmt: skip
    # One in 200 is expected to look like a curve.
    assert found.count(WALK) >= 19


@pytest.mark.parametrize(
    "numbers", [np.arange(29), np.arange(30) ** 2, np.array([0, 1, 10**6, *range(10**7, 10**7 + 40)])]
)
def test_any_numbers_have_modes_of_some_length(numbers: I64) -> None:
    rows = np.random.default_rng(0).standard_normal((len(numbers), 3))
    for of in (rows, rows.astype(np.float32), 1e80 * rows, rows.cumsum(axis=0)):
        length = fitted_length(Representation(of, numbers), 20)
        basis = order_basis(tuple(numbers.tolist()), "n", length)
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(numbers) - 1), atol=1e-10)


@pytest.mark.parametrize("q", [0, 20, 150, 300])
def test_what_is_dropped_may_be_more_than_stationary_curves_turn(q: int) -> None:
    rep = curve(3, np.arange(400), 9.0, 4096)
    length = fitted_length(rep, q)
    assert length == WALK if q >= 150 else length < 20.0
    assert OrderModes(q=q, bases="n").views(rep)[0].basis.shape == (400, 399 - q)


def codes(n: int) -> dict[str, F64]:
    """Codes without noise: most of their modes are exactly 0, and most cosines of the others."""
    t = np.arange(n)
    circle = np.column_stack([np.cos(2 * np.pi * t / 16), np.sin(2 * np.pi * t / 16)])
    return {"classes": np.eye(25)[t % 25], "circle": circle, "even": np.abs(t - (n - 1) / 2.0)[:, None] ** [1, 2, 3]}


@pytest.mark.parametrize("q", [0, 20])
@pytest.mark.parametrize("name", codes(9))
def test_the_length_of_an_exact_code_is_not_decided_by_rounding(name: str, q: int) -> None:
    rows = codes(100)[name]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((rows.shape[1],) * 2))[0]
    dressed = (rows, 3.7 * rows, rows @ turn, 1e80 * rows, 1e-80 * rows)
    assert len({fitted_length(Representation(one, np.arange(100)), q) for one in dressed}) == 1


def test_modes_of_numbers_far_apart_are_not_decided_by_rounding() -> None:
    numbers = np.array([*range(21), *range(100, 10_000, 100)])
    curves = stationary_curves(tuple(numbers.tolist()), "n", 20)
    noise = np.random.default_rng(0).standard_normal(curves.kernels.shape) * 1e-15
    again = StationaryCurves(curves.index, curves.modes)
    again.__dict__["kernels"] = curves.kernels + noise + np.swapaxes(noise, 1, 2)
    np.testing.assert_allclose(again.turns, curves.turns, atol=1e-3)


def test_unrelated_stationary_curves_are_rejected_as_often_as_the_level_allows() -> None:
    numbers, metric = np.arange(300), "cka_linear_debiased"
    chosen: Any = make_metric(CATALOG.convergence.get(metric), {})
    z = {True: [], False: []}
    for seed in range(20):
        reps = [curve(2 * seed + side, numbers, 3.0, 4096) for side in (0, 1)]
        for fit, held in z.items():
            views = [OrderModes(bases="n", fit=fit).views(one)[0] for one in reps]
            observed, mean, sd, *_ = chosen.flip_moments(*views)
            held.append((observed - mean) / sd)
    assert np.mean(z[False]) > 2.0
    assert abs(np.mean(z[True])) < 4 / np.sqrt(20)


# --- modes of two sides --------------------------------------------------------------------------------------------


def views_of_two_lengths(d: int) -> list[Any]:
    numbers = np.arange(300)
    reps = [curve(seed, numbers, length, d) for seed, length in enumerate((3.0, WALK), start=1)]
    views = [OrderModes(bases="n").views(rep)[0] for rep in reps]
    assert np.isfinite(views[0].length)
    assert views[1].length == WALK
    return views


@pytest.mark.parametrize("d", [290, 1024])
def test_a_mode_gram_is_that_of_the_coefficients(d: int) -> None:
    for view in views_of_two_lengths(d):
        gram = view.coefficients @ view.coefficients.T
        np.testing.assert_allclose(mode_gram(view), gram / np.linalg.norm(gram), atol=1e-12)
        norms = np.square(view.observed.matrix).sum(axis=1)
        if view.squared_norms is not None:
            np.testing.assert_allclose(view.squared_norms, norms * np.trace(mode_gram(view)) / norms.sum(), atol=1e-12)


@pytest.mark.parametrize("numbers", [np.arange(300), np.delete(np.arange(301), 150)])
def test_weights_in_the_modes_of_any_length_are_those_of_the_basis(numbers: I64) -> None:
    weights = np.random.default_rng(11).random(300)
    for length in (3.0, WALK):
        view = OrderModesView("n", curve(1, numbers, 3.0), order_basis(tuple(numbers), "n", length)[:, 20:], length)
        expected = view.basis.T @ (weights[:, None] * view.basis)
        np.testing.assert_allclose(weighted(view, weights), expected, atol=1e-12)


def test_a_turn_is_known_only_between_modes_of_the_same_numbers_and_index() -> None:
    a, b = views_of_two_lengths(1024)
    whole = a.basis.T @ b.basis
    turn = a.turn_to(b)
    np.testing.assert_allclose(whole[: len(turn), : len(turn)], turn, atol=1e-12)
    np.testing.assert_array_equal(a.basis[:, len(turn) :], b.basis[:, len(turn) :])
    log, fewer = OrderModes(bases="log").views(a.rep)[0], OrderModes(q=21, bases="n").views(a.rep)[0]
    elsewhere = OrderModes(bases="n").views(Representation(a.rep.matrix, np.arange(0, 600, 2)))[0]
    assert [a.turn_to(other) for other in (log, fewer, elsewhere, None)] == [None] * 4


def test_a_gram_in_the_modes_of_another_length_is_that_of_the_residual() -> None:
    a, b = views_of_two_lengths(1024)
    turn = b.basis.T @ a.basis
    np.testing.assert_allclose(gram_in(b, a), turn.T @ mode_gram(b) @ turn, atol=1e-12)


@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased", "order_mode_coherence_n"])
def test_two_lengths_flip_as_their_draws_score(name: str) -> None:
    chosen: Any = make_metric(CATALOG.convergence.get(name), {})
    a, b = views_of_two_lengths(1024)
    if name.startswith("order"):
        assert chosen.for_view(a).flips(a)
        chosen = chosen.for_view(a)
    for left, right in ((a, b), (b, a)):
        signs = np.stack([left.signs(np.random.default_rng(k)) for k in range(400)])
        drawn = chosen.flipped(left, right, signs)
        observed, mean, sd, *_ = chosen.flip_moments(left, right)
        assert drawn.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(400))
        assert drawn.std() == pytest.approx(sd, rel=0.2)
        assert chosen.flipped(left, right, np.ones_like(signs[:1]))[0] == pytest.approx(observed, abs=1e-12)
        assert drawn[0] == pytest.approx(scored_anew(name, left, right, signs[0]), abs=1e-10)


def scored_anew(name: str, a: Any, b: Any, signs: F64) -> float:
    """The score of one flip, from the rows of the residuals."""
    flipped, other = a.basis @ (signs[:, None] * a.coefficients), b.observed.matrix
    if name.startswith("order"):
        sides = [a.basis.T @ rows for rows in (flipped, other)]
        grams = [(unit := rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ unit.T for rows in sides]
        for gram in grams:
            np.fill_diagonal(gram, 0.0)
    else:
        grams = [rows @ rows.T for rows in (flipped, other)]
        if name == "cka_linear_debiased":
            # In units of the observed score: the norm is that of the residual as it is.
            own = u_centred(a.observed.matrix @ a.observed.matrix.T)
            grams = [u_centred(gram) for gram in grams]
            return float(np.vdot(*grams) / (np.linalg.norm(own) * np.linalg.norm(grams[1])))
    return float(np.vdot(*grams) / (np.linalg.norm(grams[0]) * np.linalg.norm(grams[1])))


# --- beside regressors ---------------------------------------------------------------------------------------------


def test_residuals_of_a_stationary_curve_have_its_modes() -> None:
    numbers = np.arange(300)
    rep = preprocess(curve(5, numbers, 3.0, 4096), ["residual:length"])
    spec = CATALOG.nulls.get("order_modes")
    fitted, walk = (null_views(spec, {"bases": "n", "fit": fit}, rep)[0] for fit in (True, False))
    assert 2.0 < fitted.length < 5.0  # type: ignore[attr-defined]
    assert walk.length == WALK  # type: ignore[attr-defined]
    ties = []
    for view in (fitted, walk):
        basis = view.basis  # type: ignore[attr-defined]
        design = np.array([[len(str(n)) == k for k in (1, 2, 3)] for n in numbers], dtype=float)
        np.testing.assert_allclose(basis.T @ design, 0.0, atol=1e-9)
        ties.append(rejection(numbers, 3.0, basis, 4096))
    assert ties[0] < 0.3 < 2.0 < ties[1]


def test_curves_of_a_grid_of_one_have_no_length() -> None:
    numbers = np.arange(10)
    curves = StationaryCurves(index_of(numbers, "n"), order_basis(tuple(range(10)), "n"))
    assert curves.lengths == ()
    assert curves.length(np.eye(9), lambda: np.eye(9)) == WALK
