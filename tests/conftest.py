"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

# pytest-xdist fills the processors; BLAS threads on top of it only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared data beside the project; a test that needs it skips where it is absent and fails in CI."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data" / "README.md").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the shared data at {folder}")
        pytest.skip(f"the shared data is not at {folder}")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, registry or plugin switches."""
    monkeypatch.setenv("NUMGEOM_CACHE", str(tmp_path / "numgeom-cache"))
    for name in ("NUMGEOM_PLUGINS", "NUMGEOM_STRICT", "NUMGEOM_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
