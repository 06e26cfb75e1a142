"""Metrics that know numbers: bands, transfer, reference geometries. Planted truth, controls that stay quiet, faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.targets import make_metric
from numgeom_plugins.convergence.bands import band_directions
from numgeom_plugins.convergence.cka import DebiasedCKA
from numgeom_plugins.convergence.numeric_cards import cards
from numgeom_plugins.geometry.reference import NAMES, ReferenceGeometry, levenshtein

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SPECS = {spec.name: spec for spec in cards()}
BANDS = ("t2", "t5", "t10", "low", "rest")
# The references that follow from the numbers; the other is a model's own.
OF_NUMBERS = tuple(name for name in NAMES if name != "frequency")
GAPS = np.sort(np.random.default_rng(9).choice(300, 130, replace=False))


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None) -> Representation:
    matrix = np.asarray(rows)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers))


def score(name: str, a: Representation, b: Representation, **params: Any) -> float:
    metric: Any = make_metric(SPECS[name], params)
    return float(metric.score(metric.prepare(a), metric.prepare(b)))


def bands(a: Representation, b: Representation) -> dict[str, float]:
    return {band: score(f"cka_band_{band}", a, b) for band in BANDS}


def sample(
    rng: np.random.Generator, numbers: I64, d: int, *, smooth: float = 0.0, noise: float = 0.0, **codes: float
) -> Representation:
    """A walk of mean row energy ``smooth^2``, white noise, and class codes ``mod5=amplitude`` in random directions."""
    path = rng.standard_normal((int(numbers.max()) + 1, d)).cumsum(axis=0)[numbers]
    path -= path.mean(axis=0)
    rows = smooth * path / np.sqrt(np.square(path).sum() / len(numbers))
    rows = rows + noise * rng.standard_normal((len(numbers), d)) / np.sqrt(d)
    for name, amplitude in codes.items():
        classes = int(name.removeprefix("mod"))
        rows += amplitude * (rng.standard_normal((classes, d)) / np.sqrt(d))[numbers % classes]
    return rep(rows, numbers)


def pair(seed: int, numbers: I64, d: int, **parts: float) -> tuple[Representation, Representation]:
    rng = np.random.default_rng(seed)
    return sample(rng, numbers, d, **parts), sample(rng, numbers, d, **parts)


# --- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", [(120, 9), (110, 150)])
def test_declared_invariances_hold_and_a_cloud_agrees_with_itself(name: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rep(rng.standard_normal(shape).cumsum(axis=0) + rng.standard_normal(shape)) for _ in range(2))
    turn = np.linalg.qr(rng.standard_normal((shape[1], shape[1]))).Q
    moved = rep(-3.0 * a.matrix @ turn + rng.standard_normal(shape[1]))
    assert score(name, a, moved) == pytest.approx(SPECS[name].best, abs=1e-9)
    value = score(name, a, b)
    assert score(name, moved, b) == pytest.approx(value, abs=1e-9)
    assert score(name, b, a) == pytest.approx(value, abs=1e-12)
    low, high = SPECS[name].range
    assert low <= value <= high


@pytest.mark.parametrize("name", SPECS)
def test_widths_may_differ(name: str) -> None:
    rng = np.random.default_rng(2)
    a = rep(rng.standard_normal((120, 7)))
    wide = rep(np.hstack([a.matrix, np.zeros((120, 200))]))
    assert score(name, a, wide) == pytest.approx(SPECS[name].best, abs=1e-9)


# --- bands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [np.arange(100), np.arange(7, 210), GAPS])
def test_the_lines_of_a_band_are_its_waves_and_the_bands_do_not_overlap(numbers: I64) -> None:
    key = tuple(numbers.tolist())
    found = {band: band_directions(key, band) for band in BANDS}
    for lines, beside in found.values():
        both = np.hstack([lines, beside])
        np.testing.assert_allclose(both.T @ both, np.eye(both.shape[1]), atol=1e-10)
        np.testing.assert_allclose(both.sum(axis=0), 0.0, atol=1e-9)
    rng = np.random.default_rng(0)
    for band, period in (("t2", 2), ("t5", 5)):
        code = rng.standard_normal(period)[numbers % period]
        code = (code - code.mean()) / np.linalg.norm(code - code.mean())
        assert np.square(found[band][0].T @ code).sum() > (0.99 if len(numbers) == 100 else 0.5)
        for other in set(BANDS) - {band}:
            assert np.abs(np.hstack(found[other]).T @ code).max() < 1e-9


def test_on_a_decade_multiple_the_lines_are_the_fourier_bins() -> None:
    lines, beside = band_directions(tuple(range(200)), "t5")
    power = np.square(np.abs(np.fft.rfft(lines, axis=0))).sum(axis=1)
    np.testing.assert_allclose(power[[40, 80]], power[[40, 80]].sum() / 2, rtol=0.05)
    assert power[[40, 80]].sum() > 0.97 * power.sum()
    near = np.square(np.abs(np.fft.rfft(beside, axis=0))).sum(axis=1)
    around = [k for line in (40, 80) for k in range(line - 4, line + 5)]
    assert near[around].sum() > 0.95 * near.sum()


@pytest.mark.parametrize("numbers", [np.arange(100), GAPS])
@pytest.mark.parametrize("d", [64, 2048])
@pytest.mark.parametrize(
    ("code", "raised"), [("mod5", {"t5"}), ("mod2", {"t2"}), ("mod10", {"t2", "t5", "t10"}), ("mod1", set())]
)
def test_a_shared_code_raises_its_own_bands_only(numbers: I64, d: int, code: str, raised: set[str]) -> None:
    found = [bands(*pair(seed, numbers, d, noise=0.7, **{code: 0.6})) for seed in range(6)]
    for band in BANDS:
        mean = np.mean([one[band] for one in found])
        if band in raised:
            assert mean > 0.5
        else:
            assert abs(mean) < 0.25


@pytest.mark.parametrize("numbers", [np.arange(100), GAPS])
@pytest.mark.parametrize("d", [64, 2048])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_unrelated_walks_agree_in_no_band_at_any_width(numbers: I64, d: int, noise: float) -> None:
    # Plain debiased CKA is above .8 here, and the Gram of a walk hardly varies at d = 2048.
    found = [pair(seed, numbers, d, smooth=1.0, noise=noise) for seed in range(8)]
    cka = DebiasedCKA()
    assert np.mean([cka.score(cka.prepare(a), cka.prepare(b)) for a, b in found]) > 0.75
    scores = [bands(a, b) for a, b in found]
    for band in BANDS:
        mean = np.mean([one[band] for one in scores])
        # Ten smooth modes have few degrees of freedom: their score is 0 on average only.
        assert abs(mean) < (0.4 if band == "low" else 0.15)


def test_a_code_is_found_on_top_of_a_walk() -> None:
    found = bands(*pair(1, np.arange(100), 1024, smooth=1.0, noise=0.5, mod5=0.4))
    assert found["t5"] > 0.9
    assert max(abs(found[band]) for band in ("t10", "rest")) < 0.2


def test_a_code_of_one_side_raises_nothing() -> None:
    rng = np.random.default_rng(4)
    for _ in range(4):
        a = sample(rng, np.arange(100), 256, noise=0.7, mod5=0.8)
        b = sample(rng, np.arange(100), 256, noise=0.7)
        assert abs(score("cka_band_t5", a, b)) < 0.25


def test_different_codes_of_one_period_agree_less_than_equal_ones() -> None:
    # Parity of n // 5 has no line at period 5; a circle puts all power at 1/5, another one at 2/5.
    n = np.arange(100)
    rng = np.random.default_rng(5)

    def circle(turns: int) -> Representation:
        waves = np.column_stack([np.cos(2 * np.pi * turns * n / 5), np.sin(2 * np.pi * turns * n / 5)])
        return rep(waves @ rng.standard_normal((2, 40)) + 0.3 * rng.standard_normal((100, 40)))

    assert score("cka_band_t5", circle(1), circle(1)) > 0.8
    assert abs(score("cka_band_t5", circle(1), circle(2))) < 0.2


def test_size_of_the_bands_against_row_permutations_on_unrelated_walks() -> None:
    rejected = dict.fromkeys(("t2", "t5", "t10", "rest"), 0)
    for seed in range(20):
        a, b = pair(100 + seed, np.arange(100), 128, smooth=1.0, noise=0.7)
        rng = np.random.default_rng(seed)
        shuffled = [b.with_matrix(b.matrix[rng.permutation(100)]) for _ in range(19)]
        for band in rejected:
            observed = score(f"cka_band_{band}", a, b)
            rejected[band] += all(score(f"cka_band_{band}", a, one) < observed for one in shuffled)
    # At level .05 one of twenty on average; six or more once in 2500 runs.
    assert max(rejected.values()) <= 5


def test_real_tokens_share_period_5_and_positions_do_not(shared: Path) -> None:
    sides = {
        name: load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
        for name in ("all_minilm_l6_v2", "nlpl_bnc_skipgram_300d", "all_minilm_l6_v2_positions")
    }
    minilm, nlpl, positions = (
        Representation(held["numbers"], held["number_values"]).restrict(np.arange(100)) for held in sides.values()
    )
    tokens, ordered = bands(minilm, nlpl), bands(minilm, positions)
    assert tokens["t5"] > 0.6
    assert max(abs(ordered[band]) for band in ("t5", "t10", "low", "rest")) < 0.25


# --- reference geometries ------------------------------------------------------------------------------------------


def references(of: Representation) -> dict[str, float]:
    """The values of rows that no frequency is known of."""
    with pytest.warns(MeasurementWarning, match="W-FREQ") as warned:
        found = ReferenceGeometry()(of)
    assert len(warned) == 1
    return found


def reference(name: str, numbers: I64) -> F64:
    """Rows of a reference, written down again."""
    n = numbers.astype(float)
    if name == "line":
        return n[:, None]
    if name == "log_line":
        return np.log1p(n)[:, None]
    if name == "helix":
        waves = [wave(2 * np.pi * n / period) for period in (2, 5, 10, 100) for wave in (np.cos, np.sin)]
        return np.column_stack([n / 100, *waves])
    ones = [numbers // 10**place % 10 == digit for place in range(3) for digit in range(10)]
    return np.column_stack(ones).astype(float)


@pytest.mark.parametrize("name", ["line", "log_line", "helix", "digits"])
def test_a_reference_is_recognised_and_holds_the_whole_gram(name: str) -> None:
    rng = np.random.default_rng(0)
    numbers = np.arange(0, 300, 2)
    rows = reference(name, numbers)
    turned = rows @ np.linalg.qr(rng.standard_normal((40, 40))).Q[: rows.shape[1]]
    found = references(rep(2.0 * turned + 1.0, numbers))
    assert found[f"cka_{name}"] == pytest.approx(1.0, abs=1e-9)
    assert found[f"share_{name}"] == pytest.approx(1.0, abs=1e-6)
    assert found["share_rest"] == pytest.approx(0.0, abs=1e-6)
    assert all(found[f"cka_{other}"] < 0.999 for other in OF_NUMBERS if other != name)


def test_cka_is_that_of_the_convergence_metric() -> None:
    of = rep(np.random.default_rng(1).standard_normal((60, 9)).cumsum(axis=0))
    found = references(of)
    metric = DebiasedCKA()
    for name in ("line", "log_line", "helix", "digits"):
        expected = metric.score(metric.prepare(of), metric.prepare(rep(reference(name, of.numbers))))
        assert found[f"cka_{name}"] == pytest.approx(expected, abs=1e-10)


def test_shares_add_up_and_split_a_mixture() -> None:
    numbers = np.arange(200)
    parts = {}
    for name in ("line", "digits"):
        rows = reference(name, numbers)
        rows = rows - rows.mean(axis=0)
        parts[name] = rows / np.sqrt(np.linalg.norm(rows @ rows.T))
    found = references(rep(np.hstack([parts["line"], parts["digits"]])))
    shares = {name: found[f"share_{name}"] for name in (*OF_NUMBERS, "rest")}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-9)
    assert min(shares.values()) >= 0.0
    # Two parts of equal weight: each has half.
    assert shares["line"] == pytest.approx(0.5, abs=0.01)
    assert shares["digits"] == pytest.approx(0.5, abs=0.01)
    assert shares["rest"] < 1e-6


def test_noise_resembles_no_reference() -> None:
    found = references(rep(np.random.default_rng(2).standard_normal((200, 1000))))
    assert max(abs(found[f"cka_{name}"]) for name in OF_NUMBERS) < 0.02


def test_reordered_rows_give_what_measuring_them_again_gives() -> None:
    of = rep(np.random.default_rng(3).standard_normal((50, 4)).cumsum(axis=0), np.arange(-20, 30))
    orders = np.stack([np.random.default_rng(k).permutation(50) for k in range(3)])
    fast = ReferenceGeometry().permuted(of, orders)
    for k, order in enumerate(orders):
        slow = references(of.with_matrix(of.matrix[order]))
        assert slow.keys() == fast.keys()
        for name, value in slow.items():
            assert fast[name][k] == pytest.approx(value, abs=1e-9)


def test_single_digits_have_no_string_geometry_to_compare_but_a_share() -> None:
    found = references(rep(np.random.default_rng(4).standard_normal((10, 4))))
    assert "cka_levenshtein" not in found
    assert "cka_digits" not in found
    assert {f"share_{name}" for name in (*OF_NUMBERS, "rest")} <= found.keys()


def test_levenshtein_is_that_of_the_textbook() -> None:
    def plain(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    words = [str(n) for n in (-105, -15, -5, 0, 1, 5, 10, 15, 51, 99, 105, 150, 501, 999, 1000)]
    np.testing.assert_array_equal(levenshtein(words), [[plain(a, b) for b in words] for a in words])


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "of", "params", "message"),
    [
        ("cka_band_t5", rep(np.eye(120), np.arange(0, 1200, 10)), {}, r"band t5 is not told .* such as 0\.\.99"),
        ("cka_band_t10", rep(np.eye(120), np.arange(0, 240, 2)), {}, r"band t10 is not told from the others"),
        ("cka_band_rest", rep(np.ones((120, 3))), {}, r"all 120 rows are equal"),
        ("cka_band_t2", rep(np.cos(np.pi * (np.arange(120.0)[:, None] + 0.5) / 120)), {}, r"nothing in this band"),
        ("transfer_top1", rep(np.eye(9)), {}, r"10 folds needs at least 10 numbers; these are 9"),
        ("transfer_top1", rep(np.eye(30)), {"folds": 40}, r"40 folds needs at least 40 numbers; these are 30"),
        ("transfer_mrr", rep(np.eye(30)), {"folds": 1}, r"at least 2 folds; got .*folds=1\. Type transfer_mrr\(folds"),
        ("transfer_mrr", rep(np.ones((30, 2))), {}, r"all 30 rows are equal"),
    ],
)
def test_a_metric_that_does_not_apply_says_why_in_one_line(
    name: str, of: Representation, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        score(name, of, of, **params)
    assert "\n" not in str(refused.value)


def test_references_refuse_rows_without_shape() -> None:
    for rows in (np.ones((20, 3)), np.eye(20)):
        with pytest.raises(Incompatible, match=r"reference_geometry has nothing to compare: all rows are equal, or"):
            ReferenceGeometry()(rep(rows))
    with pytest.raises(Incompatible, match=r"at least 4 numbers; these are 3"):
        ReferenceGeometry()(rep(np.eye(3)))
