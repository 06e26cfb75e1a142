"""What follows from the card of a geometry metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numgeom.errors import Incompatible
from numgeom.figures import split
from numgeom.representation import Representation
from numgeom.specs import INVARIANCES, GeometrySpec
from numgeom.targets import make_geometry
from numgeom.testing import clouds
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, global_generators, require
from numgeom.testing.values import EXACT, SAME, Untouched, largest_difference, require_range, text

ROWS = 40
WIDTH = 6


class _Bench:
    """One metric and the clouds that it is tried on; reductions of them for a metric that judges those."""

    def __init__(self, spec: GeometrySpec) -> None:
        self.spec = spec
        self.n = max(ROWS, spec.min_numbers)

    def clouds(self) -> dict[str, Representation]:
        found = {
            "skewed": clouds.skewed(self.n, WIDTH),
            "circle": clouds.circle(self.n, WIDTH, noise=0.2),
            "line": clouds.line(self.n, WIDTH, noise=0.1),
            "fewer rows than columns": clouds.skewed(self.n, self.n + 12, seed=1),
        }
        return {name: self.judged(rep) for name, rep in found.items()}

    def judged(self, rep: Representation) -> Representation:
        """The cloud, or its leading components with the cloud as their origin."""
        if not self.spec.of_reduction:
            return rep
        centred = rep.workspace.centred
        # Some noise, because an exact projection of a plane has nothing wrong with it.
        axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
        plain = Representation(centred @ axes.T + 1.0, rep.numbers)
        return replace(clouds.noisy(plain, 0.2) if plain.workspace.energy > 0 else plain, origin=rep)

    def values(self, rep: Representation) -> dict[str, float]:
        return as_values(make_geometry(self.spec, {})(rep))

    def measured(self) -> dict[str, tuple[Representation, dict[str, float]]]:
        """The clouds to which the metric applies, with its values."""
        found = {}
        refusals = []
        for name, rep in self.clouds().items():
            try:
                found[name] = (rep, self.values(rep))
            except Incompatible as error:
                refusals.append(f"{name}: {error}")
        require(bool(found), f"it refused every cloud, so nothing could be checked; {'; '.join(refusals[:1])}")
        return found


def as_values(found: Any) -> dict[str, float]:
    """A float or a mapping as named floats; curves and squares are left away."""
    named, _ = split(found if isinstance(found, Mapping) else {"value": found})
    require(bool(named), "it gave no value at all; raise numgeom.Incompatible where it does not apply")
    for name in named:
        require(isinstance(name, str) and name != "", f"it names a value {name!r}; names are text")
    return {name: float(value) for name, value in named.items()}


def geometry_checks(spec: GeometrySpec) -> Iterator[Check]:
    """Every check that the card of a geometry metric gives rise to."""
    bench = _Bench(spec)

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=1)
    yield check("range", f"range=[{spec.range[0]:g}, {spec.range[1]:g}]", lambda: _range(bench))
    held = clouds.implied(spec.invariant_to)
    for name in sorted(INVARIANCES):
        if name in held:
            yield check(f"invariant[{name}]", f"invariant_to: {name}", partial(_invariant, bench, name))
        else:
            yield check(f"moved_by[{name}]", f"invariant_to: without {name}", partial(_moved, bench, name))
    yield check("fewest_numbers", f"min_numbers={spec.min_numbers}", lambda: _fewest(bench))
    if not spec.needs_contiguous:
        yield check("number_gaps", "needs_contiguous=False", lambda: _awkward(bench, "number_gaps"))
    if "row_permutation" in spec.nulls:
        yield check("measures_of_null", "nulls: row_permutation", lambda: _measures(bench))
    if spec.rows_only:
        yield check("rows_only", "rows_only=True", lambda: _rows_only(bench))
    yield check("input_untouched", "contract: inputs are shared", lambda: _untouched(bench))
    yield check("deterministic", "contract: values depend on the input alone", lambda: _deterministic(bench))
    if hasattr(_quietly(spec.load), "permuted"):
        yield check("permuted_agrees", "contract: permuted", lambda: _permuted(bench))
    for name in clouds.awkward():
        if name != "number_gaps":
            claim = "contract: finite values in range, or Incompatible"
            yield check(f"numerics[{name}]", claim, partial(_awkward, bench, name))


def _quietly(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception:
        return None


def _require_all(values: Mapping[str, float], bench: _Bench, where: str) -> None:
    for name, value in values.items():
        require_range(value, bench.spec.range, f"{name} of {where}")


def _range(bench: _Bench) -> str:
    measured = bench.measured()
    for name, (_, values) in measured.items():
        _require_all(values, bench, name)
    names = sorted({name for _, values in measured.values() for name in values})
    return f"{len(measured)} clouds; measures {', '.join(names)}"


def _changes(bench: _Bench, name: str) -> dict[str, float]:
    return {
        cloud: largest_difference(values, bench.values(clouds.transformed(rep, name)))
        for cloud, (rep, values) in bench.measured().items()
    }


def _invariant(bench: _Bench, name: str) -> str:
    changes = _changes(bench, name)
    for cloud, gap in changes.items():
        require(gap <= SAME, f"it declares invariance to {name} transformations; one moves it on {cloud} by {gap:.3g}")
    return f"{len(changes)} clouds, largest difference {max(changes.values()):.1g}"


def _moved(bench: _Bench, name: str) -> str:
    changes = _changes(bench, name)
    largest = max(changes.values())
    require(largest > SAME, f"no {name} transformation moves it on {len(changes)} clouds; add {name!r} to invariant_to")
    return f"moved by up to {largest:.3g}"


def _fewest(bench: _Bench) -> str:
    n = bench.spec.min_numbers
    try:
        values = bench.values(bench.judged(clouds.skewed(n, WIDTH)))
    except Incompatible as error:
        return f"refused at {n}: {error}"
    _require_all(values, bench, f"{n} numbers")
    return f"{n} numbers: {text(values)}"


def _measures(bench: _Bench) -> str:
    """Every measure of the rows is there for the rows in another order, or the null has nothing to compare."""
    for name, (rep, values) in bench.measured().items():
        order = np.random.default_rng(2).permutation(rep.n)
        missing = set(values) - set(bench.values(rep.with_matrix(rep.matrix[order])))
        require(not missing, f"{name}: {', '.join(sorted(missing))} is missing once the rows are in another order")
    return "the same measures for reordered rows"


def _rows_only(bench: _Bench) -> str:
    for name, (rep, values) in bench.measured().items():
        bare = Representation(rep.matrix, rep.numbers, provenance=rep.provenance, origin=rep.origin)
        require(bench.values(bare) == values, f"{name}: it reads token ids, random rows or string rows")
        moved = Representation(rep.matrix, 3 * rep.numbers + 1, provenance=rep.provenance, origin=rep.origin)
        require(bench.values(moved) == values, f"{name}: it reads the numbers")
    return f"{len(bench.measured())} clouds without ids, random rows and with other numbers"


def _untouched(bench: _Bench) -> str:
    rep = bench.judged(clouds.skewed(bench.n, WIDTH))
    watched = Untouched([rep] if rep.origin is None else [rep, rep.origin])
    metric: Any = make_geometry(bench.spec, {})
    metric(rep)
    if hasattr(metric, "permuted"):
        metric.permuted(rep, _orders(rep.n))
    watched.require_same()
    return "matrix, numbers, random rows, provenance and workspace"


def _deterministic(bench: _Bench) -> str:
    found = []
    for seed in (1, 2):
        rep = bench.judged(clouds.skewed(bench.n, WIDTH))
        with global_generators(seed):
            found += [bench.values(rep), bench.values(rep)]
    require(
        all(values == found[0] for values in found),
        "the same rows gave different values; take a seed as a parameter and use np.random.default_rng(seed)",
    )
    return "4 times the same values"


def _orders(n: int) -> Any:
    rng = np.random.default_rng(3)
    return np.stack([np.arange(n), rng.permutation(n), rng.permutation(n)]).astype(np.int64)


def _permuted(bench: _Bench) -> str:
    worst = 0.0
    for name, (rep, _) in bench.measured().items():
        orders = _orders(rep.n)
        metric: Any = make_geometry(bench.spec, {})
        columns = {key: np.asarray(values) for key, values in metric.permuted(rep, orders).items()}
        for key, column in columns.items():
            require(
                column.shape == (len(orders),), f"permuted gave shape {column.shape} for {len(orders)} orders of {key}"
            )
        for k, order in enumerate(orders):
            slow = bench.values(rep.with_matrix(rep.matrix[order]))
            gap = largest_difference({key: float(column[k]) for key, column in columns.items()}, slow)
            require(gap <= SAME, f"permuted and the values of the permuted rows disagree on {name} by {gap:.3g}")
            worst = max(worst, gap)
    return f"largest difference {worst:.1g}"


def _awkward(bench: _Bench, name: str) -> str:
    spec = bench.spec
    rep = bench.judged(clouds.awkward(bench.n, WIDTH)[name])
    if spec.needs_contiguous and not rep.is_contiguous:
        return "numgeom itself refuses gaps for this metric"
    try:
        values = bench.values(rep)
    except Incompatible as error:
        return f"refused: {error}"
    _require_all(values, bench, name)
    needs = {"large_common_mean": "translation", "tiny": "scale", "huge": "scale"}.get(name)
    if needs in clouds.implied(spec.invariant_to) and not spec.of_reduction:
        plain = clouds.skewed(bench.n, WIDTH, seed=7)
        if name == "large_common_mean":
            plain = plain.with_matrix(clouds.on_grid(np.array(plain.matrix)))
        gap = largest_difference(values, bench.values(plain))
        require(gap <= EXACT, f"{name} moves it by {gap:.3g} although it declares invariance to {needs}")
    return text(values)
