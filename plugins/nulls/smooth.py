"""Smooth surrogates: Gaussian curves with the lag profile of the rows, and nothing else of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation

F64 = npt.NDArray[np.float64]

INDICES = ("n", "log")
# Bins of distance in the index, evenly spaced in its logarithm, beside the one of distance 0.
BINS = 24
# Surrogates drawn to see whether they look like the rows.
CHECKED = 8
# A statistic of the rows may lie this many standard deviations of the surrogates from their mean.
SPREADS = 4.0


@dataclass(frozen=True, eq=False)
class SmoothView:
    """The comparison with smooth surrogates.

    Attributes
    ----------
    name : str
        Empty: there is one view.
    observed : Representation
        The representation itself.
    kernel : str
        The fitted kernel of the smooth part: ``"walk"`` or ``"matern 1/2, length 30"``.
    smooth_share : float
        Share of the energy in the smooth part, in [0, 1]; the rest is white (the nugget).
    factor : ndarray, shape (n, n)
        A square root of the covariance of one column.
    """

    name: str
    observed: Representation
    kernel: str
    smooth_share: float
    factor: F64

    @classmethod
    def of(cls, rep: Representation, kernel: str, smooth_share: float, covariance: F64) -> SmoothView:
        """The view on curves with this covariance of one column, of unit trace, at the energy of the rows."""
        roots, vectors = np.linalg.eigh(covariance)
        width = int(rep.provenance.get("width", rep.d))
        scale = np.sqrt(np.clip(roots, 0.0, None) * rep.workspace.energy / width)
        return cls("", rep, kernel, smooth_share, vectors * scale)

    def draw(self, rng: np.random.Generator) -> Representation:
        """One surrogate, around the mean row."""
        rep = self.observed
        n, d = rep.n, rep.d
        mean = rep.matrix.mean(axis=0, dtype=np.float64)
        width = int(rep.provenance.get("width", d))
        if width <= d:
            return rep.with_matrix(mean + self.factor @ rng.standard_normal((n, d)))
        # A narrowed side stands for ``width`` columns: one along the mean, and the Bartlett factor of the others.
        triangle = np.tril(rng.standard_normal((n, n)), -1)
        triangle[np.diag_indices(n)] = np.sqrt(rng.chisquare(width - 1 - np.arange(n)))
        along = np.linalg.norm(mean) + self.factor @ rng.standard_normal(n)
        rows = np.column_stack([along, self.factor @ triangle])
        narrow = np.asarray(np.linalg.qr(rows.T, mode="r"), dtype=np.float64)
        return rep.with_matrix(narrow.T)


class SmoothSurrogate:
    """Curves of independent Gaussian columns with the fitted lag profile of the rows, in random directions.

    The lag profile is the mean inner product of centred rows against their distance in the index. A smooth part
    (random walk, or Matern of order 1/2, 3/2 or 5/2) and a white part (the nugget, which is the jump between
    distance 0 and the profile's continuation) are fitted to it by least squares over bins of distance, at the
    energy of the rows; both are centred as the rows are. The columns of a surrogate are independent draws.

    It is an effect size, what order alone would score, and not a test: the Gram of a curve in d dimensions
    concentrates as d grows, so that at the width of real models any small misfit of the kernel rejects. Use
    ``order_modes`` for the p-value.

    Parameters
    ----------
    index : {"n", "log"}
        Distance between numbers: of n, or of ``log(n + 1)`` (``-log(1 - n)`` below 0) for rows that move in
        the logarithm.
    tolerance : float
        How far the surrogates may be from the rows beyond 4 standard deviations of their own spread: in the
        lag profile (as a share of its value at 0), in the share of PC1, and in k_90 (as a share of it).

    References
    ----------
    Matheron 1963 (variogram and nugget).

    Examples
    --------
    >>> walk = np.random.default_rng(0).standard_normal((60, 200)).cumsum(axis=0)
    >>> view = SmoothSurrogate().views(Representation(walk, np.arange(60)))[0]
    >>> view.smooth_share > 0.95, view.draw(np.random.default_rng(1)).matrix.shape
    (True, (60, 200))
    """

    def __init__(self, index: str = "n", tolerance: float = 0.1) -> None:
        if index not in INDICES:
            raise Incompatible(f"smooth_surrogate has the indices n and log, not {index}; type index=n or index=log.")
        self.index = index
        self.tolerance = float(tolerance)

    def views(self, rep: Representation) -> Sequence[SmoothView]:
        """The one view.

        Parameters
        ----------
        rep : Representation

        Returns
        -------
        sequence of SmoothView

        Raises
        ------
        Incompatible
            If there are fewer than 10 numbers, the rows do not vary, or the surrogates do not look like them.
        """
        return [rep.memo(f"nulls.smooth.{self.index}.{self.tolerance}", lambda: self._view(rep))]

    def _view(self, rep: Representation) -> SmoothView:
        if rep.n < 10:
            raise Incompatible(f"smooth_surrogate needs at least 10 numbers for a lag profile; these are {rep.n}.")
        energy = rep.workspace.energy
        if energy <= 1e-30 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible(f"all {rep.n} rows are equal, so there is no curve to imitate.")
        values = rep.numbers.astype(np.float64)
        index = values if self.index == "n" else np.sign(values) * np.log1p(np.abs(values))
        apart = np.abs(index[:, None] - index[None, :])
        shortest = float(np.diff(index).min())
        profile = Profile(apart, shortest)
        view = SmoothView.of(rep, *fit(profile, apart, rep.workspace.gram, shortest))
        self._require_likeness(view, profile)
        return view

    def _require_likeness(self, view: SmoothView, profile: Profile) -> None:
        """Refuse surrogates whose lag profile, PC1 share or k_90 are not those of the rows."""
        rng = np.random.default_rng(0)
        drawn = np.stack([_looks(view.draw(rng), profile) for _ in range(CHECKED)])
        mean, spread = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
        rows = _looks(view.observed, profile)
        slack = np.full(rows.size, self.tolerance)
        slack[-1] = 1.0 + self.tolerance * mean[-1]
        beyond = np.abs(rows - mean) - SPREADS * spread - slack
        worst = int(np.argmax(beyond[:-2]))
        named = ((worst, f"lag profile at {profile.name(worst)}"), (-2, "PC1 share"), (-1, "k_90"))
        found = [f"{name} {rows[i]:.3g} against {mean[i]:.3g}" for i, name in named if beyond[i] > 0]
        if found:
            other = "log" if self.index == "n" else "n"
            raise Incompatible(
                f"smooth_surrogate: no curve of independent columns (best: {view.kernel}, {view.smooth_share:.0%} of "
                f"the energy) looks like these rows: {'; '.join(found)}; try smooth_surrogate(index={other}), or hold "
                "against order_modes."
            )


class Profile:
    """Means of a symmetric matrix over bins of distance in the index.

    Parameters
    ----------
    apart : ndarray, shape (n, n)
        Distances.
    shortest : float
        Where the bins begin, above 0; shorter distances go to the first.
    """

    def __init__(self, apart: F64, shortest: float) -> None:
        edges = np.geomspace(shortest, apart.max(), BINS + 1)[1:-1]
        bins = 1 + np.searchsorted(edges, apart.ravel(), side="left")
        bins[:: len(apart) + 1] = 0
        held, self._bins = np.unique(bins, return_inverse=True)
        self._counts = np.bincount(self._bins, minlength=len(held))
        self._distance = np.bincount(self._bins, weights=apart.ravel()) / self._counts

    def __call__(self, matrix: F64) -> F64:
        """The profile, 1 at distance 0."""
        means = np.bincount(self._bins, weights=matrix.ravel()) / self._counts
        return np.asarray(means / means[0], dtype=np.float64)

    def name(self, place: int) -> str:
        """Where a bin lies."""
        return f"distance {self._distance[place]:.3g}"


def _looks(rep: Representation, profile: Profile) -> F64:
    """The lag profile, then PC1 share and k_90."""
    shares = rep.workspace.spectrum / rep.workspace.spectrum.sum()
    k_90 = np.argmax(np.cumsum(shares) >= 0.9 - 1e-12) + 1
    return np.append(profile(rep.workspace.gram), [shares[0], k_90])


def fit(profile: Profile, apart: F64, gram: F64, shortest: float) -> tuple[str, float, F64]:
    """The smooth and the white part that fit the profile of a centred Gram best.

    Parameters
    ----------
    profile : Profile
    apart : ndarray, shape (n, n)
        Distances.
    gram : ndarray, shape (n, n)
    shortest : float
        The kernels tried have lengths from twice this.

    Returns
    -------
    kernel : str
        ``"walk"``, ``"matern 1/2, length 30"``, or ``"white"``.
    share : float
        Of the smooth part in the energy, in [0, 1].
    covariance : ndarray, shape (n, n)
        Of one column, at unit trace.
    """
    n = len(apart)
    centring = np.eye(n) - 1.0 / n
    seen, white = profile(gram), profile(centring)
    best = (np.inf, "white", 0.0, centring / (n - 1))
    for name, kernel in _kernels(apart, shortest):
        kernel -= kernel.mean(axis=0)
        kernel -= kernel.mean(axis=1, keepdims=True)
        kernel /= np.trace(kernel)
        slope = profile(kernel) - white
        share = float(np.clip(slope @ (seen - white) / (slope @ slope), 0.0, 1.0))
        misfit = float(np.square(seen - white - share * slope).sum())
        if misfit < best[0]:
            best = (misfit, name, share, share * kernel + (1.0 - share) * centring / (n - 1))
    return best[1:]


def _kernels(apart: F64, shortest: float) -> Iterator[tuple[str, F64]]:
    """Random walk, whose centred kernel is that of ``-|t - t'| / 2``, and Matern kernels of several lengths."""
    yield "walk", -apart / 2.0
    for length in np.geomspace(2.0 * shortest, 2.0 * float(apart.max()), 12):
        for order, root in (("1/2", 1.0), ("3/2", 3.0), ("5/2", 5.0)):
            ratio = np.sqrt(root) * apart / length
            factor = {"1/2": 1.0, "3/2": 1.0 + ratio, "5/2": 1.0 + ratio + ratio**2 / 3.0}[order]
            yield f"matern {order}, length {length:.3g}", factor * np.exp(-ratio)
