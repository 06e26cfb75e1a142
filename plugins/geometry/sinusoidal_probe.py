"""A probe for the exact value of a number: a bilinear match of its row with a table of sinusoids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import Ridge, modes, random_folds
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MOST = 128
# Added to the scatter of misses, as a share of its mean over the components.
FLOOR = 1e-4


@dataclass(frozen=True, eq=False)
class _Table:
    engine: Ridge
    scores: F64
    numbers: I64
    folds: I64
    # Where fold after fold stands.
    sorted: I64
    sizes: I64


class SinusoidalProbe(RowOrderMetric[_Table]):
    r"""Share of held-out numbers found exactly by matching rows with a table of sinusoids of the value.

    The table has ``sin(w_i v)`` and ``cos(w_i v)`` with ``w_i = 1000^(-2i/width)``, periods ``2 pi`` to about
    ``2000 pi``. As in the probe of Kadlcik et al. a number v is scored by a form bilinear in the row x and in its
    table row, ``x' W s(v) + b(v)``, and the answer is the largest score among all numbers of the set. Theirs is
    trained by cross-entropy; here W is in closed form: a ridge map from the table to the leading 128 components of the
    rows gives every number a template t(v), and with C the scatter of its misses on held-out numbers the score is that
    of a Gaussian around the template, ``x' C^-1 t(v) - t(v)' C^-1 t(v) / 2``. A held-out number is scored against
    templates learned without its fold.

    - ``exact``: share right, in [0, 1]; chance 1/n;
    - ``within_1``: share within 1;
    - ``mae``: mean ``|found - n|``, in units of the number.

    Its null is the same with shuffled rows; ``iid_gaussian`` is the other control of the authors. **A smooth curve
    without meaning is found exactly too**, as it passes every number but once: hold it against ``smooth_surrogate``.
    Frequencies above 1, such as those of the periods 2 and 5, are not in the table and only disturb.

    Parameters
    ----------
    width : int
        Columns of the table.
    folds : int
        Random folds.
    seed : int
        Of the folds.

    References
    ----------
    Kadlcik et al. 2025, arXiv:2506.08966.

    Examples
    --------
    >>> n = np.arange(100)
    >>> rng = np.random.default_rng(0)
    >>> line = Representation(n[:, None] * np.ones((1, 20)) + 0.1 * rng.standard_normal((100, 20)), n)
    >>> SinusoidalProbe()(line)["exact"] > 0.9
    True
    """

    def __init__(self, width: int = 128, folds: int = 20, seed: int = 0) -> None:
        if width < 2 or folds < 2:
            raise Incompatible(
                f"sinusoidal_probe needs width and folds of 2 or more; got width={width}, folds={folds}. "
                "Type width=128, folds=20."
            )
        self.width = width
        self.folds = folds
        self.seed = seed

    def prepare(self, rep: Representation) -> _Table:
        """The ridge engine of the table, and the leading components of the rows."""
        if rep.n < 2 * self.folds:
            raise Incompatible(
                f"sinusoidal_probe with {self.folds} folds needs at least {2 * self.folds} numbers; these are {rep.n}. "
                "Give more with --numbers, or fewer folds."
            )
        left, powers = modes(rep, "sinusoidal_probe")
        count = min(MOST, rep.n // 4, len(powers))
        folds = random_folds(np.zeros(rep.n), self.folds, self.seed)
        scores = left[:, :count] * np.sqrt(powers[:count] / powers[:count].sum())
        # Fold after fold, so that a fold is a slice.
        place = np.argsort(folds, kind="stable")
        numbers, folds = rep.numbers[place], folds[place]
        return _Table(Ridge.of_rows(sinusoids(numbers, self.width)), scores, numbers, folds, place, np.bincount(folds))

    def measure(self, state: _Table, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        rows = state.scores[order[state.sorted]]
        n, count = rows.shape
        residuals, (penalty,) = state.engine.fit(rows, [count])
        predicted, _ = state.engine.predict(rows, residuals, penalty, state.folds)
        misses = rows - predicted
        scatter = misses.T @ misses
        scatter[np.diag_indices(count)] += FLOOR * np.trace(scatter) / count + np.finfo(np.float64).eps / n
        root = np.linalg.cholesky(scatter)
        whitening = solve_triangular(root, np.eye(count), lower=True)
        seen, missed, fitted = (whitening @ part.T for part in (rows, misses, rows - residuals))
        complement = state.engine.complement(penalty)
        # Without a fold F the fit is that to its own predictions in place of the fold's rows: t(v) = f(v) - S_vF m_F.
        found = np.empty(n, dtype=np.int64)
        for end, size in zip(np.cumsum(state.sizes), state.sizes, strict=True):
            held = slice(end - size, end)
            templates = missed[:, held] @ complement[held]
            templates += fitted
            templates[:, held] -= missed[:, held]
            score = seen[:, held].T @ templates
            score -= 0.5 * np.einsum("ij,ij->j", templates, templates)
            found[held] = score.argmax(axis=1)
        error = np.abs(state.numbers[found] - state.numbers)
        return {
            "exact": float((error == 0).mean()),
            "within_1": float((error <= 1).mean()),
            "mae": float(error.mean()),
        }


def sinusoids(values: I64, width: int) -> F64:
    """The table ``sin(w_i v), cos(w_i v)``, ``w_i = 1000^(-2i/width)``, i = 0 .. width/2 - 1: ``(n, width)``.

    Examples
    --------
    >>> sinusoids(np.array([0, 1]), 4).round(3).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.841, 0.032, 0.54, 1.0]]
    """
    pace = 1000.0 ** (-2.0 * np.arange(max(1, width // 2)) / width)
    angles = np.outer(values.astype(np.float64), pace)
    return np.hstack([np.sin(angles), np.cos(angles)])
