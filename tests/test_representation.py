"""Representations refuse bad rows, and their shared quantities are exact."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from numgeom.errors import SourceError
from numgeom.preprocess import preprocess
from numgeom.representation import Representation


def rep_of(matrix: object) -> Representation:
    rows = np.asarray(matrix)
    return Representation(rows, np.arange(len(rows)))


def test_bad_rows_are_named() -> None:
    rows = np.ones((4, 2))
    rows[2, 0] = np.nan
    with pytest.raises(SourceError, match=r"1 of 4 rows hold NaN or infinity \(numbers 2\); mend the file"):
        rep_of(rows)
    with pytest.raises(SourceError, match="strictly increasing"):
        Representation(np.ones((2, 2)), np.array([3, 3]))
    with pytest.raises(SourceError, match="one number for each row"):
        Representation(np.ones((2, 2)), np.array([3]))


def test_the_rows_cannot_be_changed_and_the_input_is_untouched() -> None:
    rows = np.ones((3, 2))
    rep = rep_of(rows)
    with pytest.raises(ValueError, match="read-only"):
        rep.matrix[0, 0] = 5
    rows[0, 0] = 7
    assert rep.matrix[0, 0] == 1


@pytest.mark.parametrize("shape", [(20, 5), (12, 40)])
def test_distances_match_a_direct_computation_even_far_from_the_origin(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal(shape) + 1e4
    rows[3] = rows[1]
    work = rep_of(rows).workspace
    direct = squareform(pdist(rows))
    np.testing.assert_allclose(work.distances, direct, rtol=1e-9, atol=1e-10)
    assert work.distances[1, 3] == 0.0
    assert work.duplicate_rows == 1


@pytest.mark.parametrize("shape", [(20, 5), (12, 40)])
def test_spectrum_thin_factor_and_gram_agree(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(1).standard_normal(shape) + 3
    work = rep_of(rows).workspace
    left, values = work.thin
    np.testing.assert_allclose((left * values) @ (left * values).T, work.gram, atol=1e-10)
    np.testing.assert_allclose(np.sort(values**2)[::-1], work.spectrum[: values.size], atol=1e-9)
    assert work.energy == pytest.approx(work.spectrum.sum())
    assert values.size == min(shape[0] - 1, shape[1])


def test_digest_follows_content() -> None:
    a, b = rep_of(np.eye(4)), rep_of(np.eye(4))
    assert a.digest == b.digest
    assert a.digest != rep_of(np.eye(4) * 2).digest
    assert a.digest != Representation(np.eye(4), np.arange(1, 5)).digest


def test_residual_steps_remove_exactly_their_design() -> None:
    numbers = np.arange(120)
    rng = np.random.default_rng(2)
    rows = np.outer(numbers, rng.standard_normal(6)) + np.outer(np.log1p(numbers), rng.standard_normal(6)) + 4
    clean = preprocess(Representation(rows, numbers), ["residual:magnitude"])
    assert np.abs(clean.matrix).max() < 1e-9
    lengths = np.array([len(str(n)) for n in numbers])
    steps = preprocess(Representation(np.eye(3)[lengths - 1], numbers), ["residual:length"])
    assert np.abs(steps.matrix).max() < 1e-12
    cosines = np.cos(np.pi * np.outer(np.arange(120) + 0.5, [1, 5, 20]) / 120)
    assert np.abs(preprocess(Representation(cosines, numbers), ["residual:dct20"]).matrix).max() < 1e-12


def test_unit_and_standardize_leave_zero_rows_and_columns_alone() -> None:
    rows = np.array([[0.0, 0, 1], [3, 0, 1], [1, 0, 1], [2, 0, 1]])
    assert np.isfinite(preprocess(rep_of(rows), ["standardize", "unit"]).matrix).all()
