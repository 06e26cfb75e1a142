"""Checkpoint folders behind a URL: on a web server, on S3, on Google Cloud Storage. Of the weights only the rows."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from numgeom import ModelSpec, NumberSet, Representation, SourceError, Tokenizer
from numgeom_plugins.sources import checkpoint_folder as layout
from numgeom_plugins.sources.checkpoint import embed
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
from numgeom_plugins.sources.file_bytes import FileBytes
from numgeom_plugins.sources.filesystem_bytes import FilesystemBytes
from numgeom_plugins.sources.http_bytes import HttpBytes, Location
from numgeom_plugins.sources.meter import Meter
from numgeom_plugins.sources.row_cache import CachedFile, RowCache
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile
from numgeom_plugins.sources.server_errors import cause, transport_errors

# A web server does not list a folder, so these are looked for.
TOKENIZER_NAMES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)
WEIGHT_NAMES = ("config.json", layout.INDEX, layout.SINGLE)
MOST_SMALL_BYTES = 200_000_000
TIMEOUT_SECONDS = 30.0
AT_ONCE = 8
# What a server says of a file that is not there; S3 says 403 to who may not list the folder.
ABSENT = (400, 401, 403, 404, 410)
PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}


def read_remote(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """The numbers' rows of a checkpoint folder behind a URL.

    Parameters
    ----------
    model : ModelSpec
        ``source`` is the scheme (``https``, ``http``, ``s3``, ``gs``), ``id`` the rest of the address:
        ``//host/folder``. The folder is laid out as :func:`read_checkpoint` wants it. ``s3`` and ``gs`` need the
        packages s3fs and gcsfs, and take their credentials from where these do.
    numbers : NumberSet
    read : {"input", "output"}
    tensor : str, optional
        Name of the tensor, where it cannot be found from config and names.

    Returns
    -------
    Representation
        As from a folder, with the address under ``repository`` of the provenance and, under ``revision``, a digest
        of what the server says of the files' versions.

    Raises
    ------
    SourceError
        If the address, weights or the server's answers are not what they should be, or a package is missing.

    Examples
    --------
    >>> model = ModelSpec(name="m", source="https", id="host/folder")
    >>> read_remote(model, NumberSet.parse("0..9"), read="input")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    SourceError: 'https:host/folder' is not an address
    """
    folder = RemoteFolder(model)
    checkpoint = CheckpointFolder(folder.path, folder.versions, folder.fetch, name=folder.url, remote=folder.open)
    return embed(
        checkpoint,
        folder.tokenizer(model.name),
        numbers,
        read=read,
        tensor=tensor,
        provenance={"repository": folder.url, "revision": folder.version},
    )


def load_tokenizer(model: ModelSpec) -> Tokenizer:
    """The tokenizer of a folder behind a URL; no weights are read.

    Raises
    ------
    SourceError
        As :func:`read_remote`.
    TokenizerError
        If the folder has no tokenizer.
    """
    return RemoteFolder(model).tokenizer(model.name)


def remote_fingerprint(model: ModelSpec) -> str:
    """A digest of what the server says of the files' versions; empty where it says nothing, so nothing is kept."""
    folder = RemoteFolder(model)
    return folder.version if all(folder.versions.values()) else ""


class RemoteFolder:
    """A folder behind a URL.

    Parameters
    ----------
    model : ModelSpec

    Attributes
    ----------
    url : str
    versions : dict of str to str
        What the server says of each file that is there; empty where it says nothing.
    version : str
        A digest of them.
    path : Path
        Where its small files are kept here.

    Raises
    ------
    SourceError
    """

    def __init__(self, model: ModelSpec) -> None:
        self.url = f"{model.source}:{model.id}".rstrip("/")
        parts = urlsplit(self.url)
        if not parts.netloc or not parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise SourceError(
                f"{self.url!r} is not an address of a folder; write {model.source}://HOST/FOLDER, without user or ?."
            )
        self._meter = Meter()
        self._filesystem = None if model.source in ("http", "https") else _filesystem(model.source, self.url)
        self._locations: dict[str, Location] = {}
        self.versions = self._look((*WEIGHT_NAMES, *TOKENIZER_NAMES))
        if not self.versions:
            raise SourceError(
                f"there is no checkpoint at {self.url}: none of {', '.join((*WEIGHT_NAMES, TOKENIZER_NAMES[0]))} is "
                "there, or you may not read them; check the address."
            )
        self.version = _digest(*(f"{name}={self.versions[name]}" for name in sorted(self.versions)))
        self.cache = RowCache("url--" + _digest(self.url), self.version)
        self.path = self.cache.folder / "files"

    def tokenizer(self, name: str) -> Tokenizer:
        """The tokenizer of the folder."""
        from numgeom_plugins.sources.tokenizers import open_tokenizer

        names = [file for file in TOKENIZER_NAMES if file in self.versions]
        if "tokenizer.json" in names:
            names = [file for file in names if file.endswith(".json")]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(self.fetch, names))
        if not names:
            raise SourceError(f"there is no tokenizer at {self.url}; looked for {', '.join(TOKENIZER_NAMES)}.")
        return open_tokenizer(self.path, name=name)

    def fetch(self, name: str) -> Path:
        """Bring a small file here."""
        path = self.path / name
        if path.is_file() and self.versions.get(name):
            return path
        source = self._source(name)
        size = source.size()
        if size > MOST_SMALL_BYTES:
            raise SourceError(f"{source.name} has {size:,} bytes; at most {MOST_SMALL_BYTES:,} are fetched whole.")
        content = next(iter(source.read([(0, size)])))[1] if size else b""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=".writing-")
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except OSError as error:
            raise SourceError(
                f"{source.name} could not be kept in {str(self.path)!r} ({error.strerror or error}); make room on the "
                "disk, or set HF_HOME to a folder that has it."
            ) from error
        return path

    def open(self, name: str) -> SafetensorsFile:
        """A weights file, where it lies."""
        version = self._look([name]).get(name)
        if version is None:
            raise SourceError(f"{self.url} lacks {name}, though its index names it; upload the missing file.")
        source = self._source(name)
        return CachedFile(source, self.cache, f"{name}@{version}") if version else SafetensorsFile(source)

    def _source(self, name: str) -> FileBytes:
        where = f"{self.url}/{name}"
        if self._filesystem is not None:
            return FilesystemBytes(self._filesystem, where, where, self._meter)
        return HttpBytes(
            where, lambda: self._locations.pop(name, None) or _located(_head(_address(where)), where), self._meter
        )

    def _look(self, names: Iterable[str]) -> dict[str, str]:
        """Versions of those files that are there."""
        asked = list(names)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            found = list(pool.map(self._version, asked))
        return {name: version for name, version in zip(asked, found, strict=True) if version is not None}

    def _version(self, name: str) -> str | None:
        """What tells one content of a file from another; empty where nothing does, None where there is no file."""
        where = f"{self.url}/{name}"
        if self._filesystem is not None:
            try:
                return str(self._filesystem.ukey(where)) if self._filesystem.isfile(where) else None
            except Exception as error:  # each file system has errors of its own
                raise SourceError(f"{where} could not be read ({cause(error)}); check your rights to it.") from error
        answer = _head(_address(where))
        if answer.status_code in ABSENT:
            return None
        self._locations[name] = _located(answer, where)
        marks: Mapping[str, str] = answer.headers
        mark = marks.get("ETag") or marks.get("Last-Modified") or ""
        return f"{mark} {marks.get('Content-Length', '')}" if mark else ""


def _filesystem(scheme: str, url: str) -> Any:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        return url_to_fs(url)[0]
    except ImportError as error:
        package = PACKAGES.get(scheme, "")
        raise SourceError(f"{scheme}: addresses need the package {package}; type: pip install {package}") from error
    except Exception as error:  # each file system has errors of its own
        raise SourceError(f"{url} could not be opened ({cause(error)}); check the address and your rights.") from error


def _address(where: str) -> str:
    folder, _, name = where.rpartition("/")
    return f"{folder}/{quote(name)}"


def _head(address: str) -> Any:
    from huggingface_hub.utils import http_backoff  # type: ignore[attr-defined]

    try:
        return http_backoff("HEAD", address, timeout=TIMEOUT_SECONDS, follow_redirects=True, max_retries=2)
    except transport_errors() as error:
        raise SourceError(
            f"{address} cannot be reached ({cause(error)}); check the address and the network."
        ) from error


def _located(answer: Any, where: str) -> Location:
    if answer.status_code != 200:
        raise SourceError(f"the server answers {answer.status_code} for {where}; check the address and your rights.")
    length = answer.headers.get("Content-Length", "")
    return Location(str(answer.url), int(length) if length.isdigit() else None)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
