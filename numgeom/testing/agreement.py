"""Whether the fast paths of a convergence metric give what scoring pair by pair gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from numgeom.errors import Incompatible
from numgeom.representation import Representation
from numgeom.testing import clouds
from numgeom.testing.bench import Bench
from numgeom.testing.check import require
from numgeom.testing.values import SAME, differ

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Modes:
    """The view of an order-mode null, on the cosine basis."""

    name: str
    observed: Representation
    basis: F64
    coefficients: F64


def matrix_agrees(bench: Bench) -> str:
    """``score_matrix`` against ``score`` of every ordered pair."""
    states = [bench.metric.prepare(rep) for rep in bench.clouds.values()]
    whole = np.asarray(getattr(bench.metric, "score_matrix")(states))  # noqa: B009
    require(whole.shape == (len(states),) * 2, f"score_matrix gave shape {whole.shape} for {len(states)} states")
    single = np.array([[bench.metric.score(a, b) for b in states] for a in states])
    gap = max(differ(float(x), float(y)) for x, y in zip(whole.ravel(), single.ravel(), strict=True))
    require(gap <= SAME, f"score_matrix and score differ by {gap:.3g}")
    return f"{single.size} entries, largest difference {gap:.1g}"


def permuted_agrees(bench: Bench) -> str:
    """``permuted`` against ``score`` of the reordered rows."""
    permuted = getattr(bench.metric, "permuted")  # noqa: B009
    orders = bench.orders(4)

    def each(a: Representation, b: Representation) -> float:
        fast = np.asarray(permuted(bench.metric.prepare(a), bench.metric.prepare(b), orders))
        require(fast.shape == (len(orders),), f"permuted gave shape {fast.shape} for {len(orders)} orders")
        slow = [bench.score(a, b.with_matrix(b.matrix[order])) for order in orders]
        return max(differ(float(x), y) for x, y in zip(fast, slow, strict=True))

    return bench.over_pairs(each, "permuted and score of the permuted rows disagree")


def cosine_views(n: int, turned: bool = False) -> Callable[[Representation], Modes]:
    """Views of the three quarters of the cosine modes that oscillate most; or of others, fewer and turned."""
    frequencies = np.arange(1, n)[None, :]
    basis = np.sqrt(2.0 / n) * np.cos(frequencies * np.pi * (np.arange(n)[:, None] + 0.5) / n)
    basis = basis[:, n // 4 :]
    if turned:
        turn = np.linalg.qr(np.random.default_rng(6).standard_normal((basis.shape[1],) * 2))[0]
        basis = basis @ turn[:, 1:]

    def view(rep: Representation) -> Modes:
        coefficients = basis.T @ rep.workspace.centred
        return Modes("n", rep.with_matrix(basis @ coefficients), basis, coefficients)

    return view


def flipped_agrees(bench: Bench) -> str:
    """The closed form against scoring the residual with its modes flipped.

    Where the metric says ``observed_norm``, flips keep the norm of the residual as it is: the unflipped scores must
    agree, and each flipped one up to a factor that does not depend on the other side. Where it says
    ``flips_apart``, the sides also have modes of their own.
    """
    flipped = getattr(bench.metric, "flipped")  # noqa: B009
    fixed = bool(getattr(bench.metric, "observed_norm", False))
    own, others = cosine_views(bench.n), cosine_views(bench.n, turned=True)
    views = [(own, own)]
    if getattr(bench.metric, "flips_apart", False):
        views += [(own, others), (others, own)]

    def values(left: Modes, right: Modes) -> tuple[F64, F64]:
        modes = left.basis.shape[1]
        signs = np.vstack([np.ones(modes), 2.0 * np.random.default_rng(4).integers(0, 2, (3, modes)) - 1.0])
        fast = np.asarray(flipped(left, right, signs))
        require(fast.shape == (len(signs),), f"flipped gave shape {fast.shape} for {len(signs)} rows of signs")
        turned = (left.observed.with_matrix((left.basis * s) @ left.coefficients) for s in signs)
        return fast, np.array([bench.score(rep, right.observed) for rep in turned])

    def each(a: Representation, b: Representation) -> float:
        worst = 0.0
        for of_a, of_b in views:
            left = of_a(a)
            fast, slow = values(left, of_b(b))
            if fixed:
                # The factors are those of the flips of this side, as its agreement with itself shows them.
                own_fast, own_slow = values(left, left)
                fast, slow = np.append(fast[:1], fast * own_slow), np.append(slow[:1], slow * own_fast)
            worst = max([worst, *(differ(float(x), float(y)) for x, y in zip(fast, slow, strict=True))])
        return worst

    return bench.over_pairs(each, "flipped and score of the flipped rows disagree")


def flip_moments_agree(bench: Bench) -> str:
    """Against ``flipped`` under all 256 signs of the eight modes of twelve numbers."""
    metric, n = bench.metric, 12
    if hasattr(metric, "flips"):
        return "not tried: the metric says that only some modes have a closed form"
    if bench.spec.min_numbers > n:
        return f"not tried: the metric needs {bench.spec.min_numbers} numbers"
    a, b = (cosine_views(n)(rep) for rep in (clouds.skewed(n, 3), clouds.noisy(clouds.skewed(n, 3), 1.0)))
    signs = np.array(list(product((1.0, -1.0), repeat=a.basis.shape[1])))
    draws = np.asarray(getattr(metric, "flipped")(a, b, signs), dtype=np.float64)  # noqa: B009
    centred = draws - draws.mean()
    seen = (draws[0], draws.mean(), draws.std(), (centred**3).mean() / draws.std() ** 3)
    given = tuple(float(value) for value in getattr(metric, "flip_moments")(a, b))  # noqa: B009
    require(len(given) == 5, f"flip_moments gave {len(given)} values; score, mean, sd, skewness, effective modes")
    for name, said, found in zip(("score", "mean", "sd", "skewness"), given[:4], seen, strict=True):
        require(abs(said - found) <= 1e-6, f"flip_moments says {name} {said:.6g}; {len(signs)} signs have {found:.6g}")
    modes = a.basis.shape[1]
    require(1.0 <= given[4] <= modes + 1e-9, f"flip_moments says {given[4]:.3g} effective modes of {modes}")
    return f"all {len(signs)} signs of {modes} modes"


def moments_agree(bench: Bench) -> str:
    """Against all 720 orders of six rows where the metric takes so few, else against 4000 draws."""
    metric, n = bench.metric, 6
    exact = bench.spec.min_numbers <= n
    if exact:
        try:
            bench.score(clouds.skewed(n, 3), clouds.gaussian(n, 3))
        except Incompatible:
            exact = False
    n = n if exact else bench.n
    rng = np.random.default_rng(5)
    orders = np.array(list(permutations(range(n))) if exact else [rng.permutation(n) for _ in range(4000)])
    a, b = clouds.skewed(n, 3), clouds.noisy(clouds.skewed(n, 3), 1.0)
    states = metric.prepare(a), metric.prepare(b)
    permuted = getattr(metric, "permuted", None)
    if permuted is not None:
        draws = np.asarray(permuted(*states, orders), dtype=np.float64)
    else:
        draws = np.array([metric.score(states[0], metric.prepare(b.with_matrix(b.matrix[o]))) for o in orders])
    mean, sd, skewness = (float(value) for value in getattr(metric, "null_moments")(*states))  # noqa: B009
    centred = draws - draws.mean()
    seen = (float(draws.mean()), float(draws.std()), float((centred**3).mean() / draws.std() ** 3))
    # Sampling errors of mean, sd and skewness of 4000 draws, six times over.
    slack = (1e-9, 1e-9, 1e-6) if exact else (0.1 * seen[1], 0.1 * seen[1], 0.5)
    for name, given, found, allowed in zip(("mean", "sd", "skewness"), (mean, sd, skewness), seen, slack, strict=True):
        require(
            abs(given - found) <= allowed,
            f"null_moments says {name} {given:.6g}; {len(orders)} orders have {found:.6g}",
        )
    return f"{'all' if exact else 'a sample of'} {len(orders)} orders of {n} rows"
