"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Models = Annotated[
    list[str], typer.Argument(help="Registry names or specs: ./folder, rows:FILE, hf:org/name, NAME=SPEC")
]
Numbers = Annotated[list[str] | None, typer.Option("--numbers", help="0..999, 0..100:10, 1,2,5..9; @space for ' 7'.")]
Metrics = Annotated[str | None, typer.Option("--metrics", help="Comma-separated; name or name(key=value).")]
Sources = Annotated[str, typer.Option("--source", "--sources", help="What to read: input, output, ...")]
Layers = Annotated[str | None, typer.Option("--layers", help="Of --source hidden: all, 0..12, 0,4,8.")]
Preprocess = Annotated[str, typer.Option("--preprocess", help="Chain: center, unit, residual:magnitude, ...")]
Draws = Annotated[int, typer.Option("--draws", help="Null draws of every score whose null has no closed form.")]
Seed = Annotated[int, typer.Option("--seed")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the long table, manifest, tables and figures.")]
Render = Annotated[str | None, typer.Option("--render", help="Renderers for --out; see numgeom list renderers.")]
Jobs = Annotated[int, typer.Option("--jobs", help="Worker processes; 0 for one a processor.")]
Backend = Annotated[str, typer.Option("--backend", help="joblib backend: loky, threading, dask.")]
PluginsDirs = Annotated[list[Path] | None, typer.Option("--plugins-dir", help="Folder of plugin files. They are code.")]
RegistryFile = Annotated[Path | None, typer.Option("--registry", help="Your registry.toml, laid over ours.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
