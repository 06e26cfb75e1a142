"""What follows from the card of a null."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from numgeom.errors import Incompatible
from numgeom.representation import Representation
from numgeom.specs import NullSpec
from numgeom.targets import NullView, draw_permutations, null_views
from numgeom.testing import clouds
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, global_generators, require
from numgeom.testing.values import SAME, Untouched

ROWS = 40
DRAWS = 3


def null_checks(spec: NullSpec) -> Iterator[Check]:
    """Every check that the card of a null gives rise to."""

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    target = _quietly(spec.load)
    yield from card_checks(spec, given=2)
    yield check("keeps_numbers", "contract: same numbers, finite rows", lambda: _keeps(spec))
    yield check("destroys_something", f"destroys: {spec.destroys}", lambda: _destroys(spec))
    yield check("deterministic", "contract: draws depend on the generator alone", lambda: _deterministic(spec))
    yield check("generator_used", "contract: another generator, another draw", lambda: _generator(spec))
    yield check("input_untouched", "contract: inputs are shared", lambda: _untouched(spec))
    if spec.permutes_rows:
        yield check("permutes_rows", "permutes_rows=True", lambda: _permutes(spec))
        yield check("order_of_numbers_only", "permutes_rows=True", lambda: _numbers_only(spec))
    else:
        yield check("not_only_permutes", "permutes_rows=False", lambda: _not_only(spec))
    if isinstance(target, type):
        yield check("views", "contract: views", lambda: _view_names(spec))
        yield check("signs_agree", "contract: signs of a view, where it has them", lambda: _signs(spec))
    for name in clouds.awkward():
        claim = "contract: finite surrogates, or Incompatible"
        yield check(f"numerics[{name}]", claim, partial(_awkward, spec, name))


def _quietly(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception:
        return None


def _views(spec: NullSpec, rep: Representation) -> Sequence[NullView]:
    views = null_views(spec, {}, rep)
    require(len(views) > 0, "it gave no view")
    return views


def _draw(spec: NullSpec, rep: Representation, seed: int) -> list[Representation]:
    return [view.draw(np.random.default_rng([seed, 11])) for view in _views(spec, rep)]


def _clouds() -> dict[str, Representation]:
    return {
        "skewed": clouds.skewed(ROWS),
        "circle": clouds.circle(ROWS, noise=0.2),
        "walk": clouds.walk(ROWS),
        "fewer rows than columns": clouds.walk(ROWS, ROWS + 12),
        "number gaps": clouds.awkward(ROWS)["number_gaps"],
    }


def _scenes(spec: NullSpec) -> dict[str, Representation]:
    """New clouds to which the null applies."""
    found = {}
    refusals = []
    for name, rep in _clouds().items():
        try:
            _draw(spec, rep, 0)
        except Incompatible as error:
            refusals.append(f"{name}: {error}")
        else:
            # What the trial left in the workspace must not hide what a check is about to see.
            found[name] = rep.with_matrix(rep.matrix)
    require(bool(found), f"it refused every cloud, so nothing could be checked; {'; '.join(refusals[:1])}")
    return found


def _require_surrogate(drawn: Any, rep: Representation, where: str) -> None:
    require(isinstance(drawn, Representation), f"{where}: it drew {type(drawn).__name__}, not a Representation")
    require(
        np.array_equal(drawn.numbers, rep.numbers),
        f"{where}: it changed the numbers; return rep.with_matrix(rows), with as many rows in the order of the numbers",
    )


def _keeps(spec: NullSpec) -> str:
    count = 0
    for name, rep in _scenes(spec).items():
        for view in _views(spec, rep):
            require(np.array_equal(view.observed.numbers, rep.numbers), f"{name}: its view has other numbers")
            for seed in range(DRAWS):
                _require_surrogate(view.draw(np.random.default_rng(seed)), rep, name)
                count += 1
    return f"{count} draws"


def _destroys(spec: NullSpec) -> str:
    require(bool(spec.keeps.strip()) and bool(spec.destroys.strip()), "say in words what it keeps and what it destroys")
    for name, rep in _scenes(spec).items():
        for view in _views(spec, rep):
            drawn = [view.draw(np.random.default_rng(seed)).matrix for seed in range(DRAWS)]
            same = all(
                one.shape == view.observed.matrix.shape and np.allclose(one, view.observed.matrix) for one in drawn
            )
            require(not same, f"{name}: {DRAWS} draws are the rows themselves; nothing is destroyed")
    return "draws differ from the rows"


def _deterministic(spec: NullSpec) -> str:
    found = []
    for seed in (1, 2):
        scenes = _scenes(spec)
        with global_generators(seed):
            found.append({name: _draw(spec, rep, 0) for name, rep in scenes.items()})
    for name, first in found[0].items():
        same = all(np.array_equal(a.matrix, b.matrix) for a, b in zip(first, found[1][name], strict=True))
        require(same, f"{name}: one generator gave two surrogates; draw from the generator that is given, only")
    return f"the same generator, the same surrogate of {', '.join(found[0])}"


def _generator(spec: NullSpec) -> str:
    for name, rep in _scenes(spec).items():
        draws = [_draw(spec, rep, seed) for seed in range(DRAWS)]
        first = draws[0]
        same = all(np.array_equal(a.matrix, b.matrix) for other in draws[1:] for a, b in zip(first, other, strict=True))
        require(not same, f"{name}: {DRAWS} generators gave one surrogate; draw from the generator that is given")
    return f"{DRAWS} generators differ"


def _untouched(spec: NullSpec) -> str:
    seen = []
    for name, rep in _clouds().items():
        watched = Untouched([rep])
        try:
            _draw(spec, rep, 0)
        except Incompatible:
            continue
        seen.append(name)
        watched.require_same()
    require(bool(seen), "it refused every cloud, so nothing could be checked")
    return f"matrix, numbers, random rows, provenance and workspace of {', '.join(seen)}"


def _only_reorders(rep: Representation, drawn: Representation) -> bool:
    if drawn.matrix.shape != rep.matrix.shape:
        return False
    sides = [np.asarray(one.matrix, dtype=np.float64) for one in (rep, drawn)]
    a, b = (rows[np.lexsort(rows.T)] for rows in sides)
    return np.array_equal(a, b)


def _permutes(spec: NullSpec) -> str:
    for name, rep in _scenes(spec).items():
        views = _views(spec, rep)
        require(len(views) == 1, f"it permutes rows and has {len(views)} views; it must have one")
        for seed in range(DRAWS):
            require(
                _only_reorders(rep, _draw(spec, rep, seed)[0]),
                f"{name}: it declares permutes_rows and its surrogate is not the same rows in another order",
            )
    return f"{DRAWS} draws of {len(_scenes(spec))} clouds are reordered rows"


def _numbers_only(spec: NullSpec) -> str:
    """Metrics reindex what they prepared by the order that the row index itself would get."""
    for name, rep in _scenes(spec).items():
        rngs = [np.random.default_rng([seed, 11]) for seed in range(DRAWS)]
        orders = draw_permutations(spec, {}, rep.numbers, rngs)
        for seed, order in enumerate(orders):
            require(
                np.array_equal(_draw(spec, rep, seed)[0].matrix, rep.matrix[order]),
                f"{name}: the order of the rows depends on more than the numbers and the generator",
            )
    return "one order for every cloud on the same numbers"


def _not_only(spec: NullSpec) -> str:
    reordered = [
        _only_reorders(view.observed, view.draw(np.random.default_rng(seed)))
        for rep in _scenes(spec).values()
        for view in _views(spec, rep)
        for seed in range(DRAWS)
    ]
    require(
        not all(reordered),
        f"all {len(reordered)} surrogates are the same rows in another order; declare permutes_rows=True, which lets "
        "metrics reindex instead of computing again",
    )
    return f"{len(reordered) - sum(reordered)} of {len(reordered)} surrogates have other rows"


def _view_names(spec: NullSpec) -> str:
    called = {scene: [view.name for view in _views(spec, rep)] for scene, rep in _scenes(spec).items()}
    names = next(iter(called.values()))
    require(
        len(set(names)) == len(names), f"its views are called {', '.join(map(repr, names))}; each needs its own name"
    )
    for scene, other in called.items():
        require(other == names, f"{scene}: its views have other names than on other clouds: {', '.join(other)}")
    return ", ".join(names) or "one view"


def _signs(spec: NullSpec) -> str:
    seen = 0
    for view in _views(spec, next(iter(_scenes(spec).values()))):
        one: Any = view
        if not all(hasattr(one, part) for part in ("signs", "basis", "coefficients")):
            continue
        seen += 1
        signs = one.signs(np.random.default_rng(4))
        gap = np.abs(view.draw(np.random.default_rng(4)).matrix - (one.basis * signs) @ one.coefficients).max()
        require(gap <= SAME * np.abs(view.observed.matrix).max(), f"view {view.name!r}: draw and signs disagree")
        rebuilt = np.abs(view.observed.matrix - one.basis @ one.coefficients).max()
        require(rebuilt <= SAME * np.abs(view.observed.matrix).max(), f"view {view.name!r}: observed is not its modes")
    return f"{seen} views have signs"


def _awkward(spec: NullSpec, name: str) -> str:
    rep = clouds.awkward(ROWS)[name]
    try:
        for seed in range(DRAWS):
            for drawn in _draw(spec, rep, seed):
                _require_surrogate(drawn, rep, name)
    except Incompatible as error:
        return f"refused: {error}"
    return f"{DRAWS} draws"
