"""What a metric or a probe found that is no single number: series and squares, kept and drawn beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.errors import PluginError

F64 = npt.NDArray[np.float64]

COLUMNS = (
    *("kind", "metric", "figure", "model", "source", "numbers", "series", "null", "x", "y", "sd", "value"),
    *("x_label", "y_label", "points"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """A series ``y`` over ``x``: a profile over lags, a spectrum, the ids of pieces against the number.

    Parameters
    ----------
    x, y : ndarray, shape (m,)
        Finite.
    x_label, y_label : str
        What they are, with their unit.
    series : str
        Its name where a figure holds several.
    points : bool
        Whether neighbours in x have nothing to do with one another, so that no line joins them.

    Examples
    --------
    >>> Curve(x=np.arange(3), y=np.arange(3) ** 2, x_label="lag", y_label="cosine").y.tolist()
    [0.0, 1.0, 4.0]
    """

    x: npt.ArrayLike
    y: npt.ArrayLike
    x_label: str
    y_label: str
    series: str = ""
    points: bool = False

    def __post_init__(self) -> None:
        x, y = np.asarray(self.x, dtype=np.float64), np.asarray(self.y, dtype=np.float64)
        if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise PluginError(f"a curve needs finite x and y of one length; got shapes {x.shape} and {y.shape}.")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the cache."""
        x, y = np.asarray(self.x), np.asarray(self.y)
        labels = {"x_label": self.x_label, "y_label": self.y_label, "series": self.series, "points": self.points}
        return {"x": x.tolist(), "y": y.tolist(), **labels}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Square:
    """A value for every pair of some numbers: a matrix of cosines.

    Parameters
    ----------
    labels : ndarray of int, shape (m,)
        The numbers, for rows and columns.
    values : ndarray, shape (m, m)
        Finite.
    label : str
        What a value is.

    Examples
    --------
    >>> Square(labels=np.arange(2), values=np.eye(2), label="cosine").as_dict()["y"]
    [0.0, 1.0, 0.0, 1.0]
    """

    labels: npt.ArrayLike
    values: npt.ArrayLike
    label: str

    def __post_init__(self) -> None:
        labels, values = np.asarray(self.labels, dtype=np.float64), np.asarray(self.values, dtype=np.float64)
        if values.shape != (labels.size, labels.size) or not np.isfinite(values).all():
            raise PluginError(f"a square of {labels.size} labels needs as many finite rows and columns.")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "values", values)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the cache: rows are ``x``, columns ``y``."""
        labels, values = np.asarray(self.labels), np.asarray(self.values)
        rows, columns = np.meshgrid(labels, labels, indexing="ij")
        held = {"x": rows.ravel().tolist(), "y": columns.ravel().tolist(), "value": values.ravel().tolist()}
        return {**held, "x_label": "number", "y_label": self.label, "series": "", "points": False}


def split(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Curve | Square]]]:
    """What a metric or a probe returned, as its plain values and its figures.

    A figure is a :class:`Square`, a :class:`Curve`, or a sequence of curves that share their axes.
    """
    plain: dict[str, Any] = {}
    figures: dict[str, list[Curve | Square]] = {}
    for name, value in found.items():
        if isinstance(value, Curve | Square):
            figures[name] = [value]
        elif isinstance(value, Sequence) and value and all(isinstance(one, Curve) for one in value):
            figures[name] = list(value)
        else:
            plain[name] = value
    return plain, figures


def entries(
    figures: Mapping[str, Sequence[Curve | Square]],
    null: str = "",
    drawn: Sequence[Mapping[str, Sequence[Curve | Square]]] = (),
) -> list[dict[str, Any]]:
    """Figures as plain data: the observed ones, and the mean and sd of each curve over the draws of a null."""
    held = [{"figure": name, "null": "", **one.as_dict()} for name, several in figures.items() for one in several]
    for name, several in figures.items() if drawn else ():
        for place, one in enumerate(several):
            if isinstance(one, Square):
                continue
            ys = np.stack([np.asarray(draw[name][place].as_dict()["y"]) for draw in drawn])
            mean = replace(one, y=ys.mean(axis=0))
            held.append({"figure": name, "null": null, **mean.as_dict(), "sd": ys.std(axis=0).tolist()})
    return held
