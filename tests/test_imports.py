"""The face is quick to start: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "sklearn", "umap", "matplotlib", "seaborn", "tokenizers", "numba"}


@pytest.mark.parametrize(
    "statement",
    [
        "import numgeom",
        "from numgeom.cli import main; main(['--help'])",
        "from numgeom.cli import main; main(['list', 'metrics'])",
        "from numgeom.cli import main; main(['list', 'models'])",
        "from numgeom.cli import main; main(['plugins'])",
    ],
)
def test_no_heavy_package_is_imported(statement: str) -> None:
    program = f"""
import sys
try:
    {statement}
except SystemExit as stop:
    assert not stop.code, stop.code
print("HEAVY:", sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY: []"


def test_importing_the_package_brings_neither_pandas_nor_pydantic() -> None:
    program = "import sys, numgeom; print(sorted({'pandas', 'pydantic', 'scipy', 'joblib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import numgeom

    assert all(getattr(numgeom, name) is not None for name in numgeom.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = numgeom.nothing
