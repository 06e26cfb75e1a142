"""Score pairs of representations with one metric, beside nulls, with intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from numgeom.catalog import Choice
from numgeom.draws import Drawn, Found, block_size, draw, enter, has_moments, join, settle
from numgeom.errors import Incompatible
from numgeom.flips import Held, by_moments
from numgeom.intervals import block_count, intervals, leave_out
from numgeom.outcome import Outcome, failure
from numgeom.representation import Representation
from numgeom.scorer import F64, Pair, Scorer
from numgeom.specs import ConvergenceSpec, NullSpec

# Seconds of one part of the work on a group of pairs: progress is told about that often.
PART = 5.0


@dataclass(slots=True)
class Scored:
    """The scores of a group of pairs, and what else there is to do.

    Attributes
    ----------
    outcomes : dict
        Of every pair, without a null.
    exact : dict
        By null: the calibrations that moments gave, each with what was held against them.
    parts : dict
        By null (``""`` for the intervals): ranges of draws or of left-out blocks, each some seconds of work.
    """

    outcomes: dict[Pair, Outcome]
    exact: dict[str, dict[Pair, Held]] = field(default_factory=dict)
    parts: dict[str, list[range]] = field(default_factory=dict)

    @property
    def scores(self) -> dict[Pair, float]:
        """The values of the pairs that have one."""
        return {pair: held.value for pair, held in self.outcomes.items() if held.value is not None}

    def left(self, label: str) -> dict[Pair, float]:
        """The values of the pairs that moments did not hold against this null."""
        return {pair: value for pair, value in self.scores.items() if pair not in self.exact.get(label, {})}


def score_pairs(
    metric: Choice[ConvergenceSpec],
    null: Choice[NullSpec] | None,
    reps: Sequence[Representation],
    pairs: Sequence[Pair],
    *,
    draws: int,
    seed: int,
) -> list[Outcome]:
    """Score ``pairs`` of ``reps``, which all hold the same numbers, beside one null, here and now.

    Parameters
    ----------
    metric : Choice of ConvergenceSpec
    null : Choice of NullSpec or None
    reps : sequence of Representation
    pairs : sequence of (int, int)
        Indices into ``reps``.
    draws, seed : int
        Draw ``k`` is the same for every pair, and whichever other pairs are scored with it.

    Returns
    -------
    list of Outcome
        One a pair; failures included, nothing is raised.
    """
    nulls = [] if null is None else [null]
    scored = score_group(metric, reps, pairs, nulls, draws=draws, with_intervals=False)
    parts: list[Drawn] = []
    if null is not None:
        left = scored.left(null.label)
        parts = [draw_part(metric, null, reps, left, some, seed) for some in scored.parts.get(null.label, [])]
    found = calibrated_pairs(metric, null, scored, pairs, parts, draws)
    return [found[pair][0] for pair in pairs]


def score_group(
    metric: Choice[ConvergenceSpec],
    reps: Sequence[Representation],
    pairs: Sequence[Pair],
    nulls: Sequence[Choice[NullSpec]],
    *,
    draws: int,
    with_intervals: bool = True,
) -> Scored:
    """The scores of all pairs, their calibrations by exact moments, and in what parts the rest is to be done."""
    scorer = Scorer(metric, reps)
    with suppress(Exception):  # every pair has its own reason
        scorer.metric  # noqa: B018  imports are no measure of what a draw costs
    started = time.perf_counter()
    scorer.score_together(pairs)
    scored = Scored({pair: scorer.outcome(pair) for pair in pairs})
    seconds = time.perf_counter() - started
    if not scored.scores:
        return scored
    if with_intervals:
        scored.parts[""] = _parts(block_count(reps[0].n), 1, seconds)
    for null in nulls:
        if has_moments(scorer, null):
            held = {pair: (_exactly(scorer, null, pair, value), value) for pair, value in scored.scores.items()}
        else:
            held = by_moments(scorer, null, list(scored.scores))
        scored.exact[null.label] = held
        if scored.left(null.label):
            scored.parts[null.label] = _parts(draws, block_size(scorer, null), seconds)
    return scored


def leave_out_part(
    metric: Choice[ConvergenceSpec], reps: Sequence[Representation], scores: Mapping[Pair, float], some: range
) -> F64:
    """Scores without some blocks of numbers, ``(pairs, blocks)``."""
    turned = "orthogonal" in metric.spec.invariant_to
    return leave_out(Scorer(metric, reps).metric, reps, list(scores), some, turned=turned)


def draw_part(
    metric: Choice[ConvergenceSpec],
    null: Choice[NullSpec],
    reps: Sequence[Representation],
    scores: Mapping[Pair, float],
    some: range,
    seed: int,
) -> Drawn:
    """Scores of some draws of a null."""
    return draw(Scorer(metric, reps), null, scores, some, seed)


def enter_intervals(metric: Choice[ConvergenceSpec], scored: Scored, without: F64) -> None:
    """Enter what the scores without each block say about how sure the scores are."""
    scores = scored.scores
    for pair, interval in zip(scores, intervals(without, list(scores.values()), metric.spec.range), strict=True):
        scored.outcomes[pair].lo, scored.outcomes[pair].hi = interval or (None, None)


def calibrated_pairs(
    metric: Choice[ConvergenceSpec],
    null: Choice[NullSpec] | None,
    scored: Scored,
    pairs: Sequence[Pair],
    parts: Sequence[Drawn],
    draws: int,
) -> dict[Pair, tuple[Outcome, F64 | None]]:
    """The outcomes of ``pairs`` beside one null; and their draws, where the null only permutes rows."""
    drawn = join(parts) if parts else Drawn()
    found: dict[Pair, tuple[Outcome, F64 | None]] = {}
    for pair in pairs:
        base = scored.outcomes[pair]
        outcome, kept = replace(base, warnings=list(base.warnings)), None
        if null is not None and outcome.value is not None:
            if pair in scored.exact[null.label]:
                enter(outcome, null, *scored.exact[null.label][pair], 0)
            else:
                held, null_value = settle(metric, null, pair, drawn)
                enter(outcome, null, held, null_value, draws)
                if null.spec.permutes_rows and outcome.status == "ok":
                    kept = drawn.values[pair][0]
        found[pair] = (outcome, kept)
    return found


def _parts(count: int, block: int, seconds: float) -> list[range]:
    """``count`` draws as ranges of whole blocks, at most some seconds each if a draw costs as much as all scores."""
    if count == 0:
        return []
    size = block * max(1, int(PART / max(seconds, 1e-9) / block))
    pieces = max(1, math.ceil(count / size))
    size = block * math.ceil(math.ceil(count / block) / pieces)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _exactly(scorer: Scorer, null: Choice[NullSpec], pair: Pair, value: float) -> Found:
    try:
        return scorer.calibrated_exactly(pair, value)
    except Exception as error:
        return failure(error, null.plugin)


def refuse_residual_permutation(chain: Sequence[str], null: Choice[NullSpec]) -> None:
    """Refuse to hold a residual score against a row permutation.

    Raises
    ------
    Incompatible
        Projecting both sides on one subspace is itself shared structure (debiased CKA .37 between
        independent white clouds at 25 columns, N = 300), which a row permutation destroys.
    """
    if null.spec.permutes_rows and any(step.startswith("residual:") for step in chain):
        raise Incompatible(
            f"null {null.label}: a residual score is never held against a row permutation, because the shared "
            "projector is itself shared structure; choose an order-aware null, or no residual step."
        )
