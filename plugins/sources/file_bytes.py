"""Spans of bytes of a file, wherever it lies: the one interface that rows are read through."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.row_runs import Run, row_runs

Span = tuple[int, int]
MOST_GAP_BYTES = 4096  # reading one page more is cheaper than another call
MOST_RUN_BYTES = 16_000_000


class FileBytes(Protocol):
    """A file of which some bytes are read.

    Attributes
    ----------
    name : str
        How messages call it.
    head_bytes : int
        How much of the beginning the first read should ask for.
    notes : list of str
        What should be said of the way it was read.
    """

    name: str
    head_bytes: int
    notes: list[str]

    def size(self) -> int:
        """Length of the file in bytes."""

    def read(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes | bytearray]]:
        """Position in ``spans`` and all bytes of that span, in any order; spans are ``(first, after last)``."""

    def rounds(self, rows: npt.NDArray[np.int64], row_bytes: int) -> Iterable[list[Run]]:
        """Runs of rows to read, one list after the other: a later list may depend on how the earlier one went."""


class LocalBytes:
    """A file of this machine.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SourceError
        From every method, if the file cannot be read or ends before a span does.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "x"
    >>> _ = path.write_bytes(b"0123456789")
    >>> [(i, bytes(raw)) for i, raw in LocalBytes(path).read([(2, 4), (8, 10)])]
    [(0, b'23'), (1, b'89')]
    """

    head_bytes = 8

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = repr(str(path))
        self.notes: list[str] = []

    def size(self) -> int:
        """Length of the file in bytes."""
        try:
            with FileIO(self.path) as file:
                return os.fstat(file.fileno()).st_size
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytearray]]:
        """See :class:`FileBytes`."""
        try:
            with FileIO(self.path) as file:
                for i, (start, stop) in enumerate(spans):
                    yield i, self._whole(file, start, stop)
        except OSError as error:
            raise self._unreadable(error) from error

    def rounds(self, rows: npt.NDArray[np.int64], row_bytes: int) -> Iterable[list[Run]]:
        """See :class:`FileBytes`."""
        return [row_runs(rows, most_gap=MOST_GAP_BYTES / row_bytes, longest=max(1, MOST_RUN_BYTES // row_bytes))]

    def _whole(self, file: FileIO, start: int, stop: int) -> bytearray:
        raw = bytearray(stop - start)
        view = memoryview(raw)
        done = 0
        while done < len(raw):
            file.seek(start + done)
            got = file.readinto(view[done:])
            if not got:
                raise ends_early(self.name, start + done)
            done += got
        return raw

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"cannot read {self.name}: {error.strerror or error}; check the path.")


def ends_early(name: str, at: int) -> SourceError:
    """The refusal of a file that is shorter than what it claims to hold."""
    return SourceError(f"{name} is cut off: it ends at byte {at:,}, before its tensors do; download it again.")
