"""tokenizer.json, and every format that can be written as one, through the ``tokenizers`` library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from numgeom import TokenizerError
from numgeom_plugins.sources.tokenizers.base import FileTokenizer, is_fallback_byte, is_marker

METASPACE = "\u2581"


class FastTokenizer(FileTokenizer):
    """A tokenizer.json document.

    Fixed padding and truncation are switched off and special tokens are never added.

    Parameters
    ----------
    name, kind : str
    text : str
        The document.
    notes : tuple of str

    Raises
    ------
    TokenizerError
        If the text is not a tokenizer.json document.
    """

    def __init__(self, name: str, text: str, *, kind: str = "tokenizer.json", notes: tuple[str, ...] = ()) -> None:
        super().__init__(name, kind)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TokenizerError(f"{name}: tokenizer.json is not JSON ({error}); download it again.") from error
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            raise TokenizerError(
                f"{name}: this JSON file has no 'model' table, so it is no tokenizer.json; "
                "give the path of the tokenizer.json itself."
            )
        if document["model"].get("dropout"):
            # BPE dropout draws merges at random while training; a measurement must not.
            document["model"]["dropout"] = None
            text = json.dumps(document)
            notes += ("BPE dropout switched off",)
        self._backend = _load(name, text)
        notes += tuple(
            f"{what} switched off"
            for what, key in (("fixed padding", "padding"), ("truncation", "truncation"))
            if document.get(key)
        )
        plain = _without_dummy_prefix(document)
        self._dummy = plain != document
        self._raw = _load(name, json.dumps(plain)) if self._dummy else self._backend
        if self._dummy:
            notes += ("dummy prefix removed",)
        self.notes = notes

        vocabulary: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        self._pieces = {token: piece for piece, token in vocabulary.items()}
        self.vocab_size = len(self._pieces)
        added = {int(entry["id"]) for entry in document.get("added_tokens") or ()}
        model = document["model"]
        self._byte_level = any(part.get("type") == "ByteLevel" for part in _components(document))
        self._prefix = model.get("continuing_subword_prefix") or ""
        self._suffix = model.get("end_of_word_suffix") or ""
        self._added = frozenset(added)
        self.special_ids = frozenset(
            token
            for token, piece in self._pieces.items()
            if token in added or is_marker(piece) or (self._byte_level and is_fallback_byte(self._bytes(token)))
        ) | frozenset(_unknown_ids(model, vocabulary))
        # Ids that the file skips are unused.
        self.special_ids |= frozenset(range(self.vocab_size)).difference(self._pieces)

    @property
    def has_dummy_prefix(self) -> bool:
        """Whether the document prepends a space to the text."""
        return self._dummy

    def encode(self, text: str) -> tuple[int, ...]:
        """What the document itself gives for ``text``."""
        return self._encode(self._backend, text)

    def _encode_raw(self, text: str) -> tuple[int, ...]:
        return self._encode(self._raw, text)

    def _encode(self, backend: Any, text: str) -> tuple[int, ...]:
        try:
            return tuple(backend.encode(text, add_special_tokens=False).ids)
        except BaseException as error:
            if not _is_fault_of_file(error):
                raise
            raise TokenizerError(
                f"{self.name}: the tokenizer cannot encode {text!r} ({error}); its file is damaged, download it again."
            ) from error

    def _bytes(self, token_id: int) -> bytes:
        piece = self._pieces[token_id]
        if token_id in self._added:
            return piece.encode()
        piece = piece.removesuffix(self._suffix) if self._suffix else piece
        if self._prefix and len(piece) > len(self._prefix):
            piece = piece.removeprefix(self._prefix)
        if self._byte_level:
            table = byte_of_character()
            if all(character in table for character in piece):
                return bytes(table[character] for character in piece)
            return piece.encode()
        return piece.replace(METASPACE, " ").encode()


@cache
def byte_of_character() -> Mapping[str, int]:
    """The printable characters by which byte-level vocabularies write the 256 bytes (Radford et al. 2019).

    Examples
    --------
    >>> byte_of_character()["Ġ"], byte_of_character()["5"]
    (32, 53)
    """
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(256 + rank): byte for rank, byte in enumerate(hidden)}


def _load(name: str, text: str) -> Any:
    import tokenizers

    try:
        backend = tokenizers.Tokenizer.from_str(text)
    except BaseException as error:
        if not _is_fault_of_file(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TokenizerError(
            f"{name}: tokenizers {tokenizers.__version__} cannot read this tokenizer.json ({reason}); "
            "download it again, or type: pip install -U tokenizers"
        ) from error
    backend.no_padding()
    backend.no_truncation()
    return backend


def _is_fault_of_file(error: BaseException) -> bool:
    """The library raises plain exceptions for bad documents, and panics outside ``Exception`` for worse ones."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _without_dummy_prefix(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **document,
        "normalizer": _unprefixed(document.get("normalizer")),
        "pre_tokenizer": _unprefixed(document.get("pre_tokenizer")),
    }


def _unprefixed(component: Any) -> Any:
    """A normaliser or pre-tokeniser with every step that prepends a space taken out."""
    if not isinstance(component, dict):
        return component
    kind = component.get("type")
    if kind == "Prepend":
        return None
    if kind == "Metaspace":
        # Old files say add_prefix_space, new ones prepend_scheme; without either the library prepends.
        if component.get("prepend_scheme") == "never" or component.get("add_prefix_space") is False:
            return component
        kept = {key: value for key, value in component.items() if key != "add_prefix_space"}
        return {**kept, "prepend_scheme": "never"}
    if kind == "ByteLevel" and component.get("add_prefix_space"):
        return {**component, "add_prefix_space": False}
    for steps in ("normalizers", "pretokenizers"):
        if isinstance(component.get(steps), list):
            left = [_unprefixed(step) for step in component[steps]]
            return {**component, steps: [step for step in left if step is not None]}
    return component


def _components(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every step of a document's normaliser, pre-tokeniser and decoder."""
    waiting: list[Any] = [document.get(part) for part in ("normalizer", "pre_tokenizer", "decoder")]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            for steps in ("normalizers", "pretokenizers", "decoders"):
                waiting.extend(part.get(steps) or ())


def _unknown_ids(model: Mapping[str, Any], vocabulary: Mapping[str, int]) -> Iterator[int]:
    unknown = model.get("unk_token")
    if isinstance(unknown, str) and unknown in vocabulary:
        yield vocabulary[unknown]
    if isinstance(model.get("unk_id"), int):
        yield model["unk_id"]
