"""Correlations of the axes of a reduction, beside the formula that explains those of uncentred components."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from numgeom import Incompatible, Representation


def component_correlation(rep: Representation, components: int = 5) -> dict[str, float]:
    r"""Pearson r between the axes of a reduction, and what the means of orthogonal axes alone would give.

    Scores of an uncentred singular value decomposition are orthogonal but not mean-free, so that with column means m
    and singular values s

        r_ij = -n m_i m_j / sqrt((s_i^2 - n m_i^2) (s_j^2 - n m_j^2))

    exactly, whatever the rows are: a map of "correlated components" shows the mean and nothing else. PCA scores are
    mean-free, and both sides are 0. Axes that are not orthogonal (t-SNE, UMAP) differ from the formula, and their r
    depends on how the picture happens to be turned.

    - ``r_i_j``, ``formula_r_i_j``: both sides for each pair of the leading axes, counted from 1;
    - ``largest_r``: the largest ``|r_i_j|``, in [0, 1];
    - ``largest_difference``: the largest difference of both sides; about 1e-13 where the formula is the explanation.

    Parameters
    ----------
    rep : Representation
        A reduction to at least two axes.
    components : int, default 5
        Axes that are compared, at least 2.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If there are fewer than two axes, or an axis is constant.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(2.0, 1.0, (50, 6))
    >>> left, values, _ = np.linalg.svd(rows, full_matrices=False)
    >>> found = component_correlation(Representation(left[:, :3] * values[:3], np.arange(50)))
    >>> found["largest_r"] > 0.1, found["largest_difference"] < 1e-12
    (True, True)
    """
    if components < 2 or rep.d < 2:
        raise Incompatible(
            f"component_correlation compares at least two axes; there are {min(components, rep.d)}: reduce to more."
        )
    scores = rep.matrix[:, :components].astype(np.float64)
    # Correlations have no unit, and a small one would underflow when squared.
    scores = scores / np.maximum(np.abs(scores).max(axis=0), np.finfo(np.float64).tiny)
    means = scores.mean(axis=0)
    centred = scores - means
    spread = np.linalg.norm(centred, axis=0)
    flat = np.flatnonzero(spread <= 1e-12 * np.sqrt(rep.n))
    if flat.size:
        raise Incompatible(f"component_correlation: axis {flat[0] + 1} is constant, so it correlates with nothing.")
    seen = np.clip((centred.T @ centred) / np.outer(spread, spread), -1.0, 1.0)
    formula = -rep.n * np.outer(means, means) / np.outer(spread, spread)
    found: dict[str, float] = {}
    for i, j in combinations(range(scores.shape[1]), 2):
        found[f"r_{i + 1}_{j + 1}"] = float(seen[i, j])
        found[f"formula_r_{i + 1}_{j + 1}"] = float(formula[i, j])
    above = np.triu_indices(scores.shape[1], 1)
    found["largest_r"] = float(np.abs(seen[above]).max())
    found["largest_difference"] = float(np.abs(seen[above] - formula[above]).max())
    return found
