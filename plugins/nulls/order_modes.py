"""Order modes: whether an agreement is more than that of two ordered curves.

Let V hold the eigenvectors of the centred random-walk kernel ``H min(t_i, t_j) H`` by falling eigenvalue, for
an index t of the numbers, or those of a stationary curve where the rows look like one: see
:mod:`numgeom_plugins.nulls.order_basis`. The modes ``V'X`` of such a curve are independent. The first q, the smooth
shape itself, are dropped from both sides; the signs of the other modes of one side are then flipped at random.
That keeps the power of every mode, the width, the noise and the projection, and destroys what ties modes
together: periodic codes, digit classes, helices. Under independent symmetric modes the test is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.nulls.cosine_modes import (
    gram_by_cosines,
    modes_by_cosines,
    rows_by_cosines,
    weighted_by_cosines,
)
from numgeom_plugins.nulls.order_basis import WALK, order_basis, product_weighted, stationary_curves, turn_between

F64 = npt.NDArray[np.float64]

BASES = ("n", "log")

# With m modes there are 2^(m - 1) distinct draws, as flipping all signs changes nothing: 8 modes reach p < .01.
FEWEST = 8
# A mode with less of the energy than this is not taken from the Gram, whose rounding is 1e-16 of the energy.
SMALLEST_MODE = 1e-6


@dataclass(frozen=True, eq=False)
class OrderModesView:
    """The comparison in one order basis.

    Attributes
    ----------
    name : str
        ``"n"`` or ``"log"``.
    rep : Representation
        The rows themselves.
    basis : ndarray, shape (n, m)
        The modes that are left, orthonormal and each of mean 0; m = n - 1 - q.
    length : float
        Correlation length of the stationary curve whose modes these are; infinite for a walk's.
    """

    name: str
    rep: Representation
    basis: F64
    length: float

    @property
    def dropped(self) -> int:
        """How many smooth modes are left out."""
        return len(self.basis) - 1 - int(self.basis.shape[1])

    @cached_property
    def coefficients(self) -> F64:
        """The rows in that basis, ``(m, d)``."""
        return _modes_of(self.rep, self.rep.workspace.centred, self.name, self.dropped, self.length)

    @cached_property
    def observed(self) -> Representation:
        """The residual ``basis @ coefficients``: the rows without the smooth shape."""
        return self.rep.with_matrix(self._rows(self.coefficients))

    @property
    def gram(self) -> F64:
        """Inner products of the modes, ``(m, m)``, at unit norm; see :func:`mode_gram`."""
        return mode_gram(self.rep, self.name, self.dropped, self.length)

    @property
    def squared_norms(self) -> F64 | None:
        """Squared row norms of the residual, ``(n,)``, at the scale of :attr:`gram`; None where rounding could show.

        With L the smooth modes, those of ``(I - LL') G (I - LL')``: no product of two large matrices.
        """

        def derive() -> F64 | None:
            smooth = order_basis(_numbers(self.rep), self.name, self.length)[:, : self.dropped]
            gram = self.rep.workspace.gram
            across = gram @ smooth
            norms = np.diagonal(gram) - 2.0 * np.einsum("ij,ij->i", across, smooth)
            norms += np.einsum("ij,ij->i", smooth @ (smooth.T @ across), smooth)
            total = float(norms.sum())
            if total < SMALLEST_MODE * self.rep.workspace.energy:
                return None
            return np.asarray(np.clip(norms, 0.0, None) * (np.trace(self.gram) / total), dtype=np.float64)

        return self.rep.memo(f"nulls.squared_norms.{self.name}.{self.dropped}.{self.length}", derive)

    def weighted(self, weights: F64) -> F64:
        """``V' diag(weights) V`` of the modes V, ``(m, m)``; weights are ``(n,)`` and not negative."""
        if _by_cosines(self.rep, self.name):
            every = weighted_by_cosines(weights, _numbers(self.rep), self.length)
            return every[self.dropped :, self.dropped :]
        return product_weighted(self.basis, weights)

    def turn_to(self, other: object) -> F64 | None:
        """``V'W`` with W the modes of another view: of those that stationary curves turn, the others being the same.

        None where the other has no such modes.
        """
        if not isinstance(other, OrderModesView) or other.name != self.name or other.basis.shape != self.basis.shape:
            return None
        numbers = _numbers(self.rep)
        if _numbers(other.rep) != numbers:
            return None
        return turn_between(numbers, self.name, self.length, other.length)[self.dropped :, self.dropped :]

    def signs(self, rng: np.random.Generator) -> F64:
        """One fair sign a mode, ``(m,)``: those that :meth:`draw` uses with the same generator."""
        return fair_signs(rng, self.basis.shape[1])

    def draw(self, rng: np.random.Generator) -> Representation:
        """The residual with the sign of each mode flipped at random."""
        return self.observed.with_matrix(self._rows(self.signs(rng)[:, None] * self.coefficients))

    def _rows(self, coefficients: F64) -> F64:
        """``basis @ coefficients``."""
        if _by_cosines(self.rep, self.name):
            return rows_by_cosines(coefficients, _numbers(self.rep), self.length)
        return np.asarray(self.basis @ coefficients, dtype=np.float64)


class OrderModes:
    """The default order-aware null: random signs of the modes of an order basis.

    Parameters
    ----------
    q : int
        How many of the smoothest modes are dropped.
    bases : sequence of {"n", "log"}
        Indices t: the number itself, or ``log(n + 1)`` (``-log(1 - n)`` below 0); the larger p counts.
    fit : bool
        Whether the modes in n are those of a stationary curve where the rows look like one; else always a walk's.

    Notes
    -----
    The kernel does not change when t is shifted (``H 11' = 0``), so any integers will do. Rescaling t scales
    its eigenvalues only.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((30, 4)).cumsum(axis=0)
    >>> views = OrderModes(q=20).views(Representation(rows, np.arange(30)))
    >>> [(view.name, view.basis.shape, view.coefficients.shape) for view in views]
    [('n', (30, 9), (9, 4)), ('log', (30, 9), (9, 4))]
    """

    def __init__(self, q: int = 20, bases: Iterable[str] | str = BASES, fit: bool = True) -> None:
        self.q, self.fit = int(q), bool(fit)
        self.bases = (bases,) if isinstance(bases, str) else tuple(bases)
        unknown = [name for name in self.bases if name not in BASES]
        if unknown or not self.bases:
            raise Incompatible(
                f"order_modes has the bases {' and '.join(BASES)}, not {', '.join(unknown) or 'none'}; "
                "type order_modes(bases=n), or leave bases away for both."
            )
        if self.q < 0:
            raise Incompatible(f"order_modes cannot drop q={self.q} modes; type order_modes(q=20), or q=0 for none.")

    def views(self, rep: Representation) -> Sequence[OrderModesView]:
        """One view a basis.

        Parameters
        ----------
        rep : Representation

        Returns
        -------
        sequence of OrderModesView

        Raises
        ------
        Incompatible
            If fewer than 8 modes are left (n < q + 9), or nothing is left of the rows.
        """
        return [self._view(rep, name) for name in self.bases]

    def _view(self, rep: Representation, name: str) -> OrderModesView:
        length = fitted_length(rep, self.q) if self.fit and name == "n" else WALK
        view = OrderModesView(name, rep, residual_modes(rep, name, self.q, length), length)
        mode_gram(rep, name, self.q, length)
        return view


def fair_signs(rng: np.random.Generator, modes: int) -> F64:
    """Independent signs, ``(modes,)``."""
    return np.asarray(2.0 * rng.integers(0, 2, modes) - 1.0, dtype=np.float64)


def fitted_length(rep: Representation, q: int) -> float:
    """Correlation length of the stationary curve in n whose modes tie the rows least; derived once a representation.

    It is infinite, and the modes those of a walk, unless modes beyond the first ``q`` are seen to hang together as
    those of a stationary curve do.

    Parameters
    ----------
    rep : Representation
    q : int

    Returns
    -------
    float
        In units of n.

    Raises
    ------
    Incompatible
        If fewer than 8 modes are left, or nothing is left of the rows.
    """

    def derive() -> float:
        gram = mode_gram(rep, "n", q)
        curves = stationary_curves(_numbers(rep), "n", q)
        seen = max(curves.modes.shape[1] - q, 0)

        def every() -> F64:
            work = rep.workspace
            found = curves.modes.T @ (work.gram @ curves.modes) / work.energy
            if float(np.diagonal(found).min()) < SMALLEST_MODE:
                coefficients = curves.modes.T @ (work.centred / np.sqrt(work.energy))
                found = coefficients @ coefficients.T
            return np.asarray(found, dtype=np.float64)

        return curves.length(gram[:seen, :seen], every)

    return rep.memo(f"nulls.fitted_length.{q}", derive)


def mode_gram(rep: Representation, name: str, q: int, length: float = WALK) -> F64:
    """Inner products of the modes of ``rep`` beyond the first ``q``, at unit norm; derived once a representation.

    With V the modes and G the centred Gram it is ``V'GV``, which costs no product with the rows; for consecutive
    numbers and a walk in n, V is the cosine transform. Where a mode holds so little that G's rounding is felt,
    it comes from the coefficients ``V'X`` instead.

    Parameters
    ----------
    rep : Representation
    name : {"n", "log"}
    q : int
    length : float
        Of a stationary curve, or infinite.

    Returns
    -------
    ndarray, shape (n - 1 - q, n - 1 - q)

    Raises
    ------
    Incompatible
        If fewer than 8 modes are left, or nothing is left of the rows.
    """

    def derive() -> F64:
        _require_modes(rep, q)
        work = rep.workspace
        gram = np.zeros((1, 1))
        if rep.d > rep.n and work.energy > 0.0:
            gram = _transformed(rep, name, q, length)
        if float(np.diagonal(gram).min()) < SMALLEST_MODE:
            coefficients = _modes_of(rep, work.centred / np.sqrt(work.energy or 1.0), name, q, length)
            gram = coefficients @ coefficients.T
            total = float(np.square(rep.matrix / np.sqrt(work.energy or 1.0), dtype=np.float64).sum())
            # A residual at the rounding of the rows themselves would be compared as if it were signal.
            if float(np.trace(gram)) <= 1e-28 * total:
                raise Incompatible(
                    f"the rows hold nothing but the {q} smoothest modes in {name}, so order_modes has no residual to "
                    "compare; type order_modes(q=0) to compare the smooth shape itself."
                )
        gram /= np.linalg.norm(gram)
        return np.asarray(gram, dtype=np.float64)

    return rep.memo(f"nulls.mode_gram.{name}.{q}.{length}", derive)


def _transformed(rep: Representation, name: str, q: int, length: float) -> F64:
    """``V'GV`` at unit energy."""
    from scipy.linalg.blas import dtrmm

    gram, numbers = rep.workspace.gram / rep.workspace.energy, _numbers(rep)
    if _by_cosines(rep, name):
        return np.ascontiguousarray(gram_by_cosines(gram, numbers, length)[q:, q:])
    basis = order_basis(numbers, name, length)[:, q:]
    # Half of the symmetric G, by a triangular product: V'GV = W + W' with W = V'TV.
    np.fill_diagonal(gram, 0.5 * np.diagonal(gram))
    half = dtrmm(1.0, gram.T, basis.T, side=1, lower=1) @ basis
    return np.asarray(half + half.T, dtype=np.float64)


def _by_cosines(rep: Representation, name: str) -> bool:
    """Whether the modes of a walk are those of the cosine transform."""
    return name == "n" and rep.is_contiguous


def _modes_of(rep: Representation, rows: F64, name: str, q: int, length: float) -> F64:
    """``V'X`` of rows on the numbers of ``rep``, beyond the first ``q`` modes."""
    if _by_cosines(rep, name):
        return modes_by_cosines(rows, _numbers(rep), length)[q:]
    return np.asarray(residual_modes(rep, name, q, length).T @ rows, dtype=np.float64)


def residual_modes(rep: Representation, name: str, q: int, length: float = WALK) -> F64:
    """The modes of one order basis beyond the first ``q``, ``(n, n - 1 - q)``.

    Parameters
    ----------
    rep : Representation
        Only its numbers are read.
    name : {"n", "log"}
    q : int
    length : float
        Of a stationary curve, or infinite.

    Returns
    -------
    ndarray, shape (n, n - 1 - q)

    Raises
    ------
    Incompatible
        If fewer than 8 modes are left.
    """
    _require_modes(rep, q)
    return order_basis(_numbers(rep), name, length)[:, q:]


def _require_modes(rep: Representation, q: int) -> None:
    """Refuse numbers of which too few modes are left beyond the first ``q``."""
    least = q + 1 + FEWEST
    if rep.n < least:
        room = rep.n - 1 - FEWEST
        remedy = (
            f"lower q to {room} or less: order_modes(q={room})" if room > 0
            else "lower q: order_modes(q=0)" if room == 0
            else f"give at least {FEWEST + 1} numbers and order_modes(q=0)"
        )  # fmt: skip
        raise Incompatible(
            f"order modes with q={q} need at least {least} numbers ({FEWEST} modes must be left); these are {rep.n}; "
            f"{remedy}."
        )


def _numbers(rep: Representation) -> tuple[int, ...]:
    return tuple(rep.numbers.tolist())
