"""Fisher geometry of residue classes: how far apart the classes of n mod T are, measured by their own spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import Curve, Incompatible, Representation
from numgeom_plugins.geometry.hold_out import modes, random_folds
from numgeom_plugins.geometry.numerals import one_hot
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PERIODS = (2, 5, 10, 3, 7)
MOST = 64
FOLDS = 5
SHRINKAGES = ("none", "ledoit_wolf")


@dataclass(frozen=True, eq=False)
class _State:
    # Of all components; r of them are measured.
    scores: F64
    powers: F64
    components: int
    classes: dict[int, tuple[F64, F64]]


class FisherGeometry(RowOrderMetric[_State]):
    r"""Scatter between and within the residue classes mod T = 2, 5, 10 and the controls 3, 7, on r components.

    ``S_B = (1/T) sum_r (mu_r - mu)(mu_r - mu)'`` and ``S_W`` is the mean scatter of the rows about their class mean,
    both on the leading r principal components, because S_W is singular when d > n - T:

    - ``lambda_max_T``: largest eigenvalue of ``S_W^-1 S_B``, at least 0. In-sample and so optimistic, the more the
      larger r is against n; only values at one r and n compare, and the null shows what chance gives;
    - ``lower_T``, ``upper_T``: its bounds ``tr(S_B) / ((T - 1) lambda_max(S_W))`` and
      ``tr(S_B) / lambda_min(S_W)``; where T divides n, ``tr(S_B) = Phi_T / n``;
    - ``trace_ratio_T``: ``tr(S_B) / tr(S_W)``;
    - ``trace_ratio_cv_T``: the same with the products of class means of different folds (5, stratified) for
      ``tr(S_B)``, which noise does not inflate: about 0 without classes, and then as often negative;
    - ``condition_T``: ``lambda_max(S_W) / lambda_min(S_W)``;
    - ``components``: r.

    - ``shrinkage_T``: with ``shrinkage="ledoit_wolf"``, the share a in [0, 1] of the identity in
      ``(1 - a) S_W + a tr(S_W)/r I``, which then stands for S_W in all of the above.

    A period T needs 5 numbers of every class in the set. The curves ``lambda_max``, ``bounds`` and
    ``trace_ratio_cv`` hold the values over r = 1, 2, 4, ... up to half of n: a lambda_max that grows with r without
    end is that of S_W running out of numbers.

    Parameters
    ----------
    components : int
        r; 0 for ``min(64, (n - 10) // 4)`` and at most the rank.
    seed : int
        Of the folds.
    shrinkage : {"none", "ledoit_wolf"}
        Whether S_W is shrunk towards a multiple of the identity, so that r may come near n.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (their regularisation of S_W is not known to us, so neither is their value);
    Ledoit & Wolf 2004 (shrinkage).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = np.eye(5)[np.arange(100) % 5] + 0.1 * rng.standard_normal((100, 5))
    >>> found = FisherGeometry()(Representation(rows, np.arange(100)))
    >>> found["lambda_max_5"] > 10, found["lambda_max_7"] < 1, found["trace_ratio_cv_5"] > 5
    (True, True, True)
    """

    def __init__(self, components: int = 0, seed: int = 0, shrinkage: str = "none") -> None:
        if components < 0:
            raise Incompatible(
                f"fisher_geometry: components={components} must be 0 (for the default) or more; type components=64."
            )
        if shrinkage not in SHRINKAGES:
            raise Incompatible(
                f"fisher_geometry has shrinkage {' and '.join(SHRINKAGES)}, not {shrinkage!r}; "
                "type shrinkage=ledoit_wolf."
            )
        self.components = components
        self.seed = seed
        self.shrinkage = shrinkage

    def prepare(self, rep: Representation) -> _State:
        """Scores on the components, and the classes with their folds."""
        left, powers = modes(rep, "fisher_geometry")
        count = min(self.components or max(1, min(MOST, (rep.n - 10) // 4)), len(powers))
        classes = {}
        for period in PERIODS:
            labels = rep.numbers % period
            if np.bincount(labels, minlength=period).min() < FOLDS:
                continue
            hot = one_hot(labels)
            folds = one_hot(random_folds(labels, FOLDS, self.seed))
            each = (hot[:, :, None] * folds[:, None, :]).reshape(len(hot), -1)
            classes[period] = (hot / hot.sum(axis=0), each / each.sum(axis=0))
        if not classes:
            raise Incompatible(
                f"fisher_geometry needs {FOLDS} numbers of every residue class, and these {rep.n} have too few even of "
                "n mod 2; give more consecutive numbers with --numbers."
            )
        return _State(left * np.sqrt(powers), powers, count, classes)

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        return {**self._at(state, order, state.components), "components": float(state.components)}

    def figures(self, state: _State, rep: Representation) -> dict[str, Any]:
        """The largest eigenvalue, its bounds and the cross-validated trace ratio over r."""
        most = max(state.components, min(rep.n // 2, len(state.powers)))
        ranks = sorted({*(2**k for k in range(most.bit_length()) if 2**k <= most), state.components, most})
        each = [self._at(state, np.arange(rep.n), r) for r in ranks]
        kinds = {
            "lambda_max": (("lambda_max", "T = {}"),),
            "bounds": (("lower", "T = {}, lower"), ("upper", "T = {}, upper")),
            "trace_ratio_cv": (("trace_ratio_cv", "T = {}"),),
        }
        return {
            figure: [
                Curve(
                    x=ranks,
                    y=[values[f"{name}_{period}"] for values in each],
                    x_label="components",
                    y_label=figure.replace("_", " "),
                    series=series.format(period),
                )
                for period in state.classes
                for name, series in parts
            ]
            for figure, parts in kinds.items()
        }

    def _at(self, state: _State, order: I64, r: int) -> dict[str, float]:
        """The values on the leading r components, scaled to unit total scatter."""
        powers = state.powers[:r] / state.powers[:r].sum()
        scores = state.scores[order, :r] / np.sqrt(state.powers[:r].sum())
        n = len(scores)
        found = {}
        for period, (hot, each) in state.classes.items():
            means = hot.T @ scores
            between = means - means.mean(axis=0)
            spread = np.square(between).sum() / period
            # Within-class scatter; classes may differ in size by one, so it is not total minus between exactly.
            sizes = 1.0 / (hot.max(axis=0) * n)
            within = np.diag(powers / n) - (means.T * sizes) @ means
            if self.shrinkage == "ledoit_wolf":
                inside = scores - (hot > 0) @ means
                amount = _shrinkage(inside, within)
                found[f"shrinkage_{period}"] = amount
                within = (1.0 - amount) * within + amount * np.trace(within) / r * np.eye(r)
            values, axes = np.linalg.eigh(within)
            # The classes may leave directions without any spread: the ratio is as large as rounding allows.
            floor = r * np.finfo(np.float64).eps * values[-1]
            values = np.maximum(values, floor)
            whitened = (between @ axes) / np.sqrt(values * period)
            found[f"lambda_max_{period}"] = float(np.linalg.norm(whitened, ord=2) ** 2)
            found[f"lower_{period}"] = float(spread / ((period - 1) * values[-1]))
            found[f"upper_{period}"] = float(spread / values[0])
            found[f"condition_{period}"] = float(values[-1] / values[0])
            found[f"trace_ratio_{period}"] = float(spread / values.sum())
            apart = (each.T @ scores).reshape(period, FOLDS, r)
            apart = apart - apart.mean(axis=0)
            crossed = np.square(apart.sum(axis=1)).sum() - np.square(apart).sum()
            held = float(crossed / (period * FOLDS * (FOLDS - 1)))
            found[f"trace_ratio_cv_{period}"] = held / max(1.0 / n - held, floor)
        return found


def _shrinkage(rows: F64, scatter: F64) -> float:
    """The share of the identity that estimates the covariance of rows of known mean best (Ledoit & Wolf 2004)."""
    n, r = rows.shape
    distance = float(np.square(scatter).sum()) - float(np.trace(scatter)) ** 2 / r
    scatter_of_rows = float((np.square(rows).sum(axis=1) ** 2).sum())
    error = (scatter_of_rows - n * float(np.square(scatter).sum())) / n**2
    return float(np.clip(error / distance, 0.0, 1.0)) if distance > 0.0 else 1.0
