"""The cache is exact, atomic, and never wrong."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from numgeom.representation import Representation
from numgeom.store import Store, digest

KEY = digest("key")


def test_floats_and_representations_survive_exactly(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = {"x": [0.1 + 0.2, 1e-300, -3.5], "none": None}
    store.put_json("cells", KEY, value)
    assert store.get_json("cells", KEY) == value
    rows = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    rep = Representation(rows, np.arange(5), np.arange(5), {"tensor": "wte"}, random_rows=rows[:2])
    store.put_representation(KEY, rep)
    back = store.get_representation(KEY)
    assert back is not None
    assert back.digest == rep.digest
    assert back.matrix.dtype == np.float32
    assert back.provenance == {"tensor": "wte"}


@pytest.mark.parametrize("content", [b"", b"{", b"PK\x03\x04 broken", b"\x00" * 64])
def test_a_damaged_entry_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    store.put_json("cells", KEY, 1)
    store.put_representation(KEY, Representation(np.eye(4), np.arange(4)))
    for path in tmp_path.rglob(f"{KEY}*"):
        path.write_bytes(content)
    assert store.get_json("cells", KEY) is None
    assert store.get_representation(KEY) is None


def test_nothing_but_whole_entries_lies_in_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        store.put_json("cells", KEY, float("nan"))
    store.put_json("cells", KEY, 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY}.json"]


def _write(root: Path, number: int) -> None:
    for _ in range(50):
        Store(root).put_json("cells", KEY, [number] * 2000)


def test_many_processes_may_write_one_entry(tmp_path: Path) -> None:
    workers = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    seen = [Store(tmp_path).get_json("cells", KEY) for _ in range(300)]
    for worker in workers:
        worker.join()
    seen.append(Store(tmp_path).get_json("cells", KEY))
    assert all(value is None or len(set(value)) == 1 for value in seen)
    assert seen[-1] is not None
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file")
    store.put_json("cells", KEY, 1)
    assert "set NUMGEOM_CACHE to another folder, or give --no-cache" in store.problem
    store.put_json("cells", KEY, 1)
    assert store.get_json("cells", KEY) is None
