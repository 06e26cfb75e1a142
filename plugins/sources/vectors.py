"""Static word vectors: word2vec as text or binary, GloVe, fastText."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom_plugins.sources import fasttext_binary
from numgeom_plugins.sources.fasttext_binary import FastTextBinary
from numgeom_plugins.sources.word2vec_binary import Word2vecBinary, header, looks_binary
from numgeom_plugins.sources.word_vectors import MOST_WIDTH, Entry, WordVectors, pick

MOST_LINE_BYTES = 64 * MOST_WIDTH
_HEAD_BYTES = 65_536
_BUFFER_BYTES = 1 << 18


def read_vectors(model: ModelSpec, numbers: NumberSet, *, read: str, seed: int = 0) -> Representation:
    r"""The vectors of the words that are numbers of the set.

    Read are text (each line a word and its ``d`` values, separated by spaces; a first line of two integers is the
    header ``count dim`` of word2vec, without it the file is GloVe's), the binary format of word2vec, and fastText's
    ``.bin``. Text and word2vec files may be packed with gzip. Content decides, not the suffix. The file is gone
    through once and is never in memory.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the file.
    numbers : NumberSet
        The row of a number is that of the word ``str(number)``. Words have no leading space, so the form makes no
        difference.
    read : {"vectors"}
    seed : int, default 0
        Of the random control: a reservoir sample (Vitter 1985) of 1,000 words without digits.

    Returns
    -------
    Representation
        float64 rows of text, float32 rows of binary files; ``token_ids`` are positions in the file, from 0. Words
        that are digits with zeros in front ("007") are the strings.

    Raises
    ------
    SourceError
        If a line or word is malformed (with its number), a number stands twice, or none is there.

    References
    ----------
    Pennington et al. 2014 (GloVe); Mikolov et al. 2013, arXiv:1301.3781 (word2vec); Bojanowski et al. 2017,
    arXiv:1607.04606 (fastText).

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tiny.vec"
    >>> _ = path.write_text("3 2\nseven 1 1\n7 0.5 2\n5 0 1\n")
    >>> model = ModelSpec(name="tiny", source="vectors", id=str(path))
    >>> rep = read_vectors(model, NumberSet.parse("0..9"), read="vectors")
    >>> rep.numbers.tolist(), rep.matrix.tolist(), rep.random_rows.tolist()
    ([5, 7], [[0.0, 1.0], [0.5, 2.0]], [[1.0, 1.0]])
    """
    path = Path(model.id).expanduser()
    with _opened(path) as file:
        picked = pick(file, numbers, seed=seed)
    if not picked.numbers:
        raise SourceError(
            f"{str(path)!r} has no word that is a number of {numbers.spec}; word vectors rarely reach beyond a few "
            "hundred: type for example --numbers 0..100."
        )
    notes = [] if numbers.form == "bare" else ["words have no leading space: the form makes no difference"]
    chosen = sorted(picked.numbers)
    sample = [kept for kept in picked.sample if np.isfinite(kept[2]).all()]
    if len(sample) < len(picked.sample):
        notes.append(f"{len(picked.sample) - len(sample)} random rows with NaN or infinity left out")
    strings = {text: row for text, row in picked.strings.items() if np.isfinite(row).all()}
    if len(strings) < len(picked.strings):
        notes.append(f"{len(picked.strings) - len(strings)} string rows with NaN or infinity left out")
    return Representation(
        np.stack([picked.numbers[number][2] for number in chosen]),
        np.asarray(chosen, dtype=np.int64),
        token_ids=np.asarray([picked.numbers[number][1] for number in chosen], dtype=np.int64),
        provenance={
            "dtype": file.dtype,
            "files": [path.name],
            "words": picked.words,
            "random_token_ids": [token for _, token, _ in sample],
            "form": "word",
            "notes": notes + file.notes,
        },
        random_rows=np.stack([vector for _, _, vector in sample]) if sample else None,
        string_rows=np.stack(list(strings.values())) if strings else None,
        strings=tuple(strings),
    )


@contextmanager
def _opened(path: Path) -> Iterator[WordVectors]:
    """The file by its format; errors of the file itself and of gzip are put into words."""
    try:
        with open(path, "rb") as raw:
            magic = raw.read(4)
        packed = path.suffix == ".gz" or magic.startswith(b"\x1f\x8b")
        if magic == fasttext_binary.MAGIC:
            yield FastTextBinary(path)
            return
        with BufferedReader(gzip.open(path) if packed else FileIO(path), _BUFFER_BYTES) as file:
            head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
            if packed and head.startswith(fasttext_binary.MAGIC):
                raise SourceError(f"{str(path)!r} is a packed fastText file, which is read by position; type: gunzip")
            yield Word2vecBinary(path, file) if looks_binary(head) else TextVectors(path, file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{str(path)!r} is not a whole gzip file: {error}; download it again.") from error
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error


class TextVectors:
    """Word vectors as text, with or without a header line, as a :class:`WordVectors`.

    Parameters
    ----------
    path : Path
        For messages.
    file : binary file
        Its content, unpacked if need be, from the beginning.
    """

    unit = "line"
    dtype = "text"

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.notes: list[str] = []
        self._file = file

    def entries(self) -> Iterator[Entry]:
        """All words, one line at a time."""
        width = first = words = 0
        stated: int | None = None
        for line, text in self._lines():
            found = header(text) if line == 1 else None
            if found is not None:
                (stated, width), first = found, 1
                if not 0 < width <= MOST_WIDTH:
                    raise self._malformed(line, f"vectors have {width:,} values; 1 to {MOST_WIDTH:,} are allowed")
                continue
            # Splitting all values of millions of lines is what takes the time: mostly the word is enough.
            if width and text.count(b" ") == width and b"\t" not in text:
                word, values = text.split(b" ", 1)
            else:
                word, values = self._split(line, text, width)
            width = width or len(values.split())
            words += 1
            yield Entry(line, line - 1 - first, word, (values, width))
        if stated not in (None, words):
            self.notes.append(f"the header announces {stated} words, the file holds {words}")

    def vector(self, entry: Entry) -> npt.NDArray[Any]:
        """``(d,)`` float64: the vector of an entry."""
        values, width = entry.held
        try:
            vector = np.asarray([float(part) for part in values.split()])
        except ValueError as error:
            raise self._malformed(entry.position, str(error)) from None
        if vector.size != width:
            raise self._malformed(entry.position, f"it has {vector.size} values instead of {width}")
        return vector

    def _split(self, line: int, text: bytes, width: int) -> tuple[bytes, bytes]:
        """Word and values of a line; words may hold spaces, as GloVe's ``. . .`` does."""
        parts = text.rsplit(None, width) if width else text.split()
        if len(parts) < 2 or (width and len(parts) != width + 1):
            raise self._malformed(line, f"it has {max(len(parts) - 1, 0)} values instead of {width or 'one or more'}")
        if len(parts) - 1 > MOST_WIDTH:
            raise self._malformed(line, f"it has {len(parts) - 1:,} values; at most {MOST_WIDTH:,} are allowed")
        first, *others = parts[0].split()
        if others and _is_number(first) and all(map(_is_number, others)):
            raise self._malformed(line, f"it has more than {width} values")
        return parts[0], b" ".join(parts[1:])

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Numbered lines that are not empty, without what ends them."""
        line = 0
        while text := self._file.readline(MOST_LINE_BYTES + 1):
            line += 1
            if len(text) > MOST_LINE_BYTES:
                raise self._malformed(line, f"it is longer than {MOST_LINE_BYTES:,} bytes")
            if b"\0" in text:
                raise self._malformed(line, "it is binary, but no format that is read")
            if text := text.strip(b" \t\r\n"):
                yield line, text

    def _malformed(self, line: int, why: str) -> SourceError:
        return SourceError(
            f"{str(self.path)!r}, line {line}: {why}; each line is a word and its values, separated by spaces."
        )


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
