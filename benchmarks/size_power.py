"""Size and power of the default calibration: how often order_modes rejects curves that share nothing, or a code.

Every cell draws pairs of independent curves and scores them as users do (``numgeom.score`` with the null
``order_modes``: q = 20, both bases, each side in turn, the larger p). Where nothing is planted, rejections are
false; where both curves of a pair carry the same code, in directions of their own, they are true.

A pair is two draws of ``X = L Z / sqrt(d)``, ``LL'`` the sum of three kernels over the numbers: the curve at
unit mean energy a row, white noise of energy 1 / SNR, and the code at energy amplitude^2 (.0625). For d > n only
the ``(n, n)`` factor of Z with its Gram is drawn (Bartlett), so that nothing is as wide as the model it stands for.

    python benchmarks/size_power.py --pairs 20 --draws 39 --cells n=300,d=1024 --cells gaps=1,metric=coherence

One CSV row is written for each finished cell, and cells that the file already holds are not run again; the
table of the whole file is printed at the end. Cheap cells come first.
"""

from __future__ import annotations

import argparse
import csv
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from itertools import product
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt

import numgeom
from numgeom import Representation
from numgeom.calibrate import passes

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

AMPLITUDE = 0.25
PERIODS = (2, 5, 10, 100)
CURVES = ("walk", "ar1", "logwalk")
SIGNALS = (0.5, 4.0)
SETS = ((100, 1), (300, 0), (1000, 0))
WIDTHS = (128, 1024, 4096)
PLANTED = ("nothing", "mod10", "helix")
METRICS = {
    "cka_debiased": "cka_linear_debiased",
    "coherence": "order_mode_coherence_n",
    "knn": "mutual_knn_cosine",
    "procrustes": "procrustes_angular",
    "rsa": "rsa_spearman_euclidean",
}
# Seconds of one pair with 39 draws at n = 300, about: only the order of the cells depends on it.
COSTS = {"cka_debiased": 0.08, "coherence": 0.06, "knn": 0.5, "procrustes": 0.9, "rsa": 0.8}


@dataclass(frozen=True)
class Cell:
    """One setting: the unit of work."""

    metric: str
    curve: str
    snr: float
    n: int
    gaps: int
    d: int
    planted: str

    @property
    def cost(self) -> float:
        """About how long it takes, in any unit."""
        return COSTS[self.metric] * self.n**2


@dataclass(frozen=True)
class Finding:
    """What came of one cell."""

    pairs: int
    draws: int
    rejected: int
    beyond_effect: int
    mean_value: float
    mean_excess: float
    seconds: float


CELL = [item.name for item in fields(Cell)]
COLUMNS = [*CELL, *(item.name for item in fields(Finding))]


def cells() -> list[Cell]:
    grid = product(METRICS, CURVES, SIGNALS, SETS, WIDTHS, PLANTED)
    found = [Cell(metric, curve, snr, n, gaps, d, planted) for metric, curve, snr, (n, gaps), d, planted in grid]
    return sorted(found, key=lambda cell: cell.cost)


def kernel(cell: Cell, numbers: I64) -> F64:
    """Covariance of one column, times d."""
    t = numbers.astype(np.float64)
    apart = np.abs(t[:, None] - t[None, :])
    if cell.curve == "ar1":
        curve = 0.97**apart
    else:
        index = np.log1p(t) if cell.curve == "logwalk" else t
        curve = np.minimum.outer(index, index)
    curve = curve - curve.mean(axis=0)
    curve -= curve.mean(axis=1, keepdims=True)
    curve /= np.trace(curve) / len(t)
    code = np.zeros_like(curve)
    if cell.planted == "mod10":
        code[apart % 10 == 0] = 1.0
    elif cell.planted == "helix":
        code = np.mean([np.cos(2 * np.pi * apart / period) for period in PERIODS], axis=0)
    return np.asarray(curve + np.eye(len(t)) / cell.snr + AMPLITUDE**2 * code)


def draw(root: F64, numbers: I64, d: int, rng: np.random.Generator) -> Representation:
    n = len(numbers)
    if d > n:
        z = np.tril(rng.standard_normal((n, n)), -1)
        z[np.diag_indices(n)] = np.sqrt(rng.chisquare(d - np.arange(n)))
    else:
        z = rng.standard_normal((n, d))
    return Representation(root @ z / np.sqrt(d), numbers, provenance={"width": d})


def run(cell: Cell, pairs: int, draws: int) -> tuple[Cell, Finding]:
    started = time.perf_counter()
    rng = np.random.default_rng([zlib.crc32(repr(astuple(cell)[1:]).encode())])
    held = []
    for pair in range(pairs):
        # Sets with gaps are drawn anew for each pair, so that no finding hangs on one pattern of gaps.
        numbers = np.sort(rng.choice(3 * cell.n, cell.n, replace=False)) if cell.gaps else np.arange(cell.n)
        root = np.asarray(np.linalg.cholesky(kernel(cell, numbers)), dtype=np.float64)
        sides = [draw(root, numbers, cell.d, rng) for _ in range(2)]
        scored = numgeom.score(METRICS[cell.metric], *sides, nulls="order_modes", draws=draws, seed=pair)
        held.append(scored.nulls["order_modes"])
    finding = Finding(
        pairs=pairs,
        draws=draws,
        rejected=sum(one.p <= 0.05 for one in held),
        beyond_effect=sum(passes(one.p, one.excess) for one in held),
        mean_value=float(np.mean([one.value for one in held])),
        mean_excess=float(np.mean([one.excess for one in held])),
        seconds=time.perf_counter() - started,
    )
    return cell, finding


def read(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {tuple(row[name] for name in CELL): row for row in csv.DictReader(file)}


def key(cell: Cell) -> tuple[str, ...]:
    return tuple(str(value) for value in astuple(cell))


def chosen(cell: Cell, filters: Sequence[str]) -> bool:
    """Whether any filter, a list of ``name=value``, holds for the cell."""
    values = {name: str(value) for name, value in asdict(cell).items()}
    wanted = [dict(part.split("=", 1) for part in one.split(",")) for one in filters]
    for name in {name for one in wanted for name in one} - set(values):
        raise SystemExit(f"--cells knows no {name!r}; write one of {', '.join(values)}, as in --cells n=300,d=128")
    return not wanted or any(all(values[name] == value for name, value in one.items()) for one in wanted)


def table(rows: Sequence[dict[str, str]]) -> str:
    """Rejections at level .05 out of so many pairs: size, then power for mod-10 and helix codes."""
    lines = [
        "| curve | SNR | N | d | " + " | ".join(f"{metric}: size / mod-10 / helix" for metric in METRICS) + " |",
        "|---" * (4 + len(METRICS)) + "|",
    ]
    found = {tuple(row[name] for name in CELL): row for row in rows}
    for curve, snr, (n, gaps), d in product(CURVES, SIGNALS, SETS, WIDTHS):
        parts = []
        for metric in METRICS:
            at = [found.get(key(Cell(metric, curve, snr, n, gaps, d, planted))) for planted in PLANTED]
            parts.append(" / ".join("-" if one is None else f"{one['rejected']}/{one['pairs']}" for one in at))
        if any(part.strip("- /") for part in parts):
            lines.append(f"| {curve} | {snr:g} | {n}{' (gaps)' if gaps else ''} | {d} | {' | '.join(parts)} |")
    return "\n".join(lines)


def pending(todo: Sequence[Cell], seconds: float) -> Iterator[Cell]:
    started = time.perf_counter()
    for cell in todo:
        if time.perf_counter() - started > seconds:
            return
        yield cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40, help="pairs of curves in a cell")
    parser.add_argument("--draws", type=int, default=39, help="draws of the null; at least 19, or no p reaches .05")
    parser.add_argument("--cells", action="append", default=[], metavar="NAME=VALUE,...", help="only these cells")
    parser.add_argument("--out", type=Path, default=Path("size_power.csv"), help="the CSV file that is continued")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no cell after this time")
    options = parser.parse_args()
    if options.draws < 19:
        raise SystemExit(f"--draws {options.draws} cannot reach p = .05; type --draws 19 or more")
    done = read(options.out)
    todo = [cell for cell in cells() if chosen(cell, options.cells) and key(cell) not in done]
    print(f"{len(todo)} cells to run, {len(done)} in {options.out}", flush=True)
    work = joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    calls = (joblib.delayed(run)(cell, options.pairs, options.draws) for cell in pending(todo, options.seconds))
    with options.out.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow(COLUMNS)
        for cell, finding in work(calls):
            writer.writerow([*astuple(cell), *astuple(finding)])
            file.flush()
    print(table(list(read(options.out).values())))


if __name__ == "__main__":
    main()
