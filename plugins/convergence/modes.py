"""What a metric asks of a view of order modes, and sums over sign flips of those modes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom.targets import same_basis

F64 = npt.NDArray[np.float64]

# Up to so many modes a cube costs less than what else is done with them.
EXACT = 512
# Rows of a product at a time, so that they stay in the processor's cache.
ROWS = 64
# For more modes: columns of the sketch, random signs without one, and random signs beside it.
SKETCH, FEW, PROBES = 24, 12, 48
# The standard error of a cube's trace, at norm 1, with which few signs will do: a skewness is then right to .02.
CUBE_ERROR = 0.0015


class Modes(Protocol):
    """A null's view whose residual is ``basis @ coefficients``, as ``order_modes`` gives it.

    A view may also have ``gram``, the inner products of its modes at unit norm, ``squared_norms`` of the rows of its
    residual at the scale of ``gram``, and ``rep``, the rows themselves: what is derived from those is shared between
    the nulls and the metrics of one representation, and told apart by ``name``, ``length`` and the number of modes.
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
    if view.basis.shape != other.basis.shape:
        turn = view.basis.T @ other.basis
        return np.asarray(turn.T @ mode_gram(view) @ turn, dtype=np.float64)
    # Modes that both have are orthogonal to all others of either.
    differing = np.flatnonzero((view.basis != other.basis).any(axis=0))
    own = slice(differing[0], differing[-1] + 1)
    turn = view.basis[:, own].T @ other.basis[:, own]
    gram = mode_gram(view).copy()
    gram[own] = turn.T @ gram[own]
    gram[:, own] = gram[:, own] @ turn
    return gram


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


def sign_moments(left: F64, right: F64) -> tuple[float, float, float, float, float]:
    """``s' F s`` with ``F = left * right`` entry by entry: its value without signs, and its moments over all signs.

    Under fair, independent signs s the mean is the trace of F, the variance ``2 |F0|^2`` and the third central moment
    ``8 tr(F0^3)``, F0 being F without its diagonal: of products of entries only those whose signs cancel have a mean.

    Parameters
    ----------
    left, right : ndarray, shape (m, m)
        Symmetric.

    Returns
    -------
    tuple of float
        The sum of F, mean, standard deviation, skewness, and the effective number of modes, ``(sum r)^2 / sum r^2``
        with r the row sums of squares of F0. All are exact, but that beyond ``EXACT`` modes the trace of the cube
        is estimated by :func:`cube_trace`, always with the same probes.

    Examples
    --------
    >>> both = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> [round(value, 6) for value in sign_moments(both, np.ones((2, 2)))]
    [3.0, 2.0, 1.0, 0.0, 2.0]
    """
    m = len(left)
    unit = np.empty((m, m), dtype=np.float64 if m <= EXACT else np.float32)
    total, squares = 0.0, np.empty(m)
    for start in range(0, m, ROWS):
        some = slice(start, start + ROWS)
        block = left[some] * right[some]
        total += float(block.sum())
        squares[some] = np.einsum("ij,ij->i", block, block)
        unit[some] = block
    diagonal = np.diagonal(left) * np.diagonal(right)
    squares = np.clip(squares - diagonal**2, 0.0, None)
    mean, size = float(diagonal.sum()), float(np.sqrt(squares.sum()))
    if size <= 1e-12 * max(1.0, abs(mean)):
        return total, mean, 0.0, 0.0, float(m)
    np.fill_diagonal(unit, 0.0)
    unit *= 1.0 / size
    cubed = float(np.vdot(unit @ unit.T, unit)) if m <= EXACT else cube_trace(unit)
    effective = size**4 / float(squares @ squares)
    return total, mean, float(np.sqrt(2.0)) * size, float(2.0 * np.sqrt(2.0)) * cubed, effective


def cube_trace(matrix: npt.NDArray[Any]) -> float:
    """``tr(A^3)`` of a symmetric matrix from products with few fixed random signs.

    The mean of ``z'A^3 z`` over a dozen signs z, if they hardly differ, as where nothing stands out in A. Else by
    Hutch++: exact on the range of a sketch, with four times the signs beside it.

    Parameters
    ----------
    matrix : ndarray, shape (m, m)
        At Frobenius norm 1. The error was below .005 on every spectrum tried, unless few entries hold most of it.

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
    if float(few.std(ddof=1)) <= CUBE_ERROR * np.sqrt(FEW):
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
