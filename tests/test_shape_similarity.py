"""Similarity by lag, Toeplitz fraction, commonality of distances, steps and parallels: known answers and faults."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom.testing import clouds
from numgeom_plugins.geometry.distance_commonality import DistanceCommonality
from numgeom_plugins.geometry.parallelism import Parallelism
from numgeom_plugins.geometry.reference import levenshtein
from numgeom_plugins.geometry.similarity import SimilarityProfile
from numgeom_plugins.geometry.steps import ConsecutiveDistance
from numgeom_plugins.geometry.succession import centred_cosines
from numgeom_plugins.geometry.toeplitz import ToeplitzFraction

F64 = npt.NDArray[np.float64]
profile, toeplitz, steps, parallel = SimilarityProfile(), ToeplitzFraction(), ConsecutiveDistance(), Parallelism()


def rows(matrix: F64, numbers: npt.ArrayLike | None = None) -> Representation:
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers))


def of_kernel(kernel: F64) -> Representation:
    """Rows whose Gram is the kernel."""
    values, vectors = np.linalg.eigh(kernel)
    return rows(vectors * np.sqrt(np.clip(values, 0.0, None)))


def digit_code(numbers: npt.NDArray[np.int64], d: int = 200, seed: int = 0) -> F64:
    """A random vector for every digit at every place, added up."""
    rng = np.random.default_rng(seed)
    return np.sum([rng.standard_normal((10, d))[numbers // 10**place % 10] for place in range(3)], axis=0)


# Lag profile


def test_profile_and_contrasts_by_hand() -> None:
    numbers = np.sort(np.random.default_rng(0).choice(140, 70, replace=False))
    rep = rows(np.random.default_rng(1).standard_normal((70, 9)), numbers)
    cosines = centred_cosines(rep)
    at: dict[int, list[tuple[float, bool]]] = {}
    for i in range(70):
        for j in range(i):
            same = len(str(numbers[i])) == len(str(numbers[j]))
            at.setdefault(int(numbers[i] - numbers[j]), []).append((cosines[i, j], same))
    g = {lag: np.mean([value for value, _ in held]) for lag, held in at.items()}
    found = profile(rep)
    for lag in (1, 2, 5, 10, 20, 50, 100):
        assert found[f"lag_{lag}"] == pytest.approx(g[lag]), lag
    tens = [lag for lag in at if lag % 10 == 0 and lag - 1 in at and lag + 1 in at]
    contrast = [g[lag] - (g[lag - 1] + g[lag + 1]) / 2 for lag in tens]
    assert found["last_digit_contrast"] == pytest.approx(np.average(contrast, weights=[len(at[lag]) for lag in tens]))
    top = below = 0.0
    for held in at.values():
        same_pairs, other = [v for v, same in held if same], [v for v, same in held if not same]
        if same_pairs and other:
            weight = len(same_pairs) * len(other) / len(held)
            top += weight * (np.mean(same_pairs) - np.mean(other))
            below += weight
    assert found["length_contrast"] == pytest.approx(top / below)


def test_a_last_digit_code_has_contrast_and_a_smooth_curve_has_none() -> None:
    numbers = np.arange(300)
    code = np.random.default_rng(0).standard_normal((10, 60))[numbers % 10]
    assert profile(rows(code))["last_digit_contrast"] > 0.9
    assert abs(profile(clouds.walk(300, 60))["last_digit_contrast"]) < 0.005


def test_a_digit_length_block_has_contrast() -> None:
    lengths = np.array([len(str(n)) for n in range(300)])
    code = np.random.default_rng(0).standard_normal((3, 60))[lengths - 1]
    noisy = rows(code + 0.3 * np.random.default_rng(1).standard_normal((300, 60)))
    assert profile(noisy)["length_contrast"] > 0.8
    assert "length_contrast" not in profile(clouds.gaussian(10, 4))


def test_numbers_without_a_lag_of_the_profile_are_refused() -> None:
    with pytest.raises(Incompatible, match="no two of the numbers are 1, 2, 5, 10, 20, 50, 100 or 200 apart"):
        profile(rows(np.random.default_rng(0).standard_normal((4, 3)), [1000, 2003, 4009, 8021]))


# Toeplitz fraction


def test_translation_symmetry_is_seen_on_the_axis_that_has_it() -> None:
    t = np.arange(1, 301, dtype=np.float64)
    in_n = toeplitz(of_kernel(np.exp(-np.abs(t[:, None] - t[None]) / 20.0)))
    assert in_n["tau_linear"] > 0.9
    assert in_n["variogram_linear"] == pytest.approx(1.0)
    assert in_n["variogram_log"] < 0.8
    in_log = toeplitz(of_kernel(np.exp(-2.0 * np.abs(np.log(t)[:, None] - np.log(t)[None]))))
    assert in_log["variogram_log"] > 0.995
    assert in_log["variogram_linear"] < 0.9


def test_a_walk_is_symmetric_in_its_own_index() -> None:
    # Its eigenvectors are cosines for that reason (oracle 9), whatever the numbers mean.
    walk = toeplitz(clouds.walk(300, 20_000))
    assert walk["variogram_linear"] > 0.98


def test_noise_has_as_much_as_its_distances_fit() -> None:
    # Between-bin share of independent pairs: (bins - 1) / (pairs - 1).
    found = [toeplitz(clouds.gaussian(300, 2000, seed=seed))["tau_linear"] for seed in range(4)]
    assert np.mean(found) == pytest.approx(298 / (300 * 299 / 2 - 1), rel=0.15)


def test_residual_fraction_is_that_of_residual_rows() -> None:
    rep = clouds.walk(80, 20)
    n = np.arange(80.0)
    design = np.linalg.qr(np.column_stack([np.ones(80), n, np.log1p(n)])).Q
    residual = rep.matrix - design @ (design.T @ rep.matrix)
    assert toeplitz(rep)["tau_residual"] == pytest.approx(toeplitz(rows(residual))["tau_linear"], abs=1e-10)
    assert toeplitz(rows(n[:, None]))["tau_residual"] == 0.0


def test_equidistant_rows_have_no_fraction() -> None:
    with pytest.raises(Incompatible, match="all rows are equally far apart"):
        toeplitz(rows(np.eye(8)))


# Commonality


def quiet_commonality(rep: Representation) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        found: dict[str, float] = DistanceCommonality()(rep)
    return found


def test_commonality_is_the_regression_of_distances() -> None:
    rep = clouds.walk(40, 6)
    with_ids = Representation(rep.matrix, rep.numbers, token_ids=np.random.default_rng(0).permutation(40) + 5)
    upper = np.triu_indices(40, 1)
    n, ids = rep.numbers.astype(float), np.log1p(np.asarray(with_ids.token_ids, dtype=float))
    predictors = {
        name: np.abs(axis[:, None] - axis[None])[upper]
        for name, axis in (("linear", n), ("log", np.log1p(n)), ("frequency", ids))
    }
    predictors["levenshtein"] = levenshtein([str(k) for k in range(40)])[upper]
    target = rep.workspace.distances[upper]

    def r2(*names: str) -> float:
        design = np.column_stack([np.ones(len(target)), *(predictors[name] for name in names)])
        residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        return 1.0 - float(residual @ residual) / float(np.square(target - target.mean()).sum())

    found = DistanceCommonality()(with_ids)
    every = tuple(predictors)
    assert found["r2_log"] == pytest.approx(r2("log"))
    assert found["r2_log_levenshtein"] == pytest.approx(r2("log", "levenshtein"))
    assert found["unique_levenshtein"] == pytest.approx(r2("log", "levenshtein") - r2("log"))
    assert found["common"] == pytest.approx(r2("log") + r2("levenshtein") - r2("log", "levenshtein"))
    assert found["r2_all"] == pytest.approx(r2(*every))
    for name in every:
        rest = tuple(other for other in every if other != name)
        assert found[f"all_unique_{name}"] == pytest.approx(r2(*every) - r2(*rest), abs=1e-12), name


def test_value_and_string_geometries_are_told_apart() -> None:
    n = np.arange(1.0, 201.0)
    value = quiet_commonality(rows(np.log1p(n - 1.0)[:, None]))
    assert value["unique_log"] > 0.8
    assert value["unique_levenshtein"] < 0.01
    string = quiet_commonality(rows(digit_code(np.arange(200))))
    assert string["unique_levenshtein"] > 10 * string["unique_log"]


def test_unknown_token_ids_are_warned_of_and_equal_distances_refused() -> None:
    with pytest.warns(MeasurementWarning, match="W-FREQ: the tokens' ids are not known"):
        assert "all_unique_frequency" not in DistanceCommonality()(rows(clouds.walk().matrix))
    with pytest.raises(Incompatible, match="all rows are equally far apart"):
        DistanceCommonality()(rows(np.eye(6)))


# Steps


def test_path_of_a_random_walk_of_noise_and_of_a_curve() -> None:
    walk, noise = steps(clouds.walk(400, 900)), steps(clouds.gaussian(400, 900))
    assert walk["turning_cosine"] == pytest.approx(0.0, abs=0.01)
    assert noise["turning_cosine"] == pytest.approx(-0.5, abs=0.01)
    assert noise["step_ratio"] == pytest.approx(1.0, abs=0.01)
    angle = np.linspace(0.0, 1.0, 400)
    assert steps(rows(np.column_stack([np.cos(angle), np.sin(angle)])))["turning_cosine"] > 0.999
    assert walk["straightness"] == pytest.approx(1 / np.sqrt(399), rel=0.2)


def test_steps_are_grouped_by_digits_that_change() -> None:
    numbers = np.arange(1000)
    found = steps(
        rows(np.column_stack([numbers % 10 == k for k in range(10)]).astype(float) + (numbers[:, None] // 10))
    )
    assert found["step_1_digit"] < found["step_2_digits"]
    assert found["rollover_contrast"] > 0.4
    by_hand = rows(np.array([[0.0], [1.0], [4.0], [5.0]]), [98, 99, 100, 101])
    mean = np.mean([1, 4, 5, 3, 4, 1])
    ends = steps(by_hand)
    assert ends["step_1_digit"] == pytest.approx(1 / mean)
    assert ends["step_3_digits"] == pytest.approx(3 / mean)
    assert ends["rollover_contrast"] == pytest.approx((3 - 1) / (3 + 1))
    assert ends["straightness"] == pytest.approx(1.0)


def test_numbers_without_successors_are_refused() -> None:
    with pytest.raises(Incompatible, match="no two of the 5 numbers follow one another"):
        steps(rows(np.eye(5), [0, 2, 4, 6, 8]))


# Parallels


def test_parallels_of_sums_of_digits_of_walks_and_of_noise() -> None:
    code = parallel(rows(digit_code(np.arange(1000))))
    assert min(code.values()) == pytest.approx(1.0)
    walk, noise = parallel(clouds.walk(1000, 300)), parallel(clouds.gaussian(1000, 300))
    assert max(abs(walk["step_1"]), abs(walk["step_10"])) < 0.01
    assert max(map(abs, noise.values())) < 0.01


def test_parallels_by_hand() -> None:
    numbers = np.sort(np.random.default_rng(3).choice(60, 45, replace=False))
    rep = rows(np.random.default_rng(4).standard_normal((45, 7)), numbers)
    row = dict(zip(numbers.tolist(), rep.matrix, strict=True))
    usable = [n for n in row if n + 1 in row and n % 10 < 9]
    cosines = [
        float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        for n in usable
        for m in usable
        if m < n and m % 10 == n % 10
        for a, b in [(row[n + 1] - row[n], row[m + 1] - row[m])]
    ]
    assert parallel(rep)["step_1"] == pytest.approx(np.mean(cosines))


def test_copies_have_no_direction() -> None:
    # A step between copies that differ by rounding would otherwise weigh a million times any other.
    rng = np.random.default_rng(0)
    matrix = np.repeat(rng.standard_normal((100, 30)), 2, axis=0) + 1e-9 * rng.standard_normal((200, 30))
    assert abs(parallel(rows(matrix))["step_1"]) < 0.02
    assert parallel(rows(matrix))["step_10"] == pytest.approx(0.0, abs=0.1)


def test_too_few_parallels_are_refused() -> None:
    with pytest.raises(Incompatible, match="fewer than 6 pairs of steps by 1, 10 or 100"):
        parallel(clouds.gaussian(10, 4))
