"""Older vocabulary files rewritten as tokenizer.json documents: WordPiece, byte-level BPE, CLIP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numgeom import TokenizerError
from numgeom_plugins.sources.tokenizers.base import is_marker
from numgeom_plugins.sources.tokenizers.fast import byte_of_character
from numgeom_plugins.sources.tokenizers.tiktokens import PATTERNS

# CLIP's list of merges is longer than its vocabulary: 256 bytes, each also as the end of a word, then
# merges, then two marks make 49,408 entries (Radford et al. 2021, arXiv:2103.00020).
_CLIP_MERGES = 49152 - 256 - 2
_CLIP_MARKS = ("<|startoftext|>", "<|endoftext|>")
_CLIP_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def word_piece(name: str, text: str, settings: Mapping[str, Any]) -> str:
    """The document of a ``vocab.txt``, one WordPiece entry a line.

    Parameters
    ----------
    name : str
    text : str
        The file.
    settings : mapping
        ``tokenizer_config.json``; without ``do_lower_case`` the vocabulary itself tells: one that
        holds no capital letter was lower-cased.

    Raises
    ------
    TokenizerError
        If there is no ``[UNK]`` line.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    vocabulary = {line: rank for rank, line in enumerate(lines)}
    if "[UNK]" not in vocabulary:
        raise TokenizerError(
            f"{name}: this vocab.txt has no [UNK] line, so it is no WordPiece vocabulary; give the tokenizer.json."
        )
    lower = settings.get("do_lower_case")
    if not isinstance(lower, bool):
        lower = not any(line != line.lower() for line in lines if not is_marker(line))
    return _document(
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lower,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        marks={line: rank for line, rank in vocabulary.items() if is_marker(line) and "unused" not in line},
    )


def byte_pairs(name: str, vocabulary_text: str, merges_text: str, settings: Mapping[str, Any]) -> str:
    """The document of ``vocab.json`` with ``merges.txt``.

    Raises
    ------
    TokenizerError
        If the files are damaged, or are not byte-level BPE, whose splitting is known.
    """
    try:
        vocabulary = json.loads(vocabulary_text)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{name}: vocab.json is not JSON ({error}); download it again.") from error
    if not isinstance(vocabulary, dict) or not all(type(rank) is int and rank >= 0 for rank in vocabulary.values()):
        raise TokenizerError(f"{name}: vocab.json must map tokens to ids; download it again.")
    if "<|startoftext|>" in vocabulary and "a</w>" in vocabulary:
        return _clip(vocabulary, _merges(name, merges_text))
    if not any(token.startswith("Ġ") for token in vocabulary):
        raise TokenizerError(
            f"{name}: vocab.json is not byte-level BPE (no token begins with Ġ), and how its words are split "
            "is not in the file; give the tokenizer.json."
        )
    prefix = bool(settings.get("add_prefix_space"))
    pre_tokenizer: dict[str, Any] = {**_BYTE_LEVEL, "add_prefix_space": prefix}
    if str(settings.get("tokenizer_class", "")).startswith("Qwen"):
        pre_tokenizer = _split_first(PATTERNS["qwen"], "Isolated", {**pre_tokenizer, "use_regex": False})
    return _document(
        model=_bpe(vocabulary, _merges(name, merges_text)),
        normalizer=None,
        pre_tokenizer=pre_tokenizer,
        decoder=_BYTE_LEVEL,
        marks={token: rank for token, rank in vocabulary.items() if is_marker(token)},
    )


def byte_pair_document(
    vocabulary: Mapping[str, int],
    merges: Sequence[str],
    *,
    patterns: Sequence[str],
    whole_words: bool,
    marks: Mapping[str, int],
) -> str:
    """The document of a byte-level vocabulary whose splitting is known.

    Parameters
    ----------
    vocabulary : mapping of str to int
    merges : sequence of str
        Two tokens with a space between them, the first merge first.
    patterns : sequence of str
        Regular expressions; text is cut at the matches of each in turn.
    whole_words : bool
        Whether a word that is in the vocabulary is one token, whatever the merges.
    marks : mapping of str to int
        Tokens that no text is merged into.
    """
    steps = [_split(pattern, "Isolated") for pattern in patterns]
    return _document(
        model={**_bpe(vocabulary, merges), "ignore_merges": whole_words},
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*steps, {**_BYTE_LEVEL, "use_regex": False}]},
        decoder=_BYTE_LEVEL,
        marks=marks,
    )


def clip(name: str, text: str) -> str:
    """The document of CLIP's ``bpe_simple_vocab_*.txt``, a list of merges.

    Raises
    ------
    TokenizerError
        If it holds too few merges.
    """
    merges = _merges(name, text, at_most=_CLIP_MERGES)
    if len(merges) < _CLIP_MERGES:
        raise TokenizerError(
            f"{name}: {len(merges)} merges where CLIP has {_CLIP_MERGES}; download bpe_simple_vocab_16e6.txt.gz again."
        )
    characters = list(byte_of_character())
    entries = [
        *characters,
        *(f"{character}</w>" for character in characters),
        *(merge.replace(" ", "") for merge in merges),
        *_CLIP_MARKS,
    ]
    return _clip({entry: rank for rank, entry in enumerate(entries)}, merges)


def _clip(vocabulary: Mapping[str, int], merges: Sequence[str]) -> str:
    return _document(
        model={**_bpe(vocabulary, merges), "end_of_word_suffix": "</w>", "unk_token": _CLIP_MARKS[1]},
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        pre_tokenizer=_split_first(_CLIP_PATTERN, "Removed", _BYTE_LEVEL, invert=True),
        decoder=_BYTE_LEVEL,
        marks={mark: vocabulary[mark] for mark in _CLIP_MARKS if mark in vocabulary},
    )


def _merges(name: str, text: str, at_most: int | None = None) -> list[str]:
    merges: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        # Only the first line is a comment: "#version" and "# #" are alike otherwise.
        if not line or (number == 1 and line.startswith(("#version", '"'))):
            continue
        if at_most is not None and len(merges) == at_most:
            break
        if len(line.split(" ")) != 2:
            raise TokenizerError(f"{name}: line {number} of the merges is not two tokens; download the file again.")
        merges.append(line)
    return merges


def _bpe(vocabulary: Mapping[str, int], merges: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": vocabulary,
        "merges": merges,
    }


def _split_first(pattern: str, behavior: str, then: Mapping[str, Any], *, invert: bool = False) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": [_split(pattern, behavior, invert=invert), then]}


def _split(pattern: str, behavior: str, *, invert: bool = False) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def _document(*, model: Any, normalizer: Any, pre_tokenizer: Any, decoder: Any, marks: Mapping[str, int]) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": list(_added(sorted(marks.items(), key=lambda item: item[1]))),
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": None,
            "decoder": decoder,
            "model": model,
        }
    )


def _added(marks: Iterable[tuple[str, int]]) -> Iterable[dict[str, Any]]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for content, rank in marks:
        yield {"id": rank, "content": content, "special": True, **flags}
