"""What follows from the card of a renderer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numgeom.specs import RendererSpec
from numgeom.testing.card import card_checks
from numgeom.testing.check import Check, require

if TYPE_CHECKING:
    from numgeom.tables import Table

REPORT = "report"
MODELS = ("plain", "<script>alert(1)</script>", r"\input{/etc/passwd} & $x_1$")
MANIFEST = {
    "experiment": {
        "name": "<script>alert(1)</script>",
        "models": list(MODELS),
        "numbers": ["0..9"],
        "draws": 9,
        "seed": 0,
    },
    "versions": {"numgeom": "0"},
    "nulls": {"row_permutation": {"keeps": "the cloud", "destroys": "the order", "claim": "beyond chance"}},
}
# What must not stand in a file of that suffix: text of a table that would run, or read another file.
HARMFUL = {
    ".html": ("<script>alert",),
    ".htm": ("<script>alert",),
    ".svg": ("<script>alert",),
    ".md": ("<script>alert",),
    ".tex": (r"\input{/",),
}


def renderer_checks(spec: RendererSpec) -> Iterator[Check]:
    """Every check that the card of a renderer gives rise to."""

    def check(name: str, claim: str, run: Callable[[], str]) -> Check:
        return Check(name, claim, run, spec)

    yield from card_checks(spec, given=3 if REPORT in spec.tables else 2)
    yield check("suffix", f"suffix={spec.suffix}", lambda: _suffix(spec))
    # Every kind of table that a study has, where the card names none.
    kinds = sorted(spec.tables) or sorted(sample_tables())
    for kind in kinds:
        claim = f"tables: {kind if spec.tables else 'all'}"
        yield check(f"writes[{kind}]", claim, partial(_writes, spec, kind))
        yield check(f"input_untouched[{kind}]", "contract: tables are shared", partial(_untouched, spec, kind))
        if spec.suffix in HARMFUL:
            yield check(f"escapes[{kind}]", f"suffix={spec.suffix}", partial(_escapes, spec, kind))


def sample_tables() -> dict[str, Table]:
    """One table of every kind, made by the framework itself; model names hold markup.

    Returns
    -------
    dict of str to Table
        By kind; new frames with every call.

    Examples
    --------
    >>> sorted(sample_tables())  # doctest: +NORMALIZE_WHITESPACE
    ['convergence', 'convergence_matrix', 'coordinates', 'curves', 'fingerprint', 'geometry', 'long', 'probe',
     'reduction', 'squares']
    """
    return {kind: replace(table, frame=table.frame.copy(deep=True)) for kind, table in _samples().items()}


@lru_cache(maxsize=1)
def _samples() -> dict[str, Table]:
    import pandas as pd

    from numgeom.figures import COLUMNS, Curve, Square, entries
    from numgeom.results import long_table
    from numgeom.tables import Table, all_tables

    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []

    def row(kind: str, metric: str, measure: str, a: str, b: str = "", **more: Any) -> None:
        value = float(rng.random())
        rows.append(
            {
                "kind": kind, "metric": metric, "measure": measure, "version": 1, "model_a": a, "source_a": "input",
                "dim_a": 6, "model_b": b, "source_b": "input" if b else "", "numbers": "0..9", "n": 10, "seed": 0,
                "value": value, "status": "ok", "plugin": "sample", **more,
            }
        )  # fmt: skip

    held: dict[str, Any] = {
        "null": "row_permutation", "draws": 9, "null_value": 0.5, "null_mean": 0.1, "null_sd": 0.1, "excess": 0.4,
        "z": 4.0, "p": 0.1, "calibrated": 0.2,
    }  # fmt: skip
    for model in MODELS:
        for name in ("count_1", "fertility"):
            row("probe", "token_counts", name, model)
        for name in ("raw_mean", "effect_size"):
            row("geometry", "successive_cosine", name, model, warnings="W-ANISO", **held)
            row("geometry", "isotropy", name, model)
            row("reduction", "fidelity", name, model, reducer="pca", **held)
    row("geometry", "successive_cosine", "", MODELS[0], source_a="output", status="skipped", reason="too few | numbers")
    rows[-1]["value"] = None
    for i, a in enumerate(MODELS):
        for b in MODELS[i + 1 :]:
            row("convergence", "cka_linear", "score", a, b, direction="higher_is_closer", reducer="none", **held)
    points = [
        {"model": MODELS[1], "source": "input", "reducer": "pca", "numbers": "0..9", "panel": panel,
         "number": number if panel == "numbers" else None, "x": float(rng.random()), "y": float(rng.random())}
        for panel in ("numbers", "random_tokens")
        for number in range(10)
    ]  # fmt: skip
    places = np.arange(6.0)
    lags = Curve(x=places, y=rng.random(6), x_label="lag", y_label="cosine")
    square = Square(labels=places, values=rng.random((6, 6)), label="cosine")
    drawn = entries({"lags": [lags], "all_to_all": [square]}, "row_permutation", [{"lags": [lags]}] * 2)
    where = {"kind": "geometry", "metric": "all_to_all_similarity", "source": "input", "numbers": "0..9"}
    figures = [pd.DataFrame({**where, "model": model, **one}) for model in MODELS for one in drawn]
    frame = long_table(rows)
    series = pd.concat(figures, ignore_index=True).reindex(columns=list(COLUMNS))
    tables = all_tables(frame, pd.DataFrame(points), MANIFEST, series)
    found = {table.kind: table for table in tables}
    return {**found, "long": Table("long", "long", "every number", frame, ("a note with <script>alert(1)</script>",))}


def _suffix(spec: RendererSpec) -> str:
    require(
        spec.suffix.startswith(".") and len(spec.suffix) > 1 and "/" not in spec.suffix,
        f"its suffix is {spec.suffix!r}; a suffix begins with its dot, as .md",
    )
    return spec.suffix


def _write(spec: RendererSpec, given: Any, folder: Path) -> Path:
    """As numgeom does it."""
    path = folder / f"table{spec.suffix}"
    if REPORT in spec.tables:
        spec.load()(given, path, MANIFEST, **spec.params)
    else:
        spec.load()(given, path, **spec.params)
    return path


def _given(kind: str) -> Any:
    tables = sample_tables()
    if kind == REPORT:
        return list(tables.values())
    require(kind in tables, f"there are no tables of kind {kind!r}; kinds are {', '.join(tables)} and {REPORT}")
    return tables[kind]


def _writes(spec: RendererSpec, kind: str) -> str:
    given = _given(kind)
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        paths = [_write(spec, given, Path(folder)) for folder in (first, second)]
        for path in paths:
            require(path.is_file(), f"it wrote no file at {path.name}")
            others = sorted(other.name for other in path.parent.iterdir() if other != path)
            require(not others, f"it wrote files that it was not asked for: {', '.join(others)}")
        contents = [path.read_bytes() for path in paths]
    require(len(contents[0]) > 0, "the file that it wrote is empty")
    require(contents[0] == contents[1], "one table gave two different files")
    return f"{len(contents[0])} bytes"


def _untouched(spec: RendererSpec, kind: str) -> str:
    given = _given(kind)
    tables = given if isinstance(given, list) else [given]
    before = [table.frame.copy(deep=True) for table in tables]
    with tempfile.TemporaryDirectory() as folder:
        _write(spec, given, Path(folder))
    for table, frame in zip(tables, before, strict=True):
        require(table.frame.equals(frame), f"it changed the table {table.name}; work on table.frame.copy()")
    return "the table as before"


def _escapes(spec: RendererSpec, kind: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        text = _write(spec, _given(kind), Path(folder)).read_text(encoding="utf-8")
    for harm in HARMFUL[spec.suffix]:
        require(harm not in text, f"{harm!r} of a model's name stands in the file as it is; escape every string")
    return "markup in names is escaped"
