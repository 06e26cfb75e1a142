"""The long table, its manifest, and the study that holds both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.calibrate import false_discovery_rate
from numgeom.catalog import reading_order
from numgeom.errors import NumgeomError
from numgeom.families import adjusted, family_tables, ladder, over_layers
from numgeom.rendering import write_report
from numgeom.tables import Table, all_tables, square_table

KINDS = ("probe", "geometry", "reduction", "convergence")

TEXT = [
    "kind",
    "metric",
    "measure",
    "direction",
    "model_a",
    "revision_a",
    "source_a",
    "model_b",
    "revision_b",
    "source_b",
    "numbers",
    "reducer",
    "reducer_params",
    "preprocess",
    "null",
    "status",
    "reason",
    "warnings",
    "plugin",
    "plugin_version",
    "cell",
]
INTEGER = ["version", "dim_a", "dim_b", "n", "seed", "draws"]
COLUMNS = [
    "kind",
    "metric",
    "measure",
    "version",
    "direction",
    "model_a",
    "revision_a",
    "source_a",
    "dim_a",
    "model_b",
    "revision_b",
    "source_b",
    "dim_b",
    "numbers",
    "n",
    "reducer",
    "reducer_params",
    "preprocess",
    "seed",
    "value",
    "null",
    "draws",
    "null_value",
    "null_mean",
    "null_sd",
    "excess",
    "z",
    "p",
    "q",
    "calibrated",
    "lo",
    "hi",
    "status",
    "reason",
    "warnings",
    "plugin",
    "plugin_version",
    "cell",
]
ORDER = [
    "kind",
    "asked",
    "metric",
    "reducer",
    "model_a",
    "source_a",
    "model_b",
    "source_b",
    "position",
    "null_position",
]


def long_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as the long table: all columns, fixed types, fixed order, q-values entered.

    Parameters
    ----------
    rows : iterable of mapping
        Keys of ``COLUMNS`` (missing ones are empty) and ``position``, the place of a measure within its cell.

    Returns
    -------
    DataFrame
        ``q`` is the Benjamini-Hochberg adjusted p over all rows of one metric, measure, null, space and number set.
    """
    frame = pd.DataFrame(list(rows))
    for column in (*COLUMNS, "position", "null_position"):
        if column not in frame:
            frame[column] = None
    order = {kind: place for place, kind in enumerate(KINDS)}
    for column in TEXT:
        frame[column] = frame[column].fillna("").astype("str")
    frame["asked"] = frame["numbers"].str.partition("/")[0]
    frame["position"] = frame["position"].fillna(0)
    frame["null_position"] = frame["null_position"].fillna(0)
    # Layers in their own order: hidden:2 before hidden:10.
    sources = sorted({*frame["source_a"], *frame["source_b"]}, key=reading_order)
    place = {one: k for k, one in enumerate(sources)}
    places = {"kind": order, "source_a": place, "source_b": place}
    frame = frame.sort_values(ORDER, key=lambda c: c.map(places[c.name]) if c.name in places else c, kind="stable")
    frame = frame.reset_index(drop=True)
    for column in INTEGER:
        frame[column] = frame[column].astype("Int64")
    for column in COLUMNS:
        if column not in TEXT and column not in INTEGER:
            frame[column] = frame[column].astype("float64")
    family = ["kind", "metric", "measure", "null", "reducer", "preprocess", "asked"]
    tested = frame[frame["p"].notna()]
    for _, group in tested.groupby(family, sort=False):
        frame.loc[group.index, "q"] = false_discovery_rate(group["p"].to_numpy())
    return frame[list(COLUMNS)]


@dataclass(eq=False)
class Study:
    """The result of a run.

    Attributes
    ----------
    frame : DataFrame
        The long table: one row is one measured number.
    manifest : dict
        Versions, registry digest, experiment, plugins and their failures, provenance, timings.
    coordinates : DataFrame
        Every 2-D reduction and its controls: model, source, numbers, reducer, panel, number, x, y.
    probes : dict
        Everything that probes found, lists included: ``{model: {numbers: {probe: {...}}}}``.
    figures : DataFrame
        Every series and square that metrics and probes found, with the mean and sd of each null: kind, metric,
        figure, model, source, numbers, series, null, x, y, sd, value, x_label, y_label, points.
    draws : dict
        The null draws of every cell whose null permutes rows and was drawn, ``{cell: (draws,)}``: the same
        permutations for all pairs, metrics and layers on one set of numbers.

    Examples
    --------
    >>> import numgeom
    >>> study = numgeom.compare(["synthetic:line", "synthetic:walk"], metrics=["cka_linear"], draws=19)
    >>> study.table("cka_linear").shape
    (2, 2)
    """

    frame: pd.DataFrame
    manifest: dict[str, Any] = field(default_factory=dict)
    coordinates: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: dict[str, Any] = field(default_factory=dict)
    figures: pd.DataFrame = field(default_factory=pd.DataFrame)
    draws: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def table(self, metric: str, *, column: str = "value", null: str | None = None) -> pd.DataFrame:
        """A models x models (convergence) or models x measures (other kinds) view of one metric.

        Parameters
        ----------
        metric : str
        column : str
            Which column of the long table fills the cells.
        null : str, optional
            The null whose rows are meant; needed for columns that differ between nulls.

        Raises
        ------
        NumgeomError
            If the metric is not in the study, or if several rows would fall into one cell.
        """
        return square_table(self.frame, metric, column=column, null=null)

    def tables(self) -> list[Table]:
        """Every table that people read of this study, ready for a renderer."""
        found = all_tables(self.frame, self.coordinates, self.manifest, self.figures)
        return found + family_tables(self.frame, self.draws, self.manifest.get("closest", {}))

    def adjusted(self, method: str = "westfall_young", *, null: str | None = None) -> pd.Series[float]:
        """p-values adjusted for all tests of one table, with the index of :attr:`frame`.

        Parameters
        ----------
        method : {"westfall_young", "benjamini_hochberg"}
            Westfall-Young (single-step max-z) bounds the chance of any false claim in a table. It needs the draws of
            a null that permutes rows: ``nulls="row_permutation_drawn"`` keeps them for every metric, and
            ``row_permutation`` for those without a closed form. Benjamini-Hochberg is the column ``q``.
        null : str, optional
            Only rows of this null.

        Raises
        ------
        NumgeomError
            If the draws were not kept.

        Examples
        --------
        >>> import numgeom
        >>> models = ["synthetic:line", "synthetic:walk", "synthetic:iid"]
        >>> study = numgeom.compare(models, metrics="cka_linear", nulls="row_permutation_drawn", draws=99)
        >>> study.adjusted("westfall_young").between(study.frame["p"], 1.0).all()
        np.True_
        """
        return adjusted(self.frame, self.draws, method, null)

    def layers(self, metric: str, *, null: str | None = None) -> pd.DataFrame:
        """The best pair of layers of every two models, held against the best of each null draw.

        Parameters
        ----------
        metric : str
        null : str, optional
            By default the first null of which draws are kept: ``row_permutation_drawn`` keeps them for every metric.

        Returns
        -------
        DataFrame
            ``W-MULT`` stands where no draws were kept, and the maximum therefore stands alone.

        Raises
        ------
        NumgeomError
            If no two models have several layers in this study.

        References
        ----------
        Groeger, Wen & Brbic 2026, arXiv:2602.14486 (Algorithm 2).
        """
        closest = self.manifest.get("closest", {}).get(metric)
        return over_layers(self.frame, self.draws, metric, null, best=np.inf if closest is None else closest)

    def ladder(self, metric: str, *, null: str = "order_modes") -> pd.DataFrame:
        """One null at all its settings in this study, setting by setting within a pair.

        ``nulls=["order_modes(q=0)", "order_modes(q=10)", "order_modes", "order_modes(q=40)"]`` shows what is left
        of an agreement as more of the smooth shape is dropped.

        Parameters
        ----------
        metric : str
        null : str
            The name without parameters.
        """
        return ladder(self.frame, metric, null)

    @property
    def failures(self) -> pd.DataFrame:
        """The rows with status ``error``."""
        return self.frame[self.frame["status"] == "error"]

    def report(self, path: Path | str) -> Path:
        """Write all tables as one self-contained HTML page.

        Parameters
        ----------
        path : Path or str
            The ``.html`` file.
        """
        return write_report(self.tables(), Path(path), self.manifest)

    def save(self, folder: Path | str) -> Path:
        """Write ``results.parquet`` and ``.csv``, ``manifest.json``, and what there is besides.

        That is ``coordinates.parquet``, ``figures.parquet``, ``probes.json`` and ``draws.npz``.
        """
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
            self.frame.to_parquet(target / "results.parquet", index=False)
            self.frame.to_csv(target / "results.csv", index=False)
            if len(self.coordinates):
                self.coordinates.to_parquet(target / "coordinates.parquet", index=False)
            if len(self.figures):
                self.figures.to_parquet(target / "figures.parquet", index=False)
            if self.probes:
                _write_json(target / "probes.json", self.probes)
            if self.draws:
                cells = sorted(self.draws)
                np.savez(target / "draws.npz", cells=np.array(cells), values=np.stack([self.draws[c] for c in cells]))
            _write_json(target / "manifest.json", self.manifest)
        except OSError as error:
            raise NumgeomError(
                f"cannot write to {str(target)!r}: {error.strerror}; give --out another folder."
            ) from None
        return target

    @classmethod
    def load(cls, folder: Path | str) -> Study:
        """Read back what :meth:`save` wrote."""
        source = Path(folder)
        if not (source / "results.parquet").is_file():
            raise NumgeomError(f"{str(source)!r} holds no results.parquet; give the --out folder of a run.")
        coordinates = source / "coordinates.parquet"
        probes = source / "probes.json"
        figures = source / "figures.parquet"
        return cls(
            pd.read_parquet(source / "results.parquet"),
            json.loads((source / "manifest.json").read_text()),
            pd.read_parquet(coordinates) if coordinates.is_file() else pd.DataFrame(),
            json.loads(probes.read_text()) if probes.is_file() else {},
            pd.read_parquet(figures) if figures.is_file() else pd.DataFrame(),
            _read_draws(source / "draws.npz"),
        )


def _read_draws(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as held:
        return dict(zip(held["cells"].tolist(), held["values"], strict=True))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """Numpy scalars and arrays as plain data."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)
