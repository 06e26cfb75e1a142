"""Tables in HTML: one page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment, StrictUndefined

from numgeom_plugins.renderers.cells import is_numeric, text_rows

if TYPE_CHECKING:
    from numgeom import Table

TABLE = """\
<table class="numgeom">
{%- if title %}
<caption>{{ title }}</caption>
{%- endif %}
<thead><tr>
{%- for column in columns %}<th scope="col"{% if column.numeric %} class="number"{% endif %}>{{ column.name }}</th>
{%- endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr{% if row.status %} class="status-{{ row.status }}"{% endif %}>
{%- for cell in row.cells %}<td{% if cell.numeric %} class="number"{% endif %}
{%- if cell.full %} title="{{ cell.full }}"{% endif %}>{{ cell.text }}</td>
{%- endfor %}</tr>
{%- endfor %}
</tbody>
</table>
{%- if notes %}
<ul class="notes">
{%- for note in notes %}
<li>{{ note }}</li>
{%- endfor %}
</ul>
{%- endif %}
"""

STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1b1b1b; background: #fff; }
table.numgeom { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.numgeom caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
table.numgeom th { text-align: left; border-bottom: 1px solid #333; position: sticky; top: 0; background: #fff; }
table.numgeom th, table.numgeom td { padding: .2rem .5rem; }
table.numgeom td { white-space: nowrap; }
table.numgeom tbody tr:nth-child(even) { background: #f5f5f5; }
table.numgeom .number { text-align: right; }
table.numgeom .status-skipped, table.numgeom .status-error { color: #777; font-style: italic; }
ul.notes { color: #555; font-size: .9rem; max-width: 50rem; }
"""

# The policy lets a browser load and run nothing, whatever a token string or a model name holds.
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title or name }}</title>
<style>
{% include "style" %}</style>
</head>
<body>
{% include "table" %}</body>
</html>
"""

_ENVIRONMENT = Environment(
    loader=DictLoader({"table": TABLE, "style": STYLE, "page": PAGE}),
    autoescape=True,
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def html(table: Table, path: Path, fragment: bool = False) -> None:
    """Write the table as a page; every string is escaped, and hovering over a number shows all its digits.

    Parameters
    ----------
    table : Table
    path : Path
    fragment : bool, default False
        Only the ``<table>`` and its notes, for a page of your own.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from numgeom import Table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "t.html"
    ...     html(Table("t", "long", "Scores", pd.DataFrame({"token": ["<b>"]})), path)
    ...     "&lt;b&gt;" in path.read_text(encoding="utf-8")
    True
    """
    frame = table.frame
    numeric = [is_numeric(frame[name]) for name in frame.columns]
    status = [str(word) for word in frame["status"]] if "status" in frame.columns else [""] * len(frame)
    rows = []
    for i, (given, texts) in enumerate(zip(frame.itertuples(index=False), text_rows(frame), strict=True)):
        full = [repr(float(given[j])) if numeric[j] and text else "" for j, text in enumerate(texts)]
        cells = [
            {"text": text, "numeric": numeric[j], "full": full[j] if full[j] not in (text, f"{text}.0") else ""}
            for j, text in enumerate(texts)
        ]
        rows.append({"cells": cells, "status": status[i] if status[i] in ("skipped", "error") else ""})
    columns = [{"name": str(name), "numeric": numeric[j]} for j, name in enumerate(frame.columns)]
    text = _ENVIRONMENT.get_template("table" if fragment else "page").render(
        name=table.name, title=table.title, columns=columns, rows=rows, notes=table.notes
    )
    path.write_text(text, encoding="utf-8", newline="\n")
