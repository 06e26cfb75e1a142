"""The frequency control from a corpus: a user's file of how often each number occurs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from numgeom import ModelSpec, NumberSet, Representation, SourceError

MOST_BYTES = 100_000_000


def read_counts(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
    r"""``log(count + 1)`` of every number in a file of counts.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the file: ``.json`` with an object ``{"7": 120, ...}``, or text with one ``number,count`` a line
        (comma, semicolon, tab or space between; one line of titles may come first).
    numbers : NumberSet
        Its form does not matter.
    read : {"counts"}

    Returns
    -------
    Representation
        ``(n, 1)`` float64.

    Raises
    ------
    SourceError
        If the file cannot be read, a count is not a number of at least 0, or a number occurs twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "counts.csv"
    >>> _ = path.write_text("number,count\n7,99\n8,0\n")
    >>> read_counts(ModelSpec(name="c", source="counts", id=str(path)), NumberSet.parse("0..9"),
    ...             read="counts").matrix.round(3).tolist()
    [[4.605], [0.0]]
    """
    path = Path(model.id).expanduser()
    counts: dict[int, float] = {}
    for where, number, count in _entries(path):
        if number in counts:
            raise SourceError(f"{where} counts {number} a second time; give each number once.")
        counts[number] = count
    held = [number for number in numbers if number in counts]
    if not held:
        raise SourceError(
            f"{str(path)!r} counts none of the numbers {numbers.spec}; it holds {len(counts)} others: choose them with "
            "--numbers."
        )
    return Representation(
        np.log1p(np.asarray([[counts[number]] for number in held])),
        np.asarray(held, dtype=np.int64),
        provenance={"file": path.name, "counted": len(counts)},
    )


def _entries(path: Path) -> Iterator[tuple[str, int, float]]:
    """Where, which number, how often."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"{str(path)!r} is larger than {MOST_BYTES:,} bytes; keep only the numbers in it.")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"{str(path)!r} is not UTF-8 text; give number,count lines or JSON.") from None
    except OSError as error:
        raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
    pairs = _of_json(path, text) if path.suffix == ".json" else _of_lines(path, text)
    for place, (where, number, count) in enumerate(pairs):
        try:
            value = int(str(number).strip())
        except ValueError:
            # Titles are words in both columns.
            if place == 0 and not _is_number(count):
                continue
            raise SourceError(f"{where}: {number!r} is not an integer; write number,count.") from None
        if isinstance(count, bool) or not _is_number(count) or float(count) < 0:
            raise SourceError(f"{where}: the count of {value} is {count!r}; it must be a number of at least 0.")
        yield where, value, float(count)


def _of_lines(path: Path, text: str) -> Iterator[tuple[str, Any, Any]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    between = next((sign for sign in ",;\t" if sign in first), " ")
    rows: Iterable[list[str]] = csv.reader(text.splitlines(), delimiter=between, skipinitialspace=True)
    for number, row in enumerate(rows, start=1):
        cells = [cell for cell in row if cell.strip()]
        if not cells:
            continue
        if len(cells) != 2:
            raise SourceError(f"{path.name}, line {number}: {len(cells)} columns; write one number,count a line.")
        yield f"{path.name}, line {number}", cells[0], cells[1]


def _of_json(path: Path, text: str) -> Iterator[tuple[str, Any, Any]]:
    try:
        # Not a dict: a key that stands twice would be lost.
        held = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{str(path)!r} is not JSON ({error}); give an object of number: count.") from None
    if not text.lstrip().startswith("{"):
        raise SourceError(f'{str(path)!r} is not a JSON object; write {{"7": 120, ...}}.')
    for number, count in held:
        yield path.name, number, count


def _is_number(count: Any) -> bool:
    try:
        return math.isfinite(float(count))
    except (TypeError, ValueError):
        return False
