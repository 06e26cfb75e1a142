"""Gaussian clouds: what an estimator gives where there is nothing to find."""

from __future__ import annotations

import numpy as np

from numgeom import Representation


def iid_gaussian(rep: Representation, rng: np.random.Generator, narrow: bool = True) -> Representation:
    """Independent Gaussian entries of mean 0, with the mean column variance of ``rep``.

    For d > n the Gram ``G = ZZ'`` of an ``(n, d)`` Gaussian Z is Wishart, and Bartlett's lower triangular T
    has exactly that Gram: entries below the diagonal are standard normal, and the i-th diagonal entry
    (from 0) is the root of a chi-squared of d - i degrees of freedom. T is ``(n, n)``. Whatever depends on
    the rows through their inner products only has the same distribution; single columns have not.

    Parameters
    ----------
    rep : Representation
        The entry ``width`` of its provenance is the d that it stands for, where it was itself narrowed.
    rng : numpy.random.Generator
    narrow : bool
        Whether a cloud wider than n is given as its ``(n, n)`` factor; false gives all d columns, for
        measures that look at single columns.

    Returns
    -------
    Representation
        With ``width`` in its provenance.

    References
    ----------
    Bartlett 1933, Proc. Royal Society of Edinburgh 53:260-283.

    Examples
    --------
    >>> rep = Representation(np.eye(3, 5), np.arange(3))
    >>> iid_gaussian(rep, np.random.default_rng(0)).d, iid_gaussian(rep, np.random.default_rng(0), narrow=False).d
    (3, 5)
    """
    n, d = rep.n, int(rep.provenance.get("width", rep.d))
    scale = np.sqrt(rep.workspace.energy / (n * d)) if n and d else 0.0
    if d > n and narrow:
        matrix = np.tril(rng.standard_normal((n, n)), -1)
        matrix[np.diag_indices(n)] = np.sqrt(rng.chisquare(d - np.arange(n)))
    else:
        matrix = rng.standard_normal((n, d))
    return rep.with_matrix(scale * matrix, width=d)


def covariance_gaussian(rep: Representation, rng: np.random.Generator) -> Representation:
    """Rows drawn independently from the Gaussian with the mean and the covariance of the rows of ``rep``.

    With ``Xc`` the centred rows and W an ``(n, n)`` standard Gaussian, each row of ``W Xc / sqrt(n - 1)`` is
    Gaussian with covariance ``Xc'Xc / (n - 1)``, whatever its rank; nothing is d x d.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Examples
    --------
    >>> rep = Representation(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), np.arange(3))
    >>> covariance_gaussian(rep, np.random.default_rng(0)).matrix[:, 1].tolist()
    [5.0, 5.0, 5.0]
    """
    centred = rep.workspace.centred
    mean = rep.workspace.mean
    mixing = rng.standard_normal((rep.n, rep.n)) / np.sqrt(max(rep.n - 1, 1))
    return rep.with_matrix(mean + mixing @ centred)
