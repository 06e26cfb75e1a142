"""Tokenizers of every file format: what they give for numbers, on tiny files made here and on real ones."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgeom import ModelSpec, NumberSet, Tokenizer, TokenizerError
from numgeom.numbers import runs
from numgeom_plugins.sources.tokenizers import (
    find_tokenizer,
    fingerprint,
    is_number,
    load_tokenizer,
    number_token_ids,
    open_tokenizer,
    random_token_ids,
)
from numgeom_plugins.sources.tokenizers.base import MOST_REMEMBERED
from numgeom_plugins.sources.tokenizers.fast import byte_of_character
from numgeom_plugins.sources.tokenizers.sentencepieces import SentencePieceTokenizer
from numgeom_plugins.sources.tokenizers.tiktokens import PATTERNS, TiktokenTokenizer, split_pattern

FOLDERS = (
    "bert_base_uncased_wordpiece",
    "cl100k_base",
    "clip_bpe",
    "deepseek_llm",
    "gpt2",
    "gpt_neox_20b",
    "llama2",
    "llama3",
    "mistral_v1",
    "olmo1_neox",
    "olmo2_dolma2",
    "p50k_base",
    "qwen",
    "starcoder",
    "stories260k",
    "t5_translate_spiece",
    "whisper_multilingual",
)
DUMMY_PREFIX = {"llama2", "mistral_v1", "stories260k", "t5_translate_spiece"}
DROPS_SPACES = {"bert_base_uncased_wordpiece", "clip_bpe"}


# --- tiny tokenizers -------------------------------------------------------------------------------


def texts(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    return [tokenizer.token_text(token) for token in ids]


def document(vocabulary: dict[str, int], merges: Sequence[str], **parts: Any) -> dict[str, Any]:
    """A tokenizer.json of a BPE model."""
    model = {"type": "BPE", "vocab": vocabulary, "merges": list(merges), **parts.pop("model", {})}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return {"version": "1.0", "added_tokens": [], **empty, **parts, "model": model}


def write(folder: Path, content: dict[str, Any], name: str = "tokenizer.json") -> Path:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / name


def byte_level(folder: Path, **parts: Any) -> Path:
    """GPT-2 in small: every byte, "12" and " 7" merged."""
    vocabulary = {character: rank for rank, character in enumerate(byte_of_character())}
    vocabulary |= {"12": 256, "Ġ7": 257, "<|endoftext|>": 258}
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return write(folder, document(vocabulary, ["1 2", "Ġ 7"], **{"pre_tokenizer": step, "decoder": step, **parts}))


METASPACE_VOCABULARY = {
    piece: rank for rank, piece in enumerate(["<unk>", "<s>", "▁", "-", "=", *"0123456789", "▁7", "a", "▁a", "<0x0A>"])
}
PREFIXES: dict[str, dict[str, Any]] = {
    "prepend": {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        }
    },
    "always": {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}},
    "first": {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}},
    "old": {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}},
    "words": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁"}],
        }
    },
}


def metaspace(folder: Path, **parts: Any) -> Path:
    """Llama-2 in small: every digit a piece, "▁7" and "▁a" merged."""
    model = {"unk_token": "<unk>", "fuse_unk": True}
    return write(folder, document(METASPACE_VOCABULARY, ["▁ 7", "▁ a"], model=model, **parts))


def tiktoken_file(path: Path, extra: Sequence[bytes] = (b"12", b" 7")) -> Path:
    pieces = [*(bytes([byte]) for byte in range(256)), *extra]
    path.write_bytes(b"\n".join(base64.b64encode(piece) + b" %d" % rank for rank, piece in enumerate(pieces)) + b"\n")
    return path


WORDPIECES = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", *"0123456789", "-", "=", "##0", "12", "##12", "a", "##a"]


def word_piece(folder: Path, lines: Sequence[str] = WORDPIECES) -> Path:
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "vocab.txt"


@cache
def sentencepiece_model(*, dummy: bool = True) -> bytes:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["a 7 12 - 5 = 3 4 6 8 9 0 1 2"] * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=288,
        byte_fallback=True,
        split_digits=True,
        hard_vocab_limit=False,
        add_dummy_prefix=dummy,
        minloglevel=2,
    )
    return model.getvalue()


# --- what every format owes ------------------------------------------------------------------------


def test_every_format_satisfies_the_protocol(tmp_path: Path) -> None:
    paths = [byte_level(tmp_path), word_piece(tmp_path), tiktoken_file(tmp_path / "tiny.tiktoken")]
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model())
    for path in [*paths, tmp_path / "tokenizer.model"]:
        tokenizer = open_tokenizer(path, name="tiny")
        assert isinstance(tokenizer, Tokenizer)
        assert tokenizer.name == "tiny"
        assert tokenizer.special_ids <= set(range(tokenizer.vocab_size))
        assert isinstance(tokenizer.notes, tuple)
        for ids in (tokenizer.encode("5"), tokenizer.encode_number(5), tokenizer.encode_number(5, "={n}")):
            assert isinstance(ids, tuple)
            assert all(type(token) is int for token in ids)
        assert "".join(texts(tokenizer, tokenizer.encode_number(120))) == "120"


def test_byte_level_bpe_keeps_bare_and_spaced_numbers_apart(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path))
    assert texts(tokenizer, tokenizer.encode_number(120)) == ["12", "0"]
    assert texts(tokenizer, tokenizer.encode_number(7)) == ["7"]
    assert texts(tokenizer, tokenizer.encode_number(7, " {n}")) == [" 7"]
    assert texts(tokenizer, tokenizer.encode_number(-7, " {n}")) == [" ", "-", "7"]
    assert tokenizer.encode("7") == tokenizer.encode_number(7)


@pytest.mark.parametrize("kind", PREFIXES)
def test_a_dummy_prefix_of_any_make_is_taken_off_bare_numbers(tmp_path: Path, kind: str) -> None:
    tokenizer = open_tokenizer(metaspace(tmp_path, **PREFIXES[kind]))
    assert texts(tokenizer, tokenizer.encode("5")) == [" ", "5"]
    assert texts(tokenizer, tokenizer.encode_number(5)) == ["5"]
    assert texts(tokenizer, tokenizer.encode_number(5, " {n}")) == [" ", "5"]
    assert texts(tokenizer, tokenizer.encode_number(7, " {n}")) == [" 7"]
    assert texts(tokenizer, tokenizer.encode_number(-7)) == ["-", "7"]
    assert texts(tokenizer, tokenizer.encode_number(7, "a {n}")) == [" 7"]
    assert texts(tokenizer, tokenizer.encode_number(5, "a={n}")) == ["5"]
    assert tokenizer.notes == ("dummy prefix removed",)


def test_a_metaspace_that_never_prepends_is_left_alone(tmp_path: Path) -> None:
    step = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}
    tokenizer = open_tokenizer(metaspace(tmp_path, pre_tokenizer=step))
    assert tokenizer.encode("5") == tokenizer.encode_number(5)
    assert texts(tokenizer, tokenizer.encode_number(7, " {n}")) == [" 7"]
    assert tokenizer.notes == ()


def test_a_byte_level_prefix_space_is_a_dummy_prefix(tmp_path: Path) -> None:
    step = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    tokenizer = open_tokenizer(byte_level(tmp_path, pre_tokenizer=step))
    assert texts(tokenizer, tokenizer.encode("7")) == [" 7"]
    assert texts(tokenizer, tokenizer.encode_number(7)) == ["7"]
    assert texts(tokenizer, tokenizer.encode_number(7, " {n}")) == [" 7"]


def test_sentencepiece_takes_its_dummy_prefix_off_and_keeps_one_space() -> None:
    tokenizer = SentencePieceTokenizer("tiny", sentencepiece_model())
    assert "".join(texts(tokenizer, tokenizer.encode("5"))) == " 5"
    assert texts(tokenizer, tokenizer.encode_number(5)) == ["5"]
    assert "".join(texts(tokenizer, tokenizer.encode_number(5, " {n}"))) == " 5"
    assert texts(tokenizer, tokenizer.encode_number(12, "a={n}")) == ["1", "2"]
    assert tokenizer.notes == ("dummy prefix removed",)


def test_sentencepiece_without_dummy_prefix_still_has_a_spaced_form() -> None:
    tokenizer = SentencePieceTokenizer("tiny", sentencepiece_model(dummy=False))
    assert texts(tokenizer, tokenizer.encode("5")) == ["5"]
    assert "".join(texts(tokenizer, tokenizer.encode_number(5, " {n}"))) == " 5"
    assert tokenizer.notes == ()


def test_word_piece_has_one_form_and_no_continuation_marks(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(word_piece(tmp_path))
    assert tokenizer.encode_number(12) == tokenizer.encode_number(12, " {n}") == (WORDPIECES.index("12"),)
    assert texts(tokenizer, tokenizer.encode_number(120)) == ["12", "0"]
    assert texts(tokenizer, tokenizer.encode_number(34)) == ["[UNK]"]


@pytest.mark.parametrize(("lines", "lowered"), [(WORDPIECES, True), ([*WORDPIECES, "A"], False)])
def test_a_vocabulary_without_capitals_was_lower_cased(tmp_path: Path, lines: list[str], lowered: bool) -> None:
    tokenizer = open_tokenizer(word_piece(tmp_path, lines))
    assert texts(tokenizer, tokenizer.encode("A")) == (["a"] if lowered else ["A"])
    write(tmp_path, {"do_lower_case": not lowered}, "tokenizer_config.json")
    assert texts(open_tokenizer(tmp_path), open_tokenizer(tmp_path).encode("A")) != texts(
        tokenizer, tokenizer.encode("A")
    )


def test_padding_truncation_and_dropout_are_switched_off(tmp_path: Path) -> None:
    padding = {
        "strategy": {"Fixed": 16},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    truncation = {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    tokenizer = open_tokenizer(
        byte_level(tmp_path, padding=padding, truncation=truncation, model={"dropout": 0.9}),
    )
    assert texts(tokenizer, tokenizer.encode("712345")) == ["7", "12", "3", "4", "5"]
    assert len({tokenizer.encode("1212121212") for _ in range(20)}) == 1
    assert tokenizer.notes == ("BPE dropout switched off", "fixed padding switched off", "truncation switched off")


def test_special_tokens_of_the_post_processor_are_not_added(tmp_path: Path) -> None:
    processor = {"type": "BertProcessing", "sep": ["<|endoftext|>", 258], "cls": ["<|endoftext|>", 258]}
    tokenizer = open_tokenizer(byte_level(tmp_path, post_processor=processor))
    assert texts(tokenizer, tokenizer.encode("5")) == ["5"]


# --- templates -------------------------------------------------------------------------------------


def test_a_template_drops_the_text_around_the_number(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path))
    assert texts(tokenizer, tokenizer.encode_number(120, "ä☃={n}, or so")) == ["12", "0"]
    assert texts(tokenizer, tokenizer.encode_number(7, "the {n}")) == [" 7"]
    assert texts(tokenizer, tokenizer.encode_number(7, "the\n{n}")) == ["7"]
    assert texts(tokenizer, tokenizer.encode_number(12, "12{n}12")) == ["12"]
    assert texts(tokenizer, tokenizer.encode_number(-7, "x{n}")) == ["-", "7"]


def test_a_number_that_shares_a_token_with_its_template_is_an_error(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path), name="tiny")
    with pytest.raises(TokenizerError, match=r"tiny: in '12' the number 2 shares the token '12'.*beside \{n\}"):
        tokenizer.encode_number(2, "1{n}")
    with pytest.raises(TokenizerError, match="the number 1 shares the token '12'"):
        tokenizer.encode_number(1, "{n}2")
    values, _ = number_token_ids(tokenizer, NumberSet.parse("0..9@1{n}"))
    assert values.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]


def test_a_template_without_its_mark_is_an_error(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path))
    for template in ("n", "{n}{n}"):
        with pytest.raises(TokenizerError, match="exactly once"):
            tokenizer.encode_number(5, template)


def test_an_unknown_number_in_a_template_is_an_error(tmp_path: Path) -> None:
    vocabulary = {piece: rank for piece, rank in METASPACE_VOCABULARY.items() if piece != "9"}
    path = write(tmp_path, document(vocabulary, [], model={"unk_token": "<unk>"}))
    with pytest.raises(TokenizerError, match=r"shares the token|not legible"):
        open_tokenizer(path).encode_number(9, "a={n}")


# --- numbers and random tokens ----------------------------------------------------------------------


def test_an_unknown_token_never_counts_as_a_number(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(word_piece(tmp_path, [line for line in WORDPIECES if line != "7"]))
    assert len(tokenizer.encode_number(7)) == 1
    values, ids = number_token_ids(tokenizer, NumberSet.parse("0..13"))
    assert values.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 12]
    assert texts(tokenizer, ids.tolist()) == [str(value) for value in values]


def test_a_dropped_character_is_no_number(tmp_path: Path) -> None:
    # BPE without an unknown token drops what it does not know: 7 becomes nothing, 17 becomes 1.
    vocabulary = {piece: rank for piece, rank in METASPACE_VOCABULARY.items() if "7" not in piece}
    tokenizer = open_tokenizer(write(tmp_path, document(vocabulary, [])))
    values, _ = number_token_ids(tokenizer, NumberSet.parse("0..17"))
    assert values.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_the_form_decides_which_text_is_the_number(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path))
    bare, spaced = tokenizer.encode_number(7), tokenizer.encode_number(7, " {n}")
    assert is_number(tokenizer, bare, 7)
    assert is_number(tokenizer, spaced, 7, " {n}")
    assert not is_number(tokenizer, spaced, 7)
    assert not is_number(tokenizer, bare, 7, " {n}")
    assert is_number(tokenizer, spaced, 7, "the {n}")
    assert number_token_ids(tokenizer, NumberSet.parse("0..12@space"))[0].tolist() == [7]


def test_random_tokens_are_reproducible_and_never_numbers_or_special(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(byte_level(tmp_path))
    excluded = [tokenizer.encode("a")[0]]
    drawn = random_token_ids(tokenizer, excluded, count=30, seed=3)
    assert drawn.tolist() == random_token_ids(tokenizer, excluded, count=30, seed=3).tolist()
    assert drawn.tolist() != random_token_ids(tokenizer, excluded, count=30, seed=4).tolist()
    assert np.all(np.diff(drawn) > 0)
    everything = random_token_ids(tokenizer, excluded, count=10_000)
    # 95 printable bytes without 10 digits and the excluded letter; "12", " 7" and the mark fall away too.
    assert len(everything) == 84
    assert not {"12", " 7", "5", "a", "<|endoftext|>"} & set(texts(tokenizer, everything.tolist()))


def test_unused_continuation_and_leading_zero_entries_are_never_drawn(tmp_path: Path) -> None:
    tokenizer = open_tokenizer(word_piece(tmp_path, [*WORDPIECES, "007", "٣", "²", "[unused12]", "[MASK]"]))
    assert texts(tokenizer, random_token_ids(tokenizer, []).tolist()) == ["-", "=", "a", "a"]


def test_byte_fallback_and_control_pieces_are_special() -> None:
    tokenizer = SentencePieceTokenizer("tiny", sentencepiece_model())
    marked = set(texts(tokenizer, sorted(tokenizer.special_ids)))
    assert {"<unk>", "<s>", "</s>", "<0x00>", "<0xFF>"} <= marked
    assert len(tokenizer.special_ids) == 259


def test_an_id_outside_the_vocabulary_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model())
    for path in (byte_level(tmp_path), tmp_path / "tokenizer.model", tiktoken_file(tmp_path / "t.tiktoken")):
        tokenizer = open_tokenizer(path)
        for token in (-1, 10_000):
            with pytest.raises(TokenizerError, match=f"has no token id {token}; it holds {tokenizer.vocab_size} ids"):
                tokenizer.token_text(token)


def test_ids_that_the_file_skips_are_special(tmp_path: Path) -> None:
    path = tiktoken_file(tmp_path / "gap.tiktoken")
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:-1], lines[-1].replace(b"257", b"300")]))
    tokenizer = open_tokenizer(path)
    assert tokenizer.vocab_size == 258
    assert 257 in tokenizer.special_ids
    assert 257 not in random_token_ids(tokenizer, [])
    assert tokenizer.token_text(300) == " 7"


def test_the_memory_of_encoded_numbers_is_bounded(tmp_path: Path) -> None:
    tokenizer: Any = open_tokenizer(byte_level(tmp_path))
    tokenizer._written = dict.fromkeys(((n, "x") for n in range(MOST_REMEMBERED)), ())
    assert texts(tokenizer, tokenizer.encode_number(5)) == ["5"]
    assert len(tokenizer._written) == 1


# --- finding and telling apart ----------------------------------------------------------------------


def test_a_folder_is_searched_in_order_of_preference(tmp_path: Path) -> None:
    word_piece(tmp_path)
    assert open_tokenizer(tmp_path).kind == "vocab.txt"
    tiktoken_file(tmp_path / "tiny.tiktoken")
    assert open_tokenizer(tmp_path).kind == "tiktoken"
    (tmp_path / "spiece.model").write_bytes(sentencepiece_model())
    assert open_tokenizer(tmp_path).kind == "sentencepiece"
    byte_level(tmp_path)
    assert open_tokenizer(tmp_path).kind == "tokenizer.json"
    assert open_tokenizer(tmp_path).name == tmp_path.name


def test_tokenizer_model_is_told_by_its_content(tmp_path: Path) -> None:
    tiktoken_file(tmp_path / "tokenizer.model")
    assert open_tokenizer(tmp_path).kind == "tiktoken"
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model())
    assert open_tokenizer(tmp_path).kind == "sentencepiece"


@pytest.mark.parametrize(("vocabulary", "merges"), [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")])
def test_a_vocabulary_and_its_merges_are_found_from_either(tmp_path: Path, vocabulary: str, merges: str) -> None:
    model = json.loads(byte_level(tmp_path).read_text(encoding="utf-8"))["model"]
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / vocabulary).write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (tmp_path / merges).write_text("#version: 0.2\n" + "\n".join(model["merges"]) + "\n", encoding="utf-8")
    for path in (tmp_path, tmp_path / vocabulary, tmp_path / merges):
        tokenizer = open_tokenizer(path)
        assert texts(tokenizer, tokenizer.encode_number(120)) == ["12", "0"]
        assert texts(tokenizer, tokenizer.encode_number(7, " {n}")) == [" 7"]
        assert 258 in tokenizer.special_ids


def test_qwens_vocabulary_files_are_split_at_every_digit(tmp_path: Path) -> None:
    model = json.loads(byte_level(tmp_path).read_text(encoding="utf-8"))["model"]
    (tmp_path / "tokenizer.json").unlink()
    write(tmp_path, model["vocab"], "vocab.json")
    (tmp_path / "merges.txt").write_text("\n".join(model["merges"]), encoding="utf-8")
    write(tmp_path, {"tokenizer_class": "Qwen2Tokenizer"}, "tokenizer_config.json")
    tokenizer = open_tokenizer(tmp_path)
    assert texts(tokenizer, tokenizer.encode_number(120)) == ["1", "2", "0"]


def test_split_patterns_come_from_name_then_size_then_content(tmp_path: Path) -> None:
    sizes = {50256: "gpt2", 50280: "gpt2", 100256: "cl100k", 128000: "cl100k", 151643: "qwen", 199998: "o200k"}
    for size, pattern in sizes.items():
        assert split_pattern({b"%d" % rank: rank for rank in range(size)}, "mine.tiktoken") == (pattern, "")
    assert split_pattern({}, "GPT2.tiktoken") == ("gpt2", "")
    tiny = open_tokenizer(tiktoken_file(tmp_path / "mine.tiktoken"))
    assert tiny.notes == ("split pattern unknown for 258 ranks: cl100k assumed",)
    ten = open_tokenizer(tiktoken_file(tmp_path / "ten.tiktoken", [b"10", b" 10"]))
    assert ten.notes == ("split pattern unknown for 258 ranks: gpt2 assumed",)


@pytest.mark.parametrize(
    ("pattern", "pieces"),
    [
        ("gpt2", ["12345", " 12345"]),
        ("cl100k", ["123", "45", " ", "123", "45"]),
        ("o200k", ["123", "45", " ", "123", "45"]),
        ("qwen", [*"12345", " ", *"12345"]),
    ],
)
def test_split_patterns_cut_digits_as_published(pattern: str, pieces: list[str]) -> None:
    regex = pytest.importorskip("regex", reason="tiktoken's own dependency")
    assert regex.findall(PATTERNS[pattern], "12345 12345") == pieces


def test_a_model_card_opens_its_path_under_its_own_name(tmp_path: Path) -> None:
    byte_level(tmp_path)
    model = ModelSpec(name="mine", source="tokenizer", id=str(tmp_path))
    assert load_tokenizer(model).name == "mine"
    before = fingerprint(model)
    assert before == fingerprint(ModelSpec(name="other", source="checkpoint", id=str(tmp_path / "tokenizer.json")))
    with (tmp_path / "tokenizer.json").open("a") as file:
        file.write("\n")
    assert fingerprint(model) != before


def test_opening_imports_no_transformers_and_naming_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numgeom_plugins.sources.tokenizers as t, numgeom_plugins.probes\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'sentencepiece', 'tiktoken', 'pandas', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        f"t.open_tokenizer(Path({str(byte_level(tmp_path))!r})).encode_number(5)\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['tokenizers']"]


# --- real tokenizers --------------------------------------------------------------------------------


@cache
def opened(path: Path) -> Tokenizer:
    return open_tokenizer(path)


@cache
def coverage(folder: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    return recorded


def one_token(tokenizer: Tokenizer, spec: str) -> list[list[int]]:
    values, _ = number_token_ids(tokenizer, NumberSet.parse(spec))
    return [list(run) for run in runs(values.tolist())]


def first_outside(ranges: list[list[int]]) -> int:
    return ranges[0][1] + 1 if ranges and ranges[0][0] == 0 else 0


def test_every_real_tokenizer_is_tested(shared: Path) -> None:
    assert tuple(sorted(folder.name for folder in (shared / "data/tokenizers").iterdir())) == FOLDERS


@pytest.mark.parametrize("name", FOLDERS)
def test_coverage_of_real_tokenizers(shared: Path, name: str) -> None:
    folder = shared / "data/tokenizers" / name
    tokenizer, recorded = opened(folder), coverage(folder)
    bare, space = one_token(tokenizer, "0..9999"), one_token(tokenizer, "0..9999@space")
    assert bare == recorded["bare_single_token_ranges"]
    assert space == recorded["space_single_token_ranges"]
    assert first_outside(bare) == recorded["smallest_multi_token_bare"]
    assert first_outside(space) == recorded["smallest_multi_token_space"]
    assert tokenizer.vocab_size == recorded["vocab_size"]
    assert (space == bare) == (name in DROPS_SPACES)


@pytest.mark.parametrize("name", FOLDERS)
def test_strict_encoding_of_real_tokenizers(shared: Path, name: str) -> None:
    folder = shared / "data/tokenizers" / name
    tokenizer, recorded = opened(folder), coverage(folder)
    single = [
        n
        for n in range(10_000)
        if len(ids := tokenizer.encode(str(n))) == 1 and tokenizer.token_text(ids[0]).strip() == str(n)
    ]
    expected = recorded.get("strict_encode_single_ranges", recorded["bare_single_token_ranges"])
    assert [list(run) for run in runs(single)] == expected
    assert ("strict_encode_single_ranges" in recorded) == (name in DUMMY_PREFIX)
    assert ("dummy prefix removed" in tokenizer.notes) == (name in DUMMY_PREFIX)


@pytest.mark.parametrize("name", FOLDERS)
def test_numbers_spell_themselves_in_every_form(shared: Path, name: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    for n in (0, 7, 42, 521, 1234, 98765, -5, -521):
        assert "".join(texts(tokenizer, tokenizer.encode_number(n))) == str(n)
        spaced = "".join(texts(tokenizer, tokenizer.encode_number(n, " {n}")))
        assert spaced == (str(n) if name in DROPS_SPACES else f" {n}")
        assert "".join(texts(tokenizer, tokenizer.encode_number(n, "the {n} cats"))).strip() == str(n)


@pytest.mark.parametrize("name", FOLDERS)
def test_real_random_tokens_are_text(shared: Path, name: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    _, numbers = number_token_ids(tokenizer, NumberSet.parse("0..999"))
    drawn = random_token_ids(tokenizer, numbers)
    assert len(drawn) == (1000 if name != "stories260k" else 512 - 259 - 10)
    assert not tokenizer.special_ids & set(drawn.tolist())
    words = texts(tokenizer, drawn.tolist())
    assert not [word for word in words if word.strip().isdigit() or word.startswith(("<|", "<0x", "[unused"))]


def test_two_files_of_one_vocabulary_agree(shared: Path) -> None:
    folder = shared / "data/tokenizers"
    numbers = [*range(-50, 1200), 2020, 99999]
    for whole, parts in (("gpt2", "vocab.json"), ("bert_base_uncased_wordpiece", "vocab.txt")):
        one, other = opened(folder / whole), open_tokenizer(folder / whole / parts)
        assert other.kind != one.kind
        assert other.special_ids == one.special_ids
        for template in ("{n}", " {n}", "n = {n};"):
            assert [one.encode_number(n, template) for n in numbers] == [
                other.encode_number(n, template) for n in numbers
            ]


def test_berts_file_pads_to_128_until_that_is_switched_off(shared: Path) -> None:
    import tokenizers

    path = shared / "data/tokenizers/bert_base_uncased_wordpiece/tokenizer.json"
    assert len(tokenizers.Tokenizer.from_file(str(path)).encode("5").ids) == 128
    tokenizer = opened(path.parent)
    assert texts(tokenizer, tokenizer.encode("5")) == ["5"]
    assert tokenizer.notes == ("fixed padding switched off", "truncation switched off")


def test_llama_2_and_mistral_put_a_space_before_a_number(shared: Path) -> None:
    for name in ("llama2", "mistral_v1", "stories260k"):
        tokenizer = opened(shared / "data/tokenizers" / name)
        assert texts(tokenizer, tokenizer.encode("5")) == [" ", "5"]
        assert texts(tokenizer, tokenizer.encode_number(5)) == ["5"]
        assert texts(tokenizer, tokenizer.encode_number(5, "{n} apples")) == ["5"]


def test_known_splits_of_real_tokenizers(shared: Path) -> None:
    folder = shared / "data/tokenizers"
    for name in ("llama3", "olmo2_dolma2", "cl100k_base"):
        tokenizer = opened(folder / name)
        assert texts(tokenizer, tokenizer.encode_number(1234567)) == ["123", "456", "7"]
        assert texts(tokenizer, tokenizer.encode_number(2020)) == ["202", "0"]
    gpt2 = opened(folder / "gpt2")
    assert texts(gpt2, gpt2.encode_number(1234567)) == ["123", "45", "67"]
    assert gpt2.encode_number(2020) == (42334,)
    assert [gpt2.encode_number(n) for n in range(11)] == [*((15 + n,) for n in range(10)), (940,)]


def test_a_number_inside_a_real_shared_token_is_refused(shared: Path) -> None:
    t5 = opened(shared / "data/tokenizers/t5_translate_spiece")
    with pytest.raises(TokenizerError, match=r"in '\(512\)' the number 512 shares the token ' \(5'"):
        t5.encode_number(512, "({n})")


def test_checkpoint_folders_open(shared: Path) -> None:
    folder = shared / "data/checkpoints/all-MiniLM-L6-v2"
    tokenizer = load_tokenizer(ModelSpec(name="minilm", source="checkpoint", id=str(folder)))
    assert find_tokenizer(folder) == (folder / "tokenizer.json",)
    assert tokenizer.encode_number(341) == opened(shared / "data/tokenizers/bert_base_uncased_wordpiece").encode_number(
        341
    )


# --- faults -----------------------------------------------------------------------------------------


def fault(path: Path) -> str:
    with pytest.raises(TokenizerError) as caught:
        open_tokenizer(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_path_says_what_to_give(tmp_path: Path) -> None:
    assert fault(tmp_path / "none").startswith(f"no file or folder {tmp_path / 'none'}; give the path of a tokenizer")


def test_a_folder_without_tokenizer_lists_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocab.json").write_text("{}")
    message = fault(tmp_path)
    assert message.startswith(f"no tokenizer in {tmp_path}; looked for tokenizer.json, tokenizer.model")
    assert "vocab.json with merges.txt" in message
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert fault(tmp_path).endswith(f"type gguf:{tmp_path / 'm.gguf'}")
    assert "is not a whole GGUF file" in fault(tmp_path / "m.gguf")


def test_two_equal_candidates_must_be_named(tmp_path: Path) -> None:
    tiktoken_file(tmp_path / "a.tiktoken")
    tiktoken_file(tmp_path / "b.tiktoken")
    assert "a.tiktoken, b.tiktoken; name one of them" in fault(tmp_path)
    assert open_tokenizer(tmp_path / "b.tiktoken").kind == "tiktoken"


def test_shifted_sentencepiece_ids_are_not_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sentencepiece.bpe.model").write_bytes(sentencepiece_model())
    assert "put its tokenizer.json into the folder" in fault(tmp_path)
    assert open_tokenizer(tmp_path / "sentencepiece.bpe.model").kind == "sentencepiece"


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer.model", "x.tiktoken", "vocab.txt", "bpe_simple_vocab_16e6.txt.gz"]
)
def test_an_empty_file_says_so(tmp_path: Path, name: str) -> None:
    for content in (b"", b" \n\n"):
        (tmp_path / name).write_bytes(content)
        assert fault(tmp_path) == f"{tmp_path / name} is empty; download it again."


DAMAGED = {
    "no JSON": ("tokenizer.json", b"gibberish", "is not JSON"),
    "half a JSON": ("tokenizer.json", b'{"model": ', "is not JSON"),
    "deep JSON": ("tokenizer.json", b"[" * 100_000, "is not JSON"),
    "no text": ("tokenizer.json", b"\xff\xfe\x00", "is not UTF-8 text (byte 0)"),
    "other JSON": ("tokenizer.json", b'{"version": "1.0"}', "no 'model' table"),
    "newer JSON": ("tokenizer.json", b'{"model": {"type": "Later"}}', "cannot read this tokenizer.json"),
    "no model": ("tokenizer.model", b"gibberish", "not a SentencePiece model"),
    "half a model": ("tokenizer.model", b"\n\x0e\n\x05<unk>\x15", "not a SentencePiece model"),
    "no ranks": ("mine.tiktoken", b"gibberish", "not a tokenizer that numgeom reads"),
    "few ranks": ("mine.tiktoken", b"IQ== 0\nIg== 1\n", "254 of the 256 bytes have no token (first 0x00)"),
    "bad line": ("mine.tiktoken", b"IQ== 0\nIg==\n", "line 2 is not 'BASE64 RANK'"),
    "token twice": ("mine.tiktoken", b"IQ== 0\nIQ== 1\n", "line 2 repeats a token"),
    "rank twice": ("mine.tiktoken", b"IQ== 0\nIg== 0\n", "two tokens have one rank"),
    "other list": ("vocab.txt", b"the\nof\n", "no [UNK] line"),
    "bad gzip": ("bpe_simple_vocab_16e6.txt.gz", b"\x1f\x8b\x08gibberish", "damaged gzip file"),
    "few merges": (
        "bpe_simple_vocab_16e6.txt.gz",
        gzip.compress(b"#version\ni n\nt h\n"),
        "2 merges where CLIP has 48894",
    ),
    "bad merge": ("bpe_simple_vocab_16e6.txt.gz", gzip.compress(b"#version\ni n t\n"), "line 2 of the merges"),
    "something else": ("weights.bin", b"PK\x03\x04", "not a tokenizer that numgeom reads"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, case: str) -> None:
    name, content, says = DAMAGED[case]
    (tmp_path / name).write_bytes(content)
    message = fault(tmp_path / name)
    assert message.startswith(str(tmp_path / name))
    assert says in message


@pytest.mark.parametrize(
    ("vocabulary", "merges", "says"),
    [
        ("gibberish", "a b", "vocab.json is not JSON"),
        ('{"a": "x"}', "a b", "must map tokens to ids"),
        ('{"a": 0, "b": 1}', "a b", "not byte-level BPE"),
        ('{"a": 0, "b": 1, "Ġ": 2}', "a b", "cannot read this tokenizer.json"),
        ('{"a": 0, "b": 1, "Ġ": 2}', "a b c", "line 1 of the merges"),
    ],
)
def test_damaged_vocabulary_and_merges(tmp_path: Path, vocabulary: str, merges: str, says: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (tmp_path / "merges.txt").write_text(merges, encoding="utf-8")
    assert says in fault(tmp_path)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "merges.txt").mkdir()
    assert fault(tmp_path / "vocab.json").startswith(f"cannot read {tmp_path / 'merges.txt'}: Is a directory")
    (tmp_path / "tokenizer.json").symlink_to(tmp_path / "gone")
    assert fault(tmp_path).startswith(f"cannot read {tmp_path / 'tokenizer.json'}: No such file")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(3 << 30)
    assert "has 3.2 GB: no tokenizer" in fault(tmp_path)


def test_a_document_that_breaks_while_encoding_is_an_error(tmp_path: Path) -> None:
    model = {"type": "Unigram", "vocab": [["5", -1.0]], "unk_id": None}
    tokenizer = open_tokenizer(write(tmp_path, {**document({}, []), "model": model}))
    with pytest.raises(TokenizerError, match=r"cannot encode 'x'.*file is damaged"):
        tokenizer.encode("x")


def test_an_incomplete_vocabulary_never_reaches_the_library() -> None:
    with (
        contextlib.redirect_stderr(io.StringIO()) as noise,
        pytest.raises(TokenizerError, match="256 bytes"),
    ):
        TiktokenTokenizer("tiny", {b"5": 0, b"6": 1})
    assert noise.getvalue() == ""
