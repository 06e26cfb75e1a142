"""Time of every geometry metric with the nulls of its card: python benchmarks/geometry.py [--models 8] [--draws 100].

First each metric alone, on rows whose shared quantities (Gram, distances, cosines, spectrum) are already derived:
the value, and one draw of each of its nulls, in processor time of one thread. Then, with ``--models``, all metrics
of that many models in one study, in wall-clock seconds, without a cache.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import numgeom
from numgeom.catalog import Choice
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.singles import measure


def cloud(n: int, d: int, seed: int) -> Representation:
    """A walk under white noise, with ids and random rows."""
    rng = np.random.default_rng(seed)
    rows = 0.05 * rng.standard_normal((n, d)).cumsum(axis=0) + rng.standard_normal((n, d))
    spare = rng.standard_normal((1000, d)).astype(np.float32)
    return Representation(rows.astype(np.float32), np.arange(n), token_ids=np.arange(n) + 15, random_rows=spare)


def each(n: int, d: int, draws: int) -> None:
    catalog = open_catalog()
    rep = cloud(n, d, 0)
    started = time.process_time()
    for shared in ("gram", "distances", "cosines", "spectrum"):
        getattr(rep.workspace, shared)
    print(f"{'shared by all metrics':32s} {1e3 * (time.process_time() - started):9.1f} ms")
    for name in catalog.geometry.names:
        metric = catalog.geometry.choose(name)
        if metric.spec.of_reduction:
            continue
        print(f"{name:32s} {1e3 * spent(metric, None, rep, 0):9.1f} ms", end="")
        alone = spent(metric, None, rep, 0)
        for null in metric.spec.nulls:
            whole = spent(metric, null, rep, draws)
            print(f"   {null} {1e3 * (whole - alone) / draws:7.1f} ms a draw", end="")
        print(flush=True)


def spent(metric: Choice, null: str | None, rep: Representation, draws: int) -> float:
    chosen = None if null is None else open_catalog().nulls.choose(null)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure([metric], chosen, rep, draws=draws, seed=0)
    return time.process_time() - started


def study(models: int, n: int, d: int, draws: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        specs = []
        for k in range(models):
            rep = cloud(n, d, k)
            path = Path(folder) / f"m{k}.npz"
            np.savez(path, numbers=rep.matrix, number_values=rep.numbers, random=np.asarray(rep.random_rows))
            specs.append(f"rows:{path}")
        os.environ["NUMGEOM_CACHE"] = str(Path(folder) / "cache")
        started = time.perf_counter()
        found = numgeom.geometry(specs, numbers=f"0..{n - 1}", metrics="all", draws=draws)
        seconds = time.perf_counter() - started
    counts = found.frame["status"].value_counts().to_dict()
    print(f"{models} models of {n} x {d}, {draws} draws: {seconds:.0f} s wall clock, rows {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=0)
    parser.add_argument("--numbers", type=int, default=1000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--skip-single", action="store_true")
    given = parser.parse_args()
    if not given.skip_single:
        each(given.numbers, given.width, draws=5)
    if given.models:
        study(given.models, given.numbers, given.width, given.draws)


if __name__ == "__main__":
    main()
