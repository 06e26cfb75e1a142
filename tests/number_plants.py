"""Clouds with something planted in them, for the tests of spectra and probes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import MeasurementWarning, Representation
from numgeom_plugins.geometry.helix import PERIODS

F64 = npt.NDArray[np.float64]


def gaussian(n: int, d: int, seed: int = 0) -> F64:
    return np.random.default_rng(seed).standard_normal((n, d))


def walk(n: int, d: int, seed: int = 0) -> F64:
    return gaussian(n, d, seed).cumsum(axis=0)


def coded(period: int, n: int, d: int, seed: int = 0) -> F64:
    return gaussian(period, d, seed + 100)[np.arange(n) % period]


def digits(n: int, d: int, seed: int = 0) -> F64:
    tables = gaussian(30, d, seed).reshape(3, 10, d)
    values = np.arange(n)
    return np.sum([tables[k][values // 10**k % 10] for k in range(3)], axis=0)


def helix(n: int, d: int = 20, radii: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> F64:
    """A helix with known radii in orthonormal directions, after a rotation."""
    values = np.arange(n)
    columns = [values / n]
    for radius, period in zip(radii, PERIODS, strict=True):
        columns += [radius * np.cos(2 * np.pi * values / period)]
        columns += [radius * np.sin(2 * np.pi * values / period)] if period > 2 else []
    rows = np.column_stack(columns)
    return rows @ np.linalg.qr(gaussian(d, d, 7)).Q[: rows.shape[1]]


def rep(rows: F64, **given: Any) -> Representation:
    return Representation(rows, np.arange(len(rows)), **given)


def measured(metric: Callable[[Representation], dict[str, float]], of: Representation) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        return metric(of)
