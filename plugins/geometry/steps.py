"""The path from each number to the next: long steps, turns, and how far it gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, Representation
from numgeom_plugins.geometry.numerals import padded
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread, squared_between_distinct

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
MOST_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Path:
    """Distances at mean 1 over all pairs, the rows of n and n + 1, and how many digits change between them."""

    apart: F64
    steps: I64
    changed: I64


class ConsecutiveDistance(RowOrderMetric[Path]):
    r"""Distances ``e(n) = ||x_{n+1} - x_n||`` over all n with n and n + 1 in the set, and the path they make.

    - ``step_ratio``: mean e divided by the mean distance of all pairs, at least 0; about 1 for shuffled labels;
    - ``step_1_digit``, ``step_2_digits``, ``step_3_digits``: the same over the steps at which so many digits change
      (9 to 10 is a change of two, as 09 to 10); left out where there is no such step;
    - ``rollover_contrast``: ``(c - s) / (c + s)`` with c the mean e where two or more digits change and s that where
      one does, in [-1, 1]; 0 where carries do not matter;
    - ``straightness``: distance of the first number to the last divided by the length of the path through all
      numbers in order, in [0, 1]; 1 on a line;
    - ``turning_cosine``: mean cosine of successive steps, over three numbers in a row, in [-1, 1]: about -0.5 for
      unrelated rows, 0 for a random walk, 1 on a line or a finely sampled curve. A step between copies has no
      direction and counts as cosine 0.

    Raises
    ------
    Incompatible
        If no two numbers follow one another, or all rows are equal.

    References
    ----------
    Definitions ours.

    Examples
    --------
    >>> line = Representation(np.arange(20.0)[:, None], np.arange(20))
    >>> found = ConsecutiveDistance()(line)
    >>> round(found["step_1_digit"], 12), round(found["straightness"], 12), round(found["turning_cosine"], 12)
    (0.142857142857, 1.0, 1.0)
    """

    def prepare(self, rep: Representation) -> Path:
        """The distances, and which numbers follow one another."""
        steps = np.flatnonzero(np.diff(rep.numbers) == 1)
        if steps.size == 0:
            raise Incompatible(
                f"consecutive_distance: no two of the {rep.n} numbers follow one another; choose numbers such as 0..99."
            )
        require_spread(rep, "consecutive_distance")
        apart = np.sqrt(squared_between_distinct(rep))
        written = padded(rep.numbers)
        changed = np.count_nonzero(written[steps] != written[steps + 1], axis=1)
        return Path(apart / pairs(apart).mean(), steps, changed.astype(np.int64))

    def measure(self, state: Path, order: I64) -> dict[str, float]:
        """The path for one order of the rows."""
        apart, steps = state.apart, state.steps
        length = apart[order[steps], order[steps + 1]]
        found = {"step_ratio": float(length.mean())}
        for digits in range(1, MOST_DIGITS + 1):
            at = state.changed == digits
            if at.any():
                found[f"step_{digits}_digit{'s' if digits > 1 else ''}"] = float(length[at].mean())
        carry = state.changed > 1
        if carry.any() and not carry.all():
            jump, plain = float(length[carry].mean()), float(length[~carry].mean())
            found["rollover_contrast"] = (jump - plain) / (jump + plain) if jump + plain > 0 else 0.0
        walked = float(apart[order[:-1], order[1:]].sum())
        found["straightness"] = min(1.0, float(apart[order[0], order[-1]]) / walked)
        twice = steps[:-1][np.diff(steps) == 1]
        if twice.size:
            before, at, after = order[twice], order[twice + 1], order[twice + 2]
            one, two = apart[before, at], apart[at, after]
            along = (apart[before, after] ** 2 - one**2 - two**2) / 2.0
            size = one * two
            cosine = np.divide(along, size, out=np.zeros_like(along), where=size > 0)
            found["turning_cosine"] = float(np.clip(cosine, -1.0, 1.0).mean())
        return found

    def figures(self, state: Path, rep: Representation) -> dict[str, Curve]:
        """The length of the step from each number."""
        length = state.apart[state.steps, state.steps + 1]
        label = "distance to n + 1 / mean distance of all pairs"
        return {"steps": Curve(x=rep.numbers[state.steps], y=length, x_label="n", y_label=label)}
