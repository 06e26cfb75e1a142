"""How one value of a table is written where people read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from numgeom import Incompatible

if TYPE_CHECKING:
    from numgeom import Table

DIGITS = 4


def cell_text(value: Any) -> str:
    """One value as text: four significant digits, nothing for a missing value, everything else as it is.

    Parameters
    ----------
    value : object
        A cell of a data frame.

    Returns
    -------
    str

    Examples
    --------
    >>> [cell_text(v) for v in (0.123456, 12345.678, 2e-17, 442.0, float("nan"), True, 7, "a")]
    ['0.1235', '12346', '2e-17', '442', '', 'yes', '7', 'a']
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return number_text(float(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell_text(part) for part in value)
    return str(value)


def number_text(value: float) -> str:
    """A float with four significant digits, without exponent from 0.0001 to 999999; NaN is empty.

    Examples
    --------
    >>> number_text(0.00012345), number_text(123456.7), number_text(-0.0)
    ('0.0001234', '123457', '0')
    """
    if np.isnan(value):
        return ""
    if 1e4 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value + 0.0:.{DIGITS}g}"


def text_rows(frame: pd.DataFrame) -> list[list[str]]:
    """The cells of a frame as text, row by row.

    Examples
    --------
    >>> text_rows(pd.DataFrame({"model": ["a"], "value": [1 / 3]}))
    [['a', '0.3333']]
    """
    columns = [[cell_text(value) for value in frame[name].array] for name in frame.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def is_numeric(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers, so that it is set flush right.

    Examples
    --------
    >>> is_numeric(pd.Series([1.0])), is_numeric(pd.Series(["1"])), is_numeric(pd.Series([True]))
    (True, False, False)
    """
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def require_kind(table: Table, renderer: str, kinds: Sequence[str]) -> None:
    """Refuse a table of a kind that a renderer cannot draw.

    Raises
    ------
    Incompatible
        If the kind is not among ``kinds``.

    Examples
    --------
    >>> from numgeom import Table
    >>> require_kind(Table("pairs", "convergence_matrix", "", pd.DataFrame()), "heatmap", ["convergence_matrix"])
    """
    if table.kind not in kinds:
        raise Incompatible(
            f"renderer {renderer!r} draws tables of kind {', '.join(kinds)}, and table {table.name!r} is of kind "
            f"{table.kind!r}; use markdown, csv, html or another renderer of any table."
        )
