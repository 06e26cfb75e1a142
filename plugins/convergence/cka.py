"""Linear centred kernel alignment, biased and debiased."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.modes import Modes, flipped_norms, key_of, mode_gram, quadratic, rows_of
from numgeom_plugins.convergence.trace import F64, TraceMetric, no_contrast


class LinearCKA(TraceMetric):
    """Biased linear CKA, ``||Xc'Yc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)``, in [0, 1].

    Independent Gaussian clouds score about ``sqrt(d d' / ((d + n)(d' + n)))``: 0.80 at n = 1000, d = 4096.
    Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton 2019, arXiv:1905.00414.

    Examples
    --------
    >>> import numpy as np
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = LinearCKA()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "cka_linear"
    lowest = 0.0
    flips_alike = True

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram, divided by its trace so that squares of it neither vanish nor overflow."""
        return rep.workspace.gram / rep.workspace.energy

    def flipped(self, a: Modes, b: Modes, signs: F64) -> F64:
        """Scores of the residual of ``a`` with its modes flipped, against the residual of ``b`` as it is.

        The modes are orthonormal and centred, so ``<K(s), L> = s' (Ka * Kb) s`` with the ``(m, m)`` Grams of
        the coefficients, and the norms do not depend on the signs.

        Parameters
        ----------
        a, b : Modes
            Views on one basis.
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        return np.clip(quadratic(signs, mode_gram(a) * mode_gram(b)), 0.0, 1.0)


class DebiasedCKA(TraceMetric):
    """Linear CKA with the unbiased HSIC of Song et al. in numerator and denominator, in [-1, 1].

    With ``K*`` the U-centred Gram (zero diagonal, zero row sums), ``HSIC_u(K, L) = <K*, L*> / (n (n - 3))``;
    the score is the cosine of ``K*`` and ``L*``. Its expectation is about 0 for unrelated clouds at any width.
    Invariant to rotation, isotropic scale and translation; n >= 4.

    References
    ----------
    Song, Smola, Gretton, Bedo & Borgwardt 2012 (U-statistic); Szekely & Rizzo 2014 (U-centring);
    Murphy, Zylberberg & Fyshe 2024, arXiv:2405.01012.

    Examples
    --------
    >>> import numpy as np
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = DebiasedCKA()
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_linear_debiased"

    def matrix(self, rep: Representation) -> F64:
        """The U-centred Gram."""
        n = rep.n
        if n < 4:
            raise Incompatible(f"{self.name} needs at least 4 numbers; these are {n}. Give more with --numbers.")
        gram = rep.workspace.gram / rep.workspace.energy
        np.fill_diagonal(gram, 0.0)
        size = float(np.linalg.norm(gram))
        sums = gram.sum(axis=1)
        shares = sums / (n - 2)
        gram -= shares - sums.sum() / ((n - 1) * (n - 2))
        gram -= shares[:, None]
        np.fill_diagonal(gram, 0.0)
        if np.linalg.norm(gram) <= 1e-12 * size:
            raise no_contrast(self.name, "the unbiased self-HSIC is 0, as for rows that are all equally far apart")
        return gram

    def flipped(self, a: Modes, b: Modes, signs: F64) -> F64:
        """Scores of the residual of ``a`` with its modes flipped, against the residual of ``b`` as it is.

        For a double-centred Gram K with diagonal k,

            <K*, L*> = <K, L> - n/(n-2) k'l + tr(K) tr(L) / ((n-1)(n-2)).

        A flip by s turns K into ``V (ss' * Ka) V'``: ``<K, L>`` and ``k'l`` stay quadratic forms in s, with the
        ``(m, m)`` matrices ``Ka * Kb`` and ``Ka * (V' diag(l) V)``; traces and ``<K, K>`` do not depend on s, and
        only ``k'k`` needs the diagonal of each flipped Gram.

        Parameters
        ----------
        a, b : Modes
            Views on one basis.
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        n = len(a.basis)
        gram_a, gram_b = mode_gram(a), mode_gram(b)
        share, common = n / (n - 2), 1.0 / ((n - 1) * (n - 2))
        traces = common * float(np.trace(gram_a)) * float(np.trace(gram_b))
        cross = quadratic(signs, gram_a * (gram_b - share * _weighed(b))) + traces
        self_a = (
            float(np.vdot(gram_a, gram_a)) - share * flipped_norms(a, signs) + common * float(np.trace(gram_a)) ** 2
        )
        square_b = float(np.vdot(gram_b, gram_b)) - share * float(_norms(b) @ _norms(b))
        self_b = square_b + common * float(np.trace(gram_b)) ** 2
        return np.clip(cross / np.sqrt(self_a * self_b), -1.0, 1.0)


def _norms(view: Modes) -> F64:
    """Squared row norms of the residual, ``(n,)``, at the scale of the mode Gram."""

    def derive() -> F64:
        return np.asarray(np.einsum("ij,ij->i", view.basis @ mode_gram(view), view.basis), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_norms.{key_of(view)}", derive)


def _weighed(view: Modes) -> F64:
    """``V' diag(k) V``, ``(m, m)``, with k the squared row norms."""

    def derive() -> F64:
        return np.asarray(view.basis.T @ (_norms(view)[:, None] * view.basis), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_weights.{key_of(view)}", derive)
