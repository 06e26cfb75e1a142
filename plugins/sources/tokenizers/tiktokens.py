"""tiktoken vocabularies: lines of base64 and rank, under any suffix; the split pattern is not in the file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from numgeom import TokenizerError
from numgeom_plugins.sources.tokenizers.base import FileTokenizer, is_fallback_byte

_ENGLISH = r"'s|'t|'re|'ve|'m|'ll|'d"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

# How each family splits text before merging, as its authors publish it. Digits are what matters here:
# gpt2 keeps runs of digits and their leading space, cl100k and o200k cut after three, qwen after each.
PATTERNS = {
    "gpt2": rf"{_ENGLISH}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",
    "cl100k": rf"(?i:{_ENGLISH})|{_WORDS}|\p{{N}}{{1,3}}|{_REST}",
    "qwen": rf"(?i:{_ENGLISH})|{_WORDS}|\p{{N}}|{_REST}",
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+(?i:{_ENGLISH})?"
        rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*(?i:{_ENGLISH})?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
FALLBACK = "cl100k"

_BY_NAME = {
    "gpt2": "gpt2",
    "r50k": "gpt2",
    "p50k": "gpt2",
    "multilingual": "gpt2",
    "cl100k": "cl100k",
    "llama3": "cl100k",
    "llama-3": "cl100k",
    "qwen": "qwen",
    "o200k": "o200k",
}
_BY_SIZE = {
    50256: "gpt2",
    50257: "gpt2",
    50280: "gpt2",
    100256: "cl100k",
    128000: "cl100k",
    151643: "qwen",
    199998: "o200k",
}


class TiktokenTokenizer(FileTokenizer):
    """A vocabulary in tiktoken's text format.

    Parameters
    ----------
    name : str
    ranks : mapping of bytes to int
        As :func:`parse_ranks` reads them.
    file_name : str
        The name of the file, by which known vocabularies are told apart.
    notes : tuple of str

    Raises
    ------
    TokenizerError
        If the ranks are not a complete byte-pair vocabulary.
    """

    def __init__(
        self, name: str, ranks: Mapping[bytes, int], *, file_name: str = "", notes: tuple[str, ...] = ()
    ) -> None:
        import tiktoken

        super().__init__(name, "tiktoken")
        self._pieces = {rank: piece for piece, rank in ranks.items()}
        absent = [byte for byte in range(256) if bytes([byte]) not in ranks]
        if absent:
            raise TokenizerError(
                f"{name}: {len(absent)} of the 256 bytes have no token (first 0x{absent[0]:02X}), so this tiktoken "
                "file is cut off or no vocabulary; download it again."
            )
        pattern, assumed = split_pattern(ranks, file_name)
        self._encoding = tiktoken.Encoding(
            name, pat_str=PATTERNS[pattern], mergeable_ranks=dict(ranks), special_tokens={}
        )
        self.vocab_size = len(self._pieces)
        self.special_ids = frozenset(
            rank for rank, piece in self._pieces.items() if not piece or is_fallback_byte(piece)
        ) | frozenset(range(self.vocab_size)).difference(self._pieces)
        self.notes = (*notes, assumed) if assumed else notes

    @property
    def has_dummy_prefix(self) -> bool:
        """Always false: tiktoken never prepends anything."""
        return False

    def encode(self, text: str) -> tuple[int, ...]:
        """What tiktoken gives for ``text``."""
        return tuple(self._encoding.encode_ordinary(text))

    def _encode_raw(self, text: str) -> tuple[int, ...]:
        return self.encode(text)

    def _bytes(self, token_id: int) -> bytes:
        return self._pieces[token_id]


def split_pattern(ranks: Mapping[bytes, int], file_name: str) -> tuple[str, str]:
    """Which of :data:`PATTERNS` a vocabulary was trained with, and a note where that is an assumption.

    Known file names come first, then known sizes. An unknown vocabulary is taken for cl100k's, unless
    it holds ``" 10"`` as one token: no pattern but GPT-2's lets a space and digits merge.

    Examples
    --------
    >>> split_pattern({b"1": 0}, "qwen.tiktoken")
    ('qwen', '')
    >>> split_pattern({b"1": 0}, "mine.tiktoken")[1]
    'split pattern unknown for 1 ranks: cl100k assumed'
    """
    lowered = file_name.lower()
    for part, pattern in _BY_NAME.items():
        if part in lowered:
            return pattern, ""
    if len(ranks) in _BY_SIZE:
        return _BY_SIZE[len(ranks)], ""
    pattern = "gpt2" if b" 10" in ranks else FALLBACK
    return pattern, f"split pattern unknown for {len(ranks)} ranks: {pattern} assumed"


def looks_like_ranks(head: bytes) -> bool:
    r"""Whether a file beginning with ``head`` is in tiktoken's format.

    Examples
    --------
    >>> looks_like_ranks(b"IQ== 0\nIg== 1\n"), looks_like_ranks(b"the\nof\n")
    (True, False)
    """
    parts = head.split(b"\n", 1)[0].split()
    return len(parts) == 2 and parts[1].isdigit() and _decoded(parts[0]) is not None


def parse_ranks(name: str, content: bytes) -> dict[bytes, int]:
    """The ranks of a tiktoken file.

    Raises
    ------
    TokenizerError
        If a line is not base64 and a rank, or a rank or token occurs twice.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        piece = _decoded(parts[0]) if len(parts) == 2 and parts[1].isdigit() and len(parts[1]) < 10 else None
        if piece is None:
            raise TokenizerError(
                f"{name}: line {number} is not 'BASE64 RANK', so this tiktoken file is damaged; download it again."
            )
        if piece in ranks:
            raise TokenizerError(f"{name}: line {number} repeats a token; download the tiktoken file again.")
        ranks[piece] = int(parts[1])
    if len(set(ranks.values())) != len(ranks):
        raise TokenizerError(f"{name}: two tokens have one rank; download the tiktoken file again.")
    return ranks


def _decoded(text: bytes) -> bytes | None:
    # Whisper's vocabulary ends in a lone "=", an empty token that holds an id.
    if text == b"=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
