"""From cards to checks, and the checks as a report, as pytest parameters, or by name and file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numgeom.catalog import Catalog
from numgeom.errors import NumgeomError, PluginError, UnknownName
from numgeom.plugins import load_plugins
from numgeom.specs import (
    ConvergenceSpec,
    GeometrySpec,
    ModelSpec,
    NullSpec,
    NumberSetSpec,
    ProbeSpec,
    ReducerSpec,
    RendererSpec,
    SourceSpec,
    Spec,
)
from numgeom.testing.check import Check, CheckFailed, Report, require_reasons, run_all
from numgeom.testing.convergence import convergence_checks
from numgeom.testing.geometry import geometry_checks
from numgeom.testing.nulls import null_checks
from numgeom.testing.number_sets import number_set_checks
from numgeom.testing.probes import probe_checks
from numgeom.testing.reducers import reducer_checks
from numgeom.testing.renderers import renderer_checks
from numgeom.testing.sources import source_checks

EVERYTHING = "all"

_CHECKS: dict[type[Spec], Callable[[Any], Iterator[Check]]] = {
    ConvergenceSpec: convergence_checks,
    GeometrySpec: geometry_checks,
    NullSpec: null_checks,
    NumberSetSpec: number_set_checks,
    ProbeSpec: probe_checks,
    ReducerSpec: reducer_checks,
    RendererSpec: renderer_checks,
}


def checks(spec: Spec, *, model: ModelSpec | None = None) -> Iterator[Check]:
    """The checks that follow from a card; one that does not apply is not among them.

    Parameters
    ----------
    spec : Spec
        A card of any kind.
    model : ModelSpec, optional
        For a source: a model that it opens, so that what it reads can be checked too.

    Yields
    ------
    Check
        Each names the declared property from which it follows.

    Raises
    ------
    NumgeomError
        If a model is given for a card that is no source.

    Examples
    --------
    >>> from numgeom import NumberSetSpec
    >>> [check.name for check in checks(NumberSetSpec(name="tens", summary="tens", target="0..90:10"))]
    ['parses']
    """
    if isinstance(spec, SourceSpec):
        yield from source_checks(spec, model)
        return
    if model is not None:
        raise NumgeomError(f"a model is given for {spec.kind} {spec.name!r}; only sources read models.")
    for kind, derive in _CHECKS.items():
        if isinstance(spec, kind):
            yield from derive(spec)


def run_checks(
    spec: Spec, expected_failures: Mapping[str, str] | None = None, *, model: ModelSpec | None = None
) -> Report:
    """Run every check of a card.

    Parameters
    ----------
    spec : Spec
    expected_failures : mapping of str to str, optional
        Name of a check to the reason why it must fail. If it passes all the same, that is a failure.
    model : ModelSpec, optional
        For a source.

    Returns
    -------
    Report
        Not ``ok`` if anything failed, or if there was nothing to check.

    Raises
    ------
    PluginError
        If a package that the card requires is missing, with the pip line.
    NumgeomError
        If an expected failure has no reason or names no check.

    Examples
    --------
    >>> from numgeom import NumberSetSpec
    >>> run_checks(NumberSetSpec(name="tens", summary="tens", target="0..90:10")).summary
    '1 check of 1 card: 1 passed, 0 failed, 0 xfailed'
    """
    if spec.missing_packages():
        spec.load()
    return run_all(spec, checks(spec, model=model), expected_failures or {})


def parametrize_with_checks(
    specs: Sequence[Spec], expected_failures: Mapping[str, Mapping[str, str]] | None = None
) -> Any:
    """A pytest decorator: the test's argument ``check`` is each check of each card in turn.

    Parameters
    ----------
    specs : sequence of Spec
    expected_failures : mapping, optional
        Name of a card to a mapping of check to reason; each becomes a strict ``xfail``.

    Returns
    -------
    pytest.MarkDecorator

    Raises
    ------
    NumgeomError
        If there is nothing to check, an expected failure has no reason, or names no card or check.

    Examples
    --------
    >>> from numgeom import NumberSetSpec
    >>> @parametrize_with_checks([NumberSetSpec(name="tens", summary="tens", target="0..90:10")])
    ... def test_conformance(check):
    ...     check()
    """
    import pytest

    expected = expected_failures or {}
    names = [spec.name for spec in specs]
    for name in expected:
        if name not in names:
            raise UnknownName("card of expected failures", name, names)
    cases = []
    for spec in specs:
        found = list(checks(spec))
        reasons = expected.get(spec.name, {})
        require_reasons(spec, found, reasons)
        if not found:
            raise NumgeomError(f"no check follows from {spec.kind} {spec.name!r}: nothing would be tested.")
        for check in found:
            reason = reasons.get(check.name)
            marks = [pytest.mark.xfail(reason=reason, strict=True, raises=CheckFailed)] if reason else []
            cases.append(pytest.param(check, id=check.id, marks=marks))
    if not cases:
        raise NumgeomError("no card is given: nothing would be tested.")
    return pytest.mark.parametrize("check", cases)


def select(what: str, catalog: Catalog) -> list[Spec]:
    """The cards that a user names.

    Parameters
    ----------
    what : str
        A name of any kind (of several kinds at once, where it exists in several), a drop-in file
        ``path/to/plugin.py``, which is loaded by itself, or ``all``.
    catalog : Catalog

    Returns
    -------
    list of Spec
        By kind and name.

    Raises
    ------
    PluginError
        If the file does not load, with what went wrong; or if two plugins claim the name.
    UnknownName
        If nothing has that name.
    """
    if what.endswith(".py"):
        return _of_file(Path(what))
    provided = [item.spec for item in catalog.report.provided]
    found = [spec for spec in provided if what in (EVERYTHING, spec.name)]
    claimed = [line for (_, name), line in catalog.report.conflicts.items() if name == what]
    if claimed:
        raise PluginError(f"{claimed[0]} Rename one, or leave a plugin out; see numgeom plugins.")
    if not found:
        broken = ", ".join(repr(plugin.name) for plugin in catalog.report.failures)
        hint = (
            f"Plugins that failed to load: {broken}; see numgeom plugins." if broken else "Or give a .py file, or all."
        )
        raise UnknownName("plugin", what, {spec.name for spec in provided}, hint)
    return sorted(found, key=lambda spec: (spec.kind, spec.name))


def _of_file(path: Path) -> list[Spec]:
    """The cards of one drop-in file; its neighbours in the folder are left alone."""
    if not path.is_file():
        raise PluginError(f"plugin file {str(path)!r} does not exist; give the path of a .py file, or a name.")
    if path.name.startswith("_"):
        raise PluginError(f"{path.name} begins with an underscore, which keeps a file from being a plugin; rename it.")
    others = [other.stem for other in path.parent.glob("*.py") if other.name != path.name]
    report = load_plugins([path.parent], disable=others, entry_points=())
    for failed in report.failures:
        raise PluginError(f"{path.name} does not load: {failed.error} To mend: {failed.remedy}.")
    return sorted((item.spec for item in report.provided), key=lambda spec: (spec.kind, spec.name))
