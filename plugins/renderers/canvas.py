"""A figure that no display, no global state and no markup in a name can touch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Names of models and tokens are data: a dollar sign in them starts no formula.
SETTINGS = {"text.parse_math": False, "text.usetex": False, "font.family": ["DejaVu Sans"]}


@contextmanager
def picture(path: Path, width: float, height: float, dpi: int) -> Iterator[Figure]:
    """Open a figure of ``width`` by ``height`` inches; it is written to ``path`` as PNG at the end.

    The same drawing gives the same bytes: nothing about time or software is stored.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "p.png"
    ...     with picture(path, 2.0, 1.0, 50) as figure:
    ...         _ = figure.add_subplot().plot([0, 1])
    ...     path.read_bytes()[1:4]
    b'PNG'
    """
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]
        # A name in a script that the font lacks is drawn as boxes; the table itself has it right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, dpi=dpi, format="png", metadata={"Software": None})
