"""Tables in LaTeX, with booktabs rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from numgeom_plugins.renderers.cells import is_numeric, text_rows

if TYPE_CHECKING:
    from numgeom import Table

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
    }
)


def latex(table: Table, path: Path) -> None:
    r"""Write a ``table`` environment; the document needs ``\usepackage{booktabs}`` and T1 fonts.

    Parameters
    ----------
    table : Table
        The title becomes the caption, the notes small lines below.
    path : Path

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.tex"
    ...     latex(Table("t", "long", "", pd.DataFrame({"model": ["a_b"], "value": [0.5]})), path)
    ...     print(path.read_text(encoding="utf-8").splitlines()[-4])
    a\_b & 0.5 \\
    """
    frame = table.frame
    columns = "".join("r" if is_numeric(frame[name]) else "l" for name in frame.columns)
    lines = [r"% \usepackage{booktabs} \usepackage[T1]{fontenc}", r"\begin{table}", r"\centering"]
    if table.title:
        lines.append(rf"\caption{{{escape(table.title)}}}")
    lines += [rf"\label{{tab:{re.sub('[^A-Za-z0-9:.-]+', '-', table.name)}}}", rf"\begin{{tabular}}{{{columns}}}"]
    lines += [r"\toprule", _row([str(name) for name in frame.columns]), r"\midrule"]
    lines += [_row(row) for row in text_rows(frame)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {escape(note)}" for note in table.notes]
    lines.append(r"\end{table}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def escape(text: str) -> str:
    r"""Text that LaTeX sets as it is.

    Examples
    --------
    >>> print(escape("50 % of all_minilm & more"))
    50 \% of all\_minilm \& more
    """
    return re.sub(r"\s*[\r\n]+\s*", " ", text).translate(_SPECIAL)


def _row(cells: list[str]) -> str:
    # An opening bracket at the start of a row would be read as the optional argument of the row break before.
    texts = [escape(cell) for cell in cells]
    guard = "{}" if texts and texts[0].startswith(("[", "*")) else ""
    return guard + " & ".join(texts) + r" \\"
