"""The arch (Guttman effect, horseshoe): the components that any smooth curve has."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from numgeom import Incompatible, MeasurementWarning, Representation

F64 = npt.NDArray[np.float64]
COSINES = 4
ARCHED = 0.8


def arch(rep: Representation) -> dict[str, float]:
    r"""How far the leading principal components are those of a smooth curve without further structure.

    If similarity falls with the distance between ranks and nothing else, component k is near
    ``cos(k pi (t + 1/2) / n)`` for the rank t, so PC1 is nearly a line and PC2 a square of PC1. A random
    walk, which knows no numbers, has ``pc1_order_r2 = 96 / pi^4 = 0.9855`` and ``pc1_share = 6 / pi^2 = 0.61``.
    All in [0, 1]:

    - ``pc1_order_r2``: R2 of PC1 against the numbers;
    - ``pc1_share``: share of variance in PC1;
    - ``pc2_quadratic_r2``: R2 of PC2 on 1, PC1 and PC1^2;
    - ``cosine_1`` to ``cosine_4``: R2 of PC k with its cosine; ``cosine_mean``: their mean.

    Parameters
    ----------
    rep : Representation
        At least 5 numbers, rank at least 4.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If the centred rows have rank below 4.

    Warns
    -----
    MeasurementWarning
        W-ARCH where ``pc2_quadratic_r2``, ``cosine_1`` and ``cosine_2`` are all at least 0.8 (our threshold):
        a line along PC1 and a curve in PC1-PC2 are then what order alone draws.

    References
    ----------
    Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Podani & Miklos 2002; Antognini & Sohl-Dickstein 2018.

    Examples
    --------
    >>> steps = np.random.default_rng(0).normal(size=(200, 2000))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     walk = arch(Representation(steps.cumsum(axis=0), np.arange(200)))
    >>> walk["pc1_order_r2"] > 0.97, walk["cosine_mean"] > 0.98
    (True, True)
    """
    n = rep.n
    if n <= COSINES:
        raise Incompatible(
            f"arch: {n} numbers are too few; it compares {COSINES} components, give at least 10 numbers."
        )
    values, vectors = eigh(rep.workspace.gram, subset_by_index=[n - COSINES, n - 1])
    values, components = values[::-1], vectors[:, ::-1]
    if values[-1] <= n * np.finfo(np.float64).eps * values[0]:
        raise Incompatible(f"arch: the rows have rank below {COSINES}; it needs {COSINES} principal components.")
    first, second = components[:, 0], components[:, 1]
    rank = np.arange(n)
    found = {
        "pc1_order_r2": _r_squared(first, rep.numbers[:, None].astype(np.float64)),
        "pc1_share": float(values[0]) / rep.workspace.energy,
        "pc2_quadratic_r2": _r_squared(second, np.column_stack([first, first**2])),
    }
    for k in range(1, COSINES + 1):
        cosine = np.cos(k * np.pi * (rank + 0.5) / n)
        found[f"cosine_{k}"] = _r_squared(components[:, k - 1], cosine[:, None])
    found["cosine_mean"] = float(np.mean([found[f"cosine_{k}"] for k in range(1, COSINES + 1)]))
    if min(found["pc2_quadratic_r2"], found["cosine_1"], found["cosine_2"]) >= ARCHED:
        text = "the leading components are those of any smooth curve: a line on PC1 and a bend on PC2 are expected"
        warnings.warn(MeasurementWarning("W-ARCH", text), stacklevel=2)
    return found


def _r_squared(target: F64, predictors: F64) -> float:
    """R2 of least squares with an intercept."""
    centred = target - target.mean()
    design = predictors - predictors.mean(axis=0)
    design = design / np.linalg.norm(design, axis=0)
    residual = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return float(np.clip(1.0 - (residual @ residual) / (centred @ centred), 0.0, 1.0))
