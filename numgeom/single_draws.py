"""The draws of a null for the metrics of one representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from numgeom.catalog import Choice
from numgeom.errors import Incompatible, NumgeomError
from numgeom.figures import Curve, Square, split
from numgeom.outcome import caveats
from numgeom.preprocess import ChainedView, chained_views, leaves_residuals
from numgeom.representation import Representation
from numgeom.seeds import generators
from numgeom.specs import GeometrySpec, NullSpec
from numgeom.targets import NullView, draw_permutations, make_geometry

Figures = Mapping[str, Sequence[Curve | Square]]
ShapeKey = tuple[str, int, int, bytes]


def draw(
    metrics: Sequence[Choice[GeometrySpec]],
    null: Choice[NullSpec],
    rep: Representation,
    draws: int,
    seed: int,
    known: Mapping[ShapeKey, Drawn],
) -> Drawn:
    """The measures of all draws; those that only the shape matters to from what is known of it."""
    alike = of_shape(metrics, null, rep)
    own = [metric for metric in metrics if metric not in alike]
    drawn = _collected(own, null, rep, generators(seed, null.label, rep.numbers, draws)) if own else Drawn([])
    if alike:
        held = known.get(shape_key(null, rep))
        if held is None:
            held = shape_draws(alike, null, stand_in(rep), draws=draws, seed=seed, ends=(0, draws))
        drawn.take(held, alike)
    return drawn


def shape_draws(
    metrics: Sequence[Choice[GeometrySpec]],
    null: Choice[NullSpec],
    rep: Representation,
    *,
    draws: int,
    seed: int,
    ends: tuple[int, int],
) -> Drawn:
    """The measures of the draws from one to another of all, of a cloud that stands for any of its shape."""
    return _collected(metrics, null, rep, generators(seed, null.label, rep.numbers, draws)[slice(*ends)])


def shape_key(null: Choice[NullSpec], rep: Representation) -> ShapeKey:
    """What decides such draws beside their number and seed."""
    return null.label, rep.n, _width(rep), rep.numbers.tobytes()


def of_shape(
    metrics: Sequence[Choice[GeometrySpec]], null: Choice[NullSpec] | None, rep: Representation
) -> list[Choice[GeometrySpec]]:
    """The metrics to which the draws of a null look alike for all clouds of one shape, whatever their scale."""
    if null is None or not null.spec.of_shape or rep.provenance.get("preprocess"):
        return []
    return [metric for metric in metrics if metric.spec.rows_only and "scale" in metric.spec.invariant_to]


def stand_in(rep: Representation) -> Representation:
    """A narrow cloud that stands for any of this shape: of unit mean column variance."""
    column = np.zeros((rep.n, 1))
    column[0, 0], column[-1, 0] = np.sqrt(rep.n * _width(rep) / 2.0) * np.array([1.0, -1.0])
    return Representation(column, rep.numbers, provenance={"width": _width(rep)})


def _width(rep: Representation) -> int:
    return int(rep.provenance.get("width", rep.d))


def _collected(
    metrics: Sequence[Choice[GeometrySpec]],
    null: Choice[NullSpec],
    rep: Representation,
    rngs: Sequence[np.random.Generator],
) -> Drawn:
    drawn = Drawn(metrics)
    try:
        view = single_view(null, rep)
        with caveats([]):
            drawn.collect(null, rep, view, rngs)
    except Exception as error:
        drawn.problems = {metric.label: error for metric in metrics}
    return drawn


class Drawn:
    """The measures of every draw by metric; a metric that fails on a draw is given up, the others go on."""

    def __init__(self, metrics: Sequence[Choice[GeometrySpec]]) -> None:
        self._metrics = {metric.label: metric for metric in metrics}
        self.values: dict[str, list[dict[str, float]]] = {label: [] for label in self._metrics}
        self.figures: dict[str, list[Figures]] = {}
        self.problems: dict[str, Exception] = {}

    @classmethod
    def joined(cls, parts: Sequence[Drawn]) -> Drawn:
        """The draws of several parts as one, in their order."""
        whole = cls(list(parts[0]._metrics.values()))
        for part in parts:
            for label, values in part.values.items():
                whole.values[label] += values
            for label, figures in part.figures.items():
                whole.figures.setdefault(label, []).extend(figures)
            whole.problems = part.problems | whole.problems
        return whole

    def take(self, other: Drawn, metrics: Sequence[Choice[GeometrySpec]]) -> None:
        """Enter the draws of some metrics from another."""
        for label in (metric.label for metric in metrics):
            self.values[label], self.figures[label] = other.values[label], other.figures.get(label, [])
            if label in other.problems:
                self.problems[label] = other.problems[label]

    def collect(
        self, null: Choice[NullSpec], rep: Representation, view: NullView, rngs: Sequence[np.random.Generator]
    ) -> None:
        """Draw and measure; a row permutation reindexes what the metrics derived."""
        if not only_reorders(null, rep):
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
                values, figures = values_of(metric, drawn)
                self.values[label].append(values)
                if figures:
                    self.figures.setdefault(label, []).append(figures)
            except Exception as error:
                self.problems[label] = error


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


def only_reorders(null: Choice[NullSpec], rep: Representation) -> bool:
    """Whether the draws of a null are the very rows in other orders: a regression on the numbers comes after them."""
    return null.spec.permutes_rows and not leaves_residuals(rep.provenance.get("preprocess", ()))


def values_of(metric: Choice[GeometrySpec], rep: Representation) -> tuple[dict[str, float], Figures]:
    """The plain values and the figures that a metric gives of a representation."""
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
