"""Order bases: what the modes of an ordered curve are, as far as they are independent of one another.

Let K be the covariance of a curve over an index t of the numbers. The eigenvectors V of the centred ``H K H`` have
independent coefficients ``V'X``. Of a random walk, ``K = min(t, t')``, they are the cosines of the discrete cosine
transform where the numbers are consecutive. A stationary curve, ``K = exp(-|t - t'| / length)``, has the same modes
but near both ends of the numbers: there the cosines of two such curves hang together, always in the same way. Over 20
dropped modes that shows where ``length`` is near ``n / 60`` and the space is wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

F64 = npt.NDArray[np.float64]

WALK = float("inf")
# The modes that stationary curves turn; at 1000 numbers and 4096 columns what is left has z < .3 for any length.
TURNED = 256
# The modes in which a length is looked for, beside the dropped ones.
SEEN = 108
# A length is fitted where the ties of its ends are seen with this z: among random modes once in 200 times.
SEEN_AT = 3.0
# Of a chi-squared variable of one degree of freedom.
MEDIAN = 0.4549
# A mode of less than this share of the largest power is the rounding of an exact code, not a direction.
ROUNDING = 1e-20
# Sums of cosines that differ by less are equal.
EQUAL = 1e-9


def index_of(numbers: npt.ArrayLike, name: str) -> F64:
    """The index t: the number itself (``"n"``), or ``log(n + 1)``, ``-log(1 - n)`` below 0 (``"log"``)."""
    values = np.asarray(numbers, dtype=np.float64)
    return values if name == "n" else np.sign(values) * np.log1p(np.abs(values))


def order_basis(numbers: tuple[int, ...], name: str, length: float = WALK) -> F64:
    """Eigenvectors of the centred kernel of a random walk or a stationary curve, by falling eigenvalue.

    The pseudo-inverse of the walk's kernel is the Laplacian of a path whose edges weigh one over the gap in t: a
    tridiagonal matrix with the same eigenvectors, all its eigenvalues distinct. A stationary curve turns the first
    ``TURNED`` of them among themselves.

    Parameters
    ----------
    numbers : tuple of int, length n
        Strictly increasing.
    name : {"n", "log"}
    length : float
        Correlation length of the stationary curve in units of t; infinite for a walk.

    Returns
    -------
    ndarray, shape (n, n - 1)
        Orthonormal columns of mean 0; in each of a walk, the first of the largest entries is positive.

    Examples
    --------
    >>> basis = order_basis((0, 1, 2, 3), "n")
    >>> bool(np.allclose(basis[:, 0], np.sqrt(0.5) * np.cos(np.pi * (np.arange(4) + 0.5) / 4)))
    True
    """
    return _walk_basis(numbers, name) if length == WALK else _turned_basis(numbers, name, length)


# What is kept is computed by one thread: the last bits depend on how many there are.


@lru_cache(maxsize=4)
def _turned_basis(numbers: tuple[int, ...], name: str, length: float) -> F64:
    basis, turn = order_basis(numbers, name).copy(), basis_turn(numbers, name, length)
    with threadpool_limits(limits=1):
        basis[:, : len(turn)] = basis[:, : len(turn)] @ turn
    basis.setflags(write=False)
    return basis


@lru_cache(maxsize=16)
def _walk_basis(numbers: tuple[int, ...], name: str) -> F64:
    from scipy.linalg import eigh_tridiagonal

    index = index_of(numbers, name)
    weights = 1.0 / np.diff(index)
    diagonal = np.zeros(len(index))
    diagonal[:-1] += weights
    diagonal[1:] += weights
    with threadpool_limits(limits=1):
        _, vectors = eigh_tridiagonal(diagonal, -weights)
    # Eigenvalues of the Laplacian rise as those of the kernel fall; the first belongs to the constant.
    basis = vectors[:, 1:] - vectors[:, 1:].mean(axis=0)
    size = np.abs(basis)
    peak = np.argmax(size >= (1.0 - 1e-9) * size.max(axis=0), axis=0)
    basis *= np.sign(np.take_along_axis(basis, peak[None, :], axis=0))
    basis = np.ascontiguousarray(basis)
    basis.setflags(write=False)
    return basis


@lru_cache(maxsize=32)
def basis_turn(numbers: tuple[int, ...], name: str, length: float) -> F64:
    """The modes of a stationary curve, written in the first modes of a walk.

    Parameters
    ----------
    numbers : tuple of int, length n
    name : {"n", "log"}
    length : float

    Returns
    -------
    ndarray, shape (k, k)
        Orthogonal; k is the smaller of ``TURNED`` and n - 1. The largest entry of each column is positive.

    Examples
    --------
    >>> bool(np.allclose(basis_turn(tuple(range(9)), "n", 1e6), np.eye(8), atol=1e-4))
    True
    """
    walk = order_basis(numbers, name)[:, :TURNED]
    with threadpool_limits(limits=1):
        return _turns(stationary_kernel(index_of(numbers, name), walk, length))


@lru_cache(maxsize=64)
def turn_between(numbers: tuple[int, ...], name: str, one: float, other: float) -> F64:
    """``V'W`` of the first modes of curves of two lengths; all later modes are the same.

    Parameters
    ----------
    numbers : tuple of int, length n
    name : {"n", "log"}
    one, other : float
        Correlation lengths, or infinite.

    Returns
    -------
    ndarray, shape (k, k)
        k is the smaller of ``TURNED`` and n - 1.

    Examples
    --------
    >>> numbers = tuple(range(9))
    >>> bases = [order_basis(numbers, "n", length) for length in (2.0, WALK)]
    >>> bool(np.allclose(turn_between(numbers, "n", 2.0, WALK), bases[0].T @ bases[1]))
    True
    """
    k = min(TURNED, len(numbers) - 1)
    left, right = (np.eye(k) if length == WALK else basis_turn(numbers, name, length) for length in (one, other))
    with threadpool_limits(limits=1):
        turn = left.T @ right
    turn.setflags(write=False)
    return np.asarray(turn, dtype=np.float64)


def turned(matrix: F64, turn: F64) -> F64:
    """A symmetric matrix of modes, ``(m, m)``, with the first k of them turned, in place; ``turn`` is ``(k, k)``.

    Examples
    --------
    >>> turned(np.diag([1.0, 2.0, 3.0]), np.array([[0.0, 1.0], [1.0, 0.0]])).diagonal().tolist()
    [2.0, 1.0, 3.0]
    """
    k = len(turn)
    matrix[:k] = turn.T @ matrix[:k]
    matrix[:, :k] = matrix[:, :k] @ turn
    return matrix


def _turns(kernels: F64) -> F64:
    """Eigenvectors by falling eigenvalue, the largest entry of each positive."""
    modes = kernels.shape[-1]
    # Numbers far apart from all others have equal eigenvalues; they are then taken in the order of the walk.
    falling = np.diag(np.linspace(1e-9, 0.0, modes)) * (np.trace(kernels, axis1=-2, axis2=-1) / modes)[..., None, None]
    vectors = np.linalg.eigh(kernels + falling)[1][..., ::-1]
    peak = np.argmax(np.abs(vectors), axis=-2)[..., None, :]
    turns = np.ascontiguousarray(vectors * np.sign(np.take_along_axis(vectors, peak, axis=-2)))
    turns.setflags(write=False)
    return turns


def stationary_kernel(index: F64, modes: F64, length: float) -> F64:
    """``V' exp(-|t - t'| / length) V``, by the tridiagonal inverse of the kernel.

    Parameters
    ----------
    index : ndarray, shape (n,)
        t, strictly increasing.
    modes : ndarray, shape (n, k)
        V.
    length : float

    Returns
    -------
    ndarray, shape (k, k)

    Examples
    --------
    >>> bool(np.allclose(stationary_kernel(np.array([0.0, 2.0]), np.eye(2), 1.0)[0], [1.0, np.exp(-2.0)]))
    True
    """
    from scipy.linalg import solveh_banded

    gaps = np.diff(index) / length
    # With r the correlation of two neighbours: 1 / (1 - r^2).
    beside = -1.0 / np.expm1(-2.0 * gaps)
    bands = np.zeros((2, len(index)))
    bands[0, 1:] = -np.exp(-gaps) * beside
    bands[1] = 1.0
    bands[1, :-1] += np.exp(-2.0 * gaps) * beside
    bands[1, 1:] += np.exp(-2.0 * gaps) * beside
    kernel = modes.T @ solveh_banded(bands, modes)
    return np.asarray((kernel + kernel.T) / 2.0, dtype=np.float64)


def product_weighted(basis: F64, weights: F64) -> F64:
    """``V' diag(w) V``.

    Parameters
    ----------
    basis : ndarray, shape (n, m)
        V.
    weights : ndarray, shape (n,)
        w, not negative.

    Returns
    -------
    ndarray, shape (m, m)

    Examples
    --------
    >>> product_weighted(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([4.0, 1.0])).tolist()
    [[5.0, 3.0], [3.0, 5.0]]
    """
    half = np.sqrt(weights)[:, None] * basis
    return np.asarray(half.T @ half, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class StationaryCurves:
    """Stationary curves of all correlation lengths, as seen in the smoothest modes of a walk.

    Attributes
    ----------
    index : ndarray, shape (n,)
        t, strictly increasing.
    modes : ndarray, shape (n, k)
        The first modes of a walk, among them those that a null drops.
    """

    index: F64
    modes: F64

    @cached_property
    def lengths(self) -> tuple[float, ...]:
        """From 1.4 gaps to an eighth of the span, in steps of 1.4: half a step leaves z < .2 at width 4096."""
        gap, span = float(np.diff(self.index).min()), float(self.index[-1] - self.index[0])
        steps = int(2.0 * np.log2(max(span / 8.0 / gap, 1.0)))
        return tuple(gap * 2.0 ** (step / 2.0) for step in range(1, steps + 1))

    @cached_property
    def kernels(self) -> F64:
        """Their covariances in the modes, ``(lengths, k, k)``."""
        with threadpool_limits(limits=1):
            return np.stack([stationary_kernel(self.index, self.modes, length) for length in self.lengths])

    @cached_property
    def turns(self) -> F64:
        """Their own modes in the modes of a walk, ``(lengths, k, k)``."""
        with threadpool_limits(limits=1):
            return _turns(self.kernels)

    def length(self, kept: F64, every: Callable[[], F64]) -> float:
        """The length whose modes hang together least; infinite for a walk, unless some curve is seen.

        Parameters
        ----------
        kept : ndarray, shape (m, m)
            Inner products of the last m of the modes, the others being dropped.
        every : callable
            Gives the inner products of all of them, ``(k, k)``; asked only where a curve is seen.

        Returns
        -------
        float
        """
        return self._best(every(), len(kept)) if self._shows(kept) else WALK

    def _shows(self, gram: F64) -> bool:
        """Whether modes hang together as those of some stationary curve do."""
        m = len(gram)
        if m < 2 or not self.lengths:
            return False
        power = np.diagonal(gram)
        present = power > ROUNDING * power.max()
        scale = np.divide(1.0, np.sqrt(np.abs(power)), out=np.zeros(m), where=present)
        scale = np.outer(scale, scale)
        np.fill_diagonal(scale, 0.0)
        cosines = gram * scale
        squares = np.square(cosines[np.triu(np.outer(present, present), 1)])
        if not squares.size:
            return False
        # The variance of the cosines of random directions: by the median, so that a few codes do not matter to it, but
        # of an exact code most cosines are 0.
        variance = max(float(np.median(squares)) / MEDIAN, 0.5 * float(squares.mean()))
        ties = self.kernels[:, -m:, -m:] * scale
        sizes = np.linalg.norm(ties, axis=(1, 2))
        along = np.einsum("lij,ij->l", ties, cosines)
        return bool((along > (SEEN_AT * np.sqrt(2.0 * variance) + EQUAL * np.linalg.norm(cosines)) * sizes).any())

    def _best(self, gram: F64, kept: int) -> float:
        """The first length, a walk's before all, of which the sum of squared cosines of the last modes is smallest."""
        every = np.concatenate([np.eye(len(gram))[None], self.turns])[..., -kept:]
        turned = np.swapaxes(every, 1, 2) @ gram @ every
        power = np.diagonal(turned, axis1=1, axis2=2)
        present = power > ROUNDING * power.max(axis=1, keepdims=True)
        scale = np.divide(1.0, power, out=np.zeros_like(power), where=present)
        ties = np.einsum("lij,li,lj->l", np.square(turned), scale, scale)
        return (WALK, *self.lengths)[int(np.argmax(ties <= (1.0 + EQUAL) * ties.min()))]


@lru_cache(maxsize=4)
def stationary_curves(numbers: tuple[int, ...], name: str, dropped: int) -> StationaryCurves:
    """Stationary curves over the numbers, in the modes that are dropped and ``SEEN`` more, ``TURNED`` at most.

    Parameters
    ----------
    numbers : tuple of int
    name : {"n", "log"}
    dropped : int

    Returns
    -------
    StationaryCurves

    Examples
    --------
    >>> [round(length, 2) for length in stationary_curves(tuple(range(40)), "n", 20).lengths]
    [1.41, 2.0, 2.83, 4.0]
    """
    return StationaryCurves(index_of(numbers, name), order_basis(numbers, name)[:, : min(dropped + SEEN, TURNED)])
