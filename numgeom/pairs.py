"""Score pairs of representations with one metric, beside one null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.calibrate import Calibration, calibrate, passes
from numgeom.catalog import Choice
from numgeom.errors import Incompatible, NumgeomError
from numgeom.intervals import jackknife_intervals
from numgeom.outcome import Outcome, caveats, failure
from numgeom.representation import Representation
from numgeom.seeds import generator, generators
from numgeom.specs import ConvergenceSpec, NullSpec
from numgeom.targets import ConvergenceMetric, NullView, draw_permutations, make_metric, null_views

F64 = npt.NDArray[np.float64]
Pair = tuple[int, int]


def score_pairs(
    metric: Choice[ConvergenceSpec],
    null: Choice[NullSpec] | None,
    reps: Sequence[Representation],
    pairs: Sequence[Pair],
    *,
    draws: int,
    seed: int,
    intervals: bool = False,
) -> list[Outcome]:
    """Score ``pairs`` of ``reps``, which all hold the same numbers.

    Parameters
    ----------
    metric : Choice of ConvergenceSpec
    null : Choice of NullSpec or None
    reps : sequence of Representation
    pairs : sequence of (int, int)
        Indices into ``reps``.
    draws, seed : int
        Draw ``k`` is the same for every pair, and whichever other pairs are scored with it.
    intervals : bool
        Whether to give every score its jackknife interval.

    Returns
    -------
    list of Outcome
        One a pair; failures included, nothing is raised.
    """
    scorer = _Scorer(metric, reps)
    outcomes = {pair: scorer.outcome(pair) for pair in pairs}
    sound = [pair for pair in pairs if outcomes[pair].status == "ok"]
    if intervals and sound:
        scores = [value for pair in sound if (value := outcomes[pair].value) is not None]
        found = jackknife_intervals(scorer.metric, scorer.spec.range, reps, sound, scores)
        for pair, interval in zip(sound, found, strict=True):
            outcomes[pair].lo, outcomes[pair].hi = interval or (None, None)
    if null is not None and sound:
        _hold_against(scorer, null, {pair: outcomes[pair] for pair in sound}, draws, seed)
    return [outcomes[pair] for pair in pairs]


class _Scorer:
    """The metric with every representation prepared at most once."""

    def __init__(self, choice: Choice[ConvergenceSpec], reps: Sequence[Representation]) -> None:
        self.choice = choice
        self.spec = choice.spec
        self.reps = reps
        self.codes: dict[int, list[str]] = {}
        self._states: dict[int, Any] = {}
        self._failed: dict[int, Exception] = {}
        self._metric: ConvergenceMetric | None = None

    @property
    def metric(self) -> ConvergenceMetric:
        if self._metric is None:
            self._metric = make_metric(self.spec, self.choice.params)
        return self._metric

    def state(self, index: int) -> Any:
        if index in self._failed:
            raise self._failed[index]
        if index not in self._states:
            codes = self.codes.setdefault(index, [])
            try:
                with caveats(codes):
                    self._states[index] = self.metric.prepare(self.reps[index])
            except Exception as error:
                self._failed[index] = error
                raise
        return self._states[index]

    def outcome(self, pair: Pair) -> Outcome:
        """The score of one pair, without a null."""
        a, b = (self.reps[i] for i in pair)
        codes: list[str] = []
        try:
            if a.n < self.spec.min_numbers:
                raise Incompatible(
                    f"only {a.n} shared numbers; {self.choice.label} needs at least {self.spec.min_numbers}."
                )
            if self.spec.equal_dims and a.d != b.d:
                raise Incompatible(f"{self.choice.label} needs equal widths; they are {a.d} and {b.d}.")
            states = (self.state(pair[0]), self.state(pair[1]))
            with caveats(codes):
                value = float(self.metric.score(*states))
            if not np.isfinite(value):
                raise NumgeomError(
                    f"{self.choice.label} (plugin {self.choice.plugin!r}) gave {value}; "
                    f"type: numgeom check {self.spec.name}"
                )
            low, high = self.spec.range
            slack = 1e-9 * max(1.0, abs(value))
            if not low - slack <= value <= high + slack:
                raise NumgeomError(
                    f"{self.choice.label} gave {value}, outside the range {low} to {high} that plugin "
                    f"{self.choice.plugin!r} declares; type: numgeom check {self.spec.name}"
                )
        except Exception as error:
            return failure(error, self.choice.plugin)
        codes += [code for i in pair for code in self.codes.get(i, [])]
        if a.workspace.duplicate_rows or b.workspace.duplicate_rows:
            codes.append("W-DUP")
        if self.spec.saturates and a.n - 1 <= max(a.d, b.d):
            codes.append("W-N-LT-D")
        return Outcome(measure="score", value=value, warnings=codes)

    def calibrated(self, observed: float, values: F64) -> Calibration:
        lost = int(np.count_nonzero(~np.isfinite(values)))
        if lost:
            raise NumgeomError(f"{self.choice.label} gave no finite score on {lost} of {values.size} null draws.")
        return calibrate(observed, values, direction=self.spec.direction, best=self.spec.best)


def _hold_against(
    scorer: _Scorer, null: Choice[NullSpec], outcomes: Mapping[Pair, Outcome], draws: int, seed: int
) -> None:
    """Enter the calibration of every pair, or the reason why the null does not apply."""
    try:
        found = (_permute if null.spec.permutes_rows else _replace_sides)(scorer, null, outcomes, draws, seed)
    except Exception as error:
        found = {pair: failure(error, null.plugin) for pair in outcomes}
    for pair, outcome in outcomes.items():
        held = found[pair]
        if isinstance(held, Outcome):
            # The score stands in the rows of the other nulls; this row says why its null is missing.
            outcome.value, outcome.status, outcome.reason = None, held.status, f"null {null.label}: {held.reason}"
            outcome.lo = outcome.hi = None
            continue
        calibration, null_value = held
        outcome.hold_against(calibration, null_value, draws)
        if null.spec.warning and not passes(calibration.p, calibration.excess):
            outcome.warnings.append(null.spec.warning)


Found = dict[Pair, "tuple[Calibration, float] | Outcome"]


def _permute(scorer: _Scorer, null: Choice[NullSpec], outcomes: Mapping[Pair, Outcome], draws: int, seed: int) -> Found:
    """Row permutations of the second side; one order a draw, shared by all pairs."""
    numbers = scorer.reps[next(iter(outcomes))[0]].numbers
    orders = draw_permutations(null.spec, null.params, numbers, generators(seed, null.label, numbers, draws))
    fast = getattr(scorer.metric, "permuted", None)
    values: dict[Pair, F64] = {}
    if fast is not None:
        for a, b in outcomes:
            values[a, b] = np.asarray(fast(scorer.state(a), scorer.state(b), orders), dtype=np.float64)
    else:
        values = {pair: np.empty(draws) for pair in outcomes}
        for k, order in enumerate(orders):
            shuffled = {
                b: _prepared(scorer, scorer.reps[b].with_matrix(scorer.reps[b].matrix[order]))
                for b in sorted({pair[1] for pair in outcomes})
            }
            for a, b in outcomes:
                values[a, b][k] = scorer.metric.score(scorer.state(a), shuffled[b])
    found: Found = {}
    for pair, outcome in outcomes.items():
        assert outcome.value is not None
        try:
            found[pair] = (scorer.calibrated(outcome.value, values[pair]), outcome.value)
        except NumgeomError as error:
            found[pair] = failure(error, null.plugin)
    return found


def _replace_sides(
    scorer: _Scorer, null: Choice[NullSpec], outcomes: Mapping[Pair, Outcome], draws: int, seed: int
) -> Found:
    """Surrogates of each side in turn, under each view; the largest p is reported, then the smallest z.

    A surrogate depends on one model only: the draws are the outer loop, and each is scored against all
    other models of the group. What fails for one model or one pair is that model's or that pair's row.
    """
    views: dict[int, Sequence[NullView]] = {}
    problems: dict[int | Pair, Exception] = {}
    for index in sorted({i for pair in outcomes for i in pair}):
        try:
            views[index] = null_views(null.spec, null.params, narrow(scorer.reps[index], scorer.spec))
        except Exception as error:
            problems[index] = error
    best: dict[Pair, list[tuple[Calibration, float]]] = {}
    for position in range(max(map(len, views.values()), default=0)):
        at = {i: held[position] for i, held in views.items()}
        sound = [pair for pair in outcomes if not _problem(problems, pair)]
        for pair, held in _one_view(scorer, null, at, sound, problems, draws, seed).items():
            best.setdefault(pair, []).extend(held)
    found: Found = {}
    for pair in outcomes:
        problem = _problem(problems, pair)
        if problem is None:
            found[pair] = max(best[pair], key=lambda held: (held[0].p, -(held[0].z if np.isfinite(held[0].z) else 0.0)))
        else:
            found[pair] = failure(problem, null.plugin)
    return found


def _problem(problems: Mapping[int | Pair, Exception], pair: Pair) -> Exception | None:
    """What stands against a pair: a failure of one of its sides, or its own."""
    return next((problems[key] for key in (*pair, pair) if key in problems), None)


def _one_view(
    scorer: _Scorer,
    null: Choice[NullSpec],
    views: Mapping[int, NullView],
    pairs: Sequence[Pair],
    problems: dict[int | Pair, Exception],
    draws: int,
    seed: int,
) -> dict[Pair, list[tuple[Calibration, float]]]:
    """Calibrations of each pair with its first and with its second side replaced; failures enter ``problems``."""
    metric = scorer.metric
    states: dict[int, Any] = {}
    for i, view in views.items():
        try:
            states[i] = _prepared(scorer, view.observed)
        except Exception as error:
            problems[i] = error
    values = {pair: np.empty((2, draws)) for pair in pairs if not _problem(problems, pair)}
    flipped = getattr(metric, "flipped", None)
    if flipped is not None and all(hasattr(view, "signs") for view in views.values()):
        # Sign flips of modes have a closed form in such a metric: all draws are one matrix product.
        signs = np.stack([_signs(null, views, seed, k) for k in range(draws)])
        for a, b in values:
            values[a, b][0] = flipped(views[a], views[b], signs)
            values[a, b][1] = flipped(views[b], views[a], signs)
    else:
        for i in states:
            mine = [pair for pair in values if i in pair]
            try:
                for k in range(draws):
                    # Seeding by draw alone makes a pair's null the same whichever other models are in the study.
                    rng = generator(seed, null.label + views[i].name, views[i].observed.numbers, k)
                    drawn = _prepared(scorer, views[i].draw(rng))
                    for a, b in mine:
                        if i == a:
                            values[a, b][0, k] = metric.score(drawn, states[b])
                        if i == b:
                            values[a, b][1, k] = metric.score(states[a], drawn)
            except Exception as error:
                problems[i] = error
    found: dict[Pair, list[tuple[Calibration, float]]] = {}
    for a, b in values:
        if not _problem(problems, (a, b)):
            try:
                observed = float(metric.score(states[a], states[b]))
                found[a, b] = [(scorer.calibrated(observed, side), observed) for side in values[a, b]]
            except Exception as error:
                problems[a, b] = error
    return found


def _signs(null: Choice[NullSpec], views: Mapping[int, NullView], seed: int, draw: int) -> npt.NDArray[np.float64]:
    """The mode signs of one draw: those that a view's own ``draw`` would use."""
    view: Any = next(iter(views.values()))
    signs: npt.NDArray[np.float64] = view.signs(generator(seed, null.label + view.name, view.observed.numbers, draw))
    return signs


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


def narrow(rep: Representation, spec: ConvergenceSpec) -> Representation:
    """An (n, n) representation with the same inner products, where the metric sees nothing else.

    ``X' = QR`` gives ``X X' = R' R``, so the rows of ``R'`` have exactly the Gram matrix
    of ``X``; the provenance keeps the true width, for nulls that draw clouds of it.
    """
    if rep.d <= rep.n or "orthogonal" not in spec.invariant_to:
        return rep
    factor = np.linalg.qr(rep.matrix.astype(np.float64).T).R
    return rep.with_matrix(factor.T, width=rep.d)


def _prepared(scorer: _Scorer, rep: Representation) -> Any:
    """The state of a surrogate; its caveats are those of the rows themselves and are not repeated."""
    with caveats([]):
        return scorer.metric.prepare(rep)
