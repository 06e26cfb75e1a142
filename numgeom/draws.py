"""Scores of null draws: of many pairs at once, in parts that several workers may share, the same however shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numgeom.calibrate import Calibration, of_largest_p, passes
from numgeom.catalog import Choice
from numgeom.flips import Views, flip, flips, flips_signs, views_of
from numgeom.outcome import Outcome, caveats, failure
from numgeom.scorer import F64, Pair, Scorer, calibrated
from numgeom.seeds import generator, generators
from numgeom.specs import ConvergenceSpec, NullSpec
from numgeom.targets import NullView, draw_permutations

# Draws that are scored by one call: more where all of them are one product. Fixed, because the last bits of a
# product depend on its shape; the parts that workers get are whole blocks.
BLOCK = 25
PRODUCT = 500
# With fewer rows the distribution of a permutation null is too coarse for a smooth tail, and draws cost nothing.
FEWEST_FOR_MOMENTS = 20

Found = Calibration | Outcome


@dataclass(slots=True)
class Drawn:
    """Scores of some draws of one null.

    Attributes
    ----------
    observed : dict
        What is held against the draws of each pair, one value a side and view; only in the part of draw 0.
    values : dict
        ``(sides, draws)`` of each pair.
    failed : dict
        Pairs that the null or the metric refused.
    """

    observed: dict[Pair, list[float]] = field(default_factory=dict)
    values: dict[Pair, F64] = field(default_factory=dict)
    failed: dict[Pair, Outcome] = field(default_factory=dict)


def has_moments(scorer: Scorer, null: Choice[NullSpec]) -> bool:
    """Whether a null that permutes rows needs no draws, because the metric knows its moments exactly."""
    enough = bool(scorer.reps) and scorer.reps[0].n >= FEWEST_FOR_MOMENTS
    return null.spec.uniform and null.spec.permutes_rows and enough and hasattr(scorer.metric, "null_moments")


def block_size(scorer: Scorer, null: Choice[NullSpec]) -> int:
    """How many draws are scored by one call."""
    return PRODUCT if hasattr(scorer.metric, "flip_moments") and flips_signs(null) else BLOCK


def draw(scorer: Scorer, null: Choice[NullSpec], scores: Mapping[Pair, float], some: range, seed: int) -> Drawn:
    """Scores of the draws ``some``.

    Parameters
    ----------
    scorer : Scorer
    null : Choice of NullSpec
    scores : mapping
        Pairs, and the score of each.
    some : range
        Begins at a multiple of :func:`block_size`.
    seed : int
    """
    try:
        # Caveats of a draw are those of the rows themselves, and stand in their rows already.
        with caveats([]):
            return (_permute if null.spec.permutes_rows else _replace_sides)(scorer, null, scores, some, seed)
    except Exception as error:
        return Drawn(failed={pair: failure(error, null.plugin) for pair in scores})


def join(parts: Sequence[Drawn]) -> Drawn:
    """Parts in the order of their draws as one."""
    whole = Drawn()
    for part in parts:
        for pair, problem in part.failed.items():
            whole.failed.setdefault(pair, problem)
        whole.observed.update(part.observed)
    for pair in parts[0].values:
        if pair not in whole.failed:
            whole.values[pair] = np.concatenate([part.values[pair] for part in parts], axis=1)
    return whole


def settle(metric: Choice[ConvergenceSpec], null: Choice[NullSpec], pair: Pair, drawn: Drawn) -> tuple[Found, float]:
    """The calibration of one pair and what was held against the null; of several sides the one of largest p."""
    if pair in drawn.failed:
        return drawn.failed[pair], float("nan")
    try:
        sides = [
            (calibrated(metric, observed, values), observed)
            for observed, values in zip(drawn.observed[pair], drawn.values[pair], strict=True)
        ]
    except Exception as error:
        return failure(error, null.plugin), float("nan")
    return of_largest_p(sides)


def enter(outcome: Outcome, null: Choice[NullSpec], found: Found, null_value: float, draws: int) -> None:
    """Enter a calibration, or the reason why there is none, into the outcome of a score."""
    if isinstance(found, Outcome):
        # The score stands in the rows of the other nulls; this row says why its null is missing.
        outcome.value, outcome.status, outcome.reason = None, found.status, f"null {null.label}: {found.reason}"
        outcome.lo = outcome.hi = None
        outcome.warnings += found.warnings
        return
    outcome.hold_against(found, null_value, draws)
    if null.spec.warning and not passes(found.p, found.excess):
        outcome.warnings.append(null.spec.warning)


def _blocks(some: range, size: int) -> Iterable[slice]:
    """The blocks of some draws, as slices of those draws."""
    return (slice(start, min(start + size, len(some))) for start in range(0, len(some), size))


def _permute(scorer: Scorer, null: Choice[NullSpec], scores: Mapping[Pair, float], some: range, seed: int) -> Drawn:
    """Row permutations of the second side; one order a draw, shared by all pairs, metrics and layers."""
    numbers = scorer.reps[next(iter(scores))[0]].numbers
    rngs = generators(seed, null.label, numbers, some.stop)[some.start :]
    orders = draw_permutations(null.spec, null.params, numbers, rngs)
    found = Drawn()
    fast = getattr(scorer.metric, "permuted", None)
    if fast is not None:
        for a, b in scores:
            states = scorer.state(a), scorer.state(b)
            held = [np.asarray(fast(*states, orders[block]), dtype=np.float64) for block in _blocks(some, BLOCK)]
            found.values[a, b] = np.concatenate(held)[None, :]
    else:
        found.values = {pair: np.empty((1, len(orders))) for pair in scores}
        for k, order in enumerate(orders):
            shuffled = {
                b: scorer.metric.prepare(scorer.reps[b].with_matrix(scorer.reps[b].matrix[order]))
                for b in sorted({pair[1] for pair in scores})
            }
            for a, b in scores:
                found.values[a, b][0, k] = scorer.metric.score(scorer.state(a), shuffled[b])
    found.observed = {pair: [value] for pair, value in scores.items()}
    return found


def _replace_sides(
    scorer: Scorer, null: Choice[NullSpec], scores: Mapping[Pair, float], some: range, seed: int
) -> Drawn:
    """Surrogates of each side in turn, under each view.

    A surrogate depends on one model only: the draws are the outer loop, and each is scored against all
    other models of the group. What fails for one model or one pair is that model's or that pair's row.
    """
    views = views_of(scorer, null, sorted({i for pair in scores for i in pair}))
    observed: dict[Pair, list[float]] = {pair: [] for pair in scores}
    values: dict[Pair, list[F64]] = {pair: [] for pair in scores}
    blocks = list(_blocks(some, block_size(scorer, null)))
    for position in views.positions():
        at = views.at(position)
        sound = [pair for pair in scores if views.problem(pair) is None]
        closed = {pair: flips(scorer.metric, at, pair) for pair in sound}
        flipped = [pair for pair, holds in closed.items() if holds]
        for pair, seen, held in flip(scorer, null, views, position, flipped, some, blocks, seed):
            values[pair].append(held)
            if seen is not None:
                observed[pair].append(seen)
        anew = [pair for pair, holds in closed.items() if not holds]
        if anew:
            sides = {i: at[i] for i in sorted({i for pair in anew for i in pair})}
            _redraw(scorer, null, sides, anew, observed, values, views, some, seed)
    found = Drawn()
    for pair in scores:
        problem = views.problem(pair)
        if problem is None:
            found.values[pair] = np.stack(values[pair])
            if some.start == 0:
                found.observed[pair] = observed[pair]
        else:
            found.failed[pair] = failure(problem, null.plugin)
    return found


def _redraw(
    scorer: Scorer,
    null: Choice[NullSpec],
    at: Mapping[int, NullView],
    pairs: Sequence[Pair],
    observed: dict[Pair, list[float]],
    values: dict[Pair, list[F64]],
    views: Views,
    some: range,
    seed: int,
) -> None:
    """Surrogates drawn, prepared and scored one by one."""
    metric, problems = scorer.metric, views.problems
    states: dict[int, Any] = {}
    for i, view in at.items():
        try:
            states[i] = metric.prepare(view.observed)
        except Exception as error:
            problems[i] = error
    sides = {pair: np.empty((2, len(some))) for pair in pairs if views.problem(pair) is None}
    for i in states:
        mine = [pair for pair in sides if i in pair]
        try:
            for k, draw_number in enumerate(some):
                # Seeding by draw alone makes a pair's null the same whichever other models are in the study.
                rng = generator(seed, null.label + at[i].name, at[i].observed.numbers, draw_number)
                drawn = metric.prepare(at[i].draw(rng))
                for a, b in mine:
                    if i == a:
                        sides[a, b][0, k] = metric.score(drawn, states[b])
                    if i == b:
                        sides[a, b][1, k] = metric.score(states[a], drawn)
        except Exception as error:
            problems[i] = error
    for (a, b), held in sides.items():
        if views.problem((a, b)) is not None:
            continue
        try:
            if some.start == 0:
                observed[a, b] += [float(metric.score(states[a], states[b]))] * 2
            values[a, b] += list(held)
        except Exception as error:
            problems[a, b] = error
