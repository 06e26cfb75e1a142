"""The cache of remote files: their headers and the rows that were read of them, never whole checkpoints.

An entry is named by a digest of all that it depends on and written at once, so a reader finds it whole or not at
all, whatever other processes do and whenever this one is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.file_bytes import FileBytes
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile, TensorInfo

LIBRARY = "numgeom"
IDS, ROWS = "ids", "rows"


class RowCache:
    """What is kept of one version of a remote model.

    It lies in the assets folder of huggingface_hub, so ``HF_HOME`` moves it and what empties that cache empties it.
    A cache that cannot be written is no error: the rows are there, and ``problem`` says why they were not kept.

    Parameters
    ----------
    name : str
        Of the model, in letters that a folder may have.
    version : str
        Of its files, such as a commit.

    Attributes
    ----------
    problem : str
        Why nothing was kept, once writing has failed; else empty.
    """

    def __init__(self, name: str, version: str) -> None:
        from huggingface_hub import constants

        self.folder = Path(constants.HF_ASSETS_CACHE) / LIBRARY / name / version
        self.problem = ""

    def get(self, *key: str) -> bytes | None:
        """The entry, or None where there is none."""
        try:
            return self._path(*key).read_bytes()
        except OSError:
            return None

    def put(self, content: bytes, *key: str) -> None:
        """Keep ``content``."""
        self._write(self._path(*key), content)

    def get_names(self, what: str) -> tuple[str, ...] | None:
        """A list of names, or None where there is none."""
        try:
            names = json.loads(self.get(what) or b"null")
        except ValueError:
            return None
        whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return tuple(names) if whole else None

    def put_names(self, names: tuple[str, ...], what: str) -> None:
        """Keep a list of names."""
        self.put(json.dumps(names).encode(), what)

    def get_rows(
        self, file: str, info: TensorInfo, wanted: npt.NDArray[np.int64], stored: np.dtype[Any]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
        """Which of some rows are here, and a table of all of them in which the others are zero.

        Parameters
        ----------
        file : str
            Name of the remote file.
        info : TensorInfo
        wanted : ndarray of int, shape (k,)
            Strictly increasing.
        stored : dtype

        Returns
        -------
        here : ndarray of bool, shape (k,)
        table : ndarray, shape (k, d)
        """
        here = np.zeros(wanted.size, dtype=bool)
        table = np.zeros((wanted.size, info.shape[1]), dtype=stored)
        try:
            segments = sorted(self._segments(file, info).glob("*.safetensors"))
        except OSError:
            segments = []
        for path in segments:
            if here.all():
                break
            try:
                segment = SafetensorsFile(path)
                ids = np.asarray(segment.read(IDS), dtype=np.int64)
                fits = segment.tensor(ROWS).shape == (ids.size, info.shape[1]) and ids.ndim == 1
                at = np.flatnonzero(np.isin(wanted, ids) & ~here)
                if fits and at.size and (np.diff(ids) > 0).all():
                    rows = segment.read_rows(ROWS, np.searchsorted(ids, wanted[at]))
                    if rows.dtype == stored.newbyteorder("="):
                        table[at] = rows
                        here[at] = True
            except SourceError:
                continue  # a damaged entry is none
        return here, table

    def put_rows(self, file: str, info: TensorInfo, ids: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        """Keep rows as stored."""
        from safetensors.numpy import save

        name = hashlib.blake2b(ids.tobytes(), digest_size=16).hexdigest()
        self._write(self._segments(file, info) / f"{name}.safetensors", save({IDS: ids, ROWS: rows}))

    def _path(self, *key: str) -> Path:
        return self.folder / _digest(*key)

    def _segments(self, file: str, info: TensorInfo) -> Path:
        return self.folder / _digest(file, info.name, info.dtype, str(info.shape), str(info.start))

    def _write(self, path: Path, content: bytes) -> None:
        temporary = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            self.problem = f"the rows were not kept: cannot write {str(self.folder)!r} ({error.strerror or error})"


class CachedFile(SafetensorsFile):
    """A remote safetensors file whose header and rows are taken from the cache where they are there.

    Parameters
    ----------
    source : FileBytes
        Not asked at all where the cache has everything.
    cache : RowCache
    file : str
        Its name in the cache.

    Raises
    ------
    SourceError
    """

    def __init__(self, source: FileBytes, cache: RowCache, file: str) -> None:
        self._cache = cache
        self._file = file
        super().__init__(source)

    @property
    def notes(self) -> list[str]:
        """What should be said of the way the file was read."""
        return [*super().notes, *([self._cache.problem] if self._cache.problem else [])]

    def _first_bytes(self) -> tuple[int, bytes]:
        held = self._cache.get("header", self._file)
        if held is not None and len(held) >= 8:
            return int.from_bytes(held[:8], "little"), held[8:]
        size, header = super()._first_bytes()
        self._cache.put(size.to_bytes(8, "little") + header, "header", self._file)
        return size, header

    def _whole(self, info: TensorInfo) -> bytes | bytearray:
        key = ("tensor", self._file, info.name)
        held = self._cache.get(*key)
        if held is None or len(held) != info.stop - info.start:
            held = bytes(super()._whole(info))
            self._cache.put(held, *key)
        return held

    def _take(self, info: TensorInfo, wanted: npt.NDArray[np.int64], stored: np.dtype[Any]) -> npt.NDArray[Any]:
        here, table = self._cache.get_rows(self._file, info, wanted, stored)
        if not here.all():
            fetched = super()._take(info, wanted[~here], stored)
            self._cache.put_rows(self._file, info, wanted[~here], fetched)
            table[~here] = fetched
        return table


def _digest(*key: str) -> str:
    return hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest()
