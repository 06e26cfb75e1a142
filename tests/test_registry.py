"""registry.toml is checked, merged by name, and says what is wrong where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from numgeom.errors import RegistryError, UnknownName
from numgeom.registry import json_schema, load_registry, make_suite, open_catalog


def write(folder: Path, text: str) -> Path:
    path = folder / "registry.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "schema = 1\n[suites.s]\nmetrcs = []",
            r"\[suites.s\] unknown key 'metrcs'.*convergence",
        ),
        ("schema = 1\n[suites.s]\nconvergance = []", "did you mean 'convergence'"),
        ("schema = 1\n[models.m]\nid = 'x'", r"\[models.m\] source: Field required"),
        ("schema = 1\n[models.m]\nsource = 'rows'\nid = 'x'\ndtype = 'f'", "unknown key 'dtype'"),
        ("schema = 2", "schema: Input should be 1"),
        ("schema = 1\n[suites.s]\ndraws = 3", "draws: Input should be greater than or equal to 9; got 3"),
        ("schema = 1\n[suites.s]\nnumbers = '0-99'", r"\[suites.s\] numbers: number set '0-99' is not understood"),
        ("schema = ", "not valid TOML"),
        ("schema = 1\n[sweets]", "unknown key 'sweets'; did you mean 'suites'"),
    ],
)
def test_a_wrong_file_is_one_line_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RegistryError, match=says) as caught:
        load_registry(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_users_file_lies_over_ours(tmp_path: Path) -> None:
    (tmp_path / "rows.npz").write_bytes(b"")
    path = write(tmp_path, "schema = 1\n[models.mine]\nsource='rows'\nid='rows.npz'\n[suites.quickstart]\ndraws=11")
    registry = load_registry(path)
    assert registry.model("mine", open_catalog(registry)).id == str(tmp_path / "rows.npz")
    (tmp_path / "line").mkdir()
    path.write_text("schema = 1\n[models.formula]\nsource='synthetic'\nid='line'\n[suites.quickstart]\ndraws=11")
    registry = load_registry(path)
    assert registry.model("formula", open_catalog(registry)).id == "line"
    assert registry.suite("quickstart").draws == 11
    assert len(registry.files) == 2
    assert registry.digest != load_registry(start=Path("/")).digest


def test_the_nearest_file_upward_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "schema = 1\n[suites.above]\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert "above" in load_registry().suites


def test_a_missing_file_and_unknown_suite_are_said(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="give --registry an existing"):
        load_registry(tmp_path / "none.toml")
    with pytest.raises(UnknownName, match="numgeom list suites"):
        load_registry(start=Path("/")).suite("quickstrat")


def test_options_are_checked_like_a_file() -> None:
    with pytest.raises(RegistryError, match="draws"):
        make_suite(draws=1)


def test_plugin_switches_reach_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "sets.py").write_text(
        "from numgeom import hookimpl, NumberSetSpec\n@hookimpl\ndef numgeom_number_sets():\n"
        "    return [NumberSetSpec(name='decades', summary='tens', target='0..90:10')]\n"
    )
    path = write(
        tmp_path,
        "schema = 1\n[plugins]\ndirs = ['extra']\ndisable = ['renderers']\n[plugins.params.mutual_knn_cosine]\nk = 7",
    )
    catalog = open_catalog(load_registry(path))
    assert catalog.number_sets.names == ["decades"]
    assert catalog.renderers.names == []
    assert catalog.convergence.choose("mutual_knn_cosine").label == "mutual_knn_cosine(k=7)"


def test_direct_specs_are_told_from_names(tmp_path: Path) -> None:
    registry = load_registry(start=Path("/"))
    catalog = open_catalog(registry)
    assert registry.model("hf:org/name@v1", catalog).revision == "v1"
    assert registry.model("mine=hf:org/name", catalog).name == "mine"
    (tmp_path / "folder").mkdir()
    assert registry.model(str(tmp_path / "folder"), catalog).source == "checkpoint"
    (tmp_path / "rows.npz").write_bytes(b"")
    assert registry.model(str(tmp_path / "rows.npz"), catalog).name == "rows"
    with pytest.raises(RegistryError, match=r"there is no file or folder 'nosuch\.npz'"):
        registry.model("nosuch.npz", catalog)
    with pytest.raises(UnknownName, match="type hf:org/name"):
        registry.model("org/name", catalog)
    with pytest.raises(UnknownName, match="unknown model scheme 'hff'"):
        registry.model("hff:org/name", catalog)


def test_the_published_json_schema_is_this_one() -> None:
    published = Path(__file__).resolve().parents[1] / "docs" / "registry.schema.json"
    assert json.loads(published.read_text()) == json_schema()


def test_our_own_suites_resolve() -> None:
    from numgeom.plan import plan, resolve

    registry = load_registry(start=Path("/"))
    catalog = open_catalog(registry)
    assert registry.suites
    for name, suite in registry.suites.items():
        if suite.models:
            assert plan(resolve(name, suite, registry, catalog), catalog)
