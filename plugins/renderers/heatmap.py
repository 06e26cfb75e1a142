"""Models against models, or layers against layers, as coloured squares: the score beside its excess over each null."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from numgeom import Incompatible
from numgeom_plugins.renderers.canvas import picture
from numgeom_plugins.renderers.cells import number_text, require_kind

if TYPE_CHECKING:
    from numgeom import Table

EXCESS = "excess"
LEAST_EXCESS_SCALE = 0.1
LONGEST_NAME = 32
MOST_WRITTEN = 24  # beyond as many rows or columns a value does not fit its cell
LAYER = re.compile(r"(?P<model>.+)/(?P<head>[a-z0-9_]+):(?P<layer>[0-9]+)(?P<tail>\(.*\))?")
GREY = "#d9d9d9"
HATCH = "#00000055"


def heatmap(table: Table, path: Path, alpha: float = 0.05, dpi: int = 150) -> None:
    """Draw one grid a panel, all in the same order of models, with the value in every cell.

    Where all are layers of one model, or of two with pairs across them only, the rows are the layers of the one from
    below upwards, and the columns those of the other. Panels whose name holds "excess" share one diverging scale
    centred at 0; the others start at 0, or at their least value below 0, and reach at least 1, so that a small
    difference looks small. A cell is hatched where its p exceeds ``alpha`` (not told from that null), and grey with
    "n/a" where nothing could be measured.

    Parameters
    ----------
    table : Table
        Of kind ``convergence_matrix``: columns panel, model_a (row), model_b (column), value, p, n, status.
    path : Path
    alpha : float, default 0.05
        In (0, 1).
    dpi : int, default 150

    Raises
    ------
    Incompatible
        If the table is of another kind or empty.

    Examples
    --------
    >>> import tempfile
    >>> from numgeom import Table
    >>> frame = pd.DataFrame({"panel": "value", "model_a": ["a", "b"], "model_b": ["b", "a"], "value": 0.5,
    ...                       "p": 0.01, "n": 100, "status": "ok"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     heatmap(Table("pairs", "convergence_matrix", "Pairs", frame), Path(folder) / "pairs.png")
    ...     (Path(folder) / "pairs.png").stat().st_size > 0
    True
    """
    require_kind(table, "heatmap", ["convergence_matrix"])
    frame = table.frame
    if frame.empty:
        raise Incompatible(f"table {table.name!r} has no pairs to draw; compare at least two models.")
    grid = _grid(frame)
    panels = list(dict.fromkeys(frame["panel"]))
    # Small matrices get large cells; beyond a dozen models the cell is as small as its text allows.
    most = max(len(grid.rows), len(grid.columns))
    cell = float(np.interp(most, [2, 6, 12, 20, 40], [1.0, 0.75, 0.52, 0.42, 0.22]))
    wide, high = max(cell * len(grid.columns), 2.4), max(cell * len(grid.rows), 2.4)
    margin = 0.075 * max(map(len, grid.row_names))
    size = float(np.interp(most, [2, 6, 12, 20], [11, 9.5, 8, 6.5]))
    below = _legend(frame, alpha) + list(table.notes)
    width = len(panels) * (wide + 1.1) + margin + 0.3
    # An empty line keeps slanted names off the first note.
    lines = ["", *(line for note in below for line in textwrap.wrap(note, int(width * 13)))] if below else []
    above = 1.3 if grid.upwards else 0.75 * margin + 0.7
    with picture(path, width, high + above + 0.17 * len(lines), dpi) as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for j, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            shown = frame[frame["panel"] == panel]
            # One scale for all excesses: the same colour must mean the same excess over either null.
            like = frame[frame["panel"].str.contains(EXCESS, regex=False)] if EXCESS in str(panel) else shown
            ends = _scale(like, diverging=EXCESS in str(panel))
            _draw(ax, shown, ends, grid, size, alpha, labelled=j == 0)
            ax.set_title(str(panel), fontsize=10)
        figure.suptitle(
            "\n".join(textwrap.wrap(f"{table.title}  (n = {_span(frame['n'])})", int(width * 10))), fontsize=11
        )
        if lines:
            figure.supxlabel("\n".join(lines), fontsize=8, color="#444444", x=0.01, ha="left")


@dataclass(frozen=True, slots=True)
class Grid:
    """What stands beside the rows and below the columns of every panel.

    Attributes
    ----------
    rows, columns : list of str
        As the table calls them.
    row_names, column_names : list of str
        As they are written.
    row_title, column_title : str
        Whose layers they are; empty for models.
    upwards : bool
        Whether the first row is the lowest.
    """

    rows: list[str]
    columns: list[str]
    row_names: list[str]
    column_names: list[str]
    row_title: str = ""
    column_title: str = ""
    upwards: bool = False


def _grid(frame: pd.DataFrame) -> Grid:
    """Models in the order of the table; layers by number, one model's against the other's where there are two."""
    names = [str(name) for name in dict.fromkeys([*frame["model_a"], *frame["model_b"]])]
    stacks: dict[str, list[str]] = {}
    layer: dict[str, int] = {}
    for name in names:
        part = LAYER.fullmatch(name)
        stacks.setdefault(f"{part['model']} {part['head']}{part['tail'] or ''}" if part else name, []).append(name)
        if part:
            layer[name] = int(part["layer"])
    for members in stacks.values():
        members.sort(key=lambda name: layer.get(name, 0))
    sides = list(stacks.items())
    if len(layer) == len(names) and (
        len(sides) == 1 or (len(sides) == 2 and _is_across(frame, [set(members) for _, members in sides]))
    ):
        (a, rows), (b, columns) = sides[0], sides[-1]
        row_names, column_names = ([str(layer[name]) for name in side] for side in (rows, columns))
        return Grid(rows, columns, row_names, column_names, f"{a} layer", f"{b} layer", upwards=True)
    ordered = [name for members in stacks.values() for name in members]
    written = [_fitted(name) for name in ordered]
    return Grid(ordered, ordered, written, written)


def _is_across(frame: pd.DataFrame, sides: Sequence[set[str]]) -> bool:
    """Whether every pair is of both sides, and its score the same in both directions."""
    held: dict[tuple[str, str, str], float] = {}
    for panel, a, b, value in frame[["panel", "model_a", "model_b", "value"]].itertuples(index=False):
        if any(a in side and b in side for side in sides):
            return False
        if not np.isclose(held.setdefault((panel, *sorted((a, b))), value), value, equal_nan=True):
            return False
    return True


def _draw(
    ax: Axes,
    rows: pd.DataFrame,
    ends: tuple[float, float, str],
    grid: Grid,
    size: float,
    alpha: float,
    *,
    labelled: bool,
) -> None:
    """One panel."""
    down = {name: i for i, name in enumerate(grid.rows)}
    across = {name: j for j, name in enumerate(grid.columns)}
    shape = (len(down), len(across))
    values, texts = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    unproven, missing = [], []
    most = max(shape)
    for a, b, value, p, status in rows[["model_a", "model_b", "value", "p", "status"]].itertuples(index=False):
        if a not in down or b not in across:
            continue  # the other direction of a pair across two stacks
        i, j = down[a], across[b]
        if status != "ok" or pd.isna(value):
            missing.append((j, i))
            continue
        values[i, j], texts[i, j] = value, _short(float(value), most) if most <= MOST_WRITTEN else ""
        if pd.notna(p) and p > alpha:
            unproven.append((j, i))
    low, high, colours = ends
    sns.heatmap(
        values,
        ax=ax,
        mask=np.isnan(values),
        annot=texts,
        fmt="",
        vmin=low,
        vmax=high,
        cmap=colours,
        square=True,
        linewidths=0.6 if most <= MOST_WRITTEN else 0.2,
        annot_kws={"size": size},
        cbar_ax=ax.inset_axes((1.03, 0.0, 0.4 / max(len(across), 4), 1.0)),
        xticklabels=grid.column_names,
        yticklabels=grid.row_names if labelled else False,
    )
    # Above the colours, below the values.
    for corner in unproven:
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="///", edgecolor=HATCH, linewidth=0, zorder=2))
    for corner in missing:
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=GREY, edgecolor="white", linewidth=0.6))
        if most <= MOST_WRITTEN:
            ax.text(corner[0] + 0.5, corner[1] + 0.5, "n/a", ha="center", va="center", fontsize=size, color="#555555")
    for text in ax.texts:
        text.set_zorder(3)
    ax.tick_params(length=0, labelsize=min(size + 0.5, 10))
    if grid.upwards:
        ax.invert_yaxis()
        ax.set_xticklabels(ax.get_xticklabels(), rotation=0)
        ax.set_xlabel(grid.column_title, fontsize=9)
        ax.set_ylabel(grid.row_title if labelled else "", fontsize=9)
    else:
        ax.set_xticklabels(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    if labelled:
        ax.set_yticklabels(ax.get_yticklabels(), rotation=0)


def _scale(rows: pd.DataFrame, *, diverging: bool) -> tuple[float, float, str]:
    """Lower end, upper end and colour map for these rows."""
    known = rows.loc[rows["status"] == "ok", "value"].dropna().to_numpy(dtype=np.float64)
    if diverging:
        reach = max(LEAST_EXCESS_SCALE, float(np.abs(known).max(initial=0.0)))
        return -reach, reach, "RdBu_r"
    return float(known.min(initial=0.0)), float(known.max(initial=1.0)), "viridis"


def _fitted(name: str) -> str:
    """A long name without its middle: names of one family differ at either end."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME // 2 - 1]}…{name[-LONGEST_NAME // 2 :]}"


def _short(value: float, models: int) -> str:
    """A value that fits its cell: three decimals, or two where there are many models."""
    if abs(value) >= 10:
        return number_text(value)
    places = 3 if models <= 8 else 2
    return f"{round(value, places) + 0.0:.{places}f}"


def _span(n: pd.Series[int]) -> str:
    """How many numbers the pairs share."""
    known = n.dropna()
    if known.empty:
        return "unknown"
    low, high = int(known.min()), int(known.max())
    return f"{low} numbers" if low == high else f"{low} to {high} numbers, by pair"


def _legend(frame: pd.DataFrame, alpha: float) -> list[str]:
    """What the marks mean, where there are any."""
    said = []
    if (frame["p"] > alpha).any():
        said.append(f"Hatched: p > {alpha:g}, not told from the null of that panel.")
    if ((frame["status"] != "ok") | frame["value"].isna()).any():
        said.append("n/a: could not be measured; the table says why.")
    return said
