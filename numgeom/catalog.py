"""Typed look-up of everything that plugins provide, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numgeom.errors import NumberSetError, NumgeomError, PluginError, RegistryError, UnknownName
from numgeom.numbers import NumberSet
from numgeom.plugins import LoadReport, Provided
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

S = TypeVar("S", bound=Spec)
Names = str | Sequence[str]

ALL = "all"

_CALL = re.compile(r"^\s*([A-Za-z0-9_]+)\s*(?:\((.*)\))?\s*$")
_READING = re.compile(r"^\s*([^(]*?)\s*(?:\((.*)\))?\s*$")


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


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of a model, with every parameter.

    Attributes
    ----------
    spec : SourceSpec
        The card that reads it.
    read : str
        As the card calls it: ``input``, ``hidden:6``.
    params : dict
        All parameters of the card: its defaults, overlaid with ``[plugins.params]``, with those of the model, and
        with those written in parentheses.
    name : str
        How tables call it: ``read`` with what was written in parentheses, ``hidden:6(dtype=bfloat16)``.
    head : str
        What stands before ``{}`` where the card lists a pattern, ``hidden:``; else empty.
    """

    spec: SourceSpec
    read: str
    params: Mapping[str, Any]
    name: str
    head: str = ""


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
        params = spec.with_params({**self._overrides.get(spec.name, {}), **_written(match[1], match[2])})
        changed = {key: value for key, value in sorted(params.items()) if value != spec.params[key]}
        inner = ", ".join(f"{key}={value}" for key, value in changed.items())
        label = f"{spec.name}({inner})" if inner else spec.name
        return Choice(spec, params, label, item.plugin, item.version)

    def overrides(self, name: str) -> Mapping[str, Any]:
        """Parameters that the registry sets for ``name``."""
        return self._overrides.get(name, {})

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
            ``"default"`` for the first reading of the scheme's own source.

        Raises
        ------
        UnknownName
            If nothing reads that; the message lists what can be read.
        """
        own = self.sources.get(scheme)
        openers = self._openers(scheme)
        if read == "default":
            if own.reads:
                return own, own.reads[0]
            raise NumgeomError(f"models of scheme {scheme!r} hold no rows; only numgeom probe can look at them.")
        for spec in openers:
            if any(read == pattern or _head(pattern, read) for pattern in spec.reads):
                return spec, read
        readings = [pattern for spec in openers for pattern in spec.reads]
        heads = [pattern.partition("{}")[0] for pattern in readings if "{}" in pattern]
        hint = next((f"Say which: {head}6, {head}0..12 or {head}{ALL}" for head in heads if head == f"{read}:"), "")
        raise UnknownName(f"reading of {scheme!r} models", read, readings, hint)

    def reading(self, model: ModelSpec, text: str) -> Reading:
        """What ``text`` means for a model: ``input``, ``hidden:6``, ``hidden:6(dtype=bfloat16)``.

        Parameters
        ----------
        model : ModelSpec
        text : str
            A reading, optionally with parameters in parentheses.

        Raises
        ------
        UnknownName, PluginError
            If nothing reads that, or a parameter is not one of the source's (a model's parameter: of none of the
            sources that can read it).
        """
        match = _READING.match(text)
        assert match is not None
        spec, read = self.reader(model.source, match[1])
        of_model: dict[str, Any] = {}
        openers = self._openers(model.source)
        for name, value in model.params.items():
            if name in spec.params:
                of_model[name] = value
            elif not any(name in other.params for other in openers):
                openers[0].with_params({name: value})
        base = {**self.sources.overrides(spec.name), **of_model}
        written = _written(read, match[2])
        params = spec.with_params({**base, **written})
        usual = spec.with_params(base)
        inner = ", ".join(f"{key}={params[key]}" for key in sorted(written) if params[key] != usual[key])
        head = next((found for pattern in spec.reads if (found := _head(pattern, read))), "")
        return Reading(spec, read, params, f"{read}({inner})" if inner else read, head)

    def readings(self, model: ModelSpec, text: str) -> list[Reading]:
        """All that ``text`` stands for: ``hidden:0..12``, ``hidden:0,4,8`` and ``hidden:all`` are several readings.

        ``all`` is what the source's ``readings(model, **params)`` lists.

        Raises
        ------
        NumgeomError
            As :meth:`reading`, or if the model cannot be asked what it has.
        """
        one = self.reading(model, text)
        tail = one.read.removeprefix(one.head)
        target: Any = one.spec.load() if one.head and tail == ALL else None
        if target is not None and hasattr(target, "readings"):
            reads = list(target.readings(model, **one.params))
        elif one.head and _is_several(tail):
            reads = [f"{one.head}{value}" for value in NumberSet.parse(tail)]
        else:
            return [one]
        written = text.strip()[len(one.read) :]
        return [self.reading(model, f"{read}{written}") for read in reads]

    def with_layers(self, sources: Sequence[str], layers: str) -> list[str]:
        """Sources with a layer selection entered: ``hidden`` with ``0..12`` is ``hidden:0..12``.

        Raises
        ------
        RegistryError
            If the selection is not one, or no source has layers.
        """
        if layers != ALL:
            try:
                NumberSet.parse(layers)
            except NumberSetError:
                raise RegistryError(
                    f"layers {layers!r} are not understood; write {ALL}, 0..12, 0..32:4 or 0,4,8."
                ) from None
        heads = {
            pattern.partition("{}")[0]
            for item in self.sources
            if isinstance(item.spec, SourceSpec)
            for pattern in item.spec.reads
            if "{}" in pattern
        }
        found = []
        for text in sources:
            bare, bracket, inner = text.partition("(")
            head = f"{bare.strip()}:"
            found.append(f"{head}{layers}{bracket}{inner}" if head in heads else text)
        if found == list(sources):
            names = " or ".join(f"--source {head.rstrip(':')}" for head in sorted(heads)) or "a source that has some"
            raise RegistryError(f"{', '.join(sources)} has no layers to choose; for layers {layers} type {names}.")
        return found

    def _openers(self, scheme: str) -> list[SourceSpec]:
        """The scheme's own source, then the others that open its models."""
        own = self.sources.get(scheme)
        return [own] + [
            item.spec
            for item in self.sources
            if isinstance(item.spec, SourceSpec) and scheme in item.spec.opens() and item.spec.name != scheme
        ]


def reading_order(name: str) -> tuple[str | int, ...]:
    """Sort key of readings: numbers in them by value.

    Examples
    --------
    >>> sorted(["hidden:10", "input", "hidden:2"], key=reading_order)
    ['hidden:2', 'hidden:10', 'input']
    """
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name))


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


def _written(name: str, text: str | None) -> dict[str, Any]:
    """Parameters as written in parentheses."""
    found: dict[str, Any] = {}
    for part in _split(text or ""):
        key, equals, value = part.partition("=")
        if not equals:
            raise PluginError(f"parameter {part.strip()!r} of {name!r} must be written key=value.")
        found[key.strip()] = parse_value(value.strip())
    return found


def _head(pattern: str, read: str) -> str:
    """The part of a pattern before ``{}`` where ``read`` is one of its readings; else empty."""
    head, braces, tail = pattern.partition("{}")
    return head if braces and not tail and read.startswith(head) and read != head else ""


def _is_several(tail: str) -> bool:
    """Whether a selection names more than one: ``0..12`` and ``0,4`` do, ``6`` does not."""
    try:
        return not tail.isdigit() and len(NumberSet.parse(tail)) > 0
    except NumberSetError:
        return False


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
