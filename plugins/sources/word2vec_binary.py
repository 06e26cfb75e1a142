"""Word vectors in the binary format of word2vec: a header line, then word, space and floats, over and over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from numgeom_plugins.sources.word_vectors import MOST_WIDTH, Entry, malformed

CHUNK = 1 << 20
MOST_WORD_BYTES = 4096

_TEXT = frozenset(b"0123456789+-.eEnaifNAIF \t\r")


class Word2vecBinary:
    r"""A binary word2vec file (Mikolov et al. 2013, arXiv:1301.3781), as a :class:`WordVectors`.

    Parameters
    ----------
    path : Path
        For messages.
    file : binary file
        Its content, unpacked if need be, from the beginning.

    Examples
    --------
    >>> import io
    >>> content = io.BytesIO(b"1 2\n7 " + np.array([0.5, 2], "<f4").tobytes())
    >>> file = Word2vecBinary(Path("v.bin"), content)
    >>> [(entry.word, file.vector(entry).tolist()) for entry in file.entries()]
    [(b'7', [0.5, 2.0])]
    """

    unit = "word"
    dtype = "F32"

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.notes: list[str] = []
        self._file = file

    def entries(self) -> Iterator[Entry]:
        """All words, one at a time; of the file a megabyte is in memory."""
        count, width = header(self._file.readline(MOST_WORD_BYTES)) or (0, 0)
        if not 0 < width <= MOST_WIDTH:
            raise malformed(self.path, "line 1", f"vectors have {width:,} values; 1 to {MOST_WIDTH:,} are allowed")
        size = 4 * width
        held, at = b"", 0
        for position in range(1, count + 1):
            end = held.find(b" ", at)
            if end < 0 or end + 1 + size > len(held):
                more = self._file.read(CHUNK + size)
                held, at = held[at:] + more, 0
                end = held.find(b" ")
            if (end if end >= 0 else len(held)) - at > MOST_WORD_BYTES:
                raise malformed(self.path, f"word {position}", f"it is longer than {MOST_WORD_BYTES:,} bytes")
            if end < 0 or end + 1 + size > len(held):
                raise malformed(
                    self.path, f"word {position}", f"the file ends there, but its header announces {count:,} words"
                )
            # The original program writes a line break after each vector, others do not.
            word = held[at:end].lstrip(b"\n")
            at = end + 1 + size
            yield Entry(position, position - 1, word, held[end + 1 : at])

    def vector(self, entry: Entry) -> npt.NDArray[Any]:
        """``(d,)`` float32: the vector of an entry."""
        return np.frombuffer(entry.held, "<f4").astype(np.float32)


def header(line: bytes) -> tuple[int, int] | None:
    """Count and width of a word2vec header line; ``None`` for any other line.

    Examples
    --------
    >>> header(b"3 300"), header(b"the 0.1 0.2")
    ((3, 300), None)
    """
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() and len(part) < 16 for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def looks_binary(head: bytes) -> bool:
    r"""Whether a file beginning with ``head`` has a header line and then values that are not text.

    Examples
    --------
    >>> looks_binary(b"1 2\n7 0.5 2\n"), looks_binary(b"1 2\n7 \x00\x00\x00\x3f\x00\x00\x00\x40")
    (False, True)
    """
    first, _, rest = head.partition(b"\n")
    found = header(first)
    word, space, values = rest.partition(b" ")
    if found is None or not space or b"\n" in word:
        return False
    values = values[: max(4 * found[1], 1)].partition(b"\n")[0]
    return not values or not _TEXT.issuperset(values)
