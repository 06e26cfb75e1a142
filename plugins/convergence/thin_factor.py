"""The thin factor of a representation: the directions over the numbers in which it varies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Representation

F64 = npt.NDArray[np.float64]

# Eigenvalues of the Gram below this share of the largest have lost too many digits to stand for singular values.
CONDITION = 1e-6


def thin_factor(rep: Representation) -> tuple[F64, F64]:
    """Left singular vectors ``(n, r)`` and singular values ``(r,)`` of the centred rows, falling; r = rank.

    Rows wider than they are many have them from the eigenvectors of their Gram, at the price of an ``(n, n)``
    matrix, where its only small eigenvalue is the one of centring; all others from the rows.

    Parameters
    ----------
    rep : Representation

    Returns
    -------
    tuple of ndarray
    """

    def derive() -> tuple[F64, F64]:
        if rep.d >= rep.n:
            # The vector of centring belongs to the eigenvalue 0, and comes first.
            squares, vectors = np.linalg.eigh(rep.workspace.gram)
            if squares[1] > CONDITION * squares[-1]:
                return np.ascontiguousarray(vectors[:, :0:-1]), np.sqrt(squares[:0:-1])
        return rep.workspace.thin

    return rep.memo("convergence.thin", derive)
