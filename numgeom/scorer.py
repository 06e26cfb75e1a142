"""One metric on several representations, each prepared at most once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.calibrate import Calibration, calibrate, calibrate_moments, least_permutation_p
from numgeom.catalog import Choice
from numgeom.errors import Incompatible, NumgeomError
from numgeom.outcome import Outcome, caveats, failure
from numgeom.representation import Representation
from numgeom.specs import ConvergenceSpec
from numgeom.targets import ConvergenceMetric, make_metric

F64 = npt.NDArray[np.float64]
Pair = tuple[int, int]

# Bytes of derived quantities above which they are dropped as soon as the state is there, and derived again if needed.
ROOM = 2 << 30


class Scorer:
    """The metric with every representation prepared at most once.

    Parameters
    ----------
    choice : Choice of ConvergenceSpec
    reps : sequence of Representation
        All on the same numbers.
    """

    def __init__(self, choice: Choice[ConvergenceSpec], reps: Sequence[Representation]) -> None:
        self.choice = choice
        self.spec = choice.spec
        self.reps = reps
        self._states: dict[int, Any] = {}
        self._codes: dict[int, list[str]] = {}
        self._failed: dict[int, Exception] = {}
        self._scores: dict[Pair, float] = {}
        self._metric: ConvergenceMetric | None = None
        # Centred rows, and about six squares, are derived of each representation.
        self._tight = sum(8 * rep.n * (rep.d + 6 * rep.n) for rep in reps) > ROOM

    @property
    def metric(self) -> ConvergenceMetric:
        """The metric itself, loaded at first use."""
        if self._metric is None:
            self._metric = make_metric(self.spec, self.choice.params)
        return self._metric

    def state(self, index: int) -> Any:
        """The prepared state of one representation; raises what its preparation raised."""
        if index in self._failed:
            raise self._failed[index]
        if index not in self._states:
            rep = self.reps[index]
            codes: list[str] = []
            try:
                with caveats(codes):
                    self._states[index] = self.metric.prepare(rep)
            except Exception as error:
                self._failed[index] = error
                raise
            if rep.workspace.duplicate_rows:
                codes.append("W-DUP")
            self._codes[index] = [*codes, *codes_of(rep)]
            if self._tight:
                rep.workspace.drop()
        return self._states[index]

    def score_together(self, pairs: Sequence[Pair]) -> None:
        """Score all pairs as one matrix, where the metric says that this gives the bits of ``score``."""
        indices = sorted({i for pair in pairs for i in pair})
        try:
            metric: Any = self.metric
            if len(pairs) < len(indices) or not getattr(metric, "same_bits", False):
                return
            table = metric.score_matrix([self.state(i) for i in indices])
        except Exception:
            return  # each pair is scored by itself then, and has its own reason
        place = {index: position for position, index in enumerate(indices)}
        self._scores = {(a, b): float(table[place[a], place[b]]) for a, b in pairs}

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
                value = self._scores[pair] if pair in self._scores else float(self.metric.score(*states))
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
            problem = failure(error, self.choice.plugin)
            problem.warnings += [*codes, *codes_of(a), *codes_of(b)]
            return problem
        codes += [code for i in pair for code in self._codes[i]]
        if self.spec.saturates and a.n - 1 <= max(a.d, b.d):
            codes.append("W-N-LT-D")
        return Outcome(measure="score", value=value, warnings=codes)

    def calibrated_exactly(self, pair: Pair, observed: float) -> Calibration:
        """An observed score beside the exact moments of its row-permutation null."""
        fast: Any = self.metric
        moments = fast.null_moments(self.state(pair[0]), self.state(pair[1]))
        if not all(np.isfinite(moments)):
            raise NumgeomError(f"{self.choice.label} gave the moments {moments} of its null.")
        least = least_permutation_p(self.reps[pair[0]].n)
        return calibrate_moments(observed, moments, least, direction=self.spec.direction, best=self.spec.best)


def codes_of(rep: Representation) -> list[str]:
    """Warning codes of the rows themselves, whichever metric sees them: of their fit, and of rows that are zeros."""
    # Before the chain: centred rows of zeros are zeros no more.
    zeros = (rep.origin or rep).has_zero_rows
    return [*rep.provenance.get("warnings", ()), *(["W-UNTRAINED"] if zeros else [])]


def calibrated(choice: Choice[ConvergenceSpec], observed: float, values: F64) -> Calibration:
    """An observed score beside draws of its null.

    Raises
    ------
    NumgeomError
        If a draw has no finite score.
    """
    lost = int(np.count_nonzero(~np.isfinite(values)))
    if lost:
        raise NumgeomError(f"{choice.label} gave no finite score on {lost} of {values.size} null draws.")
    return calibrate(observed, values, direction=choice.spec.direction, best=choice.spec.best)


def narrow(rep: Representation, spec: ConvergenceSpec) -> Representation:
    """An (n, n) representation with the same inner products, where the metric sees nothing else.

    ``X' = QR`` gives ``X X' = R' R``, so the rows of ``R'`` have exactly the Gram matrix
    of ``X``; the provenance keeps the true width, for nulls that draw clouds of it.
    """
    if rep.d <= rep.n or "orthogonal" not in spec.invariant_to:
        return rep
    factor = np.linalg.qr(rep.matrix.astype(np.float64).T).R
    return rep.with_matrix(factor.T, width=rep.d)
