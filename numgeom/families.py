"""Scores that belong together: tests over one table, layers of two models, one null at several settings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.calibrate import SIGN, calibrate, false_discovery_rate, westfall_young
from numgeom.errors import NumgeomError, UnknownName
from numgeom.tables import Table, file_stem

F64 = npt.NDArray[np.float64]
Draws = Mapping[str, F64]

METHODS = ("benjamini_hochberg", "westfall_young")
# What makes rows of the long table one table, whose tests are one family.
TABLE = ["kind", "metric", "measure", "null", "reducer", "preprocess", "asked"]
LAYER_COLUMNS = (
    *("metric", "reducer", "preprocess", "model_a", "model_b", "numbers", "n", "searched", "source_a", "source_b"),
    *("value", "null", "draws", "null_mean", "null_sd", "excess", "z", "p", "calibrated", "warnings"),
)
SHOWN = ("metric", "model_a", "source_a", "model_b", "source_b", "reducer", "preprocess", "numbers", "n")
LADDER_COLUMNS = [
    *("model_a", "source_a", "model_b", "source_b", "reducer", "numbers", "n", "null"),
    *("value", "null_value", "null_mean", "excess", "z", "p", "q", "status", "reason"),
]


def adjusted(frame: pd.DataFrame, draws: Draws, method: str = "westfall_young", null: str | None = None) -> pd.Series:
    """p-values adjusted for the tests of the table that each row belongs to.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    draws : mapping
        The null draws of its cells.
    method : {"westfall_young", "benjamini_hochberg"}
        Westfall-Young bounds the chance of any false claim in a table, and needs draws that share their
        permutations; Benjamini-Hochberg bounds the share of false claims, and is the column ``q``.
    null : str, optional
        Only rows of this null.

    Returns
    -------
    Series
        One value a tested row, with the index of the long table.

    Raises
    ------
    NumgeomError
        If Westfall-Young is asked for and the draws were not kept.
    """
    if method not in METHODS:
        raise UnknownName("method of adjusting", method, METHODS)
    tested = frame[frame["p"].notna()].assign(asked=frame["numbers"].str.partition("/")[0])
    if null is not None:
        tested = _of_null(tested, null)
    if method == "westfall_young":
        # Measures of single models are tested on both sides, and their draws are not kept.
        tested = tested[tested["kind"] == "convergence"]
        tested = tested if null is not None else tested[tested["cell"].isin(list(draws))]
    found = pd.Series(np.nan, index=tested.index, name="adjusted")
    if method == "westfall_young" and (tested.empty or not tested["cell"].isin(list(draws)).all()):
        raise NumgeomError(
            "Westfall-Young needs the draws of a permutation null, and these rows have none kept; compare with "
            "nulls='row_permutation_drawn', which draws where a closed form would do."
        )
    for _, rows in tested.groupby(TABLE, sort=False):
        if method == "benjamini_hochberg":
            found[rows.index] = false_discovery_rate(rows["p"].to_numpy())
        else:
            drawn = np.stack([draws[cell] for cell in rows["cell"]])
            direction = str(rows["direction"].iloc[0])
            found[rows.index] = westfall_young(rows["value"].to_numpy(), drawn, direction=direction)
    return found


def over_layers(
    frame: pd.DataFrame, draws: Draws, metric: str, null: str | None = None, *, best: float = np.inf
) -> pd.DataFrame:
    """The best score of two models over all pairs of their layers, held against the best of every null draw.

    A search over layers finds high scores in noise. The same search is made in each draw, under the permutation
    that all pairs of layers share, and the largest of each draw is what the observed maximum is held against.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    draws : mapping
        The null draws of its cells.
    metric : str
    null : str, optional
        By default the first null of which draws are kept.
    best : float
        The score of identical representations; infinite where there is no bound.

    Returns
    -------
    DataFrame
        One row a pair of models with several readings: the best pair of layers, how many were searched, and its
        calibration. Where no draws are kept the maximum stands alone, with ``W-MULT``.

    Raises
    ------
    UnknownName
        If the metric or the null is not in the table.
    NumgeomError
        If no pair of models has several readings.

    References
    ----------
    Groeger, Wen & Brbic 2026, arXiv:2602.14486 (Algorithm 2).
    """
    part = frame[frame["kind"] == "convergence"]
    if metric not in set(part["metric"]):
        raise UnknownName("metric in this study", metric, set(part["metric"]))
    part = part[part["metric"] == metric]
    if null is not None:
        part = _of_null(part, null)
    else:
        held = [name for name in dict.fromkeys(part["null"]) if part[part["null"] == name]["cell"].isin(draws).any()]
        part = part[part["null"] == (held or list(dict.fromkeys(part["null"])))[0]]
    rows = []
    # Only layers on the same numbers were permuted alike.
    by = ["reducer", "preprocess", "model_a", "model_b", "numbers"]
    for key, group in part[part["status"] == "ok"].groupby(by, sort=False):
        if len(group) > 1:
            rows.append({"metric": metric, **dict(zip(by, key, strict=True)), **_best(group, draws, best)})
    if not rows:
        raise NumgeomError(
            f"no two models in this study have several layers scored by {metric!r}; compare with "
            "sources='hidden', layers='all'."
        )
    return pd.DataFrame(rows, columns=list(LAYER_COLUMNS))


def _best(group: pd.DataFrame, draws: Draws, best: float) -> dict[str, object]:
    """The best pair of layers beside the best of each draw."""
    direction = str(group["direction"].iloc[0])
    sign = SIGN[direction]
    top = group.iloc[int(np.argmax(sign * group["value"].to_numpy()))]
    row: dict[str, object] = {
        "n": top["n"],
        "searched": len(group),
        "source_a": top["source_a"],
        "source_b": top["source_b"],
        "value": top["value"],
        "null": top["null"],
    }
    if not group["cell"].isin(list(draws)).all():
        return {**row, "draws": 0, "warnings": "W-MULT"}
    largest = sign * np.max([sign * draws[cell] for cell in group["cell"]], axis=0)
    found = calibrate(float(top["value"]), largest, direction=direction, best=best)
    return {
        **row,
        "draws": largest.size,
        "null_mean": found.mean,
        "null_sd": found.sd,
        "excess": found.excess,
        "z": found.z,
        "p": found.p,
        "calibrated": found.calibrated,
        "warnings": "",
    }


def ladder(frame: pd.DataFrame, metric: str, null: str = "order_modes") -> pd.DataFrame:
    """One null at several settings: how the excess of each pair stands as, say, more smooth modes are dropped.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    metric : str
    null : str
        The name without parameters.

    Returns
    -------
    DataFrame
        The rows of ``null`` at every setting in the study, setting by setting within a pair.
    """
    part = frame[(frame["kind"] == "convergence")]
    if metric not in set(part["metric"]):
        raise UnknownName("metric in this study", metric, set(part["metric"]))
    part = part[part["metric"] == metric]
    names = [name for name in dict.fromkeys(part["null"]) if name.partition("(")[0] == null]
    if not names:
        raise UnknownName(f"null of {metric!r}", null, {name.partition("(")[0] for name in part["null"] if name})
    return part.loc[part["null"].isin(names), LADDER_COLUMNS].reset_index(drop=True)


def family_tables(frame: pd.DataFrame, draws: Draws, closest: Mapping[str, float | None]) -> list[Table]:
    """The tables that kept draws give: adjusted p-values of every pair, and the best layers of every two models.

    Parameters
    ----------
    frame : DataFrame
        The long table.
    draws : mapping
        The null draws of its cells.
    closest : mapping
        By metric: the score of identical representations, or None.
    """
    found: list[Table] = []
    pairs = frame[(frame["kind"] == "convergence") & frame["p"].notna()]
    for null in dict.fromkeys(pairs["null"]):
        rows = pairs[pairs["null"] == null]
        # Where some metrics need no draws, those of the others make no whole table.
        several = rows.duplicated([name for name in TABLE if name != "asked"]).any()
        if several and rows["cell"].isin(list(draws)).all():
            shown = rows[[*SHOWN, "value", "excess", "z", "p", "q"]].assign(
                p_westfall_young=adjusted(frame, draws, "westfall_young", null)
            )
            title = f"p beside {null}, adjusted for every table (q: Benjamini-Hochberg)"
            found.append(Table(file_stem("adjusted", null), "convergence", title, shown.reset_index(drop=True)))
    several = pairs.groupby(["model_a", "model_b"])[["source_a", "source_b"]].nunique().gt(1).any(axis=None)
    for metric in dict.fromkeys(pairs["metric"]) if several else ():
        bound = closest.get(metric)
        best = over_layers(frame, draws, metric, best=np.inf if bound is None else bound)
        notes = (
            "W-MULT: no draws were kept, so the maximum stands without its null; compare with "
            "--nulls row_permutation_drawn (in Python nulls='row_permutation_drawn').",
        )
        title = f"{metric}: the best layers of two models, beside the best of each null draw"
        marked = bool((best["warnings"] == "W-MULT").any())
        found.append(Table(file_stem("layers", metric), "convergence", title, best, notes if marked else ()))
    return found


def _of_null(frame: pd.DataFrame, null: str) -> pd.DataFrame:
    if null not in set(frame["null"]):
        raise UnknownName("null in this study", null, {name for name in frame["null"] if name})
    return frame[frame["null"] == null]
