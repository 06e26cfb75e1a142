"""Renderers: one table to one file. What people read is rounded; csv and parquet keep every digit."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import RendererSpec, hookimpl

# Tidy frames of matrices and coordinates are for pictures; what people read are the flat tables.
FLAT = frozenset({"probe", "geometry", "reduction", "convergence", "long"})
# A row of hundreds of columns is for programs.
WIDE = FLAT | {"fingerprint"}


@hookimpl
def numgeom_renderers() -> Iterable[RendererSpec]:
    """Six ways to write any table, a picture each for matrices, coordinates and series, and a page of all."""
    return [
        RendererSpec(
            name="markdown",
            summary="A Markdown table with its title and notes",
            target="numgeom_plugins.renderers.markdown:markdown",
            default=1,
            suffix=".md",
            tables=FLAT,
        ),
        RendererSpec(
            name="csv",
            summary="Comma-separated values in full precision",
            target="numgeom_plugins.renderers.data:csv",
            default=2,
            suffix=".csv",
            tables=WIDE,
        ),
        RendererSpec(
            name="parquet",
            summary="Parquet in full precision and with its column types",
            target="numgeom_plugins.renderers.data:parquet",
            suffix=".parquet",
            tables=WIDE,
        ),
        RendererSpec(
            name="latex",
            summary="A LaTeX table with booktabs rules",
            target="numgeom_plugins.renderers.latex:latex",
            suffix=".tex",
            tables=FLAT,
        ),
        RendererSpec(
            name="terminal",
            summary="The table as a terminal shows it, as plain text",
            target="numgeom_plugins.renderers.terminal:terminal",
            params={"width": 0},
            suffix=".txt",
            tables=FLAT,
        ),
        RendererSpec(
            name="html",
            summary="A self-contained HTML page, or only its table as a fragment",
            target="numgeom_plugins.renderers.html:html",
            params={"fragment": False},
            suffix=".html",
            tables=FLAT,
        ),
        RendererSpec(
            name="report",
            summary="All tables and figures of a study on one self-contained page",
            target="numgeom_plugins.renderers.report:report",
            suffix=".html",
            tables=frozenset({"report"}),
        ),
        RendererSpec(
            name="heatmap",
            summary="Models against models, the score beside its excess over each null",
            target="numgeom_plugins.renderers.heatmap:heatmap",
            params={"alpha": 0.05, "dpi": 150},
            default=3,
            suffix=".png",
            tables=frozenset({"convergence_matrix"}),
        ),
        RendererSpec(
            name="scatter",
            summary="A reduction coloured by value and by each digit, beside the same reduction of its controls",
            target="numgeom_plugins.renderers.scatter:scatter",
            params={"dpi": 150},
            default=4,
            suffix=".png",
            tables=frozenset({"coordinates"}),
        ),
        RendererSpec(
            name="curves",
            summary="The series of metrics and probes, one panel a model, each beside its null",
            target="numgeom_plugins.renderers.curves:curves",
            params={"dpi": 150},
            default=5,
            suffix=".png",
            tables=frozenset({"curves"}),
        ),
        RendererSpec(
            name="squares",
            summary="All-to-all matrices over the numbers, one panel a model, on one colour scale",
            target="numgeom_plugins.renderers.squares:squares",
            params={"dpi": 150},
            default=6,
            suffix=".png",
            tables=frozenset({"squares"}),
        ),
    ]
