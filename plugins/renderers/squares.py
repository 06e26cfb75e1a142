"""All-to-all matrices over the numbers, model by model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from numgeom import Incompatible
from numgeom_plugins.renderers.canvas import picture
from numgeom_plugins.renderers.cells import require_kind
from numgeom_plugins.renderers.panels import caption, caption_height, grid, panels

if TYPE_CHECKING:
    from numgeom import Table

MOST_ACROSS = 3
PANEL = (3.6, 3.3)
TICKS = 10


def squares(table: Table, path: Path, dpi: int = 150) -> None:
    """Draw one matrix a model, all on one colour scale from the least to the largest value off the diagonal.

    Parameters
    ----------
    table : Table
        Of kind ``squares``: a row for every pair of numbers, ``value`` being coloured.
    path : Path
    dpi : int, default 150

    Raises
    ------
    Incompatible
        If the table is of another kind or empty.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from numgeom import Table
    >>> frame = pd.DataFrame({"model": "a", "source": "input", "x": [0, 0, 1, 1], "y": [0, 1, 0, 1],
    ...                       "value": [1.0, 0.3, 0.3, 1.0], "x_label": "number", "y_label": "cosine"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     squares(Table("all", "squares", "All to all", frame), Path(folder) / "all.png")
    ...     (Path(folder) / "all.png").stat().st_size > 0
    True
    """
    require_kind(table, "squares", ["squares"])
    frame = table.frame
    if frame.empty:
        raise Incompatible(f"table {table.name!r} has no matrix to draw.")
    apart = frame.loc[frame["x"] != frame["y"], "value"]
    low, high = float(apart.min()), float(apart.max())
    one_source = frame["source"].nunique() == 1
    several = [(str(model), str(source), part) for (model, source), part in frame.groupby(["model", "source"])]
    rows, columns = grid(len(several), MOST_ACROSS)
    width = max(columns * PANEL[0], 5.0) + 0.8
    with picture(path, width, rows * PANEL[1] + caption_height(table, width), dpi) as figure:
        axes = panels(figure, len(several), MOST_ACROSS)
        for ax, (model, source, part) in zip(axes, several, strict=True):
            matrix = part.pivot(index="x", columns="y", values="value")
            image = ax.imshow(matrix.to_numpy(), vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
            places = np.unique(np.linspace(0, len(matrix) - 1, min(TICKS, len(matrix))).round().astype(int))
            names = [f"{matrix.index[k]:.0f}" for k in places]
            ax.set_xticks(places, names, fontsize=7, rotation=90)
            ax.set_yticks(places, names, fontsize=7)
            ax.set_title(f"{model if one_source else f'{model}/{source}'} (n = {len(matrix)})", fontsize=10)
        figure.colorbar(image, ax=axes, shrink=0.8, label=str(frame["y_label"].iloc[0]))
        caption(figure, table, width)
