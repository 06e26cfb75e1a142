"""What cards say of width: which metrics rise with it on unrelated rows, and which see inner products alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Representation
from numgeom.registry import open_catalog
from numgeom.scorer import narrow
from numgeom.targets import make_metric

# Caveats of made rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

CATALOG = open_catalog()
SPECS = [CATALOG.convergence.get(name) for name in CATALOG.convergence.names]
SHARES = [spec for spec in SPECS if spec.direction == "higher_is_closer" and spec.range[1] == 1.0 and not spec.requires]
ROTATED = [spec for spec in SPECS if "orthogonal" in spec.invariant_to and not spec.requires]
N = 100


def score(spec: Any, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], narrowed: bool = False) -> float:
    reps = [Representation(rows, np.arange(len(rows))) for rows in (x, y)]
    metric = make_metric(spec, {})
    return float(metric.score(*(metric.prepare(narrow(one, spec) if narrowed else one) for one in reps)))


@pytest.mark.parametrize("spec", SHARES, ids=lambda spec: spec.name)
def test_what_rises_with_the_width_of_unrelated_rows_says_so(spec: Any) -> None:
    rng = np.random.default_rng(0)

    def unrelated(d: int) -> float:
        return float(np.mean([score(spec, *rng.standard_normal((2, N, d))) for _ in range(3)]))

    rises = unrelated(2000) > max(0.5, unrelated(12) + 0.1)
    assert rises <= spec.saturates


@pytest.mark.parametrize("spec", ROTATED, ids=lambda spec: spec.name)
def test_rows_and_their_inner_products_have_one_score(spec: Any) -> None:
    # Rows narrowed to (n, n) have the same Gram and nothing else in common with the rows.
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, N, 130)).cumsum(axis=1) + 3.0
    whole, gram = score(spec, x, y), score(spec, x, y, narrowed=True)
    assert gram == pytest.approx(whole, rel=1e-10, abs=1e-10)
