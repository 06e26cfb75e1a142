"""Tables on a terminal, and as the text that a terminal would show."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from numgeom_plugins.renderers.cells import is_numeric, text_rows

if TYPE_CHECKING:
    from numgeom import Table

PADDING = 1
GAP = 2 * PADDING + 1
WIDEST = 10_000
MOST_LEADING = 4


def terminal(table: Table, path: Path, width: int = 0) -> None:
    """Write the table as plain text.

    Parameters
    ----------
    table : Table
    path : Path
    width : int, default 0
        Columns of the terminal; 0 means as wide as the table.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.txt"
    ...     terminal(Table("t", "long", "Scores", pd.DataFrame({"value": [1 / 3]})), path)
    ...     "0.3333" in path.read_text(encoding="utf-8")
    True
    """
    out = io.StringIO()
    console = Console(file=out, width=width or WIDEST, color_system=None, force_terminal=False, legacy_windows=False)
    print_table(table, console)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    path.write_text("\n".join(lines).strip("\n") + "\n", encoding="utf-8", newline="\n")


def print_table(table: Table, console: Console) -> None:
    """Print the table to a console without ever cutting a number.

    Where the console is too narrow, columns that are empty or say the same in every row move to a line
    above; what is still too wide is printed in blocks, each led by the text columns that begin the table.

    Parameters
    ----------
    table : Table
    console : rich.console.Console

    Examples
    --------
    >>> import pandas as pd
    >>> from numgeom import Table
    >>> print_table(Table("t", "long", "", pd.DataFrame({"value": [0.25]})), Console(width=20))
    value
    ─────
     0.25
    """
    names = [str(name) for name in table.frame.columns]
    numeric = [is_numeric(table.frame[name]) for name in table.frame.columns]
    rows = text_rows(table.frame)
    widths = [max(map(cell_len, [*name.split(), *(row[j] for row in rows)])) for j, name in enumerate(names)]
    shown = list(range(len(names)))
    if table.title:
        console.print(Text(table.title, style="bold"))
    if _width(widths, shown) > console.width and len(rows) > 1:
        same = [j for j in shown if all(row[j] == rows[0][j] for row in rows)]
        shown = [j for j in shown if j not in same] or shown
        said = [f"{names[j]} {rows[0][j]}" for j in same if rows[0][j] and j not in shown]
        if said:
            console.print(Text("in every row: " + ", ".join(said), style="dim"))
    for k, block in enumerate(_blocks(widths, numeric, shown, console.width)):
        if k:
            console.print()
        grid = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, PADDING))
        for j in block:
            fits = widths[j] <= console.width // 2
            head = Text(names[j].replace(" ", "\n"))
            grid.add_column(head, justify="right" if numeric[j] else "left", no_wrap=fits, overflow="fold")
        for row in rows:
            grid.add_row(*(Text(row[j]) for j in block))
        console.print(grid)
    for note in table.notes:
        console.print(Text(note, style="dim"))


def _width(widths: list[int], shown: list[int]) -> int:
    return sum(widths[j] + GAP for j in shown)


def _blocks(widths: list[int], numeric: list[bool], shown: list[int], limit: int) -> list[list[int]]:
    """Columns in blocks that fit side by side; those that say what a row is, while they fit in half, lead each.

    That is all up to the last text column among the first few: model, n, row.
    """
    names = [place for place, j in enumerate(shown[:MOST_LEADING]) if not numeric[j]]
    lead = shown[: max([*names, 0]) + 1]
    while len(lead) > 1 and _width(widths, lead) > limit // 2:
        lead = lead[:-1]
    blocks = [list(lead)]
    for j in shown[len(lead) :]:
        if len(blocks[-1]) > len(lead) and _width(widths, [*blocks[-1], j]) > limit:
            blocks.append(list(lead))
        blocks[-1].append(j)
    return blocks
