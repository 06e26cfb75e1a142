"""The Python face: whole studies, single models, and scores of plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numgeom.catalog import Catalog, Choice, Names, as_names
from numgeom.engine import Engine, Progress
from numgeom.errors import RegistryError
from numgeom.loading import Loader
from numgeom.plan import RAW, Experiment, RepresentationId, resolve
from numgeom.registry import Registry, SuiteEntry, load_registry, make_suite, open_catalog
from numgeom.representation import Representation
from numgeom.results import Study
from numgeom.specs import NullSpec
from numgeom.store import Store, default_root

Layers = str | int | Sequence[int]


@dataclass(frozen=True, slots=True)
class Session:
    """A registry, the plugins that it names, and an engine: what every study needs.

    Parameters
    ----------
    registry : Registry
    catalog : Catalog
    engine : Engine
    """

    registry: Registry
    catalog: Catalog
    engine: Engine

    @classmethod
    def open(
        cls,
        *,
        registry: Path | str | None = None,
        plugins_dirs: Sequence[Path | str] = (),
        cache: bool = True,
        jobs: int = 1,
        backend: str = "loky",
        progress: Progress | None = None,
    ) -> Session:
        """Load registry and plugins.

        Parameters
        ----------
        registry : path, optional
            The user's registry.toml; otherwise the nearest upward.
        plugins_dirs : sequence of path
            Folders of drop-in plugin files.
        cache : bool
            Whether to keep and reuse finished cells (in ``NUMGEOM_CACHE`` or the user's cache folder).
        jobs, backend, progress
            As for :class:`numgeom.engine.Engine`.
        """
        known = load_registry(Path(registry) if registry is not None else None)
        catalog = open_catalog(known, [Path(folder).resolve() for folder in plugins_dirs])
        store = Store(default_root() if cache else None)
        return cls(known, catalog, Engine(catalog, store, jobs=jobs, backend=backend, progress=progress))

    def experiment(self, name: str, suite: SuiteEntry) -> Experiment:
        """A suite with every name resolved."""
        return resolve(name, suite, self.registry, self.catalog)

    def run(self, experiment: Experiment, command: Sequence[str] = ()) -> Study:
        """Run an experiment."""
        registry = {"files": [str(file) for file in self.registry.files], "digest": self.registry.digest}
        return self.engine.run(experiment, command=command, registry=registry)

    def sources(self, sources: Names, layers: Layers | None) -> list[str]:
        """What to read, with the layers of those that have some: ``hidden`` and ``"all"`` make ``hidden:all``.

        Raises
        ------
        RegistryError
            If the layers are not understood, or no source has layers.
        """
        named = as_names(sources) or []
        if layers is None:
            return named
        text = layers if isinstance(layers, str) else ",".join(str(layer) for layer in _integers(layers))
        return self.catalog.with_layers(named, text)

    def compare_suite(self, models: Names, **options: Any) -> SuiteEntry:
        """The suite behind ``compare``: the default metrics and nulls unless others are named."""
        metrics = options.pop("metrics", None) or [choice.label for choice in self.catalog.convergence.defaults()]
        reducers = options.pop("reducers", None) or [RAW]
        if options.pop("layered", False) and not options.get("nulls"):
            # The best of many layers is held against the best of every draw, so there must be draws.
            options["nulls"] = [self._that_draws(choice) for choice in self.catalog.nulls.defaults()]
        return make_suite(
            models=list(models),
            convergence=metrics,
            spaces=reducers,
            reducers=[name for name in reducers if name != RAW],
            **{key: value for key, value in options.items() if value is not None},
        )

    def _that_draws(self, choice: Choice[NullSpec]) -> str:
        """Of row orders that metrics may know in closed form, the card of the same null that draws."""
        twins = [one.spec.name for one in self.catalog.nulls if one.spec.target == choice.spec.target]
        drawn = [name for name in twins if not self.catalog.nulls.get(name).uniform]
        return drawn[0] if choice.spec.uniform and choice.spec.permutes_rows and drawn else choice.label


def compare(
    models: Names,
    *,
    metrics: Names | None = None,
    numbers: Names = "0..999",
    sources: Names = "default",
    layers: Layers | None = None,
    reducers: Names = RAW,
    nulls: Names | None = None,
    preprocess: Names = (),
    draws: int = 200,
    seed: int = 0,
    **session: Any,
) -> Study:
    """Score every pair of models with every metric, beside every null.

    Parameters
    ----------
    models : sequence of str
        Registry names or direct specs: ``"demo:llama_a"``, ``"./folder"``, ``"rows:mine.npz"``, ``"NAME=SPEC"``.
    metrics, nulls : str or sequence of str, optional
        By name, with parameters in parentheses: ``"mutual_knn_cosine(k=5)"``; by default ours.
    numbers, sources, reducers, preprocess : str or sequence of str
        Number sets; what to read; where to compare (``none`` = the rows themselves); the chain applied first.
    layers : str, int or sequence of int, optional
        Of sources that have layers, such as ``hidden``: ``"all"``, ``"0..12"``, ``[0, 4, 8]``. Layers of two models
        are paired across the models; those of a single one with one another. The default row permutation then
        draws, so that the best layers can be held against the best of every draw.
    draws, seed : int
    **session
        As for :meth:`Session.open`: ``registry``, ``plugins_dirs``, ``cache``, ``jobs``, ``backend``, ``progress``.

    Returns
    -------
    Study

    Raises
    ------
    NumgeomError
        If a name is unknown. A model that cannot be read becomes error rows instead.

    Examples
    --------
    >>> study = compare(["synthetic:line", "synthetic:iid"], metrics="cka_linear_debiased", draws=19, cache=False)
    >>> sorted(study.frame["null"])
    ['order_modes', 'row_permutation']
    """
    opened = Session.open(**session)
    suite = opened.compare_suite(
        as_names(models) or [],
        metrics=as_names(metrics),
        numbers=_texts(numbers),
        sources=opened.sources(sources, layers),
        reducers=as_names(reducers),
        nulls=as_names(nulls),
        layered=layers is not None,
        preprocess=as_names(preprocess),
        draws=draws,
        seed=seed,
    )
    return opened.run(opened.experiment("compare", suite))


def run(suite: str, *, models: Names | None = None, **session: Any) -> Study:
    """Run a suite of the registry.

    Parameters
    ----------
    suite : str
    models : sequence of str, optional
        Instead of the suite's own.
    **session
        As for :meth:`Session.open`.

    Returns
    -------
    Study
    """
    opened = Session.open(**session)
    entry = opened.registry.suite(suite)
    if models is not None:
        entry = entry.model_copy(update={"models": as_names(models)})
    return opened.run(opened.experiment(suite, entry))


def probe(models: Names, *, numbers: Names = "0..999", probes: Names | None = None, **session: Any) -> Study:
    """Look at tokenizers only; no weights are read.

    Parameters
    ----------
    models : sequence of str
    numbers, probes : str or sequence of str
        By default every probe.
    **session
        As for :meth:`Session.open`.
    """
    opened = Session.open(**session)
    chosen = as_names(probes) or opened.catalog.probes.names
    return opened.run(
        opened.experiment("probe", make_suite(models=as_names(models) or [], numbers=_texts(numbers), probes=chosen))
    )


def geometry(
    models: Names,
    *,
    numbers: Names = "0..999",
    metrics: Names | None = None,
    nulls: Names = (),
    sources: Names = "default",
    layers: Layers | None = None,
    reducers: Names = (),
    preprocess: Names = (),
    draws: int = 200,
    seed: int = 0,
    **session: Any,
) -> Study:
    """The shape of each model's numbers, every measure beside its null.

    Parameters
    ----------
    models : sequence of str
    metrics : str or sequence of str, optional
        By default those of first interest; ``"all"`` for every geometry metric.
    nulls : str or sequence of str, optional
        What every metric and reduction is held against, instead of what each card names.
    numbers, sources, layers, reducers, preprocess, draws, seed, **session
        As for :func:`compare`; reducers are judged by their fidelity.
    """
    opened = Session.open(**session)
    suite = make_suite(
        models=as_names(models) or [],
        numbers=_texts(numbers),
        sources=opened.sources(sources, layers),
        geometry=geometry_names(metrics, opened.catalog),
        controls=as_names(nulls) or [],
        reducers=as_names(reducers) or [],
        preprocess=as_names(preprocess) or [],
        draws=draws,
        seed=seed,
    )
    return opened.run(opened.experiment("geometry", suite))


def geometry_names(names: Names | None, catalog: Catalog) -> list[str]:
    """The geometry metrics that are meant: the default ones for None, every one for ``"all"``."""
    chosen = as_names(names)
    if chosen == ["all"]:
        return [name for name in catalog.geometry.names if not catalog.geometry.get(name).of_reduction]
    return chosen or [choice.label for choice in catalog.geometry.defaults()]


def load(model: str, *, numbers: str = "0..999", source: str = "default", **session: Any) -> Representation:
    """The rows of a model's numbers.

    Parameters
    ----------
    model : str
        Registry name or direct spec.
    numbers, source : str

    Returns
    -------
    Representation

    Examples
    --------
    >>> load("synthetic:circle", numbers="0..9", cache=False).n
    10
    """
    opened = Session.open(**session)
    suite = make_suite(models=[model], numbers=[numbers], sources=[source], geometry=[])
    experiment = opened.experiment("load", suite)
    only = experiment.models[0]
    readings = opened.catalog.readings(only, source)
    if len(readings) != 1:
        raise RegistryError(f"source {source!r} is {len(readings)} readings; load one, as in {readings[-1].name!r}.")
    one = RepresentationId(only, readings[0].name, experiment.numbers[0])
    return Loader(opened.catalog, opened.engine.store, experiment, opened.engine.progress).representation(one)


def _integers(layers: int | Sequence[int]) -> list[int]:
    return [layers] if isinstance(layers, int) else list(layers)


def _texts(names: Names) -> list[str]:
    """Number sets hold commas of their own, so a single text is one set."""
    return [names] if isinstance(names, str) else list(names)
