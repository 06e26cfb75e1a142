"""Number embeddings with known answers, for tests, teaching and calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom.errors import UnknownName

F64 = npt.NDArray[np.float64]
RANDOM_ROWS = 1000
HELIX_PERIODS = (2.0, 5.0, 10.0, 100.0)
FARTHEST_STEP = 1_000_000
_BLOCK = 1024
# Streams of random numbers: what is drawn for one purpose does not move with another.
_AXES, _STEPS, _NOISE, _RANDOM = range(4)


def read_synthetic(
    model: ModelSpec,
    numbers: NumberSet,
    *,
    read: str,
    d: int = 64,
    seed: int = 0,
    noise: float = 0.0,
    periods: Any = "",
) -> Representation:
    r"""Rows by formula; the row of ``n`` does not depend on the other numbers of the set.

    With orthonormal axes :math:`u_i` (of a random rotation) and iid standard normal :math:`e_n \in R^d`:

    ========  =====================================================================================
    recipe    row of n
    ========  =====================================================================================
    line      :math:`n u_0`
    circle    :math:`\cos(2 \pi n/T) u_0 + \sin(2 \pi n/T) u_1`, the first of ``periods``, or T = 10
    helix     :math:`(n/100) u_0 + \sum_i \cos(2 \pi n/T_i) u_{2i-1} + \sin(2 \pi n/T_i) u_{2i}`
    walk      :math:`e_1 + ... + e_n` (:math:`-e_0 - ... - e_{n+1}` for n < 0): smooth, without meaning
    iid       :math:`e_n`: no structure at all
    ========  =====================================================================================

    to which ``noise`` times another iid standard normal vector is added.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the recipe, optionally with parameters: ``walk?d=512&seed=3``. They prevail over the others.
    numbers : NumberSet
        Only the values count.
    read : {"vectors"}
    d : int, default 64
        Width.
    seed : int, default 0
        Of axes, steps and noise.
    noise : float, default 0
        Standard deviation of the noise in each coordinate.
    periods : sequence of float, or str such as ``"2,5,10"``
        Of circle and helix; helix: 2, 5, 10, 100 by default.

    Returns
    -------
    Representation
        float64; ``random_rows`` are 1,000 iid Gaussian rows, each scaled to the mean norm of the number rows.

    Raises
    ------
    UnknownName
        If the recipe or a parameter is not known.
    SourceError
        If a parameter has no sensible value.

    Notes
    -----
    Helix: Kantamneni & Tegmark 2025, arXiv:2502.00873. Walk: Antognini & Sohl-Dickstein 2018, arXiv:1806.08805.

    Examples
    --------
    >>> model = ModelSpec(name="c", source="synthetic", id="circle?d=8&periods=4")
    >>> rep = read_synthetic(model, NumberSet.parse("0..7"), read="vectors")
    >>> bool(np.allclose(rep.matrix[:4], rep.matrix[4:])), float(np.linalg.norm(rep.matrix[3]).round(12))
    (True, 1.0)
    """
    recipe, _, query = model.id.partition("?")
    if recipe not in RECIPES:
        raise UnknownName("synthetic model", recipe, RECIPES, "Type for example synthetic:helix?d=64&seed=1")
    given: dict[str, Any] = {"d": d, "seed": seed, "noise": noise, "periods": periods}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in given:
            raise UnknownName(f"parameter of synthetic:{recipe}", key, given)
        given[key] = value
    width = _whole(model, "d", given["d"], least=1)
    root = _whole(model, "seed", given["seed"], least=0)
    spread = _real(model, "noise", given["noise"])
    if spread < 0:
        raise SourceError(f"synthetic:{model.id}: noise is {spread:g}; it is a standard deviation, 0 or more.")
    rhythm = _periods(model, given["periods"])
    values = numbers.array
    matrix = RECIPES[recipe](model, values, width, root, rhythm)
    if spread:
        matrix = matrix + spread * _normals(values, width, root, _NOISE)
    control = np.random.default_rng([root, _RANDOM]).standard_normal((RANDOM_ROWS, width))
    scale = float(np.linalg.norm(matrix, axis=1).mean())
    return Representation(
        matrix,
        values,
        provenance={
            "recipe": recipe,
            "d": width,
            "seed": root,
            "noise": spread,
            "periods": list(rhythm),
            "form": "value",
            "notes": [],
        },
        random_rows=control * (scale / np.linalg.norm(control, axis=1, keepdims=True)),
    )


def _line(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, periods: tuple[float, ...]) -> F64:
    return values[:, None] * _axes(model, 1, d, seed)


def _circle(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, periods: tuple[float, ...]) -> F64:
    waves = _waves(values, (periods or (10.0,))[:1])
    return waves @ _axes(model, 2, d, seed)


def _helix(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, periods: tuple[float, ...]) -> F64:
    waves = np.column_stack([values / 100.0, _waves(values, periods or HELIX_PERIODS)])
    return waves @ _axes(model, waves.shape[1], d, seed)


def _walk(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, periods: tuple[float, ...]) -> F64:
    if values.size and int(np.abs(values).max()) > FARTHEST_STEP:
        raise SourceError(
            f"synthetic:{model.id} walks from 0 to each number; at most {FARTHEST_STEP:,} steps are allowed."
        )
    rows = np.zeros((values.size, d))
    # Always summed in the same blocks from 0 outwards, so that rows do not depend on which numbers are asked for.
    for outwards, forward in ((values, True), (-values, False)):
        at = np.zeros(d)
        for start in range(0, int(outwards.max(initial=0)), _BLOCK):
            steps = np.arange(start + 1, start + _BLOCK + 1)
            normals = _normals(steps, d, seed, _STEPS) if forward else -_normals(1 - steps, d, seed, _STEPS)
            path = at + np.cumsum(normals, axis=0)
            inside = (outwards > start) & (outwards <= start + _BLOCK)
            rows[inside] = path[outwards[inside] - start - 1]
            at = path[-1]
    return rows


def _iid(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, periods: tuple[float, ...]) -> F64:
    return _normals(values, d, seed, _STEPS)


RECIPES: dict[str, Callable[[ModelSpec, npt.NDArray[np.int64], int, int, tuple[float, ...]], F64]] = {
    "circle": _circle,
    "helix": _helix,
    "iid": _iid,
    "line": _line,
    "walk": _walk,
}


def _waves(values: npt.NDArray[np.int64], periods: Iterable[float]) -> F64:
    angles = [2.0 * np.pi * values / period for period in periods]
    return np.column_stack([wave(angle) for angle in angles for wave in (np.cos, np.sin)])


def _axes(model: ModelSpec, count: int, d: int, seed: int) -> F64:
    """``count`` orthonormal rows in R^d."""
    if d < count:
        raise SourceError(f"synthetic:{model.id} needs {count} axes but d is {d}; give d={count} or more.")
    q, _ = np.linalg.qr(np.random.default_rng([seed, _AXES]).standard_normal((d, count)))
    return np.asarray(q.T)


def _normals(values: npt.NDArray[np.int64], d: int, seed: int, stream: int) -> F64:
    """A standard normal vector for each integer: always the same one for one integer, seed and width."""
    rows = np.empty((values.size, d))
    blocks = np.floor_divide(values, _BLOCK)
    for block in np.unique(blocks):
        mask = blocks == block
        # SeedSequence takes no negative numbers: the sign is a word of its own.
        rng = np.random.default_rng([seed, stream, int(block < 0), abs(int(block))])
        rows[mask] = rng.standard_normal((_BLOCK, d))[values[mask] - block * _BLOCK]
    return rows


def _whole(model: ModelSpec, name: str, value: Any, least: int) -> int:
    real = _real(model, name, value)
    if not real.is_integer() or real < least:
        raise SourceError(f"synthetic:{model.id}: {name} is {value!r}; it must be a whole number, at least {least}.")
    return int(real)


def _real(model: ModelSpec, name: str, value: Any) -> float:
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = np.nan
    if not np.isfinite(real):
        raise SourceError(f"synthetic:{model.id}: {name} is {value!r}; it must be a number.")
    return real


def _periods(model: ModelSpec, value: Any) -> tuple[float, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    parts = list(value) if isinstance(value, list | tuple) else [value]
    periods = tuple(_real(model, "periods", part) for part in parts)
    if any(period <= 0 for period in periods):
        raise SourceError(
            f"synthetic:{model.id}: periods are {value!r}; each must be more than 0, as in periods=2,5,10."
        )
    return periods
