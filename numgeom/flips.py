"""Sign flips of the modes that a null compares: in closed form where the metric has one, else draw by draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numgeom.calibrate import SMALLEST_FLIP_P, Calibration, calibrate_moments
from numgeom.catalog import Choice
from numgeom.errors import NumgeomError
from numgeom.outcome import Outcome, failure
from numgeom.preprocess import chained_views
from numgeom.scorer import F64, Pair, Scorer, narrow
from numgeom.seeds import generator
from numgeom.specs import NullSpec
from numgeom.targets import NullView

# Fewer modes are drawn: draws then cost little, and where few modes hold most of an agreement its null is
# no gamma distribution (of rows with 79 and 21 modes p = .05 came out as .03).
FEWEST_MODES = 200

Found = tuple[Calibration | Outcome, float]


@dataclass
class Views:
    """The views of the sides of some pairs under one null.

    Attributes
    ----------
    of : dict
        By side: one view a projection.
    problems : dict
        What stands against a side, or a pair.
    """

    of: dict[int, Sequence[NullView]] = field(default_factory=dict)
    problems: dict[int | Pair, Exception] = field(default_factory=dict)

    def at(self, position: int) -> dict[int, NullView]:
        """The views under one projection."""
        return {i: held[position] for i, held in self.of.items()}

    def positions(self) -> range:
        """The projections."""
        return range(max(map(len, self.of.values()), default=0))

    def problem(self, pair: Pair) -> Exception | None:
        """What stands against a pair: a failure of one of its sides, or its own."""
        return next((self.problems[key] for key in (*pair, pair) if key in self.problems), None)


def views_of(scorer: Scorer, null: Choice[NullSpec], indices: Sequence[int]) -> Views:
    """The views of every representation; narrow ones unless all draws are one product of what is shared."""
    views = Views()
    for index in indices:
        rep = scorer.reps[index]
        try:
            if hasattr(scorer.metric, "flipped"):
                views.of[index] = chained_views(null.spec, null.params, rep)
                if all(flips(scorer.metric, {index: view}) for view in views.of[index]):
                    continue
            held = chained_views(null.spec, null.params, rep, narrowed=lambda rows: narrow(rows, scorer.spec))
            views.of[index] = held
        except Exception as error:
            views.problems[index] = error
            views.of.pop(index, None)
    return views


def for_view(metric: Any, view: NullView) -> Any:
    """The metric under one view: itself, unless it is a score of the very modes that a null flips."""
    return metric.for_view(view) if hasattr(metric, "for_view") else metric


def flips(metric: Any, views: Mapping[int, NullView]) -> bool:
    """Whether flips of the modes of these views have a closed form in the metric."""
    if not hasattr(metric, "flipped") or not all(hasattr(view, "signs") for view in views.values()):
        return False
    if not (getattr(metric, "flips_apart", False) or _shared(views)):
        return False
    return all(for_view(metric, view).flips(view) for view in views.values()) if hasattr(metric, "flips") else True


def _shared(views: Mapping[int, Any]) -> bool:
    """Whether all views have the same modes."""
    bases = [view.basis for view in views.values()]
    return all(one is bases[0] or _same(one, bases[0]) for one in bases[1:])


def _same(a: F64, b: F64) -> bool:
    return a.shape == b.shape and ((a.base is not None and a.base is b.base) or np.array_equal(a, b))


def _sides(metric: Any, views: Mapping[int, NullView], pair: Pair) -> tuple[Pair, ...]:
    """Which side is flipped, against which: only one where both give the same score."""
    alike = getattr(metric, "flips_alike", False) and _shared({i: views[i] for i in pair})
    return (pair,) if alike else (pair, pair[::-1])


def by_moments(scorer: Scorer, null: Choice[NullSpec], pairs: Sequence[Pair]) -> dict[Pair, Found] | None:
    """Calibrations by the moments over all sign flips, and what was held against them.

    Parameters
    ----------
    scorer : Scorer
    null : Choice of NullSpec
    pairs : sequence of (int, int)

    Returns
    -------
    dict or None
        None where draws are needed: the metric has no ``flip_moments``, the null draws its signs otherwise than
        fairly or flips no modes, or there are too few modes.
    """
    if not null.spec.uniform or null.spec.permutes_rows or not hasattr(scorer.metric, "flip_moments"):
        return None
    if not pairs or scorer.reps[pairs[0][0]].n <= FEWEST_MODES:
        return None
    views = views_of(scorer, null, sorted({i for pair in pairs for i in pair}))
    every = [views.at(position) for position in views.positions()]
    if any(not flips(scorer.metric, at) or _fewest(at) < FEWEST_MODES for at in every):
        return None
    found: dict[Pair, Found] = {}
    for pair in pairs:
        try:
            problem = views.problem(pair)
            if problem is not None:
                raise problem
            held = [one for at in every for one in _calibrations(scorer, at, pair)]
            found[pair] = max(held, key=lambda one: (one[0].p, -one[0].z if np.isfinite(one[0].z) else 0.0))
        except Exception as error:
            found[pair] = failure(error, null.plugin), float("nan")
    return found


def _fewest(views: Mapping[int, Any]) -> int:
    return min(int(view.basis.shape[1]) for view in views.values())


def _calibrations(scorer: Scorer, views: Mapping[int, Any], pair: Pair) -> Iterator[tuple[Calibration, float]]:
    """The calibration of a pair under one projection, once a side."""
    metric = for_view(scorer.metric, views[pair[0]])
    for left, right in _sides(metric, views, pair):
        observed, *moments = (float(one) for one in metric.flip_moments(views[left], views[right]))
        mean, sd, skewness = moments
        if not np.isfinite([observed, *moments]).all():
            raise NumgeomError(
                f"{scorer.choice.label} gave {observed} and the moments {tuple(moments)} over sign flips; "
                f"type: numgeom check {scorer.spec.name}"
            )
        calibration = calibrate_moments(
            observed, (mean, sd, skewness), SMALLEST_FLIP_P, direction=scorer.spec.direction, best=scorer.spec.best
        )
        yield calibration, observed


def flip(
    scorer: Scorer,
    null: Choice[NullSpec],
    views: Mapping[int, Any],
    pairs: Sequence[Pair],
    some: range,
    blocks: Sequence[slice],
    seed: int,
) -> Iterator[tuple[Pair, float | None, F64]]:
    """Scores of the draws ``some`` of every pair and side: where the metric can, all of a block are one product.

    Parameters
    ----------
    scorer : Scorer
    null : Choice of NullSpec
    views : mapping
        Of every side, under one projection.
    pairs : sequence of (int, int)
    some : range
    blocks : sequence of slice
        Of ``some``: the last bits of a product depend on its shape.
    seed : int

    Yields
    ------
    tuple
        The pair, the observed score (None unless draw 0 is among ``some``), and the scores of the draws.
    """
    if not views:
        return
    metric = for_view(scorer.metric, next(iter(views.values())))
    numbers = scorer.reps[next(iter(views))].numbers
    pieces: dict[int, list[F64]] = {}
    for view in views.values():
        modes = int(view.basis.shape[1])
        if modes not in pieces:
            signs = np.stack([view.signs(generator(seed, null.label + view.name, numbers, k)) for k in some])
            pieces[modes] = [signs[block] for block in blocks]
            if some.start == 0:
                # What no mode is flipped in is the observed score.
                pieces[modes][0] = np.vstack([np.ones((1, modes)), pieces[modes][0]])
    for pair in pairs:
        for left, right in _sides(metric, views, pair):
            each = pieces[int(views[left].basis.shape[1])]
            held = np.concatenate([np.asarray(metric.flipped(views[left], views[right], piece)) for piece in each])
            yield pair, float(held[0]) if some.start == 0 else None, held[len(held) - len(some) :]
