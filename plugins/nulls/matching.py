"""Random tokens that have the norms or the merge ranks of the numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom.preprocess import log_frequency

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MatchedView:
    """The comparison with matched random tokens.

    Attributes
    ----------
    name : str
        Empty: there is one view.
    observed : Representation
        The representation itself.
    rows : ndarray, shape (m, d)
        Random-token rows other than zero.
    cost : ndarray, shape (n, m)
        How badly each of them stands for each number.
    """

    name: str
    observed: Representation
    rows: npt.NDArray[np.floating]
    cost: F64

    def draw(self, rng: np.random.Generator) -> Representation:
        """Rows of a random half of the tokens (at least n), matched one to one at the least total cost."""
        n, m = self.cost.shape
        pool = rng.choice(m, max(n, -(-m // 2)), replace=False)
        return self.observed.with_matrix(self.rows[pool[_matching(self.cost[:, pool])]])


class _Matched(ABC):
    name: ClassVar[str]
    what: ClassVar[str]

    def __init__(self, tolerance: float) -> None:
        self.tolerance = float(tolerance)

    def views(self, rep: Representation) -> Sequence[MatchedView]:
        """The one view.

        Parameters
        ----------
        rep : Representation
            With ``random_rows``, and for merge ranks with token ids and ``random_token_ids`` in its provenance.

        Returns
        -------
        sequence of MatchedView

        Raises
        ------
        Incompatible
            If there are no random rows, no more of them than numbers, what is matched is not known of them, or they
            are too unlike the numbers.
        """
        return [rep.memo(f"nulls.{self.name}.{self.tolerance}", lambda: self._view(rep))]

    def _view(self, rep: Representation) -> MatchedView:
        if rep.random_rows is None or len(rep.random_rows) == 0:
            raise Incompatible(
                f"{self.name} needs rows that are not numbers, and this source gives none; use iid_gaussian or "
                "covariance_gaussian."
            )
        sound = np.flatnonzero(np.any(rep.random_rows != 0, axis=1))
        if len(sound) <= rep.n:
            raise Incompatible(
                f"{self.name} needs more than {rep.n} non-zero rows that are not numbers, and this source has "
                f"{len(sound)}; give fewer numbers with --numbers (half as many as random rows leave a choice), or use "
                "random_tokens."
            )
        cost = self.cost(rep, sound)
        mismatch = float(np.take_along_axis(cost, _matching(cost)[:, None], axis=1).mean())
        if mismatch > self.tolerance:
            raise Incompatible(
                f"{self.name}: the {self.what} of the random rows miss those of the numbers by {mismatch:.2f} in the "
                f"mean |ln ratio|, more than tolerance={self.tolerance:g}; use random_tokens, or raise the tolerance: "
                f"{self.name}(tolerance={np.ceil(100 * mismatch) / 100:g})."
            )
        return MatchedView("", rep, rep.random_rows[sound], cost)

    @abstractmethod
    def cost(self, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
        """How badly each of the random rows ``sound`` stands for each number, ``(n, m)``."""


class RandomTokensNormMatched(_Matched):
    """Rows of random vocabulary entries that are not numbers, each as long as the number row it stands for.

    Every draw takes a random half of the source's random rows (at least as many as there are numbers) and
    assigns one to each number without replacement, so that the sum of ``|ln (norm of token / norm of number)|``
    is the least possible. What the lengths of the vectors alone give, of which frequency is a part, is kept.

    Parameters
    ----------
    tolerance : float
        Largest mean ``|ln ratio|``, over the best matching of all random rows, that still counts as matched;
        0.1 is about 10 %.

    Examples
    --------
    >>> spare = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    >>> rep = Representation(np.diag([1.0, 2.0]), np.arange(2), random_rows=spare)
    >>> drawn = RandomTokensNormMatched().views(rep)[0].draw(np.random.default_rng(2))
    >>> np.linalg.norm(drawn.matrix, axis=1).tolist()
    [1.0, 2.0]
    """

    name = "random_tokens_norm_matched"
    what = "norms"

    def __init__(self, tolerance: float = 0.1) -> None:
        super().__init__(tolerance)

    def cost(self, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
        """``|ln ratio|`` of the norms."""
        return _norm_cost(self.name, rep, sound)


class RandomTokensRankMatched(_Matched):
    """Rows of random vocabulary entries that are not numbers, each of about the merge rank of the number's token.

    As :class:`RandomTokensNormMatched`, with ``|ln ((id + 1) / (id' + 1))|`` of the token ids: in the vocabularies
    of BPE they are merge ranks, which stand for how often a token was seen. What frequency gives to any token is
    thereby kept.

    Parameters
    ----------
    tolerance : float
        Largest mean ``|ln ratio|``, over the best matching of all random rows, that still counts as matched.

    Examples
    --------
    >>> rep = Representation(
    ...     np.eye(2), np.arange(2), token_ids=np.array([9, 99]), random_rows=np.arange(1.0, 9.0).reshape(4, 2),
    ...     provenance={"random_token_ids": [9, 10, 98, 99]},
    ... )
    >>> RandomTokensRankMatched().views(rep)[0].cost.round(2).tolist()
    [[0.0, 0.1, 2.29, 2.3], [2.3, 2.21, 0.01, 0.0]]
    """

    name = "random_tokens_rank_matched"
    what = "merge ranks"

    def __init__(self, tolerance: float = 0.2) -> None:
        super().__init__(tolerance)

    def cost(self, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
        """``|ln ratio|`` of the ranks."""
        return _rank_cost(self.name, rep, sound)


class RandomTokensMatched(_Matched):
    """Rows of random vocabulary entries that are not numbers, of about the merge rank and the norm of the number's.

    As :class:`RandomTokensNormMatched` and :class:`RandomTokensRankMatched` together: the two ``|ln ratio|`` are
    added.

    Parameters
    ----------
    tolerance : float
        Largest mean sum of both, over the best matching of all random rows, that still counts as matched.

    Examples
    --------
    >>> rep = Representation(
    ...     np.eye(2), np.arange(2), token_ids=np.array([9, 99]), random_rows=np.eye(4)[:, :2] + np.eye(4)[:, 2:],
    ...     provenance={"random_token_ids": [9, 10, 98, 99]},
    ... )
    >>> RandomTokensMatched().views(rep)[0].cost.round(2).tolist()[0]
    [0.0, 0.1, 2.29, 2.3]
    """

    name = "random_tokens_matched"
    what = "merge ranks and norms"

    def __init__(self, tolerance: float = 0.3) -> None:
        super().__init__(tolerance)

    def cost(self, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
        """The sum of both."""
        return _norm_cost(self.name, rep, sound) + _rank_cost(self.name, rep, sound)


def _norm_cost(name: str, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
    assert rep.random_rows is not None
    norms = np.linalg.norm(rep.matrix.astype(np.float64), axis=1)
    if not np.all(norms > 0):
        raise Incompatible(f"{name} cannot match a number row of zeros; leave that number out with --numbers.")
    candidates = np.linalg.norm(rep.random_rows[sound].astype(np.float64), axis=1)
    return np.asarray(np.abs(np.log(norms)[:, None] - np.log(candidates)[None, :]), dtype=np.float64)


def _rank_cost(name: str, rep: Representation, sound: npt.NDArray[np.intp]) -> F64:
    assert rep.random_rows is not None
    ids = np.asarray(rep.provenance.get("random_token_ids", ()), dtype=np.float64)
    if rep.token_ids is None or len(ids) != len(rep.random_rows):
        raise Incompatible(
            f"{name} needs the token ids of the numbers and of the random rows, which this source does not give "
            "(W-FREQ); use random_tokens_norm_matched."
        )
    return np.asarray(np.abs(log_frequency(rep)[:, None] - np.log1p(ids[sound])[None, :]), dtype=np.float64)


def _matching(cost: F64) -> npt.NDArray[np.intp]:
    """The column that the assignment of least total cost gives to each row."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(cost)[1], dtype=np.intp)
