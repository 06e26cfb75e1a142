"""Find plugins, load each in isolation, and report what became of it.

pluggy alone lets one broken plugin abort the loading of all; here every entry point, every drop-in
file and every hook call stands in its own ``try``, and a failure becomes a line of the report.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy

from numgeom import hookspecs
from numgeom.errors import NumgeomError, PluginError, UnknownName
from numgeom.specs import (
    ConvergenceSpec,
    GeometrySpec,
    NullSpec,
    NumberSetSpec,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    SourceSpec,
    Spec,
)

GROUP = "numgeom"
OURS = "numgeom_plugins"

HOOKS: dict[str, type[Spec]] = {
    "numgeom_probes": ProbeSpec,
    "numgeom_sources": SourceSpec,
    "numgeom_reducers": ReducerSpec,
    "numgeom_geometry_metrics": GeometrySpec,
    "numgeom_convergence_metrics": ConvergenceSpec,
    "numgeom_nulls": NullSpec,
    "numgeom_renderers": RendererSpec,
    "numgeom_number_sets": NumberSetSpec,
}


@dataclass(frozen=True, slots=True)
class Provided:
    """One card and the plugin that announced it."""

    spec: Spec
    plugin: str
    version: str
    origin: str = ""


@dataclass(slots=True)
class Loaded:
    """What became of one plugin.

    Attributes
    ----------
    name, version, origin : str
        Entry-point name or file stem; distribution version or the file's digest; module or path.
    provides : list of str
        ``"kind name"`` of every card.
    error, remedy : str
        Empty where all went well.
    """

    name: str
    version: str
    origin: str
    provides: list[str] = field(default_factory=list)
    error: str = ""
    remedy: str = ""

    @property
    def status(self) -> str:
        """``"loaded"`` or ``"failed"``."""
        return "failed" if self.error else "loaded"


@dataclass(slots=True)
class LoadReport:
    """All plugins that were found, the cards of those that loaded, and the names that two of them claim."""

    plugins: list[Loaded] = field(default_factory=list)
    provided: list[Provided] = field(default_factory=list)
    conflicts: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def failures(self) -> list[Loaded]:
        """The plugins that failed."""
        return [plugin for plugin in self.plugins if plugin.error]


def load_plugins(
    directories: Sequence[Path] = (), disable: Iterable[str] = (), entry_points: Iterable[Any] | None = None
) -> LoadReport:
    """Load entry points, then the drop-in files of ``directories``, each on its own.

    Parameters
    ----------
    directories : sequence of Path
        Folders whose ``*.py`` files are plugins. They are code: only folders that the user names.
    disable : iterable of str
        Names of plugins to leave out.
    entry_points : iterable of EntryPoint, optional
        Instead of the installed ones of the group ``numgeom`` (tests).

    Returns
    -------
    LoadReport
        Failures included; nothing is raised for them unless ``NUMGEOM_STRICT=1``.

    Raises
    ------
    PluginError
        If a directory does not exist; in strict mode, on any failure.

    Notes
    -----
    ``NUMGEOM_PLUGINS=a,b`` restricts third-party plugins to those names; empty keeps only ours.
    """
    found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    only = os.environ.get("NUMGEOM_PLUGINS")
    wanted = None if only is None else {name.strip() for name in only.split(",") if name.strip()}
    off = set(disable)
    report = LoadReport()
    for entry in sorted(found, key=lambda e: (not e.value.startswith(OURS), e.name, e.value)):
        ours = entry.value.startswith(OURS)
        if entry.name in off or (not ours and wanted is not None and entry.name not in wanted):
            continue
        version = entry.dist.version if getattr(entry, "dist", None) else ""
        record = Loaded(entry.name, version, entry.value)
        report.plugins.append(record)
        package = entry.dist.name if getattr(entry, "dist", None) else entry.value
        _take(report, record, entry.load, f"mend or uninstall it (pip uninstall {package}), or set NUMGEOM_PLUGINS=")
    for directory in directories:
        if not directory.is_dir():
            what = "is a file" if directory.exists() else "does not exist"
            raise PluginError(
                f"plugin directory {str(directory)!r} {what}; name a folder with --plugins-dir or in [plugins] dirs."
            )
        for path in sorted(directory.glob("*.py")):
            if path.stem in off or path.name.startswith("_") or (wanted is not None and path.stem not in wanted):
                continue
            content = hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
            record = Loaded(path.stem, f"file:{content}", str(path))
            report.plugins.append(record)
            _take(
                report, record, lambda path=path: _import_file(path), f"mend {path.name} or take it out of the folder"
            )
    _settle_duplicates(report)
    if report.failures and os.environ.get("NUMGEOM_STRICT") == "1":
        first = report.failures[0]
        raise PluginError(f"plugin {first.name!r} ({first.origin}): {first.error} {first.remedy} (NUMGEOM_STRICT=1).")
    return report


def _take(report: LoadReport, record: Loaded, load: Any, remedy: str) -> None:
    """Load one plugin and collect its cards; any exception of its code becomes its report line."""
    try:
        cards = _cards(load(), record.name)
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, NumgeomError) else f"{type(error).__name__}: "
        record.error = " ".join(f"{kind}{error}".split())
        record.remedy = remedy
        return
    record.provides = sorted(f"{card.kind} {card.name}" for card in cards)
    report.provided.extend(Provided(card, record.name, record.version, record.origin) for card in cards)


def _cards(plugin: Any, name: str) -> list[Spec]:
    """Every card that one plugin announces, checked; a manager of its own keeps it apart from the others."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for attribute in dir(plugin):
        if attribute not in HOOKS and manager.parse_hookimpl_opts(plugin, attribute) is not None:
            raise UnknownName("hook", attribute, HOOKS)
    manager.register(plugin, name=name)
    manager.check_pending()
    cards: list[Spec] = []
    for hook, expected in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            # A generator raises only when it is iterated, so the iteration belongs inside the caller's try.
            for card in implementation.function():
                if not isinstance(card, expected):
                    raise PluginError(f"hook {hook} must give {expected.__name__}, not {type(card).__name__}.")
                cards.append(card)
    if not cards:
        raise PluginError(f"it announces nothing; decorate a hook with @numgeom.hookimpl, one of {', '.join(HOOKS)}.")
    return cards


def _import_file(path: Path) -> Any:
    """Import one drop-in file under a name that no other file shares."""
    digest = hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
    name = f"numgeom_dropin_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path.name} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # Lazy targets and unpickling in worker processes look the module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _settle_duplicates(report: LoadReport) -> None:
    """A name that two plugins claim belongs to neither, and the later plugin counts as failed."""
    owners: dict[tuple[str, str], list[Provided]] = {}
    for item in report.provided:
        owners.setdefault((item.spec.kind, item.spec.name), []).append(item)
    for (kind, name), items in sorted(owners.items()):
        if len(items) == 1:
            continue
        providers = " and by ".join(f"{item.plugin!r} ({item.origin})" for item in items)
        message = f"{kind} {name!r} is provided by {providers}."
        report.conflicts[kind, name] = message
        for record in report.plugins:
            if record.origin in {item.origin for item in items[1:]}:
                record.error = message
                record.remedy = f"rename it, or leave one out with [plugins] disable = [{record.name!r}]"
    failed = {record.origin for record in report.failures}
    report.provided = [item for item in report.provided if item.origin not in failed]
