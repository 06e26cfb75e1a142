"""A column beside the numbers, as a user writes it: a text file with a number and its entry on every line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from numgeom.errors import Incompatible, SourceError

T = TypeVar("T")


def file_digest(value: object) -> str:
    """Digest of the file that a parameter names, 32 hexadecimal digits; empty where it names none that can be read.

    Examples
    --------
    >>> file_digest("digit_length"), file_digest(20)
    ('', '')
    """
    if not isinstance(value, str) or not value:
        return ""
    try:
        path = Path(value).expanduser()
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except (OSError, ValueError, RuntimeError):
        return ""


def read_column(path: Path | str) -> dict[int, str]:
    """Number and entry of every line of a CSV or TSV file.

    The first two fields of a line count, whatever follows. A first line whose first field is no whole number is a
    heading. Empty lines are passed over.

    Parameters
    ----------
    path : path
        Fields are separated by tabs in a file ``.tsv``, and by commas in any other.

    Returns
    -------
    dict of int to str

    Raises
    ------
    SourceError
        If the file cannot be read, a line lacks a number or an entry, or a number comes twice.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "parity.csv"
    >>> _ = path.write_text(chr(10).join(["number,label", "0,even", "1,odd"]))
    >>> read_column(path)
    {0: 'even', 1: 'odd'}
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot read the column {str(file)!r}: {why}; it must be a text file.") from error
    found: dict[int, str] = {}
    for place, fields in enumerate(csv.reader(lines, delimiter="\t" if file.suffix == ".tsv" else ","), start=1):
        if not any(field.strip() for field in fields):
            continue
        try:
            number = int(fields[0])
        except ValueError:
            if place == 1:
                continue
            raise SourceError(
                f"{str(file)!r}, line {place}: {fields[0]!r} is no whole number; write one NUMBER,ENTRY on each line."
            ) from None
        if len(fields) < 2 or not fields[1].strip():
            raise SourceError(f"{str(file)!r}, line {place}: number {number} has no entry; write NUMBER,ENTRY.")
        if number in found:
            raise SourceError(f"{str(file)!r}, line {place}: number {number} comes a second time; keep one line of it.")
        found[number] = fields[1].strip()
    if not found:
        raise SourceError(f"{str(file)!r} holds no line NUMBER,ENTRY.")
    return found


def column_of(column: Mapping[int, T], numbers: npt.NDArray[np.int64], path: Path | str) -> list[T]:
    """The entries of some numbers, in their order.

    Parameters
    ----------
    column : mapping
        From number to entry.
    numbers : ndarray of int, shape (n,)
    path : path
        Where the column comes from, for the message.

    Returns
    -------
    list, length n

    Raises
    ------
    Incompatible
        If a number has no entry.

    Examples
    --------
    >>> column_of({1: "a", 2: "b", 3: "a"}, np.array([3, 2]), "labels.csv")
    ['a', 'b']
    """
    missing = [int(number) for number in numbers if int(number) not in column]
    if missing:
        named = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise Incompatible(
            f"{str(path)!r} has no entry for {len(missing)} of {len(numbers)} numbers ({named}); add them, or leave "
            "those numbers out with --numbers."
        )
    return [column[int(number)] for number in numbers]
