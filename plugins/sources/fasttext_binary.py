"""Word vectors in the binary format of fastText: the mean of a word's row and the rows of its character n-grams."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.word_vectors import MOST_WIDTH, Entry, malformed

MAGIC = struct.pack("<i", 793712314)
VERSIONS = (11, 12)
CHUNK = 1 << 20
MOST_WORD_BYTES = 65_536
MOST_CHARACTERS = 64  # of an n-gram

_SUPERVISED = 3
_END_OF_SENTENCE = b"</s>"
_HEAD = struct.Struct("<2i 12i d 3i 2q")
_MATRIX = struct.Struct("<?2q")


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the head of a file says; ``entries`` of the dictionary begin right after it."""

    width: int
    buckets: int
    shortest: int
    longest: int
    entries: int
    words: int


class FastTextBinary:
    """A fastText ``.bin`` file (Bojanowski et al. 2017, arXiv:1607.04606), as a :class:`WordVectors`.

    The vector of a word is what ``getWordVector`` of the library gives: the mean, in float32, of the word's own row
    and of the rows into which its n-grams hash. Only those rows are read.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SourceError
        If the file is quantised or pruned, of another version, or contradicts its size.
    """

    unit = "word"
    dtype = "F32"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:
                self._size = os.fstat(file.fileno()).st_size
                self._layout = self._head(file)
                start = _HEAD.size + sum(len(word) + 10 for word, _ in self._dictionary(file))
                self._matrix = self._map(file, start)
        except OSError as error:
            raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
        shortest, longest = self._layout.shortest, self._layout.longest
        self.notes = [f"vectors are means over n-grams of {shortest} to {longest} characters"] if longest else []

    def entries(self) -> Iterator[Entry]:
        """All words of the dictionary, one at a time; labels are passed over."""
        with open(self.path, "rb") as file:
            for place, (word, _) in enumerate(self._dictionary(file)):
                if place == self._layout.words:
                    return
                yield Entry(place + 1, place, word, None)

    def vector(self, entry: Entry) -> npt.NDArray[Any]:
        """``(d,)`` float32: the vector of an entry."""
        rows = [entry.token_id]
        if self._layout.buckets and entry.word != _END_OF_SENTENCE:
            pieces = ngrams(entry.word, self._layout.shortest, self._layout.longest)
            rows += [self._layout.words + fnv1a(piece) % self._layout.buckets for piece in pieces]
        total = np.zeros(self._layout.width, dtype=np.float32)
        for row in rows:
            total += self._matrix[row]
        return total * np.float32(1.0 / len(rows))

    def _head(self, file: BinaryIO) -> _Layout:
        raw = file.read(_HEAD.size)
        if len(raw) < _HEAD.size or not raw.startswith(MAGIC):
            raise self._broken("it has no fastText header")
        numbers = _HEAD.unpack(raw)
        version, width, (model, bucket, minn, maxn) = numbers[1], numbers[2], numbers[9:13]
        entries, words, labels, _, pruned = numbers[15:20]
        if version not in VERSIONS:
            raise self._broken(f"it is of version {version}; {' or '.join(map(str, VERSIONS))} are read")
        if pruned > 0:
            raise self._broken("its n-grams are pruned; take the .bin file that was not quantised")
        counts = (width, bucket, minn, maxn, entries, words, labels)
        plausible = min(counts) >= 0 and words + labels == entries and 0 < width <= MOST_WIDTH
        if not plausible or entries * 10 > self._size or maxn > MOST_CHARACTERS:
            raise self._broken(f"its header claims {entries:,} words of {width:,} values, n-grams up to {maxn:,}")
        # Before version 12 supervised models stated n-grams that they did not use.
        if version == 11 and model == _SUPERVISED:
            minn = maxn = 0
        return _Layout(width, bucket, minn, maxn, entries, words)

    def _dictionary(self, file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
        """Every entry and whether it is a label: text, a zero byte, a count of eight bytes, a type of one."""
        file.seek(_HEAD.size)
        held, at = b"", 0
        for place in range(self._layout.entries):
            end = held.find(b"\0", at)
            if end < 0 or end + 10 > len(held):
                held, at = held[at:] + file.read(CHUNK), 0
                end = held.find(b"\0")
            if end < 0 or end + 10 > len(held) or end - at > MOST_WORD_BYTES:
                raise malformed(self.path, f"word {place + 1}", "the dictionary breaks off there")
            word, label = held[at:end], held[end + 9] == 1
            if label != (place >= self._layout.words):
                raise malformed(self.path, f"word {place + 1}", "words and labels are not as many as the header says")
            at = end + 10
            yield word, label

    def _map(self, file: BinaryIO, start: int) -> npt.NDArray[np.float32]:
        file.seek(start)
        raw = file.read(_MATRIX.size)
        if len(raw) < _MATRIX.size:
            raise self._broken("it ends before its matrix")
        quantised, rows, width = _MATRIX.unpack(raw)
        if quantised:
            raise self._broken("its vectors are quantised; take the .bin file, not the .ftz")
        if width != self._layout.width or rows < self._layout.words + self._layout.buckets:
            raise self._broken(f"its matrix of {rows:,} x {width:,} does not fit its words and n-grams")
        first = start + _MATRIX.size
        if first + 4 * rows * width > self._size:
            raise self._broken(f"its matrix of {rows:,} x {width:,} is cut off")
        mapped: npt.NDArray[np.float32] = np.memmap(self.path, "<f4", "r", first, (rows, width))
        return mapped

    def _broken(self, why: str) -> SourceError:
        return SourceError(f"{str(self.path)!r} is not read as fastText: {why}.")


def ngrams(word: bytes, shortest: int, longest: int) -> list[bytes]:
    """The character n-grams of a word between its marks ``<`` and ``>``, as fastText takes them.

    Parameters
    ----------
    word : bytes
        UTF-8.
    shortest, longest : int
        Characters; single marks are no n-grams.

    Examples
    --------
    >>> ngrams(b"42", 2, 3)
    [b'<4', b'<42', b'42', b'42>', b'2>']
    """
    text = b"<" + word + b">"
    # Bytes 10xxxxxx continue a character.
    starts = [at for at, byte in enumerate(text) if byte & 0xC0 != 0x80]
    stops = [*starts[1:], len(text)]
    found = []
    for first, start in enumerate(starts):
        for length in range(1, longest + 1):
            last = first + length - 1
            if last >= len(starts):
                break
            if length >= shortest and not (length == 1 and (start == 0 or stops[last] == len(text))):
                found.append(text[start : stops[last]])
    return found


def fnv1a(text: bytes) -> int:
    """The hash of fastText: 32-bit FNV-1a, each byte taken as a signed number.

    Examples
    --------
    >>> hex(fnv1a(b"")), hex(fnv1a(b"a")), hex(fnv1a(b"foobar"))
    ('0x811c9dc5', '0xe40c292c', '0xbf9cf968')
    """
    value = 2166136261
    for byte in text:
        value ^= byte | 0xFFFFFF00 if byte > 0x7F else byte
        value = value * 16777619 & 0xFFFFFFFF
    return value
