"""The table of order modes on real rows (science anchors, section 13), value by value.

Its logarithm is of n + 2, ours is of n + 1. The numbers are therefore labelled one higher here: the modes in n do
not change when n is shifted, and the modes in log are then those of the table, so its values hold to their digits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from numgeom import Representation
from numgeom.calibrate import Calibration, calibrate, passes
from numgeom.targets import draw_permutations, make_metric
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.nulls import numgeom_nulls
from numgeom_plugins.nulls.order_modes import OrderModes

METRICS = {spec.name: spec for spec in numgeom_convergence_metrics()}
NULLS = {spec.name: spec for spec in numgeom_nulls()}

MINILM, NLPL, POSITIONS = "all_minilm_l6_v2", "nlpl_bnc_skipgram_300d", "all_minilm_l6_v2_positions"
GLOVE_CC, GLOVE_6B = "glove_cc_spacy_md_cosine_0_2100", "glove_6b_50d_top2444"
IMDB_A, IMDB_B = "imdb_sentiment_16d_run_a", "imdb_sentiment_16d_run_b"

# Pair, N, then for q = 0 and q = 20: coherence in n, coherence in log, p (the larger of both bases, 999 draws).
COHERENCE = [
    (MINILM, NLPL, 100, (0.165, 0.348, 0.001), (0.199, 0.455, 0.001)),
    (MINILM, GLOVE_CC, 445, (0.148, 0.270, 0.001), (0.150, 0.283, 0.001)),
    (NLPL, GLOVE_CC, 100, (0.353, 0.593, 0.001), (0.369, 0.684, 0.001)),
    (MINILM, GLOVE_6B, 47, (0.321, 0.337, 0.001), (0.291, 0.441, 0.001)),
    (MINILM, POSITIONS, 394, (0.033, 0.000, 0.43), (0.035, 0.001, 0.38)),
    (NLPL, POSITIONS, 100, (0.069, 0.012, 0.21), (0.101, 0.015, 0.21)),
    (MINILM, IMDB_A, 56, (0.022, 0.004, 0.43), (0.016, 0.018, 0.37)),
    (IMDB_A, IMDB_B, 56, (0.479, 0.385, 0.001), (0.462, 0.293, 0.001)),
]
# Pair, raw, row-permutation p, then value and null mean in n, the same in log, and p (199 draws).
DEBIASED = [
    (MINILM, POSITIONS, 0.290, 0.005, (0.011, 0.011), (0.025, 0.024), 0.43),
    (NLPL, POSITIONS, 0.427, 0.005, (0.073, 0.039), (0.039, 0.054), 0.81),
    (MINILM, GLOVE_CC, 0.653, 0.005, (0.287, 0.049), (0.269, 0.019), 0.005),
    (MINILM, IMDB_A, 0.029, 0.105, (0.117, 0.106), (0.123, 0.123), 0.47),
]


def pair(shared: Path, a: str, b: str) -> list[Representation]:
    """Both sides on the numbers below 1000 that they share, labelled n + 1."""
    sides = []
    for name in (a, b):
        held = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
        keep = held["number_values"] < 1000
        sides.append(Representation(held["numbers"][keep], held["number_values"][keep] + 1))
    return [one.restrict(np.intersect1d(sides[0].numbers, sides[1].numbers)) for one in sides]


def held_against(metric: Any, a: Representation, b: Representation, basis: str, q: int, draws: int) -> Calibration:
    """The score of the residuals beside sign flips of the second side, in the modes of a walk as the table has them."""
    x, y = (OrderModes(q=q, bases=basis, fit=False).views(one)[0] for one in (a, b))
    signs = np.stack([x.signs(np.random.default_rng(k)) for k in range(draws)])
    observed = metric.score(metric.prepare(x.observed), metric.prepare(y.observed))
    return calibrate(observed, metric.flipped(y, x, signs))


def monte_carlo(p: float, draws: int) -> float:
    """Four standard deviations of the difference of two p-values from so many draws each, and the last digit."""
    return 4.0 * float(np.sqrt(2.0 * p * (1.0 - p) / draws)) + 0.005


@pytest.mark.parametrize("q", [0, 20])
@pytest.mark.parametrize(("a", "b", "n", "without", "dropped"), COHERENCE)
def test_coherence_of_real_rows_is_that_of_the_table(
    shared: Path,
    a: str,
    b: str,
    n: int,
    without: tuple[float, float, float],
    dropped: tuple[float, float, float],
    q: int,
) -> None:
    sides = pair(shared, a, b)
    *values, p = dropped if q else without
    assert sides[0].n == n
    found = []
    for basis, value in zip(("n", "log"), values, strict=True):
        metric: Any = make_metric(METRICS[f"order_mode_coherence_{basis}"], {"q": q})
        coherence = metric.score(*(metric.prepare(one) for one in sides))
        assert coherence == pytest.approx(value, abs=0.0005001)
        # Of the residual under the same modes it is the same number, and the flips are exact for it.
        held = held_against(metric, *sides, basis, q, 999)
        again = held.mean + held.excess
        assert again == pytest.approx(coherence, abs=1e-9)
        found.append(held.p)
    assert max(found) == pytest.approx(p, abs=monte_carlo(p, 999))
    assert (max(found) <= 0.001) == (p <= 0.001)


@pytest.mark.parametrize(("a", "b", "raw", "by_rows", "in_n", "in_log", "p"), DEBIASED)
def test_debiased_cka_of_real_rows_is_that_of_the_table(
    shared: Path,
    a: str,
    b: str,
    raw: float,
    by_rows: float,
    in_n: tuple[float, float],
    in_log: tuple[float, float],
    p: float,
) -> None:
    sides = pair(shared, a, b)
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    states = [metric.prepare(one) for one in sides]
    value = metric.score(*states)
    assert value == pytest.approx(raw, abs=0.0005001)
    generators = [np.random.default_rng(k) for k in range(199)]
    orders = draw_permutations(NULLS["row_permutation"], {}, sides[0].numbers, generators)
    permuted = calibrate(value, metric.permuted(*states, orders))
    assert permuted.p == pytest.approx(by_rows, abs=monte_carlo(by_rows, 199) if by_rows > 0.005 else 1e-12)
    found = []
    for basis, (residual, mean) in (("n", in_n), ("log", in_log)):
        held = held_against(metric, *sides, basis, 20, 199)
        found.append(held)
        assert held.mean + held.excess == pytest.approx(residual, abs=0.0005001)
        # Both means are of 199 draws.
        assert held.mean == pytest.approx(mean, abs=4.0 * held.sd * np.sqrt(2.0 / 199) + 0.0005)
    worst = max(found, key=lambda one: one.p)
    assert worst.p == pytest.approx(p, abs=monte_carlo(p, 199))
    # The reading of the table: raw and permuted, positions look like numbers; beyond order they do not.
    assert passes(worst.p, worst.excess) is (p == 0.005)


def test_our_logarithm_differs_from_the_one_of_the_table_in_the_third_digit(shared: Path) -> None:
    a, b = pair(shared, MINILM, NLPL)
    metric: Any = make_metric(METRICS["order_mode_coherence_log"], {"q": 20})
    theirs = metric.score(metric.prepare(a), metric.prepare(b))
    ours = metric.score(*(metric.prepare(Representation(one.matrix, one.numbers - 1)) for one in (a, b)))
    assert theirs == pytest.approx(0.455, abs=0.0005001)
    assert 0.0005 < abs(ours - theirs) < 0.02
