"""Exact moments of ``sum_ij A_ij B_{p(i)p(j)}`` over all row permutations ``p``.

The mean of a product of entries of a permuted matrix depends only on which of its indices coincide.
So ``E[T^k]`` is a sum over the set partitions P of the 2k indices of k entries,

    E[T^k] = sum_P S_P(A) S_P(B) / (n (n-1) ... (n-|P|+1)),

where ``S_P`` sums a product of k entries over distinct indices, one a block. A partition is a multigraph:
blocks are vertices, entries are edges, diagonal entries are loops. ``S_P`` follows by Moebius inversion from
sums over free indices, which are matrix products. ``I`` and ``11'`` do not change when rows are permuted;
once their share is removed, every free sum with a component of one edge vanishes, and for k <= 3 only
connected graphs remain: four for the variance, eleven for the third moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations
from math import factorial, perm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Graph = tuple[tuple[int, int], ...]

# Rows squared at a time, so that they stay in the processor's cache.
ROWS = 64

# The connected graphs, in the order in which `features` holds their sums.
PAIRS: tuple[Graph, ...] = (
    ((0, 0), (0, 0)),
    ((0, 0), (0, 1)),
    ((0, 1), (0, 1)),
    ((0, 1), (0, 2)),
)
TRIPLES: tuple[Graph, ...] = (
    ((0, 0), (0, 0), (0, 0)),
    ((0, 0), (0, 0), (0, 1)),
    ((0, 0), (0, 1), (1, 1)),
    ((0, 0), (0, 1), (0, 1)),
    ((0, 1), (0, 1), (0, 1)),
    ((0, 0), (0, 1), (0, 2)),
    ((0, 0), (0, 1), (1, 2)),
    ((0, 1), (0, 1), (0, 2)),
    ((0, 1), (1, 2), (0, 2)),
    ((0, 1), (1, 2), (2, 3)),
    ((0, 1), (0, 2), (0, 3)),
)


class Features(NamedTuple):
    """What the moments need of one symmetric ``(n, n)`` matrix."""

    n: int
    trace: float
    off_diagonal: float
    pairs: F64
    triples: F64


def features(matrix: F64) -> Features:
    """Trace, off-diagonal sum, and the free sums of the graphs of two and of three edges.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Symmetric.

    Returns
    -------
    Features
        Sums are taken after the share of ``I`` and ``11'`` is removed.
    """
    n = matrix.shape[0]
    trace = float(np.trace(matrix))
    off = float(matrix.sum()) - trace
    a = matrix - off / (n * (n - 1))
    np.fill_diagonal(a, np.diagonal(matrix) - trace / n)
    if np.linalg.norm(a) <= 1e-13 * np.linalg.norm(matrix):
        # Nothing but rounding is left of a matrix that every permutation leaves as it is.
        a = np.zeros_like(a)
    d, r = np.diagonal(a), a.sum(axis=1)
    s, cubes = np.empty(n), 0.0
    for start in range(0, n, ROWS):
        block = a[start : start + ROWS]
        squares = block * block
        s[start : start + ROWS] = squares.sum(axis=1)
        cubes += float(np.vdot(squares, block))
    ad, ar = a @ d, a @ r
    pairs = np.array([d @ d, d @ r, s.sum(), r @ r])
    triples = np.array(
        [
            d @ (d * d),
            (d * d) @ r,
            d @ ad,
            d @ s,
            cubes,
            d @ (r * r),
            d @ ar,
            s @ r,
            # A product of a symmetric matrix with its transpose costs half of a general one.
            np.vdot(a @ a.T, a),
            r @ ar,
            r @ (r * r),
        ]
    )
    return Features(n, trace, off, pairs, triples)


def permutation_moments(a: Features, b: Features) -> tuple[float, float, float]:
    """Mean, standard deviation and skewness of ``sum_ij A_ij B_{p(i)p(j)}`` over all permutations.

    Parameters
    ----------
    a, b : Features
        Of two matrices of one size.

    Returns
    -------
    tuple of float
        The skewness is 0 where the statistic does not vary.

    References
    ----------
    Mantel 1967; Kazi-Aoual, Hitier, Sabatier & Lebreton 1995 (double-centred matrices).

    Examples
    --------
    >>> a = features(np.diag([1.0, 0.0, 0.0]))
    >>> mean, sd, skewness = permutation_moments(a, a)
    >>> round(mean, 6), round(sd, 6), round(skewness, 6)
    (0.333333, 0.471405, 0.707107)
    """
    n = a.n
    mean = a.trace * b.trace / n + a.off_diagonal * b.off_diagonal / (n * (n - 1))
    variance = float(a.pairs @ _weights(n, 2) @ b.pairs)
    scale = float(np.sqrt((a.pairs[0] + a.pairs[2]) * (b.pairs[0] + b.pairs[2])))
    # Below the rounding of the sums themselves there is no variance to speak of.
    if variance <= (1e-12 * scale) ** 2:
        return mean, 0.0, 0.0
    third = float(a.triples @ _weights(n, 3) @ b.triples)
    return mean, float(np.sqrt(variance)), third / variance**1.5


@lru_cache(maxsize=64)
def _weights(n: int, edges: int) -> F64:
    """The bilinear form that turns the sums of two matrices into ``E[T^edges]``."""
    rows, blocks = _moebius(edges)
    # With fewer rows than blocks there is no way to choose distinct indices.
    possible = blocks <= n
    falling = np.array([float(perm(n, int(size))) for size in blocks[possible]])
    kept = rows[possible]
    return np.asarray((kept / falling[:, None]).T @ kept, dtype=np.float64)


@lru_cache(maxsize=2)
def _moebius(edges: int) -> tuple[F64, npt.NDArray[np.int64]]:
    """For each partition: its distinct-index sum in terms of the free sums, and its number of blocks."""
    graphs = {_canonical(graph): k for k, graph in enumerate(PAIRS if edges == 2 else TRIPLES)}
    rows, blocks = [], []
    for fine in _partitions(2 * edges):
        size = max(fine) + 1
        row = np.zeros(len(graphs))
        for merge in _partitions(size):
            coarse = [merge[block] for block in fine]
            graph = tuple(zip(coarse[0::2], coarse[1::2], strict=True))
            if _connected(graph):
                sign = 1
                for block in range(max(merge) + 1):
                    joined = merge.count(block)
                    sign *= (-1) ** (joined - 1) * factorial(joined - 1)
                row[graphs[_canonical(graph)]] += sign
        rows.append(row)
        blocks.append(size)
    return np.array(rows), np.array(blocks, dtype=np.int64)


def _partitions(size: int) -> Iterator[tuple[int, ...]]:
    """Set partitions of ``size`` elements, as block labels that appear in order."""
    if size == 0:
        yield ()
        return
    for head in _partitions(size - 1):
        for block in range(max(head, default=-1) + 2):
            yield (*head, block)


def _canonical(graph: Graph) -> Graph:
    """The least relabelling of a graph: equal for isomorphic graphs."""
    vertices = sorted({v for edge in graph for v in edge})
    least: Graph | None = None
    for order in permutations(range(len(vertices))):
        label = dict(zip(vertices, order, strict=True))
        edges = sorted((min(label[u], label[v]), max(label[u], label[v])) for u, v in graph)
        candidate = tuple(edges)
        least = candidate if least is None or candidate < least else least
    assert least is not None
    return least


def _connected(graph: Graph) -> bool:
    reached = set(graph[0])
    for _ in graph:
        for u, v in graph:
            if u in reached or v in reached:
                reached |= {u, v}
    return all(u in reached for u, _ in graph)
