"""The tokenizer inside a GGUF file, rewritten in the form of the library that it came from.

Byte-pair vocabularies (``gpt2``) and WordPiece (``bert``) become tokenizer.json documents, SentencePiece
vocabularies (``llama``, ``t5``) a SentencePiece model: the same pieces, scores and types, so the library gives the
same ids.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numgeom import SourceError, TokenizerError
from numgeom_plugins.sources.gguf_file import GgufFile
from numgeom_plugins.sources.tokenizers import documents
from numgeom_plugins.sources.tokenizers.base import FileTokenizer
from numgeom_plugins.sources.tokenizers.fast import METASPACE, FastTokenizer
from numgeom_plugins.sources.tokenizers.sentencepieces import SentencePieceTokenizer
from numgeom_plugins.sources.tokenizers.tiktokens import PATTERNS

# Types of a token, the same numbers as in SentencePiece.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_UNIGRAM, _BPE = 1, 2

_DIGIT, _WORDS = r"\p{N}", PATTERNS["gpt2"]
_PUNCTUATION = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
_BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
# How text is split before merging, one pattern after the other, by the name in tokenizer.ggml.pre.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "gpt2": (_WORDS,),
    "cl100k": (PATTERNS["cl100k"],),
    "qwen": (PATTERNS["qwen"],),
    "o200k": (PATTERNS["o200k"],),
    "tekken": (PATTERNS["o200k"].replace(r"\p{N}{1,3}", _DIGIT),),
    "digits": (_DIGIT, _WORDS),
    "deepseek_llm": (r"[\r\n]", r"\s?[\p{Lu}\p{Ll}\p{Lt}]+", _PUNCTUATION, r"\s+$", _DIGIT),
    "deepseek_coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _DIGIT),
    "deepseek_v3": (r"\p{N}{1,3}", PATTERNS["cl100k"]),
    "falcon": (r"[\p{P}\$\+<=>\^~\|`]+", _WORDS, "[0-9][0-9][0-9]"),
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _WORDS, r"\p{N}+", "[0-9][0-9][0-9]"),
    "bloom": (_BLOOM,),
    "viking": (_BLOOM, _DIGIT),
}
_FAMILIES = {
    "gpt2": "gpt-2 phi-2 mpt olmo jais gigachat roberta-bpe jina-es jina-de jina-v1-en jina-v2-es jina-v2-de "
    "jina-v2-code trillion granite-docling",
    "cl100k": "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe glm4 "
    "chatglm-bpe hunyuan",
    "qwen": "qwen2 stablelm2 deepseek-r1-qwen megrez rwkv7 hunyuan-dense",
    "o200k": "gpt-4o llama4",
    "tekken": "tekken",
    "digits": "starcoder refact command-r smollm codeshell exaone minerva-7b",
    "deepseek_llm": "deepseek-llm",
    "deepseek_coder": "deepseek-coder",
    "deepseek_v3": "deepseek-v3",
    "falcon": "falcon",
    "default": "default",
    "bloom": "bloom gpt3-finnish poro-chat",
    "viking": "viking",
}
_FAMILY_OF = {pre: family for family, names in _FAMILIES.items() for pre in names.split()}
# These vocabularies hold whole words that no chain of merges reaches.
_WHOLE_WORDS = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "tekken", "llama4"})


def open_gguf(path: Path) -> FileTokenizer:
    """The tokenizer of a GGUF file; no tensor is read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    FileTokenizer
        A note says where the splitting of text before merging had to be assumed.

    Raises
    ------
    TokenizerError
        If the file is damaged, holds no tokenizer, or one of a kind that is not read.

    Examples
    --------
    >>> import tempfile
    >>> from gguf import GGUFWriter
    >>> path = Path(tempfile.mkdtemp()) / "m.gguf"
    >>> writer = GGUFWriter(path, "bert")
    >>> writer.add_tokenizer_model("bert")
    >>> writer.add_token_list(["[UNK]", *(f"▁{digit}" for digit in range(10)), "▁12", "0"])
    >>> writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.close()
    >>> tokenizer = open_gguf(path)
    >>> [tokenizer.token_text(token) for token in tokenizer.encode_number(120)]
    ['12', '0']
    """
    try:
        file = GgufFile(path)
    except SourceError as error:
        raise TokenizerError(str(error)) from error
    where, model = str(path), file.text("tokenizer.ggml.model")
    whole = file.text("tokenizer.huggingface.json")
    if whole:
        return FastTokenizer(where, whole, kind="gguf tokenizer.json")
    if model not in ("gpt2", "llama", "t5", "bert"):
        held = f"a tokenizer of the kind {model!r}" if model else "no tokenizer"
        raise TokenizerError(
            f"{where} holds {held}; those of the kinds gpt2, llama, t5 and bert are read: give a folder with the "
            "model's own tokenizer.json instead."
        )
    tokens = _texts(where, file, "tokens")
    if not tokens:
        raise TokenizerError(f"{where} holds a tokenizer without tokens; download it again.")
    types = _numbers(where, file, "token_type", len(tokens)) or [NORMAL] * len(tokens)
    if model == "bert":
        return _word_piece(where, tokens)
    if model == "gpt2":
        return _byte_pairs(where, file, _unique(tokens), types)
    return _sentence_pieces(where, file, tokens, types)


def _byte_pairs(where: str, file: GgufFile, tokens: Sequence[str], types: Sequence[int]) -> FileTokenizer:
    pre = file.text("tokenizer.ggml.pre") or "default"
    vocabulary = {token: rank for rank, token in enumerate(tokens)}
    family = _FAMILY_OF.get(pre) or _assumed(vocabulary)
    notes = () if pre in _FAMILY_OF else (f"splitting of the kind {pre!r} is not known: {family} assumed",)
    document = documents.byte_pair_document(
        vocabulary,
        _texts(where, file, "merges"),
        patterns=_STEPS[family],
        whole_words=pre in _WHOLE_WORDS,
        marks={tokens[rank]: rank for rank, kind in enumerate(types) if kind not in (NORMAL, BYTE)},
    )
    return FastTokenizer(where, document, kind="gguf gpt2", notes=notes)


def _assumed(vocabulary: Mapping[str, int]) -> str:
    """The splitting that a vocabulary shows: spaced numbers need GPT-2's, three digits as one cl100k's."""
    if "Ġ10" in vocabulary:
        return "gpt2"
    return "cl100k" if sum(str(number) in vocabulary for number in range(100, 1000)) > 450 else "digits"


def _word_piece(where: str, tokens: Sequence[str]) -> FileTokenizer:
    """Words begin with a phantom space there, and continuations with nothing."""
    if any("\n" in token for token in tokens):
        raise TokenizerError(f"{where}: a WordPiece token holds a line break; download the file again.")
    plain = [
        token.removeprefix(METASPACE)
        if token.startswith(METASPACE) or (token.startswith("[") and token.endswith("]"))
        else f"##{token}"
        for token in tokens
    ]
    return FastTokenizer(where, documents.word_piece(where, "\n".join(plain), {}), kind="gguf bert")


def _sentence_pieces(where: str, file: GgufFile, tokens: Sequence[str], types: Sequence[int]) -> FileTokenizer:
    scores = _numbers(where, file, "scores", len(tokens)) or [0.0] * len(tokens)
    unigram = file.text("tokenizer.ggml.model") == "t5"
    charsmap = file.values.get("tokenizer.ggml.precompiled_charsmap", ())
    normalizer = b"".join(
        [
            _field(2, bytes(bytearray(charsmap))) if len(charsmap) and not isinstance(charsmap, str) else b"",
            _flag(3, file.values.get("tokenizer.ggml.add_space_prefix", True)),
            _flag(4, file.values.get("tokenizer.ggml.remove_extra_whitespaces", False)),
        ]
    )
    pieces = [
        _field(1, _field(1, token.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + _varint(kind))
        for token, score, kind in zip(tokens, scores, types, strict=True)
    ]
    trainer = b"\x18" + _varint(_UNIGRAM if unigram else _BPE) + _flag(35, BYTE in types)
    model = b"".join([*pieces, _field(2, trainer), _field(3, normalizer)])
    tokenizer = SentencePieceTokenizer(where, model)
    tokenizer.kind = "gguf t5" if unigram else "gguf llama"
    return tokenizer


def _texts(where: str, file: GgufFile, what: str) -> list[str]:
    """An array of text; empty where there is none."""
    held = file.values.get(f"tokenizer.ggml.{what}", [])
    if not isinstance(held, list) or not all(isinstance(text, bytes) for text in held):
        raise TokenizerError(f"{where}: its tokenizer.ggml.{what} are not text; download it again.")
    try:
        return [text.decode("utf-8") for text in held]
    except UnicodeDecodeError:
        raise TokenizerError(f"{where}: its tokenizer.ggml.{what} are not UTF-8; download it again.") from None


def _numbers(where: str, file: GgufFile, what: str, count: int) -> list[Any]:
    """An array with a number for each token; empty where there is none."""
    held = file.values.get(f"tokenizer.ggml.{what}")
    if held is None:
        return []
    numbers = [] if isinstance(held, (str, list)) or not hasattr(held, "tolist") else held.tolist()
    kinds = what != "token_type" or all(type(number) is int and number in range(7) for number in numbers)
    if len(numbers) != count or not kinds:
        raise TokenizerError(
            f"{where}: its tokenizer.ggml.{what} are not one for each of its {count:,} tokens; download it again."
        )
    return numbers


def _unique(tokens: Sequence[str]) -> list[str]:
    """Tokens with those that repeat an earlier one marked: no text leads to their ids."""
    seen: set[str] = set()
    named = []
    for rank, token in enumerate(tokens):
        named.append(f"<repeated_{rank}>" if token in seen else token)
        seen.add(token)
    return named


def _varint(value: int) -> bytes:
    """A whole number as Protocol Buffers write it: seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _flag(number: int, value: Any) -> bytes:
    return _varint(number << 3) + _varint(int(bool(value)))
