"""Clouds with known answers, and the transformations that invariances are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from numgeom.errors import UnknownName
from numgeom.numbers import NumberSet
from numgeom.representation import Representation
from numgeom.specs import ModelSpec, SourceSpec

F64 = npt.NDArray[np.float64]

# Random-token rows that every cloud carries, as many as a control of it may want.
SPARE = 200


def line(n: int = 40, d: int = 6, *, seed: int = 0, noise: float = 0.05) -> Representation:
    """Rows along a straight line: number ``i`` at ``i / n`` on a random unit axis, plus noise.

    Parameters
    ----------
    n, d : int
    seed : int
    noise : float
        Standard deviation in each coordinate.

    Returns
    -------
    Representation
        float64, numbers 0 .. n-1, with 200 Gaussian ``random_rows`` and as random ``string_rows`` of "00" to "09".

    Examples
    --------
    >>> line(10, 3, noise=0.0).workspace.spectrum.round(12).tolist()[1:]
    [0.0, 0.0]
    """
    rng = np.random.default_rng([seed, 1])
    axis = rng.standard_normal(d)
    position = np.arange(n) / n
    return _cloud(position[:, None] * (axis / np.linalg.norm(axis)) + noise * rng.standard_normal((n, d)), rng)


def circle(n: int = 40, d: int = 6, *, period: float = 10.0, seed: int = 0, noise: float = 0.05) -> Representation:
    """Rows on a circle of radius 1 in a random plane, one turn a ``period`` of numbers, plus noise.

    Parameters
    ----------
    n, d : int
        ``d`` at least 2.
    period : float
    seed : int
    noise : float

    Returns
    -------
    Representation

    Examples
    --------
    >>> rows = circle(20, 4, noise=0.0).matrix
    >>> bool(np.allclose(rows[:10], rows[10:]))
    True
    """
    rng = np.random.default_rng([seed, 2])
    plane = np.linalg.qr(rng.standard_normal((d, 2))).Q
    angle = 2.0 * np.pi * np.arange(n) / period
    rows = np.column_stack([np.cos(angle), np.sin(angle)]) @ plane.T
    return _cloud(rows + noise * rng.standard_normal((n, d)), rng)


def gaussian(n: int = 40, d: int = 6, *, seed: int = 0) -> Representation:
    """Independent standard normal entries; two seeds are two independent clouds.

    Parameters
    ----------
    n, d : int
    seed : int

    Returns
    -------
    Representation

    Examples
    --------
    >>> a, b = gaussian(seed=0), gaussian(seed=1)
    >>> abs(float(np.corrcoef(a.matrix.ravel(), b.matrix.ravel())[0, 1])) < 0.2
    True
    """
    rng = np.random.default_rng([seed, 3])
    return _cloud(rng.standard_normal((n, d)), rng)


def walk(n: int = 40, d: int = 6, *, seed: int = 0) -> Representation:
    """A random walk: smooth, ordered, and without any meaning.

    Parameters
    ----------
    n, d : int
    seed : int

    Returns
    -------
    Representation

    Examples
    --------
    >>> apart = walk(100, 50).workspace.distances
    >>> bool(apart[0, 1] < apart[0, 50])
    True
    """
    rng = np.random.default_rng([seed, 9])
    return _cloud(rng.standard_normal((n, d)).cumsum(axis=0), rng)


def skewed(n: int = 40, d: int = 6, *, seed: int = 0) -> Representation:
    """Columns of unequal variance, exponential tails and a common mean: no invariance holds by luck."""
    rng = np.random.default_rng([seed, 4])
    rows = rng.exponential(size=(n, d)) * np.linspace(0.3, 2.0, d) + rng.standard_normal(d)
    return _cloud(rows, rng)


def rotated(rep: Representation, *, seed: int = 0) -> Representation:
    """The same shape in other axes.

    Examples
    --------
    >>> a = circle()
    >>> bool(np.allclose(rotated(a).workspace.distances, a.workspace.distances))
    True
    """
    return transformed(rep, "orthogonal", seed=seed)


def noisy(rep: Representation, noise: float, *, seed: int = 0, keep_size: bool = False) -> Representation:
    """The cloud with Gaussian noise of ``noise`` times its root-mean-square entry (the mean set aside).

    Parameters
    ----------
    rep : Representation
    noise : float
    seed : int
    keep_size : bool
        Whether the noisy cloud is brought back to the energy of ``rep`` about its mean.
    """
    rng = np.random.default_rng([seed, 5])
    size = np.sqrt(rep.workspace.energy / rep.matrix.size)
    found = rep.with_matrix(rep.matrix + noise * size * rng.standard_normal(rep.matrix.shape))
    if not keep_size:
        return found
    centred = found.workspace.centred
    mean = np.asarray(found.matrix - centred, dtype=np.float64)
    return rep.with_matrix(mean + centred * np.sqrt(rep.workspace.energy / found.workspace.energy))


def joined(a: Representation, b: Representation) -> Representation:
    """The columns of both, each cloud at unit energy: as close to one as to the other."""
    unit = [rep.workspace.centred / np.sqrt(rep.workspace.energy) for rep in (a, b)]
    return Representation(np.hstack(unit), a.numbers)


def transformed(rep: Representation, name: str, *, seed: int = 0) -> Representation:
    """The cloud under a random transformation of one kind, its random-token and string rows under the same one.

    Parameters
    ----------
    rep : Representation
    name : str
        An invariance of :data:`numgeom.specs.INVARIANCES`.
    seed : int

    Raises
    ------
    UnknownName
        If there is no transformation of that name.

    Examples
    --------
    >>> a = gaussian()
    >>> round(float(transformed(a, "scale").matrix[0, 0] / a.matrix[0, 0]), 12)
    3.7
    """
    if name not in TRANSFORMATIONS:
        raise UnknownName("transformation", name, TRANSFORMATIONS)
    size = float(np.sqrt(rep.workspace.energy / rep.matrix.size))
    move = TRANSFORMATIONS[name](rep.d, size, np.random.default_rng([seed, 6]))
    return _each(rep, move)


Move = Callable[[F64], F64]


def _orthogonal(d: int, size: float, rng: np.random.Generator) -> Move:
    turn = _turn(d, rng)
    return lambda rows: rows @ turn


def _scale(d: int, size: float, rng: np.random.Generator) -> Move:
    return lambda rows: 3.7 * rows


def _translation(d: int, size: float, rng: np.random.Generator) -> Move:
    step = 2.0 * size * rng.standard_normal(d)
    return lambda rows: rows + step


def _permutation(d: int, size: float, rng: np.random.Generator) -> Move:
    return lambda rows: np.ascontiguousarray(np.roll(rows, 1, axis=1))


def _linear(d: int, size: float, rng: np.random.Generator) -> Move:
    # Condition number 16: far from a rotation, and harmless to the digits of a metric that allows it.
    mixing = _turn(d, rng) * np.geomspace(0.5, 8.0, d) @ _turn(d, rng)
    return lambda rows: rows @ mixing


TRANSFORMATIONS: dict[str, Callable[[int, float, np.random.Generator], Move]] = {
    "orthogonal": _orthogonal,
    "scale": _scale,
    "translation": _translation,
    "permutation": _permutation,
    "linear": _linear,
}


def implied(declared: Iterable[str]) -> frozenset[str]:
    """Declared invariances with those that follow: rotations hold column permutations, linear maps both and scale.

    Examples
    --------
    >>> sorted(implied({"orthogonal"})), sorted(implied({"linear", "translation"}))
    (['orthogonal', 'permutation'], ['linear', 'orthogonal', 'permutation', 'scale', 'translation'])
    """
    found = set(declared)
    if "linear" in found:
        found |= {"orthogonal", "scale"}
    if "orthogonal" in found:
        found.add("permutation")
    return frozenset(found)


def awkward(n: int = 40, d: int = 6, *, seed: int = 7) -> dict[str, Representation]:
    """The inputs on which careless arithmetic breaks, by what is wrong with them.

    Parameters
    ----------
    n, d : int
    seed : int

    Returns
    -------
    dict of str to Representation
        ``large_common_mean`` (float32), ``tiny`` and ``huge`` (2 to the -100 and 100), ``fewer_rows_than_columns``,
        ``more_rows_than_columns``, ``rank_deficient``, ``duplicate_rows``, ``constant_columns``, ``number_gaps``,
        ``no_variance`` (equal rows) and ``no_variance_but_rounding`` (equal rows whose mean is not quite one of them).

    Examples
    --------
    >>> awkward()["large_common_mean"].matrix.dtype.name
    'float32'
    """
    base = skewed(n, d, seed=seed)
    rows = np.array(base.matrix, dtype=np.float64)
    rng = np.random.default_rng([seed, 8])
    twice = rows.copy()
    twice[n // 2 : n // 2 + n // 4] = twice[: n // 4]
    flat = rows.copy()
    flat[:, -2:] = 1.5
    gaps = np.cumsum(rng.integers(1, 5, n)) - n
    return {
        "large_common_mean": base.with_matrix(with_common_mean(rows).astype(np.float32)),
        "tiny": _each(base, lambda rows: rows * 2.0**-100),
        "huge": _each(base, lambda rows: rows * 2.0**100),
        "fewer_rows_than_columns": skewed(n, n + 12, seed=seed),
        "more_rows_than_columns": skewed(n, min(3, d), seed=seed),
        "rank_deficient": base.with_matrix(rows[:, :2] @ rng.standard_normal((2, d))),
        "duplicate_rows": base.with_matrix(twice),
        "constant_columns": base.with_matrix(flat),
        "number_gaps": replace(base, numbers=gaps),
        "no_variance": base.with_matrix(np.tile(on_grid(rows[:1]), (n, 1))),
        "no_variance_but_rounding": base.with_matrix(np.tile(rows[:1], (n, 1))),
    }


def on_grid(rows: F64) -> F64:
    """Rows rounded to 1/8192, so that a common mean of 1024 leaves every digit in float32."""
    return np.asarray(np.round(rows * 8192.0) / 8192.0, dtype=np.float64)


def with_common_mean(rows: F64) -> F64:
    """Rows on the grid around a mean that is a thousand times their spread."""
    return on_grid(rows) + 1024.0


def _each(rep: Representation, move: Move) -> Representation:
    """All rows of a cloud, its controls included, moved alike."""
    rows, spare, strings = (
        None if held is None else move(held.astype(np.float64))
        for held in (rep.matrix, rep.random_rows, rep.string_rows)
    )
    assert rows is not None
    return replace(rep, matrix=rows, random_rows=spare, string_rows=strings)


def _turn(d: int, rng: np.random.Generator) -> F64:
    factor, upper = np.linalg.qr(rng.standard_normal((d, d)))
    return np.asarray(factor * np.sign(np.diagonal(upper)), dtype=np.float64)


def _cloud(rows: F64, rng: np.random.Generator) -> Representation:
    scale = float(np.linalg.norm(rows)) / np.sqrt(rows.size)
    spare = scale * rng.standard_normal((max(SPARE, len(rows)), rows.shape[1]))
    # Ids far above 0: their logarithms are near one another, as for tokens that are about as frequent.
    ids = 1000 + rng.permutation(len(rows) + len(spare))
    strings = tuple(f"0{digit}" for digit in range(10))
    return Representation(
        rows,
        np.arange(len(rows)),
        token_ids=ids[: len(rows)],
        provenance={"random_token_ids": ids[len(rows) :].tolist()},
        random_rows=spare,
        string_rows=scale * rng.standard_normal((len(strings), rows.shape[1])),
        strings=strings,
    )


CLOUDS = {"line": line, "circle": circle, "gaussian": gaussian, "walk": walk, "skewed": skewed}


def read_cloud(model: ModelSpec, numbers: NumberSet, *, read: str, d: int = 6, seed: int = 0) -> Representation:
    """A known cloud as a source reads it; ``model.id`` is ``line``, ``circle``, ``gaussian``, ``walk`` or ``skewed``.

    Parameters
    ----------
    model : ModelSpec
    numbers : NumberSet
        Row ``i`` of the cloud goes to the i-th number.
    read : {"vectors"}
    d, seed : int

    Raises
    ------
    UnknownName
        If there is no such cloud or reading.
    """
    if model.id not in CLOUDS:
        raise UnknownName("known cloud", model.id, CLOUDS)
    if read != "vectors":
        raise UnknownName("reading of a known cloud", read, ["vectors"])
    return replace(CLOUDS[model.id](len(numbers), d, seed=seed), numbers=numbers.array)


FAKE_SOURCE = SourceSpec(
    name="known",
    summary="Known clouds for tests of plugins: known:line, known:circle, known:gaussian, known:walk",
    target=read_cloud,
    reads=("vectors",),
    params={"d": 6, "seed": 0},
)
