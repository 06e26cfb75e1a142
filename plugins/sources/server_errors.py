"""What a server's refusal means, in one line with what to do."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from numgeom import SourceError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

FOR_THE_MOMENT = (408, 429, 500, 502, 503, 504)
TRIES = 5
MOST_SECONDS = 300.0  # the hub counts calls over five minutes
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
TOKEN = "set HF_TOKEN to a token that may read it, or type hf auth login"


def transport_errors() -> tuple[type[Exception], ...]:
    """OSError and the HTTP client's own error, whichever client this huggingface_hub uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(base for base in HfHubHTTPError.__mro__[1:] if issubclass(base, Exception) and base is not Exception)


def cause(error: BaseException) -> str:
    """The innermost cause, in one short line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).splitlines() or [""])[0][:120].rstrip(" .")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def refusal(error: BaseException | None) -> HfHubHTTPError | None:
    """The hub's own "no" behind an error; ``None`` where it could not answer at all."""
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return None if error.response.status_code in FOR_THE_MOMENT else error
        error = error.__cause__
    return None


def refused(error: HfHubHTTPError, repository: str, revision: str) -> SourceError:
    """What the hub's refusal means, and what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return SourceError(f"{repository} is gated: accept its terms on its page of the hub, then {TOKEN}.")
    if isinstance(error, RevisionNotFoundError):
        return SourceError(
            f"{repository} has no revision {revision!r}; write a branch, tag or commit after @, or nothing for main."
        )
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return SourceError(f"{repository} is not on the hub, or it is private; check the spelling, or {TOKEN}.")
    if status == 401:
        return SourceError(f"the hub does not accept the token for {repository} (401); {TOKEN}.")
    if status == 403:
        return SourceError(f"the hub does not let you read {repository} (403); {TOKEN}.")
    return SourceError(f"the hub answers {status} for {repository}@{revision}; type it again later.")


def patiently(call: Callable[[], T]) -> T:
    """``call()``, repeated while the hub refuses for the moment (429, 503, ...), as late as it asks for.

    Parameters
    ----------
    call : callable
        One call of the hub.

    Raises
    ------
    HfHubHTTPError
        The last refusal.
    """
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(TRIES - 1):
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code not in FOR_THE_MOMENT:
                raise
            time.sleep(min(_asked_wait(error.response.headers) or 2.0**attempt, MOST_SECONDS))
    return call()


def disk_error(error: BaseException | None) -> bool:
    """Whether what failed is the disk of this machine: full, read-only or not ours."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK:
            return True
        error = error.__cause__
    return False


def _asked_wait(headers: Mapping[str, str]) -> float:
    """Seconds that a refusal asks to wait, by ``Retry-After`` or the hub's ``RateLimit``; 0 where it does not say."""
    for name, pattern in {"Retry-After": r"(\d+)", "RateLimit": r".*;\s*t=(\d+).*"}.items():
        match = re.fullmatch(pattern, headers.get(name, "").strip())
        if match:
            return float(match[1])
    return 0.0
