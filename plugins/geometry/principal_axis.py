"""The first principal component, kept with its representation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Representation
from numgeom_plugins.geometry.leading import leading

F64 = npt.NDArray[np.float64]


def principal_axis(rep: Representation) -> F64:
    """Scores of the rows on the first principal component, ``(n,)``, centred and of unit length; the sign is free.

    Parameters
    ----------
    rep : Representation

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> axis = principal_axis(Representation(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), np.arange(3)))
    >>> abs(axis).round(3).tolist()
    [0.707, 0.0, 0.707]
    """

    def compute() -> F64:
        axis = leading(rep.workspace.gram, 1)[1][:, 0]
        return np.asarray(axis * np.sign(axis[np.argmax(np.abs(axis))]), dtype=np.float64)

    return rep.memo("geometry.principal_axis", compute)
