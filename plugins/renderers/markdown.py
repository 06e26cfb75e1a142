"""Tables in Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from numgeom_plugins.renderers.cells import is_numeric, text_rows

if TYPE_CHECKING:
    from numgeom import Table

_MARKUP = re.compile(r"[\\`*|\[\]~]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def markdown(table: Table, path: Path) -> None:
    r"""Write a title, a pipe table with numbers flush right, and the notes as a list.

    Parameters
    ----------
    table : Table
    path : Path

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.md"
    ...     markdown(Table("t", "long", "Scores", pd.DataFrame({"model": ["a|b"], "value": [0.5]})), path)
    ...     print(path.read_text(encoding="utf-8"))
    ## Scores
    <BLANKLINE>
    | model | value |
    | --- | ---: |
    | a\|b | 0.5 |
    <BLANKLINE>
    """
    frame = table.frame
    lines = [f"## {escape(table.title)}", ""] if table.title else []
    lines.append(_line([escape(str(name)) for name in frame.columns]))
    lines.append(_line(["---:" if is_numeric(frame[name]) else "---" for name in frame.columns]))
    lines += [_line([escape(cell) for cell in row]) for row in text_rows(frame)]
    if table.notes:
        lines += ["", *(f"- {escape(note)}" for note in table.notes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def escape(text: str) -> str:
    r"""Text that Markdown shows as it is; underscores inside words need nothing.

    Examples
    --------
    >>> print(escape("all_minilm <b>_x_</b> | `y`"))
    all_minilm &lt;b&gt;\_x\_&lt;/b&gt; \| \`y\`
    """
    flat = re.sub(r"\s*[\r\n]+\s*", " ", text)
    return _MARKUP.sub(r"\\\g<0>", flat).translate(_ENTITIES)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
