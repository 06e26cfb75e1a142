"""RSA beyond its defaults: every dissimilarity with every comparison of two upper triangles.

The dissimilarities are in :mod:`numgeom_plugins.convergence.dissimilarity`; a class below is a comparison,
and :func:`variant` joins the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau

from numgeom import Representation
from numgeom_plugins.convergence import dissimilarity as distances
from numgeom_plugins.convergence.centring import double_centred
from numgeom_plugins.convergence.dissimilarity import Dissimilarity
from numgeom_plugins.convergence.inner_product import InnerProduct
from numgeom_plugins.convergence.ranks import average_ranks
from numgeom_plugins.convergence.trace import F64, I64, TraceMetric, no_contrast
from numgeom_plugins.convergence.variance import require_aligned, require_variance

ROUNDING = distances.ROUNDING


class Comparison(TraceMetric):
    """A correlation of functions of two RDMs."""

    dissimilarity: ClassVar[Dissimilarity]

    def values(self, rep: Representation) -> F64:
        """The dissimilarities, a new array."""
        return np.array(self.dissimilarity.of(rep), dtype=np.float64)

    def matrix(self, rep: Representation) -> F64:
        """The compared matrix, ``(n, n)``, with a zero diagonal unless the comparison fills it."""
        return np.array(squareform(self.contrast(self.values(rep)), checks=False))

    def contrast(self, values: F64) -> F64:
        """The values about their mean.

        Raises
        ------
        Incompatible
            If all pairs of rows are equally far apart.
        """
        scale = float(np.abs(values).max(initial=0.0))
        centred = values - values.mean()
        if np.linalg.norm(centred) <= ROUNDING * scale * np.sqrt(values.size):
            raise no_contrast(self.name, "all pairs of rows are equally far apart")
        return np.asarray(centred, dtype=np.float64)


class Pearson(Comparison):
    """Pearson correlation"""

    comparison = "pearson"


class Spearman(Comparison):
    """Spearman correlation"""

    comparison = "spearman"

    def values(self, rep: Representation) -> F64:
        """Average ranks, equal up to rounding being a tie."""
        return average_ranks(self.dissimilarity.of(rep), self.dissimilarity.rounding(rep))


class Cosine(Comparison):
    """Cosine (no mean is taken out, so that any two RDMs score high)"""

    comparison = "cosine"
    lowest = 0.0

    def contrast(self, values: F64) -> F64:
        """The values themselves."""
        if not values.any():
            raise no_contrast(self.name, "all pairs of rows are equally far apart")
        return values


class WhitenedCosine(Comparison):
    """Cosine whitened by the covariance of dissimilarities that share a row (CKA, where they are squared distances)"""

    comparison = "whitened_cosine"
    lowest = -1.0

    def matrix(self, rep: Representation) -> F64:
        """The double-centred RDM: inner products of such matrices are whitened ones of the RDMs themselves."""
        values = self.values(rep)
        self.contrast(values)
        return double_centred(np.asarray(squareform(-0.5 * values, checks=False)))


class WhitenedPearson(WhitenedCosine):
    """Pearson correlation whitened by the covariance of dissimilarities that share a row"""

    comparison = "whitened_pearson"

    def matrix(self, rep: Representation) -> F64:
        """The double-centred RDM without its share of the centring matrix, which equal dissimilarities have."""
        kernel = super().matrix(rep)
        n = len(kernel)
        kernel -= np.trace(kernel) / (n - 1) * (np.eye(n) - 1.0 / n)
        return np.asarray(kernel, dtype=np.float64)


class RhoA(InnerProduct):
    """Spearman's rho-a, its expectation under random tie-breaking (below 1 for X = Y where distances tie)"""

    comparison = "rho_a"
    dissimilarity: ClassVar[Dissimilarity]

    def matrix(self, rep: Representation) -> F64:
        """Centred ranks over what their norm is without ties; both triangles hold each pair."""
        values = average_ranks(self.dissimilarity.of(rep), self.dissimilarity.rounding(rep))
        m = values.size
        values -= values.mean()
        if not values.any():
            raise no_contrast(self.name, "all pairs of rows are equally far apart")
        return np.asarray(
            np.array(squareform(values, checks=False)) * np.sqrt(6.0 / (float(m) ** 3 - m)), dtype=np.float64
        )


@dataclass(frozen=True, eq=False)
class Ranks:
    """Average ranks of the upper triangle, and the share of pairs of them that do not tie.

    Attributes
    ----------
    values : ndarray, shape (n (n - 1) / 2,)
    matrix : ndarray, shape (n, n)
    untied : float
    """

    values: F64
    matrix: F64
    untied: float


class Kendall:
    """Kendall's tau-b"""

    comparison = "kendall"
    name: ClassVar[str]
    dissimilarity: ClassVar[Dissimilarity]

    def prepare(self, rep: Representation) -> Ranks:
        """Ranks of the dissimilarities of ``rep``.

        Raises
        ------
        Incompatible
            If the rows do not vary, or are all equally far apart.
        """

        def derive() -> Ranks:
            require_variance(rep)
            values = average_ranks(self.dissimilarity.of(rep), self.dissimilarity.rounding(rep))
            counts = np.unique(values, return_counts=True)[1].astype(np.float64)
            pairs = values.size * (values.size - 1) / 2.0
            untied = 1.0 - float((counts * (counts - 1) / 2.0).sum()) / pairs if pairs else 0.0
            if untied == 0.0:
                raise no_contrast(self.name, "all pairs of rows are equally far apart")
            return Ranks(values, np.asarray(squareform(values, checks=False)), untied)

        return rep.memo(f"convergence.kendall.{self.dissimilarity.name}", derive)

    def score(self, a: Ranks, b: Ranks) -> float:
        """The share of concordant minus that of discordant pairs of dissimilarities."""
        require_aligned(len(a.matrix), len(b.matrix))
        return self._score(a.values, b.values, a.untied, b.untied)

    def permuted(self, a: Ranks, b: Ranks, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        require_aligned(len(a.matrix), len(b.matrix))
        orders = (distances.upper(b.matrix[order].take(order, 1)) for order in permutations)
        return np.array([self._score(a.values, values, a.untied, b.untied) for values in orders])

    def _score(self, a: F64, b: F64, untied_a: float, untied_b: float) -> float:
        return float(np.clip(kendalltau(a, b).statistic, -1.0, 1.0))


class KendallA(Kendall):
    """Kendall's tau-a (below 1 for X = Y where distances tie)"""

    comparison = "tau_a"

    def _score(self, a: F64, b: F64, untied_a: float, untied_b: float) -> float:
        return super()._score(a, b, untied_a, untied_b) * float(np.sqrt(untied_a * untied_b))


class RDMDistance:
    """Euclidean distance of the upper triangles"""

    comparison = "l2"
    name: ClassVar[str]
    dissimilarity: ClassVar[Dissimilarity]

    def prepare(self, rep: Representation) -> F64:
        """The RDM, ``(n, n)``.

        Raises
        ------
        Incompatible
            If the rows do not vary.
        """
        require_variance(rep)
        return np.asarray(squareform(self.dissimilarity.of(rep), checks=False), dtype=np.float64)

    def score(self, a: F64, b: F64) -> float:
        """The distance."""
        require_aligned(len(a), len(b))
        return float(np.linalg.norm(a - b) / np.sqrt(2.0))

    def permuted(self, a: F64, b: F64, permutations: I64) -> F64:
        """Scores with the rows of ``b`` in each of the orders ``permutations``, ``(draws, n)``."""
        return np.array([self.score(a, b[order].take(order, 1)) for order in permutations])


M = TypeVar("M")


def variant(comparison: type[M], dissimilarity: Dissimilarity) -> type[M]:
    """The metric that compares RDMs of ``dissimilarity`` by ``comparison``.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((6, 3))
    >>> metric = variant(Spearman, distances.SQUARED_EUCLIDEAN)()
    >>> a = metric.prepare(Representation(rows, np.arange(6)))
    >>> b = metric.prepare(Representation(5.0 - 2.0 * rows, np.arange(6)))
    >>> round(metric.score(a, b), 12)
    1.0
    """
    held: Any = comparison
    name = f"rsa_{held.comparison}_{dissimilarity.name}"
    doc = (
        f"{comparison.__doc__} of the {dissimilarity.words} of all pairs.\n\n"
        "    References\n    ----------\n"
        "    Kriegeskorte, Mur & Bandettini 2008, Frontiers in Systems Neuroscience 2:4;\n"
        "    Schutt, Kipnis, Diedrichsen & Kriegeskorte 2023, arXiv:2112.09200 (comparisons).\n"
    )
    # Named as the module's __getattr__ knows it, so that it can be pickled.
    return type(
        name, (comparison,), {"name": name, "dissimilarity": dissimilarity, "__doc__": doc, "__module__": __name__}
    )


_EVERY: Sequence[type[Any]] = (Pearson, Spearman, Kendall, KendallA, RhoA, Cosine, WhitenedPearson, WhitenedCosine)

#: Metrics by name.
METRICS: dict[str, type[Any]] = {
    metric.name: metric
    for metric in (
        *(variant(kind, distances.EUCLIDEAN) for kind in _EVERY if kind not in (Pearson, Spearman)),
        # Ranks of squared distances are those of distances; their whitened cosine is linear CKA.
        *(variant(kind, distances.SQUARED_EUCLIDEAN) for kind in (Pearson, Cosine, WhitenedPearson)),
        *(variant(kind, distances.COSINE) for kind in (*_EVERY, RDMDistance) if kind not in (Pearson, Spearman)),
        *(variant(kind, distances.CORRELATION) for kind in (*_EVERY, RDMDistance)),
        *(variant(kind, distances.CENTRED_CORRELATION) for kind in (*_EVERY, RDMDistance)),
        # Ranks of Gaussian distances are those of distances.
        *(
            variant(kind, distances.GAUSSIAN)
            for kind in (Pearson, Cosine, WhitenedPearson, WhitenedCosine, RDMDistance)
        ),
    )
}


def __getattr__(name: str) -> type[Any]:
    """A metric under its own name, as cards write their lazy targets."""
    if name in METRICS:
        return METRICS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
