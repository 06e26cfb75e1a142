"""Null draws and intervals in parts: the same numbers however the work is divided, and every processor busy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numgeom
from numgeom import Representation
from numgeom.draws import BLOCK, PRODUCT, block_size, draw, join
from numgeom.intervals import intervals, leave_out
from numgeom.pairs import score_group, score_pairs
from numgeom.registry import open_catalog
from numgeom.scorer import Scorer
from numgeom.targets import make_metric

# Caveats of the measured rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

METRICS = ["cka_linear", "cka_linear_debiased", "order_mode_coherence_log", "procrustes_angular", "mutual_knn_cosine"]
NULLS = ["row_permutation_drawn", "order_modes", "covariance_gaussian"]
PLUGIN = """
import numpy as np
from numgeom import ConvergenceSpec, hookimpl

def distance(a, b):
    return float(np.linalg.norm(a.workspace.gram / a.workspace.energy - b.workspace.gram / b.workspace.energy))

@hookimpl
def numgeom_convergence_metrics():
    return [ConvergenceSpec(name="distance", target=distance, summary="for tests", direction="lower_is_closer",
                            range=(0, np.inf))]
"""


def reps(count: int = 3, n: int = 60, d: int = 90) -> list[Representation]:
    rng = np.random.default_rng(0)
    common = rng.standard_normal((n, 4))
    return [
        Representation(common @ rng.standard_normal((4, d)) + rng.standard_normal((n, d)), np.arange(n))
        for _ in range(count)
    ]


@pytest.mark.parametrize("null_name", NULLS)
@pytest.mark.parametrize("metric_name", METRICS)
def test_draws_do_not_depend_on_how_they_are_divided(metric_name: str, null_name: str) -> None:
    catalog = open_catalog()
    metric, null = catalog.convergence.choose(metric_name), catalog.nulls.choose(null_name)
    rows, pairs = reps(), [(0, 1), (0, 2), (1, 2)]
    scores = score_group(metric, rows, pairs, [], draws=0, with_intervals=False).scores
    size = block_size(Scorer(metric, rows), null)
    count = 2 * size + 7
    whole = draw(Scorer(metric, rows), null, scores, range(count), 5)
    thirds = [range(size), range(size, 2 * size), range(2 * size, count)]
    # Other representations of the same rows, as another process has them.
    parts = join([draw(Scorer(metric, reps()), null, scores, some, 5) for some in thirds])
    assert not whole.failed
    for pair in pairs:
        np.testing.assert_array_equal(whole.values[pair], parts.values[pair])
        assert whole.observed[pair] == parts.observed[pair]


def test_a_pairs_draws_do_not_depend_on_the_other_pairs() -> None:
    catalog = open_catalog()
    for metric_name in METRICS:
        metric, null = catalog.convergence.choose(metric_name), catalog.nulls.choose("order_modes")
        alone = score_pairs(metric, null, reps(), [(0, 2)], draws=30, seed=1)[0]
        together = score_pairs(metric, null, reps(), [(0, 1), (0, 2), (1, 2)], draws=30, seed=1)[1]
        assert alone.as_dict() == together.as_dict()


def test_intervals_do_not_depend_on_how_they_are_divided() -> None:
    metric = make_metric(open_catalog().convergence.get("rsa_spearman_cosine"), {})
    pairs = [(0, 1), (1, 2)]
    whole = leave_out(metric, reps(), pairs, range(6))
    parts = [leave_out(metric, reps(), pairs, some) for some in (range(2), range(2, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    assert intervals(whole, [0.5, 0.5], (-1.0, 1.0))[0] is not None


@pytest.mark.parametrize("name", [*METRICS, "rsa_spearman_euclidean", "rsa_pearson_cosine", "svcca", "gulp"])
@pytest.mark.parametrize("d", [7, 90])
def test_what_is_left_without_a_block_is_scored_as_those_rows_are(name: str, d: int) -> None:
    metric: object = make_metric(open_catalog().convergence.get(name), {})
    rows = [rep.with_matrix(rep.matrix + 3.0) for rep in reps(2, d=d)]
    invariant = "orthogonal" in open_catalog().convergence.get(name).invariant_to
    found = leave_out(metric, rows, [(0, 1)], range(6), turned=invariant)  # type: ignore[arg-type]
    for block in range(6):
        mask = np.ones(60, dtype=bool)
        mask[10 * block : 10 * block + 10] = False
        plain = [Representation(rep.matrix[mask], rep.numbers[mask]) for rep in rows]
        assert found[0, block] == pytest.approx(metric.score(*map(metric.prepare, plain)), abs=1e-10)  # type: ignore[attr-defined]


def test_a_dominant_row_that_is_left_out_leaves_no_rounding_behind() -> None:
    rows = reps(2)
    heavy = [rep.with_matrix(np.vstack([1e9 * np.ones((1, rep.d)), rep.matrix[1:]])) for rep in rows]
    metric: object = make_metric(open_catalog().convergence.get("cka_linear"), {})
    found = leave_out(metric, heavy, [(0, 1)], range(1))[0, 0]  # type: ignore[arg-type]
    plain = [Representation(rep.matrix[10:], rep.numbers[10:]) for rep in rows]
    assert found == pytest.approx(metric.score(*map(metric.prepare, plain)), abs=1e-9)  # type: ignore[attr-defined]


def test_one_slow_pair_keeps_every_processor_busy_and_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "slow.py").write_text(PLUGIN)
    monkeypatch.setattr("numgeom.pairs.PART", 1e-9)
    told: list[str] = []

    def table(jobs: int) -> bytes:
        told.clear()
        study = numgeom.compare(
            ["synthetic:walk", "synthetic:iid"], metrics="distance", numbers="0..59", draws=60, cache=False,
            jobs=jobs, plugins_dirs=[tmp_path / "plugins"], progress=lambda what, done, total: told.append(what),
        )  # fmt: skip
        assert set(study.frame["status"]) == {"ok"}
        return (study.save(tmp_path / str(jobs)) / "results.csv").read_bytes()

    one = table(1)
    parts = -(-60 // BLOCK)
    # Intervals one block at a time, and both nulls in parts, each told of.
    assert len([line for line in told if line.startswith("distance")]) == 1 + 6 + 2 * parts
    monkeypatch.setattr("numgeom.pairs.PART", 1e9)
    assert table(2) == one
    assert len([line for line in told if line.startswith("distance")]) == 1 + 1 + 2


def test_intervals_are_computed_once_a_pair_and_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    from numgeom import pairs

    original = pairs.leave_out
    monkeypatch.setattr(pairs, "leave_out", lambda *a, **k: calls.append(1) or original(*a, **k))
    study = numgeom.compare(
        ["synthetic:walk", "synthetic:iid"], metrics="cka_linear", numbers="0..59", draws=19, cache=False,
        nulls=["row_permutation", "order_modes", "order_modes(q=0)"],
    )  # fmt: skip
    assert len(calls) == 1
    assert study.frame["lo"].nunique() == 1


def test_what_is_derived_is_dropped_with_the_last_cell_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from numgeom.workspace import Workspace

    made: list[Workspace] = []
    original = Workspace.__init__
    monkeypatch.setattr(Workspace, "__init__", lambda self, *a, **k: (made.append(self), original(self, *a, **k))[1])
    options = {"numbers": "0..59", "draws": 19, "cache": False}
    numgeom.compare(["synthetic:walk", "synthetic:iid"], metrics="cka_linear,rsa_spearman_cosine", **options)  # type: ignore[arg-type]
    assert made
    assert not any("gram" in held._held and "digest" in held._held for held in made)


def test_a_study_too_large_to_keep_is_the_same_study(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"metrics": "cka_linear,mutual_knn_cosine,procrustes_angular", "numbers": "0..59", "draws": 19}
    models = ["synthetic:walk", "synthetic:iid", "synthetic:circle"]
    roomy = numgeom.compare(models, cache=False, **options)  # type: ignore[arg-type]
    monkeypatch.setattr("numgeom.scorer.ROOM", 0)
    tight = numgeom.compare(models, cache=False, **options)  # type: ignore[arg-type]
    assert tight.frame.equals(roomy.frame)


def test_all_pairs_as_one_matrix_give_the_bits_of_each() -> None:
    for name in ("cka_linear", "rsa_spearman_euclidean", "order_mode_coherence_n", "hsic_linear_unbiased"):
        metric: object = make_metric(open_catalog().convergence.get(name), {})
        states = [metric.prepare(rep) for rep in reps(4, n=150)]  # type: ignore[attr-defined]
        table = metric.score_matrix(states)  # type: ignore[attr-defined]
        single = [[metric.score(a, b) for b in states] for a in states]  # type: ignore[attr-defined]
        assert metric.same_bits  # type: ignore[attr-defined]
        np.testing.assert_array_equal(table[np.triu_indices(4)], np.array(single)[np.triu_indices(4)])


def test_coherence_is_tested_on_the_modes_that_the_null_flips() -> None:
    catalog = open_catalog()
    rows = reps(2)
    metric, null = catalog.convergence.choose("order_mode_coherence_n"), catalog.nulls.choose("order_modes(q=10)")
    outcome = score_pairs(metric, null, rows, [(0, 1)], draws=99, seed=0)[0]
    own = {
        name: make_metric(catalog.convergence.get(f"order_mode_coherence_{name}"), {"q": 10}) for name in ("n", "log")
    }
    read = [one.score(*map(one.prepare, rows)) for one in own.values()]
    assert min(abs(outcome.null_value - value) for value in read) < 1e-12  # type: ignore[operator]
    assert PRODUCT % BLOCK == 0


def test_a_metric_that_cannot_be_loaded_is_an_error_row_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    text = PLUGIN.replace('target=distance, summary="for tests"', 'target=distance, requires=("nosuch",), summary="x"')
    (tmp_path / "plugins" / "absent.py").write_text(text)
    study = numgeom.compare(
        ["synthetic:walk", "synthetic:iid"], metrics="distance,cka_linear", numbers="0..49", draws=19, cache=False,
        nulls="row_permutation", plugins_dirs=[tmp_path / "plugins"],
    )  # fmt: skip
    status = dict(zip(study.frame["metric"], study.frame["status"], strict=True))
    assert status == {"distance": "error", "cka_linear": "ok"}
    assert study.failures["reason"].str.contains("pip install nosuch").all()


def test_one_model_that_the_metric_refuses_leaves_the_pairs_of_the_others() -> None:
    catalog = open_catalog()
    rows = [*reps(3), Representation(np.ones((60, 5)), np.arange(60))]
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    found = score_pairs(catalog.convergence.choose("cka_linear"), None, rows, pairs, draws=0, seed=0)
    status = {pair: outcome.status for pair, outcome in zip(pairs, found, strict=True)}
    assert {pair for pair, held in status.items() if held == "ok"} == {(0, 1), (0, 2), (1, 2)}
    assert {held for pair, held in status.items() if 3 in pair} == {"skipped"}


def test_a_job_has_one_thread_also_of_a_blas_that_nothing_had_loaded_before() -> None:
    code = """
from numgeom.jobs import Job, run_jobs

def threads():
    import scipy.linalg
    from threadpoolctl import threadpool_info
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

print(*[result for _, result, _ in run_jobs([Job([], threads, (), {}, "threads")], 1, "loky")])
"""
    several = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=several)
    assert set(eval(told.stdout)) == {1}
