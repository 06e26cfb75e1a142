"""Nulls that only reorder rows; the order depends on the numbers and the generator alone."""

from __future__ import annotations

import numpy as np

from numgeom import Incompatible, Representation


def row_permutation(rep: Representation, rng: np.random.Generator) -> Representation:
    """The same rows in a uniformly random order.

    It certifies any shared structure at all, which two unrelated ordered curves have: hold ordered data
    against ``order_modes`` too.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    References
    ----------
    Mantel 1967, Cancer Research 27:209-220.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.arange(4))
    >>> row_permutation(rep, np.random.default_rng(0)).matrix.ravel().tolist()
    [2.0, 0.0, 1.0, 3.0]
    """
    return rep.with_matrix(rep.matrix[rng.permutation(rep.n)])


def block_permutation(rep: Representation, rng: np.random.Generator, block: int = 10) -> Representation:
    """Blocks of numbers in a random order, each block whole and in its own order.

    A block holds the numbers with one value of ``floor(n / block)``: with 10, the decades. Where a block
    lacks numbers, the blocks behind it move up.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator
    block : int
        Width of a block in value.

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If ``block`` is not positive, or the numbers fill fewer than two blocks.

    Examples
    --------
    >>> rep = Representation(np.arange(6.0)[:, None], np.arange(6))
    >>> block_permutation(rep, np.random.default_rng(0), block=2).matrix.ravel().tolist()
    [4.0, 5.0, 0.0, 1.0, 2.0, 3.0]
    """
    if block < 1:
        raise Incompatible(f"block_permutation needs a block of at least 1; got block={block}. Type block=10.")
    starts = np.flatnonzero(np.diff(rep.numbers // block)) + 1
    blocks = np.split(np.arange(rep.n), starts)
    if len(blocks) < 2:
        raise Incompatible(
            f"block_permutation(block={block}) has one block only: these {rep.n} numbers span less than {block}; "
            "lower block, or use row_permutation."
        )
    order = np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])
    return rep.with_matrix(rep.matrix[order])
