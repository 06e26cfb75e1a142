"""What the verbs print: progress, tables as text, and single lines."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


class Screen:
    """Progress: a bar on a terminal, a plain line for each tenth of the work elsewhere; always on stderr."""

    def __enter__(self) -> Screen:
        self._bar: Any = None
        self._said = ""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            console = Console(stderr=True)
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("starting", total=None)
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Clear the bar before tables are printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far the work is."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=done, total=total)
            return
        line = what.split()[0] if done == 0 else f"{10 * (10 * done // max(total, 1))} %"
        if line != self._said and not sys.stderr.isatty():
            self._said = line
            print(f"numgeom: {what} ({done}/{total})", file=sys.stderr)


def as_text(session: Any, table: Any) -> str:
    """A table as the terminal renderer draws it, at the width of this terminal."""
    choice = session.catalog.renderers.choose("terminal")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.txt"
        choice.spec.load()(table, path, **{**choice.params, "width": width()})
        return path.read_text()


def width() -> int:
    """Columns of the terminal; wide where the output goes to a file."""
    if not sys.stdout.isatty():
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdigit() and int(columns) > 0 else 200
    return os.get_terminal_size(sys.stdout.fileno()).columns


def print_rows(title: str, rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print rows of text as a table, or as JSON; columns that are empty throughout are left out."""
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        say(f"{title}: none")
    from rich.console import Console
    from rich.table import Table

    shown = [key for key in (rows[0] if rows else {}) if any(row[key] not in ("", None) for row in rows)]
    table = Table(title=f"{title} ({len(rows)})", title_justify="left")
    for key in shown:
        table.add_column(key, overflow="fold", no_wrap=key == "name")
    for row in rows:
        table.add_row(*(_escaped("" if row[key] is None else str(row[key])) for key in shown))
    Console(width=width()).print(table)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def warn_of_failures(catalog: Any) -> None:
    """Say which plugins did not load."""
    for plugin in catalog.report.failures:
        say(f"plugin {plugin.name!r} failed: {plugin.error} To mend: {plugin.remedy}.")


def say(text: str) -> None:
    """Print one line on stderr."""
    print(f"numgeom: {text}", file=sys.stderr)
