"""Nulls of stationary series along the numbers: circular shifts and random phases."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, Representation


def circular_shift(rep: Representation, rng: np.random.Generator) -> Representation:
    """The rows moved along the numbers by one random number of places, the end wrapped to the beginning.

    For series without trend only. On a curve with a trend the seam where the end meets the beginning makes
    unrelated curves reject; and a code of period T is the same after a shift by T, so its Gram does not change
    and such codes are not seen. Number rows have a trend as a rule: use it on residuals.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator
        The shift is uniform over 0 .. n-1.

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If the numbers have gaps.

    Examples
    --------
    >>> rep = Representation(np.arange(4.0)[:, None], np.arange(4))
    >>> circular_shift(rep, np.random.default_rng(0)).matrix.ravel().tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    _require_consecutive(rep, "circular_shift")
    return rep.with_matrix(np.roll(rep.matrix, int(rng.integers(rep.n)), axis=0))


def phase_randomisation(rep: Representation, rng: np.random.Generator) -> Representation:
    """The rows with one random phase added to every frequency along the numbers, the same in all columns.

    With F the discrete Fourier transform of the rows along the numbers, ``F_k`` becomes ``F_k exp(i phi_k)``
    with ``phi_-k = -phi_k``, ``phi_0 = 0`` and, for even n, a random sign at n/2: the result is real. The power
    spectrum of every column and all cross-spectra between columns are kept, hence the column covariance and the
    circular lag profile. For stationary series only, as :func:`circular_shift`: use it on residuals.

    Parameters
    ----------
    rep : Representation
    rng : numpy.random.Generator

    Returns
    -------
    Representation

    Raises
    ------
    Incompatible
        If the numbers have gaps.

    References
    ----------
    Theiler et al. 1992, Physica D 58:77-94; Prichard & Theiler 1994 (one phase for all columns).

    Examples
    --------
    >>> rep = Representation(np.random.default_rng(1).standard_normal((6, 2)), np.arange(6))
    >>> drawn = phase_randomisation(rep, np.random.default_rng(0))
    >>> bool(np.allclose(np.cov(drawn.matrix.T), np.cov(rep.matrix.T)))
    True
    """
    _require_consecutive(rep, "phase_randomisation")

    def transform() -> npt.NDArray[np.complex128]:
        return np.asarray(np.fft.rfft(rep.workspace.centred, axis=0), dtype=np.complex128)

    spectrum = rep.memo("nulls.fourier", transform)
    phase = np.exp(2j * np.pi * rng.random(len(spectrum)))
    phase[0] = 1.0
    if rep.n % 2 == 0:
        phase[-1] = 1.0 if phase[-1].real >= 0 else -1.0
    rows = np.fft.irfft(spectrum * phase[:, None], n=rep.n, axis=0)
    return rep.with_matrix(rows + rep.workspace.mean)


def _require_consecutive(rep: Representation, name: str) -> None:
    if not rep.is_contiguous:
        raise Incompatible(
            f"{name} needs consecutive numbers, and these {rep.n} have gaps (W-GAPS); give a run such as 0..99, "
            "or use order_modes, which allows gaps."
        )
