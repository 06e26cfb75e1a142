"""SentencePiece models: ``tokenizer.model``, ``spiece.model``."""

from __future__ import annotations

from numgeom import TokenizerError
from numgeom_plugins.sources.tokenizers.base import FileTokenizer, is_marker
from numgeom_plugins.sources.tokenizers.fast import METASPACE

# A serialized ModelProto that holds only normalizer_spec (field 3) with add_dummy_prefix (3) and
# remove_extra_whitespaces (4) false. Protocol Buffers merge concatenated messages, the last scalar
# winning, so appending it switches both off in every version of the library.
WHITESPACE_AS_WRITTEN = b"\x1a\x04\x18\x00\x20\x00"


class SentencePieceTokenizer(FileTokenizer):
    """A SentencePiece model (Kudo & Richardson 2018, arXiv:1808.06226).

    Parameters
    ----------
    name : str
    model : bytes
        The serialized model.
    notes : tuple of str

    Raises
    ------
    TokenizerError
        If the bytes are not a SentencePiece model.
    """

    def __init__(self, name: str, model: bytes, *, notes: tuple[str, ...] = ()) -> None:
        from sentencepiece import SentencePieceProcessor

        super().__init__(name, "sentencepiece")
        try:
            self._strict = SentencePieceProcessor(model_proto=model)
            self._raw = SentencePieceProcessor(model_proto=model + WHITESPACE_AS_WRITTEN)
            self.vocab_size = int(self._strict.get_piece_size())
            ids = range(self.vocab_size)
            self._texts = [str(piece) for piece in self._strict.id_to_piece(list(ids))]
        except (RuntimeError, ValueError, TypeError) as error:
            raise TokenizerError(
                f"{name}: not a SentencePiece model, or a damaged one; download the file again."
            ) from error
        if not self._texts:
            raise TokenizerError(f"{name}: this SentencePiece model holds no pieces; download the file again.")
        processor = self._strict
        self.special_ids = frozenset(
            token
            for token in ids
            if processor.is_control(token)
            or processor.is_unknown(token)
            or processor.is_unused(token)
            or processor.is_byte(token)
            or is_marker(self._texts[token])
        )
        self._dummy = self.encode("5") != self._encode_raw("5")
        self.notes = notes + (("dummy prefix removed",) if self._dummy else ())

    @property
    def has_dummy_prefix(self) -> bool:
        """Whether the model prepends a space to the text."""
        return self._dummy

    def encode(self, text: str) -> tuple[int, ...]:
        """What the model itself gives for ``text``."""
        return tuple(self._strict.encode(text, out_type=int))

    def _encode_raw(self, text: str) -> tuple[int, ...]:
        return tuple(self._raw.encode(text, out_type=int))

    def _bytes(self, token_id: int) -> bytes:
        if not 0 <= token_id < self.vocab_size:
            raise KeyError(token_id)
        return self._texts[token_id].replace(METASPACE, " ").encode()
