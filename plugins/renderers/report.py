"""All tables and figures of a study on one page that needs nothing else."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from numgeom_plugins.renderers.html import STYLE, html

if TYPE_CHECKING:
    from numgeom import Table

# A browser may show the pictures that the page carries, and load or run nothing.
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
{{ style }}
section { margin: 2rem 0; overflow-x: auto; }
img { max-width: 100%; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>numgeom {{ version }}; models {{ models }}; numbers {{ numbers }}; {{ draws }} draws, seed {{ seed }}.</p>
{% for part in parts %}<section>
{% if part.picture %}<figure><img alt="{{ part.title }}" src="data:image/png;base64,{{ part.picture }}">
<figcaption>{{ part.title }}</figcaption></figure>
{% else %}{{ part.table }}
{% endif %}</section>
{% endfor %}</body>
</html>
"""

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True).from_string(PAGE)


def report(tables: Sequence[Table], path: Path, manifest: Mapping[str, Any]) -> None:
    """Write a study as one self-contained page; every string is escaped.

    Parameters
    ----------
    tables : sequence of Table
        As ``Study.tables()`` gives them; matrices and coordinates become pictures.
    path : Path
    manifest : mapping
        The study's manifest: title line and versions.
    """
    from numgeom_plugins.renderers.curves import curves
    from numgeom_plugins.renderers.heatmap import heatmap
    from numgeom_plugins.renderers.scatter import scatter
    from numgeom_plugins.renderers.squares import squares

    draw: dict[str, Callable[[Table, Path], None]] = {
        "convergence_matrix": heatmap,
        "coordinates": scatter,
        "curves": curves,
        "squares": squares,
    }
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for table in tables:
            if table.kind == "fingerprint":  # hundreds of columns: the tables of the metrics have the same
                continue
            file = Path(folder) / "part"
            if table.kind in draw:
                draw[table.kind](table, file)
                picture = base64.b64encode(file.read_bytes()).decode("ascii")
                parts.append({"title": table.title, "picture": picture, "table": ""})
            else:
                html(table, file, fragment=True)
                parts.append({"title": "", "picture": "", "table": Markup(file.read_text(encoding="utf-8"))})
    experiment = manifest.get("experiment", {})
    page = _PAGE.render(
        title=f"numgeom: {experiment.get('name', 'study')}",
        version=manifest.get("versions", {}).get("numgeom", ""),
        models=", ".join(experiment.get("models", [])),
        numbers=", ".join(experiment.get("numbers", [])),
        draws=experiment.get("draws", ""),
        seed=experiment.get("seed", ""),
        parts=parts,
        style=STYLE,
    )
    path.write_text(page, encoding="utf-8", newline="\n")
