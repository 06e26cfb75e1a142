"""Plugins are loaded one by one; what is wrong with one is said and stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from numgeom.catalog import Catalog
from numgeom.errors import PluginError, UnknownName
from numgeom.plugins import HOOKS, LoadReport, load_plugins

GOOD = """
from numgeom import hookimpl, ConvergenceSpec
def one(a, b, *, k=3):
    return float(k)
@hookimpl
def numgeom_convergence_metrics():
    yield ConvergenceSpec(name="NAME", summary="a constant", target=one, params={"k": 3})
"""


def load(folder: Path, **files: str) -> LoadReport:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return load_plugins([folder], entry_points=[])


def failed(report: LoadReport, name: str) -> str:
    (record,) = [plugin for plugin in report.plugins if plugin.name == name]
    assert record.status == "failed"
    assert record.remedy
    assert "\n" not in record.error
    return record.error


def test_a_file_announces_a_metric(tmp_path: Path) -> None:
    report = load(tmp_path, good=GOOD.replace("NAME", "mine"))
    catalog = Catalog(report)
    assert catalog.convergence.names == ["mine"]
    choice = catalog.convergence.choose("mine(k=5)")
    assert choice.params == {"k": 5}
    assert choice.label == "mine(k=5)"
    assert choice.plugin == "good"
    assert choice.plugin_version.startswith("file:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("x = (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "announces nothing; decorate a hook with @numgeom.hookimpl"),
        (
            "from numgeom import hookimpl\n@hookimpl\ndef numgeom_reducer():\n    return []",
            "unknown hook 'numgeom_reducer'; did you mean 'numgeom_reducers'",
        ),
        (
            "from numgeom import hookimpl\n@hookimpl\ndef numgeom_nulls():\n    yield 7",
            "hook numgeom_nulls must give NullSpec, not int",
        ),
        (GOOD.replace("NAME", "fine") + "    raise RuntimeError('too late')", "RuntimeError: too late"),
        (GOOD.replace("NAME", "Bad-Name"), "must match"),
        (GOOD.replace("NAME", "fine").replace("a constant", ""), "needs a summary of one line"),
        (GOOD.replace("NAME", "fine").replace("summary=", "sumary="), "unexpected keyword argument 'sumary'"),
        (
            "from numgeom import hookimpl\n@hookimpl\ndef numgeom_nulls(register):\n    return []",
            "Argument(s) {'register'} are declared in the hookimpl but can not be found in the hookspec",
        ),
    ],
)
def test_a_broken_file_is_one_line_and_stops_no_other(tmp_path: Path, text: str, says: str) -> None:
    report = load(tmp_path, broken=text, good=GOOD.replace("NAME", "mine"))
    assert says in failed(report, "broken")
    assert Catalog(report).convergence.names == ["mine"]


def test_a_name_that_two_plugins_claim_is_an_error_that_names_both(tmp_path: Path) -> None:
    other = GOOD.replace("NAME", "mine") + '    yield ConvergenceSpec(name="other", summary="x", target=one)\n'
    report = load(tmp_path, alpha=GOOD.replace("NAME", "mine"), beta=other)
    assert "and by 'beta'" in failed(report, "beta")
    catalog = Catalog(report)
    with pytest.raises(PluginError, match=r"'mine' is provided by 'alpha' \(.*alpha.py\) and by 'beta' \(.*beta.py\)"):
        catalog.convergence.get("mine")
    with pytest.raises(UnknownName, match="Plugins that failed to load: 'beta'"):
        catalog.convergence.get("other")


def test_unknown_names_get_the_nearest_and_all_allowed(tmp_path: Path) -> None:
    catalog = Catalog(load(tmp_path, good=GOOD.replace("NAME", "mine")))
    with pytest.raises(UnknownName, match=r"unknown convergence metric 'min'; did you mean 'mine'\? Allowed: mine\."):
        catalog.convergence.choose("min")
    with pytest.raises(UnknownName, match=r"unknown parameter of convergence metric 'mine' 'j'"):
        catalog.convergence.choose("mine(j=2)")
    with pytest.raises(PluginError, match="must be written key=value"):
        catalog.convergence.choose("mine(5)")


def test_a_missing_package_is_told_with_its_pip_line(tmp_path: Path) -> None:
    text = GOOD.replace("NAME", "mine").replace("params=", 'requires=("pot_of_gold",), params=')
    catalog = Catalog(load(tmp_path, good=text))
    with pytest.raises(PluginError, match="type: pip install pot_of_gold"):
        catalog.convergence.get("mine").load()


def test_strict_mode_makes_a_failure_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGEOM_STRICT", "1")
    with pytest.raises(PluginError, match=r"'broken'.*ZeroDivisionError"):
        load(tmp_path, broken="1 / 0")


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="does not exist; name a folder with --plugins-dir"):
        load_plugins([tmp_path / "nowhere"], entry_points=[])


class Entry:
    """An entry point in memory."""

    def __init__(self, name: str, value: str, plugin: object) -> None:
        self.name, self.value, self.plugin, self.dist = name, value, plugin, None

    def load(self) -> object:
        if isinstance(self.plugin, Exception):
            raise self.plugin
        return self.plugin


def test_entry_points_are_isolated_and_may_be_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    import numgeom_plugins.nulls as ours

    entries = [
        Entry("third", "third_party", ImportError("no torch")),
        Entry("nulls", "numgeom_plugins.nulls", ours),
    ]
    report = load_plugins(entry_points=entries)
    assert [plugin.status for plugin in report.plugins] == ["loaded", "failed"]
    monkeypatch.setenv("NUMGEOM_PLUGINS", "")
    assert [plugin.name for plugin in load_plugins(entry_points=entries).plugins] == ["nulls"]
    assert load_plugins(entry_points=entries, disable=["nulls"]).plugins == []


def test_every_hook_has_a_card_type_and_takes_nothing() -> None:
    import inspect

    from numgeom import hookspecs

    declared = {name for name in vars(hookspecs) if name.startswith("numgeom_")}
    assert declared == set(HOOKS)
    assert all(not inspect.signature(getattr(hookspecs, name)).parameters for name in declared)
    assert all(getattr(hookspecs, name).__doc__ for name in declared)
