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
    """

    name: str
    observed: Representation
    basis: F64
    coefficients: F64

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
    side: see the module :mod:`numgeom_plugins.nulls.order_modes`.

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

    def __init__(self, q: int = 20, bases: Iterable[str] | str = BASES) -> None:
        self._plain = OrderModes(q, bases)
        self.q, self.bases = self._plain.q, self._plain.bases

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
        modes = rep.memo(f"nulls.projected_modes.{name}", lambda: projected_basis(rep.numbers, name, design))
        if modes.shape[1] < self.q + FEWEST:
            raise Incompatible(
                f"order modes with q={self.q} beside {rep.n - modes.shape[1]} regressors need at least "
                f"{rep.n - modes.shape[1] + self.q + FEWEST} numbers ({FEWEST} modes must be left); these are {rep.n}; "
                f"lower q, or regress on less."
            )
        modes = modes[:, self.q :]
        coefficients = modes.T @ rep.workspace.centred
        # A residual at the rounding of the rows themselves would be compared as if it were signal.
        rows = (rep.origin or rep).matrix
        if float(np.square(coefficients).sum()) <= 1e-28 * float(np.square(rows, dtype=np.float64).sum()):
            raise Incompatible(
                f"the rows hold nothing but the regressors and the {self.q} smoothest modes in {name}, so order_modes "
                "has no residual to compare; type order_modes(q=0), or regress on less."
            )
        return ProjectedView(name, rep.with_matrix(modes @ coefficients), modes, coefficients)


def projected_basis(numbers: npt.NDArray[np.int64], name: str, design: F64) -> F64:
    """Eigenvectors of the random-walk kernel of ``numbers`` beside a design, by falling eigenvalue.

    Parameters
    ----------
    numbers : ndarray of int, shape (n,)
        Strictly increasing.
    name : {"n", "log"}
    design : ndarray, shape (n, k)
        Regressors; the constant is always one of them.

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
    values = numbers.astype(np.float64)
    index = values if name == "n" else np.sign(values) * np.log1p(np.abs(values))
    index = index - index.min()
    columns = np.column_stack([np.ones_like(values), design])
    sizes = np.linalg.norm(columns, axis=0)
    left, strengths, _ = np.linalg.svd(columns[:, sizes > 0] / sizes[sizes > 0], full_matrices=True)
    beside = left[:, int(np.count_nonzero(strengths > 1e-10 * strengths[0])) :]
    _, vectors = np.linalg.eigh(beside.T @ np.minimum.outer(index, index) @ beside)
    basis = np.ascontiguousarray(beside @ vectors[:, ::-1])
    basis.setflags(write=False)
    return basis
