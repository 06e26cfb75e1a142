"""Whether a reduction depends on its seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from numgeom import Incompatible, MeasurementWarning, Representation

F64 = npt.NDArray[np.float64]

FEWEST = 5
# The mean over pairs of seeds has one value however many pairs there are: controls, of which there are many, take one.
OF_A_CONTROL = 2


def stability(rep: Representation, neighbours: int, seeds: int) -> dict[str, float]:
    """Mean agreement of the layouts that several seeds give.

    - ``seed_procrustes``: Procrustes similarity of two layouts, ``||A'B||_*`` of the centred layouts at unit norm, in
      [0, 1]; 1 if they differ by a turn, a mirror image, a shift and a scale only;
    - ``seed_neighbours``: share of the nearest neighbours of a row that two layouts have in common, in [0, 1].

    Parameters
    ----------
    rep : Representation
        A reduction. Its provenance holds ``again``, ``(seed) -> (n, k)``, if the reducer draws at random; a
        ``control`` there is judged by two seeds, whose expected agreement is the same.
    neighbours : int
    seeds : int
        Layouts, the present one included; at least 2.

    Returns
    -------
    dict of str to float
        Empty where one seed is as good as another.

    Raises
    ------
    Incompatible
        If ``seeds`` is below 2.

    Warns
    -----
    MeasurementWarning
        W-SEED where fewer than 5 seeds are asked for.

    References
    ----------
    Gower 1975 (Procrustes).
    """
    again: Callable[[int], npt.ArrayLike] | None = rep.provenance.get("again")
    if again is None:
        return {}
    if seeds < 2:
        raise Incompatible(f"fidelity: seeds={seeds} must be 2 or more; type seeds=5.")
    if seeds < FEWEST:
        text = f"stability was read from {seeds} seeds; {FEWEST} or more are wanted"
        warnings.warn(MeasurementWarning("W-SEED", text), stacklevel=3)
    first = int(rep.provenance["seed"])
    others = OF_A_CONTROL if rep.provenance.get("control") else seeds
    layouts = [rep.matrix.astype(np.float64)]
    layouts += [np.asarray(again(first + place), dtype=np.float64) for place in range(1, others)]
    near = [_neighbour_lists(layout, neighbours) for layout in layouts]
    pairs = list(combinations(range(len(layouts)), 2))
    return {
        "seed_procrustes": float(np.mean([procrustes_similarity(layouts[i], layouts[j]) for i, j in pairs])),
        "seed_neighbours": float(np.mean([_overlap(near[i], near[j]) for i, j in pairs])),
    }


def procrustes_similarity(a: F64, b: F64) -> float:
    """``||A'B||_*`` of two centred layouts at unit norm, in [0, 1]; 0 if the points of one coincide.

    Examples
    --------
    >>> layout = np.random.default_rng(0).normal(size=(20, 2))
    >>> round(procrustes_similarity(layout, 3.0 * layout[:, ::-1] + 5.0), 12)
    1.0
    """
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, float(np.linalg.norm(a.T @ b, ord="nuc")) / size) if size > 0 else 0.0


def _neighbour_lists(layout: F64, neighbours: int) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = NearestNeighbors(n_neighbors=neighbours).fit(layout).kneighbors()[1]
    return found


def _overlap(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    return float((a[:, :, None] == b[:, None, :]).sum() / a.size)
