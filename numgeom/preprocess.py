"""The preprocessing chain: explicit, ordered, written into every row.

Steps are named in words: ``center``, ``unit``, ``standardize``, ``residual:magnitude``,
``residual:length``, ``residual:dctK`` (the first K cosines of the row order).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from numgeom.errors import Incompatible, UnknownName
from numgeom.representation import Representation

STEPS = ("center", "unit", "standardize", "residual:magnitude", "residual:length", "residual:dct20")


def preprocess(rep: Representation, chain: Sequence[str]) -> Representation:
    """Apply the steps of ``chain`` in order, in float64.

    Parameters
    ----------
    rep : Representation
    chain : sequence of str

    Returns
    -------
    Representation
        ``rep`` itself for an empty chain.

    Raises
    ------
    UnknownName
        If a step is not known.
    Incompatible
        If the numbers are too few for the design of a ``residual:`` step.

    Examples
    --------
    >>> rep = Representation(np.arange(8.0).reshape(4, 2), np.arange(4))
    >>> preprocess(rep, ["center"]).matrix.mean()
    np.float64(0.0)
    """
    matrix = rep.matrix
    if not chain:
        return rep
    matrix = matrix.astype(np.float64)
    for step in chain:
        if step == "center":
            matrix = matrix - matrix.mean(axis=0)
        elif step == "unit":
            norms = np.linalg.norm(matrix, axis=1, keepdims=True)
            matrix = np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)
        elif step == "standardize":
            spread = matrix.std(axis=0)
            matrix = np.divide(matrix - matrix.mean(axis=0), spread, out=np.zeros_like(matrix), where=spread > 0)
        elif step.startswith("residual:"):
            basis = _column_space(_design(step, rep.numbers))
            if basis.shape[1] >= rep.n:
                raise Incompatible(f"{step} needs more than {basis.shape[1]} numbers; {rep.n} are shared.")
            matrix = matrix - basis @ (basis.T @ matrix)
        else:
            raise UnknownName("preprocessing step", step, STEPS)
    return rep.with_matrix(matrix, preprocess=list(chain))


def check_steps(chain: Sequence[str]) -> None:
    """Refuse a chain with a step that is not known.

    Raises
    ------
    UnknownName
    """
    for step in chain:
        if step not in STEPS and not re.fullmatch(r"residual:dct\d+", step):
            raise UnknownName("preprocessing step", step, STEPS)


def _design(step: str, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    n = numbers.astype(np.float64)
    ones = np.ones_like(n)
    name = step.removeprefix("residual:")
    if name == "magnitude":
        return np.column_stack([ones, n, np.sign(n) * np.log1p(np.abs(n))])
    if name == "length":
        lengths = np.array([len(str(abs(int(v)))) for v in numbers])
        return np.column_stack([lengths == length for length in np.unique(lengths)]).astype(np.float64)
    match = re.fullmatch(r"dct(\d+)", name)
    if match:
        k = np.arange(int(match[1]) + 1)
        return np.asarray(np.cos(np.pi * np.outer(np.arange(n.size) + 0.5, k) / n.size), dtype=np.float64)
    raise UnknownName("preprocessing step", step, STEPS)


def _column_space(design: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """An orthonormal basis of the design's columns, rank deficiency allowed."""
    left, values, _ = np.linalg.svd(design / np.linalg.norm(design, axis=0), full_matrices=False)
    return left[:, values > 1e-10 * values[0]]
