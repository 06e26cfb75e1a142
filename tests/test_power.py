"""Power of planted signals: size where none is, certainty where it is strong, and faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from numgeom import Incompatible, NumgeomError, Representation
from numgeom.errors import UnknownName
from numgeom.power import power


def walk(seed: int, n: int = 60, d: int = 200) -> Representation:
    rng = np.random.default_rng(seed)
    path = rng.standard_normal((n, d)).cumsum(axis=0) + 2.0 * rng.standard_normal((n, d))
    return Representation(path, np.arange(n))


@pytest.mark.parametrize("plant", ["digits", "latent"])
def test_no_signal_is_found_at_the_level_and_a_strong_one_always(plant: str) -> None:
    found = power(
        "cka_linear_debiased", walk(0), walk(1), plant=plant, amplitudes=[0.0, 1.0], pairs=20, draws=19, seed=3
    )
    size, strong = found.table.to_dict("records")
    # At level .05 twenty true nulls reject five times or more once in 390 runs.
    assert size["detected"] <= 4
    assert strong["power"] >= 0.95
    assert strong["low"] < strong["power"] <= strong["high"]
    assert strong["mean_excess"] > 0.1
    assert found.smallest == 1.0
    assert (found.n, found.plant, found.null) == (60, plant, "order_modes")


def test_a_lone_circle_falls_on_few_order_modes_and_the_report_says_so() -> None:
    # Its two waves tie few modes together: the blind spot of order modes, which a row permutation has not.
    kwargs = {"plant": "circle", "amplitudes": [1.0], "pairs": 15, "draws": 19}
    seen = power("cka_linear_debiased", walk(0), walk(1), **kwargs)  # type: ignore[arg-type]
    assert seen.table["power"].tolist()[0] < 0.8
    assert seen.smallest is None
    permuted = power("cka_linear_debiased", walk(0), walk(1), null="row_permutation", **kwargs)  # type: ignore[arg-type]
    assert permuted.smallest == 1.0


def test_power_rises_with_the_amplitude_and_the_smallest_is_where_it_stays_above() -> None:
    found = power(
        "order_mode_coherence_n", walk(2), walk(3), plant="digits", amplitudes=[0.3, 0.0, 0.05, 0.6], pairs=15, draws=19
    )
    assert found.table["amplitude"].tolist() == [0.0, 0.05, 0.3, 0.6]
    assert found.table["power"].iloc[-1] >= found.table["power"].iloc[0] + 0.5
    enough = found.table.loc[found.table["power"] >= 0.8, "amplitude"]
    assert found.smallest == enough.min()


def test_what_cannot_be_seen_has_no_smallest_amplitude() -> None:
    found = power("cka_linear_debiased", walk(4), walk(5), amplitudes=[0.0, 0.001], pairs=6, draws=19)
    assert found.smallest is None


def test_real_rows_carry_a_signal_by_the_signs_of_their_modes(shared: Path) -> None:
    sides = []
    for name in ("all_minilm_l6_v2", "nlpl_bnc_skipgram_300d"):
        held = load_file(shared / "data" / "embeddings" / f"{name}.safetensors")
        keep = held["number_values"] < 100
        sides.append(Representation(held["numbers"][keep], held["number_values"][keep]))
    found = power(
        "cka_linear_debiased",
        *sides,
        plant="digits",
        amplitudes=[0.0, 0.8],
        pairs=8,
        draws=19,
        carrier="order_modes(q=0, bases=n)",
    )
    assert found.table["detected"].tolist()[0] <= 3
    assert found.smallest == 0.8


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        ({"plant": "star"}, UnknownName, r"unknown planted signal 'star'.* circle, digits, latent"),
        ({"amplitudes": []}, NumgeomError, r"amplitudes must be numbers from 0"),
        ({"amplitudes": [-1.0]}, NumgeomError, r"amplitudes must be numbers from 0"),
        ({"draws": 9}, NumgeomError, r"19 draws \(or no p reaches \.05\).*draws=9"),
        ({"carrier": "row_permutation"}, Incompatible, r"keeps the rows .* use carrier='smooth_surrogate'"),
        ({"period": 1}, NumgeomError, r"a period of 2; .* period=1"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(more, kind, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match=message) as refused:
        power("cka_linear_debiased", walk(0), walk(1), **more)
    assert "\n" not in str(refused.value)


def test_a_carrier_that_does_not_look_like_the_rows_names_the_other() -> None:
    coded = Representation(np.random.default_rng(0).standard_normal((10, 99))[np.arange(60) % 10], np.arange(60))
    with pytest.raises(Incompatible, match=r"no curve of independent columns .* order_modes\(q=0, bases=n\) keeps"):
        power("cka_linear_debiased", coded, coded)
    with pytest.raises(Incompatible, match=r"both sides need the same numbers"):
        power("cka_linear_debiased", walk(0), walk(1).take(np.arange(30)))
