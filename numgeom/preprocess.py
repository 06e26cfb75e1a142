"""The preprocessing chain: explicit, ordered, written into every row.

Steps are named in words:

- ``center``, ``unit`` (rows of length 1), ``standardize`` (columns of mean 0 and variance 1);
- ``residual:magnitude``: what is left after a regression on ``[1, n, log(n + 1)]``;
- ``residual:length``: on the number of digits (one mean a length);
- ``residual:frequency``: on ``[1, r, r^2]``, ``r = log(id + 1)`` of the token ids, which are a merge rank in the
  vocabularies of BPE and a frequency rank in most others;
- ``residual:counts=FILE``: on ``[1, r, r^2]``, ``r = log(count + 1)`` of counts that you give, one NUMBER,COUNT a line;
- ``residual:dctK``: on the first K cosines of the row order.

Residual steps that follow one another are one regression on all their columns together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.columns import column_of, read_column
from numgeom.errors import Incompatible, SourceError, UnknownName
from numgeom.representation import Representation
from numgeom.specs import NullSpec
from numgeom.targets import NullView, null_views

F64 = npt.NDArray[np.float64]

RESIDUAL = "residual:"
COUNTS = "residual:counts="
STEPS = (
    "center", "unit", "standardize", "residual:magnitude", "residual:length", "residual:frequency",
    "residual:counts=FILE", "residual:dct20",
)  # fmt: skip


def preprocess(rep: Representation, chain: Sequence[str]) -> Representation:
    """Apply the steps of ``chain`` in order, in float64.

    Parameters
    ----------
    rep : Representation
    chain : sequence of str

    Returns
    -------
    Representation
        With ``rep`` as its origin, so that nulls can draw before the chain; ``rep`` itself for an empty chain. String
        rows and random rows are moved by the mean and divided by the spread of the numbers' rows; after a residual
        step there are none, since they have no value of what is regressed out.

    Raises
    ------
    UnknownName
        If a step is not known.
    Incompatible
        If the numbers are too few for the design of a ``residual:`` step, or nothing is known of their frequency.
    SourceError
        If a file of counts cannot be read.

    Examples
    --------
    >>> rep = Representation(np.arange(8.0).reshape(4, 2), np.arange(4))
    >>> preprocess(rep, ["center"]).matrix.mean()
    np.float64(0.0)
    """
    if not chain:
        return rep
    matrix = rep.matrix.astype(np.float64)
    beside = {} if leaves_residuals(chain) else _beside(rep)
    for residual, steps in groupby(chain, lambda step: step.startswith(RESIDUAL)):
        if residual:
            together = list(steps)
            basis = _column_space(np.hstack([_design(step, rep) for step in together]))
            if basis.shape[1] >= rep.n:
                name = " with ".join(together)
                raise Incompatible(f"{name} needs more than {basis.shape[1]} numbers; {rep.n} are shared.")
            matrix = matrix - basis @ (basis.T @ matrix)
            # Twice is enough: what rounding left of a large fitted part is rounding no more.
            matrix -= basis @ (basis.T @ matrix)
            continue
        for step in steps:
            before = matrix
            matrix = _plain(step, matrix, before)
            beside = {name: _plain(step, rows, before) for name, rows in beside.items()}
    done = rep.with_matrix(matrix, preprocess=list(chain))
    return replace(
        done,
        origin=rep,
        random_rows=beside.get("random"),
        string_rows=beside.get("strings"),
        strings=rep.strings if "strings" in beside else (),
    )


def check_steps(chain: Sequence[str]) -> None:
    """Refuse a chain with a step that is not known, or a file of counts that cannot be read.

    Raises
    ------
    UnknownName, SourceError
    """
    for step in chain:
        if step.startswith(COUNTS):
            read_counts(step.removeprefix(COUNTS))
        elif step not in STEPS and not re.fullmatch(r"residual:dct\d+", step):
            raise UnknownName("preprocessing step", step, STEPS)


def leaves_residuals(chain: Sequence[str]) -> bool:
    """Whether a chain regresses something out: such scores are never held against a row permutation.

    Examples
    --------
    >>> leaves_residuals(["center", "residual:length"]), leaves_residuals(["unit"])
    (True, False)
    """
    return any(step.startswith(RESIDUAL) for step in chain)


def regressors(rep: Representation) -> F64 | None:
    """What the residual steps of its chain regressed out of a representation, ``(n, k)``; None where there are none.

    Examples
    --------
    >>> rep = Representation(np.eye(12), np.arange(12))
    >>> regressors(preprocess(rep, ["center", "residual:length"])).sum(axis=0).tolist()
    [10.0, 2.0]
    """
    steps = [step for step in rep.provenance.get("preprocess", ()) if step.startswith(RESIDUAL)]
    return np.hstack([_design(step, rep) for step in steps]) if steps else None


def log_frequency(rep: Representation, counts: str = "") -> npt.NDArray[np.float64]:
    """Logarithm of how often each number is written, or of the rank of its token, ``(n,)``.

    Parameters
    ----------
    rep : Representation
    counts : path, optional
        A file with one NUMBER,COUNT a line, for ``log(count + 1)``; without it ``log(id + 1)`` of the token ids:
        a merge rank in the vocabularies of BPE, a frequency rank in lists of words by frequency.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    Incompatible
        If there are no token ids, if they only number the numbers, or if a number has no count.
    SourceError
        If the file cannot be read.

    Examples
    --------
    >>> rep = Representation(np.eye(3), np.arange(3), token_ids=np.array([0, 9, 99]))
    >>> log_frequency(rep).round(3).tolist()
    [0.0, 2.303, 4.605]
    """
    if counts:
        return np.asarray(np.log1p(column_of(read_counts(counts), rep.numbers, counts)), dtype=np.float64)
    remedy = "give counts of your own: residual:counts=FILE, or frequency_only(counts=FILE)"
    if rep.token_ids is None:
        raise Incompatible(
            f"frequency needs the token ids of the numbers, and these rows have none (W-FREQ); {remedy}."
        )
    if np.all(np.diff(rep.token_ids) == np.diff(rep.numbers)):
        raise Incompatible(
            "the token ids of these numbers rise as the numbers do, one by one: they count them, and hold no frequency "
            f"(W-FREQ); {remedy}."
        )
    return np.log1p(rep.token_ids.astype(np.float64))


def read_counts(path: str) -> dict[int, float]:
    """How often each number is written, from a file with one NUMBER,COUNT a line.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of int to float

    Raises
    ------
    SourceError
        If the file cannot be read, or a count is no number from 0.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "counts.csv"
    >>> _ = path.write_text("7,120")
    >>> read_counts(str(path))
    {7: 120.0}
    """
    found: dict[int, float] = {}
    for number, entry in read_column(path).items():
        try:
            found[number] = float(entry)
        except ValueError:
            found[number] = float("nan")
        if not 0 <= found[number] < np.inf:
            raise SourceError(f"{path!r}: the count of {number} is {entry!r}; it must be a number from 0.")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ChainedView:
    """A null's view of the rows before a chain, with the chain applied to all that it shows and draws.

    Parameters
    ----------
    view : NullView
        Of the rows before the chain.
    chain : tuple of str

    Attributes
    ----------
    observed : Representation
        What is scored: what the null compares, preprocessed.

    Examples
    --------
    >>> from numgeom.targets import DrawnView
    >>> rep = Representation(np.arange(8.0).reshape(4, 2), np.arange(4))
    >>> view = ChainedView(DrawnView("", rep, lambda rep, rng: rep, {}), ("center",))
    >>> view.draw(np.random.default_rng(0)).matrix.mean()
    np.float64(0.0)
    """

    view: NullView
    chain: tuple[str, ...]
    observed: Representation = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "observed", preprocess(self.view.observed, self.chain))

    @property
    def name(self) -> str:
        """Of the view."""
        return self.view.name

    def draw(self, rng: np.random.Generator) -> Representation:
        """One surrogate, preprocessed."""
        return preprocess(self.view.draw(rng), self.chain)


def chained_views(
    spec: NullSpec,
    params: Mapping[str, Any],
    rep: Representation,
    narrowed: Callable[[Representation], Representation] = lambda rep: rep,
) -> Sequence[NullView]:
    """The views of a null on rows that went through a chain: drawn before it, preprocessed after it.

    A projection that two models share is itself shared structure, so a surrogate must go through the same one, which
    surrogates of rows that were projected before do not. A null whose class says ``projects = True`` sees to
    residual steps itself, and its surrogates are centred where the rows are.

    Parameters
    ----------
    spec : NullSpec
    params : mapping
    rep : Representation
        As :func:`preprocess` gives it, or rows that went through nothing.
    narrowed : callable, optional
        Makes a representation with the same inner products and fewer columns, where nothing else matters.

    Returns
    -------
    sequence of NullView

    Examples
    --------
    >>> spec = NullSpec(name="noise", summary="noise", keeps="n, d", destroys="the rows",
    ...     target=lambda rep, rng: rep.with_matrix(rng.standard_normal(rep.matrix.shape)))
    >>> rep = Representation(np.eye(6), np.arange(6))
    >>> drawn = chained_views(spec, {}, preprocess(rep, ["residual:length"]))[0].draw(np.random.default_rng(0))
    >>> bool(np.allclose(drawn.matrix.mean(axis=0), 0.0))
    True
    """
    chain = tuple(rep.provenance.get("preprocess", ()))
    before = rep.origin
    centred = set(chain) <= {"center"}
    aware = getattr(spec.load(), "projects", False) and (centred or leaves_residuals(chain))
    # A reordered cloud keeps its mean.
    same = not chain or (centred and spec.permutes_rows)
    if aware or same or before is None or "preprocess" in before.provenance:
        return null_views(spec, params, narrowed(rep))
    # Scaling columns is the only step that depends on more than the inner products of the rows.
    rows = before if "standardize" in chain else narrowed(before)
    return [ChainedView(view, chain) for view in null_views(spec, params, rows)]


def _beside(rep: Representation) -> dict[str, F64]:
    """The rows beside those of the numbers that lie in the same space; a narrowed representation has left it."""
    held = {"random": rep.random_rows, "strings": rep.string_rows}
    return {name: rows.astype(np.float64) for name, rows in held.items() if rows is not None and rows.shape[1] == rep.d}


def _plain(step: str, matrix: F64, numbers: F64) -> F64:
    """Rows after a step whose mean and spread are those of the numbers' rows."""
    if step == "unit":
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        return np.asarray(np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0), dtype=np.float64)
    if step not in ("center", "standardize"):
        raise UnknownName("preprocessing step", step, STEPS)
    centred: F64 = matrix - numbers.mean(axis=0)
    if step == "center":
        return centred
    spread = numbers.std(axis=0)
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(matrix), where=spread > 0), dtype=np.float64)


def _design(step: str, rep: Representation) -> F64:
    n = rep.numbers.astype(np.float64)
    name = step.removeprefix(RESIDUAL)
    if name == "magnitude":
        return np.column_stack([np.ones_like(n), n, np.sign(n) * np.log1p(np.abs(n))])
    if name == "length":
        lengths = np.array([len(str(abs(int(v)))) for v in rep.numbers])
        return np.column_stack([lengths == length for length in np.unique(lengths)]).astype(np.float64)
    if name == "frequency" or step.startswith(COUNTS):
        r = log_frequency(rep, step.removeprefix(COUNTS) if step.startswith(COUNTS) else "")
        # Centred first: the same column space, better conditioned.
        r = r - r.mean()
        return np.column_stack([np.ones_like(r), r, r**2])
    if not re.fullmatch(r"dct\d+", name):
        raise UnknownName("preprocessing step", step, STEPS)
    k = np.arange(int(name.removeprefix("dct")) + 1)
    return np.asarray(np.cos(np.pi * np.outer(np.arange(n.size) + 0.5, k) / n.size), dtype=np.float64)


def _column_space(design: F64) -> F64:
    """An orthonormal basis of the design's columns, rank deficiency allowed."""
    sizes = np.linalg.norm(design, axis=0)
    left, values, _ = np.linalg.svd(design[:, sizes > 0] / sizes[sizes > 0], full_matrices=False)
    return np.asarray(left[:, values > 1e-10 * values[0]], dtype=np.float64)
