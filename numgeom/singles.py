"""Measure one representation at a time: geometry metrics, reductions and probes, beside their controls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.calibrate import calibrate
from numgeom.catalog import Choice
from numgeom.errors import Incompatible, NumgeomError
from numgeom.figures import Curve, Square, entries, split
from numgeom.numbers import NumberSet
from numgeom.outcome import Outcome, caveats, failure
from numgeom.preprocess import ChainedView, chained_views, leaves_residuals
from numgeom.representation import Representation
from numgeom.seeds import generators
from numgeom.specs import GeometrySpec, NullSpec, ProbeSpec, ReducerSpec
from numgeom.targets import NullView, draw_permutations, make_geometry
from numgeom.tokenizer import Tokenizer

OBSERVED = "numbers"
Figures = Mapping[str, Sequence[Curve | Square]]


@dataclass(slots=True)
class Measured:
    """What metrics of one representation came to.

    Attributes
    ----------
    outcomes : dict
        By metric label, one outcome a measure, or a single failure.
    figures : dict
        By metric label, its series and squares as plain data, those of the null beside them.
    """

    outcomes: dict[str, list[Outcome]]
    figures: dict[str, list[dict[str, Any]]]


def measure(
    metrics: Sequence[Choice[GeometrySpec]],
    null: Choice[NullSpec] | None,
    rep: Representation,
    *,
    draws: int,
    seed: int,
) -> Measured:
    """Geometry metrics of one representation beside one null.

    Draws are the outer loop: what a draw derives is shared by all metrics, and memory holds one draw.
    """
    found: dict[str, list[Outcome]] = {}
    figures: dict[str, Figures] = {}
    measured: list[Choice[GeometrySpec]] = []
    for metric in metrics:
        codes: list[str] = []
        try:
            with caveats(codes):
                observed, figures[metric.label] = _values(metric, rep)
        except Exception as error:
            found[metric.label] = [failure(error, metric.plugin)]
            continue
        codes += _duplicates(rep)
        found[metric.label] = [Outcome(measure=name, value=value, warnings=codes) for name, value in observed.items()]
        measured.append(metric)
    if null is None or not measured:
        return Measured(found, {label: entries(several) for label, several in figures.items()})
    drawn = _draw(measured, null, rep, draws, seed)
    for metric in measured:
        problem = drawn.problems.get(metric.label)
        if problem is None:
            try:
                _hold_against(found[metric.label], drawn.values[metric.label])
            except Exception as error:
                problem = error
        if problem is not None:
            found[metric.label] = [_without_null(o.measure, null, problem) for o in found[metric.label]]
            drawn.figures[metric.label] = []
    return Measured(
        found,
        {label: entries(several, null.label, drawn.figures.get(label, ())) for label, several in figures.items()},
    )


def measure_beside(
    groups: Sequence[tuple[Choice[NullSpec] | None, Sequence[Choice[GeometrySpec]]]],
    rep: Representation,
    *,
    draws: int,
    seed: int,
) -> dict[str, Measured]:
    """Geometry metrics of one representation beside several nulls, by null label: what it derives is derived once."""
    return {_label(null): measure(metrics, null, rep, draws=draws, seed=seed) for null, metrics in groups}


# Draws that depend on n and d alone are the same for all models of one shape: each process measures them once.
_OF_SHAPE: dict[tuple[Any, ...], tuple[list[dict[str, float]], list[Figures], Exception | None]] = {}
MOST_SHAPES = 256


def _draw(
    metrics: Sequence[Choice[GeometrySpec]], null: Choice[NullSpec], rep: Representation, draws: int, seed: int
) -> _Draws:
    """The measures of all draws, those that only the shape matters to from what is known of it."""
    alike = [metric for metric in metrics if _of_shape(metric, null, rep)]
    own = [metric for metric in metrics if not _of_shape(metric, null, rep)]
    drawn = _collected(own, null, rep, draws, seed) if own else _Draws([])
    width = int(rep.provenance.get("width", rep.d))
    shape = (null.label, null.plugin_version, rep.n, width, rep.numbers.tobytes(), draws, seed)
    keys = {metric.label: (*shape, metric.label, metric.plugin_version, metric.spec.version) for metric in alike}
    missing = [metric for metric in alike if keys[metric.label] not in _OF_SHAPE]
    if missing:
        if len(_OF_SHAPE) >= MOST_SHAPES:
            _OF_SHAPE.clear()
        fresh = _collected(missing, null, _stand_in(rep, width), draws, seed)
        for metric in missing:
            name = metric.label
            held = (fresh.values.get(name, []), fresh.figures.get(name, []), fresh.problems.get(name))
            _OF_SHAPE[keys[name]] = held
    for metric in alike:
        values, figures, problem = _OF_SHAPE[keys[metric.label]]
        drawn.values[metric.label], drawn.figures[metric.label] = values, figures
        if problem is not None:
            drawn.problems[metric.label] = problem
    return drawn


def _of_shape(metric: Choice[GeometrySpec], null: Choice[NullSpec], rep: Representation) -> bool:
    """Whether the draws of a null look alike to a metric for all clouds of one shape, whatever their scale."""
    alike = null.spec.of_shape and metric.spec.rows_only and "scale" in metric.spec.invariant_to
    return alike and not rep.provenance.get("preprocess")


def _stand_in(rep: Representation, width: int) -> Representation:
    """A narrow cloud that stands for any of this shape: of unit mean column variance."""
    column = np.zeros((rep.n, 1))
    column[0, 0], column[-1, 0] = np.sqrt(rep.n * width / 2.0) * np.array([1.0, -1.0])
    return Representation(column, rep.numbers, provenance={"width": width})


def _collected(
    metrics: Sequence[Choice[GeometrySpec]], null: Choice[NullSpec], rep: Representation, draws: int, seed: int
) -> _Draws:
    drawn = _Draws(metrics)
    try:
        view = single_view(null, rep)
        with caveats([]):
            drawn.collect(null, rep, view, generators(seed, null.label, rep.numbers, draws))
    except Exception as error:
        drawn.problems = {metric.label: error for metric in metrics}
    return drawn


class _Draws:
    """The measures of every draw by metric; a metric that fails on a draw is given up, the others go on."""

    def __init__(self, metrics: Sequence[Choice[GeometrySpec]]) -> None:
        self._metrics = {metric.label: metric for metric in metrics}
        self.values: dict[str, list[dict[str, float]]] = {label: [] for label in self._metrics}
        self.figures: dict[str, list[Figures]] = {}
        self.problems: dict[str, Exception] = {}

    def collect(
        self, null: Choice[NullSpec], rep: Representation, view: NullView, rngs: Sequence[np.random.Generator]
    ) -> None:
        """Draw and measure; a row permutation reindexes what the metrics derived."""
        if not _only_reorders(null, rep):
            for rng in rngs:
                self._measure(view.draw(rng), self._metrics)
            return
        orders = draw_permutations(null.spec, null.params, rep.numbers, rngs)
        slow = {}
        for label, metric in self._metrics.items():
            fast = getattr(make_geometry(metric.spec, metric.params), "permuted", None)
            if fast is None:
                slow[label] = metric
                continue
            try:
                columns = fast(rep, orders)
                self.values[label] = [{name: float(v[k]) for name, v in columns.items()} for k in range(len(orders))]
            except Exception as error:
                self.problems[label] = error
        if slow:
            for order in orders:
                self._measure(rep.permuted(order), slow)

    def _measure(self, drawn: Representation, metrics: Mapping[str, Choice[GeometrySpec]]) -> None:
        for label, metric in metrics.items():
            if label in self.problems:
                continue
            try:
                values, figures = _values(metric, drawn)
                self.values[label].append(values)
                if figures:
                    self.figures.setdefault(label, []).append(figures)
            except Exception as error:
                self.problems[label] = error


@dataclass(slots=True)
class Reduction:
    """A reduction with the scores of its controls.

    Attributes
    ----------
    outcomes : dict
        ``(metric label, null label)`` to the outcomes of that cell.
    figures : dict
        The series of that cell as plain data.
    coordinates : dict
        Panel name to ``{"x": [...], "y": [...], "labelled": bool}``: the reduction itself and the
        first draw of every control.
    """

    outcomes: dict[tuple[str, str], list[Outcome]]
    figures: dict[tuple[str, str], list[dict[str, Any]]]
    coordinates: dict[str, dict[str, Any]]


def reduce_and_judge(
    reducer: Choice[ReducerSpec],
    metrics: Sequence[Choice[GeometrySpec]],
    nulls: Sequence[Choice[NullSpec] | None],
    rep: Representation,
    *,
    draws: int,
    seed: int,
) -> Reduction:
    """Reduce a representation and its controls with the same parameters and seed, and judge them all alike."""
    result = Reduction({}, {}, {})
    codes: list[str] = []
    try:
        with caveats(codes):
            reduced = reduce(reducer, rep, seed)
    except Exception as error:
        problem = failure(error, reducer.plugin)
        for metric in metrics:
            for null in nulls:
                result.outcomes[metric.label, _label(null)] = [problem]
        return result
    result.coordinates[OBSERVED] = _coordinates(reduced, labelled=True)
    codes += _duplicates(rep)
    seen = {metric.label: _observed(metric, reduced, codes) for metric in metrics}
    for null in nulls:
        drawn: list[Representation] = []
        problem_of_null: Exception | None = None
        if null is not None:
            try:
                view = single_view(null, rep)
                rngs = generators(seed, null.label, rep.numbers, draws)
                with caveats([]):
                    if _only_reorders(null, rep) and not reducer.spec.supervised:
                        # The cloud is the same, and so is its reduction: only the numbers move.
                        orders = draw_permutations(null.spec, null.params, rep.numbers, rngs)
                        drawn = [_renumbered(reduced, order) for order in orders]
                    else:
                        drawn = [reduce(reducer, view.draw(rng), seed, control=True) for rng in rngs]
            except Exception as error:
                problem_of_null = error
            else:
                # Rows that were only reordered keep their colours: what is left of a gradient is the plot.
                labelled = null.spec.permutes_rows or null.spec.numbered
                result.coordinates[null.label] = _coordinates(drawn[0], labelled=labelled)
        for metric in metrics:
            cell = (metric.label, _label(null))
            observed, figures, own = seen[metric.label]
            try:
                if isinstance(observed, Exception):
                    raise observed
                result.figures[cell] = entries(figures)
                outcomes = [Outcome(measure=name, value=value, warnings=own) for name, value in observed.items()]
                if problem_of_null is not None and null is not None:
                    outcomes = [_without_null(outcome.measure, null, problem_of_null) for outcome in outcomes]
                elif null is not None:
                    with caveats([]):
                        several = [_values(metric, one) for one in drawn]
                    _hold_against(outcomes, [values for values, _ in several])
                    result.figures[cell] = entries(figures, null.label, [held for _, held in several])
            except Exception as error:
                outcomes = [failure(error, metric.plugin)]
            result.outcomes[cell] = outcomes
    return result


def _observed(
    metric: Choice[GeometrySpec], reduced: Representation, codes: Sequence[str]
) -> tuple[dict[str, float] | Exception, Figures, list[str]]:
    """What a metric gives of a reduction, once for all nulls, with its caveats; or why it gives nothing."""
    own = list(codes)
    try:
        with caveats(own):
            values, figures = _values(metric, reduced)
    except Exception as error:
        return error, {}, own
    return values, figures, own


def reduce(reducer: Choice[ReducerSpec], rep: Representation, seed: int, *, control: bool = False) -> Representation:
    """The ``(n, k)`` reduction of a representation; its ``origin`` is the representation.

    Its provenance holds the fitted transformer (``fitted``), whether it is a control (``control``), and for a
    reducer that draws at random what another seed gives (``again``, ``(seed) -> (n, k)``).

    Raises
    ------
    NumgeomError
        If the reducer returns something that is not ``(n, k)`` and finite.
    """
    model, points = _fitted(reducer, rep, seed)
    made: dict[str, Any] = {"reducer": reducer.label, "seed": seed, "fitted": model, "control": control}
    if not reducer.spec.deterministic:
        made["again"] = cache(lambda other: _fitted(reducer, rep, other)[1])
    return Representation(points, rep.numbers, rep.token_ids, made, origin=rep)


def _fitted(reducer: Choice[ReducerSpec], rep: Representation, seed: int) -> tuple[Any, npt.NDArray[np.float64]]:
    kind = reducer.spec.load()
    params = dict(reducer.params)
    if "random_state" in inspect.signature(kind).parameters:
        params["random_state"] = seed
    rows = rep.matrix.astype(np.float64)
    model = kind(**params)
    found = model.fit_transform(rows, rep.numbers) if reducer.spec.supervised else model.fit_transform(rows)
    points = np.asarray(found, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] != rep.n or not np.isfinite(points).all():
        raise NumgeomError(f"reducer {reducer.label} gave shape {points.shape}; it must give {rep.n} finite rows.")
    return model, points


def _renumbered(reduced: Representation, order: npt.NDArray[np.int64]) -> Representation:
    """A reduction, and what it was reduced from, with the rows in another order under the same numbers."""
    assert reduced.origin is not None
    made = dict(reduced.provenance)
    again: Callable[[int], npt.NDArray[np.float64]] | None = made.get("again")
    if again is not None:
        made["again"] = lambda seed: again(seed)[order]
    points = reduced.matrix[order]
    return Representation(points, reduced.numbers, reduced.token_ids, made, origin=reduced.origin.permuted(order))


def probe(
    metric: Choice[ProbeSpec], tokenizer: Tokenizer, numbers: NumberSet
) -> tuple[list[Outcome], dict[str, Any], list[dict[str, Any]]]:
    """One probe of one tokenizer: its numbers as outcomes, everything it found as plain data, and its figures."""
    codes: list[str] = []
    try:
        with caveats(codes):
            found, figures = split(metric.spec.load()(tokenizer, numbers, **metric.params))
    except Exception as error:
        return [failure(error, metric.plugin)], {}, []
    outcomes = []
    for name, value in found.items():
        if value is None:
            outcomes.append(Outcome(measure=name, status="skipped", reason="there is none", warnings=list(codes)))
        elif isinstance(value, (bool, int, float, np.integer, np.floating)):
            outcomes.append(Outcome(measure=name, value=float(value), warnings=list(codes)))
    return outcomes, found, entries(figures)


def single_view(null: Choice[NullSpec], rep: Representation) -> NullView:
    """The only view of a null that redraws the representation itself, before the chain that its rows went through.

    Raises
    ------
    Incompatible
        If the null compares projections, which has no meaning for a single representation.
    """
    views = chained_views(null.spec, null.params, rep)
    shown = [
        (view.view.observed, rep.origin) if isinstance(view, ChainedView) else (view.observed, rep) for view in views
    ]
    if len(shown) != 1 or shown[0][0] is not shown[0][1]:
        raise Incompatible(f"{null.label} calibrates pairs of representations, not single ones.")
    return views[0]


def _only_reorders(null: Choice[NullSpec], rep: Representation) -> bool:
    """Whether the draws of a null are the very rows in other orders: a regression on the numbers comes after them."""
    return null.spec.permutes_rows and not leaves_residuals(rep.provenance.get("preprocess", ()))


def _values(metric: Choice[GeometrySpec], rep: Representation) -> tuple[dict[str, float], Figures]:
    spec = metric.spec
    if rep.n < spec.min_numbers:
        raise Incompatible(f"only {rep.n} numbers; {metric.label} needs at least {spec.min_numbers}.")
    if spec.needs_contiguous and not rep.is_contiguous:
        raise Incompatible(f"{metric.label} needs consecutive numbers and these have gaps (W-GAPS).")
    found = make_geometry(metric.spec, metric.params)(rep)
    values, figures = split(found if isinstance(found, Mapping) else {"value": found})
    for name, value in values.items():
        values[name] = float(value)
        if not np.isfinite(values[name]):
            raise NumgeomError(f"{metric.label} gave {value} for {name}.")
    return values, figures


def _hold_against(outcomes: Sequence[Outcome], drawn: Sequence[Mapping[str, float]]) -> None:
    for outcome in outcomes:
        null: npt.NDArray[np.float64] = np.array([values[outcome.measure] for values in drawn])
        assert outcome.value is not None
        outcome.hold_against(calibrate(outcome.value, null, direction="two_sided"), outcome.value, len(drawn))


def _without_null(measure_name: str, null: Choice[NullSpec], error: Exception) -> Outcome:
    problem = failure(error, null.plugin)
    return Outcome(measure=measure_name, status=problem.status, reason=f"null {null.label}: {problem.reason}")


def _coordinates(reduced: Representation, *, labelled: bool) -> dict[str, Any]:
    points = reduced.matrix
    second = points[:, 1] if reduced.d > 1 else np.zeros(reduced.n)
    return {"x": points[:, 0].tolist(), "y": second.tolist(), "labelled": labelled}


def _duplicates(rep: Representation) -> list[str]:
    return ["W-DUP"] if rep.workspace.duplicate_rows else []


def _label(null: Choice[NullSpec] | None) -> str:
    return null.label if null else ""
