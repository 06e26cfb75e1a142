"""From a path to a tokenizer: which file of a folder it is, and what format its content has."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from numgeom import ModelSpec, SourceError, Tokenizer, TokenizerError
from numgeom_plugins.sources.fingerprint import fingerprint_files
from numgeom_plugins.sources.gguf_file import MAGIC
from numgeom_plugins.sources.links import confined

# In order of preference; a pattern may match one file only.
_LOOKED_FOR = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "tokenizer.model.*",
    "*.model",
    "*.tiktoken",
    "vocab.txt",
    "vocab.json",
    "encoder.json",
    "bpe_simple_vocab_*.txt.gz",
)
_MERGES_OF = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
_VOCABULARY_OF = {merges: vocabulary for vocabulary, merges in _MERGES_OF.items()}
_READABLE = (
    "tokenizer.json, tokenizer.model, spiece.model, *.model, *.tiktoken, vocab.txt, "
    "vocab.json with merges.txt, bpe_simple_vocab_*.txt.gz"
)
_CONFIG = "tokenizer_config.json"
_HEAD = 4096
_LARGEST = 1 << 27  # the largest vocabularies in use have 35 MB
_LARGEST_UNZIPPED = 1 << 24


def open_tokenizer(path: Path, *, name: str | None = None) -> Tokenizer:
    r"""Open a tokenizer, whatever its format.

    Parameters
    ----------
    path : Path
        A folder, searched for ``tokenizer.json``, then ``tokenizer.model`` and other SentencePiece
        or tiktoken files, ``vocab.txt``, ``vocab.json`` with ``merges.txt``, and CLIP's
        ``bpe_simple_vocab_*.txt.gz``; or one of those files, or a GGUF file. Content decides, not the suffix.
    name : str, optional
        How tables call it; by default the last part of the path.

    Returns
    -------
    Tokenizer

    Raises
    ------
    TokenizerError
        If there is none, or it cannot be read.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> vocabulary = ["[UNK]", *(str(digit) for digit in range(10)), "##0", "12"]
    >>> _ = (folder / "vocab.txt").write_text("\n".join(vocabulary))
    >>> tokenizer = open_tokenizer(folder, name="tiny")
    >>> [tokenizer.token_text(token) for token in tokenizer.encode_number(120)]
    ['12', '0']
    """
    path = Path(path)
    files = find_tokenizer(path)
    return _open(files[0], files[1:], name or path.name or str(path))


def load_tokenizer(model: ModelSpec) -> Tokenizer:
    """The tokenizer of a model whose ``id`` is a path: ``tokenizer:PATH``, or a checkpoint folder.

    Raises
    ------
    TokenizerError
        As :func:`open_tokenizer`.
    """
    return open_tokenizer(Path(model.id).expanduser(), name=model.name)


def fingerprint(model: ModelSpec) -> str:
    """A digest of the files that :func:`load_tokenizer` reads, 32 hexadecimal digits.

    Raises
    ------
    TokenizerError
        If there is no tokenizer, or it cannot be read.
    """
    state = hashlib.blake2b(digest_size=16)
    for file in find_tokenizer(Path(model.id).expanduser()):
        content = fingerprint_files([file]).encode() if _is_gguf(file) else _read(file)
        state.update(hashlib.blake2b(content).digest())
    return state.hexdigest()


def find_tokenizer(path: Path) -> tuple[Path, ...]:
    """The files that make a tokenizer: the main one, then those that it is read with.

    Raises
    ------
    TokenizerError
        If there is none, or several are equally good.
    """
    if path.is_file():
        return _with_companions(path)
    if not path.is_dir():
        raise TokenizerError(f"no file or folder {path}; give the path of a tokenizer ({_READABLE}) or of its folder.")
    try:
        # Not glob: it passes over links whose target is gone, which are worth a word of their own.
        files = sorted(file for file in path.iterdir() if not file.is_dir())
    except OSError as error:
        raise TokenizerError(f"cannot read {path}: {error.strerror or error}; check its rights.") from error
    for pattern in _LOOKED_FOR:
        found = [file for file in files if fnmatchcase(file.name, pattern)]
        if pattern in _MERGES_OF:
            found = [file for file in found if (path / _MERGES_OF[pattern]).is_file()]
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise TokenizerError(f"several tokenizers in {path}: {names}; name one of them, as in {found[0]}.")
        if found:
            _confined(found[0])
            if found[0].name == "sentencepiece.bpe.model":
                # fairseq's checkpoints shift the ids of this file, each family by its own rule.
                raise TokenizerError(
                    f"{found[0]}: the model beside it numbers these pieces in its own way; put its tokenizer.json "
                    "into the folder, or give this file's own path to probe it without rows."
                )
            return _with_companions(found[0])
    ggufs = [file for file in files if file.suffix == ".gguf"]
    hint = f" It holds a GGUF file: type gguf:{ggufs[0]}" if ggufs else ""
    raise TokenizerError(f"no tokenizer in {path}; looked for {_READABLE}; put one of them there.{hint}")


def _with_companions(file: Path) -> tuple[Path, ...]:
    if file.name in _VOCABULARY_OF:
        file = file.with_name(_VOCABULARY_OF[file.name])
    files = [file]
    if file.name in _MERGES_OF:
        files.append(file.with_name(_MERGES_OF[file.name]))
    config = file.with_name(_CONFIG)
    if (file.name in _MERGES_OF or file.suffix == ".txt") and config.is_file():
        files.append(config)
    for companion in files[1:]:
        _confined(companion)
    return tuple(files)


def _confined(file: Path) -> None:
    try:
        confined(file, file.parent)
    except SourceError as error:
        raise TokenizerError(str(error)) from error


def _open(file: Path, companions: tuple[Path, ...], name: str) -> Tokenizer:
    from numgeom_plugins.sources.tokenizers import documents
    from numgeom_plugins.sources.tokenizers.fast import FastTokenizer
    from numgeom_plugins.sources.tokenizers.ggufs import open_gguf
    from numgeom_plugins.sources.tokenizers.sentencepieces import SentencePieceTokenizer
    from numgeom_plugins.sources.tokenizers.tiktokens import TiktokenTokenizer, looks_like_ranks, parse_ranks

    where = str(file)
    if _is_gguf(file):
        return _renamed(open_gguf(file), name)
    content = _read(file)
    head = content[:_HEAD]
    if not content.strip():
        raise TokenizerError(f"{where} is empty; download it again.")
    if file.name in _MERGES_OF:
        merges = _text(companions[0], _read(companions[0]))
        document = documents.byte_pairs(where, _text(file, content), merges, _settings(companions))
        return _renamed(FastTokenizer(where, document, kind=f"{file.name} + {companions[0].name}"), name)
    if head.startswith(b"\x1f\x8b"):
        return _renamed(FastTokenizer(where, documents.clip(where, _unzip(file, content)), kind="clip"), name)
    if head.lstrip().startswith(b"{") or file.suffix == ".json":
        return _renamed(FastTokenizer(where, _text(file, content)), name)
    if looks_like_ranks(head):
        ranks = parse_ranks(where, content)
        return _renamed(TiktokenTokenizer(where, ranks, file_name=file.name), name)
    if file.suffix == ".txt":
        document = documents.word_piece(where, _text(file, content), _settings(companions))
        return _renamed(FastTokenizer(where, document, kind="vocab.txt"), name)
    # The first field of a SentencePiece model is a piece: tag 1, length-delimited, the byte of a new line.
    if head.startswith(b"\n") or file.suffix == ".model":
        return _renamed(SentencePieceTokenizer(where, content), name)
    raise TokenizerError(f"{where}: not a tokenizer that numgeom reads; give one of {_READABLE}.")


def _renamed(tokenizer: Any, name: str) -> Tokenizer:
    """Errors while reading name the file; those of use name the model."""
    tokenizer.name = name
    renamed: Tokenizer = tokenizer
    return renamed


def _is_gguf(file: Path) -> bool:
    """Whether it is a model with its weights, of which only the header may be read."""
    if not file.is_file():
        return False
    try:
        with open(file, "rb") as opened:
            return opened.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # reading it says what is wrong


def _read(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if not file.is_file() and not file.is_dir():  # a pipe would be waited for, a device never ends
            raise TokenizerError(f"{file} is no regular file; give one of {_READABLE}.")
        if size > _LARGEST:
            raise TokenizerError(f"{file} has {size / 1e9:.1f} GB: no tokenizer; give one of {_READABLE}.")
        return file.read_bytes()
    except OSError as error:
        raise TokenizerError(
            f"cannot read {file}: {error.strerror or error}; check the path and its rights."
        ) from error


def _text(file: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{file} is not UTF-8 text (byte {error.start}); download it again.") from error


def _unzip(file: Path, content: bytes) -> str:
    import gzip
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _text(file, stream.read(_LARGEST_UNZIPPED))
    except (OSError, EOFError, zlib.error) as error:
        raise TokenizerError(f"{file} is a damaged gzip file ({error}); download it again.") from error


def _settings(companions: tuple[Path, ...]) -> Mapping[str, Any]:
    """tokenizer_config.json, where there is one that can be read: it refines, it is never needed."""
    for file in companions:
        if file.name == _CONFIG:
            try:
                settings = json.loads(_read(file))
            except (ValueError, RecursionError):
                return {}
            return settings if isinstance(settings, dict) else {}
    return {}
