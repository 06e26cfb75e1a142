"""Files of rows as NumPy writes them: only wanted rows are kept, and what would fill the memory is refused."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgeom import ModelSpec, NumberSet, Representation, SourceError
from numgeom_plugins.sources.rows import read_rows


def read(path: Path, numbers: str = "0..9") -> Representation:
    model = ModelSpec(name="m", source="rows", id=str(path))
    return read_rows(model, NumberSet.parse(numbers), read="vectors")


def message(call: Callable[[], object]) -> str:
    with pytest.raises(SourceError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def peak_of(call: Callable[[], Any]) -> tuple[Any, int]:
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_rows_of_a_bare_matrix_are_the_numbers_from_0(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float16)
    np.save(tmp_path / "m.npy", matrix)
    rep = read(tmp_path / "m.npy", "3..5,19,40")
    assert rep.numbers.tolist() == [3, 4, 5, 19]
    np.testing.assert_array_equal(rep.matrix, matrix[[3, 4, 5, 19]].astype(np.float32))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_come_out_of_any_archive_in_any_order(tmp_path: Path, save: Any, order: str) -> None:
    rng = np.random.default_rng(0)
    matrix = np.asarray(rng.standard_normal((3000, 120)), order=order)  # several blocks
    values = rng.permutation(3000)
    save(tmp_path / "r.npz", numbers=matrix, number_values=values)
    rep = read(tmp_path / "r.npz", "0..2999:7")
    np.testing.assert_array_equal(rep.matrix, matrix[np.argsort(values)][::7])


def test_a_large_archive_costs_its_wanted_rows(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).standard_normal((20_000, 300)).astype(np.float32)  # 24 MB
    np.savez(tmp_path / "r.npz", numbers=matrix, number_values=np.arange(20_000))
    rep, peak = peak_of(lambda: read(tmp_path / "r.npz", "0..9"))
    np.testing.assert_array_equal(rep.matrix, matrix[:10])
    assert peak < 6_000_000


def test_token_ids_of_the_control_are_kept(tmp_path: Path) -> None:
    held: dict[str, Any] = {"numbers": np.eye(3), "number_values": [0, 1, 2], "random": np.ones((4, 3))}
    held["random"][1, 1] = np.nan
    np.savez(tmp_path / "r.npz", **held, random_token_ids=[7, 8, 9, 11])
    assert read(tmp_path / "r.npz").provenance["random_token_ids"] == [7, 9, 11]
    np.savez(tmp_path / "r.npz", **held, random_token_ids=[7, 8])
    assert "random_token_ids has shape (2,) and type int64; give 4 integers" in message(
        lambda: read(tmp_path / "r.npz")
    )


def bomb(path: Path, rows: int, width: int) -> Path:
    """An archive of zeros: gigabytes in megabytes."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {width}), }}".encode().ljust(117) + b"\n"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("numbers.npy", "w") as file,
    ):
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(rows):
            file.write(bytes(8 * width))
    return path


def test_an_archive_that_unpacks_a_thousandfold_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "r.npz", 40, 1_000_000)  # 320 MB of zeros
    assert path.stat().st_size < 3_000_000
    said, peak = peak_of(lambda: message(lambda: read(path)))
    assert "numbers.npy unpacks from" in said
    assert peak < 3_000_000


def test_faults_of_a_bare_matrix(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, np.array([{"a": 1}], dtype=object))
    assert "is not a whole .npy file: Array can't be memory-mapped: Python objects" in message(lambda: read(path))
    np.save(path, np.zeros(3))
    assert "numbers has shape (3,); it must be a matrix" in message(lambda: read(path))
    np.save(path, np.float64(3))
    assert "must be a matrix" in message(lambda: read(path))
    np.save(path, np.zeros((5, 2)))
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-8], whole.replace(b"(5, 2)", b"(9, 9)"), whole.replace(b"<f8", b"|O8")):
        path.write_bytes(content)
        assert "is not a whole .npy file" in message(lambda: read(path))
    np.save(path, np.array([["a", "b"]]))
    assert "it must hold numbers" in message(lambda: read(path))
    assert "No such file" in message(lambda: read(tmp_path / "none.npy"))
