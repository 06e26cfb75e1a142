"""Ridge probes of held-out numbers in closed form: one eigendecomposition serves every target, fold and row order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dposv

from numgeom import Incompatible, Representation

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
T = TypeVar("T", bound=np.generic)

# Penalties over the mean variance of the components.
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def modes(rep: Representation, what: str) -> tuple[F64, F64]:
    """Principal components of the centred rows: unit columns ``(n, r)`` and their powers ``(r,)``, falling.

    Parameters
    ----------
    rep : Representation
    what : str
        Who asks, for the message.

    Raises
    ------
    Incompatible
        If all rows are equal.

    Examples
    --------
    >>> left, powers = modes(Representation(np.array([[1.0], [3.0], [8.0]]), np.arange(3)), "example")
    >>> left.shape, powers.round(9).tolist()
    ((3, 1), [26.0])
    """

    def derive() -> tuple[F64, F64]:
        values, vectors = np.linalg.eigh(rep.workspace.gram)
        keep = values > rep.n * np.finfo(np.float64).eps * max(values[-1], 0.0)
        return np.ascontiguousarray(vectors[:, keep][:, ::-1]), values[keep][::-1].copy()

    if rep.workspace.energy <= 1e-24 * float(np.square(rep.matrix, dtype=np.float64).sum()):
        raise Incompatible(
            f"{what}: all rows are equal, so there is nothing to tell numbers apart by; check the source."
        )
    return rep.memo("geometry.modes", derive)


@dataclass(eq=False)
class Ridge:
    """Ridge regression with an intercept on centred rows, at any of the penalties.

    Attributes
    ----------
    left : ndarray, shape (n, r)
        Orthonormal components of the rows.
    powers : ndarray, shape (r,)
        Their squared singular values.

    Notes
    -----
    With the smoother ``S = 11'/n + U diag(p / (p + penalty)) U'`` the predictions of a fold F by the other numbers
    are ``y_F - (I - S_FF)^-1 (y - S y)_F``: exact, and no fit is made a second time (Allen 1974; Golub, Heath &
    Wahba 1979). The penalty of a group of targets minimises generalised cross-validation over all numbers; it is one
    choice among eight, made alike for the rows and for the draws of a null.
    """

    left: F64
    powers: F64
    _complements: dict[int, F64] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        penalties = np.array(PENALTIES) * self.powers.mean()
        self._shrink = self.powers / (self.powers + penalties[:, None])

    @classmethod
    def of_rows(cls, rows: F64) -> Ridge:
        """The engine of any rows ``(n, k)``, centred here."""
        left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
        keep = values > max(rows.shape) * np.finfo(np.float64).eps * values.max(initial=0.0)
        return cls(left[:, keep], np.square(values[keep]))

    def fit(self, targets: F64, groups: list[int], tuned: list[int] | None = None) -> tuple[F64, list[int]]:
        """Residuals of centred targets, ``(n, c)``, and the penalty of each group of ``groups[g]`` columns.

        The first ``tuned[g]`` columns of a group choose its penalty.
        """
        n = len(targets)
        centred = targets - targets.mean(axis=0)
        inside = self.left.T @ centred
        # What the components cannot reach; they reach all where there are n - 1 of them.
        outside = np.clip(np.square(centred).sum(axis=0) - np.square(inside).sum(axis=0), 0.0, None)
        if len(self.powers) == n - 1:
            outside[:] = 0.0
        missed = np.square(1.0 - self._shrink) @ np.square(inside) + outside
        freedom = n - 1.0 - self._shrink.sum(axis=1)
        starts = np.cumsum(groups) - groups
        parts = [missed[:, first : first + count] for first, count in zip(starts, tuned or groups, strict=True)]
        score = np.column_stack([part.sum(axis=1) for part in parts]) / np.square(freedom)[:, None]
        chosen = [int(place) for place in score.argmin(axis=0)]
        shrink = np.repeat(self._shrink[chosen], groups, axis=0).T
        return centred - self.left @ (shrink * inside), chosen

    def complement(self, penalty: int) -> F64:
        """``I - S``: what takes targets to their residuals, ``(n, n)``."""
        if penalty not in self._complements:
            found = (self.left * -self._shrink[penalty]) @ self.left.T
            found -= 1.0 / len(found)
            found[np.diag_indices(len(found))] += 1.0
            self._complements[penalty] = found
        return self._complements[penalty]

    def predict(self, targets: F64, residuals: F64, penalty: int, folds: I64) -> tuple[F64, F64]:
        """Predictions of every number by the folds without it, and the mean target of those folds, both ``(n, c)``.

        Numbers of fold -1 are learned from and never predicted; their entries are 0.
        """
        complement = self.complement(penalty).ravel()
        n = len(targets)
        total = targets.sum(axis=0)
        found, mean = np.zeros_like(targets), np.zeros_like(targets)
        for held in _of_one_size(folds):
            size = held.shape[1]
            kept = complement.take(held[:, :, None] * n + held[:, None, :])
            found[held] = targets[held] - np.stack([_solve(*pair) for pair in zip(kept, residuals[held], strict=True)])
            mean[held] = ((total - targets[held].sum(axis=1)) / (n - size))[:, None, :]
        return found, mean


def _solve(positive: F64, right: F64) -> F64:
    """The solution of a positive definite system; it is overwritten."""
    found: F64
    _, found, failed = dposv(positive.T, right, lower=1, overwrite_a=1)
    if failed:
        raise Incompatible("the held-out numbers are not determined by the others; give more numbers with --numbers.")
    return found


def _of_one_size(folds: I64) -> list[I64]:
    """The members of each fold, ``(folds, size)``, one array for each size that folds have."""
    order = np.argsort(folds, kind="stable")
    sizes = np.bincount(folds + 1)
    members = np.split(order, np.cumsum(sizes)[:-1])[1:]
    by_size: dict[int, list[I64]] = {}
    for one in members:
        by_size.setdefault(len(one), []).append(one)
    return [np.stack(several) for size, several in by_size.items() if size]


def ridge(rep: Representation, what: str) -> Ridge:
    """The ridge engine of a representation, shared by all probes of it.

    Examples
    --------
    >>> n = np.arange(20)
    >>> engine = ridge(Representation(np.sqrt(n)[:, None], n), "example")
    >>> targets = np.sqrt(n)[:, None] + 1.0
    >>> residuals, (penalty,) = engine.fit(targets, [1])
    >>> predicted, _ = engine.predict(targets, residuals, penalty, block_folds(20, 4))
    >>> bool(np.allclose(predicted, targets, atol=1e-4))
    True
    """
    return rep.memo("geometry.ridge", lambda: Ridge(*modes(rep, what)))


def of_columns(columns: F64) -> Ridge:
    """The ridge engine of a few columns, each standardised; constant ones are dropped.

    Examples
    --------
    >>> of_columns(np.arange(6.0)[:, None]).left.shape
    (6, 1)
    """
    size = np.std(columns, axis=0)
    return Ridge.of_rows(columns[:, size > 0] / size[size > 0])


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be told of every number, and the partitions under which it is tried.

    Attributes
    ----------
    targets : ndarray, shape (n, c)
    folds : tuple of ndarray, each of shape (n,)
        Numbers of fold -1 are learned from only.
    tuned : int
        How many of the leading columns choose the penalty of all; 0 for all of them.
    """

    targets: F64
    folds: tuple[I64, ...]
    tuned: int = 0


def answers(engine: Ridge, tasks: list[Task], order: I64) -> list[list[tuple[F64, F64]]]:
    """For every task and partition, the predictions of held-out numbers and the mean of what they were learned from.

    Parameters
    ----------
    engine : Ridge
    tasks : list of Task
    order : ndarray of int, shape (n,)
        Row ``order[i]`` stands for number i.

    Returns
    -------
    list of list of tuple of ndarray, each of shape (n, c)
        In the order of the numbers.

    Examples
    --------
    >>> task = Task(np.arange(10.0)[:, None], (block_folds(10, 5),))
    >>> ((predicted, mean),) = answers(of_columns(np.arange(10.0)[:, None]), [task], np.arange(10))[0]
    >>> bool(np.allclose(predicted[:, 0], np.arange(10), atol=1e-3)), float(mean[0, 0])
    (True, 5.5)
    """
    widths = [task.targets.shape[1] for task in tasks]
    targets = in_rows(np.hstack([task.targets for task in tasks]), order)
    residuals, penalties = engine.fit(targets, widths, [task.tuned or task.targets.shape[1] for task in tasks])
    ends = np.cumsum(widths)
    columns = [np.arange(end - width, end) for end, width in zip(ends, widths, strict=True)]
    # Tasks that share a partition and a penalty are solved together.
    shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place, (task, penalty) in enumerate(zip(tasks, penalties, strict=True)):
        for turn, folds in enumerate(task.folds):
            shared.setdefault((id(folds), penalty), []).append((place, turn))
    solved: dict[tuple[int, int], tuple[F64, F64]] = {}
    for (_, penalty), several in shared.items():
        place, turn = several[0]
        folds = in_rows(tasks[place].folds[turn], order)
        at = np.concatenate([columns[place] for place, _ in several])
        predicted, mean = engine.predict(targets[:, at], residuals[:, at], penalty, folds)
        splits = np.cumsum([widths[place] for place, _ in several])[:-1]
        parts = zip(np.split(predicted[order], splits, axis=1), np.split(mean[order], splits, axis=1), strict=True)
        solved.update(zip(several, parts, strict=True))
    return [[solved[place, turn] for turn in range(len(task.folds))] for place, task in enumerate(tasks)]


def kappa(labels: I64, decided: I64) -> float:
    """Cohen's kappa of two labellings, in [-1, 1]; 0 where all answers are one label.

    References
    ----------
    Cohen 1960.

    Examples
    --------
    >>> kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.5
    """
    classes = int(max(labels.max(), decided.max())) + 1
    agreed = float((labels == decided).mean())
    chance = float(np.bincount(labels, minlength=classes) @ np.bincount(decided, minlength=classes)) / len(labels) ** 2
    return (agreed - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def random_folds(labels: npt.NDArray[np.generic], folds: int, seed: int) -> I64:
    """A random partition in which every fold has nearly the same number of each label, ``(n,)``.

    Examples
    --------
    >>> folds = random_folds(np.arange(20) % 2, 5, 0)
    >>> np.bincount(folds[::2]).tolist(), np.bincount(folds[1::2]).tolist()
    ([2, 2, 2, 2, 2], [2, 2, 2, 2, 2])
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    found = np.empty(len(labels), dtype=np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found


def block_folds(n: int, folds: int) -> I64:
    """Blocks of successive numbers, ``(n,)``: what is predicted has no neighbour among what was learned from.

    Examples
    --------
    >>> block_folds(6, 3).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return np.asarray(np.arange(n) * folds // n, dtype=np.int64)


def in_rows(values: npt.NDArray[T], order: I64) -> npt.NDArray[T]:
    """What belongs to number i, moved to the row ``order[i]`` that stands for it."""
    found = np.empty_like(values)
    found[order] = values
    return found
