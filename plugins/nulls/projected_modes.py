"""Order modes of rows as they are, and of what a regression left of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom.preprocess import regressors
from numgeom.targets import NullView
from numgeom_plugins.nulls.order_basis import SEEN, WALK, StationaryCurves, index_of
from numgeom_plugins.nulls.order_modes import BASES, FEWEST, OrderModes, fair_signs

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ProjectedView:
    """The comparison in one order basis of the complement of a design.

    Two models may have different designs (their own token frequencies), hence different modes.

    Attributes
    ----------
    name : str
        ``"n"`` or ``"log"``.
    observed : Representation
        The rows without the design and without the smooth shape.
    basis : ndarray, shape (n, m)
        The modes that are left, orthonormal and orthogonal to the design.
    coefficients : ndarray, shape (m, d)
    length : float
        Correlation length of the stationary curve whose modes these are; infinite for a walk's.
    """

    name: str
    observed: Representation
    basis: F64
    coefficients: F64
    length: float

    def signs(self, rng: np.random.Generator) -> F64:
        """One fair sign a mode, ``(m,)``: those that :meth:`draw` uses with the same generator."""
        return fair_signs(rng, self.basis.shape[1])

    def draw(self, rng: np.random.Generator) -> Representation:
        """The residual with the sign of each mode flipped at random."""
        return self.observed.with_matrix((self.basis * self.signs(rng)) @ self.coefficients)


class ProjectedOrderModes:
    """The default order-aware null: random signs of the modes of an order basis.

    The modes of the numbers are the eigenvectors of the centred covariance ``H min(t, t') H`` of a random walk in an
    index t of the numbers. The q smoothest are dropped, and every draw flips the sign of each of the others on one
    side: see the module :mod:`numgeom_plugins.nulls.order_modes`. Where the modes in n hang together as those of a
    stationary curve do, ``exp(-|t - t'| / length)`` takes the place of ``min(t, t')``; a model then has modes of its
    own, of the length that ties them least: see :mod:`numgeom_plugins.nulls.order_basis`.

    Rows of which a ``residual:`` step has left a residual get modes of their own: with P the projector beside the
    regressors, the eigenvectors of ``P min(t, t') P`` in its range. Of a random walk they are as independent as the
    modes are without a regression, whatever part of the walk the regressors took, and whatever else they took, such
    as steps between digit lengths. Flipping the signs of the plain modes of a residual is no substitute: the
    projection has tied them together, on both sides alike, and up to all pairs of unrelated curves are rejected.

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
    >>> from numgeom.preprocess import preprocess
    >>> rows = np.random.default_rng(0).standard_normal((40, 4)).cumsum(axis=0)
    >>> rep = preprocess(Representation(rows, np.arange(40)), ["residual:magnitude"])
    >>> [(view.name, view.basis.shape) for view in ProjectedOrderModes(q=20).views(rep)]
    [('n', (40, 17)), ('log', (40, 17))]
    """

    # It goes through residual steps itself: surrogates need not be drawn before them.
    projects: ClassVar[bool] = True

    def __init__(self, q: int = 20, bases: Iterable[str] | str = BASES, fit: bool = True) -> None:
        self._plain = OrderModes(q, bases, fit)
        self.q, self.bases, self.fit = self._plain.q, self._plain.bases, self._plain.fit

    def views(self, rep: Representation) -> Sequence[NullView]:
        """One view a basis.

        Parameters
        ----------
        rep : Representation

        Returns
        -------
        sequence of OrderModesView or ProjectedView

        Raises
        ------
        Incompatible
            If fewer than 8 modes are left, or nothing is left of the rows.
        """
        design = regressors(rep)
        if design is None:
            return self._plain.views(rep)
        return [self._projected(rep, design, name) for name in self.bases]

    def _projected(self, rep: Representation, design: F64, name: str) -> ProjectedView:
        modes = self._modes(rep, design, name, WALK)
        if modes.shape[1] < self.q + FEWEST:
            raise Incompatible(
                f"order modes with q={self.q} beside {rep.n - modes.shape[1]} regressors need at least "
                f"{rep.n - modes.shape[1] + self.q + FEWEST} numbers ({FEWEST} modes must be left); these are {rep.n}; "
                f"lower q, or regress on less."
            )
        length = self._fitted(rep, modes) if self.fit and name == "n" else WALK
        modes = self._modes(rep, design, name, length)[:, self.q :]
        coefficients = modes.T @ rep.workspace.centred
        # A residual at the rounding of the rows themselves would be compared as if it were signal.
        rows = (rep.origin or rep).matrix
        if float(np.square(coefficients).sum()) <= 1e-28 * float(np.square(rows, dtype=np.float64).sum()):
            raise Incompatible(
                f"the rows hold nothing but the regressors and the {self.q} smoothest modes in {name}, so order_modes "
                "has no residual to compare; type order_modes(q=0), or regress on less."
            )
        return ProjectedView(name, rep.with_matrix(modes @ coefficients), modes, coefficients, length)

    def _modes(self, rep: Representation, design: F64, name: str, length: float) -> F64:
        key = f"nulls.projected_modes.{name}.{length}"
        return rep.memo(key, lambda: projected_basis(rep.numbers, name, design, length))

    def _fitted(self, rep: Representation, modes: F64) -> float:
        """The length of the stationary curve, as for rows without regressors."""

        def derive() -> float:
            curves = StationaryCurves(index_of(rep.numbers, "n"), modes[:, : self.q + SEEN])
            coefficients = curves.modes.T @ (rep.workspace.centred / np.sqrt(rep.workspace.energy or 1.0))
            gram = coefficients @ coefficients.T
            return curves.length(gram[self.q :, self.q :], lambda: gram)

        return rep.memo(f"nulls.projected_length.{self.q}", derive)


def projected_basis(numbers: npt.NDArray[np.int64], name: str, design: F64, length: float = WALK) -> F64:
    """Eigenvectors of the kernel of a random walk or a stationary curve beside a design, by falling eigenvalue.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Strictly increasing.
    name : {"n", "log"}
    design : ndarray, shape (n, k)
        Regressors; the constant is always one of them.
    length : float
        Correlation length of the stationary curve; infinite for a walk.

    Returns
    -------
    ndarray, shape (n, n - r)
        Orthonormal; r is the rank of the design and the constant together.

    Examples
    --------
    >>> basis = projected_basis(np.arange(6), "n", np.arange(6.0)[:, None])
    >>> basis.shape, bool(np.allclose(basis.T @ np.arange(6), 0.0))
    ((6, 4), True)
    """
    index = index_of(numbers, name)
    index = index - index[0]
    if length == WALK:
        kernel = np.minimum.outer(index, index)
    else:
        kernel = np.exp(-np.abs(np.subtract.outer(index, index)) / length)
    columns = np.column_stack([np.ones_like(index), design])
    sizes = np.linalg.norm(columns, axis=0)
    left, strengths, _ = np.linalg.svd(columns[:, sizes > 0] / sizes[sizes > 0], full_matrices=True)
    beside = left[:, int(np.count_nonzero(strengths > 1e-10 * strengths[0])) :]
    _, vectors = np.linalg.eigh(beside.T @ kernel @ beside)
    basis = np.ascontiguousarray(beside @ vectors[:, ::-1])
    basis.setflags(write=False)
    return basis
