"""Sign flips of the modes that a null compares: in closed form where the metric has one, else draw by draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numgeom.calibrate import SMALLEST_FLIP_P, Calibration, calibrate_moments, of_largest_p
from numgeom.catalog import Choice
from numgeom.errors import NumgeomError
from numgeom.outcome import Outcome, failure
from numgeom.preprocess import chained_views, regressors
from numgeom.scorer import F64, Pair, Scorer, narrow
from numgeom.seeds import generator
from numgeom.specs import NullSpec
from numgeom.targets import NullView, same_basis

# Fewer modes are drawn, as draws then cost little.
FEWEST_MODES = 200
# Where few modes hold most of an agreement its null is no gamma distribution: with k equal ones in one direction the
# largest score has p = 2^(1 - k), .0625 at k = 5, and .015 by moments. Such pairs are drawn.
FEWEST_EFFECTIVE = 6.0

Held = tuple[Calibration | Outcome, float]


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
    """The views of every representation; narrow ones unless flips are products of what is derived of the rows."""
    views = Views()
    for index in indices:
        rep = scorer.reps[index]
        try:
            if hasattr(scorer.metric, "flipped") and regressors(rep) is None:
                views.of[index] = chained_views(null.spec, null.params, rep)
                if all(_flips(scorer.metric, [view]) for view in views.of[index]):
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


def flips(metric: Any, views: Mapping[int, NullView], pair: Pair) -> bool:
    """Whether flips of the modes of both sides of a pair have a closed form in the metric."""
    return _flips(metric, [views[i] for i in pair])


def _flips(metric: Any, views: Sequence[Any]) -> bool:
    if not hasattr(metric, "flipped") or not all(hasattr(view, "signs") for view in views):
        return False
    if not (getattr(metric, "flips_apart", False) or same_basis(views[0].basis, views[-1].basis)):
        return False
    return all(for_view(metric, view).flips(view) for view in views) if hasattr(metric, "flips") else True


def _sides(metric: Any, views: Mapping[int, Any], pair: Pair) -> tuple[Pair, ...]:
    """Which side is flipped, against which: only one where both give the same score."""
    alike = getattr(metric, "flips_alike", False) and same_basis(*(views[i].basis for i in pair))
    return (pair,) if alike else (pair, pair[::-1])


def by_moments(scorer: Scorer, null: Choice[NullSpec], pairs: Sequence[Pair]) -> dict[Pair, Held]:
    """Calibrations by the moments over all sign flips, and what was held against them.

    Parameters
    ----------
    scorer : Scorer
    null : Choice of NullSpec
    pairs : sequence of (int, int)

    Returns
    -------
    dict
        Of the pairs that need no draws: the metric has ``flip_moments``, the null flips each of at least
        ``FEWEST_MODES`` modes with the same probability, and the agreement does not hang on a few of them.
    """
    if not (null.spec.uniform and hasattr(scorer.metric, "flip_moments") and flips_signs(null)):
        return {}
    if not pairs or scorer.reps[pairs[0][0]].n <= FEWEST_MODES:
        return {}
    views = views_of(scorer, null, sorted({i for pair in pairs for i in pair}))
    every = [views.at(position) for position in views.positions()]
    found: dict[Pair, Held] = {}
    held: dict[Pair, list[tuple[Calibration, float, float]]] = {}
    for pair in pairs:
        try:
            problem = views.problem(pair)
            if problem is not None:
                raise problem
            if all(flips(scorer.metric, at, pair) and _fewest(at, pair) >= FEWEST_MODES for at in every):
                held[pair] = []
        except Exception as error:
            found[pair] = failure(error, null.plugin), float("nan")
    # All pairs under one projection, then under the next: what is read again and again is half as much.
    for at in every:
        for pair in [pair for pair in held if pair not in found]:
            try:
                held[pair] += _calibrations(scorer, at, pair)
            except Exception as error:
                found[pair] = failure(error, null.plugin), float("nan")
    for pair, several in held.items():
        if pair not in found and all(effective >= FEWEST_EFFECTIVE for *_, effective in several):
            found[pair] = of_largest_p([(calibration, observed) for calibration, observed, _ in several])
    return found


def flips_signs(null: Choice[NullSpec]) -> bool:
    """Whether a null flips signs of modes beside what was regressed out, rather than draw rows or their order."""
    return bool(getattr(null.spec.load(), "projects", False))


def _fewest(views: Mapping[int, Any], pair: Pair) -> int:
    return min(int(views[i].basis.shape[1]) for i in pair)


def _calibrations(scorer: Scorer, views: Mapping[int, Any], pair: Pair) -> Iterator[tuple[Calibration, float, float]]:
    """The calibration of a pair under one projection, what was held against it and the effective modes, once a side."""
    metric = for_view(scorer.metric, views[pair[0]])
    for left, right in _sides(metric, views, pair):
        observed, *moments, effective = (float(one) for one in metric.flip_moments(views[left], views[right]))
        mean, sd, skewness = moments
        if not np.isfinite([observed, *moments]).all():
            raise NumgeomError(
                f"{scorer.choice.label} gave {observed} and the moments {tuple(moments)} over sign flips; "
                f"type: numgeom check {scorer.spec.name}"
            )
        calibration = calibrate_moments(
            observed, (mean, sd, skewness), SMALLEST_FLIP_P, direction=scorer.spec.direction, best=scorer.spec.best
        )
        yield calibration, observed, effective


def flip(
    scorer: Scorer,
    null: Choice[NullSpec],
    views: Views,
    position: int,
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
    views : Views
        A pair that fails is entered into its problems.
    position : int
        Which projection.
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
    at: dict[int, Any] = dict(views.at(position))
    pieces: dict[int, list[F64]] = {}

    def signs_of(view: Any) -> list[F64]:
        modes = int(view.basis.shape[1])
        if modes not in pieces:
            numbers = view.observed.numbers
            drawn = np.stack([view.signs(generator(seed, null.label + view.name, numbers, k)) for k in some])
            pieces[modes] = [drawn[block] for block in blocks]
            if some.start == 0:
                # What no mode is flipped in is the observed score.
                pieces[modes][0] = np.vstack([np.ones((1, modes)), pieces[modes][0]])
        return pieces[modes]

    for pair in pairs:
        metric = for_view(scorer.metric, at[pair[0]])
        for left, right in _sides(metric, at, pair):
            try:
                values = [np.asarray(metric.flipped(at[left], at[right], piece)) for piece in signs_of(at[left])]
            except Exception as error:
                views.problems[pair] = error
                break
            held = np.concatenate(values)
            yield pair, float(held[0]) if some.start == 0 else None, held[len(held) - len(some) :]
