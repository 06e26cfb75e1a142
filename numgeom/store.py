"""The cache: representations and finished cells, content-addressed and written atomically.

An entry is named by a digest of everything that its value depends on, so it is never wrong, only absent;
writing goes to a temporary file in the same folder and is then renamed, so that a reader sees a whole
entry or none, whatever other processes do and whenever this one is killed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from numgeom.errors import NumgeomError
from numgeom.representation import Representation


def digest(value: Any) -> str:
    """Digest of plain data (dicts, lists, text, numbers), 32 hexadecimal digits.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def default_root() -> Path:
    """``NUMGEOM_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("NUMGEOM_CACHE") or platformdirs.user_cache_dir("numgeom"))


class Store:
    """A folder of entries; ``root=None`` keeps nothing.

    Parameters
    ----------
    root : Path or None

    Attributes
    ----------
    problem : str
        Why the folder is no longer used, once writing to it has failed; else empty.

    Examples
    --------
    >>> Store(None).get_json("cells", "0" * 32) is None
    True
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.problem = ""

    def get_json(self, kind: str, key: str) -> Any:
        """The entry, or None where there is none (an unreadable one counts as none)."""
        content = self._read(kind, key, ".json")
        try:
            return None if content is None else json.loads(content)
        except ValueError:
            return None

    def put_json(self, kind: str, key: str, value: Any) -> None:
        """Keep plain data; floats survive exactly."""
        self._write(kind, key, ".json", json.dumps(value, allow_nan=False).encode())

    def get_representation(self, key: str) -> Representation | None:
        """The representation kept under ``key``, or None."""
        content = self._read("representations", key, ".npz")
        if content is None:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as held:
                return Representation(
                    held["matrix"],
                    held["numbers"],
                    held.get("token_ids"),
                    json.loads(str(held["provenance"])),
                    held.get("random_rows"),
                    # An entry from before there were strings lacks this array: it is read anew, not taken for none.
                    strings=tuple(held["strings"].tolist()),
                    string_rows=held.get("string_rows"),
                )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, NumgeomError):
            return None

    def put_representation(self, key: str, rep: Representation) -> None:
        """Keep a representation, in its stored precision."""
        arrays: dict[str, Any] = {"matrix": rep.matrix, "numbers": rep.numbers}
        arrays["provenance"] = np.array(json.dumps(dict(rep.provenance), default=str))
        if rep.token_ids is not None:
            arrays["token_ids"] = rep.token_ids
        if rep.random_rows is not None:
            arrays["random_rows"] = rep.random_rows
        arrays["strings"] = np.array(rep.strings, dtype=np.str_)
        if rep.string_rows is not None:
            arrays["string_rows"] = rep.string_rows
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        self._write("representations", key, ".npz", buffer.getvalue())

    def _path(self, kind: str, key: str, suffix: str) -> Path:
        assert self.root is not None
        return self.root / kind / key[:2] / f"{key}{suffix}"

    def _read(self, kind: str, key: str, suffix: str) -> bytes | None:
        if self.root is None:
            return None
        try:
            return self._path(kind, key, suffix).read_bytes()
        except OSError:
            return None

    def _write(self, kind: str, key: str, suffix: str, content: bytes) -> None:
        if self.root is None:
            return
        path = self._path(kind, key, suffix)
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
            # A study is worth more than its cache: the run goes on without one, and says so.
            self.problem = (
                f"nothing more is cached: cannot write {str(self.root)!r}: {error.strerror}; "
                "set NUMGEOM_CACHE to another folder, or give --no-cache."
            )
            self.root = None
