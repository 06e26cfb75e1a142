"""Sign flips of order modes by their moments: what draws of them give, without a draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgeom
from numgeom import ConvergenceSpec, Representation
from numgeom.catalog import Choice
from numgeom.flips import FEWEST_MODES, by_moments
from numgeom.pairs import score_pairs
from numgeom.preprocess import preprocess
from numgeom.registry import open_catalog
from numgeom.scorer import Scorer

CATALOG = open_catalog()
N = FEWEST_MODES + 40
METRICS = ("cka_linear", "cka_linear_debiased", "order_mode_coherence_n", "order_mode_coherence_log")


def rows(seed: int, code: float = 0.0, n: int = N) -> Representation:
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal((n, 48)).cumsum(axis=0) + 4.0 * rng.standard_normal((n, 48))
    walk += code * rng.standard_normal((10, 48))[np.arange(n) % 10]
    return Representation(walk, np.arange(n), token_ids=rng.permutation(30_000)[:n])


def outcome(metric: str, null: str, reps: list[Representation], draws: int = 2000) -> Any:
    chosen = CATALOG.convergence.choose(metric), CATALOG.nulls.choose(null)
    return score_pairs(*chosen, reps, [(0, 1)], draws=draws, seed=0)[0]


@pytest.mark.parametrize("code", [0.0, 3.0])
@pytest.mark.parametrize("name", METRICS)
def test_moments_are_those_of_two_thousand_draws(name: str, code: float) -> None:
    reps = [rows(1, code), rows(2, code)]
    exact, drawn = (outcome(name, null, reps) for null in ("order_modes", "order_modes_drawn"))
    assert (exact.draws, drawn.draws) == (0, 2000)
    # Both report the worse index and side, which may be another where two are nearly as good.
    assert exact.null_value == pytest.approx(drawn.null_value, abs=0.02)
    assert exact.null_mean == pytest.approx(drawn.null_mean, abs=max(6 * drawn.null_sd / 2000**0.5, 0.02))
    assert exact.null_sd == pytest.approx(drawn.null_sd, rel=0.15)
    assert exact.p == pytest.approx(drawn.p, rel=0.25, abs=0.01)


@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased"])
def test_residuals_of_two_regressions_have_moments_too(name: str) -> None:
    # Token ids of their own: the sides have other regressors, and other modes.
    reps = [preprocess(rows(seed, 3.0), ["residual:frequency"]) for seed in (1, 2)]
    exact, drawn = (outcome(name, null, reps, 400) for null in ("order_modes(bases=n)", "order_modes_drawn(bases=n)"))
    assert (exact.draws, drawn.draws) == (0, 400)
    assert exact.null_value == pytest.approx(drawn.null_value, abs=1e-9)
    assert exact.null_mean == pytest.approx(drawn.null_mean, abs=5 * drawn.null_sd / 400**0.5)
    assert exact.null_sd == pytest.approx(drawn.null_sd, rel=0.15)


def test_modes_of_ones_own_flip_alike_only_where_they_are_the_same() -> None:
    metric = Scorer(CATALOG.convergence.choose("procrustes_angular"), [])
    reps = [preprocess(rows(seed), ["residual:frequency"]) for seed in (1, 2)]
    # Procrustes flips coefficients in common modes; beside regressors of their own each draw is scored anew.
    assert hasattr(metric.metric, "flipped")
    found = outcome("procrustes_angular", "order_modes(bases=n)", reps, 9)
    slow = outcome("procrustes_angular", "order_modes_drawn(bases=n)", reps, 9)
    assert found.status == slow.status == "ok"
    assert found.null_value == pytest.approx(slow.null_value)


def test_no_p_is_below_what_nearly_independent_modes_can_hold() -> None:
    found = outcome("order_mode_coherence_n", "order_modes", [rows(1, 3.0), rows(2, 3.0)])
    assert found.z > 4
    assert found.p == 1e-4


@pytest.mark.parametrize(
    ("metric", "null", "n", "draws"),
    [
        ("cka_linear", "order_modes", FEWEST_MODES + 20, 19),  # 199 modes
        ("cka_linear", "order_modes", FEWEST_MODES + 21, 0),
        ("cka_linear", "order_modes_drawn", FEWEST_MODES + 21, 19),
        ("mutual_knn_cosine", "order_modes", FEWEST_MODES + 21, 19),
        ("cka_linear", "smooth_surrogate", FEWEST_MODES + 21, 19),
    ],
)
def test_draws_are_made_where_they_are_needed(metric: str, null: str, n: int, draws: int) -> None:
    assert outcome(metric, null, [rows(1, n=n), rows(2, n=n)], 19).draws == draws


class Broken:
    """CKA whose moments are no numbers."""

    flips_alike = True

    def __init__(self) -> None:
        self._cka: Any = CATALOG.convergence.get("cka_linear").load()()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cka, name)

    def flip_moments(self, a: Any, b: Any) -> tuple[float, float, float, float]:
        return 0.5, float("nan"), 0.1, 0.0


def test_moments_that_are_no_numbers_are_that_rows_error() -> None:
    spec = ConvergenceSpec(name="broken", summary="for tests", target=Broken, range=(0.0, 1.0))
    choice = Choice(spec=spec, params={}, label="broken", plugin="mine", plugin_version="1")
    held = by_moments(Scorer(choice, [rows(1), rows(2)]), CATALOG.nulls.choose("order_modes"), [(0, 1)])
    assert held is not None
    found = held[0, 1][0]
    assert found.status == "error"
    assert "broken gave 0.5 and the moments (nan, 0.1, 0.0) over sign flips" in found.reason


def test_a_table_says_by_draws_of_zero_that_its_flips_needed_none() -> None:
    study = numgeom.compare(
        ["a=synthetic:walk?seed=1", "b=synthetic:walk?seed=2"], metrics="cka_linear_debiased,mutual_knn_cosine",
        nulls="order_modes", numbers="0..299", draws=19, cache=False,
    )  # fmt: skip
    assert dict(zip(study.frame["metric"], study.frame["draws"], strict=True)) == {
        "cka_linear_debiased": 0, "mutual_knn_cosine": 19,
    }  # fmt: skip
