"""How far a row is the sum of a vector for each of its digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.numerals import column_space, digit, digit_lengths, one_hot, places
from numgeom_plugins.geometry.row_order import RowOrderMetric, reordered
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
FOLDS = 10
PLACES = ("units", "tens", "hundreds", "thousands")


@dataclass(frozen=True, slots=True)
class Designs:
    """Matrices M whose ``<M, G>`` is an out-of-fold error, and bases of all factors and of each one's own part."""

    baseline: F64
    errors: dict[str, F64]
    bases: dict[str, F64]


class DigitModel(RowOrderMetric[tuple[F64, Designs]]):
    r"""Least squares of the rows on ``a + h(hundreds) + t(tens) + u(units) + l(length)``, one vector a digit.

    - ``additive_r2_oof``: R2 over all columns of numbers left out (10 random folds), at most 1; at most about 0 for
      unrelated rows;
    - ``interaction_increment``: what the two-way interactions of the digit places add to it, below 0 where they only
      overfit; left out where a fold would have fewer than two numbers a parameter;
    - ``additive_r2``: in-sample R2, in [0, 1];
    - ``share_units``, ``share_tens``, ``share_hundreds``, ``share_length``, ...: type-II shares of the variance, what
      the factor adds to all the others, in [0, 1]; ``share_common``: what several explain alike, ``additive_r2`` minus
      these, in [-1, 1]; ``share_residual``: the rest. Together they are 1.

    In-sample shares of unrelated rows are the parameters of the factor divided by n - 1: read them beside the null. An
    additive code of digits is compositional, and hundreds and tens also stand in for magnitude, which any ordered
    curve has. Signs do not enter.

    Raises
    ------
    Incompatible
        If all rows are equal, or there are fewer than two numbers a parameter.

    References
    ----------
    Definitions ours; type-II sums of squares: Yates 1934.

    Examples
    --------
    >>> numbers = np.arange(100)
    >>> code = np.eye(10)[numbers % 10] + 2.0 * np.eye(10)[numbers // 10]
    >>> found = DigitModel()(Representation(code, numbers))
    >>> round(found["additive_r2_oof"], 6), round(found["share_units"], 6), round(found["share_tens"], 6)
    (1.0, 0.2, 0.711111)
    """

    def prepare(self, rep: Representation) -> tuple[F64, Designs]:
        """The Gram at unit energy, and the designs, which depend on the numbers only."""
        require_spread(rep, "digit_model")
        return rep.workspace.gram / rep.workspace.energy, _designs(tuple(rep.numbers.tolist()))

    def measure(self, state: tuple[F64, Designs], order: I64) -> dict[str, float]:
        """The fit for one order of the rows."""
        gram, designs = reordered(state[0], order), state[1]
        baseline = float(np.vdot(designs.baseline, gram))
        score = {name: 1.0 - float(np.vdot(errors, gram)) / baseline for name, errors in designs.errors.items()}
        found = {"additive_r2_oof": min(1.0, score["additive"])}
        if "two_way" in score:
            found["interaction_increment"] = score["two_way"] - score["additive"]
        stacked = np.hstack(list(designs.bases.values()))
        energy = np.einsum("ij,ij->j", stacked, gram @ stacked) / float(np.trace(gram))
        edges = np.cumsum([basis.shape[1] for basis in designs.bases.values()])[:-1]
        held = [float(np.clip(part.sum(), 0.0, 1.0)) for part in np.split(energy, edges)]
        shares = dict(zip(designs.bases, held, strict=True))
        whole = shares.pop("additive")
        found["additive_r2"] = whole
        found |= {f"share_{name}": share for name, share in shares.items()}
        found["share_common"] = whole - sum(shares.values())
        found["share_residual"] = 1.0 - whole
        return found


@lru_cache(maxsize=1)
def _designs(numbers: tuple[int, ...]) -> Designs:
    """Kept between calls: every model of a study is fitted on the same numbers."""
    values = np.array(numbers, dtype=np.int64)
    n = values.size
    factors = _factors(values)
    ones = np.ones((n, 1))
    additive = column_space(np.hstack([ones, *factors.values()]))
    digits = [codes for name, codes in factors.items() if name != "length"]
    two_way = column_space(np.hstack([additive, *(_crossed(a, b) for a, b in combinations(digits, 2))]))
    folds = np.random.default_rng(0).permutation(n) % FOLDS
    training = n - int(np.bincount(folds).max())
    if not factors or 2 * additive.shape[1] > training:
        raise Incompatible(
            f"digit_model has {additive.shape[1]} parameters for {n} numbers; it needs two numbers a parameter, "
            "give more with --numbers, such as 0..999."
        )
    errors = {"additive": _errors(additive, folds)}
    if additive.shape[1] < two_way.shape[1] <= training / 2:
        errors["two_way"] = _errors(two_way, folds)
    bases = {"additive": additive - ones / n * additive.sum(axis=0)}
    for name, codes in factors.items():
        others = column_space(np.hstack([ones, *(other for kind, other in factors.items() if kind != name)]))
        bases[name] = _basis_of_residual(codes - others @ (others.T @ codes))
    bases["additive"] = _basis_of_residual(bases["additive"])
    return Designs(_errors(ones, folds), errors, bases)


def _factors(numbers: I64) -> dict[str, F64]:
    """One-hot codes of each digit place and of the digit length, those with a single class left out."""
    width = min(places(numbers), len(PLACES))
    given = {PLACES[place]: digit(numbers, place) for place in reversed(range(width))}
    given["length"] = digit_lengths(numbers)
    return {name: one_hot(labels) for name, labels in given.items() if np.unique(labels).size > 1}


def _crossed(a: F64, b: F64) -> F64:
    """All products of a column of a with one of b."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def _basis_of_residual(residual: F64) -> F64:
    left, values, _ = np.linalg.svd(residual, full_matrices=False)
    return np.asarray(left[:, values > 1e-8 * np.sqrt(len(residual))], dtype=np.float64)


def _errors(design: F64, folds: I64) -> F64:
    """M such that ``<M, G>`` is the squared out-of-fold error of rows with Gram G: ``M = E'E``, E X the errors."""
    n = len(design)
    error = np.eye(n)
    for fold in range(FOLDS):
        out, held = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        moments = np.linalg.pinv(design[held].T @ design[held], rcond=1e-10, hermitian=True)
        error[np.ix_(out, held)] -= design[out] @ moments @ design[held].T
    return np.asarray(error.T @ error, dtype=np.float64)
