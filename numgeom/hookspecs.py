"""The hooks. Each takes nothing and returns an iterable of cards; selection is always by name."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from numgeom.specs import (
    ConvergenceSpec,
    GeometrySpec,
    NullSpec,
    NumberSetSpec,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    SourceSpec,
)

PROJECT = "numgeom"
HOOK_API = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def numgeom_probes() -> Iterable[ProbeSpec]:  # type: ignore[empty-body]
    """Tokenizer probes: tables about how a tokenizer writes numbers; no weights are read."""


@hookspec
def numgeom_sources() -> Iterable[SourceSpec]:  # type: ignore[empty-body]
    """Embedding sources: where the rows of a number set come from."""


@hookspec
def numgeom_reducers() -> Iterable[ReducerSpec]:  # type: ignore[empty-body]
    """Dimension reducers: scikit-learn transformer classes."""


@hookspec
def numgeom_geometry_metrics() -> Iterable[GeometrySpec]:  # type: ignore[empty-body]
    """Metrics of one representation, or of one reduction."""


@hookspec
def numgeom_convergence_metrics() -> Iterable[ConvergenceSpec]:  # type: ignore[empty-body]
    """Metrics of two representations with aligned rows."""


@hookspec
def numgeom_nulls() -> Iterable[NullSpec]:  # type: ignore[empty-body]
    """Nulls: what a score is held against."""


@hookspec
def numgeom_renderers() -> Iterable[RendererSpec]:  # type: ignore[empty-body]
    """Renderers: ways to write a table to a file."""


@hookspec
def numgeom_number_sets() -> Iterable[NumberSetSpec]:  # type: ignore[empty-body]
    """Named number sets."""
