"""Run the cells of an experiment: load what they need, compute what is not cached, lose nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.catalog import Catalog, Choice
from numgeom.errors import Incompatible, NumgeomError, RegistryError
from numgeom.figures import COLUMNS
from numgeom.jobs import Job, check_backend, run_jobs
from numgeom.loading import Loader
from numgeom.manifest import make_manifest
from numgeom.numbers import format_values
from numgeom.outcome import Outcome, failure
from numgeom.pairs import refuse_residual_permutation, score_pairs
from numgeom.plan import RAW, TOKENIZER, Cell, Experiment, RepresentationId, plan, spec_identity
from numgeom.representation import Representation
from numgeom.results import Study, long_table
from numgeom.singles import OBSERVED, Measured, Reduction, measure, probe, reduce, reduce_and_judge
from numgeom.specs import ReducerSpec
from numgeom.store import Store, digest

# Bumped when the way in which scores are held against nulls changes; part of every cache key.
ENGINE_VERSION = 2
FEWEST_SHARED = 4

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Run:
    """What a run has so far."""

    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    sizes: dict[int, tuple[str, int]] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    coordinates: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    figures: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Any]]] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    cached: int = 0


class Engine:
    """Runs experiments with one catalog, one cache and one number of workers.

    Parameters
    ----------
    catalog : Catalog
    store : Store
    jobs : int
        Worker processes; 0 for one a processor, 1 for none.
    backend : str
        A joblib backend: ``loky``, ``threading``, ``dask``, ...
    progress : callable, optional
        Called with (what, done, total).
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        *,
        jobs: int = 1,
        backend: str = "loky",
        progress: Progress | None = None,
    ) -> None:
        self.catalog = catalog
        self.store = store
        self.jobs = jobs if jobs > 0 else (os.cpu_count() or 1)
        check_backend(backend)
        self.backend = backend
        self.progress = progress or (lambda what, done, total: None)

    def run(
        self, experiment: Experiment, *, command: Sequence[str] = (), registry: dict[str, Any] | None = None
    ) -> Study:
        """Every cell of ``experiment`` as rows of a study.

        Nothing that one model, plugin or cell does stops the others: a failure is a row with its reason.
        """
        started = time.perf_counter()
        cells = plan(experiment, self.catalog)
        if not cells:
            raise RegistryError(
                f"{experiment.name!r} measures nothing; name probes, geometry, reducers or convergence metrics in it."
            )
        loader = Loader(self.catalog, self.store, experiment)
        run = Run()
        self._probe(experiment, cells, loader, run)
        wanted = [one for cell in cells if cell.kind != "probe" for one in (cell.a, cell.b) if one is not None]
        unique = list({one.key: one for one in wanted}.values())
        for done, one in enumerate(unique):
            self.progress(f"reading {one.model.name}", done, len(unique))
            with suppress(NumgeomError):  # remembered, and raised again for each of its cells
                loader.representation(one)
        run.timings["reading"] = time.perf_counter() - started
        jobs = self._jobs(experiment, cells, loader, run)
        self._compute(jobs, cells, experiment, run)
        study = Study(
            long_table(self._rows(experiment, cells, loader, run)),
            coordinates=_coordinates(run, loader),
            figures=_figures(run),
            probes=run.probes,
        )
        run.timings["total"] = time.perf_counter() - started
        study.manifest = make_manifest(
            experiment,
            self.catalog,
            loader,
            study.frame,
            number_sets=run.sets,
            cells={"computed": run.computed, "cached": run.cached},
            timings=run.timings,
            command=command,
            registry=registry or {},
        )
        if self.store.problem:
            study.manifest["cache_problem"] = self.store.problem
        return study

    def _probe(self, experiment: Experiment, cells: Sequence[Cell], loader: Loader, run: Run) -> None:
        """Probes are quick and share a tokenizer, so they run here, model by model."""
        for index, cell in enumerate(cells):
            if cell.kind != "probe":
                continue
            model, numbers = cell.a.model, cell.a.numbers
            run.sizes[index] = (numbers.spec, len(numbers))
            tokenizer_key = loader.fingerprint(model)
            key = digest(["probe", ENGINE_VERSION, spec_identity(cell.metric), tokenizer_key, numbers.spec])
            held = self.store.get_json("cells", key) if tokenizer_key else None
            if held is None:
                self.progress(f"probing {model.name}", 0, 1)
                try:
                    outcomes, found, figures = probe(cell.metric, loader.tokenizer(model), numbers)
                except NumgeomError as error:
                    outcomes, found, figures = [failure(error)], {}, []
                if tokenizer_key and all(outcome.status != "error" for outcome in outcomes):
                    plain = {"outcomes": [o.as_dict() for o in outcomes], "found": found, "figures": figures}
                    self.store.put_json("cells", key, plain)
                run.computed += 1
            else:
                outcomes, found = [Outcome.from_dict(item) for item in held["outcomes"]], held["found"]
                figures = held.get("figures", [])
                run.cached += 1
            run.outcomes[index], run.keys[index] = outcomes, key
            _keep_figures(run, cell, figures)
            if found:
                run.probes.setdefault(model.name, {}).setdefault(numbers.spec, {})[cell.metric.label] = found

    def _jobs(self, experiment: Experiment, cells: Sequence[Cell], loader: Loader, run: Run) -> list[Job]:
        """Group the cells that are neither impossible nor cached into jobs."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, cell in enumerate(cells):
            if cell.kind == "probe":
                continue
            try:
                group = self._admit(experiment, cell, index, loader, run)
            except Exception as error:
                run.outcomes[index] = [failure(error, cell.metric.plugin)]
                run.sizes.setdefault(index, (cell.a.numbers.spec, 0))
                continue
            held = self.store.get_json("cells", run.keys[index])
            if held is not None and self._restore(cell, held, index, run):
                run.cached += 1
            else:
                groups.setdefault(group, []).append(index)
        return [self._job(experiment, [cells[i] for i in members], loader) for members in groups.values()]

    def _admit(self, experiment: Experiment, cell: Cell, index: int, loader: Loader, run: Run) -> tuple[Any, ...]:
        """Check that a cell can be measured, give it its key, and say with which others it is computed."""
        a = loader.representation(cell.a)
        shared = a.numbers
        digests = [a.digest]
        if cell.b is not None:
            b = loader.representation(cell.b)
            shared = np.intersect1d(a.numbers, b.numbers)
            digests.append(b.digest)
        label = cell.a.numbers.label(shared.tolist())
        run.sets[label] = format_values(shared.tolist())
        run.sizes[index] = (label, int(shared.size))
        if cell.b is not None and shared.size < FEWEST_SHARED:
            raise Incompatible(
                f"{cell.a.model.name} and {cell.b.model.name} share {shared.size} numbers of {cell.a.numbers.spec}; "
                f"at least {FEWEST_SHARED} are needed: widen --numbers or choose another token form."
            )
        if cell.b is not None and cell.null is not None:
            refuse_residual_permutation(experiment.preprocess, cell.null)
        run.keys[index] = digest(
            {
                "engine": ENGINE_VERSION,
                "kind": cell.kind,
                "metric": spec_identity(cell.metric),
                "reducer": spec_identity(cell.reducer),
                "null": spec_identity(cell.null),
                "inputs": digests,
                "shared": label,
                "preprocess": experiment.preprocess,
                "draws": self._draws(experiment, cell),
                "seed": experiment.seed,
            }
        )
        if cell.kind == "convergence":
            # One job a pair of number set and space: the states of a metric are prepared once for all pairs.
            return (cell.kind, cell.metric.label, cell.reducer and cell.reducer.label, _name(cell.null), label)
        if cell.kind == "reduction":
            return (cell.kind, cell.reducer and cell.reducer.label, cell.a.key)
        # The metrics of a representation share its draws, and what a draw derives.
        return (cell.kind, _name(cell.null), cell.a.key)

    def _job(self, experiment: Experiment, cells: list[Cell], loader: Loader) -> Job:
        """The call that computes cells of one group."""
        first = cells[0]
        options = {"draws": self._draws(experiment, first), "seed": experiment.seed}
        if first.kind == "geometry":
            rep = loader.representation(first.a)
            label = f"geometry of {first.a.model.name} beside {_name(first.null) or 'no null'}"
            return Job(cells, measure, ([cell.metric for cell in cells], first.null, rep), options, label)
        if first.kind == "reduction":
            assert first.reducer is not None
            rep = loader.representation(first.a)
            metrics = list({cell.metric.label: cell.metric for cell in cells}.values())
            nulls = list({_name(cell.null): cell.null for cell in cells}.values())
            label = f"{first.reducer.label} of {first.a.model.name}"
            return Job(cells, reduce_and_judge, (first.reducer, metrics, nulls, rep), options, label)
        ids = sorted({one.key: one for cell in cells for one in (cell.a, cell.b) if one}.items())
        place = {key: position for position, (key, _) in enumerate(ids)}
        pairs = [(place[cell.a.key], place[cell.b.key]) for cell in cells if cell.b is not None]
        assert first.b is not None
        shared = np.intersect1d(loader.representation(first.a).numbers, loader.representation(first.b).numbers)
        reps = [loader.representation(one).restrict(shared) for _, one in ids]
        label = f"{first.metric.label} beside {_name(first.null) or 'no null'}"
        return Job(cells, _score_in_space, (first.reducer, first.metric, first.null, reps, pairs), options, label)

    def _compute(self, jobs: Sequence[Job], cells: Sequence[Cell], experiment: Experiment, run: Run) -> None:
        """Run the jobs and keep every finished cell at once, so that a killed run resumes."""
        place = {id(cell): index for index, cell in enumerate(cells)}
        workers = min(self.jobs, len(jobs))
        for done, (number, result, seconds) in enumerate(run_jobs(jobs, workers, self.backend)):
            job = jobs[number]
            self.progress(job.label, done + 1, len(jobs))
            run.timings[job.label] = run.timings.get(job.label, 0.0) + seconds
            for position, cell in enumerate(job.cells):
                index = place[id(cell)]
                held = _held(cell, result, position)
                self._restore(cell, held, index, run)
                run.computed += 1
                # An error may go away (a plugin mended, memory freed), so only sound cells and refusals are kept.
                if all(outcome.status != "error" for outcome in run.outcomes[index]):
                    self.store.put_json("cells", run.keys[index], held)

    def _restore(self, cell: Cell, held: dict[str, Any], index: int, run: Run) -> bool:
        """Enter a cell's plain data into the run; False if it is not of the present form."""
        try:
            run.outcomes[index] = [Outcome.from_dict(item) for item in held["outcomes"]]
            _keep_figures(run, cell, held.get("figures", []))
            if cell.reducer is not None and held.get("coordinates"):
                where = (*cell.a.key, cell.reducer.label)
                run.coordinates.setdefault(where, {}).update(held["coordinates"])
        except (KeyError, TypeError):
            return False
        return True

    def _draws(self, experiment: Experiment, cell: Cell) -> int:
        """Slow reducers are drawn less often than scores."""
        if cell.null is None:
            return 0
        if cell.kind == "reduction" and cell.reducer is not None:
            return min(cell.reducer.spec.draws, experiment.draws)
        return experiment.draws

    def _rows(
        self, experiment: Experiment, cells: Sequence[Cell], loader: Loader, run: Run
    ) -> Iterable[dict[str, Any]]:
        order = {null.label: place for place, null in enumerate(experiment.nulls)}
        for index, cell in enumerate(cells):
            label, n = run.sizes[index]
            spec = cell.metric.spec
            common = {
                "kind": cell.kind,
                "metric": cell.metric.label,
                "version": spec.version,
                "direction": getattr(spec, "direction", ""),
                **_side("a", cell.a, loader),
                **(_side("b", cell.b, loader) if cell.b else {}),
                "numbers": label,
                "n": n,
                "reducer": cell.reducer.spec.name if cell.reducer else RAW if cell.kind == "convergence" else "",
                "reducer_params": _params(cell.reducer),
                "preprocess": "+".join(experiment.preprocess) or RAW,
                "seed": experiment.seed,
                "null": _name(cell.null),
                "null_position": order.get(_name(cell.null), 0),
                "plugin": cell.metric.plugin,
                "plugin_version": cell.metric.plugin_version,
                "cell": run.keys.get(index, ""),
            }
            family = _family(cell, loader)
            for position, outcome in enumerate(run.outcomes[index]):
                codes = [
                    *loader.caveats(cell.a),
                    *(loader.caveats(cell.b) if cell.b else []),
                    *outcome.warnings,
                    *family,
                ]
                yield {
                    **common,
                    **outcome.as_dict(),
                    "warnings": "; ".join(sorted(set(codes))),
                    "position": position,
                }


def _score_in_space(
    space: Choice[ReducerSpec] | None,
    metric: Choice[Any],
    null: Choice[Any] | None,
    reps: Sequence[Representation],
    pairs: Sequence[tuple[int, int]],
    *,
    draws: int,
    seed: int,
) -> list[Outcome]:
    """Score pairs on their rows, or on the coordinates that a reducer gives them."""
    if space is not None:
        try:
            reps = [replace(reduce(space, rep, seed), origin=None) for rep in reps]
        except Exception as error:
            return [failure(error, space.plugin)] * len(pairs)
    return score_pairs(metric, null, reps, pairs, draws=draws, seed=seed, intervals=True)


def _held(cell: Cell, result: Any, position: int) -> dict[str, Any]:
    """The part of a job's result that belongs to one of its cells, as plain data."""
    if isinstance(result, Reduction):
        null = _name(cell.null)
        panels = {name: result.coordinates[name] for name in (OBSERVED, null) if name in result.coordinates}
        return {
            "outcomes": [o.as_dict() for o in result.outcomes[cell.metric.label, null]],
            "figures": result.figures.get((cell.metric.label, null), []),
            "coordinates": panels,
        }
    if isinstance(result, Measured):
        label = cell.metric.label
        outcomes = [outcome.as_dict() for outcome in result.outcomes[label]]
        return {"outcomes": outcomes, "figures": result.figures.get(label, [])}
    return {"outcomes": [result[position].as_dict()]}


def _keep_figures(run: Run, cell: Cell, held: Sequence[dict[str, Any]]) -> None:
    """Enter the series of a cell; those of the observed rows come with every null and are kept once."""
    metric = cell.metric.label if cell.reducer is None else f"{cell.reducer.label} {cell.metric.label}"
    for one in held:
        where = (cell.kind, metric, one["figure"], *cell.a.key)
        run.figures.setdefault(where, {})[one["series"], one["null"]] = one


def _coordinates(run: Run, loader: Loader) -> pd.DataFrame:
    """All reductions and their control panels as one tidy table."""
    parts = []
    for (model, source, numbers, reducer), panels in sorted(run.coordinates.items()):
        values = loader.loaded[model, source, numbers].numbers
        for panel, points in sorted(panels.items(), key=lambda item: (item[0] != OBSERVED, item[0])):
            shown: npt.NDArray[Any] = values if points["labelled"] else np.full(values.size, None)
            parts.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "source": source,
                        "numbers": numbers,
                        "reducer": reducer,
                        "panel": panel,
                        "number": pd.array(shown, dtype="Int64"),
                        "x": points["x"],
                        "y": points["y"],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _figures(run: Run) -> pd.DataFrame:
    """All series and squares as one tidy table."""
    parts = []
    for (kind, metric, figure, model, source, numbers), held in sorted(run.figures.items()):
        where = {"kind": kind, "metric": metric, "figure": figure, "model": model, "source": source}
        parts += [pd.DataFrame({**where, "numbers": numbers, **one}) for _, one in sorted(held.items())]
    return pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS)) if parts else pd.DataFrame()


def _side(side: str, one: RepresentationId, loader: Loader) -> dict[str, Any]:
    rep = loader.loaded.get(one.key)
    return {
        f"model_{side}": one.model.name,
        f"revision_{side}": str(rep.provenance.get("revision", "")) if rep else one.model.revision,
        f"source_{side}": one.source,
        f"dim_{side}": rep.d if rep and one.source != TOKENIZER else None,
    }


def _family(cell: Cell, loader: Loader) -> list[str]:
    """W-FAMILY where two models share their family or their tokenizer."""
    if cell.b is None:
        return []
    a, b = cell.a.model, cell.b.model
    same_family = bool(a.family) and a.family == b.family
    mine = loader.tokenizer_digest(cell.a)
    return ["W-FAMILY"] if same_family or (mine and mine == loader.tokenizer_digest(cell.b)) else []


def _name(choice: Choice[Any] | None) -> str:
    return choice.label if choice else ""


def _params(choice: Choice[Any] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(choice.params.items())) if choice else ""
