"""Band-resolved CKA: on which frequencies along the numbers two models agree beyond order.

A band is a few directions Q over the numbers: the waves of one period, or the smoothest order modes. Projected on
those alone, any two wide clouds agree: a one-dimensional Gram is the same for all, and in more dimensions noise
gives a multiple of the identity. Two things prevent that here.

- Debiasing. With V the order modes in n, the Gram ``V'KV`` of a cloud whose modes are independent (white noise, a
  random walk, nearly any stationary process) is diagonal on average, whatever its spectrum. So its diagonal is set
  to 0, as debiased CKA sets that of K to 0: ``K0 = V offdiag(V'KV) V'`` is 0 on average where order is all there is.
- Neighbours. The band is compared together with the directions N beside it, which show what no line looks like:
  ``B = (Q N)' K0 (Q N)``.

The score is the cosine of the two B. Where a band stands out in both models it is the agreement of its shape; where
it stands out in one or in none, it is near 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.trace import MatrixCorrelation, no_contrast
from numgeom_plugins.nulls.order_basis import order_basis

F64 = npt.NDArray[np.float64]

# The primitive frequencies l / T, gcd(l, T) = 1, up to 1/2.
LINES = {"t2": (1 / 2,), "t5": (1 / 5, 2 / 5), "t10": (1 / 10, 3 / 10)}
# How many order modes are the band "low", and how many after them are its neighbours.
LOW = 10
# Neighbours of a line: this many steps of one over the span of the numbers, on either side.
BESIDE = 4
# A direction that others explain but for this share of its length is not told from them.
DISTINCT = 0.1


class _BandCKA(MatrixCorrelation):
    band: ClassVar[str]

    def matrix(self, rep: Representation) -> F64:
        """The debiased Gram of the band and its neighbours."""
        numbers = tuple(int(number) for number in rep.numbers)
        lines, beside = band_directions(numbers, self.band)
        directions = np.hstack([lines, beside])
        # At unit energy, so that squares neither vanish nor overflow.
        size = np.sqrt(rep.workspace.energy)
        rows = directions.T @ (rep.workspace.centred / size)
        gram: F64 = rows @ rows.T
        total = np.linalg.norm(gram)
        if total <= 1e-24:
            raise no_contrast(self.name, "the rows hold nothing in this band")
        weights = order_basis(numbers, "n").T @ directions
        gram -= (weights.T * _mode_power(rep)) @ weights
        if np.linalg.norm(gram) <= 1e-12 * total:
            raise no_contrast(self.name, "no two order modes hang together in this band")
        return gram


def _mode_power(rep: Representation) -> F64:
    """Power of every order mode at unit energy, ``(n - 1,)``, as read beside the waves of periods 2, 5 and 10.

    With R the projector beside the waves, in mode coordinates, independent modes of power p give
    ``E (R V'KV R)_kk = sum_j R_kj^2 p_j``, which is solved for p: exact for any spectrum, and blind to codes.
    The few modes that are nearly waves themselves are interpolated between the modes next to them.
    """

    def derive() -> F64:
        numbers = tuple(int(number) for number in rep.numbers)
        modes = order_basis(numbers, "n")
        projector, known, system, fill = _beside_waves(numbers)
        gram = modes.T @ (rep.workspace.gram / rep.workspace.energy) @ modes
        left = np.einsum("ki,ik->k", projector @ gram, projector)
        return np.asarray(fill @ np.linalg.lstsq(system, left[known], rcond=None)[0], dtype=np.float64)

    return rep.memo("convergence.mode_power", derive)


@lru_cache(maxsize=2)
def _beside_waves(numbers: tuple[int, ...]) -> tuple[F64, npt.NDArray[np.intp], F64, F64]:
    """Projector beside the waves, the modes that it leaves, the system for their powers, and what completes them."""
    modes = order_basis(numbers, "n")
    waves = modes.T @ _orthonormal(np.hstack(list(_all_waves(numbers).values())), modes[:, :0])
    projector = np.eye(len(waves)) - waves @ waves.T
    known = np.flatnonzero(np.diagonal(projector) > 0.5)
    place = np.arange(len(waves))
    fill = np.stack([np.interp(place, known, row) for row in np.eye(len(known))], axis=1)
    return projector, known, np.square(projector[known]) @ fill, fill


class BandT2(_BandCKA):
    """Agreement at period 2, parity: debiased CKA of the band of frequency 1/2, in [-1, 1].

    The neighbours are the frequencies ``1/2 - j/s``, j = 1..4, for numbers that span s; the ten smoothest order
    modes and the waves of periods 5 and 10 are projected out first. Near 0 for clouds without a line at period 2,
    unrelated curves among them, and where only one of the two has it. At least 100 numbers, gaps allowed.
    Invariant to rotation, isotropic scale and translation.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = [np.outer((-1.0) ** np.arange(100), rng.standard_normal(50)) for _ in range(2)]
    >>> metric = BandT2()
    >>> a, b = (metric.prepare(Representation(x + rng.standard_normal((100, 50)), np.arange(100))) for x in rows)
    >>> metric.score(a, b) > 0.7
    True
    """

    name = "cka_band_t2"
    band = "t2"


class BandT5(_BandCKA):
    """Agreement at period 5: debiased CKA of the band of frequencies 1/5 and 2/5, in [-1, 1].

    As :class:`BandT2`, with the neighbours ``l/5 + j/s``, j = -4..4, and the waves of periods 2 and 10 projected
    out. A code of n modulo 5 lies in this band alone; one of n modulo 10 has a part in it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = [rng.standard_normal((5, 50))[np.arange(100) % 5] for _ in range(2)]
    >>> metric = BandT5()
    >>> a, b = (metric.prepare(Representation(x + rng.standard_normal((100, 50)), np.arange(100))) for x in rows)
    >>> metric.score(a, b) > 0.7
    True
    """

    name = "cka_band_t5"
    band = "t5"


class BandT10(_BandCKA):
    """Agreement at period 10 and not at 2 or 5: debiased CKA of the band of frequencies 1/10 and 3/10, in [-1, 1].

    As :class:`BandT2`, with the neighbours ``l/10 + j/s``, j = -4..4, and the waves of periods 2 and 5 projected
    out: of a code of the last digit, what is neither parity nor the residue modulo 5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = [rng.standard_normal((10, 50))[np.arange(100) % 10] for _ in range(2)]
    >>> metric = BandT10()
    >>> a, b = (metric.prepare(Representation(x + rng.standard_normal((100, 50)), np.arange(100))) for x in rows)
    >>> metric.score(a, b) > 0.7
    True
    """

    name = "cka_band_t10"
    band = "t10"


class BandLow(_BandCKA):
    """Agreement in the smooth shape beyond order: debiased CKA of the ten smoothest order modes in n, in [-1, 1].

    The neighbours are the next ten order modes; the waves of periods 2, 5 and 10 are projected out. The diagonal
    of the modes is 0, so that two unrelated walks, which have the same power in every mode, score near 0. Curves
    that slow down together, as all do that move in log n, score high: that is order too.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> metric = BandLow()
    >>> walks = (Representation(rng.standard_normal((100, 50)).cumsum(axis=0), np.arange(100)) for _ in range(2))
    >>> abs(metric.score(*map(metric.prepare, walks))) < 0.3
    True
    """

    name = "cka_band_low"
    band = "low"


class BandRest(_BandCKA):
    """Agreement outside the other bands: debiased CKA of the order modes in n beyond the first ten, in [-1, 1].

    The waves of periods 2, 5 and 10 are projected out. What agrees is how the modes hang together, not how much
    power each of them has.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> metric = BandRest()
    >>> walks = (Representation(rng.standard_normal((100, 50)).cumsum(axis=0), np.arange(100)) for _ in range(2))
    >>> abs(metric.score(*map(metric.prepare, walks))) < 0.3
    True
    """

    name = "cka_band_rest"
    band = "rest"


@lru_cache(maxsize=16)
def band_directions(numbers: tuple[int, ...], band: str) -> tuple[F64, F64]:
    """Orthonormal directions over the numbers: those of a band, and those beside it.

    Parameters
    ----------
    numbers : tuple of int, length n
        Strictly increasing.
    band : {"t2", "t5", "t10", "low", "rest"}

    Returns
    -------
    lines : ndarray, shape (n, m)
        m is 1, 4, 4, 10 and 0.
    beside : ndarray, shape (n, k)

    Raises
    ------
    Incompatible
        If on these numbers the band cannot be told from the others.

    Examples
    --------
    >>> lines, beside = band_directions(tuple(range(100)), "t5")
    >>> lines.shape, beside.shape
    ((100, 4), (100, 32))
    """
    modes = order_basis(numbers, "n")
    waves = _all_waves(numbers)
    if band in LINES:
        others = [wave for name, wave in waves.items() if name != band]
        lines = _orthonormal(waves[band], np.hstack([modes[:, :LOW], *others]))
        step = 1.0 / (numbers[-1] - numbers[0] + 1)
        offsets = [sign * j * step for j in range(1, BESIDE + 1) for sign in (-1, 1)]
        near = [line + offset for offset in offsets for line in LINES[band] if line + offset < 0.5]
        beside = _orthonormal(_waves(numbers, near), np.hstack([modes[:, :LOW], *waves.values()]))
        wanted = waves[band].shape[1]
    else:
        held = np.hstack(list(waves.values()))
        lines = _orthonormal(modes[:, :LOW] if band == "low" else modes[:, :0], held)
        further = modes[:, LOW : 2 * LOW] if band == "low" else modes[:, LOW:]
        beside = _orthonormal(further, np.hstack([held, modes[:, :LOW]]))
        wanted = LOW if band == "low" else 0
    if lines.shape[1] < wanted or beside.shape[1] < BESIDE:
        raise Incompatible(
            f"on these {len(numbers)} numbers the band {band} is not told from the others, as they do not take all "
            "last digits; give consecutive numbers such as 0..99."
        )
    return lines, beside


def _all_waves(numbers: tuple[int, ...]) -> dict[str, F64]:
    return {name: _waves(numbers, frequencies) for name, frequencies in LINES.items()}


def _waves(numbers: tuple[int, ...], frequencies: list[float] | tuple[float, ...]) -> F64:
    """Cosine and sine of every frequency at unit length, ``(n, 2 m)``; the sine of 1/2 is 0 and left out."""
    angles = 2.0 * np.pi * np.outer(np.array(numbers, dtype=np.float64), frequencies)
    columns = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(numbers), -1)
    size = np.linalg.norm(columns, axis=0)
    keep = size > 1e-6 * np.sqrt(len(numbers))
    return np.asarray(columns[:, keep] / size[keep], dtype=np.float64)


def _orthonormal(columns: F64, against: F64) -> F64:
    """The columns without the mean, ``against`` and those before them, at unit length; too short ones are dropped."""
    found = np.linalg.qr(np.hstack([np.ones((len(columns), 1)), against])).Q
    first = found.shape[1]
    for column in columns.T:
        rest = column - found @ (found.T @ column)
        size = np.linalg.norm(rest)
        if size > DISTINCT:
            # A second pass takes out what rounding left of the first.
            rest = rest / size
            rest -= found @ (found.T @ rest)
            found = np.column_stack([found, rest / np.linalg.norm(rest)])
    kept: F64 = np.ascontiguousarray(found[:, first:])
    kept.setflags(write=False)
    return kept
