"""The Hilbert-Schmidt independence criterion of linear kernels, not normalised, and what is made of it."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.centring import u_centred, without_diagonal
from numgeom_plugins.convergence.inner_product import InnerProduct
from numgeom_plugins.convergence.trace import F64, TraceMetric, no_contrast


class BiasedHSIC(InnerProduct):
    """Biased linear HSIC, ``tr(Kc Lc) / (n - 1)^2`` with centred Grams, in [0, inf).

    It grows with the fourth power of size and is no similarity by itself: read it beside a null, or use CKA.
    Invariant to rotation and translation, not to scale.

    References
    ----------
    Gretton, Bousquet, Smola & Scholkopf 2005.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = BiasedHSIC()
    >>> state = metric.prepare(Representation(np.array([[1.0], [-1.0], [0.0]]), np.arange(3)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "hsic_linear_biased"
    lowest = 0.0

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram over ``n - 1``."""
        return rep.workspace.gram / (rep.n - 1)


class LangeHSIC(InnerProduct):
    """Linear HSIC over pairs of different rows, ``2 / (n (n - 3)) sum_{i<j} Kc_ij Lc_ij``.

    Centring moves a share of the diagonal into the other entries, so for d > n it is still biased.
    Invariant to rotation and translation, not to scale; n >= 4.

    References
    ----------
    Lange, Kwok, Matelsky, Wang, Rolnick & Kording 2023, arXiv:2206.10999.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = LangeHSIC()
    >>> state = metric.prepare(Representation(np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.arange(4)))
    >>> round(metric.score(state, state), 12)
    3.0
    """

    name = "hsic_linear_lange"

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram without its diagonal, over the root of ``n (n - 3)``."""
        require_four(self.name, rep)
        return np.asarray(without_diagonal(rep.workspace.gram) / np.sqrt(rep.n * (rep.n - 3)), dtype=np.float64)


class UnbiasedHSIC(InnerProduct):
    """Unbiased linear HSIC, ``<K*, L*> / (n (n - 3))`` with U-centred Grams; 0 on average for unrelated clouds.

    Invariant to rotation and translation, not to scale; n >= 4.

    References
    ----------
    Song, Smola, Gretton, Bedo & Borgwardt 2012.

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = UnbiasedHSIC()
    >>> state = metric.prepare(Representation(np.array([[0.0], [0.0], [1.0], [1.0]]), np.arange(4)))
    >>> round(metric.score(state, state), 12)
    0.166666666667
    """

    name = "hsic_linear_unbiased"

    def matrix(self, rep: Representation) -> F64:
        """The U-centred Gram over the root of ``n (n - 3)``."""
        require_four(self.name, rep)
        return np.asarray(u_centred(rep.workspace.gram) / np.sqrt(rep.n * (rep.n - 3)), dtype=np.float64)


class LangeCKA(TraceMetric):
    """Linear CKA over pairs of different rows: the cosine of the centred Grams without their diagonals, in [-1, 1].

    Close to ``cka_linear_debiased``, of which it leaves out the correction for what centring does to the other
    entries: unrelated clouds score .13 at n = 60, d = 450, and approach 1 as d grows. The peer ``repsim-pypi``
    divides the same numerator by the *biased* self-HSIC, so that a model scores below 1 with itself. Invariant to
    rotation, isotropic scale and translation; n >= 4.

    References
    ----------
    Lange, Kwok, Matelsky, Wang, Rolnick & Kording 2023, arXiv:2206.10999.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = LangeCKA()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "cka_linear_lange"

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram without its diagonal."""
        require_four(self.name, rep)
        return without_diagonal(rep.workspace.gram / rep.workspace.energy)


class EffectiveSharedDimensions(InnerProduct):
    """Effective number of shared dimensions, in [0, inf): ``tr K tr L <K, L> / (|K|^2 |L|^2)`` of centred Grams.

    Equally linear CKA times the geometric mean of the two participation ratios: a number of dimensions, not
    a similarity between 0 and 1, and it inflates with d > n as CKA does. The best value is the participation
    ratio of the model itself. Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Giaffar, Rullan Buxo & Aoi 2024 (ENSD).

    Examples
    --------
    >>> from numgeom import Representation
    >>> metric = EffectiveSharedDimensions()
    >>> square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> state = metric.prepare(Representation(square, np.arange(4)))
    >>> round(metric.score(state, state), 12)
    2.0
    """

    name = "effective_shared_dimensions"
    lowest = 0.0

    def matrix(self, rep: Representation) -> F64:
        """The centred Gram times ``tr K / |K|^2``."""
        gram = rep.workspace.gram / rep.workspace.energy
        return np.asarray(gram / np.vdot(gram, gram), dtype=np.float64)


def require_four(metric: str, rep: Representation) -> None:
    """Refuse fewer than four rows, which unbiased estimates need.

    Raises
    ------
    Incompatible
    """
    if rep.n < 4:
        raise Incompatible(f"{metric} needs at least 4 numbers; these are {rep.n}. Give more with --numbers.")


def require_contrast(metric: str, matrix: F64, size: float) -> F64:
    """The matrix itself, unless centring left nothing but rounding of a matrix of norm ``size``.

    Raises
    ------
    Incompatible
    """
    if not np.linalg.norm(matrix) > 1e-12 * size:
        raise no_contrast(metric, "the kernel does not tell one pair of rows from another")
    return matrix
