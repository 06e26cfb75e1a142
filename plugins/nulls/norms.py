"""Random tokens whose vectors are as long as those of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NormMatchedView:
    """The comparison with norm-matched random tokens.

    Attributes
    ----------
    name : str
        Empty: there is one view.
    observed : Representation
        The representation itself.
    rows : ndarray, shape (m, d)
        Random-token rows other than zero.
    """

    name: str
    observed: Representation
    rows: npt.NDArray[np.floating]

    def draw(self, rng: np.random.Generator) -> Representation:
        """Rows of a random half of the tokens (at least n), matched one to one on their norms."""
        n, m = self.observed.n, len(self.rows)
        pool = rng.choice(m, max(n, -(-m // 2)), replace=False)
        return self.observed.with_matrix(self.rows[pool[_matching(_norms(self.observed), self.rows[pool])[1]]])


class RandomTokensNormMatched:
    """Rows of random vocabulary entries that are not numbers, each as long as the number row it stands for.

    Every draw takes a random half of the source's random rows (at least as many as there are numbers) and
    assigns one to each number without replacement, so that the sum of ``|ln (norm of token / norm of number)|``
    is the least possible. What the lengths of the vectors alone give, of which frequency is a part, is thereby
    kept. Matching on merge rank as well would need the ids of the random rows, which a representation does not
    carry.

    Parameters
    ----------
    tolerance : float
        Largest mean ``|ln ratio|`` of norms, over the best matching of all random rows, that still counts as
        matched; 0.1 is about 10 %.

    Examples
    --------
    >>> spare = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    >>> rep = Representation(np.diag([1.0, 2.0]), np.arange(2), random_rows=spare)
    >>> drawn = RandomTokensNormMatched().views(rep)[0].draw(np.random.default_rng(2))
    >>> np.linalg.norm(drawn.matrix, axis=1).tolist()
    [1.0, 2.0]
    """

    def __init__(self, tolerance: float = 0.1) -> None:
        self.tolerance = float(tolerance)

    def views(self, rep: Representation) -> Sequence[NormMatchedView]:
        """The one view.

        Parameters
        ----------
        rep : Representation
            With ``random_rows``.

        Returns
        -------
        sequence of NormMatchedView

        Raises
        ------
        Incompatible
            If there are no random rows, no more of them than numbers, or their norms do not reach those of the
            numbers.
        """
        name = "random_tokens_norm_matched"
        if rep.random_rows is None or len(rep.random_rows) == 0:
            raise Incompatible(
                f"{name} needs rows that are not numbers, and this source gives none; use iid_gaussian or "
                "covariance_gaussian."
            )
        if not np.all(_norms(rep) > 0):
            raise Incompatible(f"{name} cannot match a number row of zeros; leave that number out with --numbers.")
        rows = rep.random_rows[np.any(rep.random_rows != 0, axis=1)]
        if len(rows) <= rep.n:
            raise Incompatible(
                f"{name} needs more than {rep.n} non-zero rows that are not numbers, and this source has {len(rows)}; "
                "give fewer numbers with --numbers (half as many as random rows leave a choice), or use random_tokens."
            )
        mismatch = _matching(_norms(rep), rows)[0]
        if mismatch > self.tolerance:
            raise Incompatible(
                f"{name}: the norms of the random rows miss those of the numbers by {mismatch:.2f} in the mean "
                f"|ln ratio|, more than tolerance={self.tolerance:g}; use random_tokens, or raise the tolerance: "
                f"{name}(tolerance={np.ceil(100 * mismatch) / 100:g})."
            )
        return [NormMatchedView("", rep, rows)]


def _norms(rep: Representation) -> F64:
    return np.asarray(np.linalg.norm(rep.matrix.astype(np.float64), axis=1), dtype=np.float64)


def _matching(norms: F64, rows: npt.NDArray[np.floating]) -> tuple[float, npt.NDArray[np.int64]]:
    """The least mean ``|ln ratio|`` and the row that it gives to each norm."""
    from scipy.optimize import linear_sum_assignment

    candidates = np.linalg.norm(rows.astype(np.float64), axis=1)
    cost = np.abs(np.log(norms)[:, None] - np.log(candidates)[None, :])
    place, chosen = linear_sum_assignment(cost)
    return float(cost[place, chosen].mean()), np.asarray(chosen, dtype=np.int64)
