"""Quantities that many metrics need, derived once a representation and shared by all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
T = TypeVar("T")

# A squared norm below this share of the mean one is too short for the Gram of the centred rows.
SHORT = 1e-2


class Workspace:
    """Lazily derived float64 quantities of one ``(n, d)`` matrix.

    Nothing here is d x d: products are ``(n, n)`` or ``(n, min(n, d))``. All arrays are read-only.

    Parameters
    ----------
    matrix : ndarray, shape (n, d)
    parent : Workspace, optional
        The workspace of the same rows in another order: what it derives is reindexed, not derived again.
    order : ndarray of int, shape (n,), optional
        Row ``i`` here is row ``order[i]`` of the parent.

    Examples
    --------
    >>> rows = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 3.0]])
    >>> work = Workspace(rows)
    >>> float(work.distances[0, 1])
    5.0
    >>> order = np.array([1, 0, 2])
    >>> float(Workspace(rows[order], work, order).distances[0, 2])
    1.0
    """

    def __init__(
        self,
        matrix: npt.NDArray[Any],
        parent: Workspace | None = None,
        order: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._matrix = matrix
        self._parent = parent
        self._order = order
        self._held: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What is derived stays behind when a representation travels to another process."""
        return {"_matrix": self._matrix, "_parent": None, "_order": None, "_held": {}}

    def memo(self, key: str, compute: Callable[[], T]) -> T:
        """``compute()`` the first time, the kept value afterwards."""
        if key not in self._held:
            value = compute()
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            self._held[key] = value
        return cast("T", self._held[key])

    def _derived(self, key: str, compute: Callable[[], T], reorder: Callable[[T, npt.NDArray[np.int64]], T]) -> T:
        """A quantity of this class: the parent's in this order where there is a parent."""
        parent, order = self._parent, self._order
        if parent is None or order is None:
            return self.memo(key, compute)
        return self.memo(key, lambda: reorder(getattr(parent, key), order))

    def drop(self) -> None:
        """Forget everything derived (the digest included); it is derived again when asked for."""
        self._held.clear()

    @property
    def mean(self) -> F64:
        """``(d,)``: the mean of the rows."""
        return self._derived("mean", lambda: np.asarray(self._matrix.mean(axis=0, dtype=np.float64)), _same)

    @property
    def centred(self) -> F64:
        """``(n, d)``: rows minus their mean, in float64 (centring first keeps a large common mean harmless)."""

        def compute() -> F64:
            return np.asarray(np.subtract(self._matrix, self.mean, dtype=np.float64))

        return self._derived("centred", compute, _rows)

    @property
    def gram(self) -> F64:
        """``(n, n)``: inner products of the centred rows."""
        return self._derived("gram", lambda: self.centred @ self.centred.T, _square)

    @property
    def energy(self) -> float:
        """Squared Frobenius norm of the centred rows, ``||Xc||_F^2``."""
        return self._derived("energy", lambda: float(np.einsum("ij,ij->", self.centred, self.centred)), _same)

    @property
    def mean_share(self) -> float:
        """Share of the mean vector in the energy, ``n ||mu||^2 / ||X||_F^2`` in [0, 1] (anisotropy)."""

        def compute() -> float:
            common = self._matrix.shape[0] * float(self.mean @ self.mean)
            total = common + self.energy
            return common / total if total > 0 else 0.0

        return self._derived("mean_share", compute, _same)

    @property
    def thin(self) -> tuple[F64, F64]:
        """Left singular vectors ``(n, r)`` and singular values ``(r,)`` of the centred rows, falling; r = rank.

        Rank counts singular values above ``max(n, d) * eps`` times the largest.
        """

        def compute() -> tuple[F64, F64]:
            centred = self.centred
            left, values, _ = np.linalg.svd(centred, full_matrices=False)
            floor = max(centred.shape) * np.finfo(np.float64).eps * (values[0] if values.size else 0.0)
            keep = values > floor
            return left[:, keep], values[keep]

        return self._derived("thin", compute, _factor)

    @property
    def spectrum(self) -> F64:
        """``(min(n, d),)``: eigenvalues of the centred scatter matrix ``Xc'Xc``, falling, never negative."""

        def compute() -> F64:
            n, d = self._matrix.shape
            scatter = self.gram if n <= d else self.centred.T @ self.centred
            return np.asarray(np.clip(np.linalg.eigvalsh(scatter)[::-1], 0.0, None), dtype=np.float64)

        return self._derived("spectrum", compute, _same)

    @property
    def squared_distances(self) -> F64:
        """``(n, n)``: squared Euclidean distances; exactly 0 between equal rows."""

        def compute() -> F64:
            norms = np.diagonal(self.gram)
            squared = norms[:, None] + norms[None, :]
            squared -= 2.0 * self.gram
            # The Gram form cancels where rows nearly coincide; those few pairs are recomputed directly.
            np.fill_diagonal(squared, np.inf)
            if squared.min(initial=np.inf) > 2e-7 * norms.max(initial=0.0):
                np.fill_diagonal(squared, 0.0)
                return squared
            near = np.argwhere(np.triu(squared <= 1e-7 * (norms[:, None] + norms[None, :])))
            for block in np.array_split(near, max(1, len(near) * self.centred.shape[1] // 4_000_000)):
                i, j = block[:, 0], block[:, 1]
                exact = np.square(self.centred[i] - self.centred[j]).sum(axis=1)
                squared[i, j] = squared[j, i] = exact
            np.fill_diagonal(squared, 0.0)
            return np.clip(squared, 0.0, None, out=squared)

        return self._derived("squared_distances", compute, _square)

    @property
    def distances(self) -> F64:
        """``(n, n)``: Euclidean distances."""

        def compute() -> F64:
            return np.asarray(np.sqrt(self.squared_distances), dtype=np.float64)

        return self._derived("distances", compute, _square)

    @property
    def cosines(self) -> F64:
        """``(n, n)``: cosine similarities of the raw (not centred) rows; a zero row has cosine 0 with all others."""

        def compute() -> F64:
            # With x = xc + mu, <x_i, x_j> = <xc_i, xc_j> + <xc_i, mu> + <xc_j, mu> + <mu, mu>: no second product in d.
            common, along = float(self.mean @ self.mean), self.centred @ self.mean
            squares = np.diagonal(self.gram) + 2.0 * along + common
            total = self.energy / max(1, len(along)) + common
            if 1e-200 < total < 1e200 and float(squares.min(initial=total)) > SHORT * total:
                found = along[:, None] + along[None, :]
                found += common
                found += self.gram
                norms = np.sqrt(squares)
            else:
                # Of rows that the mean all but cancels those sums keep no digits.
                matrix = self._matrix.astype(np.float64)
                # In the unit of its largest entry nothing under- or overflows when squared.
                matrix /= np.abs(matrix).max(initial=0.0) or 1.0
                found = matrix @ matrix.T
                norms = np.linalg.norm(matrix, axis=1)
            scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
            found *= scale[:, None]
            found *= scale[None, :]
            return np.asarray(np.clip(found, -1.0, 1.0, out=found))

        return self._derived("cosines", compute, _square)

    @property
    def duplicate_rows(self) -> int:
        """How many rows are copies of an earlier row: apart by at most 1e-5 of their distance from the centre."""

        def compute() -> int:
            norms, squared = np.diagonal(self.gram), self.squared_distances
            if np.count_nonzero(squared <= 2e-10 * norms.max(initial=0.0)) == len(norms):
                # No row but itself is so near.
                return 0
            copies = np.tril(squared <= 1e-10 * (norms[:, None] + norms[None, :]), -1)
            return int(copies.any(axis=1).sum())

        return self._derived("duplicate_rows", compute, _same)


def _same(value: T, order: npt.NDArray[np.int64]) -> T:
    return value


def _rows(value: F64, order: npt.NDArray[np.int64]) -> F64:
    return value[order]


def _square(value: F64, order: npt.NDArray[np.int64]) -> F64:
    return value[np.ix_(order, order)]


def _factor(value: tuple[F64, F64], order: npt.NDArray[np.int64]) -> tuple[F64, F64]:
    return value[0][order], value[1]
