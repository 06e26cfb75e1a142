"""What a metric asks of a view of order modes, and sums over sign flips of those modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom.targets import same_basis
from numgeom_plugins.nulls.order_basis import product_weighted, turned

F64 = npt.NDArray[np.float64]
T = TypeVar("T")

# Up to so many modes a cube costs less than what else is done with them.
EXACT = 512
# For more modes: columns of the sketch, random signs without one, and random signs beside it.
SKETCH, FEW, PROBES = 24, 12, 48
# The standard error of a cube's trace, at norm 1, with which few signs will do: a skewness is then right to .02.
CUBE_ERROR = 0.0015


class Modes(Protocol):
    """A null's view whose residual is ``basis @ coefficients``, as ``order_modes`` gives it.

    A view may also have ``gram``, the inner products of its modes at unit norm, ``squared_norms`` of the rows of its
    residual at the scale of ``gram``, ``weighted``, a faster :func:`weighted`, ``turn_to(other)``, that is
    ``basis.T @ other.basis`` of the first modes, where all others are the same, and ``rep``, the rows themselves: what
    is derived from those is shared between the nulls and the metrics of one representation, and told apart by ``name``,
    ``length`` and the number of modes.
    """

    @property
    def observed(self) -> Representation:
        """The residual."""

    @property
    def basis(self) -> F64:
        """The modes, ``(n, m)``, orthonormal and each of mean 0."""

    @property
    def coefficients(self) -> F64:
        """The rows in that basis, ``(m, d)``."""


@dataclass(frozen=True, eq=False)
class ModeMatrix:
    """A symmetric matrix with a row and a column for each mode, as sums over signs need it.

    Attributes
    ----------
    diagonal : ndarray, shape (m,)
    hollow : ndarray, shape (m, m)
        What is beside the diagonal, over ``size``: in single precision beyond ``EXACT`` modes.
    size : float
        About its norm.
    """

    diagonal: F64
    hollow: npt.NDArray[Any]
    size: float


def mode_matrix(matrix: F64) -> ModeMatrix:
    """The parts of a symmetric matrix."""
    # What is rounded to single precision moves a sum over signs by 1e-7 of its deviation.
    hollow: npt.NDArray[Any] = matrix.astype(np.float64 if len(matrix) <= EXACT else np.float32)
    np.fill_diagonal(hollow, 0.0)
    size = float(np.linalg.norm(hollow))
    hollow *= 1.0 / (size or 1.0)
    return ModeMatrix(np.diagonal(matrix).copy(), hollow, size)


def rows_of(view: Modes) -> Representation:
    """The rows themselves where the view has them, else the residual: both have the same modes."""
    rep: Representation | None = getattr(view, "rep", None)
    return view.observed if rep is None else rep


def key_of(view: Modes) -> str:
    """Names the modes of a view among those of its rows."""
    return f"{getattr(view, 'name', '')}.{view.basis.shape[1]}.{getattr(view, 'length', '')}"


def mode_gram(view: Modes) -> F64:
    """Inner products of the modes of ``view``, ``(m, m)``, at unit norm."""
    given: F64 | None = getattr(view, "gram", None)
    if given is not None:
        return given

    def derive() -> F64:
        # In the unit of the largest entry nothing under- or overflows when squared.
        coefficients = view.coefficients / (np.abs(view.coefficients).max(initial=0.0) or 1.0)
        gram: F64 = coefficients @ coefficients.T
        return np.asarray(gram / np.linalg.norm(gram), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_gram.{key_of(view)}", derive)


def gram_in(view: Modes, other: Modes) -> F64:
    """The mode Gram of ``view`` in the modes of ``other``: its own, where both have the same."""
    if same_basis(view.basis, other.basis):
        return mode_gram(view)
    turn: F64 | None = view.turn_to(other) if hasattr(view, "turn_to") else None
    if turn is None:
        turn = view.basis.T @ other.basis
        return np.asarray(turn.T @ mode_gram(view) @ turn, dtype=np.float64)
    return turned(mode_gram(view).copy(), turn)


def kept(view: Modes, other: Modes, key: str, derive: Callable[[], T]) -> T:
    """What is derived of ``view`` in the modes of ``other``: once a representation, where both have the same."""
    if not same_basis(view.basis, other.basis):
        return derive()
    return rows_of(view).memo(f"convergence.{key}.{key_of(view)}", derive)


def weighted(view: Modes, weights: F64) -> F64:
    """``V' diag(weights) V`` with V the modes of ``view``, ``(m, m)``, a new array; weights are not negative."""
    if hasattr(view, "weighted"):
        found: F64 = view.weighted(weights)
        return found
    return product_weighted(view.basis, weights)


def quadratic(signs: F64, form: F64) -> F64:
    """``s' form s`` for every row s of ``signs``, by one triangular product.

    Parameters
    ----------
    signs : ndarray, shape (draws, m)
        Entries are 1 or -1, so that the diagonal of ``form`` adds its trace.
    form : ndarray, shape (m, m)
        Symmetric.

    Returns
    -------
    ndarray, shape (draws,)

    Examples
    --------
    >>> quadratic(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[1.0, 2.0], [2.0, 3.0]])).tolist()
    [8.0, 0.0]
    """
    from scipy.linalg.blas import dtrmm

    # With L the part below the diagonal: s'(I + L)s = m + s'Ls, and s'Fs = tr F + 2 s'Ls.
    turned = dtrmm(1.0, form.T, signs.T, side=0, lower=1, diag=1)
    below = np.einsum("ji,ij->i", turned, signs) - signs.shape[1]
    return np.asarray(float(np.trace(form)) + 2.0 * below, dtype=np.float64)


def sign_moments(left: ModeMatrix, right: ModeMatrix) -> tuple[float, float, float, float, float]:
    """``s' F s`` with ``F = left * right`` entry by entry: its value without signs, and its moments over all signs.

    Under fair, independent signs s the mean is the trace of F, the variance ``2 |F0|^2`` and the third central moment
    ``8 tr(F0^3)``, F0 being F without its diagonal: of products of entries only those whose signs cancel have a mean.

    Parameters
    ----------
    left, right : ModeMatrix
        Of m modes each.

    Returns
    -------
    tuple of float
        The sum of F, mean, standard deviation, skewness, and the effective number of modes, ``(sum r)^2 / sum r^2``
        with r the row sums of squares of F0. All are exact, but that beyond ``EXACT`` modes F0 has single precision and
        the trace of its cube is estimated by :func:`cube_trace`, always with the same probes.

    Examples
    --------
    >>> both = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> [round(value, 6) for value in sign_moments(mode_matrix(both), mode_matrix(np.ones((2, 2))))]
    [3.0, 2.0, 1.0, 0.0, 2.0]
    """
    mean, scale = float(left.diagonal @ right.diagonal), left.size * right.size
    form = left.hollow * right.hollow
    total = mean + scale * float(form.sum(axis=1).sum(dtype=np.float64))
    squares = np.einsum("ij,ij->i", form, form).astype(np.float64)
    size = float(np.sqrt(squares.sum()))
    if size * scale <= 1e-12 * max(1.0, abs(mean)):
        return total, mean, 0.0, 0.0, float(len(form))
    cubed = float(np.vdot(form @ form.T, form)) if len(form) <= EXACT else cube_trace(form, size)
    effective = size**4 / float(squares @ squares)
    skewness = 2.0 * np.sqrt(2.0) * cubed / size**3
    return total, mean, float(np.sqrt(2.0)) * size * scale, float(skewness), effective


def cube_trace(matrix: npt.NDArray[Any], norm: float = 1.0) -> float:
    """``tr(A^3)`` of a symmetric matrix from products with few fixed random signs.

    The mean of ``z'A^3 z`` over a dozen signs z, if they hardly differ, as where nothing stands out in A. Else by
    Hutch++: exact on the range of a sketch, with four times the signs beside it.

    Parameters
    ----------
    matrix : ndarray, shape (m, m)
    norm : float
        Its Frobenius norm. The error was below .005 of its cube on every spectrum tried, unless few entries hold most
        of it.

    Returns
    -------
    float

    References
    ----------
    Hutchinson 1990; Meyer, Musco, Musco & Woodruff 2021, arXiv:2010.09649.

    Examples
    --------
    >>> round(cube_trace(np.diag([2.0, 1.0, 0.0, 0.0])), 6)
    9.0
    """
    probes = _probes(len(matrix)).astype(matrix.dtype, copy=False)
    few = _cubes(matrix, probes[:, :FEW])
    if float(few.std(ddof=1)) <= CUBE_ERROR * np.sqrt(FEW) * norm**3:
        return float(few.mean())
    held = np.linalg.qr(matrix @ probes[:, :SKETCH])[0]
    beside = probes[:, SKETCH:]
    each = _cubes(matrix, np.hstack([held, beside - held @ (held.T @ beside)]))
    width = held.shape[1]
    return float(each[:width].sum() + each[width:].mean())


def _cubes(matrix: npt.NDArray[Any], columns: npt.NDArray[Any]) -> F64:
    """``z'A^3 z`` of every column z."""
    once = matrix @ columns
    return np.asarray(np.einsum("ij,ij->j", once, matrix @ once, dtype=np.float64), dtype=np.float64)


@lru_cache(maxsize=4)
def _probes(m: int) -> npt.NDArray[np.float32]:
    return np.asarray(2.0 * np.random.default_rng(0).integers(0, 2, (m, SKETCH + PROBES)) - 1.0, dtype=np.float32)
