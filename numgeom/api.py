"""The Python face: whole studies, single models, and scores of plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.catalog import Catalog, Choice, split_list
from numgeom.engine import Engine, Progress
from numgeom.errors import Incompatible, NumgeomError
from numgeom.loading import Loader
from numgeom.outcome import Outcome, caveats
from numgeom.pairs import refuse_residual_permutation, score_pairs
from numgeom.plan import RAW, Experiment, RepresentationId, resolve
from numgeom.preprocess import preprocess as apply_chain
from numgeom.registry import Registry, SuiteEntry, load_registry, make_suite, open_catalog
from numgeom.representation import Representation
from numgeom.results import Study
from numgeom.singles import reduce as reduce_representation
from numgeom.specs import ConvergenceSpec
from numgeom.store import Store, default_root

Names = str | Sequence[str]


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

    def compare_suite(self, models: Sequence[str], **options: Any) -> SuiteEntry:
        """The suite behind ``compare``: the default metrics and nulls unless others are named."""
        metrics = options.pop("metrics", None) or [choice.label for choice in self.catalog.convergence.defaults()]
        reducers = options.pop("reducers", None) or [RAW]
        return make_suite(
            models=list(models),
            convergence=metrics,
            spaces=reducers,
            reducers=[name for name in reducers if name != RAW],
            **{key: value for key, value in options.items() if value is not None},
        )


def compare(
    models: Sequence[str],
    *,
    metrics: Names | None = None,
    numbers: Names = "0..999",
    sources: Names = "default",
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
        models,
        metrics=_names(metrics),
        numbers=_texts(numbers),
        sources=_names(sources),
        reducers=_names(reducers),
        nulls=_names(nulls),
        preprocess=_names(preprocess),
        draws=draws,
        seed=seed,
    )
    return opened.run(opened.experiment("compare", suite))


def run(suite: str, *, models: Sequence[str] | None = None, **session: Any) -> Study:
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
        entry = entry.model_copy(update={"models": list(models)})
    return opened.run(opened.experiment(suite, entry))


def probe(models: Sequence[str], *, numbers: Names = "0..999", probes: Names | None = None, **session: Any) -> Study:
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
    chosen = _names(probes) or opened.catalog.probes.names
    return opened.run(
        opened.experiment("probe", make_suite(models=list(models), numbers=_texts(numbers), probes=chosen))
    )


def geometry(
    models: Sequence[str],
    *,
    numbers: Names = "0..999",
    metrics: Names | None = None,
    sources: Names = "default",
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
        By default every geometry metric.
    numbers, sources, reducers, preprocess, draws, seed, **session
        As for :func:`compare`; reducers are judged by their fidelity.
    """
    opened = Session.open(**session)
    suite = make_suite(
        models=list(models),
        numbers=_texts(numbers),
        sources=_names(sources),
        geometry=_names(metrics) or every_geometry(opened.catalog),
        reducers=_names(reducers) or [],
        preprocess=_names(preprocess) or [],
        draws=draws,
        seed=seed,
    )
    return opened.run(opened.experiment("geometry", suite))


def every_geometry(catalog: Catalog) -> list[str]:
    """All geometry metrics that describe representations (not reductions)."""
    return [name for name in catalog.geometry.names if not catalog.geometry.get(name).of_reduction]


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
    one = RepresentationId(
        experiment.models[0], opened.catalog.reader(experiment.models[0].source, source)[1], experiment.numbers[0]
    )
    return Loader(opened.catalog, opened.engine.store, experiment).representation(one)


def reduce(
    name: str, X: npt.ArrayLike | Representation, *, numbers: npt.ArrayLike | None = None, seed: int = 0, **params: Any
) -> npt.NDArray[np.float64]:
    """Coordinates of rows under a reducer plugin.

    Parameters
    ----------
    name : str
        A reducer, as in ``numgeom list reducers``.
    X : array_like, shape (n, d), or Representation
    numbers : array_like of int, shape (n,), optional
    seed : int
    **params
        Parameters of the reducer.

    Returns
    -------
    ndarray, shape (n, k)

    Examples
    --------
    >>> reduce("pca", np.eye(5), n_components=2).shape
    (5, 2)
    """
    choice = _with_params(_catalog().reducers.choose(name), params)
    reduced = reduce_representation(choice, _representation(X, numbers), seed)
    return np.array(reduced.matrix, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class NullScore:
    """A score beside one null.

    Attributes
    ----------
    value : float
        What was held against the draws: the score, or for a null that projects both sides the projected score.
    mean, sd, excess, z, p, calibrated : float
        As in :class:`numgeom.calibrate.Calibration`; NaN where a quantity does not exist.
    """

    value: float
    mean: float
    sd: float
    excess: float
    z: float
    p: float
    calibrated: float


@dataclass(frozen=True, slots=True)
class Score:
    """A convergence score with its nulls.

    Attributes
    ----------
    value : float
    direction : str
    warnings : tuple of str
        Codes.
    nulls : dict of str to NullScore
    """

    value: float
    direction: str
    warnings: tuple[str, ...] = ()
    nulls: Mapping[str, NullScore] = field(default_factory=dict)


def score(
    metric: str,
    X: npt.ArrayLike | Representation,
    Y: npt.ArrayLike | Representation,
    *,
    numbers: npt.ArrayLike | None = None,
    nulls: Names = (),
    draws: int = 200,
    seed: int = 0,
    preprocess: Names = (),
    **params: Any,
) -> Score:
    """Score two arrays with aligned rows.

    Parameters
    ----------
    metric : str
    X, Y : array_like, shapes (n, d) and (n, e), or Representation
        Row ``i`` of both belongs to ``numbers[i]``.
    numbers : array_like of int, shape (n,), optional
        Distinct integers; by default 0..n-1. Order-aware nulls look at them.
    nulls : str or sequence of str
    draws, seed : int
    preprocess : str or sequence of str
        Chain applied to both sides first.
    **params
        Parameters of the metric.

    Returns
    -------
    Score

    Raises
    ------
    Incompatible
        If the metric or a null does not apply.
    NumgeomError
        If a name is unknown or rows are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((30, 5))
    >>> result = score("procrustes_angular", X, 2 * X + 1, nulls=["row_permutation"], draws=99)
    >>> round(result.value, 6), result.nulls["row_permutation"].p
    (0.0, 0.01)
    """
    catalog = _catalog()
    choice = _with_params(catalog.convergence.choose(metric), params)
    chain = _names(preprocess) or []
    reps = [apply_chain(_representation(rows, numbers), chain) for rows in (X, Y)]
    if not np.array_equal(reps[0].numbers, reps[1].numbers):
        raise Incompatible(
            f"the two sides hold different numbers ({reps[0].n} and {reps[1].n} rows); align their rows first."
        )
    plain = _sound(score_pairs(choice, None, reps, [(0, 1)], draws=0, seed=seed)[0])
    assert plain.value is not None
    codes = list(plain.warnings)
    held: dict[str, NullScore] = {}
    for name in _names(nulls) or []:
        null = catalog.nulls.choose(name)
        refuse_residual_permutation(chain, null)
        with caveats(codes):
            outcome = _sound(score_pairs(choice, null, reps, [(0, 1)], draws=draws, seed=seed)[0])
        codes += outcome.warnings
        fields = (outcome.null_value, outcome.null_mean, outcome.null_sd)
        rest = (outcome.excess, outcome.z, outcome.p, outcome.calibrated)
        held[null.label] = NullScore(*(float("nan") if item is None else item for item in (*fields, *rest)))
    return Score(plain.value, choice.spec.direction, tuple(sorted(set(codes))), held)


def _sound(outcome: Outcome) -> Outcome:
    if outcome.status == "skipped":
        raise Incompatible(outcome.reason)
    if outcome.status == "error":
        raise NumgeomError(outcome.reason)
    return outcome


@lru_cache(maxsize=1)
def _catalog() -> Catalog:
    """The catalog of functions on plain arrays: installed plugins and the registry found at first use."""
    return open_catalog()


def _with_params(choice: Choice[Any], params: Mapping[str, Any]) -> Choice[Any]:
    if not params:
        return choice
    spec: ConvergenceSpec = choice.spec
    return Choice(
        spec, spec.with_params({**choice.params, **params}), choice.label, choice.plugin, choice.plugin_version
    )


def _representation(rows: npt.ArrayLike | Representation, numbers: npt.ArrayLike | None) -> Representation:
    """Rows as a representation, sorted by number."""
    if isinstance(rows, Representation):
        return rows
    matrix = np.asarray(rows)
    if matrix.ndim != 2:
        raise NumgeomError(f"rows must be an (n, d) array; got shape {matrix.shape}.")
    values = np.arange(len(matrix)) if numbers is None else np.asarray(numbers, dtype=np.int64)
    order = np.argsort(values, kind="stable")
    return Representation(matrix[order] if len(order) == len(matrix) else matrix, values[order])


def _names(names: Names | None) -> list[str] | None:
    """One comma-separated text or a sequence, as a list."""
    if names is None:
        return None
    return split_list(names) if isinstance(names, str) else list(names)


def _texts(names: Names) -> list[str]:
    """Number sets hold commas of their own, so a single text is one set."""
    return [names] if isinstance(names, str) else list(names)


__all__ = ["NullScore", "Score", "Session", "compare", "geometry", "load", "probe", "reduce", "run", "score"]
