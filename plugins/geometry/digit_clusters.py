"""Whether numbers that share a digit, a parity or a length lie together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation
from numgeom_plugins.geometry.numerals import digit, digit_lengths, one_hot
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
SIZES = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """Distances of two kinds, the centred Gram at unit energy, near rows of each row, labels and their indicators."""

    distances: dict[str, F64]
    gram: F64
    nearest: I64
    numbers: I64
    labels: dict[str, I64]
    codes: F64


class DigitClusters(RowOrderMetric[Neighbourhoods]):
    r"""Silhouette, neighbour agreement and variance share of six families of labels.

    The families ``last_digit``, ``tens_digit``, ``hundreds_digit``, ``digit_length``, ``even`` and
    ``multiple_of_10`` are classes of the numbers; a family with one class, or none of two members, is left out.
    For each, all but the last in [-1, 1]:

    - ``silhouette_FAMILY``, ``silhouette_cosine_FAMILY``: mean of ``(b - a) / max(a, b)``, a the mean Euclidean
      distance (one minus the cosine of raw rows) to the own class and b the least mean distance to another; 0 for
      the only member of a class;
    - ``knn1_FAMILY``, ``knn5_FAMILY``, ``knn10_FAMILY``: share of the k nearest rows with the same label, minus the
      share among all eligible pairs; neighbours with ``|i - j| = 1`` are passed over, because order alone puts them
      there;
    - ``r2_FAMILY``: between-class share of the total variance, ``tr S_B / tr S_T``, in [0, 1].

    ``within_digit_length``, the null of the card, keeps what digit length explains; hundreds and tens digits also
    go with magnitude, which any ordered curve has.

    Raises
    ------
    Incompatible
        If all rows are equal, or no family has two classes.

    References
    ----------
    Rousseeuw 1987 (silhouette).

    Examples
    --------
    >>> numbers = np.arange(60)
    >>> code = Representation(np.eye(10)[numbers % 10], numbers)
    >>> found = DigitClusters()(code)
    >>> round(found["silhouette_last_digit"], 9), round(found["r2_last_digit"], 9)
    (1.0, 1.0)
    """

    def prepare(self, rep: Representation) -> Neighbourhoods:
        """Distances, neighbours and labels."""
        require_spread(rep, "digit_clusters")
        families = label_families(rep.numbers)
        if not families:
            raise Incompatible(
                "digit_clusters: the numbers share no digit, length or parity in classes of two; give more of them."
            )
        apart = rep.workspace.distances
        most = min(max(SIZES) + 2, rep.n - 1)
        own_last = apart.copy()
        np.fill_diagonal(own_last, np.inf)
        nearest = np.argpartition(own_last, most - 1, axis=1)[:, :most]
        order = np.argsort(np.take_along_axis(own_last, nearest, axis=1), axis=1, kind="stable")
        return Neighbourhoods(
            distances={"": apart, "cosine_": 1.0 - rep.workspace.cosines},
            gram=rep.workspace.gram / rep.workspace.energy,
            nearest=np.take_along_axis(nearest, order, axis=1),
            numbers=rep.numbers,
            labels={name: np.unique(labels, return_inverse=True)[1] for name, labels in families.items()},
            codes=np.vstack([one_hot(labels).T for labels in families.values()]),
        )

    def measure(self, state: Neighbourhoods, order: I64) -> dict[str, float]:
        """The scores for one order of the rows: labels move, distances stay."""
        n = order.size
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        labels = {name: codes[place] for name, codes in state.labels.items()}
        moved = np.take(state.codes, place, axis=1)
        edges = np.cumsum([0, *(int(codes.max()) + 1 for codes in state.labels.values())])
        spans = dict(zip(state.labels, pairwise(edges), strict=True))
        counts = moved.sum(axis=1)
        found: dict[str, float] = {}
        for kind, apart in state.distances.items():
            sums = moved @ apart
            for name, (low, high) in spans.items():
                found[f"silhouette_{kind}{name}"] = _silhouette(sums[low:high], labels[name], counts[low:high])
        numbers = state.numbers[place]
        eligible = np.abs(numbers[state.nearest] - numbers[:, None]) > 1
        rank = eligible.cumsum(axis=1)
        near = {k: np.flatnonzero(eligible & (rank <= k)) for k in SIZES if k + 2 <= n - 1}
        follows = np.diff(state.numbers) == 1
        others = n * (n - 1) / 2 - int(np.count_nonzero(follows))
        for name, (low, high) in spans.items():
            same = (labels[name][state.nearest] == labels[name][:, None]).ravel()
            alike = int(np.count_nonzero((np.diff(state.labels[name]) == 0) & follows))
            base = (float((counts[low:high] * (counts[low:high] - 1)).sum()) / 2 - alike) / others if others else 0.0
            for k, at in near.items():
                found[f"knn{k}_{name}"] = float(same[at].mean()) - base
        between = np.einsum("ij,ij->i", moved, moved @ state.gram) / counts
        for name, (low, high) in spans.items():
            found[f"r2_{name}"] = float(np.clip(between[low:high].sum(), 0.0, 1.0))
        return found


def label_families(numbers: I64) -> dict[str, I64]:
    """Labels of the numbers by family; families with one class or with nothing but singletons are left out.

    Examples
    --------
    >>> list(label_families(np.arange(10)))
    ['even']
    """
    given = {
        "last_digit": digit(numbers, 0),
        "tens_digit": digit(numbers, 1),
        "hundreds_digit": digit(numbers, 2),
        "digit_length": digit_lengths(numbers),
        "even": (numbers % 2 == 0).astype(np.int64),
        "multiple_of_10": (numbers % 10 == 0).astype(np.int64),
    }
    found = {}
    for name, labels in given.items():
        sizes = np.unique(labels, return_counts=True)[1]
        if sizes.size > 1 and np.count_nonzero(sizes > 1) > 1:
            found[name] = labels
    return found


def _silhouette(sums: F64, labels: I64, counts: F64) -> float:
    """Mean silhouette from the sum of distances of every class to every row, ``(classes, n)``."""
    rows = np.arange(labels.size)
    size = counts[labels]
    inside = sums[labels, rows] / np.maximum(size - 1.0, 1.0)
    means = sums / counts[:, None]
    means[labels, rows] = np.inf
    other = means.min(axis=0)
    larger = np.maximum(inside, other)
    score = np.divide(other - inside, larger, out=np.zeros_like(larger), where=(larger > 0) & (size > 1))
    return float(np.clip(score, -1.0, 1.0).mean())
