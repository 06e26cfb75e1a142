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
    "smooth_surrogate": "control: smooth curve",
    "iid_gaussian": "control: noise",
    "covariance_gaussian": "control: noise of this covariance",
    "phase_randomisation": "control: random phases",
}
DIGITS = (("hundreds digit", 100), ("tens digit", 10), ("units digit", 1))
GREY = "#9a9a9a"
PANEL_INCHES = 3.1
MOST_NAMED = 30


@dataclass(frozen=True)
class _Colouring:
    """One row of panels: a name, a value for every number (NaN: has none), and its colours."""

    name: str
    of: dict[int, float]
    colours: Colormap
    norm: Normalize
    ticks: tuple[int, ...] | None


def scatter(table: Table, path: Path, dpi: int = 150) -> None:
    """Draw the numbers and every control in columns; in rows, colours by value, its logarithm, digits and length.

    All panels are squares of one side with equal units, each around its own points, so that what looks larger is
    larger; where a layout happens to lie says nothing. Controls whose rows
    are no numbers are drawn once, in grey, in the last column; a digit that a number does not have is grey as well.
    A gradient that survives in the panel of shuffled labels comes from the drawing, not from the data. The notes of
    the table, which say what the reduction kept and whether an arch explains it, stand below.

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
    labelled, plain = _columns(frame)
    rows = list(_colourings(frame["number"].dropna().to_numpy(dtype=np.int64)))
    count = max(len(rows), len(plain), 1)
    columns = len(labelled) + bool(plain)
    width = PANEL_INCHES * columns + 0.9
    lines = [line for note in table.notes for line in textwrap.wrap(note, int(width * 13))]
    with picture(path, width, PANEL_INCHES * count + 0.9 + 0.17 * len(lines), dpi) as figure:
        axes = figure.subplots(count, columns, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        for i, colouring in enumerate(rows):
            for j, panel in enumerate(labelled):
                _draw(axes[i, j], frame, panel, colouring, titled=i == 0)
            axes[i, 0].set_ylabel(f"{reducer} 2", fontsize=8)
            _bar(figure, axes[i, :], colouring)
        for i, panel in enumerate(plain):
            _draw(axes[i, -1], frame, panel, None, titled=True)
            axes[i, -1].set_xlabel(f"{reducer} 1", fontsize=8)
        for ax in axes[: len(rows) - 1, : len(labelled)].flat:
            ax.tick_params(labelbottom=False)
        for ax in axes[-1, : len(labelled)]:
            ax.set_xlabel(f"{reducer} 1", fontsize=8)
        half = max(_reach(points) for _, points in frame.groupby("panel")) or 1.0
        drawn = [(ax, panel) for row in axes[: len(rows)] for ax, panel in zip(row, labelled, strict=False)]
        drawn += [(axes[i, -1], panel) for i, panel in enumerate(plain)]
        for ax, panel in drawn:
            x, y = _middle(frame[frame["panel"] == panel])
            ax.set(xlim=(x - half, x + half), ylim=(y - half, y + half))
        numbers = frame.loc[frame["panel"] == labelled[0], "number"].dropna() if labelled else frame["number"].dropna()
        count_of = f"N = {len(numbers)}, {numbers.min()} to {numbers.max()}" if len(numbers) else "no numbers"
        figure.suptitle(f"{model}, {source}, {reducer}  ({count_of})", fontsize=11)
        if lines:
            figure.supxlabel("\n".join(lines), fontsize=8, color="#444444", x=0.01, ha="left")


def _columns(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Panels whose points are numbers, the reduction itself first; and those whose points are not."""
    named = frame.groupby("panel", sort=False)["number"].apply(lambda held: bool(held.notna().any()))
    labelled = sorted((str(panel) for panel, has in named.items() if has), key=lambda panel: panel != "numbers")
    return labelled, [str(panel) for panel, has in named.items() if not has]


def _colourings(numbers: npt.NDArray[np.int64]) -> Iterator[_Colouring]:
    """Value and its logarithm first; then each digit, and the length, in which the numbers differ."""
    if numbers.size == 0:
        return
    known = np.unique(numbers)
    low, high = float(known[0]), float(known[-1])
    # The palest end of the map is left out: it would vanish on white.
    colours = ListedColormap(sns.color_palette("viridis", 256)[:240])
    value = {int(n): float(n) for n in known}
    yield _Colouring("value", value, colours, Normalize(low, high), None)
    if low >= 0 and high >= 10:
        powers = sorted({0, *(10**k for k in range(19)), int(high)})
        ticks = tuple(tick for tick in powers if low <= tick <= high)
        yield _Colouring("value, logarithmic", value, colours, FuncNorm((np.log1p, np.expm1), low, high), ticks)
    # Digits run in a circle (9 is followed by 0), and so do the hues.
    wheel = ListedColormap(sns.hls_palette(10, h=0.0, l=0.5, s=0.85))
    for name, place in DIGITS:
        digits = {int(n): abs(int(n)) // place % 10 if abs(int(n)) >= place or place == 1 else np.nan for n in known}
        if len(set(digits.values())) > 1:
            label = f"{name} (grey: none)" if any(np.isnan(digit) for digit in digits.values()) else name
            yield _Colouring(label, digits, wheel, BoundaryNorm(np.arange(11) - 0.5, 10), tuple(range(10)))
    lengths = {int(n): float(len(str(abs(int(n))))) for n in known}
    least, most = int(min(lengths.values())), int(max(lengths.values()))
    if most > least:
        steps = ListedColormap(sns.color_palette("colorblind", most - least + 1))
        edges = np.arange(least, most + 2) - 0.5
        yield _Colouring("digits", lengths, steps, BoundaryNorm(edges, most - least + 1), tuple(range(least, most + 1)))


def _draw(ax: Axes, frame: pd.DataFrame, panel: str, colouring: _Colouring | None, *, titled: bool) -> None:
    """One panel: grey below, coloured above; all grey without a colouring."""
    points = frame[frame["panel"] == panel]
    ax.set_axis_on()
    if titled:
        ax.set_title(f"{PANELS.get(panel, f'control: {panel}')}  (N = {len(points)})", fontsize=9)
    # Points that coincide must not all show the largest number: the order of drawing is shuffled, always alike.
    points = points.iloc[np.random.default_rng(0).permutation(len(points))]
    held = {} if colouring is None else colouring.of
    value = np.array([np.nan if pd.isna(n) else held[int(n)] for n in points["number"].array], dtype=np.float64)
    x, y = points["x"].to_numpy(dtype=np.float64), points["y"].to_numpy(dtype=np.float64)
    size = float(np.clip(5000 / max(len(points), 1), 8, 30))
    grey = np.isnan(value)
    ax.scatter(x[grey], y[grey], s=size, c=GREY, alpha=0.6, linewidths=0)
    if colouring is not None:
        colours, norm = colouring.colours, colouring.norm
        ax.scatter(x[~grey], y[~grey], s=size, c=value[~grey], cmap=colours, norm=norm, alpha=0.85, linewidths=0)
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


def _middle(points: pd.DataFrame) -> tuple[float, float]:
    """Centre of the rectangle that holds the points."""
    middle = (points[["x", "y"]].min() + points[["x", "y"]].max()) / 2.0
    return float(middle["x"]), float(middle["y"])


def _reach(points: pd.DataFrame) -> float:
    """Half the side of the square that holds the points, with a margin."""
    return 0.54 * float((points[["x", "y"]].max() - points[["x", "y"]].min()).max())
