"""Trends over pairs of models: the permutation p of known cases, its size, and faults."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from numgeom import Incompatible
from numgeom.errors import UnknownName
from numgeom.trends import qap


def square(values: np.ndarray) -> pd.DataFrame:
    names = [f"m{i}" for i in range(len(values))]
    return pd.DataFrame(values, index=names, columns=names)


def scores(m: int, seed: int, tied: float = 0.0) -> pd.DataFrame:
    """Symmetric noise; ``tied`` of it belongs to the models, so that pairs of one model go together."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal(m)
    noise = rng.standard_normal((m, m))
    values = tied * (own[:, None] + own[None, :]) + (noise + noise.T) / 2
    np.fill_diagonal(values, np.nan)
    return square(values)


def test_rho_and_p_are_those_of_the_plain_loop_over_all_relabellings() -> None:
    table, size = scores(5, 0), {f"m{i}": float(v) for i, v in enumerate([1.0, 5.0, 2.0, 9.0, 4.0])}
    found = qap(table, size)
    upper = np.triu_indices(5, 1)
    values = np.array(list(size.values()))
    rhos = []
    for order in permutations(range(5)):
        moved = values[list(order)]
        rhos.append(spearmanr(table.to_numpy()[upper], (moved[:, None] + moved[None, :])[upper]).statistic)
    assert found.rho == pytest.approx(rhos[0], abs=1e-12)
    assert found.p == pytest.approx(np.mean(np.abs(rhos) >= abs(rhos[0]) - 1e-12))
    assert (found.models, found.pairs, found.draws, found.exact) == (5, 10, 120, True)


def test_drawn_relabellings_agree_with_all_of_them_and_depend_on_the_seed_only() -> None:
    table, size = scores(6, 1, tied=1.0), {f"m{i}": float(i) for i in range(6)}
    every, some, again = qap(table, size), qap(table, size, draws=600), qap(table, size, draws=600)
    assert every.exact
    assert not some.exact
    assert some == again
    assert some.p == pytest.approx(every.p, abs=4 * np.sqrt(every.p * (1 - every.p) / 600) + 0.005)
    assert qap(table, size, draws=600, seed=1).p != some.p


def test_pairs_of_one_model_are_no_independent_evidence() -> None:
    # Scores that belong to the models, and a covariate that has nothing to do with them.
    rng = np.random.default_rng(2)
    honest = naive = 0
    for seed in range(60):
        table = scores(8, 100 + seed, tied=2.0)
        size = {f"m{i}": float(v) for i, v in enumerate(rng.standard_normal(8))}
        upper = np.triu_indices(8, 1)
        values = np.array(list(size.values()))
        honest += qap(table, size, draws=199, seed=seed).p <= 0.05
        naive += spearmanr(table.to_numpy()[upper], (values[:, None] + values[None, :])[upper]).pvalue <= 0.05
    # Sixty true nulls at .05 reject 3 times on average, and 9 times or more once in 250 runs.
    assert honest <= 8
    assert naive >= 20


def test_labels_and_matrices_are_covariates_too() -> None:
    family = {f"m{i}": "ab"[i % 2] for i in range(6)}
    same = np.array([[float(i % 2 == j % 2) for j in range(6)] for i in range(6)])
    noise = scores(6, 3).to_numpy() * 0.1
    table = square(same + noise)
    by_label, by_matrix = qap(table, family, paired="same"), qap(table, square(same))
    assert by_label == by_matrix
    assert by_label.rho > 0.8
    # Twenty ways to halve six models, half of them alike: no p below .1 exists.
    assert by_label.p == pytest.approx(0.1)


def test_missing_pairs_and_directions_are_kept_apart() -> None:
    table, size = scores(6, 4), {f"m{i}": float(i) for i in range(6)}
    table.iloc[0, 1] = table.iloc[1, 0] = np.nan
    assert qap(table, size).pairs == 14
    table.iloc[2, 3] += 1.0
    assert qap(table, size).pairs == 28
    table["m5"] = np.nan
    table.loc["m5"] = np.nan
    found = qap(table, size)
    assert (found.models, found.pairs) == (5, 18)


@pytest.mark.parametrize(
    ("table", "covariate", "more", "message"),
    [
        (scores(3, 0), {"m0": 1.0, "m1": 2.0, "m2": 3.0}, {}, r"at least 4 models; these are 3"),
        (scores(5, 0), {"m0": 1.0, "m1": 2.0}, {}, r"says nothing of m2, m3, m4; give a value for every model"),
        (scores(4, 0), dict.fromkeys(["m0", "m1", "m2", "m3"], 1.0), {}, r"over these 6 pairs .* do not vary"),
        (scores(4, 0), {"m0": "a", "m1": "b", "m2": "a", "m3": "b"}, {}, r"for labels type paired='same'"),
        (scores(4, 0).iloc[:, :3], {}, {}, r"must be a square table, models by models"),
        (scores(4, 0), {}, {"draws": 0}, r"at least 1 draw; got draws=0"),
        (scores(4, 0), square(np.full((4, 4), np.nan)), {}, r"a number for every pair of models"),
    ],
)
def test_a_trend_that_cannot_be_taken_says_why_in_one_line(table, covariate, more, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Incompatible, match=message) as refused:
        qap(table, covariate, **more)
    assert "\n" not in str(refused.value)


def test_an_unknown_pairing_lists_the_known() -> None:
    with pytest.raises(UnknownName, match=r"difference, larger, mean, same, smaller"):
        qap(scores(4, 0), {}, paired="median")
