"""From a card to what does the work: the protocols that the engine asks for, and plain functions in their form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from numgeom.representation import Representation
from numgeom.specs import ConvergenceSpec, GeometrySpec, NullSpec


@runtime_checkable
class NullView(Protocol):
    """One projection under which a null compares."""

    @property
    def name(self) -> str:
        """Which projection; empty where there is only one."""

    @property
    def observed(self) -> Representation:
        """What is scored instead of the representation."""

    def draw(self, rng: np.random.Generator) -> Representation:
        """One surrogate of ``observed``."""


class ConvergenceMetric(Protocol):
    """What the engine asks of every convergence metric; plain functions are wrapped into it."""

    def prepare(self, rep: Representation) -> Any:
        """What is needed of one model, once."""

    def score(self, state_a: Any, state_b: Any) -> float:
        """The score of a pair."""


class FunctionMetric:
    """A plain function of two representations, in the form that the engine asks for."""

    def __init__(self, function: Any, params: Mapping[str, Any]) -> None:
        self._function = function
        self._params = dict(params)

    def prepare(self, rep: Representation) -> Representation:
        """The representation itself."""
        return rep

    def score(self, state_a: Representation, state_b: Representation) -> float:
        """The function's value."""
        return float(self._function(state_a, state_b, **self._params))


@dataclass(frozen=True, slots=True)
class DrawnView:
    """The one view of a null that is a plain function: what is compared is the representation itself."""

    name: str
    observed: Representation
    function: Any
    params: Mapping[str, Any]

    def draw(self, rng: np.random.Generator) -> Representation:
        """One surrogate."""
        drawn: Representation = self.function(self.observed, rng, **self.params)
        return drawn


def make_metric(spec: ConvergenceSpec, params: Mapping[str, Any]) -> ConvergenceMetric:
    """The metric of ``spec`` with these parameters, ready for use."""
    target, full = spec.load(), spec.with_params(params)
    if isinstance(target, type):
        metric: ConvergenceMetric = target(**full)
        return metric
    return FunctionMetric(target, full)


def make_geometry(spec: GeometrySpec, params: Mapping[str, Any]) -> Callable[[Representation], Any]:
    """The geometry metric of ``spec`` as a function of one representation."""
    target, full = spec.load(), spec.with_params(params)
    function: Callable[[Representation], Any] = target(**full) if isinstance(target, type) else partial(target, **full)
    return function


def null_views(spec: NullSpec, params: Mapping[str, Any], rep: Representation) -> Sequence[NullView]:
    """The views under which ``spec`` compares ``rep``."""
    target, full = spec.load(), spec.with_params(params)
    if isinstance(target, type):
        views: Sequence[NullView] = target(**full).views(rep)
        return views
    return [DrawnView("", rep, target, full)]


def same_basis(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> bool:
    """Whether two bases of modes are the same; slices of one array with one shape are taken to be.

    Examples
    --------
    >>> whole = np.eye(3)
    >>> same_basis(whole[:, 1:], whole[:, 1:]), same_basis(whole, 2.0 * whole)
    (True, False)
    """
    return a is b or (a.shape == b.shape and ((a.base is not None and a.base is b.base) or np.array_equal(a, b)))


def draw_permutations(
    spec: NullSpec,
    params: Mapping[str, Any],
    numbers: npt.NDArray[np.int64],
    generators: Iterable[np.random.Generator],
) -> npt.NDArray[np.int64]:
    """The row orders that a ``permutes_rows`` null draws, ``(draws, n)``; they depend on the numbers only.

    The null is applied to the identity: a representation whose only column is the row index.
    """
    index = Representation(np.arange(len(numbers), dtype=np.float64)[:, None], numbers)
    view = null_views(spec, params, index)[0]
    return np.stack([view.draw(rng).matrix[:, 0] for rng in generators]).astype(np.int64)
