"""Wide views of the long table: what people read. Nothing is averaged silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from numgeom.calibrate import EFFECT, passes
from numgeom.catalog import reading_order
from numgeom.errors import WARNING_CODES as GIST
from numgeom.errors import NumgeomError, UnknownName

OF_A_NULL = ("null", "draws", "null_value", "null_mean", "null_sd", "excess", "z", "p", "q", "calibrated")
# Both sides share what they are made of, pieces of numbers or the numbers themselves, and no null takes that away.
SHARED = ("W-POOLED", "W-LABEL-LEAK")
# Columns of a score beside its value, where some pair of a table has them.
BESIDE = ("lo", "hi")
INTERVAL = "lo, hi: 95 % interval of the value, from blocks of numbers left out in turn (jackknife)."
DIRECTION = {"higher_is_closer": "higher is closer", "lower_is_closer": "lower is closer"}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table, ready for a renderer.

    Attributes
    ----------
    name : str
        File stem.
    kind : str
        ``probe``, ``geometry``, ``reduction``, ``convergence``, ``convergence_matrix``, ``coordinates``, ``curves``,
        ``squares``, ``fingerprint`` or ``long``.
    title : str
    frame : DataFrame
        Full precision; renderers round what people read.
    notes : tuple of str
        Caveats and legends to print below it.
    """

    name: str
    kind: str
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def all_tables(
    frame: pd.DataFrame,
    coordinates: pd.DataFrame,
    manifest: Mapping[str, Any],
    figures: pd.DataFrame | None = None,
) -> list[Table]:
    """Every table of a study, in reading order.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    coordinates : DataFrame
        Points of the reductions.
    manifest : mapping
        Its ``nulls`` say what beating each null may be called.
    figures : DataFrame, optional
        Series and squares.
    """
    nulls, words = manifest.get("nulls", {}), manifest.get("words", {})
    found: list[Table] = []
    for (kind, numbers), part in _grouped(frame.assign(asked=_asked(frame)), ["kind", "asked"]):
        labelled = _labelled(part)
        if kind == "convergence":
            found += convergence_tables(labelled, numbers, nulls)
        else:
            labelled["reducer"] = _reducers(labelled)
            if kind == "geometry" and labelled["metric"].nunique() > 1:
                found.append(fingerprint(labelled, numbers))
            for key, group in _grouped(labelled, _TABLE_KEYS[kind]):
                found.append(_described(group, kind, key, numbers, words.get(key[-1], {})))
    for (model, source, reducer, numbers), points in _grouped(coordinates, ["model", "source", "reducer", "numbers"]):
        found.append(
            Table(
                file_stem("reduction", model, source, reducer, numbers),
                "coordinates",
                f"{reducer} of {model} ({source}), numbers {numbers}",
                points.drop(columns="numbers").reset_index(drop=True),
                _of_picture(frame, model, source, reducer, numbers, words),
            )
        )
    return found + _figure_tables(pd.DataFrame() if figures is None else figures, nulls)


def fingerprint(part: pd.DataFrame, numbers: str) -> Table:
    """One row a model over all geometry metrics: a column for each measure, and one for its z beside each null."""
    rows: dict[str, dict[str, Any]] = {}
    for _, held in part[part["measure"] != ""].iterrows():
        row = rows.setdefault(held["a"], {"model": held["a"], "n": held["n"]})
        name = f"{held['metric']}.{held['measure']}"
        row[name] = held["value"]
        if held["null"] and not pd.isna(held["z"]):
            row[f"{name} z {held['null']}"] = held["z"]
    notes = ("A missing value was skipped or failed; the table of that metric says why.",)
    title = f"all geometry metrics, numbers {numbers}"
    return Table(file_stem("fingerprint", numbers), "fingerprint", title, pd.DataFrame(list(rows.values())), notes)


def _reducers(frame: pd.DataFrame) -> list[str]:
    """Names of the reducers, with their parameters where one reducer is used with several sets of them."""
    used = frame[["reducer", "reducer_params"]].drop_duplicates()["reducer"].value_counts()
    return [
        f"{name}({params})" if used[name] > 1 else name
        for name, params in zip(frame["reducer"], frame["reducer_params"], strict=True)
    ]


def _figure_tables(figures: pd.DataFrame, nulls: Mapping[str, Any]) -> list[Table]:
    """One table a figure, models below one another."""
    found = []
    for (kind, metric, figure, numbers), part in _grouped(figures, ["kind", "metric", "figure", "numbers"]):
        square = bool(part["value"].notna().any())
        notes = [
            f"{name} keeps {nulls[name]['keeps']}; destroys {nulls[name]['destroys']}."
            for name in dict.fromkeys(part["null"])
            if name in nulls
        ]
        stem = file_stem(kind, metric, figure, numbers)
        title = f"{metric}: {figure}, numbers {numbers}"
        held = part.drop(columns=["kind", "metric", "figure", "numbers"]).reset_index(drop=True)
        found.append(Table(stem, "squares" if square else "curves", title, held, tuple(notes)))
    return found


_TABLE_KEYS = {"probe": ["metric"], "geometry": ["metric"], "reduction": ["reducer", "metric"]}


def convergence_tables(part: pd.DataFrame, numbers: str, nulls: Mapping[str, Any]) -> list[Table]:
    """One flat table a metric and space, pairs as rows; and the same as tidy squares for heat maps."""
    found = []
    for (metric, reducer, chain), group in _grouped(part, ["metric", "reducer", "preprocess"]):
        space = "" if reducer in ("", "none") else f" on {reducer}"
        space += "" if chain in ("", "none") else f" after {chain}"
        rows = pd.DataFrame([_pair_row(pair, nulls) for _, pair in _grouped(group, ["a", "b"])])
        rows = rows.drop(columns=_hollow(rows))
        direction = DIRECTION.get(str(group["direction"].iloc[0]), "")
        title = f"{metric}{space}, numbers {numbers} ({direction})"
        notes = _legend(group, nulls)
        found.append(
            Table(
                file_stem("convergence", metric, reducer, chain, numbers),
                "convergence",
                title,
                rows,
                (*notes, INTERVAL) if set(BESIDE) <= set(rows) else notes,
            )
        )
        found.append(
            Table(
                file_stem("matrix", metric, reducer, chain, numbers),
                "convergence_matrix",
                title,
                _squares(group),
                notes,
            )
        )
    return found


def square_table(frame: pd.DataFrame, metric: str, *, column: str = "value", null: str | None = None) -> pd.DataFrame:
    """Pivot one metric: models x models for pairs, models x measures otherwise.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    metric : str
    column : str
    null : str, optional

    Returns
    -------
    DataFrame
        Cells that were skipped or failed, and the diagonal, are missing values.

    Raises
    ------
    UnknownName
        If the metric, the column or the null is not in the table.
    NumgeomError
        If two different values would share a cell: nothing is averaged.
    """
    _known("metric in this study", metric, frame["metric"])
    _known("column", column, frame.columns)
    part = frame[frame["metric"] == metric]
    if null is None and column in OF_A_NULL and part["null"].nunique() > 1:
        names = ", ".join(repr(name) for name in dict.fromkeys(part["null"]))
        raise NumgeomError(f"column {column!r} of {metric!r} differs between nulls; give null= one of {names}.")
    if null is not None:
        _known(f"null of {metric!r}", null, part["null"])
        part = part[part["null"] == null]
    labelled = _labelled(part)
    paired = bool((labelled["b"] != "").any())
    key = ["a", "b"] if paired else ["a", "measure"]
    cells: dict[tuple[str, str], Any] = {}
    for row, name, value in zip(labelled[key[0]], labelled[key[1]], labelled[column], strict=True):
        if pd.isna(value):
            continue
        if (row, name) in cells and cells[row, name] != value:
            raise NumgeomError(
                f"{metric!r} has several values of {column!r} for {row} and {name}; "
                "choose one null (null=...), or filter .frame by reducer, preprocess or numbers first."
            )
        cells[row, name] = value
        if paired and bool((labelled["symmetric"]).all()):
            cells[name, row] = value
    rows = list(dict.fromkeys(labelled["a"]))
    if paired:
        rows = sorted({*labelled["a"], *labelled["b"]} - {""}, key=reading_order)
    columns = rows if paired else list(dict.fromkeys(labelled["measure"]))
    grid = [[cells.get((row, name), np.nan) for name in columns] for row in rows]
    return pd.DataFrame(grid, index=pd.Index(rows, name="model"), columns=columns)


def _pair_row(pair: pd.DataFrame, nulls: Mapping[str, Any]) -> dict[str, Any]:
    first = pair.iloc[0]
    value = _first(pair["value"])
    row: dict[str, Any] = {
        "a": first["a"],
        "b": first["b"],
        "n": first["n"],
        "value": value,
        **{name: _first(pair[name]) for name in BESIDE},
    }
    for _, held in pair.iterrows():
        if held["null"]:
            row[f"{held['null']} value"] = held["null_value"]
            row.update({f"{held['null']} {name}": held[name] for name in ("excess", "z", "p")})
    statuses = sorted({str(status) for status in pair["status"]} - {"ok"})
    row["verdict"] = _verdict(pair, nulls) if pd.notna(value) else ", ".join(statuses)
    row["warnings"] = _codes(pair)
    shared = [code for code in SHARED if code in row["warnings"].split()]
    if shared and pd.notna(value):
        row["verdict"] = f"none: {shared[0]}"
    return row


def _hollow(rows: pd.DataFrame) -> list[str]:
    """Columns that say nothing: no interval anywhere, or what a null compares, where that is the score itself."""
    none = [name for name in BESIDE if rows[name].isna().all()]
    held = [str(name) for name in rows if str(name).endswith(" value")]
    return none + [name for name in held if (rows[name].isna() | (rows[name] == rows["value"])).all()]


def _first(column: pd.Series) -> Any:
    """The first value of a column that is not missing."""
    present = column.dropna()
    return present.iloc[0] if len(present) else np.nan


def _verdict(pair: pd.DataFrame, nulls: Mapping[str, Any]) -> str:
    """What the pair may be called: the last claim, in the order of the nulls, before one that fails."""
    earned = ""
    for _, held in pair.iterrows():
        claim = nulls.get(held["null"], {}).get("claim")
        if not claim or held["status"] != "ok":
            continue
        p, excess = _number(held["p"]), _number(held["excess"])
        if not passes(p, excess):
            if passes(p, EFFECT) and (excess or 0.0) > 0:
                return f"{claim}, small effect"
            return f"{earned} only" if earned else f"not {claim}"
        earned = claim
    return earned


def _squares(group: pd.DataFrame) -> pd.DataFrame:
    """Tidy squares: panels ``value`` and ``NULL excess``, both triangles of a symmetric metric."""
    rows = []
    for _, held in group.iterrows():
        panels = [("value", "value", None)] if held["null_position"] == 0 else []
        if held["null"]:
            panels.append((f"{held['null']} excess", "excess", held["p"]))
        ends = [(held["a"], held["b"])] + ([(held["b"], held["a"])] if held["symmetric"] else [])
        for panel, column, p in panels:
            for a, b in ends:
                rows.append(
                    {
                        "panel": panel,
                        "model_a": a,
                        "model_b": b,
                        "value": held[column],
                        "p": np.nan if p is None else p,
                        "n": held["n"],
                        "status": held["status"],
                    }
                )
    return pd.DataFrame(rows)


def _of_picture(
    frame: pd.DataFrame, model: str, source: str, reducer: str, numbers: str, words: Mapping[str, Any]
) -> tuple[str, ...]:
    """What was measured of a reduction, one line a metric, verdicts first; the tables hold its controls."""
    name, _, inner = reducer.partition("(")
    part = frame[
        (frame["kind"] == "reduction")
        & (frame["model_a"] == model)
        & (frame["source_a"] == source)
        & (frame["reducer"] == name)
        & (_asked(frame) == numbers)
        & (frame["status"] == "ok")
    ]
    given = inner.rstrip(")").split(", ") if inner else []
    fits = [text for text in dict.fromkeys(part["reducer_params"]) if set(given) <= set(text.split(", "))]
    if len(fits) != 1:
        return ()
    notes: list[str] = []
    for metric, held in _grouped(part[part["reducer_params"] == fits[0]], ["metric"]):
        verdicts = words.get(metric[0], {})
        said = []
        for measure, rows in _grouped(held, ["measure"]):
            value = float(rows["value"].iloc[0])
            if measure[0] in verdicts:
                notes.insert(0, f"{measure[0].replace('_', ' ')}: {verdicts[measure[0]].get(str(value), value)}")
                continue
            said.append(f"{measure[0]} {value:.3g}")
        notes.append(f"{metric[0]}: " + "; ".join(said))
    return tuple(notes)


def _described(
    group: pd.DataFrame, kind: str, key: Sequence[str], numbers: str, words: Mapping[str, Mapping[str, str]]
) -> Table:
    """One metric of single models: a value row a model, then a row for the mean and the z of each control.

    A value that is a verdict is written as its word.
    """
    rows: list[dict[str, Any]] = []
    for (model, n), one in _grouped(group, ["a", "n"]):
        lines: dict[str, dict[str, Any]] = {}
        for _, held in one.iterrows():
            entries = [("value", "value")]
            if held["null"]:
                entries += [(f"{held['null']} mean", "null_mean"), (f"{held['null']} z", "z")]
            for line, column in entries:
                row = lines.setdefault(line, {"model": model, "n": n, **({} if kind == "probe" else {"row": line})})
                if held["measure"] and (held["measure"] not in row or pd.isna(row[held["measure"]])):
                    said = words.get(held["measure"], {}) if line == "value" else {}
                    row[held["measure"]] = said.get(str(held[column]), held[column])
        codes = _codes(one)
        if codes:
            lines["value"]["warnings"] = codes
        rows += [line for line in lines.values() if _holds(line) or line is lines["value"]]
    frame = pd.DataFrame(rows)
    if "warnings" in frame:
        frame["warnings"] = frame.pop("warnings").fillna("")
    label = " of ".join(reversed(key))
    return Table(file_stem(kind, *key, numbers), kind, f"{label}, numbers {numbers}", frame, _legend(group, {}))


def _holds(line: Mapping[str, Any]) -> bool:
    return any(not pd.isna(v) for k, v in line.items() if k not in ("model", "n", "row", "warnings"))


def _legend(group: pd.DataFrame, nulls: Mapping[str, Any]) -> tuple[str, ...]:
    """Why numbers are missing, what the nulls of a table keep and destroy, and what its warning codes mean."""
    missing: dict[str, list[str]] = {}
    for _, held in group[group["status"] != "ok"].iterrows():
        # A probe that finds none says so by an empty cell.
        if held["kind"] != "probe" or held["status"] == "error" or not held["measure"]:
            where = f"{held['a']} and {held['b']}" if held["b"] else held["a"]
            missing.setdefault(f"{held['status']}: {held['reason']}", []).append(where)
    notes = [f"{', '.join(dict.fromkeys(where))}: {reason}" for reason, where in missing.items()]
    notes += [
        f"{name} keeps {nulls[name]['keeps']}; destroys {nulls[name]['destroys']}."
        for name in dict.fromkeys(group["null"])
        if name in nulls
    ]
    if group["kind"].iloc[0] == "reduction":
        drawn = group[group["null"] != ""].groupby("null", sort=False)["draws"].max()
        notes += [f"Draws: {', '.join(f'{name} {count}' for name, count in drawn.items())}."] if len(drawn) else []
    if group["kind"].iloc[0] == "convergence":
        for name, of_null in group[group["p"].notna()].groupby("null", sort=False):
            counts = of_null["draws"][of_null["draws"] > 0]
            if 0 < len(counts) < len(of_null):
                draws = int(counts.max())
                notes.append(
                    f"{name}: {len(counts)} of {len(of_null)} p are from {draws} draws, which give none below "
                    f"{1 / (draws + 1):.2g}; the others are by moments."
                )
    return (*notes, *(f"{code}: {GIST[code]}." for code in _codes(group).split() if code in GIST))


def _codes(rows: pd.DataFrame) -> str:
    """The warning codes of some rows, each once."""
    return " ".join(sorted({code for text in rows["warnings"] for code in text.split("; ") if code}))


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns ``a`` and ``b``: model names, with the source where one model has several."""
    out = frame.copy()
    names = pd.concat(
        [
            frame[["model_a", "source_a"]].set_axis(["m", "s"], axis=1),
            frame[["model_b", "source_b"]].set_axis(["m", "s"], axis=1),
        ]
    ).drop_duplicates()
    several = set(names[names["m"] != ""]["m"].value_counts().loc[lambda count: count > 1].index)
    for side in "ab":
        out[side] = [
            f"{model}/{source}" if model in several else model
            for model, source in zip(frame[f"model_{side}"], frame[f"source_{side}"], strict=True)
        ]
    pairs = set(zip(out["a"], out["b"], strict=True))
    out["symmetric"] = not any((b, a) in pairs for a, b in pairs if b)
    seen: dict[tuple[Any, ...], list[str]] = {}
    places = []
    for key in zip(out["metric"], out["a"], out["b"], out["measure"], out["reducer"], out["null"], strict=True):
        order = seen.setdefault(key[:-1], [])
        if key[-1] not in order:
            order.append(key[-1])
        places.append(order.index(key[-1]))
    out["null_position"] = places
    return out


def _asked(frame: pd.DataFrame) -> pd.Series[str]:
    """The number set that was asked for, whatever part of it a row was measured on."""
    return frame["numbers"].str.partition("/")[0]


def _grouped(frame: pd.DataFrame, by: list[str]) -> list[tuple[Any, pd.DataFrame]]:
    return list(frame.groupby(by, sort=False, dropna=False)) if len(frame) else []


def _known(what: str, name: str, allowed: Any) -> None:
    if name not in set(allowed):
        raise UnknownName(what, name, {str(one) for one in allowed if one})


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def file_stem(*parts: str) -> str:
    """A file stem of what identifies a table."""
    kept = [part for part in parts if part not in ("", "none", "0..999")]
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in "__".join(kept)).strip("_")
