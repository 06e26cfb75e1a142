"""Trends over pairs of models, tested by relabelling models: pairs that share a model are not independent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.errors import Incompatible, UnknownName

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FEWEST = 4
BATCH = 256

PAIRED: dict[str, Callable[[Any, Any], Any]] = {
    "mean": lambda a, b: (a + b) / 2.0,
    "smaller": np.minimum,
    "larger": np.maximum,
    "difference": lambda a, b: np.abs(a - b),
    "same": lambda a, b: np.asarray(a == b, dtype=np.float64),
}


@dataclass(frozen=True, slots=True)
class Trend:
    """How pair scores go with a covariate.

    Attributes
    ----------
    rho : float
        Spearman correlation over the pairs, in [-1, 1].
    p : float
        Two-sided: the share of relabellings of the models with a ``|rho|`` at least as large.
    models, pairs : int
        How many took part.
    draws : int
        Relabellings looked at, the identity among them where all are.
    exact : bool
        Whether those are all relabellings there are.
    """

    rho: float
    p: float
    models: int
    pairs: int
    draws: int
    exact: bool


def qap(
    scores: pd.DataFrame,
    covariate: pd.DataFrame | Mapping[str, Any],
    draws: int = 9999,
    seed: int = 0,
    *,
    paired: str = "mean",
) -> Trend:
    """Spearman correlation of pair scores with a covariate, p by the quadratic assignment procedure.

    The models of the covariate are relabelled, rows and columns together, and the correlation is taken again. The
    scores keep whatever ties pairs of one model together, which an ordinary p-value of a correlation takes for
    independent evidence.

    Parameters
    ----------
    scores : DataFrame, shape (m, m)
        Models by models, as ``Study.table(metric)`` gives it; the diagonal and missing pairs are left out. Where it is
        symmetric each pair counts once.
    covariate : DataFrame, shape (m, m), or mapping
        One value a pair, or one a model (logarithms of parameters, a tokenizer, a family).
    draws : int
        Relabellings drawn where there are more than that many; otherwise all are taken.
    seed : int
    paired : {"mean", "smaller", "larger", "difference", "same"}
        How two values of models become that of their pair: ``"same"`` (1 or 0) for labels, the others for numbers.

    Returns
    -------
    Trend

    Raises
    ------
    Incompatible
        If fewer than 4 models have scores, a model has no value, or scores or covariate do not vary.
    UnknownName
        If ``paired`` is not known.

    References
    ----------
    Hubert & Schultz 1976, Br. J. Math. Stat. Psychol. 29:190 (QAP); Krackhardt 1988; Mantel 1967.

    Examples
    --------
    >>> size = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}
    >>> scores = pd.DataFrame({i: {j: size[i] + size[j] for j in size} for i in size})
    >>> found = qap(scores, size)
    >>> round(found.rho, 6), found.draws, found.exact
    (1.0, 120, True)
    """
    from scipy.stats import rankdata

    if draws < 1:
        raise Incompatible(f"a trend needs at least 1 draw; got draws={draws}.")
    values = scores.to_numpy(dtype=np.float64, copy=True)
    if values.shape[0] != values.shape[1] or list(scores.index) != list(scores.columns):
        raise Incompatible("scores must be a square table, models by models, such as Study.table(metric) gives.")
    np.fill_diagonal(values, np.nan)
    have = np.flatnonzero(np.isfinite(values).any(axis=0) | np.isfinite(values).any(axis=1))
    values, names = values[np.ix_(have, have)], [str(name) for name in scores.index[have]]
    if len(names) < FEWEST:
        raise Incompatible(f"a trend needs scores of at least {FEWEST} models; these are {len(names)}.")
    other = _pairs_of(covariate, names, paired)
    symmetric = np.array_equal(values, values.T, equal_nan=True) and np.array_equal(other, other.T)
    wanted = np.isfinite(values) & (np.triu(np.ones_like(values, dtype=bool), 1) if symmetric else True)
    rows, columns = np.nonzero(wanted)
    left = _unit(rankdata(values[rows, columns])[None, :])[0]

    def correlations(orders: I64) -> F64:
        ranks = rankdata(other[orders[:, rows], orders[:, columns]], axis=1)
        return np.asarray(_unit(np.asarray(ranks, dtype=np.float64)) @ left, dtype=np.float64)

    identity = np.arange(len(names))[None, :]
    rho = float(correlations(identity)[0])
    if not np.isfinite(rho):
        raise Incompatible(f"over these {rows.size} pairs the scores or the covariate do not vary: there is no trend.")
    exact = math.factorial(len(names)) <= draws + 1
    beyond = taken = 0
    for orders in _relabellings(len(names), None if exact else draws, seed):
        found = correlations(orders)
        # A relabelling under which the covariate does not vary on the scored pairs shows no trend at all.
        beyond += int(np.count_nonzero(np.abs(found) >= abs(rho) - 1e-12))
        taken += len(orders)
    p = beyond / taken if exact else (1 + beyond) / (taken + 1)
    return Trend(rho, p, len(names), int(rows.size), taken, exact)


def _pairs_of(covariate: pd.DataFrame | Mapping[str, Any], names: list[str], paired: str) -> F64:
    """The covariate as a matrix over the models."""
    if isinstance(covariate, pd.DataFrame):
        missing = [name for name in names if name not in covariate.index or name not in covariate.columns]
        _refuse_missing(missing)
        matrix = covariate.loc[names, names].to_numpy(dtype=np.float64, copy=True)
        np.fill_diagonal(matrix, 0.0)
        if not np.isfinite(matrix).all():
            raise Incompatible("the covariate must hold a number for every pair of models; fill the missing ones.")
        return np.asarray(matrix)
    if paired not in PAIRED:
        raise UnknownName("way to pair two values", paired, PAIRED)
    _refuse_missing([name for name in names if name not in covariate])
    values: Any = np.array([covariate[name] for name in names])
    if paired != "same":
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise Incompatible(
                f"paired={paired!r} needs a finite number for every model; for labels type paired='same'."
            )
        values = values.astype(np.float64)
    return np.asarray(PAIRED[paired](values[:, None], values[None, :]), dtype=np.float64)


def _refuse_missing(missing: list[str]) -> None:
    if missing:
        raise Incompatible(f"the covariate says nothing of {', '.join(missing)}; give a value for every model.")


def _unit(ranks: F64) -> F64:
    """Rows centred, at unit length; NaN where a row does not vary."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.divide(centred, size, out=np.full_like(centred, np.nan), where=size > 1e-9), dtype=np.float64)


def _relabellings(models: int, draws: int | None, seed: int) -> Iterator[I64]:
    """Batches of orders of the models: all of them, or so many at random."""
    rng = np.random.default_rng(seed)
    source = permutations(range(models)) if draws is None else (rng.permutation(models) for _ in range(draws))
    while batch := list(islice(source, BATCH)):
        yield np.array(batch, dtype=np.int64)
