"""Order modes of residuals: a null that went through the same regression. Size, power, mathematics, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Incompatible, Representation
from numgeom.calibrate import calibrate
from numgeom.preprocess import preprocess
from numgeom.targets import make_metric
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.nulls.order_basis import order_basis
from numgeom_plugins.nulls.order_modes import OrderModes
from numgeom_plugins.nulls.projected_modes import ProjectedOrderModes, projected_basis

F64 = npt.NDArray[np.float64]

METRICS = {spec.name: spec for spec in numgeom_convergence_metrics()}


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None, **more: Any) -> Representation:
    matrix = np.asarray(rows, dtype=np.float64)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers), **more)


def cka(a: Representation, b: Representation) -> float:
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    return float(metric.score(metric.prepare(a), metric.prepare(b)))


def along(r: F64, seed: int, d: int = 200, noise: float = 0.3) -> F64:
    """A curve along r, of unit mean row energy, and white noise."""
    rng = np.random.default_rng(seed)
    order = np.argsort(r)
    path = np.empty((len(r), d))
    path[order] = (rng.standard_normal((len(r), d)) * np.sqrt(np.diff(np.sort(r), prepend=0))[:, None]).cumsum(axis=0)
    path -= path.mean(axis=0)
    return path / np.sqrt(np.square(path).sum() / len(r)) + noise * rng.standard_normal((len(r), d)) / np.sqrt(d)


def order_p(null: Any, a: Representation, b: Representation, seed: int) -> tuple[float, float]:
    """The larger p over both bases and both sides, and its excess, of debiased CKA with 19 draws."""
    found = []
    for x, y in zip(null.views(a), null.views(b), strict=True):
        observed = cka(x.observed, y.observed)
        for left, right in ((x, y), (y, x)):
            values = [cka(left.draw(np.random.default_rng([seed, k])), right.observed) for k in range(19)]
            found.append(calibrate(observed, values))
    worst = max(found, key=lambda one: (one.p, -one.z))
    return worst.p, worst.excess


def unevenly_written(seed: int) -> npt.NDArray[np.int64]:
    """Token ids that rise with the number, lower for round ones."""
    n = np.arange(100)
    return np.exp(np.log(n + 10.0) + 0.5 * np.random.default_rng(seed).standard_normal(100) + 7).astype(np.int64)


@pytest.mark.parametrize("curve", ["walk", "log"])
@pytest.mark.parametrize("step", ["magnitude", "length", "frequency", "dct30"])
def test_order_modes_of_a_residual_have_size_where_plain_ones_reject(step: str, curve: str) -> None:
    t = np.log1p(np.arange(100)) if curve == "log" else np.arange(100.0)
    projected = plain = 0
    for seed in range(6):
        a, b = (
            preprocess(rep(along(t, 2 * seed + side), token_ids=unevenly_written(side)), [f"residual:{step}"])
            for side in (0, 1)
        )
        projected += order_p(ProjectedOrderModes(), a, b, seed)[0] <= 0.05
        plain += order_p(OrderModes(), a, b, seed)[0] <= 0.05
    # At level .05 six true nulls reject three times or more once in 450 runs, and the larger of four p less often.
    assert projected <= 2
    if step == "length":
        assert plain >= 5


def test_steps_between_digit_lengths_are_taken_out_and_a_code_is_found_beside_them() -> None:
    n = np.arange(100)

    def stepped(seed: int, code: float) -> Representation:
        rng = np.random.default_rng(seed)
        steps, digits = rng.standard_normal((2, 200)), rng.standard_normal((10, 200))
        rows = along(n.astype(float), seed) + steps[(n > 9).astype(int)] / 5 + code * digits[n % 10] / np.sqrt(200)
        return preprocess(rep(rows), ["residual:length"])

    quiet = [order_p(ProjectedOrderModes(), stepped(seed, 0.0), stepped(50 + seed, 0.0), seed) for seed in range(8)]
    coded = [order_p(ProjectedOrderModes(), stepped(seed, 0.4), stepped(50 + seed, 0.4), seed) for seed in range(4)]
    assert sum(p <= 0.05 for p, _ in quiet) <= 2
    assert all(p <= 0.05 and excess >= 0.05 for p, excess in coded)


@pytest.mark.parametrize("name", ["n", "log"])
def test_projected_modes_are_those_of_the_walk_beside_the_regressors(name: str) -> None:
    numbers = np.unique(np.random.default_rng(12).integers(0, 300, 50))
    t = numbers.astype(float) if name == "n" else np.log1p(numbers)
    design = np.column_stack([numbers % 3 == 0, np.log1p(numbers), np.log1p(numbers)]).astype(float)
    basis = projected_basis(numbers, name, design)
    assert basis.shape == (len(numbers), len(numbers) - 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-11)
    np.testing.assert_allclose(basis.T @ design, 0.0, atol=1e-9)
    projector = basis @ basis.T
    kernel = projector @ np.minimum.outer(t, t) @ projector
    values = np.diagonal(basis.T @ kernel @ basis)
    np.testing.assert_allclose(kernel @ basis, basis * values, atol=1e-9 * values.max())
    assert np.all(np.diff(values) < 0)
    # Beside the constant alone they are the order modes.
    plain = projected_basis(numbers, name, np.ones((len(numbers), 1)))
    np.testing.assert_allclose(
        np.abs(plain.T @ order_basis(tuple(numbers.tolist()), name)), np.eye(len(numbers) - 1), atol=1e-7
    )


def test_rows_that_went_through_no_regression_have_the_plain_modes() -> None:
    of = rep(np.random.default_rng(13).standard_normal((40, 5)))
    for rows in (of, preprocess(of, ["center", "unit"])):
        a, b = (null.views(rows)[0].draw(np.random.default_rng(0)) for null in (ProjectedOrderModes(), OrderModes()))
        np.testing.assert_array_equal(a.matrix, b.matrix)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (
            preprocess(rep(np.random.default_rng(0).standard_normal((30, 3))), ["residual:magnitude"]),
            r"q=20 beside 3 regressors need at least 31 numbers .* these are 30; lower q, or regress on less",
        ),
        (preprocess(rep(np.arange(40.0)[:, None]), ["residual:magnitude"]), r"has no residual to compare"),
        (
            # Low modes beside the first cosine.
            preprocess(rep(order_basis(tuple(range(40)), "n")[:, 1:3]), ["residual:dct1"]),
            r"nothing but the regressors and the 20 smoothest modes in n, .* order_modes\(q=0\), or regress on less",
        ),
    ],
)
def test_a_residual_that_is_too_small_says_why_in_one_line(of: Representation, message: str) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        ProjectedOrderModes().views(of)
    assert "\n" not in str(refused.value)
