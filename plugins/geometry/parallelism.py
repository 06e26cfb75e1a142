"""Whether raising a digit by one is the same step whatever the other digits are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.numerals import digit, one_hot
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread, squared_between_distinct

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
STEPS = {"step_1": 0, "step_10": 1, "step_100": 2}
FEWEST = 6


@dataclass(frozen=True, slots=True)
class Steps:
    """The places of n and of n + s, the digit that changes as a code, and the pairs of one decade."""

    low: I64
    high: I64
    codes: F64
    beside: tuple[I64, I64]
    pairs: int


@dataclass(frozen=True, slots=True)
class Differences:
    """Gram and squared distances at unit energy, and the steps of each size."""

    gram: F64
    squared: F64
    steps: dict[str, Steps]


class Parallelism(RowOrderMetric[Differences]):
    r"""Mean cosine of the differences ``x_{n+s} - x_n`` and ``x_{m+s} - x_m`` for s = 1, 10, 100.

    - ``step_1``, ``step_10``, ``step_100``: mean over all pairs n, m of different decades in which the same digit
      rises from the same value without a carry (for s = 10: 13 to 23 and 718 to 728), in [-1, 1]. It is 1 for a
      lattice and for any sum of digit codes, and about 0 for unrelated rows and for a random walk. A finely sampled
      curve has some for s = 100, where n and m may be near. The difference of two copies has no direction and counts
      as cosine 0. Left out where there are fewer than 6 such pairs; numbers below 0 are passed over.

    Pairs with the same digit are compared because all steps of one size telescope: their mean over a closed figure,
    a circle of last digits for one, is 0 however exact the code is.

    Raises
    ------
    Incompatible
        If all rows are equal, or no step has 6 pairs.

    References
    ----------
    Mikolov, Yih & Zweig 2013 (analogies as parallel differences); the measure is ours.

    Examples
    --------
    >>> numbers = np.arange(200)
    >>> angle = 2 * np.pi * numbers / 10
    >>> code = Representation(np.column_stack([np.cos(angle), np.sin(angle), numbers // 10]), numbers)
    >>> round(Parallelism()(code)["step_1"], 9), round(Parallelism()(code)["step_10"], 9)
    (1.0, 1.0)
    """

    def prepare(self, rep: Representation) -> Differences:
        """Which numbers are a step apart, and which steps are compared."""
        require_spread(rep, "parallelism")
        found = {name: _steps(rep.numbers, place) for name, place in STEPS.items()}
        steps = {name: step for name, step in found.items() if step.pairs >= FEWEST}
        if not steps:
            raise Incompatible(
                "parallelism: fewer than 6 pairs of steps by 1, 10 or 100 can be compared; choose numbers such as "
                "0..99."
            )
        return Differences(rep.workspace.gram / rep.workspace.energy, squared_between_distinct(rep), steps)

    def measure(self, state: Differences, order: I64) -> dict[str, float]:
        r"""The mean cosines for one order of the rows.

        With u the unit differences of one digit, the sum of their cosines is ``||sum u||^2``, one product with the
        Gram; the differences themselves and the pairs of one decade are subtracted from it.
        """
        found = {}
        for name, step in state.steps.items():
            low, high = order[step.low], order[step.high]
            length = np.sqrt(state.squared[low, high])
            weight = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
            weights = np.zeros((order.size, step.codes.shape[1]))
            np.add.at(weights, high, weight[:, None] * step.codes)
            np.subtract.at(weights, low, weight[:, None] * step.codes)
            total = float(np.einsum("ij,ij->", weights, state.gram @ weights)) - np.count_nonzero(weight)
            i, j = step.beside
            gram = state.gram
            along = (
                gram[high[i], high[j]] - gram[high[i], low[j]] - gram[low[i], high[j]] + gram[low[i], low[j]]
            ) * weight[i]
            total -= 2.0 * float(along @ weight[j])
            found[name] = float(np.clip(total / (2 * step.pairs), -1.0, 1.0))
        return found


def _steps(numbers: I64, place: int) -> Steps:
    """The steps that raise the digit at a place by one, and how many pairs of them are compared."""
    low, high = (
        at.astype(np.int64)
        for at in np.intersect1d(numbers, numbers - 10**place, assume_unique=True, return_indices=True)[1:]
    )
    rising = digit(numbers[low], place)
    usable = (numbers[low] >= 0) & (rising < 9)
    low, high, rising = low[usable], high[usable], rising[usable]
    decade = numbers[low] // 10
    alike = np.triu((rising[:, None] == rising[None, :]) & (decade[:, None] == decade[None, :]), 1)
    i, j = np.nonzero(alike)
    sizes = np.unique(rising, return_counts=True)[1]
    pairs = int((sizes * (sizes - 1)).sum()) // 2 - i.size
    return Steps(low, high, one_hot(rising), (i.astype(np.int64), j.astype(np.int64)), pairs)
