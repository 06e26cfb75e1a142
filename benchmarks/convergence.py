"""Whole convergence tables against their limit, in one run: python benchmarks/convergence.py [--models 8 16] [--peers].

The limit of a Gram-based metric is one centred Gram per model plus one matrix product over all flattened
Grams; of RSA by ranks that plus ranking each distance matrix once; of Procrustes the thin factor of each
model and the singular values of one (r, r) product a pair. Times are medians of repeated runs; only ratios
within one run mean anything.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from itertools import combinations

import numpy as np

from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.targets import make_metric

GRAM = ("cka_linear", "cka_linear_debiased", "rsa_pearson_euclidean", "mutual_knn_cosine")
RANKED = ("rsa_spearman_euclidean",)
FACTOR = ("procrustes_angular",)


def seconds(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def gram_limit(clouds: list[np.ndarray]) -> None:
    n = len(clouds[0])
    grams = np.empty((len(clouds), n * n))
    for row, cloud in zip(grams, clouds, strict=True):
        centred = cloud - cloud.mean(axis=0)
        np.matmul(centred, centred.T, out=row.reshape(n, n))
    _ = grams @ grams.T


def ranking(clouds: list[np.ndarray]) -> None:
    pairs = len(clouds[0]) * (len(clouds[0]) - 1) // 2
    values = np.random.default_rng(0).standard_normal(pairs)
    for _ in clouds:
        np.argsort(values)


def factor_limit(clouds: list[np.ndarray]) -> None:
    factors = []
    for cloud in clouds:
        centred = cloud - cloud.mean(axis=0)
        values, left = np.linalg.eigh(centred @ centred.T)
        factors.append(left * np.sqrt(np.clip(values, 0, None)))
    for a, b in combinations(factors, 2):
        np.linalg.svd(a.T @ b, compute_uv=False)


def ours(name: str, clouds: list[np.ndarray]) -> None:
    spec = open_catalog().convergence.get(name)
    metric = make_metric(spec, {})
    numbers = np.arange(len(clouds[0]))
    states = []
    for cloud in clouds:
        rep = Representation(cloud, numbers)
        states.append(metric.prepare(rep))
        rep.workspace.drop()
    whole = getattr(metric, "score_matrix", None)
    if whole is not None:
        whole(states)
    else:
        for a, b in combinations(states, 2):
            metric.score(a, b)


def peak_mib(call: Callable[[], object]) -> float:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def compare(name: str, clouds: list[np.ndarray], repeats: int) -> str:
    """One row of the table: ours, the limit, and peak memory beside the prepared states."""
    if name in FACTOR:
        repeats = 1
        limit = seconds(lambda: factor_limit(clouds), repeats)
    else:
        limit = seconds(lambda: gram_limit(clouds), repeats)
        limit += seconds(lambda: ranking(clouds), repeats) if name in RANKED else 0.0
    spent = seconds(lambda: ours(name, clouds), repeats)
    peak = peak_mib(lambda: ours(name, clouds))
    states = len(clouds) * len(clouds[0]) ** 2 * 8 / 2**20
    return f"| {name} | {len(clouds)} | {spent:.2f} | {limit:.2f} | {spent / limit:.2f} | {peak:.0f} | {states:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--d", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--metrics", nargs="+", default=[*GRAM, *RANKED, *FACTOR])
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print("| metric | models | ours s | limit s | ours / limit | peak MiB | states MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for m in options.models:
        clouds = [rng.standard_normal((options.n, options.d)) for _ in range(m)]
        for name in options.metrics:
            print(compare(name, clouds, options.repeats), flush=True)


if __name__ == "__main__":
    main()
