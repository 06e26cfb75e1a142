"""The arch (Guttman effect, horseshoe): the components that any smooth curve has."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path

from numgeom import Curve, Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.leading import leading
from numgeom_plugins.geometry.pair_sums import PairSums, pair_sums
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.smoothness import MODES, line_of_a_curve, log_modes, rank_modes, saturation

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

COSINES = 4
EIGENVALUES = 10
NEIGHBOURS = 10
# Our thresholds: an arch has these R2; half of the variance in smooth modes is partly one.
ARCHED = 0.8
HALF = 0.5
# PC1 is straighter than smoothness makes it if its R2 exceeds the expected one by more than this.
STRAIGHTER = 0.01


@dataclass(frozen=True, eq=False)
class Components:
    """The leading principal components of a cloud, and what of it an arch test needs.

    Attributes
    ----------
    scores : ndarray, shape (n, k)
        Unit vectors, k = 4 to 6.
    variances : ndarray, shape (k,)
        Their eigenvalues, falling.
    share : float
        Of the first in the variance.
    decay : float
        ``-d ln l_k / d ln k`` over the first ten eigenvalues.
    sums : PairSums
        Sums of squared distances at every lag, in any order.
    geodesic : ndarray, shape (n,)
        First principal coordinate of the distances along the neighbour graph.
    numbers : ndarray of int, shape (n,)
    """

    scores: F64
    variances: F64
    share: float
    decay: float
    sums: PairSums
    geodesic: F64
    numbers: I64


class Arch(RowOrderMetric[Components]):
    r"""How far the leading principal components are those of a smooth curve without further structure.

    If similarity falls with the distance between ranks and nothing else, component k is near
    ``cos(k pi (t + 1/2) / n)`` for the rank t, so PC1 is nearly a line and PC2 a square of PC1. A random walk, which
    knows no numbers, has ``pc1_order_r2 = 96 / pi^4 = 0.9855``, ``pc1_share = 6 / pi^2 = 0.61`` and
    ``eigenvalue_decay`` = 2. R2 and shares in [0, 1]:

    - ``pc1_order_r2``: R2 of PC1 against the numbers; ``expected_order_r2``: what a curve with the fitted
      saturation length has against the rank, by smoothness alone;
    - ``pc1_share``: share of variance in PC1;
    - ``pc2_quadratic_r2``: R2 of PC2 on 1, PC1 and PC1^2;
    - ``cosine_1`` to ``cosine_4``: R2 of PC k with its cosine; ``cosine_mean``: their mean; ``log_mode_mean``: the
      same with the components of a random walk over ``ln(n + 1)``;
    - ``smooth_share``: share of the variance of PC1 to PC4 in the span of the first four cosines, or of the
      components of the walk over the logarithm if that is more;
    - ``eigenvalue_decay``: minus the slope of ln l_k against ln k, k = 1 to 10, at least 0;
    - ``saturation_length``, ``nugget_share``, ``saturation_r2``: L / n, a over the mean squared distance, and R2, of
      ``a + b (1 - exp(-k / L))`` fitted to the mean squared distance at lag k. A small length says that only near
      numbers inform one another; 10 is the largest that is tried and means no saturation, 0 no rise;
    - ``geodesic_order_r2``: R2 of the rank along the neighbour graph (10 neighbours and the minimum spanning tree,
      one principal coordinate, as Isomap): near 1, the arch is a bent line;
    - ``arch_explained``: 1 (yes), 0.5 (partly) or 0 (no): whether smoothness accounts for PC1 to PC4. Yes: an arch
      (see Warns) with ``smooth_share`` of at least 0.8, and PC1 not straighter than expected. Partly: that but for
      a straighter PC1, or ``smooth_share`` of at least 0.5. The thresholds are ours.

    The curves ``distance_at_lag`` hold the mean squared distance at every lag and its fit.

    Parameters
    ----------
    rep : Representation
        At least 5 numbers, rank at least 4.

    Raises
    ------
    Incompatible
        If the centred rows have rank below 4.

    Warns
    -----
    MeasurementWarning
        W-ARCH where ``pc2_quadratic_r2``, and ``cosine_1`` and ``cosine_2`` (or those of the logarithm), are all at
        least 0.8: a line along PC1 and a curve in PC1-PC2 are then what order alone draws.

    References
    ----------
    Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Podani & Miklos 2002; Antognini & Sohl-Dickstein 2018;
    Tenenbaum, de Silva & Langford 2000 (geodesics). Verdict and smooth share are ours.

    Examples
    --------
    >>> steps = np.random.default_rng(0).normal(size=(200, 2000))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     walk = Arch()(Representation(steps.cumsum(axis=0), np.arange(200)))
    >>> walk["pc1_order_r2"] > 0.97, walk["cosine_mean"] > 0.98, walk["arch_explained"]
    (True, True, 1.0)
    """

    def __call__(self, rep: Representation) -> dict[str, Any]:
        """The values of one representation, and the distance at every lag."""
        state = self.prepare(rep)
        order = np.arange(rep.n)
        found = self.measure(state, order)
        if is_arch(fit_modes(state.scores, state.variances, state.numbers)):
            text = "the leading components are those of any smooth curve: a line on PC1 and a bend on PC2 are expected"
            warnings.warn(MeasurementWarning("W-ARCH", text), stacklevel=2)
        return {**found, **self.figures(state, rep)}

    def prepare(self, rep: Representation) -> Components:
        """The components, distances and geodesics."""
        return components(rep)

    def measure(self, state: Components, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        modes = fit_modes(state.scores[order], state.variances, state.numbers)
        curve = saturation(mean_squared(state.sums, order))
        rank = np.arange(len(order), dtype=np.float64)
        expected = line_of_a_curve(len(order), curve.length)
        first = state.scores[order, 0]
        cosines = {f"cosine_{k + 1}": float(value) for k, value in enumerate(modes.cosines[:COSINES])}
        return {
            "pc1_order_r2": r_squared(first, state.numbers[:, None].astype(np.float64)),
            "expected_order_r2": expected,
            "pc1_share": state.share,
            "pc2_quadratic_r2": modes.quadratic,
            **cosines,
            "cosine_mean": float(np.mean(list(cosines.values()))),
            "log_mode_mean": float(np.mean(modes.logs[:COSINES])),
            "smooth_share": modes.share,
            "eigenvalue_decay": state.decay,
            "saturation_length": curve.length,
            "nugget_share": curve.nugget_share,
            "saturation_r2": curve.r2,
            "geodesic_order_r2": r_squared(state.geodesic[order], rank[:, None]),
            "arch_explained": explained(modes, straighter=r_squared(first, rank[:, None]) > expected + STRAIGHTER),
        }

    def figures(self, state: Components, rep: Representation) -> dict[str, list[Curve]]:
        """The mean squared distance at every lag and its fit, over that of all pairs."""
        lags = np.arange(1, rep.n)
        means = mean_squared(state.sums, np.arange(rep.n))
        series = {"rows": means / float(np.average(means, weights=lags[::-1])), "fit": saturation(means).profile}
        label = "mean squared distance / that of all pairs"
        curves = [Curve(x=lags, y=y, x_label="lag (ranks)", y_label=label, series=name) for name, y in series.items()]
        return {"distance_at_lag": curves}


@dataclass(frozen=True, slots=True)
class ModeFit:
    """How well components, in their order, are the modes of a curve.

    Attributes
    ----------
    quadratic : float
        R2 of the second on 1, the first and its square; 0 if there is no second.
    cosines, logs : ndarray, shape (k,)
        R2 of each with the mode of its place, over ranks and over the logarithm.
    share : float
        Share of their variance in the span of the first four modes, over ranks or the logarithm, whichever is more.
    """

    quadratic: float
    cosines: F64
    logs: F64
    share: float


def fit_modes(scores: F64, variances: F64, numbers: I64) -> ModeFit:
    """Hold components against the modes of a curve.

    Parameters
    ----------
    scores : ndarray, shape (n, k)
        Orthonormal and centred.
    variances : ndarray, shape (k,)
    numbers : ndarray of int, shape (n,)
    """
    count = scores.shape[1]
    weights = variances[:COSINES] / variances[:COSINES].sum()
    matched, shares = [], []
    for modes in (rank_modes(len(numbers)), log_modes(tuple(numbers.tolist()))):
        squared = np.clip((modes.T @ scores) ** 2, 0.0, 1.0)
        matched.append(np.diagonal(squared)[:count])
        shares.append(float(np.clip(squared[:COSINES, :COSINES].sum(axis=0) @ weights, 0.0, 1.0)))
    quadratic = 0.0
    if count > 1:
        first = scores[:, 0]
        quadratic = r_squared(scores[:, 1], np.column_stack([first, first**2]))
    return ModeFit(quadratic, matched[0], matched[1], max(shares))


def is_arch(fit: ModeFit) -> bool:
    """Whether the first two components are the line and the bend of a curve."""
    if fit.cosines.size < 2:
        return False
    leading = max(float(fit.cosines[:2].min()), float(fit.logs[:2].min()))
    return min(fit.quadratic, leading) >= ARCHED


def explained(fit: ModeFit, *, straighter: bool) -> float:
    """The verdict: 1 (yes), 0.5 (partly), 0 (no)."""
    if is_arch(fit) and fit.share >= ARCHED and not straighter:
        return 1.0
    return 0.5 if is_arch(fit) or fit.share >= HALF else 0.0


def components(rep: Representation) -> Components:
    """The leading components of a cloud, derived once.

    Raises
    ------
    Incompatible
        If there are fewer than 5 numbers or the centred rows have rank below 4.
    """
    return rep.memo("geometry.arch", lambda: _components(rep))


def _components(rep: Representation) -> Components:
    n = rep.n
    if n <= COSINES:
        raise Incompatible(
            f"arch: {n} numbers are too few; it compares {COSINES} components, give at least 10 numbers."
        )
    values, scores = leading(rep.workspace.gram, min(EIGENVALUES, n))
    rank = int(np.count_nonzero(values > n * np.finfo(np.float64).eps * values[0]))
    if rank < COSINES:
        raise Incompatible(f"arch: the rows have rank below {COSINES}; it needs {COSINES} principal components.")
    k = np.log(np.arange(1, rank + 1))
    decay = -float(np.polyfit(k, np.log(values[:rank]), 1)[0])
    kept = min(rank, MODES, n - 1)
    return Components(
        np.ascontiguousarray(scores[:, :kept]),
        values[:kept],
        float(values[0]) / rep.workspace.energy,
        max(decay, 0.0),
        pair_sums(rep),
        geodesic(rep),
        rep.numbers,
    )


def mean_squared(sums: PairSums, order: I64) -> F64:
    """Mean squared distance at lags 1 .. n - 1, ``(n - 1,)``, when row ``order[i]`` belongs to number i."""
    n = len(order)
    return np.asarray(sums.of(order).squared_lags[1:] / np.arange(n - 1, 0, -1), dtype=np.float64)


def geodesic(rep: Representation) -> F64:
    """:func:`geodesic_coordinate` of a cloud, derived once."""
    return rep.memo("geometry.geodesic", lambda: geodesic_coordinate(rep.workspace.distances))


def geodesic_coordinate(distances: F64, neighbours: int = NEIGHBOURS) -> F64:
    """First principal coordinate of distances along the neighbour graph, ``(n,)``; the sign is free.

    The minimum spanning tree holds the parts of the graph together.

    Parameters
    ----------
    distances : ndarray, shape (n, n)
    neighbours : int

    Examples
    --------
    >>> angle = np.linspace(0.0, 5.0, 80)
    >>> arc = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> along = geodesic_coordinate(np.linalg.norm(arc[:, None] - arc[None], axis=2), 3)
    >>> bool(abs(np.corrcoef(along, angle)[0, 1]) > 0.9999)
    True
    """
    n = len(distances)
    # A stored 0 would be no edge at all: copies are joined by a rounding error.
    apart = np.maximum(distances, 1e-12 * distances.max())
    np.fill_diagonal(apart, 0.0)
    near = np.argpartition(apart, min(neighbours, n - 1), axis=1)[:, : min(neighbours, n - 1) + 1]
    rows = np.repeat(np.arange(n), near.shape[1])
    graph = csr_array((apart[rows, near.ravel()], (rows, near.ravel())), shape=(n, n))
    tree = csr_array(minimum_spanning_tree(apart))
    along = shortest_path(graph.maximum(tree), method="D", directed=False)
    products = -0.5 * along**2
    products -= products.mean(axis=0)
    products -= products.mean(axis=1, keepdims=True)
    return leading(products, 1)[1][:, 0]


def r_squared(target: F64, predictors: F64) -> float:
    """R2 of least squares with an intercept, in [0, 1]; constant predictors explain nothing.

    Examples
    --------
    >>> x = np.arange(5.0)
    >>> round(r_squared(x**2, np.column_stack([x, x**2])), 12)
    1.0
    """
    centred = target - target.mean()
    design = predictors - predictors.mean(axis=0)
    lengths = np.linalg.norm(design, axis=0)
    design = design[:, lengths > 0] / lengths[lengths > 0]
    residual = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return float(np.clip(1.0 - (residual @ residual) / (centred @ centred), 0.0, 1.0))


arch = Arch()
