"""Rows of the same model that are not numbers."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation


def random_tokens(rep: Representation, rng: np.random.Generator) -> Representation:
    """As many rows of random vocabulary entries that are not numbers, drawn without replacement.

    Parameters
    ----------
    rep : Representation
        With ``random_rows``.
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If there are no random rows, or fewer than numbers.

    Examples
    --------
    >>> rep = Representation(np.eye(2), np.arange(2), random_rows=np.arange(8.0).reshape(4, 2))
    >>> random_tokens(rep, np.random.default_rng(0)).matrix.tolist()
    [[4.0, 5.0], [6.0, 7.0]]
    """
    rows = rep.random_rows
    if rows is None or len(rows) == 0:
        raise Incompatible(
            "random_tokens needs rows that are not numbers, and this source gives none; use iid_gaussian or "
            "covariance_gaussian."
        )
    if len(rows) < rep.n:
        raise Incompatible(
            f"random_tokens needs {rep.n} rows that are not numbers, and this source has {len(rows)}; "
            f"give at most {len(rows)} numbers with --numbers."
        )
    chosen = rng.choice(len(rows), rep.n, replace=False)
    if len(rows) > rep.n:
        return rep.with_matrix(rows[chosen])
    # All of them in another order: what they derive is the same for every draw.
    return rep.memo("nulls.random_tokens", lambda: rep.with_matrix(rows)).permuted(chosen)
