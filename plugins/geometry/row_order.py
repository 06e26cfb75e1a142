"""Measures that a row permutation only reindexes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from numgeom import Representation

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
State = TypeVar("State")


class RowOrderMetric(ABC, Generic[State]):
    """A geometry metric in two steps: what the rows give once, and what the numbers make of it in each row order."""

    def __call__(self, rep: Representation) -> dict[str, Any]:
        """The values of one representation, and its figures.

        Parameters
        ----------
        rep : Representation

        Returns
        -------
        dict
            Floats, and the curves and squares that are drawn beside them.

        Raises
        ------
        Incompatible
            Where the measure does not apply to these rows or numbers.
        """
        state = self.prepare(rep)
        return {**self.measure(state, np.arange(rep.n)), **self.figures(state, rep)}

    def figures(self, state: State, rep: Representation) -> dict[str, Any]:
        """What is drawn beside the values; nothing unless a metric says otherwise."""
        return {}

    def permuted(self, rep: Representation, permutations: I64) -> dict[str, F64]:
        """The values with the rows in each order, ``(draws,)`` a measure.

        Parameters
        ----------
        rep : Representation
        permutations : ndarray of int, shape (draws, n)

        Returns
        -------
        dict of str to ndarray, shape (draws,)
        """
        state = self.prepare(rep)
        drawn = [self.measure(state, order) for order in permutations]
        return {name: np.array([values[name] for values in drawn]) for name in drawn[0]}

    @abstractmethod
    def prepare(self, rep: Representation) -> State:
        """What does not depend on the order of the rows."""

    @abstractmethod
    def measure(self, state: State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""


def reordered(square: F64, order: I64) -> F64:
    """An ``(n, n)`` matrix with its rows and columns in another order.

    Examples
    --------
    >>> reordered(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([1, 0])).tolist()
    [[3.0, 2.0], [1.0, 0.0]]
    """
    return square.take(order, axis=0).take(order, axis=1)
