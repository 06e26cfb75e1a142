"""What numgeom asks of a tokenizer; plugins implement it for each file format."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Tokenizer(Protocol):
    """A tokenizer reduced to what numbers need. Special tokens are never added.

    Attributes
    ----------
    name : str
        How tables call it.
    kind : str
        The file format, such as ``"tokenizer.json"``, ``"sentencepiece"`` or ``"tiktoken"``.
    vocab_size : int
        Number of ids, added tokens included.
    special_ids : frozenset of int
        Control, added, unused and byte-fallback ids: never part of a random-token control.
    notes : tuple of str
        What had to be set right, in words ("dummy prefix removed", "fixed padding switched off").
    """

    name: str
    kind: str
    vocab_size: int
    special_ids: frozenset[int]
    notes: tuple[str, ...]

    def encode(self, text: str) -> tuple[int, ...]:
        """What the tokenizer itself returns for ``text``: its dummy prefix stays, special tokens do not."""

    def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
        """The ids of ``number`` as written by ``template``.

        ``"{n}"`` is the digits with nothing before them (a SentencePiece dummy prefix removed),
        ``" {n}"`` the form of running text with its one space, and any other template is encoded
        whole, the ids of the text before the number being left away.
        """

    def token_text(self, token_id: int) -> str:
        """The text of one id as it stands in running text, a leading space included."""
