"""The command line: every verb is one call of the Python face, printed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from numgeom import __version__
from numgeom.errors import NumgeomError, UnknownName

app = typer.Typer(
    name="numgeom",
    help="Compare how language models represent numbers, every score beside what no numeric structure would score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Models = Annotated[
    list[str], typer.Argument(help="Registry names or specs: ./folder, rows:FILE, hf:org/name, NAME=SPEC")
]
Numbers = Annotated[list[str] | None, typer.Option("--numbers", help="0..999, 0..100:10, 1,2,5..9; @space for ' 7'.")]
Metrics = Annotated[str | None, typer.Option("--metrics", help="Comma-separated; name or name(key=value).")]
Sources = Annotated[str, typer.Option("--source", "--sources", help="What to read: input, output, ...")]
Preprocess = Annotated[str, typer.Option("--preprocess", help="Chain: center, unit, residual:magnitude, ...")]
Draws = Annotated[int, typer.Option("--draws", help="Null draws of every score.")]
Seed = Annotated[int, typer.Option("--seed")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the long table, manifest, tables and figures.")]
Render = Annotated[str | None, typer.Option("--render", help="Renderers for --out; see numgeom list renderers.")]
Jobs = Annotated[int, typer.Option("--jobs", help="Worker processes; 0 for one a processor.")]
Backend = Annotated[str, typer.Option("--backend", help="joblib backend: loky, threading, dask.")]
PluginsDirs = Annotated[list[Path] | None, typer.Option("--plugins-dir", help="Folder of plugin files. They are code.")]
RegistryFile = Annotated[Path | None, typer.Option("--registry", help="Your registry.toml, laid over ours.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.command()
def compare(
    models: Models,
    numbers: Numbers = None,
    metrics: Metrics = None,
    source: Sources = "default",
    reducers: Annotated[str, typer.Option(help="Where to compare: none = the rows, or reducers.")] = "none",
    nulls: Annotated[str | None, typer.Option(help="Nulls of the scores; default: ours.")] = None,
    preprocess: Preprocess = "",
    draws: Draws = 200,
    seed: Seed = 0,
    out: Out = None,
    render: Render = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Compare models pair by pair: convergence scores beside their nulls."""
    from numgeom.catalog import split_list

    with _Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        suite = session.compare_suite(
            models,
            numbers=numbers or ["0..999"],
            metrics=split_list(metrics) if metrics else None,
            sources=split_list(source),
            reducers=split_list(reducers),
            nulls=split_list(nulls) if nulls else None,
            preprocess=split_list(preprocess),
            draws=draws,
            seed=seed,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("compare", suite), out, as_json, screen)


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="A suite of the registry; see numgeom list suites.")],
    models: Annotated[str | None, typer.Option(help="Comma-separated, instead of the suite's own.")] = None,
    out: Out = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Run a suite: a named experiment of the registry."""
    from numgeom.catalog import split_list

    with _Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        entry = session.registry.suite(suite)
        if models:
            entry = entry.model_copy(update={"models": split_list(models)})
        _finish(session, session.experiment(suite, entry), out, as_json, screen)


@app.command()
def probe(
    models: Models,
    numbers: Numbers = None,
    probes: Annotated[str | None, typer.Option(help="Comma-separated; default: all.")] = None,
    out: Out = None,
    render: Render = None,
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Look at how tokenizers write numbers; no weights are read."""
    from numgeom.catalog import split_list
    from numgeom.registry import make_suite

    with _Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, 1, "loky", screen)
        suite = make_suite(
            models=models,
            numbers=numbers or ["0..999"],
            probes=split_list(probes) if probes else session.catalog.probes.names,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("probe", suite), out, as_json, screen)


@app.command()
def geometry(
    models: Models,
    numbers: Numbers = None,
    metrics: Metrics = None,
    source: Sources = "default",
    reducers: Annotated[str, typer.Option(help="Reductions to make and to judge beside their controls.")] = "",
    preprocess: Preprocess = "",
    draws: Draws = 200,
    seed: Seed = 0,
    out: Out = None,
    render: Render = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Measure the shape of each model's numbers beside its controls."""
    from numgeom.api import every_geometry
    from numgeom.catalog import split_list
    from numgeom.registry import make_suite

    with _Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        suite = make_suite(
            models=models,
            numbers=numbers or ["0..999"],
            geometry=split_list(metrics) if metrics else every_geometry(session.catalog),
            sources=split_list(source),
            reducers=split_list(reducers),
            preprocess=split_list(preprocess),
            draws=draws,
            seed=seed,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("geometry", suite), out, as_json, screen)


@app.command(name="list")
def list_names(
    kind: Annotated[str, typer.Argument(help="models, suites, metrics, reducers, sources, probes, nulls, renderers.")],
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named."""
    from numgeom.registry import load_registry, open_catalog

    known = load_registry(registry)
    catalog = open_catalog(known, plugins_dir or [])
    shelves = {
        "metrics": (catalog.convergence, catalog.geometry),
        "convergence": (catalog.convergence,),
        "geometry": (catalog.geometry,),
        "reducers": (catalog.reducers,),
        "sources": (catalog.sources,),
        "probes": (catalog.probes,),
        "nulls": (catalog.nulls,),
        "renderers": (catalog.renderers,),
        "numbers": (catalog.number_sets,),
    }
    rows: list[dict[str, Any]]
    if kind == "models":
        rows = [
            {"name": m.name, "from": f"{m.source}:{m.id}", "family": m.family, "license": m.license, "notes": m.notes}
            for m in known.models.values()
        ]
    elif kind == "suites":
        rows = [
            {"name": name, "summary": suite.summary, "models": ", ".join(suite.models)}
            for name, suite in known.suites.items()
        ]
    elif kind in shelves:
        rows = [
            {
                "name": item.spec.name,
                "kind": item.spec.kind,
                "summary": item.spec.summary,
                "reference": item.spec.reference,
                "plugin": f"{item.plugin} {item.version}".strip(),
            }
            for shelf in shelves[kind]
            for item in shelf
        ]
    else:
        raise UnknownName("kind", kind, ["models", "suites", *shelves], "Type: numgeom list metrics")
    _warn_of_failures(catalog)
    _print_rows(kind, rows, as_json)


@app.command()
def plugins(plugins_dir: PluginsDirs = None, registry: RegistryFile = None, as_json: AsJson = False) -> None:
    """Show which plugins loaded, from where, and what failed and why."""
    from numgeom.registry import load_registry, open_catalog

    report = open_catalog(load_registry(registry), plugins_dir or []).report
    rows = [
        {
            "plugin": plugin.name,
            "version": plugin.version,
            "origin": plugin.origin,
            "status": plugin.status,
            "provides": len(plugin.provides),
            "problem": f"{plugin.error} To mend: {plugin.remedy}." if plugin.error else "",
        }
        for plugin in report.plugins
    ]
    _print_rows("plugins", rows, as_json)


@app.command()
def check(
    what: Annotated[str, typer.Argument(help="A name of any kind, a plugin file (my_metric.py), or all.")],
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold plugins to what their cards declare: range, symmetry, invariances, numerics."""
    from numgeom.registry import load_registry, open_catalog
    from numgeom.testing import Report, run_checks, select
    from numgeom.testing.runner import missing_packages

    specs = select(what, open_catalog(load_registry(registry), plugins_dir or []))
    report = Report()
    with _Screen() as screen:
        for done, spec in enumerate(specs):
            screen(f"check {spec.kind} {spec.name}", done, len(specs))
            if len(specs) > 1 and missing_packages(spec):
                report.absent.append(f"{spec.kind} {spec.name} needs {', '.join(missing_packages(spec))}")
            else:
                report.extend(run_checks(spec))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    elif len(specs) <= 4:
        for spec in specs:
            _print_rows(f"{spec.kind} {spec.name}", report.rows(spec), as_json=False)
    else:
        _print_rows("cards", report.counts(), as_json=False)
    _say(report.summary)
    for failed in report.failures:
        _say(f"failed: {failed.kind} {failed.spec}, {failed.check} (from {failed.claim}): {failed.detail}")
    if not report.ok:
        raise typer.Exit(2)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"numgeom {__version__}")
        raise typer.Exit


class _Screen:
    """Progress: a bar on a terminal, a plain line for each tenth of the work elsewhere; always on stderr."""

    def __enter__(self) -> _Screen:
        self._bar: Any = None
        self._said = ""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(stderr=True)
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("starting", total=None)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Clear the bar before tables are printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=done, total=total)
            return
        line = what.split()[0] if done == 0 else f"{10 * (10 * done // max(total, 1))} %"
        if line != self._said and not sys.stderr.isatty():
            self._said = line
            print(f"numgeom: {what} ({done}/{total})", file=sys.stderr)


def _open(
    registry: Path | None, plugins_dir: Sequence[Path] | None, no_cache: bool, jobs: int, backend: str, screen: _Screen
) -> Any:
    from numgeom.api import Session

    session = Session.open(
        registry=registry,
        plugins_dirs=plugins_dir or (),
        cache=not no_cache,
        jobs=jobs,
        backend=backend,
        progress=screen,
    )
    _warn_of_failures(session.catalog)
    return session


def _render_names(session: Any, text: str | None) -> list[str]:
    from numgeom.catalog import split_list

    return split_list(text) if text else [choice.label for choice in session.catalog.renderers.defaults()]


def _finish(session: Any, experiment: Any, out: Path | None, as_json: bool, screen: _Screen) -> None:
    """Run, save, print; exit 2 if a cell failed, with one line a reason."""
    from numgeom.rendering import render_tables

    study = session.run(experiment, sys.argv)
    tables = study.tables()
    saved: list[Path] = []
    problems: list[str] = []
    if out is not None:
        study.save(out)
        saved, problems = render_tables(tables, experiment.render, out / "tables")
    screen.stop()
    if as_json:
        found = {"rows": json.loads(study.frame.to_json(orient="records", double_precision=15))}
        typer.echo(json.dumps({**found, "probes": study.probes} if study.probes else found, indent=2))
    else:
        for table in tables:
            if table.kind not in ("coordinates", "convergence_matrix"):
                typer.echo(_as_text(session, table))
    failed = study.failures
    reasons = dict.fromkeys(zip(failed["model_a"], failed["model_b"], failed["metric"], failed["reason"], strict=True))
    said: dict[str, str] = {}
    for model_a, model_b, metric, reason in reasons:
        where = f"{model_a} and {model_b}" if model_b else model_a
        said.setdefault(reason, f"{where}, {metric}")
    for reason, where in said.items():
        _say(f"error: {where}: {reason}")
    for problem in problems:
        _say(problem)
    if out is not None:
        _say(f"wrote {out / 'results.parquet'}, results.csv, manifest.json and {len(saved)} files in {out / 'tables'}")
    elif not as_json:
        _say("nothing was written; give --out DIR to keep the long table, its manifest, tables and figures")
    if len(failed) or problems:
        raise typer.Exit(2)


def _as_text(session: Any, table: Any) -> str:
    """A table as the terminal renderer draws it, at the width of this terminal."""
    choice = session.catalog.renderers.choose("terminal")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.txt"
        choice.spec.load()(table, path, **{**choice.params, "width": _width()})
        return path.read_text()


def _width() -> int:
    """Columns of the terminal; wide where the output goes to a file."""
    if not sys.stdout.isatty():
        return int(os.environ.get("COLUMNS", 200))
    return os.get_terminal_size(sys.stdout.fileno()).columns


def _print_rows(title: str, rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    shown = [key for key in (rows[0] if rows else {}) if any(row[key] not in ("", None) for row in rows)]
    table = Table(title=f"{title} ({len(rows)})", title_justify="left")
    for key in shown:
        table.add_column(key, overflow="fold", no_wrap=key == "name")
    for row in rows:
        table.add_row(*(_escaped(str(row[key])) for key in shown))
    Console(width=_width()).print(table)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _warn_of_failures(catalog: Any) -> None:
    for plugin in catalog.report.failures:
        _say(f"plugin {plugin.name!r} failed: {plugin.error} To mend: {plugin.remedy}.")


def _say(text: str) -> None:
    print(f"numgeom: {text}", file=sys.stderr)


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line; a mistake of the user is one line and exit 2, a bug its traceback and exit 1."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except NumgeomError as error:
        _say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        _say("stopped; finished cells are kept, the same command goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
