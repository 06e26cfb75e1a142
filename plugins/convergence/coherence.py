"""Order-mode coherence: agreement in what ties the modes of an order basis together."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from numgeom import Representation
from numgeom.targets import same_basis
from numgeom_plugins.convergence.modes import (
    ModeMatrix,
    Modes,
    gram_in,
    kept,
    mode_matrix,
    quadratic,
    rows_of,
    sign_moments,
)
from numgeom_plugins.convergence.trace import F64, MatrixCorrelation, no_contrast
from numgeom_plugins.nulls.order_basis import WALK
from numgeom_plugins.nulls.order_modes import mode_gram, residual_modes

# A mode below this share of the longest is rounding (of a residual whose mode was projected out), not a direction.
ROUNDING = 1e-10


class _Coherence(MatrixCorrelation):
    basis: ClassVar[str]
    flips_alike: ClassVar[bool] = True
    flips_apart: ClassVar[bool] = True

    def __init__(self, q: int = 20) -> None:
        self.q = q

    @property
    def key(self) -> str:
        """The name and the number of dropped modes."""
        return f"{self.name}.{self.q}"

    def matrix(self, rep: Representation) -> F64:
        """Cosines of the modes beyond the first q, ``(m, m)``, with a zero diagonal."""
        return self._cosines(mode_gram(rep, self.basis, self.q))

    def _cosines(self, gram: F64) -> F64:
        """A mode Gram at unit diagonal, and then without it."""
        lengths = np.sqrt(np.diagonal(gram))
        present = lengths > ROUNDING * lengths.max()
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=present)
        cosines: F64 = gram * scale
        cosines *= scale[:, None]
        np.fill_diagonal(cosines, 0.0)
        if np.linalg.norm(cosines) <= ROUNDING:
            raise no_contrast(self.name, "no two order modes share a direction")
        return cosines

    def _matrix(self, view: Modes, other: Modes) -> F64:
        """Cosines of the residual of ``view`` in the modes of ``other``, at unit norm."""
        rep, length = rows_of(view), getattr(view, "length", WALK)
        if not same_basis(view.basis, other.basis):
            cosines = self._cosines(gram_in(view, other))
            cosines /= np.linalg.norm(cosines)
            return cosines
        if length == WALK:
            return self.prepare(rep).matrix
        own = f"{self.key}.{length}"
        return self.unit(rep, own, lambda: self._cosines(mode_gram(rep, self.basis, self.q, length))).matrix

    def flipped(self, a: Modes, b: Modes, signs: F64) -> F64:
        """Scores of the residual of ``a`` with its modes flipped, against the residual of ``b`` as it is.

        Where the views have this metric's own modes, a flip by s turns the cosines ``Ka`` into ``ss' * Ka``. Both
        sides are taken in the modes of ``a``.

        Parameters
        ----------
        a, b : Modes
            Views on one index.
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        if self.flips(a):
            form = self._matrix(a, a) * self._matrix(b, a)
            return np.asarray(np.clip(quadratic(signs, form), -1.0, 1.0), dtype=np.float64)
        right = self.prepare(b.observed)
        drawn = (a.observed.with_matrix((a.basis * s) @ a.coefficients) for s in signs)
        return np.array([self.score(self.prepare(rep), right) for rep in drawn])

    def flip_moments(self, a: Modes, b: Modes) -> tuple[float, float, float, float, float]:
        """The score of both residuals; mean, standard deviation and skewness over all signs; effective modes.

        Only for views that :meth:`flips` holds for.
        """
        left, right = self._moments(a, a), self._moments(b, a)
        total, mean, sd, skewness, effective = sign_moments(left, right)
        return float(np.clip(total, -1.0, 1.0)), mean, sd, skewness, effective

    def _moments(self, view: Modes, other: Modes) -> ModeMatrix:
        return kept(view, other, f"{self.key}.moments", lambda: mode_matrix(self._matrix(view, other)))

    def for_view(self, view: Modes) -> _Coherence:
        """The same score of the modes that ``view`` flips.

        Each basis is tested by itself, on the coherence of its own modes: under modes that are independent in that
        basis the test is exact, and the larger p of both bases is valid under either. Flips of one basis read in
        the other would do as well, at the price of every draw made and scored anew.
        """
        kind = {"n": LinearCoherence, "log": LogCoherence}.get(getattr(view, "name", ""))
        if kind is None or not hasattr(view, "rep"):
            return self
        return kind(q=len(view.basis) - 1 - view.basis.shape[1])

    def flips(self, view: Modes) -> bool:
        """Whether the modes of ``view`` are those of this metric, so that :meth:`flipped` is one product."""
        length = getattr(view, "length", WALK)
        return same_basis(residual_modes(rows_of(view), self.basis, self.q, length), view.basis)


class LinearCoherence(_Coherence):
    """Order-mode coherence in n: ``<Kx, Ky> / (|Kx| |Ky|)`` of the cosines between modes, in [-1, 1].

    The rows are written in the modes of the centred random-walk kernel in n, the first q modes are dropped, each
    remaining mode gets unit length, and K holds the cosines of all pairs of different modes. Unrelated random walks
    in n score about 0; codes, digit classes and helices tie modes together. Curves that are no walks in n, such as
    walks in log n, tie the modes in n as well, alike in both models: read the p of ``order_modes``, not the score
    alone. That null scores each index in its own modes, of a fitted stationary curve where the rows look like one, so
    its value (``null_value``) may be another one than this. Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    q : int
        How many of the smoothest modes are dropped; at least 8 must be left (n >= q + 9).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((40, 4))
    >>> metric = LinearCoherence(q=20)
    >>> state = metric.prepare(Representation(rows, np.arange(40)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "order_mode_coherence_n"
    basis = "n"


class LogCoherence(_Coherence):
    """Order-mode coherence in log(n + 1): as :class:`LinearCoherence`, with the modes of a walk in log(n + 1).

    Only walks in log n score about 0 for being unrelated: walks in n and stationary curves score up to .5. The null
    ``order_modes`` holds each index against itself and takes the larger p, so it is the same for both coherences. Range
    [-1, 1]. Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    q : int
        How many of the smoothest modes are dropped; at least 8 must be left (n >= q + 9).

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((40, 4))
    >>> metric = LogCoherence(q=20)
    >>> state = metric.prepare(Representation(rows, np.arange(40)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "order_mode_coherence_log"
    basis = "log"
