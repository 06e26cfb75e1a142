"""Fingerprints of files: what tells a cache that a model has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from numgeom import ModelSpec, SourceError

MOST_CONTENT_BYTES = 16_000_000  # read in all; what is beyond is known by its size, time and first bytes
HEAD_BYTES = 65_536

_CHECKPOINT = ("*.json", "*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.model", "*.tiktoken", "*.txt", "*.gz")


def fingerprint_files(files: Iterable[Path]) -> str:
    """A digest of some files that changes whenever they do.

    Files are taken by name. Up to 16 MB their content is read; any file beyond that counts with its size,
    its modification time and its first 64 KiB, which hold the header of a safetensors file.

    Parameters
    ----------
    files : iterable of Path

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    SourceError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rows.npz"
    >>> _ = path.write_bytes(b"one")
    >>> before = fingerprint_files([path])
    >>> _ = path.write_bytes(b"two")
    >>> fingerprint_files([path]) == before
    False
    """
    state = hashlib.blake2b(digest_size=16)
    left = MOST_CONTENT_BYTES
    for path in sorted(files, key=lambda path: path.name):
        try:
            status = path.stat()
            state.update(f"{path.name}\0{status.st_size}\0".encode())
            with open(path, "rb") as file:
                if status.st_size <= left:
                    left -= status.st_size
                    state.update(file.read())
                else:
                    state.update(f"{status.st_mtime_ns}\0".encode())
                    state.update(file.read(HEAD_BYTES))
        except OSError as error:
            raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
    return state.hexdigest()


def file(model: ModelSpec) -> str:
    """Fingerprint of a model that is one file."""
    return fingerprint_files([Path(model.id).expanduser()])


def folder(model: ModelSpec) -> str:
    """Fingerprint of a model that is a checkpoint folder: weights, config and tokenizer files."""
    path = Path(model.id).expanduser()
    return fingerprint_files({found for pattern in _CHECKPOINT for found in path.glob(pattern) if found.is_file()})


def recipe(model: ModelSpec) -> str:
    """Fingerprint of a model that is computed: its recipe and parameters."""
    return f"{model.id} {sorted(model.params.items())}"
