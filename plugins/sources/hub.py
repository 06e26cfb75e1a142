"""Models on a Hugging Face hub: of the weights only the rows that are needed, of small files the whole."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from numgeom import ModelSpec, NumberSet, Representation, SourceError, Tokenizer
from numgeom_plugins.sources.checkpoint import embed
from numgeom_plugins.sources.checkpoint_folder import INDEX_SUFFIX, CheckpointFolder
from numgeom_plugins.sources.http_bytes import HttpBytes, Location
from numgeom_plugins.sources.hub_snapshot import Snapshot, lacks, open_snapshot, tokenizer_files
from numgeom_plugins.sources.meter import Meter
from numgeom_plugins.sources.row_cache import CachedFile, RowCache
from numgeom_plugins.sources.server_errors import cause, patiently, refusal, refused, transport_errors

__all__ = ["hub_fingerprint", "load_tokenizer", "open_checkpoint", "open_snapshot", "read_hub"]

TIMEOUT_SECONDS = 30.0


def read_hub(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """The numbers' rows of a model on the hub.

    Fetched are config, tokenizer files and the index, the headers of the files that may hold the embedding, and
    the rows themselves by HTTP Range requests. Headers and rows are kept, so that a second reading asks the hub for
    nothing but the commit. A file that the hub's own cache holds whole is read there. ``HF_ENDPOINT``, ``HF_HOME``,
    ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` mean what they mean to huggingface_hub.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is ``org/name``; ``revision`` a branch, tag or commit, by default ``main``.
    numbers : NumberSet
    read : {"input", "output"}
    tensor : str, optional
        Name of the tensor, where it cannot be found from config and names.

    Returns
    -------
    Representation
        As from a folder, with the commit under ``revision`` of the provenance.

    Raises
    ------
    SourceError
        If the repository, revision or weights are not there, access is not granted, or the hub cannot be
        reached and the cache lacks a file or a row.

    Examples
    --------
    >>> model = ModelSpec(name="m", source="hf", id="../etc")
    >>> read_hub(model, NumberSet.parse("0..9"), read="input")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    SourceError: '../etc' is not a repository of the hub
    """
    snapshot = open_snapshot(model)
    # All small files at once: one round trip for config, index and tokenizer.
    snapshot.fetch_all([*_described(snapshot), *tokenizer_files(snapshot.files)])
    checkpoint = open_checkpoint(snapshot)
    return embed(
        checkpoint,
        _tokenizer(snapshot, model.name),
        numbers,
        read=read,
        tensor=tensor,
        provenance={"repository": snapshot.repository, "revision": snapshot.commit},
    )


def open_checkpoint(snapshot: Snapshot) -> CheckpointFolder:
    """The weights of a snapshot, read where they lie; config and index are fetched whole.

    Raises
    ------
    SourceError
        As :func:`read_hub`.
    """
    snapshot.fetch_all(_described(snapshot))
    meter = Meter()
    return CheckpointFolder(
        snapshot.folder,
        snapshot.files,
        snapshot.fetch,
        name=f"{snapshot.repository}@{snapshot.commit[:12]}",
        remote=lambda name: _remote(snapshot, name, meter),
    )


def load_tokenizer(model: ModelSpec) -> Tokenizer:
    """The tokenizer of a model on the hub; no weights are fetched.

    Raises
    ------
    SourceError
        As :func:`read_hub`.
    TokenizerError
        If the repository has no tokenizer.
    """
    return _tokenizer(open_snapshot(model), model.name)


def hub_fingerprint(model: ModelSpec) -> str:
    """The commit, and the names of the files that are read of it."""
    snapshot = open_snapshot(model)
    read = [name for name in snapshot.files if name == "config.json" or ".safetensors" in name]
    names = sorted({*read, *tokenizer_files(snapshot.files)})
    return hashlib.blake2b("\0".join([snapshot.commit, *names]).encode(), digest_size=16).hexdigest()


def _described(snapshot: Snapshot) -> list[str]:
    return [name for name in snapshot.files if name == "config.json" or name.endswith(INDEX_SUFFIX)]


def _tokenizer(snapshot: Snapshot, name: str) -> Tokenizer:
    from numgeom_plugins.sources.tokenizers import open_tokenizer

    snapshot.fetch_all(tokenizer_files(snapshot.files))
    return open_tokenizer(snapshot.folder, name=name)


def _remote(snapshot: Snapshot, file: str, meter: Meter) -> CachedFile:
    """One weights file of a snapshot; its address is asked for only when a byte of it is needed."""
    name = f"{file} of {snapshot.repository}@{snapshot.commit[:12]}"
    cache = RowCache(snapshot.asset, snapshot.commit)
    return CachedFile(HttpBytes(name, lambda: _locate(snapshot, file), meter), cache, file)


def _locate(snapshot: Snapshot, file: str) -> Location:
    """The signed address of a file, by one call of the hub: all its rows are then read from there."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    where = f"{snapshot.repository}@{snapshot.commit[:12]}"
    if snapshot.offline:
        raise SourceError(
            f"the rows of {file} of {where} are not in the cache and the hub cannot be reached ({snapshot.offline}); "
            "connect once, without HF_HUB_OFFLINE, or set HF_HOME to the cache that holds them."
        )
    url = hf_hub_url(snapshot.repository, file, revision=snapshot.commit)
    try:
        found = patiently(lambda: get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS))
    except RemoteEntryNotFoundError as error:
        raise lacks(snapshot.repository, snapshot.commit, file) from error
    except transport_errors() as error:
        no = refusal(error)
        if no is not None:
            raise refused(no, snapshot.repository, snapshot.commit) from error
        raise SourceError(f"{file} of {where} could not be read ({cause(error)}); check the connection.") from error
    # The token is for the hub alone, not for the host that it redirects to.
    same = urlsplit(found.location)[:2] == urlsplit(url)[:2]
    return Location(found.location, found.size, build_hf_headers() if same else {})
