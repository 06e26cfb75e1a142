"""The Python face for plain arrays: scores beside their nulls, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.catalog import Catalog, Choice, Names, as_names
from numgeom.errors import Incompatible, NumgeomError
from numgeom.outcome import Outcome, caveats, one_line
from numgeom.pairs import refuse_residual_permutation, score_pairs
from numgeom.preprocess import preprocess as apply_chain
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.singles import reduce as reduce_representation
from numgeom.specs import NAME, ConvergenceSpec


def reduce(
    name: str, X: npt.ArrayLike | Representation, *, numbers: npt.ArrayLike | None = None, seed: int = 0, **params: Any
) -> npt.NDArray[np.float64]:
    """Coordinates of rows under a reducer plugin.

    Parameters
    ----------
    name : str
        A reducer, as in ``numgeom list reducers``.
    X : array_like, shape (n, d), or Representation
    numbers : array_like of int, shape (n,), optional
    seed : int
    **params
        Parameters of the reducer.

    Returns
    -------
    ndarray, shape (n, k)

    Examples
    --------
    >>> reduce("pca", np.eye(5), n_components=2).shape
    (5, 2)
    """
    choice = _with_params(_catalog().reducers.choose(name), params)
    rep = _representation(X, numbers)
    try:
        reduced = reduce_representation(choice, rep, seed)
    except NumgeomError:
        raise
    except Exception as error:
        raise NumgeomError(one_line(f"reducer {choice.label} on {rep.n} x {rep.d} rows: {error}")) from error
    return np.array(reduced.matrix, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class NullScore:
    """A score beside one null.

    Attributes
    ----------
    value : float
        What was held against the draws: the score, or for a null that projects both sides the projected score.
    mean, sd, excess, z, p, calibrated : float
        As in :class:`numgeom.calibrate.Calibration`; NaN where a quantity does not exist.
    """

    value: float
    mean: float
    sd: float
    excess: float
    z: float
    p: float
    calibrated: float


@dataclass(frozen=True, slots=True)
class Score:
    """A convergence score with its nulls.

    Attributes
    ----------
    value : float
    direction : str
    warnings : tuple of str
        Codes.
    nulls : dict of str to NullScore
    """

    value: float
    direction: str
    warnings: tuple[str, ...] = ()
    nulls: Mapping[str, NullScore] = field(default_factory=dict)


def score(
    metric: str | ConvergenceSpec | Callable[..., float],
    X: npt.ArrayLike | Representation,
    Y: npt.ArrayLike | Representation,
    *,
    numbers: npt.ArrayLike | None = None,
    nulls: Names = (),
    draws: int = 200,
    seed: int = 0,
    preprocess: Names = (),
    **params: Any,
) -> Score:
    """Score two arrays with aligned rows.

    Parameters
    ----------
    metric : str, ConvergenceSpec or callable
        A name; or one of your own: a card, or a plain function ``(rep_a, rep_b, **params) -> float`` that is higher
        for what is closer.
    X, Y : array_like, shapes (n, d) and (n, e), or Representation
        Row ``i`` of both belongs to ``numbers[i]``.
    numbers : array_like of int, shape (n,), optional
        Distinct integers; by default 0..n-1. Order-aware nulls look at them.
    nulls : str or sequence of str
    draws, seed : int
    preprocess : str or sequence of str
        Chain applied to both sides first.
    **params
        Parameters of the metric.

    Returns
    -------
    Score

    Raises
    ------
    Incompatible
        If the metric or a null does not apply.
    NumgeomError
        If a name is unknown or rows are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((30, 5))
    >>> result = score("procrustes_angular", X, 2 * X + 1, nulls=["row_permutation"], draws=99)
    >>> round(result.value, 6), result.nulls["row_permutation"].p
    (0.0, 0.01)
    >>> def same_sign(a, b):
    ...     return float(np.mean(np.sign(a.matrix) == np.sign(b.matrix)))
    >>> result = score(same_sign, X, 2 * X, nulls=["row_permutation"], draws=99)
    >>> result.value, result.nulls["row_permutation"].p
    (1.0, 0.01)
    """
    if draws < 1:
        raise NumgeomError(f"draws must be at least 1; got {draws}.")
    catalog = _catalog()
    choice = _metric(catalog, metric, params)
    chain = as_names(preprocess) or []
    reps = [apply_chain(_representation(rows, numbers), chain) for rows in (X, Y)]
    if not np.array_equal(reps[0].numbers, reps[1].numbers):
        raise Incompatible(
            f"the two sides hold different numbers ({reps[0].n} and {reps[1].n} rows); align their rows first."
        )
    plain = _sound(score_pairs(choice, None, reps, [(0, 1)], draws=0, seed=seed)[0])
    assert plain.value is not None
    codes = list(plain.warnings)
    held: dict[str, NullScore] = {}
    for name in as_names(nulls) or []:
        null = catalog.nulls.choose(name)
        refuse_residual_permutation(chain, null)
        with caveats(codes):
            outcome = _sound(score_pairs(choice, null, reps, [(0, 1)], draws=draws, seed=seed)[0])
        codes += outcome.warnings
        fields = (outcome.null_value, outcome.null_mean, outcome.null_sd)
        rest = (outcome.excess, outcome.z, outcome.p, outcome.calibrated)
        held[null.label] = NullScore(*(float("nan") if item is None else item for item in (*fields, *rest)))
    return Score(plain.value, choice.spec.direction, tuple(sorted(set(codes))), held)


def _sound(outcome: Outcome) -> Outcome:
    if outcome.status == "skipped":
        raise Incompatible(outcome.reason)
    if outcome.status == "error":
        raise NumgeomError(outcome.reason)
    return outcome


@lru_cache(maxsize=1)
def _catalog() -> Catalog:
    """The catalog of functions on plain arrays: installed plugins and the registry found at first use."""
    return open_catalog()


def _with_params(choice: Choice[Any], params: Mapping[str, Any]) -> Choice[Any]:
    if not params:
        return choice
    spec: ConvergenceSpec = choice.spec
    return Choice(
        spec, spec.with_params({**choice.params, **params}), choice.label, choice.plugin, choice.plugin_version
    )


def _metric(
    catalog: Catalog, metric: str | ConvergenceSpec | Callable[..., float], params: Mapping[str, Any]
) -> Choice[ConvergenceSpec]:
    """A metric that is named, or given."""
    if isinstance(metric, str):
        return _with_params(catalog.convergence.choose(metric), params)
    if not isinstance(metric, ConvergenceSpec):
        if not callable(metric):
            raise NumgeomError(
                f"a metric is a name, a ConvergenceSpec or a function of two representations, not {metric!r}; "
                "see numgeom list metrics."
            )
        name = str(getattr(metric, "__name__", ""))
        metric = ConvergenceSpec(
            name=name if NAME.match(name) else "function", summary="a function", target=metric, params=dict(params)
        )
    return Choice(metric, metric.with_params(dict(params)), metric.name, "given", "")


def _representation(rows: npt.ArrayLike | Representation, numbers: npt.ArrayLike | None) -> Representation:
    """Rows as a representation, sorted by number."""
    if isinstance(rows, Representation):
        return rows
    matrix = np.asarray(rows)
    if matrix.ndim != 2:
        raise NumgeomError(f"rows must be an (n, d) array; got shape {matrix.shape}.")
    given = np.arange(len(matrix)) if numbers is None else np.asarray(numbers)
    values = given.astype(np.int64)
    if not np.array_equal(values, given):
        raise NumgeomError("numbers must be integers; round them first if that is what they mean.")
    order = np.argsort(values, kind="stable")
    return Representation(matrix[order] if len(order) == len(matrix) else matrix, values[order])
