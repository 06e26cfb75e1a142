"""Hand tables to renderer plugins and write what they draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numgeom.catalog import Catalog, Choice
from numgeom.errors import NumgeomError
from numgeom.outcome import one_line
from numgeom.registry import open_catalog
from numgeom.specs import RendererSpec
from numgeom.tables import Table


def render_tables(
    tables: Iterable[Table], renderers: Sequence[Choice[RendererSpec]], folder: Path
) -> tuple[list[Path], list[str]]:
    """Write every table with every renderer that fits it.

    Parameters
    ----------
    tables : iterable of Table
    renderers : sequence of Choice
    folder : Path
        Created if it is not there.

    Returns
    -------
    paths : list of Path
    problems : list of str
        One line for each file that a renderer could not write; the others are written all the same.
    """
    paths, problems = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for choice in renderers:
            if choice.spec.tables and table.kind not in choice.spec.tables:
                continue
            path = folder / f"{table.name}{choice.spec.suffix}"
            try:
                choice.spec.load()(table, path, **choice.params)
                paths.append(path)
            except Exception as error:
                problems.append(one_line(f"renderer {choice.label} failed on {table.name}: {error}"))
    return paths, problems


def write_report(
    tables: Sequence[Table], path: Path, manifest: Mapping[str, Any], catalog: Catalog | None = None
) -> Path:
    """All tables on one self-contained page.

    Raises
    ------
    NumgeomError
        If no renderer makes reports.
    """
    shelf = (catalog or open_catalog()).renderers
    for name in shelf.names:
        if "report" in shelf.get(name).tables:
            try:
                shelf.get(name).load()(tables, path, manifest)
            except OSError as error:
                raise NumgeomError(f"cannot write {str(path)!r}: {error.strerror}; name a file in a folder.") from None
            return path
    raise NumgeomError("no renderer makes reports; see numgeom list renderers.")
