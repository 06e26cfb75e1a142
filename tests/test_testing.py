"""The conformance kit: every plugin of ours passes it, and a false claim is caught under the name of the claim."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations as every_order
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numgeom import (
    ConvergenceSpec,
    GeometrySpec,
    Incompatible,
    MeasurementWarning,
    ModelSpec,
    NullSpec,
    NumberSet,
    NumberSetSpec,
    NumgeomError,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    Representation,
    SourceError,
    SourceSpec,
    Tokenizer,
)
from numgeom.cli import main
from numgeom.errors import PluginError, UnknownName
from numgeom.plugins import OURS, load_plugins
from numgeom.specs import INVARIANCES, Spec
from numgeom.testing import (
    FAKE_SOURCE,
    Check,
    CheckFailed,
    FakeTokenizer,
    Report,
    awkward,
    checks,
    circle,
    gaussian,
    joined,
    line,
    noisy,
    parametrize_with_checks,
    rotated,
    run_checks,
    sample_tables,
    select,
    transformed,
)
from numgeom.testing.check import run_all

SHAPE = frozenset({"orthogonal", "scale", "translation"})

# Cards of ours whose claim is known to be wrong, until it is mended: kind and name, then check and reason.
MODELS = {
    "demo": ModelSpec(name="demo", source="demo", id="llama_a"),
    "synthetic": ModelSpec(name="helix", source="synthetic", id="helix"),
}


def _ours() -> list[Spec]:
    report = load_plugins()
    ours = {plugin.name for plugin in report.plugins if plugin.origin.startswith(OURS)}
    return [item.spec for item in report.provided if item.plugin in ours]


@pytest.mark.parametrize("spec", _ours(), ids=lambda spec: f"{spec.kind}-{spec.name}".replace(" ", "_"))
def test_every_plugin_of_ours_is_what_its_card_says(spec: Spec) -> None:
    if spec.missing_packages():
        pytest.skip(f"{spec.name} needs {', '.join(spec.missing_packages())}")
    report = run_checks(spec, model=MODELS.get(spec.name))
    assert report.ok, "\n".join(f"{failed.check}: {failed.detail}" for failed in report.failures)


# ---------------------------------------------------------------- convergence metrics, true and false


def _unit(rep: Representation) -> np.ndarray:
    """Centred rows at unit energy."""
    if rep.workspace.energy <= 1e-25 * float(np.square(rep.matrix, dtype=np.float64).sum()):
        raise Incompatible("the rows do not vary")
    return rep.workspace.centred / np.sqrt(rep.workspace.energy)


def cka(a: Representation, b: Representation) -> float:
    left, right = (_unit(rep) @ _unit(rep).T for rep in (a, b))
    return float(min(1.0, np.vdot(left, right) / (np.linalg.norm(left) * np.linalg.norm(right))))


def column_match(a: Representation, b: Representation) -> float:
    """Cosine of the rows column by column: knows no rotation."""
    return float(np.clip(np.vdot(_unit(a), _unit(b)), -1.0, 1.0))


def convergence(target: Any, **claims: Any) -> ConvergenceSpec:
    told: dict[str, Any] = {"range": (0.0, 1.0), "invariant_to": SHAPE, **claims}
    return ConvergenceSpec(name="tried", summary="a metric on trial", target=target, **told)


def failed(spec: Spec, **more: Any) -> dict[str, str]:
    return {result.check: result.detail for result in run_checks(spec, **more).failures}


def test_a_true_card_passes_and_says_what_follows_from_what() -> None:
    report = run_checks(convergence(cka))
    assert report.ok
    assert (
        report.summary == f"{len(report.results)} checks of 1 card: {len(report.results)} passed, 0 failed, 0 xfailed"
    )
    claims = {result.check: result.claim for result in report.results}
    assert claims["invariant[orthogonal]"] == "invariant_to: orthogonal"
    # Column permutations are rotations, so they need no declaration of their own.
    assert claims["invariant[permutation]"] == "invariant_to: permutation"
    assert claims["moved_by[linear]"] == "invariant_to: without linear"
    assert claims["symmetry"] == "symmetric=True"
    assert "distance_triangle" not in claims
    assert "passed  convergence metric tried  range  <- range=[0, 1]" in report.text


def test_every_invariance_is_either_held_or_shown_to_move() -> None:
    for declared in (frozenset(), SHAPE, INVARIANCES):
        names = [check.name for check in checks(convergence(cka, invariant_to=frozenset(declared)))]
        about = [name for name in names if name.startswith(("invariant[", "moved_by["))]
        assert len(about) == len(INVARIANCES)


def test_a_false_claim_of_rotation_invariance_is_caught_by_name() -> None:
    spec = convergence(column_match, range=(-1.0, 1.0), equal_dims=True)
    assert set(failed(spec)) == {"invariant[orthogonal]", "invariant[permutation]"}
    assert "orthogonal transformations, and is moved" in failed(spec)["invariant[orthogonal]"]
    assert run_checks(replace(spec, invariant_to=frozenset({"scale", "translation"}))).ok


def test_a_false_claim_of_scale_invariance_is_caught_by_name() -> None:
    def size_matters(a: Representation, b: Representation) -> float:
        ratio = np.sqrt(a.workspace.energy / b.workspace.energy) if b.workspace.energy else 0.0
        return cka(a, b) * float(min(ratio, 1 / ratio) if ratio else 0.0)

    found = failed(convergence(size_matters))
    assert "invariant[scale]" in found
    assert "invariant[orthogonal]" not in found


def test_a_false_claim_of_linear_invariance_is_caught_by_name() -> None:
    assert set(failed(convergence(cka, invariant_to=SHAPE | {"linear"}))) == {"invariant[linear]"}


def test_a_false_claim_of_translation_invariance_is_caught_by_name() -> None:
    def raw(a: Representation, b: Representation) -> float:
        left, right = (rep.workspace.cosines for rep in (a, b))
        return float(min(1.0, np.vdot(left, right) / (np.linalg.norm(left) * np.linalg.norm(right))))

    assert "invariant[translation]" in failed(convergence(raw, range=(-1.0, 1.0)))


@pytest.mark.parametrize("name", ["orthogonal", "scale", "translation"])
def test_an_invariance_that_holds_and_is_not_declared_is_reported(name: str) -> None:
    found = failed(convergence(cka, invariant_to=SHAPE - {name}))
    assert f"moved_by[{name}]" in found
    assert f"add {name!r} to invariant_to" in found[f"moved_by[{name}]"]


def test_false_symmetry_is_caught_both_ways() -> None:
    def one_sided(a: Representation, b: Representation) -> float:
        left, right = (np.linalg.svd(_unit(rep), full_matrices=False)[0][:, :2] for rep in (a, b))
        return float(min(1.0, np.square(right.T @ _unit(a)).sum() / np.square(left.T @ _unit(a)).sum()))

    assert set(failed(convergence(one_sided))) == {"symmetry"}
    assert "declare symmetric=False" in failed(convergence(one_sided))["symmetry"]
    assert run_checks(convergence(one_sided, symmetric=False)).ok
    assert "declare symmetric=True" in failed(convergence(cka, symmetric=False))["symmetry"]


def test_a_value_outside_the_range_is_caught_down_to_the_last_bit() -> None:
    def beyond(a: Representation, b: Representation) -> float:
        return cka(a, b) * (1.0 + 1e-15)

    found = failed(convergence(beyond))
    assert "lies outside the declared range [0, 1]" in found["range"]
    assert "lies outside the declared range" in failed(convergence(cka, range=(0.5, 1.0)))["range"]


def test_a_dissimilarity_is_no_distance_by_the_triangle_inequality() -> None:
    def dissimilarity(a: Representation, b: Representation) -> float:
        return 1.0 - cka(a, b)

    def angle(a: Representation, b: Representation) -> float:
        left, right = (_unit(rep) @ _unit(rep).T for rep in (a, b))
        gap = np.linalg.norm(left / np.linalg.norm(left) - right / np.linalg.norm(right))
        return float(2.0 * np.arcsin(min(1.0, gap / 2.0)))

    claims = {"direction": "lower_is_closer", "is_distance": True}
    found = failed(convergence(dissimilarity, **claims))
    assert set(found) == {"distance_triangle"}
    assert "exceeds" in found["distance_triangle"]
    assert run_checks(convergence(angle, range=(0.0, np.pi / 2), **claims)).ok


def test_a_prediction_may_only_approach_its_bound_and_must_still_be_best_on_itself() -> None:
    def ridge(a: Representation, b: Representation, penalty: float = 0.01) -> float:
        left, values, _ = np.linalg.svd(_unit(a), full_matrices=False)
        kept = 1.0 - (penalty / (values**2 + penalty)) ** 2
        return float(np.clip((kept[:, None] * np.square(left.T @ _unit(b))).sum(), 0.0, 1.0))

    def reversed_rows(a: Representation, b: Representation) -> float:
        return ridge(a, b.with_matrix(b.matrix[::-1]))

    assert ridge(gaussian(), gaussian()) < 0.999
    assert run_checks(convergence(ridge, symmetric=False)).ok
    found = failed(convergence(reversed_rows, symmetric=False))
    assert "its rows in another order" in found["self_is_best"]


def test_the_wrong_direction_and_a_bound_never_reached_are_caught() -> None:
    assert {"self_is_best", "direction"} <= set(failed(convergence(cka, direction="lower_is_closer")))
    found = failed(convergence(cka, range=(0.0, 2.0)))
    assert "the closest score that its range and direction allow is 2" in found["self_is_best"]


class Trace:
    """CKA in the form that has fast paths, any of which can be broken."""

    def prepare(self, rep: Representation) -> np.ndarray:
        gram = _unit(rep) @ _unit(rep).T
        return np.asarray(gram / np.linalg.norm(gram))

    def score(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(np.clip(np.vdot(a, b), 0.0, 1.0))

    def score_matrix(self, states: list[np.ndarray]) -> np.ndarray:
        return np.array([[self.score(a, b) for b in states] for a in states])

    def permuted(self, a: np.ndarray, b: np.ndarray, permutations: np.ndarray) -> np.ndarray:
        return np.array([self.score(a, b[np.ix_(order, order)]) for order in permutations])

    def flipped(self, a: Any, b: Any, signs: np.ndarray) -> np.ndarray:
        right = self.prepare(b.observed)
        flips = (a.observed.with_matrix((a.basis * s) @ a.coefficients) for s in signs)
        return np.array([self.score(self.prepare(rep), right) for rep in flips])


class InverseOrders(Trace):
    def permuted(self, a: np.ndarray, b: np.ndarray, permutations: np.ndarray) -> np.ndarray:
        return super().permuted(a, b, np.argsort(permutations, axis=1))


class Transposed(Trace):
    def score_matrix(self, states: list[np.ndarray]) -> np.ndarray:
        return super().score_matrix(states)[::-1]


class WrongSide(Trace):
    def flipped(self, a: Any, b: Any, signs: np.ndarray) -> np.ndarray:
        return super().flipped(a, b, -np.roll(signs, 1, axis=1))


class GuessedMoments(Trace):
    def null_moments(self, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
        return 0.5, 0.1, 0.0


class GuessedFlips(Trace):
    def flip_moments(self, a: Any, b: Any) -> tuple[float, float, float, float, float]:
        return float(self.flipped(a, b, np.ones((1, a.basis.shape[1])))[0]), 0.5, 0.1, 0.0, 5.0


class FalselyFixed(Trace):
    observed_norm = True

    def flipped(self, a: Any, b: Any, signs: np.ndarray) -> np.ndarray:
        return super().flipped(a, b, signs) + 0.01 * (signs.min(axis=1) < 0)


@pytest.mark.parametrize(
    ("target", "caught"),
    [
        (GuessedFlips, {"flip_moments_agrees"}),
        (FalselyFixed, {"flipped_agrees"}),
        (InverseOrders, {"permuted_agrees"}),
        (Transposed, {"score_matrix_agrees"}),
        (WrongSide, {"flipped_agrees"}),
        (GuessedMoments, {"null_moments_agrees"}),
    ],
)
def test_a_fast_path_that_disagrees_is_caught_by_name(target: type, caught: set[str]) -> None:
    assert run_checks(convergence(Trace)).ok
    assert set(failed(convergence(target))) == caught


def test_exact_moments_are_held_against_every_order() -> None:
    class Enumerated(Trace):
        def null_moments(self, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
            rng = np.random.default_rng(0)
            orders = list(every_order(range(6))) if len(a) == 6 else [rng.permutation(len(a)) for _ in range(50)]
            values = self.permuted(a, b, np.array(orders))
            centred = values - values.mean()
            return float(values.mean()), float(values.std()), float((centred**3).mean() / values.std() ** 3)

    report = run_checks(convergence(Enumerated, invariant_to=SHAPE))
    detail = {result.check: result.detail for result in report.results}
    assert report.ok
    assert detail["null_moments_agrees"] == "all 720 orders of 6 rows"


def test_a_changed_input_is_caught_by_name() -> None:
    def centre_in_place(a: Representation, b: Representation) -> float:
        a.matrix[...] -= a.matrix.mean(axis=0)
        return cka(a, b)

    def spoil_the_workspace(a: Representation, b: Representation) -> float:
        value = cka(a, b)
        a.workspace.thin[0][0, 0] = 7.0
        return value

    def renumber(a: Representation, b: Representation) -> float:
        a.numbers[0] = -1
        return cka(a, b)

    assert failed(convergence(centre_in_place))["input_untouched"] == "it changed its input: matrix"
    assert "workspace.thin" in failed(convergence(spoil_the_workspace))["input_untouched"]
    assert failed(convergence(renumber))["input_untouched"] == "it changed its input: numbers"


def test_randomness_without_a_seed_is_caught_wherever_it_comes_from() -> None:
    def jitter(size: float) -> float:
        return 1e-12 * size

    def fresh(a: Representation, b: Representation) -> float:
        return min(1.0, max(0.0, cka(a, b) - jitter(np.random.default_rng().random())))

    def global_numpy(a: Representation, b: Representation) -> float:
        return min(1.0, max(0.0, cka(a, b) - jitter(np.random.rand())))  # noqa: NPY002

    def global_python(a: Representation, b: Representation) -> float:
        return min(1.0, max(0.0, cka(a, b) - jitter(random.random())))

    def reseeds(a: Representation, b: Representation) -> float:
        np.random.seed(0)  # noqa: NPY002
        return cka(a, b)

    assert "np.random.default_rng(seed)" in failed(convergence(fresh))["deterministic"]
    for target in (global_numpy, global_python, reseeds):
        assert "global random generator" in failed(convergence(target))["deterministic"]


def test_the_checks_leave_the_global_generators_as_they_were() -> None:
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    run_checks(convergence(cka))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_careless_arithmetic_is_caught_by_the_input_on_which_it_breaks() -> None:
    def uncentred_moments(a: Representation, b: Representation) -> float:
        rows = [rep.matrix.astype(np.float32) for rep in (a, b)]
        grams = []
        for x in rows:
            gram = x @ x.T
            gram = gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
            grams.append(gram.astype(np.float64))
        size = np.linalg.norm(grams[0]) * np.linalg.norm(grams[1])
        if not size > 0:
            raise Incompatible("no variance")
        return float(np.clip(np.vdot(grams[0], grams[1]) / size, 0.0, 1.0))

    def divides_by_zero(a: Representation, b: Representation) -> float:
        left, right = a.workspace.gram, b.workspace.gram
        return float(np.clip(np.vdot(left, right) / (np.linalg.norm(left) * np.linalg.norm(right)), 0.0, 1.0))

    assert "numerics[large_common_mean]" in failed(convergence(uncentred_moments))
    found = failed(convergence(divides_by_zero))
    assert set(found) == {"numerics[no_variance]"}
    assert "raise numgeom.Incompatible where there is no value" in found["numerics[no_variance]"]


def test_a_numeric_warning_and_an_unknown_caveat_are_failures() -> None:
    def warns(a: Representation, b: Representation) -> float:
        np.log(np.zeros(1))
        return cka(a, b)

    def invents(a: Representation, b: Representation) -> float:
        warnings.warn(MeasurementWarning("W-MINE", "own code"), stacklevel=2)
        return cka(a, b)

    def caveat(a: Representation, b: Representation) -> float:
        warnings.warn(MeasurementWarning("W-DUP", "known code"), stacklevel=2)
        return cka(a, b)

    assert "divide by zero" in failed(convergence(warns))["range"]
    assert "'W-MINE', which is not a known code" in failed(convergence(invents))["range"]
    assert run_checks(convergence(caveat)).ok


def test_a_metric_that_refuses_everything_is_a_failure_and_not_a_skip() -> None:
    def refuses(a: Representation, b: Representation) -> float:
        raise Incompatible("not today")

    found = failed(convergence(refuses))
    assert found["range"] == "it refused every cloud"
    assert "nothing could be checked" in found["symmetry"]


def test_a_crash_says_what_crashed() -> None:
    def crashes(a: Representation, b: Representation) -> float:
        raise KeyError("lost")

    assert failed(convergence(crashes))["range"] == "KeyError: 'lost'"


def test_widths_are_tried_unless_the_card_excludes_them() -> None:
    assert "unequal_widths" in failed(convergence(column_match, range=(-1.0, 1.0), invariant_to=frozenset()))


def test_parameters_must_be_those_of_the_target_and_plain_data() -> None:
    def takes(a: Representation, b: Representation, k: int, q: int = 3) -> float:
        return cka(a, b)

    assert "needs k, which params does not give" in failed(convergence(takes))["params"]
    assert "does not take z" in failed(convergence(takes, params={"k": 1, "z": 2}))["params"]
    assert run_checks(convergence(takes, params={"k": 1})).ok
    assert "not plain data" in failed(convergence(takes, params={"k": np.int64(1)}))["plain_params"]
    assert "cannot load" in failed(convergence("no_such_module:metric"))["target"]


# ---------------------------------------------------------------- geometry


def radius(rep: Representation) -> dict[str, float]:
    if rep.n < 2 or rep.workspace.energy == 0.0:
        raise Incompatible("no spread")
    return {"first_over_all": float(rep.workspace.spectrum[0]) / rep.workspace.energy}


def geometry(target: Any, **claims: Any) -> GeometrySpec:
    told: dict[str, Any] = {"range": (0.0, 1.0 + 1e-9), "invariant_to": SHAPE, "nulls": ("row_permutation",), **claims}
    return GeometrySpec(name="tried", summary="a metric on trial", target=target, **told)


def test_geometry_claims_are_held_to_their_names() -> None:
    def size(rep: Representation) -> float:
        return float(np.sqrt(rep.workspace.energy))

    assert run_checks(geometry(radius)).ok
    assert "invariant[scale]" in failed(geometry(size, range=(0.0, np.inf)))
    assert "moved_by[orthogonal]" in failed(geometry(radius, invariant_to=frozenset({"scale", "translation"})))
    assert "lies outside" in failed(geometry(radius, range=(0.9, 1.0)))["range"]


def test_geometry_that_loses_a_measure_or_gives_nan_is_caught() -> None:
    def sometimes(rep: Representation) -> dict[str, float]:
        climbs = float(np.linalg.norm(np.diff(rep.workspace.centred, axis=0)) / np.sqrt(rep.workspace.energy + 1e-99))
        return {**radius(rep), **({"climbs": 0.5} if climbs < 1.0 else {})}

    def not_a_number(rep: Representation) -> float:
        return float("nan")

    assert "climbs is missing" in failed(geometry(sometimes))["measures_of_null"]
    assert "gave nan" in failed(geometry(not_a_number))["range"]


def test_geometry_permuted_must_agree() -> None:
    class Slope:
        def __call__(self, rep: Representation) -> dict[str, float]:
            apart = rep.workspace.distances
            gaps = np.abs(rep.numbers[:, None] - rep.numbers[None, :])
            if not apart.any():
                raise Incompatible("no spread")
            return {"slope": float(np.vdot(apart, gaps) / (np.linalg.norm(apart) * np.linalg.norm(gaps)))}

        def permuted(self, rep: Representation, permutations: np.ndarray) -> dict[str, np.ndarray]:
            return {"slope": np.array([self(rep.with_matrix(rep.matrix[order]))["slope"] for order in permutations])}

    class Constant(Slope):
        def permuted(self, rep: Representation, permutations: np.ndarray) -> dict[str, np.ndarray]:
            return {"slope": np.full(len(permutations), self(rep)["slope"])}

    assert run_checks(geometry(Slope)).ok
    assert set(failed(geometry(Constant))) == {"permuted_agrees"}


# ---------------------------------------------------------------- nulls


def shuffled(rep: Representation, rng: np.random.Generator) -> Representation:
    return rep.with_matrix(rep.matrix[rng.permutation(rep.n)])


def null(target: Any, **claims: Any) -> NullSpec:
    return NullSpec(name="tried", summary="a null on trial", target=target, keeps="rows", destroys="order", **claims)


def test_a_null_that_only_reorders_must_say_so_and_one_that_says_so_must() -> None:
    def noise(rep: Representation, rng: np.random.Generator) -> Representation:
        return rep.with_matrix(rng.standard_normal(rep.matrix.shape))

    def by_size(rep: Representation, rng: np.random.Generator) -> Representation:
        start = int(rng.integers(1, rep.n))
        return rep.with_matrix(np.roll(rep.matrix[np.argsort(rep.matrix[:, 0])], start, axis=0))

    assert run_checks(null(shuffled, permutes_rows=True)).ok
    assert run_checks(null(noise)).ok
    assert "permutes_rows" in failed(null(noise, permutes_rows=True))
    assert set(failed(null(by_size, permutes_rows=True))) == {"order_of_numbers_only"}
    assert "declare permutes_rows=True" in failed(null(shuffled))["not_only_permutes"]


def test_a_null_draws_from_its_generator_only_and_changes_nothing() -> None:
    def own(rep: Representation, rng: np.random.Generator) -> Representation:
        return shuffled(rep, np.random.default_rng())

    def frozen(rep: Representation, rng: np.random.Generator) -> Representation:
        return shuffled(rep, np.random.default_rng(0))

    def in_place(rep: Representation, rng: np.random.Generator) -> Representation:
        rng.shuffle(rep.matrix)
        return rep.with_matrix(rep.matrix)

    def identity(rep: Representation, rng: np.random.Generator) -> Representation:
        return rep

    def fewer(rep: Representation, rng: np.random.Generator) -> Representation:
        return shuffled(rep, rng).take(np.arange(rep.n - 1))

    assert "deterministic" in failed(null(own, permutes_rows=True))
    assert "generator_used" in failed(null(frozen, permutes_rows=True))
    assert "it changed its input: matrix" in failed(null(in_place, permutes_rows=True))["input_untouched"]
    assert "nothing is destroyed" in failed(null(identity, permutes_rows=True))["destroys_something"]
    assert "changed the numbers" in failed(null(fewer))["keeps_numbers"]


# ---------------------------------------------------------------- reducers


class Axes:
    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        return np.array(X[:, : self.n_components])


class Seeded(Axes):
    def __init__(self, n_components: int = 2, random_state: int = 0) -> None:
        super().__init__(n_components)
        self.random_state = random_state

    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        return X @ np.random.default_rng(self.random_state).standard_normal((X.shape[1], self.n_components))


class IgnoresItsSeed(Seeded):
    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        return X @ np.random.default_rng().standard_normal((X.shape[1], self.n_components))


class NeverDraws(Seeded):
    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        return np.array(X[:, : self.n_components])


class CentresInPlace(Axes):
    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        X -= X.mean(axis=0)
        return super().fit_transform(X)


def reducer(target: Any, **claims: Any) -> ReducerSpec:
    return ReducerSpec(name="tried", summary="on trial", target=target, params={"n_components": 2}, **claims)


def test_reducers_are_held_to_their_seed_and_their_shape() -> None:
    assert run_checks(reducer(Axes)).ok
    assert run_checks(reducer(Seeded, deterministic=False)).ok
    assert set(failed(reducer(Seeded))) == {"deterministic"}
    assert "seed_respected" in failed(reducer(IgnoresItsSeed, deterministic=False))
    assert "no random_state to set" in failed(reducer(Axes, deterministic=False))["has_seed"]
    assert "declare deterministic=True" in failed(reducer(NeverDraws, deterministic=False))["has_seed"]
    assert set(failed(reducer(CentresInPlace))) == {"input_untouched"}
    assert "n_components=9" in failed(replace(reducer(Axes), params={"n_components": 9}))["shape"]


# ---------------------------------------------------------------- probes


def probe(target: Any) -> ProbeSpec:
    return ProbeSpec(name="tried", summary="a probe on trial", target=target)


def test_probes_give_plain_data_about_the_tokenizer() -> None:
    def mean(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
        counts = [len(tokenizer.encode_number(number)) for number in numbers]
        return {"mean": sum(counts) / len(counts), "counts": counts}

    def arrays(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
        return {"counts": np.array(mean(tokenizer, numbers)["counts"])}

    def blind(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
        return {"size": len(numbers)}

    def renames(tokenizer: Tokenizer, numbers: NumberSet) -> dict[str, Any]:
        tokenizer.name = "mine"
        return mean(tokenizer, numbers)

    assert run_checks(probe(mean)).ok
    assert "plain_data[bare]" in failed(probe(arrays))
    assert set(failed(probe(blind))) == {"tells_tokenizers_apart"}
    assert set(failed(probe(renames))) == {"input_untouched"}
    assert "gives a mapping" in failed(probe(lambda tokenizer, numbers: 3))["plain_data[one]"]


def test_the_fake_tokenizer_is_a_tokenizer_with_known_answers() -> None:
    plain, dummy = FakeTokenizer(range(100)), FakeTokenizer(range(100), dummy_prefix=True)
    assert isinstance(plain, Tokenizer)
    assert [len(plain.encode_number(n)) for n in (9, 99, 100, 123456)] == [1, 1, 2, 3]
    assert len(plain.encode_number(99, " {n}")) == len(plain.encode_number(99, "x = {n}")) == 1
    assert dummy.encode("7") == (1, *dummy.encode_number(7))
    assert "".join(plain.token_text(token) for token in plain.encode("a -42\u20ac")) == "a -42<unk>"
    assert {plain.token_text(token) for token in plain.special_ids} == {"<unk>", ""}


# ---------------------------------------------------------------- sources


def source(target: Any, **claims: Any) -> SourceSpec:
    return SourceSpec(name="tried", summary="a source on trial", target=target, **{"reads": ("vectors",), **claims})


def test_sources_are_held_to_their_signature_their_readings_and_their_errors() -> None:
    def anything(model: ModelSpec, numbers: NumberSet, *, read: str, **rest: Any) -> Representation:
        return gaussian(len(numbers))

    def crashes(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
        raise FileNotFoundError(model.id)

    def without_reading(model: ModelSpec, numbers: NumberSet) -> Representation:
        raise SourceError("nothing there.")

    known = ModelSpec(name="c", source="known", id="circle")
    assert run_checks(FAKE_SOURCE, model=known).ok
    found = failed(source(anything))
    assert "**kwargs" in found["params"]
    assert "was not refused" in found["missing_model"]
    assert "FileNotFoundError" in failed(source(crashes))["missing_model"]
    assert "does not take read" in failed(source(without_reading))["params"]
    assert "{} stands for the end" in failed(replace(FAKE_SOURCE, reads=("vectors", "{}:layer")))["readings"]


def test_what_a_source_reads_of_a_model_is_checked() -> None:
    def too_many(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
        if model.id != "there":
            raise SourceError(f"{model.id} is not there.")
        return gaussian(40)

    def other_rows(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
        rep = gaussian(len(numbers), seed=int(np.random.default_rng().integers(1 << 30)))
        return replace(rep, numbers=numbers.array)

    model = ModelSpec(name="m", source="tried", id="there")
    assert "not asked for" in failed(source(too_many), model=model)["reads[vectors]"]
    assert "two readings" in failed(source(other_rows), model=model)["deterministic"]
    found = failed(source(too_many, reads=("vectors", "hidden:{}"), fingerprint=lambda model: ""), model=model)
    assert "'hidden:no_such' was not refused" in found["unknown_reading"]
    assert "is a text that is not empty" in found["fingerprint"]
    with pytest.raises(NumgeomError, match="only sources read models"):
        run_checks(convergence(cka), model=model)


# ---------------------------------------------------------------- renderers and number sets


def renderer(target: Any, **claims: Any) -> RendererSpec:
    return RendererSpec(name="tried", summary="on trial", target=target, **{"suffix": ".html", **claims})


def test_renderers_write_one_file_escape_markup_and_leave_the_table_alone() -> None:
    def escaped(table: Any, path: Path) -> None:
        path.write_text(table.frame.to_html(), encoding="utf-8")

    def raw(table: Any, path: Path) -> None:
        path.write_text(table.frame.to_html(escape=False), encoding="utf-8")

    def spoils(table: Any, path: Path) -> None:
        table.frame["more"] = 1
        escaped(table, path)

    def elsewhere(table: Any, path: Path) -> None:
        path.with_suffix(".txt").write_text("here")

    def counts(table: Any, path: Path, seen: list[int] = []) -> None:  # noqa: B006
        seen.append(1)
        path.write_text(str(len(seen)))

    assert run_checks(renderer(escaped)).ok
    assert {name for name in failed(renderer(raw)) if "[" in name} >= {"escapes[convergence]", "escapes[long]"}
    assert set(failed(renderer(spoils, tables=frozenset({"long"})))) == {"input_untouched[long]"}
    assert "wrote no file" in failed(renderer(elsewhere, tables=frozenset({"long"})))["writes[long]"]
    assert "two different files" in failed(renderer(counts, tables=frozenset({"long"})))["writes[long]"]
    assert "begins with its dot" in failed(renderer(escaped, suffix="html"))["suffix"]
    assert "no tables of kind 'pie'" in failed(renderer(escaped, tables=frozenset({"pie"})))["writes[pie]"]


def test_the_sample_tables_are_new_with_every_call() -> None:
    first = sample_tables()
    del first["long"].frame["value"]
    assert "value" in sample_tables()["long"].frame
    assert all(isinstance(table.frame, pd.DataFrame) and len(table.frame) for table in sample_tables().values())


def test_a_number_set_must_parse() -> None:
    assert run_checks(NumberSetSpec(name="tens", summary="tens", target="0..90:10")).ok
    assert "not understood" in failed(NumberSetSpec(name="tens", summary="tens", target="ten"))["parses"]


# ---------------------------------------------------------------- clouds


def test_known_clouds_have_their_known_answers() -> None:
    assert line(30, 5, noise=0.0).workspace.thin[1].size == 1
    assert circle(30, 5, noise=0.0).workspace.thin[1].size == 2
    apart = circle(20, 4, noise=0.0).workspace.distances
    assert apart[0, 10] == pytest.approx(0.0, abs=1e-9)
    assert apart[0, 5] == pytest.approx(2.0)
    a, b = gaussian(400, 5, seed=0), gaussian(400, 5, seed=1)
    assert cka(a, b) < 0.05
    assert cka(a, rotated(a)) == pytest.approx(1.0)
    assert cka(a, noisy(a, 0.1)) > 0.9
    both = joined(a, b)
    assert cka(a, both) == pytest.approx(cka(b, both), abs=0.05)


def test_a_noisy_copy_can_keep_the_size_of_its_cloud() -> None:
    rep = gaussian()
    assert noisy(rep, 2.0).workspace.energy > 2 * rep.workspace.energy
    assert noisy(rep, 2.0, keep_size=True).workspace.energy == pytest.approx(rep.workspace.energy)


@pytest.mark.parametrize("name", sorted(INVARIANCES))
def test_a_transformation_changes_rows_and_only_what_it_should(name: str) -> None:
    rep = circle(30, 5, noise=0.2)
    moved = transformed(rep, name)
    apart, after = rep.workspace.distances, moved.workspace.distances
    assert not np.allclose(rep.matrix, moved.matrix)
    assert np.allclose(apart, after) == (name in ("orthogonal", "permutation", "translation"))
    assert np.allclose(apart * after.max(), after * apart.max()) == (name != "linear")
    assert np.linalg.matrix_rank(moved.matrix) == 5
    with pytest.raises(UnknownName, match="transformation"):
        transformed(rep, "shear")


def test_awkward_clouds_are_awkward_in_what_they_say() -> None:
    found = awkward(40, 6)
    assert found["large_common_mean"].matrix.dtype == np.float32
    assert found["large_common_mean"].workspace.mean_share > 0.999
    assert found["tiny"].matrix.max() < 1e-25 < 1e25 < found["huge"].matrix.max()
    assert found["fewer_rows_than_columns"].d > 40 > found["more_rows_than_columns"].d
    assert found["rank_deficient"].workspace.thin[1].size == 2
    assert found["duplicate_rows"].workspace.duplicate_rows == 10
    assert not found["number_gaps"].is_contiguous
    assert found["no_variance"].workspace.energy == 0.0
    assert 0.0 < found["no_variance_but_rounding"].workspace.energy < 1e-25


# ---------------------------------------------------------------- the runner


def test_zero_checks_are_a_failure() -> None:
    spec = convergence(cka)
    report = run_all(spec, [], {})
    assert not report.ok
    assert (
        report.summary
        == "0 checks: nothing was checked, which is a failure; without any check: convergence metric tried"
    )
    assert not Report().ok
    with pytest.raises(NumgeomError, match="nothing would be tested"):
        parametrize_with_checks([])


def test_an_expected_failure_needs_a_reason_and_must_fail() -> None:
    spec = convergence(column_match, range=(-1.0, 1.0), equal_dims=True)
    reasons = {"invariant[orthogonal]": "columns are named", "invariant[permutation]": "columns are named"}
    report = run_checks(spec, reasons)
    assert report.ok
    assert (report.count("xfailed"), report.count("failed")) == (2, 0)
    assert "columns are named (it declares invariance to orthogonal" in report.text
    report = run_checks(spec, {**reasons, "symmetry": "thought so"})
    assert [(bad.check, bad.status) for bad in report.failures] == [("symmetry", "failed")]
    assert "passed although a failure was expected (thought so)" in report.failures[0].detail
    with pytest.raises(NumgeomError, match="needs a reason in words"):
        run_checks(spec, {"symmetry": " "})
    with pytest.raises(NumgeomError, match="has no such check; it has target"):
        run_checks(spec, {"rotation": "no"})


def test_a_missing_package_is_an_error_with_its_pip_line() -> None:
    with pytest.raises(PluginError, match="pip install no_such_package"):
        run_checks(convergence(cka, requires=("no_such_package",)))


@parametrize_with_checks(
    [convergence(cka), replace(convergence(column_match, range=(-1.0, 1.0), equal_dims=True), name="columns")],
    {"columns": dict.fromkeys(("invariant[orthogonal]", "invariant[permutation]"), "columns are named")},
)
def test_the_decorator_gives_one_test_a_check(check: Check) -> None:
    check()


def test_a_false_claim_fails_under_its_name_in_an_authors_own_pytest_run(tmp_path: Path) -> None:
    _plugin(tmp_path, '{"scale", "translation", "orthogonal"}')
    (tmp_path / "test_columns.py").write_text(
        "import columns\n"
        "from numgeom.testing import parametrize_with_checks\n"
        "@parametrize_with_checks(columns.numgeom_convergence_metrics())\n"
        "def test_conformance(check):\n"
        "    check()\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-n", "0"]
    done = subprocess.run([*command, "test_columns.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    bad = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert bad == [
        "FAILED test_columns.py::test_conformance[columns-invariant[orthogonal]]",
        "FAILED test_columns.py::test_conformance[columns-invariant[permutation]]",
    ]


def test_the_kit_is_light_to_import() -> None:
    heavy = "{'pandas', 'scipy', 'sklearn', 'torch', 'matplotlib', 'pytest', 'numgeom_plugins'}"
    program = f"import sys, numgeom.testing; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_decorator_marks_and_names_its_cases() -> None:
    spec = convergence(cka)
    cases = parametrize_with_checks([spec], {"tried": {"range": "why not"}}).args[1]
    assert [case.id for case in cases] == [check.id for check in checks(spec)]
    marked = {case.id: case.marks for case in cases if case.marks}
    assert list(marked) == ["tried-range"]
    assert marked["tried-range"][0].kwargs == {"reason": "why not", "strict": True, "raises": CheckFailed}
    with pytest.raises(UnknownName, match="card of expected failures"):
        parametrize_with_checks([spec], {"trid": {"range": "why not"}})


# ---------------------------------------------------------------- the command line

PLUGIN = """
import numpy as np
from numgeom import ConvergenceSpec, Incompatible, hookimpl

def columns(a, b):
    x, y = a.workspace.centred, b.workspace.centred
    if x.shape != y.shape or not x.any() or not y.any():
        raise Incompatible("it needs two clouds of one width")
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(np.clip(np.vdot(x, y), -1, 1))

@hookimpl
def numgeom_convergence_metrics():
    return [ConvergenceSpec(name="columns", summary="columns", target=columns, range=(-1, 1), equal_dims=True,
                            invariant_to=frozenset(CLAIM))]
"""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        out = capsys.readouterr()
        return int(stop.value.code or 0), out.out, out.err

    before = set(sys.modules)
    yield run
    for name in set(sys.modules) - before:
        if name.startswith("numgeom_dropin_"):
            del sys.modules[name]


def _plugin(folder: Path, claim: str) -> Path:
    path = folder / "columns.py"
    path.write_text(PLUGIN.replace("CLAIM", claim), encoding="utf-8")
    (folder / "broken.py").write_text("raise RuntimeError('not asked for')", encoding="utf-8")
    return path


def test_check_passes_a_true_file_whatever_lies_beside_it(command: Any, tmp_path: Path) -> None:
    code, out, err = command("check", str(_plugin(tmp_path, '{"scale", "translation"}')))
    assert code == 0
    assert "invariant[scale]" in out
    assert ": 0 failed" not in err
    assert "passed, 0 failed, 0 xfailed" in err


def test_check_names_the_false_claim_of_a_file_and_leaves_with_2(command: Any, tmp_path: Path) -> None:
    code, out, err = command("check", str(_plugin(tmp_path, '{"scale", "translation", "orthogonal"}')), "--json")
    assert code == 2
    found = json.loads(out)
    assert found["ok"] is False
    assert found["failed"] == 2
    assert found["passed"] == len(found["checks"]) - 2
    bad = [check for check in found["checks"] if check["status"] == "failed"]
    assert [(check["check"], check["claim"]) for check in bad] == [
        ("invariant[orthogonal]", "invariant_to: orthogonal"),
        ("invariant[permutation]", "invariant_to: permutation"),
    ]
    assert "failed: convergence metric columns, invariant[orthogonal] (from invariant_to: orthogonal)" in err


def test_check_takes_a_name_and_a_plugins_folder(command: Any, tmp_path: Path) -> None:
    _plugin(tmp_path, '{"scale", "translation"}')
    assert command("check", "columns", "--plugins-dir", str(tmp_path))[0] == 0
    code, out, _ = command("check", "row_permutation", "--json")
    assert code == 0
    assert {check["kind"] for check in json.loads(out)["checks"]} == {"null"}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("row_permutatoin", "unknown plugin 'row_permutatoin'; did you mean 'row_permutation'?"),
        ("nowhere.py", "plugin file 'nowhere.py' does not exist"),
        ("broken.py", "broken.py does not load: RuntimeError: not asked for To mend: mend broken.py"),
        ("_hidden.py", "begins with an underscore"),
        ("empty.py", "it announces nothing"),
    ],
)
def test_check_says_what_is_wrong_in_one_line(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    _plugin(tmp_path, "{}")
    (tmp_path / "_hidden.py").write_text("", encoding="utf-8")
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code, _, err = command("check", what)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_a_name_of_several_kinds_is_checked_in_all_of_them() -> None:
    from numgeom.catalog import Catalog
    from numgeom.plugins import LoadReport, Provided

    cards: list[Spec] = [convergence(cka), geometry(radius), null(shuffled, permutes_rows=True)]
    catalog = Catalog(LoadReport(provided=[Provided(card, "test", "0") for card in cards]))
    assert [card.kind for card in select("tried", catalog)] == ["convergence metric", "geometry metric", "null"]
    assert len(select("all", catalog)) == 3
