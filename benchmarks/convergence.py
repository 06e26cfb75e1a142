"""Whole convergence tables against their limit, in one run: python benchmarks/convergence.py [--models 8] [--no-peers].

The limit of a Gram-based metric is one centred Gram a model plus one matrix product over all flattened Grams; of
RSA by ranks that plus ranking each distance matrix once; of Procrustes and SVCCA the thin factor of each model
and the singular values of one (r, r) product a pair. ``--nulls`` adds what a table costs with its row-permutation
null (closed form) and with its order-mode null, over the table without. The same pairs are scored with netrep
and rsatoolbox where they are installed (``--no-peers``: not).

Every number is processor time of one thread, the smallest of some repeats, and only ratios within one run mean
anything; the load of the machine is printed beside them. ``score_matrix`` gives, bit for bit, what scoring pair by
pair gives: one product over all flattened Grams would be faster at 64 models, but its last bits depend on which
other models are there. Metrics without it are scored pair by pair.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import tracemalloc
from collections.abc import Callable
from itertools import combinations

import numpy as np
import scipy.linalg  # noqa: F401 its BLAS must be there before threads are limited
from threadpoolctl import threadpool_limits

from numgeom.pairs import leave_out_part, score_group, score_pairs
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.targets import make_metric

GRAM = ("cka_linear", "cka_linear_debiased", "rsa_pearson_euclidean", "mutual_knn_cosine")
RANKED = ("rsa_spearman_euclidean",)
FACTOR = ("procrustes_angular", "svcca")
NULLS_HEAD = """\
| metric | models | draws | scores s | with intervals s | row_permutation / scores | order_modes / scores | \
order_modes / with intervals |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
CALIBRATED = ("cka_linear", "order_mode_coherence_n")


def seconds(call: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return min(times)


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
    metric = make_metric(open_catalog().convergence.get(name), {})
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


def compare(name: str, clouds: list[np.ndarray], repeats: int) -> str:
    """One row of the table: ours, the limit, and peak memory beside the prepared states."""
    bound = factor_limit if name in FACTOR else gram_limit
    limit = seconds(lambda: bound(clouds), 1 if name in FACTOR else repeats)
    limit += seconds(lambda: ranking(clouds), repeats) if name in RANKED else 0.0
    spent = np.inf if name in FACTOR else seconds(lambda: ours(name, clouds), repeats)
    # Singular values of every pair take minutes: they are computed once, traced.
    tracemalloc.start()
    spent = min(spent, seconds(lambda: ours(name, clouds), 1))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    states = len(clouds) * len(clouds[0]) ** 2 * 8 / 2**20
    return f"| {name} | {len(clouds)} | {spent:.2f} | {limit:.2f} | {spent / limit:.2f} | {peak:.0f} | {states:.0f} |"


def calibrated(name: str, clouds: list[np.ndarray], draws: int, repeats: int) -> str:
    """One row of the table: scores alone, and what each null and the intervals make of their cost."""
    catalog = open_catalog()
    metric = catalog.convergence.choose(name)
    pairs = list(combinations(range(len(clouds)), 2))
    numbers = np.arange(len(clouds[0]))

    def fresh() -> list[Representation]:
        return [Representation(cloud, numbers) for cloud in clouds]

    def beside(null: str) -> float:
        chosen = catalog.nulls.choose(null)
        return seconds(lambda: score_pairs(metric, chosen, fresh(), pairs, draws=draws, seed=0), repeats)

    def with_intervals() -> None:
        reps = fresh()
        scored = score_group(metric, reps, pairs, [], draws=draws)
        leave_out_part(metric, reps, scored.scores, range(scored.parts[""][-1].stop))

    plain = seconds(lambda: score_pairs(metric, None, fresh(), pairs, draws=draws, seed=0), repeats)
    table = seconds(with_intervals, 1)
    exact = f"{beside('row_permutation') / plain:.2f}" if hasattr(make_metric(metric.spec, {}), "null_moments") else ""
    modes = beside("order_modes")
    return (
        f"| {name} | {len(clouds)} | {draws} | {plain:.2f} | {table:.2f} | {exact} | {modes / plain:.2f} | "
        f"{(table + modes - plain) / table:.2f} |"
    )


def peers(clouds: list[np.ndarray], name: str, call: Callable[[], object]) -> None:
    ours(name, clouds[:2])  # imports
    theirs, mine = seconds(call, 1), seconds(lambda: ours(name, clouds), 1)
    print(
        f"| {name} | {len(clouds)} | peer {theirs:.2f} s | ours {mine:.2f} s | {theirs / mine:.1f} times |", flush=True
    )


def netrep(clouds: list[np.ndarray]) -> None:
    from netrep.metrics import LinearMetric

    def call() -> None:
        for a, b in combinations(clouds, 2):
            LinearMetric(alpha=1.0, score_method="angular").fit_score(a, b)

    peers(clouds, "procrustes_angular", call)


def rsatoolbox(clouds: list[np.ndarray]) -> None:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm
    from rsatoolbox.rdm import compare as compare_rdms

    def call(method: str) -> None:
        for a, b in combinations(clouds, 2):
            compare_rdms(*(calc_rdm(Dataset(one), method="euclidean") for one in (a, b)), method=method)

    peers(clouds, "rsa_pearson_euclidean", lambda: call("corr"))
    peers(clouds, "rsa_spearman_euclidean", lambda: call("spearman"))


PEERS = {"netrep": netrep, "rsatoolbox": rsatoolbox}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[8, 16, 64])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--d", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--metrics", nargs="*", default=[*GRAM, *RANKED, *FACTOR])
    parser.add_argument("--nulls", nargs="*", default=[], help=f"metrics to calibrate, such as {' '.join(CALIBRATED)}")
    parser.add_argument("--draws", type=int, nargs="+", default=[200])
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with threadpool_limits(limits=1):
        if options.metrics:
            print("| metric | models | ours s | limit s | ours / limit | peak MiB | states MiB |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
        for m in options.models:
            clouds = [rng.standard_normal((options.n, options.d)) for _ in range(m)]
            for name in options.metrics:
                print(compare(name, clouds, options.repeats), flush=True)
            if options.nulls:
                print(NULLS_HEAD)
            for name in options.nulls:
                for draws in options.draws:
                    print(calibrated(name, clouds, draws, options.repeats), flush=True)
        for name, run in PEERS.items() if options.peers else ():
            if importlib.util.find_spec(name) is None:
                print(f"{name} is not installed: nothing to run beside ours.")
            else:
                run([rng.standard_normal((options.n, options.d)) for _ in range(options.models[0])])
    print(f"n = {options.n}, d = {options.d}; load of the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
