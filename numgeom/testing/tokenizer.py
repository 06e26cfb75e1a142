"""A tokenizer without files, for tests of probes and sources."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN = 0
DUMMY = 1
_FIRST_CHARACTER = 2
_CHARACTERS = [chr(code) for code in range(32, 127)]


class FakeTokenizer:
    """Printable ASCII characters, and the numbers that are told to be one token.

    It satisfies :class:`numgeom.Tokenizer`. Text is cut greedily, longest token first; a character outside
    the vocabulary is the unknown token.

    Parameters
    ----------
    single : iterable of int, default 0..999
        Numbers that are one token, bare and after a space.
    dummy_prefix : bool
        Whether :meth:`encode` puts a token before every text, as SentencePiece does.
    spaced : bool
        Whether a number after a space is another token, as in GPT-2; otherwise the space is a token of its own.

    Attributes
    ----------
    name, kind : str
    vocab_size : int
    special_ids : frozenset of int
        The unknown token and the dummy prefix.
    notes : tuple of str

    Examples
    --------
    >>> tokenizer = FakeTokenizer(single=range(100))
    >>> [len(tokenizer.encode_number(n)) for n in (7, 42, 123, -5)]
    [1, 1, 2, 2]
    >>> tokenizer.token_text(tokenizer.encode_number(42, " {n}")[0])
    ' 42'
    """

    def __init__(self, single: Iterable[int] = range(1000), *, dummy_prefix: bool = False, spaced: bool = True) -> None:
        self.name = "fake"
        self.kind = "fake"
        self._dummy = dummy_prefix
        whole = [str(number) for number in single if not 0 <= number <= 9]
        after_space = [f" {number}" for number in [*map(str, range(10)), *whole]] if spaced else []
        texts = ["<unk>", "", *_CHARACTERS, *whole, *after_space]
        self._texts = texts
        self._ids = {text: place for place, text in enumerate(texts) if place >= _FIRST_CHARACTER}
        self._longest = max(map(len, self._ids))
        self.vocab_size = len(texts)
        self.special_ids = frozenset({UNKNOWN, DUMMY})
        self.notes: tuple[str, ...] = ("dummy prefix removed",) if dummy_prefix else ()

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of ``text``, the dummy prefix before them where there is one."""
        return ((DUMMY,) if self._dummy else ()) + self._cut(text)

    def encode_number(self, number: int, template: str = "{n}") -> tuple[int, ...]:
        """The ids of ``number`` as ``template`` writes it, those of the text before it left away."""
        before, _, after = template.partition("{n}")
        written = f"{number}{after}"
        if before.endswith(" "):
            before, written = before[:-1], f" {written}"
        return self._cut(written)

    def token_text(self, token_id: int) -> str:
        """The text of one id.

        Raises
        ------
        IndexError
            If there is no such id.
        """
        return self._texts[token_id]

    def _cut(self, text: str) -> tuple[int, ...]:
        ids: list[int] = []
        start = 0
        while start < len(text):
            ends = range(min(len(text), start + self._longest), start, -1)
            end = next((end for end in ends if text[start:end] in self._ids), None)
            ids.append(UNKNOWN if end is None else self._ids[text[start:end]])
            start = start + 1 if end is None else end
        return tuple(ids)
