"""What the two notebooks and the programs after them got wrong, each with a test that ours does not (science.md 10)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.manifold import TSNE as SKLEARN_TSNE

import numgeom
from numgeom import MeasurementWarning, NumberSet, Representation
from numgeom.registry import open_catalog
from numgeom_plugins.geometry.arch import Arch
from numgeom_plugins.geometry.component_correlation import component_correlation
from numgeom_plugins.geometry.sequence_correlation import SequenceCorrelation, sequence_discoveries
from numgeom_plugins.geometry.sequences import targets
from numgeom_plugins.geometry.succession import SuccessiveCosine
from numgeom_plugins.geometry.value_probe import ValueProbe
from numgeom_plugins.probes.id_layout import id_layout
from numgeom_plugins.probes.sign_consistency import sign_consistency
from numgeom_plugins.probes.smallest_multi_token import smallest_multi_token
from numgeom_plugins.sources.tokenizers import open_tokenizer

DEMO = "demo:llama_a"


@cache
def walk(n: int = 300, d: int = 512, seed: int = 0) -> Representation:
    steps = np.random.default_rng(seed).standard_normal((n, d))
    return Representation(steps.cumsum(axis=0), np.arange(n))


def magnitude_only(n: int = 500) -> Representation:
    """Columns that know log n and nothing else."""
    rng = np.random.default_rng(0)
    rows = np.log1p(np.arange(n))[:, None] * rng.standard_normal(20) + 0.3 * rng.standard_normal((n, 20))
    return Representation(rows, np.arange(n))


# --- the OLMo-2 notebook ------------------------------------------------------------------------------


def test_a_layout_comes_out_the_same_in_a_new_process() -> None:
    # There: a NameError hidden by a stale kernel, and a UMAP without a seed.
    program = (
        "import numgeom, hashlib, numpy as np\n"
        "rows = np.random.default_rng(0).standard_normal((60, 8))\n"
        "print(hashlib.sha256(numgeom.reduce('tsne', rows).tobytes()).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    rows = np.random.default_rng(0).standard_normal((60, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        here = numgeom.reduce("tsne", rows)
    assert ran.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_umap_is_umap_and_tsne_is_tsne() -> None:
    # There: the cells called UMAP run t-SNE.
    shelf = open_catalog().reducers
    assert "umap.umap_" in {kind.__module__ for kind in shelf.get("umap").load().__mro__}
    assert issubclass(shelf.get("tsne").load(), SKLEARN_TSNE)


def test_correlated_svd_components_are_the_means_and_nothing_else() -> None:
    # There: a heat map of "component correlations" of an uncentred SVD, read as structure.
    rows = np.random.default_rng(0).normal(1.0, 1.0, (200, 30))
    reduced = numgeom.reduce("svd_uncentred(n_components=5)", rows)
    found = component_correlation(Representation(reduced, np.arange(200)))
    assert found["largest_r"] > 0.1
    assert found["largest_difference"] < 1e-10


def test_the_guttman_effect_is_tested_and_found_where_it_is() -> None:
    # There: raised, and waved away because an SVD without centring looks alike.
    noise = Representation(np.random.default_rng(1).standard_normal((300, 512)), np.arange(300))
    with pytest.warns(MeasurementWarning, match="W-ARCH"):
        assert Arch()(walk())["arch_explained"] == 1.0
    assert Arch()(noise)["arch_explained"] == 0.0


def test_the_number_of_components_stands_beside_that_of_noise() -> None:
    # There: 600 of 4096 components for 90 % of the variance, called low-dimensional; noise needs 763.
    study = numgeom.geometry("synthetic:iid?d=512", metrics="variance_spectrum", numbers="0..199", draws=19)
    row = study.frame[(study.frame["measure"] == "k_90") & (study.frame["null"] == "iid_gaussian")].iloc[0]
    assert row["null_mean"] == pytest.approx(row["value"], abs=2)


def test_random_tokens_are_never_numbers(shared: Path) -> None:
    # There: drawn from the whole vocabulary, numbers and special tokens included.
    tokenizer = open_tokenizer(shared / "data" / "checkpoints" / "all-MiniLM-L6-v2")
    rep = numgeom.load(str(shared / "data" / "checkpoints" / "all-MiniLM-L6-v2"), numbers="0..99")
    ids = rep.provenance["random_token_ids"]
    assert len(ids) == 1000
    assert not [token for token in ids if tokenizer.token_text(token).strip().isdigit()]
    assert not set(ids) & tokenizer.special_ids


def test_convergence_is_measured_and_not_told_from_two_pictures() -> None:
    # There: "scale makes convergence", by eye, from two models.
    study = numgeom.compare(["demo:llama_a", "demo:llama_b"], numbers="0..199", metrics="cka_linear_debiased", draws=49)
    assert set(study.frame["null"]) == {"row_permutation", "order_modes"}
    assert study.frame["p"].notna().all()


# --- embanalysis --------------------------------------------------------------------------------------


def test_bfloat16_rows_are_read(tmp_path: Path, shared: Path) -> None:
    # There: .numpy() on bfloat16 fails.
    source = shared / "data" / "checkpoints" / "stories260K"
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    weights = torch.randn(512, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_file({"model.embed_tokens.weight": weights}, tmp_path / "model.safetensors")
    rep = numgeom.load(str(tmp_path), numbers="0..9")
    assert rep.token_ids is not None
    np.testing.assert_array_equal(rep.matrix, weights[rep.token_ids].float().numpy())


@pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
def test_sentencepiece_models_have_single_token_numbers(shared: Path) -> None:
    # There: the empty set, because "5" encodes as two tokens.
    tokenizer = open_tokenizer(shared / "data" / "tokenizers" / "llama2")
    assert smallest_multi_token(tokenizer, NumberSet.parse("0..9"))["bare"] == 10


def test_single_tokens_are_found_beyond_the_first_hole(shared: Path) -> None:
    # There: the sampler stops at 521 and loses 298 of GPT-2's numbers below 1000.
    tokenizer = open_tokenizer(shared / "data" / "tokenizers" / "gpt2")
    assert len(id_layout(tokenizer, NumberSet.parse("0..999"))["ids"]) == 1000
    found = numgeom.probe(f"tokenizer:{shared / 'data' / 'tokenizers' / 'gpt2'}", probes="single_tokens")
    sizes = found.frame.set_index("measure")["value"]
    assert (sizes["size"], sizes["first_multi"]) == (819, 521)


def test_even_numbers_are_no_second_number_line() -> None:
    # There: "even" is 2n, and both rows of the table are equal.
    series = targets(np.arange(200))
    assert abs(np.corrcoef(series["even"], series["n"])[0, 1]) < 0.05


def test_periods_are_encoded_of_the_number_and_constants_are_dropped() -> None:
    # There: the cosine of a membership, and correlations with the rounding dust of sin(2 pi n).
    series = targets(np.arange(200))
    wave = np.cos(2 * np.pi * np.arange(200) / 10)
    assert np.corrcoef(series["cos_10"], wave)[0, 1] == pytest.approx(1.0)
    assert not [name for name in series if name.endswith("_1") and name[:3] in ("cos", "sin")]
    assert "sin_2" not in series


def test_fibonacci_given_magnitude_is_nothing_on_a_magnitude_only_embedding() -> None:
    # There: a "Fibonacci dimension" with r = .374, of which the logarithm predicts .373.
    found = SequenceCorrelation()(magnitude_only())
    assert found["r_fibonacci_smooth"] > 0.4
    assert found["partial_fibonacci_smooth"] < 0.15


def test_no_structure_means_no_discoveries_among_thousands_of_tests() -> None:
    # There: 4096 x 20 tests with p down to 1e-133 and no correction.
    rows = Representation(np.random.default_rng(2).standard_normal((300, 100)), np.arange(300))
    found = sequence_discoveries(rows)
    assert found["tests"] > 1000
    assert found["fdr_share"] == 0.0


def test_a_walk_has_findings_but_hardly_any_that_autocorrelation_leaves() -> None:
    with pytest.warns(MeasurementWarning, match="W-AUTOCORR"):
        found = sequence_discoveries(walk(d=100))
    assert found["naive_share"] > 0.2
    assert found["fdr_share"] < 0.1 * found["naive_share"]


# --- the GPT-2 notebook -------------------------------------------------------------------------------


def test_signs_and_pieces_are_not_limited_in_number(shared: Path) -> None:
    # There: one sign token and at most three pieces.
    tokenizer = open_tokenizer(shared / "data" / "tokenizers" / "qwen")
    found = id_layout(tokenizer, NumberSet.parse("0..1000000:99999"))
    assert found["pieces"] == 6
    assert sign_consistency(tokenizer, NumberSet.parse("99990..100010"))["ids_match"] == 1.0


@pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
def test_a_dummy_prefix_is_no_inconsistent_sign(shared: Path) -> None:
    # The naive test gives 0 of 1000 for Llama-2, a false alarm.
    tokenizer = open_tokenizer(shared / "data" / "tokenizers" / "llama2")
    assert sign_consistency(tokenizer, NumberSet.parse("1..1000"))["ids_match"] == 1.0


def test_a_common_mean_is_not_taken_for_similar_numbers() -> None:
    # There: raw cosines of eleven points, no baseline; a common mean makes all of them large.
    rng = np.random.default_rng(3)
    rep = Representation(rng.standard_normal((200, 50)) + 3.0, np.arange(200))
    with pytest.warns(MeasurementWarning, match="W-ANISO"):
        found = SuccessiveCosine()(rep)
    assert found["raw_mean"] > 0.8
    assert found["random_pair_mean"] == pytest.approx(found["raw_mean"], abs=0.02)
    assert abs(found["centred_mean"]) < 0.05


# --- elsewhere ----------------------------------------------------------------------------------------


def test_the_log_probe_is_undone_by_its_own_inverse() -> None:
    # numllama's tutorial inverts log1p by exp(y) + 1: off by two units everywhere.
    rows = np.column_stack([np.log1p(np.arange(200.0)), np.ones(200)])
    assert ValueProbe()(Representation(rows, np.arange(200)))["log_random_exact"] > 0.9
