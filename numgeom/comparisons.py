"""The convergence cells of one metric on one set of numbers: their work as jobs, their results as cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numgeom.catalog import Choice
from numgeom.draws import Drawn
from numgeom.jobs import Job
from numgeom.outcome import Outcome, caveats, failure, pack
from numgeom.pairs import Scored, calibrated_pairs, draw_part, enter_intervals, leave_out_part, score_group
from numgeom.plan import Cell
from numgeom.representation import Representation
from numgeom.scorer import Pair, codes_of
from numgeom.singles import reduce
from numgeom.specs import ConvergenceSpec, NullSpec, ReducerSpec

INTERVALS = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One job of a comparison: all scores where ``some`` is None, or some draws of a null, or some left-out blocks."""

    comparison: Comparison
    label: str = INTERVALS
    some: range | None = None


class Comparison:
    """All pairs that are scored with one metric, in one space, on one set of numbers.

    First all pairs are scored, by one job: the state of a representation is prepared once for all of them. That
    job says into how many parts the null draws and the intervals are worth dividing, and those are jobs of their
    own, so that one slow pair keeps every processor busy. A part's numbers do not depend on how many there are.

    Parameters
    ----------
    cells : mapping of int to Cell
        By their place in the plan.
    reps : mapping
        ``RepresentationId.key`` to the representation on the shared numbers.
    draws, seed : int
    """

    def __init__(
        self,
        cells: Mapping[int, Cell],
        reps: Mapping[tuple[str, str, str], Representation],
        *,
        draws: int,
        seed: int,
    ) -> None:
        first = next(iter(cells.values()))
        self.metric: Choice[ConvergenceSpec] = first.metric
        self.space: Choice[ReducerSpec] | None = first.reducer
        self.cells = dict(cells)
        self.draws, self.seed = draws, seed
        keys = sorted(reps)
        self.reps: list[Representation] = [reps[key] for key in keys]
        place = {key: position for position, key in enumerate(keys)}
        self.pairs: dict[int, Pair] = {
            index: (place[cell.a.key], place[cell.b.key]) for index, cell in cells.items() if cell.b is not None
        }
        self.nulls = {cell.null.label: cell.null for cell in cells.values() if cell.null is not None}
        self._refused: dict[int, Outcome] = {}
        self._scored: Scored | None = None
        self._done: dict[str, dict[int, Any]] = {}
        self._left = set(cells)

    def enter_space(self, reduced: Mapping[int, Representation | Outcome]) -> None:
        """Compare in the coordinates that the space gives, by ``id`` of the rows; or refuse the pairs of a failure."""
        for position, rep in enumerate(self.reps):
            found = reduced[id(rep)]
            if isinstance(found, Outcome):
                self._refused[position] = found
            else:
                self.reps[position] = found

    def first_job(self) -> Job:
        """The job that scores all pairs."""
        sound = sorted({pair for pair in self.pairs.values() if not self._refused.keys() & set(pair)})
        arguments = (self.metric, self.reps, sound, list(self.nulls.values()))
        return Job([], score_group, arguments, {"draws": self.draws}, self.metric.label, self.reps, Part(self))

    def later_jobs(self) -> Iterator[Job]:
        """What is left to do once all pairs are scored."""
        assert self._scored is not None
        for label, parts in self._scored.parts.items():
            scores = self._scores(label)
            for some in parts if scores else ():
                part = Part(self, label, some)
                if label == INTERVALS:
                    yield Job(
                        [], leave_out_part, (self.metric, self.reps, scores, some), {},
                        f"{self.metric.label}: intervals", self.reps, part,
                    )  # fmt: skip
                else:
                    arguments = (self.metric, self.nulls[label], self.reps, scores, some, self.seed)
                    yield Job([], draw_part, arguments, {}, f"{self.metric.label} beside {label}", self.reps, part)

    def take(self, part: Part, result: Any) -> Iterable[tuple[int, dict[str, Any]]]:
        """Enter the result of one part; the cells that it completes, as plain data."""
        if part.some is None:
            self._scored = result
            self._done = {label: {} for label in result.parts}
        else:
            self._done[part.label][part.some.start] = result
        if part.label == INTERVALS and self._complete(INTERVALS) and self._done.get(INTERVALS):
            assert self._scored is not None
            held = self._done[INTERVALS]
            enter_intervals(self.metric, self._scored, np.concatenate([held[k] for k in sorted(held)], axis=1))
        return list(self._finish()) if self._complete(INTERVALS) else []

    def _complete(self, label: str) -> bool:
        assert self._scored is not None
        return not self._scores(label) or len(self._done.get(label, ())) == len(self._scored.parts.get(label, ()))

    def _scores(self, label: str) -> dict[Pair, float]:
        """The pairs of the cells of one null that are to be drawn; of all cells for the intervals."""
        assert self._scored is not None
        wanted = {
            pair for index, pair in self.pairs.items() if label == INTERVALS or _label(self.cells[index].null) == label
        }
        return {pair: value for pair, value in self._scored.left(label).items() if pair in wanted}

    def _finish(self) -> Iterator[tuple[int, dict[str, Any]]]:
        assert self._scored is not None
        for label in sorted({_label(self.cells[index].null) for index in self._left}):
            if not self._complete(label):
                continue
            mine = sorted(index for index in self._left if _label(self.cells[index].null) == label)
            parts: list[Drawn] = [held for _, held in sorted(self._done.get(label, {}).items())] if label else []
            null: Choice[NullSpec] | None = self.nulls.get(label)
            scored = [self.pairs[index] for index in mine if self.pairs[index] in self._scored.outcomes]
            found = calibrated_pairs(self.metric, null, self._scored, scored, parts, self.draws)
            for index in mine:
                pair = self.pairs[index]
                outcome, draws = found[pair] if pair in found else (self._refusal(pair), None)
                held = {"outcomes": [outcome.as_dict()]}
                yield index, held if draws is None else {**held, "draws": pack(draws)}
            self._left -= set(mine)

    def _refusal(self, pair: Pair) -> Outcome:
        """The reason of the first side without a space, with the codes of both."""
        first = next(self._refused[side] for side in pair if side in self._refused)
        codes = [self._refused[i].warnings if i in self._refused else codes_of(self.reps[i]) for i in pair]
        return replace(first, warnings=[code for side in codes for code in side])


def reduce_rows(space: Choice[ReducerSpec], rep: Representation, seed: int) -> Representation | Outcome:
    """The coordinates in which models are compared, with what the fit warned of, or why there are none."""
    codes = codes_of(rep)
    try:
        with caveats(codes):
            found = reduce(space, rep, seed)
    except Exception as error:
        problem = failure(error, space.plugin)
        problem.warnings += codes
        return problem
    if not space.spec.deterministic:
        # One fit with one seed stands for a space that another seed would draw otherwise.
        codes.append("W-SEED")
    # The fitted transformer, and the way to another seed, stay behind: they do not travel between processes.
    made = {key: found.provenance[key] for key in ("reducer", "seed")}
    return replace(found, origin=None, provenance={**made, "warnings": codes})


def space_jobs(comparisons: Sequence[Comparison]) -> list[Job]:
    """One job a space and representation, whatever the number of metrics."""
    wanted = {
        (one.space.label, id(rep)): Job(
            [], reduce_rows, (one.space, rep, one.seed), {}, f"{one.space.label} of the rows", [rep]
        )
        for one in comparisons
        if one.space is not None
        for rep in one.reps
    }
    return list(wanted.values())


def _label(null: Choice[NullSpec] | None) -> str:
    return "" if null is None else null.label
