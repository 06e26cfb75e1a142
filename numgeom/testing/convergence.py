"""What follows from the card of a convergence metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from numgeom.errors import Incompatible
from numgeom.representation import Representation
from numgeom.specs import INVARIANCES, ConvergenceSpec
from numgeom.targets import make_metric
from numgeom.testing import clouds
from numgeom.testing.agreement import (
    cosine_views,
    flip_moments_agree,
    flipped_agrees,
    matrix_agrees,
    moments_agree,
    permuted_agrees,
)
from numgeom.testing.bench import WIDTH, Bench
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, global_generators, require
from numgeom.testing.values import EXACT, SAME, Untouched, differ, require_range, text

TIES = 0.01


def convergence_checks(spec: ConvergenceSpec) -> Iterator[Check]:
    """Every check that the card of a convergence metric gives rise to."""
    bench = Bench(spec)

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=2)
    yield check("range", f"range=[{spec.range[0]:g}, {spec.range[1]:g}]", lambda: _range(bench))
    yield check("self_is_best", f"direction={spec.direction}", lambda: _self_is_best(bench))
    yield check("direction", f"direction={spec.direction}", lambda: _direction(bench))
    yield check("symmetry", f"symmetric={spec.symmetric}", lambda: _symmetry(bench))
    if spec.is_distance:
        yield check("distance_identity", "is_distance", lambda: _identity(bench))
        yield check("distance_triangle", "is_distance", lambda: _triangle(bench))
    held = clouds.implied(spec.invariant_to)
    for name in sorted(INVARIANCES):
        if name in held:
            yield check(f"invariant[{name}]", f"invariant_to: {name}", partial(_invariant, bench, name))
        else:
            yield check(f"moved_by[{name}]", f"invariant_to: without {name}", partial(_moved, bench, name))
    if not spec.equal_dims:
        yield check("unequal_widths", "equal_dims=False", lambda: _widths(bench))
    yield check("fewest_numbers", f"min_numbers={spec.min_numbers}", lambda: _fewest(bench))
    yield check("input_untouched", "contract: inputs are shared", lambda: _untouched(bench))
    yield check("deterministic", "contract: scores depend on the inputs alone", lambda: _deterministic(bench))
    # An optional method is looked for on the class, so that a target that cannot be made still gives its checks.
    target: Any = _quietly(spec.load)
    for name, run in _FAST.items():
        if hasattr(target, name):
            yield check(f"{name}_agrees", f"contract: {name}", partial(run, bench))
    for name in clouds.awkward():
        claim = "contract: a finite score in range, or Incompatible"
        yield check(f"numerics[{name}]", claim, partial(_awkward, bench, name))


def _quietly(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception:
        return None


def _range(bench: Bench) -> str:
    scores = []
    for a_name, a in bench.clouds.items():
        for b_name, b in bench.clouds.items():
            try:
                scores.append(bench.score(a, b))
            except Incompatible:
                continue
            require_range(scores[-1], bench.spec.range, f"{a_name} against {b_name}")
    require(bool(scores), "it refused every cloud")
    return f"{len(scores)} scores from {min(scores):.4g} to {max(scores):.4g}"


def _closer(spec: ConvergenceSpec, a: float, b: float) -> float:
    """How much closer ``a`` is than ``b``."""
    return a - b if spec.direction == "higher_is_closer" else b - a


def _self_is_best(bench: Bench) -> str:
    """A cloud against itself reaches the bound of a symmetric score; its rows in another order are never closer.

    A score that is not symmetric predicts one side from the other. It may approach its bound only, as a regression
    with a penalty does.
    """
    spec = bench.spec
    tried = 0
    for name, rep in bench.clouds.items():
        try:
            own = bench.score(rep, _copy(rep))
        except Incompatible:
            continue
        tried += 1
        _require_bound(spec, own, name)
        order = np.random.default_rng(1).permutation(rep.n)
        other = bench.score(rep, rep.with_matrix(rep.matrix[order]))
        require(
            _closer(spec, own, other) >= -SAME * max(1.0, abs(own)),
            f"{name} against itself scores {own:.9g}, and against its rows in another order {other:.9g}, which is "
            f"closer ({spec.direction})",
        )
    require(tried > 0, "it refused every cloud")
    return f"{tried} clouds"


def _require_bound(spec: ConvergenceSpec, own: float, name: str) -> None:
    if np.isfinite(spec.best) and spec.symmetric:
        # Duplicate rows tie, and a statistic that does not correct for ties (tau-a) stays a little below its bound.
        slack = TIES if name == "duplicate_rows" else EXACT
        require(
            differ(own, spec.best) <= slack,
            f"{name} against itself scores {own!r}; the closest score that its range and direction allow is "
            f"{spec.best:g}",
        )


def _copy(rep: Representation) -> Representation:
    """The same rows as another object, so that nothing kept for the first serves the second."""
    return rep.with_matrix(rep.matrix)


def _direction(bench: Bench) -> str:
    """A little noise is closer than much, whether noise adds to the size of the cloud or not."""
    spec = bench.spec
    worst = []
    for keep_size in (False, True):
        gains = []
        for name in ("skewed", "circle"):
            rep = bench.clouds[name]
            try:
                near, far = (
                    np.mean([bench.score(rep, clouds.noisy(rep, noise, seed=k, keep_size=keep_size)) for k in range(3)])
                    for noise in (0.05, 2.0)
                )
            except Incompatible:
                continue
            gains.append(_closer(spec, float(near), float(far)))
        require(bool(gains), "it refused every cloud")
        worst.append(min(gains))
    # Unnormalised scores grow with the size of a cloud, and descriptors may see nothing else: one of both must hold.
    require(
        max(worst) > 0,
        f"a copy with 5 % noise is no closer than one with 200 % (by {max(worst):.3g}, {spec.direction}); "
        "turn the direction, or mend the metric",
    )
    return f"5 % noise is closer than 200 % by {max(worst):.3g}"


def _symmetry(bench: Bench) -> str:
    gaps = {name: differ(bench.score(a, b), bench.score(b, a)) for name, (a, b) in bench.pairs.items()}
    worst = max(gaps, key=lambda name: gaps[name])
    if bench.spec.symmetric:
        require(gaps[worst] <= SAME, f"{worst}: the two orders differ by {gaps[worst]:.3g}; declare symmetric=False")
        return f"{len(gaps)} pairs, largest difference {gaps[worst]:.1g}"
    require(
        gaps[worst] > SAME,
        "it says symmetric=False and is symmetric on every pair; declare symmetric=True, which halves the work",
    )
    return f"the two orders differ by up to {gaps[worst]:.3g}"


def _identity(bench: Bench) -> str:
    spec = bench.spec
    require(
        spec.direction == "lower_is_closer" and spec.symmetric and spec.range[0] == 0.0,
        "a distance is symmetric, lower_is_closer, and its range begins at 0",
    )
    for name, (a, b) in bench.pairs.items():
        if spec.saturates and max(a.d, b.d) >= a.n - 1:
            continue
        distance = bench.score(a, b)
        require(distance > SAME, f"{name}: different shapes are at distance {distance:.3g}")
    held = clouds.implied(spec.invariant_to)
    base = bench.clouds["skewed"]
    for name in sorted(held):
        distance = bench.score(base, clouds.transformed(base, name, seed=2))
        require(distance <= EXACT, f"a cloud and its image under {name}, one shape, are at distance {distance:.3g}")
    return f"{len(bench.pairs)} pairs apart, 0 within the class of {', '.join(sorted(held)) or 'the cloud itself'}"


def _triangle(bench: Bench) -> str:
    """Also through midpoints: blends, and joined columns, are where squared and raw dissimilarities break it."""
    points = dict(bench.clouds)
    for a, b in (("skewed", "gaussian"), ("line", "circle")):
        blend = sum(points[k].workspace.centred / np.sqrt(points[k].workspace.energy) for k in (a, b))
        points[f"{a} + {b}"] = points[a].with_matrix(np.asarray(blend))
        if not bench.spec.equal_dims:
            points[f"{a} | {b}"] = clouds.joined(points[a], points[b])
    metric = bench.metric
    states = [metric.prepare(rep) for rep in points.values()]
    names = list(points)
    count = len(states)
    table = np.array([[metric.score(a, b) for b in states] for a in states], dtype=np.float64)
    for i, j, k in permutations(range(count), 3):
        gap = table[i, k] - table[i, j] - table[j, k]
        require(
            gap <= EXACT * max(1.0, table[i, k]),
            f"triangle inequality: d({names[i]}, {names[k]}) = {table[i, k]:.6g} exceeds d({names[i]}, {names[j]}) + "
            f"d({names[j]}, {names[k]}) = {table[i, j] + table[j, k]:.6g}; declare is_distance=False",
        )
    return f"{count * (count - 1) * (count - 2)} triangles"


def _under(bench: Bench, name: str, a: Representation, b: Representation) -> float:
    """The largest change when either side is transformed."""
    before = bench.score(a, b)
    return max(
        differ(before, bench.score(clouds.transformed(a, name), b)),
        differ(before, bench.score(a, clouds.transformed(b, name, seed=1))),
    )


def _invariant(bench: Bench, name: str) -> str:
    return bench.over_pairs(
        lambda a, b: _under(bench, name, a, b), f"it declares invariance to {name} transformations, and is moved"
    )


def _moved(bench: Bench, name: str) -> str:
    moves = {pair: _under(bench, name, a, b) for pair, (a, b) in bench.pairs.items()}
    largest = max(moves.values())
    require(
        largest > SAME,
        f"no {name} transformation moves it on {len(moves)} pairs; add {name!r} to invariant_to",
    )
    return f"moved by up to {largest:.3g}"


def _widths(bench: Bench) -> str:
    names = [name for name in bench.pairs if name in ("6 and 9 columns", "fewer rows than columns")]
    require(bool(names), "it refused clouds of unequal width; declare equal_dims=True")
    for name in names:
        require_range(bench.score(*bench.pairs[name]), bench.spec.range, name)
    return ", ".join(names)


def _fewest(bench: Bench) -> str:
    n = bench.spec.min_numbers
    require(n >= 1, f"min_numbers is {n}")
    a = clouds.skewed(n, 3)
    try:
        value = bench.score(a, clouds.gaussian(n, 3))
    except Incompatible as error:
        return f"refused at {n}: {error}"
    require_range(value, bench.spec.range, f"{n} numbers")
    return f"{value:.4g} at {n} numbers"


def _untouched(bench: Bench) -> str:
    reps = [clouds.skewed(bench.n, WIDTH), clouds.circle(bench.n, WIDTH)]
    watched = Untouched(reps)
    metric = make_metric(bench.spec, {})
    states = [metric.prepare(rep) for rep in reps]
    metric.score(*states)
    fast: Any = metric
    if hasattr(metric, "score_matrix"):
        fast.score_matrix(states)
    if hasattr(metric, "permuted"):
        fast.permuted(*states, bench.orders(2))
    if hasattr(metric, "null_moments"):
        fast.null_moments(*states)
    if hasattr(metric, "flipped"):
        left, right = map(cosine_views(bench.n), reps)
        with suppress(Incompatible):
            fast.flipped(left, right, np.ones((1, left.basis.shape[1])))
    watched.require_same()
    return "matrix, numbers, random rows, provenance and workspace"


_FAST = {
    "score_matrix": matrix_agrees,
    "permuted": permuted_agrees,
    "flipped": flipped_agrees,
    "null_moments": moments_agree,
    "flip_moments": flip_moments_agree,
}


def _deterministic(bench: Bench) -> str:
    values = []
    for seed in (1, 2):
        a, b = clouds.skewed(bench.n, WIDTH), clouds.circle(bench.n, WIDTH)
        metric = make_metric(bench.spec, {})
        with global_generators(seed):
            values.append(float(metric.score(metric.prepare(a), metric.prepare(b))))
            values.append(float(metric.score(metric.prepare(a), metric.prepare(b))))
    require(
        len(set(values)) == 1,
        f"the same inputs gave {' and '.join(map(repr, dict.fromkeys(values)))}; take a seed as a parameter and use "
        "np.random.default_rng(seed)",
    )
    return "4 times the same value"


def _awkward(bench: Bench, name: str) -> str:
    spec = bench.spec
    a = clouds.awkward(bench.n, WIDTH)[name]
    b = clouds.awkward(bench.n, WIDTH, seed=9)[name]
    found = []
    for what, left, right in (("itself", a, _copy(a)), ("another", a, b)):
        try:
            value = bench.score(left, right)
        except Incompatible as error:
            found.append(f"refused: {error}")
            continue
        require_range(value, spec.range, f"{name} against {what}")
        if what == "itself":
            _require_bound(spec, value, name)
        found.append(text(value))
    held = clouds.implied(spec.invariant_to)
    needs = {"large_common_mean": "translation", "tiny": "scale", "huge": "scale"}.get(name)
    if needs in held and not found[1].startswith("refused"):
        plain = [clouds.skewed(bench.n, WIDTH, seed=seed) for seed in (7, 9)]
        if name == "large_common_mean":
            plain = [rep.with_matrix(clouds.on_grid(np.array(rep.matrix))) for rep in plain]
        gap = differ(bench.score(a, b), bench.score(*plain))
        require(gap <= EXACT, f"{name} moves it by {gap:.3g} although it declares invariance to {needs}")
    return "; ".join(dict.fromkeys(found))
