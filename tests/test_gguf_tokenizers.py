"""The tokenizer inside a GGUF file gives the ids of the file that it was made from."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from numgeom import ModelSpec, NumberSet, Tokenizer, TokenizerError
from numgeom.numbers import runs
from numgeom_plugins.sources.tokenizers import fingerprint, number_token_ids, open_tokenizer
from numgeom_plugins.sources.tokenizers.fast import byte_of_character

gguf = pytest.importorskip("gguf", reason="GGUF files are written with the gguf package")

TEMPLATES = ("{n}", " {n}", "the {n} cats", "= {n} +")
VALUES = [*range(-20, 1100), 2020, 99999]
SENTENCE = "Hello, world! It's 12 o'clock  x = foo(bar[3]); 3.14 \u00e9t\u00e9 end"


def write(path: Path, kind: str, tokens: list[str], **values: Any) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    for name, value in values.items():
        getattr(writer, f"add_{name}")(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def texts(tokenizer: Tokenizer, ids: tuple[int, ...]) -> list[str]:
    return [tokenizer.token_text(token) for token in ids]


def assert_same_numbers(one: Tokenizer, other: Tokenizer) -> None:
    for template in TEMPLATES:
        assert [one.encode_number(n, template) for n in VALUES] == [other.encode_number(n, template) for n in VALUES]


@cache
def opened(path: Path) -> Tokenizer:
    return open_tokenizer(path)


# ---------------------------------------------------------------- real vocabularies


@pytest.mark.parametrize("name", ["deepseek_llm", "starcoder"])
def test_real_gguf_vocabularies_encode_numbers_as_their_tokenizer_json(shared: Path, name: str) -> None:
    folder = shared / "data/tokenizers" / name
    mine = opened(folder / f"ggml-vocab-{name.replace('_', '-')}.gguf")
    recorded = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    assert mine.kind == "gguf gpt2"
    assert mine.notes == ()
    assert mine.vocab_size == recorded["vocab_size"]
    assert_same_numbers(mine, opened(folder / "tokenizer.json"))
    for form, key in (("", "bare"), ("@space", "space")):
        values, _ = number_token_ids(mine, NumberSet.parse(f"0..9999{form}"))
        assert [list(run) for run in runs(values.tolist())] == recorded[f"{key}_single_token_ranges"]


def test_starcoders_gguf_encodes_text_as_its_tokenizer_json(shared: Path) -> None:
    folder = shared / "data/tokenizers/starcoder"
    mine, other = opened(folder / "ggml-vocab-starcoder.gguf"), opened(folder / "tokenizer.json")
    assert mine.encode(SENTENCE) == other.encode(SENTENCE)
    assert texts(mine, mine.encode("<|endoftext|>")) == ["<|endoftext|>"]
    assert mine.encode("<|endoftext|>")[0] in mine.special_ids


@pytest.mark.parametrize(("name", "file"), [("llama2", "tokenizer.model"), ("t5_translate_spiece", "spiece.model")])
def test_a_sentencepiece_vocabulary_survives_the_way_through_gguf(
    shared: Path, tmp_path: Path, name: str, file: str
) -> None:
    # Both real models are of SentencePiece's BPE kind, which GGUF calls llama.
    path = shared / "data/tokenizers" / name / file
    mine, other = open_tokenizer(through_gguf(tmp_path / "m.gguf", path.read_bytes())), opened(path)
    assert mine.kind == "gguf llama"
    assert mine.special_ids == other.special_ids
    assert mine.notes == other.notes == ("dummy prefix removed",)
    assert_same_numbers(mine, other)


def through_gguf(path: Path, model: bytes, kind: str = "llama", **values: Any) -> Path:
    """A SentencePiece model as llama.cpp's converter writes it."""
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_proto=model)
    ids = range(pieces.get_piece_size())
    kinds = [(pieces.is_unknown, 2), (pieces.is_control, 3), (pieces.is_unused, 5), (pieces.is_byte, 6)]
    types = [next((code for test, code in kinds if test(token)), 1) for token in ids]
    return write(
        path,
        kind,
        [pieces.id_to_piece(token) for token in ids],
        token_scores=[pieces.get_score(token) for token in ids],
        token_types=types,
        **values,
    )


@cache
def trained(model_type: str) -> bytes:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    words = "1 2 12 123 7 77 the cat sat on 99 mats and 100 hats n = -3 + 4; 5 6 8 0"
    SentencePieceTrainer.train(
        sentence_iterator=iter([words, "12 12 123 100 cats", "the hat 777"] * 30),
        model_writer=model,
        model_type=model_type,
        vocab_size=330,
        byte_fallback=True,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return model.getvalue()


@pytest.mark.parametrize(("model_type", "kind"), [("unigram", "t5"), ("bpe", "llama")])
def test_unigram_and_bpe_models_keep_their_way_of_cutting(tmp_path: Path, model_type: str, kind: str) -> None:
    (tmp_path / "tokenizer.model").write_bytes(trained(model_type))
    other = open_tokenizer(tmp_path / "tokenizer.model")
    mine = open_tokenizer(through_gguf(tmp_path / "m.gguf", trained(model_type), kind))
    assert mine.kind == f"gguf {kind}"
    assert_same_numbers(mine, other)
    assert mine.encode("the cats 12\u00e9") == other.encode("the cats 12\u00e9")


def test_the_kind_decides_how_scores_are_read(shared: Path, tmp_path: Path) -> None:
    model = (shared / "data/tokenizers/t5_translate_spiece/spiece.model").read_bytes()
    ranks, likelihoods = (open_tokenizer(through_gguf(tmp_path / f"{k}.gguf", model, k)) for k in ("llama", "t5"))
    assert texts(ranks, ranks.encode_number(111)) == ["11", "1"]  # merges in order
    assert texts(likelihoods, likelihoods.encode_number(111)) == ["1", "11"]  # the best sum of scores


def test_the_dummy_prefix_of_a_gguf_model_is_its_own_word(tmp_path: Path) -> None:
    mine = open_tokenizer(through_gguf(tmp_path / "m.gguf", trained("bpe"), add_space_prefix=False))
    assert mine.notes == ()
    assert mine.encode("7") == mine.encode_number(7)


# ---------------------------------------------------------------- tiny vocabularies

BYTES = list(byte_of_character())


def byte_pairs(path: Path, pre: str | None, extra: list[str], merges: list[str]) -> Tokenizer:
    values: dict[str, Any] = {"token_merges": merges}
    if pre is not None:
        values["tokenizer_pre"] = pre
    return open_tokenizer(write(path, "gpt2", [*BYTES, *extra], **values))


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("gpt-2", ["1234", "5"]),
        ("llama-bpe", ["12", "3", "4", "5"]),
        ("qwen2", list("12345")),
        ("gpt-4o", ["12", "3", "4", "5"]),
        ("starcoder", list("12345")),
        ("deepseek-coder", list("12345")),
        ("deepseek-v3", ["12", "3", "4", "5"]),
        ("tekken", list("12345")),
        ("falcon", ["12", "3", "4", "5"]),
        ("default", ["12", "3", "4", "5"]),
        (None, ["12", "3", "4", "5"]),
        ("bloom", ["1234", "5"]),
        ("viking", list("12345")),
    ],
)
def test_digits_are_cut_as_the_file_says(tmp_path: Path, pre: str | None, pieces: list[str]) -> None:
    tokenizer = byte_pairs(tmp_path / "m.gguf", pre, ["12", "34", "1234"], ["1 2", "3 4", "12 34"])
    assert texts(tokenizer, tokenizer.encode_number(12345)) == pieces
    assert tokenizer.notes == ()


def test_an_unknown_way_of_cutting_is_assumed_from_the_vocabulary_and_noted(tmp_path: Path) -> None:
    spaced = byte_pairs(tmp_path / "a.gguf", "later", ["10", "\u012010"], ["1 0", "\u0120 10"])
    assert spaced.notes == ("splitting of the kind 'later' is not known: gpt2 assumed",)
    assert texts(spaced, spaced.encode_number(10, " {n}")) == [" 10"]
    triples = byte_pairs(tmp_path / "b.gguf", "later", [str(n) for n in range(100, 1000)], [])
    assert triples.notes[0].endswith("cl100k assumed")
    single = byte_pairs(tmp_path / "c.gguf", "later", ["12"], ["1 2"])
    assert single.notes[0].endswith("digits assumed")


def test_whole_words_are_tokens_where_the_family_ignores_merges(tmp_path: Path) -> None:
    for pre, pieces in (("llama-bpe", ["123"]), ("dbrx", ["1", "2", "3"])):
        tokenizer = byte_pairs(tmp_path / "m.gguf", pre, ["123"], [])
        assert texts(tokenizer, tokenizer.encode_number(123)) == pieces


def test_unused_and_repeated_tokens_are_special(tmp_path: Path) -> None:
    types = [1] * len(BYTES) + [5, 3, 1]
    path = write(tmp_path / "m.gguf", "gpt2", [*BYTES, "[PAD256]", "<|end|>", "7"], token_types=types, token_merges=[])
    tokenizer = open_tokenizer(path)
    assert tokenizer.vocab_size == len(BYTES) + 3
    assert {256, 257, 258} <= tokenizer.special_ids
    assert tokenizer.encode_number(7) == (BYTES.index("7"),)


def test_a_tokenizer_json_inside_the_file_is_taken(shared: Path, tmp_path: Path) -> None:
    path = shared / "data/tokenizers/stories260k/tokenizer.json"
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_string("tokenizer.huggingface.json", path.read_text(encoding="utf-8"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    mine = open_tokenizer(tmp_path / "m.gguf")
    assert mine.kind == "gguf tokenizer.json"
    assert_same_numbers(mine, opened(path))


def test_the_fingerprint_of_a_gguf_tokenizer_reads_no_weights(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "bert", ["[UNK]", "\u25817"])
    with open(path, "r+b") as file:
        file.truncate(10**10)  # sparse: a model of 10 GB
    spec = ModelSpec(name="m", source="tokenizer", id=str(path))
    before = fingerprint(spec)
    assert before == fingerprint(spec)
    with open(path, "r+b") as file:
        file.truncate(10**10 + 1)
    assert fingerprint(spec) != before


# ---------------------------------------------------------------- faults


def fault(path: Path) -> str:
    with pytest.raises(TokenizerError) as caught:
        open_tokenizer(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_tokenizer_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    assert "is not a whole GGUF file" in fault(path)
    assert "a tokenizer of the kind 'rwkv'; those of the kinds gpt2, llama, t5 and bert" in fault(
        write(path, "rwkv", ["a"])
    )
    assert "not one for each of its 2 tokens" in fault(write(path, "llama", ["a", "b"], token_types=[1]))
    assert "not one for each of its 1 tokens" in fault(write(path, "llama", ["a"], token_types=[99]))
    assert "not a SentencePiece model" in fault(write(path, "llama", ["a", "a"], token_types=[1, 1]))
    assert "no [UNK] line" in fault(write(path, "bert", ["a"]))
    assert "holds a line break" in fault(write(path, "bert", ["[UNK]", "a\nb"]))
    assert "cannot read this tokenizer.json" in fault(write(path, "gpt2", ["a", "b"], token_merges=["a c"]))


def test_tokens_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "gpt2", ["abc"])
    path.write_bytes(path.read_bytes().replace(b"abc", b"\xff\xfe\xfd"))
    assert "tokenizer.ggml.tokens are not UTF-8" in fault(path)
