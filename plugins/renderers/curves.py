"""Series of metrics and probes, model by model, each beside its null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from numgeom import Incompatible
from numgeom_plugins.renderers.canvas import picture
from numgeom_plugins.renderers.cells import require_kind
from numgeom_plugins.renderers.panels import caption, caption_height, grid, panels

if TYPE_CHECKING:
    from numgeom import Table

MOST_ACROSS = 3
PANEL = (4.2, 2.7)
FEW_POINTS = 40
MANY_POINTS = 200
FLAT = 0.05
NULL_COLOUR = "#8c8c8c"


def curves(table: Table, path: Path, dpi: int = 150) -> None:
    """Draw the series of every model in a panel of its own, with the mean and two sd of each null in grey.

    Panels share their scales, so that models can be compared, unless one would be flat beside another.

    Parameters
    ----------
    table : Table
        Of kind ``curves``.
    path : Path
    dpi : int, default 150

    Raises
    ------
    Incompatible
        If the table is of another kind or empty.

    Examples
    --------
    >>> import tempfile
    >>> from numgeom import Table
    >>> frame = pd.DataFrame({"model": "a", "source": "input", "series": "", "null": "", "x": [1.0, 2.0],
    ...                       "y": [0.5, 0.2], "sd": None, "x_label": "lag", "y_label": "cosine", "points": False})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     curves(Table("lags", "curves", "Lags", frame), Path(folder) / "lags.png")
    ...     (Path(folder) / "lags.png").stat().st_size > 0
    True
    """
    require_kind(table, "curves", ["curves"])
    if table.frame.empty:
        raise Incompatible(f"table {table.name!r} has no series to draw.")
    several = [(str(model), str(source), part) for (model, source), part in table.frame.groupby(["model", "source"])]
    one_source = table.frame["source"].nunique() == 1
    rows, columns = grid(len(several), MOST_ACROSS)
    width = max(columns * PANEL[0], 5.5)
    with picture(path, width, rows * PANEL[1] + caption_height(table, width), dpi) as figure:
        axes = panels(figure, len(several), MOST_ACROSS)
        for ax in axes[1:] if _comparable([part for _, _, part in several]) else ():
            ax.sharex(axes[0])
            ax.sharey(axes[0])
        for k, (ax, (model, source, part)) in enumerate(zip(axes, several, strict=True)):
            _draw(ax, part)
            ax.set_title(model if one_source else f"{model}/{source}", fontsize=10)
            ax.set_xlabel(str(part["x_label"].iloc[0]), fontsize=9)
            if k % MOST_ACROSS == 0:
                ax.set_ylabel(str(part["y_label"].iloc[0]), fontsize=9)
        caption(figure, table, width)


def _draw(ax: Axes, part: pd.DataFrame) -> None:
    observed = part[part["null"] == ""]
    series = list(dict.fromkeys(observed["series"]))
    colours = sns.color_palette("colorblind", max(len(series), 1))
    for name, drawn in part[part["null"] != ""].groupby(["null", "series"]):
        x, mean, sd = (drawn[column].to_numpy(dtype=float) for column in ("x", "y", "sd"))
        ax.fill_between(x, mean - 2 * sd, mean + 2 * sd, color=NULL_COLOUR, alpha=0.25, linewidth=0)
        ax.plot(x, mean, color=NULL_COLOUR, linewidth=0.9, label=" ".join(filter(None, map(str, name))))
    for colour, name in zip(colours, series, strict=False):
        held = observed[observed["series"] == name]
        x, y = held["x"].to_numpy(dtype=float), held["y"].to_numpy(dtype=float)
        if bool(held["points"].iloc[0]):
            ax.plot(x, y, ".", markersize=2.5, color=colour, label=name or None, rasterized=True)
        else:
            marker = "o" if len(held) <= FEW_POINTS else ""
            width = 1.1 if len(held) <= MANY_POINTS else 0.5
            ax.plot(x, y, marker=marker, markersize=3, linewidth=width, color=colour, label=name or None)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=7, framealpha=0.7)
    ax.tick_params(labelsize=8)
    sns.despine(ax=ax)


def _comparable(parts: list[pd.DataFrame]) -> bool:
    """Whether no panel would be flat on the scale of all."""
    reaches = [float(part["y"].max() - part["y"].min()) for part in parts]
    return min(reaches) >= FLAT * max(reaches)
