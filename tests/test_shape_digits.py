"""Clusters by digits, the additive digit model, spacing along PC1 and norms: known answers and faults."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import silhouette_score

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.testing import clouds
from numgeom_plugins.geometry.correlation import correlation, partial_correlation
from numgeom_plugins.geometry.digit_clusters import DigitClusters
from numgeom_plugins.geometry.digit_model import DigitModel
from numgeom_plugins.geometry.norms import NormProfile
from numgeom_plugins.geometry.number_line import ScalingExponent

F64 = npt.NDArray[np.float64]
clusters, model, spacing, norms = DigitClusters(), DigitModel(), ScalingExponent(), NormProfile()
N = np.arange(1000)


def code(numbers: npt.NDArray[np.int64], sizes: tuple[float, float, float], d: int = 100, seed: int = 0) -> F64:
    """A random vector for every digit, units, tens and hundreds at these sizes, added up."""
    rng = np.random.default_rng(seed)
    parts = [size * rng.standard_normal((10, d))[numbers // 10**place % 10] for place, size in enumerate(sizes)]
    return np.sum(parts, axis=0)


# Clusters


def test_clusters_by_hand() -> None:
    numbers = np.sort(np.random.default_rng(0).choice(300, 80, replace=False))
    rep = Representation(np.random.default_rng(1).standard_normal((80, 5)) + 0.4, numbers)
    found = clusters(rep)
    labels = {
        "last_digit": numbers % 10,
        "tens_digit": numbers // 10 % 10,
        "hundreds_digit": numbers // 100,
        "digit_length": np.array([len(str(n)) for n in numbers]),
        "even": numbers % 2,
        "multiple_of_10": numbers % 10 == 0,
    }
    apart = rep.workspace.distances
    eligible = np.abs(numbers[:, None] - numbers[None]) > 1
    for name, label in labels.items():
        assert found[f"silhouette_{name}"] == pytest.approx(silhouette_score(rep.matrix, label)), name
        cosine = silhouette_score(rep.matrix, label, metric="cosine")
        assert found[f"silhouette_cosine_{name}"] == pytest.approx(cosine), name
        same = label[:, None] == label[None]
        base = same[eligible].mean()
        near = [[j for j in np.argsort(apart[i]) if eligible[i, j]][:5] for i in range(80)]
        assert found[f"knn5_{name}"] == pytest.approx(np.mean([same[i, near[i]] for i in range(80)]) - base), name
        means = sum((label == v).sum() * np.square(rep.workspace.centred[label == v].mean(0)).sum() for v in set(label))
        assert found[f"r2_{name}"] == pytest.approx(means / rep.workspace.energy), name


def test_a_last_digit_code_clusters_and_a_walk_does_not() -> None:
    digits = clusters(Representation(code(N, (1.0, 0.1, 0.1)), N))
    assert digits["silhouette_last_digit"] > 0.8
    assert digits["knn10_last_digit"] == pytest.approx(0.9, abs=0.02)
    assert digits["r2_last_digit"] > 0.95
    walk = clusters(clouds.walk(1000, 100))
    # Neighbours on a curve have other last digits: the agreement lies below chance.
    assert walk["knn10_last_digit"] < 0.0 < walk["knn10_hundreds_digit"]
    assert abs(walk["silhouette_last_digit"]) < 0.02


def test_numbers_beside_one_another_do_not_count_as_neighbours() -> None:
    pairs_of_a_decade = Representation(
        np.repeat(np.random.default_rng(0).standard_normal((50, 40)), 2, axis=0), N[:100]
    )
    assert abs(clusters(pairs_of_a_decade)["knn1_tens_digit"]) < 0.1


def test_labels_that_numbers_do_not_share_are_refused() -> None:
    assert not any("digit" in name for name in clusters(clouds.gaussian(10, 4)))
    with pytest.raises(Incompatible, match="share no digit, length or parity in classes of two"):
        clusters(Representation(np.eye(4), np.array([1, 20, 300, 4000])))


# Additive digit model


def test_a_sum_of_digit_codes_is_foretold() -> None:
    found = model(Representation(code(N, (1.0, 2.0, 3.0)), N))
    assert found["additive_r2_oof"] == pytest.approx(1.0)
    assert found["interaction_increment"] == pytest.approx(0.0, abs=1e-9)
    assert found["share_units"] == pytest.approx(1 / 14, abs=0.02)
    assert found["share_units"] < found["share_tens"] < found["share_hundreds"]


def test_noise_is_foretold_worse_than_by_its_mean() -> None:
    found = model(clouds.gaussian(1000, 300))
    assert -0.06 < found["additive_r2_oof"] < 0.0
    assert found["interaction_increment"] < -0.1
    # In sample, 9 parameters of 999 explain their share of nothing.
    assert found["share_units"] == pytest.approx(9 / 999, rel=0.1)


def test_an_interaction_is_seen_as_an_increment() -> None:
    rng = np.random.default_rng(0)
    joint = rng.standard_normal((100, 60))[N % 100]
    found = model(Representation(code(N, (1.0, 1.0, 1.0), d=60) + joint, N))
    assert found["additive_r2_oof"] < 0.8
    assert found["additive_r2_oof"] + found["interaction_increment"] == pytest.approx(1.0, abs=1e-6)


def test_out_of_fold_error_and_shares_are_those_of_least_squares() -> None:
    numbers = np.sort(np.random.default_rng(0).choice(200, 120, replace=False))
    rep = Representation(np.random.default_rng(1).standard_normal((120, 4)).cumsum(axis=0), numbers)

    def design(*names: str) -> F64:
        length = np.array([len(str(n)) for n in numbers])
        held = {"units": numbers % 10, "tens": numbers // 10 % 10, "hundreds": numbers // 100, "length": length}
        return np.column_stack([np.ones(120), *((held[n][:, None] == np.unique(held[n])) for n in names)])

    def rss(columns: F64) -> float:
        fitted = columns @ np.linalg.lstsq(columns, rep.workspace.centred, rcond=None)[0]
        return float(np.square(rep.workspace.centred - fitted).sum())

    every = ("units", "tens", "hundreds", "length")
    found, energy = model(rep), rep.workspace.energy
    assert found["additive_r2"] == pytest.approx(1 - rss(design(*every)) / energy)
    for name in every:
        rest = tuple(other for other in every if other != name)
        assert found[f"share_{name}"] == pytest.approx((rss(design(*rest)) - rss(design(*every))) / energy, abs=1e-9)
    folds = np.random.default_rng(0).permutation(120) % 10
    error = total = 0.0
    for fold in range(10):
        out = folds == fold
        weights = np.linalg.lstsq(design(*every)[~out], rep.matrix[~out], rcond=None)[0]
        error += float(np.square(rep.matrix[out] - design(*every)[out] @ weights).sum())
        total += float(np.square(rep.matrix[out] - rep.matrix[~out].mean(axis=0)).sum())
    assert found["additive_r2_oof"] == pytest.approx(1 - error / total)
    shares = [value for name, value in found.items() if name.startswith("share_")]
    assert sum(shares) == pytest.approx(1.0)


def test_too_few_numbers_for_the_digits_are_refused() -> None:
    rng = np.random.default_rng(0)
    numbers = np.sort(rng.choice(1000, 50, replace=False))
    with pytest.raises(Incompatible, match=r"digit_model has 2\d parameters for 50 numbers; it needs two numbers a"):
        model(Representation(rng.standard_normal((50, 3)), numbers))


# Spacing along PC1


def test_pc1_of_a_walk_is_a_good_line_for_no_reason() -> None:
    # Oracle 9: half a cosine has R2 = 96 / pi^4 with a line, so .98 is no number line.
    found = spacing(clouds.walk(1000, 4000))
    assert found["r2_linear"] == pytest.approx(96 / np.pi**4, abs=0.002)
    assert found["oof_linear"] == pytest.approx(96 / np.pi**4, abs=0.003)


@pytest.mark.parametrize("beta", [1.0, 0.5, 0.3, 2.0])
def test_planted_exponents_are_recovered(beta: float) -> None:
    line = (N + 1.0) ** beta
    noise = np.random.default_rng(0).standard_normal(1000) * 0.05 * line.std()
    found = spacing(Representation(np.column_stack([line + noise, np.zeros(1000)]), N))
    assert found["beta"] == pytest.approx(beta, abs=0.05)
    assert found["beta_low"] <= beta <= found["beta_high"]
    assert found["beta_high"] - found["beta_low"] < 0.2
    assert found["oof_power"] > 0.99


def test_logarithm_and_line_are_told_apart() -> None:
    log = spacing(Representation(np.outer(np.log1p(N), [1.0, 2.0]), N))
    assert log["r2_log"] == pytest.approx(1.0)
    assert log["beta"] == pytest.approx(0.0, abs=1e-9)
    assert log["aic_log"] < -1000 < 1000 < spacing(Representation(np.outer(N, [1.0, 2.0]), N))["aic_log"]


def test_smooth_residuals_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    white, smooth = rng.standard_normal(1000), rng.standard_normal(1000).cumsum()
    width = {}
    for name, noise in (("white", white), ("smooth", smooth)):
        rows = (N + 20.0 * 5.0 * (noise - noise.mean()) / noise.std())[:, None]
        found = spacing(Representation(rows, N))
        width[name] = found["beta_high"] - found["beta_low"]
    assert width["smooth"] > 3 * width["white"]


def test_shuffled_rows_have_no_spacing_out_of_fold() -> None:
    rep = clouds.walk(300, 50)
    orders = np.stack([np.random.default_rng(seed).permutation(300) for seed in range(20)])
    assert np.abs(spacing.permuted(rep, orders)["oof_linear"]).max() < 0.1


def test_negative_numbers_have_no_power() -> None:
    with pytest.raises(Incompatible, match="needs at least 10 numbers of 0 or more"):
        spacing(Representation(np.random.default_rng(0).standard_normal((20, 3)), np.arange(-5, 15)))


# Norms


def test_norms_by_hand() -> None:
    rng = np.random.default_rng(0)
    rep = Representation(rng.standard_normal((200, 8)), np.arange(200), token_ids=rng.permutation(200))
    lengths = np.linalg.norm(rep.matrix, axis=1)
    n, log, rank = np.arange(200.0), np.log1p(np.arange(200)), np.log1p(np.asarray(rep.token_ids, dtype=float))
    found = norms(rep)
    assert found["r_log"] == pytest.approx(correlation(lengths, log))
    assert found["partial_linear"] == pytest.approx(partial_correlation(lengths, n, log[:, None]))
    assert found["partial_merge_rank"] == pytest.approx(partial_correlation(lengths, rank, np.column_stack([n, log])))
    assert found["partial_log_merge_rank"] == pytest.approx(partial_correlation(lengths, log, rank[:, None]))
    assert found["norm_cv"] == pytest.approx(lengths.std() / lengths.mean())


def test_norms_that_follow_frequency_are_not_credited_to_magnitude() -> None:
    rng = np.random.default_rng(1)
    ids = np.argsort(np.argsort(np.log1p(N) + rng.standard_normal(1000)))
    directions = rng.standard_normal((1000, 20))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = norms(Representation(directions * (10.0 - np.log1p(ids))[:, None], N, token_ids=ids))
    assert found["r_log"] < -0.3
    assert found["partial_log_merge_rank"] == pytest.approx(0.0, abs=1e-6)
    assert found["partial_merge_rank"] == pytest.approx(-1.0)


def test_unit_rows_and_unknown_ids() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    with pytest.raises(Incompatible, match="all rows are equally long to five digits"):
        norms(Representation(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.arange(50)))
    with pytest.warns(MeasurementWarning, match="W-FREQ"), warnings.catch_warnings():
        assert "r_merge_rank" not in norms(Representation(rows, np.arange(50)))
