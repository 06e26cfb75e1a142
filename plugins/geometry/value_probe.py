"""Probes for the value of a number: a linear map of its row to n or to log n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import Ridge, Task, answers, block_folds, random_folds, ridge
from numgeom_plugins.geometry.numerals import signed_log
from numgeom_plugins.geometry.ranks import unit_ranks
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SPLITS = ("random", "block", "beyond")
# The largest numbers, this share of all, are held out to see whether a map extrapolates.
BEYOND = 0.2
# A log this large is no number any more.
LARGEST_LOG = 30.0


@dataclass(frozen=True, eq=False)
class _Line:
    engine: Ridge
    numbers: I64
    tasks: list[Task]


class ValueProbe(RowOrderMetric[_Line]):
    r"""How well ridge regression of the rows gives the value of held-out numbers, on a linear and on a log scale.

    The targets are ``n`` and ``log(n + 1)`` (``-log(1 - n)`` below 0); the log is undone by ``exp(y) - 1``. The splits
    are ``random`` (5 folds, interpolation), ``block`` (5 blocks of successive numbers) and ``beyond`` (learned from the
    smaller 80 %, tried on the rest: extrapolation). For each target and split, such as ``linear_random_...``:

    - ``r2``: one minus the squared error over the variance of the target, on the target's scale; at most 1;
    - ``spearman``: rank correlation of prediction and value, in [-1, 1]; 0 where all predictions are equal;
    - ``rmse``, ``mae``: in units of the number;
    - ``exact``: share right after rounding, in [0, 1];
    - ``relative``: median of ``|error| / max(1, |n|)``.

    A high r2 with an exact share near 0 is the usual result. With d > n the r2 of a fit to all numbers is 1 whatever
    the rows: only held-out numbers count. A smooth curve without meaning has a high ``random`` r2 too.

    Parameters
    ----------
    seed : int
        Of the random folds.

    References
    ----------
    Wallace et al. 2019, arXiv:1909.07940; Zhu, Dai & Sui 2025, arXiv:2401.03735.

    Examples
    --------
    >>> n = np.arange(100)
    >>> found = ValueProbe()(Representation(np.column_stack([np.log1p(n), np.cos(n)]), n))
    >>> found["log_beyond_exact"], found["linear_beyond_r2"] < 0.9
    (1.0, True)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def prepare(self, rep: Representation) -> _Line:
        """The engine, the two targets and the three splits."""
        if rep.n < 20:
            raise Incompatible(f"value_probe needs at least 20 numbers; these are {rep.n}. Give more with --numbers.")
        held = np.full(rep.n, -1, dtype=np.int64)
        held[rep.n - max(2, round(BEYOND * rep.n)) :] = 0
        splits = (random_folds(np.zeros(rep.n), 5, self.seed), block_folds(rep.n, 5), held)
        targets = (rep.numbers.astype(np.float64), signed_log(rep.numbers))
        return _Line(ridge(rep, "value_probe"), rep.numbers, [Task(target[:, None], splits) for target in targets])

    def measure(self, state: _Line, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        found: dict[str, float] = {}
        tried = answers(state.engine, state.tasks, order)
        for scale, task, held in zip(("linear", "log"), state.tasks, tried, strict=True):
            for split, folds, (predicted, _) in zip(SPLITS, task.folds, held, strict=True):
                at = folds >= 0
                target, guess = task.targets[at, 0], predicted[at, 0]
                scores = _scores(state.numbers[at], target, guess, log=scale == "log")
                found |= {f"{scale}_{split}_{name}": value for name, value in scores.items()}
        return found


def _scores(numbers: I64, target: F64, guess: F64, *, log: bool) -> dict[str, float]:
    deviation = target - target.mean()
    value = guess
    if log:
        size = np.minimum(np.abs(guess), LARGEST_LOG)
        value = np.sign(guess) * np.expm1(size)
    error = np.abs(value - numbers)
    varies = np.ptp(guess) > 1e-12 * np.abs(guess).max()
    rank = float(unit_ranks(guess, "predictions") @ unit_ranks(target, "numbers")) if varies else 0.0
    return {
        "r2": 1.0 - float(np.square(target - guess).sum() / np.square(deviation).sum()),
        "spearman": float(np.clip(rank, -1.0, 1.0)),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(error.mean()),
        "exact": float((np.round(value) == numbers).mean()),
        "relative": float(np.median(error / np.maximum(1, np.abs(numbers)))),
    }
