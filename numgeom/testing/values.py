"""How measured values are compared, and whether an input was left as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.representation import Representation
from numgeom.testing.check import require
from numgeom.workspace import Workspace

# Two values are the same if they differ by less than this share of the larger (or of 1): half the digits of
# float64, which is what a square root near zero leaves.
SAME = 1e-7
# The score of identical representations may miss its bound by this much.
EXACT = 1e-6

Values = Mapping[str, float]


def differ(a: float, b: float) -> float:
    """``|a - b|`` relative to the larger of 1, ``|a|`` and ``|b|``.

    Examples
    --------
    >>> differ(1.0, 1.5), differ(1e12, 1.0000001e12) < 1e-6
    (0.3333333333333333, True)
    """
    return abs(a - b) / max(1.0, abs(a), abs(b)) if a != b else 0.0


def largest_difference(a: Values, b: Values) -> float:
    """The largest of :func:`differ` over all measures; infinite where the names differ."""
    if set(a) != set(b):
        return float("inf")
    return max((differ(a[name], b[name]) for name in a), default=0.0)


def require_range(value: float, bounds: tuple[float, float], where: str) -> None:
    """Refuse a value that is not finite or lies outside ``bounds``, be it by a rounding error."""
    require(bool(np.isfinite(value)), f"{where}: it gave {value}; raise numgeom.Incompatible where there is no value")
    low, high = bounds
    require(low <= value <= high, f"{where}: {value!r} lies outside the declared range [{low:g}, {high:g}]")


def text(value: float | Values) -> str:
    """A value or several, in a few digits."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number:.6g}" for name, number in value.items())
    return f"{value:.9g}"


class Untouched:
    """What a representation was before plugin code saw it.

    Parameters
    ----------
    reps : sequence of Representation
        Their arrays are made writable, so that a change is seen instead of an error about read-only arrays.

    Examples
    --------
    >>> rep = Representation(np.eye(3), np.arange(3))
    >>> watched = Untouched([rep])
    >>> watched.require_same()
    >>> rep.matrix[0, 0] = 2.0
    >>> watched.require_same()
    Traceback (most recent call last):
    numgeom.testing.check.CheckFailed: it changed its input: matrix
    """

    def __init__(self, reps: Sequence[Representation]) -> None:
        self._reps = reps
        for rep in reps:
            rep.matrix.setflags(write=True)
        self._before = [_digests(rep) for rep in reps]

    def require_same(self) -> None:
        """Raise :class:`CheckFailed` naming what was changed, derived quantities included."""
        for rep, before in zip(self._reps, self._before, strict=True):
            now = _digests(rep)
            changed = [name for name in before if before[name] != now[name]]
            require(not changed, f"it changed its input: {', '.join(changed)}")
            fresh = Workspace(np.array(rep.matrix))
            for name in _DERIVED:
                parts = zip(_arrays(getattr(rep.workspace, name)), _arrays(getattr(fresh, name)), strict=True)
                same = all(a.shape == b.shape and np.array_equal(a, b) for a, b in parts)
                require(same, f"it changed its input: workspace.{name}, which other metrics share")


_DERIVED = ("centred", "gram", "squared_distances", "distances", "cosines", "thin", "spectrum")


def _arrays(value: Any) -> list[npt.NDArray[Any]]:
    return list(value) if isinstance(value, tuple) else [value]


def _digests(rep: Representation) -> dict[str, str]:
    found = {}
    for name in ("matrix", "numbers", "token_ids", "random_rows", "string_rows"):
        array = getattr(rep, name)
        found[name] = "" if array is None else hashlib.blake2b(np.ascontiguousarray(array).tobytes()).hexdigest()
    found["provenance"] = repr(sorted(rep.provenance.items()))
    if rep.origin is not None:
        found.update({f"origin.{name}": digest for name, digest in _digests(rep.origin).items()})
    return found
