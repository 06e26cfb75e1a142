"""Models on a Hugging Face hub: only the files that are needed, through the hub's own cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from numgeom import ModelSpec, NumberSet, Representation, SourceError, Tokenizer
from numgeom_plugins.sources.checkpoint import embed
from numgeom_plugins.sources.checkpoint_folder import INDEX_SUFFIX, CheckpointFolder

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoSibling

REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.\-]*/[A-Za-z0-9_][\w.\-]*", re.ASCII)
REVISION = re.compile(r"\w[\w.\-]*(/\w[\w.\-]*)*", re.ASCII)
TOKENIZER_FILES = re.compile(
    r"[^/]*\.(model|tiktoken)|vocab\.(json|txt)|merges\.txt|(tokenizer|special_tokens|added_tokens)[^/]*\.json|"
    r"bpe_simple_vocab[^/]*\.txt\.gz"
)
# The cache knows which commit a branch stood for only after one file was fetched by the branch's name.
ANCHORS = ("config.json", "tokenizer.json", "README.md", ".gitattributes")
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a repository: the names of its files, the folder of the cache for them, how to fetch one."""

    repository: str
    commit: str
    folder: Path
    files: tuple[str, ...]
    fetch: Callable[[str], Path]


def read_hub(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """The numbers' rows of a model on the hub.

    Fetched are config, tokenizer files, the index, and the one file that holds the embedding. ``HF_ENDPOINT``,
    ``HF_HOME``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` mean what they mean to huggingface_hub.

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
        reached and the cache lacks a file.

    Examples
    --------
    >>> model = ModelSpec(name="m", source="hf", id="../etc")
    >>> read_hub(model, NumberSet.parse("0..9"), read="input")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    SourceError: '../etc' is not a repository of the hub
    """
    snapshot = open_snapshot(model)
    tokenizer = _tokenizer(snapshot, model.name)
    for name in snapshot.files:
        if name == "config.json" or name.endswith(INDEX_SUFFIX):
            snapshot.fetch(name)
    checkpoint = CheckpointFolder(
        snapshot.folder, snapshot.files, snapshot.fetch, name=f"{snapshot.repository}@{snapshot.commit[:12]}"
    )
    return embed(
        checkpoint,
        tokenizer,
        numbers,
        read=read,
        tensor=tensor,
        provenance={"repository": snapshot.repository, "revision": snapshot.commit},
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
    names = sorted({*read, *_tokenizer_files(snapshot)})
    return hashlib.blake2b("\0".join([snapshot.commit, *names]).encode(), digest_size=16).hexdigest()


def open_snapshot(model: ModelSpec) -> Snapshot:
    """The commit that a model's revision stands for, by the hub or, where it cannot be asked, by the cache.

    Raises
    ------
    SourceError
    """
    repository, revision = model.id, model.revision or "main"
    if not REPOSITORY.fullmatch(repository) or ".." in repository:
        raise SourceError(
            f"{repository!r} is not a repository of the hub; write hf:ORG/NAME, as in hf:openai-community/gpt2 "
            "(a folder is given by its path, without hf:)."
        )
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise SourceError(f"{revision!r} is not a revision of {repository}; write a branch, tag or commit after @.")

    from huggingface_hub import HfApi, hf_hub_download

    api = HfApi()
    try:
        info = api.model_info(repository, revision=revision, timeout=TIMEOUT_SECONDS)
        files = _top_files(info.siblings)
        if not files:
            raise SourceError(f"{repository}@{revision} holds no files; give a repository with a model.")
        anchor = next((name for name in ANCHORS if name in files), files[0])
        folder = Path(hf_hub_download(repository, anchor, revision=revision)).parent
        commit = folder.name
        if info.sha != commit:  # the branch moved between the two requests
            files = _top_files(api.model_info(repository, revision=commit, timeout=TIMEOUT_SECONDS).siblings)
    except _connection_errors() as error:
        refusal = _refusal(error)
        if refusal is not None:
            raise _refused(refusal, repository, revision) from error
        return _cached(repository, revision, _cause(error))
    except ValueError as error:
        raise SourceError(
            f"what answers for {repository} is no hub ({_cause(error)}); check HF_ENDPOINT and your proxy."
        ) from error
    return Snapshot(repository, commit, folder, files, lambda name: _download(repository, commit, name))


def _top_files(siblings: list[RepoSibling] | None) -> tuple[str, ...]:
    return tuple(sorted(sibling.rfilename for sibling in siblings or () if "/" not in sibling.rfilename))


def _cached(repository: str, revision: str, why: str) -> Snapshot:
    """What the cache holds of a revision."""
    remedy = "connect once, without HF_HUB_OFFLINE, or set HF_HOME to the cache that holds it."
    where = f"{repository}@{revision}"
    folder = _cached_folder(repository, revision)
    if folder is None:
        raise SourceError(f"{where} is not in the cache and the hub cannot be reached ({why}); {remedy}")

    def fetch(name: str) -> Path:
        if not (folder / name).is_file():
            raise SourceError(f"{name} of {where} is not in the cache and the hub cannot be reached ({why}); {remedy}")
        return folder / name

    files = tuple(sorted(path.name for path in folder.iterdir() if path.is_file()))
    return Snapshot(repository, folder.name, folder, files, fetch)


def _cached_folder(repository: str, revision: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for name in ANCHORS:
        try:
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True)).parent
        except LocalEntryNotFoundError:
            continue
    return None


def _download(repository: str, commit: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=commit))
    except RemoteEntryNotFoundError as error:
        raise SourceError(
            f"{repository}@{commit[:12]} has no file {name}, though its index or its listing names it; "
            "give another revision after @."
        ) from error
    except _connection_errors() as error:
        refusal = _refusal(error)
        if refusal is not None:
            raise _refused(refusal, repository, commit) from error
        raise SourceError(
            f"{name} of {repository} could not be fetched ({_cause(error)}); check the connection and the disk."
        ) from error


def _tokenizer_files(snapshot: Snapshot) -> list[str]:
    """Files that a tokenizer is read from; tokenizer.json makes the older formats unnecessary."""
    names = [name for name in snapshot.files if TOKENIZER_FILES.fullmatch(name)]
    return [name for name in names if name.endswith(".json")] if "tokenizer.json" in names else names


def _tokenizer(snapshot: Snapshot, name: str) -> Tokenizer:
    from numgeom_plugins.sources.tokenizers import open_tokenizer

    for file in _tokenizer_files(snapshot):
        snapshot.fetch(file)
    return open_tokenizer(snapshot.folder, name=name)


def _connection_errors() -> tuple[type[Exception], ...]:
    """OSError and the HTTP client's own error, whichever client this huggingface_hub uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(base for base in HfHubHTTPError.__mro__[1:] if issubclass(base, Exception) and base is not Exception)


def _refusal(error: BaseException | None) -> HfHubHTTPError | None:
    """The hub's own "no" behind an error; ``None`` where it could not answer at all."""
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None:
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            return None if status in (408, 429) or status >= 500 else error
        error = error.__cause__
    return None


def _cause(error: BaseException) -> str:
    """The innermost cause, in one short line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).splitlines() or [""])[0][:120].rstrip(" .")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _refused(error: HfHubHTTPError, repository: str, revision: str) -> SourceError:
    """What the hub's refusal means, and what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = error.response.status_code
    token = "set HF_TOKEN to a token that may read it, or type hf auth login"
    if isinstance(error, GatedRepoError):
        return SourceError(f"{repository} is gated: accept its terms on its page of the hub, then {token}.")
    if isinstance(error, RevisionNotFoundError):
        return SourceError(
            f"{repository} has no revision {revision!r}; write a branch, tag or commit after @, or nothing for main."
        )
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return SourceError(f"{repository} is not on the hub, or it is private; check the spelling, or {token}.")
    if status == 401:
        return SourceError(f"the hub does not accept the token for {repository} (401); {token}.")
    if status == 403:
        return SourceError(f"the hub does not let you read {repository} (403); {token}.")
    return SourceError(f"the hub answers {status} for {repository}@{revision}; type it again later.")
