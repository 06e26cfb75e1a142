"""Verbs that run a study: compare, run, probe, geometry."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from numgeom.cli.options import (
    AsJson,
    Backend,
    Draws,
    Jobs,
    Layers,
    Metrics,
    Models,
    NoCache,
    Numbers,
    Out,
    PluginsDirs,
    Preprocess,
    RegistryFile,
    Render,
    Seed,
    Sources,
)
from numgeom.cli.printing import Screen, as_text, say, warn_of_failures
from numgeom.errors import NumgeomError


def compare(
    models: Models,
    numbers: Numbers = None,
    metrics: Metrics = None,
    source: Sources = "default",
    layers: Layers = None,
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

    with Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        suite = session.compare_suite(
            models,
            numbers=numbers or ["0..999"],
            metrics=split_list(metrics) if metrics else None,
            sources=session.sources(source, layers),
            reducers=split_list(reducers),
            nulls=split_list(nulls) if nulls else None,
            layered=layers is not None,
            preprocess=split_list(preprocess),
            draws=draws,
            seed=seed,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("compare", suite), out, as_json, screen)


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

    with Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        entry = session.registry.suite(suite)
        if models:
            entry = entry.model_copy(update={"models": split_list(models)})
        _finish(session, session.experiment(suite, entry), out, as_json, screen)


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

    with Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, 1, "loky", screen)
        suite = make_suite(
            models=models,
            numbers=numbers or ["0..999"],
            probes=split_list(probes) if probes else session.catalog.probes.names,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("probe", suite), out, as_json, screen)


def geometry(
    models: Models,
    numbers: Numbers = None,
    metrics: Annotated[
        str | None, typer.Option(help="Comma-separated; default: those of first interest; all: every one.")
    ] = None,
    nulls: Annotated[str, typer.Option(help="Held against all of them; default: what each metric names.")] = "",
    source: Sources = "default",
    layers: Layers = None,
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
    from numgeom.api import geometry_names
    from numgeom.catalog import split_list
    from numgeom.registry import make_suite

    with Screen() as screen:
        session = _open(registry, plugins_dir, no_cache, jobs, backend, screen)
        suite = make_suite(
            models=models,
            numbers=numbers or ["0..999"],
            geometry=geometry_names(split_list(metrics) if metrics else None, session.catalog),
            controls=split_list(nulls),
            sources=session.sources(source, layers),
            reducers=split_list(reducers),
            preprocess=split_list(preprocess),
            draws=draws,
            seed=seed,
            render=_render_names(session, render),
        )
        _finish(session, session.experiment("geometry", suite), out, as_json, screen)


def _open(
    registry: Path | None, plugins_dir: Sequence[Path] | None, no_cache: bool, jobs: int, backend: str, screen: Screen
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
    warn_of_failures(session.catalog)
    return session


def _render_names(session: Any, text: str | None) -> list[str]:
    from numgeom.catalog import split_list

    return split_list(text) if text else [choice.label for choice in session.catalog.renderers.defaults()]


def _make(folder: Path) -> None:
    """Refuse a folder that cannot be written before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NumgeomError(f"cannot write to {str(folder)!r}: {error.strerror}; give --out another folder.") from None


def _finish(session: Any, experiment: Any, out: Path | None, as_json: bool, screen: Screen) -> None:
    """Run, save, print; exit 2 if a cell failed, with one line a reason."""
    from numgeom.rendering import render_tables

    if out is not None:
        _make(out)
    study = session.run(experiment, sys.argv)
    tables = study.tables()
    saved: list[Path] = []
    problems: list[str] = []
    if out is not None:
        study.save(out)
        saved, problems = render_tables(tables, experiment.render, out / "tables")
    screen.stop()
    if as_json:
        rows = study.frame.astype(object).where(study.frame.notna(), None).to_dict(orient="records")
        found: dict[str, Any] = {"rows": rows}
        typer.echo(json.dumps({**found, "probes": study.probes} if study.probes else found, indent=2))
    else:
        for table in tables:
            if table.kind not in ("coordinates", "convergence_matrix", "curves", "squares", "fingerprint"):
                typer.echo(as_text(session, table))
    failed = study.failures
    nothing = not (study.frame["status"] == "ok").any()
    said: dict[str, str] = {}
    for _, row in (study.frame if nothing else failed).iterrows():
        where = f"{row['model_a']} and {row['model_b']}" if row["model_b"] else row["model_a"]
        blamed = any(row["reason"].startswith(f"{name}: ") for name in (row["model_a"], row["model_b"]) if name)
        said.setdefault(row["reason"], f"{row['status']}: " + ("" if blamed else f"{where}, {row['metric']}: "))
    for reason, lead in said.items():
        say(f"{lead}{reason}")
    if "cache_problem" in study.manifest:
        say(study.manifest["cache_problem"])
    for problem in problems:
        say(problem)
    if out is not None:
        say(f"wrote {out / 'results.parquet'}, results.csv, manifest.json and {len(saved)} files in {out / 'tables'}")
    elif not as_json:
        say("nothing was written; give --out DIR to keep the long table, its manifest, tables and figures")
    if len(failed) or problems or nothing:
        raise typer.Exit(2)
