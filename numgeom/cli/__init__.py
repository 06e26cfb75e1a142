"""The command line: every verb is one call of the Python face, printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from numgeom import __version__
from numgeom.cli import inspection, scaffold, studies
from numgeom.cli.printing import say
from numgeom.errors import NumgeomError

app = typer.Typer(
    name="numgeom",
    help="Compare how language models represent numbers, every score beside what no numeric structure would score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command()(studies.compare)
app.command()(studies.run)
app.command()(studies.probe)
app.command()(studies.geometry)
app.command(name="list")(inspection.list_names)
app.command()(inspection.plugins)
app.command()(inspection.check)
app.command()(inspection.report)
app.command()(scaffold.new)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"numgeom {__version__}")
        raise typer.Exit


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command line; a mistake of the user is one line and exit 2, a bug its traceback and exit 1."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except NumgeomError as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say("stopped; finished cells are kept, the same command goes on from here")
        sys.exit(130)
