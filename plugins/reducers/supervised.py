"""Reducers that saw the numbers. What they show is what they were told to look for."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.extmath import svd_flip

from numgeom import Incompatible, MeasurementWarning
from numgeom_plugins.reducers.limits import require_components, require_spread

F64 = npt.NDArray[np.float64]
PLACES = {"last_digit": 1, "tens_digit": 10, "hundreds_digit": 100}
CLASSES = (*PLACES, "digit_length")


class PLS(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Partial least squares: the directions of the rows that covary most with the numbers.

    In sample and told the numbers: PC-like pictures in order come out of noise as soon as d nears n. Read the row
    permutation beside it, which is told wrong numbers and draws the same picture of noise.

    Parameters
    ----------
    n_components : int, default 2
    scale : bool, default False
        Whether columns are brought to unit variance first.

    References
    ----------
    Wold 1966; scikit-learn PLSRegression.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(30, 4)) + np.arange(30.0)[:, None]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     scores = PLS().fit_transform(rows, np.arange(30))
    >>> bool(abs(np.corrcoef(scores[:, 0], np.arange(30))[0, 1]) > 0.99)
    True
    """

    def __init__(self, n_components: int = 2, scale: bool = False) -> None:
        self.n_components = n_components
        self.scale = scale

    def fit_transform(self, X: npt.ArrayLike, y: npt.ArrayLike) -> F64:
        """The scores of the rows ``X``, shape ``(n, d)``, given their numbers ``y``, shape ``(n,)``.

        Raises
        ------
        Incompatible
            If ``n_components`` exceeds ``min(n - 1, d)``, or all rows are equal.

        Warns
        -----
        MeasurementWarning
            W-LABEL-LEAK always; W-RANK where the numbers are used up before all components are found.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_components("pls", self.n_components, (rows.shape[0] - 1, rows.shape[1]))
        require_spread("pls", rows)
        _leak("pls")
        centred = rows - rows.mean(axis=0)
        numbers = np.asarray(y, dtype=np.float64)
        model = PLSRegression(n_components=self.n_components, scale=self.scale)
        with warnings.catch_warnings():
            # Said as W-RANK below.
            warnings.filterwarnings("ignore", message="[yY] residual is constant", category=UserWarning)
            scores: F64 = model.fit_transform(centred / np.abs(centred).max(), numbers - numbers.mean())[0]
        lengths = np.ptp(scores, axis=0)
        used = int(np.count_nonzero(lengths > 1e-9 * lengths[0]))
        if used < self.n_components:
            text = f"pls: {used} components account for the numbers, below n_components={self.n_components}"
            warnings.warn(MeasurementWarning("W-RANK", text), stacklevel=2)
        return _signed(scores)


class LDA(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Linear discriminants of a digit: the directions in which its classes are farthest apart.

    In sample and told the digits: where d nears n, any classes separate, shuffled ones too (read the row
    permutation). The covariance within classes is shrunk as Ledoit and Wolf say, on the principal components of
    the rows, which keep all of them at a width of at most n - 1.

    Parameters
    ----------
    n_components : int, default 2
        Below the number of classes.
    classes : {"last_digit", "tens_digit", "hundreds_digit", "digit_length"}, default "last_digit"

    Attributes
    ----------
    explained_variance_ratio_ : ndarray, shape (n_components,)
        Share of the variance between classes.

    References
    ----------
    Fisher 1936; Ledoit & Wolf 2004 (shrinkage).

    Examples
    --------
    >>> numbers = np.arange(60)
    >>> rows = np.eye(10)[numbers % 10] + 0.1 * np.random.default_rng(0).normal(size=(60, 10))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     LDA().fit_transform(rows, numbers).shape
    (60, 2)
    """

    def __init__(self, n_components: int = 2, classes: str = "last_digit") -> None:
        self.n_components = n_components
        self.classes = classes

    def fit_transform(self, X: npt.ArrayLike, y: npt.ArrayLike) -> F64:
        """The discriminants of the rows ``X``, shape ``(n, d)``, given their numbers ``y``, shape ``(n,)``.

        Raises
        ------
        Incompatible
            If ``classes`` is not known, the numbers have too few classes or one each, all rows of every class are
            equal, or the rows have fewer dimensions than components are asked for.

        Warns
        -----
        MeasurementWarning
            W-LABEL-LEAK always.
        """
        rows = np.asarray(X, dtype=np.float64)
        require_spread("lda", rows)
        label = digit_classes(np.asarray(y), self.classes)
        known = np.unique(label)
        if not self.n_components < known.size < label.size:
            raise Incompatible(
                f"lda: {label.size} numbers have {known.size} classes of {self.classes}; {self.n_components} axes "
                f"need at least {self.n_components + 1}, and more numbers than classes: widen --numbers."
            )
        centred = rows - rows.mean(axis=0)
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        keep = values > max(rows.shape) * np.finfo(np.float64).eps * values[0]
        require_components("lda", self.n_components, (label.size, int(keep.sum())))
        _leak("lda")
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=self.n_components)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: F64 = model.fit_transform(left[:, keep] * (values[keep] / values[0]), label)
        if found.shape[1] < self.n_components or not np.isfinite(found).all():
            raise Incompatible(f"lda: the classes of {self.classes} do not spread; use other numbers or rows.")
        self.explained_variance_ratio_ = model.explained_variance_ratio_[: self.n_components]
        return _signed(found)


def digit_classes(numbers: npt.NDArray[np.int64], classes: str) -> npt.NDArray[np.int64]:
    """The class of every number.

    Raises
    ------
    Incompatible
        If ``classes`` is not known.

    Examples
    --------
    >>> digit_classes(np.array([7, 42, -305]), "tens_digit").tolist()
    [0, 4, 0]
    """
    if classes == "digit_length":
        return np.array([len(str(abs(int(number)))) for number in numbers])
    if classes not in PLACES:
        raise Incompatible(f"lda: classes={classes!r} is not known; write one of {', '.join(CLASSES)}.")
    return np.asarray(np.abs(numbers.astype(np.int64)) // PLACES[classes] % 10)


def _leak(reducer: str) -> None:
    text = f"{reducer} was told the numbers: what it shows is no discovery; read its row permutation"
    warnings.warn(MeasurementWarning("W-LABEL-LEAK", text), stacklevel=3)


def _signed(scores: F64) -> F64:
    """In each column the largest is positive."""
    signed, _ = svd_flip(u=scores, v=None)
    return np.asarray(signed, dtype=np.float64)
