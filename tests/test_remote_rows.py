"""Rows from afar: which are read together, and what happens when a server is slow, forgetful, rude or simple."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import pytest
from hub_server import Hub, serving, turn_to
from safetensors.numpy import save
from small_repository import files, message, sharded, table

from numgeom import ModelSpec, NumberSet, Representation
from numgeom_plugins.sources.file_bytes import LocalBytes
from numgeom_plugins.sources.filesystem_bytes import FilesystemBytes
from numgeom_plugins.sources.http_bytes import HttpBytes, Location
from numgeom_plugins.sources.meter import Meter
from numgeom_plugins.sources.remote import load_tokenizer, read_remote, remote_fingerprint
from numgeom_plugins.sources.row_cache import CachedFile, RowCache
from numgeom_plugins.sources.row_runs import MOST_RUNS, MOST_WASTE, Link, row_runs
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SPANS = [(17 * i * 100, 17 * i * 100 + 100) for i in range(200)]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as server:
        turn_to(server, tmp_path, monkeypatch)
        yield server


def remote(hub: Hub, content: bytes = CONTENT) -> HttpBytes:
    """A file whose signed address is asked for as the hub's would be."""
    hub.blobs["x"] = content
    return HttpBytes("file x", lambda: Location(hub.sign("x", "x"), len(content)))


# ---------------------------------------------------------------- which rows together


def seconds(runs: list[tuple[int, int]], link: Link, row_bytes: int) -> float:
    return len(runs) * link.latency / link.connections + sum(b - a for a, b in runs) * row_bytes / link.bandwidth


def covers(runs: list[tuple[int, int]]) -> set[int]:
    return {row for first, stop in runs for row in range(first, stop)}


@pytest.mark.parametrize("seed", range(5))
def test_the_runs_are_the_fastest_there_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 60, size=9))
    link = Link(latency=0.05, bandwidth=10 ** rng.uniform(4, 6), connections=4)
    chosen = row_runs(rows, most_gap=link.break_even / 1000, longest=1000)
    assert covers(chosen) >= set(rows.tolist())
    # Every way to cut the sorted rows into runs.
    times = []
    for cuts in itertools.product([False, True], repeat=len(rows) - 1):
        bounds = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(rows)]
        runs = [(int(rows[a]), int(rows[b - 1]) + 1) for a, b in itertools.pairwise(bounds)]
        times.append(seconds(runs, link, 1000))
    assert seconds(chosen, link, 1000) == pytest.approx(min(times))


def test_runs_are_few_but_never_at_the_price_of_too_many_bytes() -> None:
    rows = np.unique(np.random.default_rng(0).integers(0, 100_000, size=2000))
    few = row_runs(rows, most_gap=0, longest=10_000, most_runs=500)
    assert len(few) == 500
    frugal = row_runs(rows, most_gap=0, longest=10_000, most_runs=500, most_waste=1000)
    assert len(frugal) > 500
    assert len(covers(frugal)) <= rows.size + 1000
    assert covers(frugal) >= set(rows.tolist())
    assert row_runs(np.arange(10), most_gap=0, longest=4) == [(0, 4), (4, 8), (8, 10)]
    assert row_runs(np.empty(0, np.int64), most_gap=5, longest=4) == []


def test_a_fast_link_reads_across_gaps_and_a_slow_one_asks_again() -> None:
    rows = np.arange(0, 3000, 3)
    counts = {}
    for name, bandwidth in {"slow": 1e5, "fast": 1e9}.items():
        meter = Meter()
        meter.link = Link(latency=0.05, bandwidth=bandwidth, connections=16)
        runs = [run for some in meter.rounds(rows, 8192) for run in some]
        counts[name] = len(runs)
        assert covers(runs) >= set(rows.tolist())
        assert len(covers(runs)) <= (1 + MOST_WASTE) * rows.size
    assert counts["fast"] < counts["slow"] <= MOST_RUNS


def test_an_unknown_link_is_measured_by_its_first_runs(hub: Hub) -> None:
    matrix = np.random.default_rng(1).standard_normal((4000, 16)).astype(np.float32)
    meter = Meter()
    hub.blobs["m"] = save({"x": matrix})
    file = SafetensorsFile(HttpBytes("m", lambda: Location(hub.sign("m", "m")), meter))
    rows = np.random.default_rng(2).choice(4000, size=600, replace=False)
    np.testing.assert_array_equal(file.read_rows("x", rows), matrix[rows])
    assert meter.link is not None
    assert meter.link.latency > 0
    # One address for all of them, and less than all of the file.
    assert len(hub.signatures) == 1
    assert hub.sent() < len(hub.blobs["m"])


# ---------------------------------------------------------------- servers


def whole(source: HttpBytes) -> bool:
    found = dict(source.read(SPANS))
    return all(found[i] == CONTENT[start:stop] for i, (start, stop) in enumerate(SPANS)) and len(found) == len(SPANS)


def test_spans_come_from_the_server_and_are_whole(hub: Hub) -> None:
    source = remote(hub)
    assert source.size() == len(CONTENT)
    assert whole(source)
    assert hub.sent() == 100 * len(SPANS)


def test_a_cut_connection_resumes_where_it_broke(hub: Hub) -> None:
    hub.cut = 4
    source = remote(hub)
    assert whole(source)
    assert hub.cut == 0
    # Each broken span was asked for again from its middle: nothing was sent twice.
    assert hub.sent() == 100 * len(SPANS)


def test_a_connection_that_never_holds_is_an_error(hub: Hub) -> None:
    hub.cut = 1 << 30
    assert "file x could not be read to its end" in message(lambda: whole(remote(hub)))


def test_a_busy_server_is_waited_for_as_long_as_it_asks(hub: Hub) -> None:
    hub.busy = [("cdn", 503, ""), ("cdn", 429, "7"), ("cdn", 500, "")]
    assert whole(remote(hub))
    assert 8 in hub.waits  # huggingface_hub adds a second to what is asked
    assert len(hub.waits) == 3


def test_a_server_that_stays_busy_is_an_error(hub: Hub) -> None:
    hub.busy = [("cdn", 503, "")] * 1000
    assert "503" in message(lambda: whole(remote(hub)))


def test_an_expired_address_is_asked_for_anew(hub: Hub) -> None:
    hub.uses = 40
    source = remote(hub)
    assert whole(source)
    assert 5 <= len(hub.signatures) <= 40


def test_an_address_that_is_always_refused_is_an_error(hub: Hub) -> None:
    hub.uses = 0
    assert "the server answers 403 for file x" in message(lambda: whole(remote(hub)))
    assert len(hub.signatures) < 10


def test_a_server_without_ranges_is_read_in_one_stream_and_this_is_said(hub: Hub) -> None:
    hub.ranges = False
    source = remote(hub)
    assert whole(source)
    assert "the server sends no parts of files" in source.notes[0]
    assert not any(one.status == 206 for one in hub.requests)


def test_a_stream_that_breaks_begins_again(hub: Hub) -> None:
    hub.ranges = False
    source = remote(hub)
    dict(source.read(SPANS[:1]))
    hub.cut = 2
    last = (len(CONTENT) - 10, len(CONTENT))
    assert dict(source.read([*SPANS[:3], last]))[3] == CONTENT[-10:]
    assert hub.cut == 0


def test_a_file_that_is_shorter_than_it_said_is_refused(hub: Hub) -> None:
    source = remote(hub)
    assert "cut off" in message(lambda: list(source.read([(len(CONTENT) + 5, len(CONTENT) + 9)])))


def test_a_file_that_changes_while_it_is_read_is_refused(hub: Hub) -> None:
    source = remote(hub)
    dict(source.read(SPANS[:1]))
    hub.blobs["x"] = CONTENT + b"!"
    assert "changed from 1000000 to 1,000,001 bytes" in message(lambda: whole(source))


def test_nobody_there_is_an_error(hub: Hub) -> None:
    source = HttpBytes("file x", lambda: Location("http://127.0.0.1:9/x", 100))
    assert "file x could not be read to its end (Connect" in message(lambda: dict(source.read([(0, 10)])))


# ---------------------------------------------------------------- the cache of rows


def refuse(*asked: object) -> None:
    raise AssertionError("asked")


CLOSED: Any = SimpleNamespace(name="closed", head_bytes=8, notes=[], size=refuse, read=refuse, rounds=refuse)


def kept(tmp_path: Path) -> tuple[Path, RowCache, np.ndarray]:
    matrix = np.random.default_rng(3).standard_normal((50, 4)).astype(np.float32)
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"x": matrix}))
    return path, RowCache("name", "version"), matrix


def test_rows_are_kept_and_only_missing_ones_are_read(tmp_path: Path, hub: Hub) -> None:
    path, cache, matrix = kept(tmp_path)
    CachedFile(LocalBytes(path), cache, "x").read_rows("x", [1, 5, 9])
    CachedFile(LocalBytes(path), cache, "x").read_rows("x", [5, 7])
    again = CachedFile(CLOSED, cache, "x")
    np.testing.assert_array_equal(again.read_rows("x", [9, 7, 1, 5]), matrix[[9, 7, 1, 5]])
    with pytest.raises(AssertionError, match="asked"):
        again.read_rows("x", [2])


def test_a_damaged_entry_is_none(tmp_path: Path, hub: Hub) -> None:
    path, cache, matrix = kept(tmp_path)
    CachedFile(LocalBytes(path), cache, "x").read_rows("x", [1, 5, 9])
    for segment in cache.folder.glob("*/*.safetensors"):
        segment.write_bytes(segment.read_bytes()[:-3])
    found = CachedFile(LocalBytes(path), cache, "x").read_rows("x", [1, 5, 9])
    np.testing.assert_array_equal(found, matrix[[1, 5, 9]])


def test_a_cache_that_cannot_be_written_costs_a_note_and_no_rows(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache, matrix = kept(tmp_path)
    (tmp_path / "assets").write_bytes(b"a file where a folder should be")
    file = CachedFile(LocalBytes(path), cache, "x")
    np.testing.assert_array_equal(file.read_rows("x", [3]), matrix[[3]])
    assert "the rows were not kept: cannot write" in file.notes[0]


# ---------------------------------------------------------------- folders behind a URL


def put(hub: Hub, held: dict[str, bytes]) -> ModelSpec:
    hub.site = {f"/models/m/{name}": content for name, content in held.items()}
    return ModelSpec(name="m", source="http", id=hub.web.removeprefix("http:") + "/models/m")


def rows(model: ModelSpec, source: str = "input") -> Representation:
    return read_remote(model, NumberSet.parse("0..99"), read=source)


@pytest.mark.parametrize("held", [files, sharded])
def test_a_folder_on_a_web_server_gives_its_rows(hub: Hub, held: Callable[[], dict[str, bytes]]) -> None:
    model = put(hub, held())
    rep = rows(model)
    expected = table(0 if held is files else 1)[1:101]
    np.testing.assert_array_equal(rep.matrix, expected)
    assert load_tokenizer(model).encode_number(7) == (8,)
    first = remote_fingerprint(model)
    hub.forget()
    assert rows(model).digest == rep.digest
    assert remote_fingerprint(model) == first
    assert hub.sent() == 0  # a second reading asks for versions only


def test_a_folder_that_changes_is_read_again(hub: Hub) -> None:
    model = put(hub, files(1))
    before = remote_fingerprint(model)
    rows(model)
    put(hub, files(2))
    np.testing.assert_array_equal(rows(model).matrix, table(2)[1:101])
    assert remote_fingerprint(model) != before


def test_a_simple_server_is_read_in_one_stream(hub: Hub) -> None:
    hub.ranges = False
    rep = rows(put(hub, sharded()))
    np.testing.assert_array_equal(rep.matrix, table(1)[1:101])
    assert any("sends no parts of files" in note for note in rep.provenance["notes"])


def test_faults_of_addresses(hub: Hub) -> None:
    held = sharded()
    model = put(hub, held)
    assert "there is no checkpoint at" in message(lambda: rows(ModelSpec(name="m", source="http", id=f"{model.id}x")))
    nowhere = ModelSpec(name="m", source="http", id="//127.0.0.1:9/m")
    assert "cannot be reached" in message(lambda: rows(nowhere))
    for wrong in ("//", "//host", "host/folder", "//user:secret@host/folder", "//host/folder?token=1"):
        said = message(lambda wrong=wrong: rows(ModelSpec(name="m", source="https", id=wrong)))  # type: ignore[misc]
        assert "is not an address of a folder; write https://HOST/FOLDER" in said
    del held["model-00001-of-00003.safetensors"]
    assert "lacks model-00001-of-00003.safetensors, though its index names it" in message(lambda: rows(put(hub, held)))


def test_a_folder_on_any_file_system_gives_its_rows(hub: Hub) -> None:
    memory = fsspec.filesystem("memory")
    for name, content in sharded().items():
        memory.pipe_file(f"/bucket/m/{name}", content)
    model = ModelSpec(name="m", source="memory", id="//bucket/m")
    np.testing.assert_array_equal(rows(model).matrix, table(1)[1:101])
    np.testing.assert_array_equal(rows(model, "output").matrix, table(2)[1:101])
    assert remote_fingerprint(model) == remote_fingerprint(model) != ""
    source = FilesystemBytes(memory, "/bucket/m/config.json", "config.json")
    assert "config.json is cut off" in message(lambda: dict(source.read([(0, 10_000)])))


def test_a_missing_package_is_named_with_its_remedy(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def absent(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    said = message(lambda: rows(ModelSpec(name="m", source="s3", id="//bucket/m")))
    assert "s3: addresses need the package s3fs; type: pip install s3fs" in said
