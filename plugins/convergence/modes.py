"""What a metric asks of a view of order modes, and sums over sign flips of those modes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from numgeom import Representation

F64 = npt.NDArray[np.float64]


class Modes(Protocol):
    """A null's view whose residual is ``basis @ coefficients``, as ``order_modes`` gives it.

    A view may also have ``gram``, the inner products of its modes at unit norm, and ``rep``, the rows themselves:
    what is derived from those is shared between the nulls and the metrics of one representation.
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
    return f"{getattr(view, 'name', '')}.{view.basis.shape[1]}"


def mode_gram(view: Modes) -> F64:
    """Inner products of the modes of ``view``, ``(m, m)``, at unit norm."""
    given: F64 | None = getattr(view, "gram", None)
    if given is not None:
        return given

    def derive() -> F64:
        gram: F64 = view.coefficients @ view.coefficients.T
        return np.asarray(gram / np.linalg.norm(gram), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_gram.{key_of(view)}", derive)


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


def flipped_norms(view: Modes, signs: F64) -> F64:
    """``sum_i k_i^2`` over the squared row norms k of every flipped residual, ``(draws,)``, at the scale of the Gram.

    ``k_i(s) = s' (K * v_i v_i') s`` with K the mode Gram and v_i the row of the basis. For cosine modes
    ``n v_ij v_il = cos((j - l) x_i) + cos((j + l) x_i)`` with ``x_i = pi (i + 1/2) / n``, so that k is a cosine
    series whose coefficients are sums along the diagonals of ``ss' * K``; its sum of squares follows by
    Parseval. Other bases take one triangular product a draw. Kept for the pairs that share the signs.
    """

    def derive() -> F64:
        gram, basis = mode_gram(view), view.basis
        if _cosines(view):
            # Cosines are positive at the first number; a mode of the basis may be turned round.
            return _cosine_norms(gram, signs * np.sign(basis[0]), len(basis))
        return _any_norms(gram, signs, basis)

    key = f"convergence.flipped_norms.{key_of(view)}.{hash(np.ascontiguousarray(signs).tobytes())}"
    return rows_of(view).memo(key, derive)


def _cosines(view: Modes) -> bool:
    """Whether the basis is that of the cosine transform, up to signs, with only the smoothest modes dropped."""
    n, m = view.basis.shape
    waves = np.cos(np.pi * np.arange(n - m, n) * 0.5 / n) * np.sqrt(2.0 / n)
    if not np.allclose(np.abs(view.basis[0]), waves, atol=1e-10):
        return False
    cosines = np.sqrt(2.0 / n) * np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(n - m, n)) / n)
    return bool(np.abs(np.abs(view.basis) - np.abs(cosines)).max() < 1e-9)


def _cosine_norms(gram: F64, signs: F64, n: int) -> F64:
    draws, m = signs.shape
    first = n - m
    series = np.zeros((n, draws))
    for gap in range(m):
        pairs = signs[:, : m - gap] * signs[:, gap:]
        series[gap] += (2.0 if gap else 1.0) * (pairs @ np.diagonal(gram, gap))
    backward = signs[:, ::-1]
    for total in range(2 * m - 1):
        # Places j and l of the modes add up to ``total``; their frequencies to ``total + 2 first``.
        low, high = max(0, total - m + 1), min(m - 1, total)
        pairs = signs[:, low : high + 1] * backward[:, m - 1 - total + low : m - total + high]
        held = pairs @ np.diagonal(gram[:, ::-1], m - 1 - total)
        frequency = total + 2 * first
        if frequency < n:
            series[frequency] += held
        elif frequency > n:
            # cos(2 pi (i + 1/2) - x) = -cos x, and the frequency n itself vanishes at every number.
            series[2 * n - frequency] -= held
    return np.asarray((series[0] ** 2 + 0.5 * np.square(series[1:]).sum(axis=0)) / n, dtype=np.float64)


def _any_norms(gram: F64, signs: F64, basis: F64) -> F64:
    from scipy.linalg.blas import dtrmm

    half = np.tril(gram)
    np.fill_diagonal(half, 0.5 * np.diagonal(gram))
    found = np.empty(len(signs))
    for draw, s in enumerate(signs):
        turned = basis * s
        product = dtrmm(1.0, half.T, turned.T, side=0, lower=0)
        norms = 2.0 * np.einsum("ji,ij->i", product, turned)
        found[draw] = norms @ norms
    return found
