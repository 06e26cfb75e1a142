"""Static word vectors in text form: word2vec and GloVe files, read line by line."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, NumberSet, Representation, SourceError

RANDOM_ROWS = 1000


def read_vectors(model: ModelSpec, numbers: NumberSet, *, read: str, seed: int = 0) -> Representation:
    r"""The vectors of the words that are numbers of the set.

    Each line is a word and its ``d`` values, separated by spaces; a first line of two integers is the header
    ``count dim`` of word2vec. ``.gz`` files are unpacked while reading. Only wanted lines are kept.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the file.
    numbers : NumberSet
        Words have no leading space, so the form makes no difference.
    read : {"vectors"}
    seed : int, default 0
        Of the random control: a reservoir sample (Vitter 1985) of 1,000 words without digits.

    Returns
    -------
    Representation
        float64 rows; ``token_ids`` are positions in the file, from 0.

    Raises
    ------
    SourceError
        If a line is malformed (with its number), a number stands twice, or none is there.

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
    wanted = {str(number).encode(): number for number in numbers}
    found: dict[int, tuple[int, int, list[bytes]]] = {}
    kept: list[tuple[int, list[bytes]]] = []
    draw = random.Random(seed).random
    seen = width = first = 0
    words = 0
    stated: int | None = None
    for line, text in _lines(path):
        parts = text.split() if not width else text.rsplit(None, width)
        if line == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
            stated, width, first = int(parts[0]), int(parts[1]), 1
            if not width:
                raise _malformed(path, line, "the header says that vectors have 0 values")
            continue
        width = width or len(parts) - 1
        if len(parts) != width + 1 or not width:
            raise _malformed(path, line, f"it has {max(len(parts) - 1, 0)} values instead of {width or 'one or more'}")
        words += 1
        word = parts[0]
        if any(space in word for space in (b" ", b"\t")):
            # GloVe has words with spaces, such as ". . ."; a number among them means a line with too many values.
            if word.split()[0] in wanted:
                raise _malformed(path, line, f"it has more than {width} values")
        elif word in wanted:
            number = wanted[word]
            if number in found:
                raise SourceError(
                    f"{str(path)!r} holds the word {number} twice, in lines {found[number][0]} and {line}; keep one."
                )
            found[number] = (line, line - 1 - first, parts[1:])
            continue
        if not any(byte in b"0123456789" for byte in word):
            seen += 1
            if len(kept) < RANDOM_ROWS:
                kept.append((line, parts[1:]))
            elif (place := int(draw() * seen)) < RANDOM_ROWS:
                kept[place] = (line, parts[1:])
    if not found:
        raise SourceError(
            f"{str(path)!r} has no word that is a number of {numbers.spec}; word vectors rarely reach beyond a few "
            "hundred: type for example --numbers 0..100."
        )
    notes = [] if numbers.form == "bare" else ["words have no leading space: the form makes no difference"]
    if stated not in (None, words):
        notes.append(f"the header announces {stated} words, the file holds {words}")
    chosen = sorted(found)
    return Representation(
        np.stack([_floats(path, found[number][0], found[number][2]) for number in chosen]),
        np.asarray(chosen, dtype=np.int64),
        token_ids=np.asarray([found[number][1] for number in chosen], dtype=np.int64),
        provenance={
            "dtype": "text",
            "files": [path.name],
            "words": words,
            "form": "word",
            "notes": notes,
        },
        random_rows=np.stack([_floats(path, line, parts) for line, parts in sorted(kept)]) if kept else None,
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not empty."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            for line, text in enumerate(file, start=1):
                if b"\0" in text:
                    raise _malformed(path, line, "it is binary; save the vectors as text")
                if text.strip():
                    yield line, text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{str(path)!r} is not a whole gzip file: {error}; download it again.") from error
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error


def _floats(path: Path, line: int, parts: list[bytes]) -> npt.NDArray[np.float64]:
    try:
        return np.asarray([float(part) for part in parts])
    except ValueError as error:
        raise _malformed(path, line, str(error)) from None


def _malformed(path: Path, line: int, why: str) -> SourceError:
    return SourceError(f"{str(path)!r}, line {line}: {why}; each line is a word and its values, separated by spaces.")
