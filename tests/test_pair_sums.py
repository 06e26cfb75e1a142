"""Sums over pairs that metrics share, held against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from numgeom import Representation
from numgeom_plugins.geometry.numerals import signed_log
from numgeom_plugins.geometry.pair_sums import LOG_BINS, pair_sums
from numgeom_plugins.geometry.toeplitz import ToeplitzFraction

GAPPED = np.flatnonzero(np.random.default_rng(3).random(90) < 0.7)


def cloud(numbers: np.ndarray, noise: float = 1.0) -> Representation:
    rng = np.random.default_rng(0)
    line = np.column_stack([numbers / 50.0, np.log1p(numbers)]) @ rng.standard_normal((2, 30))
    return Representation(line + noise * rng.standard_normal((len(numbers), 30)), numbers)


@pytest.mark.parametrize("numbers", [np.arange(60), GAPPED])
def test_sums_over_pairs_are_those_of_the_reordered_matrices(numbers: np.ndarray) -> None:
    rep = cloud(numbers)
    order = np.random.default_rng(1).permutation(rep.n)
    found = pair_sums(rep).of(order)
    gram = (rep.workspace.gram / rep.workspace.energy)[np.ix_(order, order)]
    squared = (rep.workspace.squared_distances / rep.workspace.energy)[np.ix_(order, order)]
    first, second = np.triu_indices(rep.n, 1)
    scale = signed_log(numbers)
    apart = np.abs(scale[first] - scale[second])
    logs = np.minimum((apart / apart.max() * LOG_BINS).astype(int), LOG_BINS - 1)
    for bins, of_gram, of_squared in (
        (second - first, found.lags, found.squared_lags),
        (logs, found.logs, found.squared_logs),
    ):
        np.testing.assert_allclose(of_gram, np.bincount(bins, weights=gram[first, second]), atol=1e-14)
        np.testing.assert_allclose(of_squared, np.bincount(bins, weights=squared[first, second]), atol=1e-14)


@pytest.mark.parametrize("numbers", [np.arange(60), GAPPED])
@pytest.mark.parametrize("noise", [1.0, 1e-5])
def test_toeplitz_fractions_are_their_definition_in_any_order(numbers: np.ndarray, noise: float) -> None:
    """With little noise magnitude explains nearly all, and the residual is what subtraction cannot tell."""
    rep = cloud(numbers, noise)
    metric = ToeplitzFraction()
    identity = np.arange(rep.n)
    orders = np.stack([identity, np.random.default_rng(2).permutation(rep.n)])
    found = metric.permuted(rep, orders)
    first, second = np.triu_indices(rep.n, 1)
    design = np.column_stack([np.ones(rep.n), numbers, signed_log(numbers)])
    for k, order in enumerate(orders):
        rows = rep.workspace.centred[order]
        left = rows - design @ np.linalg.lstsq(design, rows, rcond=None)[0]
        apart = np.square(rows[first] - rows[second]).sum(axis=1)
        seen = {"tau_linear": rows @ rows.T, "tau_residual": left @ left.T}
        values = {name: square[first, second] for name, square in seen.items()} | {"variogram_linear": apart}
        for name, one in values.items():
            lag = numbers[second] - numbers[first]
            held = one - one.mean()
            counts = np.maximum(np.bincount(lag), 1)
            expected = (np.bincount(lag, weights=held) ** 2 / counts).sum() / (held @ held)
            assert found[name][k] == pytest.approx(expected, abs=1e-5 if noise < 1.0 else 1e-10)
