"""Which known geometry the numbers have: line, log line, helix, digits, string distance, or token frequency."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.lines import frequency
from numgeom_plugins.geometry.ranks import pairs
from numgeom_plugins.geometry.row_order import reordered

F64 = npt.NDArray[np.float64]

HELIX_PERIODS = (2, 5, 10, 100)
# Orders that share one product with the references.
BLOCK = 8
# The last is a model's own, and left out where its frequency is not known; the others follow from the numbers.
NAMES = ("line", "log_line", "helix", "digits", "levenshtein", "frequency")


class ReferenceGeometry:
    r"""How near a cloud is to six reference geometries of its numbers, and their shares of its Gram.

    - ``cka_line``, ``cka_log_line``, ``cka_helix``, ``cka_digits``, ``cka_levenshtein``, ``cka_frequency``: debiased
      linear CKA with the rows n; ``ln(n + 1)`` (``-ln(1 - n)`` below 0); ``n / 100`` and circles of periods 2, 5, 10,
      100; a one-hot code of every decimal digit, zeros written in front up to the longest number, and of the sign;
      with a Gram whose squared distances are the Levenshtein distances of the written numbers; and with the rows
      ``ln(1 + id)`` of the token ids, a merge rank that stands for frequency, or ``ln(1 + count)``. In [-1, 1].
    - ``share_line``, ..., ``share_frequency``, ``share_rest``: with K the centred Gram and G_r the centred Grams
      of the references, each of unit norm, K is fitted by ``sum_r w_r G_r``, w >= 0. The share of r is
      ``w_r <K, G_r>``; what is left, ``share_rest``, is the squared misfit. In [0, 1]; they add up to 1.

    References resemble one another (a line and a log line most of all), so a CKA is not a part of the whole; the
    shares are, and where two references explain the same, the fit gives it to the better one. A reference that
    has nothing to compare on these numbers (the digits of 0..9 are all equally far apart) has no CKA.

    Where neither ids nor counts give a frequency, ``cka_frequency`` and ``share_frequency`` are left out (W-FREQ),
    and the other shares are of a fit by five references: what frequency would explain is in them or in the rest.

    Parameters
    ----------
    counts : path
        A file with one NUMBER,COUNT a line, for ``ln(1 + count)`` in place of the merge rank.

    Warns
    -----
    MeasurementWarning
        W-FREQ without a frequency.

    References
    ----------
    Kantamneni & Tegmark 2025, arXiv:2502.00873 (helix); Marjieh et al. 2025, arXiv:2502.01540 (Levenshtein and
    logarithm); Fu et al. 2026, arXiv:2604.20817 (frequency as a control); Lawson & Hanson 1974 (non-negative least
    squares).

    Examples
    --------
    >>> numbers = np.arange(50)
    >>> line = Representation(3.0 * numbers[:, None] + 1.0, numbers, token_ids=200 + 7 * numbers % 50)
    >>> found = ReferenceGeometry()(line)
    >>> round(found["cka_line"], 9), round(found["share_line"], 9), round(found["share_frequency"], 9)
    (1.0, 1.0, 0.0)
    """

    def __init__(self, counts: str = "") -> None:
        self.counts = counts

    def __call__(self, rep: Representation) -> dict[str, float]:
        """The values of one representation.

        Parameters
        ----------
        rep : Representation
            At least 4 numbers. ``matrix`` is ``(n, d)``, ``token_ids`` ``(n,)`` or none.

        Returns
        -------
        dict of str to float

        Raises
        ------
        Incompatible
            If there are fewer than 4 numbers, or all rows are equally far apart.
        """
        found = self.permuted(rep, np.arange(rep.n)[None, :])
        if "share_frequency" not in found:
            text = "no merge rank and no counts of the numbers: what token frequency explains is not told apart"
            warnings.warn(MeasurementWarning("W-FREQ", text), stacklevel=2)
        return {name: float(values[0]) for name, values in found.items()}

    def permuted(self, rep: Representation, permutations: npt.NDArray[np.int64]) -> dict[str, F64]:
        """The values with the rows in each order, ``(draws,)`` a measure.

        Parameters
        ----------
        rep : Representation
        permutations : ndarray of int, shape (draws, n)

        Returns
        -------
        dict of str to ndarray, shape (draws,)
        """
        if rep.n < 4:
            raise Incompatible(
                f"reference_geometry needs at least 4 numbers; these are {rep.n}. Give more with --numbers."
            )
        references = _of_numbers(tuple(int(number) for number in rep.numbers))
        rank = frequency(rep, self.counts)
        if rank is not None:
            references = _joined(references, _references({"frequency": _centred_gram(rank[:, None])}))
        gram = rep.workspace.gram / rep.workspace.energy if rep.workspace.energy > 0 else rep.workspace.gram
        seen, whole = _unit(_u_centred(gram)), _unit(gram)
        if seen is None or whole is None:
            raise Incompatible(
                "reference_geometry has nothing to compare: all rows are equal, or all are equally far apart; "
                "check that the source read trained rows, or give other numbers with --numbers."
            )
        # U-centring is a projection, so <U(K), U(G)> = <K, U(G)>: the pairs of one Gram serve both fits.
        scale = float(np.vdot(seen, whole))
        cka = np.empty((len(permutations), len(references.debiased)))
        overlap = np.empty((len(permutations), len(references.names)))
        for start in range(0, len(permutations), BLOCK):
            orders = permutations[start : start + BLOCK]
            shuffled = np.stack([pairs(reordered(whole, order)) for order in orders])
            cka[start : start + BLOCK] = 2.0 * shuffled @ references.off_diagonal_debiased.T / scale
            overlap[start : start + BLOCK] = (
                2.0 * shuffled @ references.off_diagonal.T + np.diagonal(whole)[orders] @ references.diagonal.T
            )
        shares = _shares(references.products, overlap)
        found = {f"cka_{name}": np.clip(cka[:, i], -1.0, 1.0) for i, name in enumerate(references.debiased)}
        found |= {f"share_{name}": shares[:, i] for i, name in enumerate(references.names)}
        found["share_rest"] = np.clip(1.0 - shares.sum(axis=1), 0.0, 1.0)
        return found


def _shares(products: F64, overlap: F64) -> F64:
    """``w_r <K, G_r>`` of the non-negative fit, ``(draws, references)``; it needs inner products only."""
    values, vectors = np.linalg.eigh(products)
    keep = values > 1e-12 * values[-1]
    # G = Q R has R'R = products; R and Q'K follow from the eigenvectors.
    root = np.sqrt(values[keep])[:, None] * vectors[:, keep].T
    targets = overlap @ (vectors[:, keep] / np.sqrt(values[keep]))
    weights = np.stack([nnls(root, target)[0] for target in targets])
    return np.asarray(np.clip(weights * overlap, 0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _References:
    """Grams of the references at unit norm, their pairs above the diagonal one row each, and inner products.

    ``debiased`` names those that have a U-centred Gram; the others are centred.
    """

    names: tuple[str, ...]
    debiased: tuple[str, ...]
    off_diagonal_debiased: F64
    off_diagonal: F64
    diagonal: F64
    products: F64


@lru_cache(maxsize=1)
def _of_numbers(numbers: tuple[int, ...]) -> _References:
    """Kept between calls: every model of a study is held against the same references, but for its frequency."""
    values = np.array(numbers, dtype=np.float64)
    angles = 2.0 * np.pi * np.outer(values, 1.0 / np.array(HELIX_PERIODS))
    rows = {
        "line": values[:, None],
        "log_line": (np.sign(values) * np.log1p(np.abs(values)))[:, None],
        "helix": np.column_stack([values / 100.0, np.cos(angles), np.sin(angles)]),
        "digits": _digit_code(numbers),
    }
    half = -0.5 * levenshtein([str(number) for number in numbers])
    half -= half.mean(axis=0)
    half -= half.mean(axis=1, keepdims=True)
    return _references({name: _centred_gram(row) for name, row in rows.items()} | {"levenshtein": half})


def _centred_gram(rows: F64) -> F64:
    centred = rows - rows.mean(axis=0)
    return np.asarray(centred @ centred.T, dtype=np.float64)


def _references(grams: Mapping[str, F64]) -> _References:
    """The references that centred Grams make."""
    centred = {name: gram / np.linalg.norm(gram) for name, gram in grams.items()}
    debiased = {
        name: pairs(held) for name, gram in centred.items() for held in [_unit(_u_centred(gram))] if held is not None
    }
    off_diagonal = np.stack([pairs(gram) for gram in centred.values()])
    return _References(
        names=tuple(centred),
        debiased=tuple(debiased),
        off_diagonal_debiased=np.stack(list(debiased.values())) if debiased else np.zeros((0, off_diagonal.shape[1])),
        off_diagonal=off_diagonal,
        diagonal=np.stack([np.diagonal(gram) for gram in centred.values()]),
        products=np.array([[np.vdot(a, b) for b in centred.values()] for a in centred.values()]),
    )


def _joined(some: _References, more: _References) -> _References:
    across = 2.0 * some.off_diagonal @ more.off_diagonal.T + some.diagonal @ more.diagonal.T
    return _References(
        names=some.names + more.names,
        debiased=some.debiased + more.debiased,
        off_diagonal_debiased=np.vstack([some.off_diagonal_debiased, more.off_diagonal_debiased]),
        off_diagonal=np.vstack([some.off_diagonal, more.off_diagonal]),
        diagonal=np.vstack([some.diagonal, more.diagonal]),
        products=np.block([[some.products, across], [across.T, more.products]]),
    )


def _unit(gram: F64) -> F64 | None:
    """The matrix at unit norm; none where there is nothing but rounding."""
    size = float(np.linalg.norm(gram))
    return None if size <= 1e-12 * max(1.0, float(np.abs(gram).max())) else gram / size


def _u_centred(gram: F64) -> F64:
    """U-centring (Szekely & Rizzo 2014): zero diagonal and zero row sums."""
    n = len(gram)
    found = gram / max(float(np.linalg.norm(gram)), np.finfo(np.float64).tiny)
    np.fill_diagonal(found, 0.0)
    sums = found.sum(axis=1)
    found -= (sums[:, None] + sums[None, :]) / (n - 2)
    found += sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(found, 0.0)
    return np.asarray(found, dtype=np.float64)


def _digit_code(numbers: tuple[int, ...]) -> F64:
    width = max(len(str(abs(number))) for number in numbers)
    written = [f"{'-' if number < 0 else '+'}{abs(number):0{width}d}" for number in numbers]
    places = [np.array([text[place] for text in written]) for place in range(width + 1)]
    return np.column_stack([place[:, None] == np.unique(place)[None, :] for place in places]).astype(np.float64)


def levenshtein(words: list[str]) -> F64:
    """Levenshtein distances of all pairs of words, ``(n, n)``.

    One step of the recurrence serves all pairs at once, so it takes as many as the longest word squared.

    Parameters
    ----------
    words : list of str

    Returns
    -------
    ndarray, shape (n, n)
        Read-only.

    References
    ----------
    Levenshtein 1966; Wagner & Fischer 1974.

    Examples
    --------
    >>> levenshtein(["7", "17", "170"]).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
    """
    return _levenshtein(tuple(words))


@lru_cache(maxsize=2)
def _levenshtein(words: tuple[str, ...]) -> F64:
    """Kept between calls: every model of a study has the same numbers."""
    lengths = np.array([len(word) for word in words])
    longest = int(lengths.max(initial=0))
    letters = np.array([[ord(letter) for letter in word.ljust(longest)] for word in words], dtype=np.int64)
    letters = letters.reshape(len(words), longest)
    n = len(words)
    found = np.zeros((n, n))
    above = [np.full((n, n), float(j)) for j in range(longest + 1)]
    for i in range(longest + 1):
        if i:
            row = [np.full((n, n), float(i))]
            for j in range(1, longest + 1):
                differ = letters[:, i - 1][:, None] != letters[:, j - 1][None, :]
                row.append(np.minimum(np.minimum(above[j], row[j - 1]) + 1.0, above[j - 1] + differ))
            above = row
        for j in range(longest + 1):
            ends = (lengths == i)[:, None] & (lengths == j)[None, :]
            found[ends] = above[j][ends]
    found.setflags(write=False)
    return found
