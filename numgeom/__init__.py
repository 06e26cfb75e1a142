"""numgeom compares how language models represent numbers, every score beside its null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgeom.errors import Incompatible, MeasurementWarning, NumgeomError, SourceError, TokenizerError
from numgeom.figures import Curve, Square
from numgeom.hookspecs import hookimpl
from numgeom.numbers import NumberSet
from numgeom.representation import Representation
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
)
from numgeom.tokenizer import Tokenizer

if TYPE_CHECKING:
    from numgeom.api import compare, geometry, load, probe, run
    from numgeom.arrays import Score, reduce, score
    from numgeom.results import Study
    from numgeom.tables import Table

__version__ = "0.1.0"

# The experiment floor brings pandas, pydantic and joblib; plugins that only announce cards do not wait for it.
_LATER = {
    **dict.fromkeys(("compare", "geometry", "load", "probe", "run"), "numgeom.api"),
    **dict.fromkeys(("Score", "reduce", "score"), "numgeom.arrays"),
    "Study": "numgeom.results",
    "Table": "numgeom.tables",
}

__all__ = [
    "ConvergenceSpec",
    "Curve",
    "GeometrySpec",
    "Incompatible",
    "MeasurementWarning",
    "ModelSpec",
    "NullSpec",
    "NumberSet",
    "NumberSetSpec",
    "NumgeomError",
    "ProbeSpec",
    "ReducerSpec",
    "RendererSpec",
    "Representation",
    "Score",
    "SourceError",
    "SourceSpec",
    "Square",
    "Study",
    "Table",
    "Tokenizer",
    "TokenizerError",
    "compare",
    "geometry",
    "hookimpl",
    "load",
    "probe",
    "reduce",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'numgeom' has no attribute {name!r}")
