"""``numgeom new plugin``: a package with one metric, and a test of it that passes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from numgeom import __version__
from numgeom.cli.printing import say
from numgeom.errors import NumgeomError, UnknownName

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "numgeom-{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["numgeom>={version}", "numpy>=2"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points.numgeom]
{name} = "{package}"

[tool.setuptools]
packages = ["{package}"]
"""

ANNOUNCEMENT = '''\
"""What this plugin offers to numgeom."""

from collections.abc import Iterable

from numgeom import ConvergenceSpec, hookimpl

SPEC = ConvergenceSpec(
    name="{name}",
    summary="correlation of the distances of two models, as a first example",
    # Lazy: listing metrics imports nothing heavy.
    target="{package}.metric:{name}",
    range=(-1.0, 1.0),
    invariant_to=frozenset({{"orthogonal", "scale", "translation", "permutation"}}),
)


@hookimpl
def numgeom_convergence_metrics() -> Iterable[ConvergenceSpec]:
    """The metrics of this package."""
    return [SPEC]
'''

METRIC = '''\
"""The metric itself."""

import numpy as np

from numgeom import Incompatible, Representation


def {name}(a: Representation, b: Representation) -> float:
    """Pearson correlation of the distances between the numbers of ``a`` with those of ``b``, in [-1, 1].

    Parameters
    ----------
    a, b : Representation
        Rows are aligned by number.

    Raises
    ------
    Incompatible
        If all distances of a model are equal: the row is then skipped, with this reason.
    """
    pairs = np.triu_indices(a.n, 1)
    mine, other = (side.workspace.distances[pairs] for side in (a, b))
    if np.ptp(mine) == 0 or np.ptp(other) == 0:
        raise Incompatible("all distances of a model are equal.")
    return float(np.corrcoef(mine, other)[0, 1])
'''

TEST = '''\
"""One test for every claim of the card."""

from numgeom.testing import Check, parametrize_with_checks

from {package} import SPEC


@parametrize_with_checks([SPEC])
def test_the_metric_is_what_its_card_says(check: Check) -> None:
    check()
'''


def new(
    what: Annotated[str, typer.Argument(help="plugin")],
    name: Annotated[str, typer.Argument(help="Name of the metric: small letters, digits, underscores.")],
    folder: Annotated[Path, typer.Option("--in", help="Where to put the folder of that name.")] = Path(),
) -> None:
    """Write a plugin package with one metric and a passing test, ready to be changed."""
    if what != "plugin":
        raise UnknownName("thing to make", what, ["plugin"], "Type: numgeom new plugin my_metric")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise NumgeomError(f"plugin name {name!r} must be small letters, digits and underscores, as in my_metric.")
    target = folder / name
    if target.exists():
        raise NumgeomError(f"{str(target)!r} is there already; choose another name, or --in another folder.")
    package = f"numgeom_{name}"
    said = {"name": name, "package": package, "version": __version__}
    files = {
        "pyproject.toml": PROJECT,
        f"{package}/__init__.py": ANNOUNCEMENT,
        f"{package}/metric.py": METRIC,
        f"tests/test_{name}.py": TEST,
    }
    for path, text in files.items():
        try:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_text(text.format(**said), encoding="utf-8")
        except OSError as error:
            raise NumgeomError(f"cannot write {str(target / path)!r}: {error.strerror}.") from None
    say(f"wrote {len(files)} files in {target}; next: pip install -e '{target}[test]' && pytest {target}")
