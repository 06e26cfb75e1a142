"""Linear centred kernel alignment, biased and debiased."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.trace import F64, Modes, TraceMetric, no_contrast


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
        gram_a, gram_b = _mode_gram(a), _mode_gram(b)
        products = gram_a * gram_b / (np.linalg.norm(gram_a) * np.linalg.norm(gram_b))
        return np.clip(_quadratic(signs, products), 0.0, 1.0)


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
        gram -= (sums[:, None] + sums[None, :]) / (n - 2)
        gram += sums.sum() / ((n - 1) * (n - 2))
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
        basis, n = a.basis, len(a.basis)
        gram_a, gram_b = _mode_gram(a), _mode_gram(b)
        trace_a, trace_b = float(np.trace(gram_a)), float(np.trace(gram_b))
        norms_b = np.square(b.observed.workspace.centred).sum(axis=1)
        share, common = n / (n - 2), 1.0 / ((n - 1) * (n - 2))
        form = gram_a * (gram_b - share * (basis.T @ (norms_b[:, None] * basis)))
        cross = _quadratic(signs, form) + common * trace_a * trace_b
        squares = np.array([norms @ norms for norms in _flipped_norms(a, signs)])
        self_a = float(np.vdot(gram_a, gram_a)) - share * squares + common * trace_a**2
        self_b = float(np.vdot(gram_b, gram_b)) - share * float(norms_b @ norms_b) + common * trace_b**2
        return np.clip(cross / np.sqrt(self_a * self_b), -1.0, 1.0)


def _mode_gram(view: Modes) -> F64:
    return view.observed.memo("convergence.mode_gram", lambda: view.coefficients @ view.coefficients.T)


def _quadratic(signs: F64, form: F64) -> F64:
    """``s' form s`` for every row s of ``signs``."""
    return np.asarray(np.einsum("ij,ij->i", signs @ form, signs), dtype=np.float64)


def _flipped_norms(view: Modes, signs: F64) -> F64:
    """Squared row norms of every flipped residual, ``(draws, n)``; kept for the pairs that share the signs."""

    def derive() -> F64:
        return np.stack([np.square((view.basis * s) @ view.coefficients).sum(axis=1) for s in signs])

    key = f"convergence.flipped_norms.{hash(np.ascontiguousarray(signs).tobytes())}"
    return view.observed.memo(key, derive)
