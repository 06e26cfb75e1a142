"""How many components stand out of what shuffled columns give."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom.seeds import generators
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
LEVEL = 0.05


def parallel_analysis(rep: Representation, draws: int = 19, seed: int = 0) -> dict[str, float]:
    """Leading components whose variance exceeds that of the same columns, each shuffled on its own.

    Shuffling a column keeps its values and destroys every correlation between columns.

    - ``components``: how many leading eigenvalues exceed, one after the other from the first, the 95th percentile
      of the eigenvalue of their rank over the draws (with 19 draws their maximum); an integer in [0, min(n, d)];
    - ``share``: share of the variance in them, in [0, 1].

    Columns are a basis: the answer belongs to the coordinates in which the model keeps its rows. The control is
    drawn inside, so the card names no null.

    Parameters
    ----------
    rep : Representation
    draws : int, default 19
        At least 19, the fewest that have a 95th percentile.
    seed : int, default 0

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If all rows are equal, or there are fewer than 19 draws.

    References
    ----------
    Horn 1965; Buja & Eyuboglu 1992 (column permutation).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> plane = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 20)) + 0.3 * rng.normal(size=(60, 20))
    >>> parallel_analysis(Representation(plane, np.arange(60)))["components"]
    2.0
    """
    if draws < 19:
        raise Incompatible(f"parallel_analysis: draws={draws} have no 95th percentile; write draws=19 or more.")
    require_spread(rep, "parallel_analysis")
    values = rep.workspace.spectrum
    # Columns by falling variance, so that a draw does not hang on how the axes are numbered.
    columns = rep.workspace.centred.T
    columns = np.ascontiguousarray(columns[np.argsort(-np.square(columns).sum(axis=1), kind="stable")])
    drawn = np.stack(
        [_spectrum_of_shuffled(columns, rng) for rng in generators(seed, "parallel_analysis", rep.numbers, draws)]
    )
    rank = int(np.ceil((1.0 - LEVEL) * (draws + 1) - 1e-9)) - 1
    # Equal up to rounding is no excess: a single column has the variance that it has in any order.
    beyond = values > np.sort(drawn, axis=0)[rank] * (1.0 + 1e-9)
    components = values.size if beyond.all() else int(np.argmin(beyond))
    return {
        "components": float(components),
        "share": float(min(1.0, values[:components].sum() / values.sum())),
    }


def _spectrum_of_shuffled(columns: F64, rng: np.random.Generator) -> F64:
    shuffled = rng.permuted(columns, axis=1)
    d, n = shuffled.shape
    scatter = shuffled @ shuffled.T if d < n else shuffled.T @ shuffled
    return np.asarray(np.clip(np.linalg.eigvalsh(scatter)[::-1], 0.0, None), dtype=np.float64)
