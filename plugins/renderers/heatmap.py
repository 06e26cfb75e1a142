"""Models against models as coloured squares, the score beside its excess over each null."""

from __future__ import annotations

import textwrap
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
GREY = "#d9d9d9"
HATCH = "#00000055"


def heatmap(table: Table, path: Path, alpha: float = 0.05, dpi: int = 150) -> None:
    """Draw one square a panel, all in the same order of models, with the value in every cell.

    Panels whose name holds "excess" share one diverging scale centred at 0; the others start at 0, or at
    their least value below 0, and reach at least 1, so that a small difference looks small. A cell is hatched where
    its p exceeds ``alpha`` (not told from that null), and grey with "n/a" where nothing could be measured.

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
    models = list(dict.fromkeys([*frame["model_a"], *frame["model_b"]]))
    panels = list(dict.fromkeys(frame["panel"]))
    # Small matrices get large cells; beyond a dozen models the cell is as small as its text allows.
    cell = float(np.interp(len(models), [2, 6, 12, 20], [1.0, 0.75, 0.52, 0.42]))
    side = max(cell * len(models), 2.4)
    names = [_fitted(str(name)) for name in models]
    margin = 0.075 * max(map(len, names))
    size = float(np.interp(len(models), [2, 6, 12, 20], [11, 9.5, 8, 6.5]))
    below = _legend(frame, alpha) + list(table.notes)
    width = len(panels) * (side + 1.1) + margin + 0.3
    lines = [line for note in below for line in textwrap.wrap(note, int(width * 13))]
    with picture(path, width, side + 0.75 * margin + 0.7 + 0.17 * len(lines), dpi) as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for j, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
            shown = frame[frame["panel"] == panel]
            # One scale for all excesses: the same colour must mean the same excess over either null.
            like = frame[frame["panel"].str.contains(EXCESS, regex=False)] if EXCESS in str(panel) else shown
            ends = _scale(like, diverging=EXCESS in str(panel))
            _draw(ax, shown, ends, models, names, size, alpha, labelled=j == 0)
            ax.set_title(str(panel), fontsize=10)
        figure.suptitle(
            "\n".join(textwrap.wrap(f"{table.title}  (n = {_span(frame['n'])})", int(width * 10))), fontsize=11
        )
        if lines:
            figure.supxlabel("\n".join(lines), fontsize=8, color="#444444", x=0.01, ha="left")


def _draw(
    ax: Axes,
    rows: pd.DataFrame,
    ends: tuple[float, float, str],
    models: list[str],
    names: list[str],
    size: float,
    alpha: float,
    *,
    labelled: bool,
) -> None:
    """One panel."""
    place = {name: i for i, name in enumerate(models)}
    shape = (len(models), len(models))
    values, texts = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    unproven, missing = [], []
    for a, b, value, p, status in rows[["model_a", "model_b", "value", "p", "status"]].itertuples(index=False):
        i, j = place[a], place[b]
        if status != "ok" or pd.isna(value):
            missing.append((j, i))
            continue
        values[i, j], texts[i, j] = value, _short(float(value), len(models))
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
        linewidths=0.6,
        annot_kws={"size": size},
        cbar_ax=ax.inset_axes((1.03, 0.0, 0.4 / max(len(models), 4), 1.0)),
        xticklabels=names,
        yticklabels=names if labelled else False,
    )
    # Above the colours, below the values.
    for corner in unproven:
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="///", edgecolor=HATCH, linewidth=0, zorder=2))
    for corner in missing:
        ax.add_patch(Rectangle(corner, 1, 1, facecolor=GREY, edgecolor="white", linewidth=0.6))
        ax.text(corner[0] + 0.5, corner[1] + 0.5, "n/a", ha="center", va="center", fontsize=size, color="#555555")
    for text in ax.texts:
        text.set_zorder(3)
    ax.tick_params(length=0, labelsize=min(size + 0.5, 10))
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
