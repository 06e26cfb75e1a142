"""Links in a checkpoint folder: none may lead out of it, so that a downloaded folder cannot open other files."""

from __future__ import annotations

from pathlib import Path

from numgeom import SourceError

# The hub's cache: models--ORG--NAME/snapshots/COMMIT/config.json links to models--ORG--NAME/blobs/HASH, which may
# itself be a link to blobs/xx/HASH, shared by all repositories of the cache.
_SNAPSHOTS = "snapshots"
_SHARED = "blobs"
_REPOSITORIES = ("models--", "datasets--", "spaces--")


def confined(path: Path, folder: Path) -> Path:
    """``path`` itself, if it lies in ``folder`` after all links are followed.

    A folder of the hub's own cache reaches as far as its repository and the cache's shared blobs, where the contents
    of its files lie. The folder itself may be a link: the user named it.

    Parameters
    ----------
    path : Path
        An entry of the folder.
    folder : Path

    Returns
    -------
    Path

    Raises
    ------
    SourceError
        If a link leads out of the folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "config.json").write_text("{}")
    >>> confined(folder / "config.json", folder).name
    'config.json'
    """
    root = folder.resolve()
    roots = [root]
    parts = root.parts
    if len(parts) > 2 and parts[-2] == _SNAPSHOTS and parts[-3].startswith(_REPOSITORIES):
        repository = root.parent.parent
        roots = [repository, repository.parent / _SHARED]
    target = path.resolve()
    if not any(target.is_relative_to(one) for one in roots):
        raise SourceError(
            f"{str(path)!r} is a link to {str(target)!r}, out of its folder, which a checkpoint may not have; copy the "
            "file into the folder if you trust it."
        )
    return path
