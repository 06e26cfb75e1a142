"""A convergence metric and the clouds that it is tried on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from numgeom.errors import Incompatible
from numgeom.representation import Representation
from numgeom.specs import ConvergenceSpec
from numgeom.targets import ConvergenceMetric, make_metric
from numgeom.testing import clouds
from numgeom.testing.check import CheckFailed, require
from numgeom.testing.values import SAME

ROWS = 40
WIDTH = 6
Pair = tuple[Representation, Representation]


class Bench:
    """One metric and the clouds that it is tried on."""

    def __init__(self, spec: ConvergenceSpec) -> None:
        self.spec = spec
        self.n = max(ROWS, spec.min_numbers)

    @cached_property
    def metric(self) -> ConvergenceMetric:
        """The metric with the parameters of its card."""
        return make_metric(self.spec, {})

    @cached_property
    def clouds(self) -> dict[str, Representation]:
        """Related and unrelated clouds of one width."""
        base = clouds.skewed(self.n, WIDTH)
        return {
            "skewed": base,
            "near": clouds.noisy(clouds.rotated(base), 0.3),
            "circle": clouds.circle(self.n, WIDTH, noise=0.2),
            "line": clouds.line(self.n, WIDTH, noise=0.1),
            "gaussian": clouds.gaussian(self.n, WIDTH, seed=1),
        }

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """Pairs on which the metric applies, of equal and, where it takes them, of unequal width."""
        held = self.clouds
        wanted = {
            "a cloud and its noisy copy": (held["skewed"], held["near"]),
            "two unrelated clouds": (held["skewed"], held["gaussian"]),
            "a line and a circle": (held["line"], held["circle"]),
        }
        if not self.spec.equal_dims:
            wide = clouds.skewed(self.n, self.n + 12, seed=1)
            wanted["6 and 9 columns"] = (held["circle"], clouds.joined(held["circle"], clouds.gaussian(self.n, 3)))
            wanted["fewer rows than columns"] = (wide, held["circle"])
        refusals = []
        found = {}
        for name, (a, b) in wanted.items():
            try:
                self.score(a, b)
                found[name] = (a, b)
            except Incompatible as error:
                refusals.append(f"{name}: {error}")
        if not found:
            raise CheckFailed(f"it refused every cloud, so nothing could be checked; {refusals[0]}")
        return found

    def score(self, a: Representation, b: Representation) -> float:
        """The score of two representations."""
        return float(self.metric.score(self.metric.prepare(a), self.metric.prepare(b)))

    def over_pairs(self, each: Callable[[Representation, Representation], float], what: str) -> str:
        """The largest difference over the pairs, which must be rounding."""
        worst = 0.0
        for name, (a, b) in self.pairs.items():
            gap = each(a, b)
            require(gap <= SAME, f"{what} on {name}: they differ by {gap:.3g}")
            worst = max(worst, gap)
        return f"{len(self.pairs)} pairs, largest difference {worst:.1g}"

    def orders(self, count: int) -> npt.NDArray[np.int64]:
        """Row orders, ``(count, n)``, the first of them the identity."""
        rng = np.random.default_rng(3)
        return np.stack([np.arange(self.n), *(rng.permutation(self.n) for _ in range(count - 1))]).astype(np.int64)
