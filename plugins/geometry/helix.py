"""Which curve the numbers lie on: lines, polynomials, circles, a helix, digits, each by what it explains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import in_rows, random_folds
from numgeom_plugins.geometry.numerals import column_space, one_hot, padded, signed_log
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PERIODS = (2, 5, 10, 100)
SHORT = (2, 5, 10)
FOLDS = 10
# Columns of the helix beside the constant: n, and for each period a cosine and, but for 2, a sine.
COLUMNS = 8
# A held-out fold whose fit is determined to less than this by the others leaves the model out.
DETERMINED = 1e-6


@dataclass(frozen=True, eq=False)
class _Model:
    basis: F64
    # (I - H_FF)^-2 of every fold, and that times the fold's rows of the basis; none where the others do not determine
    # the fit.
    missed: list[tuple[F64, F64]] | None


@dataclass(frozen=True, eq=False)
class _Fits:
    gram: F64
    models: dict[str, _Model]
    folds: list[I64]
    amplitudes: dict[int, F64]


class HelixFit(RowOrderMetric[_Fits]):
    r"""Share of variance that curves of the numbers explain, in-sample and for held-out numbers, and the helix's radii.

    The helix is ``B(n) = [1, n, cos(2 pi n/T), sin(2 pi n/T)]`` over T = 2, 5, 10, 100, in any directions of the space;
    sin at T = 2 is 0 on integers and dropped, which leaves 8 columns beside the constant. The other models have as
    many: ``poly`` (degree 8), ``dct`` (8 cosines of the place in the set), ``spline`` (cubic, in n); fewer: ``linear``
    (n), ``log`` (log(n + 1)), ``circle`` (the helix without n, 7); more: ``digits`` (one constant for every digit at
    every place). With SST the energy of the centred rows over all columns of the space (not the mean of R2 over
    components):

    - ``r2_in_M``: ``1 - SSE/SST`` of least squares on all numbers, in [0, 1];
    - ``r2_cv_M``: with every number predicted by the other nine of 10 random folds; at most 1, about
      ``-columns/n`` for iid rows. Left out where the others do not determine the fit;
    - ``periodic_in``, ``periodic_cv``: what T = 2, 5, 10 add to n, log(n + 1) and the spline together. **This is the
      part that is not smoothness**: on a random walk over 0 .. 99 the helix has ``r2_cv`` .80 and a polynomial .90,
      and the periods 2, 5, 10 add nothing;
    - ``amplitude_T``: the radius of the circle T, ``sqrt((|c|^2 + |s|^2)/2)`` of its coefficient rows (``|c|`` at
      T = 2), over the root-mean-square distance of the rows from their mean.

    Parameters
    ----------
    seed : int
        Of the folds.

    References
    ----------
    Kantamneni & Tegmark 2025, arXiv:2502.00873 (their main evidence is causal, not R2; they fit principal components
    to 100 and do not drop the sine).

    Examples
    --------
    >>> n = np.arange(100)
    >>> angles = 2 * np.pi * n[:, None] / np.array(PERIODS)
    >>> found = HelixFit()(Representation(np.hstack([n[:, None] / 50, np.cos(angles), np.sin(angles)]), n))
    >>> round(found["r2_cv_helix"], 9), found["r2_cv_poly"] < 0.5
    (1.0, True)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def prepare(self, rep: Representation) -> _Fits:
        """The Gram at unit energy, and what the numbers make of every model."""
        if rep.n < 2 * FOLDS:
            raise Incompatible(
                f"helix_fit needs at least {2 * FOLDS} numbers; these are {rep.n}. Give more with --numbers."
            )
        energy = rep.workspace.energy
        if energy <= 1e-24 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible("helix_fit: all rows are equal, so there is nothing to explain; check the source.")
        numbers = tuple(int(number) for number in rep.numbers)
        models, folds = _models(numbers, self.seed)
        return _Fits(rep.workspace.gram / energy, models, folds, _coefficients(numbers))

    def measure(self, state: _Fits, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        bases = [model.basis for model in state.models.values()]
        pairs = [pair.T for pair in state.amplitudes.values()]
        weights = np.hstack(bases + pairs)
        parts = np.split(
            (state.gram @ in_rows(weights, order))[order], np.cumsum([b.shape[1] for b in bases + pairs])[:-1], axis=1
        )
        blocks = [state.gram[np.ix_(order[held], order[held])] for held in state.folds]
        found = {}
        for (name, model), seen in zip(state.models.items(), parts, strict=False):
            inside = model.basis.T @ seen
            found[f"r2_in_{name}"] = float(np.clip(np.trace(inside), 0.0, 1.0))
            if model.missed is None:
                continue
            # With H the projector, (I - H) G (I - H) = G - Q M' - M Q', and the held-out misses of a fold are
            # (I - H_FF)^-1 times its rows of the residual.
            side = seen - 0.5 * model.basis @ inside
            missed = 0.0
            for held, block, (square, moved) in zip(state.folds, blocks, model.missed, strict=True):
                missed += float(np.vdot(square, block)) - 2.0 * float(np.vdot(moved, side[held]))
            found[f"r2_cv_{name}"] = 1.0 - missed
        for kind in ("in", "cv"):
            smooth, both = (found.pop(f"r2_{kind}_{name}", None) for name in ("smooth", "both"))
            if smooth is not None and both is not None:
                found[f"periodic_{kind}"] = both - smooth
        for (period, pair), seen in zip(state.amplitudes.items(), parts[len(bases) :], strict=True):
            length = float(np.einsum("kn,nk->", pair, seen))
            found[f"amplitude_{period}"] = float(np.sqrt(max(length, 0.0) / len(pair) * len(order)))
        return found


def designs(numbers: I64) -> dict[str, F64]:
    """The columns of every model, a constant first, ``(n, columns)``.

    Examples
    --------
    >>> {name: design.shape[1] - 1 for name, design in designs(np.arange(100)).items()}["helix"]
    8
    """
    values = numbers.astype(np.float64)
    scaled = 2.0 * (values - values[0]) / (values[-1] - values[0]) - 1.0
    place = np.pi * (np.arange(len(values)) + 0.5) / len(values)
    line, log = values[:, None] / np.abs(values).max(), signed_log(numbers)[:, None]
    parts = {
        "linear": [line],
        "log": [log],
        "poly": [np.polynomial.legendre.legvander(scaled, COLUMNS)[:, 1:]],
        "dct": [np.cos(np.outer(place, np.arange(1, COLUMNS + 1)))],
        "spline": [_spline(scaled)],
        "circle": [_waves(values, PERIODS)],
        "helix": [line, _waves(values, PERIODS)],
        "digits": [one_hot(column) for column in padded(numbers).T],
        "smooth": [line, log, _spline(scaled)],
        "both": [line, log, _spline(scaled), _waves(values, SHORT)],
    }
    return {name: np.column_stack([np.ones(len(values)), *columns]) for name, columns in parts.items()}


@lru_cache(maxsize=2)
def _models(numbers: tuple[int, ...], seed: int) -> tuple[dict[str, _Model], list[I64]]:
    places = random_folds(np.zeros(len(numbers)), FOLDS, seed)
    folds = [np.flatnonzero(places == fold) for fold in range(FOLDS)]
    bases = {name: column_space(design) for name, design in designs(np.array(numbers)).items()}
    return {name: _Model(basis, _misses(basis, folds)) for name, basis in bases.items()}, folds


def _misses(basis: F64, folds: list[I64]) -> list[tuple[F64, F64]] | None:
    """``(I - H_FF)^-2`` for every fold F: held out, ``y_F`` misses by ``(I - H_FF)^-1`` times its residual."""
    found = []
    for held in folds:
        values, vectors = np.linalg.eigh(np.eye(len(held)) - basis[held] @ basis[held].T)
        if values[0] < DETERMINED:
            return None
        square: F64 = (vectors / np.square(values)) @ vectors.T
        found.append((square, square @ basis[held]))
    return found


@lru_cache(maxsize=2)
def _coefficients(numbers: tuple[int, ...]) -> dict[int, F64]:
    """For every period, the rows of the helix's pseudo-inverse that give its coefficients, ``(1 or 2, n)``."""
    values = np.array(numbers, dtype=np.float64)
    design = designs(np.array(numbers))["helix"]
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return {}
    inverse = np.asarray(np.linalg.pinv(design), dtype=np.float64)
    found: dict[int, F64] = {}
    at = 2
    for period in PERIODS:
        count = _waves(values, (period,)).shape[1]
        found[period] = inverse[at : at + count]
        at += count
    return found


def _waves(values: F64, periods: tuple[int, ...]) -> F64:
    """Cosine and sine of every period; no sine at 2."""
    columns = []
    for period in periods:
        angle = 2.0 * np.pi * values / period
        columns += [np.cos(angle)] if period == 2 else [np.cos(angle), np.sin(angle)]
    return np.column_stack(columns)


def _spline(scaled: F64) -> F64:
    """Cubic B-splines on [-1, 1] with knots at equal distances, one fewer than a partition of unity has."""
    inner = np.linspace(-1.0, 1.0, COLUMNS - 1)
    knots = np.concatenate([[-1.0] * 3, inner, [1.0] * 3])
    return np.asarray(BSpline.design_matrix(scaled, knots, 3).toarray()[:, 1:], dtype=np.float64)
