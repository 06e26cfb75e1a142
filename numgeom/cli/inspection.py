"""Verbs that look at what is there: list, plugins, check, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from numgeom.cli.options import AsJson, PluginsDirs, RegistryFile
from numgeom.cli.printing import Screen, print_rows, say, warn_of_failures
from numgeom.errors import UnknownName


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
            {
                "name": m.name,
                "from": f"{m.source}:{m.id}" + (f"@{m.revision}" if m.revision else ""),
                "family": m.family,
                "size": m.size or None,
                "tokenizer": m.tokenizer,
                "gated": "yes" if m.gated else "",
                "license": m.license,
                "notes": m.notes,
            }
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
    warn_of_failures(catalog)
    print_rows(kind, rows, as_json)


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
    print_rows("plugins", rows, as_json)


def check(
    what: Annotated[str, typer.Argument(help="A name of any kind, a plugin file (my_metric.py), or all.")],
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold plugins to what their cards declare: range, symmetry, invariances, numerics."""
    from numgeom.registry import load_registry, open_catalog
    from numgeom.testing import Report, run_checks, select

    specs = select(what, open_catalog(load_registry(registry), plugins_dir or []))
    report = Report()
    with Screen() as screen:
        for done, spec in enumerate(specs):
            screen(f"check {spec.kind} {spec.name}", done, len(specs))
            if len(specs) > 1 and spec.missing_packages():
                report.absent.append(f"{spec.kind} {spec.name} needs {', '.join(spec.missing_packages())}")
            else:
                report.extend(run_checks(spec))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    elif len(specs) <= 4:
        for spec in specs:
            print_rows(f"{spec.kind} {spec.name}", report.rows(spec), as_json=False)
    else:
        print_rows("cards", report.counts(), as_json=False)
    say(report.summary)
    for failed in report.failures:
        say(f"failed: {failed.kind} {failed.spec}, {failed.check} (from {failed.claim}): {failed.detail}")
    if not report.ok:
        raise typer.Exit(2)


def report(
    folder: Annotated[Path, typer.Argument(help="The --out folder of a run.")],
    out: Annotated[Path | None, typer.Option(help="The page; default: report.html in that folder.")] = None,
    plugins_dir: PluginsDirs = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
) -> None:
    """Write all tables and figures of a study as one HTML page."""
    from numgeom.registry import load_registry, open_catalog
    from numgeom.rendering import write_report
    from numgeom.results import Study

    study = Study.load(folder)
    page = out or folder / "report.html"
    write_report(study.tables(), page, study.manifest, open_catalog(load_registry(registry), plugins_dir or []))
    if as_json:
        typer.echo(json.dumps({"report": str(page)}))
    else:
        say(f"wrote {page}")
