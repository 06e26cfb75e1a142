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
from numgeom.errors import NumgeomError
from numgeom.figures import entries, split
from numgeom.numbers import NumberSet
from numgeom.outcome import Outcome, caveats, failure
from numgeom.representation import Representation
from numgeom.seeds import generators
from numgeom.single_draws import Drawn, Figures, ShapeKey, draw, only_reorders, single_view, values_of
from numgeom.specs import GeometrySpec, NullSpec, ProbeSpec, ReducerSpec
from numgeom.targets import draw_permutations
from numgeom.tokenizer import Tokenizer

OBSERVED = "numbers"


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
    known: Mapping[ShapeKey, Drawn] | None = None,
) -> Measured:
    """Geometry metrics of one representation beside one null.

    Draws are the outer loop: what a draw derives is shared by all metrics, and memory holds one draw. Those that only
    the shape of the cloud matters to may be known already.
    """
    found: dict[str, list[Outcome]] = {}
    figures: dict[str, Figures] = {}
    measured: list[Choice[GeometrySpec]] = []
    for metric in metrics:
        codes: list[str] = []
        try:
            with caveats(codes):
                observed, figures[metric.label] = values_of(metric, rep)
        except Exception as error:
            found[metric.label] = [failure(error, metric.plugin)]
            continue
        codes += _duplicates(rep)
        found[metric.label] = [Outcome(measure=name, value=value, warnings=codes) for name, value in observed.items()]
        measured.append(metric)
    if null is None or not measured:
        return Measured(found, {label: entries(several) for label, several in figures.items()})
    drawn = draw(measured, null, rep, draws, seed, known or {})
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
    known: Mapping[ShapeKey, Drawn] | None = None,
) -> dict[str, Measured]:
    """Geometry metrics of one representation beside several nulls, by null label: what it derives is derived once."""
    return {_label(null): measure(metrics, null, rep, draws=draws, seed=seed, known=known) for null, metrics in groups}


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
                    if only_reorders(null, rep) and not reducer.spec.supervised:
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
                        several = [values_of(metric, one) for one in drawn]
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
            values, figures = values_of(metric, reduced)
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
