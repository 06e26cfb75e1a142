"""Token frequency as a reference geometry: a planted frequency is found, and a model without one keeps the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import numgeom
from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.convergence.cka import DebiasedCKA
from numgeom_plugins.geometry.reference import NAMES, ReferenceGeometry

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

# The references that follow from the numbers.
OF_NUMBERS = ("line", "log_line", "helix", "digits", "levenshtein")
GAPS = np.sort(np.random.default_rng(9).choice(300, 130, replace=False))


def rep(rows: npt.ArrayLike, ids: npt.ArrayLike | None = None, numbers: I64 | None = None) -> Representation:
    matrix = np.asarray(rows)
    held = np.arange(len(matrix)) if numbers is None else numbers
    return Representation(matrix, held, token_ids=None if ids is None else np.asarray(ids))


def ranked(n: int) -> I64:
    """Token ids of a vocabulary that knows nothing of the value."""
    return 300 + 40 * np.random.default_rng(0).permutation(n).astype(np.int64)


def column(ids: npt.ArrayLike) -> F64:
    return np.log1p(np.asarray(ids, dtype=np.float64))[:, None]


def walk(n: int, seed: int) -> F64:
    return np.random.default_rng(seed).standard_normal((n, 9)).cumsum(axis=0)


def without(of: Representation) -> dict[str, float]:
    """The values, and W-FREQ once."""
    with pytest.warns(MeasurementWarning, match="W-FREQ: no merge rank and no counts") as warned:
        found = ReferenceGeometry()(of)
    assert len(warned) == 1
    return found


@pytest.mark.parametrize("numbers", [np.arange(200), GAPS], ids=["run", "gaps"])
def test_rows_made_of_frequency_are_recognised(numbers: I64) -> None:
    rng = np.random.default_rng(5)
    ids = ranked(len(numbers))
    rank = column(ids)
    rows = (rank - rank.mean()) / rank.std() @ rng.standard_normal((1, 30)) / np.sqrt(30)
    found = ReferenceGeometry()(rep(rows + 0.1 * rng.standard_normal(rows.shape) / np.sqrt(30), ids, numbers))
    assert found["cka_frequency"] > 0.99
    assert found["share_frequency"] > 0.95
    assert max(found[f"cka_{name}"] for name in OF_NUMBERS) < 0.1
    assert max(found[f"share_{name}"] for name in OF_NUMBERS) < 0.02


def test_frequency_alone_is_the_whole_gram() -> None:
    ids = ranked(60)
    found = ReferenceGeometry()(rep(column(ids) @ np.ones((1, 3)), ids))
    assert found["cka_frequency"] == pytest.approx(1.0, abs=1e-9)
    assert found["share_frequency"] == pytest.approx(1.0, abs=1e-6)
    assert found["share_rest"] == pytest.approx(0.0, abs=1e-6)


def test_its_cka_is_that_of_the_convergence_metric() -> None:
    of = rep(walk(60, 6), ranked(60))
    metric = DebiasedCKA()
    expected = metric.score(metric.prepare(of), metric.prepare(rep(column(ranked(60)))))
    assert ReferenceGeometry()(of)["cka_frequency"] == pytest.approx(expected, abs=1e-10)


def test_frequency_has_its_part_of_a_mixture() -> None:
    ids, numbers = ranked(200), np.arange(200)
    digits = np.hstack([numbers[:, None] // 10**place % 10 == np.arange(10) for place in range(3)]).astype(float)
    centred = [part - part.mean(axis=0) for part in (digits, column(ids))]
    rows = np.hstack([part / np.sqrt(np.linalg.norm(part @ part.T)) for part in centred])
    found = ReferenceGeometry()(rep(rows, ids))
    shares = {name: found[f"share_{name}"] for name in (*NAMES, "rest")}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-9)
    assert shares["digits"] == pytest.approx(0.5, abs=0.02)
    assert shares["frequency"] == pytest.approx(0.5, abs=0.02)
    # Of a frequency that is not known, none goes to the five that follow from the numbers.
    assert without(rep(rows))["share_rest"] > 0.4


def test_frequency_takes_from_the_log_line_what_it_explains_better() -> None:
    rank = np.log1p(np.arange(200)) + 0.5 * np.random.default_rng(7).standard_normal(200)
    ids = 100 + np.argsort(np.argsort(rank)) ** 2
    rows = column(ids) @ np.ones((1, 5))
    unaware, aware = without(rep(rows)), ReferenceGeometry()(rep(rows, ids))
    smooth = [unaware[f"share_{name}"] for name in ("line", "log_line")]
    assert sum(smooth) > 0.3
    assert max(aware[f"share_{name}"] for name in OF_NUMBERS) < 1e-6
    assert aware["share_frequency"] > 0.999


@pytest.mark.parametrize("ids", [None, np.arange(7, 67), np.full(60, 9)], ids=["none", "numbering", "all_alike"])
def test_without_a_frequency_the_other_values_stay_as_they_were(ids: I64 | None) -> None:
    steps = np.arange(60)[:, None]
    found = without(rep(np.sqrt(steps) * [1.0, 2.0] + steps % 2 * [3.0, -1.0], ids))
    # Read off version 1 of the card.
    assert found == pytest.approx(
        {
            "cka_line": 0.9391091254,
            "cka_log_line": 0.9450112668,
            "cka_helix": 0.4325130989,
            "cka_digits": 0.3400583440,
            "cka_levenshtein": 0.3059046179,
            "share_line": 0.4297031312,
            "share_log_line": 0.5030163305,
            "share_helix": 0.0472846406,
            "share_digits": 0.0,
            "share_levenshtein": 0.0,
            "share_rest": 0.0199958976,
        },
        abs=1e-8,
    )


def test_a_frequency_leaves_the_other_cka_values_alone() -> None:
    rows = walk(60, 8)
    found, known = without(rep(rows)), ReferenceGeometry()(rep(rows, ranked(60)))
    assert list(known) == [*(f"cka_{name}" for name in NAMES), *(f"share_{name}" for name in NAMES), "share_rest"]
    assert set(known) - set(found) == {"cka_frequency", "share_frequency"}
    for name in OF_NUMBERS:
        assert found[f"cka_{name}"] == pytest.approx(known[f"cka_{name}"], abs=1e-12)


def test_counts_of_yours_stand_for_frequency(tmp_path: Path) -> None:
    counts = np.random.default_rng(9).integers(1, 9999, 60)
    file = tmp_path / "counts.csv"
    file.write_text("".join(f"{n},{count}\n" for n, count in enumerate(counts)))
    of_counts = ReferenceGeometry(counts=str(file))
    found = of_counts(rep(column(counts) @ np.ones((1, 4)), ranked(60)))
    assert found["cka_frequency"] == pytest.approx(1.0, abs=1e-9)
    assert found["share_frequency"] == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(Incompatible, match=r"no entry for 1 of 61 numbers"):
        of_counts(rep(walk(61, 10)))


def test_a_row_order_moves_the_rows_and_leaves_each_number_its_frequency() -> None:
    of = rep(walk(50, 11), ranked(50))
    orders = np.stack([np.random.default_rng(k).permutation(50) for k in range(9)])
    fast = ReferenceGeometry().permuted(of, orders)
    assert np.ptp(fast["cka_frequency"]) > 0.01
    for k, order in enumerate(orders):
        slow = ReferenceGeometry()(of.with_matrix(of.matrix[order]))
        assert list(slow) == list(fast)
        for name, value in slow.items():
            assert fast[name][k] == pytest.approx(value, abs=1e-9)


def test_two_models_of_one_number_set_are_held_against_their_own_frequency() -> None:
    ids = ranked(60)
    rows = column(ids) @ np.ones((1, 9)) + 0.1 * walk(60, 12)
    first = ReferenceGeometry()(rep(rows, ids))
    other = ReferenceGeometry()(rep(rows, ids[::-1]))
    assert other["cka_frequency"] < 0.2 < 0.5 < first["cka_frequency"]
    assert "cka_frequency" not in without(rep(rows))
    assert ReferenceGeometry()(rep(rows, ids)) == first


def test_a_study_has_a_null_for_frequency_and_says_where_there_is_none(tmp_path: Path) -> None:
    ids = ranked(60)
    rows = column(ids) @ np.ones((1, 4)) + 0.1 * np.random.default_rng(13).standard_normal((60, 4))
    np.savez(tmp_path / "known.npz", numbers=rows, number_values=np.arange(60), number_token_ids=ids)
    np.savez(tmp_path / "bare.npz", numbers=rows, number_values=np.arange(60))
    models = [f"{name}=rows:{tmp_path / name}.npz" for name in ("known", "bare")]
    frame = numgeom.geometry(models, metrics="reference_geometry", numbers="0..59", draws=99).frame
    of = {name: frame[frame["model_a"] == name].set_index("measure") for name in ("known", "bare")}
    assert {"cka_frequency", "share_frequency"} == set(of["known"].index) - set(of["bare"].index)
    for measure in ("cka_frequency", "share_frequency"):
        row = of["known"].loc[measure]
        assert (row["status"], row["null"]) == ("ok", "row_permutation")
        assert row["value"] > 0.9 > row["null_mean"]
        assert row["p"] == pytest.approx(0.01)
    assert not of["known"]["warnings"].str.contains("W-FREQ").any()
    assert of["bare"]["warnings"].str.contains("W-FREQ").all()
    assert set(of["bare"]["status"]) == {"ok"}
