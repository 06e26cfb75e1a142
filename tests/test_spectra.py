"""Spectra over the numbers: identities first, then planted lines, real vocabularies and rows, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from number_plants import coded, gaussian, measured, rep, walk
from safetensors.numpy import load_file

from numgeom import Curve, Incompatible, MeasurementWarning, NumberSet, Representation
from numgeom_plugins.convergence.spectrum_overlap import SpectrumIoU
from numgeom_plugins.geometry.background import spectral_background
from numgeom_plugins.geometry.line_survey import CONTROLS, DECIMAL
from numgeom_plugins.geometry.lines import FourierLines, class_power
from numgeom_plugins.geometry.periodogram import (
    lag_sums,
    least_squares_basis,
    merge_rank_spectrum,
    power,
    primitive,
    product_lag_sums,
)
from numgeom_plugins.sources.tokenizers import open_tokenizer
from numgeom_plugins.sources.tokenizers.selection import number_token_ids

F64 = npt.NDArray[np.float64]


def lines(of: Representation, **params: Any) -> dict[str, float]:
    found = measured(FourierLines(**params), of)
    return {name: value for name, value in found.items() if not isinstance(value, list)}


def background(of: Representation, **params: Any) -> dict[str, float]:
    return measured(partial(spectral_background, **params), of)


# Identities


@pytest.mark.parametrize(("n", "d"), [(60, 7), (61, 100)])
def test_the_periodogram_is_the_fourier_transform_and_keeps_the_energy(n: int, d: int) -> None:
    cloud = rep(walk(n, d))
    lags = lag_sums(cloud.workspace.gram)
    transform = np.fft.fft(cloud.workspace.centred, axis=0) / np.sqrt(n)
    seen = power(lags, np.arange(1, n) / n)
    np.testing.assert_allclose(seen, np.square(np.abs(transform[1:])).sum(axis=1), rtol=1e-9, atol=1e-9)
    assert seen.sum() == pytest.approx(cloud.workspace.energy, rel=1e-12)


@pytest.mark.parametrize("period", [2, 5, 10, 20])
def test_class_power_is_n_times_the_scatter_between_residue_classes(period: int) -> None:
    cloud = rep(walk(200, 30))
    means = np.stack([cloud.workspace.centred[r::period].mean(axis=0) for r in range(period)])
    assert class_power(cloud, period) / 200 == pytest.approx(np.square(means).sum() / period, rel=1e-12)


def test_class_power_is_the_sum_of_the_primitive_ones_over_the_divisors() -> None:
    cloud = rep(walk(200, 30))
    found = lines(cloud)
    parts = sum(found[f"share_{t}"] for t in (2, 4, 5, 10, 20))
    assert parts == pytest.approx(class_power(cloud, 20) / cloud.workspace.energy, rel=1e-10)


def test_a_staircase_of_the_tens_has_no_class_power() -> None:
    n, period = np.arange(200), 10
    flat, steep = (rep(((n % period) + steep * (n // period))[:, None].astype(float)) for steep in (0.0, 1000.0))
    assert class_power(steep, period) == pytest.approx(class_power(flat, period), rel=1e-6)


def test_lag_sums_of_shuffled_rows_reindex_the_gram() -> None:
    cloud, order = rep(walk(50, 5)), np.random.default_rng(1).permutation(50)
    shuffled = rep(cloud.matrix[order])
    np.testing.assert_allclose(
        lag_sums(cloud.workspace.gram, order), lag_sums(shuffled.workspace.gram), rtol=1e-9, atol=1e-9
    )


def test_lag_sums_of_a_product_need_no_product() -> None:
    left, right = gaussian(30, 3), gaussian(30, 3, 1)
    whole = left @ right.T + right @ left.T
    np.testing.assert_allclose(product_lag_sums(left, right), lag_sums(whole), atol=1e-12)


def test_least_squares_power_is_what_the_waves_explain() -> None:
    numbers = np.sort(np.random.default_rng(0).choice(90, 60, replace=False))
    rows = gaussian(60, 4)
    rows -= rows.mean(axis=0)
    frequencies = np.array([0.1, 0.31, 0.5])
    basis = least_squares_basis(numbers, frequencies)
    for place, f in enumerate(frequencies):
        design = np.column_stack([np.ones(60), np.cos(2 * np.pi * f * numbers), np.sin(2 * np.pi * f * numbers)])
        fitted = design @ np.linalg.lstsq(design, rows, rcond=None)[0]
        assert np.square(basis[:, :, place].T @ rows).sum() == pytest.approx(np.square(fitted).sum(), rel=1e-9)


def test_least_squares_power_on_a_run_is_the_periodogram() -> None:
    cloud = rep(walk(40, 5))
    frequencies = np.array([3 / 40, 0.25, 0.5])
    seen = np.square(np.einsum("nkm,nd->kmd", least_squares_basis(cloud.numbers, frequencies), cloud.matrix)).sum(
        axis=(0, 2)
    )
    expected = power(lag_sums(cloud.workspace.gram), frequencies) * np.array([2, 2, 1])
    np.testing.assert_allclose(seen, expected, rtol=1e-8)


def test_primitive_lines_of_ten_are_neither_those_of_two_nor_of_five() -> None:
    assert primitive(10).tolist() == [0.1, 0.3]
    assert sum(len(primitive(t)) for t in (2, 5, 10)) == 5


# Planted lines


@pytest.mark.parametrize("period", [2, 5, 10, 4, 20, 3, 7])
def test_a_code_stands_out_at_its_own_period_alone(period: int) -> None:
    rows = coded(period, 420, 60) + 0.3 * gaussian(420, 60)
    found = lines(rep(rows))
    within = [t for t in DECIMAL + CONTROLS if period % t == 0]
    assert all(found[f"spike_{t}"] > 10 for t in within)
    # 100 does not divide 420: its lines lie within a bin of others.
    assert all(found[f"spike_{t}"] < 2 for t in DECIMAL + CONTROLS if t not in (*within, 100))


@pytest.mark.parametrize("rows", [walk(1000, 64), gaussian(1000, 64), walk(1000, 64) + 5 * gaussian(1000, 64, 1)])
def test_smooth_and_white_clouds_have_no_lines(rows: F64) -> None:
    found = lines(rep(rows))
    assert all(0.4 < found[f"spike_{t}"] < 1.8 for t in DECIMAL + CONTROLS)


def test_gapped_numbers_keep_their_lines_and_show_the_window() -> None:
    keep = np.sort(np.random.default_rng(0).choice(400, 300, replace=False))
    rows = (coded(10, 400, 60) + 0.5 * gaussian(400, 60))[keep]
    with pytest.warns(MeasurementWarning) as caught:
        found = FourierLines()(Representation(rows, keep, token_ids=np.random.default_rng(1).permutation(keep)))
    assert {item.message.code for item in caught if isinstance(item.message, MeasurementWarning)} == {"W-GAPS"}
    assert min(found[f"spike_{t}"] for t in (2, 5, 10)) > 10
    assert max(found[f"spike_{t}"] for t in (4, 20, 3, 7)) < 2
    assert max(found[f"window_{t}"] for t in (2, 5, 10)) < 0.02
    assert [curve.series for curve in found["spectrum"]] == ["rows", "sampling window"]


def test_a_sampling_that_leaves_out_one_last_digit_shows_in_its_window() -> None:
    numbers = np.array([n for n in range(200) if n % 10 not in (7, 8, 9)])
    found = lines(Representation(gaussian(140, 10), numbers))
    assert found["window_10"] > 0.1
    assert found["window_3"] < 0.01


def test_detrending_takes_the_trend_and_leaves_the_code() -> None:
    rows = 0.3 * coded(5, 200, 40) + 20 * np.arange(200)[:, None] / 200
    raw, rest = lines(rep(rows)), lines(rep(rows), detrend="magnitude")
    assert raw["share_5"] < 0.05 < 0.9 < rest["share_5"]


def curve_of(of: Representation, name: str, **params: Any) -> dict[str, tuple[F64, F64]]:
    found = measured(FourierLines(**params), of)
    curves: Any = found[name]
    return {curve.series: (np.asarray(curve.x), np.asarray(curve.y)) for curve in curves}


def wave(n: int, frequency: float, width: int) -> F64:
    """One pure wave in a plane."""
    angle = 2 * np.pi * frequency * np.arange(n) + 0.3
    return np.column_stack([np.cos(angle), np.sin(angle)]) @ np.linalg.qr(gaussian(width, 2))[0].T


@pytest.mark.parametrize("window", ["none", "hann"])
@pytest.mark.parametrize("period", [2, 5, 10, 3])
def test_a_pure_wave_has_all_the_power_with_and_without_a_window(window: str, period: int) -> None:
    n = 600
    found = lines(rep(wave(n, 1 / period, 12)), window=window)
    assert found[f"share_{period}"] == pytest.approx(1.0, rel=1e-9)
    others = [t for t in DECIMAL + CONTROLS if t != period and n % t == 0]
    assert max(found[f"share_{t}"] for t in others) < 1e-9


def test_a_window_keeps_a_line_off_the_bins_from_leaking() -> None:
    n = 1003
    rows = wave(n, 0.1237, 12)
    leaked = {window: lines(rep(rows), window=window) for window in ("none", "hann")}
    for period in (2, 5, 4, 20, 3, 7):
        assert leaked["hann"][f"share_{period}"] < 1e-3 * leaked["none"][f"share_{period}"]


def test_white_noise_under_a_window_has_spikes_of_one_and_half_as_much_power_again() -> None:
    found = [lines(rep(gaussian(500, 60, seed)), window="hann") for seed in range(8)]
    assert np.mean([one["spike_10"] for one in found]) == pytest.approx(1.0, abs=0.1)
    assert np.mean([one["share_10"] for one in found]) == pytest.approx(1.5 * 4 / 499, rel=0.15)


def test_a_code_stands_out_under_a_window_too() -> None:
    found = lines(rep(walk(1000, 60) + 3 * coded(10, 1000, 60)), window="hann")
    assert min(found[f"spike_{t}"] for t in (2, 5, 10)) > 10
    assert max(found[f"spike_{t}"] for t in (3, 7, 9, 11, 4, 20)) < 2


@pytest.mark.parametrize(("detrend", "trend"), [("magnitude", np.log1p), ("magnitude", np.asarray), ("dct4", None)])
def test_detrending_takes_a_trend_out_exactly(detrend: str, trend: Any) -> None:
    n = np.arange(200)
    shape = np.cos(3 * np.pi * (n + 0.5) / 200) if trend is None else trend(n.astype(float))
    alone = lines(rep(gaussian(200, 9)), detrend=detrend)
    both = rep(gaussian(200, 9) + 40.0 * shape[:, None] * gaussian(1, 9, 1))
    found = lines(both, detrend=detrend)
    assert found == pytest.approx(alone, rel=1e-6)
    for window in ("none", "hann"):
        (_, plain), (_, rest) = (
            curve_of(one, "spectrum", detrend=detrend, window=window)["rows"] for one in (rep(gaussian(200, 9)), both)
        )
        np.testing.assert_allclose(rest, plain, rtol=1e-6)


def test_the_multitaper_interval_holds_the_white_level_at_its_rate() -> None:
    held = []
    for seed in range(60):
        bands = curve_of(rep(gaussian(256, 1 + seed % 4, seed)), "multitaper", tapers=8)
        (x, low), (_, high) = bands["low"], bands["high"]
        # The mean is taken out, which the lowest bands feel.
        inner = (x > 0.05) & (x < 0.45)
        held.append(((low <= 1.0) & (high >= 1.0))[inner].mean())
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


def test_the_multitaper_estimate_is_the_mean_over_tapered_transforms() -> None:
    cloud = rep(walk(120, 5))
    (x, seen) = curve_of(cloud, "multitaper", tapers=4)["estimate"]
    k, i = np.arange(1, 5)[:, None], np.arange(1, 121)[None, :]
    tapers = np.sqrt(2 / 121) * np.sin(np.pi * k * i / 121)
    rows = cloud.workspace.centred
    transforms = np.einsum("ki,fi,id->kfd", tapers, np.exp(-2j * np.pi * np.outer(x, np.arange(120))), rows)
    expected = np.square(np.abs(transforms)).sum(axis=2).mean(axis=0) / (cloud.workspace.energy / 120)
    np.testing.assert_allclose(seen, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"detrend": "linear"}, "detrend='linear' is none of none, magnitude, length, dctK .* type detrend=magnitude"),
        ({"window": "hamming"}, "window='hamming' is none of none, hann; type window=hann"),
        ({"tapers": 2}, "tapers=2 must be 0 .none. or at least 3; type tapers=8"),
        ({"tapers": 40}, "tapers=40 are more than a quarter of 100 numbers; type tapers=12"),
    ],
)
def test_other_spectra_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(Incompatible, match=message):
        lines(rep(gaussian(100, 4)), **params)


@pytest.mark.parametrize("params", [{"window": "hann"}, {"tapers": 8}])
def test_windows_and_tapers_refuse_gaps(params: dict[str, Any]) -> None:
    gapped = Representation(gaussian(80, 4), np.delete(np.arange(100), np.arange(0, 40, 2)))
    with pytest.raises(Incompatible, match=r"need consecutive numbers .*W-GAPS.* give a run such as 0..499"):
        lines(gapped, **params)


def test_the_spectrum_curve_has_the_lines() -> None:
    with pytest.warns(MeasurementWarning, match="no merge rank and no counts"):
        found = FourierLines()(rep(coded(5, 200, 40) + 0.1 * gaussian(200, 40)))
    (curve,) = found["spectrum"]
    assert isinstance(curve, Curve)
    x, y = np.asarray(curve.x), np.asarray(curve.y)
    assert set(np.round(x[np.argsort(-y)[:2]], 9)) == {0.2, 0.4}


# The frequency control


def test_a_line_that_is_merge_rank_goes_with_it() -> None:
    rng = np.random.default_rng(0)
    ids = np.argsort(np.argsort(3 * (np.arange(400) % 10 == 0) + rng.standard_normal(400)))
    rank = np.log1p(ids)
    inherited = rank[:, None] * gaussian(1, 50, 1) + 0.1 * gaussian(400, 50, 2)
    own = coded(10, 400, 50) + 0.1 * gaussian(400, 50, 2)
    for rows, kept in ((inherited, False), (own, True)):
        found = lines(rep(rows, token_ids=ids))
        assert found["spike_10"] > 5
        assert found["rank_spike_10"] > 5
        assert (found["residual_spike_10"] > 5) is kept


def test_counts_of_the_user_take_the_place_of_the_merge_rank(tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("\n".join(f"{n},{1000 if n % 10 == 0 else 10 + n % 7}" for n in range(200)))
    found = lines(rep(gaussian(200, 20)), counts=str(file))
    assert found["rank_spike_10"] > 10 > 5 > found["residual_spike_10"]
    with pytest.raises(Incompatible, match="has no entry for 100 of 300 numbers"):
        lines(rep(gaussian(300, 20)), counts=str(file))


def test_ids_that_only_count_the_numbers_are_no_frequency() -> None:
    with pytest.warns(MeasurementWarning, match="no merge rank and no counts"):
        assert "rank_spike_2" not in FourierLines()(rep(gaussian(200, 4), token_ids=np.arange(50, 250)))


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("llama3", 1000, (6.9, 8.0, 6.3, 16.2)),
        ("olmo2_dolma2", 1000, (6.9, 8.0, 6.3, 16.2)),
        ("gpt2", 500, (2.9, 4.9, 3.1, 10.7)),
        ("gpt_neox_20b", 500, (2.3, 4.4, 1.9, 11.1)),
    ],
)
def test_merge_ranks_of_real_vocabularies_have_lines(
    shared: Path, name: str, count: int, expected: tuple[float, ...]
) -> None:
    tokenizer = open_tokenizer(shared / "data" / "tokenizers" / name)
    numbers, ids = number_token_ids(tokenizer, NumberSet.parse(f"0..{count - 1}"))[:2]
    found = merge_rank_spectrum(ids, numbers)
    assert [round(found[f"spike_{t}"], 1) for t in (2, 5, 10, 100)] == list(expected)


def test_the_merge_rank_spectrum_refuses_gaps_and_equal_ids() -> None:
    with pytest.raises(Incompatible, match="a run of at least 20 consecutive numbers"):
        merge_rank_spectrum(np.arange(30), np.arange(0, 60, 2))
    with pytest.raises(Incompatible, match="all token ids are equal"):
        merge_rank_spectrum(np.full(30, 7), np.arange(30))


def test_the_periodogram_module_imports_numpy_only() -> None:
    code = (
        "import sys, numgeom_plugins.geometry.periodogram;"
        "print([m for m in ('scipy', 'sklearn', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The fitted background


@pytest.mark.parametrize("length", [3.0, 12.0, 40.0])
def test_the_background_finds_the_length_of_an_exponential_kernel(length: float) -> None:
    n, q = 1000, np.exp(-1 / length)
    rows = np.empty((n, 300))
    steps = gaussian(n, 300) * np.sqrt(1 - q**2)
    rows[0] = gaussian(1, 300, 1)
    for i in range(1, n):
        rows[i] = q * rows[i - 1] + steps[i]
    found = background(rep(rows), draws=19)
    assert found["length"] == pytest.approx(length, rel=0.2)
    assert found["white_share"] < 0.05


def test_the_background_splits_off_the_white_floor() -> None:
    found = background(rep(walk(1000, 200) + 10 * gaussian(1000, 200, 1)), draws=19)
    white = 100 * 1000 / (100 * 1000 + np.square(walk(1000, 1, 5) - walk(1000, 1, 5).mean()).sum())
    assert 0.2 < found["white_share"] < max(0.9, white)
    assert all(0.8 < found[f"ratio_{t}"] < 1.2 for t in (2, 5, 10, 4, 20, 100))


@pytest.mark.parametrize("kind", ["walk", "noisy walk", "white"])
def test_the_bootstrap_p_is_uniform_without_a_line(kind: str) -> None:
    p = []
    for seed in range(12):
        white = gaussian(200, 40, seed)
        rows = {"walk": white.cumsum(axis=0), "white": white}.get(kind, walk(200, 40, seed + 50) + 4 * white)
        p += [background(rep(rows), draws=39, seed=seed)[f"p_{t}"] for t in (2, 5, 10, 20)]
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert 0.38 < np.mean(p) < 0.62


def test_a_planted_code_beats_the_background_and_smoothness_does_not() -> None:
    found = background(rep(walk(400, 80) + 3 * gaussian(400, 80, 1) + 2 * coded(10, 400, 80)), draws=99)
    assert all(found[f"p_{t}"] == 0.01 and found[f"ratio_{t}"] > 1.5 for t in (2, 5, 10))
    assert all(found[f"p_{t}"] > 0.01 for t in (4, 20))


# Overlap of spectra


def test_spectrum_iou_of_known_sets() -> None:
    n = np.arange(240)
    waves = {t: np.cos(2 * np.pi * n / t)[:, None] for t in (2, 3, 4, 5, 6, 8, 10, 12)}
    a = rep(np.hstack([waves[t] for t in (2, 3, 4, 5)]))
    b = rep(np.hstack([5 * waves[t] for t in (4, 5, 6, 8)]))
    metric = SpectrumIoU(top=4)
    assert metric.score(metric.prepare(a), metric.prepare(b)) == pytest.approx(2 / 6)
    assert metric.score(metric.prepare(a), metric.prepare(a)) == 1.0


def test_spectrum_iou_of_unrelated_walks_is_high_and_of_noise_is_chance() -> None:
    metric = SpectrumIoU()
    walks = [metric.prepare(rep(walk(1000, 200, seed))) for seed in (1, 2)]
    noise = [metric.prepare(rep(gaussian(1000, 200, seed))) for seed in (1, 2)]
    assert metric.score(*walks) > 0.8
    assert metric.score(*noise) < 0.15


def test_spectrum_iou_refuses_gaps_and_says_that_top_was_lowered() -> None:
    with pytest.raises(Incompatible, match="spectrum_iou needs consecutive numbers"):
        SpectrumIoU().prepare(Representation(gaussian(20, 3), np.arange(0, 40, 2)))
    with pytest.warns(MeasurementWarning, match="top lowered from 63 to 5"):
        SpectrumIoU(top=63).prepare(rep(gaussian(40, 3)))
    with pytest.raises(Incompatible, match="top=-1 must be 0"):
        SpectrumIoU(top=-1)


def test_an_eighth_of_a_thousand_numbers_is_sixty_three_frequencies() -> None:
    assert len(SpectrumIoU().prepare(rep(gaussian(1000, 3))).strongest) == 63


# Real rows


def test_real_number_tokens_have_decimal_lines_and_positions_have_none(shared: Path) -> None:
    found = {}
    for name in ("all_minilm_l6_v2_positions", "all_minilm_l6_v2"):
        stored = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
        at = np.flatnonzero(stored["number_values"] < 300)
        order = at[np.argsort(stored["number_values"][at])]
        found[name] = lines(Representation(stored["numbers"][order], stored["number_values"][order]))
    positions, tokens = found.values()
    assert all(positions[f"spike_{t}"] < 1.2 for t in (2, 5, 10))
    assert all(tokens[f"spike_{t}"] > 2.5 for t in (2, 5, 10))
    assert all(tokens[f"spike_{t}"] < 1.3 for t in (3, 7, 9, 11))


# What goes wrong


def test_warnings_name_what_is_missing() -> None:
    with pytest.warns(MeasurementWarning) as caught:
        FourierLines()(rep(gaussian(103, 5)))
    said = {item.message.code: str(item.message) for item in caught if isinstance(item.message, MeasurementWarning)}
    assert set(said) == {"W-BIN", "W-FREQ"}
    assert "2, 5, 10, 4, 20" in said["W-BIN"]
    with pytest.warns(MeasurementWarning, match="100: they are left out"):
        assert "p_100" not in spectral_background(rep(gaussian(260, 5)), draws=19)


def test_spectra_refuse_what_has_none() -> None:
    with pytest.raises(Incompatible, match="all rows are equal, so there is no spectrum"):
        lines(rep(np.ones((40, 3))))
    with pytest.raises(Incompatible, match="no period is measurable on these 12 numbers"):
        lines(rep(gaussian(12, 3)))
    with pytest.raises(
        Incompatible, match=r"needs at least 200 consecutive numbers; these are 250 with gaps \(W-GAPS\)"
    ):
        background(Representation(gaussian(250, 3), np.arange(0, 500, 2)))
    with pytest.raises(Incompatible, match="draws=5 gives no p of"):
        background(rep(gaussian(200, 3)), draws=5)
    with pytest.raises(Incompatible, match="no power between the lines"):
        background(rep(np.cos(2 * np.pi * np.arange(200) / 5)[:, None]))
    with pytest.raises(Incompatible, match="class_power needs consecutive numbers"):
        class_power(Representation(gaussian(20, 3), np.arange(0, 40, 2)), 5)


def test_even_numbers_alone_have_no_period_two() -> None:
    found = lines(Representation(gaussian(150, 4), np.arange(0, 300, 2)))
    assert "spike_2" not in found
    assert "spike_5" in found
