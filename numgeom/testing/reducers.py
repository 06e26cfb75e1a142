"""What follows from the card of a reducer."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.errors import Incompatible, MeasurementWarning
from numgeom.specs import ReducerSpec
from numgeom.testing import clouds
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, global_generators, require

F64 = npt.NDArray[np.float64]

ROWS = 40
# The extremes of scale are left to metrics: reducers meet rows as a model has them.
AWKWARD = (
    "large_common_mean",
    "fewer_rows_than_columns",
    "more_rows_than_columns",
    "rank_deficient",
    "duplicate_rows",
    "constant_columns",
    "no_variance",
)


def reducer_checks(spec: ReducerSpec) -> Iterator[Check]:
    """Every check that the card of a reducer gives rise to."""

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=0)
    yield check("shape", "contract: (n, d) to (n, k), finite", lambda: _shape(spec))
    yield check("input_untouched", "contract: inputs are shared", lambda: _untouched(spec))
    yield check("seed_respected", "contract: random_state is all that draws", lambda: _seed(spec))
    if spec.deterministic:
        yield check("deterministic", "deterministic=True", lambda: _deterministic(spec))
    else:
        yield check("has_seed", "deterministic=False", lambda: _has_seed(spec))
    yield check("numbers_unseen", f"supervised={spec.supervised}", lambda: _supervised(spec))
    for name in AWKWARD:
        yield check(f"numerics[{name}]", "contract: finite points, or Incompatible", partial(_awkward, spec, name))


def _takes_seed(spec: ReducerSpec) -> bool:
    return "random_state" in inspect.signature(spec.load()).parameters


def _fit(spec: ReducerSpec, rows: F64, numbers: npt.NDArray[np.int64], seed: int = 0) -> F64:
    """As the engine does it: a new transformer, its seed set, the numbers given to a supervised one only."""
    params: dict[str, Any] = dict(spec.params)
    if _takes_seed(spec):
        params["random_state"] = seed
    with warnings.catch_warnings(record=True) as caught:
        # What a layout library says of its own arithmetic is not the plugin's; caveats are passed on.
        warnings.simplefilter("always")
        model = spec.load()(**params)
        points = model.fit_transform(rows, numbers) if spec.supervised else model.fit_transform(rows)
    for item in caught:
        if isinstance(item.message, MeasurementWarning):
            warnings.warn(item.message, stacklevel=2)
    points = np.asarray(points, dtype=np.float64)
    require(points.ndim == 2 and len(points) == len(rows), f"it gave shape {points.shape} for {len(rows)} rows")
    require(bool(np.isfinite(points).all()), "it gave points that are not finite")
    return points


def _rows() -> tuple[F64, npt.NDArray[np.int64]]:
    rep = clouds.skewed(ROWS)
    return np.array(rep.matrix, dtype=np.float64), np.array(rep.numbers)


def _shape(spec: ReducerSpec) -> str:
    points = _fit(spec, *_rows())
    asked = spec.params.get("n_components", points.shape[1])
    require(points.shape[1] == asked, f"n_components={asked} and it gave {points.shape[1]} columns")
    return f"{ROWS} rows of width 6 to {points.shape}"


def _untouched(spec: ReducerSpec) -> str:
    rows, numbers = _rows()
    _fit(spec, rows, numbers)
    before = _rows()
    require(np.array_equal(rows, before[0]), "it changed the rows that it was given; copy them first")
    require(np.array_equal(numbers, before[1]), "it changed the numbers that it was given")
    return "rows and numbers as before"


def _seed(spec: ReducerSpec) -> str:
    found = []
    for seed in (1, 2):
        with global_generators(seed):
            found.append(_fit(spec, *_rows(), seed=5))
    gap = float(np.abs(found[0] - found[1]).max())
    how = "random_state=5" if _takes_seed(spec) else "no random_state"
    require(gap == 0.0, f"two fits with {how} differ by {gap:.3g}; draw from random_state only")
    return f"two fits with {how} are equal"


def _deterministic(spec: ReducerSpec) -> str:
    first, second = (_fit(spec, *_rows(), seed=seed) for seed in (0, 1))
    gap = float(np.abs(first - second).max())
    require(
        gap <= 1e-9 * max(1.0, float(np.abs(first).max())),
        f"seeds 0 and 1 differ by {gap:.3g}; declare deterministic=False",
    )
    return "seeds 0 and 1 agree"


def _has_seed(spec: ReducerSpec) -> str:
    require(
        _takes_seed(spec),
        "it declares deterministic=False and has no random_state to set, so that no result could be repeated",
    )
    # A wide cloud: solvers that choose for themselves become random only on large ones (scikit-learn's PCA, which
    # also starts t-SNE, above 500 columns).
    wide = clouds.skewed(ROWS, 600)
    rows, numbers = wide.matrix.astype(np.float64), np.array(wide.numbers)
    fits = [_fit(spec, rows, numbers, seed=seed) for seed in (0, 1, 2)]
    gap = max(float(np.abs(fits[0] - other).max()) for other in fits[1:])
    require(gap > 0.0, "seeds 0, 1 and 2 give the same points to the last bit; declare deterministic=True")
    return f"seeds move it by up to {gap:.3g}"


def _supervised(spec: ReducerSpec) -> str:
    """An unsupervised reducer never gets the numbers; a supervised one must use them."""
    rows, numbers = _rows()
    if not spec.supervised:
        _fit(spec, rows, numbers)
        return "fits without the numbers"
    other = np.random.default_rng(0).permutation(numbers)
    gap = float(np.abs(_fit(spec, rows, numbers) - _fit(spec, rows, other)).max())
    require(gap > 0.0, "it declares supervised=True and other numbers change nothing; declare supervised=False")
    return "the numbers count"


def _awkward(spec: ReducerSpec, name: str) -> str:
    rep = clouds.awkward(ROWS)[name]
    try:
        points = _fit(spec, rep.matrix.astype(np.float64), np.array(rep.numbers))
    except Incompatible as error:
        return f"refused: {error}"
    return f"{points.shape}"
