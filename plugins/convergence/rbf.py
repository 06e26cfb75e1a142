"""CKA of Gaussian kernels: how near pairs of rows agree, near as judged by a bandwidth."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
from scipy.spatial.distance import squareform

from numgeom import Incompatible, Representation
from numgeom_plugins.convergence.centring import double_centred, u_centred, without_diagonal
from numgeom_plugins.convergence.hsic import require_contrast, require_four
from numgeom_plugins.convergence.trace import F64, TraceMetric

Median = Literal["linear", "lower"]


class _GaussianCKA(TraceMetric):
    """The cosine of two Gaussian kernels after centring."""

    @abstractmethod
    def kernel(self, rep: Representation) -> F64:
        """``exp(-D^2 / (2 sigma^2))``, ``(n, n)``."""

    def centred(self, kernel: F64) -> F64:
        """Double-centred: the biased estimate."""
        return double_centred(kernel)

    def matrix(self, rep: Representation) -> F64:
        """The centred kernel."""
        kernel = self.kernel(rep)
        return require_contrast(self.name, self.centred(kernel), float(np.linalg.norm(without_diagonal(kernel))) or 1.0)


class _DebiasedCKA(_GaussianCKA):
    """The unbiased estimate, whatever the rule of the bandwidth."""

    lowest = -1.0

    def matrix(self, rep: Representation) -> F64:
        """The U-centred kernel."""
        require_four(self.name, rep)
        return super().matrix(rep)

    def centred(self, kernel: F64) -> F64:
        """U-centred: the unbiased estimate."""
        return u_centred(kernel)


class MedianBandwidthCKA(_GaussianCKA):
    """CKA of Gaussian kernels, sigma a fraction of the median distance of different rows, in [0, 1].

    Biased, like ``cka_linear``: unrelated clouds of large width approach 1. The peer ``platonic-universe``
    means the same bandwidth, but counts the rounding noise on the diagonal of its distances as distances.
    Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    fraction : float
        sigma over the median distance.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton 2019, arXiv:1905.00414.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = MedianBandwidthCKA()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """

    name = "cka_rbf_median"
    lowest = 0.0

    def __init__(self, fraction: float = 1.0) -> None:
        self.fraction = positive(self.name, "fraction", fraction)

    @property
    def key(self) -> str:
        """The name and the fraction."""
        return f"{self.name}.{self.fraction}"

    def kernel(self, rep: Representation) -> F64:
        """Gaussian of the distances over their median."""
        squared = rep.workspace.squared_distances
        return gaussian(squared, 2.0 * np.median(np.sqrt(upper(squared))) ** 2 * self.fraction**2, self.name)


class DebiasedMedianBandwidthCKA(_DebiasedCKA, MedianBandwidthCKA):
    """CKA of Gaussian kernels with unbiased HSIC, sigma a fraction of the median distance, in [-1, 1].

    About 0 for unrelated clouds at any width. Invariant to rotation, isotropic scale and translation; n >= 4.

    Parameters
    ----------
    fraction : float
        sigma over the median distance of different rows.

    References
    ----------
    Song et al. 2012; Kornblith et al. 2019, arXiv:1905.00414.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = DebiasedMedianBandwidthCKA(fraction=0.5)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_median_debiased"


class AllPairsMedianBandwidthCKA(_GaussianCKA):
    """CKA of Gaussian kernels, ``sigma^2 = fraction^2`` times the median of ALL squared distances, in [0, 1].

    The zero diagonal counts, so the bandwidth is a little smaller than in ``cka_rbf_median``: this is the rule
    of the notebook of Kornblith et al., kept to compare with published values.
    Invariant to rotation, isotropic scale and translation.

    Parameters
    ----------
    fraction : float
        The notebook's ``threshold``.
    median : {"linear", "lower"}
        Between the two middle values, or the lower one (as PyTorch has it: ckatorch, Aristotelian).

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton 2019, arXiv:1905.00414.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = AllPairsMedianBandwidthCKA(fraction=0.5)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_median_all_pairs"
    lowest = 0.0

    def __init__(self, fraction: float = 1.0, median: Median = "linear") -> None:
        self.fraction = positive(self.name, "fraction", fraction)
        if median not in ("linear", "lower"):
            raise Incompatible(f'{self.name} knows no median={median!r}; type median="linear" or median="lower".')
        self.median = median

    @property
    def key(self) -> str:
        """The name, the fraction and the rule of the median."""
        return f"{self.name}.{self.fraction}.{self.median}"

    def kernel(self, rep: Representation) -> F64:
        """Gaussian of the squared distances over their median."""
        squared = rep.workspace.squared_distances
        middle = float(np.quantile(squared, 0.5, method=self.median))
        return gaussian(squared, 2.0 * middle * self.fraction**2, self.name)


class MeanBandwidthCKA(_GaussianCKA):
    """CKA of the kernels ``exp(-D^2 / mean D^2)``, the mean over pairs of different rows, in [0, 1].

    Invariant to rotation, isotropic scale and translation.

    References
    ----------
    Kornblith et al. 2019, arXiv:1905.00414 (the kernel); the bandwidth is that of the package repsim.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = MeanBandwidthCKA()
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_mean"
    lowest = 0.0

    def kernel(self, rep: Representation) -> F64:
        """Gaussian of the squared distances over their mean."""
        squared = rep.workspace.squared_distances
        return gaussian(squared, float(upper(squared).mean()), self.name)


class LocalBandwidthCKA(_GaussianCKA):
    """CKA of the kernels ``exp(-D_ij^2 / (2 m_i m_j))``, m_i the median distance from row i, in [0, 1].

    Dense and sparse regions are judged by their own scale. Invariant to rotation, isotropic scale and
    translation.

    References
    ----------
    Zelnik-Manor & Perona 2004 (local scaling); "dual median" in the package repsim.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = LocalBandwidthCKA()
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_local"
    lowest = 0.0

    def kernel(self, rep: Representation) -> F64:
        """Gaussian with a bandwidth of its own for each row."""
        n, distances = rep.n, rep.workspace.distances
        middles = np.median(distances[~np.eye(n, dtype=bool)].reshape(n, n - 1), axis=1)
        return gaussian(rep.workspace.squared_distances, 2.0 * np.outer(middles, middles), self.name)


class FixedBandwidthCKA(_GaussianCKA):
    """CKA of Gaussian kernels of one given bandwidth, in [0, 1].

    Both models must live on the scale of sigma: far below it the kernel is linear, far above it every row is
    near itself only and all pairs of models score 1. Invariant to rotation and translation, not to scale.

    Parameters
    ----------
    sigma : float
        In the units of the rows.

    References
    ----------
    Kornblith et al. 2019, arXiv:1905.00414; Huh et al. 2024, arXiv:2405.07987.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = FixedBandwidthCKA(sigma=2.0)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_fixed"
    lowest = 0.0

    def __init__(self, sigma: float = 4.0) -> None:
        self.sigma = positive(self.name, "sigma", sigma)

    @property
    def key(self) -> str:
        """The name and the bandwidth."""
        return f"{self.name}.{self.sigma}"

    def kernel(self, rep: Representation) -> F64:
        """Gaussian of the distances over sigma."""
        return gaussian(rep.workspace.squared_distances, 2.0 * self.sigma**2, self.name)


class DebiasedFixedBandwidthCKA(_DebiasedCKA, FixedBandwidthCKA):
    """CKA with unbiased HSIC of Gaussian kernels of one given bandwidth, in [-1, 1].

    The peer ``platonic-rep`` adds 1e-6 to a denominator that it has divided by ``n (n - 3)``, which decides the
    value wherever the kernel is small: 0 instead of 0.998 on the golden case d at sigma = 4.
    Invariant to rotation and translation, not to scale; n >= 4.

    Parameters
    ----------
    sigma : float
        In the units of the rows.

    References
    ----------
    Song et al. 2012; Huh et al. 2024, arXiv:2405.07987.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = DebiasedFixedBandwidthCKA(sigma=2.0)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_fixed_debiased"


class LangeFixedBandwidthCKA(FixedBandwidthCKA):
    """CKA of Gaussian kernels of one given bandwidth, over pairs of different rows after centring, in [-1, 1].

    Invariant to rotation and translation, not to scale; n >= 4.

    Parameters
    ----------
    sigma : float
        In the units of the rows.

    References
    ----------
    Lange, Kwok, Matelsky, Wang, Rolnick & Kording 2023, arXiv:2206.10999.

    Examples
    --------
    >>> from numgeom import Representation
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = LangeFixedBandwidthCKA(sigma=2.0)
    >>> state = metric.prepare(Representation(rows, np.arange(6)))
    >>> round(metric.score(state, state), 12)
    1.0
    """

    name = "cka_rbf_fixed_lange"
    lowest = -1.0

    def matrix(self, rep: Representation) -> F64:
        """The centred kernel without its diagonal."""
        require_four(self.name, rep)
        return super().matrix(rep)

    def centred(self, kernel: F64) -> F64:
        """Double-centred, then without the diagonal."""
        return without_diagonal(double_centred(kernel))


def gaussian(squared: F64, scale: F64 | float, metric: str) -> F64:
    """``exp(-squared / scale)``.

    Raises
    ------
    Incompatible
        If a scale is zero: half of the distances are then.
    """
    if not np.all(np.asarray(scale) > 0.0):
        raise Incompatible(
            f"{metric} finds no bandwidth: half of the distances or more are 0; drop the duplicate rows, "
            "or use cka_rbf_mean."
        )
    return np.asarray(np.exp(-squared / scale), dtype=np.float64)


def upper(matrix: F64) -> F64:
    """The upper triangle without the diagonal, row by row."""
    return np.asarray(squareform(matrix, checks=False), dtype=np.float64)


def positive(metric: str, parameter: str, value: float) -> float:
    """A parameter that must be a finite number above 0.

    Raises
    ------
    Incompatible
    """
    if not 0.0 < value < np.inf:
        raise Incompatible(f"{metric} needs {parameter} above 0; it is {value}: type {metric}({parameter}=1).")
    return float(value)
