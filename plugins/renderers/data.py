"""Tables as data: every digit, every column type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numgeom import Table


def csv(table: Table, path: Path) -> None:
    r"""Write comma-separated values: the shortest decimal that reads back as the same float; missing is empty.

    Parameters
    ----------
    table : Table
        Title and notes are left out: the file holds data only.
    path : Path

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.csv"
    ...     csv(Table("t", "long", "", pd.DataFrame({"value": [1 / 3]})), path)
    ...     path.read_text(encoding="utf-8")
    'value\n0.3333333333333333\n'
    """
    table.frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def parquet(table: Table, path: Path) -> None:
    """Write Parquet; a column that mixes types (a probe's numbers and words) becomes text.

    Parameters
    ----------
    table : Table
    path : Path

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.parquet"
    ...     parquet(Table("t", "long", "", pd.DataFrame({"value": [1 / 3]})), path)
    ...     float(pd.read_parquet(path)["value"][0]) == 1 / 3
    True
    """
    frame = table.frame.copy()
    for name in frame.columns:
        if frame[name].dtype == object and frame[name].dropna().map(type).nunique() > 1:
            frame[name] = frame[name].map(str, na_action="ignore").astype("string")
    frame.to_parquet(path, index=False, engine="pyarrow")
