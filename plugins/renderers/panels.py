"""Small multiples: one panel a model, as near to a square as they go."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from numgeom import Table

NOTE_COLOUR = "#444444"


def grid(count: int, most: int) -> tuple[int, int]:
    """Rows and columns for ``count`` panels, at most ``most`` a row.

    Examples
    --------
    >>> grid(5, 3), grid(2, 3)
    ((2, 3), (1, 2))
    """
    columns = min(count, most)
    return -(-count // columns), columns


def panels(figure: Figure, count: int, most: int) -> list[Axes]:
    """The axes of ``count`` panels in reading order; the places left over are empty."""
    rows, columns = grid(count, most)
    axes: list[Axes] = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for spare in axes[count:]:
        spare.set_axis_off()
    return axes[:count]


def caption(figure: Figure, table: Table, width: float) -> None:
    """The title of a table above its panels and its notes below them."""
    figure.suptitle("\n".join(textwrap.wrap(table.title, int(width * 11))), fontsize=11)
    lines = [line for note in table.notes for line in textwrap.wrap(note, int(width * 13))]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=8, color=NOTE_COLOUR, x=0.01, ha="left")


def caption_height(table: Table, width: float) -> float:
    """Inches that the title and the notes need."""
    lines = sum(len(textwrap.wrap(note, int(width * 13))) for note in table.notes)
    return 0.5 + 0.17 * lines
