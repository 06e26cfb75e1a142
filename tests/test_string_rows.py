"""Rows of "007" and its like: read with the numbers, checked, carried along, kept in the cache."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models

import numgeom
from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom.store import Store, digest
from numgeom_plugins.sources.checkpoint import read_checkpoint
from numgeom_plugins.sources.control import STRING_RUNS, Control
from numgeom_plugins.sources.gguf import read_gguf
from numgeom_plugins.sources.row_runs import MOST_RUNS, MOST_WASTE, row_runs
from numgeom_plugins.sources.tokenizers import digit_strings, load_tokenizer, number_token_ids, open_tokenizer
from numgeom_plugins.sources.vectors import read_vectors

ROWS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
HELD = Representation(ROWS[:4], np.arange(4), string_rows=ROWS[4:], strings=("00", "007"))
KEY = digest("key")


def llama3(shared: Path, folder: Path) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """A tiny random model of transformers with the vocabulary of Llama-3, and its input and output rows."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    config = t.LlamaConfig(
        vocab_size=128256,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        tie_word_embeddings=False,
    )
    model = t.LlamaForCausalLM(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.bfloat16().save_pretrained(folder)
    shutil.copy(shared / "data/tokenizers/llama3/tokenizer.model", folder)
    tables = {"input": model.model.embed_tokens.weight, "output": model.lm_head.weight}
    return (
        ModelSpec(name="tiny", source="checkpoint", id=str(folder)),
        {read: table.detach().float().numpy() for read, table in tables.items()},
    )


def test_llama3_gives_the_stored_rows_of_its_110_strings(shared: Path, tmp_path: Path) -> None:
    model, tables = llama3(shared, tmp_path)
    ids = digit_strings(load_tokenizer(model))
    for read, table in tables.items():
        rep = read_checkpoint(model, NumberSet.parse("0..99"), read=read)
        assert rep.strings == (*(f"{n:02d}" for n in range(10)), *(f"{n:03d}" for n in range(100)))
        assert rep.string_rows is not None
        np.testing.assert_array_equal(rep.string_rows, table[[ids[text] for text in rep.strings]])
        np.testing.assert_array_equal(rep.string_rows[rep.strings.index("007")], table[ids["007"]])
        np.testing.assert_array_equal(rep.matrix, table[[ids[str(n)] for n in range(100)]])
        assert rep.random_rows is not None
        assert len(rep.random_rows) == 1000


def test_the_card_measures_what_is_planted_in_a_checkpoint_also_from_the_cache(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    monkeypatch.setenv("NUMGEOM_CACHE", str(tmp_path / "cache"))
    model, _ = llama3(shared, tmp_path / "tiny")
    ids = digit_strings(load_tokenizer(model))
    path = tmp_path / "tiny/model.safetensors"
    tensors = safetensors.torch.load_file(path)
    for text, token in ids.items():
        tensors["model.embed_tokens.weight"][token] = tensors["model.embed_tokens.weight"][ids[str(int(text))]]
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    # "01" and "001" are both rows of 1, so among strings of one length the plain number is nearest, and first.
    fresh = numgeom.load(f"checkpoint:{tmp_path / 'tiny'}", numbers="0..999")
    cached = list((tmp_path / "cache/representations").rglob("*.npz"))
    assert len(cached) == 1
    with monkeypatch.context() as unreadable:
        unreadable.setattr("numgeom_plugins.sources.checkpoint.embed", None)
        assert numgeom.load(f"checkpoint:{tmp_path / 'tiny'}", numbers="0..999").strings == fresh.strings
        study = numgeom.geometry(
            f"checkpoint:{tmp_path / 'tiny'}", numbers="0..999", metrics="value_or_string", draws=49
        )
    rows = study.frame.set_index("measure")
    assert (rows.loc["value_rank", "value"], rows.loc["value_rank", "status"]) == (0.0, "ok")
    assert rows.loc["value_first", "value"] == 1.0
    assert rows.loc["value_rank", "null"] == "row_permutation"
    assert rows.loc["value_rank", "null_mean"] == pytest.approx(0.5, abs=0.05)
    assert rows.loc["value_rank", "p"] == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    ("name", "asked", "read", "there"),
    [("llama3", "0..99", 110, 110), ("llama3", "0..999", 78, 110), ("gpt2", "0..999", 81, 81), ("qwen", "0..9", 0, 0)],
)
def test_strings_that_lie_alone_add_few_requests_to_a_thousand_numbers(
    shared: Path, name: str, asked: str, read: int, there: int
) -> None:
    tokenizer = open_tokenizer(shared / "data/tokenizers" / name)
    ids = number_token_ids(tokenizer, NumberSet.parse(asked))[1]
    control = Control.of(tokenizer, NumberSet.parse(asked), ids, tokenizer.vocab_size)
    assert (len(control.strings), control.string_count) == (read, there)
    rows = np.unique(np.concatenate([ids, control.ids]))
    runs = row_runs(rows, most_gap=0, longest=10**9, most_runs=MOST_RUNS, most_waste=MOST_WASTE * rows.size)
    assert len(runs) <= MOST_RUNS + STRING_RUNS


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_most_vocabularies_have_none(tmp_path: Path, name: str) -> None:
    rep = read_checkpoint(tiny_models.save(name, tmp_path), NumberSet.parse("0..39"), read="input")
    assert (rep.string_rows, rep.strings) == (None, ())


def test_a_gguf_file_gives_them_too(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    path = tmp_path / "m.gguf"
    held = ["[UNK]", *(f"▁{n}" for n in range(10)), "▁07", "▁one", "▁000", "▁" + "0" * 19]
    table = np.random.default_rng(1).standard_normal((len(held), 4)).astype(np.float32)
    table[held.index("▁000")] = np.nan
    writer = GGUFWriter(path, "bert")
    writer.add_tokenizer_model("bert")
    writer.add_token_list(held)
    writer.add_tensor("token_embd.weight", table)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    rep = read_gguf(ModelSpec(name="m", source="gguf", id=str(path)), NumberSet.parse("0..9"), read="input")
    assert rep.strings == ("07",)
    np.testing.assert_array_equal(rep.string_rows, table[[held.index("▁07")]])
    assert rep.provenance["notes"] == ["1 string rows with NaN or infinity left out"]


def test_word_vectors_give_them_too(tmp_path: Path) -> None:
    path = tmp_path / "tiny.vec"
    path.write_text("007 1 2\nseven 1 1\n7 0.5 2\n0 0 1\n00 3 4\n0.7 8 8\n0a 9 9\n07 inf 1\n")
    rep = read_vectors(ModelSpec(name="v", source="vectors", id=str(path)), NumberSet.parse("0..9"), read="vectors")
    assert rep.strings == ("007", "00")
    assert rep.string_rows is not None
    assert rep.string_rows.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert rep.provenance["notes"] == ["1 string rows with NaN or infinity left out"]


def test_strings_go_with_the_rows_of_their_space() -> None:
    part = HELD.take(np.array([0, 2]))
    moved = [part, HELD.permuted(np.array([3, 2, 1, 0])), HELD.with_matrix(2.0 * ROWS[:4]), replace(HELD, origin=HELD)]
    for rep in moved:
        assert rep.strings == HELD.strings
        np.testing.assert_array_equal(rep.string_rows, HELD.string_rows)
    narrow = HELD.with_matrix(ROWS[:4, :2])
    assert (narrow.string_rows, narrow.strings) == (None, ())


def test_strings_are_part_of_the_digest_and_cannot_be_changed() -> None:
    rows = ROWS[4:].copy()
    rep = Representation(ROWS[:4], np.arange(4), string_rows=rows, strings=("00", "007"))
    rows[0] = 9.0
    assert rep.digest == HELD.digest
    assert len({rep.digest, replace(rep, strings=("00", "008")).digest, replace(rep, string_rows=rows).digest}) == 3
    assert Representation(ROWS[:4], np.arange(4)).digest != rep.digest
    assert rep.string_rows is not None
    with pytest.raises(ValueError, match="read-only"):
        rep.string_rows[0, 0] = 5


@pytest.mark.parametrize(
    ("rows", "strings", "message"),
    [
        (ROWS[4:], ("00",), r"string_rows have shape \(2, 3\), with 1 strings and rows of width 3; give \(1, 3\)"),
        (ROWS[4:, :2], ("00", "01"), r"string_rows have shape \(2, 2\), with 2 strings and rows of width 3"),
        (ROWS[4:], ("00", "7"), "'7' is no number with zeros in front; strings are 2 to 18 digits and begin with 0"),
        (ROWS[4:], ("00", "0x"), "'0x' is no number"),
        (ROWS[4:], ("00", "0" * 19), "is no number"),
        (ROWS[4:], ("00", "00"), "2 strings, of which 1 differ; give each of them once"),
        (None, ("00",), "1 strings but no string_rows; give one row for each string"),
        (ROWS[4:] * [[1.0], [np.nan]], ("00", "007"), r"1 of 2 string rows hold NaN or infinity \(the first is '007'"),
    ],
)
def test_rows_that_are_no_rows_of_strings_are_refused(
    rows: np.ndarray | None, strings: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        Representation(ROWS[:4], np.arange(4), string_rows=rows, strings=strings)


def test_the_cache_keeps_them_exactly(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_representation(KEY, HELD)
    back = store.get_representation(KEY)
    assert back is not None
    assert (back.digest, back.strings) == (HELD.digest, HELD.strings)
    assert back.string_rows is not None
    assert back.string_rows.dtype == np.float32
    store.put_representation(KEY, replace(HELD, string_rows=None, strings=()))
    none = store.get_representation(KEY)
    assert none is not None
    assert (none.string_rows, none.strings) == (None, ())


def test_an_entry_from_before_there_were_strings_is_read_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_representation(KEY, HELD)
    path = next(tmp_path.rglob(f"{KEY}.npz"))
    np.savez(path, matrix=ROWS, numbers=np.arange(6), provenance=np.array(json.dumps({})))
    assert store.get_representation(KEY) is None
