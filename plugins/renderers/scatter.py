"""A reduction in two dimensions, beside the same reduction of its controls."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, FuncNorm, ListedColormap, Normalize
from matplotlib.figure import Figure

from numgeom import Incompatible
from numgeom_plugins.renderers.canvas import picture
from numgeom_plugins.renderers.cells import require_kind

if TYPE_CHECKING:
    from numgeom import Table

PANELS = {
    "numbers": "numbers",
    "random_tokens": "control: random tokens",
    "row_permutation": "control: shuffled labels",
}
DIGITS = (("hundreds digit", 100), ("tens digit", 10), ("units digit", 1))
GREY = "#9a9a9a"
PANEL_INCHES = 3.1
MOST_NAMED = 30
SKEWED = 0.25


@dataclass(frozen=True)
class _Colouring:
    """One row of panels: a name, a value for every number (NaN: has none), and its colours."""

    name: str
    of: dict[int, float]
    colours: Colormap
    norm: Normalize
    ticks: tuple[int, ...] | None


def scatter(table: Table, path: Path, dpi: int = 150) -> None:
    """Draw the numbers and every control in columns, coloured by value and by each digit in rows.

    All panels share one square frame with equal units, so that what looks larger is larger. Random tokens
    have no number and are grey, and so is a digit that a number does not have. A gradient that survives in
    the panel of shuffled labels comes from the drawing, not from the data.

    Parameters
    ----------
    table : Table
        Of kind ``coordinates``, of one model and reducer: columns model, source, reducer, panel, number, x, y.
    path : Path
    dpi : int, default 150

    Raises
    ------
    Incompatible
        If the table is of another kind, empty, or of several models or reducers.

    Examples
    --------
    >>> import tempfile
    >>> from numgeom import Table
    >>> frame = pd.DataFrame({"model": "m", "source": "input", "reducer": "pca", "panel": "numbers",
    ...                       "number": pd.array([1, 2, 3], dtype="Int64"), "x": [0.0, 1.0, 2.0], "y": 0.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scatter(Table("m-pca", "coordinates", "m", frame), Path(folder) / "m.png")
    ...     (Path(folder) / "m.png").stat().st_size > 0
    True
    """
    require_kind(table, "scatter", ["coordinates"])
    frame = table.frame
    identity = frame[["model", "source", "reducer"]].drop_duplicates()
    if len(identity) != 1:
        raise Incompatible(
            f"table {table.name!r} holds {len(identity)} reductions; scatter draws one model, source and reducer."
        )
    if not np.isfinite(frame[["x", "y"]].to_numpy(dtype=np.float64)).all():
        raise Incompatible(f"table {table.name!r} has points without x and y; reduce to two components.")
    model, source, reducer = (str(word) for word in identity.iloc[0])
    panels = sorted(dict.fromkeys(frame["panel"]), key=lambda panel: panel != "numbers")
    rows = list(_colourings(frame["number"].dropna().to_numpy(dtype=np.int64)))
    width, height = PANEL_INCHES * len(panels) + 0.9, PANEL_INCHES * len(rows) + 0.9 + 0.17 * len(table.notes)
    with picture(path, width, height, dpi) as figure:
        axes = figure.subplots(len(rows), len(panels), sharex=True, sharey=True, squeeze=False)
        for i, colouring in enumerate(rows):
            for j, panel in enumerate(panels):
                points = frame[frame["panel"] == panel]
                _draw(axes[i, j], points, colouring)
                if i == 0:
                    axes[i, j].set_title(f"{PANELS.get(panel, panel)}  (N = {len(points)})", fontsize=9)
            axes[i, 0].set_ylabel(f"{reducer} 2", fontsize=8)
            _bar(figure, axes[i, :], colouring)
        for ax in axes[-1, :]:
            ax.set_xlabel(f"{reducer} 1", fontsize=8)
        centre, half = _frame(frame)
        axes[0, 0].set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))
        numbers = frame.loc[frame["panel"] == panels[0], "number"].dropna()
        count = f"N = {len(numbers)}, {numbers.min()} to {numbers.max()}" if len(numbers) else "no numbers"
        figure.suptitle(f"{model}, {source}, {reducer}  ({count})", fontsize=11)
        if table.notes:
            lines = [line for note in table.notes for line in textwrap.wrap(note, int(width * 13))]
            figure.supxlabel("\n".join(lines), fontsize=8, color="#444444", x=0.01, ha="left")


def _colourings(numbers: npt.NDArray[np.int64]) -> Iterator[_Colouring]:
    """Value first; then each digit in which the numbers differ."""
    if numbers.size == 0:
        return
    known = np.unique(numbers)
    low, high = float(known[0]), float(known[-1])
    # The palest end of the map is left out: it would vanish on white.
    colours = ListedColormap(sns.color_palette("viridis", 256)[:240])
    skewed = low >= 0 and np.median(known) < SKEWED * high
    norm = FuncNorm((np.log1p, np.expm1), low, high) if skewed else Normalize(low, high)
    label = "value (logarithmic colours)" if skewed else "value"
    powers = [0, *(10**k for k in range(19)), int(high)]
    ticks = tuple(sorted({tick for tick in powers if low <= tick <= high})) if skewed else None
    yield _Colouring(label, {int(n): float(n) for n in known}, colours, norm, ticks)
    # Digits run in a circle (9 is followed by 0), and so do the hues.
    wheel = ListedColormap(sns.hls_palette(10, h=0.0, l=0.5, s=0.85))
    for name, place in DIGITS:
        digits = {int(n): abs(int(n)) // place % 10 if abs(int(n)) >= place or place == 1 else np.nan for n in known}
        if len(set(digits.values())) > 1:
            label = f"{name} (grey: none)" if any(np.isnan(digit) for digit in digits.values()) else name
            yield _Colouring(label, digits, wheel, BoundaryNorm(np.arange(11) - 0.5, 10), tuple(range(10)))


def _draw(ax: Axes, points: pd.DataFrame, colouring: _Colouring) -> None:
    """One panel: grey below, coloured above."""
    # Points that coincide must not all show the largest number: the order of drawing is shuffled, always alike.
    points = points.iloc[np.random.default_rng(0).permutation(len(points))]
    value = np.array([np.nan if pd.isna(n) else colouring.of[int(n)] for n in points["number"].array], dtype=np.float64)
    x, y = points["x"].to_numpy(dtype=np.float64), points["y"].to_numpy(dtype=np.float64)
    size = float(np.clip(5000 / max(len(points), 1), 8, 30))
    grey = np.isnan(value)
    ax.scatter(x[grey], y[grey], s=size, c=GREY, alpha=0.6, linewidths=0)
    ax.scatter(
        x[~grey],
        y[~grey],
        s=size,
        c=value[~grey],
        cmap=colouring.colours,
        norm=colouring.norm,
        alpha=0.85,
        linewidths=0,
    )
    if len(points) <= MOST_NAMED:
        for number, left, up in zip(points["number"].array[~grey], x[~grey], y[~grey], strict=True):
            ax.annotate(str(number), (left, up), xytext=(3, 3), textcoords="offset points", fontsize=7, color="#333333")
    ax.set_aspect("equal", adjustable="box")
    ax.tick_params(labelsize=7)


def _bar(figure: Figure, axes: npt.NDArray[np.object_], colouring: _Colouring) -> None:
    mappable = ScalarMappable(colouring.norm, colouring.colours)
    bar = figure.colorbar(mappable, ax=list(axes), ticks=colouring.ticks, fraction=0.05, pad=0.01, aspect=25)
    bar.set_label(colouring.name, fontsize=9)
    bar.ax.tick_params(labelsize=7, length=0 if isinstance(colouring.norm, BoundaryNorm) else 2)


def _frame(frame: pd.DataFrame) -> tuple[npt.NDArray[np.float64], float]:
    """Centre and half side of the square that holds every point of every panel."""
    points = frame[["x", "y"]].to_numpy(dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.54 * float((high - low).max())
    return (low + high) / 2.0, half if half > 0 else 1.0
