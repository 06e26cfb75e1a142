"""Whether residue classes lie on a circle, in their order, and whether that plane is one feature or two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import in_rows, random_folds
from numgeom_plugins.geometry.numerals import one_hot
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FOLDS = 5
TURNS = 18
OFFSETS = 65
# A plane whose second axis is shorter than this share of the first is a line.
FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class _State:
    gram: F64
    residues: I64
    folds: I64
    means: F64
    # Weights of the numbers outside each fold that give the cosine and the sine axis of their class means.
    axes: F64


class ResidueCircle(RowOrderMetric[_State]):
    r"""The polygon of the class means of n mod T: its circle, its harmonics, and how reducible its plane is.

    The plane is the image of ``(cos 2 pi r/T, sin 2 pi r/T)`` under least squares of the class means, fitted without a
    fold (5, stratified) and used on that fold alone: noise makes no circle.

    - ``order_accuracy``: share of held-out class means whose angle, rounded to multiples of ``2 pi/T``, is that of
      their residue, in [0, 1]; chance 1/T;
    - ``radius_variation``: standard deviation over mean of the radii of the class means, held out and averaged over
      folds, at least 0; 0 for a regular polygon;
    - ``harmonic_l``, l = 1 .. T/2: share of the scatter of class means that turns l times a period, in [0, 1], in
      sum 1; ``harmonic_1`` is the R2 of the means on the circle. Means of unrelated directions give 2/(T-1) each, and
      half of that at T/2: a 10-gon in 9 dimensions is no circle;
    - ``separability``: smallest mutual information, over 18 rotations, of the two coordinates of the held-out rows
      in bins of equal counts, over the logarithm of the number of bins, in [0, 1]; near 0 where the plane is a product
      of two independent features (Engels et al.);
    - ``mixture``: largest share, over directions v and offsets c, of rows with
      ``|v.f + c| < 0.1 sqrt(E (v.f + c)^2)``, in [0, 1]; near 1 where most rows are at rest and the plane is a
      mixture. A true two-dimensional feature has a high separability index and a low mixture index.

    Parameters
    ----------
    period : int
        T, at least 3.
    seed : int
        Of the folds.

    References
    ----------
    Engels et al. 2024, arXiv:2405.14860 (both indices, for features of sparse autoencoders; the binning is ours);
    Kantamneni & Tegmark 2025, arXiv:2502.00873.

    Examples
    --------
    >>> angles = 2 * np.pi * np.arange(100) / 10
    >>> rows = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> found = ResidueCircle()(Representation(rows, np.arange(100)))
    >>> round(found["order_accuracy"], 9), round(found["harmonic_1"], 9), round(found["radius_variation"], 9)
    (1.0, 1.0, 0.0)
    """

    def __init__(self, period: int = 10, seed: int = 0) -> None:
        if period < 3:
            raise Incompatible(f"residue_circle: period={period} has no circle; write for example period=10.")
        self.period = period
        self.seed = seed

    def prepare(self, rep: Representation) -> _State:
        """The Gram, and the class means as weights of the numbers."""
        energy = rep.workspace.energy
        if energy <= 1e-24 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible("residue_circle: all rows are equal, so there is no circle; check the source.")
        residues = np.asarray(rep.numbers % self.period, dtype=np.int64)
        fewest = int(np.bincount(residues, minlength=self.period).min())
        if fewest < FOLDS:
            raise Incompatible(
                f"residue_circle needs {FOLDS} numbers of every residue mod {self.period}; of one there are {fewest}. "
                "Give more consecutive numbers with --numbers, or a smaller period."
            )
        folds = random_folds(residues, FOLDS, self.seed)
        hot = one_hot(residues)
        angles = 2.0 * np.pi * np.arange(self.period) / self.period
        turn = 2.0 / self.period * np.column_stack([np.cos(angles), np.sin(angles)])
        axes = []
        for fold in range(FOLDS):
            kept = hot * (folds != fold)[:, None]
            axes.append((kept / kept.sum(axis=0)) @ turn)
        means = hot / hot.sum(axis=0)
        return _State(rep.workspace.gram / energy, residues, folds, means, np.hstack(axes))

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        weights = np.hstack([state.axes, state.means])
        seen = (state.gram @ in_rows(weights, order))[order]
        inner = weights.T @ seen
        points = np.empty((len(order), 2))
        for fold in range(FOLDS):
            pair = slice(2 * fold, 2 * fold + 2)
            held = state.folds == fold
            points[held] = seen[held, pair] @ np.linalg.pinv(inner[pair, pair], rcond=FLAT**2, hermitian=True)
        found = self._polygon(state, points)
        between = inner[2 * FOLDS :, 2 * FOLDS :]
        found |= _harmonics(between)
        found["separability"] = _separability(points)
        found["mixture"] = _mixture(points)
        return found

    def _polygon(self, state: _State, points: F64) -> dict[str, float]:
        cell = state.residues * FOLDS + state.folds
        sizes = np.bincount(cell, minlength=self.period * FOLDS)
        means = np.stack([np.bincount(cell, weights=axis, minlength=len(sizes)) / sizes for axis in points.T], axis=1)
        step = np.arctan2(means[:, 1], means[:, 0]) * self.period / (2.0 * np.pi)
        read = np.round(step).astype(np.int64) % self.period
        radii = np.linalg.norm(means.reshape(self.period, FOLDS, 2).mean(axis=1), axis=1)
        size = float(radii.mean())
        return {
            "order_accuracy": float((read == np.repeat(np.arange(self.period), FOLDS)).mean()),
            "radius_variation": float(radii.std() / size) if size > 0 else 0.0,
        }


def _harmonics(between: F64) -> dict[str, float]:
    """Shares of the harmonics in the scatter of class means, from their ``(T, T)`` Gram."""
    period = len(between)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(1, period // 2 + 1), np.arange(period)) / period)
    power = np.clip(np.einsum("kr,rs,ks->k", waves, between, waves.conj()).real, 0.0, None)
    power *= np.where(2 * np.arange(1, len(power) + 1) == period, 1.0, 2.0)
    total = float(power.sum())
    shares = power / total if total > 0 else np.zeros_like(power)
    return {f"harmonic_{turns}": float(share) for turns, share in enumerate(shares, start=1)}


def _separability(points: F64) -> float:
    bins = int(np.clip(np.sqrt(len(points)) / 3.0, 4, 12))
    # The first coordinate at every turn, then the second.
    cells = _counted(_axes(2 * TURNS) @ points.T, bins)
    place = (np.arange(TURNS)[:, None] * bins + cells[:TURNS]) * bins + cells[TURNS:]
    joint = np.bincount(place.ravel(), minlength=TURNS * bins * bins).reshape(TURNS, bins, bins) / len(points)
    expected = joint.sum(axis=2)[:, :, None] * joint.sum(axis=1)[:, None, :]
    ratio = np.divide(joint, expected, out=np.ones_like(joint), where=joint > 0)
    information = (joint * np.log(ratio)).sum(axis=(1, 2))
    return float(np.clip(information.min() / np.log(bins), 0.0, 1.0))


def _axes(count: int) -> F64:
    """Directions over half a turn, ``(count, 2)``."""
    angles = np.arange(count) * np.pi / count
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _counted(values: F64, bins: int) -> I64:
    """Bins of equal counts along each row; values that agree up to rounding share one."""
    largest = np.abs(values).max(axis=1, keepdims=True)
    steps = np.round(values / np.maximum(largest, np.finfo(np.float64).tiny), 9)
    edges = np.quantile(steps, np.arange(1, bins) / bins, axis=1)
    return np.asarray((edges[:, :, None] <= steps).sum(axis=0), dtype=np.int64)


def _mixture(points: F64, width: float = 0.1) -> float:
    every = np.sort(_axes(2 * TURNS) @ points.T, axis=1)
    offsets = np.linspace(every[:, 0], every[:, -1], OFFSETS, axis=1)
    middle = every.mean(axis=1, keepdims=True)
    reach = width * np.sqrt(every.var(axis=1, keepdims=True) + np.square(middle - offsets))
    most = 0
    for along, low, high in zip(every, offsets - reach, offsets + reach, strict=True):
        inside = np.searchsorted(along, high, side="left") - np.searchsorted(along, low, side="right")
        most = max(most, int(inside.max()))
    return float(np.clip(most / len(points), 0.0, 1.0))
