"""What the tokenizers of every file format share: the written forms of a number."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from numgeom import TokenizerError
from numgeom.numbers import BARE, SPACE

MOST_REMEMBERED = 1 << 18

# Names by which vocabularies mark entries that are not text, where the format itself does not say so.
MARKER = re.compile(
    r"<[|\uff5c].+[|\uff5c]>"  # <|endoftext|>, and the full-width bars of DeepSeek
    r"|</?s>|<(?:unk|pad|mask|bos|eos|sep|cls)>"
    r"|<0x[0-9A-Fa-f]{2}>"
    r"|<[a-z]+(?:_[a-z0-9]+)+>"  # <fim_prefix>, <extra_id_0>, <start_of_turn>
    r"|<unused\d+>|\[unused\d+\]"
    r"|\[(?:PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]"
)


class FileTokenizer(ABC):
    """A tokenizer read from a file: the part that does not depend on the format.

    Parameters
    ----------
    name, kind : str
        See :class:`numgeom.Tokenizer`.
    """

    name: str
    kind: str
    vocab_size: int
    special_ids: frozenset[int]
    notes: tuple[str, ...]

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self._written: dict[tuple[int, str], tuple[int, ...]] = {}

    @abstractmethod
    def encode(self, text: str) -> tuple[int, ...]:
        """What the tokenizer itself returns for ``text``, special tokens left away."""

    @property
    @abstractmethod
    def has_dummy_prefix(self) -> bool:
        """Whether :meth:`encode` puts a space of its own before the text."""

    @abstractmethod
    def _encode_raw(self, text: str) -> tuple[int, ...]:
        """Encode ``text`` with nothing put before it and none of its spaces taken away."""

    @abstractmethod
    def _bytes(self, token_id: int) -> bytes:
        """What one id stands for in running text; ``KeyError`` for an id that the vocabulary lacks."""

    def token_text(self, token_id: int) -> str:
        """The text of one id as it stands in running text, a leading space included.

        Raises
        ------
        TokenizerError
            If the vocabulary has no such id.
        """
        return self._piece(int(token_id)).decode("utf-8", "replace")

    def encode_number(self, number: int, template: str = BARE) -> tuple[int, ...]:
        """The ids of ``number`` as written by ``template``; see :class:`numgeom.Tokenizer`.

        Raises
        ------
        TokenizerError
            If the template does not hold ``{n}`` once, or the number shares a token with its text.
        """
        key = (int(number), template)
        ids = self._written.get(key)
        if ids is None:
            if len(self._written) >= MOST_REMEMBERED:
                self._written.clear()
            ids = self._written[key] = self._write(str(key[0]), template)
        return ids

    def _write(self, digits: str, template: str) -> tuple[int, ...]:
        if template == BARE:
            return self._encode_raw(digits)
        if template == SPACE:
            # A dummy prefix is that one space; a second would be another text.
            return self.encode(digits) if self.has_dummy_prefix else self._encode_raw(f" {digits}")
        return self._in_template(digits, template)

    def _in_template(self, digits: str, template: str) -> tuple[int, ...]:
        """The ids that cover the digits, found by counting bytes that are not white space.

        Normalisers change white space at will but give the text before the number the same other
        bytes with and without the number, so the count says where the number begins.
        """
        before, mark, after = template.partition("{n}")
        if not mark or "{n}" in after:
            raise TokenizerError(f"template {template!r} must hold {{n}} exactly once, as in '={{n}}'.")
        start = sum(len(self._ink(token)) for token in self.encode(before)) if before else 0
        stop = start + len(digits)
        found: list[int] = []
        position = 0
        for token in self.encode(before + digits + after):
            first, position = position, position + len(self._ink(token))
            if first == position or position <= start or first >= stop:
                continue
            if first < start or position > stop:
                raise TokenizerError(
                    f"{self.name}: in {before + digits + after!r} the number {digits} shares the token "
                    f"{self.token_text(token)!r} with the text around it; put a space or another sign beside {{n}}."
                )
            found.append(token)
        if b"".join(self._ink(token) for token in found) != digits.encode():
            raise TokenizerError(
                f"{self.name}: the number {digits} is not legible in {before + digits + after!r}; "
                "the tokenizer does not know its digits, or not this template. Use another template."
            )
        return tuple(found)

    def _ink(self, token: int) -> bytes:
        return b"".join(self._piece(token).split())

    def _piece(self, token: int) -> bytes:
        try:
            return self._bytes(token)
        except KeyError:
            raise TokenizerError(
                f"{self.name}: the vocabulary has no token id {token}; it holds {self.vocab_size} ids from 0."
            ) from None


def is_marker(text: str) -> bool:
    """Whether a vocabulary entry is written like a control, unused or byte-fallback token.

    Examples
    --------
    >>> is_marker("<|endoftext|>"), is_marker("[unused7]"), is_marker("<0x0A>"), is_marker("<b>")
    (True, True, True, False)
    """
    return MARKER.fullmatch(text) is not None


def is_fallback_byte(piece: bytes) -> bool:
    """Whether a piece is a lone byte outside printable ASCII: what a byte-level vocabulary falls back on.

    Examples
    --------
    >>> is_fallback_byte(bytes([0xC3])), is_fallback_byte(b"7"), is_fallback_byte("ä".encode())
    (True, False, False)
    """
    return len(piece) == 1 and not 0x20 <= piece[0] <= 0x7E
