"""Size and power of the default calibration: how often order modes reject curves that share nothing, or a code.

Every cell draws pairs of independent curves and scores them against ``order_modes`` as users do (q = 20, both bases,
each side in turn, the larger p; the coherence of either index under the modes of that index). Where nothing is
planted, rejections are false; where both curves of a pair carry the same code, in directions of their own, they are
true. Debiased CKA and coherence go through ``numgeom.score``: moments over all signs from 200 modes on, 19 draws below.
The other metrics are held against the draws that ``numgeom.score`` would make, one after another: with 19 draws
``p <= .05`` says that the score is above all of them, so that the first draw which it does not beat ends the test
(Besag & Clifford 1991).

A pair is two draws of ``X = L Z / sqrt(d)``, ``LL'`` the sum of three kernels over the numbers: the curve at
unit mean energy a row, white noise of energy 1 / SNR, and the code at energy amplitude^2 (.0625). For d > n only
the ``(n, n)`` factor of Z with its Gram is drawn (Bartlett), so that nothing is as wide as the model it stands for.

    python benchmarks/size_power.py --pairs 200 --cells n=300,d=1024 --cells gaps=1,group=drawn

The pairs of a cell are drawn in batches of 20, or of 4 where a pair takes long. One JSON line is written for each
finished batch, and batches that the file already holds are not run again; the table of the whole file is printed at
the end. Cheap batches, and those on which a claim of the documentation rests, come first.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from scipy.stats import binomtest

import numgeom
from numgeom import Representation
from numgeom.calibrate import SIGN, passes
from numgeom.flips import flips
from numgeom.registry import open_catalog
from numgeom.seeds import generator
from numgeom.targets import NullView, make_metric, null_views

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# Pairs of a batch, and of one that draws for minutes.
BATCH, FEW = 20, 4
# A test that ends at the first draw which is as close is one of level .05 with so many draws only.
DRAWS = 19
AMPLITUDE = 0.25
PERIODS = (2, 5, 10, 100)
# Independent or nearly independent modes: what the null is made for.
CURVES = ("walk", "ar1", "logwalk")
# Modes that hang together without a code: reported, whatever comes of them.
HARD = ("spline", "lengths", "uneven")
# Stationary curves: correlation to the next number; sums of two, and a smoother kind, have no exact modes.
CORRELATIONS = {"ar1": 0.97, "ar1_5": 0.5, "ar1_7": 0.7, "ar1_9": 0.9}
OTHERS = ("ar1_5", "ar1_7", "ar1_9", "sum", "matern")
SMOOTH = 10.0
KNOTS = 16
SIGNALS = (0.5, 4.0)
SETS = ((100, 1), (300, 0), (1000, 0))
WIDTHS = (128, 1024, 4096)
PLANTED = ("nothing", "mod10", "helix")
INDICES = ("n", "log")
METRICS = {
    "cka_debiased": [("cka_linear_debiased", "order_modes")],
    "coherence": [(f"order_mode_coherence_{index}", f"order_modes(bases={index})") for index in INDICES],
    "knn": [("mutual_knn_cosine", "order_modes")],
    "procrustes": [("procrustes_angular", "order_modes")],
    "rsa": [("rsa_spearman_euclidean", "order_modes")],
}
GROUPS = {"moments": ("cka_debiased", "coherence"), "drawn": ("knn", "procrustes", "rsa")}
# Seconds of one pair at n = 300, about: only the order of the batches depends on it.
COSTS = {"moments": 0.1, "drawn": 0.3}
LEVELS = (0.05, 0.01, 0.001)


@dataclass(frozen=True)
class Cell:
    """One setting."""

    group: str
    curve: str
    snr: float
    n: int
    gaps: int
    d: int
    planted: str

    @property
    def claimed(self) -> bool:
        """Whether the documentation claims a power for it."""
        wide = self.n >= 300 and self.d >= 1024 and self.snr >= 4
        return wide and self.group == "moments" and self.planted != "nothing"

    @property
    def batch(self) -> int:
        """Pairs of a batch: a code is found, so that no test of it ends early."""
        return FEW if self.group == "drawn" and self.planted != "nothing" and self.n >= 1000 else BATCH

    @property
    def cost(self) -> float:
        """About how long a pair takes, in any unit; what is claimed counts as cheap, other power as dear."""
        wide = 1.0 if self.d > self.n else 0.4
        urgency = 0.3 if self.claimed else 1.0 if self.planted == "nothing" else 3.0
        whole = 8.0 if self.group == "drawn" and self.planted != "nothing" else 1.0
        return COSTS[self.group] * (self.n / 300) ** 2.3 * wide * urgency * whole * (2.0 if self.curve in HARD else 1.0)


@dataclass(frozen=True)
class Finding:
    """What came of one metric in one batch."""

    pairs: int
    rejected: int
    earned: int
    p: list[float]


def cells() -> list[Cell]:
    usual = product(GROUPS, CURVES, SIGNALS, SETS, WIDTHS, PLANTED)
    hard = product(GROUPS, HARD, SIGNALS, SETS, WIDTHS, PLANTED[:1])
    others = product(("moments",), OTHERS, SIGNALS[1:], SETS, WIDTHS[1:], PLANTED[:1])
    every = (*usual, *hard, *others)
    return [Cell(g, curve, snr, n, gaps, d, planted) for g, curve, snr, (n, gaps), d, planted in every]


def kernel(cell: Cell, numbers: I64) -> F64:
    """Covariance of one column, times d."""
    t = numbers.astype(np.float64)
    apart = np.abs(t[:, None] - t[None, :])
    noise = np.eye(len(t))
    if cell.curve in CORRELATIONS:
        curve = CORRELATIONS[cell.curve] ** apart
    elif cell.curve == "sum":
        curve = unit(CORRELATIONS["ar1_7"] ** apart) + unit(CORRELATIONS["ar1"] ** apart)
    elif cell.curve == "matern":
        # Of smoothness 3/2.
        scaled = np.sqrt(3.0) * apart / SMOOTH
        curve = (1.0 + scaled) * np.exp(-scaled)
    elif cell.curve == "spline":
        through = CubicSpline(np.linspace(t[0], t[-1], KNOTS), np.eye(KNOTS))(t)
        curve = through @ through.T
    else:
        index = np.log1p(t) if cell.curve == "logwalk" else t
        curve = np.minimum.outer(index, index)
    curve = unit(curve)
    if cell.curve == "lengths":
        length = np.array([len(str(number)) for number in numbers.tolist()])
        curve = (curve + unit((length[:, None] == length[None, :]).astype(float))) / 2.0
    elif cell.curve == "uneven":
        # The noise of the last number has 19 times the variance of that of the first.
        noise = np.diag(np.linspace(0.1, 1.9, len(t)))
    code = np.zeros_like(curve)
    if cell.planted == "mod10":
        code[apart % 10 == 0] = 1.0
    elif cell.planted == "helix":
        code = np.mean([np.cos(2 * np.pi * apart / period) for period in PERIODS], axis=0)
    return np.asarray(curve + noise / cell.snr + AMPLITUDE**2 * code)


def unit(curve: F64) -> F64:
    """Centred, at a mean diagonal of 1."""
    curve = curve - curve.mean(axis=0)
    curve -= curve.mean(axis=1, keepdims=True)
    return np.asarray(curve / (np.trace(curve) / len(curve)))


def draw(cell: Cell, root: F64, numbers: I64, rng: np.random.Generator) -> Representation:
    """One side: ``root`` is the Cholesky factor of the kernel."""
    n = len(numbers)
    if cell.d > n:
        z = np.tril(rng.standard_normal((n, n)), -1)
        z[np.diag_indices(n)] = np.sqrt(rng.chisquare(cell.d - np.arange(n)))
    else:
        z = rng.standard_normal((n, cell.d))
    rows = root @ z / np.sqrt(cell.d)
    return Representation(rows, numbers, provenance={"width": cell.d})


def scored(name: str, sides: Sequence[Representation], seed: int) -> tuple[float, float]:
    """The larger p and the excess that goes with it, as ``numgeom.score`` gives them."""
    found = [
        next(iter(numgeom.score(metric, *sides, nulls=null, draws=DRAWS, seed=seed).nulls.values()))
        for metric, null in METRICS[name]
    ]
    held = max(found, key=lambda one: (one.p, -one.z))
    return held.p, held.excess


class ViewsOf:
    """The views of both sides in one index after the other, made when they are asked for, once for all metrics."""

    def __init__(self, sides: Sequence[Representation], indices: Sequence[str]) -> None:
        self._sides, self._indices = sides, indices
        self._held: dict[str, list[NullView]] = {}

    def __iter__(self) -> Iterator[list[NullView]]:
        spec = open_catalog().nulls.get("order_modes")
        for index in self._indices:
            if index not in self._held:
                self._held[index] = [null_views(spec, {"bases": index}, rep)[0] for rep in self._sides]
            yield self._held[index]


def tested(name: str, seed: int, views_in: Iterable[Sequence[NullView]]) -> tuple[float, float]:
    """The same of drawn metrics, up to the first draw that is as close: p is then above .05, and given as 1.

    Which draw ends a test does not matter to its result, so the views of the index in which most tests end come first.
    """
    ((metric_name, _),) = METRICS[name]
    spec = open_catalog().convergence.get(metric_name)
    metric: Any = make_metric(spec, {})
    sign = SIGN[spec.direction]
    excess = []
    for views in views_in:
        states = [metric.prepare(view.observed) for view in views]
        seen = sign * metric.score(*states)
        values: tuple[list[float], list[float]] = ([], [])
        for k, side in product(range(DRAWS), (0, 1)):
            view, other = views[side], views[1 - side]
            rng = generator(seed, "order_modes" + view.name, view.observed.numbers, k)
            if flips(metric, dict(enumerate(views)), (0, 1)):
                value = sign * float(metric.flipped(view, other, view.signs(rng)[None, :])[0])
            else:
                drawn = metric.prepare(view.draw(rng))
                value = sign * metric.score(*((drawn, states[1]) if side == 0 else (states[0], drawn)))
            if value >= seen - 1e-12:
                return 1.0, -np.inf
            values[side].append(value)
        excess += [(seen - float(np.mean(held)), float(np.std(held))) for held in values]
    return 1 / (DRAWS + 1), min(excess, key=lambda held: held[0] / held[1])[0]


def run(cell: Cell, batch: int) -> tuple[Cell, int, dict[str, Finding]]:
    seed = zlib.crc32(repr(astuple(cell)[1:]).encode())
    held: dict[str, list[tuple[float, float]]] = {name: [] for name in GROUPS[cell.group]}
    numbers = np.arange(cell.n)
    root = np.linalg.cholesky(kernel(cell, numbers))
    for pair in range(cell.batch * batch, cell.batch * (batch + 1)):
        # Metrics see the same pairs. Sets with gaps are drawn anew for each, so that nothing hangs on one pattern.
        rng = np.random.default_rng([seed, pair])
        if cell.gaps:
            numbers = np.sort(rng.choice(3 * cell.n, cell.n, replace=False))
            root = np.linalg.cholesky(kernel(cell, numbers))
        sides = [draw(cell, root, numbers, rng) for _ in range(2)]
        views = ViewsOf(sides, INDICES[::-1] if cell.curve == "logwalk" else INDICES)
        for name, found in held.items():
            found.append(scored(name, sides, pair) if cell.group == "moments" else tested(name, pair, views))
    findings = {
        name: Finding(
            pairs=len(found),
            rejected=sum(p <= 0.05 for p, _ in found),
            earned=sum(passes(p, excess) for p, excess in found),
            p=[float(f"{p:.4g}") for p, _ in found],
        )
        for name, found in held.items()
    }
    return cell, batch, findings


Batches = dict[tuple[Cell, int], dict[str, Finding]]


def version() -> int:
    """Of the null: findings of another are not counted."""
    return open_catalog().nulls.get("order_modes").version


def read(path: Path) -> Batches:
    """The batches that a file holds, of this null and of the size that batches have."""
    held: Batches = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        found = json.loads(line)
        cell = Cell(**found["cell"])
        findings = {name: Finding(**one) for name, one in found["findings"].items()}
        if found["version"] == version() and {one.pairs for one in findings.values()} == {cell.batch}:
            held[cell, found["batch"]] = findings
    return held


def chosen(cell: Cell, filters: Sequence[str]) -> bool:
    """Whether any filter, a list of ``name=value``, holds for the cell."""
    values = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in asdict(cell).items()}
    wanted = [dict(part.split("=", 1) for part in one.split(",")) for one in filters]
    for name in {name for one in wanted for name in one} - set(values):
        raise SystemExit(f"--cells knows no {name!r}; write one of {', '.join(values)}, as in --cells n=300,d=128")
    return not wanted or any(all(values[name] == value for name, value in one.items()) for one in wanted)


def counts(batches: Batches, column: str) -> dict[tuple[str, Cell], tuple[int, int]]:
    """Rejections and pairs of every metric and cell, its batches taken together."""
    found: dict[tuple[str, Cell], tuple[int, int]] = {}
    for (cell, _), findings in batches.items():
        for name, finding in findings.items():
            hits, pairs = found.get((name, cell), (0, 0))
            found[name, cell] = hits + getattr(finding, column), pairs + finding.pairs
    return found


def entry(held: tuple[int, int] | None) -> str:
    """``7/200 (.014 to .071)``: the count and the exact 95 % interval of the rate (Clopper and Pearson)."""
    if held is None:
        return "-"
    between = binomtest(*held).proportion_ci(method="exact")
    low, high = (f"{edge:.3f}".lstrip("0") if edge < 1 else "1" for edge in (between.low, between.high))
    return f"{held[0]}/{held[1]} ({low or '0'} to {high})"


def table(batches: Batches, planted: str, curves: Sequence[str], column: str) -> str:
    """A line for each setting, a column for each metric."""
    found = counts(batches, column)
    lines = [f"| curve | SNR | N | d | {' | '.join(METRICS)} |", "|---" * (4 + len(METRICS)) + "|"]
    for curve, snr, (n, gaps), d in product(curves, SIGNALS, SETS, WIDTHS):
        parts = [
            entry(found.get((name, Cell(group, curve, snr, n, gaps, d, planted))))
            for name in METRICS
            for group, names in GROUPS.items()
            if name in names
        ]
        if set(parts) != {"-"}:
            lines.append(f"| {curve} | {snr:g} | {n}{' (gaps)' if gaps else ''} | {d} | {' | '.join(parts)} |")
    return "\n".join(lines)


def pooled(batches: Batches, column: str) -> str:
    """One line for each metric and N: all curves, signals and widths together, and the largest rate of a cell."""
    found = counts(batches, column)
    lines = ["| metric | N | cells | all pairs | most in a cell |", "|---|---|---|---|---|"]
    for metric, (n, gaps) in product(METRICS, SETS):
        mine = [
            held
            for (name, cell), held in found.items()
            if (name, cell.n, cell.gaps, cell.planted) == (metric, n, gaps, "nothing") and cell.curve in CURVES
        ]
        if mine:
            total = (sum(hits for hits, _ in mine), sum(pairs for _, pairs in mine))
            worst = max(mine, key=lambda held: held[0] / held[1])
            lines.append(
                f"| {metric} | {n}{' (gaps)' if gaps else ''} | {len(mine)} | {entry(total)} | {entry(worst)} |"
            )
    return "\n".join(lines)


def tails(batches: Batches) -> str:
    """Of pairs that share nothing, how many have a p as small as each level; of p by moments, never below 1e-4."""
    lines = [f"| metric | curve | N | {' | '.join(f'p <= {level:g}' for level in LEVELS)} |", "|---" * 6 + "|"]
    for name, curve, (n, gaps) in product(GROUPS["moments"], CURVES, SETS):
        found = [
            p
            for (cell, _), findings in batches.items()
            if (cell.curve, cell.n, cell.gaps, cell.planted) == (curve, n, gaps, "nothing") and name in findings
            for p in findings[name].p
        ]
        if found and not gaps:
            parts = [entry((sum(p <= level for p in found), len(found))) for level in LEVELS]
            lines.append(f"| {name} | {curve} | {n} | {' | '.join(parts)} |")
    return "\n".join(lines)


def coverage(batches: Batches) -> str:
    """How many cells were run, and how many pairs in each."""
    found = counts(batches, "rejected")
    kinds = {
        "size": (CURVES, ("nothing",)),
        "power": (CURVES, PLANTED[1:]),
        "modes that hang together": (HARD, ("nothing",)),
    }
    heads = [f"N = {n}{' (gaps)' if gaps else ''}" for n, gaps in SETS]
    lines = [f"| | metric | {' | '.join(heads)} |", "|---" * 5 + "|"]
    for kind, (curves, plants) in kinds.items():
        every = len(curves) * len(SIGNALS) * len(WIDTHS) * len(plants)
        for metric in METRICS:
            parts = []
            for n, gaps in SETS:
                pairs = [
                    held[1]
                    for (name, cell), held in found.items()
                    if (name, cell.n, cell.gaps) == (metric, n, gaps)
                    and cell.planted in plants
                    and cell.curve in curves
                ]
                many = f"{min(pairs)} to {max(pairs)}" if len(set(pairs)) > 1 else f"{pairs[0]}" if pairs else ""
                parts.append(f"{len(pairs)} of {every} cells, {many} pairs" if pairs else "none")
            lines.append(f"| {kind} | {metric} | {' | '.join(parts)} |")
    return "\n".join(lines)


def report(batches: Batches) -> str:
    """All tables."""
    parts = [
        ("size, pooled", pooled(batches, "rejected")),
        ("size, small p", tails(batches)),
        ("cells and pairs", coverage(batches)),
    ]
    for title, planted, curves in (
        ("size", "nothing", CURVES),
        ("power, mod 10", "mod10", CURVES),
        ("power, helix", "helix", CURVES),
        ("size where modes hang together", "nothing", HARD),
        ("size of other stationary curves", "nothing", OTHERS),
    ):
        for words, column in (("p <= .05", "rejected"), ("p <= .05 and excess >= .05", "earned")):
            parts.append((f"{title}: {words}", table(batches, planted, curves, column)))
    return "\n\n".join(f"{title}\n\n{lines}" for title, lines in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200, help="pairs in a cell, in batches of 20 (or 4); 0 to print")
    parser.add_argument("--cells", action="append", default=[], metavar="NAME=VALUE,...", help="only these cells")
    parser.add_argument("--out", type=Path, default=Path("size_power.jsonl"), help="the file that is continued")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no batch after this time")
    options = parser.parse_args()
    done = read(options.out)
    wanted = (cell for cell in cells() if chosen(cell, options.cells))
    batches = ((cell, batch) for cell in wanted for batch in range(-(-options.pairs // cell.batch)))
    todo = sorted((one for one in batches if one not in done), key=lambda one: one[0].cost * (1 + one[1]))
    print(f"{len(todo)} batches to run, {len(done)} in {options.out}", flush=True)
    started = time.perf_counter()
    work = joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    calls: Any = (
        joblib.delayed(run)(cell, batch) for cell, batch in todo if time.perf_counter() - started < options.seconds
    )
    with options.out.open("a") as file:
        for cell, batch, findings in work(calls):
            held = {name: asdict(finding) for name, finding in findings.items()}
            line = {"version": version(), "cell": asdict(cell), "batch": batch, "findings": held}
            file.write(json.dumps(line) + "\n")
            file.flush()
    print(report(read(options.out)))


if __name__ == "__main__":
    main()
