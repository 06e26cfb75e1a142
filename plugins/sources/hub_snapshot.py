"""One commit of a repository on a hub: which commit a revision stands for, its files, and the small ones of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from numgeom import ModelSpec, SourceError
from numgeom_plugins.sources.row_cache import RowCache
from numgeom_plugins.sources.server_errors import cause, disk_error, patiently, refusal, refused, transport_errors

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.\-]*/[A-Za-z0-9_][\w.\-]*", re.ASCII)
REVISION = re.compile(r"\w[\w.\-]*(/\w[\w.\-]*)*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
TOKENIZER_FILES = re.compile(
    r"[^/]*\.(model|tiktoken)|vocab\.(json|txt)|merges\.txt|(tokenizer|special_tokens|added_tokens)[^/]*\.json|"
    r"bpe_simple_vocab[^/]*\.txt\.gz"
)
CONFIG = "config.json"
# The cache knows which commit a branch stood for only after one file was fetched by the branch's name.
ANCHORS = (CONFIG, "tokenizer.json", "README.md", ".gitattributes")
LISTING = "listing"
TIMEOUT_SECONDS = 30.0
SMALL_FILES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a repository.

    Parameters
    ----------
    repository, commit : str
    folder : Path
        Of the hub's own cache; it holds the files that were fetched whole.
    files : tuple of str
        Names of all files of the commit.
    fetch : callable
        ``(file name) -> Path``: brings a whole file into the folder.
    offline : str
        Why the hub cannot be asked; empty where it can.
    """

    repository: str
    commit: str
    folder: Path
    files: tuple[str, ...]
    fetch: Callable[[str], Path]
    offline: str = ""

    @property
    def asset(self) -> str:
        """The repository as the name of a folder."""
        return _asset(self.repository)

    def fetch_all(self, names: Iterable[str]) -> None:
        """Bring several small files into the folder, some at a time."""
        lacking = [name for name in dict.fromkeys(names) if not (self.folder / name).is_file()]
        if lacking:
            with ThreadPoolExecutor(max_workers=min(SMALL_FILES_AT_ONCE, len(lacking))) as pool:
                list(pool.map(self.fetch, lacking))


def lacks(repository: str, commit: str, name: str) -> SourceError:
    """The refusal of a file that a commit does not have."""
    return SourceError(
        f"{repository}@{commit[:12]} has no file {name}, though its index or its listing names it; "
        "give another revision after @."
    )


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
    try:
        return _online(repository, revision)
    except transport_errors() as error:
        no = refusal(error)
        if no is not None:
            raise refused(no, repository, revision) from error
        if disk_error(error):
            raise _unwritable(repository, error) from error
        return _cached(repository, revision, cause(error))
    except ValueError as error:
        raise SourceError(
            f"what answers for {repository} is no hub ({cause(error)}); check HF_ENDPOINT and your proxy."
        ) from error


def tokenizer_files(files: Iterable[str]) -> list[str]:
    """Files that a tokenizer is read from; tokenizer.json makes the older formats unnecessary."""
    names = [name for name in files if TOKENIZER_FILES.fullmatch(name)]
    return [name for name in names if name.endswith(".json")] if "tokenizer.json" in names else names


def _online(repository: str, revision: str) -> Snapshot:
    """A commit never changes, so what it holds is asked for once; the commit of a branch is asked for every time."""
    from huggingface_hub import hf_hub_download

    fixed = COMMIT.fullmatch(revision) and RowCache(_asset(repository), revision).get_names(LISTING)
    commit = revision if fixed else _commit(repository, revision)
    files = _listing(repository, commit)
    if not COMMIT.fullmatch(revision) and _known_commit(repository, revision) != commit:
        anchor = next((name for name in ANCHORS if name in files), files[0])
        moved = Path(hf_hub_download(repository, anchor, revision=revision)).parent.name
        if moved != commit:  # the branch moved between the two requests
            commit, files = moved, _listing(repository, moved)
    return Snapshot(
        repository, commit, _folder(repository, commit), files, lambda name: _download(repository, commit, name)
    )


def _listing(repository: str, commit: str) -> tuple[str, ...]:
    from huggingface_hub import HfApi

    cache = RowCache(_asset(repository), commit)
    files = cache.get_names(LISTING)
    if files is None:
        listing = patiently(lambda: HfApi().model_info(repository, revision=commit, timeout=TIMEOUT_SECONDS))
        files = _top_files(listing.siblings)
        if not files:
            raise SourceError(f"{repository}@{commit[:12]} holds no files; give a repository with a model.")
        cache.put_names(files, LISTING)
    return files


def _commit(repository: str, revision: str) -> str:
    """The commit of a revision, by one call without a body."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

    url = hf_hub_url(repository, CONFIG, revision=revision)

    def ask() -> str | None:
        try:
            return get_hf_file_metadata(url, timeout=TIMEOUT_SECONDS).commit_hash
        except RemoteEntryNotFoundError as error:
            commit: str | None = error.response.headers.get(constants.HUGGINGFACE_HEADER_X_REPO_COMMIT)
            return commit

    try:
        commit = ask()
    except HfHubHTTPError as error:
        # A hub that is busy is waited for only where the cache cannot answer.
        if refusal(error) is not None or _known_commit(repository, revision):
            raise
        commit = patiently(ask)
    if commit is None or not COMMIT.fullmatch(commit):
        raise ValueError(f"it names no commit of {revision}")
    return commit


def _folder(repository: str, commit: str) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "snapshots" / commit


def _asset(repository: str) -> str:
    return "models--" + repository.replace("/", "--")


def _top_files(siblings: list[RepoSibling] | None) -> tuple[str, ...]:
    return tuple(sorted(sibling.rfilename for sibling in siblings or () if "/" not in sibling.rfilename))


def _cached(repository: str, revision: str, why: str) -> Snapshot:
    """What the caches hold of a revision."""
    remedy = "connect once, without HF_HUB_OFFLINE, or set HF_HOME to the cache that holds it."
    where = f"{repository}@{revision}"
    commit = _known_commit(repository, revision)
    if not commit:
        raise SourceError(f"{where} is not in the cache and the hub cannot be reached ({why}); {remedy}")
    folder = _folder(repository, commit)

    def fetch(name: str) -> Path:
        if not (folder / name).is_file():
            raise SourceError(f"{name} of {where} is not in the cache and the hub cannot be reached ({why}); {remedy}")
        return folder / name

    listed = RowCache(_asset(repository), commit).get_names(LISTING)
    here = tuple(sorted(path.name for path in folder.iterdir() if path.is_file())) if folder.is_dir() else ()
    return Snapshot(repository, commit, folder, listed or here, fetch, why)


def _known_commit(repository: str, revision: str) -> str:
    """The commit that the hub's cache remembers for a revision; empty where it remembers none."""
    from huggingface_hub import try_to_load_from_cache

    if COMMIT.fullmatch(revision) and (
        _folder(repository, revision).is_dir() or RowCache(_asset(repository), revision).get_names(LISTING)
    ):
        return revision
    for name in ANCHORS:
        found = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent.name
    return ""


def _download(repository: str, commit: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, name, revision=commit))
    except RemoteEntryNotFoundError as error:
        raise lacks(repository, commit, name) from error
    except transport_errors() as error:
        no = refusal(error)
        if no is not None:
            raise refused(no, repository, commit) from error
        if disk_error(error):
            raise _unwritable(f"{name} of {repository}", error) from error
        raise SourceError(
            f"{name} of {repository} could not be fetched ({cause(error)}); check the connection and the disk."
        ) from error


def _unwritable(what: str, error: BaseException) -> SourceError:
    return SourceError(
        f"{what} could not be kept ({cause(error)}); make room on the disk, or set HF_HOME to a folder that has it."
    )
