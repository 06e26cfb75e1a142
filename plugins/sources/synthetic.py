"""Number embeddings with known answers, for tests, teaching and calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
    amplitudes: Any = "",
) -> Representation:
    r"""Rows by formula; the row of ``n`` does not depend on the other numbers of the set.

    With orthonormal axes :math:`u_i` (of a random rotation) and iid standard normal :math:`e_n \in R^d`:

    ========  =====================================================================================
    recipe    row of n
    ========  =====================================================================================
    line      :math:`n u_0`
    log_line  :math:`\mathrm{sign}(n) \log(1 + |n|) u_0`
    circle    :math:`\cos(2 \pi n/T) u_0 + \sin(2 \pi n/T) u_1`, the first of ``periods``, or T = 10
    helix     :math:`(n/100) u_0 + \sum_i a_i (\cos(2 \pi n/T_i) u_{2i-1} + \sin(2 \pi n/T_i) u_{2i})`
    digits    :math:`\sum_k e_{k, d_k(n)}` with :math:`d_k` the k-th digit from the right: an additive digit code
    residues  :math:`e_{n \bmod T}`, the first of ``periods``, or T = 10: a code of classes in no order
    copies    :math:`e_{\lfloor n/10 \rfloor}`: ten numbers share one row
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
        Of circle, residues and helix; helix: 2, 5, 10, 100 by default.
    amplitudes : sequence of float, or str such as ``"1,.5"``
        Of the helix, one a period; 1 by default.

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
    given["amplitudes"] = amplitudes
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in given:
            raise UnknownName(f"parameter of synthetic:{recipe}", key, given)
        given[key] = value
    width = _whole(model, "d", given["d"], least=1)
    root = _whole(model, "seed", given["seed"], least=0)
    spread = _real(model, "noise", given["noise"])
    if spread < 0:
        raise SourceError(f"synthetic:{model.id}: noise is {spread:g}; it is a standard deviation, 0 or more.")
    rhythm = Rhythm(_positive(model, "periods", given["periods"]), _positive(model, "amplitudes", given["amplitudes"]))
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
            "periods": list(rhythm.periods),
            "amplitudes": list(rhythm.amplitudes),
            "form": "value",
            "notes": [],
        },
        random_rows=control * (scale / np.linalg.norm(control, axis=1, keepdims=True)),
    )


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Periods of a recipe and their amplitudes; empty for its own."""

    periods: tuple[float, ...]
    amplitudes: tuple[float, ...]


def _line(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    return values[:, None] * _axes(model, 1, d, seed)


def _log_line(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    return (np.sign(values) * np.log1p(np.abs(values)))[:, None] * _axes(model, 1, d, seed)


def _circle(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    waves = _waves(values, (rhythm.periods or (10.0,))[:1])
    return waves @ _axes(model, 2, d, seed)


def _helix(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    periods = rhythm.periods or HELIX_PERIODS
    sizes = rhythm.amplitudes or (1.0,) * len(periods)
    if len(sizes) != len(periods):
        raise SourceError(
            f"synthetic:{model.id}: {len(sizes)} amplitudes for {len(periods)} periods; give one for each."
        )
    waves = np.column_stack([values / 100.0, _waves(values, periods) * np.repeat(sizes, 2)])
    return waves @ _axes(model, waves.shape[1], d, seed)


def _digits(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    rest, place = np.abs(values), 0
    rows = np.zeros((values.size, d))
    while place == 0 or rest.any():
        # A digit that is not written has no direction: 7 is not 07.
        written = (rest > 0) | (place == 0)
        rows += written[:, None] * _normals(10 * place + rest % 10, d, seed, _STEPS)
        rest, place = rest // 10, place + 1
    return rows


def _residues(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    modulus = _whole(model, "periods", (rhythm.periods or (10.0,))[0], least=2)
    return _normals(values % modulus, d, seed, _STEPS)


def _copies(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    return _normals(values // 10, d, seed, _STEPS)


def _walk(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
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


def _iid(model: ModelSpec, values: npt.NDArray[np.int64], d: int, seed: int, rhythm: Rhythm) -> F64:
    return _normals(values, d, seed, _STEPS)


RECIPES: dict[str, Callable[[ModelSpec, npt.NDArray[np.int64], int, int, Rhythm], F64]] = {
    "circle": _circle,
    "copies": _copies,
    "digits": _digits,
    "helix": _helix,
    "iid": _iid,
    "line": _line,
    "log_line": _log_line,
    "residues": _residues,
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


def _positive(model: ModelSpec, name: str, value: Any) -> tuple[float, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    parts = list(value) if isinstance(value, list | tuple) else [value]
    numbers = tuple(_real(model, name, part) for part in parts)
    if any(number <= 0 for number in numbers):
        raise SourceError(f"synthetic:{model.id}: {name} are {value!r}; each must be more than 0, as in {name}=2,5,10.")
    return numbers
