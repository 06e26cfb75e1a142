"""What a reduction kept of the cloud that it reduced."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.manifold import trustworthiness

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.ranks import pairs, unit_ranks
from numgeom_plugins.geometry.stability import stability

F64 = npt.NDArray[np.float64]

# What a fitted reducer may say of its own end, and the name of the measure.
LOSSES = {"kl_divergence_": "kl_divergence", "stress_": "final_stress", "negative_share_": "negative_share"}


def fidelity(rep: Representation, neighbours: int = 10, seeds: int = 5) -> dict[str, float]:
    """Neighbours, distances and order in a reduction, held against its origin; all free of scale.

    - ``trustworthiness``: whether neighbours in the reduction were neighbours before, in [0, 1];
    - ``continuity``: whether neighbours before still are, in [0, 1];
    - ``rnx_auc``: neighbour agreement above chance over all sizes, weighted by 1 / k: at most 1,
      about 0 for a random layout;
    - ``shepard_spearman``: rank correlation of all distances after with before, in [-1, 1];
    - ``stress_1``: Kruskal's stress-1 under the best common scale, in [0, 1]; 0 is best;
    - ``order_spearman``: the largest ``|Spearman(axis, number)|`` over the axes, in [0, 1]; its null takes
      the same largest;
    - ``path_smoothness``: mean distance between rows successive in number, divided by the mean distance of
      all pairs, at least 0; about 1 for shuffled labels, near 0 for a smooth path;
    - ``seed_procrustes``, ``seed_neighbours``: agreement of the layouts of several seeds, in [0, 1], of a reducer
      that draws at random: mean Procrustes similarity, and mean share of common neighbours;
    - ``kl_divergence``, ``final_stress``, ``negative_share``: what the reducer minimised, where it says so; at
      least 0.

    The first five judge the picture, the next two the numbers in it. An exact copy scores 1, 1, 1, 1, 0.

    Parameters
    ----------
    rep : Representation
        A reduction; its ``origin`` is the cloud that was reduced.
    neighbours : int, default 10
        Size of the neighbourhoods of trustworthiness, continuity and stability; below n / 2, else lowered (W-CLIP).
    seeds : int, default 5
        Layouts that are compared for stability, the present one included; controls take two.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If ``rep`` is no reduction, ``neighbours`` is below 1 or ``seeds`` below 2, or all points of one side coincide.

    Warns
    -----
    MeasurementWarning
        W-DUP where the origin has duplicate rows: their neighbours are a matter of row order. W-SEED below 5 seeds.

    References
    ----------
    Venna & Kaski 2006; Lee & Verleysen 2009 and Lee et al. 2013 (R_NX and its area); Kruskal 1964; Gower 1975.

    Examples
    --------
    >>> cloud = Representation(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40))
    >>> copy = Representation(2.0 * cloud.matrix, cloud.numbers, origin=cloud)
    >>> kept = fidelity(copy)
    >>> kept["trustworthiness"], kept["rnx_auc"], round(kept["stress_1"], 6)
    (1.0, 1.0, 0.0)
    """
    if rep.origin is None:
        raise Incompatible("fidelity judges a reduction; ask for it together with a reducer, such as pca.")
    if neighbours < 1:
        raise Incompatible(f"fidelity: neighbours={neighbours} must be 1 or more; write for example neighbours=10.")
    before, after = rep.origin.workspace, rep.workspace
    for work, side in ((before, "the origin"), (after, "the reduction")):
        if work.energy == 0.0:
            raise Incompatible(f"fidelity: all points of {side} coincide, so there is nothing to compare.")
    if before.duplicate_rows:
        text = (
            f"{before.duplicate_rows} duplicate rows before the reduction: their neighbours are a matter of row order"
        )
        warnings.warn(MeasurementWarning("W-DUP", text), stacklevel=2)
    size = _neighbourhood(neighbours, rep.n)
    far, near = pairs(before.distances), pairs(after.distances)
    rank = unit_ranks(rep.numbers, "fidelity: the numbers")
    axes = (axis for axis in rep.matrix.T.astype(np.float64) if np.ptp(axis) > 0)
    successive = np.diagonal(after.distances, 1)
    return {
        "trustworthiness": _kept(before.distances, after.centred, size),
        "continuity": _kept(after.distances, before.centred, size),
        "rnx_auc": _rnx_auc(before.distances, after.distances),
        "shepard_spearman": float(np.clip(_spearman(far, near), -1.0, 1.0)),
        "stress_1": _stress(far, near),
        "order_spearman": min(1.0, max(abs(float(unit_ranks(axis, "fidelity: an axis") @ rank)) for axis in axes)),
        "path_smoothness": float(successive.mean() / near.mean()),
        **stability(rep, size, seeds),
        **_losses(rep),
    }


def _losses(rep: Representation) -> dict[str, float]:
    """What the fitted reducer says it came to."""
    fitted = rep.provenance.get("fitted")
    return {name: float(getattr(fitted, held)) for held, name in LOSSES.items() if hasattr(fitted, held)}


def _stress(far: F64, near: F64) -> float:
    """Stress-1 of distances ``near`` with disparities ``b far`` at the best b: the sine of their angle."""
    # As a difference of unit vectors: 1 - cos^2 would lose half the digits of a small stress.
    a, b = far / np.linalg.norm(far), near / np.linalg.norm(near)
    gap = float(np.linalg.norm(a - b))
    return gap * float(np.sqrt(1.0 - gap**2 / 4.0))


def _spearman(far: F64, near: F64) -> float:
    return float(unit_ranks(far, "fidelity: distances before") @ unit_ranks(near, "fidelity: distances after"))


def _neighbourhood(asked: int, n: int) -> int:
    """Lower ``asked`` to the largest neighbourhood for which trustworthiness is defined."""
    most = (n - 1) // 2
    if asked > most:
        text = f"fidelity: neighbours lowered from {asked} to {most} (below half of {n} numbers)"
        warnings.warn(MeasurementWarning("W-CLIP", text), stacklevel=3)
    return min(asked, most)


def _kept(distances: F64, layout: F64, size: int) -> float:
    """Trustworthiness of ``layout`` for the cloud with these distances."""
    return float(trustworthiness(distances, layout, n_neighbors=size, metric="precomputed"))


def _rnx_auc(before: F64, after: F64) -> float:
    """Area under R_NX(k) over ln k, k = 1 .. n - 2.

    A pair is shared by the k-neighbourhoods of both sides exactly when the larger of its two ranks is at
    most k, so one histogram of larger ranks holds the overlap for every k.
    """
    n = before.shape[0]
    larger = np.maximum(_neighbour_ranks(before), _neighbour_ranks(after))
    k = np.arange(1, n - 1)
    shared = np.cumsum(np.bincount(larger.ravel(), minlength=n))[1 : n - 1] - n
    overlap = shared / (n * k)
    above_chance = ((n - 1) * overlap - k) / (n - 1 - k)
    return float((above_chance / k).sum() / (1.0 / k).sum())


def _neighbour_ranks(distances: F64) -> npt.NDArray[np.int64]:
    """``(n, n)``: place of j among the neighbours of i, from 1; the row itself has 0."""
    n = distances.shape[0]
    own_first = distances.copy()
    np.fill_diagonal(own_first, -1.0)
    order = np.argsort(own_first, axis=1, kind="stable")
    ranks = np.empty((n, n), dtype=np.int64)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(n), (n, n)), axis=1)
    return ranks
