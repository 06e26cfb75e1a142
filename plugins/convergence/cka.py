"""Linear centred kernel alignment, biased and debiased."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.centring import u_centred
from numgeom_plugins.convergence.modes import (
    ModeMatrix,
    Modes,
    gram_in,
    kept,
    key_of,
    mode_gram,
    mode_matrix,
    quadratic,
    rows_of,
    sign_moments,
    weighted,
)
from numgeom_plugins.convergence.trace import F64, TraceMetric, no_contrast


class LinearCKA(TraceMetric):
    """Biased linear CKA, ``||Xc'Yc||_F^2 / (||Xc'Xc||_F ||Yc'Yc||_F)``, in [0, 1].

    Independent Gaussian clouds score about ``sqrt(d d' / ((d + n)(d' + n)))``: 0.80 at n = 1000, d = 4096. Peers that
    differ: ``cka_depcols`` of Aristotelian is 0 for a rotated copy, where any CKA is 1, and above 1 for noisy ones.
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
    flips_apart = True

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram, divided by its trace so that squares of it neither vanish nor overflow."""
        return rep.workspace.gram / rep.workspace.energy

    def flipped(self, a: Modes, b: Modes, signs: F64) -> F64:
        """Scores of the residual of ``a`` with its modes flipped, against the residual of ``b`` as it is.

        The modes are orthonormal and centred, so ``<K(s), L> = s' (Ka * Kb) s`` with the Grams of both sides in the
        modes of ``a``, and the norms do not depend on the signs.

        Parameters
        ----------
        a, b : Modes
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        return np.clip(quadratic(signs, mode_gram(a) * gram_in(b, a)), 0.0, 1.0)

    def flip_moments(self, a: Modes, b: Modes) -> tuple[float, float, float, float, float]:
        """The score of both residuals; mean, standard deviation and skewness over all signs; effective modes."""
        total, mean, sd, skewness, effective = sign_moments(_gram(a, a), _gram(b, a))
        return min(total, 1.0), mean, sd, skewness, effective


class DebiasedCKA(TraceMetric):
    """Linear CKA with the unbiased HSIC of Song et al. in numerator and denominator, in [-1, 1].

    With ``K*`` the U-centred Gram (zero diagonal, zero row sums), ``HSIC_u(K, L) = <K*, L*> / (n (n - 3))``; the
    score is the cosine of ``K*`` and ``L*``. Its expectation is about 0 for unrelated clouds at any width. Peers that
    differ: repsim of PyPI divides by the *biased* self-HSIC, so that a model scores .83 with a rotated copy of
    itself; platonic-rep adds 1e-6 to the denominator; one of three estimators of Aristotelian is off by up to 6e-5.
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
    flips_apart = True
    observed_norm = True

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

        A flip by s turns K into ``V (ss' * Ka) V'``: ``<K, L>`` and ``k'l`` are quadratic forms in s, with the
        ``(m, m)`` matrices ``Ka * Kb`` and ``Ka * (V' diag(l) V)``, and traces do not depend on s. The norm
        ``<K*, K*>`` is that of the residual as it is: the flips are of the unbiased HSIC, in units of the observed
        score. They then are as exact a test as flips of the quotient, whose norm changes little with s and would
        cost a product in ``(n, n)`` a draw.

        Parameters
        ----------
        a, b : Modes
        signs : ndarray, shape (draws, m)
            Entries are 1 or -1.

        Returns
        -------
        ndarray, shape (draws,)
        """
        against = kept(b, a, "debiased_modes", lambda: self._against(b, a))
        values = quadratic(signs, mode_gram(a) * against) + self._level(a, b)
        return np.asarray(values / np.sqrt(self._square(a)), dtype=np.float64)

    def flip_moments(self, a: Modes, b: Modes) -> tuple[float, float, float, float, float]:
        """The score of both residuals; mean, standard deviation and skewness over all signs; effective modes."""
        scale, level = 1.0 / np.sqrt(self._square(a)), self._level(a, b)
        against = kept(b, a, "debiased_moments", lambda: mode_matrix(self._against(b, a)))
        total, mean, sd, skewness, effective = sign_moments(_gram(a, a), against)
        observed = float(np.clip(scale * (total + level), -1.0, 1.0))
        return observed, scale * (mean + level), scale * sd, skewness, effective

    def _against(self, view: Modes, other: Modes) -> F64:
        """``(L - n/(n-2) V' diag(l) V) / |L*|`` of ``view``, in the modes V of ``other``."""
        n = len(other.basis)
        found = weighted(other, _norms(view))
        found *= -n / (n - 2)
        found += gram_in(view, other)
        found /= np.sqrt(self._square(view))
        return found

    def _level(self, a: Modes, b: Modes) -> float:
        """What the traces add, at the scale of :meth:`_against`."""
        n = len(a.basis)
        traces = float(np.trace(mode_gram(a)) * np.trace(mode_gram(b)))
        return traces / ((n - 1) * (n - 2)) / float(np.sqrt(self._square(b)))

    def _square(self, view: Modes) -> float:
        """``<K*, K*>`` of the residual, at the scale of the mode Gram."""

        def derive() -> float:
            n, gram, norms = len(view.basis), mode_gram(view), _norms(view)
            whole, total = float(np.vdot(gram, gram)), float(np.trace(gram))
            square = whole - n / (n - 2) * float(norms @ norms) + total**2 / ((n - 1) * (n - 2))
            if square > 1e-6 * whole:
                return square
            # What is left has lost its digits in the difference.
            direct = u_centred(view.basis @ gram @ view.basis.T)
            square = float(np.vdot(direct, direct))
            if square <= 1e-24 * whole:
                raise no_contrast(self.name, "the unbiased self-HSIC of the residual is 0")
            return square

        return rows_of(view).memo(f"convergence.debiased_square.{key_of(view)}", derive)


def _gram(view: Modes, other: Modes) -> ModeMatrix:
    """The mode Gram of ``view`` in the modes of ``other``."""
    return kept(view, other, "mode_moments", lambda: mode_matrix(gram_in(view, other)))


def _norms(view: Modes) -> F64:
    """Squared row norms of the residual, ``(n,)``, at the scale of the mode Gram."""

    def derive() -> F64:
        given: F64 | None = getattr(view, "squared_norms", None)
        if given is not None:
            return given
        return np.asarray(np.einsum("ij,ij->i", view.basis @ mode_gram(view), view.basis), dtype=np.float64)

    return rows_of(view).memo(f"convergence.mode_norms.{key_of(view)}", derive)
