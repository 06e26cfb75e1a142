"""Correlations of single dimensions with number sequences, with what magnitude and digit length explain held fixed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr
from scipy.stats import false_discovery_control

from numgeom import MeasurementWarning, Representation
from numgeom.seeds import generator
from numgeom_plugins.geometry.hold_out import modes
from numgeom_plugins.geometry.numerals import column_space
from numgeom_plugins.geometry.row_order import RowOrderMetric
from numgeom_plugins.geometry.sequences import magnitude_and_length, targets
from numgeom_plugins.geometry.spread import require_spread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
# Less variance than this beyond the control is rounding.
LEFT = 1e-9
LEVEL = 0.05
BAR = 0.2
FEW = 0.2
FEWEST_TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and sequences at unit length, the residual sequences, and a basis of what is held fixed."""

    columns: F64
    names: list[str]
    plain: F64
    partial_names: list[str]
    partial: F64
    basis: F64

    def correlations(self, order: I64) -> tuple[F64, F64]:
        """Plain and partial correlations, sequences by columns, when row ``order[i]`` belongs to number i."""
        stacked = np.hstack([self.plain, self.partial, self.basis])
        moved = np.empty_like(stacked)
        moved[order] = stacked
        products = moved.T @ self.columns
        k, m = self.plain.shape[1], self.partial.shape[1]
        left = 1.0 - np.square(products[k + m :]).sum(axis=0)
        held = left > LEFT
        partial = np.where(held, products[k : k + m] / np.sqrt(np.where(held, left, 1.0)), 0.0)
        return np.clip(products[:k], -1.0, 1.0), np.clip(partial, -1.0, 1.0)


class SequenceCorrelation(RowOrderMetric[Table]):
    r"""The largest correlation of any dimension with each number sequence, plain and partial; all in [0, 1].

    For every column j and every sequence y of ``numgeom_plugins.geometry.sequences.targets``:

    - ``r_prime``, ``r_fibonacci_smooth``, ``r_digit_1`` and so on: ``max_j |r(x_j, y)|``;
    - ``partial_prime`` and so on: ``max_j |r(x_j, y | 1, n, log n, digit length)|``; left out for n and
      log n, which are held fixed;
    - ``r_max``, ``partial_max``: the largest over columns and sequences.

    A maximum over thousands of columns is large for any rows, so it means something only beside the same maximum of
    its null: the row permutation is then a max-statistic test, exact under dependence (Westfall & Young). A smooth
    curve beats it on every smooth sequence, so a claim about a sequence also needs a walk beside the model
    (``synthetic:walk`` of the same width). Columns are a basis that training may or may not privilege;
    ``sequence_discoveries`` holds the table against a random rotation.
    A sequence that is constant on the numbers or an affine copy of another is dropped, and so is a constant column; a
    column that magnitude and length explain has partial correlation 0.

    Raises
    ------
    Incompatible
        If all rows are equal, or a number exceeds 10 million.

    References
    ----------
    Yule 1907 (partial correlation); Westfall & Young 1993 (max statistic).

    Examples
    --------
    >>> numbers = np.arange(200)
    >>> only_magnitude = Representation(np.log1p(numbers)[:, None] * [1.0, -2.0], numbers)
    >>> found = SequenceCorrelation()(only_magnitude)
    >>> found["r_fibonacci_smooth"] > 0.5, found["partial_fibonacci_smooth"]
    (True, 0.0)
    """

    def prepare(self, rep: Representation) -> Table:
        """The columns and the sequences."""
        require_spread(rep, "sequence_correlation")
        return _table(rep.workspace.centred, rep.numbers)

    def measure(self, state: Table, order: I64) -> dict[str, float]:
        """The largest correlations for one order of the rows."""
        plain, partial = (np.abs(table).max(axis=1, initial=0.0) for table in state.correlations(order))
        found = {f"r_{name}": float(value) for name, value in zip(state.names, plain, strict=True)}
        found |= {f"partial_{name}": float(value) for name, value in zip(state.partial_names, partial, strict=True)}
        return {**found, "r_max": float(plain.max()), "partial_max": float(partial.max(initial=0.0))}


def sequence_discoveries(rep: Representation, seed: int = 0) -> dict[str, float]:
    r"""How many tests of a column against a sequence survive, and whether the model's own axes matter.

    Tests are all columns times all sequences of ``sequence_correlation``. A p-value is that of Student's t with
    ``N_eff - 2 - k`` degrees of freedom, ``N_eff = N (1 - a b) / (1 + a b)`` at most N, a and b the lag-1
    autocorrelations of column and sequence along the numbers, k the variables held fixed. A discovery has a
    Benjamini-Hochberg adjusted p below 0.05.

    - ``tests``: how many plain tests there are;
    - ``naive_share``: share of them with ``|r| > 0.2`` and p < 0.05 if all N were independent: what is often
      reported, in [0, 1];
    - ``fdr_share``, ``partial_fdr_share``: share of discoveries among plain and among partial tests, in [0, 1];
    - ``effective_share``: 10th percentile of ``N_eff / N`` over the plain tests, in (0, 1]: how few observations the
      smooth columns and sequences really are;
    - ``r_max``, ``partial_max``: the largest absolute correlations, in [0, 1];
    - ``rotated_r_max``, ``rotated_partial_max``, ``rotated_fdr_share``, ``rotated_partial_fdr_share``: the same
      after a random rotation of the columns. Where these are no smaller, no column is a detector of anything.

    Parameters
    ----------
    rep : Representation
        At least 12 numbers.
    seed : int, default 0
        Of the rotation.

    Returns
    -------
    dict of str to float

    Raises
    ------
    Incompatible
        If all rows are equal, or a number exceeds 10 million.

    Warns
    -----
    MeasurementWarning
        W-AUTOCORR where ``effective_share`` is below 0.2: the formula for N_eff is then a poor approximation.

    References
    ----------
    Bartlett 1935 (effective sample size); Benjamini & Hochberg 1995.

    Examples
    --------
    >>> noise = Representation(np.random.default_rng(0).normal(size=(300, 40)), np.arange(300))
    >>> sequence_discoveries(noise)["fdr_share"]
    0.0
    """
    require_spread(rep, "sequence_discoveries")
    own = _discoveries(_table(rep.workspace.centred, rep.numbers))
    if own["effective_share"] < FEW:
        text = f"a tenth of the tests have at most {own['effective_share']:.1%} of the numbers as observations"
        warnings.warn(MeasurementWarning("W-AUTOCORR", text), stacklevel=2)
    rotated = _discoveries(_table(_rotated(rep, seed), rep.numbers))
    kept = ("r_max", "partial_max", "fdr_share", "partial_fdr_share")
    return {**own, **{f"rotated_{name}": rotated[name] for name in kept}}


def _table(centred: F64, numbers: I64) -> Table:
    lengths = np.linalg.norm(centred, axis=0)
    held = lengths > 1e-12 * float(lengths.max())
    found = targets(numbers)
    basis = column_space(magnitude_and_length(numbers))
    plain = np.stack(list(found.values()), axis=1)
    residual = plain - basis @ (basis.T @ plain)
    sizes = np.linalg.norm(residual, axis=0)
    beyond = sizes**2 > LEFT
    names = list(found)
    return Table(
        columns=centred[:, held] / lengths[held],
        names=names,
        plain=plain,
        partial_names=[name for name, kept in zip(names, beyond, strict=True) if kept],
        partial=residual[:, beyond] / sizes[beyond],
        basis=basis,
    )


def _discoveries(table: Table) -> dict[str, float]:
    n = len(table.columns)
    plain, partial = table.correlations(np.arange(n))
    residual = table.columns - table.basis @ (table.basis.T @ table.columns)
    effective = _effective(table.plain, table.columns)
    given = table.basis.shape[1] - 1
    naive = (np.abs(plain) > BAR) & (_p_values(plain, np.full(plain.shape, float(n)), 0) < LEVEL)
    return {
        "tests": float(plain.size),
        "naive_share": float(naive.mean()),
        "fdr_share": _discovered(_p_values(plain, effective, 0)),
        "partial_fdr_share": _discovered(_p_values(partial, _effective(table.partial, residual), given)),
        "effective_share": float(np.quantile(effective, FEWEST_TENTH) / n),
        "r_max": float(np.abs(plain).max()),
        "partial_max": float(np.abs(partial).max(initial=0.0)),
    }


def _discovered(p: F64) -> float:
    """Share of discoveries; 0 where there is nothing to test."""
    return float((false_discovery_control(p.ravel()) < LEVEL).mean()) if p.size else 0.0


def _effective(sequences: F64, columns: F64) -> F64:
    """Effective sample size of every sequence with every column."""
    product = np.outer(_autocorrelation(sequences), _autocorrelation(columns))
    return np.asarray(len(columns) * np.clip((1.0 - product) / (1.0 + product), 1e-9, 1.0), dtype=np.float64)


def _autocorrelation(series: F64) -> F64:
    """Lag-1 autocorrelation of centred columns; 0 for what is no more than rounding."""
    energy = np.square(series).sum(axis=0)
    lagged = np.einsum("ij,ij->j", series[1:], series[:-1])
    r = np.divide(lagged, energy, out=np.zeros_like(lagged), where=energy > LEFT)
    return np.asarray(np.clip(r, -0.999, 0.999), dtype=np.float64)


def _p_values(r: F64, effective: F64, given: int) -> F64:
    """Two-sided p of correlations with that many effective observations; 1 without a degree of freedom."""
    freedom = effective - 2.0 - given
    usable = freedom >= 1.0
    kept = np.where(usable, freedom, 1.0)
    t = np.abs(r) * np.sqrt(kept / np.maximum(1.0 - r**2, 1e-300))
    return np.where(usable, np.clip(2.0 * stdtr(kept, -t), 0.0, 1.0), 1.0)


def _rotated(rep: Representation, seed: int) -> F64:
    r"""The centred rows times a random rotation, without a d x d matrix.

    With ``Xc = U S V'``, the rows are ``U S W`` for ``W = V'Q``, uniform among r orthonormal rows of width d:
    ``W = M^(-1/2) U'Z`` with Z Gaussian and ``M = U'ZZ'U``, which no choice of signs in U changes.
    """
    left, powers = modes(rep, "sequence_discoveries")
    held = powers > 1e-12 * powers[0]
    left, powers = left[:, held], powers[held]
    gaussian = generator(seed, "sequence_discoveries", rep.numbers).standard_normal((rep.n, rep.d))
    scales, axes = np.linalg.eigh(left.T @ (gaussian @ gaussian.T) @ left)
    root = (axes / np.sqrt(scales)) @ axes.T
    return np.asarray((left * np.sqrt(powers)) @ root @ left.T @ gaussian, dtype=np.float64)
