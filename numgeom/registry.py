"""registry.toml: the models, suites and plugin switches that a study may name. Data only, never code."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from numgeom.catalog import Catalog
from numgeom.errors import RegistryError, UnknownName
from numgeom.numbers import NumberSet
from numgeom.plugins import load_plugins
from numgeom.specs import ModelSpec

FILE = "registry.toml"
BUNDLED = Path(__file__).with_name(FILE)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelEntry(_Entry):
    """One ``[models.NAME]``."""

    source: str = Field(description="scheme that opens the model: checkpoint, hf, rows, vectors, synthetic, demo, ...")
    id: str = Field(description="path, repository or recipe; a path is relative to this file")
    revision: str = Field("", description="commit, tag or branch")
    family: str = Field("", description="models of one family are not independent evidence of convergence")
    size: int = Field(0, ge=0, description="how many parameters; 0 where nobody says")
    tokenizer: str = Field("", description="name of the vocabulary: models that share it are flagged")
    gated: bool = Field(False, description="whether its files need an access token")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the source")
    license: str = ""
    notes: str = ""


class SuiteEntry(_Entry):
    """One ``[suites.NAME]``: a named experiment."""

    summary: str = ""
    models: list[str] = Field(default_factory=list, description="names of [models], or direct specs")
    numbers: list[str] = Field(["0..999"], description="number sets: 0..999, 0..100:10, 0..99@space")
    sources: list[str] = Field(["default"], description="what to read of each model: input, output, ...")
    probes: list[str] = Field(default_factory=list)
    reducers: list[str] = Field(default_factory=list, description="reductions to make and to judge")
    geometry: list[str] = Field(default_factory=list)
    convergence: list[str] = Field(default_factory=list)
    spaces: list[str] = Field(["none"], description="where convergence is measured: none = the rows, or a reducer")
    nulls: list[str] = Field(default_factory=list, description="nulls of convergence scores; default: ours")
    controls: list[str] = Field(
        default_factory=list, description="nulls of geometry metrics and reductions; default: those that each names"
    )
    preprocess: list[str] = Field(default_factory=list, description="chain applied to every representation")
    draws: int = Field(200, ge=9, le=1_000_000, description="null draws of convergence and geometry scores")
    seed: int = Field(0, ge=0)
    render: list[str] = Field(default_factory=list, description="renderers that write files of every table they fit")

    @field_validator("numbers", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class PluginsEntry(_Entry):
    """``[plugins]``: where plugins are, and how they are set."""

    dirs: list[str] = Field(default_factory=list, description="folders of drop-in plugin files, relative to this file")
    disable: list[str] = Field(default_factory=list, description="plugins to leave out")
    params: dict[str, dict[str, Any]] = Field(default_factory=dict, description="parameters by metric, null, ... name")


class RegistryFile(_Entry):
    """A whole registry.toml."""

    version: Literal[1] = Field(alias="schema", description="format of this file")
    plugins: PluginsEntry = PluginsEntry()
    models: dict[str, ModelEntry] = Field(default_factory=dict)
    suites: dict[str, SuiteEntry] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registry:
    """All registry files together; later ones lie over earlier ones, name by name.

    Attributes
    ----------
    models : dict of str to ModelSpec
    bases : dict of str to Path
        The folder of the file that names a model: ids that are paths are relative to it.
    suites : dict of str to SuiteEntry
    plugin_dirs : tuple of Path
    disable : tuple of str
    params : dict
        Parameters by plugin name.
    files : tuple of Path
    digest : str
        Of the bytes of all files.
    """

    models: dict[str, ModelSpec] = field(default_factory=dict)
    bases: dict[str, Path] = field(default_factory=dict)
    suites: dict[str, SuiteEntry] = field(default_factory=dict)
    plugin_dirs: tuple[Path, ...] = ()
    disable: tuple[str, ...] = ()
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    digest: str = ""

    def suite(self, name: str) -> SuiteEntry:
        """The suite called ``name``."""
        if name not in self.suites:
            raise UnknownName("suite", name, self.suites, "Type: numgeom list suites")
        return self.suites[name]

    def model(self, text: str, catalog: Catalog) -> ModelSpec:
        """A model by registry name or by direct spec, optionally ``NAME=SPEC``.

        Parameters
        ----------
        text : str
            ``llama_a``, ``hf:org/name@revision``, ``./folder``, ``rows:file.npz``, ``mine=./folder``.
        catalog : Catalog
            Knows the schemes.

        Raises
        ------
        UnknownName
            If it is neither.
        """
        name, equals, spec = text.partition("=")
        if not equals or not re.fullmatch(r"[\w.\-]+", name):
            name, spec = "", text
        if spec in self.models:
            known = self.models[spec]
            if known.source in catalog.sources and catalog.sources.get(known.source).paths:
                known = replace(known, id=str(self.bases[spec] / Path(known.id).expanduser()))
            return replace(known, name=name) if name else known
        scheme, colon, rest = spec.partition(":")
        if colon and scheme in catalog.sources:
            revision = ""
            if catalog.sources.get(scheme).revisions and "@" in rest:
                rest, revision = rest.rsplit("@", 1)
            return ModelSpec(name=name or _short(rest), source=scheme, id=rest, revision=revision)
        guess = _guess_scheme(Path(spec))
        if guess:
            return ModelSpec(name=name or _short(spec), source=guess, id=spec)
        if colon and re.fullmatch(r"[a-z][a-z0-9_]*", scheme):
            raise UnknownName("model scheme", scheme, catalog.sources.names, "Type: numgeom list sources")
        hint = "A model is a registry name, a folder, a rows file, or scheme:id; type: numgeom list models"
        if spec.startswith((".", "/", "~")) or re.search(r"\.[a-z]+$", spec):
            raise RegistryError(f"there is no file or folder {spec!r}. {hint}")
        if re.fullmatch(r"[\w.\-]+/[\w.\-]+(@[\w.\-/]+)?", spec):
            hint = f"For a hub repository type hf:{spec}. " + hint
        raise UnknownName("model", spec, self.models, hint)


def load_registry(path: Path | None = None, *, start: Path | None = None) -> Registry:
    """Our registry with the user's laid over it.

    Parameters
    ----------
    path : Path, optional
        The user's file; otherwise ``NUMGEOM_REGISTRY``, otherwise the nearest ``registry.toml`` upward.
    start : Path, optional
        Where the upward search begins; by default the current directory.

    Raises
    ------
    RegistryError
        If a file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    if path is None and os.environ.get("NUMGEOM_REGISTRY"):
        path = Path(os.environ["NUMGEOM_REGISTRY"])
    if path is None:
        here = (start or Path.cwd()).resolve()
        path = next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)
    elif not path.is_file():
        raise RegistryError(f"registry file {str(path)!r} does not exist; give --registry an existing registry.toml.")
    files = [BUNDLED.resolve()]
    if path is not None and path.resolve() not in files:
        files.append(path.resolve())
    merged = Registry()
    state = hashlib.blake2b(digest_size=16)
    for file in files:
        content = file.read_bytes()
        state.update(content)
        merged = _lay_over(merged, parse_registry(content, file), file)
    return Registry(
        merged.models,
        merged.bases,
        merged.suites,
        merged.plugin_dirs,
        merged.disable,
        merged.params,
        tuple(files),
        state.hexdigest(),
    )


def open_catalog(registry: Registry | None = None, plugin_dirs: Iterable[Path] = ()) -> Catalog:
    """Load plugins as a registry says, and lay out what they provide.

    Parameters
    ----------
    registry : Registry, optional
        By default the one that :func:`load_registry` finds.
    plugin_dirs : iterable of Path
        Further folders of drop-in files.
    """
    known = registry if registry is not None else load_registry()
    directories = list(dict.fromkeys((*plugin_dirs, *known.plugin_dirs)))
    return Catalog(load_plugins(directories, known.disable), known.params)


def parse_registry(content: bytes, file: Path) -> RegistryFile:
    """One registry file, checked.

    Raises
    ------
    RegistryError
    """
    try:
        data = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"{file}: not valid TOML: {error}.") from error
    try:
        parsed = RegistryFile.model_validate(data)
    except ValidationError as error:
        raise RegistryError(f"{file}: {_explain(error)}") from None
    for name, suite in parsed.suites.items():
        for text in suite.numbers:
            if "{" in text or text[:1].isdigit() or text[:1] == "-":
                _checked_numbers(text, f"{file}: [suites.{name}] numbers")
    return parsed


def make_suite(**values: Any) -> SuiteEntry:
    """A suite from options, with the same checks and the same errors as in a file."""
    try:
        return SuiteEntry.model_validate(values)
    except ValidationError as error:
        raise RegistryError(_explain(error, SuiteEntry)) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of registry.toml, for editors."""
    return RegistryFile.model_json_schema(by_alias=True)


def _checked_numbers(text: str, where: str) -> None:
    try:
        NumberSet.parse(text)
    except Exception as error:
        raise RegistryError(f"{where}: {error}") from None


def _lay_over(below: Registry, above: RegistryFile, file: Path) -> Registry:
    models = {
        name: ModelSpec(
            name=name,
            source=entry.source,
            id=entry.id,
            revision=entry.revision,
            family=entry.family,
            size=entry.size,
            tokenizer=entry.tokenizer,
            gated=entry.gated,
            params=entry.params,
            license=entry.license,
            notes=entry.notes,
        )
        for name, entry in above.models.items()
    }
    return Registry(
        {**below.models, **models},
        {**below.bases, **dict.fromkeys(models, file.parent)},
        {**below.suites, **above.suites},
        below.plugin_dirs + tuple((file.parent / folder).resolve() for folder in above.plugins.dirs),
        below.disable + tuple(above.plugins.disable),
        {**below.params, **above.plugins.params},
    )


def _explain(error: ValidationError, model: type[BaseModel] = RegistryFile) -> str:
    """The first problem as one line, with the nearest allowed key."""
    # A key that is not known explains a required one that is missing.
    problem = next((one for one in error.errors() if one["type"] == "extra_forbidden"), error.errors()[0])
    where = ".".join(str(part) for part in problem["loc"][:-1])
    place = f"[{where}] " if where else ""
    key = str(problem["loc"][-1]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        return f"{place}{UnknownName('key', key, _keys_at(problem['loc'][:-1], model))}"
    shown = repr(problem.get("input"))
    return f"{place}{key}: {problem['msg']}; got {shown if len(shown) < 60 else shown[:57] + '...'}."


def _keys_at(loc: Iterable[int | str], model: type[BaseModel]) -> list[str]:
    tables: Mapping[str, type[BaseModel]] = {"models": ModelEntry, "suites": SuiteEntry, "plugins": PluginsEntry}
    first = next((str(part) for part in loc), "")
    chosen = tables.get(first, model)
    return [info.alias or name for name, info in chosen.model_fields.items()]


def _short(identifier: str) -> str:
    """The table name of a direct spec: the last part of a path without its suffix, or of a repository."""
    last = identifier.rstrip("/").rsplit("/", 1)[-1]
    stem = re.sub(r"\.(safetensors|npz|json|model|tiktoken|txt|gz|vec|gguf)$", "", last.split("?")[0])
    return stem or last or identifier


def _guess_scheme(path: Path) -> str:
    """The scheme of a bare path that exists; empty where it does not."""
    if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"):
        raise RegistryError(
            f"{str(path)!r} is a pickle, which may run code when opened; convert it to safetensors and give the folder."
        )
    if path.is_dir():
        return "checkpoint"
    if path.is_file():
        by_suffix = {".npz": "rows", ".safetensors": "rows", ".txt": "vectors", ".vec": "vectors", ".gz": "vectors"}
        return by_suffix.get(path.suffix, "tokenizer")
    return ""
