"""Strings of digits in vocabularies, numbers and "007" alike, and the round trip that makes a token a number."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from numgeom import NumberSet, Tokenizer
from numgeom.testing import FakeTokenizer
from numgeom_plugins.sources.tokenizers import (
    digit_strings,
    number_token_ids,
    open_tokenizer,
    vocabulary_digest,
)

TRIPLES = {f"{n:0{length}}" for length in (1, 2, 3) for n in range(10**length)}
DROPS_SPACES = {"bert_base_uncased_wordpiece", "clip_bpe"}
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


@cache
def opened(path: Path) -> Tokenizer:
    return open_tokenizer(path)


def plain(texts: Iterable[str]) -> set[str]:
    return {text for text in texts if text.isascii() and text.isdigit()}


@pytest.mark.parametrize("name", ["llama3", "cl100k_base", "olmo2_dolma2"])
def test_vocabularies_of_three_digits_hold_1110_digit_strings(shared: Path, name: str) -> None:
    found = digit_strings(opened(shared / "data/tokenizers" / name))
    assert set(found) == TRIPLES
    assert len(found) == 1110
    assert "007" in found
    assert list(found)[:12] == [*"0123456789", "00", "01"]
    assert digit_strings(opened(shared / "data/tokenizers" / name), space=True) == {}


@pytest.mark.parametrize("name", ["llama2", "mistral_v1", "qwen", "deepseek_llm", "starcoder", "stories260k"])
def test_vocabularies_of_single_digits_hold_ten(shared: Path, name: str) -> None:
    assert list(digit_strings(opened(shared / "data/tokenizers" / name))) == list("0123456789")


def test_digit_strings_are_those_that_stand_in_the_files(shared: Path) -> None:
    folder = shared / "data/tokenizers"
    gpt2 = json.loads((folder / "gpt2/vocab.json").read_text(encoding="utf-8"))
    bare, spaced = digit_strings(opened(folder / "gpt2")), digit_strings(opened(folder / "gpt2"), space=True)
    assert dict(bare) == {text: token for text, token in gpt2.items() if plain([text])}
    assert dict(spaced) == {
        text[1:]: token for text, token in gpt2.items() if text[0] == "\u0120" and plain([text[1:]])
    }
    ranks = (folder / "p50k_base/p50k_base.tiktoken").read_bytes().splitlines()
    pieces = {base64.b64decode(line.split()[0]).decode("utf-8", "replace") for line in ranks}
    assert set(digit_strings(opened(folder / "p50k_base"))) == plain(pieces)
    words = (folder / "bert_base_uncased_wordpiece/vocab.txt").read_text(encoding="utf-8").split("\n")
    bert = digit_strings(opened(folder / "bert_base_uncased_wordpiece"))
    assert set(bert) == plain(words)  # and not "##7", whose text is 7 too
    assert all(words[token] == text for text, token in bert.items())


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("form", ["bare", "space"])
def test_numbers_that_are_one_token_are_digit_strings_with_the_same_ids(shared: Path, name: str, form: str) -> None:
    tokenizer = opened(shared / "data/tokenizers" / name)
    found = digit_strings(tokenizer, space=form == "space")
    values, ids = number_token_ids(tokenizer, NumberSet.parse(f"0..999@{form}"))
    assert {str(value): found[str(value)] for value in values} == {
        str(value): token for value, token in zip(values, ids, strict=True)
    }
    before = " " if form == "space" and name not in DROPS_SPACES else ""
    assert all(tokenizer.token_text(token) == before + text for text, token in found.items())
    assert not set(found.values()) & tokenizer.special_ids


def test_special_tokens_and_other_scripts_are_no_digit_strings() -> None:
    class Odd(FakeTokenizer):
        def token_text(self, token_id: int) -> str:
            return {5: "\u0663", 6: "\u00b2", 7: "1.5", 8: "-7", 0: "42"}.get(token_id, "x")

    assert digit_strings(Odd(single=())) == {}


def test_the_digest_of_a_vocabulary_tells_vocabularies_apart(shared: Path) -> None:
    folder = shared / "data/tokenizers"
    digests = {name: vocabulary_digest(opened(folder / name)) for name in FOLDERS}
    # NeoX's vocabulary and OLMo's are one but for OLMo's added tokens; Llama-2's and Mistral's are not.
    assert len(set(digests.values())) == len(FOLDERS)
    assert vocabulary_digest(open_tokenizer(folder / "gpt2/vocab.json")) == digests["gpt2"]
