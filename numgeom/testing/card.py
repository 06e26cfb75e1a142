"""Checks of the card itself: its target, its parameters, and what a cache key must hold of it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from numgeom.specs import Spec
from numgeom.testing.check import Check, require


def card_checks(spec: Spec, *, given: int, keywords: tuple[str, ...] = (), closed: bool = False) -> Iterator[Check]:
    """What every card with a callable target is checked for.

    Parameters
    ----------
    spec : Spec
    given : int
        How many arguments numgeom gives by position, where the target is a function.
    keywords : tuple of str
        Those that it gives by name besides the parameters.
    closed : bool
        Whether ``**kwargs`` of the target is an error.
    """
    yield Check("target", "target", lambda: _loads(spec), spec)
    yield Check("params", "params", lambda: _accepts(spec, given, keywords, closed), spec)
    yield Check("plain_params", "params", lambda: _plain(spec), spec)


def _loads(spec: Spec) -> str:
    target = spec.load()
    require(callable(target), f"its target is {type(target).__name__}, which cannot be called")
    return f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', type(target).__name__)}"


def _accepts(spec: Spec, given: int, keywords: tuple[str, ...], closed: bool) -> str:
    """The parameters of the card are exactly those that the target needs to be told, and all of them exist."""
    target: Any = spec.load()
    try:
        signature = inspect.signature(target)
    except ValueError:
        return "the target has no signature to look at"
    parameters = list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    taken = set() if isinstance(target, type) else {p.name for p in positional[:given]}
    if not isinstance(target, type):
        variable = any(p.kind == p.VAR_POSITIONAL for p in positional)
        require(len(positional) >= given or variable, f"its target must take {given} arguments; it takes {signature}")
    open_ended = any(p.kind == p.VAR_KEYWORD for p in parameters)
    require(not (closed and open_ended), f"its target takes **kwargs {signature}; name the parameters one by one")
    allowed = {p.name for p in named} - taken
    wanted = {*spec.params, *keywords}
    unknown = sorted(wanted - allowed) if not open_ended else []
    require(not unknown, f"its target {signature} does not take {', '.join(unknown)}; mend params or the target")
    untold = sorted(p.name for p in named if p.default is p.empty and p.name not in taken | wanted)
    require(not untold, f"its target {signature} needs {', '.join(untold)}, which params does not give")
    return f"{len(spec.params)} parameters"


def _plain(spec: Spec) -> str:
    """Cache keys and manifests hold the parameters as JSON."""
    try:
        json.dumps(dict(spec.params), allow_nan=False)
    except (TypeError, ValueError) as error:
        require(False, f"its params are not plain data ({error}); use numbers, text, true, false, lists")
    require(spec.version >= 1, f"its version is {spec.version}; it starts at 1 and grows when its numbers change")
    return f"version {spec.version}"
