"""Spans of bytes of a file on a web server: many at once over kept-alive connections, resumed where they are cut."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.file_bytes import Span, ends_early
from numgeom_plugins.sources.meter import FIRST_CONNECTIONS, HEAD_BYTES, Meter
from numgeom_plugins.sources.row_runs import Run
from numgeom_plugins.sources.server_errors import cause, transport_errors

TIMEOUT_SECONDS = 30.0
MOST_INTERRUPTIONS = 5
# Statuses with which a server refuses an address whose signature has run out.
EXPIRED = (401, 403)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a file can be read just now.

    Parameters
    ----------
    url : str
    size : int or None
        Bytes of the file; ``None`` where the server did not say.
    headers : mapping
        What every request must carry, such as a token.
    """

    url: str
    size: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class _NoRanges(Exception):
    """The server sent the whole file where a part was asked for."""


class HttpBytes:
    """A file behind a URL.

    Parameters
    ----------
    name : str
        How messages call it.
    locate : callable
        ``() -> Location``; called when the first byte is needed, and again when the address has expired.
    meter : Meter, optional
        Shared by the files of one server.

    Raises
    ------
    SourceError
        From every method, if the server refuses, cannot be reached, or holds less than it said.
    """

    head_bytes = HEAD_BYTES

    def __init__(self, name: str, locate: Callable[[], Location], meter: Meter | None = None) -> None:
        self.name = name
        self.notes: list[str] = []
        self._locate = locate
        self._meter = meter or Meter()
        self._location: Location | None = None
        self._size: int | None = None
        self._ranges: bool | None = None  # not known before the first answer
        self._waited: list[float] = []

    def size(self) -> int:
        """Length of the file in bytes."""
        if self._size is None:
            self._size = self._where().size
        if self._size is None:
            try:
                self._one((0, 1))
            except _NoRanges:
                self._ranges = False
        if self._size is None:
            raise SourceError(f"{self.name}: the server does not say how long the file is; download it by hand.")
        return self._size

    def rounds(self, rows: npt.NDArray[np.int64], row_bytes: int) -> Iterable[list[Run]]:
        """See :class:`FileBytes`."""
        return self._meter.rounds(rows, row_bytes)

    def read(self, spans: Sequence[Span]) -> Iterator[tuple[int, bytearray]]:
        """See :class:`FileBytes`."""
        left = list(range(len(spans)))
        try:
            if left and self._ranges is None:
                yield left[0], self._one(spans[left[0]])
                left.pop(0)
            if self._ranges:
                for i, content in self._many(spans, list(left)):
                    yield i, content
                    left.remove(i)
        except _NoRanges:
            self._ranges = False
        if left:
            yield from self._stream(spans, sorted(left, key=lambda i: spans[i]))

    def _many(self, spans: Sequence[Span], left: list[int]) -> Iterator[tuple[int, bytearray]]:
        connections = self._meter.connections
        self._waited = []
        began = time.perf_counter()
        pool = ThreadPoolExecutor(max_workers=max(1, min(connections, len(left))))
        try:
            futures = {pool.submit(self._one, spans[i]): i for i in left}
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)
        if len(left) >= FIRST_CONNECTIONS:
            wall = time.perf_counter() - began
            count = sum(spans[i][1] - spans[i][0] for i in left)
            self._meter.note(self._waited, wall, len(left), count)

    def _one(self, span: Span) -> bytearray:
        """All bytes of one span, asked for again from where a connection broke."""
        content = bytearray()
        interruptions = 0
        while len(content) < span[1] - span[0]:
            failure = self._continue(span, content)
            if failure is None:
                continue
            interruptions += 1
            if interruptions > MOST_INTERRUPTIONS:
                raise self._unreachable(failure) from failure
            time.sleep(interruptions - 1)
        return content

    def _continue(self, span: Span, content: bytearray) -> Exception | None:
        """One request for what is missing of a span; what broke it, or ``None``."""
        location = self._where()
        at = span[0] + len(content)
        began = time.perf_counter()
        with self._request(location, {"Range": f"bytes={at}-{span[1] - 1}"}) as response:
            status = response.status_code
            if status in EXPIRED:
                return self._expired(location, status)
            if status == 200:
                self._size = self._size or _length(response.headers.get("Content-Length"))
                raise _NoRanges
            if status != 206:
                raise ends_early(self.name, at) if status == 416 else self._refused(status)
            self._waited.append(time.perf_counter() - began)
            self._ranges = True
            self._check_range(response.headers.get("Content-Range", ""), at)
            try:
                for chunk in response.iter_raw():
                    content += chunk
            except transport_errors() as error:
                return error
        if len(content) > span[1] - span[0]:
            raise SourceError(f"{self.name}: the server sends more bytes than were asked for; try another network.")
        return None

    def _stream(self, spans: Sequence[Span], left: list[int]) -> Iterator[tuple[int, bytearray]]:
        """Spans in rising order out of the whole file, of which nothing else is kept."""
        failures = 0
        read = 0
        while left:
            location = self._where()
            position = 0
            content = bytearray()
            failure: Exception | None = None
            with self._request(location, {}) as response:
                if response.status_code in EXPIRED:
                    failure = self._expired(location, response.status_code)
                elif response.status_code != 200:
                    raise self._refused(response.status_code)
                else:
                    chunks = response.iter_raw()
                    while left:
                        try:
                            chunk = next(chunks, b"")
                        except transport_errors() as error:
                            failure = error
                            break
                        if not chunk:
                            raise ends_early(self.name, position)
                        while left and spans[left[0]][0] < position + len(chunk):
                            start, stop = spans[left[0]]
                            content += chunk[max(0, start - position) : stop - position]
                            if len(content) < stop - start:
                                break
                            yield left.pop(0), content
                            content = bytearray()
                        position += len(chunk)
                        read += len(chunk)
            if failure is not None:
                failures += 1
                if failures > MOST_INTERRUPTIONS:
                    raise self._unreachable(failure) from failure
                time.sleep(failures - 1)
        self.notes[:] = [f"{self.name}: the server sends no parts of files, so {read:,} bytes were read in one stream"]

    def _request(self, location: Location, headers: Mapping[str, str]) -> Any:
        """An open answer; refusals for the moment (429, 503, ...) are waited for by huggingface_hub."""
        from huggingface_hub.utils import http_stream_backoff  # type: ignore[attr-defined]

        return _Answer(
            self,
            http_stream_backoff(
                "GET",
                location.url,
                headers={**location.headers, **headers, "Accept-Encoding": "identity"},
                timeout=TIMEOUT_SECONDS,
                follow_redirects=True,
            ),
        )

    def _where(self) -> Location:
        if self._location is None:
            self._location = self._locate()
        return self._location

    def _expired(self, location: Location, status: int) -> SourceError:
        """Forget an address that is refused; the error is raised only if new ones are refused as well."""
        if self._location is location:
            self._location = None
        return self._refused(status)

    def _check_range(self, text: str, at: int) -> None:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
        if match is None or int(match[1]) != at:
            raise SourceError(
                f"{self.name}: the server was asked for bytes from {at:,} on and sends {text!r}; try another network."
            )
        total = _length(match[2])
        if self._size is None:
            self._size = total
        if total is not None and total != self._size:
            raise SourceError(
                f"{self.name} changed from {self._size} to {total:,} bytes while it was read; read it again."
            )

    def _refused(self, status: int) -> SourceError:
        return SourceError(f"the server answers {status} for {self.name}; check the address and your rights to it.")

    def _unreachable(self, error: BaseException) -> SourceError:
        if isinstance(error, SourceError):
            return error
        return SourceError(f"{self.name} could not be read to its end ({cause(error)}); check the connection.")


class _Answer:
    """The context of an open answer, in which failures to get one are errors with one line."""

    def __init__(self, file: HttpBytes, context: Any) -> None:
        self._file = file
        self._context = context

    def __enter__(self) -> Any:
        try:
            return self._context.__enter__()
        except transport_errors() as error:
            raise self._file._unreachable(error) from error

    def __exit__(self, *raised: Any) -> Any:
        return self._context.__exit__(*raised)


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
