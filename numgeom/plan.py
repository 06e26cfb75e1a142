"""From a suite to cells: which measurements an experiment consists of. No row is read for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

from numgeom.catalog import Catalog, Choice, S, reading_order
from numgeom.columns import file_digest
from numgeom.errors import NumgeomError, RegistryError, UnknownName
from numgeom.numbers import NumberSet
from numgeom.preprocess import check_steps
from numgeom.registry import Registry, SuiteEntry
from numgeom.specs import (
    ConvergenceSpec,
    GeometrySpec,
    ModelSpec,
    NullSpec,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    Spec,
)

RAW = "none"
TOKENIZER = "tokenizer"


@dataclass(frozen=True, slots=True)
class RepresentationId:
    """What identifies a representation: (model, revision, source, numbers).

    Attributes
    ----------
    model : ModelSpec
    source : str
        What is read of the model: ``input``, ``output``, ``rows``, ... or ``tokenizer`` for probes.
    numbers : NumberSet
        As asked for; the model may have fewer.
    """

    model: ModelSpec
    source: str
    numbers: NumberSet
    layered: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Name, source and number set: unique within a study."""
        return (self.model.name, self.source, self.numbers.spec)


@dataclass(frozen=True, slots=True)
class Cell:
    """One planned measurement: the unit of caching, of failure and of distribution.

    Attributes
    ----------
    kind : str
        ``probe``, ``geometry``, ``reduction`` or ``convergence``.
    metric : Choice
    a, b : RepresentationId
        ``b`` is None unless the cell compares.
    reducer : Choice or None
        The reduction that is judged, or the space in which two models are compared.
    null : Choice or None
    """

    kind: str
    metric: Choice[Any]
    a: RepresentationId
    b: RepresentationId | None = None
    reducer: Choice[ReducerSpec] | None = None
    null: Choice[NullSpec] | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A suite with every name resolved.

    Attributes
    ----------
    name : str
    models : tuple of ModelSpec
    unknown : dict of str to str
        What is wrong with models that are named but not known: their cells become error rows, the others go on.
    numbers : tuple of NumberSet
    sources : tuple of str
    probes, reducers, geometry, convergence, nulls, render : tuple of Choice
    controls : tuple of Choice
        Nulls of geometry metrics and reductions, where they are not those that each card names.
    spaces : tuple of Choice or None
        Where convergence is measured; None stands for the rows themselves.
    preprocess : tuple of str
    draws, seed : int
    """

    name: str
    models: tuple[ModelSpec, ...]
    unknown: dict[str, str]
    numbers: tuple[NumberSet, ...]
    sources: tuple[str, ...]
    probes: tuple[Choice[ProbeSpec], ...]
    reducers: tuple[Choice[ReducerSpec], ...]
    geometry: tuple[Choice[GeometrySpec], ...]
    fidelity: tuple[Choice[GeometrySpec], ...]
    convergence: tuple[Choice[ConvergenceSpec], ...]
    spaces: tuple[Choice[ReducerSpec] | None, ...]
    nulls: tuple[Choice[NullSpec], ...]
    controls: tuple[Choice[NullSpec], ...]
    render: tuple[Choice[RendererSpec], ...]
    preprocess: tuple[str, ...]
    draws: int
    seed: int


def resolve(name: str, suite: SuiteEntry, registry: Registry, catalog: Catalog) -> Experiment:
    """Look up every name of a suite.

    Raises
    ------
    UnknownName, RegistryError, NumberSetError
        On the first name that nothing provides, or two models of one name.
    """
    steps = tuple(step for step in suite.preprocess if step != RAW)
    check_steps(steps)
    models, unknown = _models(suite, registry, catalog)
    seen: dict[str, ModelSpec] = {}
    for model in models:
        if model.name in seen:
            other = seen[model.name]
            raise RegistryError(
                f"two models are called {model.name!r} ({other.source}:{other.id} and {model.source}:{model.id}); "
                "name them with NAME=SPEC."
            )
        seen[model.name] = model
    if not models:
        raise RegistryError("no model is named; give at least one, see numgeom list models.")
    if suite.convergence and len(models) == 1 and len(_readings(models[0], suite.sources, catalog, strict=True)) < 2:
        raise RegistryError(
            "a comparison needs at least two models, or two readings of one (--source input,output, or --source hidden "
            "--layers all); name another, see numgeom list models."
        )
    reducers = [catalog.reducers.choose(text) for text in suite.reducers if text != RAW]
    judged = [c for c in map(catalog.geometry.choose, catalog.geometry.names) if c.spec.of_reduction]
    geometry = [catalog.geometry.choose(text) for text in suite.geometry]
    for choice in geometry:
        if choice.spec.of_reduction:
            raise RegistryError(f"geometry metric {choice.spec.name!r} judges reductions; name a reducer instead.")
    nulls = [catalog.nulls.choose(text) for text in suite.nulls if text != RAW]
    return Experiment(
        name=name,
        models=models,
        unknown=unknown,
        numbers=tuple({held.spec: held for held in (_numbers(text, catalog) for text in suite.numbers)}.values()),
        sources=tuple(suite.sources),
        probes=_distinct(map(catalog.probes.choose, suite.probes)),
        reducers=_distinct(reducers),
        geometry=_distinct(geometry),
        fidelity=tuple(judged),
        convergence=_distinct(map(catalog.convergence.choose, suite.convergence)),
        spaces=tuple(None if text == RAW else catalog.reducers.choose(text) for text in dict.fromkeys(suite.spaces)),
        nulls=_distinct(nulls if suite.nulls else catalog.nulls.defaults()),
        controls=_distinct(catalog.nulls.choose(text) for text in suite.controls),
        render=_distinct(map(catalog.renderers.choose, suite.render)),
        preprocess=steps,
        draws=suite.draws,
        seed=suite.seed,
    )


def plan(experiment: Experiment, catalog: Catalog) -> list[Cell]:
    """Every cell of an experiment, in a fixed order.

    Symmetric convergence metrics score each pair once, with the smaller name first. Where there are several
    models, their layers are paired across models only; a single model's layers are paired with one another.
    """
    cells: list[Cell] = []
    for numbers in experiment.numbers:
        for model in experiment.models:
            tokens = RepresentationId(model, TOKENIZER, numbers)
            cells.extend(Cell("probe", probe, tokens) for probe in experiment.probes)
        ids = representation_ids(experiment, numbers, catalog)
        for one in ids:
            for metric in experiment.geometry:
                nulls = controls(metric.spec, experiment, catalog)
                cells.extend(Cell("geometry", metric, one, null=null) for null in nulls)
            for reducer in experiment.reducers:
                for metric in experiment.fidelity:
                    cells.extend(
                        Cell("reduction", metric, one, reducer=reducer, null=null)
                        for null in controls(reducer.spec, experiment, catalog)
                    )
        for compared in experiment.convergence:
            for space in experiment.spaces:
                for a, b in _pairs(ids, compared.spec.symmetric):
                    cells.extend(
                        Cell("convergence", compared, a, b, space, null) for null in experiment.nulls or (None,)
                    )
    return cells


def representation_ids(experiment: Experiment, numbers: NumberSet, catalog: Catalog) -> list[RepresentationId]:
    """The representations that an experiment compares on one number set, by name and source, layers in order."""
    needed = experiment.geometry or experiment.reducers or experiment.convergence
    if not needed:
        return []
    ids = [
        RepresentationId(model, source, numbers, layered)
        for model in experiment.models
        for source, layered in _readings(model, experiment.sources, catalog).items()
    ]
    return sorted(ids, key=lambda one: (one.model.name, reading_order(one.source)))


def controls(
    spec: GeometrySpec | ReducerSpec, experiment: Experiment, catalog: Catalog
) -> Sequence[Choice[NullSpec] | None]:
    """The controls of the experiment, or those that a card names for itself; a single None where there are none."""
    return experiment.controls or [catalog.nulls.choose(name) for name in spec.nulls] or [None]


def describe(experiment: Experiment) -> dict[str, Any]:
    """The experiment as plain data, for the manifest."""

    def labels(choices: Sequence[Choice[Any] | None]) -> list[str]:
        return [choice.label if choice else RAW for choice in choices]

    return {
        "name": experiment.name,
        "models": [f"{model.name}={model.source}:{model.id}" for model in experiment.models],
        "numbers": [numbers.spec for numbers in experiment.numbers],
        "sources": list(experiment.sources),
        "probes": labels(experiment.probes),
        "reducers": labels(experiment.reducers),
        "geometry": labels(experiment.geometry),
        "convergence": labels(experiment.convergence),
        "spaces": labels(experiment.spaces),
        "nulls": labels(experiment.nulls),
        "controls": labels(experiment.controls),
        "preprocess": list(experiment.preprocess),
        "draws": experiment.draws,
        "seed": experiment.seed,
    }


def _models(suite: SuiteEntry, registry: Registry, catalog: Catalog) -> tuple[tuple[ModelSpec, ...], dict[str, str]]:
    """The models of a suite, and what is wrong with those that are not known.

    Raises
    ------
    UnknownName, RegistryError
        If too few are left to measure anything.
    """
    models: list[ModelSpec] = []
    problems: dict[str, NumgeomError] = {}
    for text in suite.models:
        try:
            models.append(registry.model(text, catalog))
        except NumgeomError as error:
            models.append(ModelSpec(name=text, source="unknown", id=text))
            problems[text] = error
    if problems and len(models) - len(problems) < (2 if suite.convergence else 1):
        raise next(iter(problems.values()))
    return tuple(models), {name: str(error) for name, error in problems.items()}


def _distinct(choices: Iterable[Choice[S]]) -> tuple[Choice[S], ...]:
    """What is named twice is measured once."""
    return tuple({choice.label: choice for choice in choices}.values())


def _readings(model: ModelSpec, sources: Sequence[str], catalog: Catalog, *, strict: bool = False) -> dict[str, bool]:
    """The full names of all readings, and whether each is a layer.

    One that the model cannot give keeps its name and fails when it is loaded, unless ``strict``.
    """
    found: dict[str, bool] = {}
    for source in sources:
        try:
            found.update((one.name, bool(one.head)) for one in catalog.readings(model, source))
        except NumgeomError:
            if strict:
                raise
            found[source] = False
    return found


def _numbers(text: str, catalog: Catalog) -> NumberSet:
    """A number set by its own text, or by a name that a plugin provides."""
    name, at, form = text.partition("@")
    if name in catalog.number_sets:
        return NumberSet.parse(catalog.number_sets.get(name).load() + at + form)
    if name and name[0].isalpha():
        raise UnknownName("number set", name, catalog.number_sets.names, "Or write one: 0..999, 0..100:10, 1,2,5..9")
    return NumberSet.parse(text)


def _pairs(ids: Sequence[RepresentationId], symmetric: bool) -> Iterator[tuple[RepresentationId, RepresentationId]]:
    alone = len({one.model.name for one in ids}) == 1
    for a, b in combinations(ids, 2) if symmetric else permutations(ids, 2):
        if alone or a.model.name != b.model.name or not (a.layered or b.layered):
            yield a, b


def spec_identity(choice: Choice[Any] | None) -> dict[str, Any] | None:
    """What a cache key must hold of a chosen card: the content of files that its parameters name, too."""
    if choice is None:
        return None
    spec: Spec = choice.spec
    return {
        "name": spec.name,
        "version": spec.version,
        "params": dict(choice.params),
        "files": named_files(spec.with_params(choice.params)),
        "plugin": choice.plugin,
        "plugin_version": choice.plugin_version,
    }


def named_files(params: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the files that parameters name, by parameter: an edited file is another measurement.

    Examples
    --------
    >>> named_files({"labels": "digit_length", "q": 20})
    {}
    """
    return {name: content for name, value in params.items() if (content := file_digest(value))}


def chain_identity(chain: Sequence[str]) -> list[list[str]]:
    """What a cache key must hold of a preprocessing chain: its steps, each with the digest of its file.

    Examples
    --------
    >>> chain_identity(["center", "residual:length"])
    [['center', ''], ['residual:length', '']]
    """
    return [[step, file_digest(step.partition("=")[2])] for step in chain]
