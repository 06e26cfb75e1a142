"""Run the cells of an experiment: load what they need, compute what is not cached, lose nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.catalog import Catalog
from numgeom.comparisons import Comparison, space_jobs
from numgeom.errors import Incompatible, NumgeomError, RegistryError
from numgeom.jobs import Job, check_backend, run_jobs
from numgeom.ledger import Run, coordinate_table, figure_table, keep_figures, name_of, table_rows
from numgeom.loading import Loader
from numgeom.manifest import make_manifest
from numgeom.numbers import format_values
from numgeom.outcome import Outcome, failure, finite, unpack
from numgeom.pairs import refuse_residual_permutation
from numgeom.plan import Cell, Experiment, chain_identity, plan, spec_identity
from numgeom.representation import Representation
from numgeom.results import Study, long_table
from numgeom.shape_jobs import hand_over, shape_jobs
from numgeom.singles import OBSERVED, Measured, Reduction, measure_beside, probe, reduce_and_judge
from numgeom.store import Store, digest

# Bumped when the way in which scores are held against nulls, or the codes of a row, change; part of every cache key.
ENGINE_VERSION = 6
FEWEST_SHARED = 4

Progress = Callable[[str, int, int], None]


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
        loader = Loader(self.catalog, self.store, experiment, self.progress)
        run = Run()
        self._probe(experiment, cells, loader, run)
        wanted = [one for cell in cells if cell.kind != "probe" for one in (cell.a, cell.b) if one is not None]
        unique = list({one.key: one for one in wanted}.values())
        for done, one in enumerate(unique):
            self.progress(f"reading {one.model.name}", done, len(unique))
            with suppress(NumgeomError):  # remembered, and raised again for each of its cells
                loader.rows(one)
        run.timings["reading"] = time.perf_counter() - started
        jobs, comparisons = self._jobs(experiment, cells, loader, run)
        self._compute(jobs, comparisons, cells, run)
        study = Study(
            long_table(table_rows(experiment, cells, loader, run)),
            coordinates=coordinate_table(run, loader),
            figures=figure_table(run),
            probes=run.probes,
            draws=run.draws,
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
        study.manifest["closest"] = {choice.label: finite(choice.spec.best) for choice in experiment.convergence}
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
            keep_figures(run, cell, figures)
            if found:
                run.probes.setdefault(model.name, {}).setdefault(numbers.spec, {})[cell.metric.label] = found

    def _jobs(
        self, experiment: Experiment, cells: Sequence[Cell], loader: Loader, run: Run
    ) -> tuple[list[Job], list[Comparison]]:
        """Group the cells that are neither impossible nor cached into jobs and comparisons."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        run.wide = len({cell.a.key for cell in cells if cell.kind == "geometry"}) >= self.jobs
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
                continue
            try:
                for one in (one for one in (cell.a, cell.b) if one is not None):
                    loader.representation(one, self._numbers(cell, loader))
            except NumgeomError as error:
                run.outcomes[index] = [failure(error, cell.metric.plugin)]
                continue
            groups.setdefault(group, []).append(index)
        jobs, comparisons = [], []
        for members in groups.values():
            mine = {index: cells[index] for index in members}
            if mine[members[0]].kind == "convergence":
                comparisons.append(
                    Comparison(mine, self._shared(mine, loader), draws=experiment.draws, seed=experiment.seed)
                )
            else:
                jobs.append(self._job(experiment, list(mine.values()), loader))
        return jobs, comparisons

    def _shared(self, cells: dict[int, Cell], loader: Loader) -> dict[tuple[str, str, str], Representation]:
        """The representations of some pairs on the numbers that they share; once for all metrics."""
        shared = self._numbers(next(iter(cells.values())), loader)
        sides = {one.key: one for cell in cells.values() for one in (cell.a, cell.b) if one is not None}
        return {key: loader.representation(one, shared) for key, one in sides.items()}

    def _numbers(self, cell: Cell, loader: Loader) -> npt.NDArray[np.int64]:
        """The numbers on which a cell is measured: those that both of its sides have."""
        own = loader.rows(cell.a).numbers
        other = own if cell.b is None else loader.rows(cell.b).numbers
        return own if np.array_equal(own, other) else np.intersect1d(own, other)

    def _admit(self, experiment: Experiment, cell: Cell, index: int, loader: Loader, run: Run) -> tuple[Any, ...]:
        """Check that a cell can be measured, give it its key, and say with which others it is computed."""
        sides = [loader.rows(one) for one in (cell.a, cell.b) if one is not None]
        shared = self._numbers(cell, loader)
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
                "inputs": [_identity(rep) for rep in sides],
                "shared": label,
                "preprocess": chain_identity(experiment.preprocess),
                "draws": self._draws(experiment, cell),
                "seed": experiment.seed,
            }
        )
        if cell.kind == "convergence":
            # The states of a metric are prepared once for all pairs of a number set and space, and for all nulls.
            return (cell.kind, cell.metric.label, cell.reducer and cell.reducer.label, shared.tobytes())
        if cell.kind == "reduction":
            return (cell.kind, cell.reducer and cell.reducer.label, cell.a.key)
        # The metrics of a representation share its draws, and what a draw derives. With fewer representations than
        # workers, each null is a job of its own.
        return (cell.kind, "" if run.wide else name_of(cell.null), cell.a.key)

    def _job(self, experiment: Experiment, cells: list[Cell], loader: Loader) -> Job:
        """The call that computes cells of one group."""
        first = cells[0]
        options = {"draws": self._draws(experiment, first), "seed": experiment.seed}
        if first.kind == "geometry":
            rep = loader.representation(first.a)
            options["draws"] = experiment.draws
            nulls = list({name_of(cell.null): cell.null for cell in cells}.values())
            beside = [(null, [cell.metric for cell in cells if cell.null == null]) for null in nulls]
            label = f"geometry of {first.a.model.name} beside {', '.join(name_of(null) or 'no null' for null in nulls)}"
            return Job(cells, measure_beside, (beside, rep), options, label, [rep])
        assert first.reducer is not None
        rep = loader.representation(first.a)
        metrics = list({cell.metric.label: cell.metric for cell in cells}.values())
        nulls = list({name_of(cell.null): cell.null for cell in cells}.values())
        label = f"{first.reducer.label} of {first.a.model.name}"
        return Job(cells, reduce_and_judge, (first.reducer, metrics, nulls, rep), options, label, [rep])

    def _compute(self, jobs: Sequence[Job], comparisons: Sequence[Comparison], cells: Sequence[Cell], run: Run) -> None:
        """Run the jobs and keep every finished cell at once, so that a killed run resumes."""
        place = {id(cell): index for index, cell in enumerate(cells)}
        hand_over(self._finished(shape_jobs(jobs, self.jobs), run), jobs)
        spaces = space_jobs(comparisons)
        reduced: dict[str, dict[int, Any]] = {}
        for job, result in self._finished(spaces, run, kept=[rep for one in spaces for rep in one.reps]):
            reduced.setdefault(job.arguments[0].label, {})[id(job.reps[0])] = result
        for one in comparisons:
            if one.space is not None:
                one.enter_space(reduced[one.space.label])
        first = [*jobs, *(one.first_job() for one in comparisons)]
        for job, result in self._finished(first, run, kept=[rep for one in comparisons for rep in one.reps]):
            if job.part is not None:
                self._enter(job.part.comparison.take(job.part, result), cells, run)
            else:
                held = ((place[id(cell)], _held(cell, result)) for cell in job.cells)
                self._enter(held, cells, run)
        later = [job for one in comparisons for job in one.later_jobs()]
        for job, result in self._finished(later, run):
            self._enter(job.part.comparison.take(job.part, result), cells, run)

    def _finished(
        self, jobs: Sequence[Job], run: Run, kept: Sequence[Representation] = ()
    ) -> Iterator[tuple[Job, Any]]:
        """The results of jobs as they come; what is derived of a representation goes with the last job that needs it.

        Of those in ``kept`` it stays, for jobs that are still to come.
        """
        staying = {id(rep) for rep in kept}
        left = Counter(id(rep) for job in jobs for rep in job.reps)
        for done, (number, result, seconds) in enumerate(run_jobs(jobs, min(self.jobs, len(jobs)), self.backend)):
            job = jobs[number]
            self.progress(job.label, done + 1, len(jobs))
            run.timings[job.label] = run.timings.get(job.label, 0.0) + seconds
            yield job, result
            left.subtract(id(rep) for rep in job.reps)
            for rep in job.reps:
                if left[id(rep)] == 0 and id(rep) not in staying:
                    rep.workspace.drop()
                    if rep.origin is not None:
                        rep.origin.workspace.drop()

    def _enter(self, found: Iterable[tuple[int, dict[str, Any]]], cells: Sequence[Cell], run: Run) -> None:
        """Enter finished cells into the run and the cache."""
        for index, held in found:
            self._restore(cells[index], held, index, run)
            run.computed += 1
            # An error may go away (a plugin mended, memory freed), so only sound cells and refusals are kept.
            if all(outcome.status != "error" for outcome in run.outcomes[index]):
                self.store.put_json("cells", run.keys[index], held)

    def _restore(self, cell: Cell, held: dict[str, Any], index: int, run: Run) -> bool:
        """Enter a cell's plain data into the run; False if it is not of the present form."""
        try:
            run.outcomes[index] = [Outcome.from_dict(item) for item in held["outcomes"]]
            keep_figures(run, cell, held.get("figures", []))
            permuted = cell.kind == "convergence" and cell.null is not None and cell.null.spec.permutes_rows
            if permuted and any(outcome.status == "ok" and outcome.draws for outcome in run.outcomes[index]):
                run.draws[run.keys[index]] = unpack(held["draws"])
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


def _identity(rep: Representation) -> list[str]:
    """What a cache key must hold of rows: their content, and their token ids, which some measurements read."""
    ids = [] if rep.token_ids is None else rep.token_ids.tolist()
    held = rep.memo("engine.token_ids", lambda: digest([ids, rep.provenance.get("random_token_ids", ())]))
    return [rep.digest, held]


def _held(cell: Cell, result: Reduction | dict[str, Measured]) -> dict[str, Any]:
    """The part of a job's result that belongs to one of its cells, as plain data."""
    if isinstance(result, Reduction):
        null = name_of(cell.null)
        panels = {name: result.coordinates[name] for name in (OBSERVED, null) if name in result.coordinates}
        return {
            "outcomes": [o.as_dict() for o in result.outcomes[cell.metric.label, null]],
            "figures": result.figures.get((cell.metric.label, null), []),
            "coordinates": panels,
        }
    label, measured = cell.metric.label, result[name_of(cell.null)]
    outcomes = [outcome.as_dict() for outcome in measured.outcomes[label]]
    return {"outcomes": outcomes, "figures": measured.figures.get(label, [])}
