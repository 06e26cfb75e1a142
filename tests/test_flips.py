"""Sign flips of order modes by their moments: what draws of them give, without a draw."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import numgeom
from numgeom import ConvergenceSpec, Representation
from numgeom.catalog import Choice
from numgeom.flips import FEWEST_MODES, by_moments
from numgeom.pairs import score_pairs
from numgeom.preprocess import preprocess
from numgeom.registry import open_catalog
from numgeom.scorer import Scorer
from numgeom_plugins.convergence.hsic import UnbiasedHSIC
from numgeom_plugins.convergence.modes import mode_matrix, sign_moments
from numgeom_plugins.nulls.order_modes import OrderModes

CATALOG = open_catalog()
N = FEWEST_MODES + 40
COHERENCE = ("order_mode_coherence_n", "order_mode_coherence_log")
METRICS = ("cka_linear", "cka_linear_debiased", *COHERENCE)
FLIPPED = (*METRICS, "procrustes_angular", "procrustes_distance")


def rows(seed: int, code: float = 0.0, n: int = N) -> Representation:
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal((n, 48)).cumsum(axis=0) + 4.0 * rng.standard_normal((n, 48))
    walk += code * rng.standard_normal((10, 48))[np.arange(n) % 10]
    return Representation(walk, np.arange(n), token_ids=rng.permutation(30_000)[:n])


def outcome(metric: str, null: str, reps: list[Representation], draws: int = 2000) -> Any:
    chosen = CATALOG.convergence.choose(metric), CATALOG.nulls.choose(null)
    return score_pairs(*chosen, reps, [(0, 1)], draws=draws, seed=0)[0]


@pytest.mark.parametrize("code", [0.0, 1.0])
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

    def flip_moments(self, a: Any, b: Any) -> tuple[float, float, float, float, float]:
        return 0.5, float("nan"), 0.1, 0.0, 50.0


def test_moments_that_are_no_numbers_are_that_rows_error() -> None:
    spec = ConvergenceSpec(name="broken", summary="for tests", target=Broken, range=(0.0, 1.0))
    choice = Choice(spec=spec, params={}, label="broken", plugin="mine", plugin_version="1")
    held = by_moments(Scorer(choice, [rows(1), rows(2)]), CATALOG.nulls.choose("order_modes"), [(0, 1)])
    found = held[0, 1][0]
    assert found.status == "error"
    assert "broken gave 0.5 and the moments (nan, 0.1, 0.0) over sign flips" in found.reason


def test_a_table_says_by_draws_of_zero_that_its_flips_needed_none() -> None:
    study = numgeom.compare(
        [f"{name}=synthetic:walk?seed={seed}&noise=4" for seed, name in enumerate("ab")],
        metrics="cka_linear_debiased,mutual_knn_cosine",
        nulls="order_modes",
        numbers="0..299",
        draws=19,
        cache=False,
    )
    assert dict(zip(study.frame["metric"], study.frame["draws"], strict=True)) == {
        "cka_linear_debiased": 0, "mutual_knn_cosine": 19,
    }  # fmt: skip


def test_an_agreement_that_hangs_on_few_modes_is_drawn() -> None:
    # Four cosines in one direction: the largest score of all signs has p = 1/8, and the gamma tail says .03.
    t = np.arange(300)
    waves = np.cos(np.pi * np.outer(t + 0.5, [40, 50, 60, 70]) / 300).sum(axis=1)
    reps = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        matrix = np.outer(waves, rng.standard_normal(64)) / 8.0 + 0.02 * rng.standard_normal((300, 64))
        reps.append(Representation(matrix, t))
    found = outcome("cka_linear_debiased", "order_modes(bases=n)", reps, 199)
    assert found.draws == 199


@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased", "procrustes_angular", "order_mode_coherence_n"])
def test_a_pair_is_the_same_whichever_models_stand_beside_it(name: str) -> None:
    # The third has other token ids, hence other regressors and one mode more.
    few = np.where(np.arange(N) % 2, 7, 70)
    ids = [few, few, np.random.default_rng(3).permutation(30_000)[:N]]
    reps = [
        preprocess(Representation(rows(k).matrix, np.arange(N), token_ids=one), ["residual:frequency"])
        for k, one in enumerate(ids)
    ]
    chosen = CATALOG.convergence.choose(name), CATALOG.nulls.choose("order_modes(bases=n)")
    alone = score_pairs(*chosen, reps[:2], [(0, 1)], draws=9, seed=0)[0]
    among = score_pairs(*chosen, reps, [(0, 1), (0, 2), (1, 2)], draws=9, seed=0)
    assert alone.as_dict() == among[0].as_dict()
    assert {one.status for one in among} == {"ok"}


@pytest.mark.parametrize("scale", [1e80, 1e-80])
@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased"])
def test_residuals_have_the_same_null_at_every_scale(name: str, scale: float) -> None:
    plain = [rows(1, 3.0), rows(2, 3.0)]
    large = [plain[0].with_matrix(plain[0].matrix * scale), plain[1]]
    found = [outcome(name, "order_modes", [preprocess(rep, ["residual:magnitude"]) for rep in reps], 19)
             for reps in (plain, large)]  # fmt: skip
    assert found[1].p == pytest.approx(found[0].p, rel=1e-6)
    assert found[1].null_value == pytest.approx(found[0].null_value, abs=1e-9)


def test_a_model_without_contrast_takes_only_its_own_pairs_down() -> None:
    rng = np.random.default_rng(5)
    flat = Representation(np.eye(60) + 1e-9 * rng.standard_normal((60, 60)), np.arange(60))
    reps = [rows(1, n=60), rows(2, n=60), flat]
    chosen = CATALOG.convergence.choose("cka_linear_debiased"), CATALOG.nulls.choose("order_modes(q=0)")
    found = score_pairs(*chosen, reps, [(0, 1), (0, 2), (1, 2)], draws=19, seed=0)
    assert found[0].status == "ok"


def test_a_table_with_both_kinds_of_p_says_which_are_drawn() -> None:
    # A line and its noise: of smooth rows few modes hold all of the agreement.
    study = numgeom.compare(
        ["a=synthetic:walk?seed=1", "b=synthetic:walk?seed=2", "c=synthetic:iid"],
        metrics="cka_linear_debiased", nulls="order_modes", numbers="0..299", draws=19, cache=False,
    )  # fmt: skip
    drawn = int((study.frame["draws"] > 0).sum())
    assert 0 < drawn < 3
    notes = study.tables()[0].notes
    assert (
        f"order_modes: {drawn} of 3 p are from 19 draws, which give none below 0.05; the others are by moments."
        in notes
    )


# --- what metrics say of their flips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FLIPPED)
@pytest.mark.parametrize("d", [6, 90])
@pytest.mark.parametrize("numbers", [np.arange(60), np.unique(np.random.default_rng(25).integers(-50, 300, 60))])
def test_flipped_equals_scoring_each_draw(name: str, d: int, numbers: npt.NDArray[np.int64]) -> None:
    n = len(numbers)
    rng = np.random.default_rng(26)
    x, y = (rng.standard_normal((n, width)) for width in (d, d + 5))
    chosen: Any = CATALOG.convergence.get(name).load()()
    views = [OrderModes(q=20).views(Representation(v, numbers)) for v in (x, y)]
    for a, b in zip(*views, strict=True):
        signs = np.stack([a.signs(np.random.default_rng(k)) for k in range(5)])
        right = chosen.prepare(b.observed)
        slow = [chosen.score(chosen.prepare(a.draw(np.random.default_rng(k))), right) for k in range(5)]
        if name == "cka_linear_debiased":
            # Flips are of the unbiased HSIC, in units of the observed score; the quotient is close.
            np.testing.assert_allclose(chosen.flipped(a, b, signs), slow, rtol=0.03, atol=1e-3)
            slow = hsic_of_flips(a, b, 5)
        np.testing.assert_allclose(chosen.flipped(a, b, signs), slow, atol=1e-9, rtol=0)
        assert np.std(slow) > 1e-6


def hsic_of_flips(a: Any, b: Any, draws: int) -> list[float]:
    hsic = UnbiasedHSIC()
    left, right = hsic.prepare(a.observed), hsic.prepare(b.observed)
    norm = np.sqrt(hsic.score(left, left) * hsic.score(right, right))
    drawn = (hsic.prepare(a.draw(np.random.default_rng(k))) for k in range(draws))
    return [hsic.score(one, right) / norm for one in drawn]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("numbers", [np.arange(32), np.arange(32) ** 2])
def test_flip_moments_agree_with_every_sign(name: str, numbers: npt.NDArray[np.int64]) -> None:
    rng = np.random.default_rng(27)
    x, y = (rng.standard_normal((32, width)) for width in (4, 6))
    chosen: Any = CATALOG.convergence.get(name).load()()
    basis = "log" if name.endswith("log") else "n"
    a, b = (OrderModes(q=20, bases=basis).views(Representation(v, numbers))[0] for v in (x, y))
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=11)))
    every = chosen.flipped(a, b, signs)
    observed, mean, sd, skewness, effective = chosen.flip_moments(a, b)
    assert 1.0 <= effective <= 11.0
    assert observed == pytest.approx(every[0], abs=1e-12)
    assert (mean, sd) == pytest.approx((every.mean(), every.std()), abs=1e-12)
    assert skewness == pytest.approx(float((((every - mean) / sd) ** 3).mean()), abs=1e-9)


@pytest.mark.parametrize("ties", [0.0, 0.2, 5.0, 1e4])
def test_many_modes_in_single_precision_lose_nothing_that_shows(ties: float) -> None:
    # Modes that share nine directions, as a code of ten classes makes them; at 5 little else is left.
    rng = np.random.default_rng(28)
    grams = []
    for _ in range(2):
        rows = rng.standard_normal((700, 1024)) + ties * rng.standard_normal((700, 9)) @ rng.standard_normal((9, 1024))
        grams.append(rows @ rows.T / np.linalg.norm(rows @ rows.T))
    form = grams[0] * grams[1]
    total, mean, sd, skewness, effective = sign_moments(*map(mode_matrix, grams))
    assert mean == pytest.approx(np.trace(form), rel=1e-12)
    np.fill_diagonal(form, 0.0)
    assert total - mean == pytest.approx(form.sum(), abs=1e-6 * np.linalg.norm(form))
    assert sd == pytest.approx(np.sqrt(2.0) * np.linalg.norm(form), rel=1e-6)
    squares = np.square(form).sum(axis=1)
    assert effective == pytest.approx(squares.sum() ** 2 / np.square(squares).sum(), rel=1e-5)
    true = 2.0 * np.sqrt(2.0) * np.vdot(form @ form, form) / np.linalg.norm(form) ** 3
    assert skewness == pytest.approx(true, abs=0.01)


@pytest.mark.parametrize("far", [0.0, 1e-6, 1e-10])
def test_sides_that_share_next_to_no_pair_of_modes_keep_the_size_of_what_they_share(far: float) -> None:
    # One side ties the first modes and hardly the last, the other the other way round.
    rng = np.random.default_rng(29)
    grams = []
    for part in (slice(0, 350), slice(350, 700)):
        gram = far * np.eye(700)
        rows = rng.standard_normal((350, 400))
        gram += far * np.ones((700, 700))
        gram[part, part] += rows @ rows.T / np.linalg.norm(rows @ rows.T)
        grams.append(gram)
    form = grams[0] * grams[1]
    np.fill_diagonal(form, 0.0)
    expected = np.sqrt(2.0) * np.linalg.norm(form)
    assert sign_moments(*map(mode_matrix, grams))[2] == pytest.approx(expected if far else 0.0, rel=1e-5)
