"""What a run has found so far, and how it becomes tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.catalog import Choice
from numgeom.figures import COLUMNS
from numgeom.loading import Loader
from numgeom.outcome import Outcome
from numgeom.plan import RAW, TOKENIZER, Cell, Experiment, RepresentationId
from numgeom.singles import OBSERVED


@dataclass(slots=True)
class Run:
    """What a run has so far."""

    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    sizes: dict[int, tuple[str, int]] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    coordinates: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    figures: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Any]]] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    draws: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    wide: bool = False
    computed: int = 0
    cached: int = 0


def keep_figures(run: Run, cell: Cell, held: Sequence[dict[str, Any]]) -> None:
    """Enter the series of a cell; those of the observed rows come with every null and are kept once."""
    metric = cell.metric.label if cell.reducer is None else f"{cell.reducer.label} {cell.metric.label}"
    for one in held:
        where = (cell.kind, metric, one["figure"], *cell.a.key)
        run.figures.setdefault(where, {})[one["series"], one["null"]] = one


def table_rows(experiment: Experiment, cells: Sequence[Cell], loader: Loader, run: Run) -> Iterable[dict[str, Any]]:
    """The rows of the long table: one a cell and measure."""
    order = {null.label: place for place, null in enumerate(experiment.nulls)}
    for index, cell in enumerate(cells):
        label, n = run.sizes[index]
        spec = cell.metric.spec
        common = {
            "kind": cell.kind,
            "metric": cell.metric.label,
            "version": spec.version,
            "direction": getattr(spec, "direction", ""),
            **_side("a", cell.a, loader),
            **(_side("b", cell.b, loader) if cell.b else {}),
            "numbers": label,
            "n": n,
            "reducer": cell.reducer.spec.name if cell.reducer else RAW if cell.kind == "convergence" else "",
            "reducer_params": _params(cell.reducer),
            "preprocess": "+".join(experiment.preprocess) or RAW,
            "seed": experiment.seed,
            "null": name_of(cell.null),
            "null_position": order.get(name_of(cell.null), 0),
            "plugin": cell.metric.plugin,
            "plugin_version": cell.metric.plugin_version,
            "cell": run.keys.get(index, ""),
        }
        family = _family(cell, loader)
        for position, outcome in enumerate(run.outcomes[index]):
            codes = [
                *loader.caveats(cell.a),
                *(loader.caveats(cell.b) if cell.b else []),
                *outcome.warnings,
                *family,
            ]
            yield {
                **common,
                **outcome.as_dict(),
                "warnings": "; ".join(sorted(set(codes))),
                "position": position,
            }


def coordinate_table(run: Run, loader: Loader) -> pd.DataFrame:
    """All reductions and their control panels as one tidy table."""
    parts = []
    for (model, source, numbers, reducer), panels in sorted(run.coordinates.items()):
        values = loader.loaded[model, source, numbers].numbers
        for panel, points in sorted(panels.items(), key=lambda item: (item[0] != OBSERVED, item[0])):
            shown: npt.NDArray[Any] = values if points["labelled"] else np.full(values.size, None)
            parts.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "source": source,
                        "numbers": numbers,
                        "reducer": reducer,
                        "panel": panel,
                        "number": pd.array(shown, dtype="Int64"),
                        "x": points["x"],
                        "y": points["y"],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def figure_table(run: Run) -> pd.DataFrame:
    """All series and squares as one tidy table."""
    parts = []
    for (kind, metric, figure, model, source, numbers), held in sorted(run.figures.items()):
        where = {"kind": kind, "metric": metric, "figure": figure, "model": model, "source": source}
        parts += [pd.DataFrame({**where, "numbers": numbers, **one}) for _, one in sorted(held.items())]
    return pd.concat(parts, ignore_index=True).reindex(columns=list(COLUMNS)) if parts else pd.DataFrame()


def _side(side: str, one: RepresentationId, loader: Loader) -> dict[str, Any]:
    rep = loader.loaded.get(one.key)
    return {
        f"model_{side}": one.model.name,
        f"revision_{side}": str(rep.provenance.get("revision", "")) if rep else one.model.revision,
        f"source_{side}": one.source,
        f"dim_{side}": rep.d if rep and one.source != TOKENIZER else None,
    }


def _family(cell: Cell, loader: Loader) -> list[str]:
    """W-FAMILY where two models share their family or their tokenizer."""
    if cell.b is None:
        return []
    a, b = cell.a.model, cell.b.model
    related = any(mine and mine == other for mine, other in ((a.family, b.family), (a.tokenizer, b.tokenizer)))
    mine = loader.tokenizer_digest(cell.a)
    return ["W-FAMILY"] if related or (mine and mine == loader.tokenizer_digest(cell.b)) else []


def name_of(choice: Choice[Any] | None) -> str:
    """The label of a choice; empty where there is none."""
    return choice.label if choice else ""


def _params(choice: Choice[Any] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(choice.params.items())) if choice else ""
