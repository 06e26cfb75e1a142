"""Spans of bytes of a file on any file system that fsspec knows, such as S3 or Google Cloud Storage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.file_bytes import Span, ends_early
from numgeom_plugins.sources.meter import FIRST_CONNECTIONS, HEAD_BYTES, Meter
from numgeom_plugins.sources.row_runs import Run
from numgeom_plugins.sources.server_errors import cause

MOST_AT_ONCE = 256  # spans that are held in memory together


class FilesystemBytes:
    """A file on a file system of fsspec.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
    path : str
    name : str
        How messages call it.
    meter : Meter, optional
        Shared by the files of one server.

    Raises
    ------
    SourceError
        From every method, if the file cannot be read or ends before a span does.

    Examples
    --------
    >>> import fsspec
    >>> memory = fsspec.filesystem("memory")
    >>> memory.pipe_file("/bucket/x", b"0123456789")
    >>> dict(FilesystemBytes(memory, "/bucket/x", "x").read([(2, 4), (8, 10)]))
    {0: b'23', 1: b'89'}
    """

    head_bytes = HEAD_BYTES

    def __init__(self, filesystem: Any, path: str, name: str, meter: Meter | None = None) -> None:
        self.name = name
        self.notes: list[str] = []
        self._filesystem = filesystem
        self._path = path
        self._meter = meter or Meter()
        self._latency = 0.0

    def size(self) -> int:
        """Length of the file in bytes."""
        try:
            return int(self._filesystem.size(self._path))
        except Exception as error:  # each file system has errors of its own
            raise self._unreadable(error) from error

    def rounds(self, rows: npt.NDArray[np.int64], row_bytes: int) -> Iterator[list[Run]]:
        """See :class:`FileBytes`."""
        return self._meter.rounds(rows, row_bytes)

    def read(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytes]]:
        """See :class:`FileBytes`."""
        for first in range(0, len(spans), MOST_AT_ONCE):
            some = spans[first : first + MOST_AT_ONCE]
            starts, stops = [list(ends) for ends in zip(*some, strict=True)]
            began = time.perf_counter()
            try:
                contents = self._filesystem.cat_ranges([self._path] * len(some), starts, stops, on_error="raise")
            except Exception as error:  # each file system has errors of its own
                raise self._unreadable(error) from error
            self._note(time.perf_counter() - began, contents)
            for i, content in enumerate(contents):
                if len(content) != some[i][1] - some[i][0]:
                    raise ends_early(self.name, some[i][0] + len(content))
                yield first + i, content

    def _note(self, wall: float, contents: Sequence[bytes]) -> None:
        if len(contents) == 1:
            self._latency = wall  # the beginning of the file: one short answer
        elif len(contents) >= FIRST_CONNECTIONS and self._latency:
            self._meter.note([min(self._latency, wall)], wall, len(contents), sum(map(len, contents)))

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self.name} could not be read ({cause(error)}); check the address and your rights to it.")
