"""Chains and nulls: surrogates go through the chain, on the shared numbers, with the files as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

import numgeom
from numgeom.draws import draw
from numgeom.errors import Incompatible
from numgeom.plan import chain_identity, named_files, spec_identity
from numgeom.preprocess import chained_views, preprocess
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.scorer import Scorer
from numgeom.single_draws import single_view
from numgeom.singles import measure, reduce_and_judge

CATALOG = open_catalog()


def walk(seed: int, n: int = 40, d: int = 6, **more: object) -> Representation:
    rows = np.random.default_rng(seed).standard_normal((n, d)).cumsum(axis=0)
    return Representation(rows, np.arange(n), **more)  # type: ignore[arg-type]


def text_of(entries: Iterable[object]) -> str:
    return "".join(f"{number},{entry}\n" for number, entry in enumerate(entries))


# --- nulls draw before the chain -----------------------------------------------------------------------------------


def test_what_a_pair_is_held_against_went_through_its_regression() -> None:
    """Two projections on one subspace agree: surrogates that are not projected would make noise significant."""
    noise = [Representation(np.random.default_rng(s).standard_normal((60, 400)), np.arange(60)) for s in (0, 1)]
    reps = [preprocess(one, ["residual:dct25"]) for one in noise]
    metric, null = CATALOG.convergence.choose("cka_linear_debiased"), CATALOG.nulls.choose("iid_gaussian")
    scorer = Scorer(metric, reps)
    value = scorer.outcome((0, 1)).value
    assert value is not None
    drawn = draw(scorer, null, {(0, 1): value}, range(40), 0)
    assert value > 0.2
    # Within the draws of each side, and about their mean.
    assert abs(value - drawn.values[0, 1].mean()) < 0.1
    assert drawn.observed[0, 1] == pytest.approx([value] * 2)


def test_what_a_single_model_is_held_against_went_through_its_regression() -> None:
    rep = preprocess(walk(0, random_rows=np.random.default_rng(1).standard_normal((80, 6)) + 5.0), ["residual:length"])
    for name in ("iid_gaussian", "random_tokens", "row_permutation"):
        view = single_view(CATALOG.nulls.choose(name), rep)
        assert view.observed.numbers is rep.numbers
        drawn = view.draw(np.random.default_rng(2)).matrix
        for rows in (drawn[:10], drawn[10:]):
            np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    with pytest.raises(Incompatible, match="calibrates pairs of representations, not single ones"):
        single_view(CATALOG.nulls.choose("order_modes"), rep)


@pytest.mark.parametrize("chain", [["center"], ["unit", "standardize"], ["residual:magnitude"]])
def test_a_row_permutation_of_a_single_model_goes_before_the_chain(chain: list[str]) -> None:
    rep = preprocess(walk(3), chain)
    null = CATALOG.nulls.choose("row_permutation")
    metrics = [CATALOG.geometry.choose("norm_profile")]
    found = measure(metrics, null, rep, draws=9, seed=0)
    outcomes = {one.measure: one for one in found.outcomes["norm_profile"]}
    assert all(one.status == "ok" for one in outcomes.values())
    # Without a regression the lengths are only reordered; a regression on the numbers leaves others.
    spread = outcomes["norm_cv"]
    assert (abs(spread.value - spread.null_mean) < 1e-9) == (chain[0] != "residual:magnitude")  # type: ignore[operator]


def test_a_reduction_of_residuals_is_beside_reductions_of_residuals() -> None:
    rep = preprocess(walk(4), ["residual:magnitude"])
    reducer, null = CATALOG.reducers.choose("pca"), CATALOG.nulls.choose("row_permutation")
    metrics = [CATALOG.geometry.choose("fidelity")]
    panels = reduce_and_judge(reducer, metrics, [null], rep, draws=3, seed=0).coordinates
    seen, drawn = (sorted(panels[name]["x"]) for name in ("numbers", "row_permutation"))
    # Not the same points under other numbers: the regression on the numbers comes after the draw.
    assert not np.allclose(seen, drawn)
    plain = reduce_and_judge(reducer, metrics, [null], walk(4), draws=3, seed=0).coordinates
    np.testing.assert_allclose(sorted(plain["numbers"]["x"]), sorted(plain["row_permutation"]["x"]))


def test_random_tokens_are_centred_about_their_own_mean() -> None:
    rep = preprocess(walk(5, random_rows=np.full((80, 6), 9.0) + np.eye(80, 6)), ["center"])
    view = chained_views(CATALOG.nulls.get("random_tokens"), {}, rep)[0]
    np.testing.assert_allclose(view.draw(np.random.default_rng(0)).matrix.mean(axis=0), 0.0, atol=1e-12)


# --- the rows beside the numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", [["center"], ["unit"], ["standardize"], ["center", "unit"]])
def test_a_step_moves_random_rows_as_it_moves_the_numbers(chain: list[str]) -> None:
    rep = walk(6)
    moved = preprocess(Representation(rep.matrix + 50.0, rep.numbers, random_rows=rep.matrix[:20] + 50.0), chain)
    assert moved.random_rows is not None
    np.testing.assert_array_equal(moved.random_rows, moved.matrix[:20])


def test_the_vocabulary_mean_of_successive_cosines_survives_centring() -> None:
    rep = walk(7, random_rows=np.random.default_rng(8).standard_normal((30, 6)) + 3.0)
    metric = CATALOG.geometry.choose("successive_cosine")
    raw, centred = (
        {one.measure: one.value for one in measure([metric], None, of, draws=0, seed=0).outcomes[metric.label]}
        for of in (rep, preprocess(rep, ["center"]))
    )
    about = [name for name in raw if name.startswith("vocabulary")]
    assert about
    for name in about:
        assert centred[name] == pytest.approx(raw[name])


def test_random_rows_have_no_residuals() -> None:
    rep = walk(9, random_rows=np.ones((5, 6)))
    assert preprocess(rep, ["center", "residual:length"]).random_rows is None


# --- the files that parameters name ---------------------------------------------------------------------------------


def test_an_edited_file_is_another_measurement(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    null = CATALOG.nulls.choose(f"within_stratum(labels={file})")
    chain = ["center", f"residual:counts={file}"]
    seen = []
    for entries in ("abc", "abd", "abc"):
        file.write_text(text_of(entries))
        seen.append((spec_identity(null), chain_identity(chain)))
    assert seen[0] == seen[2]
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert named_files({"labels": str(tmp_path), "counts": "", "q": 20, "path": str(tmp_path / "none")}) == {}


@pytest.mark.parametrize(
    "options",
    [
        lambda file: {"metrics": "cka_linear", "nulls": f"within_stratum(labels={file})"},
        lambda file: {"metrics": "cka_linear", "nulls": f"frequency_only(counts={file})"},
        lambda file: {"metrics": "cka_linear", "nulls": "iid_gaussian", "preprocess": f"residual:counts={file}"},
    ],
)
def test_the_cache_never_answers_for_an_edited_file(
    options: Callable[[Path], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMGEOM_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "entries.csv"

    def cells() -> dict[str, int]:
        models = ["a=synthetic:walk?seed=1", "b=synthetic:walk?seed=2"]
        study = numgeom.compare(models, numbers="0..39", draws=9, **options(file))  # type: ignore[arg-type]
        assert set(study.frame["status"]) == {"ok"}
        return {name: study.manifest["cells"][name] for name in ("computed", "cached")}

    file.write_text(text_of(1 + k % 3 for k in range(40)))
    assert cells() == {"computed": 1, "cached": 0}
    assert cells() == {"computed": 0, "cached": 1}
    file.write_text(text_of(1 + k % 4 for k in range(40)))
    assert cells() == {"computed": 1, "cached": 0}


# --- the shared numbers come first -----------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> tuple[list[str], list[Representation]]:
    """A model with 60 numbers and one with every other of them: means and regressions differ."""
    reps = [walk(10, 60), walk(11, 60).take(np.arange(0, 60, 2))]
    for name, rep in zip("ab", reps, strict=True):
        np.savez(tmp_path / f"{name}.npz", numbers=rep.matrix, number_values=rep.numbers)
    return [f"{name}=rows:{tmp_path / name}.npz" for name in "ab"], reps


@pytest.mark.parametrize("chain", ["center,unit", "standardize", "residual:magnitude", "residual:dct5"])
def test_a_pair_is_preprocessed_on_the_numbers_that_it_shares(
    chain: str, pair: tuple[list[str], list[Representation]]
) -> None:
    models, reps = pair
    metric = "rsa_spearman_cosine"
    study = numgeom.compare(models, metrics=metric, numbers="0..59", preprocess=chain, nulls="iid_gaussian", draws=9)
    shared = [rep.restrict(reps[1].numbers) for rep in reps]
    expected = numgeom.score(metric, *shared, preprocess=chain, nulls="iid_gaussian", draws=9)
    row = study.frame.iloc[0]
    assert (row["value"], row["null_mean"]) == (expected.value, expected.nulls["iid_gaussian"].mean)


def test_a_count_is_needed_of_the_shared_numbers_only(
    pair: tuple[list[str], list[Representation]], tmp_path: Path
) -> None:
    models, reps = pair
    file = tmp_path / "counts.csv"
    file.write_text("".join(f"{n},{1 + (7 * n) % 31}\n" for n in reps[1].numbers))
    chain = f"residual:counts={file}"
    pairs = numgeom.compare(
        models, metrics="cka_linear", numbers="0..59", preprocess=chain, nulls="iid_gaussian", draws=9
    ).frame
    assert pairs["status"].tolist() == ["ok"]
    alone = numgeom.geometry(models, metrics="norm_profile", numbers="0..59", preprocess=chain, draws=9).frame
    found = alone.groupby("model_a")["status"].agg(set)
    assert (found["a"], found["b"]) == ({"skipped"}, {"ok"})
    assert alone.loc[alone["model_a"] == "a", "reason"].str.contains("has no entry for 30 of 60 numbers").all()


def test_a_single_model_is_preprocessed_on_its_own_numbers(pair: tuple[list[str], list[Representation]]) -> None:
    models, reps = pair
    frame = numgeom.geometry(models, metrics="norm_profile", numbers="0..59", preprocess="center", draws=9).frame
    mine = frame[(frame["model_a"] == "a") & (frame["measure"] == "norm_cv")]
    norms = np.linalg.norm(preprocess(reps[0], ["center"]).matrix, axis=1)
    assert mine["n"].unique().tolist() == [60]
    assert mine["value"].iloc[0] == pytest.approx(norms.std() / norms.mean())


def test_preprocessed_pairs_give_one_table_for_any_workers(
    pair: tuple[list[str], list[Representation]], tmp_path: Path
) -> None:
    models = [*pair[0], "c=synthetic:walk?seed=3"]
    texts = []
    for jobs, order in ((1, models), (2, models[::-1])):
        study = numgeom.compare(
            order, metrics="cka_linear,rsa_spearman_cosine", numbers="0..59", preprocess="unit,residual:length",
            nulls="iid_gaussian,order_modes", draws=9, jobs=jobs, cache=False,
        )  # fmt: skip
        texts.append((study.save(tmp_path / str(jobs)) / "results.csv").read_bytes())
    assert texts[0] == texts[1]
