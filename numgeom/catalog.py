"""Typed look-up of everything that plugins provide, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numgeom.errors import NumgeomError, PluginError, UnknownName
from numgeom.plugins import LoadReport, Provided
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

S = TypeVar("S", bound=Spec)
Names = str | Sequence[str]

_CALL = re.compile(r"^\s*([A-Za-z0-9_]+)\s*(?:\((.*)\))?\s*$")


@dataclass(frozen=True, slots=True)
class Choice(Generic[S]):
    """A card together with the parameters that the user chose for it.

    Attributes
    ----------
    spec : Spec
    params : dict
        All parameters of the target, defaults included.
    label : str
        The name, with the parameters that differ from their default: ``mutual_knn_cosine(k=5)``.
    plugin, plugin_version : str
    """

    spec: S
    params: Mapping[str, Any]
    label: str
    plugin: str
    plugin_version: str


class Shelf(Generic[S]):
    """The cards of one kind."""

    def __init__(self, kind: type[S], report: LoadReport, overrides: Mapping[str, Mapping[str, Any]]) -> None:
        self._kind = kind
        self._report = report
        self._overrides = overrides
        mine = [item for item in report.provided if isinstance(item.spec, kind)]
        self._items = {item.spec.name: item for item in sorted(mine, key=lambda item: item.spec.name)}

    def __iter__(self) -> Iterator[Provided]:
        return iter(self._items.values())

    def __contains__(self, name: str) -> bool:
        return name in self._items

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self._items)

    def get(self, name: str) -> S:
        """The card called ``name``.

        Raises
        ------
        UnknownName
            With the nearest name, all allowed ones, and the plugins that failed to load if there are any.
        """
        spec = self._find(name).spec
        assert isinstance(spec, self._kind)
        return spec

    def choose(self, text: str) -> Choice[S]:
        """Read ``name`` or ``name(key=value, ...)``.

        Raises
        ------
        UnknownName, PluginError
        """
        match = _CALL.match(text)
        if match is None:
            raise PluginError(f"{self._kind.kind} {text!r} is not understood; write name or name(key=value).")
        item = self._find(match[1])
        spec = item.spec
        assert isinstance(spec, self._kind)
        given: dict[str, Any] = dict(self._overrides.get(spec.name, {}))
        for part in _split(match[2] or ""):
            key, equals, value = part.partition("=")
            if not equals:
                raise PluginError(f"parameter {part.strip()!r} of {match[1]!r} must be written key=value.")
            given[key.strip()] = parse_value(value.strip())
        params = spec.with_params(given)
        changed = {key: value for key, value in sorted(params.items()) if value != spec.params[key]}
        inner = ", ".join(f"{key}={value}" for key, value in changed.items())
        label = f"{spec.name}({inner})" if inner else spec.name
        return Choice(spec, params, label, item.plugin, item.version)

    def defaults(self) -> list[Choice[S]]:
        """What is used when the user names none, in its order."""
        ranked = sorted((item.spec.default, item.spec.name) for item in self if item.spec.default > 0)
        return [self.choose(name) for _, name in ranked]

    def _find(self, name: str) -> Provided:
        conflict = self._report.conflicts.get((self._kind.kind, name))
        if conflict:
            raise PluginError(f"{conflict} Rename one, or leave a plugin out; see numgeom plugins.")
        if name not in self._items:
            broken = ", ".join(repr(plugin.name) for plugin in self._report.failures)
            hint = f"Plugins that failed to load: {broken}; see numgeom plugins." if broken else ""
            raise UnknownName(self._kind.kind, name, self._items, hint)
        return self._items[name]


class Catalog:
    """Everything that can be named, by kind.

    Parameters
    ----------
    report : LoadReport
    overrides : mapping, optional
        Parameters by name that replace a card's defaults (``[plugins.params.NAME]`` of a registry).

    Examples
    --------
    >>> from numgeom.plugins import LoadReport
    >>> Catalog(LoadReport()).nulls.names
    []
    """

    def __init__(self, report: LoadReport, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.report = report
        params = overrides or {}
        self.probes = Shelf(ProbeSpec, report, params)
        self.sources = Shelf(SourceSpec, report, params)
        self.reducers = Shelf(ReducerSpec, report, params)
        self.geometry = Shelf(GeometrySpec, report, params)
        self.convergence = Shelf(ConvergenceSpec, report, params)
        self.nulls = Shelf(NullSpec, report, params)
        self.renderers = Shelf(RendererSpec, report, params)
        self.number_sets = Shelf(NumberSetSpec, report, params)

    def reader(self, scheme: str, read: str) -> tuple[SourceSpec, str]:
        """The source that reads ``read`` of models opened by ``scheme``, and the reading's full name.

        Parameters
        ----------
        scheme : str
        read : str
            ``"default"`` for the first reading of the scheme.

        Raises
        ------
        UnknownName
            If nothing reads that; the message lists what can be read.
        """
        own = self.sources.get(scheme)
        openers = [own] + [
            item.spec
            for item in self.sources
            if isinstance(item.spec, SourceSpec) and scheme in item.spec.opens() and item.spec.name != scheme
        ]
        if read == "default":
            for spec in openers:
                if spec.reads:
                    return spec, spec.reads[0]
            raise NumgeomError(f"models of scheme {scheme!r} hold no rows; only numgeom probe can look at them.")
        for spec in openers:
            for pattern in spec.reads:
                head, _, tail = pattern.partition("{}")
                if read == pattern or (tail == "" and head != pattern and read.startswith(head) and read != head):
                    return spec, read
        raise UnknownName(
            f"reading of {scheme!r} models", read, [pattern for spec in openers for pattern in spec.reads]
        )


def parse_value(text: str) -> Any:
    """A parameter value as typed by a user: integer, float, true/false, or text.

    Examples
    --------
    >>> parse_value("5"), parse_value("0.5"), parse_value("true"), parse_value("cosine")
    (5, 0.5, True, 'cosine')
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("'\"")


def split_list(text: str) -> list[str]:
    """Comma-separated names, commas inside parentheses left alone.

    Examples
    --------
    >>> split_list("cka_linear, order_modes(q=10,bases=n)")
    ['cka_linear', 'order_modes(q=10,bases=n)']
    """
    return [part.strip() for part in _split(text) if part.strip()]


def as_names(names: Names | None) -> list[str] | None:
    """One comma-separated text or a sequence of names, as a list.

    Examples
    --------
    >>> as_names("a, b(k=1,j=2)"), as_names(["c"]), as_names(None)
    (['a', 'b(k=1,j=2)'], ['c'], None)
    """
    if names is None:
        return None
    return split_list(names) if isinstance(names, str) else list(names)


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if text[start:].strip():
        parts.append(text[start:])
    return parts
