"""Geometry metrics: known answers first, then real rows, then what a user can get wrong."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from scipy.stats import ortho_group, spearmanr

from numgeom import GeometrySpec, Incompatible, MeasurementWarning, Representation
from numgeom.figures import split
from numgeom.targets import make_geometry
from numgeom_plugins.geometry import core_cards, shape_cards
from numgeom_plugins.geometry.arch import arch
from numgeom_plugins.geometry.order import DistanceOrder
from numgeom_plugins.geometry.reference import levenshtein
from numgeom_plugins.geometry.spectrum import variance_spectrum
from numgeom_plugins.geometry.succession import SuccessiveCosine

F64 = npt.NDArray[np.float64]
CARDS: dict[str, GeometrySpec] = {card.name: card for card in [*core_cards.cards(), *shape_cards.cards()]}
EMBEDDINGS = ("all_minilm_l6_v2", "all_minilm_l6_v2_positions", "glove_6b_50d_top2444", "stories260k")
# What a metric needs, where that is more than the smallest real sets have.
FEWEST = {"digit_model": 60, "parallelism": 20}

distance_order = DistanceOrder()


def gaussian(n: int, d: int, seed: int = 0) -> Representation:
    return Representation(np.random.default_rng(seed).normal(size=(n, d)), np.arange(n))


def walk(n: int, d: int, seed: int = 0) -> Representation:
    return Representation(np.random.default_rng(seed).normal(size=(n, d)).cumsum(axis=0), np.arange(n))


def embedding(shared: Path, name: str) -> Representation:
    """The stored numbers below 1000."""
    stored = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
    order = np.argsort(stored["number_values"])
    order = order[stored["number_values"][order] < 1000]
    return Representation(stored["numbers"][order], stored["number_values"][order], random_rows=stored["random"])


def shuffled(rep: Representation, seed: int = 0) -> Representation:
    return rep.with_matrix(rep.matrix[np.random.default_rng(seed).permutation(rep.n)])


def successive_cosine(rep: Representation, lag: int = 1) -> dict[str, float]:
    return split(SuccessiveCosine(lag)(rep))[0]


def measured(card: GeometrySpec, rep: Representation) -> Mapping[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        found: Mapping[str, float] = split(make_geometry(card, card.params)(rep))[0]
    return found


def test_listing_the_cards_imports_no_heavy_package() -> None:
    code = (
        "import sys, numgeom_plugins.geometry as g; list(g.numgeom_geometry_metrics());"
        "print([m for m in ('sklearn', 'umap', 'scipy', 'matplotlib', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Spectrum


@pytest.mark.parametrize(("d", "k_90", "participation"), [(768, 442, 434), (2048, 667, 671)])
def test_spectrum_of_a_gaussian_cloud(d: int, k_90: int, participation: int) -> None:
    found = variance_spectrum(gaussian(1000, d))
    assert found["k_90"] == pytest.approx(k_90, abs=2)
    assert found["participation_ratio"] == pytest.approx(participation, rel=0.01)


def test_spectrum_of_known_eigenvalues() -> None:
    lengths = np.sqrt([8.0, 4.0, 2.0, 1.0, 1.0])
    found = variance_spectrum(Representation(np.vstack([np.diag(lengths), -np.diag(lengths)]), np.arange(10)))
    p = np.array([8.0, 4.0, 2.0, 1.0, 1.0]) / 16.0
    assert found["k_90"] == 4.0
    assert found["participation_ratio"] == pytest.approx(256.0 / 86.0)
    assert found["effective_rank"] == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert found["stable_rank"] == pytest.approx(2.0)
    assert found["pc1_share"] == pytest.approx(0.5)


def test_share_that_is_reached_exactly_counts_and_names_the_measure() -> None:
    rows = np.vstack([np.eye(4), -np.eye(4)])
    assert variance_spectrum(Representation(rows, np.arange(8)), share=0.75)["k_75"] == 3.0
    assert variance_spectrum(Representation(rows, np.arange(8)), share=0.995)["k_99.5"] == 4.0


def test_spectrum_of_the_transposed_shape() -> None:
    wide, tall = gaussian(30, 200), gaussian(200, 30)
    for rep in (wide, tall):
        values = np.linalg.svd(rep.matrix - rep.matrix.mean(axis=0), compute_uv=False) ** 2
        assert variance_spectrum(rep)["stable_rank"] == pytest.approx(values.sum() / values[0], rel=1e-10)


def test_spectrum_refuses_a_point_and_a_wrong_share() -> None:
    with pytest.raises(Incompatible, match="all rows are equal"):
        variance_spectrum(Representation(np.ones((5, 3)), np.arange(5)))
    with pytest.raises(Incompatible, match=r"share=90 must lie between 0 and 1; write for example share=0\.9"):
        variance_spectrum(gaussian(5, 3), share=90)


# Succession


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_successive_cosine_on_a_circle(lag: int) -> None:
    angle = np.arange(60) * 2 * np.pi / 12
    found = successive_cosine(Representation(np.column_stack([np.cos(angle), np.sin(angle)]), np.arange(60)), lag=lag)
    assert found["raw_mean"] == pytest.approx(np.cos(2 * np.pi * lag / 12), abs=1e-12)
    assert found["centred_mean"] == pytest.approx(found["raw_mean"], abs=1e-12)
    assert found["raw_sd"] == pytest.approx(0.0, abs=1e-9)


def test_successive_cosine_by_hand_with_gaps_and_tokens() -> None:
    rng = np.random.default_rng(1)
    numbers = np.sort(rng.choice(400, 80, replace=False))
    rep = Representation(rng.normal(0.1, 1.0, (80, 7)), numbers, random_rows=rng.normal(size=(20, 7)))
    assert rep.random_rows is not None

    def cosine(a: F64, b: F64) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def all_pairs(rows: F64) -> list[float]:
        return [cosine(rows[i], rows[j]) for i in range(len(rows)) for j in range(i)]

    centred = rep.matrix - rep.matrix.mean(axis=0)
    at = {int(n): i for i, n in enumerate(numbers)}
    near = [(at[n], at[n + 3]) for n in at if n + 3 in at]
    far = [cosine(rep.matrix[i], rep.matrix[j]) for i in range(80) for j in range(i) if numbers[i] - numbers[j] > 100]
    raw = [cosine(rep.matrix[i], rep.matrix[j]) for i, j in near]
    assert len(near) > 5
    expected = {
        "raw_mean": np.mean(raw),
        "raw_sd": np.std(raw),
        "centred_mean": np.mean([cosine(centred[i], centred[j]) for i, j in near]),
        "centred_sd": np.std([cosine(centred[i], centred[j]) for i, j in near]),
        "random_pair_mean": np.mean(all_pairs(rep.matrix)),
        "centred_random_pair_mean": np.mean(all_pairs(centred)),
        "random_token_mean": np.mean(all_pairs(rep.random_rows)),
        "effect_size": (np.mean(raw) - np.mean(far)) / np.std(far),
    }
    about = rep.matrix - rep.random_rows.mean(axis=0)
    expected |= {
        "vocabulary_mean": np.mean([cosine(about[i], about[j]) for i, j in near]),
        "vocabulary_sd": np.std([cosine(about[i], about[j]) for i, j in near]),
        "vocabulary_random_pair_mean": np.mean(all_pairs(about)),
    }
    assert successive_cosine(rep, lag=3) == pytest.approx(expected, abs=1e-12)


def test_far_pairs_of_a_short_set_are_the_farther_half_of_its_span() -> None:
    rep = gaussian(11, 4)
    cosines = rep.workspace.cosines
    far = [cosines[i, j] for i in range(11) for j in range(i) if i - j > 5]
    near = np.diagonal(cosines, 1).mean()
    assert successive_cosine(rep)["effect_size"] == pytest.approx((near - np.mean(far)) / np.std(far))


def test_far_pairs_without_spread_leave_the_effect_size_out() -> None:
    found = successive_cosine(Representation(np.eye(6), np.arange(6)))
    assert "effect_size" not in found
    assert "random_token_mean" not in found
    assert found["raw_mean"] == pytest.approx(0.0, abs=1e-15)


def test_common_mean_is_warned_of() -> None:
    rep = Representation(gaussian(40, 6).matrix + 3.0, np.arange(40))
    with pytest.warns(MeasurementWarning, match="W-ANISO: the mean vector holds 9.% of the energy"):
        found = successive_cosine(rep)
    assert found["random_pair_mean"] > 0.8
    assert abs(found["centred_random_pair_mean"]) < 0.05


def test_no_successors_is_one_line() -> None:
    with pytest.raises(Incompatible, match=r"no two of the 4 numbers are 1 apart; choose numbers that have successors"):
        successive_cosine(Representation(np.eye(4), np.array([0, 10, 20, 30])))
    with pytest.raises(Incompatible, match="lag=0 must be 1 or more"):
        successive_cosine(gaussian(5, 3), lag=0)


def test_real_rows_give_the_cosines_of_the_data_page(shared: Path) -> None:
    # Computed independently when the data were collected; see the table in the data's README.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        minilm = successive_cosine(embedding(shared, "all_minilm_l6_v2"))
        bnc = successive_cosine(embedding(shared, "nlpl_bnc_skipgram_300d"))
    names = ["raw_mean", "random_pair_mean", "random_token_mean", "centred_mean"]
    assert [round(minilm[name], 3) for name in names] == pytest.approx([0.546, 0.300, 0.019, 0.335], abs=0.0011)
    assert [round(bnc[name], 3) for name in names] == pytest.approx([0.681, 0.527, 0.206, 0.304], abs=0.0011)


# Order


def test_distance_order_of_number_lines() -> None:
    n = np.arange(1, 40, dtype=np.float64)
    line = distance_order(Representation(n[:, None] * [1.0, 2.0], np.arange(39)))
    assert line["spearman_linear"] == pytest.approx(1.0)
    log = distance_order(Representation(np.log(n)[:, None], np.arange(39)))
    assert log["spearman_log"] == pytest.approx(1.0)
    assert log["spearman_linear"] < 0.95


def test_distance_order_is_spearman_over_all_pairs() -> None:
    rep = walk(25, 5)
    upper = np.triu_indices(25, 1)
    gaps = np.abs(rep.numbers[:, None] - rep.numbers[None])[upper]
    rows = np.linalg.norm(rep.matrix[:, None] - rep.matrix[None], axis=2)[upper]
    # (1 + i) / (1 + j) repeats (1/2, 2/4, ...): those pairs are ties, whatever rounding makes of them.
    logs = np.round(np.abs(np.log1p(rep.numbers)[:, None] - np.log1p(rep.numbers)[None])[upper], 12)
    cosines = 1.0 - rep.workspace.cosines[upper]
    words = [f"{number:02d}" for number in rep.numbers]
    places = [sum(a != b for a, b in zip(words[i], words[j], strict=True)) for i, j in zip(*upper, strict=True)]
    lengths = (rep.numbers[:, None] > 9) != (rep.numbers[None] > 9)
    scales = {
        "linear": gaps,
        "log": logs,
        "levenshtein": levenshtein([str(number) for number in rep.numbers])[upper],
        "digit_length": lengths[upper],
        "hamming": places,
    }
    expected = {
        f"{kind}spearman_{scale}": spearmanr(values, apart).statistic
        for kind, values in (("", rows), ("cosine_", cosines))
        for scale, apart in scales.items()
    }
    assert distance_order(rep) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("first", [0, -10])
def test_reindexed_permutations_equal_permuted_rows(first: int) -> None:
    rng = np.random.default_rng(5)
    rep = Representation(rng.standard_normal((25, 6)).cumsum(axis=0), np.arange(first, first + 25))
    orders = np.stack([rng.permutation(25) for _ in range(6)])
    fast = DistanceOrder().permuted(rep, orders)
    slow = [distance_order(rep.with_matrix(rep.matrix[order])) for order in orders]
    assert set(fast) == set(slow[0])
    for name, values in fast.items():
        np.testing.assert_allclose(values, [one[name] for one in slow], atol=1e-12)


def test_shuffled_labels_have_no_distance_order() -> None:
    rep = walk(200, 50)
    assert distance_order(rep)["spearman_linear"] > 0.8
    assert max(map(abs, distance_order(shuffled(rep)).values())) < 0.15


def test_negative_numbers_count_on_the_linear_scale_only() -> None:
    matrix = walk(20, 6).matrix
    whole = Representation(matrix, np.arange(-10, 10))
    positive = Representation(matrix[10:], np.arange(10))
    assert distance_order(whole)["spearman_log"] == pytest.approx(distance_order(positive)["spearman_log"])
    assert "spearman_log" not in distance_order(Representation(matrix[:12], np.arange(-10, 2)))


def test_rows_of_width_one_have_no_cosine_order() -> None:
    found = distance_order(Representation(np.arange(1.0, 9.0)[:, None], np.arange(8)))
    assert set(found) == {"spearman_linear", "spearman_log"}


def test_equal_distances_have_no_order() -> None:
    with pytest.raises(Incompatible, match="Euclidean distances are all equal: there is no order"):
        distance_order(Representation(np.eye(6), np.arange(6)))


# Arch


def test_arch_of_a_random_walk() -> None:
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        found = arch(walk(1000, 4000))
    assert found["pc1_order_r2"] == pytest.approx(96 / np.pi**4, abs=0.002)
    assert found["pc1_share"] == pytest.approx(6 / np.pi**2, abs=0.02)
    assert found["pc2_quadratic_r2"] > 0.99
    assert found["cosine_1"] > 0.999
    assert min(found[f"cosine_{k}"] for k in range(2, 5)) > 0.99


def test_arch_of_the_walk_kernel_is_exact() -> None:
    # The kernel min(s, t) has the cosines as eigenvectors: no sampling error is left.
    n = 300
    kernel = np.minimum.outer(np.arange(1, n + 1), np.arange(1, n + 1)).astype(np.float64)
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        found = arch(Representation(np.linalg.cholesky(kernel), np.arange(n)))
    assert min(found[f"cosine_{k}"] for k in range(1, 5)) > 1 - 1e-9
    assert found["pc1_share"] == pytest.approx(6 / np.pi**2, abs=1e-4)


def test_noise_is_no_arch() -> None:
    found = arch(gaussian(300, 400))  # a warning would be an error here
    assert max(found["pc1_order_r2"], found["pc2_quadratic_r2"], found["cosine_mean"]) < 0.1


def test_arch_uses_the_rank_for_cosines_and_the_number_for_the_line() -> None:
    rep = walk(200, 800)
    squared = Representation(rep.matrix, rep.numbers**2)
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        even, uneven = arch(rep), arch(squared)
    assert even["cosine_mean"] == uneven["cosine_mean"]
    assert uneven["pc1_order_r2"] < even["pc1_order_r2"] - 0.02


def test_arch_refuses_a_line() -> None:
    with pytest.raises(Incompatible, match="the rows have rank below 4"):
        arch(Representation(np.outer(np.arange(20.0), [1.0, 2.0, 3.0, 4.0, 5.0]), np.arange(20)))
    with pytest.raises(Incompatible, match="4 numbers are too few"):
        arch(gaussian(4, 8))


# What the cards promise


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_declared_invariances_hold(card: GeometrySpec) -> None:
    rng = np.random.default_rng(5)
    base = Representation(walk(40, 12).matrix + 0.5, np.arange(40))
    moves = {
        "orthogonal": base.matrix @ ortho_group.rvs(12, random_state=1),
        "scale": 37.0 * base.matrix,
        "translation": base.matrix + rng.normal(size=12) * 5.0,
        "permutation": base.matrix[:, rng.permutation(12)],
    }

    def of(matrix: npt.NDArray[Any]) -> Mapping[str, float]:
        strings = tuple(f"0{n}" for n in range(10))
        return measured(card, Representation(matrix, base.numbers, string_rows=matrix[10:20], strings=strings))

    before = of(base.matrix)
    assert card.invariant_to
    for name, matrix in moves.items():
        if name in card.invariant_to:
            assert of(matrix) == pytest.approx(before, rel=1e-7, abs=1e-7), name


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_real_rows_give_finite_values_in_range(shared: Path, card: GeometrySpec, name: str) -> None:
    rep = embedding(shared, name)
    if rep.n < FEWEST.get(card.name, 0):
        with pytest.raises(Incompatible, match=f"^{card.name}.* numbers"):
            measured(card, rep)
        return
    if card.name == "value_or_string":
        with pytest.raises(Incompatible, match="the model has no rows of strings such as '007'"):
            measured(card, rep)
        return
    found = measured(card, rep)
    assert found
    for measure, value in found.items():
        assert type(value) is float, measure
        assert card.range[0] <= value <= card.range[1], measure


def test_real_rows_are_no_arch_and_have_order(shared: Path) -> None:
    rep = embedding(shared, "all_minilm_l6_v2")
    assert arch(rep)["cosine_mean"] < 0.5  # a W-ARCH here would be an error
    found = distance_order(rep)
    null = [distance_order(shuffled(rep, seed)) for seed in range(5)]
    for name in ("spearman_linear", "spearman_log", "cosine_spearman_linear", "cosine_spearman_log"):
        assert found[name] > 0.3 + max(draw[name] for draw in null), name
    assert all(value > max(draw[name] for draw in null) for name, value in found.items())
