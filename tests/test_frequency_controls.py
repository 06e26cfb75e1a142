"""What is regressed out, matched or kept of frequency; columns that users write; nulls that go through the chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from scipy.linalg import lstsq

import numgeom
from numgeom import Incompatible, NullSpec, NumgeomError, Representation
from numgeom.columns import column_of, read_column
from numgeom.errors import SourceError, UnknownName
from numgeom.preprocess import chained_views, check_steps, log_frequency, preprocess, regressors
from numgeom.targets import draw_permutations, make_metric, null_views
from numgeom_plugins.convergence import numgeom_convergence_metrics
from numgeom_plugins.nulls import numgeom_nulls

F64 = npt.NDArray[np.float64]

# Caveats of the measured rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")

SPECS: dict[str, NullSpec] = {spec.name: spec for spec in numgeom_nulls()}
METRICS = {spec.name: spec for spec in numgeom_convergence_metrics()}


def rep(rows: npt.ArrayLike, numbers: npt.ArrayLike | None = None, **more: Any) -> Representation:
    matrix = np.asarray(rows, dtype=np.float64)
    return Representation(matrix, np.arange(len(matrix)) if numbers is None else np.asarray(numbers), **more)


def draw(name: str, of: Representation, seed: int = 0, **params: Any) -> Representation:
    return null_views(SPECS[name], params, of)[0].draw(np.random.default_rng(seed))


def cka(a: Representation, b: Representation) -> float:
    metric: Any = make_metric(METRICS["cka_linear_debiased"], {})
    return float(metric.score(metric.prepare(a), metric.prepare(b)))


def along(r: F64, seed: int, d: int = 200, noise: float = 0.3) -> F64:
    """A curve along r, of unit mean row energy, and white noise."""
    rng = np.random.default_rng(seed)
    order = np.argsort(r)
    path = np.empty((len(r), d))
    path[order] = (rng.standard_normal((len(r), d)) * np.sqrt(np.diff(np.sort(r), prepend=0))[:, None]).cumsum(axis=0)
    path -= path.mean(axis=0)
    return path / np.sqrt(np.square(path).sum() / len(r)) + noise * rng.standard_normal((len(r), d)) / np.sqrt(d)


# --- residuals -----------------------------------------------------------------------------------------------------


def test_residuals_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    ids = rng.permutation(5000)[:60]
    of = rep(rng.standard_normal((60, 5)) + 3.0, token_ids=ids)
    n, r = np.arange(60.0), np.log(ids + 1.0)
    length = np.array([[n < 10], [n >= 10]]).reshape(2, 60).T.astype(float)
    designs = {
        "residual:magnitude": np.column_stack([np.ones(60), n, np.log(n + 1)]),
        "residual:length": length,
        "residual:frequency": np.column_stack([np.ones(60), r, r**2]),
        "residual:dct7": np.cos(np.pi * np.outer(n + 0.5, np.arange(8)) / 60),
    }
    for step, design in designs.items():
        expected = of.matrix - design @ lstsq(design, of.matrix)[0]
        np.testing.assert_allclose(preprocess(of, [step]).matrix, expected, atol=1e-9)
    # Steps in a row are one regression on all columns, in whichever order.
    joint = np.hstack(list(designs.values()))
    expected = of.matrix - joint @ lstsq(joint, of.matrix)[0]
    for chain in (list(designs), list(designs)[::-1]):
        np.testing.assert_allclose(preprocess(of, chain).matrix, expected, atol=1e-8)


def test_what_frequency_explains_is_gone_and_a_code_stays() -> None:
    ids = np.random.default_rng(1).permutation(30_000)[:200]
    r = np.log(ids + 1.0)
    code = np.random.default_rng(2).standard_normal((10, 3))[np.arange(200) % 10]
    inherited = np.column_stack([r, r**2 - 5 * r])
    left = preprocess(rep(np.hstack([inherited, code]), token_ids=ids), ["residual:frequency"]).matrix
    assert np.abs(left[:, :2]).max() < 1e-10
    assert np.square(left[:, 2:]).sum() > 0.9 * np.square(code - code.mean(axis=0)).sum()


def test_counts_of_ones_own_stand_in_for_the_token_ids(tmp_path: Path) -> None:
    counts = np.random.default_rng(3).integers(1, 10_000, 50)
    file = tmp_path / "counts.csv"
    file.write_text("number,count\n" + "".join(f"{n},{count}\n" for n, count in enumerate(counts)))
    of = rep(np.column_stack([np.log1p(counts), np.arange(50.0)]))
    left = preprocess(of, [f"residual:counts={file}"]).matrix
    assert np.abs(left[:, 0]).max() < 1e-12
    assert np.abs(left[:, 1]).max() > 1.0
    check_steps([f"residual:counts={file}", "center"])


def test_real_merge_ranks_explain_much_of_the_magnitude(shared: Path) -> None:
    held = load_file(shared / "data" / "embeddings" / "all_minilm_l6_v2.safetensors")
    keep = held["number_values"] < 100
    of = Representation(
        held["numbers"][keep], held["number_values"][keep], token_ids=held["number_token_ids"][keep].astype(np.int64)
    )
    r = log_frequency(of)
    assert np.corrcoef(r, np.log1p(of.numbers))[0, 1] > 0.5
    share = {step: preprocess(of, [step]).workspace.energy / of.workspace.energy for step in ("residual:frequency",)}
    assert 0.7 < share["residual:frequency"] < 0.98


# --- nulls go through the chain ------------------------------------------------------------------------------------


def test_every_null_draws_before_the_chain_and_columns_are_scaled_on_all_of_them() -> None:
    rng = np.random.default_rng(10)
    spare = 9.0 * rng.standard_normal((60, 5))
    of = rep(rng.standard_normal((30, 5)) + 1.0, random_rows=spare)
    drawn = chained_views(SPECS["random_tokens"], {}, preprocess(of, ["unit"]))[0].draw(rng)
    np.testing.assert_allclose(np.linalg.norm(drawn.matrix, axis=1), 1.0)
    # Nothing to draw before: rows that went through nothing, or were only centred.
    for rows in (of, preprocess(of, ["center"])):
        assert type(chained_views(SPECS["order_modes"], {"q": 0}, rows)[0]).__name__ == "OrderModesView"
    # Order modes go through regressions themselves.
    rows = preprocess(of, ["residual:magnitude"])
    assert type(chained_views(SPECS["order_modes"], {"q": 0}, rows)[0]).__name__ == "ProjectedView"
    seen: list[int] = []

    def narrowed(one: Representation) -> Representation:
        seen.append(one.d)
        return one

    for chain in (["unit"], ["standardize"]):
        chained_views(SPECS["iid_gaussian"], {}, preprocess(of, chain), narrowed)
    assert seen == [5]


def test_the_rows_before_the_chain_are_restricted_with_those_after_it() -> None:
    of = preprocess(rep(np.random.default_rng(11).standard_normal((30, 4))), ["residual:magnitude"])
    part = of.take(np.arange(0, 30, 2))
    assert part.origin is not None
    np.testing.assert_array_equal(part.origin.numbers, part.numbers)
    observed = chained_views(SPECS["iid_gaussian"], {}, part)[0].observed
    # Regressed on the numbers that are left.
    np.testing.assert_allclose(observed.matrix, preprocess(part.origin, ["residual:magnitude"]).matrix, atol=1e-9)
    design = regressors(part)
    assert design is not None
    assert len(design) == part.n


def test_a_residual_is_never_held_against_a_row_permutation() -> None:
    X, Y = np.random.default_rng(4).standard_normal((2, 60, 5))
    with pytest.raises(Incompatible, match=r"row_permutation: a residual score is never held against a row perm") as e:
        numgeom.score("cka_linear_debiased", X, Y, nulls="row_permutation", preprocess="residual:length", draws=9)
    assert "\n" not in str(e.value)


# --- frequency-only curves -----------------------------------------------------------------------------------------


def test_frequency_only_gives_back_what_follows_frequency_and_nothing_of_what_does_not() -> None:
    rng = np.random.default_rng(5)
    ids = rng.permutation(20_000)[:150]
    r = np.log(ids + 1.0)
    inherited = [rep(along(r, seed), token_ids=ids) for seed in (1, 2)]
    view: Any = null_views(SPECS["frequency_only"], {}, inherited[0])[0]
    assert view.smooth_share > 0.8
    # Two models of one tokenizer that know frequency only: all of their score is explained.
    held = [cka(view.draw(np.random.default_rng(k)), inherited[1]) for k in range(9)]
    assert cka(*inherited) > 0.5
    assert np.mean(held) == pytest.approx(cka(*inherited), abs=0.12)
    # A code that frequency does not know, in both: nothing is explained.
    code = rng.standard_normal((2, 10, 200))[:, np.arange(150) % 10]
    coded = [rep(one, token_ids=ids) for one in code]
    held = [cka(draw("frequency_only", coded[0], k), coded[1]) for k in range(9)]
    assert cka(*coded) > 0.5
    assert abs(np.mean(held)) < 0.05


def test_frequency_only_keeps_width_energy_and_mean_also_with_counts(tmp_path: Path) -> None:
    file = tmp_path / "counts.tsv"
    file.write_text("".join(f"{n}\t{1000 // (n + 1)}\n" for n in range(40)))
    of = rep(np.random.default_rng(6).standard_normal((40, 30)) + 2.0)
    drawn = [draw("frequency_only", of, seed, counts=str(file)) for seed in range(20)]
    assert {one.matrix.shape for one in drawn} == {(40, 30)}
    assert np.mean([one.workspace.energy for one in drawn]) == pytest.approx(of.workspace.energy, rel=0.05)
    np.testing.assert_allclose(np.mean([one.matrix.mean() for one in drawn]), of.matrix.mean(), atol=0.05)


# --- matched tokens ------------------------------------------------------------------------------------------------


def test_rank_matched_tokens_have_the_ranks_of_their_numbers() -> None:
    rng = np.random.default_rng(7)
    ids = np.sort(rng.choice(2000, 30, replace=False)) + 50
    others = rng.permutation(40_000)[:900]
    spare = np.column_stack([others, rng.standard_normal(900)])
    of = rep(rng.standard_normal((30, 2)), token_ids=ids, random_rows=spare, provenance={"random_token_ids": others})
    matched, plain = draw("random_tokens_rank_matched", of, tolerance=1.0), draw("random_tokens", of)
    off = [np.abs(np.log((one.matrix[:, 0] + 1) / (ids + 1))).mean() for one in (matched, plain)]
    assert off[0] < 0.5
    assert off[1] > 1.5
    assert len(set(matched.matrix[:, 1].tolist())) == 30


def test_tokens_matched_on_both_are_near_in_the_sum(shared: Path) -> None:
    held = load_file(shared / "data" / "embeddings" / "all_minilm_l6_v2.safetensors")
    keep = held["number_values"] < 60
    ids, others = held["number_token_ids"][keep], held["random_token_ids"]
    numbers = held["number_values"][keep]
    of = rep(
        held["numbers"][keep],
        numbers,
        token_ids=ids,
        random_rows=held["random"],
        provenance={"random_token_ids": others.tolist()},
    )
    place = {tuple(row): i for i, row in enumerate(held["random"].astype(np.float64).tolist())}

    def apart(one: Representation) -> tuple[float, float]:
        found = np.array([place[tuple(row)] for row in one.matrix.tolist()])
        norms = np.abs(np.log(np.linalg.norm(one.matrix, axis=1) / np.linalg.norm(of.matrix, axis=1))).mean()
        return float(norms), float(np.abs(np.log((others[found] + 1) / (ids + 1))).mean())

    plain, both = apart(draw("random_tokens", of)), apart(draw("random_tokens_matched", of, tolerance=2.0))
    # What is least is the sum; few random tokens are as frequent as numbers are, and ranks are most of it.
    assert sum(both) < 0.7 * sum(plain)
    assert both[1] < 0.7 * plain[1]


# --- strata of one's own -------------------------------------------------------------------------------------------


def test_rows_are_shuffled_within_the_labels_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("number,label\n" + "".join(f"{n},{'prime' if n in (2, 3, 5, 7) else 'other'}\n" for n in range(10)))
    found = draw_permutations(
        SPECS["within_stratum"], {"labels": str(file)}, np.arange(10), np.random.default_rng(0).spawn(200)
    )
    primes = np.isin(np.arange(10), [2, 3, 5, 7])
    for order in found:
        np.testing.assert_array_equal(primes[order], primes)
    assert set(found[:, 2]) == {2, 3, 5, 7}


@pytest.mark.parametrize("rule", ["digit_length", "decade", "last_digit"])
def test_the_rules_are_the_nulls_of_their_name(rule: str) -> None:
    numbers = np.arange(-5, 120, 3)
    by_rule = draw_permutations(SPECS["within_stratum"], {"labels": rule}, numbers, np.random.default_rng(0).spawn(5))
    by_name = draw_permutations(SPECS[f"within_{rule}"], {}, numbers, np.random.default_rng(0).spawn(5))
    np.testing.assert_array_equal(by_rule, by_name)


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,a\nx,b\n", r"line 2: 'x' is no whole number; write one NUMBER,ENTRY"),
        ("1,a\n2\n", r"line 2: number 2 has no entry"),
        ("1,a\n1,b\n", r"line 2: number 1 comes a second time"),
        ("number,label\n\n", r"holds no line NUMBER,ENTRY"),
    ],
)
def test_a_column_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "column.csv"
    file.write_text(text)
    with pytest.raises(SourceError, match=message) as refused:
        read_column(file)
    assert "\n" not in str(refused.value)


def test_missing_files_entries_and_counts_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read the column .*nothing\.csv': No such file"):
        check_steps([f"residual:counts={tmp_path / 'nothing.csv'}"])
    with pytest.raises(Incompatible, match=r"no entry for 2 of 3 numbers \(2, 3\); add them, or leave those numbers"):
        column_of({1: "a"}, np.array([1, 2, 3]), "labels.csv")
    file = tmp_path / "counts.csv"
    file.write_text("1,many\n")
    with pytest.raises(NumgeomError, match=r"the count of 1 is 'many'; it must be a number from 0"):
        check_steps([f"residual:counts={file}"])
    with pytest.raises(UnknownName, match=r"residual:frequency"):
        check_steps(["residual:freq"])


NUMBERED = rep(np.eye(12), token_ids=np.arange(12) + 48)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (rep(np.eye(12)), r"needs the token ids of the numbers.*\(W-FREQ\); give counts of your own: residual:counts="),
        (NUMBERED, r"one by one: they count them, and hold no frequency \(W-FREQ\)"),
    ],
)
def test_frequency_that_is_not_known_is_refused(of: Representation, message: str) -> None:
    for use in (lambda: preprocess(of, ["residual:frequency"]), lambda: draw("frequency_only", of)):
        with pytest.raises(Incompatible, match=message) as refused:
            use()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "of", "message"),
    [
        ("frequency_only", rep(np.eye(9), token_ids=np.arange(9) ** 2), r"at least 10 numbers; these are 9"),
        ("frequency_only", rep(np.ones((12, 3)), token_ids=np.arange(12) ** 2), r"all 12 rows are equal"),
        (
            "random_tokens_rank_matched",
            rep(np.eye(4), token_ids=np.array([3, 1, 7, 8]), random_rows=np.ones((9, 4))),
            r"the token ids of the numbers and of the random rows, which this source does not give \(W-FREQ\)",
        ),
        (
            "random_tokens_matched",
            rep(
                np.eye(4),
                token_ids=np.array([3, 1, 7, 8]),
                random_rows=np.ones((9, 4)),
                provenance={"random_token_ids": list(range(5000, 5009))},
            ),
            r"the merge ranks and norms of the random rows miss those .* more than tolerance=0\.3; use random_tokens",
        ),
    ],
)
def test_a_null_that_does_not_apply_says_why_in_one_line(name: str, of: Representation, message: str) -> None:
    with pytest.raises(Incompatible, match=message) as refused:
        draw(name, of)
    assert "\n" not in str(refused.value)
