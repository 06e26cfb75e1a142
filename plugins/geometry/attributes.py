"""Linear probes for what a number is: its digits, the multiples it belongs to, primes, digit sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.hold_out import Ridge, Task, answers, block_folds, kappa, random_folds, ridge
from numgeom_plugins.geometry.numerals import digit, one_hot, places
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FOLDS = 5
DIGITS = ("units", "tens", "hundreds", "thousands")
MULTIPLES = (5, 10, 100)
# What the last digit decides shares the folds of the last digit.
OF_UNITS = ("units", "multiple_5", "multiple_10")
# A digit sum that fewer numbers have is counted with the nearest one that more have.
COMMON = 10


@dataclass(frozen=True, eq=False)
class _State:
    engine: Ridge
    names: list[str]
    labels: list[I64]
    tasks: list[Task]


class AttributeProbe(RowOrderMetric[_State]):
    """Cohen's kappa of linear probes for attributes of held-out numbers, under random and under block folds.

    Probe, folds and score are those of ``modular_probe`` (kappa in [-1, 1], 0 by chance):

    - ``random_units``, ``random_tens``, ...: a decimal digit, 0 where the number is shorter;
    - ``random_multiple_5``, ``_10``, ``_100``; ``random_prime``: yes or no. As many numbers are called
      yes as there are, those of the largest predictions, so that rare ones are not lost;
    - ``random_digit_sum``: sums that fewer than 10 numbers have count as the nearest that more have;
    - ``block_...``: the same with 5 blocks of successive numbers held out, left out where a label lies in one block
      alone and could not be learned.

    Parity is ``random_2`` of ``modular_probe``, the digital root its ``random_9``. Primes are a control for smoothness,
    hundreds for magnitude: a smooth curve gives high ``random_hundreds`` and nothing else. An attribute needs at least
    two labels, each of 5 numbers.

    Parameters
    ----------
    seed : int
        Of the random folds.

    References
    ----------
    Cohen 1960; Nikankin et al. 2024, arXiv:2410.21272 (probes of operand attributes).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = np.eye(10)[np.arange(100) // 10] + 0.1 * rng.standard_normal((100, 10))
    >>> found = AttributeProbe()(Representation(rows, np.arange(100)))
    >>> found["random_tens"], abs(found["random_units"]) < 0.2
    (1.0, True)
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def prepare(self, rep: Representation) -> _State:
        """The engine, and the labels with their folds."""
        engine = ridge(rep, "attribute_probe")
        blocks = block_folds(rep.n, FOLDS)
        units = random_folds(digit(rep.numbers, 0), FOLDS, self.seed)
        names, labels, tasks = [], [], []
        for name, values in attributes(rep.numbers).items():
            kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
            if len(kinds) < 2 or counts.min() < FOLDS:
                continue
            learnable = all(len(np.unique(blocks[codes == code])) > 1 for code in range(len(kinds)))
            folds = (units if name in OF_UNITS else random_folds(codes, FOLDS, self.seed), blocks)
            names.append(name)
            labels.append(codes)
            hot = one_hot(codes)
            tasks.append(Task(hot[:, 1:] if len(kinds) == 2 else hot, folds if learnable else folds[:1]))
        if not tasks:
            raise Incompatible(
                f"attribute_probe: these {rep.n} numbers have no attribute with {FOLDS} numbers of every kind; give "
                "more numbers with --numbers."
            )
        return _State(engine, names, labels, tasks)

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        found = {}
        tried = answers(state.engine, state.tasks, order)
        for name, labels, held in zip(state.names, state.labels, tried, strict=True):
            for split, (predicted, mean) in zip(("random", "block"), held, strict=False):
                above = predicted - mean
                decided = above.argmax(axis=1) if above.shape[1] > 1 else _most(above[:, 0], int(labels.sum()))
                found[f"{split}_{name}"] = kappa(labels, np.asarray(decided, dtype=np.int64))
        return found


def attributes(numbers: I64) -> dict[str, I64]:
    """The labels of each attribute, ``(n,)``.

    Examples
    --------
    >>> found = attributes(np.arange(30))
    >>> found["tens"][25], found["prime"][:6].tolist(), found["multiple_10"].sum()
    (np.int64(2), [0, 0, 1, 1, 0, 1], np.int64(3))
    """
    count = places(numbers)
    found = {name: digit(numbers, place) for place, name in enumerate(DIGITS[:count])}
    for step in MULTIPLES:
        found[f"multiple_{step}"] = np.asarray(numbers % step == 0, dtype=np.int64)
    found["prime"] = np.array([_is_prime(int(number)) for number in numbers], dtype=np.int64)
    sums = np.sum([digit(numbers, place) for place in range(count)], axis=0)
    counts = np.bincount(sums)
    common = np.flatnonzero(counts >= COMMON)
    if common.size:
        found["digit_sum"] = np.array([common[np.abs(common - one).argmin()] for one in sums])
    return found


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


def _most(scores: F64, count: int) -> I64:
    """1 for the ``count`` largest scores."""
    found = np.zeros(len(scores), dtype=np.int64)
    found[np.argsort(-scores, kind="stable")[:count]] = 1
    return found
