"""Transfer of a learned map to numbers that were held out: retrieval, and how far off it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import numgeom
from numgeom import Representation
from numgeom.targets import make_metric
from numgeom_plugins.convergence.numeric_cards import cards
from numgeom_plugins.convergence.transfer import TransferDigitError, TransferMRR, TransferTop1, TransferValueError

SPECS = {spec.name: spec for spec in cards()}


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers))


def score(name: str, a: Representation, b: Representation, **params: Any) -> float:
    metric: Any = make_metric(SPECS[name], params)
    return float(metric.score(metric.prepare(a), metric.prepare(b)))


def test_transfer_finds_a_rotated_noisy_copy_and_not_a_stranger() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((100, 12))
    turn = np.linalg.qr(rng.standard_normal((12, 12))).Q
    near = rep(2.0 * a @ turn + 0.2 * rng.standard_normal((100, 12)) + 5.0)
    assert score("transfer_top1", rep(a), near) > 0.95
    strangers = [rep(rng.standard_normal((100, 12))) for _ in range(8)]
    assert np.mean([score("transfer_top1", rep(a), one) for one in strangers]) < 0.03
    # The mean of 1/rank over ranks 1..100 is .052.
    assert np.mean([score("transfer_mrr", rep(a), one) for one in strangers]) == pytest.approx(0.052, abs=0.015)


def test_transfer_ranks_are_those_of_the_plain_loop() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((30, 5))
    a, b = rep(rows), rep(rows @ rng.standard_normal((5, 3)) + rng.standard_normal((30, 3)))
    metric = TransferTop1(folds=30)
    x, y = metric.prepare(a), metric.prepare(b)
    expected, found = np.empty((2, 30), dtype=int), np.empty((2, 30), dtype=int)
    for held in range(30):
        train = np.arange(30) != held
        left, _, right = np.linalg.svd(x.rows[train].T @ y.rows[train], full_matrices=False)
        turn = left @ right
        for way, (query, targets) in enumerate(((x.rows[held] @ turn, y.rows), (y.rows[held] @ turn.T, x.rows))):
            cosines = targets @ query / np.linalg.norm(targets, axis=1) / np.linalg.norm(query)
            expected[way, held] = 1 + np.sum(cosines > cosines[held] + 1e-12)
            found[way, held] = np.argmax(cosines)
    ranks, nearest = metric.look_up(x.rows, y.rows)
    np.testing.assert_array_equal(ranks, expected)
    np.testing.assert_array_equal(nearest, found)
    assert metric.score(x, y) == pytest.approx((expected == 1).mean())
    mrr = TransferMRR(folds=30)
    assert mrr.score(x, y) == pytest.approx((1 / expected).mean())
    numbers = np.arange(270, 300)
    off = [TransferValueError(folds=30), TransferDigitError(folds=30)]
    written = [f"{number:03d}" for number in numbers]
    digits = [sum(p != q for p, q in zip(written[i], written[j], strict=True)) for i, j in enumerate(found[0])]
    digits += [sum(p != q for p, q in zip(written[i], written[j], strict=True)) for i, j in enumerate(found[1])]
    plain = [np.abs(numbers[found] - numbers).mean(), np.mean(digits)]
    for one, value in zip(off, plain, strict=True):
        states = [one.prepare(rep(side.matrix, numbers)) for side in (a, b)]
        assert one.score(*states) == pytest.approx(value)


def test_errors_of_smooth_curves_are_small_and_no_smaller_than_order_makes_them() -> None:
    # Two unrelated walks miss by a few numbers of 120, and so do their smooth surrogates.
    rng = np.random.default_rng(8)
    walks = [rng.standard_normal((120, 400)).cumsum(axis=0) + 3.0 * rng.standard_normal((120, 400)) for _ in range(2)]
    held = numgeom.score(
        "transfer_value_error", *walks, nulls=["row_permutation", "smooth_surrogate"], draws=19, seed=1
    )
    assert held.value < 10
    assert held.nulls["row_permutation"].mean > 20
    assert held.nulls["row_permutation"].p == 0.05
    assert held.nulls["smooth_surrogate"].mean == pytest.approx(held.value, abs=2.5)


def test_digit_errors_see_a_digit_code_and_value_errors_do_not() -> None:
    # Last digit and tens digit are coded, the hundreds are not: a miss is off by hundreds, and by one digit.
    rng = np.random.default_rng(9)
    numbers = np.arange(300)

    def coded() -> Representation:
        tens, units = rng.standard_normal((2, 10, 300))
        return rep(tens[numbers // 10 % 10] + units[numbers % 10] + 0.5 * rng.standard_normal((300, 300)))

    a, b = coded(), coded()
    assert score("transfer_top1", a, b) < 0.6
    assert score("transfer_digit_error", a, b) < 1.0
    assert score("transfer_value_error", a, b) > 50


def test_the_held_out_number_does_not_shape_its_own_map() -> None:
    # With d > n a map fitted to all rows would fit the held-out pair too, whatever it is.
    rng = np.random.default_rng(6)
    a, b = (rep(rng.standard_normal((60, 300))) for _ in range(2))
    assert score("transfer_top1", a, b) < 0.08


def test_folds_and_seed_change_the_partition_only() -> None:
    rng = np.random.default_rng(7)
    base = rng.standard_normal((60, 8))
    a, b = rep(base), rep(base + 0.9 * rng.standard_normal((60, 8)))
    values = [score("transfer_mrr", a, b, **more) for more in ({}, {"seed": 1}, {"folds": 60})]
    assert len(set(values)) == 3
    assert np.ptp(values) < 0.1
