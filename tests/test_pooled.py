"""Numbers of several tokens get one row, by the rule that the reading names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hub_server import Repository, serving, turn_to
from safetensors.numpy import load_file, save_file
from small_repository import commit

import numgeom
from numgeom import Incompatible, MeasurementWarning, ModelSpec, NumberSet, NumgeomError, Representation
from numgeom_plugins.sources.opening import tokenizer_of
from numgeom_plugins.sources.pooled import read_pooled, spell_all

pytestmark = pytest.mark.filterwarnings("ignore::numgeom.MeasurementWarning")
DIGITWISE = NumberSet.parse("0..999")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that writes every number digit by digit; row = digit * v + m for the digits."""
    import json

    pieces = ["<unk>", *"0123456789", "+", "=", "a", "b"]
    (tmp_path / "tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": [],
                "normalizer": None,
                "pre_tokenizer": None,
                "post_processor": None,
                "decoder": None,
                "model": {
                    "type": "BPE",
                    "unk_token": "<unk>",
                    "vocab": {piece: rank for rank, piece in enumerate(pieces)},
                    "merges": [],
                },
            }
        )
    )
    table = np.random.default_rng(0).standard_normal((len(pieces), 6)).astype(np.float32)
    save_file({"wte.weight": table}, tmp_path / "model.safetensors")
    return tmp_path


def model(folder: Path) -> ModelSpec:
    return ModelSpec(name="m", source="checkpoint", id=str(folder))


def pooled(folder: Path, how: str, numbers: NumberSet = DIGITWISE) -> Representation:
    return read_pooled(model(folder), numbers, read=f"pooled:{how}")


def table(folder: Path) -> Any:
    return load_file(folder / "model.safetensors")["wte.weight"].astype(np.float64)


def message(call: Any) -> str:
    with pytest.raises(NumgeomError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_rule_is_its_formula(folder: Path) -> None:
    rows = table(folder)[1:11]
    expected = {
        "mean": (rows[3] + rows[4] + rows[7]) / 3,
        "sum": rows[3] + rows[4] + rows[7],
        "first": rows[3],
        "last": rows[7],
        "positional": 100 * rows[3] + 10 * rows[4] + rows[7],
    }
    for how, row in expected.items():
        rep = pooled(folder, how)
        assert rep.numbers.tolist() == list(range(1000))
        np.testing.assert_allclose(rep.matrix[347], row, rtol=1e-12)


def test_a_positional_sum_turns_a_linear_digit_code_into_a_linear_number_code(folder: Path) -> None:
    step = np.arange(6.0) + 1
    rows = np.zeros((15, 6), dtype=np.float32)
    rows[1:11] = np.arange(10)[:, None] * step
    save_file({"wte.weight": rows}, folder / "model.safetensors")
    np.testing.assert_array_equal(pooled(folder, "positional").matrix, np.arange(1000)[:, None] * step)


def test_sums_do_not_know_the_order_of_digits_and_positional_sums_do(folder: Path) -> None:
    for how, same in (("sum", True), ("mean", True), ("positional", False), ("last", False)):
        matrix = pooled(folder, how).matrix
        assert np.allclose(matrix[12], matrix[21]) is same


def test_rows_of_single_tokens_are_those_of_input(tmp_path: Path) -> None:
    spec = tiny_models.save("llama", tmp_path)
    alone = NumberSet.parse("0..39")
    stored = numgeom.load(spec.id, numbers="0..39", source="input", cache=False)
    for how in ("mean", "last", "first", "sum", "positional"):
        rep = read_pooled(spec, alone, read=f"pooled:{how}")
        np.testing.assert_array_equal(rep.matrix, stored.matrix)
        assert rep.matrix.dtype == stored.matrix.dtype
        assert rep.token_ids is not None
        assert rep.token_ids.tolist() == stored.token_ids.tolist()  # type: ignore[union-attr]
        assert rep.provenance["random_token_ids"] == stored.provenance["random_token_ids"]
        np.testing.assert_array_equal(rep.random_rows, stored.random_rows)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error::numgeom.MeasurementWarning")
def test_mixed_forms_are_told(tmp_path: Path, folder: Path) -> None:
    spec = tiny_models.save("llama", tmp_path / "llama")
    with pytest.warns(MeasurementWarning, match="W-TOKENFORM: 40 of 60 numbers are one token, the others up to 2"):
        read_pooled(spec, NumberSet.parse("0..59"), read="pooled:mean")
    read_pooled(spec, NumberSet.parse("0..39"), read="pooled:mean")
    pooled(folder, "mean", NumberSet.parse("10..99"))


def test_random_rows_have_as_many_pieces_as_numbers(folder: Path) -> None:
    rep = pooled(folder, "mean", NumberSet.parse("10..99"))
    rows = table(folder)
    others = set(range(11, 15))
    assert set(rep.provenance["random_token_ids"]) == others
    pairs = {tuple(((rows[a] + rows[b]) / 2).round(9)) for a in others for b in others}
    assert rep.random_rows is not None
    assert all(tuple(row.round(9)) in pairs for row in rep.random_rows.astype(np.float64))


def test_models_that_write_digit_by_digit_are_compared_over_all_numbers(folder: Path) -> None:
    study = numgeom.compare(
        [str(folder), "demo:llama_bpe"], sources="pooled:positional", metrics="cka_linear_debiased", draws=19
    )
    assert set(study.frame["n"]) == {1000}
    assert set(study.frame["status"]) == {"ok"}
    assert set(study.frame["warnings"].str.contains("W-TOKENFORM")) == {True}


def test_places_are_digits_to_the_right(shared: Path) -> None:
    wanted = {"gpt2": (1, 0), "llama2": (3, 2, 1, 0), "olmo2_dolma2": (1, 0)}
    for name, places in wanted.items():
        spec = ModelSpec(name=name, source="tokenizer", id=str(shared / "data/tokenizers" / name))
        (one,) = spell_all(tokenizer_of(spec), NumberSet.parse("1234"))
        assert one.places[-1] == 0
        assert len(one.places) == len(places)
        if name == "llama2":
            assert one.places == places


def test_the_table_of_a_hub_model_is_read_by_its_rows(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        turn_to(server, tmp_path_factory.mktemp("hub"), monkeypatch)
        server.repositories["org/digits"] = Repository(
            {commit("a"): {path.name: path.read_bytes() for path in folder.iterdir()}}
        )
        rep = read_pooled(ModelSpec(name="m", source="hf", id="org/digits"), DIGITWISE, read="pooled:sum")
    np.testing.assert_array_equal(rep.matrix, pooled(folder, "sum").matrix)
    assert rep.provenance["revision"] == commit("a")


def test_the_table_of_a_gguf_file(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "m.gguf"
    rows = np.random.default_rng(1).standard_normal((13, 8)).astype(np.float32)
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_tokenizer_model("bert")
    writer.add_token_list(["[UNK]", *(f"\u2581{digit}" for digit in range(10)), "\u2581one", "\u258112"])
    writer.add_tensor("token_embd.weight", rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    rep = read_pooled(ModelSpec(name="m", source="gguf", id=str(path)), NumberSet.parse("5,12"), read="pooled:sum")
    np.testing.assert_array_equal(rep.matrix, rows[[6, 12]])


def test_faults_are_one_line(folder: Path) -> None:
    assert "unknown pooling 'median'" in message(lambda: pooled(folder, "median"))
    with pytest.raises(Incompatible, match="no place for a sign"):
        pooled(folder, "positional", NumberSet.parse("-3..3"))
    save_file({"wte.weight": np.zeros((4, 6), dtype=np.float32)}, folder / "model.safetensors")
    text = message(lambda: read_pooled(model(folder), DIGITWISE, read="pooled:mean", tensor="wte.weight"))
    assert "number 3 has token id 4" in text
    assert "has only 4 rows" in text
    assert "is spelled by the tokenizer" in message(lambda: pooled(folder, "mean", NumberSet.parse("-3..-1")))
    rows = ModelSpec(name="r", source="rows", id="r.npz")
    assert "has no tokenizer" in message(lambda: read_pooled(rows, DIGITWISE, read="pooled:mean"))


def test_rows_put_together_from_pieces_get_no_verdict() -> None:
    # Sums of shared digit rows agree beyond order in models of random weights: no null takes the digits away.
    study = numgeom.compare(
        ["demo:llama_bpe", "demo:neox_a"], numbers="600..699", sources="pooled:mean", metrics="cka_linear_debiased",
        draws=19, cache=False,
    )  # fmt: skip
    assert study.frame["warnings"].str.contains("W-POOLED").all()
    (table,) = [one for one in study.tables() if one.kind == "convergence" and "verdict" in one.frame]
    assert table.frame["verdict"].tolist() == ["none: W-POOLED"]
