"""A server on the loopback that speaks the hub's protocol, and the host that it redirects large files to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from numgeom_plugins.sources import http_bytes, server_errors

if TYPE_CHECKING:
    import pytest

Content = bytes | Path


@dataclass
class Repository:
    """Commits of one repository; the last is ``main``."""

    commits: dict[str, dict[str, Any]]
    refusal: tuple[int, str] | None = None  # status and X-Error-Code of every file
    token: str = ""  # without it: private
    pushed: dict[str, dict[str, Any]] = field(default_factory=dict)  # arrives just after the first answer

    def resolve(self, revision: str) -> str | None:
        return list(self.commits)[-1] if revision == "main" else revision if revision in self.commits else None


@dataclass
class Request:
    """One request and what was sent for it."""

    host: str  # "hub", "cdn" or "site"
    method: str
    path: str
    authorization: str
    range: str
    status: int = 0
    sent: int = 0


@dataclass
class Hub:
    """The server's content, its moods, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    cdn: str = ""
    web: str = ""
    site: dict[str, Content] = field(default_factory=dict)
    down: bool = False
    latency: float = 0.0
    ranges: bool = True
    busy: list[tuple[str, int, str]] = field(default_factory=list)  # host, status, Retry-After of coming answers
    cut: int = 0  # of coming bodies of the other host, how many break off in the middle
    uses: int = 1 << 30  # how often a signed address may be used
    large: tuple[str, ...] = (".safetensors",)
    signatures: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, Content] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)  # seconds that the client would have slept
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        return [(one.method, one.path, one.authorization) for one in self.requests]

    def forget(self) -> None:
        self.requests.clear()

    def files_sent(self) -> list[str]:
        """Names of the files of which a body went out."""
        bodies = [one for one in self.requests if one.sent and "/api/" not in one.path]
        return [one.path.rsplit("/", 1)[-1] for one in bodies]

    def to(self, host: str) -> list[Request]:
        return [one for one in self.requests if one.host == host]

    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(one.sent for one in self.requests)

    def moment(self, host: str) -> tuple[int, str] | None:
        """A refusal for the moment, if one is due."""
        with self.lock:
            due = next((one for one in self.busy if one[0] == host), None)
            if due:
                self.busy.remove(due)
        return due and due[1:]

    def sign(self, digest: str, name: str) -> str:
        with self.lock:
            signature = str(len(self.signatures))
            self.signatures[signature] = self.uses
        return f"{self.cdn}/{digest}/{name}?signature={signature}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    hub: Hub
    host: str

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(send=False)

    def do_GET(self) -> None:
        self.answer(send=True)

    def answer(self, send: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers.get("authorization", "")
        self.record = Request(self.host, self.command, path, authorization, self.headers.get("range", ""))
        self.hub.requests.append(self.record)
        if self.hub.latency:
            time.sleep(self.hub.latency)
        moment = self.hub.moment(self.host)
        if self.hub.down or moment:
            status, after = moment or (503, "")
            return self.reply(send, status, retry_after=after)
        return self.serve(send, path)

    def serve(self, send: bool, path: str) -> None:
        raise NotImplementedError

    def reply(self, send: bool, status: int, content: bytes = b"", **headers: str) -> None:
        named = {
            "X-Error-Code": headers.get("code", ""),
            "X-Repo-Commit": headers.get("commit", ""),
            "ETag": headers["etag"] and f'"{headers["etag"]}"' if "etag" in headers else "",
            "Content-Type": headers.get("kind", ""),
            "Retry-After": headers.get("retry_after", ""),
            "Location": headers.get("location", ""),
            "X-Linked-Etag": headers.get("linked_etag", ""),
            "X-Linked-Size": headers.get("linked_size", ""),
            "Content-Range": headers.get("content_range", ""),
            "Content-Length": headers.get("length", str(len(content))),
        }
        self.record.status = status
        self.send_response(status)
        for name, value in named.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if send and content:
            self.body(content)

    def body(self, content: bytes) -> None:
        self.record.sent += len(content)
        try:
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class HubHandler(_Handler):
    host = "hub"

    def serve(self, send: bool, path: str) -> None:
        authorization = self.record.authorization
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path)
        tree = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(.+)", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or tree or resolve
        repository = self.hub.repositories.get(match[1]) if match else None
        if match is None or repository is None or (repository.token and repository.token not in authorization):
            return self.reply(send, 401, code="RepoNotFound")
        if (resolve or repository.token) and repository.refusal:
            return self.reply(send, repository.refusal[0], code=repository.refusal[1])
        commit = repository.resolve(match[2])
        if commit is None:
            return self.reply(send, 404, code="RevisionNotFound")
        files = repository.commits[commit]
        repository.commits.update(repository.pushed)
        if api:
            listing = {"id": match[1], "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            return self.reply(send, 200, json.dumps(listing).encode(), kind="application/json")
        if tree:
            entries = [
                {"type": "file", "path": name, "size": _size(content), "oid": _digest(content)[:40]}
                for name, content in files.items()
            ]
            return self.reply(send, 200, json.dumps(entries).encode(), kind="application/json")
        if match[3] not in files:
            return self.reply(send, 404, code="EntryNotFound", commit=commit)
        content = files[match[3]]
        if match[3].endswith(self.hub.large):
            # Large files are redirected to another host, as the hub does for LFS.
            digest = _digest(content)
            self.hub.blobs[digest] = content
            return self.reply(
                send,
                302,
                location=self.hub.sign(digest, match[3]),
                linked_etag=f'"{digest}"',
                linked_size=str(_size(content)),
                commit=commit,
            )
        whole = content.read_bytes() if isinstance(content, Path) else content
        return self.reply(send, 200, whole, commit=commit, etag=_digest(content))


class CdnHandler(_Handler):
    host = "cdn"

    def serve(self, send: bool, path: str) -> None:
        signature = urlsplit(self.path).query.removeprefix("signature=")
        with self.hub.lock:
            left = self.hub.signatures.get(signature, 0)
            self.hub.signatures[signature] = left - 1
        if left <= 0:
            return self.reply(send, 403)
        content = self.hub.blobs[path.split("/")[1]]
        send_part(self, send, content, self.hub)
        return None


class SiteHandler(_Handler):
    """An ordinary web server with some files."""

    host = "site"

    def serve(self, send: bool, path: str) -> None:
        if path not in self.hub.site:
            return self.reply(send, 404)
        send_part(self, send, self.hub.site[path], self.hub, etag=_digest(self.hub.site[path]))
        return None


def send_part(handler: _Handler, send: bool, content: Content, hub: Hub, etag: str = "") -> None:
    """The bytes of a ``Range`` header, or all of them; some break off in the middle."""
    size = _size(content)
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.record.range) if hub.ranges else None
    start, stop = (int(match[1]), min(int(match[2]) + 1, size)) if match else (0, size)
    if start >= size:
        return handler.reply(send, 416)
    partial = f"bytes {start}-{stop - 1}/{size}" if match else ""
    marks = {"etag": etag} if etag else {}
    handler.reply(False, 206 if match else 200, content_range=partial, length=str(stop - start), **marks)
    if not send:
        return None
    with hub.lock:
        broken = hub.cut > 0
        hub.cut -= broken
    if broken:
        stop = start + (stop - start) // 2
        handler.close_connection = True
    position = start
    while position < stop and not (handler.close_connection and not broken):
        step = min(stop - position, 1 << 20)
        handler.body(_read(content, position, step))
        position += step
    return None


def _read(content: Content, start: int, count: int) -> bytes:
    if isinstance(content, bytes):
        return content[start : start + count]
    with open(content, "rb") as file:
        file.seek(start)
        return file.read(count)


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _digest(content: Content) -> str:
    # A sparse file of gigabytes is told from others by its name.
    return hashlib.sha256(str(content).encode() if isinstance(content, Path) else content).hexdigest()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has read enough closes its connection: nothing to report."""


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on one port, its other host on a second, an ordinary web server on a third."""
    hub = Hub()
    servers = []
    for handler in (HubHandler, CdnHandler, SiteHandler):
        server = _Server(("127.0.0.1", 0), type("Bound", (handler,), {"hub": hub}))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    hub.url, hub.cdn, hub.web = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def turn_to(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the client of this process to a hub, with an empty cache in ``folder``; waiting takes no time."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(folder / "assets"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    clock = SimpleNamespace(sleep=hub.waits.append, time=time.time, perf_counter=time.perf_counter)
    monkeypatch.setattr(_http, "time", clock)
    monkeypatch.setattr(server_errors, "time", clock)
    monkeypatch.setattr(http_bytes, "time", clock)
